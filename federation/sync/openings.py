"""Few peers at a time are opened: a token, the first heads, and what has come since."""

from __future__ import annotations

import asyncio

OPENING_SECONDS = 2.0
"""After which an opening leaves its place to the next one: its peer may be silent, or its first sync long."""


class Openings:
    """Places for peers that are being opened."""

    def __init__(self, places: int) -> None:
        self._places = asyncio.Semaphore(places)

    async def enter(self) -> Opening:
        """Wait for a place. It is to be left, and leaves itself after ``OPENING_SECONDS``."""
        await self._places.acquire()
        return Opening(self._places)


class Opening:
    """A place that is taken until it is left."""

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places: asyncio.Semaphore | None = places
        self._timer = asyncio.get_running_loop().call_later(OPENING_SECONDS, self.leave)

    def leave(self) -> None:
        """Give the place to the next one; nothing where it was left before."""
        self._timer.cancel()
        if self._places is not None:
            self._places.release()
            self._places = None
