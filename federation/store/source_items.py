"""What sources gave last of each record: the base of the three-way merge."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from federation.store.statements import Session

_ALL = """
SELECT type, identity, key, given, person, changed_at, disappeared_at FROM source_items WHERE source = $1
"""
_OTHERS = "SELECT key, source FROM source_items WHERE type = $1 AND key = ANY($2::text[]) AND source <> $3"
_DISAPPEARED = """
SELECT type, identity, key, given, person, changed_at, disappeared_at FROM source_items
WHERE source = $1 AND disappeared_at IS NOT NULL ORDER BY disappeared_at DESC, type, key LIMIT $2
"""
_FIND = """
SELECT type, identity, key, given, person, changed_at, disappeared_at FROM source_items
WHERE source = $1 AND type = $2 AND identity = $3
"""
_OF_RECORD = "SELECT source, person, disappeared_at FROM source_items WHERE type = $1 AND key = $2"
_STORE = """
INSERT INTO source_items (source, type, identity, key, given, person, changed_at, disappeared_at)
SELECT $1, $2, identity, key, given, string_to_array(person, E'\\n'), changed_at, NULL
FROM unnest($3::text[], $4::text[], $5::bytea[], $6::text[], $7::timestamptz[])
    AS new (identity, key, given, person, changed_at)
ON CONFLICT (source, type, identity) DO UPDATE SET
    key = excluded.key, given = excluded.given, person = excluded.person, changed_at = excluded.changed_at,
    disappeared_at = NULL
"""
_FREE_KEYS = """
DELETE FROM source_items
WHERE source = $1 AND type = $2 AND key = ANY($3::text[]) AND identity <> ALL($4::text[])
"""
"""A record that the source calls by another identifier now."""
_MARK = """
UPDATE source_items SET disappeared_at = $4
WHERE source = $1 AND type = $2 AND identity = ANY($3::text[]) AND disappeared_at IS NULL
"""
_REMOVE = "DELETE FROM source_items WHERE source = $1 AND type = $2 AND key = ANY($3::text[])"


class SourceItem(NamedTuple):
    """What a source gave of a record."""

    type: str
    identity: str
    key: str
    given: bytes
    """JSON: the members that it gave."""
    person: Sequence[str] = ()
    """Paths of those that a person changed."""
    changed_at: datetime | None = None
    disappeared_at: datetime | None = None


class RecordSource(NamedTuple):
    """The source of a record."""

    source: str
    person: Sequence[str]
    """Paths of the members that a person changed."""
    disappeared_at: datetime | None


class SourceItemsReader:
    """What sources gave, for reading."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def all(self, source: str) -> list[SourceItem]:
        """Everything that a source gave: as many as its quota allows."""
        return [SourceItem(*row) for row in await self._session.connection.fetch(_ALL, source)]

    async def disappeared(self, source: str, limit: int) -> list[SourceItem]:
        """What a source no longer gives, the last ones first."""
        return [SourceItem(*row) for row in await self._session.connection.fetch(_DISAPPEARED, source, limit)]

    async def find(self, source: str, type_name: str, identity: str) -> SourceItem | None:
        row = await self._session.connection.fetchrow(_FIND, source, type_name, identity)
        return None if row is None else SourceItem(*row)

    async def source_of(self, type_name: str, key: str) -> RecordSource | None:
        """The source of an own record; None where it has none."""
        row = await self._session.connection.fetchrow(_OF_RECORD, type_name, key)
        return None if row is None else RecordSource(*row)

    async def of_others(self, source: str, type_name: str, keys: Sequence[str]) -> dict[str, str]:
        """Those of these records that another source gives, each with its source."""
        rows = await self._session.connection.fetch(_OTHERS, type_name, list(keys), source)
        return {row[0]: row[1] for row in rows}


class SourceItemsWriter(SourceItemsReader):
    """What sources gave, in a transaction that may change it."""

    async def store(self, source: str, type_name: str, items: Iterable[SourceItem]) -> None:
        """Store what a source gives now of some records; none of them has disappeared."""
        rows = list(items)
        keys, identities = [item.key for item in rows], [item.identity for item in rows]
        await self._session.connection.execute(_FREE_KEYS, source, type_name, keys, identities)
        await self._session.connection.execute(
            _STORE,
            source,
            type_name,
            identities,
            keys,
            [item.given for item in rows],
            ["\n".join(item.person) for item in rows],
            [item.changed_at for item in rows],
        )

    async def mark_disappeared(
        self, source: str, type_name: str, identities: Sequence[str], now: datetime
    ) -> None:
        await self._session.connection.execute(_MARK, source, type_name, list(identities), now)

    async def remove(self, source: str, type_name: str, keys: Sequence[str]) -> None:
        """Forget records that were retracted since the source no longer gives them."""
        await self._session.connection.execute(_REMOVE, source, type_name, list(keys))
