"""Contacts with peers: the peers to follow, and whether each one answered as it should."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

from federation.domain.peer import MAX_CLOCK_DIFFERENCE_SECONDS, Peer, PeerLocks
from federation.node.node import Node
from federation.store.pools import gives_way


@asynccontextmanager
async def task_locks(node: Node) -> AsyncIterator[PeerLocks]:
    """Locks of the tasks that this process alone does, of all on this database. Raises Unavailable."""
    async with node.store.task_locks() as locks:
        yield locks


async def active_peers(node: Node) -> tuple[Peer, ...]:
    """The peers that are followed."""
    async with node.store.read() as tx:
        return tuple(peer for peer in await tx.peers.all() if peer.state == "active")


def give_way() -> None:
    """Leave half of the connections to the database to others, in this task and in those that it starts."""
    gives_way.set(True)


async def mark_answered(node: Node, clock_differences: Mapping[str, int | None]) -> None:
    """These peers answered as they should: their failures are over.

    With each the seconds that its clock is ahead of ours; None where that is not known.
    """
    async with node.store.autocommit() as tx:
        await tx.peers.note_answers(
            {
                operator: seconds if abs(seconds or 0) > MAX_CLOCK_DIFFERENCE_SECONDS else None
                for operator, seconds in clock_differences.items()
            }
        )


async def mark_failed(
    node: Node,
    operator: str,
    reason: str,
    wait: timedelta,
    *,
    failures: int,
    clock_difference: int | None = None,
) -> None:
    """The peer did not answer as it should, so often in a row; it is asked again after that time."""
    seconds = clock_difference if abs(clock_difference or 0) > MAX_CLOCK_DIFFERENCE_SECONDS else None
    async with node.store.write() as tx:
        await tx.peers.note_failure(
            operator, reason, node.clock() + wait, failures=failures, clock_difference=seconds
        )
