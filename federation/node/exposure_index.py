"""Keep the exposure index current: the refresher writes it, questions wait for it and only read.

1. A question reads the local sequence of the last change that has arrived, and how far the index reaches.
2. Where the index does not reach it, the question asks the refresher of its process for a refresh, and waits.
3. The refresher counts the next changes, commits, and wakes the questions that wait.
4. Other processes of the node refresh the same index; a waiting question reads its state every 50 ms.
5. After ``MAX_WAIT_SECONDS`` the question ends with Unavailable: what is not counted is never "not affected".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Literal, TypeVar

from federation.domain.errors import Refused, Unavailable
from federation.domain.values import as_instant
from federation.domain.visibility import Caller
from federation.node.node import Node
from federation.store.body_sets import CoverageSet
from federation.store.database import Reading
from federation.store.exposure import DeploymentGroup, IndexState

log = logging.getLogger("federation.exposure")

Answer = TypeVar("Answer")

MAX_WAIT_SECONDS = 10.0
"""Seconds that a question waits for the index, at most."""
RECHECK_SECONDS = 0.05
"""Seconds after which a waiting question reads the index's state again: other processes refresh it, too."""
REFRESH_SECONDS = 2.0
"""Seconds between two refreshes that nobody has asked for."""
RETRY_SECONDS = 1.0
"""Seconds after which a refresh that failed is tried again."""
BULK_RECORDS = 2_000
"""Records that arrive between two refreshes when a first sync or a bulk upload is under way."""
MAX_SKIPPED_REFRESHES = 30
"""Refreshes in a row that are left out for that, at most."""
QUIET_SECONDS = 2.0
"""Seconds without an arrival after which nobody is thought to be publishing."""
SMALL_WINDOW = 100
"""Changes that one transaction counts while somebody is."""
REST_RATIO = 3
"""Time of the rest after such a transaction, as a multiple of the transaction's own."""

_COUNTING = "records that have arrived are still being counted; try again in a moment"


@asynccontextmanager
async def current(node: Node) -> AsyncIterator[tuple[Reading, str]]:
    """A connection to ask the index with, and the instant through which it is current.

    Every record that had arrived by that instant is counted; the instant is that of the question. (Not the
    local sequence: that one grows with records that the caller may not see.) Nothing is written. Raises
    Unavailable when the index does not get there within ``MAX_WAIT_SECONDS``.
    """
    through = as_instant(node.clock())
    async with node.store.read() as tx:
        state = await tx.exposure.index_state()
    target = state.newest
    if not state.covers(target):
        await _wait_for(node, target)
    async with node.store.read() as tx:
        yield tx, through
        # Statements of one connection do not share a snapshot: the index may have been begun anew meanwhile.
        if not (await tx.exposure.index_state()).covers(target):
            raise Unavailable(_COUNTING)


class IndexCheck:
    """The check that all reads of an answer see an index with every change that had arrived before it.

    Its two reads go along with others (``store/together.py``): ``begin`` with the first that the answer
    takes, ``end`` with the last one that reads the index.
    """

    def __init__(self, through: str, target: int | None = None) -> None:
        self.through = through
        """The instant through which the answer is current: that of the question."""
        self._target = target

    async def begin(self, tx: Reading) -> None:
        """Note what has arrived. Raises IndexBehind where the index does not reach it."""
        state = await tx.exposure.index_state()
        self._target = state.newest if self._target is None else self._target
        if not state.covers(self._target):
            raise IndexBehind(self._target)

    async def end(self, tx: Reading) -> None:
        """Check that the index has not been begun anew since. Raises Unavailable."""
        self.verify(await tx.exposure.index_state())

    def verify(self, state: IndexState) -> None:
        """Check the state of the index that a statement has read with its rows. Raises Unavailable."""
        if self._target is None or not state.covers(self._target):
            raise Unavailable(_COUNTING)


class IndexBehind(Exception):
    """The index does not reach a local sequence yet."""

    def __init__(self, target: int) -> None:
        self.target = target


async def ask(node: Node, question: Callable[[Reading, IndexCheck], Awaitable[Answer]]) -> Answer:
    """The answer to a question that checks by ``IndexCheck`` that the index is current.

    It takes no statement beside those of the question where the index is current, as it mostly is; else it
    waits for it with no connection, and asks the question once more. Raises Unavailable as ``current`` does.
    """
    through, target = as_instant(node.clock()), None
    while True:
        try:
            async with node.store.read() as tx:
                return await question(tx, IndexCheck(through, target))
        except IndexBehind as behind:
            if target is not None:
                raise Unavailable(_COUNTING) from None
            target = behind.target
        await _wait_for(node, target)


async def catch_up(node: Node) -> int:
    """Wait until every record that has arrived is counted. Raises Unavailable as ``current`` does.

    Returns the local sequence of the last of them.
    """
    async with node.store.read() as tx:
        state = await tx.exposure.index_state()
    if not state.covers(state.newest):
        await _wait_for(node, state.newest)
    return state.newest


async def groups_in_use(
    node: Node,
    by: Literal["solutions", "operators", "all"],
    keys: Sequence[str],
    limit: int,
    *,
    visible_to: Caller,
) -> tuple[tuple[DeploymentGroup, CoverageSet], ...]:
    """The groups in use of solutions or operators, or all, with the bodies they cover; ``limit`` at most.

    Every record that had arrived before the call is counted. Raises Unavailable as ``current`` does.
    """
    async with node.store.read() as tx:
        state, groups = await tx.exposure.groups_in_use(by, keys, limit, visible_to=visible_to)
    if not state.covers(state.newest):
        await _wait_for(node, state.newest)
        async with node.store.read() as tx:
            again, groups = await tx.exposure.groups_in_use(by, keys, limit, visible_to=visible_to)
        if not again.covers(state.newest):
            raise Unavailable(_COUNTING)
    return groups


async def _wait_for(node: Node, target: int) -> None:
    """Wait until the index covers a local sequence. Raises Unavailable."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + MAX_WAIT_SECONDS
    signal = node.index_signal
    with signal.asking():
        while (remaining := deadline - loop.time()) > 0:
            refreshed = signal.refreshed
            async with node.store.read() as tx:
                state = await tx.exposure.index_state()
            if state.covers(target):
                return
            await signal.request(refreshed, min(remaining, RECHECK_SECONDS))
    raise Unavailable(_COUNTING)


async def refresh(node: Node) -> None:
    """Count every change that has arrived, in as many transactions as it takes."""
    async with node.store.read() as reading:
        lag = (await reading.exposure.index_state()).lag
    while lag:
        async with node.store.write() as tx:
            lag = await tx.exposure.refresh()
        node.index_signal.report()


@asynccontextmanager
async def running(node: Node, *, seconds: float | None = REFRESH_SECONDS) -> AsyncIterator[None]:
    """Refresh the index while the block lasts: see ``run``."""
    task = asyncio.create_task(run(node, seconds=seconds), name="exposure index")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def run(node: Node, *, seconds: float | None = REFRESH_SECONDS) -> None:
    """Refresh the index whenever a question asks for it, and every so many seconds where they are given."""
    refresher = IndexRefresher()
    while True:
        requested = await node.index_signal.wait_for_request(seconds)
        if requested and not node.index_signal.waiting:
            continue  # its question has been answered
        try:
            await refresher.refresh(node)
        except Refused as error:
            log.warning("refreshing the exposure index has to wait", extra={"reason": str(error)})
            await asyncio.sleep(RETRY_SECONDS)
        except Exception:
            log.exception("refreshing the exposure index failed")
            await asyncio.sleep(RETRY_SECONDS)


class IndexRefresher:
    """Refreshes the index before somebody asks, but not while much is arriving.

    A first sync or a bulk upload is not to share its processor with this: a question meanwhile waits for it.
    While single records come, it works in small windows and rests between them, for the same reason. While a
    question waits, it does neither.
    """

    def __init__(self) -> None:
        self._arrival = 0
        self._skipped = 0
        self._last = (0, 0.0)

    async def refresh(self, node: Node) -> None:
        """Count all changes, or leave them for the next time, which is not to be for ever."""
        signal = node.index_signal
        arrival = node.notifier.state.arrival
        self._is_publishing(arrival, monotonic())
        moved, self._arrival = arrival - self._arrival, arrival
        if moved > BULK_RECORDS and self._skipped < MAX_SKIPPED_REFRESHES and not signal.waiting:
            self._skipped += 1
            return
        self._skipped = 0
        async with node.store.read() as reading:
            lag = (await reading.exposure.index_state()).lag
        while lag and (signal.waiting or node.notifier.state.arrival - arrival <= BULK_RECORDS):
            began = monotonic()
            gently = self._is_publishing(node.notifier.state.arrival, began) and not signal.waiting
            async with node.store.write() as tx:
                lag = await tx.exposure.refresh(SMALL_WINDOW if gently else None)
            signal.report()
            if lag and gently:
                await signal.wait_for_request(REST_RATIO * (monotonic() - began))

    def _is_publishing(self, arrival: int, now: float) -> bool:
        """Note the last arrival; True while the last one is less than ``QUIET_SECONDS`` ago."""
        if arrival != self._last[0]:
            self._last = arrival, now
        return now - self._last[1] < QUIET_SECONDS
