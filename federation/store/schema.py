"""The database's schema: its version, and the steps to the one this program knows.

The steps themselves are Alembic's. Alembic and the parts of SQLAlchemy that it needs are imported for them
alone: every command checks the version when it starts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources import files
from typing import Any

import asyncpg

from federation.domain.errors import CommandFailed

MIN_POSTGRESQL_VERSION = 150_000


@cache
def steps() -> tuple[str, ...]:
    """The schema versions this program knows, in order: the numbers that its migrations' files begin with."""
    names = (file.name for file in files("federation.migrations.versions").iterdir())
    return tuple(sorted(name[:4] for name in names if name[:4].isdigit() and name.endswith(".py")))


def newest() -> str:
    """The schema version that this program needs."""
    return steps()[-1]


async def migrate(dsn: str, operator: str) -> tuple[str | None, str]:
    """Bring the database to this program's schema; safe to run twice and by several at once.

    Returns the version before and after. Raises CommandFailed when the database belongs to another operator's
    node, is of a newer program, or is no PostgreSQL 15 or later.
    """
    from federation.store.migration import upgrade

    async with _connect(dsn) as connection:
        number = int(await connection.fetchval("SHOW server_version_num"))
        if number < MIN_POSTGRESQL_VERSION:
            raise CommandFailed(f"the database is PostgreSQL {number // 10_000}; 15 or later is needed")
    before = await upgrade(dsn, operator)
    return before, newest()


async def is_new(dsn: str) -> bool:
    """True for a database that has no schema of a node yet."""
    async with _connect(dsn) as connection:
        return await _version(connection) is None


async def check(dsn: str, operator: str) -> None:
    """Raises CommandFailed unless the database is this operator's and at the schema this program knows."""
    async with _connect(dsn) as connection:
        version = await _version(connection)
        if version is None:
            raise CommandFailed("the database has no schema yet; run `federation init`")
        refuse_unknown(version)
        if version != newest():
            raise CommandFailed(
                f"the database is at schema {version}, this program needs {newest()}; "
                "run `federation migrate`"
            )
        refuse_other_owner(await connection.fetchval("SELECT operator FROM node"), operator)


def refuse_unknown(version: str | None) -> None:
    """Raises CommandFailed for a version that a newer program made."""
    if version is not None and version not in steps():
        raise CommandFailed(
            f"the database is at schema {version}, which this program does not know: "
            "it was migrated by a newer version; upgrade the program or restore a backup"
        )


def refuse_other_owner(owner: str | None, operator: str) -> None:
    """Raises CommandFailed for the database of another operator."""
    if owner != operator:
        raise CommandFailed(f"this database belongs to the node of {owner}, not of {operator}")


@asynccontextmanager
async def _connect(dsn: str) -> AsyncIterator[Any]:
    try:
        connection = await asyncpg.connect(dsn, timeout=10)
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise CommandFailed(f"the database cannot be reached: {error}") from error
    try:
        yield connection
    finally:
        await connection.close()


async def _version(connection: Any) -> str | None:
    """The version that Alembic noted; None where it noted none."""
    if not await connection.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL"):
        return None
    version: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return version
