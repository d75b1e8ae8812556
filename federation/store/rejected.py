"""Rejected entries: entries of other operators' feeds that this node could not store, and why."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Text, delete, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

from federation.domain.entry import RejectedEntry
from federation.domain.feed import FeedState
from federation.domain.rejection import RejectedEntryView
from federation.domain.values import as_instant
from federation.store.statements import Session, Statement, param
from federation.store.tables import feeds, rejected_entries

MAX_REJECTED = 10_000
"""Rejected entries of one peer that are stored at most; of more, only the number is known, by the metrics."""
MAX_LISTED = 1_000

_STORE = """
WITH incoming AS (
    SELECT i.*, count(*) FILTER (WHERE stored.key IS NULL) OVER (ORDER BY i.n) AS added
    FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[])
        WITH ORDINALITY AS i(type, key, seq, revision, reason, detail, n)
    LEFT JOIN rejected_entries AS stored ON stored.feed = $1 AND stored.type = i.type AND stored.key = i.key
)
INSERT INTO rejected_entries (feed, type, key, seq, revision, reason, detail)
SELECT $1, type, key, seq, revision, reason, detail FROM incoming
WHERE added <= $8 - (
        SELECT count(*) FROM rejected_entries AS r JOIN feeds AS f ON f.id = r.feed
        WHERE f.origin = (SELECT origin FROM feeds WHERE id = $1)
    )
   OR (type, key) IN (SELECT type, key FROM rejected_entries WHERE feed = $1)
ON CONFLICT (feed, type, key) DO UPDATE
SET seq = excluded.seq, revision = excluded.revision, reason = excluded.reason, detail = excluded.detail,
    at = now(), reported = rejected_entries.reported AND rejected_entries.seq = excluded.seq
RETURNING seq
"""
"""Rejected entries of feed $1, one for each record, as long as no more than $8 of its origin are stored."""
_COLUMNS = ("type", "key", "seq", "revision", "reason", "detail")
_CLEAR = Statement(
    delete(rejected_entries).where(
        rejected_entries.c.feed == param("feed"),
        (rejected_entries.c.type + literal("/", Text) + rejected_entries.c.key)
        == param("names", ARRAY(Text)).any_(),
    )
)
_LIST_PENDING_REPORTS = Statement(
    select(
        rejected_entries.c.feed, feeds.c.audience, rejected_entries.c.seq, rejected_entries.c.type,
        rejected_entries.c.key, rejected_entries.c.revision, rejected_entries.c.reason,
        rejected_entries.c.detail,
    )
    .join(feeds, feeds.c.id == rejected_entries.c.feed)
    .where(feeds.c.origin == param("origin", Text), ~rejected_entries.c.reported)
    .order_by(rejected_entries.c.feed, rejected_entries.c.seq)
    .limit(param("limit"))
)  # fmt: skip
_NOTE_REPORT = """
UPDATE rejected_entries AS r SET reported = true
FROM unnest($2::text[], $3::text[], $4::bigint[]) AS t(type, key, seq)
WHERE r.feed = $1 AND r.type = t.type AND r.key = t.key AND r.seq = t.seq
"""
_LIST = Statement(
    select(
        feeds.c.origin, feeds.c.audience, rejected_entries.c.type, rejected_entries.c.key,
        rejected_entries.c.seq, rejected_entries.c.revision, rejected_entries.c.reason,
        rejected_entries.c.detail, rejected_entries.c.at,
    )
    .join(feeds, feeds.c.id == rejected_entries.c.feed)
    .order_by(rejected_entries.c.at.desc())
    .limit(MAX_LISTED)
)  # fmt: skip


class RejectedReader:
    """Rejected entries, for reading."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def all(self) -> tuple[RejectedEntryView, ...]:
        """The thousand entries rejected last, newest first."""
        return tuple(
            RejectedEntryView(*(*row[:8], as_instant(row["at"]))) for row in await self._session.all(_LIST)
        )

    async def pending_reports(self, origin: str, limit: int) -> dict[tuple[int, str], list[RejectedEntry]]:
        """Rejected entries of an origin's feeds that it has not been told of, by feed and audience."""
        entries: dict[tuple[int, str], list[RejectedEntry]] = {}
        for row in await self._session.all(_LIST_PENDING_REPORTS, origin=origin, limit=limit):
            entry = RejectedEntry(
                seq=row["seq"],
                type=row["type"],
                key=row["key"],
                revision=row["revision"],
                reason=row["reason"],
                detail=row["detail"],
            )
            entries.setdefault((row["feed"], row["audience"]), []).append(entry)
        return entries


class RejectedWriter(RejectedReader):
    """Rejected entries, in a transaction that may change them."""

    async def store(
        self, feed: FeedState, entries: Sequence[RejectedEntry], max_entries: int | None = None
    ) -> frozenset[int]:
        """Store the last entry of each record, as far as there is room. Returns the numbers stored.

        ``max_entries``: of its origin, where less than ``MAX_REJECTED`` are allowed.
        """
        last = tuple({(entry.type, entry.key): entry for entry in entries}.values())
        rows = await self._session.connection.fetch(
            _STORE,
            feed.id,
            *([getattr(entry, name) for entry in last] for name in _COLUMNS),
            min(MAX_REJECTED, MAX_REJECTED if max_entries is None else max_entries),
        )
        return frozenset(row["seq"] for row in rows)

    async def note_report(self, feed: int, entries: Sequence[RejectedEntry]) -> None:
        """Note that the origin has been told of these."""
        await self._session.connection.execute(
            _NOTE_REPORT,
            feed,
            *([getattr(entry, name) for entry in entries] for name in ("type", "key", "seq")),
        )

    async def clear(self, feed: FeedState, names: list[tuple[str, str]]) -> None:
        """Forget rejected entries of records, by (type, key), of which a good revision has come."""
        await self._session.run(_CLEAR, feed=feed.id, names=[f"{t}/{k}" for t, k in names])
