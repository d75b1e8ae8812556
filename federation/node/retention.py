"""Retention: drop tombstones and withdrawals that were kept long enough."""

from __future__ import annotations

from datetime import timedelta

from federation.node.checkpoints import sign_checkpoints
from federation.node.node import Node
from federation.store.database import Writing


async def drop_expired_tombstones(node: Node) -> int:
    """Drop tombstones and withdrawals of own feeds that are older than ``tombstones_days``.

    Copies of which nothing is left are dropped with them.

    Cursors from before them are answered with 410; their readers compare and repair.
    Returns the number of feeds with dropped entries.
    """
    before = node.clock() - timedelta(days=node.tombstones_days)
    async with node.store.read() as tx:
        own = [feed for feed in await tx.feeds.all() if feed.origin == node.operator]
    dropped = 0
    for feed in own:
        async with node.store.write() as writing:
            until = await writing.retention.expired_until(feed.id, before)
            if until > feed.retained_from:
                await drop_tombstones(writing, feed.id, until)
                dropped += 1
    if dropped:
        await sign_checkpoints(node)
    async with node.store.write() as writing:
        await writing.retention.drop_without_number(before)
        await writing.receipts.clear(before)
        origins = {feed.origin for feed in await writing.feeds.all()}
        await writing.remains.drop_empty_feeds(origins - {node.operator})
    return dropped


async def drop_tombstones(tx: Writing, feed: int, until: int) -> None:
    """Drop the tombstones of an own feed or of a copy, up to a number."""
    await tx.checkpoints.lock(feed)  # else the mark is lost to a digest that is being computed
    buckets = await tx.retention.drop_tombstones(feed, until)
    if buckets:
        await tx.checkpoints.mark(feed, buckets)
