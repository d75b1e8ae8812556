"""What this node proves of its feeds, and what its peers answer to that.

The node signs what each of its own feeds holds (a checkpoint), soon after it has changed and again before
the signature grows old. It notices that its database was restored or promoted and then mints a new epoch.
It drops tombstones that were kept for long enough. Peers confirm what they dropped (receipts) and tell what
they could not take (feedback).
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from federation.domain.audit import ITSELF, OPERATOR
from federation.domain.checkpoint import (
    CHECKPOINT,
    CLOCKS_DIFFER,
    MOST_ASKED,
    RECEIPT,
    RENEWED,
    Checkpoint,
    Receipt,
    checkpoint_of,
    read_checkpoint,
)
from federation.domain.errors import AudienceRevoked, Forbidden, Invalid, NotFound, Refused, Unauthenticated
from federation.domain.feed import FeedName, Head, SetAside, mint_epoch, printable
from federation.domain.peer import Peer
from federation.domain.values import Count, as_instant
from federation.domain.visibility import Caller, may_see
from federation.node.keys import kid_of, verified
from federation.node.node import Node
from federation.store.checkpoints import Due
from federation.store.database import Writing

log = logging.getLogger("federation.checkpoints")

MOST_RECEIPT = 8_192
"""Bytes of a receipt, at most."""


# Signing


async def prove(node: Node) -> int:
    """Sign what the node's own feeds hold now, where it is not signed yet. Returns how many were signed.

    Each is one transaction over the buckets that have changed; while another process does it, it is left.
    Where one cannot be signed the others are all the same, and then it is told why.
    """
    now = node.clock()
    async with node.store.read() as tx:
        due = [one for one in await tx.digests.due(node.operator) if _is_due(node, one, now)]
    signed, failed = 0, []
    for one in due:
        try:
            signed += await _prove_one(node, one)
        except Refused as error:
            failed.append(error)
    if signed:
        node.watch.nudge()
    if failed:
        raise failed[0]
    return signed


async def _prove_one(node: Node, one: Due) -> bool:
    async with node.store.write() as tx:
        was = await tx.digests.lock(one.feed)
        epoch, state = await tx.digests.reckon(was) if was is not None else (None, None)
        if epoch is None or state is None:
            return False
        name = FeedName(node.operator, one.audience)
        made = checkpoint_of(name, epoch, state, int(node.clock().timestamp()))
        jws = node.keyring.sign(msgspec.structs.asdict(made), typ=CHECKPOINT)
        await tx.digests.sign(one.feed, state, jws, moment(made.iat), moment(made.exp))
    return True


def _is_due(node: Node, one: Due, now: datetime) -> bool:
    held = one.digest
    return (
        held is None
        or held.checkpoint is None
        or held.signed_at is None
        or bool(held.marked)
        or (held.seq, held.retained_from) != (one.head, one.retained_from)
        # (Also when the clock was set back: what is signed of the future is refused.)
        or not timedelta(0) <= now - held.signed_at < timedelta(seconds=RENEWED)
        # Who verifies it may not know a key any more that is about to retire.
        or kid_of(held.checkpoint) != node.keyring.kid
    )


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def proved_by(jws: str, keys: dict[str, Any], name: FeedName, now: datetime) -> Checkpoint:
    """The checkpoint of a feed, verified with its origin's keys. Raises Unauthenticated or Invalid."""
    return read_checkpoint(_signed(jws, msgspec.json.encode(keys, order="sorted")), name, now.timestamp())


@lru_cache(256)
def _signed(jws: str, keys: bytes) -> dict[str, Any]:
    """What a checkpoint says, when its signature holds. (The same one comes with head after head.)"""
    return verified(jws, msgspec.json.decode(keys), frozenset({CHECKPOINT}))


# Epochs


async def recognise(node: Node) -> bool:
    """Mint a new epoch when the database was restored or promoted since the last one. True if it was."""
    async with node.store.write() as tx:
        before, now = await tx.feeds.known_database(), await tx.feeds.database()
        if before == now:
            return False
        restored = before != (None, None)
        if restored:
            await _mint(node, tx, "the database was restored or promoted", by=ITSELF)
        await tx.feeds.know_database(*now)
    await node.watch.look()
    return restored


async def renew(node: Node, why: str, *, by: str = OPERATOR) -> str:
    """Mint a new epoch for another reason: every peer compares what it holds. Returns the epoch."""
    async with node.store.write() as tx:
        epoch = await _mint(node, tx, why, by=by)
    await node.watch.look()
    await prove(node)
    return epoch


async def _mint(node: Node, tx: Writing, why: str, *, by: str) -> str:
    epoch = mint_epoch()
    log.warning("a new epoch begins", extra={"epoch": epoch, "reason": why})
    await tx.audit.note("epoch.minted", actor=by, subject=epoch, detail={"reason": why})
    for place in await tx.feeds.all():
        if place.origin == node.operator:
            await tx.digests.hold(place.id)  # what is being signed now is signed first, and void then
    await tx.digests.unsign(node.operator)
    await tx.feeds.adopt(epoch, node.operator)
    return epoch


class Restored(msgspec.Struct, frozen=True):
    """What a peer holds of a feed of ours that we do not have (any more)."""

    peer: str
    audience: str
    theirs: int
    ours: int
    detail: str


class RestoreCheck(msgspec.Struct, frozen=True):
    """Whether this node has gone back behind what its peers hold of it."""

    asked: tuple[str, ...]
    unreachable: dict[str, str]
    behind: tuple[Restored, ...]
    epoch: str
    minted: bool


async def restore_check(node: Node, *, force: bool = False) -> RestoreCheck:
    """Ask every active peer what it holds of our feeds; mint a new epoch where that is more than we have.

    For restores that PostgreSQL itself does not show: a copy of the files, a snapshot of a disk. With
    ``force`` a new epoch is minted whatever they say.
    """
    async with node.store.read() as tx:
        peers = [peer for peer in await tx.peers.all() if peer.state == "active"]
        due = {one.audience: one for one in await tx.digests.due(node.operator)}
    asked, unreachable, behind = [], {}, []
    for peer in peers:
        try:
            heads = await node.outside.heads_at(peer, node.operator)
        except Refused as error:
            unreachable[peer.operator] = printable(error.detail, 300)
            continue
        asked.append(peer.operator)
        for head in heads:
            if found := _ahead_of_us(node, peer, head, due):
                behind.append(found)
    epoch, minted = node.watch.state.epoch, False
    if behind or force:
        why = "peers hold more of our feeds than we do" if behind else "an administrator asked for it"
        epoch, minted = await renew(node, why), True
    return RestoreCheck(tuple(asked), unreachable, tuple(behind), epoch, minted)


def _ahead_of_us(node: Node, peer: Peer, head: Head, due: dict[str, Due]) -> Restored | None:
    """What a peer's copy shows that we should have: only what we have signed ourselves counts."""
    ours = due.get(head.audience)
    if head.origin != node.operator or head.checkpoint is None:
        return None
    try:
        said = proved_by(head.checkpoint, node.keyring.history(), head.name, node.clock())
    except (Unauthenticated, Invalid):
        return None
    if said.epoch != node.watch.state.epoch:
        return None
    at = ours.head if ours else 0
    if said.seq > at:
        detail = f"we signed number {said.seq}, and are at {at}"
    elif ours and ours.digest and said.seq == ours.digest.seq and said.root != ours.digest.state.root:
        detail = f"we signed another state at number {said.seq}"
    else:
        return None
    return Restored(peer.operator, head.audience, said.seq, at, detail)


# Retention


async def drop_expired(node: Node) -> int:
    """Drop tombstones and withdrawals of our own feeds that were kept for long enough.

    Cursors from before them are answered with 410, and whoever has one compares and repairs.
    Returns from how many feeds something was dropped.
    """
    before = node.clock() - timedelta(days=node.tombstones_days)
    async with node.store.read() as tx:
        own = [place for place in await tx.feeds.all() if place.origin == node.operator]
    dropped = 0
    for place in own:
        async with node.store.write() as writing:
            until = await writing.feeds.expired(place.id, before)
            if until > place.retained_from:
                await drop_tombstones(writing, place.id, until)
                dropped += 1
    if dropped:
        await prove(node)
    async with node.store.write() as writing:
        await writing.feeds.drop_unseen(before)
        await writing.receipts.clear(before)
    return dropped


async def drop_tombstones(tx: Writing, feed: int, until: int) -> None:
    """Drop a feed's tombstones up to a number, ours or those of a copy."""
    await tx.digests.hold(feed)  # the mark must not be lost to somebody who computes the digest now
    buckets = await tx.feeds.drop_tombstones(feed, until)
    if buckets:
        await tx.digests.mark(feed, buckets)


# What peers answer


async def take_receipt(node: Node, jws: str, *, by: Caller) -> None:
    """A peer has dropped what was withdrawn from a feed of ours, and signs it.

    For a feed that there is not, the answer is the same.
    """
    if by.operator is None or by.own:
        raise Forbidden("only a peer can confirm what it has dropped")
    async with node.store.read() as tx:
        peer = await tx.peers.find(by.operator)
    try:
        if peer is None or len(jws) > MOST_RECEIPT:
            raise Unauthenticated("who signs is no peer")
        said = msgspec.convert(verified(jws, peer.keys, frozenset({RECEIPT})), Receipt)
    except (Unauthenticated, msgspec.ValidationError):
        raise Invalid("the receipt is not signed by you, or cannot be read", pointer="/receipt") from None
    origin, _, audience = said.feed.partition("/")
    if (said.iss, said.aud, origin) != (by.operator, node.operator, node.operator):
        raise Invalid("the receipt is not yours, or not for a feed of this node", pointer="/receipt")
    if abs(node.clock().timestamp() - said.iat) > CLOCKS_DIFFER:
        raise Invalid("the receipt is not of now: sign a new one", pointer="/receipt")
    async with node.store.write() as writing:
        await writing.receipts.keep(
            origin, audience, by.operator, epoch=said.epoch, seq=said.seq, purged=said.purged, jws=jws
        )


class Unheld(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry of a feed that a peer could not take."""

    seq: Count
    type: Annotated[str, Meta(max_length=63)]
    key: Annotated[str, Meta(max_length=160)]
    revision: Count
    reason: Annotated[str, Meta(pattern=r"^[a-z][a-z-]{0,39}$(?!\n)")]
    detail: Annotated[str, Meta(max_length=500)]


class Feedback(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a peer could not take of a feed."""

    audience: Annotated[str, Meta(max_length=63)]
    entries: Annotated[tuple[Unheld, ...], Meta(min_length=1, max_length=MOST_ASKED)]


async def take_feedback(node: Node, said: Feedback, *, by: Caller) -> None:
    """A peer says which entries of a feed of ours it set aside, and why."""
    if by.operator is None or by.own:
        raise Forbidden("only a peer can tell what it could not take")
    name = FeedName(node.operator, said.audience)
    refusal = AudienceRevoked(f"you are not in the audience of {name}; drop what you hold of it")
    if not may_see(name.origin, name.audience, by):
        raise refusal
    async with node.store.write() as tx:
        place = await tx.feeds.find(name)
        if place is None:
            raise refusal
        await tx.receipts.told(
            by.operator,
            place.id,
            [
                SetAside(
                    seq=one.seq,
                    type=printable(one.type, 63),
                    key=printable(one.key, 160),
                    revision=one.revision,
                    reason=one.reason,
                    detail=printable(one.detail),
                )
                for one in said.entries
            ],
        )
    log.warning(
        "a peer could not take entries of ours",
        extra={"peer": by.operator, "feed": str(name), "entries": len(said.entries)},
    )


class WithdrawalView(msgspec.Struct, frozen=True):
    """A record that left a feed of ours, and which peers have dropped it."""

    audience: str
    type: str
    key: str
    revision: int
    seq: int
    at: str
    confirmed: tuple[str, ...]
    outstanding: tuple[str, ...]
    """Peers that may hold it yet: they could read the feed, and have not confirmed."""


class DepartureView(msgspec.Struct, frozen=True):
    """A peer that was taken out of an audience."""

    audience: str
    operator: str
    at: str
    confirmed_at: str | None
    """When it confirmed that it dropped all of the feed; null until then."""


class ReceiptView(msgspec.Struct, frozen=True):
    """The last receipt of a peer."""

    audience: str
    operator: str
    seq: int
    purged: bool
    receipt: str
    """The JWS, signed by the peer."""
    at: str


class WithdrawalsView(msgspec.Struct, frozen=True):
    """What was taken back, and who has confirmed that it dropped it."""

    withdrawals: tuple[WithdrawalView, ...]
    departures: tuple[DepartureView, ...]
    receipts: tuple[ReceiptView, ...]


async def withdrawals(node: Node) -> WithdrawalsView:
    """What was taken back from peers, newest first, and who has confirmed that it dropped it."""
    async with node.store.read() as tx:
        gone = await tx.receipts.withdrawals(node.operator)
        departed, held = await tx.receipts.departures(), await tx.receipts.all()
    return WithdrawalsView(
        withdrawals=tuple(
            WithdrawalView(
                one.audience, one.type, one.key, one.revision, one.seq, as_instant(one.at),
                one.confirmed, one.outstanding,
            )
            for one in gone
        ),
        departures=tuple(
            DepartureView(one.audience, one.operator, as_instant(one.at), _when(one.confirmed_at))
            for one in departed
        ),
        receipts=tuple(
            ReceiptView(one.audience, one.operator, one.seq, one.purged, one.jws, as_instant(one.at))
            for one in held
        ),
    )  # fmt: skip


class RefusedView(msgspec.Struct, frozen=True):
    """An entry of ours that a peer set aside."""

    operator: str
    audience: str
    type: str
    key: str
    seq: int
    revision: int
    reason: str
    detail: str
    at: str


async def refused(node: Node) -> tuple[RefusedView, ...]:
    """What peers could not take of our feeds, newest first; what was revised since is left out."""
    async with node.store.read() as tx:
        found = await tx.receipts.refused()
    return tuple(
        RefusedView(
            one.operator, one.audience, one.type, one.key, one.seq, one.revision, one.reason, one.detail,
            as_instant(one.at),
        )
        for one in found
    )  # fmt: skip


def _when(at: datetime | None) -> str | None:
    return as_instant(at) if at else None


# What an administrator decides


async def confirm(node: Node, operator: str, *, by: str = OPERATOR) -> tuple[str, ...]:
    """Let the removals of a peer's records happen that wait for an administrator. Returns the audiences.

    Raises NotFound when none wait.
    """
    async with node.store.write() as tx:
        places = [place for place in await tx.feeds.all() if place.origin == operator]
        confirmed = []
        for place in places:
            copy = await tx.digests.copy(place.id)
            if copy.braked is not None and await tx.digests.confirm(place.id):
                await tx.audit.note(
                    "removal.confirmed", actor=by, subject=str(place.name), detail={"what": copy.braked}
                )
                confirmed.append(place.audience)
    if not confirmed:
        raise NotFound(f"nothing of {printable(operator, 80)} waits to be confirmed")
    node.watch.nudge()
    return tuple(confirmed)


async def as_peer(node: Node, operator: str) -> Caller:
    """The caller that a peer is here, with the groups it is in now. Raises NotFound."""
    async with node.store.read() as tx:
        peer = await tx.peers.find(operator)
        if peer is None:
            raise NotFound(f"there is no peer {printable(operator, 80)}")
        groups = await tx.records.groups_of(operator, node=node.operator)
    return Caller(node=node.operator, operator=operator, client=operator, groups=groups)
