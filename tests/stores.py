"""Connections that outlive a test: to open one takes PostgreSQL and asyncpg longer than most tests.

A store takes a pair of pools that no other store uses, and leaves them to the next one if all of their
connections are idle. Everything else of a store is new: what one test has measured or counted is unknown to
the next.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from federation.store.database import Store
from federation.store.pools import FIXED, VARIED, Pool, create_pool

CONNECTIONS_OF_A_KIND = 5
"""As many as a node has by default."""

_spare: defaultdict[str, list[tuple[Any, Any]]] = defaultdict(list)
"""Pools of asyncpg that no store uses, by the database."""
_direct: dict[str, asyncpg.Connection] = {}


@asynccontextmanager
async def spare_store(dsn: str) -> AsyncIterator[Store]:
    """A store over connections that may have been used before."""
    most = CONNECTIONS_OF_A_KIND
    if _spare[dsn]:
        varied, fixed = _spare[dsn].pop()
    else:
        varied = (await create_pool(dsn, VARIED, min_connections=0, max_connections=most)).pool
        fixed = (await create_pool(dsn, FIXED, min_connections=0, max_connections=most)).pool
    store = Store(Pool(varied, most), Pool(fixed, most), dsn)
    try:
        yield store
    finally:
        if all(pool.get_size() == pool.get_idle_size() for pool in (varied, fixed)):
            _spare[dsn].append((varied, fixed))
        else:
            await store.close()


async def run(dsn: str, statement: str) -> None:
    """Run a statement outside of any store."""
    connection = _direct.pop(dsn, None) or await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, ConnectionError):
        connection = await asyncpg.connect(dsn)  # a test has stopped the server, or ended the connection
        await connection.execute(statement)
    _direct[dsn] = connection


async def close_spare(dsn: str) -> None:
    """Close the connections to a database: its server is to stop."""
    if (connection := _direct.pop(dsn, None)) is not None:
        connection.terminate()
    for pools in _spare.pop(dsn, ()):
        for pool in pools:
            pool.terminate()
