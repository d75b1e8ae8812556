"""Locks of tasks that one process does at a time, of all processes on this database."""

from __future__ import annotations

from typing import Any

import asyncpg

from federation.domain.errors import Unavailable

_TRY_LOCK = "SELECT pg_try_advisory_lock(hashtextextended($1, 20261123))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtextextended($1, 20261123))"


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

    async def _run(self, statement: str, task: str) -> Any:
        try:
            return await self._connection.fetchval(statement, task)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise Unavailable("the database went away") from error
