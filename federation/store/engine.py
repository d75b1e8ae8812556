"""The database server: refuse one that cannot be written, or whose advisory locks do not lock.

Processes of a node divide their work, and number records, under advisory locks. Several engines speak the
protocol of PostgreSQL and answer these functions without locking anything; so each start tries them.
"""

from __future__ import annotations

import secrets
from contextlib import AsyncExitStack
from typing import Any

import asyncpg

from federation.domain.errors import CommandFailed

_OTHER_ENGINES = {
    "CockroachDB": "CockroachDB",
    "-YB-": "YugabyteDB",
    "Redshift": "Amazon Redshift",
    "Greenplum": "Greenplum",
    "CrateDB": "CrateDB",
    "Materialize": "Materialize",
}
"""Words of ``version()``, and the engines they stand for."""
TIMEOUT_SECONDS = 10.0
"""For each connection and each question to it."""
_TRY_LOCK = "SELECT pg_try_advisory_lock($1)"
_UNLOCK = "SELECT pg_advisory_unlock($1)"


async def check_engine(dsn: str) -> None:
    """Raises CommandFailed unless this is a PostgreSQL that can be written, with advisory locks that lock."""
    try:
        async with AsyncExitStack() as stack:
            await _check(stack, dsn)
    except asyncpg.UndefinedFunctionError as error:
        raise CommandFailed(f"the database is no PostgreSQL: {error}") from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
        raise CommandFailed(f"the database cannot be reached: {error}") from error


async def _check(stack: AsyncExitStack, dsn: str) -> None:
    first = await _connect(stack, dsn)
    version = str(await first.fetchval("SELECT version()"))
    for word, engine in _OTHER_ENGINES.items():
        if word in version:
            raise CommandFailed(
                f"the database is {engine}, which has no advisory locks as PostgreSQL has them:"
                " set FEDERATION_DATABASE_URL to a PostgreSQL 15 or later"
            )
    if await first.fetchval("SELECT pg_is_in_recovery()"):
        raise CommandFailed(
            "the database is a standby, which cannot be written: set FEDERATION_DATABASE_URL to the primary,"
            " or promote this one first (SELECT pg_promote())"
        )
    second = await _connect(stack, dsn)
    if not await locks_exclude(first, second):
        raise CommandFailed(
            "two sessions get the same advisory lock: the database is no PostgreSQL, or a pooler in"
            " transaction mode is in front of it. Connect directly, or through a pooler in session mode"
        )


async def locks_exclude(first: Any, second: Any) -> bool:
    """True if an advisory lock of one session excludes the other session until it is released."""
    key = secrets.randbits(62)  # of this check alone, of all that run now
    if not await first.fetchval(_TRY_LOCK, key):
        return False
    excluded = not await second.fetchval(_TRY_LOCK, key)
    released = await first.fetchval(_UNLOCK, key)
    free = await second.fetchval(_TRY_LOCK, key)
    await second.fetchval(_UNLOCK, key)
    return excluded and bool(released) and bool(free)


async def _connect(stack: AsyncExitStack, dsn: str) -> Any:
    connection = await asyncpg.connect(dsn, timeout=TIMEOUT_SECONDS, command_timeout=TIMEOUT_SECONDS)
    stack.push_async_callback(connection.close, timeout=TIMEOUT_SECONDS)
    return connection
