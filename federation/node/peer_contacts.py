"""Contacts with peers: the peers to follow, and whether each one answered as it should."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import timedelta

from federation.domain.peer import Peer, TaskClaims
from federation.node.node import Node


def claims(node: Node) -> AbstractAsyncContextManager[TaskClaims]:
    """The tasks that this process alone does, of all on this database. Raises Unavailable."""
    return node.store.claims()


async def active_peers(node: Node) -> tuple[Peer, ...]:
    """The peers that are followed."""
    async with node.store.read() as tx:
        return tuple(peer for peer in await tx.peers.all() if peer.state == "active")


async def mark_answered(node: Node, operator: str) -> None:
    """The peer answered as it should: its failures are over."""
    async with node.store.write() as tx:
        await tx.peers.mark_answered(operator)


async def mark_failed(node: Node, operator: str, reason: str, wait: timedelta) -> None:
    """The peer did not answer as it should; it is asked again after that time."""
    async with node.store.write() as tx:
        await tx.peers.mark_failed(operator, reason, node.clock() + wait)
