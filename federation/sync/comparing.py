"""Comparisons that go on while the next news are waited for and taken.

What a peer publishes is not to wait until what it published before is proved: comparing takes longer than
keeping. A comparison is a transaction of its own and looks at one moment, so entries may come meanwhile;
where it finds a difference, that is seen to before anything else is taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable
from typing import Any, TypeVar

from federation.domain.feed import Cursor, FeedName, Head
from federation.node import Node
from federation.sync.follow import Comparison, compare_beside

Answer = TypeVar("Answer")


class Comparing:
    """The comparisons of one peer's feeds, one after the other.

    ``settled``: the heads that we have proved to be at. ``differs`` repairs a copy; ``then`` is done after
    each round of comparisons.
    """

    def __init__(
        self,
        node: Node,
        settled: dict[FeedName, Head],
        *,
        differs: Callable[[Head], Awaitable[None]],
        then: Callable[[], Awaitable[None]],
    ) -> None:
        self._node = node
        self._settled = settled
        self._differs = differs
        self._then = then
        self._told: dict[FeedName, Head] = {}
        self._wanted: dict[FeedName, Comparison] = {}
        self._made: dict[FeedName, str] = {}
        """The checkpoint that each feed was last held against."""
        self._different: list[Head] = []
        self._again = False
        self._running: asyncio.Task[None] | None = None

    def shown(self, names: Collection[FeedName]) -> None:
        """The feeds that the peer shows now: of others there is nothing to compare."""
        for name in self._told.keys() - names:
            del self._told[name]
            self._wanted.pop(name, None)
            self._made.pop(name, None)

    def add(self, several: Iterable[Comparison]) -> None:
        """Comparisons to be made, of one feed only the newest; and what is done after them."""
        for one in several:
            self._told[one.told.name] = one.told
            if one.proof.said.seq < one.told.seq and self._made.get(one.told.name) == one.proof.jws:
                continue  # the copy is beyond it by now
            self._wanted[one.told.name] = one
        self._again = True
        if self._running is None:
            self._running = asyncio.create_task(self._make())

    async def beside(self, asking: Coroutine[Any, Any, Answer]) -> Answer:
        """What is asked, while comparisons go on. Raises what they raise."""
        waiting = asyncio.ensure_future(asking)
        try:
            while self._running is not None:
                await asyncio.wait((waiting, self._running), return_when=asyncio.FIRST_COMPLETED)
                if self._running.done():
                    await self._end(self._running)
                elif waiting.done():
                    break
            return await waiting
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    async def _end(self, ended: asyncio.Task[None]) -> None:
        self._running = None
        await ended
        while self._different:
            await self._differs(self._different.pop())
        if self._again:
            self.add(())

    async def _make(self) -> None:
        while self._again:
            self._again = False
            while self._wanted:
                name, one = self._wanted.popitem()
                match await compare_beside(self._node, one):
                    case "equal":
                        is_there = one.proof.said.cursor == Cursor(one.told.epoch, one.told.seq)
                        if is_there and self._told.get(name) == one.told:
                            self._settled[name] = one.told
                    case "differs":
                        self._different.append(one.told)
                self._made[name] = one.proof.jws
            await self._then()

    async def finish(self) -> None:
        """Make all that is wanted. Raises what comparisons raise."""
        while self._running is not None:
            await self._end(self._running)

    async def stop(self) -> None:
        """Leave what is not compared yet to another time."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            self._running = None
