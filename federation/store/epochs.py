"""The epoch of the node's own feeds, and the database that it was minted on."""

from __future__ import annotations

from federation.store.statements import Session

_ADOPT_IN_NODE = "UPDATE node SET epoch = $1, minted_at = now()"
_ADOPT_IN_FEEDS = "UPDATE feeds SET epoch = $1 WHERE origin = $2"
_IDENTIFY_DATABASE = """
SELECT (SELECT system_identifier FROM pg_control_system()) || '/'
           || (SELECT oid FROM pg_database WHERE datname = current_database()),
       ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint
"""
_LOCK = "SELECT pg_advisory_xact_lock(20261126)"
"""Not the node's row: who mints an epoch has the digests to lock before it."""
_STORED_DATABASE = "SELECT system_id, timeline FROM node"
_SET_DATABASE = "UPDATE node SET system_id = $1, timeline = $2"


class EpochsReader:
    """The database as PostgreSQL identifies it."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def database(self) -> tuple[str, int]:
        """PostgreSQL's system identifier with the database's own, and its timeline.

        A dump that is loaded elsewhere changes the first, recovery and promotion the second.
        """
        row = await self._session.connection.fetchrow(_IDENTIFY_DATABASE)
        return row[0], row[1]


class EpochsWriter(EpochsReader):
    """The epoch, in a transaction that may change it."""

    async def adopt(self, epoch: str, origin: str) -> None:
        """Give the node's own feeds another epoch."""
        await self._session.connection.execute(_ADOPT_IN_NODE, epoch)
        await self._session.connection.execute(_ADOPT_IN_FEEDS, epoch, origin)

    async def stored_database(self) -> tuple[str | None, int | None]:
        """The database as it was when the epoch was minted; other processes that ask wait for the commit."""
        await self._session.connection.execute(_LOCK)
        row = await self._session.connection.fetchrow(_STORED_DATABASE)
        return row[0], row[1]

    async def set_database(self, system_id: str, timeline: int) -> None:
        await self._session.connection.execute(_SET_DATABASE, system_id, timeline)
