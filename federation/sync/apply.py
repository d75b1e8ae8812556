"""Slices of a feed that is followed, stored: what is taken of each, what is set aside, where it goes on.

Records and cursor are kept in one transaction, slice by slice: after a crash we ask for the same slice
again, and nothing is lost or kept twice. The network is never inside a transaction.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable

import msgspec

from federation.domain.checkpoint import brakes, bucket_of
from federation.domain.errors import Invalid, Refused
from federation.domain.feed import Cursor, FeedName, RejectedEntry, VerifiedEntry
from federation.domain.record import Record, supersedes
from federation.node.node import Node
from federation.store.database import Writing
from federation.store.feeds import FeedState, FeedWithRecords
from federation.store.pulled_records import Advance
from federation.store.record_writes import SequenceConflict
from federation.store.records import StoredRevision

log = logging.getLogger("federation.sync")


class PullResult(msgspec.Struct):
    """What a pull brought."""

    entries: int = 0
    set_aside: Counter[str] = msgspec.field(default_factory=Counter)
    purged: int = 0
    removed: int = 0
    """Live records that were retracted."""
    held: int = 0
    """Live records of the feed before it."""
    confirmed: bool = False
    """Whether an administrator has confirmed what is to be removed."""
    verified: bool = False
    """Whether the copy was found to be at that head and what its origin signed."""
    repaired: int = 0
    """Records that were taken, moved or dropped since the copy was not what the origin had signed."""


class RemovalsPaused(Exception):
    """More is to be removed than happens without being asked; the message says how much."""


class StaleCursor(Exception):
    """Another process has advanced the feed meanwhile; whoever it is goes on with it."""


class Batch:
    """A part of a feed that is being stored."""

    def __init__(
        self, begins: Cursor | None, cursor: Cursor, checked: list[VerifiedEntry | RejectedEntry]
    ) -> None:
        self.begins = begins
        """Up to where the feed was taken when this was asked for."""
        self.cursor = cursor
        """Where the feed has been taken to when it is."""
        self.checked = checked
        self.names = [(one.type, one.key) for one in checked]
        self.on_its_way = asyncio.Event()
        """Set when the database is being told all of it, or will not be."""
        self.plain = False
        """Whether it does nothing but keep records, and has nothing to do with what else is held."""
        self.feed: int | None = None
        """Where nothing of it was held, the feed: nothing may be held of the next one, either."""

    def is_new(self) -> bool:
        """Whether nothing of it should be held: all of it is in its first revision."""
        return all(isinstance(one, VerifiedEntry) and one.revision == 1 for one in self.checked)


class BatchPipeline:
    """Slices of one feed, stored one after the other, each while the next one is made ready.

    The next one is sent to the database before the one ahead of it is committed. It waits there for the row
    of the feed, whose place both move on, and is kept only where the one ahead was: so the database has no
    pause between two of them. That is for slices that have no record in common and do nothing but keep
    records. All others, and whatever fails that way, come when the one ahead is stored.

    A slice of records that are new, by their revision or since none was held of the one ahead, is kept by one
    statement, which looks itself whether that can be right; where it is not, nothing is kept by it.
    """

    def __init__(self, node: Node, place: FeedState, taken: PullResult) -> None:
        self._node, self._place, self._taken = node, place, taken
        self._name = place.name
        self._last: tuple[Batch, asyncio.Task[None]] | None = None

    async def __aenter__(self) -> BatchPipeline:
        return self

    async def add(self, cursor: Cursor, checked: list[VerifiedEntry | RejectedEntry]) -> None:
        """Begin to store a slice; returns when the one ahead of it is stored, or raises why it is not."""
        ahead = self._last
        this = Batch(ahead[0].cursor if ahead else self._place.cursor, cursor, checked)
        storing = asyncio.create_task(self._store(this, ahead), name="slice")
        storing.add_done_callback(lambda _: this.on_its_way.set())
        self._last = this, storing
        if ahead is not None:
            await ahead[1]

    async def _store(self, this: Batch, ahead: tuple[Batch, asyncio.Task[None]] | None) -> None:
        if ahead is not None:
            one, storing = ahead
            await one.on_its_way.wait()
            if one.plain and not storing.done() and await self._tried(self._stored_behind(this, one), this):
                return
            await storing
        elif this.is_new() and await self._tried(self._stored_first(this), this):
            return
        await keep(self._node, self._name, this, self._taken)

    async def _tried(self, storing: Awaitable[bool], this: Batch) -> bool:
        try:
            return await storing
        except (Refused, SequenceConflict, StaleCursor, RemovalsPaused):
            # What still holds then is said when this one is stored in its turn.
            this.on_its_way.clear()
            return False

    async def _stored_first(self, this: Batch) -> bool:
        place = self._place
        return await _keep_new(self._node, self._name, this, self._taken, place.id, place.cursor)

    async def _stored_behind(self, this: Batch, one: Batch) -> bool:
        if one.feed is not None and await _keep_new(
            self._node, self._name, this, self._taken, one.feed, one.cursor
        ):
            return True
        return not set(one.names) & set(this.names) and await _keep(
            self._node, self._name, this, self._taken, ahead=one.cursor
        )

    async def __aexit__(self, kind: type[BaseException] | None, *said: object) -> None:
        """Wait for the last one, also when no more come since something has failed: what came is kept."""
        if self._last is None:
            return
        storing = self._last[1]
        if kind is not None and issubclass(kind, asyncio.CancelledError):
            storing.cancel()
        failed = (await asyncio.gather(storing, return_exceptions=True))[0]
        if kind is None and failed is not None:
            raise failed


async def keep(node: Node, name: FeedName, this: Batch, taken: PullResult) -> None:
    """Store one slice and the cursor after it, in one transaction.

    Where the database does not take a record, the slice is halved until that one is alone; it is set
    aside, and the rest is kept. What is held at the numbers of others loses its own.
    """
    try:
        try:
            await _keep(node, name, this, taken)
        except SequenceConflict:
            await _vacate(node, name, [one.seq for one in this.checked])
            await _keep(node, name, this, taken)
    except Invalid as error:
        this.plain = False
        cursor, checked = this.cursor, this.checked
        if len(checked) > 1:
            half = len(checked) // 2
            between = Cursor(cursor.epoch, checked[half - 1].seq)
            first = Batch(this.begins, between, checked[:half])
            for part in (first, Batch(between, cursor, checked[half:])):
                await keep(node, name, part, taken)
        elif isinstance(one := checked[0], VerifiedEntry):
            left_out = Batch(this.begins, cursor, [rejected_entry(one, "not-storable", error.detail)])
            await _keep(node, name, left_out, taken)
        else:
            raise


async def _vacate(node: Node, name: FeedName, numbers: list[int]) -> None:
    """What is at these numbers is not what its origin has there: the next comparison looks at all of it."""
    log.warning("numbers of a feed are taken anew", extra={"feed": str(name)})
    async with node.store.write() as tx:
        if place := await tx.feeds.find(name):
            await tx.repairs.clear_seq(place.id, numbers)
            await tx.checkpoints.reset(place.id)


async def _keep(
    node: Node, name: FeedName, this: Batch, taken: PullResult, *, ahead: Cursor | None = None
) -> bool:
    """Keep a slice. ``ahead``: where the one ahead of it, which is on its way, takes the feed.

    False, and nothing is kept, where it has to wait until that one is stored.
    """
    checked, cursor = this.checked, this.cursor
    async with node.store.write(records=len(checked)) as tx:
        standing = await tx.feeds.with_records(name, this.names)
        if standing is None:
            raise StaleCursor
        place = standing.place
        if ahead is None and place.cursor != this.begins:
            # Somebody else goes on with it, or it was given up: what came in between is not in this slice.
            raise StaleCursor
        withdrawn = (
            await tx.feeds.withdrawn(place, [key for _, key in this.names]) if standing.withdrew else {}
        )
        decided = BatchDecision(place.id, standing.held, withdrawn)
        for one in checked:
            decided.add(one)
        removed = decided.removed()
        if not taken.confirmed and brakes(taken.removed + removed, taken.held):
            raise RemovalsPaused(_much(taken.removed + removed, taken.held))
        this.plain = decided.only_keeps() and not removed and not standing.withdrew and not standing.set_aside
        this.feed = place.id if this.plain and not standing.held else None
        if ahead is not None:
            if not this.plain:
                return False
            place = msgspec.structs.replace(place, epoch=ahead.epoch, head=ahead.seq)
            standing = standing._replace(place=place)
        this.on_its_way.set()
        noted = await _store(tx, standing, decided, cursor)
    node.notifier.notify()
    taken.entries += len(checked)
    taken.removed += removed
    for aside in decided.aside:
        taken.set_aside[aside.reason] += 1
        if aside.seq not in noted:
            continue
        log.warning(
            "entry rejected",
            extra={
                "feed": str(name),
                "record": f"{aside.type} {name.origin}/{aside.key}",
                "revision": aside.revision,
                "reason": aside.reason,
                "detail": aside.detail,
            },
        )
    if unnoted := len(decided.aside) - len(noted):
        log.warning(
            "entries rejected that are not listed one by one",
            extra={"feed": str(name), "entries": unnoted},
        )
    return True


async def _keep_new(
    node: Node, name: FeedName, this: Batch, taken: PullResult, feed: int, at: Cursor | None
) -> bool:
    """Keep a slice of records that nothing is known of, of a feed that has been taken to a place.

    False, and nothing is kept, where that cannot be right. Raises Occupied where it was not.
    """
    kept = [(one.record, one.seq) for one in this.checked if isinstance(one, VerifiedEntry) and one.record]
    if len(kept) != len(this.checked) or not kept:
        return False
    this.plain, this.feed = True, feed
    live = sum(not record.retracted for record, _ in kept)
    seen, seen_epoch = (at.seq, at.epoch) if at else (0, None)
    advance = Advance(feed, seen, seen_epoch, this.cursor.seq, this.cursor.epoch, live)
    async with node.store.autocommit(records=len(kept)) as tx:
        this.on_its_way.set()
        state = await tx.pulled_records.insert(name.origin, advance, kept)
    if state is None:
        raise StaleCursor
    node.notifier.observe(state)
    taken.entries += len(kept)
    return True


async def _store(
    tx: Writing, standing: FeedWithRecords, decided: BatchDecision, cursor: Cursor
) -> frozenset[int]:
    """Returns the numbers of the entries that are noted as set aside."""
    place, epoch = standing.place, cursor.epoch
    kept = [(one.record, one.seq) for one in decided.last.values() if one.record is not None]
    gone = [(one.type, one.key, one.seq, one.revision) for one in decided.last.values() if one.record is None]
    if standing.set_aside and decided.last:
        await tx.rejected.clear(place, list(decided.last))
    # Before the lock of numbering, as whoever signs or compares takes them.
    if gone:
        await tx.copies.note_withdrawal(place.id, epoch, max(seq for _, _, seq, _ in gone))
    for feed, lost in decided.losses().items():
        # (What is withdrawn there later may be gone from here by then, and leave no number.)
        await tx.checkpoints.mark(feed, [bucket_of(was.type, was.key) for was in lost])
        await tx.feeds.subtract_records(feed, sum(not was.retracted for was in lost))
    if kept:
        if decided.withdrawn:
            await tx.feeds.remove_withdrawals(place, [(record.type, record.key) for record, _ in kept])
        advance = Advance(place.id, place.head, place.epoch, cursor.seq, epoch, decided.delta())
        moved = await tx.pulled_records.upsert(place.origin, advance, kept)
    else:
        moved = await tx.feeds.advance(place, cursor, delta=decided.delta())
    if not moved:
        raise StaleCursor
    # Of what was never held there is nothing to tell, and a peer could name records without end.
    if told := [one for one in gone if decided.was_held(one[0], one[1])]:
        await tx.pulled_records.purge(place.id, told)
    left = [
        aside
        for aside in decided.aside
        if (good := decided.last.get((aside.type, aside.key))) is None or good.seq < aside.seq
    ]
    return await tx.rejected.store(place, left) if left else frozenset()


class BatchDecision:
    """What a slice does to what is held: the last good entry of each record, and what is set aside."""

    def __init__(
        self, feed: int, held: dict[tuple[str, str], StoredRevision], withdrawn: dict[tuple[str, str], int]
    ) -> None:
        self._feed = feed
        self._held = held
        self.withdrawn = withdrawn
        self.last: dict[tuple[str, str], VerifiedEntry] = {}
        self.aside: list[RejectedEntry] = []

    def add(self, one: VerifiedEntry | RejectedEntry) -> None:
        """Decide on the next entry of the feed."""
        if isinstance(one, RejectedEntry):
            self.aside.append(one)
            return
        name = (one.type, one.key)
        revision, hash_, here = self._known(name)
        if one.record is None:
            if here and supersedes(revision, one.revision):
                self._refuse(
                    one, "regressing-revision", f"revision {revision} is held, {one.revision} is withdrawn"
                )
            else:
                self.last[name] = one
            return
        if supersedes(one.revision, revision) or (hash_ is None and one.revision == revision and here):
            # (The same revision again after a withdrawal: we were let into the audience anew.)
            self.last[name] = one
        elif one.revision == revision and hash_ is not None:
            if hash_ != one.record.hash:
                self._refuse(
                    one, "changed-at-same-revision", f"revision {revision} is held with another hash"
                )
            elif not self._in_place(name, one.seq):
                self.last[name] = one
        elif here:
            self._refuse(one, "regressing-revision", f"revision {revision} is held, {one.revision} came")
        # Else the record has moved on to another feed since this entry was read: that one holds.

    def _known(self, name: tuple[str, str]) -> tuple[int, bytes | None, bool]:
        """Revision and hash known of a record, and whether that is of this feed."""
        if pending := self.last.get(name):
            return pending.revision, pending.record.hash if pending.record else None, True
        gone = self.withdrawn.get(name, 0)
        was = self._held.get(name)
        if was is not None and was.revision >= gone:
            return was.revision, was.hash, was.feed == self._feed
        return gone, None, True

    def _in_place(self, name: tuple[str, str], seq: int) -> bool:
        was = self._held.get(name)
        return name not in self.last and was is not None and was.feed == self._feed and was.seq == seq

    def was_held(self, type_name: str, key: str) -> bool:
        """Whether the record was ever held here, as far as can be told: it is, or it left this feed."""
        return (type_name, key) in self._held or (type_name, key) in self.withdrawn

    def only_keeps(self) -> bool:
        """Whether all of it is records that are kept, and no other feed loses one of them."""
        return (
            not self.aside
            and not self.withdrawn
            and all(one.record is not None for one in self.last.values())
            and all(was.feed in (None, self._feed) for was in self._held.values())
        )

    def _refuse(self, one: VerifiedEntry, reason: str, detail: str) -> None:
        self.aside.append(rejected_entry(one, reason, detail))

    def delta(self) -> int:
        """By how much the number of live records of this feed changes."""
        change = 0
        for name, one in self.last.items():
            was = self._held.get(name)
            was_live = was is not None and was.feed == self._feed and not was.retracted
            change += _live(one.record) - was_live
        return change

    def removed(self) -> int:
        """How many live records of this feed are retracted. (What is withdrawn must go in any case.)"""
        return sum(
            1
            for name, one in self.last.items()
            if one.record is not None
            and one.record.retracted
            and (was := self._held.get(name)) is not None
            and was.feed == self._feed
            and not was.retracted
        )

    def losses(self) -> dict[int, list[StoredRevision]]:
        """The records that other feeds lose to this one."""
        lost: dict[int, list[StoredRevision]] = {}
        for name, one in self.last.items():
            was = self._held.get(name)
            if one.record and was and was.feed not in (None, self._feed):
                lost.setdefault(was.feed or 0, []).append(was)
        return lost


def rejected_entry(one: VerifiedEntry, reason: str, detail: str) -> RejectedEntry:
    """An entry that is set aside, for that reason."""
    return RejectedEntry(
        seq=one.seq, type=one.type, key=one.key, revision=one.revision, reason=reason, detail=detail
    )


def _live(record: Record | None) -> bool:
    return record is not None and not record.retracted


def _much(removed: int, held: int) -> str:
    return f"{removed} of {held} records are to be removed"
