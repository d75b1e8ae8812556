"""Growth: how time and memory change with the number of records, of feeds, and of peers that wait."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import quote

import msgspec

from bench.certificates import make_certificate
from bench.crowd import Plan
from bench.load import Task, loaded, request
from bench.measuring import Figure, Goal, Series
from bench.records import PROVIDERS, uploads
from bench.run import Run
from bench.sites import Site, free_port, introduce, site, until_verified
from bench.waiting import crowd, introduce_all

SIZES, QUICK_SIZES = (10_000, 100_000, 1_000_000), (1_000, 5_000, 10_000)
FEEDS, QUICK_FEEDS = (4, 40, 400), (4, 40)
IDLE_SECONDS, QUICK_IDLE_SECONDS = 20.0, 4.0
CLIENTS = 4
"""Who ask at once while answers of a large table are timed."""


async def measure(run: Run) -> None:
    """All of this part."""
    await _records(run)
    await _feeds(run)


async def _records(run: Run) -> None:
    """A table that grows: loading, asking, and a first sync of the whole of it."""
    directory = run.directory / "growth"
    async with AsyncExitStack() as stack:
        arnia = await stack.enter_async_context(site("arnia", directory))
        await stack.enter_async_context(arnia.serving())
        held = 0
        for size in run.sizes or (QUICK_SIZES if run.quick else SIZES):
            run.tell(f"growth: loading up to {size} records")
            run.noise.probe()
            seconds = 0.0
            for first in range(held, size, 100_000):
                seconds += await arnia.upload(uploads("arnia", first, min(100_000, size - first)))
            _add(run, f"bulk upload, {held} to {size} records", "records/s", (size - held) / seconds, "more")
            held = size
            await arnia.until_at_rest()
            for work, paths in _questions():
                run.tell(f"growth: {work} of {size}")
                run.noise.probe()
                requests = [request("GET", path, token=await arnia.token()) for path in paths]
                task = Task(url=arnia.url, requests=requests, connections=CLIENTS, seconds=run.seconds)
                # Once each before: what a new process makes ready for a question it has not been asked.
                await loaded(msgspec.structs.replace(task, seconds=0.0))
                p95 = [(await loaded(task)).p95 for _ in run.turns()]
                goal = Goal(most=50) if size == 1_000_000 else None
                _add(run, f"{work} of {size} records, p95", "ms", p95, "less", goal)
            _add(run, f"memory of the node with {size} records", "MB", arnia.memory()["now"], "less")
        run.tell(f"growth: first sync of {held}")
        megalis = await stack.enter_async_context(site("megalis", directory))
        async with megalis.serving():
            await introduce(arnia, megalis)
        await megalis.empty()
        async with arnia.looking() as there, megalis.looking() as here, megalis.serving(ready=False):
            head = await arnia.head(there)
            began = time.perf_counter()
            memory: list[float] = []
            watch = asyncio.create_task(_memory(megalis, memory))
            await until_verified(arnia, head, here, seconds=1_800)
            seconds = time.perf_counter() - began
            watch.cancel()
        half = len(memory) // 2 or 1
        _add(run, f"first sync of {held}", "records/s", held / seconds, "more")
        _add(run, f"memory of the puller, first sync of {held}", "MB", max(memory), "less", Goal(most=300))
        _add(
            run, f"its growth in the second half of the sync of {held}", "MB",
            max(memory[half:], default=0) - max(memory[:half]), "less",
        )  # fmt: skip


def _questions() -> list[tuple[str, list[str]]]:
    """What is asked of a table: a page, a search, and who is hit by a vulnerability."""
    words = [quote(f"hébergeur {n}") for n in range(0, PROVIDERS, 35)]
    versions = ("9.5.13", "10.0.6", "10.0.15", "10.0.17")
    hit = [
        f"/v1/deployments?solution=arnia/glpi&version={version}&status=production&limit=50"
        for version in versions
    ]
    return [
        ("page of 50, filtered", [f"/v1/deployments?version={version}&limit=50" for version in versions]),
        ("full-text search", [f"/v1/deployments?q={word}&limit=50" for word in words]),
        ("deployments of a solution in a version", hit),
        ("deployments of a solution in a version, counted", [f"{path}&total=true" for path in hit]),
    ]


async def _memory(node: Site, seen: list[float]) -> None:
    while True:
        seen.append(node.memory()["now"])
        await asyncio.sleep(0.25)


def _add(
    run: Run,
    work: str,
    unit: str,
    found: float | list[float],
    better: Any,
    goal: Goal | None = None,
    note: str = "",
) -> None:
    node = Series("node", tuple(found) if isinstance(found, list) else (found,))
    run.add(Figure(part="growth", work=work, unit=unit, better=better, node=node, goal=goal, note=note))


async def _feeds(run: Run) -> None:
    """The same records in few feeds and in many, and what a head costs that does not move."""
    total = run.records // 5
    for many in QUICK_FEEDS if run.quick else FEEDS:
        run.tell(f"growth: {many} feeds of peers")
        async with site("megalis", run.directory / f"feeds-{many}") as megalis:
            certificate = megalis.peers_certificate = make_certificate(run.directory)
            plan = Plan.of(many, free_port(), certificate, records=total // many)
            async with crowd(plan, run.directory), megalis.looking() as here:
                async with megalis.serving():
                    pass  # it makes the node's key
                await introduce_all(megalis, plan)
                run.noise.probe()
                began = time.perf_counter()
                async with megalis.serving(ready=False):
                    await _held(here, plan.records * many)
                    _add(
                        run, f"{total} records in {many} feeds, from the start of the process", "s",
                        time.perf_counter() - began, "less",
                    )  # fmt: skip
                    await asyncio.sleep(1.0 if run.quick else 5.0)
                    seconds = QUICK_IDLE_SECONDS if run.quick else IDLE_SECONDS
                    before = megalis.processor()
                    await asyncio.sleep(seconds)
                    used = megalis.processor() - before
                    _add(
                        run, f"processor time of a node that follows {many} idle feeds", "% of a core",
                        max(used / seconds * 100, 0.01), "less",
                        note=f"{used / seconds / many * 1e6:.0f} µs a second for each head",
                    )  # fmt: skip
                    _add(
                        run,
                        f"memory of a node that follows {many} feeds",
                        "MB",
                        megalis.memory()["now"],
                        "less",
                    )


async def _held(here: Any, records: int) -> None:
    async with asyncio.timeout(600):
        while (await here.fetchval("SELECT sum(live) FROM feeds") or 0) < records:
            await asyncio.sleep(0.02)
