"""Connections of a pool go to the tasks in the order in which they ask."""

from __future__ import annotations

import asyncio

from federation.store.pools import FIXED, create_pool

TASKS = 25
CONNECTIONS = 4
TURNS = 30


async def test_a_task_that_waits_for_a_connection_is_overtaken_by_nobody(dsn: str) -> None:
    """Tasks that ask again at once leave the turn to those that wait: each of the others goes first once."""
    pool = await create_pool(dsn, FIXED, min_connections=CONNECTIONS, max_connections=CONNECTIONS)
    granted: list[int] = []
    before_me: list[int] = []

    async def ask_again_and_again(task: int) -> None:
        for _ in range(TURNS):
            asked = len(granted)
            connection = await pool.acquire()
            before_me.append(len(granted) - asked)
            granted.append(task)
            await connection.fetchval("SELECT 1")
            await pool.release(connection)

    try:
        await asyncio.gather(*map(ask_again_and_again, range(TASKS)))
    finally:
        await pool.pool.close()
    assert len(granted) == TASKS * TURNS
    assert max(before_me) < TASKS


async def test_a_task_that_gives_up_waiting_takes_no_connection_with_it(dsn: str) -> None:
    pool = await create_pool(dsn, FIXED, min_connections=1, max_connections=1)
    try:
        connection = await pool.acquire()
        waiting = [asyncio.ensure_future(pool.acquire()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        await pool.release(connection)
        second = await waiting[1]
        assert not waiting[2].done()
        await pool.release(second)
        await pool.release(await waiting[2])
        await pool.release(await pool.acquire())
    finally:
        await pool.pool.close()
