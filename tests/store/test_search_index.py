"""Records of an earlier program get the words and filters of this one, step by step, and none is left out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from federation.domain.query import read_query
from federation.domain.registry import TYPES
from federation.domain.visibility import itself
from federation.domain.words import INDEX_VERSION
from federation.node import records, search_index
from federation.node.node import Node
from federation.store import search_index as store_search_index
from tests.domain.builders import a_deployment, a_solution
from tests.nodes import publish

FORGET = (
    "UPDATE records SET search = '', facets = '{}', beneficiaries = '{}';"
    " UPDATE search_index SET version = 0, position = 0, until = 0"
)
SOLUTIONS = 7
ANNECY = {"identifiers": [{"scheme": "cog", "value": "74010"}]}


async def fill(node: Node) -> None:
    for n in range(SOLUTIONS):
        await publish(
            node, "solution", f"s{n}", a_solution(name=f"plan-{n}.fr", summary={"fr": "état-civil"})
        )
    coverage = {"kind": "list", "beneficiaries": [ANNECY]}
    await publish(node, "deployment", "d", a_deployment(coverage=coverage))
    await records.retract(node, TYPES["solution"], "arnia", "s3", by=itself("arnia"))
    await search_index.refresh(node)


async def found(node: Node, type_name: str, *asked: tuple[str, str]) -> int:
    documents, _, _ = await records.collect(
        node, read_query(TYPES[type_name], list(asked)), by=itself("arnia")
    )
    return len(documents)


async def rows(look: Any) -> list[Any]:
    statement = "SELECT type, key, search::text, facets, beneficiaries, document, arrived, seq FROM records"
    return [tuple(row) for row in await look.fetch(statement + " ORDER BY arrived")]


@pytest.mark.parametrize("step", [1, 3, 250])
async def test_everything_is_found_again_as_if_it_had_been_written_now(
    arnia: Node, look: Any, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(arnia)
    before = await rows(look)
    await look.execute(FORGET)
    assert await found(arnia, "solution", ("q", "civil")) == 0
    async with arnia.store.read() as tx:
        assert await tx.search_index.remaining() > 0
    monkeypatch.setattr(store_search_index.SearchIndexWriter.refresh, "__defaults__", (step,))
    assert await search_index.refresh(arnia) == SOLUTIONS
    assert await rows(look) == before
    assert await found(arnia, "solution", ("q", "civil")) == SOLUTIONS - 1
    assert await found(arnia, "deployment", ("territory", "FR-ARA")) == 1
    async with arnia.store.read() as tx:
        assert await tx.search_index.remaining() == 0
    assert await search_index.refresh(arnia) == 0, "it is done once"


async def test_a_node_that_stops_goes_on_where_it_was(arnia: Node, look: Any) -> None:
    await fill(arnia)
    await look.execute(FORGET)
    async with arnia.store.write() as tx:
        assert (await tx.search_index.refresh(3)).changed == 3
    state = await look.fetchrow("SELECT version, position FROM search_index")
    assert (state["version"], state["position"] > 0) == (-INDEX_VERSION, True)
    try:
        async with arnia.store.write() as tx:
            await tx.search_index.refresh(2)
            raise asyncio.CancelledError
    except asyncio.CancelledError:
        pass
    assert await look.fetchrow("SELECT version, position FROM search_index") == state
    assert await search_index.refresh(arnia) == SOLUTIONS - 3


async def test_a_record_that_a_writer_has_locked_is_left_for_the_next_step(arnia: Node, look: Any) -> None:
    await fill(arnia)
    await look.execute(FORGET)
    locked = look.transaction()
    await locked.start()
    await look.execute("SELECT FROM records WHERE key = 's2' FOR UPDATE")
    async with arnia.store.write() as tx:
        progress = await asyncio.wait_for(tx.search_index.refresh(), 10)
    assert (progress.is_blocked, progress.remaining > 0, progress.changed) == (True, True, SOLUTIONS - 1)
    await locked.rollback()
    assert await search_index.refresh(arnia) > 0
    assert await found(arnia, "solution", ("q", "civil")) == SOLUTIONS - 1


async def test_what_is_written_meanwhile_keeps_its_own_words(arnia: Node, look: Any) -> None:
    await fill(arnia)
    await look.execute(FORGET)
    async with arnia.store.write() as tx:
        await tx.search_index.refresh(2)
    await publish(arnia, "solution", "s5", a_solution(name="Piscine"))
    await search_index.refresh(arnia)
    assert await found(arnia, "solution", ("q", "piscine")) == 1
    assert await found(arnia, "solution", ("q", "civil")) == SOLUTIONS - 2


async def test_two_processes_do_not_hold_each_other_up(arnia: Node, look: Any) -> None:
    await fill(arnia)
    await look.execute(FORGET)
    async with arnia.store.write() as first, arnia.store.write() as second:
        await first.search_index.refresh(2)
        assert (await asyncio.wait_for(second.search_index.refresh(), 10)).is_blocked
        assert not await asyncio.wait_for(second.search_index.learn(), 10)
    await search_index.refresh(arnia)
    assert await found(arnia, "solution", ("q", "civil")) == SOLUTIONS - 1


async def test_a_document_that_is_not_read_any_more_stays_as_it_is(arnia: Node, look: Any) -> None:
    await fill(arnia)
    await look.execute("UPDATE records SET document = '{}' WHERE key = 's1'")
    await look.execute("UPDATE records SET type = 'unknown', document = '{}' WHERE key = 's2'")
    before = await look.fetch("SELECT search::text FROM records WHERE key IN ('s1', 's2')")
    await look.execute("UPDATE search_index SET version = 0")
    assert await search_index.refresh(arnia) == SOLUTIONS - 2
    assert await look.fetch("SELECT search::text FROM records WHERE key IN ('s1', 's2')") == before


async def test_words_are_collected_once_and_not_without_end(
    arnia: Node, look: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(
        arnia, "solution", "s", a_solution(name="Déchèterie", summary={"fr": "Gestion des déchets"})
    )
    await publish(arnia, "deployment", "d", a_deployment(solution="arnia/autrement"))
    await search_index.learn(arnia)
    words = {row["word"]: row["written"] for row in await look.fetch("SELECT * FROM search_words")}
    assert words == {"decheterie": "déchèterie", "gestion": "gestion", "dechets": "déchets"}
    monkeypatch.setattr(store_search_index, "MAX_WORDS", 3)
    await publish(arnia, "solution", "t", a_solution(name="Piscine"))
    await search_index.learn(arnia)
    assert await look.fetchval("SELECT count(*) FROM search_words") == 3


def test_the_version_is_a_positive_number() -> None:
    """Its negative says that the records are being made anew for it."""
    assert INDEX_VERSION > 0
