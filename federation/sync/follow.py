"""Follow one feed of a peer: take it to its head, prove the copy, repair it, and answer its origin.

One round, whatever tells it to begin: the loop after a head has moved, a command, or a simulation.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from federation.domain.checkpoint import MAX_NUMBERS, RECEIPT, DigestState, Receipt, VerifiableSource
from federation.domain.errors import CursorExpired, Forged
from federation.domain.feed import Cursor, FeedName, Head, RejectedEntry
from federation.domain.peer import Peer
from federation.domain.values import as_instant
from federation.domain.visibility import FEDERATION, PUBLIC
from federation.node import key_rotation
from federation.node.checkpoints import moment
from federation.node.keys import kid_of
from federation.node.node import Node
from federation.store.copies import CopyRow
from federation.store.feeds import FeedState
from federation.sync.apply import PullResult, RemovalsPaused, StaleCursor
from federation.sync.pull import copy_of, pause_removals, pull, withdraw_only
from federation.sync.repair import EntrySender, Repair, SignedState, compare, verify_checkpoint

log = logging.getLogger("federation.sync")

OLD = timedelta(minutes=10)
"""A copy that was proved so long ago is worth a question for another signature."""
AGAIN = timedelta(minutes=10)
"""A repair that changed nothing is tried again after that time, or when something has changed."""


class Answering(VerifiableSource, Protocol):
    """A peer that can be read, and told what became of it."""

    async def receipt(self, jws: str) -> None:
        """Confirm what was dropped."""
        ...

    async def feedback(self, audience: str, several: tuple[RejectedEntry, ...]) -> None:
        """Tell what could not be taken."""
        ...


async def follow(
    node: Node,
    origin: Peer,
    head: Head,
    source: VerifiableSource,
    held: tuple[FeedState | None, CopyRow] | None = None,
) -> PullResult:
    """Bring the copy of a feed to what its origin, which tells us itself, has and signs.

    ``held``: what is known of our copy, where that was just read.
    """
    name, told = head.name, head
    sender = EntrySender(source, await _with_key(node, origin, head))
    proof = _proof(node, head, sender)
    place, copy = held or await copy_of(node, name)
    if place is not None and copy.paused is not None and not copy.confirmed:
        if place.epoch == head.epoch and place.head >= head.retained_from:
            # (Else what is gone and what was withdrawn cannot be told apart: all of it waits.)
            await withdraw_only(node, name, source)
        return PullResult()
    trusting = await _must_be_repaired(node, place, head, proof)
    if trusting is None:
        return PullResult()
    if not trusting:
        if proof is not None and place is not None and place.head < proof.said.seq < head.seq:
            # While the origin writes without a pause, its head is seldom signed: what is not can wait, once
            # the last proof is of some time ago.
            until = proof.said.seq if _is_old(copy, node.clock()) else head.seq
            head = msgspec.structs.replace(head, seq=until)
        try:
            taken = await pull(node, head, source, (place, copy))
        except CursorExpired:
            if proof is None:
                raise
            trusting = True
    if trusting:
        taken = PullResult(held=place.live if place else 0, confirmed=copy.confirmed)
    if proof is not None and (trusting or not _is_beyond(place, copy, taken, proof)):
        await _prove(node, name, proof, sender, taken, copy, trusting=trusting)
        taken.verified = taken.verified and proof.said.cursor == Cursor(told.epoch, told.seq)
    return taken


async def follow_relayed(
    node: Node, origin: Peer, relay: Peer, head: Head, source: VerifiableSource
) -> PullResult:
    """Bring the copy of a feed to what another member holds of it, as far as the origin's signature reaches.

    Nothing is taken that the origin did not sign, or that is older than what we hold. Raises Forged, which
    names the relay, when it shows something else.
    """
    name, sender, taken = head.name, EntrySender(source, origin, via=relay.operator), PullResult()
    if name.origin != origin.operator or name.audience not in (PUBLIC, FEDERATION):
        raise Forged(f"{relay.operator} relays {name}, which is not for it to relay")
    if head.checkpoint is None:
        return taken
    said = verify_checkpoint(node, name, head.checkpoint, sender)
    place, copy = await copy_of(node, name)
    if copy.paused is not None and not copy.confirmed:
        return taken
    if copy.newest is not None and said.iat < copy.newest.timestamp():
        if node.clock().timestamp() < said.exp:
            return taken  # it is a little behind us
        raise Forged(
            f"{relay.operator} relays an old state of {name}, of {as_instant(moment(said.iat))},"
            f" and we have seen one of {as_instant(copy.newest)}"
        )
    if place is not None and place.epoch == said.epoch and place.head > said.seq:
        return taken
    taken.held, taken.confirmed = place.live if place else 0, copy.confirmed
    trusting = place is None or place.epoch != said.epoch or place.head < said.retained_from
    await _prove(node, name, SignedState(said, head.checkpoint), sender, taken, copy, trusting=trusting)
    return taken


async def _with_key(node: Node, origin: Peer, head: Head) -> Peer:
    """The peer with the key that signed the checkpoint, where it has changed keys since we asked."""
    kid = kid_of(head.checkpoint) if head.checkpoint else None
    if kid is None or kid in origin.kids:
        return origin
    return await key_rotation.reread_keys(node, origin.operator, kid=kid) or origin


def _proof(node: Node, head: Head, sender: EntrySender) -> SignedState | None:
    if head.checkpoint is None:
        return None
    return SignedState(verify_checkpoint(node, head.name, head.checkpoint, sender), head.checkpoint)


async def _must_be_repaired(
    node: Node, place: FeedState | None, head: Head, proof: SignedState | None
) -> bool | None:
    """Whether entries cannot bring our copy there; None when nothing can now.

    In a new epoch nothing is taken that is not signed: revisions may have gone back, and only the signature
    tells what is right. A copy that is ahead of its origin in one epoch is an alarm, not for us to reset.
    """
    if place is None or place.epoch is None:
        return False
    if place.epoch != head.epoch:
        return True if proof is not None and proof.said.epoch == head.epoch else None
    if place.head > head.seq:
        why = f"cursor-in-future: its feed ends at {head.seq} and was taken to {place.head}, in one epoch"
        log.error("origin sequence went backwards", extra={"feed": str(head.name), "reason": why})
        await _diverged(node, head.name, why, "")
        return None
    return 0 < place.head < head.retained_from and proof is not None


async def _prove(
    node: Node,
    name: FeedName,
    proof: SignedState,
    sender: EntrySender,
    taken: PullResult,
    before: CopyRow,
    *,
    trusting: bool,
) -> None:
    """Compare the copy with a checkpoint, and repair it where they differ.

    ``before``: what was known of the copy.
    """
    ours: DigestState | None = None
    try:
        ours = await compare(node, name, proof, adopting=trusting)
        if ours is None:
            taken.verified = True
            if before.via != sender.via:
                await _verified(node, name, sender, taken)
            return
        await _saw(node, name, proof)
    except StaleCursor:
        await _saw(node, name, proof)
        if not trusting and sender.via is None and not await _ends_short(node, name, proof):
            return  # it has moved since: there is nothing to compare, and the next head comes soon
    tried = f"{proof.said.root} {ours.root if ours else ''}"
    if before.tried == tried and before.tried_at and node.clock() - before.tried_at < AGAIN:
        return
    log.warning(
        "the copy is not what its origin has signed, and is repaired",
        extra={"feed": str(name), "seq": proof.said.seq},
    )
    try:
        newer = await Repair(node, name, sender, trusting=trusting, taken=taken).run()
        left = await compare(node, name, newer)
    except StaleCursor:
        return
    except RemovalsPaused as error:
        await pause_removals(node, name, str(error))
        return
    except Forged as error:
        if sender.via is None:
            await _diverged(node, name, error.detail, tried)
        raise
    if left is None:
        await _verified(node, name, sender, taken)
        log.info("a copy was repaired", extra={"feed": str(name), "records": taken.repaired})
        return
    why = ", ".join(sorted(taken.set_aside)) or "of what was set aside"
    await _diverged(
        node,
        name,
        f"it differs from what was signed at {newer.said.seq}: {why}",
        f"{newer.said.root} {left.root}",
    )


async def _saw(node: Node, name: FeedName, proof: SignedState) -> None:
    """Note that this was signed, though the copy is not known to be that."""
    async with node.store.write() as tx:
        place = await tx.feeds.open(name, None)
        await tx.copies.mark_seen(place.id, moment(proof.said.iat))


def _is_beyond(place: FeedState | None, copy: CopyRow, taken: PullResult, proof: SignedState) -> bool:
    """Whether a copy has gone beyond what was signed, and that signature was seen: there is nothing to prove.

    ``place`` and ``copy``: what was known before the last entries were taken.
    """
    return (
        place is not None
        and place.epoch == proof.said.epoch
        and (place.head > proof.said.seq or (place.head == proof.said.seq and taken.entries > 0))
        and copy.newest is not None
        and copy.newest >= moment(proof.said.iat)
    )


async def _ends_short(node: Node, name: FeedName, proof: SignedState) -> bool:
    """Whether what came ends before what was signed: the last entries are kept no longer, or were lost."""
    place, copy = await copy_of(node, name)
    return (
        place is not None
        and place.epoch == proof.said.epoch
        and place.head < proof.said.seq
        and (copy.paused is None or copy.confirmed)
    )


def _is_old(copy: CopyRow, now: datetime) -> bool:
    """Whether a copy was compared, and so long ago that another signature is worth a question."""
    return copy.verified_at is not None and now - copy.verified_at > OLD


async def _verified(node: Node, name: FeedName, sender: EntrySender, taken: PullResult) -> None:
    async with node.store.write() as tx:
        place = await tx.feeds.find(name)
        if place is not None and (sender.via is None or taken.repaired):
            await tx.copies.set_relay(place.id, sender.via)


async def _diverged(node: Node, name: FeedName, why: str, tried: str) -> None:
    log.error("a copy has diverged", extra={"feed": str(name), "reason": why})
    async with node.store.write() as tx:
        if place := await tx.feeds.find(name):
            await tx.copies.note_divergence(place.id, why, tried=tried, tried_at=node.clock())


# What the origin is told


async def answer(node: Node, origin: Peer, source: Answering) -> None:
    """Confirm to an origin what was dropped of its feeds, and tell what could not be taken.

    What it does not take now is owed until it does: both are kept with the copies.
    """
    async with node.store.read() as tx:
        owed = await tx.copies.pending_receipts(origin.operator)
        untold = await tx.rejected.pending_reports(origin.operator, MAX_NUMBERS)
    for one in owed:
        receipt = Receipt(
            iss=node.operator,
            aud=origin.operator,
            feed=f"{origin.operator}/{one.audience}",
            epoch=one.epoch,
            seq=one.seq,
            iat=int(node.clock().timestamp()),
            purged=one.purged,
        )
        await source.receipt(node.keyring.sign(msgspec.structs.asdict(receipt), typ=RECEIPT))
        async with node.store.write() as writing:
            await writing.copies.mark_receipt_sent(one.feed, one.epoch, one.seq, purged=one.purged)
    for (feed, audience), several in untold.items():
        await source.feedback(audience, tuple(several))
        async with node.store.write() as writing:
            await writing.rejected.note_report(feed, several)
