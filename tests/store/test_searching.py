"""What is found by its words: as people ask, in French, whatever text of a record the words are in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from federation.domain.content.solution import Solution
from federation.domain.query import read_query
from federation.domain.registry import TYPES
from federation.domain.visibility import itself
from federation.node import records
from federation.node.node import Node
from tests.conftest import Databases, emptied
from tests.domain.builders import a_deployment, a_draft, a_group, a_solution, an_incident, an_operator
from tests.nodes import a_node, publish

RECORDS: dict[str, tuple[str, dict[str, Any]]] = {
    "demarches": (
        "solution",
        a_solution(name="Démarches simplifiées", summary={"fr": "Formulaires en ligne pour les usagers"}),
    ),
    "onlyoffice": (
        "solution",
        a_solution(name="OnlyOffice Documents", summary={"fr": "Suite bureautique collaborative"}),
    ),
    "glpi": (
        "solution",
        a_solution(summary={"fr": "Gestion de parc informatique", "en": "Keeps track of your assets"}),
    ),
    "voice-ai": ("solution", a_solution(name="Voice AI", summary={"en": "Answers calls"})),
    "voice": ("solution", a_solution(name="Voice", summary={"fr": "Répondeur"})),
    "regie": (
        "deployment",
        a_deployment(
            solution="megalis/formulaires-en-ligne",
            hosting={"model": "operator", "provider": "Régie numérique des communautés de communes"},
        ),
    ),
    "panne": (
        "incident",
        an_incident(title={"fr": "Panne du réseau"}, summary={"en": "Link down"}, aliases=["CVE-2026-1234"]),
    ),
    "operator": ("operator", an_operator(name="Territoires numériques")),
    "rssi": ("group", a_group(name="Responsables de la sécurité", purpose={"en": "Alerts"})),
}


@pytest.fixture(scope="module")
async def recia(databases: Databases) -> AsyncIterator[Node]:
    async with a_node("recia", await emptied(await databases("recia"))) as node:
        for key, (type_name, content) in RECORDS.items():
            await publish(node, type_name, key, content)
        yield node


FOUND: dict[str, list[tuple[str, set[str]]]] = {
    "solution": [
        ("démarche", {"demarches"}),
        ("démarche simplifiée", {"demarches"}),
        ("DEMARCHES SIMPLIFIEES", {"demarches"}),
        ("démarches ligne", {"demarches"}),
        ("démarches usagers", {"demarches"}),
        ("usager démarche formulaire", {"demarches"}),
        ("onlyoffice bureautique", {"onlyoffice"}),
        ("documents bureautiques", {"onlyoffice"}),
        ("onlyoffice", {"onlyoffice"}),
        # Endings that sound alike, with their accents or without.
        ("usager", {"demarches"}),
        ("démarche simplifié", {"demarches"}),
        ("demarche simplifiee", {"demarches"}),
        ("suites collaboratives", {"onlyoffice"}),
        ("onlyoffice usagers", set()),
        ("glpi parcs assets", {"glpi"}),
        ("assets informatiques", {"glpi"}),
        # Words in quotes follow one another.
        ('"suite bureautique"', {"onlyoffice"}),
        ('"bureautique suite"', set()),
        ('"démarches simplifiées" usagers', {"demarches"}),
        # Either of two.
        ("démarche or bureautique", {"demarches", "onlyoffice"}),
        # A word left out is left out in whatever form it is there.
        ("voice", {"voice", "voice-ai"}),
        ("voice -répondeurs", {"voice-ai"}),
        ("démarches -usager", set()),
        ("formulaire -bureautique", {"demarches"}),
        # Words that French does not count, if there are no others.
        ("ai", {"voice-ai"}),
        ("avec", set()),
        ("formulaires pour usagers", {"demarches"}),
        ("!?&|:*()'", set()),
    ],
    "deployment": [
        ("numériques", {"regie"}),
        ("régies numériques", {"regie"}),
        ("numérique communauté", {"regie"}),
        ("formulaire régie", {"regie"}),
        ("megalis", {"regie"}),
    ],
    "incident": [
        ("pannes", {"panne"}),
        ("panne link", {"panne"}),
        ("réseaux CVE-2026-1234", {"panne"}),
        ("cve-2026-1234", {"panne"}),
        ("cve-2026-1235", set()),
    ],
    "operator": [("territoire numérique", {"operator"})],
    "group": [("responsable alerts", {"rssi"}), ("sécurité", {"rssi"})],
}


@pytest.mark.parametrize(
    ("type_name", "asked", "found"),
    [(type_name, *case) for type_name, cases in FOUND.items() for case in cases],
)
async def test_what_is_asked_for_in_words_is_found(
    recia: Node, type_name: str, asked: str, found: set[str]
) -> None:
    query = read_query(TYPES[type_name], [("q", asked), ("total", "true")])
    documents, _, total = await records.collect(recia, query, by=itself("recia"))
    assert {msgspec.json.decode(document)["key"] for document in documents} == found
    assert total == len(found)


async def test_of_records_that_are_kept_together_each_is_found_by_its_own_texts(arnia: Node) -> None:
    """Those that several of them have are made words of once."""
    summaries = ("Cantine", "Piscine", "Cantine", "", "Bibliothèque", "Piscine")
    drafts = {
        f"s{n}": a_draft(a_solution(name=f"Outil {n}", summary={"fr": text} if text else {"en": "Library"}))
        for n, text in enumerate(summaries)
    }
    await records.upload(arnia, Solution, drafts, by=itself("arnia"))
    for words, keys in {
        "cantine": {"s0", "s2"}, "piscine": {"s1", "s5"}, "bibliothèque": {"s4"}, "library": {"s3"},
        "outil": set(drafts), "cantine outil": {"s0", "s2"},
    }.items():  # fmt: skip
        query = read_query(TYPES["solution"], [("q", words)])
        documents, _, _ = await records.collect(arnia, query, by=itself("arnia"))
        assert {msgspec.json.decode(document)["key"] for document in documents} == keys, words
