"""Offers of deployments: stored ones stay readable, no new one is taken, and a person publishes drafts."""

from __future__ import annotations

import json

import httpx2
import pytest

from federation.domain.content.deployment import Deployment
from federation.domain.record_content import Content
from federation.node.node import Node
from tests.api.http_client import fine, ndjson, patch, put, refused, upload
from tests.domain.builders import a_deployment, a_group, a_solution, an_operator
from tests.exposure.commands import invoke, ran, told
from tests.nodes import publish
from tests.offers.test_drafts import FORMER


@pytest.fixture
async def former(arnia: Node) -> None:
    """Deployments as an earlier version stored them."""
    await publish(arnia, "solution", "glpi", a_solution(name="GLPI"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Deployment, "check_after", Content.check_after)
        await publish(arnia, "deployment", "d", a_deployment(offer=FORMER))
        await publish(arnia, "deployment", "closed", a_deployment(offer={**FORMER, "open": False}))


@pytest.mark.usefixtures("former")
async def test_a_stored_offer_stays_and_no_new_one_is_taken(own: httpx2.AsyncClient) -> None:
    stored = fine(await own.get("/v1/deployments/arnia/d"), 200)["content"]
    assert stored["offer"] == FORMER
    new = a_deployment(offer={"open": True})
    answer = refused(await put(own, "deployments/new", new), 400, "invalid", pointer="/content/offer")
    assert answer["errors"][0]["rule"] == 43
    assert "/v1/offers" in answer["detail"]
    for changed in ({"open": False}, {"join_url": "https://arnia.example.org/other"}):
        change = await patch(own, "deployments/d", {"content": {"offer": changed}})
        refused(change, 400, "invalid", pointer="/content/offer")
    (line,), summary = await upload(own, ndjson({"key": "e", "content": new}), plural="deployments")
    assert (line["errors"][0]["pointer"], summary["refused"]) == ("/content/offer", 1)
    fine(await put(own, "deployments/d", {**stored, "status": "suspended"}), 200)
    patched = fine(await patch(own, "deployments/d", {"content": {"version": "11", "offer": None}}))
    assert "offer" not in patched["content"]
    refused(await put(own, "deployments/d", stored), 400, "invalid", pointer="/content/offer")


@pytest.mark.usefixtures("former")
async def test_drafts_are_printed_and_a_person_publishes_them(
    own: httpx2.AsyncClient, arnia: Node, dsn: str
) -> None:
    status, text = await ran(dsn, "offer", "draft")
    assert (status, "--contact" in text) == (1, True)
    await publish(arnia, "operator", "arnia", an_operator(contact="contact@arnia.example.org"))
    found = await told(dsn, "offer", "draft")
    assert [entry["id"] for entry in found["without_prices"]] == ["arnia/d"]
    assert [entry["id"] for entry in found["skipped"]] == ["arnia/closed"]
    printed = await invoke(dsn, "offer", "draft", "--vat", "included")
    (line,) = map(json.loads, printed.stdout.splitlines())
    assert (line["key"], line["tlp"], line["content"]["title"]) == ("d", "GREEN", {"fr": "GLPI"})
    assert line["content"]["contact"] == "contact@arnia.example.org"
    assert fine(await own.get("/v1/offers"), 200)["items"] == [], "a draft is not published"
    await upload(own, printed.stdout.encode(), plural="offers")
    published = fine(await own.get("/v1/offers/arnia/d"), 200)
    assert (published["tlp"], published["content"]["tariff"]["vat"]) == ("GREEN", "included")
    again = await told(dsn, "offer", "draft")
    assert (again["drafts"], len(again["skipped"])) == ([], 2)


async def test_a_draft_has_the_group_of_its_deployment(arnia: Node, dsn: str) -> None:
    await publish(arnia, "group", "close", a_group())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Deployment, "check_after", Content.check_after)
        await publish(
            arnia, "deployment", "d", a_deployment(offer={"open": True}), tlp="AMBER", audience="close"
        )
    (draft,) = (await told(dsn, "offer", "draft", "--contact", "offres@arnia.example.org"))["drafts"]
    assert (draft["tlp"], draft["audience"]) == ("AMBER", "close")
