"""Change notifier: see changes of the database, made by any process, and wake the tasks that wait."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal, NamedTuple

import msgspec

from federation.domain.errors import Unavailable
from federation.domain.feed import Cursor, FeedName, Head
from federation.domain.node_state import NodeState
from federation.store.database import Store

log = logging.getLogger("federation.notifier")

Counter = Literal["arrival", "published", "heads"]
"""The counters of the node's state that a task can wait for."""


class FeedDelta(msgspec.Struct, frozen=True):
    """All rows of a feed after a cursor."""

    feed: FeedName
    after: Cursor
    rows: list[Any]


class OwnWrite(NamedTuple):
    """One own record that was written here, and stays in its feed or enters it for the first time."""

    feed: FeedName | None
    """None where it is private."""
    live: int
    """How the number of live records of the feed changed."""
    row: tuple[Any, ...]
    """As of ``EntriesReader``."""


class _Waiter(NamedTuple):
    """A task that waits until a counter of the node's state is greater than a number."""

    woken: asyncio.Future[None]
    counter: Counter
    number: int

    def wake(self) -> None:
        if not self.woken.done():
            self.woken.set_result(None)


class ChangeNotifier:
    """Notices changes of the database, made by any process, and wakes the tasks that wait for them.

    A write of this process notifies, or reports the node's row after it; for writes of other processes that
    row is read every 50 ms while a task waits, and every 500 ms otherwise (so that a revoked token is refused
    within a second). NOTIFY in every write would cost a third of the throughput.
    """

    WAITED_FOR_POLL_SECONDS = 0.05
    IDLE_POLL_SECONDS = 0.5

    def __init__(self, store: Store, state: NodeState) -> None:
        self.state = state
        self.published_at = 0.0
        """When the node's own records last changed, on the monotonic clock."""
        self.failing = False
        """True while the state cannot be read: revocations are not seen then."""
        self._own_write: tuple[int, OwnWrite] | None = None
        """The last own record that was written here by itself, and the number of that change."""
        self._store = store
        self._refresh_due = asyncio.Event()
        self._waiters: set[_Waiter] = set()
        self._urgent_waiters = 0
        """Those for which the node's row is read every 50 ms."""
        self._on_trust_change: list[Callable[[], Awaitable[None]]] = []
        self._refreshing = asyncio.Lock()

    def on_trust_change(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Call this when clients, peers or keys have changed."""
        self._on_trust_change.append(callback)

    def notify(self) -> None:
        """Refresh now: something was written here."""
        self._refresh_due.set()

    def observe(self, state: NodeState, write: OwnWrite | None = None) -> None:
        """Take over the state that a write of this process left, without a refresh.

        Where more than records has changed, or a refresh runs, whose answer may be older, refresh anew.
        ``write``: the one own record that was written.
        """
        before = self.state
        if self._refreshing.locked() or (state.epoch, state.trust) != (before.epoch, before.trust):
            self._refresh_due.set()
        elif state.arrival > before.arrival:
            self._set_state(state)
            if write is not None:
                self._own_write = state.published, write
            self._wake_concerned()

    def deltas(
        self, before: tuple[Head, ...], since: NodeState, state: NodeState, max_bytes: int
    ) -> tuple[tuple[Head, ...], tuple[FeedDelta, ...]] | None:
        """The heads in this ``state`` and the new entries, for a reader of ``before`` in ``since`` or later.

        From memory where one record was written here in between, and nothing else; else None. The readers of
        a feed have not changed then: every reader of this head may see the record.
        """
        published, write = self._own_write or (0, None)
        expected = (state.epoch, state.trust, state.signed, state.published - 1)
        if (
            write is None
            or published != state.published
            or expected != (since.epoch, since.trust, since.signed, since.published)
        ):
            return None
        if write.feed is None:
            return before, ()
        seq, document = write.row[0], write.row[-1]
        for n, head in enumerate(before):
            if head.name == write.feed and head.seq == seq - 1 and len(document) <= max_bytes:
                moved = msgspec.structs.replace(head, seq=seq, count=head.count + write.live)
                delta = FeedDelta(head.name, Cursor(head.epoch, head.seq), [write.row])
                return (*before[:n], moved, *before[n + 1 :]), (delta,)
        return None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Refresh again and again while the block lasts."""
        task = asyncio.create_task(self._refresh_forever(), name="notifier")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            self.wake()

    async def wait_for(
        self,
        number: int,
        seconds: float,
        *,
        of: Counter = "arrival",
        patient: bool = False,
    ) -> bool:
        """Wait until a counter of the node's state is greater; False when the time is over.

        A ``patient`` task learns of changes by other processes half a second later, and costs no reads.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        while getattr(self.state, of) <= number:
            remaining = deadline - asyncio.get_running_loop().time()
            if remaining <= 0:
                return False
            woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            waiter = _Waiter(woken, of, number)
            self._waiters.add(waiter)
            self._urgent_waiters += not patient
            if not patient:
                self._refresh_due.set()
            try:
                async with asyncio.timeout(remaining):
                    await woken
            except TimeoutError:
                return False
            finally:
                self._waiters.discard(waiter)
                self._urgent_waiters -= not patient
            if getattr(self.state, of) <= number:
                return False  # woken because the process is to stop, or another counter has changed
        return True

    async def refresh(self) -> None:
        """Read the state of the database; callbacks and wakings are done when this returns."""
        async with self._refreshing:
            async with self._store.read_by_key() as tx:
                state = await tx.feeds.state()
            if state.trust != self.state.trust:
                for callback in self._on_trust_change:
                    await callback()
            # Last: a refresh that failed halfway leaves the old state, and the next one does all of it again.
            before = self._set_state(state)
        if state.trust != before.trust:
            self.wake()
        else:
            self._wake_concerned()

    def _set_state(self, state: NodeState) -> NodeState:
        """Take over a state; returns the one before."""
        before, self.state = self.state, state
        if state.published != before.published:
            self.published_at = time.monotonic()
        return before

    def wake(self) -> None:
        """Let every waiting task look again."""
        for waiter in self._waiters:
            waiter.wake()

    def _wake_concerned(self) -> None:
        """Wake the tasks whose counter is greater now.

        Records of peers do not change the node's own heads: nobody is to read those anew for them.
        """
        for waiter in self._waiters:
            if getattr(self.state, waiter.counter) > waiter.number:
                waiter.wake()

    async def _refresh_forever(self) -> None:
        while True:
            self._refresh_due.clear()
            try:
                await self.refresh()
                self.failing = False
            except Exception as error:
                # Whatever it was: a process that cannot read does not see revocations.
                if not self.failing:
                    expected = isinstance(error, Unavailable)
                    log.warning(
                        "the state of the database cannot be read",
                        extra={"reason": str(error)},
                        exc_info=None if expected else error,
                    )
                self.failing = True
                await asyncio.sleep(self.IDLE_POLL_SECONDS)
            pause = self.WAITED_FOR_POLL_SECONDS if self._urgent_waiters else self.IDLE_POLL_SECONDS
            # Not wait_for: on Python 3.11 it can swallow the cancellation that ends this loop.
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._refresh_due.wait()
