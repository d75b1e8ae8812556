"""Retention: tombstones and withdrawals that are old enough to be dropped."""

from __future__ import annotations

from datetime import datetime

from federation.store.statements import Session

_FIND_EXPIRED = """
SELECT max(seq) FROM (
    SELECT max(seq) AS seq FROM records WHERE feed = $1 AND retracted AND updated_at < $2
    UNION ALL
    SELECT max(seq) FROM withdrawals WHERE feed = $1 AND seq > 0 AND at < $2
) AS expired
"""
_DROP_TOMBSTONES = """
WITH dropped_records AS (
    DELETE FROM records WHERE feed = $1 AND retracted AND seq <= $2
    RETURNING bucket, arrived, octet_length(document) AS size
),
dropped_withdrawals AS (
    DELETE FROM withdrawals WHERE feed = $1 AND seq BETWEEN 1 AND $2
    RETURNING arrived, get_byte(sha256((type || '/' || key)::bytea), 0)::smallint AS bucket
),
numbering AS (
    -- The lock of numbering first, as every writer takes it.
    UPDATE node SET arrivals_from = greatest(
        arrivals_from,
        (SELECT max(arrived) FROM (
            SELECT arrived FROM dropped_records UNION ALL SELECT arrived FROM dropped_withdrawals
        ) AS dropped)
    )
    RETURNING true AS locked
),
retained AS (
    UPDATE feeds SET
        retained_from = greatest(retained_from, $2),
        -- (Own feeds do not count theirs: no quota is theirs.)
        records = greatest(feeds.records - gone.number, 0), bytes = greatest(feeds.bytes - gone.size, 0)
    FROM numbering, (SELECT count(*) AS number, coalesce(sum(size), 0) AS size FROM dropped_records) AS gone
    WHERE id = $1 AND numbering.locked
)
-- (A withdrawal that is dropped before a digest was made of it leaves no number either.)
SELECT coalesce(array_agg(DISTINCT bucket), '{}') AS buckets
FROM (SELECT bucket FROM dropped_records UNION ALL SELECT bucket FROM dropped_withdrawals) AS changed
"""
_DROP_WITHOUT_NUMBER = """
WITH dropped_records AS (
    DELETE FROM records WHERE feed IS NULL AND retracted AND updated_at < $1 RETURNING arrived
),
dropped_withdrawals AS (DELETE FROM withdrawals WHERE seq < 0 AND at < $1 RETURNING arrived),
dropped AS (SELECT arrived FROM dropped_records UNION ALL SELECT arrived FROM dropped_withdrawals)
UPDATE node SET arrivals_from = (SELECT max(arrived) FROM dropped)
WHERE arrivals_from < (SELECT max(arrived) FROM dropped)
"""


class RetentionWriter:
    """Tombstones and withdrawals, in a transaction that may drop them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def expired_until(self, feed: int, before: datetime) -> int:
        """Number of the last tombstone or withdrawal of a feed from before that time; 0 if there is none."""
        return await self._session.connection.fetchval(_FIND_EXPIRED, feed, before) or 0

    async def drop_tombstones(self, feed: int, until: int) -> list[int]:
        """Drop tombstones and withdrawals up to a number; only later cursors are valid from then on.

        Returns the buckets that change by it.
        """
        return list(await self._session.connection.fetchval(_DROP_TOMBSTONES, feed, until))

    async def drop_without_number(self, before: datetime) -> None:
        """Drop tombstones that are in no feed, and withdrawals without a number, from before that time."""
        await self._session.connection.execute(_DROP_WITHOUT_NUMBER, before)
