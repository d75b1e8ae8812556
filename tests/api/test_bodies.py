"""Bodies and what they may join, over HTTP: real tariffs, the real register, and labels that hide."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from threading import current_thread
from typing import Any
from urllib.parse import unquote

import httpx2
import pytest

from federation.domain.territories import finder
from federation.node import bodies, offer_index, offers
from federation.node.node import Node
from federation.store.offers import OffersReader
from tests.offers.tariffs import AMF_32, CDG_38, an_offer, euros, tariff

SMALL, LARGE = "cog:32010", "cog:71076"
"""Arrouède in the Gers, with 85 inhabitants, and Chalon-sur-Saône."""


async def publish(own: httpx2.AsyncClient, key: str, tlp: str | None = None, **members: Any) -> None:
    body: dict[str, Any] = {"content": an_offer(**members)}
    if tlp is not None:
        body["tlp"] = tlp
    if tlp == "AMBER":
        body["audience"] = "security"
    answer = await own.put(f"/v1/offers/arnia/{key}", json=body)
    assert answer.status_code in (200, 201), answer.text


async def ask(client: httpx2.AsyncClient, body: str, **parameters: Any) -> dict[str, Any]:
    answer = await client.get(f"/v1/bodies/{body}/offers", params=parameters)
    assert answer.status_code == 200, answer.text
    view: dict[str, Any] = answer.json()
    return view


def keys(view: dict[str, Any]) -> list[str]:
    return [offer["id"].removeprefix("arnia/") for offer in view["offers"]]


async def the_offer(client: httpx2.AsyncClient, body: str, **parameters: Any) -> dict[str, Any]:
    (offer,) = (await ask(client, body, **parameters))["offers"]
    found: dict[str, Any] = offer
    return found


def totals(offer: dict[str, Any]) -> tuple[int | None, int | None]:
    return offer["first_year"]["total_cents"], offer["following_years"]["total_cents"]


# Bodies


async def test_a_body_is_found_without_a_token(anyone: httpx2.AsyncClient) -> None:
    answer = await anyone.get("/v1/bodies", params={"q": "st-denis 93"})
    assert answer.status_code == 200
    first = answer.json()["bodies"][0]
    assert (first["by"], first["body"]["id"], first["body"]["postcodes"]) == (
        "name",
        "cog:93066",
        ["93200", "93210", "93380"],
    )
    assert first["body"]["departement"] == {"code": "93", "name": "Seine-Saint-Denis"}
    by_id = await anyone.get("/v1/bodies/cog:93066")
    assert by_id.json() == first["body"]
    assert len((await anyone.get("/v1/bodies?q=saint&limit=3")).json()["bodies"]) == 3


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/v1/bodies", "?q"),
        ("/v1/bodies?q=%20", "?q"),
        (f"/v1/bodies?q={'x' * 201}", "?q"),
        ("/v1/bodies?q=a&limit=51", "?limit"),
        ("/v1/bodies/cog:7107", "/body_id"),
        ("/v1/bodies/0002:217100768", "/body_id"),
        ("/v1/bodies/territory:FR-ZZ/offers", "/body_id"),
        ("/v1/bodies/cog:71076/offers?agents=many", "?agents"),
        ("/v1/bodies/cog:71076/offers?agents=-1", "?agents"),
        ("/v1/bodies/cog:71076/offers?kind=school", "?kind"),
        ("/v1/bodies/cog:71076/offers?departement=71", "?departement"),
        ("/v1/bodies/cog:71076/offers?after=x", "?after"),
        ("/v1/bodies/0002:130025265/offers", "?kind"),
        ("/v1/bodies/0002:130025265/offers?kind=town", "?kind"),
        ("/v1/bodies/0002:130025265/offers?kind=other&departement=999", "?departement"),
    ],
)
async def test_a_question_that_cannot_be_asked_names_what_is_wrong(
    anyone: httpx2.AsyncClient, path: str, pointer: str
) -> None:
    answer = await anyone.get(path)
    assert answer.status_code == 400, answer.text
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


# Prices of real tariffs


@pytest.mark.parametrize(
    ("population", "cents"), [(85, 4_800), (400, 7_700), (2_000, 33_200), (300_000, 3_850_000)]
)
async def test_a_commune_pays_what_the_tariff_says(
    own: httpx2.AsyncClient, anyone: httpx2.AsyncClient, population: int, cents: int
) -> None:
    await publish(own, "amf", tariff=AMF_32)
    offer = await the_offer(anyone, SMALL, population=population)
    assert (offer["state"], totals(offer)) == ("open", (cents, cents))
    assert (offer["first_year"]["currency"], offer["first_year"]["vat"]) == ("EUR", "excluded")


async def test_the_register_has_the_population(own: httpx2.AsyncClient, anyone: httpx2.AsyncClient) -> None:
    await publish(own, "amf", tariff=AMF_32)
    view = await ask(anyone, SMALL)
    number = view["numbers"]["population"]
    assert number["source"] == "register"
    assert number["value"] == 85
    assert totals(view["offers"][0]) == (4_800, 4_800)


async def test_a_tariff_that_has_no_part_for_a_body_gives_no_price(
    own: httpx2.AsyncClient, anyone: httpx2.AsyncClient
) -> None:
    await publish(own, "amf", tariff=AMF_32)
    (grouping,) = (await anyone.get("/v1/bodies?q=200042497")).json()["bodies"]
    assert grouping["body"]["kind"] == "epci"
    offer = await the_offer(anyone, grouping["body"]["id"], population=4_999)
    assert (totals(offer), offer["first_year"]["unknown"]) == ((None, None), ["part"])
    assert offer["first_year"]["unknown_text"][0]["fr"] == (
        "inconnu : le tarif ne prévoit rien pour cet organisme"
    )
    assert totals(await the_offer(anyone, grouping["body"]["id"], population=5_000)) == (23_500, 23_500)


async def test_an_establishment_needs_the_number_of_its_agents(
    own: httpx2.AsyncClient, anyone: httpx2.AsyncClient
) -> None:
    await publish(own, "cdg", tariff=CDG_38)
    school = "0002:130025265"
    view = await ask(anyone, school, kind="school")
    assert view["missing"] == ["agents"]
    (offer,) = view["offers"]
    assert totals(offer) == (None, None)
    assert offer["first_year"]["unknown_text"][0]["en"] == "unknown: needs the number of agents"
    assert totals(await the_offer(anyone, school, kind="school", agents=49)) == (22_700, 15_800)
    assert totals(await the_offer(anyone, school, kind="school", agents=351)) == (174_800, 121_200)
    between = await the_offer(anyone, school, kind="school", agents=50)
    assert (totals(between), between["first_year"]["unknown"]) == ((None, None), ["part"])
    assert totals(await the_offer(anyone, SMALL)) == (5_200, 3_600)


async def test_every_number_that_a_price_needs_can_be_given(
    own: httpx2.AsyncClient, anyone: httpx2.AsyncClient
) -> None:
    parts = [
        {"basis": basis, "micros": euros(1), "label": {"fr": basis}}
        for basis in ("agent", "user", "gigabyte", "member-commune")
    ]
    await publish(own, "all", tariff=tariff(*parts))
    view = await ask(anyone, SMALL)
    assert view["missing"] == ["agents", "users", "gigabytes", "member_communes"]
    given = {"agents": 0, "users": 2, "gigabytes": 30, "member_communes": 4}
    view = await ask(anyone, SMALL, **given)
    assert (view["missing"], totals(view["offers"][0])) == ([], (3_600, 3_600))
    assert {name: found["source"] for name, found in view["numbers"].items() if found} == {
        "population": "register",
        **dict.fromkeys(given, "given"),
    }
    region = await ask(anyone, "territory:FR-BFC")
    assert region["numbers"]["member_communes"]["source"] == "register"


# Order and pages


async def test_the_cheapest_comes_first_within_a_currency_and_vat_basis_and_unknown_prices_last(
    own: httpx2.AsyncClient, anyone: httpx2.AsyncClient
) -> None:
    per_agent = tariff({"micros": euros(1), "basis": "agent"})
    await publish(own, "dear", tariff=tariff({"micros": euros(90)}))
    await publish(own, "cheap", tariff=tariff({"micros": euros(9)}))
    await publish(own, "francs", tariff=tariff({"micros": euros(1)}, currency="CHF"))
    await publish(own, "with-vat", tariff=tariff({"micros": euros(10)}, vat="included"))
    await publish(own, "per-agent", tariff=per_agent)
    await publish(own, "asked", pricing="on-request")
    await publish(own, "free")
    await publish(own, "needs-more", requires={"text": {"fr": "Adhérer"}}, tariff=tariff({"micros": 0}))
    await publish(own, "for-groupings", eligibility={"kinds": ["epci"]})
    await publish(own, "for-brittany", eligibility={"territory": ["FR-BRE"]})
    view = await ask(anyone, LARGE)
    expected = [
        "free", "francs", "cheap", "dear", "with-vat", "asked", "per-agent", "needs-more", "for-groupings",
        "for-brittany",
    ]  # fmt: skip
    assert keys(view) == expected
    counts = {"open": 7, "unknown": 1, "not_open": 1, "elsewhere": 1, "not_understood": 0}
    assert view["counts"] == counts
    assert [offer["state"] for offer in view["offers"][-4:]] == ["open", "unknown", "not-open", "not-open"]
    closed, elsewhere = (offer["reasons"][0]["text"] for offer in view["offers"][-2:])
    assert closed["en"] == "for groupings of communes (EPCI) only"
    assert elsewhere["fr"] == "réservé aux organismes de ce territoire : Bretagne"
    here = await ask(anyone, LARGE, elsewhere="false")
    assert (keys(here), here["counts"]) == (expected[:-1], counts)

    paged, path = [], f"/v1/bodies/{LARGE}/offers?limit=3"
    while path:
        page = await anyone.get(path)
        paged += keys(page.json())
        path = page.json()["next"]
        assert ("link" in page.headers) == bool(path)
    assert paged == expected


async def test_many_offers_are_ranked_and_read_in_steps(
    own: httpx2.AsyncClient, anyone: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offers, "STEP_PARTS", 2)
    monkeypatch.setattr(offers, "STEP_DOCUMENTS", 2)
    monkeypatch.setattr(offers, "PAGE_BYTES", 1)
    monkeypatch.setattr(offer_index, "READ_OFFERS", 2)
    monkeypatch.setattr(offer_index, "MAX_CHANGES", 2)
    for number in range(7):
        await publish(own, f"o{number}", tariff=tariff({"micros": euros(number)}))
    paged, path = [], f"/v1/bodies/{LARGE}/offers"
    while path:
        page = (await anyone.get(path)).json()
        assert len(page["offers"]) == 1
        paged += keys(page)
        path = page["next"]
    assert paged == [f"o{number}" for number in range(7)]


async def test_until_all_offers_are_read_the_answer_is_503_and_never_a_part_of_them(
    own: httpx2.AsyncClient, anyone: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(own, "o")
    may_read = asyncio.Event()
    read = OffersReader.read

    async def slow(self: OffersReader, names: Sequence[tuple[str, str]]) -> list[Any]:
        await may_read.wait()
        return await read(self, names)

    monkeypatch.setattr(OffersReader, "read", slow)
    with monkeypatch.context() as patch:
        patch.setattr(offer_index, "MAX_WAIT_SECONDS", 0.01)
        answer = await anyone.get(f"/v1/bodies/{LARGE}/offers")
    assert (answer.status_code, answer.json()["detail"]) == (
        503,
        "the offers are still being read; try again in a moment",
    )
    assert "retry-after" in answer.headers
    may_read.set()
    assert keys(await ask(anyone, LARGE)) == ["o"]


# Territories


async def states(client: httpx2.AsyncClient, *bodies: str, **parameters: Any) -> list[str]:
    return [(await the_offer(client, body, **parameters))["state"] for body in bodies]


@pytest.mark.parametrize("code", ["21", "FR-21", "FR-BFC", "FR"])
async def test_codes_of_one_territory_and_of_one_around_it_are_alike(
    own: httpx2.AsyncClient, anyone: httpx2.AsyncClient, code: str
) -> None:
    await publish(own, "o", eligibility={"territory": [code]})
    same = ("cog:21231", "territory:21", "territory:FR-21", "0002:242100410", "0002:212102313")
    assert await states(anyone, *same) == ["open"] * len(same)
    elsewhere = "open" if code == "FR" else "not-open"
    assert await states(anyone, "cog:29019", "territory:53") == [elsewhere] * 2


async def test_a_merged_commune_is_the_commune_of_today(
    own: httpx2.AsyncClient, anyone: httpx2.AsyncClient
) -> None:
    await publish(own, "amf", eligibility={"territory": ["74"]}, tariff=AMF_32)
    today, merged = await ask(anyone, "cog:74010"), await ask(anyone, "cog:74011")
    assert merged["body"]["part"] == {"code": "74011", "kind": "delegated", "name": "Annecy-le-Vieux"}
    assert merged["body"]["id"] == "cog:74010"
    assert merged["offers"] == today["offers"]
    assert merged["numbers"] == today["numbers"]


async def test_arrondissements_are_their_commune(own: httpx2.AsyncClient, anyone: httpx2.AsyncClient) -> None:
    await publish(own, "o", eligibility={"territory": ["69"], "population": {"from": 500_000}})
    assert await states(anyone, "cog:69123", "cog:69381") == ["open", "open"]
    await publish(own, "o", eligibility={"territory": ["FR-69M"]})
    assert await states(anyone, "cog:69381", "0002:200046977", "cog:69264") == ["open", "open", "not-open"]


async def test_a_body_that_is_in_a_territory_in_part_or_nobody_knows_where_is_not_open(
    own: httpx2.AsyncClient, anyone: httpx2.AsyncClient
) -> None:
    await publish(own, "o", eligibility={"territory": ["71"]})
    school = "0002:130025265"
    assert await states(anyone, "territory:FR-BFC") == ["unknown"]
    assert await states(anyone, school, kind="school") == ["unknown"]
    assert await states(anyone, school, kind="school", departement="71") == ["open"]
    assert await states(anyone, school, kind="school", departement="21") == ["not-open"]
    both = await anyone.get(f"/v1/bodies/{school}/offers?kind=school&departement=71&departement=21")
    assert both.json()["offers"][0]["state"] == "unknown"


# Labels


async def test_nobody_sees_more_than_public_offers_and_members_what_is_for_them(
    own: httpx2.AsyncClient, peer: httpx2.AsyncClient, anyone: httpx2.AsyncClient
) -> None:
    group = {"content": {"name": "Security", "members": ["recia"]}}
    assert (await own.put("/v1/groups/arnia/security", json=group)).status_code == 201
    for tlp in ("CLEAR", "GREEN", "AMBER", "RED"):
        await publish(own, tlp.lower(), tlp, title={"fr": f"canary-{tlp}"})
    for client, expected in ((anyone, {"clear"}), (peer, {"clear", "green"})):
        answer = await client.get(f"/v1/bodies/{LARGE}/offers")
        assert set(keys(answer.json())) == expected
        assert answer.json()["counts"]["open"] == len(expected)
        for tlp in ("GREEN", "AMBER", "RED"):
            assert (f"canary-{tlp}" in answer.text) == (tlp.lower() in expected)
    assert set(keys(await ask(own, LARGE))) == {"clear", "green", "amber", "red"}


async def test_an_offer_that_is_narrowed_revised_or_retracted_is_so_in_the_next_answer(
    own: httpx2.AsyncClient, anyone: httpx2.AsyncClient
) -> None:
    await publish(own, "o", tariff=tariff({"micros": euros(1)}))
    assert totals(await the_offer(anyone, LARGE)) == (100, 100)
    await publish(own, "o", tariff=tariff({"micros": euros(2)}))
    assert totals(await the_offer(anyone, LARGE)) == (200, 200)
    await publish(own, "o", "GREEN", tariff=tariff({"micros": euros(2)}))
    assert (await ask(anyone, LARGE))["counts"]["open"] == 0
    await publish(own, "o", "CLEAR", eligibility={"territory": ["21"]})
    assert (await ask(anyone, LARGE))["counts"]["elsewhere"] == 1
    assert (await own.delete("/v1/offers/arnia/o")).status_code in (200, 204)
    view = await ask(own, LARGE)
    assert (view["offers"], view["counts"]["open"], view["counts"]["elsewhere"]) == ([], 0, 0)


async def test_what_a_body_has_already_is_shown_to_those_who_may_see_it(
    own: httpx2.AsyncClient, peer: httpx2.AsyncClient, anyone: httpx2.AsyncClient
) -> None:
    await publish(own, "o")

    async def deploy(key: str, coverage: dict[str, Any], **members: Any) -> None:
        content = {
            "solution": "arnia/glpi",
            "status": "production",
            "tenancy": "shared",
            "hosting": {"model": "operator"},
            "coverage": coverage,
            **members,
        }
        answer = await own.put(f"/v1/deployments/arnia/{key}", json={"content": content})
        assert answer.status_code == 201, answer.text

    listed = {"identifiers": [{"scheme": "0002", "value": "217100767"}]}
    await deploy("listed", {"kind": "list", "beneficiaries": [listed]})
    await deploy("other", {"kind": "list", "beneficiaries": [listed]}, solution="recia/parc")
    await deploy("retired", {"kind": "list", "beneficiaries": [listed]}, status="retired")
    await deploy("region", {"kind": "territory", "territory": ["FR-BFC"]})
    await deploy("elsewhere", {"kind": "territory", "territory": ["FR-21"]})
    await deploy("so-many", {"kind": "count", "count": 700})
    view = await ask(peer, LARGE)
    assert {(found["id"], found["by"]) for found in view["served_by"]} == {
        ("arnia/listed", "list"),
        ("arnia/other", "list"),
        ("arnia/region", "territory"),
    }
    assert {found["id"] for found in view["offers"][0]["served_by"]} == {"arnia/listed", "arnia/region"}
    assert (await ask(anyone, LARGE))["served_by"] == []


# Joining


async def test_an_offer_says_how_to_join_it(own: httpx2.AsyncClient, anyone: httpx2.AsyncClient) -> None:
    await publish(
        own,
        "o",
        steps=[{"what": {"fr": "Délibération"}, "who": "conseil municipal", "weeks": 6}],
        valid_until="2099-12-31",
        trial_months=3,
    )
    offer = await the_offer(anyone, LARGE, agents=12)
    assert offer["steps"][0]["what"] == {"fr": "Délibération"}
    assert (offer["valid_until"], offer["trial_months"]) == ("2099-12-31", 3)
    address, _, rest = offer["mailto"]["fr"].partition("?")
    assert address == "mailto:offres@arnia.example.org"
    mail = unquote(rest)
    for text in ("Gestion de parc (invention)", "arnia/o", "Chalon-sur-Saône", "217100767", "agents : 12"):
        assert text in mail
    assert offer["deliberation_url"].endswith(f"/fr/bodies/{LARGE}/deliberation.txt?offer=arnia/o")
    assert offer["copy"] == {"state": "own", "age_seconds": 0}


async def test_an_offer_is_closed_before_its_first_day_and_after_its_last(
    own: httpx2.AsyncClient, anyone: httpx2.AsyncClient
) -> None:
    await publish(own, "over", valid_until="2020-01-31")
    await publish(own, "early", valid_from="2099-01-01")
    view = await ask(anyone, LARGE)
    texts = {offer["id"]: offer["reasons"][0]["text"]["fr"] for offer in view["offers"]}
    assert texts == {
        "arnia/over": "on pouvait la rejoindre jusqu'au 31/01/2020",
        "arnia/early": "ouvert à partir du 01/01/2099",
    }
    assert view["counts"]["open"] == 0


async def test_an_origin_with_more_offers_than_are_computed_is_named(
    own: httpx2.AsyncClient, anyone: httpx2.AsyncClient, arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("federation.domain.offers.catalogue.MAX_WEIGHT_PER_ORIGIN", 2)
    for number in range(3):
        await publish(own, f"o{number}")
    view = await ask(anyone, LARGE)
    assert (view["incomplete"], view["counts"]["open"]) == (["arnia"], 2)


async def test_questions_before_the_register_is_ready_wait_for_one_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = []

    def prepare() -> None:
        threads.append(current_thread().name)
        time.sleep(0.001)

    with monkeypatch.context() as patch:
        patch.setattr(finder, "is_prepared", lambda: False)
        patch.setattr(finder, "prepare", prepare)
        found = await asyncio.gather(*(bodies.get_body("cog:71076") for _ in range(20)))
    assert {body.name for body in found} == {"Chalon-sur-Saône"}
    assert len(threads) == 20
    assert len(set(threads)) == 1, "the others are for other work"
