"""Epochs: detect a restored database, begin a new epoch, ask peers whether it went backwards."""

from __future__ import annotations

import msgspec

from federation.domain.audit import ITSELF, OPERATOR
from federation.domain.errors import Invalid, Refused, Unauthenticated
from federation.domain.feed import Head, mint_epoch, printable
from federation.domain.peer import Peer
from federation.node.checkpoints import log, read_signed_checkpoint, sign_checkpoints
from federation.node.node import Node
from federation.store.checkpoints import UnsignedFeed
from federation.store.database import Writing


async def detect_restore(node: Node) -> bool:
    """Mint a new epoch when the database was restored or promoted since the last one. True if it was."""
    async with node.store.write() as tx:
        before, now = await tx.epochs.stored_database(), await tx.epochs.database()
        if before == now:
            return False
        restored = before != (None, None)
        if restored:
            await _mint_epoch(node, tx, "the database was restored or promoted", by=ITSELF)
        await tx.epochs.set_database(*now)
    await node.notifier.refresh()
    return restored


async def begin_epoch(node: Node, why: str, *, by: str = OPERATOR) -> str:
    """Mint a new epoch for another reason: every peer compares what it holds. Returns the epoch."""
    async with node.store.write() as tx:
        epoch = await _mint_epoch(node, tx, why, by=by)
    await node.notifier.refresh()
    await sign_checkpoints(node)
    return epoch


async def _mint_epoch(node: Node, tx: Writing, why: str, *, by: str) -> str:
    epoch = mint_epoch()
    log.warning("a new epoch begins", extra={"epoch": epoch, "reason": why})
    await tx.audit.note("epoch.minted", actor=by, subject=epoch, detail={"reason": why})
    for place in await tx.feeds.all():
        if place.origin == node.operator:
            await tx.checkpoints.lock(place.id)  # what is being signed now is signed first, and void then
    await tx.checkpoints.unsign(node.operator)
    await tx.epochs.adopt(epoch, node.operator)
    return epoch


class NewerCopy(msgspec.Struct, frozen=True):
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
    behind: tuple[NewerCopy, ...]
    epoch: str
    minted: bool


async def restore_check(node: Node, *, force: bool = False) -> RestoreCheck:
    """Ask every active peer what it holds of our feeds; mint a new epoch where that is more than we have.

    For restores that PostgreSQL itself does not show: a copy of the files, a snapshot of a disk. With
    ``force`` a new epoch is minted whatever they say.
    """
    async with node.store.read() as tx:
        peers = [peer for peer in await tx.peers.all() if peer.state == "active"]
        due = {one.audience: one for one in await tx.checkpoints.due(node.operator)}
    asked, unreachable, behind = [], {}, []
    for peer in peers:
        try:
            heads = await node.others.heads_at(peer, node.operator)
        except Refused as error:
            unreachable[peer.operator] = printable(error.detail, 300)
            continue
        asked.append(peer.operator)
        for head in heads:
            if found := _newer_copy(node, peer, head, due):
                behind.append(found)
    epoch, minted = node.notifier.state.epoch, False
    if behind or force:
        why = "peers hold more of our feeds than we do" if behind else "an administrator asked for it"
        epoch, minted = await begin_epoch(node, why), True
    return RestoreCheck(tuple(asked), unreachable, tuple(behind), epoch, minted)


def _newer_copy(node: Node, peer: Peer, head: Head, due: dict[str, UnsignedFeed]) -> NewerCopy | None:
    """What a peer's copy shows that we should have: only what we have signed ourselves counts."""
    ours = due.get(head.audience)
    if head.origin != node.operator or head.checkpoint is None:
        return None
    try:
        said = read_signed_checkpoint(head.checkpoint, node.keyring.history(), head.name, node.clock())
    except (Unauthenticated, Invalid):
        return None
    if said.epoch != node.notifier.state.epoch:
        return None
    at = ours.head if ours else 0
    if said.seq > at:
        detail = f"we signed number {said.seq}, and are at {at}"
    elif ours and ours.digest and said.seq == ours.digest.seq and said.root != ours.digest.state.root:
        detail = f"we signed another state at number {said.seq}"
    else:
        return None
    return NewerCopy(peer.operator, head.audience, said.seq, at, detail)
