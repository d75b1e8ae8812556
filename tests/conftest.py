"""Every test that needs a database has a real PostgreSQL, made by the node's own supervisor."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from federation.domain.sources.kinds import KINDS
from federation.node.node import Node
from federation.postgres import server
from federation.store import schema
from tests.nodes import a_node
from tests.sources.web_server import LIST, WebServer
from tests.stores import close_spare, run

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
                    await run(started, "ALTER ROLE CURRENT_USER SET synchronous_commit = off")
                found[operator] = started
            return found[operator]

        yield dsn
        for started in found.values():
            await close_spare(started)


SMALL_BYTES = 65_536
"""A table of so many bytes is emptied row by row: to truncate it, PostgreSQL makes ten new files."""
EMPTY = f"""
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY string_to_array(
        'records withdrawals rejected_entries peers clients assertions keys invitations'
        ' proofs revoked_tokens audit audit_checkpoints digests copies receipts departures'
        ' feedback deployed deployed_groups deployed_counts bodies_elsewhere'
        ' solution_identifiers alerts affecting_incidents read_advisories subscriptions'
        ' deadlines exclusions search_index search_words record_sets stored_answers people login_states'
        ' sources openpgp_keys', ' ')
    LOOP
        IF pg_relation_size(name::regclass) = 0 THEN
            CONTINUE;
        ELSIF pg_relation_size(name::regclass) > {SMALL_BYTES}
            OR (SELECT reltuples FROM pg_class WHERE oid = name::regclass) >= 0 -- it was analysed
        THEN
            EXECUTE format('TRUNCATE %I CASCADE', name);
        ELSE
            EXECUTE format('DELETE FROM %I', name);
        END IF;
    END LOOP;
END
$$;
UPDATE exposure SET arrival = 0;
UPDATE alerting SET arrival = 0;
UPDATE node SET arrival = 0, arrivals_from = 0, proved = 0, public_outages = true;
DELETE FROM feeds WHERE origin <> (SELECT operator FROM node) OR audience NOT IN ('public', 'federation');
UPDATE feeds SET head = 0, live = 0, retained_from = 0, remote_head = NULL;
"""


async def emptied(dsn: str) -> str:
    """The same database as it was when it was new, but for its epoch."""
    await run(dsn, EMPTY)
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


@pytest.fixture
def list_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources may be of the kind ``list``, which reads what ``web`` serves."""
    monkeypatch.setitem(KINDS, "list", LIST)


@pytest.fixture
async def web() -> AsyncIterator[WebServer]:
    """A web server of this machine, which serves what a test tells it to."""
    async with WebServer().running() as server:
        yield server
