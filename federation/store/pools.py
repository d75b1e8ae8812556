"""Pools of connections, and their settings.

The connections are of two kinds. A statement on a ``varied`` one is planned for its values each time: a
frequent value and a rare one need different indexes. A statement on a ``fixed`` one finds rows by whole keys,
whatever the values, and is planned once: to plan it anew would cost more than to run it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

import asyncpg
import msgspec

from federation.domain.errors import CommandFailed, Unavailable, WriteConflict
from federation.store.column_stats import ColumnStats
from federation.store.statements import Session

Transaction = TypeVar("Transaction")

STATEMENT_TIMEOUT_MILLISECONDS = 30_000
"""PostgreSQL ends a statement after it."""
ACQUIRE_TIMEOUT_SECONDS = 10.0
"""Time to wait for a free connection."""
MAX_PREPARED_BYTES = 65_536
"""Length of a statement that a connection keeps prepared: several reads in one are long (``together.py``)."""
gives_way: ContextVar[bool] = ContextVar("gives_way", default=False)
"""True in tasks that leave half of each pool to those who wait for an answer (``Pool``)."""
CONNECTION_ERRORS = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    # Raised by a connection whose other end goes away while a statement is about to be sent.
    asyncpg.InternalClientError,
)
"""Errors of asyncpg where there is no database (any more) at the other end."""

_SETTINGS = {
    "application_name": "federation",
    "jit": "off",
    # Nothing is found by reading a whole table that has an index for it (see lists.py), also where a plan
    # was made while the table was empty.
    "enable_seqscan": "off",
    "statement_timeout": str(STATEMENT_TIMEOUT_MILLISECONDS),
    "timezone": "UTC",
}
VARIED = _SETTINGS | {"plan_cache_mode": "force_custom_plan"}
FIXED = _SETTINGS | {
    "plan_cache_mode": "force_generic_plan",
    # New entries of the index wait in a pending list, which every search reads (40 ms where it is 150 MB
    # long). No writer flushes it, which takes a second for a hundred thousand records: see
    # ``Store.flush_pending_list``.
    "gin_pending_list_limit": "256MB",
}


class Pool:
    """Connections of one kind, and the column statistics that their queries share.

    A connection goes to the task that waits longest. Tasks that give way have half of them, two at least, and
    wait for one without a bound: a hundred peers that are followed do not keep a caller waiting, and are not
    out of luck after ten seconds. (Two, since a batch is sent while the one ahead of it is being committed.)
    """

    def __init__(self, pool: Any, max_connections: int) -> None:
        self.pool = pool
        self.stats = ColumnStats()
        self.max_connections = max_connections
        # Tasks get a connection in the order in which they came. asyncpg's own queue gives it to any task
        # that asks between a release and the turn of the one that waits: some waited for ten seconds.
        self._free = asyncio.Semaphore(max_connections)
        self._places = asyncio.Semaphore(max(2, max_connections // 2))
        self._with_place: set[int] = set()
        """Connections, by their identity, of tasks that give way."""

    async def acquire(self) -> Any:
        """A connection, to be released. Raises Unavailable."""
        if not gives_way.get():
            return await self._acquire()
        await self._places.acquire()
        try:
            connection = await self._acquire()
        except BaseException:
            self._places.release()
            raise
        self._with_place.add(id(connection))
        return connection

    async def _acquire(self) -> Any:
        if self._free.locked():
            try:
                async with asyncio.timeout(ACQUIRE_TIMEOUT_SECONDS):
                    await self._free.acquire()
            except TimeoutError:
                raise Unavailable("no connection to the database was free in time; try again") from None
        else:
            await self._free.acquire()  # one is free: nothing to wait for, and no timer to start
        try:
            return await self.pool.acquire()
        except (*CONNECTION_ERRORS, OSError) as error:
            self._free.release()
            raise Unavailable("the database cannot be reached; try again") from error
        except BaseException:
            self._free.release()
            raise

    async def release(self, connection: Any) -> None:
        try:
            await self.pool.release(connection)
        finally:
            self._free.release()
            if id(connection) in self._with_place:
                self._with_place.discard(id(connection))
                self._places.release()


class Acquired(Generic[Transaction]):
    """A connection for the time of a block, as the transaction that the block works on.

    Errors of the database are raised as errors of the domain. (A class, since it is in the way of every
    request, and two generators in one another cost as much as a query.)
    """

    __slots__ = ("_begin", "_connection", "_pool")

    def __init__(self, pool: Pool, begin: Callable[[Session], Transaction]) -> None:
        self._pool = pool
        self._begin = begin

    async def __aenter__(self) -> Transaction:
        self._connection = await self._pool.acquire()
        return self._begin(Session(self._connection, self._pool.stats))

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        await self._pool.release(self._connection)
        match error:
            case None:
                return
            case asyncpg.DeadlockDetectedError():
                raise WriteConflict from None
            case asyncpg.QueryCanceledError():
                raise Unavailable("the database took too long; ask for less, or try again") from None
            case ConnectionError():
                raise Unavailable("the database went away during the request; try again") from error
            case _ if isinstance(error, CONNECTION_ERRORS):
                raise Unavailable("the database went away during the request; try again") from error


async def create_pool(
    dsn: str, settings: dict[str, str], *, min_connections: int, max_connections: int
) -> Pool:
    """A pool of connections with these settings. Raises CommandFailed when the database cannot be reached."""
    try:
        pool = await asyncpg.create_pool(
            dsn,
            min_size=min_connections,
            max_size=max_connections,
            init=_set_codecs,
            reset=_reset,
            server_settings=settings,
            timeout=10,
            max_cacheable_statement_size=MAX_PREPARED_BYTES,
        )
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise CommandFailed(f"the database cannot be reached: {error}") from error
    return Pool(pool, max_connections)


async def _set_codecs(connection: Any) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: msgspec.json.encode(value).decode(),
        decoder=msgspec.json.decode,
    )


async def _reset(connection: Any) -> None:
    """Nothing: no setting of a session is ever changed here, and a round trip to reset it is spared."""
