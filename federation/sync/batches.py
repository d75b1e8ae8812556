"""Store the batches of one feed in order, each on its way to the database while the one ahead is committed.

1. A batch waits until the one ahead of it is sent, not until it is committed.
2. NEW: a batch of new records is one statement, which verifies itself that nothing is known of them.
3. EARLY: a batch that shares no record with the one ahead is looked up, and waits in the database for the
   feed's row. It is stored only where the one ahead has left the feed.
4. IN TURN: every other batch, and all that these two ways did not store, once the one ahead is committed.
5. Where the database rejects a record, the batch is halved until that record is alone. It becomes a rejected
   entry, and the rest is stored.

``TRANSITIONS`` declares it. NEW and EARLY are fast paths: decision 0024 has their figures, and says when to
remove them. tests/sync/test_batches.py stores the same feed by each way, and compares.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import NamedTuple

from federation.domain.batch import Batch, BatchChanges, FeedWithRecords, RecordName
from federation.domain.entry import RejectedEntry, VerifiedEntry
from federation.domain.errors import Invalid, Refused, SequenceConflict, StaleCursor
from federation.domain.feed import Cursor, FeedName, FeedState
from federation.domain.quota import Allowance, BeyondQuota
from federation.domain.record import Record
from federation.node import copies
from federation.node.node import Node
from federation.sync.apply import PullResult, RemovalsPaused, decide, rejected_entry

log = logging.getLogger("federation.sync")

UNLISTED = "not listed"
"""Stands for the reasons of entries that were rejected and are not stored, in the log."""


class BatchState(StrEnum):
    """How a batch is being stored."""

    WAITING = "waiting"
    NEW = "new"
    EARLY = "early"
    IN_TURN = "in turn"
    RENUMBERED = "renumbered"
    HALVED = "halved"
    STORED = "stored"


class BatchEvent(StrEnum):
    """The end of an attempt. What is not an event is raised, and the batch and all behind it are given up."""

    SENT_AHEAD = "the batch ahead is sent"
    COMMITTED = "committed"
    DECLINED = "declined"
    """This way cannot be right for this batch. Nothing was stored."""
    FAILED = "failed"
    """Something was refused on a fast path. Nothing was stored; what still holds is raised in turn."""
    NUMBER_TAKEN = "number taken"
    """Another record is stored at one of its numbers."""
    RECORD_REFUSED = "record refused"
    """The database does not store one of its records."""


class Transition(NamedTuple):
    """The next state, and the reason for it."""

    to: BatchState
    reason: str


State, Event = BatchState, BatchEvent
TRANSITIONS: dict[tuple[BatchState, BatchEvent], Transition] = {
    (State.WAITING, Event.SENT_AHEAD): Transition(
        State.NEW, "the database needs no pause between two batches"),
    (State.NEW, Event.COMMITTED): Transition(State.STORED, "one round trip"),
    (State.NEW, Event.DECLINED): Transition(
        State.EARLY, "something may be known of its records: they have to be looked up"),
    (State.NEW, Event.FAILED): Transition(
        State.IN_TURN, "something is known of them, or the one ahead was not stored"),
    (State.EARLY, Event.COMMITTED): Transition(State.STORED, "its look-up ran beside the commit ahead"),
    (State.EARLY, Event.DECLINED): Transition(
        State.IN_TURN, "it depends on the one ahead: on its records, withdrawals or rejected entries"),
    (State.EARLY, Event.FAILED): Transition(
        State.IN_TURN, "looked at once more, when the one ahead is stored"),
    (State.IN_TURN, Event.COMMITTED): Transition(State.STORED, "the general way"),
    (State.IN_TURN, Event.NUMBER_TAKEN): Transition(
        State.RENUMBERED, "what is there is of a past that the origin has lost: it loses its number"),
    (State.IN_TURN, Event.RECORD_REFUSED): Transition(State.HALVED, "one record must not stop a feed"),
    (State.RENUMBERED, Event.COMMITTED): Transition(State.STORED, "the numbers were free"),
    (State.RENUMBERED, Event.RECORD_REFUSED): Transition(State.HALVED, "one record must not stop a feed"),
    (State.HALVED, Event.COMMITTED): Transition(State.STORED, "each half on the general way"),
}  # fmt: skip


class _Sending:
    """A batch on its way to the database, as the batch behind it sees it."""

    def __init__(self, batch: Batch, *, may_exceed: bool = False) -> None:
        self.batch = batch
        self.may_exceed = may_exceed
        """Whether the peer may go beyond its quota with it: it is stored in turn then, which compares."""
        self.sent = asyncio.Event()
        """Set when all of it is sent to the database, or will not be."""
        self.independent = False
        """Whether it only stores records, and does not depend on what has left the feed or was rejected."""
        self.new_in_feed: int | None = None
        """The feed, where none of the batch was stored: probably none of the next one is, either."""
        self.refusal: Invalid | None = None
        """The reason for which the database does not store one of its records."""
        self.storing: asyncio.Task[None]

    def send(self, *, independent: bool, new_in_feed: int | None) -> None:
        # In this order: a batch that wakes by the event reads the other two.
        self.independent, self.new_in_feed = independent, new_in_feed
        self.sent.set()

    def takes_another_behind(self) -> bool:
        return self.independent and not self.storing.done()


class BatchPipeline:
    """The batches of one feed on their way to the database. Used as a context: it waits for the last one."""

    def __init__(self, node: Node, feed: FeedState, result: PullResult, allowance: Allowance) -> None:
        self._node, self._feed, self._result, self._allowance = node, feed, result, allowance
        self._last: _Sending | None = None
        self._attempts: dict[BatchState, Callable[[_Sending, _Sending | None], Awaitable[BatchEvent]]] = {
            BatchState.WAITING: self._wait,
            BatchState.NEW: self._store_new,
            BatchState.EARLY: self._store_early,
            BatchState.IN_TURN: self._store_in_turn,
            BatchState.RENUMBERED: self._renumber_and_store,
            BatchState.HALVED: self._store_halves,
        }

    async def __aenter__(self) -> BatchPipeline:
        return self

    async def add(self, ends: Cursor, entries: list[VerifiedEntry | RejectedEntry]) -> None:
        """Begin to store a batch. Returns when the one ahead of it is stored, or raises its error.

        Raises BeyondQuota where more entries have come within an hour than the peer may send.
        """
        self._allowance.count_entries(len(entries), self._node.clock())
        ahead = self._last
        begins = ahead.batch.ends if ahead else self._feed.cursor
        batch = Batch(self._feed.name, begins, ends, tuple(entries))
        may_exceed = not self._allowance.reserve(len(entries), batch.size)
        sending = _Sending(batch, may_exceed=may_exceed)
        sending.storing = asyncio.create_task(self._store(sending, ahead), name="batch")
        sending.storing.add_done_callback(lambda _: sending.sent.set())
        self._last = sending
        if ahead is not None:
            await ahead.storing

    async def __aexit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """Wait for the last batch, also after an error: what has come is stored."""
        if self._last is None:
            return
        storing = self._last.storing
        if kind is not None and issubclass(kind, asyncio.CancelledError):
            storing.cancel()
        failure = (await asyncio.gather(storing, return_exceptions=True))[0]
        if kind is None and failure is not None:
            raise failure

    async def _store(
        self, sending: _Sending, ahead: _Sending | None, state: BatchState = BatchState.WAITING
    ) -> None:
        while state is not BatchState.STORED:
            event = await self._attempts[state](sending, ahead)
            state = TRANSITIONS[state, event].to

    async def _wait(self, sending: _Sending, ahead: _Sending | None) -> BatchEvent:
        if ahead is not None:
            await ahead.sent.wait()
        return BatchEvent.SENT_AHEAD

    async def _store_new(self, sending: _Sending, ahead: _Sending | None) -> BatchEvent:
        batch = sending.batch
        if ahead is None:
            feed = self._feed.id if batch.all_first_revisions() else None
        else:
            feed = ahead.new_in_feed if ahead.takes_another_behind() else None
        records = batch.only_records()
        if feed is None or not records or sending.may_exceed:
            return BatchEvent.DECLINED
        return await self._attempt(sending, self._send_new(sending, feed, records))

    async def _send_new(self, sending: _Sending, feed: int, records: list[tuple[Record, int]]) -> bool:
        batch = sending.batch
        await copies.store_new_records(
            self._node,
            batch.feed,
            feed,
            at=batch.begins,
            to=batch.ends,
            records=records,
            on_send=lambda: sending.send(independent=True, new_in_feed=feed),
        )
        self._result.entries += len(records)
        return True

    async def _store_early(self, sending: _Sending, ahead: _Sending | None) -> BatchEvent:
        if ahead is None or not ahead.takes_another_behind() or sending.may_exceed:
            return BatchEvent.DECLINED
        if set(ahead.batch.names) & set(sending.batch.names):
            return BatchEvent.DECLINED
        return await self._attempt(sending, self._store_batch(sending, after=ahead.batch.ends))

    async def _attempt(self, sending: _Sending, storing: Awaitable[bool]) -> BatchEvent:
        """A fast path. Where it fails the batch is not sent yet: the one behind waits for its turn, too."""
        try:
            return BatchEvent.COMMITTED if await storing else BatchEvent.DECLINED
        except (Refused, SequenceConflict, StaleCursor, RemovalsPaused, BeyondQuota):
            sending.sent.clear()
            return BatchEvent.FAILED

    async def _store_in_turn(self, sending: _Sending, ahead: _Sending | None) -> BatchEvent:
        if ahead is not None:
            await ahead.storing
        try:
            await self._store_batch(sending)
        except SequenceConflict:
            return BatchEvent.NUMBER_TAKEN
        except Invalid as error:
            return self._note_refusal(sending, error)
        return BatchEvent.COMMITTED

    async def _renumber_and_store(self, sending: _Sending, ahead: _Sending | None) -> BatchEvent:
        batch = sending.batch
        await copies.clear_seq(self._node, batch.feed, [entry.seq for entry in batch.entries])
        try:
            await self._store_batch(sending)
        except Invalid as error:
            return self._note_refusal(sending, error)
        return BatchEvent.COMMITTED

    def _note_refusal(self, sending: _Sending, error: Invalid) -> BatchEvent:
        sending.independent = False
        sending.refusal = error
        return BatchEvent.RECORD_REFUSED

    async def _store_halves(self, sending: _Sending, ahead: _Sending | None) -> BatchEvent:
        for part in self._parts(sending):
            await self._store(_Sending(part, may_exceed=sending.may_exceed), None, BatchState.IN_TURN)
        return BatchEvent.COMMITTED

    def _parts(self, sending: _Sending) -> list[Batch]:
        """Both halves of a batch; of a single entry, the same place with the entry rejected."""
        batch, entries = sending.batch, sending.batch.entries
        if len(entries) > 1:
            half = len(entries) // 2
            between = Cursor(batch.ends.epoch, entries[half - 1].seq)
            return [
                Batch(batch.feed, batch.begins, between, entries[:half]),
                Batch(batch.feed, between, batch.ends, entries[half:]),
            ]
        entry, refusal = entries[0], sending.refusal
        assert refusal is not None  # noqa: S101 - noted before this state
        if isinstance(entry, RejectedEntry):
            raise refusal
        rejected = rejected_entry(entry, "not-storable", refusal.detail)
        return [Batch(batch.feed, batch.begins, batch.ends, (rejected,))]

    async def _store_batch(self, sending: _Sending, *, after: Cursor | None = None) -> bool:
        """Look up, decide and store in one transaction. False, with nothing stored, where it must wait."""
        batch, result = sending.batch, self._result

        def decide_batch(before: FeedWithRecords, withdrawn: dict[RecordName, int]) -> BatchChanges:
            return decide(batch, before, withdrawn, result)

        def send(feed: FeedState, changes: BatchChanges) -> None:
            new_in_feed = feed.id if changes.independent and changes.all_new else None
            sending.send(independent=changes.independent, new_in_feed=new_in_feed)

        stored = await copies.store_batch(
            self._node, batch, decide_batch, after=after, on_send=send, may_exceed=sending.may_exceed
        )
        if stored is None:
            return False
        changes, noted = stored
        result.entries += len(batch.entries)
        result.removed += changes.removed
        _count_rejections(self._node, batch.feed, changes.rejected, noted, result)
        return True


def _count_rejections(
    node: Node, name: FeedName, rejected: list[RejectedEntry], noted: frozenset[int], result: PullResult
) -> None:
    """Count rejected entries, and log the first of each reason; ``noted``: numbers of those stored."""
    now = node.clock()
    for entry in rejected:
        result.rejected[entry.reason] += 1
        if entry.seq in noted and node.rejection_lines.allows(name, entry.reason, now):
            log.warning(
                "entry rejected",
                extra={
                    "feed": str(name),
                    "record": f"{entry.type} {name.origin}/{entry.key}",
                    "revision": entry.revision,
                    "reason": entry.reason,
                    "detail": entry.detail,
                },
            )
    if (unnoted := len(rejected) - len(noted)) and node.rejection_lines.allows(name, UNLISTED, now, unnoted):
        log.warning(
            "entries rejected that are not listed one by one",
            extra={"feed": str(name), "entries": unnoted},
        )
