"""Lists: filters, words, order, pages."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import httpx2
import msgspec
import pytest

from federation.domain.query import CONTROLS, filters_of
from federation.domain.registry import TYPES
from federation.node.node import Node
from tests.api.http_client import fine, put, refused
from tests.domain.builders import (
    a_consultation,
    a_contribution,
    a_deployment,
    a_group,
    a_meeting,
    a_membership,
    a_participation,
    a_practice,
    a_purchase,
    a_solution,
    a_statement,
    an_incident,
    an_offer,
    an_operator,
)
from tests.nodes import publish


async def keys(client: httpx2.AsyncClient, asked: str) -> list[str]:
    return [item["key"] for item in fine(await client.get(f"/v1/{asked}"), 200)["items"]]


# One record of each type that every filter finds, and one that none of them finds.
FOUND: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, str]]] = {
    "solution": (
        a_solution(kind="ai-model", status="beta", themes=["ai", "education"], licence="MIT"),
        a_solution(),
        {"kind": "ai-model", "status": "beta", "theme": "education", "licence": "MIT", "tlp": "RED"},
    ),
    "deployment": (
        a_deployment(
            solution="recia/ent", status="pilot", tenancy="dedicated", version="2.1",
            hosting={"model": "public-cloud", "country": "BE"}, environment="test",
            coverage={"kind": "territory", "territory": ["FR-BFC", "71"]},
        ),
        a_deployment(environment="production", version="2"),
        {
            "solution": "recia/ent", "status": "pilot", "tenancy": "dedicated", "version": "2.1",
            "hosting": "public-cloud", "country": "BE", "environment": "test",
            "territory": "71", "tlp": "RED",
        },
    ),
    "incident": (
        an_incident(
            kind="vulnerability", severity="critical", exploitation="active", status="mitigated",
            aliases=["CVE-2026-0001", "GHSA-1"],
            affects=[{"solution": "recia/ent", "deployments": ["recia/ent-1"]}],
        ),
        an_incident(exploitation="none", aliases=["CVE-2026-0002"]),
        {
            "kind": "vulnerability", "severity": "critical", "exploitation": "active", "alias": "GHSA-1",
            "status": "mitigated", "solution": "recia/ent", "deployment": "recia/ent-1", "operator": "recia",
            "tlp": "RED",
        },
    ),
    "statement": (
        a_statement(incident="recia/i", status="fixed", deployments=["recia/ent-1"]),
        a_statement(),
        {"incident": "recia/i", "status": "fixed", "deployment": "recia/ent-1", "tlp": "RED"},
    ),
    "operator": (
        an_operator(country="BE", territory=["BE", "BE-VLG"]),
        an_operator(),
        {"country": "BE", "territory": "BE-VLG", "tlp": "RED"},
    ),
    "group": (a_group(members=["recia"]), a_group(members=["megalis"]), {"member": "recia"}),
    "membership": (a_membership(operator="recia"), a_membership(), {"operator": "recia", "tlp": "RED"}),
    "offer": (
        an_offer(
            solution="recia/ent", pricing="on-request", consultation="recia/c", deployments=["recia/ent-1"],
            eligibility={"kinds": ["commune", "epci"], "territory": ["FR-BFC", "71"]},
        ),
        an_offer(eligibility={"kinds": ["region"], "territory": ["FR-CVL"]}),
        {
            "solution": "recia/ent", "pricing": "on-request", "consultation": "recia/c", "territory": "71",
            "deployment": "recia/ent-1", "kind": "epci", "tlp": "RED",
        },
    ),
    "practice": (
        a_practice(
            kind="lesson", themes=["ai", "education"], solutions=["recia/ent"], audience_kinds=["school"]
        ),
        a_practice(themes=["crm"]),
        {
            "kind": "lesson", "theme": "education", "solution": "recia/ent", "audience_kind": "school",
            "tlp": "RED",
        },
    ),
    "meeting": (
        a_meeting(
            status="held", series="mensuelle", attending=["recia", "arnia"],
            tasks=[{"key": "a", "text": {"fr": "Rédiger"}, "owner": "megalis"}],
        ),
        a_meeting(attending=["arnia"]),
        {"status": "held", "series": "mensuelle", "attending": "recia", "owner": "megalis", "tlp": "RED"},
    ),
    "contribution": (
        a_contribution(about={"type": "offer", "id": "recia/ent"}, kind="task-done", task="a"),
        a_contribution(),
        {"about": "recia/ent", "about_type": "offer", "kind": "task-done", "task": "a", "tlp": "RED"},
    ),
    "purchase": (
        a_purchase(kind="centrale-d-achat", mode="wholesaler", status="open", territory=["71"]),
        a_purchase(status="ended", territory=["FR-CVL"]),
        {
            "kind": "centrale-d-achat", "mode": "wholesaler", "status": "open", "territory": "FR-BFC",
            "tlp": "RED",
        },
    ),
    "consultation": (
        a_consultation(
            purchase="recia/p", status="launched", solutions=["recia/ent"], themes=["education"],
            cpv=["48000000-8"],
        ),
        a_consultation(cpv=["48000000"]),
        {
            "purchase": "recia/p", "status": "launched", "solution": "recia/ent", "theme": "education",
            "cpv": "48000000-8", "tlp": "RED",
        },
    ),
    "participation": (
        a_participation(
            consultation="recia/c", state="signed", bodies={"kind": "territory", "territory": ["71"]}
        ),
        a_participation(),
        {"consultation": "recia/c", "state": "signed", "territory": "71", "tlp": "RED"},
    ),
}  # fmt: skip


NOBODY: dict[str, dict[str, str]] = {
    "solution": {
        "kind": "dataset", "status": "obsolete", "theme": "crm", "licence": "EUPL-1.2", "tlp": "GREEN"
    },
    "deployment": {
        "solution": "nobody/x", "status": "retired", "hosting": "vendor-saas", "country": "DE",
        "environment": "acceptance", "version": "9", "territory": "FR-BRE", "tlp": "GREEN",
    },
    "incident": {
        "kind": "maintenance", "severity": "none", "exploitation": "poc", "alias": "CVE-1999-0001",
        "status": "fixed", "solution": "nobody/x", "deployment": "nobody/x", "operator": "nobody",
    },
    "statement": {"incident": "nobody/x", "status": "under_investigation", "deployment": "nobody/x"},
    "operator": {"country": "DE", "territory": "DE"},
    "group": {"member": "nobody"},
    "membership": {"operator": "nobody"},
    "offer": {
        "solution": "nobody/x", "pricing": "tariff", "consultation": "nobody/x", "territory": "FR-BRE",
        "deployment": "nobody/x", "kind": "ccas",
    },
    "practice": {"kind": "template", "theme": "hr", "solution": "nobody/x", "audience_kind": "region"},
    "meeting": {"status": "cancelled", "series": "nobody", "attending": "nobody", "owner": "nobody"},
    "contribution": {"about": "nobody/x", "about_type": "solution", "kind": "answer", "task": "nobody"},
    "purchase": {"kind": "partenariat", "mode": "intermediary", "status": "closed", "territory": "FR-BRE"},
    "consultation": {
        "purchase": "nobody/x", "status": "idea", "solution": "nobody/x", "theme": "hr", "cpv": "99999999-9",
    },
    "participation": {"consultation": "nobody/x", "state": "withdrawn", "territory": "FR-BRE"},
}  # fmt: skip
"""Values that a filter can have and none of the records above."""


RETIRED = {"deployment": {"open"}}
"""Filters of members that no writer sends any more: they find what was stored before."""


@pytest.mark.parametrize("name", TYPES)
async def test_each_filter_of_a_type_finds_what_has_it_and_nothing_else(
    own: httpx2.AsyncClient, arnia: Node, name: str
) -> None:
    kind = TYPES[name]
    wanted, other, values = FOUND[name]
    assert {*values, "origin", "tlp"} == {"beneficiary", "origin", "tlp", *filters_of(kind)} - (
        set() if "beneficiary" in values else {"beneficiary"}
    ) - (set() if name != "group" else {"tlp"}) - RETIRED.get(name, set()) | {"tlp"}
    await publish(arnia, name, "wanted", wanted, tlp="RED")
    await publish(arnia, name, "other", other, **({} if name == "group" else {"tlp": "CLEAR"}))
    for filter_, value in values.items():
        assert await keys(own, f"{kind.plural}?{filter_}={quote(value, safe='')}") == ["wanted"], filter_
        if (nobody := NOBODY[name].get(filter_)) is not None:
            assert await keys(own, f"{kind.plural}?{filter_}={nobody}") == [], filter_
    everything = "&".join(f"{filter_}={quote(value, safe='')}" for filter_, value in values.items())
    assert await keys(own, f"{kind.plural}?{everything}&origin=arnia") == ["wanted"]
    assert await keys(own, f"{kind.plural}?origin=megalis") == []
    assert sorted(await keys(own, f"{kind.plural}?origin=arnia")) == ["other", "wanted"]


async def test_values_of_one_filter_are_alternatives_and_filters_are_all_demanded(
    own: httpx2.AsyncClient, arnia: Node
) -> None:
    for kind in ("software", "service", "dataset"):
        for status in ("beta", "stable"):
            await publish(arnia, "solution", f"{kind}-{status}", a_solution(kind=kind, status=status))
    found = await keys(own, "solutions?kind=software&kind=dataset&status=beta&sort=id")
    assert found == ["dataset-beta", "software-beta"]
    found = await keys(own, "solutions?kind=software&kind=dataset&status=beta&status=stable&tlp=CLEAR")
    assert len(found) == 4


@pytest.mark.parametrize("kind", TYPES.values(), ids=lambda kind: kind.plural)
async def test_a_filter_that_does_not_exist_is_answered_with_those_that_do(
    anyone: httpx2.AsyncClient, kind: Any
) -> None:
    told = refused(await anyone.get(f"/v1/{kind.plural}?colour=red"), 400, "invalid", pointer="?colour")
    for name in (*filters_of(kind), *CONTROLS):
        assert name in told["detail"]
    assert (await anyone.get(f"/v1/{kind.plural}?origin=arnia&tlp=CLEAR")).status_code == 200


@pytest.mark.parametrize(
    "asked",
    [
        "sort=name", "limit=0", "limit=501", "limit=x", "limit=-1", "limit=1e2", "limit=", "total=1",
        "updated_since=yesterday", "updated_since=2026-02-30", "updated_since=2026-01-01T00:00:00",
        "updated_before=9999-01-01", "updated_since=0001-01-01", "updated_since=1970-01-01T00:00:00%2B01:00",
        "q=", "q=" + "x" * 201, "q=a%00b", "q=%FF", "q=%ED%A0%80", "limit=1&limit=2", "after=x&after=y",
        "after=garbage", "after=%F0%9F%90%8D", "after=" + "A" * 400, "kind=a%00b", "%00=1", "limit=%C2%B2",
        "kind=" + "&kind=".join(map(str, range(51))), "q=x;sort=id&x", "limit=%EF%BC%91",
        "&".join(f"kind={n}" for n in range(101)), "updated_since=", "tlp",
    ],
    ids=lambda asked: asked[:30],
)  # fmt: skip
async def test_what_cannot_be_asked_is_refused(anyone: httpx2.AsyncClient, asked: str) -> None:
    refused(await anyone.get(f"/v1/solutions?{asked}"), 400, "invalid")


async def test_a_long_question_is_too_large(anyone: httpx2.AsyncClient) -> None:
    assert (await anyone.get("/v1/solutions?q=" + "%41" * 200)).status_code == 200
    refused(await anyone.get("/v1/solutions?q=" + "x" * 8_192), 413, "too-large")


@pytest.mark.parametrize(
    "place",
    [
        ("-updated_at", datetime(2026, 1, 1), "arnia", "x"),  # noqa: DTZ001 - that is what is wrong with it
        ("-updated_at", datetime(2026, 1, 1, tzinfo=UTC), "arnia", "x" * 4_000),
        ("-updated_at", datetime(1, 1, 1, tzinfo=UTC), "arnia", "x"),
        ("-updated_at", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), "arnia", "x"),
        ("-updated_at", datetime(2026, 1, 1, tzinfo=UTC), "a\x00", "x"),
        ("updated_at", datetime(2026, 1, 1, tzinfo=UTC), "arnia", "x"),
    ],
    ids=["naive", "long", "first year", "last year", "NUL", "another order"],
)
async def test_a_place_that_was_made_up_does_no_harm(
    anyone: httpx2.AsyncClient, place: tuple[Any, ...]
) -> None:
    after = base64.urlsafe_b64encode(msgspec.msgpack.encode(place)).rstrip(b"=").decode()
    answer = await anyone.get("/v1/solutions", params={"after": after})
    assert answer.status_code in (200, 400), answer.text


async def test_beneficiaries_are_found_by_any_of_their_numbers(own: httpx2.AsyncClient, arnia: Node) -> None:
    numbers = [{"scheme": "0002", "value": "217100767"}, {"scheme": "cog", "value": "71076"}]
    served = {"kind": "list", "beneficiaries": [{"identifiers": numbers, "name": "Chalon"}]}
    await publish(arnia, "deployment", "one", a_deployment(coverage=served))
    await publish(arnia, "deployment", "other", a_deployment())
    for value in ("217100767", "71076", "0002:217100767", "cog:71076"):
        assert await keys(own, f"deployments?beneficiary={value}") == ["one"]
    assert await keys(own, "deployments?beneficiary=71077&beneficiary=71076") == ["one"]
    assert await keys(own, "deployments?beneficiary=71077") == []
    for wrong in ("Chalon", "12345678x", "0002:", "siren:217100767", "7107%0A"):
        answer = await own.get(f"/v1/deployments?beneficiary={wrong}")
        refused(answer, 400, "invalid", pointer="?beneficiary")
    refused(await own.get("/v1/solutions?beneficiary=71076"), 400, "invalid", pointer="?beneficiary")


# Words


async def test_words_are_found_without_accents_and_by_their_stems(
    own: httpx2.AsyncClient, arnia: Node
) -> None:
    await publish(arnia, "solution", "nets", a_solution(summary={"fr": "Supervision des réseaux élargis"}))
    await publish(arnia, "solution", "archives", a_solution(summary={"fr": "Archivage électronique"}))
    await publish(arnia, "solution", "assets", a_solution(summary={"en": "Asset tracking für Straßen"}))
    found = {
        "reseau": ["nets"], "RÉSEAU": ["nets"], "réseaux": ["nets"], "superviser": ["nets"],
        "archivages": ["archives"], "electroniques": ["archives"], "Élargi": ["nets"],
        "reseau supervision": ["nets"], "reseau archivage": [], "fur": ["assets"],
        "tracking": ["assets"], "introuvable": [], "reseau or archivage": ["archives", "nets"],
        '"supervision des réseaux"': ["nets"], "-": [], "&|!:*()": [], "le la les": [], "'": [],
    }  # fmt: skip
    for words, expected in found.items():
        assert await keys(own, f"solutions?sort=id&q={quote(words, safe='')}") == expected, words


async def test_words_and_filters_go_together(own: httpx2.AsyncClient, arnia: Node) -> None:
    await publish(arnia, "solution", "a", a_solution(status="beta"))
    await publish(arnia, "solution", "b", a_solution())
    assert await keys(own, "solutions?q=parc&status=beta") == ["a"]


# Order and time


async def test_lists_have_three_orders(own: httpx2.AsyncClient, arnia: Node) -> None:
    for key in ("b", "a", "c"):
        await publish(arnia, "solution", key, a_solution())
    await publish(arnia, "solution", "a", a_solution(status="beta"))
    assert await keys(own, "solutions") == ["a", "c", "b"]
    assert await keys(own, "solutions?sort=-updated_at") == ["a", "c", "b"]
    assert await keys(own, "solutions?sort=updated_at") == ["b", "c", "a"]
    assert await keys(own, "solutions?sort=id") == ["a", "b", "c"]


async def test_lists_are_cut_by_time(own: httpx2.AsyncClient, arnia: Node) -> None:
    start = datetime(2026, 3, 1, 12, tzinfo=UTC)
    for number in range(4):
        arnia.clock = lambda number=number: start + timedelta(hours=number)  # type: ignore[misc]
        await publish(arnia, "solution", f"s{number}", a_solution())
    since, before = "updated_since=2026-03-01T13:00:00Z", "updated_before=2026-03-01T15:00:00Z"
    assert await keys(own, f"solutions?sort=id&{since}") == ["s1", "s2", "s3"]
    assert await keys(own, f"solutions?sort=id&{before}") == ["s0", "s1", "s2"]
    assert await keys(own, f"solutions?sort=id&{since}&{before}") == ["s1", "s2"]
    assert len(await keys(own, "solutions?updated_since=2026-03-01")) == 4
    assert await keys(own, "solutions?updated_since=2026-03-02") == []


# Pages


async def walked(client: httpx2.AsyncClient, first: str, between: Any = None) -> list[str]:
    """The keys of every page, by following Link."""
    found: list[str] = []
    following: str | None = first
    while following:
        answer = await client.get(following)
        page = fine(answer, 200)
        found += [item["key"] for item in page["items"]]
        link = answer.links.get("next", {}).get("url")
        assert link == page.get("next")
        following = link
        if between is not None:
            await between()
    return found


@pytest.mark.parametrize("sort", ["-updated_at", "updated_at", "id"])
@pytest.mark.parametrize("size", [1, 3, 7, 8])
async def test_pages_walk_everything_once(own: httpx2.AsyncClient, arnia: Node, sort: str, size: int) -> None:
    arnia.clock = lambda: datetime(2026, 3, 1, tzinfo=UTC)  # all at the same moment
    for number in range(7):
        await publish(arnia, "solution", f"s{number}", a_solution())
    found = await walked(own, f"/v1/solutions?limit={size}&sort={sort}&theme=it-asset-management&tlp=CLEAR")
    assert found == sorted(found, reverse=sort == "-updated_at")
    assert sorted(found) == [f"s{number}" for number in range(7)]


async def test_pages_by_id_walk_everything_once_while_records_are_revised(
    own: httpx2.AsyncClient, arnia: Node
) -> None:
    names = [f"s{number:02}" for number in range(20)]
    for name in names:
        await publish(arnia, "solution", name, a_solution())
    turn = 0

    async def revise() -> None:
        nonlocal turn
        turn += 1
        await asyncio.gather(
            *(
                put(own, f"solutions/{name}", a_solution(name=f"{name} {turn}"))
                for name in names[turn % 3 :: 3]
            )
        )

    assert await walked(own, "/v1/solutions?sort=id&limit=3", revise) == names


async def test_pages_from_the_oldest_miss_nothing_while_records_are_revised(
    own: httpx2.AsyncClient, arnia: Node
) -> None:
    names = [f"s{number:02}" for number in range(12)]
    for name in names:
        await publish(arnia, "solution", name, a_solution())
    left = iter(names[::2])

    async def revise() -> None:
        if name := next(left, None):
            await put(own, f"solutions/{name}", a_solution(status="beta"))

    found = await walked(own, "/v1/solutions?sort=updated_at&limit=3", revise)
    assert set(found) == set(names)
    assert [name for name in found if name in names[1::2]] == names[1::2]


async def test_the_next_page_asks_the_same_again(own: httpx2.AsyncClient, arnia: Node) -> None:
    for number in range(3):
        await publish(arnia, "solution", f"s{number}", a_solution())
    page = fine(await own.get("/v1/solutions?q=parc&kind=software&kind=service&limit=2&total=true"), 200)
    asked = parse_qsl(urlsplit(page["next"]).query)
    assert [pair for pair in asked if pair[0] != "after"] == [
        ("q", "parc"), ("kind", "software"), ("kind", "service"), ("limit", "2"),
    ]  # fmt: skip
    assert page["next"].startswith("http://arnia.test/v1/solutions?")


async def test_a_total_is_counted_when_asked_for(own: httpx2.AsyncClient, arnia: Node) -> None:
    for number in range(3):
        await publish(arnia, "solution", f"s{number}", a_solution())
    await own.delete("/v1/solutions/arnia/s0")
    page = fine(await own.get("/v1/solutions?limit=1&total=true"), 200)
    assert (page["total"], page["total_is_exact"], len(page["items"])) == (2, True, 1)
    assert "total" not in fine(await own.get("/v1/solutions?limit=1"), 200)
