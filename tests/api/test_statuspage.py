"""The state of services as Statuspage, version 2, gives it: its members, its words, public records alone."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from federation.node import statuspage
from federation.node.node import Node
from tests.api.http_client import fine, put
from tests.domain.builders import an_incident, an_operator
from tests.exposure.deployments import copy

# Members that answers of the real API have, version 2, as its users read them.
PAGE = {"id", "name", "url", "time_zone", "updated_at"}
COMPONENT = {
    "id", "name", "status", "created_at", "updated_at", "position", "description", "showcase", "start_date",
    "group_id", "page_id", "group", "only_show_if_degraded",
}  # fmt: skip
INCIDENT = {
    "id", "name", "status", "created_at", "updated_at", "monitoring_at", "resolved_at", "impact", "shortlink",
    "started_at", "page_id", "incident_updates", "components",
}  # fmt: skip
UPDATE = {
    "id", "status", "body", "incident_id", "created_at", "updated_at", "display_at", "affected_components",
    "deliver_notifications", "custom_tweet", "tweet_id",
}  # fmt: skip
BASE = "/status/api/v2"
WINDOW = {"scheduled_for": "2099-03-01T10:00:00Z", "scheduled_until": "2099-03-01T11:00:00Z"}


def check_incident(incident: dict[str, Any], *more: str) -> None:
    assert incident.keys() == INCIDENT | {*more}
    assert incident["incident_updates"]
    assert all(update.keys() == UPDATE for update in incident["incident_updates"])
    assert all(component.keys() == COMPONENT for component in incident["components"])


async def summary(client: httpx2.AsyncClient, language: str = "fr") -> dict[str, Any]:
    found: dict[str, Any] = fine(await client.get(f"{BASE}/summary.json?language={language}"))
    assert found.keys() == {"page", "status", "components", "incidents", "scheduled_maintenances"}
    assert found["page"].keys() == PAGE
    assert found["status"].keys() == {"indicator", "description"}
    assert all(component.keys() == COMPONENT for component in found["components"])
    for incident in found["incidents"]:
        check_incident(incident)
    for maintenance in found["scheduled_maintenances"]:
        check_incident(maintenance, "scheduled_for", "scheduled_until")
    return found


async def test_without_a_fault_nothing_is_said_to_work(
    anyone: httpx2.AsyncClient, own: httpx2.AsyncClient
) -> None:
    await put(own, "operators/arnia", an_operator())
    found = await summary(anyone)
    assert found["status"] == {"indicator": "none", "description": "Aucune panne connue"}
    assert [(part["id"], part["status"]) for part in found["components"]] == [("arnia", "operational")]
    assert found["incidents"] == found["scheduled_maintenances"] == []
    assert (await summary(anyone, "en"))["status"]["description"] == "No fault known"


@pytest.mark.parametrize(
    ("members", "component", "indicator", "impact"),
    [
        ({"kind": "outage", "severity": "critical"}, "major_outage", "critical", "critical"),
        ({"kind": "outage", "severity": "high"}, "partial_outage", "major", "major"),
        ({"kind": "degradation", "severity": "medium"}, "degraded_performance", "minor", "minor"),
        ({"kind": "outage", "status": "monitoring"}, "degraded_performance", "minor", "major"),
    ],
)
async def test_an_outage_is_an_incident_and_the_state_of_its_operator(
    anyone: httpx2.AsyncClient,
    own: httpx2.AsyncClient,
    members: dict[str, Any],
    component: str,
    indicator: str,
    impact: str,
) -> None:
    await put(own, "operators/arnia", an_operator())
    updates = [
        {"at": "2026-03-01T08:05:00Z", "status": "investigating", "text": {"fr": "Nous cherchons."}},
        {"at": "2026-03-01T08:30:00Z", "status": "monitoring", "text": {"fr": "Réparé, nous surveillons."}},
    ]
    fine(await put(own, "incidents/down", an_incident(**members, updates=updates), tlp="CLEAR"))
    found = await summary(anyone)
    assert found["status"]["indicator"] == indicator
    assert [part["status"] for part in found["components"]] == [component]
    (incident,) = found["incidents"]
    assert (incident["id"], incident["name"], incident["impact"]) == ("arnia/down", "Panne", impact)
    assert incident["started_at"] == "2026-03-01T08:00:00Z"
    assert incident["monitoring_at"] == "2026-03-01T08:30:00Z"
    assert incident["shortlink"].endswith("/fr/incidents/arnia/down")
    assert [update["body"] for update in incident["incident_updates"]] == [
        "Réparé, nous surveillons.", "Nous cherchons.",
    ]  # fmt: skip
    assert [part["id"] for part in incident["components"]] == ["arnia"]


async def test_what_is_over_is_in_the_history_alone_and_maintenance_stands_apart(
    anyone: httpx2.AsyncClient, own: httpx2.AsyncClient
) -> None:
    over = an_incident(status="resolved", resolved_at="2026-03-01T09:00:00Z")
    fine(await put(own, "incidents/over", over, tlp="CLEAR"))
    fine(await put(own, "incidents/planned", an_incident(kind="maintenance", **WINDOW), tlp="CLEAR"))
    fine(await put(own, "incidents/hole", an_incident(kind="vulnerability"), tlp="CLEAR"))
    found = await summary(anyone)
    assert found["incidents"] == []
    assert found["status"]["indicator"] == "none"
    assert [entry["scheduled_for"] for entry in found["scheduled_maintenances"]] == [WINDOW["scheduled_for"]]
    history = fine(await anyone.get(f"{BASE}/incidents.json"))
    assert history.keys() == {"page", "incidents"}
    (incident,) = history["incidents"]
    check_incident(incident)
    assert (incident["status"], incident["resolved_at"]) == ("resolved", "2026-03-01T09:00:00Z")
    assert incident["incident_updates"][0]["body"] == "Le service ne répond plus"
    windows = fine(await anyone.get(f"{BASE}/scheduled-maintenances.json"))
    (maintenance,) = windows["scheduled_maintenances"]
    check_incident(maintenance, "scheduled_for", "scheduled_until")
    assert (maintenance["impact"], maintenance["status"]) == ("maintenance", "scheduled")


async def test_the_answer_is_of_public_records_whoever_asks(
    anyone: httpx2.AsyncClient, own: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tlp in ("CLEAR", "GREEN", "RED"):
        for kind in ("outage", "maintenance"):
            incident = an_incident(kind=kind, title={"fr": f"canary-{tlp.lower()}"})
            fine(await put(own, f"incidents/{kind}-{tlp.lower()}", incident, tlp=tlp))
    for client in (anyone, own):
        for name in ("summary", "incidents", "scheduled-maintenances"):
            answer = await client.get(f"{BASE}/{name}.json")
            assert "canary-clear" in answer.text
            assert "canary-green" not in answer.text
            assert "canary-red" not in answer.text
            known = {"if-none-match": answer.headers["etag"]}
            assert (await client.get(f"{BASE}/{name}.json", headers=known)).status_code == 304
    assert answer.headers["cache-control"] == "public, max-age=30"
    monkeypatch.setattr(statuspage, "MAX_RECENT", 1)
    await put(own, "incidents/second", an_incident(), tlp="CLEAR")
    assert len(fine(await anyone.get(f"{BASE}/incidents.json"))["incidents"]) == 1


async def test_an_operator_whose_state_is_not_known_is_counted_and_not_said_to_work(
    anyone: httpx2.AsyncClient, own: httpx2.AsyncClient, arnia: Node
) -> None:
    await put(own, "operators/arnia", an_operator())
    await copy(arnia, "operator", "megalis/megalis", an_operator(name="Mégalis"), tlp="CLEAR")
    found = await summary(anyone, "en")
    assert [part["id"] for part in found["components"]] == ["arnia"]
    assert found["status"]["description"] == "No fault known; operators whose state is not known: 1"
    await copy(arnia, "incident", "megalis/down", an_incident(), tlp="CLEAR")
    found = await summary(anyone, "en")
    assert [(part["id"], part["status"]) for part in found["components"]] == [
        ("arnia", "operational"), ("megalis", "partial_outage"),
    ]  # fmt: skip
    assert found["status"]["description"] == "Outage"
