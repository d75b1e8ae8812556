"""The audit trail: append to it, page through it, verify it.

The notes of a transaction are written by its last statements, after the lock of numbering of records where
that is taken: the lock of the trail is the last one of every transaction. Its holder waits for nothing but
the commit, and so it is part of no deadlock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from federation.domain.audit import (
    GENESIS,
    AuditRow,
    Event,
    Note,
    Reader,
    SignedAuditCheckpoint,
    chain_rows,
    note,
)
from federation.domain.audit_chain import ChainWalk, Verdict
from federation.store.statements import Session, Statement, param
from federation.store.tables import audit, audit_checkpoints

PAGE_ROWS = 5_000
"""Rows that are verified at a time."""

_PAGE = Statement(
    select(audit.c.n, audit.c.entry, audit.c.hash)
    .where(audit.c.n > param("after"))
    .order_by(audit.c.n)
    .limit(param("limit"))
)
_LAST = Statement(select(audit.c.n, audit.c.hash).order_by(audit.c.n.desc()).limit(1))
_CHECKPOINTS = Statement(
    select(audit_checkpoints.c.n, audit_checkpoints.c.jws).order_by(audit_checkpoints.c.n)
)
_LAST_CHECKPOINT = Statement(
    select(audit_checkpoints.c.n, audit_checkpoints.c.jws).order_by(audit_checkpoints.c.n.desc()).limit(1)
)
_STORE_CHECKPOINT = Statement(
    insert(audit_checkpoints)
    .values(n=param("n"), jws=param("jws", audit_checkpoints.c.jws.type))
    .on_conflict_do_nothing()
)
_LOCK = "SELECT pg_advisory_xact_lock(20261130)"
"""One writer at a time, to its commit: the next one must see the hash that it goes on from."""
_NOW = Statement(select(func.clock_timestamp()))
_APPEND = "INSERT INTO audit (n, entry, hash) SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[])"


class AuditReader:
    """The audit trail."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def page(self, after: int = 0, limit: int = PAGE_ROWS) -> list[AuditRow]:
        """Entries after a number, in order."""
        return [AuditRow(*row) for row in await self._session.all(_PAGE, after=after, limit=limit)]

    async def last(self) -> tuple[int, bytes]:
        """Number and hash of the last entry; 0 and the genesis before the first."""
        row = await self._session.one(_LAST)
        return (row[0], row[1]) if row else (0, GENESIS)

    async def checkpoints(self) -> list[SignedAuditCheckpoint]:
        return [SignedAuditCheckpoint(*row) for row in await self._session.all(_CHECKPOINTS)]

    async def last_checkpoint(self) -> SignedAuditCheckpoint | None:
        row = await self._session.one(_LAST_CHECKPOINT)
        return SignedAuditCheckpoint(*row) if row else None

    async def verify(self, operator: str, read: Reader, *, elsewhere: Iterable[str] = ()) -> Verdict:
        """Walk the whole trail. ``read`` verifies a checkpoint's signature; ``elsewhere`` are kept copies."""
        # Checkpoints first: an entry that is added meanwhile is then one after the last of them.
        walk = ChainWalk(operator, await self.checkpoints(), read, elsewhere=elsewhere)
        after = 0
        while rows := await self.page(after):
            if not all(walk.take(row) for row in rows):
                break
            after = rows[-1].n
        return walk.end()


class AuditWriter(AuditReader):
    """The audit trail, in a transaction that may add to it."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._notes: list[Note] = []

    async def note(
        self, event: Event, *, actor: str, subject: str, detail: Mapping[str, str | int] | None = None
    ) -> None:
        """Add an entry, at the end of this transaction and with it; never a token or a secret."""
        self._notes.append(note(event, actor, subject, detail))

    async def append(self) -> None:
        """Write the notes. The transaction does this last, by itself."""
        if not self._notes:
            return
        await self._session.connection.execute(_LOCK)
        n, previous = await self.last()
        rows = chain_rows(self._notes, n, previous, await self._session.value(_NOW))  # type: ignore[arg-type]
        await self._session.connection.execute(
            _APPEND, [row.n for row in rows], [row.entry for row in rows], [row.hash for row in rows]
        )
        self._notes.clear()

    async def store_checkpoint(self, checkpoint: SignedAuditCheckpoint) -> None:
        """Store a checkpoint; another process may have stored the same one."""
        await self._session.run(_STORE_CHECKPOINT, n=checkpoint.n, jws=checkpoint.jws)
