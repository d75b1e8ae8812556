"""What changed in the database, whichever process changed it, and who waits for that."""

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


class FeedDelta(msgspec.Struct, frozen=True):
    """What is new in a feed: all of its rows after a place."""

    feed: FeedName
    after: Cursor
    rows: list[Any]


class OwnWrite(NamedTuple):
    """One record of one's own that was kept here, in the feed that it was in or is the first time."""

    feed: FeedName | None
    """None where it is private."""
    live: int
    """How the number of live records of the feed changed."""
    row: tuple[Any, ...]
    """As of ``FeedsReader.entries``."""


class _Waiter(NamedTuple):
    """Somebody who waits until a number of the node's state is greater than this."""

    woken: asyncio.Future[None]
    of: str
    number: int

    def wake(self) -> None:
        if not self.woken.done():
            self.woken.set_result(None)


class ChangeNotifier:
    """Notices changes of the database, whichever process made them, and wakes who waits.

    A write of this process nudges, or says how it left the node's row; for writes of others that row is
    looked at every 50 ms while somebody waits, and every 500 ms otherwise (so that a revoked token is refused
    within a second). NOTIFY in every write would cost a third of the throughput.
    """

    WAITED_FOR = 0.05
    IDLE = 0.5

    def __init__(self, store: Store, state: NodeState) -> None:
        self.state = state
        self.published_at = 0.0
        """When the node's own records were last seen to have changed, on the monotonic clock."""
        self.blind = False
        """Whether the last look failed: then nobody was seen to be cut off."""
        self._kept: tuple[int, OwnWrite] | None = None
        """The last record of one's own that was kept here by itself, and which change of them that was."""
        self._store = store
        self._nudged = asyncio.Event()
        self._waiting: set[_Waiter] = set()
        self._looked_for = 0
        """How many of them want to learn at once of what other processes do."""
        self._on_trust: list[Callable[[], Awaitable[None]]] = []
        self._looking = asyncio.Lock()

    def on_trust_change(self, then: Callable[[], Awaitable[None]]) -> None:
        """Call this when clients, peers or keys have changed."""
        self._on_trust.append(then)

    def notify(self) -> None:
        """Something was written here: look now."""
        self._nudged.set()

    def observe(self, state: NodeState, kept: OwnWrite | None = None) -> None:
        """Something was written here, and left the node's row like this: as good as a look.

        Where more than records has changed, or somebody is looking, whose answer may be older, look now.
        ``kept``: the one record of one's own that it was.
        """
        now = self.state
        if self._looking.locked() or (state.epoch, state.trust) != (now.epoch, now.trust):
            self._nudged.set()
        elif state.arrival > now.arrival:
            self._is(state)
            if kept is not None:
                self._kept = state.published, kept
            self._wake_whom_it_concerns()

    def deltas(
        self, before: tuple[Head, ...], since: NodeState, now: NodeState, most_bytes: int
    ) -> tuple[tuple[Head, ...], tuple[FeedDelta, ...]] | None:
        """What the heads are ``now``, and what is new, for who read them ``since`` that state or later.

        Known without the database where one record was kept here in between, and nothing else; else None.
        Who may see which feed has not changed then, and who was shown this one is who may see the record.
        """
        published, kept = self._kept or (0, None)
        alike = (now.epoch, now.trust, now.signed, now.published - 1)
        was = (since.epoch, since.trust, since.signed, since.published)
        if kept is None or published != now.published or alike != was:
            return None
        if kept.feed is None:
            return before, ()
        seq, document = kept.row[0], kept.row[-1]
        for n, head in enumerate(before):
            if head.name == kept.feed and head.seq == seq - 1 and len(document) <= most_bytes:
                moved = msgspec.structs.replace(head, seq=seq, count=head.count + kept.live)
                news = FeedDelta(head.name, Cursor(head.epoch, head.seq), [kept.row])
                return (*before[:n], moved, *before[n + 1 :]), (news,)
        return None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep looking while the block lasts."""
        task = asyncio.create_task(self._look_for_ever(), name="watch")
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
        of: Literal["arrival", "published", "heads"] = "arrival",
        patient: bool = False,
    ) -> bool:
        """Wait until that number of the node's state is greater; False when the time is over.

        Who is ``patient`` learns of what other processes did half a second later, and costs no looks.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        while getattr(self.state, of) <= number:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return False
            woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            waits = _Waiter(woken, of, number)
            self._waiting.add(waits)
            self._looked_for += not patient
            if not patient:
                self._nudged.set()
            try:
                async with asyncio.timeout(left):
                    await woken
            except TimeoutError:
                return False
            finally:
                self._waiting.discard(waits)
                self._looked_for -= not patient
            if getattr(self.state, of) <= number:
                return False  # woken because the process is to stop, or something else has changed
        return True

    async def refresh(self) -> None:
        """See where the database is now; what follows from it is done when this returns."""
        async with self._looking:
            async with self._store.read_by_key() as tx:
                state = await tx.feeds.state()
            if state.trust != self.state.trust:
                for then in self._on_trust:
                    await then()
            # Last: a look that failed halfway has seen nothing, and the next one does all of it again.
            before = self._is(state)
        if state.trust != before.trust:
            self.wake()
        else:
            self._wake_whom_it_concerns()

    def _is(self, state: NodeState) -> NodeState:
        """Take note of the state; returns the one before."""
        before, self.state = self.state, state
        if state.published != before.published:
            self.published_at = time.monotonic()
        return before

    def wake(self) -> None:
        """Let everybody who waits look again."""
        for waits in self._waiting:
            waits.wake()

    def _wake_whom_it_concerns(self) -> None:
        """What a peer has sent does not change one's own heads: nobody is to ask for them anew."""
        for waits in self._waiting:
            if getattr(self.state, waits.of) > waits.number:
                waits.wake()

    async def _look_for_ever(self) -> None:
        while True:
            self._nudged.clear()
            try:
                await self.refresh()
                self.blind = False
            except Exception as error:
                # Whatever it was: who does not look does not see that somebody was cut off.
                if not self.blind:
                    known = isinstance(error, Unavailable)
                    log.warning(
                        "the database cannot be looked at",
                        extra={"reason": str(error)},
                        exc_info=None if known else error,
                    )
                self.blind = True
                await asyncio.sleep(self.IDLE)
            pause = self.WAITED_FOR if self._looked_for else self.IDLE
            # Not wait_for: on Python 3.11 it can swallow the cancellation that ends this loop.
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._nudged.wait()
