"""Every test that needs a database has a real PostgreSQL, made by the node's own supervisor."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import pytest

from federation.node.node import Node
from federation.postgres import server
from federation.store import schema
from tests.nodes import a_node

OPERATORS = ("arnia", "megalis", "recia", "maximilien")

Databases = Callable[[str], Awaitable[str]]

WARM = os.environ.get("TEST_SERVERS")
"""A directory of servers that run already, with their schema, for many short runs (``tests/mutants``)."""


@pytest.fixture(scope="session")
async def databases(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Databases]:
    """The DSN of an operator's own PostgreSQL, started when it is first asked for, with its schema."""
    found: dict[str, str] = {}
    async with AsyncExitStack() as stack:

        async def dsn(operator: str) -> str:
            if operator not in found:
                directory = Path(WARM, operator) if WARM else tmp_path_factory.mktemp(operator)
                started = await stack.enter_async_context(server.running(directory, exclusive=not WARM))
                if not WARM:
                    await schema.migrate(started, operator)
                found[operator] = started
            return found[operator]

        yield dsn


async def emptied(dsn: str) -> str:
    """The same database as it was when it was new, but for its epoch."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            "TRUNCATE records, withdrawals, set_aside, peers, clients, assertions, keys, invitations,"
            " proofs, revoked_tokens, audit, audit_checkpoints, digests, copies, receipts, departures,"
            " feedback, deployed, deployed_groups, deployed_counts, bodies_elsewhere, solution_identifiers,"
            " subscriptions, alerts, deadlines;"
            "UPDATE exposure SET arrival = 0; UPDATE alerting SET arrival = 0;"
            "UPDATE node SET arrival = 0, arrivals_from = 0, proved = 0;"
            "DELETE FROM feeds WHERE origin <> (SELECT operator FROM node)"
            " OR audience NOT IN ('public', 'federation');"
            "UPDATE feeds SET head = 0, live = 0, retained_from = 0, remote_head = NULL"
        )
    finally:
        await connection.close()
    return dsn


@pytest.fixture
async def dsn(databases: Databases) -> str:
    """An empty database of arnia's."""
    return await emptied(await databases("arnia"))


@pytest.fixture
async def arnia(dsn: str) -> AsyncIterator[Node]:
    """The node of arnia, over an empty database of its own."""
    async with a_node("arnia", dsn) as node:
        yield node


@pytest.fixture
async def megalis(databases: Databases) -> AsyncIterator[Node]:
    """The node of megalis, over an empty database of its own."""
    async with a_node("megalis", await emptied(await databases("megalis"))) as node:
        yield node
