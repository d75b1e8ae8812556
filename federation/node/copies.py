"""Copies of other operators' feeds: each function is one transaction, without the network.

A batch and the cursor after it are stored in one transaction: after a crash the same batch is asked for
again, and nothing is lost or stored twice. Locks are taken in the order of decision 0007: digests and copies,
the feed, the row ``node``.

``domain/copy`` declares the states of a copy; the functions here cause its events.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import msgspec

from federation.domain.audit import OPERATOR
from federation.domain.batch import Batch, BatchChanges, FeedWithRecords, RecordName, Withdrawal
from federation.domain.checkpoint import bucket_of
from federation.domain.copy import CopyFacts, FollowedFeed
from federation.domain.entry import RejectedEntry, VerifiedEntry
from federation.domain.errors import NotFound, StaleCursor
from federation.domain.feed import Cursor, FeedName, FeedState, printable
from federation.domain.quota import BeyondQuota, QuotaBound, check_growth
from federation.domain.record import Record, supersedes
from federation.domain.stored import StoredRevision
from federation.node import quotas
from federation.node.node import Node
from federation.store import rejected as store_rejected
from federation.store.database import Writing
from federation.store.pulled_records import Advance

log = logging.getLogger("federation.sync")

Decide = Callable[[FeedWithRecords, dict[RecordName, int]], BatchChanges]
"""The changes of a batch, by what is stored of its records and the revisions of those that left the feed."""


# Reading


async def read_copy(node: Node, name: FeedName) -> tuple[FeedState | None, CopyFacts]:
    """A feed as it is stored here, and the facts of the copy."""
    async with node.store.read() as tx:
        feed = await tx.feeds.find(name)
        return feed, await tx.copies.find(feed.id) if feed else CopyFacts()


async def followed_feeds(node: Node, operator: str) -> dict[FeedName, FollowedFeed]:
    """The feeds of an operator that are stored here."""
    async with node.store.read_by_key() as tx:
        return await tx.copies.of(operator)


async def operators_with_confirmed_removals(node: Node) -> frozenset[str]:
    """The operators whose removals an administrator has confirmed, and which are not carried out yet."""
    async with node.store.read() as tx:
        return await tx.copies.confirmed_removals()


# Storing a batch


async def open_copy(node: Node, name: FeedName, head: int) -> FeedState:
    """The feed, made if it was not there; ``head`` is where it ends at its origin, for the lag.

    Raises BeyondQuota where it would be one more than its origin may have.
    """
    async with node.store.write() as tx:
        if await tx.feeds.find(name) is None:
            quota, use = await tx.quotas.read_use(name.origin, node.quota)
            if use.feeds >= quota.feeds:
                raise BeyondQuota(QuotaBound.FEEDS, use.feeds + 1, quota.feeds)
        feed = await tx.feeds.open(name, None)
        await tx.feeds.set_remote_head(feed, head)
    return feed


async def store_new_records(
    node: Node,
    name: FeedName,
    feed: int,
    *,
    at: Cursor | None,
    to: Cursor,
    records: Sequence[tuple[Record, int]],
    on_send: Callable[[], None],
) -> None:
    """Store records nothing is known of, and the cursor, by one statement: one round trip and not four.

    The statement itself verifies that none of them is stored, withdrawn or rejected. ``on_send`` is called
    just before it is sent. Raises StaleCursor where the feed is not at ``at`` or something is known of
    one of them, SequenceConflict where one is stored; nothing is stored then.
    """
    live = sum(not record.retracted for record, _ in records)
    seen, seen_epoch = (at.seq, at.epoch) if at else (0, None)
    size = sum(len(record.document) for record, _ in records)
    advance = Advance(feed, seen, seen_epoch, to.seq, to.epoch, live, len(records), size)
    async with node.store.autocommit(records=len(records)) as tx:
        on_send()
        state = await tx.pulled_records.insert(name.origin, advance, records)
    if state is None:
        raise StaleCursor
    node.notifier.observe(state)


async def store_batch(
    node: Node,
    batch: Batch,
    decide: Decide,
    *,
    after: Cursor | None = None,
    on_send: Callable[[FeedState, BatchChanges], None],
    may_exceed: bool = False,
) -> tuple[BatchChanges, frozenset[int]] | None:
    """Store a batch and the cursor after it; returns the changes, and numbers of rejected entries stored.

    ``after``: the cursor to which the batch ahead takes the feed, while that is not committed yet. Returns
    None, with nothing stored, where this batch depends on what that one does. ``on_send`` is called just
    before the changes are sent. With ``may_exceed`` the quota of the origin is read, and compared. Raises
    StaleCursor where the feed has moved, BeyondQuota, SequenceConflict, Invalid, and what ``decide`` raises;
    nothing is stored then.
    """
    async with node.store.write(records=len(batch.entries)) as tx:
        before = await tx.feeds.with_records(batch.feed, batch.names)
        if before is None:
            raise StaleCursor
        feed = before.feed
        if after is None and feed.cursor != batch.begins:
            # Another process goes on with it, or it was dropped: this batch lacks what came in between.
            raise StaleCursor
        withdrawn = (
            await tx.feeds.withdrawn(feed, [key for _, key in batch.names]) if before.has_withdrawals else {}
        )
        changes = decide(before, withdrawn)
        if after is not None:
            if not changes.independent:
                return None
            feed = msgspec.structs.replace(feed, epoch=after.epoch, head=after.seq)
            before = before._replace(feed=feed)
        if may_exceed:
            quota, use = await tx.quotas.read_use(feed.origin, node.quota)
            check_growth(quota, use, records=changes.growth.records, size=changes.growth.size)
        on_send(feed, changes)
        await _store_changes(tx, before, changes, batch.ends)
        await tx.affecting_incidents.note_revisions((record for record, _ in changes.upserts), node.clock())
        stored: frozenset[int] = frozenset()
        if changes.unresolved:
            stored = await _store_rejected(node, tx, feed, changes.unresolved)
    node.notifier.notify()
    return changes, stored


async def _store_rejected(
    node: Node, tx: Writing, feed: FeedState, entries: Sequence[RejectedEntry]
) -> frozenset[int]:
    """Store rejected entries, and return their numbers. Raises BeyondQuota where there is no room for one.

    With a quota beyond what a node stores of one peer, the rest is only counted.
    """
    quota, _ = await tx.quotas.read_use(feed.origin, node.quota)
    stored = await tx.rejected.store(feed, entries, quota.rejected)
    names = {(entry.type, entry.key) for entry in entries}
    if len(stored) < len(names) and quota.rejected <= store_rejected.MAX_REJECTED:
        raise BeyondQuota(QuotaBound.REJECTED, quota.rejected + 1, quota.rejected)
    return stored


async def _store_changes(tx: Writing, before: FeedWithRecords, changes: BatchChanges, ends: Cursor) -> None:
    feed = before.feed
    if before.has_rejections and changes.accepted:
        await tx.rejected.clear(feed, changes.accepted)
    # Digests and copies before the row ``node``, which the statement with the records locks.
    if changes.withdrawals:
        await tx.copies.note_withdrawal(feed.id, ends.epoch, max(seq for _, _, seq, _ in changes.withdrawals))
    await leave_other_feeds(tx, changes.moves)
    if changes.upserts:
        if changes.returns:
            await tx.feeds.remove_withdrawals(feed, changes.returns)
        advance = Advance(feed.id, feed.head, feed.epoch, ends.seq, ends.epoch, changes.live_change)
        advance = advance._replace(records=changes.growth.records, size=changes.growth.size)
        moved = await tx.pulled_records.upsert(feed.origin, advance, changes.upserts)
    else:
        moved = await tx.feeds.advance(feed, ends, delta=changes.live_change)
    if not moved:
        raise StaleCursor
    if changes.purges:
        await tx.pulled_records.purge(feed.id, changes.purges)


async def leave_other_feeds(tx: Writing, moves: dict[int, list[StoredRevision]]) -> None:
    """Records move to another feed of their origin before their withdrawal from the old one is read.

    (What is withdrawn there later may have left this node by then, and leave no number.)
    """
    for feed, revisions in moves.items():
        await tx.checkpoints.mark(feed, [bucket_of(moved.type, moved.key) for moved in revisions])
        await tx.feeds.subtract_moved(
            feed,
            live=sum(not moved.retracted for moved in revisions),
            records=len(revisions),
            size=sum(moved.size for moved in revisions),
        )


async def clear_seq(node: Node, name: FeedName, numbers: list[int]) -> None:
    """Take these numbers from the records that have them: the next comparison looks at all of the feed."""
    log.warning("numbers of a feed are taken anew", extra={"feed": str(name)})
    async with node.store.write() as tx:
        if feed := await tx.feeds.find(name):
            await tx.repairs.clear_seq(feed.id, numbers)
            await tx.checkpoints.reset(feed.id)


# Withdrawing and dropping


async def store_withdrawals(
    node: Node, feed: FeedState, epoch: str, withdrawals: Sequence[VerifiedEntry]
) -> int:
    """Carry out withdrawals of a paused feed without its cursor. Returns how many records were dropped."""
    async with node.store.write() as tx:
        names = [(entry.type, entry.key) for entry in withdrawals]
        stored = await tx.pulled_records.stored_revisions(feed.origin, names)
        records: list[Withdrawal] = [
            (entry.type, entry.key, entry.seq, entry.revision)
            for entry in withdrawals
            if (ours := stored.get((entry.type, entry.key))) is not None
            and ours.feed == feed.id
            and not supersedes(ours.revision, entry.revision)
        ]
        if records:
            await tx.checkpoints.mark(feed.id, [bucket_of(type_, key) for type_, key, _, _ in records])
            await tx.copies.note_withdrawal(feed.id, epoch, max(seq for _, _, seq, _ in records))
            await tx.feeds.lock(feed.id)
            await tx.repairs.clear_seq(feed.id, [seq for _, _, seq, _ in records])
            lost = await tx.pulled_records.purge(feed.id, records)
            await tx.feeds.subtract_live(feed.id, lost)
    if records:
        node.notifier.notify()
    return len(records)


async def purge(node: Node, name: FeedName) -> int:
    """Drop the copy of a feed that may not be read any more. Its origin gets a receipt."""
    async with node.store.write() as tx:
        feed = await tx.feeds.find(name)
        if feed is None:
            return 0
        dropped = await tx.copies.purge(feed)
        if feed.epoch is not None:
            await tx.copies.note_withdrawal(feed.id, feed.epoch, feed.head, purged=True)
    if allowance := node.allowances.get(name.origin):
        allowance.withdrawals_read.pop(name.audience, None)
    if feed.epoch is not None:  # else it was dropped before
        log.warning(
            "a feed may no longer be read; its copies were dropped",
            extra={"feed": str(name), "records": dropped},
        )
    node.notifier.notify()
    return dropped


# The removal guard


async def pause_removals(node: Node, name: FeedName, reason: str) -> None:
    """Apply nothing but withdrawals of a feed until an administrator confirms."""
    log.error("removals await confirmation", extra={"feed": str(name), "reason": reason})
    async with node.store.write() as tx:
        if feed := await tx.feeds.find(name):
            await tx.copies.pause(feed.id, reason)


async def confirm_removals(node: Node, operator: str, *, by: str = OPERATOR) -> tuple[str, ...]:
    """Let an operator that is paused go on: with its removals, and beyond its quota.

    Returns the audiences of the feeds. Raises NotFound when no feed is paused.
    """
    async with node.store.write() as tx:
        grown = await quotas.confirm(node, tx, operator, by=by)
        feeds = [feed for feed in await tx.feeds.all() if feed.origin == operator]
        confirmed = []
        for feed in feeds:
            copy = await tx.copies.find(feed.id)
            if copy.paused_reason is not None and await tx.copies.confirm(feed.id):
                await tx.audit.note(
                    "removal.confirmed", actor=by, subject=str(feed.name), detail={"what": copy.paused_reason}
                )
                confirmed.append(feed.audience)
    confirmed += [audience for audience in grown if audience not in confirmed]
    if not confirmed:
        raise NotFound("nothing of {operator} waits to be confirmed", operator=printable(operator, 80))
    node.notifier.notify()
    return tuple(confirmed)


async def clear_confirmation(node: Node, feed: int) -> None:
    """The confirmed removals are carried out: the next ones are counted anew."""
    async with node.store.write() as tx:
        await tx.copies.clear_confirmation(feed)


# Verification


async def note_signed(node: Node, name: FeedName, signed_at: datetime) -> None:
    """Note the time of a checkpoint that the copy is not known to be equal to: none older is accepted."""
    async with node.store.write() as tx:
        feed = await tx.feeds.open(name, None)
        await tx.copies.mark_seen(feed.id, signed_at)


async def mark_unsigned(node: Node, name: FeedName, seconds: float) -> None:
    """The feed has gone beyond its newest checkpoint for so many seconds, and none has come."""
    log.warning("a checkpoint does not come", extra={"feed": str(name), "seconds": round(seconds)})
    async with node.store.write() as tx:
        if feed := await tx.feeds.find(name):
            await tx.copies.mark_unsigned(feed.id, node.clock() - timedelta(seconds=seconds))


async def set_relay(node: Node, name: FeedName, via: str | None) -> None:
    """Note the peer that relayed the last entries; None for the origin itself."""
    async with node.store.write() as tx:
        if feed := await tx.feeds.find(name):
            await tx.copies.set_relay(feed.id, via)


async def mark_diverged(node: Node, name: FeedName, reason: str, *, tried_roots: str = "") -> None:
    """The copy is not what its origin signed; ``tried_roots``: the roots that a repair has left unequal."""
    log.error("a copy has diverged", extra={"feed": str(name), "reason": reason})
    async with node.store.write() as tx:
        if feed := await tx.feeds.find(name):
            await tx.copies.note_divergence(feed.id, reason, tried=tried_roots, tried_at=node.clock())
