"""Sync: a first copy, changes in batches, one change at a time; beside PostgreSQL's logical replication."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from bench.load import request
from bench.measuring import Figure, Goal, Series, percentile
from bench.records import line, uploads
from bench.run import Run
from bench.servers import replicating
from bench.sites import Site, introduce, site, until_held, until_verified
from federation.store import schema

_COLUMNS = "type, origin, key, seq, revision, hash, document"
_PLAIN = """
CREATE TABLE plain (
    type text, origin text, key text, seq bigint, revision bigint, hash bytea, document bytea,
    PRIMARY KEY (type, origin, key)
)
"""
BATCH = 1_000
"""Records of one transaction."""


async def measure(run: Run) -> None:
    """All of this part."""
    async with AsyncExitStack() as stack:
        directory = run.directory / "sync"
        arnia = await stack.enter_async_context(site("arnia", directory))
        megalis = await stack.enter_async_context(site("megalis", directory))
        await stack.enter_async_context(arnia.serving())
        run.tell(f"sync: publishing {run.records} records at the first node")
        await arnia.upload(uploads("arnia", 0, run.records))
        async with megalis.serving():
            await introduce(arnia, megalis)
        pair = await stack.enter_async_context(_pair(directory))
        await pair.fill(arnia)
        await _first(run, arnia, megalis, pair)
        await stack.enter_async_context(megalis.serving())
        await _batches(run, arnia, megalis, pair)
        await _one_by_one(run, arnia, megalis, pair)


async def _first(run: Run, arnia: Site, megalis: Site, pair: Pair) -> None:
    """A first copy of everything, to the moment when it is complete and verified."""
    node: list[float] = []
    rows: list[float] = []
    plain: list[float] = []
    memory: list[float] = []
    for turn in run.turns():
        run.tell(f"sync: first copy, turn {turn}")
        run.noise.probe()
        seconds, most = await _first_sync(arnia, megalis)
        node.append(run.records / seconds)
        memory.append(most)
        for table, rates in (("records", rows), ("plain", plain)):
            run.noise.probe()
            rates.append(run.records / await pair.copied(table, run.records))
    run.add(
        Figure(
            part="sync",
            work=f"first sync of {run.records}",
            unit="records/s",
            better="more",
            node=Series("node", tuple(node)),
            beside=(
                Series("logical replication, initial copy of the same rows", tuple(rows)),
                Series("the same of a plain table, one index", tuple(plain)),
            ),
            goal=Goal(least_ratio=0.60, aim=0.75),
        ),
        Figure(
            part="sync",
            work="memory of the puller, at most",
            unit="MB",
            better="less",
            node=Series("node", tuple(memory)),
            goal=Goal(most=300),
        ),
    )


async def _first_sync(arnia: Site, megalis: Site) -> tuple[float, float]:
    """Seconds and MB of a first sync, from the peer's heads being known to a digest that was compared."""
    await megalis.empty()
    async with arnia.looking() as there, megalis.looking() as here:
        head = await arnia.head(there)
        async with megalis.serving(ready=False):
            while not await here.fetchval("SELECT max(remote_head) FROM feeds WHERE origin = 'arnia'"):
                await asyncio.sleep(0.002)
            began = time.perf_counter()
            await until_verified(arnia, head, here)
            return time.perf_counter() - began, megalis.memory()["most"]


async def _batches(run: Run, arnia: Site, megalis: Site, pair: Pair) -> None:
    """Batches of a thousand revised records, one transaction after another, to the moment all are there."""
    many = min(run.records, 10 * BATCH)
    node, rows = [], []
    async with arnia.looking() as there, megalis.looking() as here:
        await until_held(arnia, await arnia.head(there), here)
        for turn in run.turns():
            run.tell(f"sync: batches, turn {turn}")
            run.noise.probe()
            bodies = list(uploads("arnia", 0, many, edition=turn))
            head = await arnia.head(there) + many
            began = time.perf_counter()
            await arnia.upload(bodies)
            await until_held(arnia, head, here)
            node.append(many / (time.perf_counter() - began))
            rows.append(many / await pair.revised(many))
    run.add(
        Figure(
            part="sync",
            work=f"publish and sync {many} revised, by {BATCH}",
            unit="records/s",
            better="more",
            node=Series("node", tuple(node)),
            beside=(Series("logical replication, UPDATE of the same rows", tuple(rows)),),
            note="through the API of one node until they are at the other; beside it nothing is validated",
        )
    )


async def _one_by_one(run: Run, arnia: Site, megalis: Site, pair: Pair) -> None:
    """One record published at a time: until it can be read at the other node."""
    series: dict[str, dict[str, list[float]]] = {"node": {}, "rows": {}}
    async with megalis.looking() as here:
        for turn in run.turns():
            run.tell(f"sync: one by one, turn {turn}")
            run.noise.probe()
            node = await one_by_one(run, arnia, here, 10_000_000 + turn * 1_000_000)
            rows = await pair.one_by_one(run, turn)
            for name, took in (("node", node), ("rows", rows)):
                for share in (0.50, 0.99):
                    series[name].setdefault(f"p{share * 100:.0f}", []).append(percentile(took, share))
    for name, most in (("p50", 6.0), ("p99", 20.0)):
        run.add(
            Figure(
                part="sync",
                work=f"publish at one node, readable at the other, 20/s, {name}",
                unit="ms",
                better="less",
                node=Series("node", tuple(series["node"][name])),
                beside=(Series("logical replication of one INSERT", tuple(series["rows"][name])),),
                goal=Goal(most=most),
            )
        )


EVERY = 0.05
"""Seconds between two publications."""


async def one_by_one(
    run: Run, origin: Site, here: Any, first: int, *, every: float = EVERY, most: int = 1_000
) -> list[float]:
    """Milliseconds from the request to the record being in the other database, one by one."""
    token = await origin.token()
    reader, writer = await asyncio.open_connection("127.0.0.1", origin.port)
    took: list[float] = []
    seen = "SELECT 1 FROM records WHERE type = 'deployment' AND origin = $1 AND key = $2"
    for number in range(first, first + min(run.singles, most)):
        began = time.perf_counter()
        key = f"demo-{number:07d}"
        body = line(origin.operator, number).replace(b'"key":"%s",' % key.encode(), b"", 1)
        path = f"/v1/deployments/{origin.operator}/{key}"
        began = time.perf_counter()
        writer.write(request("PUT", path, token=token, body=body, media_type="application/json"))
        answer = asyncio.ensure_future(_answer(reader))
        took.append(await _seen(began, here, seen, origin.operator, key, quickest=min(took, default=0.0)))
        await answer
        await asyncio.sleep(max(0.0, every - (time.perf_counter() - began)))
    writer.close()
    return took


async def _answer(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b" 201 " not in head.split(b"\r\n", 1)[0]:
        raise AssertionError(f"a record was not published: {head!r}")
    await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0]))


async def _seen(began: float, here: Any, statement: str, *arguments: Any, quickest: float = 0.0) -> float:
    """Milliseconds until a statement finds something; asked some three times a millisecond.

    Until half of the ``quickest`` time so far nothing is asked: it takes a processor from who is measured.
    """
    time.sleep(max(0.0, began + quickest / 2_000 - time.perf_counter()))  # noqa: ASYNC251
    async with asyncio.timeout(30):
        while await here.fetchval(statement, *arguments) is None:
            time.sleep(0.0002)  # noqa: ASYNC251 - the loop's own sleep lasts a millisecond at least
    return (time.perf_counter() - began) * 1_000


class Pair:
    """Two PostgreSQL servers, the second of which can subscribe to tables of the first."""

    def __init__(self, publisher: Any, subscriber: Any, dsn: str) -> None:
        self._publisher = publisher
        self._subscriber = subscriber
        self._conninfo = dsn

    async def fill(self, origin: Site) -> None:
        """Have the publisher hold the rows that the node holds, and publish them in two tables."""
        async with origin.looking() as there:
            with tempfile.TemporaryFile() as file:
                # (Columns that the database computes are computed on both sides.)
                stored = await there.fetch(
                    "SELECT attname FROM pg_attribute WHERE attrelid = 'records'::regclass"
                    " AND attnum > 0 AND attgenerated = '' AND NOT attisdropped"
                )
                columns = [row[0] for row in stored]
                query = f"SELECT {', '.join(columns)} FROM records"
                await there.copy_from_query(query, output=file, format="binary")
                file.seek(0)
                await self._publisher.execute("SET session_replication_role = replica")
                await self._publisher.copy_to_table("records", source=file, columns=columns, format="binary")
        for connection in (self._publisher, self._subscriber):
            await connection.execute(_PLAIN)
        await self._publisher.execute(
            f"INSERT INTO plain SELECT {_COLUMNS} FROM records;"
            "CREATE PUBLICATION records_pub FOR TABLE records; CREATE PUBLICATION plain_pub FOR TABLE plain"
        )
        await self._publisher.execute("VACUUM ANALYZE")

    async def copied(self, table: str, many: int) -> float:
        """Seconds of the initial copy of a table. The subscription stays for what follows."""
        await self._subscriber.execute(f"DROP SUBSCRIPTION IF EXISTS {table}_sub")
        await self._subscriber.execute(f"TRUNCATE {table}")
        began = time.perf_counter()
        await self._subscriber.execute(
            f"CREATE SUBSCRIPTION {table}_sub CONNECTION '{self._conninfo}' PUBLICATION {table}_pub"
        )
        ready = (
            "SELECT bool_and(srsubstate IN ('s', 'r')) FROM pg_subscription_rel"
            f" JOIN pg_subscription ON oid = srsubid WHERE subname = '{table}_sub'"
        )
        async with asyncio.timeout(600):
            while not await self._subscriber.fetchval(ready):
                await asyncio.sleep(0.002)
        took = time.perf_counter() - began
        held = await self._subscriber.fetchval(f"SELECT count(*) FROM {table}")
        assert held >= many, f"the copy of {table} has {held} rows of {many}"
        return took

    async def revised(self, many: int) -> float:
        """Seconds of so many updated rows, a transaction for each thousand, until all are there."""
        keys = await self._publisher.fetch(f"SELECT key FROM records ORDER BY key LIMIT {many}")
        began = time.perf_counter()
        for start in range(0, many, BATCH):
            await self._publisher.execute(
                "UPDATE records SET revision = revision + 1, hash = sha256(hash) WHERE key = ANY($1)",
                [row[0] for row in keys[start : start + BATCH]],
            )
        wanted = await self._publisher.fetchval("SELECT hash FROM records WHERE key = $1", keys[-1][0])
        await _seen(began, self._subscriber, "SELECT 1 FROM records WHERE hash = $1 AND key = $2",
                    wanted, keys[-1][0])  # fmt: skip
        return time.perf_counter() - began

    async def one_by_one(self, run: Run, turn: int) -> list[float]:
        """Milliseconds of one inserted row at a time."""
        took: list[float] = []
        row = await self._publisher.fetchrow(f"SELECT {_COLUMNS} FROM plain LIMIT 1")
        for number in range(run.singles):
            key = f"one-{turn}-{number}"
            began = time.perf_counter()
            await self._publisher.execute(
                f"INSERT INTO plain ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                *row[:2], key, *row[3:],
            )  # fmt: skip
            seen = "SELECT 1 FROM plain WHERE key = $1"
            took.append(await _seen(began, self._subscriber, seen, key, quickest=min(took, default=0.0)))
            await asyncio.sleep(max(0.0, EVERY - (time.perf_counter() - began)))
        return took


@asynccontextmanager
async def _pair(directory: Path) -> AsyncIterator[Pair]:
    async with replicating(directory / "pub") as one, replicating(directory / "sub") as two:
        for dsn in (one, two):
            await schema.migrate(dsn, "arnia")
        host = one.partition("host=")[2].partition("&")[0]
        publisher, subscriber = await asyncpg.connect(one), await asyncpg.connect(two)
        try:
            yield Pair(publisher, subscriber, f"host={host} port=5432 user=postgres dbname=postgres")
        finally:
            await subscriber.execute("DROP SUBSCRIPTION IF EXISTS records_sub")
            await subscriber.execute("DROP SUBSCRIPTION IF EXISTS plain_sub")
            await subscriber.close()
            await publisher.close()
