"""Purchases, consultations and participations of several operators at one node."""

from __future__ import annotations

from typing import Any

UNITS = [{"key": "portable", "label": {"fr": "ordinateurs portables", "en": "laptops"}}]


def a_purchase(**members: Any) -> dict[str, Any]:
    return {
        "title": {"fr": "Groupement de postes", "en": "Workstations together"},
        "summary": {"fr": "Des postes reconditionnés."},
        "kind": "groupement-de-commandes",
        "coordinator": {"identifiers": [{"scheme": "0009", "value": "21710076700011"}], "name": "Chalon"},
        "status": "open",
        **members,
    }


def a_consultation(**members: Any) -> dict[str, Any]:
    return {
        "purchase": "arnia/postes",
        "title": {"fr": "Postes 2026", "en": "Workstations 2026"},
        "status": "gathering",
        "needs_until": "2099-05-31T22:00:00Z",
        "cpv": ["30213000-5"],
        "units": UNITS,
        **members,
    }


def a_participation(quantity: int | None = None, unit: str = "portable", **members: Any) -> dict[str, Any]:
    needs = [{"unit": unit, "quantity": quantity}] if quantity is not None else []
    return {
        "consultation": "arnia/postes-2026",
        "state": "need-given" if needs else "interested",
        "needs": needs,
        **members,
    }


def a_meeting(**members: Any) -> dict[str, Any]:
    return {
        "title": {"fr": "Réunion mensuelle", "en": "Monthly meeting"},
        "starts_at": "2026-04-02T08:00:00Z",
        "ends_at": "2026-04-02T09:30:00Z",
        "time_zone": "Europe/Paris",
        "url": "https://visio.example.org/mensuelle",
        **members,
    }
