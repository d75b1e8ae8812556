"""A connection beside the node's, and databases without a schema."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from federation.postgres import server as postgres_server
from tests.store.stepwise_transactions import looking


@pytest.fixture
async def look(dsn: str) -> AsyncIterator[Any]:
    """A connection to arnia's database, of the test's own."""
    async with looking(dsn) as connection:
        yield connection


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A PostgreSQL that nobody else uses."""
    async with postgres_server.running(tmp_path_factory.mktemp("fresh"), exclusive=True) as dsn:
        yield dsn


@pytest.fixture
async def fresh(server: str) -> AsyncIterator[str]:
    """A database that nothing has been done to."""
    yield server
    async with looking(server) as look:
        await look.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
