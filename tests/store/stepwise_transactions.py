"""Transactions taken step by step, and a look at who waits for whom: races are interleaved by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from federation.domain.feed import FeedName
from federation.node.node import Node
from federation.store.database import Store, Writing
from tests.waiting import until as until


@asynccontextmanager
async def looking(dsn: str) -> AsyncIterator[Any]:
    """A connection of the test's own."""
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


WAITING = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock' AND state = 'active'"
)


async def waits(look: Any, writers: int = 1) -> None:
    """Wait until so many connections wait for a lock that another one holds."""

    async def so_many() -> bool:
        await look.execute("SELECT pg_stat_clear_snapshot()")  # or a transaction sees the same each time
        return bool(await look.fetchval(WAITING) >= writers)

    await until(so_many)


class Step:
    """A transaction whose beginning and end the test decides."""

    def __init__(self, store: Store, locks: Iterable[int]) -> None:
        self._block = store.write(locks=locks)
        self.tx: Writing

    async def begin(self) -> Writing:
        self.tx = await self._block.__aenter__()
        return self.tx

    async def commit(self) -> None:
        await self._block.__aexit__(None, None, None)

    async def roll_back(self) -> None:
        error = RuntimeError("rolled back")
        await self._block.__aexit__(RuntimeError, error, None)


async def begun(store: Store, *, locks: Iterable[int] = ()) -> Step:
    step = Step(store, locks)
    await step.begin()
    return step


async def feed_id(node: Node, audience: str = "public") -> int:
    async with node.store.read() as tx:
        place = await tx.feeds.find(FeedName(node.operator, audience))
    assert place is not None
    return place.id


async def numbers(look: Any, feed: int) -> list[int]:
    """The numbers of a feed that something has, in order."""
    rows = await look.fetch(
        "SELECT seq FROM records WHERE feed = $1 UNION ALL"
        " SELECT seq FROM withdrawals WHERE feed = $1 ORDER BY seq",
        feed,
    )
    return [row[0] for row in rows]


async def arrivals(look: Any) -> list[int]:
    """The arrival numbers that something has, in order."""
    rows = await look.fetch(
        "SELECT arrived FROM records UNION ALL SELECT arrived FROM withdrawals ORDER BY arrived"
    )
    return [row[0] for row in rows]


async def counts(look: Any) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """For each feed, the counts that are stored and those that are true: live records, and what uses a quota.

    (Own feeds use none.)
    """
    rows = await look.fetch(
        "SELECT f.origin || '/' || f.audience AS name, f.origin = node.operator AS own,"
        " f.live, f.records, f.bytes, r.* FROM node CROSS JOIN feeds AS f CROSS JOIN LATERAL ("
        "   SELECT count(*) FILTER (WHERE NOT retracted) AS really_live, count(*) AS really_records,"
        "   coalesce(sum(octet_length(document)), 0) AS really_bytes FROM records WHERE feed = f.id) AS r"
    )
    return {
        row["name"]: (
            (row["live"], row["records"], row["bytes"]),
            (
                row["really_live"],
                0 if row["own"] else row["really_records"],
                0 if row["own"] else int(row["really_bytes"]),
            ),
        )
        for row in rows
    }


async def counts_are_true(look: Any) -> None:
    for name, (kept, really) in (await counts(look)).items():
        assert kept == really, f"{name} is said to have {kept} (live, records, bytes) and has {really}"
