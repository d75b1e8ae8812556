"""The hand-over within a process between questions about exposure and the refresher of its index."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class IndexSignal:
    """Wakes the refresher for a question, and the questions after each refresh."""

    def __init__(self) -> None:
        self.waiting = 0
        """Questions that wait for the index now."""
        self.refreshed = asyncio.Event()
        """Set by the next refresh. Each refresh has its own event: take it before you read the index."""
        self._requested = asyncio.Event()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Count a question as waiting while the block lasts."""
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    async def request(self, refreshed: asyncio.Event, seconds: float) -> None:
        """Ask for a refresh, and wait for its event or so many seconds."""
        self._requested.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await refreshed.wait()

    async def wait_for_request(self, seconds: float | None) -> bool:
        """Wait until a question asks for a refresh; False after so many seconds without one."""
        try:
            async with asyncio.timeout(seconds):
                await self._requested.wait()
        except TimeoutError:
            return False
        self._requested.clear()
        return True

    def report(self) -> None:
        """Wake the questions: a refresh was committed."""
        self.refreshed.set()
        self.refreshed = asyncio.Event()
