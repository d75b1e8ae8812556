"""Contacts with peers: the peers to follow, and whether each one answered as it should."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from federation.domain.peer import Peer, PeerLocks
from federation.node.node import Node


@asynccontextmanager
async def task_locks(node: Node) -> AsyncIterator[PeerLocks]:
    """Locks of the tasks that this process alone does, of all on this database. Raises Unavailable."""
    async with node.store.task_locks() as locks:
        yield locks


async def active_peers(node: Node) -> tuple[Peer, ...]:
    """The peers that are followed."""
    async with node.store.read() as tx:
        return tuple(peer for peer in await tx.peers.all() if peer.state == "active")


async def mark_answered(node: Node, operator: str) -> None:
    """The peer answered as it should: its failures are over."""
    async with node.store.write() as tx:
        await tx.peers.note_answer(operator)


async def mark_failed(node: Node, operator: str, reason: str, wait: timedelta) -> None:
    """The peer did not answer as it should; it is asked again after that time."""
    async with node.store.write() as tx:
        await tx.peers.note_failure(operator, reason, node.clock() + wait)
