"""The way in: a pool of connections, reading and writing.

Who holds a ``Reading`` cannot write. ``write()`` is one transaction; numbers are given by its last
statement (see ``records.py``), so nothing slow and nothing of the network belongs inside.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

import asyncpg
import msgspec

from federation.domain.errors import CommandFailed, Unavailable, WriteConflict
from federation.store.alerts import AlertsReader, AlertsWriter
from federation.store.audit import AuditReader, AuditWriter
from federation.store.checkpoints import CheckpointsReader, CheckpointsWriter
from federation.store.clients import ClientsReader, ClientsWriter
from federation.store.common import Common
from federation.store.deadlines import DeadlinesReader, DeadlinesWriter
from federation.store.exposure import ExposureReader
from federation.store.exposure_index import ExposureWriter
from federation.store.feeds import FeedsReader, FeedsWriter
from federation.store.linkage import LinkageReader
from federation.store.peers import PeersReader, PeersWriter
from federation.store.receipts import ReceiptsReader, ReceiptsWriter
from federation.store.records import LOCKS, RecordsReader, RecordsWriter
from federation.store.statements import Session

Seen = TypeVar("Seen")

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
    # What a connection says whose other end goes away while it is about to ask.
    asyncpg.InternalClientError,
)
"""What asyncpg raises when there is no database (any more) at the other end."""


MANY = 1_000
"""Records that come, from which on the table is vacuumed."""
QUIET = 1.0
"""Seconds without records after which it is taken that all of them are there."""
RESTS = 20
"""How much longer than it took ``vacuum`` rests."""


_GENTLY = "SET vacuum_cost_delay = '1ms'"
"""80 MB a second are written at most."""
_LOCK = f"; SELECT pg_advisory_xact_lock({LOCKS}, bucket) FROM unnest('{{{{{{}}}}}}'::int[]) AS bucket"
"""In one order, so that no two transactions wait for each other; and before what is held is looked at."""


class Reading:
    """What can be read."""

    __slots__ = (
        "alerts", "audit", "checkpoints", "clients", "deadlines", "exposure", "feeds", "linkage",
        "peers", "receipts", "records",
    )  # fmt: skip

    def __init__(self, session: Session) -> None:
        self.records: RecordsReader = RecordsReader(session)
        self.feeds: FeedsReader = FeedsReader(session)
        self.peers: PeersReader = PeersReader(session)
        self.clients: ClientsReader = ClientsReader(session)
        self.audit: AuditReader = AuditReader(session)
        self.exposure: ExposureReader = ExposureReader(session)
        self.linkage: LinkageReader = LinkageReader(session)
        self.alerts: AlertsReader = AlertsReader(session)
        self.deadlines: DeadlinesReader = DeadlinesReader(session)
        self.checkpoints: CheckpointsReader = CheckpointsReader(session)
        self.receipts: ReceiptsReader = ReceiptsReader(session)


class Writing:
    """What can be read and written, in one transaction."""

    __slots__ = (
        "alerts", "audit", "checkpoints", "clients", "deadlines", "exposure", "feeds", "linkage",
        "peers", "receipts", "records",
    )  # fmt: skip

    def __init__(self, session: Session) -> None:
        self.records = RecordsWriter(session)
        self.feeds = FeedsWriter(session)
        self.peers = PeersWriter(session)
        self.clients = ClientsWriter(session)
        self.audit = AuditWriter(session)
        self.exposure = ExposureWriter(session)
        self.linkage = LinkageReader(session)
        self.alerts = AlertsWriter(session)
        self.deadlines = DeadlinesWriter(session)
        self.checkpoints = CheckpointsWriter(session)
        self.receipts = ReceiptsWriter(session)


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


class _Pool:
    """Connections that are lent for a while."""

    def __init__(self, pool: Any, most: int) -> None:
        self.pool = pool
        self.common = Common()
        self._most = most
        self._lent = 0

    async def lend(self) -> Any:
        """A connection, to be given back. Raises Unavailable."""
        self._lent += 1
        try:
            if self._lent <= self._most:
                # There is one, or room for one: nothing to wait for, and so no clock to set.
                return await self.pool.acquire()
            return await self.pool.acquire(timeout=ACQUIRE_TIMEOUT)
        except TimeoutError:
            self._lent -= 1
            raise Unavailable("no connection to the database was free in time; try again") from None
        except (*AWAY, OSError) as error:
            self._lent -= 1
            raise Unavailable("the database cannot be reached; try again") from error
        except BaseException:
            self._lent -= 1
            raise

    async def take_back(self, connection: Any) -> None:
        """The end of a loan."""
        try:
            await self.pool.release(connection)
        finally:
            self._lent -= 1


class _Lent(Generic[Seen]):
    """A connection for the time of a block, as what the block is to see of it.

    Whatever the database does is told in errors of the domain. (A class, since it is in the way of every
    request, and two generators in one another cost as much as asking.)
    """

    __slots__ = ("_connection", "_pool", "_see")

    def __init__(self, pool: _Pool, see: Callable[[Session], Seen]) -> None:
        self._pool = pool
        self._see = see

    async def __aenter__(self) -> Seen:
        self._connection = await self._pool.lend()
        return self._see(Session(self._connection, self._pool.common))

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        await self._pool.take_back(self._connection)
        match error:
            case None:
                return
            case asyncpg.DeadlockDetectedError():
                raise WriteConflict from None
            case asyncpg.QueryCanceledError():
                raise Unavailable("the database took too long; ask for less, or try again") from None
            case ConnectionError():
                raise Unavailable("the database went away during the request; try again") from error
            case _ if isinstance(error, AWAY):
                raise Unavailable("the database went away during the request; try again") from error


class Store:
    """The node's database.

    Its connections are of two kinds. What is asked on some is planned for its values each time: a common
    value and a rare one need different indexes. What is asked on the others finds by whole keys, whatever the
    values, and is planned once: to plan it anew would cost more than to run it.
    """

    def __init__(self, varied: _Pool, fixed: _Pool, dsn: str) -> None:
        self._varied = varied
        self._fixed = fixed
        self._dsn = dsn
        self._kept, self._kept_at = 0, 0.0
        """How many records were kept that ``vacuum`` has not been run for, and when."""
        self._rests_until = 0.0
        """Until when it is not owed again: where many come now and then, it would take half of the time."""

    def read(self) -> _Lent[Reading]:
        """A connection to read with. Each statement sees the state at its own time."""
        return _Lent(self._varied, Reading)

    def look(self) -> _Lent[Reading]:
        """The same, to look something up by its whole key, with a plan for whatever key it is."""
        return _Lent(self._fixed, Reading)

    @asynccontextmanager
    async def write(self, *, keeps: int = 0, locks: Iterable[int] = ()) -> AsyncIterator[Writing]:
        """A transaction. It commits when the block ends and rolls back when the block raises.

        ``keeps``: how many records it is to keep; after many ``vacuum`` is owed, see ``owes_vacuum``.
        ``locks``: those of the keys that are to be written (``records.locks_of``).

        What the block has noted for the audit trail is appended just before the commit, see ``audit.py``.
        Raises Raced when another transaction held what this one needed and needed what this one held.
        """
        async with _Lent(self._fixed, _connection) as connection:
            begin = "BEGIN"
            if buckets := ",".join(map(str, sorted(set(locks)))):
                begin += _LOCK.format(buckets)
            try:
                await connection.execute(begin)
                tx = Writing(Session(connection))
                yield tx
                await tx.audit.append()
            except BaseException:
                await _undo(connection)
                raise
            await connection.execute("COMMIT")
            self._keeps(keeps)

    @asynccontextmanager
    async def single(self, *, keeps: int = 0) -> AsyncIterator[Writing]:
        """For statements that are a transaction of their own each: one round trip in place of three.

        Each is committed when it has been answered, whatever the block does then; nothing is noted.
        """
        async with _Lent(self._fixed, Writing) as tx:
            yield tx
        self._keeps(keeps)

    def _keeps(self, records: int) -> None:
        if records:
            self._kept, self._kept_at = self._kept + records, time.monotonic()

    def owes_vacuum(self) -> bool:
        """Whether many records were kept, and none in the last second."""
        now = time.monotonic()
        return self._kept >= MANY and now - self._kept_at > QUIET and now > self._rests_until

    async def vacuum(self) -> None:
        """Do for PostgreSQL what is due after many records came at once: autovacuum would in a minute or so.

        Until then every list is planned for an empty table, and what an index says has to be looked up in the
        table as well. It gives way to whoever reads or writes, as autovacuum does.
        """
        began, told = time.monotonic(), self._kept
        try:
            connection = await self._apart("vacuum")
            try:
                await connection.execute(_GENTLY)
                await connection.execute("VACUUM (ANALYZE) records")
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                raise Unavailable(f"the records could not be vacuumed: {error}") from error
            finally:
                connection.terminate()
            self._kept -= told
        finally:
            ended = time.monotonic()
            self._rests_until = ended + RESTS * (ended - began)

    async def put_in_place(self) -> None:
        """Put what makes records findable in its place in the index. Writers go on meanwhile.

        Autovacuum does it too, but seldom where a table is large.
        """
        async with _Lent(self._fixed, _connection) as connection:
            await connection.execute("SELECT gin_clean_pending_list('ix_records_found')")

    @asynccontextmanager
    async def claims(self) -> AsyncIterator[Claims]:
        """What this process alone does, among those on this database. Needs a direct connection."""
        connection = await self._apart("claims")
        try:
            yield Claims(connection)
        finally:
            connection.terminate()

    async def _apart(self, what: str) -> Any:
        """A connection of its own, for what lasts longer than a statement may. Raises Unavailable."""
        try:
            return await asyncpg.connect(
                self._dsn, timeout=10, server_settings={"application_name": f"federation {what}"}
            )
        except (OSError, asyncpg.PostgresError, TimeoutError) as error:
            raise Unavailable(f"the database cannot be reached: {error}") from error

    async def close(self) -> None:
        """Wait for what is under way, then close."""
        for pool in (self._varied.pool, self._fixed.pool):
            try:
                async with asyncio.timeout(10):
                    await pool.close()
            except TimeoutError:
                pool.terminate()


_SETTINGS = {
    "application_name": "federation",
    "jit": "off",
    # Nothing is found by reading a whole table that has an index for it (see lists.py), also where a plan
    # was made while the table was empty.
    "enable_seqscan": "off",
    "statement_timeout": str(STATEMENT_TIMEOUT),
    "timezone": "UTC",
}
_VARIED = _SETTINGS | {"plan_cache_mode": "force_custom_plan"}
_FIXED = _SETTINGS | {
    "plan_cache_mode": "force_generic_plan",
    # What makes records findable waits in a list that is read by every search (40 ms where it is 150 MB
    # long). No writer puts it in its place, which takes a second for a hundred thousand: see
    # ``put_in_place``.
    "gin_pending_list_limit": "256MB",
}


@asynccontextmanager
async def opened(dsn: str, *, connections: int = 10) -> AsyncIterator[Store]:
    """A store on a database whose schema is up to date, over so many connections at most, four at least.

    Half of them are of either kind. Raises Broken when it cannot be reached.
    """
    most = max(2, connections // 2)
    varied = await _pool(dsn, _VARIED, least=1, most=most)
    store = Store(varied, await _pool(dsn, _FIXED, least=0, most=most), dsn)
    try:
        yield store
    finally:
        await store.close()


async def _pool(dsn: str, settings: dict[str, str], *, least: int, most: int) -> _Pool:
    try:
        pool = await asyncpg.create_pool(
            dsn,
            min_size=least,
            max_size=most,
            init=_prepare,
            reset=_leave,
            server_settings=settings,
            timeout=10,
        )
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise CommandFailed(f"the database cannot be reached: {error}") from error
    return _Pool(pool, most)


def _connection(session: Session) -> Any:
    return session.connection


async def _prepare(connection: Any) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: msgspec.json.encode(value).decode(),
        decoder=msgspec.json.decode,
    )


async def _undo(connection: Any) -> None:
    """End a transaction that is not to be kept; a connection that cannot is not lent again."""
    if connection.is_closed():
        return
    try:
        await connection.execute("ROLLBACK")
    except BaseException:
        connection.terminate()
        raise


async def _leave(connection: Any) -> None:
    """Nothing of a session is ever changed here, so a released connection needs no round trip to reset it."""
