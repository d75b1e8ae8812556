"""Exposure of an incident over hundreds of thousands of deployments: how long an answer takes.

    python -m bench.exposure [--deployments 700000] [--asked 200]

Fills a PostgreSQL of its own with invented deployments of five operators, brings them in, and asks the HTTP
application (without a network) for the exposure of one incident; then again right after a deployment has
changed. Two of the operators register the software under keys of their own, and the last one serves bodies
of the whole country. Tells milliseconds and, beside them, those of a page of fifty deployments, asked in the
same way. ``make bench`` has it as a part.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from bench.measuring import Figure, Goal, Series, percentile
from bench.run import Run
from federation.domain.content.deployment import Deployment
from federation.domain.content.incident import Incident
from federation.domain.content.solution import Solution
from federation.domain.draft import Draft, check_draft
from federation.domain.feed import Cursor, FeedName
from federation.domain.record import to_record
from federation.domain.territories.bodies import bodies
from federation.domain.visibility import itself
from federation.node import clients, exposure_index, records
from federation.node.node import Node
from federation.postgres import server
from federation.server.app import api
from federation.server.local_node import node_of
from federation.server.observed import ObservedApplication
from federation.settings.settings import Settings
from federation.store import schema
from federation.store.database import open_store
from federation.telemetry import Metrics

OPERATORS = {"arnia": "27", "megalis": "53", "recia": "24", "maximilien": "11", "national": None}
"""Invented holdings of the four regions, and of an operator for the whole country."""
SOLUTIONS = {"recia": "recia/glpi", "maximilien": "maximilien/parc"}
"""Who registers the software under a key of its own; the others run arnia/glpi."""
REPOSITORY = "https://github.com/glpi-project/glpi"
OTHER_SOLUTIONS = 2_000
VERSIONS = ("9.5.13", "10.0.6", "10.0.15", "10.0.16", "10.0.17", "10.0.18", "10.0.19", None)
MOST = 50.0
"""Milliseconds in which 95 of 100 answers over 700 000 deployments are to be there."""
SLICE = 2_000


def content(operator: str, number: int) -> dict[str, Any]:
    """One invented deployment of GLPI for communes that the operator may serve."""
    chance = random.Random(f"{operator} {number}")
    here = _bodies_of(OPERATORS[operator])
    version = chance.choice(VERSIONS)
    return {
        "solution": SOLUTIONS.get(operator, "arnia/glpi"),
        "status": "production",
        "tenancy": "shared",
        "hosting": {"model": "operator", "country": "FR"},
        "coverage": {
            "kind": "list",
            "beneficiaries": [
                {"identifiers": [{"scheme": "0002", "value": siren}], "name": name}
                for siren, name in chance.sample(here, chance.choice((1, 1, 2, 3, 8)))
            ],
        },
        "environment": "demonstration",
        **({"version": version, "version_state": "exact"} if version else {"version_state": "unknown"}),
    }


_known: dict[str | None, list[tuple[str, str]]] = {}


def _bodies_of(region: str | None) -> list[tuple[str, str]]:
    if region not in _known:
        _known[region] = [(b.siren, b.name) for b in bodies() if region in (None, b.region) and b.siren]
    return _known[region]


async def fill(node: Node, many: int) -> None:
    """As if pulled: a fifth of the deployments of each operator, and the solutions."""
    now = node.clock()

    def written(kind: Any, operator: str, key: str, content: dict[str, Any]) -> Any:
        shape: Any = Draft
        draft = check_draft({"content": content}, shape[kind])
        return to_record(draft, kind, operator, key, revision=1, created_at=now, updated_at=now)

    async def keep(operator: str, audience: str, taken: list[Any]) -> None:
        async with node.store.write() as tx:
            place = await tx.feeds.open(FeedName(operator, audience), None)
            await tx.feeds.advance(place, Cursor("0" * 16, taken[-1][1]), delta=len(taken))
            await tx.pulled_records.upsert_in_place(operator, place.id, taken)

    for operator in OPERATORS:
        each = many // len(OPERATORS)
        for start in range(0, each, SLICE):
            await keep(operator, "federation", [
                (written(Deployment, operator, f"d{n:06}", content(operator, n)), n + 1)
                for n in range(start, min(start + SLICE, each))
            ])  # fmt: skip
        _, _, key = SOLUTIONS.get(operator, f"{operator}/glpi").partition("/")
        solutions = [written(Solution, operator, key, _solution(REPOSITORY))] + [
            written(Solution, operator, f"s{n}", _solution(f"https://git.example.org/{operator}/{n}"))
            for n in range(OTHER_SOLUTIONS // len(OPERATORS))
        ]
        await keep(operator, "public", [(one, n + 1) for n, one in enumerate(solutions)])


def _solution(repository: str) -> dict[str, Any]:
    return {
        "name": "GLPI (benchmark)",
        "summary": {"en": "Invented for a benchmark."},
        "kind": "software",
        "status": "stable",
        "licence": "GPL-3.0-or-later",
        "themes": ["it-asset-management"],
        "repository": repository,
    }


INCIDENT = {
    "title": {"en": "GLPI: SQL injection (benchmark)"},
    "summary": {"en": "Invented for a benchmark."},
    "kind": "vulnerability",
    "status": "open",
    "severity": "high",
    "detected_at": "2025-03-18T18:27:54Z",
    "affects": [{"solution": "arnia/glpi", "range": "vers:generic/>=10.0.0|<10.0.18"}],
    "aliases": ["CVE-2025-24799"],
}


Tell = Callable[[str], None]
Ask = Callable[[str], Awaitable[Any]]
PAGE = "a page of 50 deployments"


@asynccontextmanager
async def filled(directory: Path, many: int, tell: Tell) -> AsyncIterator[tuple[Node, Ask]]:
    """A node with so many deployments and an incident, and a client that asks it."""
    settings = Settings(operator="arnia", url="http://arnia.test", name="Arnia", data_dir=directory / "data")
    async with server.running(settings.data_dir, exclusive=True) as dsn:
        await schema.migrate(dsn, "arnia")
        async with open_store(dsn) as store, node_of(settings, store) as node:
            began = time.perf_counter()
            await fill(node, many)
            await node.store.vacuum()
            tell(f"{many} deployments written in {time.perf_counter() - began:.0f} s")
            began = time.perf_counter()
            await exposure_index.refresh(node)
            took = time.perf_counter() - began
            tell(f"brought in in {took:.1f} s, {many / took:.0f} a second")
            shape: Any = Draft
            incident = check_draft({"content": INCIDENT}, shape[Incident])
            await records.publish(node, Incident, incident, "arnia", "cve", by=itself("arnia"))
            transport = httpx2.ASGITransport(app=ObservedApplication(api(node), Metrics()))
            async with (
                httpx2.AsyncClient(transport=transport, base_url=node.url) as client,
                exposure_index.running(node),
            ):
                credentials = (await clients.add_client(node, "bench"))[:2]
                form = {"grant_type": "client_credentials"}
                got = await client.post("/oauth2/token", data=form, auth=credentials)
                client.headers["authorization"] = f"Bearer {got.json()['access_token']}"

                async def get(path: str) -> Any:
                    answer = await client.get(path)
                    answer.raise_for_status()
                    return answer.json()

                first = await get("/v1/incidents/arnia/cve/exposure")
                tell(first["summary"]["en"])
                tell(f"{len(first['linked_solutions'])} solutions are the same software")
                yield node, get


async def answered(node: Node, get: Ask, asked: int) -> dict[str, list[float]]:
    """Milliseconds of each answer, by what was asked."""

    async def changed(operator: str) -> list[float]:
        took = []
        for _ in range(asked):
            await _revise(node, operator)
            took += await timed(1, lambda: get("/v1/incidents/arnia/cve/exposure"))
        return took

    return {
        PAGE: await timed(asked, lambda: get("/v1/deployments?limit=50")),
        "exposure of an incident": await timed(asked, lambda: get("/v1/incidents/arnia/cve/exposure")),
        "exposure of a solution": await timed(asked, lambda: get("/v1/solutions/arnia/glpi/exposure")),
        "exposure of one's own": await timed(asked, lambda: get("/v1/exposure?mine=true")),
        "right after a deployment changed": await changed("arnia"),
        "right after one of the whole country's changed": await changed("national"),
    }


_revised = itertools.count(1)


async def _revise(node: Node, operator: str) -> None:
    """Another version and other bodies of a deployment: it leaves a group and enters one."""
    shape: Any = Draft
    number = next(_revised)
    draft = check_draft({"content": content(operator, 1_000_000 + number)}, shape[Deployment])
    key, now = f"d{number:06}", node.clock()
    if operator == node.operator:
        await records.publish(node, Deployment, draft, operator, key, by=itself(operator))
        return
    record = to_record(draft, Deployment, operator, key, revision=2, created_at=now, updated_at=now)
    async with node.store.write() as tx:
        place = await tx.feeds.open(FeedName(operator, "federation"), None)
        await tx.pulled_records.upsert_in_place(operator, place.id, [(record, 10_000_000 + number)])


async def timed(asked: int, ask: Callable[[], Awaitable[Any]]) -> list[float]:
    """Milliseconds of each call."""
    took = []
    for _ in range(asked):
        began = time.perf_counter()
        await ask()
        took.append((time.perf_counter() - began) * 1000)
    return took


async def measure(run: Run) -> None:
    """All of this part: what 95 of 100 answers take, turn by turn."""
    many = 20_000 if run.quick else 700_000
    took: dict[str, list[float]] = {}
    run.tell(f"exposure: {many} deployments")
    async with filled(run.directory / "exposure", many, run.tell) as (node, get):
        for turn in run.turns():
            run.tell(f"exposure: turn {turn}")
            run.noise.probe()
            for what, several in (await answered(node, get, run.singles)).items():
                took.setdefault(what, []).append(percentile(several, 0.95))
    for what, several in took.items():
        run.add(
            Figure(
                part="exposure", work=f"{what}, p95 of {many} deployments", unit="ms", better="less",
                node=Series("node", tuple(several)), goal=None if what == PAGE else Goal(most=MOST),
            )
        )  # fmt: skip


async def run_alone(many: int, asked: int) -> None:
    """The same by itself, told on the terminal."""
    with tempfile.TemporaryDirectory(prefix="federation-bench-") as place:
        async with filled(Path(place), many, print) as (node, get):
            for what, took in (await answered(node, get, asked)).items():
                middle, p95 = statistics.median(took), percentile(took, 0.95)
                print(f"{what:<58} p50 {middle:7.1f} ms   p95 {p95:7.1f} ms")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    options.add_argument("--deployments", type=int, default=700_000)
    options.add_argument("--asked", type=int, default=200)
    chosen = options.parse_args()
    asyncio.run(run_alone(chosen.deployments, chosen.asked))


if __name__ == "__main__":
    main()
