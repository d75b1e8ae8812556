"""Readings for `federation verify`: feeds, digests and leaves from the stored bytes up."""

from __future__ import annotations

from federation.domain.batch import RecordName
from federation.domain.checkpoint import BUCKETS, Leaf, bucket_digest
from federation.domain.feed import FeedName, FeedState
from federation.domain.peer import Peer
from federation.domain.visibility import PRIVATE
from federation.node.node import Node
from federation.store.checkpoints import FeedDigest


async def verifiable_feeds(
    node: Node, operator: str | None = None
) -> tuple[list[FeedState], dict[str, Peer]]:
    """The feeds stored here, or those of one operator, that have a digest; and the peers by operator."""
    async with node.store.read() as tx:
        feeds = [
            feed
            for feed in await tx.feeds.all()
            if feed.epoch is not None
            and feed.audience != PRIVATE
            and (operator is None or feed.origin == operator)
        ]
        return feeds, {peer.operator: peer for peer in await tx.peers.all()}


async def read_feed(node: Node, name: FeedName) -> FeedState | None:
    async with node.store.read() as tx:
        return await tx.feeds.find(name)


async def signed_digest(node: Node, feed: FeedState) -> tuple[FeedState | None, FeedDigest | None]:
    """A feed as it is now, and its digest as it was last signed."""
    async with node.store.read() as tx:
        return await tx.feeds.find(feed.name), await tx.checkpoints.find(feed.id)


async def compute_digests(node: Node, feed: FeedState) -> bytes:
    """The digests of all buckets of a feed, one after the other, computed from its records."""
    parts = []
    for bucket in range(BUCKETS):
        async with node.store.read() as tx:
            _, _, lines = await tx.checkpoints.leaves(feed.id, bucket)
        parts.append(bucket_digest(lines))
    return b"".join(parts)


async def stored_leaves(node: Node, feed: FeedState, bucket: int, since: int) -> dict[RecordName, Leaf]:
    """The leaves of a bucket as they are stored; without tombstones up to ``since``."""
    async with node.store.read() as tx:
        return await tx.checkpoints.stored_leaves(feed.id, bucket, since)


async def altered_records(node: Node, feed: FeedState, max_records: int) -> list[RecordName]:
    """Records of a feed whose stored bytes do not have their hash."""
    async with node.store.read() as tx:
        return await tx.checkpoints.changed_bytes(feed.id, max_records)


async def request_repair(node: Node, feed: FeedState, altered: list[RecordName]) -> None:
    """Let the serving process compare all of a copy when it next sees its origin's signature.

    Altered records are nobody's: they are dropped, and fetched again as missing.
    """
    async with node.store.write() as tx:
        await tx.checkpoints.mark(feed.id, range(BUCKETS))
        if altered:
            await tx.feeds.subtract_live(feed.id, await tx.repairs.drop(feed.id, altered))
