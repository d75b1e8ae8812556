"""Locks of tasks that one process does at a time, of all processes on this database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from federation.domain.errors import Unavailable
from federation.domain.peer import LockSurvey

_TRY_LOCK = "SELECT pg_try_advisory_lock(hashtextextended($1, 20261123))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtextextended($1, 20261123))"
_ANNOUNCE = "SELECT pg_advisory_lock_shared(20261130, 1)"
"""Shared by all processes: so many of it are held as there are processes."""
_SURVEY = """
WITH held AS MATERIALIZED (
    SELECT classid::bigint AS class, objid::bigint AS object, objsubid AS form, pid FROM pg_locks
    WHERE locktype = 'advisory' AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT
    (SELECT count(DISTINCT pid) FROM held WHERE (class, object, form) = (20261130, 1, 2)),
    ARRAY(
        SELECT task FROM unnest($1::text[]) AS task
        WHERE hashtextextended(task, 20261123) NOT IN (SELECT (class << 32) | object FROM held WHERE form = 1)
    )
"""
"""The number of processes, and those of the tasks $1 that nobody has locked.

In pg_locks a lock on one key of 64 bits shows its halves and 1, one on two keys of 32 bits shows them and 2.
"""


class TaskLocks:
    """Session-level advisory locks on one connection: PostgreSQL releases them when the process dies."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def are_valid(self) -> bool:
        """False once the connection is lost, and every lock with it."""
        return not self._connection.is_closed()

    async def try_lock(self, task: str) -> bool:
        """Lock a task; False if another process has it. Raises Unavailable."""
        return bool(await self._run(_TRY_LOCK, task))

    async def unlock(self, task: str) -> None:
        """Let another process have the task. Raises Unavailable."""
        await self._run(_UNLOCK, task)

    async def announce(self) -> None:
        """Count as a process that shares the tasks, for as long as the connection lasts."""
        await self._run(_ANNOUNCE)

    async def survey(self, tasks: Sequence[str]) -> LockSurvey:
        """The live processes, and those of these tasks that nobody has locked. Raises Unavailable."""
        processes, free = await self._run(_SURVEY, list(tasks))
        return LockSurvey(processes, frozenset(free))

    async def _run(self, statement: str, *arguments: Any) -> Any:
        try:
            row = await self._connection.fetchrow(statement, *arguments)
            return row[0] if len(row) == 1 else row
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            raise Unavailable("the database went away") from error
