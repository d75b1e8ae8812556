"""What peers answer: receipts of what they have dropped, and entries that they could not take."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from federation.domain.entry import RejectedEntry
from federation.store.statements import Session

MAX_FEEDBACK = 10_000
"""Entries that one peer says it could not take which are kept, at most."""

_KEEP = """
INSERT INTO receipts AS held (feed, operator, epoch, seq, purged, jws)
SELECT id, $3, $4, $5, $6, $7 FROM feeds WHERE origin = $1 AND audience = $2
ON CONFLICT (feed, operator) DO UPDATE
SET epoch = excluded.epoch, seq = excluded.seq, purged = excluded.purged, jws = excluded.jws, at = now()
WHERE held.epoch <> excluded.epoch OR held.seq <= excluded.seq OR excluded.purged
"""
_DEPARTED = """
INSERT INTO departures (feed, operator)
SELECT feeds.id, peers.operator FROM feeds CROSS JOIN peers
WHERE feeds.origin = $1 AND feeds.audience = $2 AND peers.operator = ANY($3::text[])
ON CONFLICT (feed, operator) DO UPDATE SET at = now()
"""
_RETURNED = """
DELETE FROM departures USING feeds
WHERE departures.feed = feeds.id AND feeds.origin = $1 AND feeds.audience = $2
  AND departures.operator = ANY($3::text[])
"""
_WITHDRAWALS = """
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
_DEPARTURES = """
SELECT f.audience, d.operator, d.at, r.at AS confirmed_at
FROM departures AS d JOIN feeds AS f ON f.id = d.feed
LEFT JOIN receipts AS r ON r.feed = d.feed AND r.operator = d.operator AND r.purged AND r.at >= d.at
ORDER BY d.at DESC LIMIT $1
"""
_RECEIPTS = """
SELECT f.audience, r.operator, r.seq, r.purged, r.jws, r.at
FROM receipts AS r JOIN feeds AS f ON f.id = r.feed ORDER BY f.audience, r.operator LIMIT $1
"""
_FEEDBACK = """
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
_REFUSED = """
SELECT b.operator, f.audience, b.type, b.key, b.seq, b.revision, b.reason, b.detail, b.at
FROM feedback AS b JOIN feeds AS f ON f.id = b.feed
LEFT JOIN records AS r ON r.type = b.type AND r.origin = f.origin AND r.key = b.key
WHERE r.revision IS NULL OR r.revision <= b.revision
ORDER BY b.at DESC LIMIT $1
"""
_CLEAR = """
DELETE FROM feedback AS b USING feeds AS f
WHERE f.id = b.feed AND (b.at < $1 OR EXISTS (
    SELECT 1 FROM records AS r
    WHERE r.type = b.type AND r.origin = f.origin AND r.key = b.key AND r.revision > b.revision
))
"""
_SAID = ("type", "key", "seq", "revision", "reason", "detail")
MAX_LISTED = 1_000


class Withdrawal(msgspec.Struct, frozen=True):
    """A record that left a feed of ours, and which peers have confirmed that they dropped it."""

    audience: str
    type: str
    key: str
    revision: int
    seq: int
    at: datetime
    confirmed: tuple[str, ...]
    outstanding: tuple[str, ...]


class Departure(msgspec.Struct, frozen=True):
    """A peer that was taken out of an audience, and whether it has confirmed that it dropped everything."""

    audience: str
    operator: str
    at: datetime
    confirmed_at: datetime | None


class StoredReceipt(msgspec.Struct, frozen=True):
    """The last receipt of a peer for a feed of ours."""

    audience: str
    operator: str
    seq: int
    purged: bool
    jws: str
    at: datetime


class FeedbackRow(msgspec.Struct, frozen=True):
    """An entry of ours that a peer could not take, and why."""

    operator: str
    audience: str
    type: str
    key: str
    seq: int
    revision: int
    reason: str
    detail: str
    at: datetime


class ReceiptsReader:
    """What peers answered, for an administrator."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def withdrawals(self, origin: str) -> tuple[Withdrawal, ...]:
        """The thousand withdrawals of the node's own feeds that came last, newest first."""
        rows = await self._session.connection.fetch(_WITHDRAWALS, origin, MAX_LISTED)
        return tuple(
            Withdrawal(
                row["audience"],
                row["type"],
                row["key"],
                row["revision"],
                row["seq"],
                row["at"],
                tuple(row["confirmed"] or ()),
                tuple(row["outstanding"] or ()),
            )
            for row in rows
        )

    async def departures(self) -> tuple[Departure, ...]:
        """Peers that were taken out of an audience, newest first."""
        return tuple(Departure(*row) for row in await self._session.connection.fetch(_DEPARTURES, MAX_LISTED))

    async def all(self) -> tuple[StoredReceipt, ...]:
        return tuple(
            StoredReceipt(*row) for row in await self._session.connection.fetch(_RECEIPTS, MAX_LISTED)
        )

    async def feedback(self) -> tuple[FeedbackRow, ...]:
        """The thousand entries that peers could not take last, newest first, less what was revised since."""
        return tuple(FeedbackRow(*row) for row in await self._session.connection.fetch(_REFUSED, MAX_LISTED))


class ReceiptsWriter(ReceiptsReader):
    """What peers answered, in a transaction that may change it."""

    async def store(
        self, origin: str, audience: str, operator: str, *, epoch: str, seq: int, purged: bool, jws: str
    ) -> None:
        """Keep a receipt, unless one that says more is held; nothing where there is no such feed."""
        await self._session.connection.execute(_KEEP, origin, audience, operator, epoch, seq, purged, jws)

    async def note_departure(self, origin: str, audience: str, operators: Sequence[str]) -> None:
        """These were taken out of an audience: those that are peers owe a receipt."""
        await self._session.connection.execute(_DEPARTED, origin, audience, list(operators))

    async def remove_departure(self, origin: str, audience: str, operators: Sequence[str]) -> None:
        await self._session.connection.execute(_RETURNED, origin, audience, list(operators))

    async def store_feedback(self, operator: str, feed: int, several: Sequence[RejectedEntry]) -> None:
        """A peer says which entries of a feed of ours it could not take."""
        last = tuple({(one.type, one.key): one for one in several}.values())
        columns: list[list[Any]] = [[getattr(one, name) for one in last] for name in _SAID]
        await self._session.connection.execute(_FEEDBACK, operator, feed, *columns, MAX_FEEDBACK)

    async def clear(self, before: datetime) -> None:
        """Forget feedback on what has been revised since, or that is older than that."""
        await self._session.connection.execute(_CLEAR, before)
