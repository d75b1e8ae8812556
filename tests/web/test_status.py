"""Pages of status: what is wrong now, and what is not known."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx2
import msgspec
import pytest

from federation.domain.content.incident import Incident
from federation.domain.exposure.answers import CopyAge
from federation.domain.service_state import ServiceEvent, operator_state
from federation.node.node import Node
from tests.api.http_client import put
from tests.domain.builders import an_incident, an_operator
from tests.exposure.deployments import copy, copy_unread
from tests.nodes import introduce
from tests.people.people import a_person, log_in
from tests.web.browser import links, shown
from tests.web.statements import counted

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OWN = CopyAge("own", 0)
WINDOW = {"scheduled_for": "2026-03-01T10:00:00Z", "scheduled_until": "2026-03-01T11:00:00Z"}


def an_event(**members: Any) -> ServiceEvent:
    content = msgspec.convert(an_incident(**members), Incident)
    return ServiceEvent("arnia/i", "arnia", content, "2026-03-01T08:30:00Z", frozenset({"arnia"}))


@pytest.mark.parametrize(
    ("members", "state"),
    [
        ({"kind": "outage"}, "down"),
        ({"kind": "outage", "status": "monitoring"}, "degraded"),
        ({"kind": "degradation"}, "degraded"),
        ({"kind": "maintenance", "status": "in_progress"}, "maintenance"),
        ({"kind": "maintenance", **WINDOW}, "unknown"),
        ({"kind": "maintenance", "scheduled_for": "2026-03-02T10:00:00Z"}, "none-known"),
    ],
)
def test_the_state_of_an_operator_follows_from_its_incidents(members: dict[str, Any], state: str) -> None:
    found = operator_state("arnia", "L'ARNia", [an_event(**members)], OWN, NOW)
    assert found.state == state
    assert bool(found.planned) == (state == "none-known")
    assert operator_state("recia", "RECIA", [an_event(**members)], OWN, NOW).state == "none-known"


@pytest.mark.parametrize("state", ["unverified", "stale", "diverged", "suspended", "left", "unknown"])
def test_without_a_verified_copy_no_operator_is_without_a_fault(state: Any) -> None:
    assert operator_state("arnia", "", [], CopyAge(state, None), NOW).state == "unknown"
    assert operator_state("arnia", "", [], CopyAge("verified", 9), NOW).state == "none-known"
    assert operator_state("arnia", "", [an_event()], CopyAge(state, None), NOW).state == "down"


async def test_outages_are_shown_with_their_beginning_to_those_who_may_see_them(
    visitor: httpx2.AsyncClient, own: httpx2.AsyncClient, arnia: Node
) -> None:
    await put(own, "operators/arnia", an_operator())
    assert "aucune panne publique" in shown(await visitor.get("/fr/status"))
    await put(own, "incidents/down", an_incident(title={"fr": "ENT en panne"}), tlp="GREEN")
    assert "ENT en panne" not in shown(await visitor.get("/fr/status"))
    await put(own, "incidents/down", an_incident(title={"fr": "ENT en panne"}), tlp="CLEAR")
    with counted() as statements:
        answer = await visitor.get("/fr/status")
    text = shown(answer)
    assert len(statements) <= 8, str(statements)
    assert "en panne" in text
    assert "/fr/incidents/arnia/down" in links(answer)
    assert "l’absence de panne ici ne garantit rien" in text
    text = shown(await visitor.get("/fr/status/arnia"))
    assert "depuis le 1er mars 2026 à 09:00" in text
    shown(await visitor.get("/fr/status/nobody"), 404)


async def test_what_is_over_is_shown_for_a_month(
    visitor: httpx2.AsyncClient, own: httpx2.AsyncClient
) -> None:
    over = an_incident(title={"fr": "ENT rétabli"}, status="resolved", resolved_at="2026-03-01T09:00:00Z")
    await put(own, "incidents/over", over, tlp="CLEAR")
    assert "ENT rétabli" in shown(await visitor.get("/fr/status/arnia"))
    assert "ENT rétabli" not in shown(await visitor.get("/fr/status"))


async def test_an_operator_whose_copy_is_not_verified_is_unknown(
    visitor: httpx2.AsyncClient, arnia: Node, megalis: Node
) -> None:
    await introduce(arnia, megalis)
    await copy(arnia, "operator", "megalis/megalis", an_operator(name="Mégalis"), tlp="CLEAR")
    text = shown(await visitor.get("/fr/status/megalis"))
    assert "Mégalis" in text
    assert "inconnu" in text
    assert "Appelez l’opérateur" in text


async def test_an_incident_that_is_not_understood_leaves_its_operator_unknown(
    visitor: httpx2.AsyncClient, own: httpx2.AsyncClient, arnia: Node
) -> None:
    await put(own, "operators/arnia", an_operator())
    await copy_unread(arnia, "incident", "recia/odd", {"kind": "quake"}, tlp="CLEAR")
    await log_in(arnia, visitor, await a_person(arnia))
    text = shown(await visitor.get("/fr/status"))
    assert "1 incident n’est pas compris" in text
    assert "aucune panne connue" in text
