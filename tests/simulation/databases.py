"""A database for each node, of one PostgreSQL: quick to empty, to save and to bring back."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from federation.postgres import server
from federation.store import schema
from federation.store.source_tables import sources

TABLES = [table.name for table in sources.metadata.sorted_tables]
"""Parents before what refers to them."""
COLUMNS = {
    table.name: ", ".join(f'"{column.name}"' for column in table.columns if column.computed is None)
    for table in sources.metadata.sorted_tables
}


class Database:
    """The database of one node, looked at and handled from beside the node."""

    def __init__(self, operator: str, dsn: str, connection: Any) -> None:
        self.operator = operator
        self.dsn = dsn
        self.connection = connection

    async def begin(self, epoch: str) -> None:
        """Empty, as of a new node of that epoch; what was saved is gone, too."""
        await self._empty()
        await self.connection.execute(
            "INSERT INTO node (operator, epoch) VALUES ($1, $2)", self.operator, epoch
        )
        await self.connection.execute(
            "INSERT INTO feeds (origin, audience, epoch) VALUES ($1, 'public', $2), ($1, 'federation', $2)",
            self.operator,
            epoch,
        )

    async def _empty(self) -> None:
        await self.connection.execute(f"TRUNCATE {', '.join(TABLES)} RESTART IDENTITY")

    async def save(self) -> None:
        """Take a backup, in the place of the one before."""
        parts = ["BEGIN ISOLATION LEVEL REPEATABLE READ"]
        for table in TABLES:
            parts.append(f"TRUNCATE saved_{self.operator}.{table}")
            parts.append(f"INSERT INTO saved_{self.operator}.{table} SELECT {COLUMNS[table]} FROM {table}")
        await self.connection.execute("; ".join([*parts, "COMMIT"]))

    async def restore(self) -> None:
        """Bring back the backup."""
        parts = ["BEGIN", f"TRUNCATE {', '.join(TABLES)}"]
        for table in TABLES:
            parts.append(
                f"INSERT INTO {table} ({COLUMNS[table]}) OVERRIDING SYSTEM VALUE"
                f" SELECT * FROM saved_{self.operator}.{table}"
            )
        parts.append("SELECT setval(pg_get_serial_sequence('feeds', 'id'), (SELECT max(id) FROM feeds))")
        await self.connection.execute("; ".join([*parts, "COMMIT"]))

    async def moved(self) -> None:
        """From now on PostgreSQL is another one than the node has known."""
        await self.connection.execute("UPDATE node SET system_id = 'another' WHERE system_id IS NOT NULL")

    async def everything(self) -> bytes:
        """All that the node holds: every column of every table."""
        rows = await self.connection.fetch(_EVERYTHING)
        text = "\n".join(row[0] for row in rows)
        return b"\n".join([text.encode(), *(bytes.fromhex(found) for found in _BYTES.findall(text))])


_EVERYTHING = " UNION ALL ".join(f'SELECT t::text FROM "{table}" AS t' for table in TABLES)
_BYTES = re.compile(r"\\x((?:[0-9a-f]{2})+)")
"""Bytes as they stand in a row that is told as text."""


@asynccontextmanager
async def cluster(directory: Path, operators: Sequence[str]) -> AsyncIterator[dict[str, Database]]:
    """A PostgreSQL with a schema for each of these operators' nodes: what a node knows as its database.

    (Its supervisor's account may make schemas, and no databases.)
    """
    async with server.running(directory, exclusive=True) as dsn, AsyncExitStack() as stack:
        connection = await asyncpg.connect(dsn)
        try:
            # Nothing here outlives the process: there is no disk to wait for.
            await connection.execute("ALTER ROLE CURRENT_USER SET synchronous_commit = off")
            await connection.execute("CREATE EXTENSION unaccent SCHEMA public")
            found = {}
            for operator in operators:
                await connection.execute(f"CREATE SCHEMA {operator}; CREATE SCHEMA saved_{operator}")
                own = f"{dsn}&search_path={operator},public"
                await schema.migrate(own, operator)
                found[operator] = await stack.enter_async_context(_database(operator, own))
            yield found
        finally:
            await connection.close()


@asynccontextmanager
async def _database(operator: str, dsn: str) -> AsyncIterator[Database]:
    connection = await asyncpg.connect(dsn)
    try:
        for table in TABLES:
            await connection.execute(
                f"CREATE UNLOGGED TABLE saved_{operator}.{table} AS"
                f" SELECT {COLUMNS[table]} FROM {table} WITH NO DATA"
            )
        yield Database(operator, dsn, connection)
    finally:
        await connection.close()
