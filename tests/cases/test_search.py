"""Public cases of searches in French: domain names, slashes, numbers, compounds, misspelt words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from federation.domain.query import read_query
from federation.domain.registry import TYPES
from federation.domain.visibility import Caller, anonymous, itself
from federation.node import records, search, search_index
from federation.node.node import Node
from tests.api.http_client import fine
from tests.conftest import Databases, emptied
from tests.domain.builders import a_solution, an_incident
from tests.nodes import a_node, browsing, publish
from tests.store.stepwise_transactions import looking

SOLUTIONS: dict[str, dict[str, Any]] = {
    "demarches": {"name": "demarches-simplifiees.fr"},
    "impots": {"name": "impots.gouv.fr"},
    "service": {"name": "service-public.fr"},
    "eau": {"name": "Eau/Assainissement"},
    "plan": {"name": "plan-2025"},
    "civil": {"name": "Registre", "summary": {"fr": "Tient l'état civil de la commune"}},
    "civil-2": {"name": "Actes", "summary": {"fr": "Publie l’état-civil en ligne"}},
    "agenda": {"name": "Agenda", "summary": {"fr": "Prise de rendez-vous"}},
    "agenda-2": {"name": "Calendrier", "summary": {"fr": "Un rendez vous en ligne"}},
    "rh": {"name": "Outil RH", "summary": {"fr": "Le SI des ressources humaines"}},
    "ia": {"name": "IA", "summary": {"fr": "Cœur de métier : œuvres d'art"}},
    "mail": {"name": "Courrier", "summary": {"fr": "Écrire à contact@mairie.example.org <usager> v1.5e3"}},
    "glpi": {"name": "Parc", "summary": {"fr": "GLPI v10.0.18 et péri\u00adscolaire"}},
    "secret": {"name": "Zanzibar", "tlp": "RED"},
}


@pytest.fixture(scope="module")
async def recia(databases: Databases) -> AsyncIterator[Node]:
    async with a_node("recia", await emptied(await databases("recia"))) as node:
        for key, members in SOLUTIONS.items():
            content = a_solution(**{"summary": {"fr": "Outil numérique"}, **members})
            envelope = {"tlp": content.pop("tlp")} if "tlp" in content else {}
            await publish(node, "solution", key, content, **envelope)
        await publish(node, "incident", "cve", an_incident(aliases=["CVE-2099-10001", "GHSA-aaaa-0000-0001"]))
        await publish(node, "incident", "other", an_incident(aliases=["CVE-2098-10001"]))
        yield node


async def found(node: Node, words: str, type_name: str = "solution") -> set[str]:
    query = read_query(TYPES[type_name], [("q", words)])
    documents, _, _ = await records.collect(node, query, by=itself(node.operator))
    return {msgspec.json.decode(document)["key"] for document in documents}


@pytest.mark.case("f01", "a domain name is found by its words")
async def test_a_domain_name_is_found_by_its_words(recia: Node) -> None:
    for words in (
        "démarches", "démarche", "démarches simplifiées", "demarches-simplifiees", "demarches-simplifiees.fr",
        "DEMARCHES-SIMPLIFIEES.FR", "https://demarches-simplifiees.fr/",
    ):  # fmt: skip
        expected = {"demarches"} if "http" not in words else set()  # nothing has the word https
        assert await found(recia, words) == expected, words
    for words in ("impôts", "impot", "impots.gouv", "gouv impôts"):
        assert await found(recia, words) == {"impots"}, words
    for words in ("service public", "service-public.fr", "services publics"):
        assert await found(recia, words) == {"service"}, words
    assert await found(recia, "simplifiées-démarches") == set(), "joined words follow one another"


@pytest.mark.case("f02", "words with a slash between them are found one by one")
async def test_words_beside_a_slash_are_found_one_by_one(recia: Node) -> None:
    for words in ("eau", "assainissement", "Eau/Assainissement", "assainissement/eau", "eau assainissement"):
        assert await found(recia, words) == {"eau"}, words
    assert await found(recia, "eau/air") == set()


@pytest.mark.case("f03", "a number after a hyphen is a word")
async def test_a_number_after_a_hyphen_is_a_word(recia: Node) -> None:
    for words in ("2025", "plan 2025", "plan-2025", "2025 plan", '"plan 2025"'):
        assert await found(recia, words) == {"plan"}, words
    assert await found(recia, "plan -2025") == set()
    assert await found(recia, "plan-2026") == set()


@pytest.mark.case("f04", "a compound and its words find each other")
async def test_compounds_and_their_words_find_each_other(recia: Node) -> None:
    for words in ("état-civil", "état civil", "etat civil", "l'état civil", "l’état-civil", "états-civils"):
        assert await found(recia, words) == {"civil", "civil-2"}, words
    for words in ("rendez-vous", "rendez vous", "prise de rendez-vous or calendrier"):
        assert await found(recia, words) == {"agenda", "agenda-2"}, words
    assert await found(recia, "rendez-vous -ligne") == {"agenda"}
    assert await found(recia, "civil -état-civil") == set()


async def test_a_number_of_a_vulnerability_is_found_in_part(recia: Node) -> None:
    for words in ("CVE-2099-10001", "cve-2099", "2099-10001", "2099", "CVE 2099", "ghsa-aaaa", "0000-0001"):
        assert await found(recia, words, "incident") == {"cve"}, words
    assert await found(recia, "10001", "incident") == {"cve", "other"}
    for words in ("CVE-10001", "10001-2099", "CVE-2099-1000"):
        assert await found(recia, words, "incident") == set(), words


async def test_short_words_ligatures_and_the_parts_of_addresses_are_found(recia: Node) -> None:
    for words, keys in {
        "RH": {"rh"}, "si": {"rh"}, "SI RH": {"rh"}, "ia": {"ia"}, "cœur": {"ia"}, "coeur": {"ia"},
        "oeuvre": {"ia"}, "œuvres d’art": {"ia"}, "mairie": {"mail"}, "contact@mairie": {"mail"},
        "usager": {"mail"}, "5e3": {"mail"}, "10.0.18": {"glpi"}, "glpi v10.0.18": {"glpi"}, "v10": {"glpi"},
        "périscolaire": {"glpi"}, "usager or": {"mail"}, "or usager": {"mail"}, "or": set(),
        "e\u0301crire": {"mail"},
    }.items():  # fmt: skip
        assert await found(recia, words) == keys, words


async def suggested(node: Node, words: str, by: Caller, **filters: str) -> str | None:
    query = read_query(TYPES["solution"], [("q", words), *filters.items()])
    return (await search.search(node, query, by=by)).suggestion


async def test_similar_words_are_suggested_where_nothing_is_found(recia: Node) -> None:
    await search_index.learn(recia)
    own = itself("recia")
    assert await suggested(recia, "assainisement", own) == "assainissement"
    assert await suggested(recia, "eau assenissement -plan", own) == "eau assainissement -plan"
    assert await suggested(recia, "demarce simplifiees", own) == "demarches simplifiees"
    assert await suggested(recia, "calendrir -plan", own) == "calendrier -plan"
    assert await suggested(recia, "assaini assainisement", own) == "assainissement", "two words for one"
    assert await suggested(recia, "xylophone", own) is None
    assert await suggested(recia, "assainissement", own) is None, "it is found"
    assert await suggested(recia, "assainisement", own, theme="ai") is None, "nothing would be found"


async def test_no_word_is_suggested_that_only_hidden_records_have(recia: Node) -> None:
    await search_index.learn(recia)
    assert await suggested(recia, "zanzibr", itself("recia")) == "zanzibar"
    assert await suggested(recia, "zanzibr", anonymous("recia")) is None


async def test_without_pg_trgm_nothing_is_suggested_and_nothing_fails(databases: Databases) -> None:
    dsn = await emptied(await databases("arnia"))
    async with a_node("arnia", dsn) as node, looking(dsn) as look:
        await publish(node, "solution", "eau", a_solution(name="Assainissement"))
        await search_index.learn(node)
        await look.execute("DROP EXTENSION pg_trgm CASCADE")
        try:
            assert await suggested(node, "assainisement", itself("arnia")) is None
        finally:
            await look.execute("CREATE EXTENSION pg_trgm")
            await look.execute(
                "CREATE INDEX ix_search_words_similar ON search_words USING gin (word gin_trgm_ops)"
            )
        assert await suggested(node, "assainisement", itself("arnia")) == "assainissement"


async def test_the_answer_says_its_order_and_what_may_have_been_meant(recia: Node) -> None:
    await search_index.learn(recia)
    async with browsing(recia) as client:
        answer: dict[str, Any] = fine(await client.get("/v1/solutions", params={"q": "impôts"}), 200)
        assert (answer["sort"], len(answer["items"])) == ("relevance", 1)
        answer = fine(await client.get("/v1/solutions", params={"q": "impot", "sort": "id"}), 200)
        assert answer["sort"] == "id"
        answer = fine(await client.get("/v1/solutions", params={"q": "assainisement"}), 200)
        assert (answer["items"], answer["suggestion"]) == ([], "assainissement")
        answer = fine(await client.get("/v1/solutions"), 200)
        assert not {"sort", "suggestion"} & answer.keys()
