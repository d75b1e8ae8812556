"""Stored records: find one, page through lists and the change log, read groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Text, and_, cast, column, func, or_, select, tuple_, union_all
from sqlalchemy.dialects.postgresql import ARRAY

from federation.domain.feed import PAGE_BYTES
from federation.domain.query import PageKey, Query
from federation.domain.registry import known_type
from federation.domain.stored import StoredRecord, StoredRevision
from federation.domain.visibility import FEDERATION, PRIVATE, PUBLIC, Caller
from federation.store import lists
from federation.store.lists import Listed, ListReader
from federation.store.pages import bounded
from federation.store.search_all import TypeMatches, search_all
from federation.store.statements import Session, Statement, param
from federation.store.tables import feeds, records, withdrawals
from federation.store.visibility import (
    Viewer,
    arguments,
    subject_condition,
    viewer_of,
    visible_condition,
)


def _visible(type_name: str | None, viewer: Viewer) -> Any:
    """The condition of one record; a tombstone says nothing about its subject."""
    visible = visible_condition(records, viewer)
    kind = known_type(type_name) if type_name else None
    if kind is None or not kind.has_subject:
        return visible
    return and_(visible, or_(records.c.retracted, subject_condition(records, viewer)))


@lru_cache
def find_statement(viewer: Viewer, type_name: str | None = None) -> Statement:
    """``type_name``: of a type whose records have a subject; None for any other."""
    return Statement(
        select(
            records.c.document,
            records.c.hash,
            records.c.retracted,
            records.c.updated_at,
            records.c.not_understood,
        ).where(
            records.c.type == param("type", Text),
            records.c.origin == param("origin", Text),
            records.c.key == param("key", Text),
            _visible(type_name, viewer),
        )
    )


_names = (
    func.unnest(param("origins", ARRAY(Text)), param("keys", ARRAY(Text)))
    .table_valued(column("origin", Text), column("key", Text), name="names")
    .render_derived()
)


@lru_cache
def _visible_statement(viewer: Viewer, type_name: str | None) -> Statement:
    return Statement(
        select(records.c.origin, records.c.key).where(
            records.c.type == param("type", Text),
            tuple_(records.c.origin, records.c.key).in_(select(_names.c.origin, _names.c.key)),
            _visible(type_name, viewer),
        )
    )


@lru_cache
def _documents_statement(viewer: Viewer, type_name: str | None) -> Statement:
    """The documents of records by their ids, those that are not understood aside."""
    return Statement(
        select(records.c.document)
        .join(_names, and_(records.c.origin == _names.c.origin, records.c.key == _names.c.key))
        .where(
            records.c.type == param("type", Text),
            ~records.c.retracted,
            records.c.not_understood.is_(None),
            _visible(type_name, viewer),
        )
        .order_by(records.c.origin, records.c.key)
    )


CURRENT_STATE = """
SELECT public.id, federation.id, stored.*
FROM (VALUES (1)) AS always
LEFT JOIN feeds AS public ON public.origin = $2 AND public.audience = 'public'
LEFT JOIN feeds AS federation ON federation.origin = $2 AND federation.audience = 'federation'
LEFT JOIN (
    SELECT type, key, revision, feed, seq, retracted, hash, created_at, document FROM records
    WHERE type = $1 AND origin = $2 AND key = $3
) AS stored ON true
"""
"""One own record, and the feeds for everybody and for all peers; one row, also where none exists."""
LIST_CHANGES = Statement(
    bounded(
        select(
            union_all(
                select(
                    records.c.arrived,
                    records.c.retracted,
                    records.c.origin,
                    records.c.type,
                    records.c.key,
                    records.c.revision,
                    records.c.hash,
                    records.c.document,
                )
                .where(records.c.arrived > param("after"), records.c.arrived <= param("until"))
                .order_by(records.c.arrived)
                .limit(param("one_more"))
                .subquery()
                .select(),
                select(
                    withdrawals.c.arrived,
                    cast(None, records.c.retracted.type).label("retracted"),
                    feeds.c.origin,
                    withdrawals.c.type,
                    withdrawals.c.key,
                    withdrawals.c.revision,
                    cast(None, records.c.hash.type).label("hash"),
                    cast(None, records.c.document.type).label("document"),
                )
                .join(feeds, feeds.c.id == withdrawals.c.feed)
                .where(
                    withdrawals.c.arrived > param("after"),
                    withdrawals.c.arrived <= param("until"),
                    # A record that only moved to another audience is still stored here: it has not left.
                    ~select(records.c.key)
                    .where(
                        records.c.type == withdrawals.c.type,
                        records.c.origin == feeds.c.origin,
                        records.c.key == withdrawals.c.key,
                    )
                    .exists(),
                )
                .order_by(withdrawals.c.arrived)
                .limit(param("one_more"))
                .subquery()
                .select(),
            ).subquery("changes")
        )
        .order_by("arrived")
        .limit(param("one_more")),
        "arrived",
    )
)
_LIST_LIVE_NAMES = """
SELECT type, key FROM records JOIN feeds ON feeds.id = records.feed
WHERE feeds.origin = $1 AND feeds.audience = $2 AND NOT retracted ORDER BY seq LIMIT $3
"""
_COUNT_LIVE = "SELECT live FROM feeds WHERE origin = $1 AND audience = $2"


_READ_REVISIONS = """
SELECT type, key, revision, feed, seq, retracted, hash, created_at, document FROM records
WHERE type = $1 AND origin = $2 AND key = ANY($3::text[])
"""


def _with_subject(type_name: str) -> str | None:
    """The type, if its records have a subject: other types share their statements."""
    kind = known_type(type_name)
    return type_name if kind is not None and kind.has_subject else None


class RecordsReader:
    """Records, as far as the caller may see them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def find(self, type_name: str, origin: str, key: str, *, visible_to: Caller) -> StoredRecord | None:
        """The record or its tombstone; None if there is none that the caller may see."""
        row = await self._session.one(
            find_statement(viewer_of(visible_to), _with_subject(type_name)),
            type=type_name,
            origin=origin,
            key=key,
            **arguments(visible_to),
        )
        return StoredRecord(*row) if row else None

    async def visible_ids(self, type_name: str, ids: Iterable[str], *, visible_to: Caller) -> frozenset[str]:
        """Those of some ids whose records, or tombstones, are here and may be seen."""
        names = [id_.partition("/") for id_ in sorted(set(ids))]
        if not names:
            return frozenset()
        rows = await self._session.all(
            _visible_statement(viewer_of(visible_to), _with_subject(type_name)),
            type=type_name,
            origins=[origin for origin, _, _ in names],
            keys=[key for _, _, key in names],
            **arguments(visible_to),
        )
        return frozenset(f"{origin}/{key}" for origin, key in rows)

    async def documents(self, type_name: str, ids: Iterable[str], *, visible_to: Caller) -> list[bytes]:
        """The documents of some ids that are here, are understood and may be seen, in the order of the ids.

        Retracted ones are left out.
        """
        names = [id_.partition("/") for id_ in sorted(set(ids))]
        if not names:
            return []
        rows = await self._session.all(
            _documents_statement(viewer_of(visible_to), _with_subject(type_name)),
            type=type_name,
            origins=[origin for origin, _, _ in names],
            keys=[key for _, _, key in names],
            **arguments(visible_to),
        )
        return [row[0] for row in rows]

    async def collect(
        self, query: Query, *, visible_to: Caller
    ) -> tuple[list[bytes], PageKey | None, int | None]:
        """A page of documents, where the next one begins, and the total if the query asks for it.

        The total is exact up to ``MAX_TOTAL``; a higher one says that there are more.
        """
        return (await lists.collect(self._session, query, visible_to=visible_to))[:3]

    async def search(self, query: Query, *, visible_to: Caller) -> Listed:
        """A page as ``collect`` gives it, with the order that it is in."""
        return await lists.collect(self._session, query, visible_to=visible_to)

    def open_list(self, query: Query, *, visible_to: Caller) -> ListReader:
        """A list whose page and total are read one after the other."""
        return ListReader(self._session, query, visible_to)

    async def search_all(
        self, words: str, types: Sequence[str], of_each: int, *, visible_to: Caller
    ) -> tuple[dict[str, TypeMatches], bool]:
        """The best matches of each type; True where more rows match than were read."""
        return await search_all(self._session, words, types, of_each, visible_to=visible_to)

    async def change_log(
        self, after: int, until: int, limit: int, *, visible_to: Caller
    ) -> tuple[list[Any], bool]:
        """Every record stored here, of every origin, in the order it arrived; for the operator itself.

        As many rows as ``limit`` and ``PAGE_BYTES`` allow, and whether there are more.
        """
        if not visible_to.sees_all:
            return [], False
        rows = await self._session.all(
            LIST_CHANGES, after=after, until=until, limit=limit, one_more=limit + 1, max_bytes=PAGE_BYTES
        )
        return [row[:-1] for row in rows], bool(rows) and rows[-1]["followed"]

    async def live_names(self, origin: str, audience: str, limit: int) -> tuple[list[tuple[str, str]], int]:
        """The first records of a feed, as (type, key), and the number of all of them."""
        rows = await self._session.connection.fetch(_LIST_LIVE_NAMES, origin, audience, limit)
        total = await self._session.connection.fetchval(_COUNT_LIVE, origin, audience)
        return [(row[0], row[1]) for row in rows], total or 0

    async def current_state(
        self, type_name: str, origin: str, key: str
    ) -> tuple[StoredRevision | None, dict[str, int | None]]:
        """The stored revision of an own record, and the feeds that it may be in, by audience.

        Nothing is locked. Of the feeds, the one for everybody and the one for peers, as far as they exist; a
        private record is in none.
        """
        row = await self._session.connection.fetchrow(CURRENT_STATE, type_name, origin, key)
        feeds: dict[str, int | None] = {PRIVATE: None}
        feeds |= {audience: row[n] for n, audience in enumerate((PUBLIC, FEDERATION)) if row[n] is not None}
        return StoredRevision(*row[2:]) if row[2] is not None else None, feeds

    async def current_revisions(
        self, type_name: str, origin: str, keys: Sequence[str]
    ) -> dict[str, StoredRevision]:
        """The stored revisions of own records. Nothing is locked."""
        rows = await self._session.connection.fetch(_READ_REVISIONS, type_name, origin, list(keys))
        return {row["key"]: StoredRevision(*row) for row in rows}
