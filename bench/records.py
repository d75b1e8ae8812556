"""Realistic records: deployments of the demonstration, with the texts that real ones have.

Deterministic. Real communes, invented deployments; nobody runs what they say.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from federation.demo.data import NAMES, deployment
from federation.domain.content.deployment import Deployment
from federation.domain.draft import KeyedDraft, read_draft
from federation.domain.record import Record, to_record

PROVIDERS = 700
"""Invented hosting companies: a search for one finds a seven-hundredth of the records."""
_SHAPE: Any = KeyedDraft
_ELIGIBILITY = (
    "Toute collectivité du territoire peut rejoindre ce service mutualisé par simple délibération.",
    "Réservé aux adhérents de la centrale d'achat ; reprise des données et formation des agents comprises.",
    "Ouvert aux communes de moins de 3 500 habitants, aux syndicats et aux établissements publics locaux.",
)
_SUPPORT = (
    "Assistance aux agents du lundi au vendredi, de 8 h 30 à 18 h, par téléphone et par formulaire ;"
    " prise en charge des incidents bloquants en moins de quatre heures ouvrées, suivi mensuel des"
    " demandes et comité d'utilisateurs chaque semestre."
)


def draft(operator: str, number: int, *, edition: int = 0) -> dict[str, Any]:
    """One deployment with its key, about 1.2 kB; another edition says something else."""
    # (The demonstration knows four operators; what others say is of the same kind.)
    found = deployment(operator if operator in NAMES else NAMES[0], number)
    chance = random.Random(number)
    content = found["content"]
    content["hosting"]["provider"] = f"Hébergeur {chance.randrange(PROVIDERS)} (démonstration)"
    content["support"] = f"{_SUPPORT} {chance.choice(_ELIGIBILITY)} Édition {edition}."
    found["key"] = f"demo-{number:07d}"
    return found


def line(operator: str, number: int, *, edition: int = 0) -> bytes:
    """A line of a bulk upload."""
    return msgspec.json.encode(draft(operator, number, edition=edition)) + b"\n"


def uploads(operator: str, first: int, many: int, *, edition: int = 0) -> Iterator[bytes]:
    """Bodies of bulk uploads, each of as many lines as one may have."""
    for start in range(first, first + many, 100_000):
        end = min(start + 100_000, first + many)
        yield b"".join(line(operator, number, edition=edition) for number in range(start, end))


def record(operator: str, body: bytes) -> Record:
    """The record that the node of this operator makes of a line."""
    read = read_draft(body, _SHAPE[Deployment])
    now = datetime.now(UTC)
    return to_record(read, Deployment, operator, read.key, revision=1, created_at=now, updated_at=now)
