"""Entries are appended by many at once, in one chain, with what they tell of or not at all."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from federation.domain.audit import GENESIS, link
from federation.domain.content.solution import Solution
from federation.domain.visibility import itself
from federation.node import records
from federation.node.node import Node
from federation.store.audit import _LOCK
from federation.store.database import open_store
from tests.audit.audit_trail import entries, holds, noted, trail
from tests.domain.builders import a_solution
from tests.nodes import publish
from tests.store.stepwise_transactions import begun, looking, waits
from tests.waiting import MAX_WAIT_SECONDS

WRITERS = 40


async def test_what_is_noted_at_once_is_dense_and_chained(arnia: Node, dsn: str) -> None:
    async with open_store(dsn, connections=5) as other:

        async def write(n: int) -> None:
            async with (arnia.store if n % 2 else other).write() as tx:
                for part in range(3):
                    await tx.audit.note(
                        "client.added", actor="operator", subject=f"c{n}", detail={"part": part}
                    )

        await asyncio.gather(*(write(n) for n in range(WRITERS)))
    rows = (await trail(arnia)).rows
    assert [row.n for row in rows] == list(range(1, 3 * WRITERS + 1))
    previous = GENESIS
    for row in rows:
        assert row.hash == (previous := link(previous, row.entry))
    found = await entries(arnia)
    assert {entry.subject for entry in found} == {f"c{n}" for n in range(WRITERS)}
    assert [entry.detail["part"] for entry in found] == [0, 1, 2] * WRITERS, "a transaction's are together"
    assert [entry.at for entry in found] == sorted(entry.at for entry in found)
    await holds(arnia, 3 * WRITERS)


async def test_who_comes_second_waits_and_goes_on_from_the_first(arnia: Node, dsn: str) -> None:
    """By hand: the lock is held by a writer that has appended and not committed."""
    async with looking(dsn) as look:
        first, second = await begun(arnia.store), await begun(arnia.store)
        await first.tx.audit.note("client.added", actor="operator", subject="first")
        await second.tx.audit.note("client.added", actor="operator", subject="second")
        await first.tx.audit.append()
        coming = asyncio.create_task(second.commit())
        await waits(look)
        assert await look.fetchval("SELECT count(*) FROM audit") == 0
        await first.commit()
        await coming
    assert [entry.subject for entry in await entries(arnia)] == ["first", "second"]
    await holds(arnia, 2)


async def test_what_is_undone_leaves_no_entry_and_no_gap(arnia: Node) -> None:
    async def fails() -> None:
        async with arnia.store.write() as tx:
            await tx.audit.note("client.added", actor="operator", subject="undone")
            raise RuntimeError("undone")

    await noted(arnia)
    with pytest.raises(RuntimeError):
        await fails()
    step = await begun(arnia.store)
    await step.tx.audit.note("client.added", actor="operator", subject="undone")
    await step.tx.audit.append()
    await step.roll_back()
    await noted(arnia)
    assert [(entry.n, entry.subject) for entry in await entries(arnia)] == [(1, "erp"), (2, "erp")]
    await holds(arnia, 2)


async def test_a_note_and_the_lock_of_numbering_end_in_no_deadlock_in_either_order(
    arnia: Node, dsn: str
) -> None:
    """By hand: one has noted and then wants the node's row, which the other has, who then notes."""
    await publish(arnia, "solution", "glpi", a_solution())
    async with looking(dsn) as look:
        one, other = await begun(arnia.store), await begun(arnia.store)
        await one.tx.audit.note("client.revoked", actor="operator", subject="one")
        await other.tx.clients.revoke("nobody")  # the node's row
        coming = asyncio.create_task(one.tx.clients.revoke("somebody"))
        await waits(look)
        await other.tx.audit.note("client.revoked", actor="operator", subject="other")
        moving = asyncio.create_task(publish(arnia, "solution", "glpi", a_solution(), tlp="GREEN"))
        await waits(look, 2)
        async with asyncio.timeout(MAX_WAIT_SECONDS):
            await other.commit()
            await coming
            await one.commit()
            assert (await moving).revision == 2
    assert sorted(entry.subject for entry in await entries(arnia)) == ["one", "other", "solution arnia/glpi"]
    await holds(arnia, 3)


async def test_moves_and_revocations_at_once_race_and_all_are_noted(arnia: Node) -> None:
    for n in range(5):
        await publish(arnia, "solution", f"s{n}", a_solution())

    async def move(n: int) -> None:
        for tlp in ("GREEN", "CLEAR", "RED", "CLEAR"):
            await publish(arnia, "solution", f"s{n}", a_solution(), tlp=tlp)

    async def revoke() -> None:
        for n in range(20):
            async with arnia.store.write() as tx:
                if n % 2:
                    await tx.audit.note("client.revoked", actor="operator", subject="x")
                await tx.clients.revoke("x")
                if not n % 2:
                    await tx.audit.note("client.revoked", actor="operator", subject="x")

    async with asyncio.timeout(MAX_WAIT_SECONDS):
        await asyncio.gather(*(move(n) for n in range(5)), revoke())
    assert len(await entries(arnia, "visibility.changed")) == 20
    assert len(await entries(arnia, "client.revoked")) == 20
    await holds(arnia, 40)


async def test_a_record_that_moves_nowhere_takes_no_lock_of_the_trail(arnia: Node, dsn: str) -> None:
    async with looking(dsn) as look, look.transaction():
        await look.execute(_LOCK)
        async with asyncio.timeout(MAX_WAIT_SECONDS):
            await publish(arnia, "solution", "glpi", a_solution())
            await publish(arnia, "solution", "glpi", a_solution(name="GLPI 11"))
            await records.retract(arnia, Solution, "arnia", "glpi", by=itself("arnia"))
            assert await entries(arnia) == []
        await publish(arnia, "solution", "moves", a_solution())
        moving = asyncio.create_task(publish(arnia, "solution", "moves", a_solution(), tlp="GREEN"))
        await waits(look)
    assert (await moving).revision == 2, "the control: who moves has waited for the lock"


async def test_a_writer_killed_between_entry_and_commit_leaves_nothing(arnia: Node, look: Any) -> None:
    await noted(arnia)
    step = await begun(arnia.store)
    await step.tx.audit.note("client.added", actor="operator", subject="killed")
    await step.tx.audit.append()
    pid = await step.tx.audit._session.connection.fetchval("SELECT pg_backend_pid()")
    assert await look.fetchval("SELECT pg_terminate_backend($1)", pid)
    async with asyncio.timeout(MAX_WAIT_SECONDS):
        await noted(arnia)
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever asyncpg says of a dead connection
        await step.commit()
    await holds(arnia, 2)
