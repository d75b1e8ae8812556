"""A record keeps its label until its writer names another one; and the members that the node sets."""

from __future__ import annotations

import httpx2
import pytest

from federation.node.node import Node
from tests.api.http_client import fine, ndjson, patch, put, refused, upload
from tests.audit.audit_trail import entries
from tests.domain.builders import a_group, a_participation, a_solution, an_incident
from tests.exposure.commands import told
from tests.nodes import publish


@pytest.mark.parametrize("label", ["GREEN", "RED"])
async def test_a_write_without_a_label_keeps_that_of_the_record(own: httpx2.AsyncClient, label: str) -> None:
    fine(await put(own, "solutions/glpi", a_solution(), tlp=label), 201)
    again = fine(await put(own, "solutions/glpi", a_solution()), 200)
    assert (again["tlp"], again["revision"]) == (label, 1)
    assert fine(await put(own, "solutions/glpi", a_solution(status="beta")), 200)["tlp"] == label
    assert fine(await patch(own, "solutions/glpi", {"tlp": None}))["tlp"] == label
    await upload(own, ndjson({"key": "glpi", "content": a_solution(status="concept")}))
    assert fine(await own.get("/v1/solutions/arnia/glpi"), 200)["tlp"] == label
    wider = fine(await put(own, "solutions/glpi", a_solution(), tlp="CLEAR"), 200)
    assert (wider["tlp"], wider["revision"]) == ("CLEAR", 4)


async def test_it_keeps_the_audience_with_the_label(own: httpx2.AsyncClient, arnia: Node) -> None:
    for group in ("close", "closer"):
        await publish(arnia, "group", group, a_group())
    fine(await put(own, "solutions/glpi", a_solution(), tlp="AMBER+STRICT", audience="close"), 201)
    kept = fine(await put(own, "solutions/glpi", a_solution(status="beta")), 200)
    assert (kept["tlp"], kept["audience"]) == ("AMBER+STRICT", "close")
    moved = fine(await put(own, "solutions/glpi", a_solution(), tlp="AMBER", audience="closer"), 200)
    assert (moved["tlp"], moved["audience"]) == ("AMBER", "closer")


async def test_a_record_that_was_retracted_begins_anew(own: httpx2.AsyncClient) -> None:
    await put(own, "solutions/glpi", a_solution(), tlp="RED")
    await own.delete("/v1/solutions/arnia/glpi")
    assert fine(await put(own, "solutions/glpi", a_solution()), 201)["tlp"] == "CLEAR"


async def test_an_outage_that_becomes_a_security_incident_must_name_its_label(
    own: httpx2.AsyncClient, arnia: Node
) -> None:
    await publish(arnia, "group", "close", a_group())
    await put(own, "incidents/1", an_incident(), tlp="CLEAR")
    security = an_incident(kind="security")
    refused(await put(own, "incidents/1", security), 400, "invalid", pointer="/audience")
    refused(await put(own, "incidents/1", security, audience="close"), 400, "invalid", pointer="/audience")
    narrowed = fine(await put(own, "incidents/1", security, tlp="AMBER", audience="close"), 200)
    assert (narrowed["tlp"], narrowed["audience"]) == ("AMBER", "close")


LABELS = [("outage", "CLEAR"), ("maintenance", "CLEAR"), ("degradation", "GREEN"), ("vulnerability", "GREEN")]


@pytest.mark.parametrize(("kind", "label"), LABELS)
async def test_outages_and_maintenance_of_a_new_node_are_public(
    own: httpx2.AsyncClient, kind: str, label: str
) -> None:
    content = an_incident(kind=kind)
    assert fine(await put(own, "incidents/1", content), 201)["tlp"] == label
    await upload(own, ndjson({"key": "2", "content": content}), plural="incidents")
    assert fine(await own.get("/v1/incidents/arnia/2"), 200)["tlp"] == label
    assert fine(await put(own, "incidents/3", content, tlp="RED"), 201)["tlp"] == "RED"


async def test_an_administrator_chooses_the_label_of_new_outages(
    own: httpx2.AsyncClient, arnia: Node, dsn: str
) -> None:
    assert await told(dsn, "label") == {"outages": "CLEAR"}
    fine(await put(own, "incidents/1", an_incident()), 201)
    assert await told(dsn, "label", "--outages", "GREEN") == {"outages": "GREEN"}
    assert fine(await put(own, "incidents/2", an_incident()), 201)["tlp"] == "GREEN"
    changed = an_incident(severity="low")
    assert fine(await put(own, "incidents/1", changed), 200)["tlp"] == "CLEAR", "what is there stays"
    await own.delete("/v1/incidents/arnia/1")
    assert fine(await put(own, "incidents/1", changed), 201)["tlp"] == "GREEN"
    await told(dsn, "label", "--outages", "GREEN")
    (noted,) = [entry for entry in await entries(arnia) if entry.event == "label.changed"]
    assert (noted.actor, noted.detail) == ("operator", {"to": "GREEN"})


async def test_a_writer_cannot_forge_when_a_need_was_given(own: httpx2.AsyncClient) -> None:
    forged = {"unit": "portable", "quantity": 40, "given_at": "2020-01-01T00:00:00Z",
              "earlier": [{"quantity": 9, "given_at": "2019-01-01T00:00:00Z"}]}  # fmt: skip
    written = fine(await put(own, "participations/p", a_participation(needs=[forged])), 201)
    (need,) = written["content"]["needs"]
    assert (need["given_at"], "earlier" in need) == (written["created_at"], False)
    # Written anew as it was read, patched, uploaded: the time stays.
    again = fine(await put(own, "participations/p", written["content"]), 200)
    assert again["revision"] == 1
    fine(await patch(own, "participations/p", {"content": {"state": "signed"}}))
    await upload(
        own,
        ndjson({"key": "p", "content": a_participation(needs=[forged], state="deliberated")}),
        plural="participations",
    )
    document = fine(await own.get("/v1/participations/arnia/p"), 200)
    assert (document["revision"], document["content"]["needs"]) == (3, [need])
    changed = fine(await patch(own, "participations/p", {"content": {"needs": [{**forged, "quantity": 5}]}}))
    (later,) = changed["content"]["needs"]
    assert later["given_at"] == changed["updated_at"]
    assert later["earlier"] == [{"quantity": 40, "given_at": need["given_at"]}]
