"""Waiting for what happens soon, on a machine that may have much other work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from federation.node.node import Node

MAX_WAIT_SECONDS = 90.0
"""Bound of every wait for an event: it ends a broken program, and no slow machine reaches it.

An event takes milliseconds on an idle machine. A test never measures with this bound.
"""


async def until(true: Callable[[], Awaitable[Any]], seconds: float = MAX_WAIT_SECONDS) -> Any:
    """Ask until the answer is true, and return it."""
    async with asyncio.timeout(seconds):
        while not (answer := await true()):
            await asyncio.sleep(0.005)
        return answer


async def until_while_moving(
    true: Callable[[], Awaitable[Any]], state: Callable[[], Awaitable[Any]], *, pause: float = 0.05
) -> None:
    """Ask until the answer is true, step by step: each change of the state begins the bound anew."""
    last, changed = await state(), asyncio.get_running_loop().time()
    while not await true():
        await asyncio.sleep(pause)
        now = asyncio.get_running_loop().time()
        if (new := await state()) != last:
            last, changed = new, now
        elif now - changed > MAX_WAIT_SECONDS:
            raise TimeoutError(f"nothing has moved for {MAX_WAIT_SECONDS:g} s: {last}")


async def wait_for_waiter(node: Node, number: int = 1) -> None:
    """Return when so many callers wait for a change of the node's database."""

    async def enough() -> bool:
        snapshots = node.feed_snapshots  # of whose callers one task waits for a change
        following = snapshots._following is not None and bool(node.notifier._waiters)
        return len(node.notifier._waiters) - following + len(snapshots._waiting) >= number

    await until(enough)


async def is_within_a_second(node: Node, true: Callable[[], Awaitable[Any]]) -> bool:
    """Ask until the answer is true, for a second as long as this machine makes it.

    A process looks at its database every half second (``node.notifier``). A second is twice that, each half
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
            if second.done():
                return False
            await asyncio.sleep(0.01)
        return True
    finally:
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)


async def within_a_second(node: Node, true: Callable[[], Awaitable[Any]]) -> None:
    """Assert that the answer is true within a second of this machine."""
    assert await is_within_a_second(node, true), "it was not so after a second"
