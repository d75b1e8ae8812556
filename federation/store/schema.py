"""The database's schema: its version, and the steps to the one this program knows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from federation.domain.errors import CommandFailed
from federation.domain.feed import mint_epoch

MIN_POSTGRESQL_VERSION = 150_000
_LOCK = 5_044_031_582_654_955_530
"""Number, drawn once, of the advisory lock under which one process at a time migrates."""


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("federation.migrations")))
    config.attributes["connection"] = connection
    return config


def newest() -> str:
    """The schema version this program knows."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None  # noqa: S101 - the package ships its migrations
    return head


@asynccontextmanager
async def _connect(dsn: str) -> AsyncIterator[AsyncConnection]:
    async def open_connection() -> Any:
        try:
            return await asyncpg.connect(dsn, timeout=10)
        except (OSError, asyncpg.PostgresError, TimeoutError) as error:
            raise CommandFailed(f"the database cannot be reached: {error}") from error

    engine = create_async_engine("postgresql+asyncpg://", async_creator=open_connection, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


def _version(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


async def migrate(dsn: str, operator: str) -> tuple[str | None, str]:
    """Bring the database to this program's schema; safe to run twice and by several at once.

    Returns the version before and after. Raises CommandFailed when the database belongs to another operator's
    node, is of a newer program, or is no PostgreSQL 15 or later.
    """
    async with _connect(dsn) as connection:
        number = int((await connection.exec_driver_sql("SHOW server_version_num")).scalar_one())
        if number < MIN_POSTGRESQL_VERSION:
            raise CommandFailed(f"the database is PostgreSQL {number // 10_000}; 15 or later is needed")
        await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        before = await connection.run_sync(_version)
        _refuse_unknown(before)
        await connection.run_sync(lambda sync: command.upgrade(_config(sync), "head"))
        owner = (await connection.exec_driver_sql("SELECT operator FROM node")).scalar_one_or_none()
        if owner is None:
            epoch = mint_epoch()
            await connection.exec_driver_sql(
                "INSERT INTO node (operator, epoch) VALUES ($1, $2)", (operator, epoch)
            )
            await connection.exec_driver_sql(
                "INSERT INTO feeds (origin, audience, epoch)"
                " VALUES ($1, 'public', $2), ($1, 'federation', $2)",
                (operator, epoch),
            )
        elif owner != operator:
            raise CommandFailed(f"this database belongs to the node of {owner}, not of {operator}")
        await connection.commit()
        return before, newest()


async def is_new(dsn: str) -> bool:
    """True for a database that has no schema of a node yet."""
    async with _connect(dsn) as connection:
        return await connection.run_sync(_version) is None


async def check(dsn: str, operator: str) -> None:
    """Raises CommandFailed unless the database is this operator's and at the schema this program knows."""
    async with _connect(dsn) as connection:
        version = await connection.run_sync(_version)
        if version is None:
            raise CommandFailed("the database has no schema yet; run `federation init`")
        _refuse_unknown(version)
        if version != newest():
            raise CommandFailed(
                f"the database is at schema {version}, this program needs {newest()}; "
                "run `federation migrate`"
            )
        owner = (await connection.exec_driver_sql("SELECT operator FROM node")).scalar_one_or_none()
        if owner != operator:
            raise CommandFailed(f"this database belongs to the node of {owner}, not of {operator}")


def _refuse_unknown(version: str | None) -> None:
    steps = {step.revision for step in ScriptDirectory.from_config(_config()).walk_revisions()}
    if version is not None and version not in steps:
        raise CommandFailed(
            f"the database is at schema {version}, which this program does not know: "
            "it was migrated by a newer version; upgrade the program or restore a backup"
        )
