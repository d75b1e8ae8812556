"""Sets of own records: the name under which an upload has published them last.

A set belongs to one type. A record is in one set at most; a tombstone is in none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from federation.store.statements import Session

_LIST_MEMBERS = """
SELECT sets.key, records.revision, records.audience FROM record_sets AS sets
JOIN records ON records.type = sets.type AND records.origin = $1 AND records.key = sets.key
WHERE sets.type = $2 AND sets.name = $3 AND sets.key > $4 AND NOT records.retracted
ORDER BY sets.key LIMIT $5
"""
_LIST_SETS = "SELECT key, name FROM record_sets WHERE type = $1 AND key = ANY($2::text[])"
_ADD = """
INSERT INTO record_sets (type, key, name) SELECT $1, key, $3 FROM unnest($2::text[]) AS key
ON CONFLICT (type, key) DO UPDATE SET name = excluded.name WHERE record_sets.name <> excluded.name
"""
_REMOVE = "DELETE FROM record_sets WHERE type = $1 AND key = ANY($2::text[])"


class SetMember(NamedTuple):
    """A live record of a set."""

    key: str
    revision: int
    audience: str


class RecordSetsReader:
    """Sets of own records, for reading."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def members(
        self, type_name: str, name: str, *, origin: str, after: str = "", limit: int
    ) -> list[SetMember]:
        """Live records of a set, by key, from the first one after a key on."""
        rows = await self._session.connection.fetch(_LIST_MEMBERS, origin, type_name, name, after, limit)
        return [SetMember(*row) for row in rows]

    async def sets_of(self, type_name: str, keys: Sequence[str]) -> dict[str, str]:
        """The set of each of these records that is in one."""
        rows = await self._session.connection.fetch(_LIST_SETS, type_name, list(keys))
        return {row["key"]: row["name"] for row in rows}


class RecordSetsWriter(RecordSetsReader):
    """Sets of own records, in a transaction that has the locks of the records."""

    async def add(self, type_name: str, keys: Sequence[str], name: str) -> None:
        """Put records into a set; they leave the set that they were in."""
        await self._session.connection.execute(_ADD, type_name, list(keys), name)

    async def remove(self, type_name: str, keys: Sequence[str]) -> None:
        """Take records out of their sets."""
        await self._session.connection.execute(_REMOVE, type_name, list(keys))
