"""Epochs: detect a restored database, begin a new epoch, ask peers whether it went backwards."""

from __future__ import annotations

import logging

import msgspec

from federation.domain.audit import ITSELF, OPERATOR
from federation.domain.errors import Invalid, Refused, Unauthenticated
from federation.domain.feed import Head, mint_epoch, printable
from federation.domain.peer import Peer
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


class RestoreCheck(msgspec.Struct, frozen=True):
    """The answers of the peers to the question whether this node went back behind their copies."""

    asked: tuple[str, ...]
    unreachable: dict[str, str]
    behind: tuple[NewerCopy, ...]
    epoch: str
    minted: bool


async def restore_check(node: Node, *, force: bool = False) -> RestoreCheck:
    """Ask every active peer for its copies of own feeds; mint a new epoch where they have more.

    For restores that PostgreSQL itself does not show: a copy of the files, a snapshot of a disk. With
    ``force`` a new epoch is minted whatever the answers are.
    """
    async with node.store.read() as tx:
        peers = [peer for peer in await tx.peers.all() if peer.state == "active"]
        due = {feed.audience: feed for feed in await tx.checkpoints.due(node.operator)}
    asked, unreachable, behind = [], {}, []
    for peer in peers:
        try:
            heads = await node.others.heads_at(peer, node.operator)
        except Refused as error:
            unreachable[peer.operator] = printable(error.detail, 300)
            continue
        asked.append(peer.operator)
        for head in heads:
            if newer := _newer_copy(node, peer, head, due):
                behind.append(newer)
    epoch, minted = node.notifier.state.epoch, False
    if behind or force:
        reason = "peers hold more of our feeds than we do" if behind else "an administrator asked for it"
        epoch, minted = await begin_epoch(node, reason), True
    return RestoreCheck(tuple(asked), unreachable, tuple(behind), epoch, minted)


def _newer_copy(node: Node, peer: Peer, head: Head, due: dict[str, UnsignedFeed]) -> NewerCopy | None:
    """The peer's copy, if it has a state that this node has signed and does not have any more."""
    ours = due.get(head.audience)
    if head.origin != node.operator or head.checkpoint is None:
        return None
    try:
        checkpoint = read_signed_checkpoint(head.checkpoint, node.keyring.history(), head.name, node.clock())
    except (Unauthenticated, Invalid):
        return None
    if checkpoint.epoch != node.notifier.state.epoch:
        return None
    at = ours.head if ours else 0
    if checkpoint.seq > at:
        detail = f"we signed number {checkpoint.seq}, and are at {at}"
    elif (
        ours
        and ours.digest
        and checkpoint.seq == ours.digest.seq
        and checkpoint.root != ours.digest.state.root
    ):
        detail = f"we signed another state at number {checkpoint.seq}"
    else:
        return None
    return NewerCopy(peer.operator, head.audience, checkpoint.seq, at, detail)
