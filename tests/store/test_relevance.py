"""Searches in the order of relevance: what ranks first, pages, and lists that are too long to be ranked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from federation.domain.content.solution import Solution
from federation.domain.query import PageKey, read_query
from federation.domain.visibility import Caller, anonymous, itself
from federation.node.node import Node
from federation.store import lists
from federation.store.lists import Listed
from tests.conftest import Databases, emptied
from tests.domain.builders import a_deployment, a_solution
from tests.nodes import a_node, publish

RANKED = {
    "the title": a_solution(
        name="Cimetière", summary={"fr": "Concessions"}, description={"fr": "Un texte long et varié. " * 40}
    ),
    "in the title": a_solution(name="Gestion cimetière"),
    "in a long title": a_solution(name="Gestion du cimetière et des concessions de la commune"),
    "twice in the summary": a_solution(name="A", summary={"fr": "Cimetières : plan du cimetière"}),
    "once in the summary": a_solution(name="B", summary={"fr": "Plan d'un cimetière"}),
    "far down": a_solution(
        name="C", summary={"fr": "Outil"}, description={"fr": f"{'Texte divers. ' * 30} Cimetière."}
    ),
}


@pytest.fixture(scope="module")
async def node(databases: Databases) -> AsyncIterator[Node]:
    async with a_node("recia", await emptied(await databases("recia"))) as node:
        for n, content in enumerate(RANKED.values()):
            await publish(node, "solution", f"s{n}", content)
        for n in range(8):
            await publish(node, "deployment", f"d{n}", a_deployment(solution="recia/cimetiere"))
            await publish(
                node, "solution", f"p{n}", a_solution(name="Piscine", summary={"fr": f"Bassin {n}"})
            )
        await publish(node, "solution", "hidden", a_solution(name="Cimetière caché"), tlp="RED")
        yield node


async def listed(node: Node, *asked: tuple[str, str], by: Caller | None = None) -> Listed:
    async with node.store.read() as tx:
        return await tx.records.search(read_query(Solution, list(asked)), visible_to=by or itself("recia"))


def keys(found: Listed) -> list[str]:
    return [msgspec.json.decode(document)["key"] for document in found.documents]


async def walk(node: Node, *asked: tuple[str, str]) -> tuple[list[str], set[str]]:
    """The keys of all pages, and the orders that they were in."""
    walked: list[str] = []
    sorts: set[str] = set()
    after: list[tuple[str, str]] = []
    while True:
        found = await listed(node, *asked, ("limit", "2"), *after)
        walked += keys(found)
        sorts.add(found.sort)
        if found.page_key is None:
            return walked, sorts
        after = [("after", str(found.page_key))]


async def test_what_is_named_by_the_words_comes_first(node: Node) -> None:
    found = await listed(node, ("q", "cimetières"), ("total", "true"), by=anonymous("recia"))
    assert [list(RANKED)[int(key[1:])] for key in keys(found)] == list(RANKED)
    assert (found.sort, found.total, found.page_key) == ("relevance", 6, None)


async def test_another_order_is_the_one_that_is_asked_for(node: Node) -> None:
    found = await listed(node, ("q", "cimetière"), ("sort", "updated_at"), by=anonymous("recia"))
    assert (keys(found), found.sort) == (["s0", "s1", "s2", "s3", "s4", "s5"], "updated_at")
    newest = await listed(node, ("q", "cimetière"), ("sort", "-updated_at"), by=anonymous("recia"))
    assert keys(newest) == ["s5", "s4", "s3", "s2", "s1", "s0"]


async def test_pages_of_a_search_are_its_list_without_gaps_and_equal_ranks_are_newest_first(
    node: Node,
) -> None:
    for words in ("cimetière", "piscine", "cimetière or piscine", "bassin -3"):
        whole = keys(await listed(node, ("q", words)))
        assert await walk(node, ("q", words)) == (whole, {"relevance"}), words
    assert keys(await listed(node, ("q", "piscine"))) == [f"p{n}" for n in range(7, -1, -1)]


async def test_a_list_that_is_too_long_is_in_the_order_of_time_on_every_page(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "MAX_RANKED", 7)
    assert await walk(node, ("q", "piscine")) == ([f"p{n}" for n in range(7, -1, -1)], {"-updated_at"})
    monkeypatch.setattr(lists, "MAX_RANKED", 8)
    assert (await walk(node, ("q", "piscine")))[1] == {"relevance"}
    # Deployments have the word, too, and are not counted.
    monkeypatch.setattr(lists, "MAX_RANKED", 7)
    assert len(RANKED) + 1 == lists.MAX_RANKED
    assert (await listed(node, ("q", "cimetière"))).sort == "relevance"


async def test_a_total_is_given_with_either_order(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    for bound in (1, 100):
        monkeypatch.setattr(lists, "MAX_RANKED", bound)
        for more in ([], [("limit", "3")]):
            found = await listed(node, ("q", "piscine"), ("total", "true"), *more)
            assert found.total == 8


async def test_a_list_goes_on_in_the_order_it_began_in_whatever_comes_meanwhile(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await listed(node, ("q", "piscine"), ("limit", "5"))
    assert isinstance(first.page_key, PageKey)
    monkeypatch.setattr(lists, "MAX_RANKED", 2)
    second = await listed(node, ("q", "piscine"), ("after", str(first.page_key)))
    assert (second.sort, keys(first) + keys(second)) == ("relevance", [f"p{n}" for n in range(7, -1, -1)])
    by_time = await listed(node, ("q", "piscine"), ("limit", "5"))
    monkeypatch.setattr(lists, "MAX_RANKED", 1_000)
    rest = await listed(node, ("q", "piscine"), ("after", str(by_time.page_key)))
    assert (by_time.sort, rest.sort) == ("-updated_at", "-updated_at")
    assert keys(by_time) + keys(rest) == [f"p{n}" for n in range(7, -1, -1)]


async def test_statistics_decide_how_fast_a_search_is_and_not_its_order(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = (
        [("q", "piscine bassin")],
        [("q", "piscine"), ("origin", "recia")],
        [("q", '"piscine" bassin')],
        [("q", "cimetière")],
        [("q", "cimetière or piscine"), ("total", "true")],
    )
    bounds = (2, 6, 7, 8, 1_000)
    few: list[str] = []
    page_of_few = lists.ListReader._page_of_few

    async def watched(reader: Any) -> Any:
        page = await page_of_few(reader)
        few.append("cut" if page is None else reader.sort)
        return page

    async def answers() -> list[tuple[list[str], str, int | None]]:
        found = []
        for bound in bounds:
            monkeypatch.setattr(lists, "MAX_RANKED", bound)
            for question in questions:
                for by in (itself("recia"), anonymous("recia")):
                    listed_ = await listed(node, *question, ("limit", "3"), by=by)
                    found.append((keys(listed_), listed_.sort, listed_.total))
        return found

    monkeypatch.setattr(lists.ListReader, "_page_of_few", watched)
    known = node.store._varied.stats
    monkeypatch.setattr(known, "_until", float("inf"))
    monkeypatch.setattr(known, "records", float("inf"))
    plain = await answers()
    assert not few  # nothing is known of how many match
    monkeypatch.setattr(known, "facets", frozenset({"solution.origin=recia"}))
    monkeypatch.setattr(known, "lexemes", frozenset({"piscin"}))
    monkeypatch.setattr(known, "records", 100.0)
    assert await answers() == plain
    assert {"relevance", "-updated_at"} <= set(few)
    # Records of other types have the words, too, and more than are read.
    monkeypatch.setattr(lists, "MAX_ROWS_BY_INDEX", 9)
    monkeypatch.setattr(known, "records", 9.0)
    assert await answers() == plain
    assert "cut" in few
