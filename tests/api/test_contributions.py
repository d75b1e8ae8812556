"""A contribution has the label of the record that it is about, and an alert when that narrows."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from federation.domain.alert import NewSubscription
from federation.domain.content.contribution import Contribution
from federation.domain.content.meeting import Meeting
from federation.domain.errors import Invalid
from federation.domain.visibility import Caller, Ceiling, itself
from federation.node import alert_scan, alerts, feeds, records
from federation.node.node import Node
from federation.sync.pull import pull
from tests.api.http_client import fine, ndjson, patch, put, refused, upload
from tests.domain.builders import a_contribution, a_draft, a_group, a_meeting, a_practice, an_operator
from tests.nodes import InMemory, as_peer, introduce, publish

ABOUT = {"type": "meeting", "id": "arnia/m"}


def comment(**members: Any) -> dict[str, Any]:
    return a_contribution(**{"about": ABOUT, **members})


@pytest.mark.parametrize(("label", "other"), [("CLEAR", "GREEN"), ("GREEN", "CLEAR")])
async def test_a_new_contribution_has_the_label_of_its_subject(
    own: httpx2.AsyncClient, arnia: Node, label: str, other: str
) -> None:
    await publish(arnia, "meeting", "m", a_meeting(), tlp=label)
    assert fine(await put(own, "contributions/a", comment()), 201)["tlp"] == label
    assert fine(await put(own, "contributions/b", comment(), tlp=label), 201)["tlp"] == label
    assert fine(await put(own, "contributions/c", comment(), tlp="RED"), 201)["tlp"] == "RED"
    answer = refused(await put(own, "contributions/d", comment(), tlp=other), 400, "invalid", pointer="/tlp")
    assert answer["errors"][0]["rule"] == 45
    lines = ({"key": "e", "content": comment()}, {"key": "f", "tlp": other, "content": comment()})
    told, summary = await upload(own, ndjson(*lines), plural="contributions")
    assert (summary["created"], summary["refused"], told[0]["key"]) == (1, 1, "f")


async def test_of_a_subject_that_is_not_here_nothing_is_known(own: httpx2.AsyncClient) -> None:
    assert fine(await put(own, "contributions/a", comment()), 201)["tlp"] == "GREEN"
    assert fine(await put(own, "contributions/b", comment(), tlp="CLEAR"), 201)["tlp"] == "CLEAR"


@pytest.mark.parametrize("envelope", [{"tlp": "AMBER", "audience": "close"}, {"tlp": "RED"}])
async def test_a_subject_for_a_group_takes_none_and_names_its_contact(
    own: httpx2.AsyncClient, arnia: Node, envelope: dict[str, str]
) -> None:
    await publish(arnia, "group", "close", a_group())
    await publish(arnia, "meeting", "m", a_meeting(), **envelope)
    answer = refused(
        await put(own, "contributions/a", comment()), 400, "invalid", pointer="/content/about/id"
    )
    assert answer["detail"].endswith("write to arnia")
    await publish(arnia, "operator", "arnia", an_operator(contact="contact@arnia.example.org"))
    for label in ("CLEAR", "GREEN"):
        answer = refused(await put(own, "contributions/a", comment(), tlp=label), 400, "invalid")
        assert answer["detail"].endswith("write to contact@arnia.example.org")
    await publish(arnia, "practice", "p", a_practice(contact="practice@arnia.example.org"), **envelope)
    about = {"type": "practice", "id": "arnia/p"}
    answer = refused(await put(own, "contributions/a", comment(about=about)), 400, "invalid")
    assert answer["detail"].endswith("write to practice@arnia.example.org")
    fine(await put(own, "contributions/a", comment(), tlp="RED"), 201)


async def test_nobody_learns_from_a_refusal_of_a_subject_that_they_may_not_see(arnia: Node) -> None:
    await publish(arnia, "group", "close", a_group())
    await publish(arnia, "meeting", "m", a_meeting(), tlp="AMBER", audience="close")
    person = Caller(node="arnia", operator="arnia", person="person-1", ceiling=Ceiling("GREEN"))
    draft = a_draft(comment(), Contribution)
    with pytest.raises(Invalid):
        await records.publish(arnia, Contribution, draft, "arnia", "a", by=itself("arnia"))
    made = await records.publish(arnia, Contribution, draft, "arnia", "a", by=person)
    assert made.created


async def test_a_retracted_subject_takes_no_new_one(own: httpx2.AsyncClient, arnia: Node) -> None:
    await publish(arnia, "meeting", "m", a_meeting())
    fine(await put(own, "contributions/a", comment()), 201)
    await records.retract(arnia, Meeting, "arnia", "m", by=itself("arnia"))
    refused(await put(own, "contributions/b", comment()), 400, "invalid", pointer="/content/about/id")
    fine(await patch(own, "contributions/a", {"content": {"text": {"fr": "Corrigé"}}}))


async def test_a_contribution_is_narrowed_after_its_subject_and_never_wider(
    own: httpx2.AsyncClient, anyone: httpx2.AsyncClient, arnia: Node
) -> None:
    await publish(arnia, "meeting", "m", a_meeting(), tlp="CLEAR")
    fine(await put(own, "contributions/a", comment()), 201)
    fine(await anyone.get("/v1/contributions/arnia/a"), 200)
    await publish(arnia, "meeting", "m", a_meeting(), tlp="GREEN")
    refused(await anyone.get("/v1/contributions/arnia/a"), 404, "not-found")
    assert fine(await anyone.get("/v1/contributions"), 200)["items"] == []
    changed = {"content": {"text": {"fr": "Corrigé"}}}
    refused(await patch(own, "contributions/a", changed), 400, "invalid", pointer="/tlp")
    assert fine(await patch(own, "contributions/a", {**changed, "tlp": "GREEN"}))["tlp"] == "GREEN"
    await publish(arnia, "meeting", "m", a_meeting(), tlp="CLEAR")
    fine(await patch(own, "contributions/a", {"content": {"text": {"fr": "Encore"}}}))


async def alerted(node: Node) -> list[str]:
    """The alerts about hidden contributions."""
    await alert_scan.add_alerts(node)
    async with node.store.read() as tx:
        listed = await tx.alerts.listed(parked=False)
    return sorted(alert.subject for alert in listed if alert.event == "contribution.hidden")


async def take_all(node: Node, origin: Node) -> None:
    for head in await feeds.heads(origin, by=await as_peer(origin, node.operator)):
        await pull(node, head, InMemory(origin, node.operator))


async def test_the_writer_has_one_alert_when_the_subject_becomes_narrower(arnia: Node, megalis: Node) -> None:
    await introduce(arnia, megalis)
    hook = NewSubscription(events=("contribution.hidden",), webhook="https://itsm.example.org/hook")
    await alerts.subscribe(arnia, hook, by=itself("arnia"))
    await publish(megalis, "group", "rssi", a_group(members=["recia"]))
    for key in ("out", "in", "clear"):
        await publish(megalis, "meeting", key, a_meeting(), tlp="CLEAR" if key == "clear" else "GREEN")
    await take_all(arnia, megalis)
    for key in ("out", "in", "clear"):
        about = {"type": "meeting", "id": f"megalis/{key}"}
        await publish(arnia, "contribution", key, comment(about=about))
    await publish(arnia, "contribution", "early", comment(about={"type": "meeting", "id": "recia/next"}))
    assert await alerted(arnia) == []
    await publish(megalis, "meeting", "clear", a_meeting(), tlp="GREEN")
    await publish(megalis, "meeting", "out", a_meeting(), tlp="AMBER", audience="rssi")
    await take_all(arnia, megalis)
    assert await alerted(arnia) == ["arnia/clear", "arnia/out"], "what is gone, and what is narrower"
    assert await alerted(arnia) == ["arnia/clear", "arnia/out"], "each once"
    for key in ("clear", "out"):
        about = {"type": "meeting", "id": f"megalis/{key}"}
        await publish(arnia, "contribution", key, comment(about=about), tlp="RED")
    async with arnia.store.read() as tx:
        assert await tx.contributions.hidden("arnia") == []
