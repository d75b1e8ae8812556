"""The way in: a pool of connections, reading and writing.

Who holds a ``Reading`` cannot write. ``write()`` is one transaction; numbers are given by its last
statement (see ``records.py``), so nothing slow and nothing of the network belongs inside.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec

from federation.domain.errors import Broken, Raced, Unavailable
from federation.store.alerts import AlertsReader, AlertsWriter
from federation.store.audit import AuditReader, AuditWriter
from federation.store.clients import ClientsReader, ClientsWriter
from federation.store.clocks import ClocksReader, ClocksWriter
from federation.store.exposure import ExposureReader, ExposureWriter
from federation.store.feeds import FeedsReader, FeedsWriter
from federation.store.peers import PeersReader, PeersWriter
from federation.store.records import RecordsReader, RecordsWriter
from federation.store.statements import Session

STATEMENT_TIMEOUT = 30_000
"""Milliseconds after which PostgreSQL ends a statement."""
ACQUIRE_TIMEOUT = 10.0
"""Seconds to wait for a free connection."""
AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)
"""What asyncpg raises when there is no database (any more) at the other end."""


class Reading:
    """What can be read."""

    __slots__ = ("alerts", "audit", "clients", "clocks", "exposure", "feeds", "peers", "records")

    def __init__(self, session: Session) -> None:
        self.records: RecordsReader = RecordsReader(session)
        self.feeds: FeedsReader = FeedsReader(session)
        self.peers: PeersReader = PeersReader(session)
        self.clients: ClientsReader = ClientsReader(session)
        self.audit: AuditReader = AuditReader(session)
        self.exposure: ExposureReader = ExposureReader(session)
        self.alerts: AlertsReader = AlertsReader(session)
        self.clocks: ClocksReader = ClocksReader(session)


class Writing:
    """What can be read and written, in one transaction."""

    __slots__ = ("alerts", "audit", "clients", "clocks", "exposure", "feeds", "peers", "records")

    def __init__(self, session: Session) -> None:
        self.records = RecordsWriter(session)
        self.feeds = FeedsWriter(session)
        self.peers = PeersWriter(session)
        self.clients = ClientsWriter(session)
        self.audit = AuditWriter(session)
        self.exposure = ExposureWriter(session)
        self.alerts = AlertsWriter(session)
        self.clocks = ClocksWriter(session)


class Claims:
    """Tasks that one process does at a time, of all on this database.

    Session-level advisory locks on one connection: PostgreSQL gives them back when the process dies,
    whatever way.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def hold(self) -> bool:
        """Whether what was claimed is still ours."""
        return not self._connection.is_closed()

    async def take(self, name: str) -> bool:
        """Claim a task; False if another process has it."""
        return bool(await self._ask("SELECT pg_try_advisory_lock(hashtextextended($1, 20261123))", name))

    async def release(self, name: str) -> None:
        await self._ask("SELECT pg_advisory_unlock(hashtextextended($1, 20261123))", name)

    async def _ask(self, statement: str, name: str) -> Any:
        try:
            return await self._connection.fetchval(statement, name)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise Unavailable("the database went away") from error


class Store:
    """The node's database."""

    def __init__(self, pool: Any, dsn: str) -> None:
        self._pool = pool
        self._dsn = dsn

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Reading]:
        """A connection to read with. Each statement sees the state at its own time."""
        async with self._connection() as connection:
            yield Reading(Session(connection))

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Writing]:
        """A transaction. It commits when the block ends and rolls back when the block raises.

        What the block has noted for the audit trail is appended just before the commit, see ``audit.py``.
        Raises Raced when another transaction held what this one needed and needed what this one held.
        """
        async with self._connection() as connection, connection.transaction():
            tx = Writing(Session(connection))
            yield tx
            await tx.audit.append()

    async def refresh_statistics(self) -> None:
        """Tell the planner what the table holds now, after many records came at once.

        Autovacuum would within a minute or so; until then every list is planned for an empty table.
        """
        async with self._connection() as connection:
            await connection.execute("SELECT gin_clean_pending_list('ix_records_found')")
            await connection.execute("ANALYZE records")

    @asynccontextmanager
    async def claims(self) -> AsyncIterator[Claims]:
        """What this process alone does, among those on this database. Needs a direct connection."""
        try:
            connection = await asyncpg.connect(
                self._dsn, timeout=10, server_settings={"application_name": "federation claims"}
            )
        except (OSError, asyncpg.PostgresError, TimeoutError) as error:
            raise Unavailable(f"the database cannot be reached: {error}") from error
        try:
            yield Claims(connection)
        finally:
            connection.terminate()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        try:
            connection = await self._pool.acquire(timeout=ACQUIRE_TIMEOUT)
        except TimeoutError:
            raise Unavailable("no connection to the database was free in time; try again") from None
        except (*AWAY, OSError) as error:
            raise Unavailable("the database cannot be reached; try again") from error
        try:
            yield connection
        except asyncpg.DeadlockDetectedError:
            raise Raced from None
        except asyncpg.QueryCanceledError:
            raise Unavailable("the database took too long; ask for less, or try again") from None
        except (*AWAY, ConnectionError) as error:
            raise Unavailable("the database went away during the request; try again") from error
        finally:
            await self._pool.release(connection)

    async def close(self) -> None:
        """Wait for what is under way, then close."""
        try:
            async with asyncio.timeout(10):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()


@asynccontextmanager
async def opened(dsn: str, *, connections: int = 10) -> AsyncIterator[Store]:
    """A store on a database whose schema is up to date. Raises Broken when it cannot be reached."""
    try:
        pool = await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=connections,
            init=_prepare,
            reset=_leave,
            server_settings={
                "application_name": "federation",
                "jit": "off",
                # A plan for unknown filters would be one for the average filter: a common value and a
                # rare one need different indexes. Planning costs 0.05 to 0.3 ms.
                "plan_cache_mode": "force_custom_plan",
                "statement_timeout": str(STATEMENT_TIMEOUT),
                "timezone": "UTC",
            },
            timeout=10,
        )
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise Broken(f"the database cannot be reached: {error}") from error
    store = Store(pool, dsn)
    try:
        yield store
    finally:
        await store.close()


async def _prepare(connection: Any) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: msgspec.json.encode(value).decode(),
        decoder=msgspec.json.decode,
    )


async def _leave(connection: Any) -> None:
    """Nothing of a session is ever changed here, so a released connection needs no round trip to reset it."""
