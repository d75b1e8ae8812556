"""Files that people are about to import, between their upload and the import."""

from __future__ import annotations

from datetime import datetime

from federation.domain.sources.uploaded import UploadedFile
from federation.store.statements import Session

_FIND = """
SELECT id, person, name, kind, options, raw FROM uploaded_files
WHERE id = $1 AND person = $2 AND expires_at > $3
"""
_SUM = "SELECT count(*), coalesce(sum(length(raw)), 0) FROM uploaded_files"
_LOCK = "LOCK TABLE uploaded_files IN SHARE ROW EXCLUSIVE MODE"
_ADD = """
INSERT INTO uploaded_files (id, person, name, kind, options, raw, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_CHANGE = "UPDATE uploaded_files SET options = $3 WHERE id = $1 AND person = $2"
_REMOVE = "DELETE FROM uploaded_files WHERE id = $1 AND person = $2"
_KEEP_NEWEST = """
DELETE FROM uploaded_files WHERE person = $1 AND id NOT IN (
    SELECT id FROM uploaded_files WHERE person = $1 ORDER BY expires_at DESC, id LIMIT $2
)
"""
_EXPIRE = "DELETE FROM uploaded_files WHERE expires_at <= $1"


class UploadedFilesReader:
    """Files that people are about to import, for reading."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def find(self, id_: str, person: str, now: datetime) -> UploadedFile | None:
        """A file of this person."""
        row = await self._session.connection.fetchrow(_FIND, id_, person, now)
        return None if row is None else UploadedFile(*row)


class UploadedFilesWriter(UploadedFilesReader):
    """Files that people are about to import, in a transaction that may change them."""

    async def lock(self) -> None:
        """No file is added by others until the commit."""
        await self._session.connection.execute(_LOCK)

    async def use(self) -> tuple[int, int]:
        """How many files there are, and their bytes."""
        row = await self._session.connection.fetchrow(_SUM)
        return int(row[0]), int(row[1])

    async def add(self, file: UploadedFile, expires_at: datetime) -> None:
        await self._session.connection.execute(_ADD, *file, expires_at)

    async def change_options(self, id_: str, person: str, options: bytes) -> None:
        await self._session.connection.execute(_CHANGE, id_, person, options)

    async def remove(self, id_: str, person: str) -> None:
        await self._session.connection.execute(_REMOVE, id_, person)

    async def drop_older(self, person: str, number: int) -> None:
        """Delete the files of a person but for the last ones."""
        await self._session.connection.execute(_KEEP_NEWEST, person, number)

    async def expire(self, now: datetime) -> None:
        """Delete what has expired."""
        await self._session.connection.execute(_EXPIRE, now)
