"""Needs at a node: added up from what a caller may see, and over HTTP."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from litestar import Litestar

from federation.domain.content.consultation import Consultation
from federation.domain.errors import NotFound, Retracted
from federation.domain.values import as_instant
from federation.domain.visibility import anonymous, itself
from federation.node import purchases, records
from federation.node.node import Node
from tests.api.conftest import anyone, app, own, unattached
from tests.exposure.deployments import copy
from tests.nodes import as_peer, introduce, publish
from tests.purchasing.records import a_consultation, a_participation, a_purchase

__all__ = ["anyone", "app", "own", "unattached"]
PATH = "/v1/consultations/arnia/postes-2026"


@pytest.fixture
async def consultation(arnia: Node, megalis: Node) -> None:
    """Arnia's consultation, with a need of arnia for members, one of megalis, and one for a group."""
    await introduce(arnia, megalis)
    await publish(arnia, "purchase", "postes", a_purchase())
    await publish(arnia, "consultation", "postes-2026", a_consultation())
    await publish(arnia, "participation", "own", a_participation(40))
    await copy(arnia, "participation", "megalis/p", a_participation(2), tlp="GREEN")
    await copy(arnia, "participation", "megalis/g", a_participation(500), tlp="AMBER", audience="circle")


def quantity(needs: Any) -> int | None:
    return needs.units[0].quantity  # type: ignore[no-any-return]


async def test_sums_rest_on_what_the_caller_may_see_and_say_so(arnia: Node, consultation: None) -> None:
    by_all = {
        "all": itself("arnia"),
        "federation": await as_peer(arnia, "megalis"),
        "public": anonymous("arnia"),
    }
    found = {
        name: await purchases.needs_of(arnia, "arnia", "postes-2026", by=caller)
        for name, caller in by_all.items()
    }
    assert {name: needs.rests_on for name, needs in found.items()} == {name: name for name in by_all}
    assert {name: quantity(needs) for name, needs in found.items()} == {
        "all": 542, "federation": 42, "public": None,
    }  # fmt: skip
    assert found["public"].operators == ()
    assert found["public"].missing is None
    assert found["all"].missing == () == found["federation"].missing


async def test_a_public_participation_is_seen_by_everybody(arnia: Node, consultation: None) -> None:
    await publish(arnia, "participation", "open", a_participation(3), tlp="CLEAR")
    needs = await purchases.needs_of(arnia, "arnia", "postes-2026", by=anonymous("arnia"))
    assert quantity(needs) == 3
    assert [entry.operator for entry in needs.operators] == ["arnia"]


async def test_a_member_that_has_not_answered_is_named_and_its_copy_has_an_age(
    arnia: Node, megalis: Node
) -> None:
    await introduce(arnia, megalis)
    await publish(arnia, "consultation", "postes-2026", a_consultation())
    needs = await purchases.needs_of(arnia, "arnia", "postes-2026", by=itself("arnia"))
    assert needs.missing is not None
    assert [(entry.operator, entry.reason) for entry in needs.missing] == [
        ("arnia", "no-answer"), ("megalis", "no-answer"),
    ]  # fmt: skip
    await publish(arnia, "participation", "own", a_participation(40))
    needs = await purchases.needs_of(arnia, "arnia", "postes-2026", by=itself("arnia"))
    assert needs.operators[0].copy.state == "own"


async def test_a_need_that_is_changed_after_the_deadline_is_late_and_the_first_one_counts(
    arnia: Node, consultation: None
) -> None:
    until = as_instant(arnia.clock())
    await publish(arnia, "consultation", "postes-2026", a_consultation(needs_until=until))
    await publish(arnia, "participation", "own", a_participation(50))
    await publish(arnia, "participation", "new", a_participation(7))
    needs = await purchases.needs_of(arnia, "arnia", "postes-2026", by=itself("arnia"))
    assert needs.deadline.is_over
    own = {entry.operator: entry for entry in needs.operators}["arnia"]
    assert [(need.quantity, need.late) for need in own.needs] == [(40, 57)]
    # Those of another program have no time: they may have been given in time.
    assert (needs.units[0].quantity, needs.units[0].uncertain) == (40, 502)


async def test_hidden_absent_and_retracted_are_refused(arnia: Node) -> None:
    await publish(arnia, "consultation", "secret", a_consultation(), tlp="GREEN")
    assert await purchases.needs_of(arnia, "arnia", "secret", by=itself("arnia"))
    for key in ("secret", "absent"):
        with pytest.raises(NotFound):
            await purchases.needs_of(arnia, "arnia", key, by=anonymous("arnia"))
    await records.retract(arnia, Consultation, "arnia", "secret", by=itself("arnia"))
    with pytest.raises(Retracted):
        await purchases.needs_of(arnia, "arnia", "secret", by=itself("arnia"))


# Over HTTP


async def test_needs_over_http(app: Litestar, consultation: None, anyone: Any, own: Any) -> None:
    for client, expected, reach in ((anyone, None, "public"), (own, 542, "all")):
        answer: httpx2.Response = await client.get(f"{PATH}/needs")
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert (body["rests_on"], body["units"][0]["quantity"]) == (reach, expected)
        assert answer.headers["cache-control"] == "no-store"
    assert "megalis" not in (await anyone.get(f"{PATH}/needs")).text


async def test_the_contract_is_given_after_the_award_and_names_what_it_lacks(
    arnia: Node, consultation: None, anyone: httpx2.AsyncClient
) -> None:
    before = await anyone.get(f"{PATH}/decp.json")
    assert before.status_code == 409
    assert "gathering" in before.json()["detail"]
    contract = {
        "id": "2026-042",
        "notified_on": "2026-10-01",
        "months": 48,
        "amount_cents": 12_345_650,
        "suppliers": [{"scheme": "0009", "value": "21710076700011", "name": "X"}],
    }
    await publish(arnia, "consultation", "postes-2026", a_consultation(status="awarded", contract=contract))
    answer = await anyone.get(f"{PATH}/decp.json")
    assert answer.status_code == 200
    (market,) = answer.json()["marches"]["marche"]
    assert market == {
        "id": "2026-042",
        "acheteur": {"id": "21710076700011"},
        "objet": "Postes 2026",
        "codeCPV": "30213000",
        "dureeMois": 48,
        "dateNotification": "2026-10-01",
        "montant": 123_456.5,
        "titulaires": [{"titulaire": {"id": "21710076700011", "typeIdentifiant": "SIRET"}}],
    }
    assert {"nature", "procedure"} <= set(answer.json()["missing"])
    assert not set(answer.json()["missing"]) & set(market)
    assert (await anyone.get("/v1/consultations/arnia/absent/decp.json")).status_code == 404
