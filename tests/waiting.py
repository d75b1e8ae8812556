"""Waiting for what happens soon, on a machine that may have much other work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from federation.node.node import Node

PATIENCE = 20.0
"""Seconds after which something that happens soon will not: for a broken program, not a busy machine."""


async def until(true: Callable[[], Awaitable[Any]], seconds: float = PATIENCE) -> Any:
    """Ask until the answer is true, and return it."""
    async with asyncio.timeout(seconds):
        while not (answer := await true()):
            await asyncio.sleep(0.005)
        return answer


async def within_a_second(node: Node, true: Callable[[], Awaitable[Any]]) -> None:
    """Ask until the answer is true, for a second as long as this machine makes it.

    A process looks at its database every half second (``watch.Watch``). A second is twice that, each half
    with a look of its own: where pauses and looks take longer than they should, they do so for both.
    """

    async def a_second() -> None:
        for _ in range(2):
            await asyncio.sleep(0.5)
            async with node.store.read() as tx:
                await tx.feeds.state()

    second = asyncio.create_task(a_second())
    try:
        while not await true():
            assert not second.done(), "it was not so after a second"
            await asyncio.sleep(0.01)
    finally:
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
