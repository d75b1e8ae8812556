"""Small documents to test with. They say nothing; a test adds what it is about."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from federation.domain.canonical import canonical
from federation.domain.content.solution import Solution
from federation.domain.draft import Draft, read_draft
from federation.domain.errors import Invalid
from federation.domain.record import Record, to_record
from federation.domain.record_content import Content
from federation.domain.record_reading import read_record

NOW = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
COMMUNE = {"scheme": "0002", "value": "217100767"}


def a_solution(**members: Any) -> dict[str, Any]:
    return {
        "name": "GLPI",
        "summary": {"fr": "Gestion de parc"},
        "kind": "software",
        "status": "stable",
        "licence": "GPL-3.0-or-later",
        "themes": ["it-asset-management"],
        **members,
    }


def a_deployment(**members: Any) -> dict[str, Any]:
    return {
        "solution": "arnia/glpi",
        "status": "production",
        "tenancy": "shared",
        "hosting": {"model": "operator"},
        "coverage": {"kind": "count", "count": 412},
        **members,
    }


FIRST_STATUS = {
    "outage": "investigating",
    "degradation": "investigating",
    "security": "investigating",
    "maintenance": "scheduled",
    "vulnerability": "open",
}


def an_incident(**members: Any) -> dict[str, Any]:
    kind = members.get("kind", "outage")
    when = "scheduled_for" if kind == "maintenance" else "started_at"
    return {
        "title": {"fr": "Panne"},
        "summary": {"fr": "Le service ne répond plus"},
        "kind": kind,
        "status": FIRST_STATUS.get(kind, "investigating"),
        "severity": "high",
        "affects": [{"solution": "arnia/glpi"}],
        when: "2026-03-01T08:00:00Z",
        **members,
    }


def a_statement(**members: Any) -> dict[str, Any]:
    return {"incident": "arnia/CVE-2025-24799", "status": "known_affected", **members}


def an_operator(**members: Any) -> dict[str, Any]:
    return {
        "name": "L'ARNia",
        "country": "FR",
        "territory": ["FR-BFC"],
        "contact": "contact@arnia.example.org",
        "security_contact": "security@arnia.example.org",
        **members,
    }


def a_group(**members: Any) -> dict[str, Any]:
    return {"name": "Sécurité", "members": ["megalis", "recia"], **members}


def a_membership(**members: Any) -> dict[str, Any]:
    return {
        "operator": "megalis",
        "name": "Mégalis Bretagne",
        "node": "https://megalis.example.org",
        "thumbprint": "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
        "admitted_at": "2026-03-02T09:00:00Z",
        **members,
    }


def an_offer(**members: Any) -> dict[str, Any]:
    return {
        "solution": "arnia/glpi",
        "title": {"fr": "Gestion de parc mutualisée"},
        "contact": "contact@arnia.example.org",
        "pricing": "free",
        **members,
    }


def a_practice(**members: Any) -> dict[str, Any]:
    return {"title": {"fr": "Migration"}, "summary": {"fr": "Douze communes"}, "kind": "guide", **members}


def a_meeting(**members: Any) -> dict[str, Any]:
    return {"title": {"fr": "Réunion mensuelle"}, "starts_at": "2026-04-02T08:00:00Z", **members}


def a_contribution(**members: Any) -> dict[str, Any]:
    return {
        "about": {"type": "meeting", "id": "recia/2026-04"},
        "kind": "comment",
        "text": {"fr": "Très utile"},
        **members,
    }


def a_purchase(**members: Any) -> dict[str, Any]:
    return {
        "title": {"fr": "Postes de travail"},
        "summary": {"fr": "Achat groupé"},
        "kind": "groupement-de-commandes",
        "coordinator": {"identifiers": [{"scheme": "0009", "value": "21710076700011"}]},
        **members,
    }


def a_consultation(**members: Any) -> dict[str, Any]:
    return {"purchase": "arnia/postes", "title": {"fr": "Postes 2026"}, "status": "gathering", **members}


def a_participation(**members: Any) -> dict[str, Any]:
    return {"consultation": "arnia/postes-2026", "state": "interested", **members}


def without(content: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in names}


def a_body(content: Any, **members: Any) -> bytes:
    """What a writer's IT system sends."""
    return json.dumps({"content": content, **members}, ensure_ascii=False).encode()


def sent(body: bytes, kind: type[Content] = Solution) -> Any:
    """The draft that a body is read as."""
    shape: Any = Draft
    return read_draft(body, shape[kind])


def a_draft(content: dict[str, Any], kind: type[Content] = Solution, **members: Any) -> Any:
    return sent(a_body(content, **members), kind)


def a_record(
    content: dict[str, Any] | None = None,
    kind: type[Content] = Solution,
    *,
    origin: str = "arnia",
    key: str = "glpi",
    revision: int = 1,
    created_at: datetime = NOW,
    updated_at: datetime = NOW,
    **members: Any,
) -> Record:
    """A record as its origin's node has written it down."""
    return to_record(
        a_draft(a_solution() if content is None else content, kind, **members),
        kind,
        origin,
        key,
        revision=revision,
        created_at=created_at,
        updated_at=updated_at,
    )


def a_document(**members: Any) -> dict[str, Any]:
    """The members of a document as a peer could send it; None leaves one out."""
    document = {
        "type": "solution",
        "origin": "megalis",
        "key": "glpi",
        "revision": 1,
        "created_at": "2026-03-01T08:30:00Z",
        "updated_at": "2026-03-01T08:30:00Z",
        "tlp": "CLEAR",
        "content": a_solution(),
        **members,
    }
    return {name: value for name, value in document.items() if value is not None}


def received(
    document: dict[str, Any] | bytes,
    *,
    type_name: str = "solution",
    origin: str = "megalis",
    key: str = "glpi",
    revision: int = 1,
) -> Record:
    """The record that a peer's document is read as."""
    raw = document if isinstance(document, bytes) else canonical(document)
    return read_record(raw, type_name=type_name, origin=origin, key=key, revision=revision)


def refused_draft(content: Any, kind: type[Content] = Solution, **members: Any) -> Invalid:
    """Why a draft is not taken, read or written down."""
    with pytest.raises(Invalid) as refusal:
        a_record(content, kind, **members)
    return refusal.value


def refused_body(body: bytes, kind: type[Content] = Solution) -> Invalid:
    with pytest.raises(Invalid) as refusal:
        sent(body, kind)
    return refusal.value


def refused_document(document: dict[str, Any] | bytes, **named: Any) -> Invalid:
    with pytest.raises(Invalid) as refusal:
        received(document, **named)
    return refusal.value


def not_understood(document: dict[str, Any] | bytes, **named: Any) -> Invalid:
    """Why a peer's document is stored and not understood."""
    record = received(document, **named)
    assert record.not_understood is not None
    detail, _, pointer = record.not_understood.partition(" at /")
    return Invalid(detail, pointer=f"/{pointer}" if pointer else "")


def nested(depth: int) -> bytes:
    """Arrays inside one another."""
    return b"[" * depth + b"]" * depth
