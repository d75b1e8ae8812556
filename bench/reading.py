"""Reading: one record, a page with a filter, a search, a page of changes; the token checked each time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from urllib.parse import quote

from bench import usual
from bench.load import Report, Task, loaded, request
from bench.measuring import Figure, Goal, Series
from bench.records import PROVIDERS, uploads
from bench.run import Run
from bench.servers import application
from bench.sites import Site, site

CONNECTIONS = 32
VERSIONS = ("9.5.13", "10.0.6", "10.0.15", "10.0.17", "10.0.18", "10.0.19", "15.10.8", "16.4.1")
BARE = "bare ASGI + asyncpg, no token"
USUAL = "Litestar + SQLAlchemy ORM, no token"


async def measure(run: Run) -> None:
    """All of this part."""
    async with AsyncExitStack() as stack:
        directory = run.directory / "reading"
        arnia = await stack.enter_async_context(site("arnia", directory))
        await stack.enter_async_context(arnia.serving())
        run.tell(f"reading: publishing {run.records} records")
        await arnia.upload(uploads("arnia", 0, run.records))
        log = directory / "others.log"
        bare = await stack.enter_async_context(application("bench.bare", arnia.dsn, log))
        usual_ = await stack.enter_async_context(application("bench.usual", arnia.dsn, log))
        async with arnia.looking() as connection:
            await connection.execute(usual.FILL)
            await connection.execute("VACUUM ANALYZE records")
            epoch = str(await connection.fetchval("SELECT epoch FROM node"))
            arrival = int(await connection.fetchval("SELECT arrival FROM node"))
        contenders = {"node": arnia.url, BARE: bare, USUAL: usual_}
        step = max(run.records // 1_000, 1)
        works: list[tuple[str, list[str], Goal | None, Callable[[Report], float], str, bool]] = [
            (
                "GET one record",
                [f"/v1/deployments/arnia/demo-{n:07d}" for n in range(0, run.records, step)],
                Goal(least_ratio=0.60, aim=0.75),
                lambda report: report.rate,
                "requests/s",
                True,
            ),
            (
                "page of 50, filtered by version",
                [f"/v1/deployments?version={version}&limit=50" for version in VERSIONS],
                Goal(least_ratio=0.85),
                lambda report: report.rate,
                "requests/s",
                True,
            ),
            (
                "full-text search, page of 50",
                [
                    f"/v1/deployments?q={quote(f'hébergeur {n}')}&sort=-updated_at&limit=50"
                    for n in range(0, PROVIDERS, PROVIDERS // 40)
                ],
                None,
                lambda report: report.rate,
                "requests/s",
                True,
            ),
            (
                "changes, page of 200",
                [
                    f"/v1/changes?after={epoch}.{after}&limit=200"
                    for after in range(0, max(arrival - 200, 1), max(arrival // 100, 1))
                ],
                None,
                lambda report: report.rate,
                "requests/s",
                False,
            ),
        ]
        for work, paths, goal, told, unit, everywhere in works:
            found: dict[str, list[float]] = {}
            for turn in run.turns():
                run.tell(f"reading: {work}, turn {turn}")
                for name, url in contenders.items():
                    if name == USUAL and not everywhere:
                        continue
                    run.noise.probe()
                    report = await _load(run, arnia, url, paths, mine=name == "node")
                    run.busiest = max(run.busiest, report.cpu / report.seconds)
                    found.setdefault(name, []).append(told(report))
            node, *others = (Series(name, tuple(values)) for name, values in found.items())
            run.add(
                Figure(
                    part="reading",
                    work=work,
                    unit=unit,
                    better="more",
                    node=node,
                    beside=tuple(others),
                    goal=goal,
                )
            )


async def _load(run: Run, arnia: Site, url: str, paths: list[str], *, mine: bool) -> Report:
    """The node's requests carry a token, which it checks; those of the others carry none."""
    token = await arnia.token() if mine else None
    requests = [request("GET", path, token=token) for path in paths]
    warm = Task(url=url, requests=requests, connections=CONNECTIONS, seconds=0.3)
    await loaded(warm)
    return await loaded(Task(url=url, requests=requests, connections=CONNECTIONS, seconds=run.seconds))
