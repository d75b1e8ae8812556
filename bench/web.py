"""The page of a commune over hundreds of thousands of deployments and thousands of offers, beside the API.

    python -m bench.web [--deployments 700000] [--offers 20000] [--asked 200]

Fills a PostgreSQL of its own with invented deployments (``exposure.py``) and invented offers of a hundred
operators: four fifths for one to three départements, most others for a region, a hundredth for everybody.
Each has a tariff of two to eight parts. Asks the HTTP application (without a network), without a token, what
communes drawn by lot may join, by the API and by the page; then a list and its page. Tells milliseconds, and
for pages the processor time beside that of the same page of the API.
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
from typing import Any, NamedTuple

import httpx2

from bench.exposure import MOST, SLICE, Tell, filled
from bench.measuring import Figure, Goal, Series, percentile
from bench.run import Run
from federation.domain.content.offer import Offer
from federation.domain.draft import Draft, check_draft
from federation.domain.feed import Cursor, FeedName
from federation.domain.record import to_record
from federation.domain.territories.areas import REGIONS, region_of
from federation.domain.territories.bodies import bodies
from federation.node.node import Node
from federation.server.app import api
from federation.server.observed import ObservedApplication
from federation.telemetry import Metrics

OPERATORS = 100
"""Invented operators, each with as many offers."""
MOST_OF_API = 2.0
"""Processor time of a page, in times of that of the same page of the API."""
_KINDS = ("commune", "epci", "ccas", "school", "syndicat")
_BASES = ("body", "inhabitant", "agent", "user")


class Timed(NamedTuple):
    """Milliseconds of each answer, and those of the processor for all of them, per answer."""

    answers: list[float]
    processor: float


def content(number: int) -> dict[str, Any]:
    """One invented offer, about 2.5 kB."""
    chance = random.Random(f"offer {number}")
    lot = chance.random()
    eligibility: dict[str, Any] = {}
    if lot < 0.8:
        eligibility["territory"] = chance.sample(sorted(region_of()), chance.choice((1, 1, 1, 2, 3)))
    elif lot < 0.99:
        eligibility["territory"] = [chance.choice(sorted(REGIONS))]
    if chance.random() < 0.5:
        eligibility["kinds"] = chance.sample(_KINDS, 3)
    if chance.random() < 0.3:
        eligibility["population"] = {"to": chance.choice((1_000, 3_500, 10_000, 100_000))}
    bounds = [0, *sorted(chance.sample(range(200, 50_000), chance.randrange(1, 8)))]
    parts = [
        {
            "label": {"fr": f"Adhésion, de {first} à {last} habitants (invention)"},
            "when": "yearly",
            "basis": chance.choice(_BASES),
            "micros": chance.randrange(100_000, 5_000_000_000),
            "population": {"from": first, "to": last - 1},
        }
        for first, last in itertools.pairwise([*bounds, 3_000_000])
    ]
    steps = ("Délibération de l'organe délibérant", "Convention", "Ouverture du service et formation")
    return {
        "solution": f"arnia/s{number % 400}",
        "title": {"fr": f"Service mutualisé {number} (invention)"},
        "summary": {"fr": "Une instance commune, hébergée et mise à jour pour les adhérents. " * 4},
        "contact": "offres@operateur.example.org",
        "pricing": "tariff",
        "eligibility": eligibility,
        "tariff": {"currency": "EUR", "vat": "excluded", "parts": parts},
        "steps": [{"what": {"fr": step}, "who": "l'adhérent", "weeks": 4} for step in steps],
        "valid_until": "2099-12-31",
    }


async def fill_offers(node: Node, many: int) -> None:
    """As if pulled: the public offers of a hundred operators."""
    now = node.clock()
    shape: Any = Draft
    for operator in range(OPERATORS):
        name = f"operator-{operator:03}"
        numbers = range(operator, many, OPERATORS)
        pulled = []
        for seq, number in enumerate(numbers, 1):
            draft = check_draft({"content": content(number), "tlp": "CLEAR"}, shape[Offer])
            key = f"o{number:06}"
            record = to_record(draft, Offer, name, key, revision=1, created_at=now, updated_at=now)
            pulled.append((record, seq))
        for start in range(0, len(pulled), SLICE):
            batch = pulled[start : start + SLICE]
            async with node.store.write() as tx:
                feed = await tx.feeds.open(FeedName(name, "public"), None)
                await tx.feeds.advance(feed, Cursor("0" * 16, batch[-1][1]), delta=len(batch))
                await tx.pulled_records.upsert_in_place(name, feed.id, batch)


Ask = Callable[[str], Awaitable[bytes]]


@asynccontextmanager
async def asking(directory: Path, deployments: int, offers: int, tell: Tell) -> AsyncIterator[Ask]:
    """Somebody without a token, who asks a node with so many records."""
    async with filled(directory, deployments, tell) as (node, _):
        began = time.perf_counter()
        await fill_offers(node, offers)
        await node.store.vacuum()
        tell(f"{offers} offers written in {time.perf_counter() - began:.0f} s")
        transport = httpx2.ASGITransport(app=ObservedApplication(api(node), Metrics()))
        async with httpx2.AsyncClient(transport=transport, base_url=node.url) as client:

            async def get(path: str) -> bytes:
                answer = await client.get(path)
                answer.raise_for_status()
                return answer.content

            began = time.perf_counter()
            await node.offer_index.refresh(node.store)  # as a process does when it starts
            tell(f"the catalogue of offers read in {time.perf_counter() - began:.1f} s")
            began = time.perf_counter()
            first = await get("/v1/bodies/cog:71076/offers?limit=1")
            tell(f"the first answer: {time.perf_counter() - began:.1f} s, {first[-900:]!r}")
            yield get


async def timed(paths: list[str], get: Ask) -> Timed:
    """Ask for each path in turn."""
    answers = []
    began = time.process_time()
    for path in paths:
        asked = time.perf_counter()
        await get(path)
        answers.append((time.perf_counter() - asked) * 1000)
    return Timed(answers, (time.process_time() - began) * 1000 / len(paths))


OFFERS, OFFERS_PAGE = "offers for a commune", "the page of a commune"
FIND = "find a commune"
LIST, LIST_PAGE = "a list of 50 solutions with their number", "the page of that list"
PAGES = {OFFERS_PAGE: OFFERS, LIST_PAGE: LIST}
"""Pages, and the answers of the API that have the same."""


async def answered(get: Ask, asked: int, turn: int) -> dict[str, Timed]:
    """What each question takes. (A list has fifty of each, and a page of a commune twenty offers.)"""
    chance = random.Random(turn)
    drawn = chance.sample([body for body in bodies() if body.kind == "commune"], asked)
    return {
        OFFERS: await timed(
            [f"/v1/bodies/cog:{body.cog}/offers?limit=20&elsewhere=false" for body in drawn], get
        ),
        OFFERS_PAGE: await timed([f"/fr/bodies/cog:{body.cog}" for body in drawn], get),
        FIND: await timed([f"/v1/bodies?q={body.name}" for body in drawn], get),
        LIST: await timed(["/v1/solutions?limit=50&total=true"] * asked, get),
        LIST_PAGE: await timed(["/fr/solutions"] * asked, get),
    }


async def measure(run: Run) -> None:
    """All of this part: what 95 of 100 answers take, turn by turn."""
    deployments, offers = (20_000, 2_000) if run.quick else (700_000, 20_000)
    took: dict[str, list[float]] = {}
    times: dict[str, list[float]] = {}
    run.tell(f"web: {deployments} deployments, {offers} offers")
    async with asking(run.directory / "web", deployments, offers, run.tell) as get:
        for turn in run.turns():
            run.tell(f"web: turn {turn}")
            run.noise.probe()
            found = await answered(get, run.singles, turn)
            for what, measured in found.items():
                took.setdefault(what, []).append(percentile(measured.answers, 0.95))
            for page, beside in PAGES.items():
                times.setdefault(page, []).append(found[page].processor / found[beside].processor)
    for what, several in took.items():
        run.add(
            Figure(
                part="web", work=f"{what}, p95 of {deployments} deployments and {offers} offers", unit="ms",
                better="less", node=Series("node", tuple(several)), goal=Goal(most=MOST),
            )
        )  # fmt: skip
    for what, several in times.items():
        run.add(
            Figure(
                part="web", work=f"processor time of {what}, in times of that of the API", unit="times",
                better="less", node=Series("node", tuple(several)), goal=Goal(most=MOST_OF_API),
            )
        )  # fmt: skip


async def run_alone(deployments: int, offers: int, asked: int) -> None:
    """The same by itself, told on the terminal."""
    with tempfile.TemporaryDirectory(prefix="federation-bench-") as place:
        async with asking(Path(place), deployments, offers, print) as get:
            await answered(get, min(asked, 20), 0)
            for what, (took, processor) in (await answered(get, asked, 1)).items():
                middle, p95 = statistics.median(took), percentile(took, 0.95)
                print(f"{what:<40} p50 {middle:7.1f} ms   p95 {p95:7.1f} ms   processor {processor:7.1f} ms")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    options.add_argument("--deployments", type=int, default=700_000)
    options.add_argument("--offers", type=int, default=20_000)
    options.add_argument("--asked", type=int, default=200)
    chosen = options.parse_args()
    asyncio.run(run_alone(chosen.deployments, chosen.offers, chosen.asked))


if __name__ == "__main__":
    main()
