"""Exposure of an incident over hundreds of thousands of deployments: how long an answer takes.

    python -m bench.exposure [--deployments 700000] [--asked 200]

Fills a PostgreSQL of its own with invented deployments of four operators, brings them in, and asks the HTTP
application (without a network) for the exposure of one incident; then again while deployments change. Prints
milliseconds and, beside them, those of a page of fifty deployments, asked in the same way.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2

from federation import admin, exposure
from federation.app import api, node_of
from federation.domain.deployment import Deployment
from federation.domain.document import Draft, check_draft, write_down
from federation.domain.feed import Cursor, FeedName
from federation.domain.incident import Incident
from federation.domain.register.bodies import bodies
from federation.domain.visibility import itself
from federation.node import Node
from federation.observe import Metrics, Observed
from federation.settings import Settings
from federation.store import embedded, schema
from federation.store.database import opened

OPERATORS = {"arnia": "27", "megalis": "53", "recia": "24", "maximilien": "11"}
VERSIONS = ("9.5.13", "10.0.6", "10.0.15", "10.0.16", "10.0.17", "10.0.18", "10.0.19", None)
SLICE = 2_000


def content(operator: str, number: int) -> dict[str, Any]:
    """One invented deployment of GLPI for communes of the operator's region."""
    chance = random.Random(f"{operator} {number}")
    here = _bodies_of(OPERATORS[operator])
    version = chance.choice(VERSIONS)
    return {
        "solution": "arnia/glpi",
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


_known: dict[str, list[tuple[str, str]]] = {}


def _bodies_of(region: str) -> list[tuple[str, str]]:
    if region not in _known:
        _known[region] = [(b.siren, b.name) for b in bodies() if b.region == region and b.siren]
    return _known[region]


async def fill(node: Node, many: int) -> None:
    """As if pulled: a quarter of the deployments of each operator."""
    shape: Any = Draft
    now = node.clock()
    for operator in OPERATORS:
        for start in range(0, many // len(OPERATORS), SLICE):
            taken = []
            for number in range(start, min(start + SLICE, many // len(OPERATORS))):
                draft = check_draft({"content": content(operator, number)}, shape[Deployment])
                record = write_down(
                    draft, Deployment, operator, f"d{number:06}", revision=1, created_at=now, updated_at=now
                )
                taken.append((record, number + 1))
            async with node.store.write() as tx:
                place = await tx.feeds.open(FeedName(operator, "federation"), None)
                await tx.feeds.advance(place, Cursor("0" * 16, taken[-1][1]), delta=len(taken))
                await tx.records.take(operator, place.id, taken)


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


async def timed(asked: int, ask: Callable[[], Awaitable[Any]]) -> list[float]:
    """Milliseconds of each call, in order of length."""
    took = []
    for _ in range(asked):
        began = time.perf_counter()
        await ask()
        took.append((time.perf_counter() - began) * 1000)
    return sorted(took)


def told(name: str, took: list[float]) -> None:
    p95 = took[int(len(took) * 0.95)]
    print(f"{name:<58} p50 {statistics.median(took):7.1f} ms   p95 {p95:7.1f} ms")


async def run(many: int, asked: int) -> None:
    with tempfile.TemporaryDirectory(prefix="federation-bench-") as place:
        settings = Settings(
            operator="arnia", url="http://arnia.test", name="Arnia", data_dir=Path(place) / "data"
        )
        async with embedded.running(settings.data_dir, exclusive=True) as dsn:
            await schema.migrate(dsn, "arnia")
            async with opened(dsn) as store, node_of(settings, store) as node:
                began = time.perf_counter()
                await fill(node, many)
                await node.store.refresh_statistics()
                print(f"{many} deployments written in {time.perf_counter() - began:.0f} s")
                began = time.perf_counter()
                await exposure.bring_in(node, within=3_600)
                took = time.perf_counter() - began
                print(f"brought in in {took:.1f} s, {many / took:.0f} a second")
                shape: Any = Draft
                incident = check_draft({"content": INCIDENT}, shape[Incident])
                await node.publish(Incident, incident, "arnia", "cve", by=itself("arnia"))
                await _measure(node, asked)


async def _measure(node: Node, asked: int) -> None:
    transport = httpx2.ASGITransport(app=Observed(api(node), Metrics()))
    async with httpx2.AsyncClient(transport=transport, base_url=node.url) as client:
        credentials = (await admin.add_client(node, "bench"))[:2]
        got = await client.post("/oauth2/token", data={"grant_type": "client_credentials"}, auth=credentials)
        client.headers["authorization"] = f"Bearer {got.json()['access_token']}"

        async def get(path: str) -> Any:
            answer = await client.get(path)
            answer.raise_for_status()
            return answer.json()

        first = await get("/v1/incidents/arnia/cve/exposure")
        print(first["summary"]["en"])
        told("a page of 50 deployments", await timed(asked, lambda: get("/v1/deployments?limit=50")))
        told("exposure of an incident", await timed(asked, lambda: get("/v1/incidents/arnia/cve/exposure")))
        told("exposure of a solution", await timed(asked, lambda: get("/v1/solutions/arnia/glpi/exposure")))
        told("exposure of one's own", await timed(asked, lambda: get("/v1/exposure?mine=true")))
        shape: Any = Draft
        number = 0

        async def revised() -> None:
            nonlocal number
            number += 1
            draft = check_draft({"content": content("arnia", 1_000_000 + number)}, shape[Deployment])
            await node.publish(Deployment, draft, "arnia", f"d{number:06}", by=itself("arnia"))
            began = time.perf_counter()
            await get("/v1/incidents/arnia/cve/exposure")
            after.append((time.perf_counter() - began) * 1000)

        after: list[float] = []
        await timed(asked, revised)
        told("exposure of an incident, right after a deployment changed", sorted(after))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    options.add_argument("--deployments", type=int, default=700_000)
    options.add_argument("--asked", type=int, default=200)
    chosen = options.parse_args()
    asyncio.run(run(chosen.deployments, chosen.asked))


if __name__ == "__main__":
    main()
