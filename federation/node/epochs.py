"""Epochs: detect a restored database, begin a new epoch, ask peers whether it went backwards."""

from __future__ import annotations

import logging
from functools import partial

import msgspec

from federation.domain.audit import ITSELF, OPERATOR
from federation.domain.errors import Invalid, Refused, Unauthenticated
from federation.domain.feed import Head, mint_epoch, printable
from federation.domain.peer import Peer
from federation.domain.rejection import Contradiction
from federation.node.checkpoints import read_signed_checkpoint, sign_checkpoints
from federation.node.node import Node
from federation.store.checkpoints import UnsignedFeed
from federation.store.database import Writing

log = logging.getLogger("federation.checkpoints")


async def detect_restore(node: Node) -> bool:
    """Mint a new epoch when the database was restored or promoted since the last one. True if it was."""
    async with node.store.write() as tx:
        before, current = await tx.epochs.stored_database(), await tx.epochs.database()
        if before == current:
            return False
        restored = before != (None, None)
        if restored:
            await _mint_epoch(node, tx, "the database was restored or promoted", by=ITSELF)
        await tx.epochs.set_database(*current)
    await node.notifier.refresh()
    return restored


async def begin_epoch(node: Node, reason: str, *, by: str = OPERATOR) -> str:
    """Mint a new epoch for another reason: every peer compares what it holds. Returns the epoch."""
    async with node.store.write() as tx:
        epoch = await _mint_epoch(node, tx, reason, by=by)
    await node.notifier.refresh()
    await sign_checkpoints(node)
    return epoch


async def _mint_epoch(node: Node, tx: Writing, reason: str, *, by: str) -> str:
    epoch = mint_epoch()
    log.warning("a new epoch begins", extra={"epoch": epoch, "reason": reason})
    await tx.audit.note("epoch.minted", actor=by, subject=epoch, detail={"reason": reason})
    for feed in await tx.feeds.all():
        if feed.origin == node.operator:
            await tx.checkpoints.lock(feed.id)  # a signature that is being made is waited for, and void then
    await tx.checkpoints.unsign(node.operator)
    await tx.epochs.adopt(epoch, node.operator)
    return epoch


class NewerCopy(msgspec.Struct, frozen=True):
    """A peer's copy of an own feed that has more than the feed itself."""

    peer: str
    audience: str
    theirs: int
    ours: int
    detail: str


class UnclearCopy(msgspec.Struct, frozen=True):
    """A peer's copy of an own feed that proves neither that it is equal nor that it has more."""

    peer: str
    audience: str
    detail: str


class RestoreCheck(msgspec.Struct, frozen=True):
    """The answers of the peers to the question whether this node went back behind their copies."""

    asked: tuple[str, ...]
    unreachable: dict[str, str]
    behind: tuple[NewerCopy, ...]
    contradictions: tuple[Contradiction, ...]
    unclear: tuple[UnclearCopy, ...]
    epoch: str
    minted: bool

    @property
    def is_clear(self) -> bool:
        """True if peers were asked, and every copy of every peer is equal to the feed here."""
        return bool(self.asked) and not self.unreachable and not self.unclear


async def restore_check(node: Node, *, force: bool = False) -> RestoreCheck:
    """Ask every active peer for its copies of own feeds; mint a new epoch where they have more.

    For restores that PostgreSQL itself does not show: a copy of the files, a snapshot of a disk. With
    ``force`` a new epoch is minted whatever the answers are.

    1. A copy with a state that this node signed and does not have any more is proof.
    2. So is a report, since the epoch began, that own entries contradict earlier ones: when this node has
       written again as much as it lost, copies are not equal to anything that was signed, and prove nothing.
    3. A copy with the present signed state is equal. Every other copy of this epoch is unclear.
    """
    await sign_checkpoints(node)
    async with node.store.read() as tx:
        peers = [peer for peer in await tx.peers.all() if peer.state == "active"]
    copies: list[tuple[Peer, Head]] = []
    asked, unreachable = [], {}
    for peer in peers:
        try:
            heads = await node.others.heads_at(peer, node.operator)
        except Refused as error:
            unreachable[peer.operator] = printable(error.detail, 300)
            continue
        asked.append(peer.operator)
        copies += [(peer, head) for head in heads if head.origin == node.operator]
    async with node.store.read() as tx:
        # After the peers: what was written meanwhile is here before it is there.
        ours = {feed.audience: feed for feed in await tx.checkpoints.due(node.operator)}
        contradictions = await tx.receipts.contradictions()
    compared = [_compare_copy(node, peer, head, ours.get(head.audience)) for peer, head in copies]
    behind = tuple(copy for copy in compared if isinstance(copy, NewerCopy))
    unclear = tuple(copy for copy in compared if isinstance(copy, UnclearCopy))
    epoch, minted = node.notifier.state.epoch, False
    if behind or contradictions or force:
        reason = (
            "peers hold more of our feeds than we do"
            if behind
            else "peers report that our entries contradict earlier ones"
            if contradictions
            else "an administrator asked for it"
        )
        epoch, minted = await begin_epoch(node, reason), True
    return RestoreCheck(tuple(asked), unreachable, behind, contradictions, unclear, epoch, minted)


def _compare_copy(
    node: Node, peer: Peer, head: Head, ours: UnsignedFeed | None
) -> NewerCopy | UnclearCopy | None:
    """None for a copy that is equal, is empty, or is of another epoch, and so is compared by the peer."""
    if head.epoch != node.notifier.state.epoch or head.seq == 0:
        return None
    at = ours.head if ours else 0
    unclear = partial(UnclearCopy, peer.operator, head.audience)
    if head.checkpoint is None:
        return unclear(f"it is at number {head.seq}, and not equal to a state that we signed")
    try:
        checkpoint = read_signed_checkpoint(head.checkpoint, node.keyring.history(), head.name, node.clock())
    except (Unauthenticated, Invalid) as error:
        return unclear(f"its checkpoint cannot be read: {printable(error.detail, 200)}")
    if checkpoint.epoch != head.epoch:
        return unclear("its checkpoint is of another epoch")
    digest = ours.digest if ours else None
    if checkpoint.seq > at:
        detail = f"we signed number {checkpoint.seq}, and are at {at}"
        return NewerCopy(peer.operator, head.audience, checkpoint.seq, at, detail)
    if (
        digest
        and checkpoint.seq == digest.seq
        and checkpoint.root != digest.state.root
        and checkpoint.retained_from >= digest.retained_from  # else tombstones were dropped here since
    ):
        detail = f"we signed another state at number {checkpoint.seq}"
        return NewerCopy(peer.operator, head.audience, checkpoint.seq, at, detail)
    if digest and head.seq == checkpoint.seq == at and checkpoint.root == digest.state.root:
        return None
    return unclear(f"it is at number {head.seq}, compared up to {checkpoint.seq}; we are at {at}")
