"""Reads that go together: one statement for those that wait at the same time, and the rows of each."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from federation.domain.content.operator import Operator
from federation.domain.query import Query
from federation.domain.visibility import anonymous, itself
from federation.node.node import Node
from federation.store.database import Reading
from federation.store.together import Together, joint_text
from tests.domain.builders import an_operator
from tests.nodes import publish
from tests.web.statements import counted

OWN = itself("arnia")


async def rows_of(tx: Reading, text: str, *values: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await tx.session.connection.fetch(text, *values)]


async def counting(tx: Reading, until: int) -> list[int]:
    """Numbers that are read one after the other."""
    return [(await rows_of(tx, "SELECT $1::int", number))[0][0] for number in range(until)]


async def test_reads_that_wait_at_the_same_time_take_one_statement(arnia: Node) -> None:
    with counted() as statements:
        async with arnia.store.read() as tx, Together(tx) as reads:
            short, long = reads.start(counting(reads.tx, 2)), reads.start(counting(reads.tx, 5))
    assert (short.result(), long.result()) == ([0, 1], [0, 1, 2, 3, 4])
    assert len(statements) == 5


async def test_each_read_gets_its_rows_as_alone(arnia: Node) -> None:
    await publish(arnia, "operator", "arnia", an_operator(), tlp="CLEAR")
    await publish(arnia, "operator", "hidden", an_operator(name="Canari"), tlp="RED")
    query = Query(kind=Operator, limit=10, total=True)
    types = """
        SELECT 'a' AS text, NULL::text AS nothing, '\\x00ff'::bytea AS bytes, ARRAY['x', 'y'] AS texts,
            true AS truth, 1::bigint AS long, 1.5::float4 AS part, 
            timestamptz '2026-01-02 03:04:05Z' AS moment
        UNION ALL SELECT 'b', 'c', '', '{}', false, -1, 0, '-infinity'
    """
    async with arnia.store.read() as tx:
        for caller in (OWN, anonymous("arnia")):
            alone = await tx.records.search(query, visible_to=caller), await rows_of(tx, types)
            async with Together(tx) as reads:
                listed = reads.start(reads.tx.records.search(query, visible_to=caller))
                rows = reads.start(rows_of(reads.tx, types))
                none = reads.start(reads.tx.records.find("operator", "arnia", "none", visible_to=caller))
            assert (listed.result(), rows.result()) == alone
            assert none.result() is None
            assert listed.result().total == (2 if caller is OWN else 1)
    assert rows.result()[0][7] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


async def test_reads_within_a_read_join_those_around_it(arnia: Node) -> None:
    async def inner(tx: Reading) -> list[int]:
        async with Together(tx) as reads:
            both = [reads.start(counting(reads.tx, 2)) for _ in range(2)]
        return [*both[0].result(), *both[1].result(), *await counting(tx, 1)]

    with counted() as statements:
        async with arnia.store.read() as tx, Together(tx) as reads:
            first, second = reads.start(inner(reads.tx)), reads.start(counting(reads.tx, 3))
    assert (first.result(), second.result()) == ([0, 1, 0, 1, 0], [0, 1, 2])
    assert len(statements) == 3


async def test_an_error_ends_the_block_and_leaves_the_connection_to_others(arnia: Node) -> None:
    async def failing(tx: Reading) -> None:
        await counting(tx, 1)
        raise ZeroDivisionError

    others = []

    async def beside(tx: Reading, *wrong: Any) -> None:
        async with Together(tx) as reads:
            others.append(reads.start(counting(reads.tx, 1_000)))
            reads.start(failing(reads.tx) if not wrong else rows_of(reads.tx, *wrong))

    async with arnia.store.read() as tx:
        with pytest.raises(ZeroDivisionError):
            await beside(tx)
        with pytest.raises(asyncpg.DivisionByZeroError):
            await beside(tx, "SELECT 1 / 0")
        assert others[0].cancelled()
        assert await counting(tx, 2) == [0, 1]


async def test_a_read_that_outlives_an_error_within_goes_on(arnia: Node) -> None:
    async def failing(tx: Reading) -> None:
        raise ZeroDivisionError

    async def careful(tx: Reading) -> list[int]:
        try:
            async with Together(tx) as reads:
                reads.start(counting(reads.tx, 1_000))
                reads.start(failing(reads.tx))
        except ZeroDivisionError:
            return await counting(tx, 2)
        return []

    async with asyncio.timeout(10), arnia.store.read() as tx, Together(tx) as reads:
        found, beside = reads.start(careful(reads.tx)), reads.start(counting(reads.tx, 4))
    assert (found.result(), beside.result()) == ([0, 1], [0, 1, 2, 3])


def test_parameters_are_numbered_through() -> None:
    text = joint_text((("SELECT $1, $2", 2), ("SELECT $1", 1)))
    assert [part in text for part in ("SELECT $1, $2", "SELECT $3")] == [True, True]
