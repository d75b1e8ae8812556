"""Territories and bodies in lists: every code of a territory, the parts of it, and what it is a part of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from federation.node.node import Node
from tests.api.http_client import fine, put, refused
from tests.api.test_lists import keys
from tests.domain.builders import (
    a_deployment,
    a_participation,
    a_purchase,
    a_solution,
    an_offer,
    an_operator,
)
from tests.nodes import publish

Make = Callable[[list[str]], dict[str, Any]]
WITH_TERRITORY: dict[str, Make] = {
    "deployment": lambda codes: a_deployment(coverage={"kind": "territory", "territory": codes}),
    "offer": lambda codes: an_offer(eligibility={"territory": codes}),
    "operator": lambda codes: an_operator(territory=codes),
    "participation": lambda codes: a_participation(bodies={"kind": "territory", "territory": codes}),
    "purchase": lambda codes: a_purchase(territory=codes),
}
SAME = [
    ("21", "FR-21", "FR-BFC"),
    ("987", "PF", "FR-PF"), ("988", "NC", "FR-NC"), ("977", "FR-BL"), ("978", "FR-MF"), ("975", "FR-PM"),
    ("986", "FR-WF"), ("984", "FR-TF"), ("FR-69M", "69", "FR-ARA"), ("FR-20R", "2A", "FR-COR"),
    ("FR", "71", "FR-BFC"),
]  # fmt: skip
"""Codes of one territory, of one in it, or of one around it."""


@pytest.mark.parametrize("type_name", WITH_TERRITORY)
async def test_a_territory_is_found_by_its_codes_its_parts_and_what_is_around_it(
    own: httpx2.AsyncClient, arnia: Node, type_name: str
) -> None:
    plural = f"{type_name}s"
    for number, codes in enumerate(SAME):
        for written in codes:
            await publish(
                arnia, type_name, f"k{number}-{written.lower()}", WITH_TERRITORY[type_name]([written])
            )
    for number, codes in enumerate(SAME[:-1]):
        expected = {f"k{number}-{code.lower()}" for code in codes}
        for code in codes:
            found = await keys(own, f"{plural}?territory={code}&limit=500")
            assert expected <= {*found}, code
    elsewhere = {*await keys(own, f"{plural}?territory=FR-BRE")}
    assert elsewhere == {f"k{len(SAME) - 1}-fr"}, "only what is in all of France"
    assert f"k{len(SAME) - 4}-fr-69m" not in await keys(own, f"{plural}?territory=01")
    refused(await own.get(f"/v1/{plural}?territory=FR-XX"), 400, "invalid", pointer="?territory")


async def test_an_offer_and_a_purchase_without_a_territory_are_for_everywhere(
    own: httpx2.AsyncClient, arnia: Node
) -> None:
    await publish(arnia, "offer", "all", an_offer())
    await publish(arnia, "purchase", "all", a_purchase(territory=[]))
    for plural in ("offers", "purchases"):
        for code in ("21", "FR-PF", "BE"):
            assert await keys(own, f"{plural}?territory={code}") == ["all"]


def bodies(*codes: str) -> dict[str, Any]:
    """A list of bodies by INSEE codes."""
    named = [{"identifiers": [{"scheme": "cog", "value": code}], "name": code} for code in codes]
    return {"kind": "list", "beneficiaries": named}


LISTED: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "deployment": lambda listed: a_deployment(coverage=listed),
    "participation": lambda listed: a_participation(bodies=listed),
}


@pytest.mark.parametrize("type_name", LISTED)
async def test_a_merged_commune_and_an_arrondissement_are_found_as_the_commune_of_today(
    own: httpx2.AsyncClient, arnia: Node, type_name: str
) -> None:
    await publish(arnia, type_name, "merged", LISTED[type_name](bodies("74011")))
    await publish(arnia, type_name, "annecy", LISTED[type_name](bodies("74010", "74011")))
    await publish(arnia, type_name, "lyon", LISTED[type_name](bodies("69381", "69382")))
    plural = f"{type_name}s"
    for number in ("74010", "74011", "200063402"):
        assert sorted(await keys(own, f"{plural}?beneficiary={number}")) == ["annecy", "merged"]
    for number in ("69123", "69381", "69389", "216901231"):
        assert await keys(own, f"{plural}?beneficiary={number}") == ["lyon"]
    for code in ("74", "FR-74", "FR-ARA", "FR"):
        assert {"annecy", "merged"} <= {*await keys(own, f"{plural}?territory={code}")}
    assert await keys(own, f"{plural}?territory=FR-69M") == ["lyon"]
    assert await keys(own, f"{plural}?territory=75") == []


TWO_BODIES = [{"scheme": "0002", "value": "217100767"}, {"scheme": "cog", "value": "71270"}]
ONE_BODY = [{"scheme": "0002", "value": "217100767"}, {"scheme": "cog", "value": "71076"}]
NAMED: list[tuple[str, str, Callable[[list[Any]], dict[str, Any]]]] = [
    ("operators", "/content/identifiers/1", lambda named: an_operator(identifiers=named)),
    (
        "purchases",
        "/content/coordinator/identifiers/2",
        lambda named: a_purchase(
            coordinator={"identifiers": [{"scheme": "0009", "value": "21710076700011"}, *named]}
        ),
    ),
    (
        "deployments",
        "/content/coverage/beneficiaries/0/identifiers/1",
        lambda named: a_deployment(coverage={"kind": "list", "beneficiaries": [{"identifiers": named}]}),
    ),
    (
        "participations",
        "/content/bodies/beneficiaries/0/identifiers/1",
        lambda named: a_participation(bodies={"kind": "list", "beneficiaries": [{"identifiers": named}]}),
    ),
    (
        "solutions",
        "/content/steward/identifiers/1",
        lambda named: a_solution(steward={"identifiers": named, "name": "Chalon"}),
    ),
]


@pytest.mark.parametrize(("plural", "pointer", "make"), NAMED, ids=[name for name, _, _ in NAMED])
async def test_identifiers_of_one_body_that_contradict_each_other_are_refused(
    own: httpx2.AsyncClient, plural: str, pointer: str, make: Callable[[list[Any]], dict[str, Any]]
) -> None:
    answer = refused(await put(own, f"{plural}/one", make(TWO_BODIES)), 400, "invalid", pointer=pointer)
    assert answer["errors"][0]["rule"] == 14
    fine(await put(own, f"{plural}/one", make(ONE_BODY)), 201)
