"""One process at a time does what is claimed; and what is said when the database goes away."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from federation.domain.content.solution import Solution
from federation.domain.errors import CommandFailed, Unavailable
from federation.domain.visibility import itself
from federation.node import records
from federation.node.node import Node
from federation.store.database import open_store
from tests.domain.builders import a_solution
from tests.nodes import publish
from tests.store.stepwise_transactions import begun, counts_are_true, until, waits
from tests.waiting import MAX_WAIT_SECONDS

WAITING_PIDS = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


async def test_of_two_stores_one_holds_a_claim(dsn: str) -> None:
    async with (
        open_store(dsn) as one,
        open_store(dsn) as two,
        one.task_locks() as first,
        two.task_locks() as second,
    ):
        assert await first.try_lock("peer megalis")
        assert not await second.try_lock("peer megalis")
        assert await second.try_lock("peer recia"), "another claim is free"
        await first.unlock("peer megalis")
        assert await second.try_lock("peer megalis")


async def test_who_leaves_lets_go(dsn: str) -> None:
    async with open_store(dsn) as one, open_store(dsn) as two, two.task_locks() as second:
        async with one.task_locks() as first:
            assert await first.try_lock("peer megalis")
            assert not await second.try_lock("peer megalis")

        async def free() -> bool:
            return await second.try_lock("peer megalis")

        await until(free)


async def test_when_the_connection_of_the_holder_is_killed_the_other_takes_over(dsn: str, look: Any) -> None:
    async with (
        open_store(dsn) as one,
        open_store(dsn) as two,
        one.task_locks() as first,
        two.task_locks() as second,
    ):
        assert await first.try_lock("peer megalis")
        assert not await second.try_lock("peer megalis")
        assert first.are_valid()
        holder = await look.fetchval(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        assert holder, "the one lock on a key of 64 bits; each process also holds one on two keys, shared"
        assert await look.fetchval("SELECT pg_terminate_backend($1)", holder)

        async def free() -> bool:
            return await second.try_lock("peer megalis")

        async def noticed() -> bool:
            return not first.are_valid()

        await until(free)
        await until(noticed)
        assert second.are_valid()
        with pytest.raises(Unavailable):
            await first.try_lock("peer recia")


async def test_a_transaction_whose_connection_is_killed_is_undone_and_says_so(arnia: Node, look: Any) -> None:
    async def write() -> None:
        async with arnia.store.write() as tx:
            await tx.feeds.open((await tx.feeds.all())[0].name, None)
            pid = await tx.feeds._session.connection.fetchval("SELECT pg_backend_pid()")
            await tx.peers.note_failure("megalis", "lost", arnia.clock())
            await look.fetchval("SELECT pg_terminate_backend($1)", pid)
            await until(lambda: _gone(look, pid))
            await tx.feeds.all()

    with pytest.raises(Unavailable):
        await write()
    await publish(arnia, "solution", "glpi", a_solution())
    await counts_are_true(look)


async def _gone(look: Any, pid: int) -> bool:
    return not await look.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid)


async def test_a_write_whose_connection_is_killed_while_it_waits_says_that_the_node_is_unavailable(
    arnia: Node, look: Any
) -> None:
    """A database that is restarted ends statements under way: 503, try again; not a bug of ours."""
    gate = await begun(arnia.store)
    await gate.tx.clients.revoke("nobody")  # touches the node's row, and so holds the lock of numbering
    coming = asyncio.create_task(publish(arnia, "solution", "glpi", a_solution()))
    await waits(look)
    assert await look.fetchval(f"SELECT pg_terminate_backend(pid) FROM ({WAITING_PIDS}) AS w")
    outcome = (await asyncio.gather(coming, return_exceptions=True))[0]
    await gate.commit()
    assert isinstance(outcome, Unavailable), repr(outcome)
    assert (await publish(arnia, "solution", "glpi", a_solution())).revision == 1


async def test_a_read_whose_connection_is_killed_says_that_the_node_is_unavailable(
    arnia: Node, look: Any
) -> None:
    await publish(arnia, "solution", "glpi", a_solution())

    def reading() -> Any:
        return records.find(arnia, Solution, "arnia", "glpi", by=itself("arnia"))

    async with look.transaction():
        await look.execute("LOCK TABLE records")
        coming = asyncio.create_task(reading())
        await waits(look)
        assert await look.fetchval(f"SELECT pg_terminate_backend(pid) FROM ({WAITING_PIDS}) AS w")
        outcome = (await asyncio.gather(coming, return_exceptions=True))[0]
    assert isinstance(outcome, Unavailable), repr(outcome)
    assert (await reading()).hash


async def test_a_database_that_is_not_there_is_broken_and_says_so() -> None:
    with pytest.raises(CommandFailed, match="cannot be reached"):
        async with open_store("postgresql://nobody@127.0.0.1:1/none"):
            pass


async def test_when_every_connection_is_taken_the_node_is_unavailable_and_then_is_again(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("federation.store.pools.ACQUIRE_TIMEOUT_SECONDS", 0.1)
    async with open_store(dsn, connections=4) as store:
        async with store.read(), store.read():
            with pytest.raises(Unavailable, match="no connection"):
                async with store.read():
                    pass
            async with store.read_by_key() as tx:
                assert await tx.feeds.all(), "who looks something up does not wait for who lists"
        async with store.read() as tx:
            assert await tx.feeds.all()


async def test_a_lock_of_a_killed_writer_is_free_again(arnia: Node, look: Any) -> None:
    """Nothing is held by a writer that died between its numbers and its commit."""
    step = await begun(arnia.store)
    await step.tx.clients.revoke("nobody")
    pid = await step.tx.clients._session.connection.fetchval("SELECT pg_backend_pid()")
    coming = asyncio.create_task(publish(arnia, "solution", "glpi", a_solution()))
    await waits(look)
    await look.fetchval("SELECT pg_terminate_backend($1)", pid)
    async with asyncio.timeout(MAX_WAIT_SECONDS):
        assert (await coming).revision == 1
    with pytest.raises((Unavailable, asyncpg.InterfaceError, asyncpg.PostgresError)):
        await step.commit()
