"""Change notifier: see changes of the database, made by any process, and wake the tasks that wait."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Literal, NamedTuple

from federation.domain.errors import Unavailable
from federation.domain.node_state import NodeState
from federation.store.database import Store

log = logging.getLogger("federation.notifier")

Counter = Literal["arrival", "published", "heads"]
"""The counters of the node's state that a task can wait for."""


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
    WAKINGS_PER_TURN = 20
    """Tasks that are woken before other tasks have a turn: each answers its caller, in a tenth of a
    millisecond or so."""

    def __init__(self, store: Store, state: NodeState) -> None:
        self.state = state
        self.published_at = 0.0
        """When the node's own records last changed, on the monotonic clock."""
        self.failing = False
        """True while the state cannot be read: revocations are not seen then."""
        self._store = store
        self._refresh_due = asyncio.Event()
        self._waiters: dict[_Waiter, None] = {}
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

    def observe(self, state: NodeState) -> None:
        """Take over the state that a write of this process left, without a refresh.

        Where more than records has changed, or a refresh runs, whose answer may be older, refresh anew.
        """
        before = self.state
        if self._refreshing.locked() or (state.epoch, state.trust) != (before.epoch, before.trust):
            self._refresh_due.set()
        elif state.arrival > before.arrival:
            self._set_state(state)
            self._wake_concerned()

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
            self._waiters[waiter] = None
            self._urgent_waiters += not patient
            if not patient:
                self._refresh_due.set()
            try:
                async with asyncio.timeout(remaining):
                    await woken
            except TimeoutError:
                return False
            finally:
                self._waiters.pop(waiter, None)
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
        self._wake_in_turns(list(self._waiters))

    def _wake_concerned(self) -> None:
        """Wake the tasks whose counter is greater now.

        Records of peers do not change the node's own heads: nobody is to read those anew for them.
        """
        state = self.state
        self._wake_in_turns(
            [waiter for waiter in self._waiters if getattr(state, waiter.counter) > waiter.number]
        )

    def _wake_in_turns(self, waiters: list[_Waiter]) -> None:
        """Wake tasks in the order in which they began to wait, some at a time: others have turns between."""
        for waiter in waiters[: self.WAKINGS_PER_TURN]:
            waiter.wake()
        if rest := waiters[self.WAKINGS_PER_TURN :]:
            asyncio.get_running_loop().call_soon(self._wake_in_turns, rest)

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
