"""Records that this version does not understand: counted, read in part, and read again after an upgrade.

A partial index has them alone: nothing here reads any other record.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Text, func, select

from federation.domain.not_understood import NotUnderstood
from federation.domain.visibility import Caller
from federation.store.pages import bounded
from federation.store.statements import Session, Statement, param
from federation.store.tables import records
from federation.store.visibility import Viewer, arguments, viewer_of, visible_condition

MAX_REASONS = 5
"""Reasons that are given of the records of one operator and type, the most frequent first."""

MAX_BYTES = 2 * 1_048_576
"""Bytes of the documents that one answer reads in part, or a single document of more."""

RecordKey = tuple[str, str, str]
"""(type, origin, key) of a record."""

_c = records.c
_COUNT = """
SELECT origin, type, count(*) FROM records WHERE not_understood IS NOT NULL GROUP BY origin, type
ORDER BY origin, type
"""
_REASONS = """
SELECT origin, type, not_understood, count(*) FROM records WHERE not_understood IS NOT NULL
GROUP BY origin, type, not_understood ORDER BY origin, type, count(*) DESC, not_understood
"""
_NEXT = """
SELECT type, origin, key, feed, octet_length(document) AS size FROM records
WHERE not_understood IS NOT NULL AND feed IS NOT NULL AND (type, origin, key) > ($1, $2, $3)
ORDER BY type, origin, key LIMIT $4
"""
_DOCUMENTS = """
SELECT r.type, r.origin, r.key, r.revision, r.seq, r.hash, r.document, r.not_understood
FROM unnest($2::text[], $3::text[], $4::text[]) AS named(type, origin, key)
JOIN records AS r ON r.type = named.type AND r.origin = named.origin AND r.key = named.key
WHERE r.feed = $1 AND r.not_understood IS NOT NULL
"""


class PartlyRead(NamedTuple):
    """A record of which no more than the envelope is understood."""

    origin: str
    key: str
    updated_at: datetime
    document: bytes

    @property
    def id(self) -> str:
        return f"{self.origin}/{self.key}"


class MarkedRecord(NamedTuple):
    """A record to be read again."""

    type: str
    origin: str
    key: str
    revision: int
    seq: int | None
    hash: bytes
    document: bytes
    not_understood: str


class MarkedName(NamedTuple):
    """The name of a record to be read again, with its feed and the bytes of its document."""

    type: str
    origin: str
    key: str
    feed: int
    size: int


@lru_cache
def _newest(viewer: Viewer) -> Statement:
    newest_first = (_c.updated_at.desc(), _c.key.desc())
    turn: Any = -func.row_number().over(partition_by=_c.origin, order_by=newest_first)
    shortness: Any = -func.octet_length(_c.document)
    names = ("turn", "shortness", "updated_at", "origin", "key")
    rows = select(
        _c.origin, _c.key, _c.updated_at, _c.document, turn.label("turn"), shortness.label("shortness")
    ).where(
        _c.type == param("type", Text), _c.not_understood.is_not(None), visible_condition(records, viewer)
    )
    marked = rows.subquery("marked")
    order = [marked.c[name].desc() for name in names]
    page = select(marked).order_by(*order).limit(param("one_more"))
    return Statement(bounded(page, *names, backwards=True))


@lru_cache
def _origins(viewer: Viewer) -> Statement:
    return Statement(
        select(_c.origin, func.max(_c.updated_at))
        .where(
            _c.type == param("type", Text), _c.not_understood.is_not(None), visible_condition(records, viewer)
        )
        .group_by(_c.origin)
    )


@lru_cache
def _number(viewer: Viewer) -> Statement:
    marked = (
        select(_c.key)
        .where(
            _c.type == param("type", Text), _c.not_understood.is_not(None), visible_condition(records, viewer)
        )
        .limit(param("limit"))
        .subquery("marked")
    )
    return Statement(select(func.count()).select_from(marked))


class NotUnderstoodReader:
    """Records with the mark, as far as a caller may see them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def newest(
        self, type_name: str, limit: int, *, visible_to: Caller
    ) -> tuple[list[PartlyRead], bool]:
        """The records of a type that are not understood, those changed last first.

        As many as ``limit`` and ``MAX_BYTES`` allow, and True where there are more: the newest of each
        operator, then the second of each, the short ones first. So no operator's hide those of another.
        """
        rows = await self._session.all(
            _newest(viewer_of(visible_to)),
            type=type_name,
            limit=limit,
            one_more=limit + 1,
            max_bytes=MAX_BYTES,
            **arguments(visible_to),
        )
        read = [PartlyRead(*row[:4]) for row in rows]
        read.sort(key=lambda record: (record.updated_at, record.origin, record.key), reverse=True)
        return read, bool(rows) and rows[-1]["followed"]

    async def origins(self, type_name: str, *, visible_to: Caller) -> dict[str, datetime]:
        """The operators that have such records of a type, and when each has last changed one."""
        rows = await self._session.all(
            _origins(viewer_of(visible_to)), type=type_name, **arguments(visible_to)
        )
        return {row[0]: row[1] for row in rows}

    async def number(self, type_name: str, limit: int, *, visible_to: Caller) -> int:
        """Their number, or ``limit`` where there are more."""
        return int(
            await self._session.value(
                _number(viewer_of(visible_to)), type=type_name, limit=limit, **arguments(visible_to)
            )
            or 0
        )

    async def by_origin(self) -> dict[tuple[str, str], int]:
        """Their number by (operator, type), for the node's administrator."""
        rows = await self._session.connection.fetch(_COUNT)
        return {(row[0], row[1]): row[2] for row in rows}

    async def with_reasons(self) -> dict[str, tuple[NotUnderstood, ...]]:
        """Their number by operator, type and reason, for the node's administrator."""
        totals: dict[tuple[str, str], int] = {}
        reasons: dict[tuple[str, str], dict[str, int]] = {}
        for origin, type_, reason, number in await self._session.connection.fetch(_REASONS):
            totals[origin, type_] = totals.get((origin, type_), 0) + number
            listed = reasons.setdefault((origin, type_), {})
            if len(listed) < MAX_REASONS:
                listed[reason] = number
        views: dict[str, tuple[NotUnderstood, ...]] = {}
        for (origin, type_), number in totals.items():
            view = NotUnderstood(type_, number, reasons[origin, type_])
            views[origin] = (*views.get(origin, ()), view)
        return views

    async def names_after(self, after: RecordKey, limit: int) -> list[MarkedName]:
        """The next ones by (type, operator, key)."""
        rows = await self._session.connection.fetch(_NEXT, *after, limit)
        return [MarkedName(*row) for row in rows]

    async def documents(self, feed: int, names: Sequence[RecordKey]) -> list[MarkedRecord]:
        """Those of these records that are still in the feed, and still not understood."""
        columns = [[name[index] for name in names] for index in range(3)]
        rows = await self._session.connection.fetch(_DOCUMENTS, feed, *columns)
        return [MarkedRecord(*row) for row in rows]
