"""Run the migrations (Alembic) on a database, under a lock, and give it to its operator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from federation.domain.errors import CommandFailed
from federation.domain.feed import mint_epoch
from federation.store.schema import refuse_other_owner, refuse_unknown

LOCK = 5_044_031_582_654_955_530
"""Number, drawn once, of the advisory lock under which one process at a time migrates."""


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, for the migrations of the package."""
    made = Config()
    made.set_main_option("script_location", str(files("federation.migrations")))
    made.attributes["connection"] = connection
    return made


async def upgrade(dsn: str, operator: str) -> str | None:
    """Bring the database to the newest schema in one transaction, and return the version before.

    Raises CommandFailed for the database of another operator, or of a newer program.
    """
    async with connect(dsn) as connection:
        await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
        before = await connection.run_sync(_version)
        refuse_unknown(before)
        await connection.run_sync(lambda sync: command.upgrade(config(sync), "head"))
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
        else:
            refuse_other_owner(owner, operator)
        await connection.commit()
        return before


@asynccontextmanager
async def connect(dsn: str) -> AsyncIterator[AsyncConnection]:
    """A connection of SQLAlchemy, for Alembic. Raises CommandFailed when the database cannot be reached."""

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
