"""Answers of peers: receipts for the records they dropped, and feedback on the entries they rejected."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from federation.domain.entry import RejectedEntry
from federation.domain.rejection import CONTRADICTIONS, Contradiction, FeedbackView
from federation.domain.values import as_instant
from federation.domain.withdrawal import DepartureView, ReceiptView, WithdrawalView
from federation.store.statements import Session

MAX_FEEDBACK = 10_000
"""Rejected entries of one peer that are stored."""
MAX_LISTED = 1_000

_STORE = """
INSERT INTO receipts AS stored (feed, operator, epoch, seq, purged, jws)
SELECT id, $3, $4, $5, $6, $7 FROM feeds WHERE origin = $1 AND audience = $2
ON CONFLICT (feed, operator) DO UPDATE
SET epoch = excluded.epoch, seq = excluded.seq, purged = excluded.purged, jws = excluded.jws, at = now()
WHERE stored.epoch <> excluded.epoch OR stored.seq <= excluded.seq OR excluded.purged
"""
_NOTE_DEPARTURES = """
INSERT INTO departures (feed, operator)
SELECT feeds.id, peers.operator FROM feeds CROSS JOIN peers
WHERE feeds.origin = $1 AND feeds.audience = $2 AND peers.operator = ANY($3::text[])
ON CONFLICT (feed, operator) DO UPDATE SET at = now()
"""
_REMOVE_DEPARTURES = """
DELETE FROM departures USING feeds
WHERE departures.feed = feeds.id AND feeds.origin = $1 AND feeds.audience = $2
  AND departures.operator = ANY($3::text[])
"""
_LIST_WITHDRAWALS = """
SELECT f.audience, w.type, w.key, w.revision, w.seq, w.at,
       array_agg(p.operator ORDER BY p.operator) FILTER (WHERE p.operator IS NOT NULL AND r.at IS NOT NULL)
           AS confirmed,
       array_agg(p.operator ORDER BY p.operator) FILTER (WHERE p.operator IS NOT NULL AND r.at IS NULL)
           AS outstanding
FROM (
    SELECT w.* FROM withdrawals AS w JOIN feeds ON feeds.id = w.feed
    WHERE feeds.origin = $1 AND w.seq > 0
    ORDER BY w.arrived DESC LIMIT $2
) AS w
JOIN feeds AS f ON f.id = w.feed
LEFT JOIN peers AS p ON p.state IN ('active', 'suspended') AND p.added_at <= w.at AND (
    f.audience IN ('public', 'federation')
    OR EXISTS (
        SELECT 1 FROM records AS g WHERE g.type = 'group' AND g.origin = f.origin AND g.key = f.audience
        AND NOT g.retracted AND g.facets @> ARRAY['group.member=' || p.operator]
    )
    OR EXISTS (SELECT 1 FROM departures AS d WHERE d.feed = f.id AND d.operator = p.operator)
)
LEFT JOIN receipts AS r ON r.feed = f.id AND r.operator = p.operator AND (
    (r.epoch = f.epoch AND r.seq >= w.seq) OR (r.purged AND r.at >= w.at)
)
GROUP BY f.audience, w.type, w.key, w.revision, w.seq, w.at, w.arrived
ORDER BY w.arrived DESC
"""
"""The last $2 withdrawals from the feeds of origin $1, with the peers that could read each of them then."""
_LIST_DEPARTURES = """
SELECT f.audience, d.operator, d.at, r.at AS confirmed_at
FROM departures AS d JOIN feeds AS f ON f.id = d.feed
LEFT JOIN receipts AS r ON r.feed = d.feed AND r.operator = d.operator AND r.purged AND r.at >= d.at
ORDER BY d.at DESC LIMIT $1
"""
_LIST = """
SELECT f.audience, r.operator, r.seq, r.purged, r.jws, r.at
FROM receipts AS r JOIN feeds AS f ON f.id = r.feed ORDER BY f.audience, r.operator LIMIT $1
"""
_STORE_FEEDBACK = """
INSERT INTO feedback (operator, feed, type, key, seq, revision, reason, detail)
SELECT $1, $2, a.type, a.key, a.seq, a.revision, a.reason, a.detail
FROM unnest($3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $8::text[])
    WITH ORDINALITY AS a(type, key, seq, revision, reason, detail, n)
WHERE a.n <= $9 - (SELECT count(*) FROM feedback WHERE operator = $1)
   OR (a.type, a.key) IN (SELECT type, key FROM feedback WHERE operator = $1 AND feed = $2)
ON CONFLICT (operator, feed, type, key) DO UPDATE
SET seq = excluded.seq, revision = excluded.revision, reason = excluded.reason, detail = excluded.detail,
    at = now()
"""
_LIST_FEEDBACK = """
SELECT b.operator, f.audience, b.type, b.key, b.seq, b.revision, b.reason, b.detail, b.at
FROM feedback AS b JOIN feeds AS f ON f.id = b.feed
LEFT JOIN records AS r ON r.type = b.type AND r.origin = f.origin AND r.key = b.key
WHERE r.revision IS NULL OR r.revision <= b.revision
ORDER BY b.at DESC LIMIT $1
"""
_CLEAR_FEEDBACK = """
DELETE FROM feedback AS b USING feeds AS f
WHERE f.id = b.feed AND (b.at < $1 OR EXISTS (
    SELECT 1 FROM records AS r
    WHERE r.type = b.type AND r.origin = f.origin AND r.key = b.key AND r.revision > b.revision
))
"""
_LIST_CONTRADICTIONS = """
SELECT b.operator, f.audience, count(*) AS entries, array_agg(DISTINCT b.reason ORDER BY b.reason) AS reasons
FROM feedback AS b
JOIN feeds AS f ON f.id = b.feed
JOIN peers AS p ON p.operator = b.operator AND p.state = 'active'
CROSS JOIN node AS n
WHERE b.reason = ANY($1::text[]) AND b.at > n.minted_at
GROUP BY b.operator, f.audience ORDER BY b.operator, f.audience
"""
"""Reports since the epoch began: peers have compared since, where a report is of the epoch before."""
_FEEDBACK_COLUMNS = ("type", "key", "seq", "revision", "reason", "detail")


class ReceiptsReader:
    """Answers of peers, for an administrator."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def withdrawals(self, origin: str) -> tuple[WithdrawalView, ...]:
        """The last thousand withdrawals from the node's own feeds, newest first."""
        rows = await self._session.connection.fetch(_LIST_WITHDRAWALS, origin, MAX_LISTED)
        return tuple(
            WithdrawalView(
                row["audience"],
                row["type"],
                row["key"],
                row["revision"],
                row["seq"],
                as_instant(row["at"]),
                tuple(row["confirmed"] or ()),
                tuple(row["outstanding"] or ()),
            )
            for row in rows
        )

    async def departures(self) -> tuple[DepartureView, ...]:
        """Peers that were taken out of an audience, newest first."""
        return tuple(
            DepartureView(
                row["audience"],
                row["operator"],
                as_instant(row["at"]),
                as_instant(row["confirmed_at"]) if row["confirmed_at"] else None,
            )
            for row in await self._session.connection.fetch(_LIST_DEPARTURES, MAX_LISTED)
        )

    async def all(self) -> tuple[ReceiptView, ...]:
        """The last receipt of each peer for each feed."""
        rows = await self._session.connection.fetch(_LIST, MAX_LISTED)
        return tuple(ReceiptView(*(*row[:5], as_instant(row["at"]))) for row in rows)

    async def feedback(self) -> tuple[FeedbackView, ...]:
        """The last thousand entries that peers rejected, newest first, less those revised since."""
        rows = await self._session.connection.fetch(_LIST_FEEDBACK, MAX_LISTED)
        return tuple(FeedbackView(*(*row[:8], as_instant(row["at"]))) for row in rows)

    async def contradictions(self) -> tuple[Contradiction, ...]:
        """Own entries of this epoch that contradict earlier ones, by the reports of active peers."""
        rows = await self._session.connection.fetch(_LIST_CONTRADICTIONS, list(CONTRADICTIONS))
        return tuple(
            Contradiction(row["operator"], row["audience"], row["entries"], tuple(row["reasons"]))
            for row in rows
        )


class ReceiptsWriter(ReceiptsReader):
    """Answers of peers, in a transaction that may change them."""

    async def store(
        self, origin: str, audience: str, operator: str, *, epoch: str, seq: int, purged: bool, jws: str
    ) -> None:
        """Store a receipt, unless a later one is stored; nothing where there is no such feed."""
        await self._session.connection.execute(_STORE, origin, audience, operator, epoch, seq, purged, jws)

    async def note_departure(self, origin: str, audience: str, operators: Sequence[str]) -> None:
        """Note that operators were taken out of an audience: those that are peers are to send a receipt."""
        await self._session.connection.execute(_NOTE_DEPARTURES, origin, audience, list(operators))

    async def remove_departure(self, origin: str, audience: str, operators: Sequence[str]) -> None:
        await self._session.connection.execute(_REMOVE_DEPARTURES, origin, audience, list(operators))

    async def store_feedback(self, operator: str, feed: int, entries: Sequence[RejectedEntry]) -> None:
        """Store the entries of an own feed that a peer reports as rejected."""
        last = tuple({(entry.type, entry.key): entry for entry in entries}.values())
        columns: list[list[Any]] = [[getattr(entry, name) for entry in last] for name in _FEEDBACK_COLUMNS]
        await self._session.connection.execute(_STORE_FEEDBACK, operator, feed, *columns, MAX_FEEDBACK)

    async def clear(self, before: datetime) -> None:
        """Forget feedback on records that have been revised since, or that is older than that time."""
        await self._session.connection.execute(_CLEAR_FEEDBACK, before)
