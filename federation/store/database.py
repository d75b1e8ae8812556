"""The node's database: connections, and transactions for reading and writing.

The holder of a ``Reading`` cannot write. ``write()`` is one transaction; numbers are given by its last
statement (see ``record_writes.py``), so nothing slow and nothing of the network belongs inside.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

from federation.domain.errors import Unavailable
from federation.store.affecting_incidents import AffectingIncidentsReader, AffectingIncidentsWriter
from federation.store.alerts import AlertsReader, AlertsWriter
from federation.store.audit import AuditReader, AuditWriter
from federation.store.calendars import CalendarsReader
from federation.store.checkpoints import CheckpointsReader, CheckpointsWriter
from federation.store.clients import ClientsReader, ClientsWriter
from federation.store.contributions import ContributionsReader
from federation.store.copies import CopiesReader, CopiesWriter
from federation.store.deadlines import DeadlinesReader, DeadlinesWriter
from federation.store.default_labels import DefaultLabelsReader, DefaultLabelsWriter
from federation.store.entries import EntriesReader
from federation.store.epochs import EpochsReader, EpochsWriter
from federation.store.exclusions import ExclusionsReader, ExclusionsWriter
from federation.store.exposure import ExposureReader
from federation.store.exposure_index import ExposureWriter
from federation.store.feeds import FeedsReader, FeedsWriter
from federation.store.groups import GroupsReader
from federation.store.keys import KeysReader, KeysWriter
from federation.store.linkage import LinkageReader
from federation.store.logins import LoginsReader, LoginsWriter
from federation.store.not_understood import NotUnderstoodReader
from federation.store.offers import OffersReader
from federation.store.openpgp_keys import OpenpgpKeysReader, OpenpgpKeysWriter
from federation.store.passkeys import PasskeysReader, PasskeysWriter
from federation.store.peers import PeersReader, PeersWriter
from federation.store.people import PeopleReader, PeopleWriter
from federation.store.pools import FIXED, VARIED, Acquired, Pool, create_pool
from federation.store.pulled_records import PulledRecordsWriter
from federation.store.quotas import QuotasReader, QuotasWriter
from federation.store.read_advisories import ReadAdvisoriesReader, ReadAdvisoriesWriter
from federation.store.receipts import ReceiptsReader, ReceiptsWriter
from federation.store.record_sets import RecordSetsReader, RecordSetsWriter
from federation.store.record_writes import KEY_LOCKS, RecordsWriter
from federation.store.records import RecordsReader
from federation.store.rejected import RejectedReader, RejectedWriter
from federation.store.remains import RemainsWriter
from federation.store.repairs import RepairsWriter
from federation.store.retention import RetentionWriter
from federation.store.search_index import SearchIndexReader, SearchIndexWriter
from federation.store.sessions import SessionsReader, SessionsWriter
from federation.store.source_items import SourceItemsReader, SourceItemsWriter
from federation.store.sources import SourcesReader, SourcesWriter
from federation.store.statements import Session
from federation.store.stored_answers import StoredAnswersReader, StoredAnswersWriter
from federation.store.task_locks import TaskLocks
from federation.store.tokens import TokensReader, TokensWriter
from federation.store.uploaded_files import UploadedFilesReader, UploadedFilesWriter

VACUUM_RECORDS = 1_000
"""Records written, from which on the table is to be vacuumed."""
VACUUM_QUIET_SECONDS = 1.0
"""Time without writes after which a run of them is taken to be over."""
VACUUM_PAUSE_FACTOR = 20
"""The pause after a vacuum, in times of its duration."""

_VACUUM_SLOWLY = "SET vacuum_cost_delay = '1ms'"
"""80 MB a second are written at most."""
_LOCK_KEYS = (
    f"; SELECT pg_advisory_xact_lock({KEY_LOCKS}, bucket) FROM unnest('{{{{{{}}}}}}'::int[]) AS bucket"
)
"""In one order, so that no two transactions wait for each other; and before stored revisions are read."""
_FLUSH_PENDING_LIST = "SELECT gin_clean_pending_list('ix_records_found')"


class Reading:
    """The readers of every table, over one connection."""

    __slots__ = (
        "affecting_incidents", "alerts", "audit", "calendars", "checkpoints", "clients", "contributions",
        "copies", "deadlines", "default_labels", "entries", "epochs", "exclusions", "exposure", "feeds",
        "groups", "keys", "linkage", "logins", "not_understood", "offers", "openpgp_keys", "passkeys",
        "peers", "people", "quotas", "read_advisories", "receipts", "record_sets", "records", "rejected",
        "search_index", "session", "sessions", "source_items", "sources", "stored_answers", "tokens",
        "uploaded_files",
    )  # fmt: skip

    def __init__(self, session: Session) -> None:
        self.session: Session = session
        self.records: RecordsReader = RecordsReader(session)
        self.feeds: FeedsReader = FeedsReader(session)
        self.entries: EntriesReader = EntriesReader(session)
        self.checkpoints: CheckpointsReader = CheckpointsReader(session)
        self.contributions: ContributionsReader = ContributionsReader(session)
        self.copies: CopiesReader = CopiesReader(session)
        self.rejected: RejectedReader = RejectedReader(session)
        self.receipts: ReceiptsReader = ReceiptsReader(session)
        self.epochs: EpochsReader = EpochsReader(session)
        self.peers: PeersReader = PeersReader(session)
        self.exclusions: ExclusionsReader = ExclusionsReader(session)
        self.quotas: QuotasReader = QuotasReader(session)
        self.clients: ClientsReader = ClientsReader(session)
        self.groups: GroupsReader = GroupsReader(session)
        self.keys: KeysReader = KeysReader(session)
        self.openpgp_keys: OpenpgpKeysReader = OpenpgpKeysReader(session)
        self.tokens: TokensReader = TokensReader(session)
        self.audit: AuditReader = AuditReader(session)
        self.exposure: ExposureReader = ExposureReader(session)
        self.linkage: LinkageReader = LinkageReader(session)
        self.not_understood: NotUnderstoodReader = NotUnderstoodReader(session)
        self.offers: OffersReader = OffersReader(session)
        self.alerts: AlertsReader = AlertsReader(session)
        self.affecting_incidents: AffectingIncidentsReader = AffectingIncidentsReader(session)
        self.deadlines: DeadlinesReader = DeadlinesReader(session)
        self.default_labels: DefaultLabelsReader = DefaultLabelsReader(session)
        self.calendars: CalendarsReader = CalendarsReader(session)
        self.search_index: SearchIndexReader = SearchIndexReader(session)
        self.read_advisories: ReadAdvisoriesReader = ReadAdvisoriesReader(session)
        self.record_sets: RecordSetsReader = RecordSetsReader(session)
        self.stored_answers: StoredAnswersReader = StoredAnswersReader(session)
        self.people: PeopleReader = PeopleReader(session)
        self.sessions: SessionsReader = SessionsReader(session)
        self.logins: LoginsReader = LoginsReader(session)
        self.passkeys: PasskeysReader = PasskeysReader(session)
        self.sources: SourcesReader = SourcesReader(session)
        self.source_items: SourceItemsReader = SourceItemsReader(session)
        self.uploaded_files: UploadedFilesReader = UploadedFilesReader(session)


class Writing:
    """The readers and writers of every table, in one transaction."""

    __slots__ = (
        "affecting_incidents", "alerts", "audit", "checkpoints", "clients", "contributions", "copies",
        "deadlines", "default_labels", "entries", "epochs", "exclusions", "exposure", "feeds", "groups",
        "keys", "linkage", "logins", "not_understood", "openpgp_keys", "passkeys", "peers", "people",
        "pulled_records", "quotas", "read_advisories", "receipts", "record_sets", "records", "rejected",
        "remains", "repairs", "retention", "search_index", "sessions", "source_items", "sources",
        "stored_answers", "tokens", "uploaded_files",
    )  # fmt: skip

    def __init__(self, session: Session) -> None:
        self.records = RecordsWriter(session)
        self.pulled_records = PulledRecordsWriter(session)
        self.feeds = FeedsWriter(session)
        self.entries = EntriesReader(session)
        self.checkpoints = CheckpointsWriter(session)
        self.contributions = ContributionsReader(session)
        self.copies = CopiesWriter(session)
        self.rejected = RejectedWriter(session)
        self.remains = RemainsWriter(session)
        self.repairs = RepairsWriter(session)
        self.receipts = ReceiptsWriter(session)
        self.epochs = EpochsWriter(session)
        self.retention = RetentionWriter(session)
        self.peers = PeersWriter(session)
        self.exclusions = ExclusionsWriter(session)
        self.quotas = QuotasWriter(session)
        self.clients = ClientsWriter(session)
        self.groups = GroupsReader(session)
        self.keys = KeysWriter(session)
        self.openpgp_keys = OpenpgpKeysWriter(session)
        self.tokens = TokensWriter(session)
        self.audit = AuditWriter(session)
        self.exposure = ExposureWriter(session)
        self.linkage = LinkageReader(session)
        self.not_understood = NotUnderstoodReader(session)
        self.alerts = AlertsWriter(session)
        self.affecting_incidents = AffectingIncidentsWriter(session)
        self.deadlines = DeadlinesWriter(session)
        self.default_labels = DefaultLabelsWriter(session)
        self.search_index = SearchIndexWriter(session)
        self.read_advisories = ReadAdvisoriesWriter(session)
        self.record_sets = RecordSetsWriter(session)
        self.stored_answers = StoredAnswersWriter(session)
        self.people = PeopleWriter(session)
        self.sessions = SessionsWriter(session)
        self.logins = LoginsWriter(session)
        self.passkeys = PasskeysWriter(session)
        self.sources = SourcesWriter(session)
        self.source_items = SourceItemsWriter(session)
        self.uploaded_files = UploadedFilesWriter(session)


class Store:
    """The node's database, over connections of two kinds (see ``pools.py``)."""

    def __init__(self, varied: Pool, fixed: Pool, dsn: str) -> None:
        self.max_connections = varied.max_connections + fixed.max_connections
        self._varied = varied
        self._fixed = fixed
        self._dsn = dsn
        self._unvacuumed, self._written_at = 0, 0.0
        """Number of records written since the last vacuum, and when the last of them was."""
        self._next_vacuum_at = 0.0
        """Not before: where many records come now and then, vacuum would take half of the time."""

    def read(self) -> Acquired[Reading]:
        """A connection to read with, planned for the values. Each statement sees the state at its time."""
        return Acquired(self._varied, Reading)

    def read_by_key(self) -> Acquired[Reading]:
        """A connection to find rows by their whole keys with, planned once for any key."""
        return Acquired(self._fixed, Reading)

    @asynccontextmanager
    async def write(self, *, records: int = 0, locks: Iterable[int] = ()) -> AsyncIterator[Writing]:
        """A transaction. It commits when the block ends and rolls back when the block raises.

        ``records``: how many of them it is to write; many need a vacuum, see ``needs_vacuum``.
        ``locks``: those of the keys that are to be written (``record_writes.locks_of``).

        Notes of the block for the audit trail are appended just before the commit, see ``audit.py``.
        Raises WriteConflict in a deadlock with another transaction.
        """
        async with Acquired(self._fixed, _connection) as connection:
            begin = "BEGIN"
            if buckets := ",".join(map(str, sorted(set(locks)))):
                begin += _LOCK_KEYS.format(buckets)
            try:
                await connection.execute(begin)
                tx = Writing(Session(connection))
                yield tx
                await tx.audit.append()
            except BaseException:
                await _roll_back(connection)
                raise
            await connection.execute("COMMIT")
            self._count(records)

    @asynccontextmanager
    async def autocommit(self, *, records: int = 0) -> AsyncIterator[Writing]:
        """A connection for statements that are a transaction each: one round trip in place of three.

        Each is committed when it is answered, whatever the block does then; it has no audit notes.
        """
        async with Acquired(self._fixed, Writing) as tx:
            yield tx
        self._count(records)

    def _count(self, records: int) -> None:
        if records:
            self._unvacuumed, self._written_at = self._unvacuumed + records, time.monotonic()

    def needs_vacuum(self) -> bool:
        """True after many records were written, and none in the last second."""
        current = time.monotonic()
        return (
            self._unvacuumed >= VACUUM_RECORDS
            and current - self._written_at > VACUUM_QUIET_SECONDS
            and current > self._next_vacuum_at
        )

    async def vacuum(self) -> None:
        """Vacuum and analyze records after many came at once: autovacuum would in a minute or so.

        Until then every list is planned for an empty table, and rows that an index finds have to be looked up
        in the table as well. It gives way to readers and writers, as autovacuum does.
        """
        began, unvacuumed = time.monotonic(), self._unvacuumed
        try:
            connection = await self._connect("vacuum")
            try:
                await connection.execute(_VACUUM_SLOWLY)
                await connection.execute("VACUUM (ANALYZE) records")
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                raise Unavailable("the records could not be vacuumed: {reason}", reason=str(error)) from error
            finally:
                connection.terminate()
            self._unvacuumed -= unvacuumed
        finally:
            ended = time.monotonic()
            self._next_vacuum_at = ended + VACUUM_PAUSE_FACTOR * (ended - began)

    async def flush_pending_list(self) -> None:
        """Move new index entries from the pending list into the index. Writers go on meanwhile.

        Autovacuum does it too, but seldom where a table is large.
        """
        async with Acquired(self._fixed, _connection) as connection:
            await connection.execute(_FLUSH_PENDING_LIST)

    @asynccontextmanager
    async def task_locks(self) -> AsyncIterator[TaskLocks]:
        """Locks of the tasks that one process does at a time. Needs a direct connection."""
        connection = await self._connect("tasks")
        try:
            locks = TaskLocks(connection)
            await locks.announce()
            yield locks
        finally:
            connection.terminate()

    @asynccontextmanager
    async def try_task(self, task: str) -> AsyncIterator[bool]:
        """Lock one task until the block ends; False where another holder has it. Needs a direct connection.

        Raises Unavailable.
        """
        connection = await self._connect("task")
        try:
            locks = TaskLocks(connection)
            is_locked = await locks.try_lock(task)
            try:
                yield is_locked
            finally:
                # (Its end would release it, too, but some time later.)
                if is_locked and locks.are_valid():
                    with suppress(Unavailable):
                        await locks.unlock(task)
        finally:
            connection.terminate()

    async def _connect(self, purpose: str) -> Any:
        """A connection outside the pools, for work that lasts longer than a statement may.

        Raises Unavailable.
        """
        try:
            return await asyncpg.connect(
                self._dsn, timeout=10, server_settings={"application_name": f"federation {purpose}"}
            )
        except (OSError, asyncpg.PostgresError, TimeoutError) as error:
            raise Unavailable("the database cannot be reached: {reason}", reason=str(error)) from error

    async def close(self) -> None:
        """Wait for running statements, 10 seconds at most, then close."""
        for pool in (self._varied.pool, self._fixed.pool):
            try:
                async with asyncio.timeout(10):
                    await pool.close()
            except TimeoutError:
                pool.terminate()


@asynccontextmanager
async def open_store(dsn: str, *, connections: int = 10) -> AsyncIterator[Store]:
    """A store on a database whose schema is up to date, over so many connections at most, four at least.

    Half of them are of either kind. Raises CommandFailed when it cannot be reached.
    """
    most_of_a_kind = max(2, connections // 2)
    varied = await create_pool(dsn, VARIED, min_connections=1, max_connections=most_of_a_kind)
    fixed = await create_pool(dsn, FIXED, min_connections=0, max_connections=most_of_a_kind)
    store = Store(varied, fixed, dsn)
    try:
        yield store
    finally:
        await store.close()


def _connection(session: Session) -> Any:
    return session.connection


async def _roll_back(connection: Any) -> None:
    """End a transaction that is not to be committed; a connection that cannot is not used again."""
    if connection.is_closed():
        return
    try:
        await connection.execute("ROLLBACK")
    except BaseException:
        connection.terminate()
        raise
