"""What the planner is told, when many records have come."""

from __future__ import annotations

from typing import Any

import pytest

from federation.domain.content.solution import Solution
from federation.domain.errors import Unavailable
from federation.domain.visibility import itself
from federation.node import records
from federation.node.node import Node
from federation.server import maintenance
from federation.store import database
from tests.domain.builders import a_draft, a_solution

BELIEVED = "SELECT reltuples FROM pg_class WHERE relname = 'records'"
PENDING = "SELECT gin_clean_pending_list('ix_records_found')"


async def upload(arnia: Node, many: int) -> None:
    drafts = {f"s{n}": a_draft(a_solution(name=f"Solution {n}")) for n in range(many)}
    await records.upload(arnia, Solution, drafts, by=itself("arnia"))


async def test_statistics_are_made_when_many_records_have_come_and_no_more_do(
    arnia: Node, look: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "VACUUM_RECORDS", 6)
    assert not arnia.store.needs_vacuum()
    await upload(arnia, 3)
    await upload(arnia, 4)
    await maintenance.vacuum(arnia)
    assert await look.fetchval(BELIEVED) != 4, "more may come"
    monkeypatch.setattr(database, "VACUUM_QUIET_SECONDS", 0.0)
    assert arnia.store.needs_vacuum()
    await maintenance.vacuum(arnia)
    assert await look.fetchval(BELIEVED) == 4
    assert await look.fetchval(PENDING) == 0, "what makes them findable is in its place"
    assert not arnia.store.needs_vacuum()


async def test_where_many_records_come_now_and_then_statistics_are_not_made_each_time(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "VACUUM_RECORDS", 6)
    monkeypatch.setattr(database, "VACUUM_QUIET_SECONDS", 0.0)
    monkeypatch.setattr(database, "VACUUM_PAUSE_FACTOR", 1_000_000)
    await upload(arnia, 6)
    assert arnia.store.needs_vacuum()
    await maintenance.vacuum(arnia)
    drafts = {f"t{n}": a_draft(a_solution()) for n in range(6)}
    await records.upload(arnia, Solution, drafts, by=itself("arnia"))
    assert not arnia.store.needs_vacuum()


async def test_a_few_records_make_no_statistics(arnia: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "VACUUM_QUIET_SECONDS", 0.0)
    await upload(arnia, 3)
    assert not arnia.store.needs_vacuum()


async def test_what_makes_single_records_findable_is_put_in_its_place_by_housekeeping(
    arnia: Node, look: Any
) -> None:
    await upload(arnia, 3)
    await maintenance.flush_pending_list(arnia)
    assert await look.fetchval(PENDING) == 0


async def test_no_writer_puts_the_index_in_its_place(arnia: Node, look: Any) -> None:
    """It is dear, and nobody's who happens to be the one that finds it full."""
    async with arnia.store.write() as tx:
        connection = tx.records._session.connection
        assert await connection.fetchval("SHOW gin_pending_list_limit") == "256MB"
    assert await look.fetchval("SHOW gin_pending_list_limit") == "4MB"


async def test_statistics_that_could_not_be_made_are_still_owed(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(what: str) -> None:
        raise Unavailable("the database took too long")

    monkeypatch.setattr(database, "VACUUM_RECORDS", 3)
    monkeypatch.setattr(database, "VACUUM_QUIET_SECONDS", 0.0)
    monkeypatch.setattr(database, "VACUUM_PAUSE_FACTOR", 0)
    await upload(arnia, 3)
    with monkeypatch.context() as failing:
        failing.setattr(arnia.store, "_connect", refuse)
        with pytest.raises(Unavailable):
            await arnia.store.vacuum()
    assert arnia.store.needs_vacuum()
    await arnia.store.vacuum()
    assert not arnia.store.needs_vacuum()


async def test_what_is_searched_is_planned_each_time_and_what_is_looked_up_by_its_key_once(
    arnia: Node,
) -> None:
    lent: dict[str, Any] = {
        "read": arnia.store.read(),
        "look": arnia.store.read_by_key(),
        "write": arnia.store.write(),
        "single": arnia.store.autocommit(),
    }
    planned = {}
    for name, loan in lent.items():
        async with loan as tx:
            planned[name] = await tx.records._session.connection.fetchval("SHOW plan_cache_mode")
    once = dict.fromkeys(("look", "write", "single"), "force_generic_plan")
    assert planned == {"read": "force_custom_plan", **once}
