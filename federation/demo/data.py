"""Demonstration data: real solutions, communes and vulnerabilities; invented deployments and offers.

Deterministic: the same operator and scale give the same records. No deployment says anything about what
a commune or an operator really runs; each is marked ``environment: demonstration``.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from federation.demo.catalogue import INCIDENTS, OPERATORS, SOLUTIONS
from federation.demo.communes import REGIONS, beneficiaries
from federation.demo.cooperation import organisation
from federation.demo.offers import OFFERS

NAMES = tuple(entry.origin for entry in OPERATORS)
"""The four operators of the demonstration."""

IMPORTED = "arnia/CVE-2025-24799"
"""The incident that is not loaded with the others: the story imports it as an advisory."""
OUTAGE = "arnia/demo-outage"
OUTAGE_CONTENT = {
    "title": {
        "fr": "Démonstration : messagerie indisponible",
        "en": "Demonstration: messaging is unavailable",
    },
    "summary": {
        "fr": "Panne inventée pour la démonstration.",
        "en": "An outage invented for the demonstration.",
    },
    "kind": "outage",
    "status": "investigating",
    "severity": "high",
    "started_at": "2026-11-23T08:00:00Z",
    "affects": [{"deployments": ["arnia/demo-000001"]}],
}
GROUP = "security"
MEMBERS = {"arnia": ("megalis", "recia")}
"""Who is in the group of an operator, for records that not everybody may see."""

# Versions that the two vulnerabilities are about, and some beyond them.
_VERSIONS = {
    "arnia/glpi": ("9.5.13", "10.0.6", "10.0.15", "10.0.17", "10.0.18", "10.0.19"),
    "recia/xwiki": ("14.10.20", "15.10.8", "15.10.11", "16.4.0", "16.4.1"),
}
_MODELS = ("operator", "public-sector-cloud", "private-cloud", "on-premises", "vendor-saas")


def drafts(operator: str, scale: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """(collection, draft with its key) for everything an operator publishes, groups first."""
    if operator in MEMBERS:
        yield (
            "groups",
            {
                "key": GROUP,
                "content": {
                    "name": "Cellule sécurité (démonstration)",
                    "members": list(MEMBERS[operator]),
                    "purpose": {"fr": "Incidents de sécurité en cours d'analyse"},
                },
            },
        )
    for plural, entries in (("operators", OPERATORS), ("solutions", SOLUTIONS), ("incidents", INCIDENTS)):
        for entry in entries:
            if entry.origin == operator and entry.id != IMPORTED:
                draft: dict[str, Any] = {"key": entry.key, "content": entry.content}
                if entry.same_as:
                    draft["same_as"] = list(entry.same_as)
                yield plural, draft
    if operator in MEMBERS:
        yield "incidents", security_incident(operator)
    for entry in OFFERS:
        if entry.origin == operator:
            yield "offers", {"key": entry.key, "content": entry.content}
    for number in range(scale):
        yield "deployments", deployment(operator, number)


def security_incident(operator: str) -> dict[str, Any]:
    """An invented incident for the members of a group only."""
    return {
        "key": "demo-security",
        "tlp": "AMBER",
        "audience": GROUP,
        "content": {
            "title": {"fr": "Démonstration : hameçonnage ciblé", "en": "Demonstration: targeted phishing"},
            "summary": {
                "fr": "Incident inventé, visible des seuls membres du groupe.",
                "en": "An invented incident that only members of the group can see.",
            },
            "kind": "security",
            "status": "investigating",
            "severity": "medium",
            "detected_at": "2026-11-02T07:40:00Z",
            "affects": [{"deployments": [f"{operator}/demo-000000"]}],
        },
    }


def deployment(operator: str, number: int) -> dict[str, Any]:
    """One invented deployment. The first of each operator runs what the imported vulnerability is about."""
    chance = random.Random(f"{operator} {number}")
    region = next(e.content["territory"][0] for e in OPERATORS if e.origin == operator)
    solution = chance.choice(SOLUTIONS).id if number % 3 else chance.choice(sorted(_VERSIONS))
    content: dict[str, Any] = {
        "solution": solution,
        "status": chance.choices(("production", "pilot", "planned"), (8, 1, 1))[0],
        "tenancy": chance.choice(("shared", "dedicated")),
        "hosting": {"model": chance.choice(_MODELS), "country": "FR"},
        "coverage": _coverage(chance, region),
        "environment": "demonstration",
        "since": f"{chance.randint(2019, 2025)}-{chance.randint(1, 12):02d}-01",
        "attestation": "declared",
    }
    if versions := _VERSIONS.get(solution):
        content |= {"version": chance.choice(versions), "version_state": "exact"}
    else:
        content["version_state"] = "unknown"
    if number == 0:
        # The story needs an affected deployment of every operator, however few there are.
        content |= {"solution": "arnia/glpi", "status": "production", "version": "10.0.17"}
        content["version_state"] = "exact"
    return {"key": f"demo-{number:06d}", "content": content}


def _coverage(chance: random.Random, region: str) -> dict[str, Any]:
    kind = chance.choices(("list", "territory", "count"), (8, 1, 1))[0]
    bodies = beneficiaries(REGIONS[region])
    if kind == "territory":
        return {"kind": kind, "territory": [chance.choice(bodies).departement]}
    if kind == "count":
        return {"kind": kind, "count": chance.randint(5, 400), "as_of": "2026-01-01"}
    chosen = chance.sample(bodies, chance.choice((1, 1, 1, 2, 3, 8)))
    return {"kind": kind, "beneficiaries": [organisation(body) for body in chosen]}
