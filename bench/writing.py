"""Writing: one record at a time with 1, 8 and 32 clients, and a bulk upload."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from typing import Any

from bench.load import Task, loaded, request
from bench.measuring import Figure, Goal, Series
from bench.reading import BARE, USUAL
from bench.records import draft, record, uploads
from bench.run import Run
from bench.servers import application
from bench.sites import Site, site
from federation.domain.canonical import canonical
from federation.domain.record import Record

CLIENTS = (1, 8, 32)


async def measure(run: Run) -> None:
    """All of this part."""
    async with AsyncExitStack() as stack:
        directory = run.directory / "writing"
        arnia = await stack.enter_async_context(site("arnia", directory))
        await stack.enter_async_context(arnia.serving())
        log = directory / "others.log"
        bare = await stack.enter_async_context(application("bench.bare", arnia.dsn, log))
        usual = await stack.enter_async_context(application("bench.usual", arnia.dsn, log))
        await _bulk(run, arnia)
        await _one_at_a_time(run, arnia, {"node": arnia.url, BARE: bare, USUAL: usual})


async def _one_at_a_time(run: Run, arnia: Site, contenders: dict[str, str]) -> None:
    """Each request publishes a record that is new; committed when it is answered."""
    number = 10_000_000
    for clients in CLIENTS:
        found: dict[str, list[float]] = {}
        many = int(400 * run.seconds) * min(clients, 4) // 2
        for turn in run.turns():
            run.tell(f"writing: PUT with {clients} clients, turn {turn}")
            for name, url in contenders.items():
                token = await arnia.token() if name == "node" else None
                requests = [_put(token, n) for n in range(number, number + many)]
                number += many
                run.noise.probe()
                report = await loaded(
                    Task(url=url, requests=requests, connections=clients, expected=(200, 201))
                )
                run.busiest = max(run.busiest, report.cpu / report.seconds)
                found.setdefault(name, []).append(report.rate)
        node, *others = (Series(name, tuple(values)) for name, values in found.items())
        run.add(
            Figure(
                part="writing",
                work=f"PUT of one new record, {clients} client{'s' if clients > 1 else ''}",
                unit="records/s",
                better="more",
                node=node,
                beside=tuple(others),
            )
        )


def _put(token: str | None, number: int) -> bytes:
    found = draft("arnia", number)
    path = f"/v1/deployments/arnia/{found.pop('key')}"
    return request("PUT", path, token=token, body=canonical(found), media_type="application/json")


async def _bulk(run: Run, arnia: Site) -> None:
    """Records that are new, in one upload; beside them COPY and a merge of the rows they become."""
    run.tell(f"writing: making {run.records} records")
    bodies = list(uploads("arnia", 0, run.records))
    rows = [_row(number, record("arnia", line)) for number, line in enumerate(_lines(bodies), 1)]
    node, merged = [], []
    async with arnia.looking() as connection:
        await connection.execute("CREATE TABLE merged (LIKE records INCLUDING ALL)")
        for turn in run.turns():
            run.tell(f"writing: bulk, turn {turn}")
            await arnia.empty()
            run.noise.probe()
            node.append(run.records / await arnia.upload(bodies))
            await connection.execute("TRUNCATE merged")
            run.noise.probe()
            merged.append(run.records / await _merged(connection, rows))
        await connection.execute("DROP TABLE merged")
        await arnia.empty()
    run.add(
        Figure(
            part="writing",
            work=f"bulk upload of {run.records}",
            unit="records/s",
            better="more",
            node=Series("node", tuple(node)),
            beside=(Series("asyncpg COPY + merge of the same rows, same indexes", tuple(merged)),),
            goal=Goal(least_ratio=0.50),
            note="beside it nothing is parsed, validated, hashed or numbered",
        )
    )


def _lines(bodies: list[bytes]) -> list[bytes]:
    return [line for body in bodies for line in body.splitlines()]


_COLUMNS = (
    "type", "origin", "key", "feed", "seq", "arrived", "revision", "tlp", "audience", "retracted",
    "created_at", "updated_at", "hash", "document", "facets", "beneficiaries", "french", "other",
)  # fmt: skip
_MERGE = f"""
INSERT INTO merged ({", ".join(_COLUMNS[:-2])}, search)
SELECT {", ".join(_COLUMNS[:-2])},
       to_tsvector('federation_french', other || ' ' || french) || to_tsvector('federation_simple', other)
FROM coming
ON CONFLICT (type, origin, key) DO UPDATE SET
    seq = excluded.seq, arrived = excluded.arrived, revision = excluded.revision,
    updated_at = excluded.updated_at, hash = excluded.hash, document = excluded.document,
    facets = excluded.facets, beneficiaries = excluded.beneficiaries, search = excluded.search
"""


def _row(number: int, made: Record) -> tuple[Any, ...]:
    found = made.projection
    return (
        made.type, made.origin, made.key, 1, number, number, made.revision, made.tlp, made.audience,
        made.retracted, made.created_at, made.updated_at, made.hash, made.document,
        found.facets, found.beneficiaries, found.french, found.other,
    )  # fmt: skip


async def _merged(connection: Any, rows: list[tuple[Any, ...]]) -> float:
    """Seconds of COPY into a temporary table and one merge."""
    began = time.perf_counter()
    async with connection.transaction():
        await connection.execute(
            "CREATE TEMPORARY TABLE coming ON COMMIT DROP AS"
            f" SELECT {', '.join(_COLUMNS[:-2])}, ''::text AS french, ''::text AS other"
            " FROM merged LIMIT 0"
        )
        await connection.copy_records_to_table("coming", records=rows, columns=_COLUMNS)
        await connection.execute(_MERGE)
    return time.perf_counter() - began
