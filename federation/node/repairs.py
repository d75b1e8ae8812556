"""Comparing a copy with a checkpoint, and the transactions of its repair.

``sync/repair`` decides what is to be fetched, stored and dropped; each function here is one transaction,
without the network. What is locked first, and why, is in decision 0007.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from federation.domain.batch import RecordName, growth_of
from federation.domain.checkpoint import Checkpoint, DigestState, Leaf, SignedCheckpoint, bucket_of
from federation.domain.entry import RejectedEntry
from federation.domain.errors import StaleCursor
from federation.domain.feed import FeedName, FeedState
from federation.domain.quota import check_growth
from federation.domain.record import Record
from federation.domain.stored import StoredRevision
from federation.node import checkpoints, retention
from federation.node.copies import leave_other_feeds
from federation.node.node import Node
from federation.store.database import Writing


async def compare(
    node: Node, name: FeedName, signed: SignedCheckpoint, *, adopting: bool = False
) -> DigestState | None:
    """Compare a copy with a checkpoint. None when it is equal, which is noted; else the state of the copy.

    With ``adopting`` a copy that is equal but for its epoch is of the checkpoint's epoch from then on.
    Raises StaleCursor when the copy is at another number: there is nothing to compare.
    """
    checkpoint = signed.checkpoint
    async with node.store.write() as tx:
        feed = await tx.feeds.find(name)
        if feed is None or feed.head != checkpoint.seq or not (adopting or feed.epoch == checkpoint.epoch):
            raise StaleCursor
        if checkpoint.retained_from <= feed.retained_from:
            return await _compare(tx, feed, signed)
        await retention.drop_tombstones(tx, feed.id, checkpoint.retained_from)
    # Dropping locks the row ``node``, and computing may take long: not in one transaction.
    return await compare(node, name, signed, adopting=adopting)


async def _compare(tx: Writing, feed: FeedState, signed: SignedCheckpoint) -> DigestState | None:
    checkpoint = signed.checkpoint
    before = await tx.checkpoints.try_lock(feed.id)
    if before is None:
        raise StaleCursor
    _, state = await tx.checkpoints.compute(before)
    if not checkpoint.says(state):
        await tx.checkpoints.store(before, state)
        return state
    if feed.epoch != checkpoint.epoch:
        await tx.feeds.advance(feed, checkpoint.cursor, delta=0)
    signed_at, expires_at = checkpoints.moment(checkpoint.iat), checkpoints.moment(checkpoint.exp)
    gaps = await tx.copies.note_verification(feed.id, state, signed.jws, signed_at, expires_at)
    # Of another epoch, its origin may have lost our receipts with what it has lost. A number without a
    # record may be that of a withdrawal that was lost on its way or could not be read: no digest shows
    # one of a record that was never stored here, and its origin waits for our receipt.
    if gaps or feed.epoch != checkpoint.epoch:
        await tx.copies.note_withdrawal(feed.id, checkpoint.epoch, checkpoint.seq)
    return None


async def begin_repair(node: Node, name: FeedName) -> None:
    """Forget the digest: a repair begins with what is really stored."""
    async with node.store.write() as tx:
        feed = await tx.feeds.open(name, None)
        await tx.checkpoints.reset(feed.id)


async def compute_digest(node: Node, name: FeedName) -> tuple[FeedState, DigestState]:
    """A feed and its digest, as they are now. Raises StaleCursor while another process computes it."""
    async with node.store.write() as tx:
        feed = await tx.feeds.find(name)
        before = await tx.checkpoints.try_lock(feed.id) if feed else None
        if feed is None or before is None:
            raise StaleCursor
        _, state = await tx.checkpoints.compute(before)
        await tx.checkpoints.store(before, state)
    return feed, state


async def stored_leaves(node: Node, feed: int, bucket: int, retained_from: int) -> dict[RecordName, Leaf]:
    """The leaves of a bucket as they are stored; without tombstones up to ``retained_from``."""
    async with node.store.read() as tx:
        return await tx.checkpoints.stored_leaves(feed, bucket, retained_from)


async def set_numbers(node: Node, feed: int, bucket: int, numbers: Sequence[tuple[str, str, int]]) -> None:
    """Give stored records of a bucket other numbers: (type, key, number)."""
    async with node.store.write() as tx:
        await tx.checkpoints.mark(feed, [bucket])
        await tx.repairs.clear_seq(feed, [seq for _, _, seq in numbers])
        await tx.repairs.set_seq(feed, numbers)


class RepairedRecords(msgspec.Struct, frozen=True, kw_only=True):
    """The records of a repair to store, decided by ``sync/repair``."""

    upserts: list[tuple[Record, int]]
    """Records, and their numbers."""
    moves: dict[int, list[StoredRevision]]
    """Records that other feeds of the origin lose to this one, by feed."""
    rejected: list[RejectedEntry]


async def store_records(
    node: Node,
    feed: FeedState,
    names: Sequence[RecordName],
    decide: Callable[[dict[RecordName, StoredRevision]], RepairedRecords],
    *,
    may_exceed: bool = False,
) -> RepairedRecords:
    """Store what a repair has fetched, as ``decide`` says by the stored revisions of these records.

    With ``may_exceed`` the quota of the origin is read, and compared. Raises BeyondQuota, and Invalid where
    the database does not store one of them; nothing is stored then.
    """
    async with node.store.write() as tx:
        stored = await tx.pulled_records.stored_revisions(feed.origin, names)
        withdrawn = await tx.feeds.withdrawn(feed, [key for _, key in names])
        repaired = decide(stored)
        growth = growth_of(feed.id, repaired.upserts, stored)
        if may_exceed:
            quota, use = await tx.quotas.read_use(feed.origin, node.quota)
            check_growth(quota, use, records=growth.records, size=growth.size)
        if repaired.rejected:
            await tx.rejected.store(feed, repaired.rejected)
        accepted = [(record.type, record.key) for record, _ in repaired.upserts]
        if withdrawn:
            await tx.feeds.remove_withdrawals(feed, accepted)
        await tx.rejected.clear(feed, accepted)
        await leave_other_feeds(tx, repaired.moves)
        await tx.checkpoints.mark(feed.id, [bucket_of(type_, key) for type_, key in accepted])
        await tx.repairs.clear_seq(feed.id, [seq for _, seq in repaired.upserts])
        if repaired.upserts:
            await tx.pulled_records.upsert_in_place(
                feed.origin, feed.id, repaired.upserts, records=growth.records, size=growth.size
            )
    node.notifier.notify()
    return repaired


async def drop_records(
    node: Node, feed: FeedState, names: Sequence[RecordName], *, resolved: Sequence[RecordName] = ()
) -> int:
    """Drop records that the feed does not have any more. Returns how many there were.

    ``resolved``: those of which no rejected entry is left either.
    """
    async with node.store.write() as tx:
        await tx.rejected.clear(feed, list(resolved))
        await tx.checkpoints.mark(feed.id, [bucket_of(type_, key) for type_, key in names])
        return await tx.repairs.drop(feed.id, names)


async def finish_repair(node: Node, feed: FeedState, checkpoint: Checkpoint) -> None:
    """The copy is at the checkpoint's cursor from now on, and the removals of this repair are carried out."""
    async with node.store.write() as tx:
        if checkpoint.retained_from > feed.retained_from:
            await retention.drop_tombstones(tx, feed.id, checkpoint.retained_from)
        await tx.copies.clear_confirmation(feed.id)
        # No record that was withdrawn up to there is stored any more.
        await tx.copies.note_withdrawal(feed.id, checkpoint.epoch, checkpoint.seq)
        await tx.repairs.finish(feed.id, checkpoint.cursor, checkpoint.retained_from)
