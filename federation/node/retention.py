"""Retention: drop tombstones and withdrawals that were kept long enough."""

from __future__ import annotations

from datetime import timedelta

from federation.node.checkpoints import sign_checkpoints
from federation.node.node import Node
from federation.store.database import Writing


async def drop_expired_tombstones(node: Node) -> int:
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
            until = await writing.retention.expired_until(place.id, before)
            if until > place.retained_from:
                await drop_tombstones(writing, place.id, until)
                dropped += 1
    if dropped:
        await sign_checkpoints(node)
    async with node.store.write() as writing:
        await writing.retention.drop_without_number(before)
        await writing.receipts.clear(before)
    return dropped


async def drop_tombstones(tx: Writing, feed: int, until: int) -> None:
    """Drop a feed's tombstones up to a number, ours or those of a copy."""
    await tx.checkpoints.lock(feed)  # the mark must not be lost to somebody who computes the digest now
    buckets = await tx.retention.drop_tombstones(feed, until)
    if buckets:
        await tx.checkpoints.mark(feed, buckets)
