"""Repairs: the copy of a feed brought to what its origin signed, also in other numbers."""

from __future__ import annotations

from collections.abc import Sequence

from federation.domain.feed import Cursor
from federation.store.statements import Session

_CLEAR_RECORD_NUMBERS = "UPDATE records SET seq = NULL WHERE feed = $1 AND seq = ANY($2::bigint[])"
# A number below zero is in the way of no entry, and the change log still has the withdrawal.
_CLEAR_WITHDRAWAL_NUMBERS = (
    "UPDATE withdrawals SET seq = -arrived WHERE feed = $1 AND seq = ANY($2::bigint[])"
)
_SET_NUMBERS = """
UPDATE records SET seq = moved.seq
FROM unnest($2::text[], $3::text[], $4::bigint[]) AS moved(type, key, seq)
WHERE records.feed = $1 AND records.type = moved.type AND records.key = moved.key
"""
_DROP_RECORDS = """
WITH dropped AS (
    DELETE FROM records USING unnest($2::text[], $3::text[]) AS named(type, key)
    WHERE records.feed = $1 AND records.type = named.type AND records.key = named.key
    RETURNING records.type, records.key, records.revision, octet_length(records.document) AS size
),
counted AS (
    UPDATE feeds SET records = feeds.records - gone.number, bytes = feeds.bytes - gone.size
    FROM (SELECT count(*) AS number, sum(size) AS size FROM dropped) AS gone
    WHERE id = $1 AND gone.number > 0
),
numbered AS (
    SELECT type, key, revision, row_number() OVER (ORDER BY type, key) AS n FROM dropped
),
numbering AS (
    UPDATE node SET arrival = arrival + (SELECT count(*) FROM dropped)
    RETURNING arrival - (SELECT count(*) FROM dropped) AS base
)
INSERT INTO withdrawals (feed, type, key, seq, arrived, revision)
SELECT $1, type, key, -(numbering.base + n), numbering.base + n, revision
FROM numbered CROSS JOIN numbering
ON CONFLICT (feed, type, key) DO UPDATE
SET seq = excluded.seq, arrived = excluded.arrived, revision = excluded.revision, at = now()
"""
"""Records that feed $1 no longer has, without a number of the feed that says so; withdrawals report it."""
_FINISH = """
UPDATE feeds SET epoch = $2, head = $3, retained_from = $4,
    live = (SELECT count(*) FROM records WHERE feed = $1 AND NOT retracted), remote_head = $3
WHERE id = $1
"""


class RepairsWriter:
    """The copy of a feed, in a transaction that repairs it."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def clear_seq(self, feed: int, numbers: Sequence[int]) -> None:
        """Take these numbers from the records and withdrawals that have them, for others that come next."""
        for statement in (_CLEAR_RECORD_NUMBERS, _CLEAR_WITHDRAWAL_NUMBERS):
            await self._session.connection.execute(statement, feed, list(numbers))

    async def set_seq(self, feed: int, moved: Sequence[tuple[str, str, int]]) -> None:
        """Give stored records other numbers: (type, key, number)."""
        await self._session.connection.execute(
            _SET_NUMBERS, feed, *([record[i] for record in moved] for i in range(3))
        )

    async def drop(self, feed: int, names: Sequence[tuple[str, str]]) -> int:
        """Drop records that the feed's origin no longer has in it; the change log reports their withdrawal.

        Returns their number.
        """
        tag: str = await self._session.connection.execute(
            _DROP_RECORDS, feed, [type_ for type_, _ in names], [key for _, key in names]
        )
        return int(tag.rsplit(" ", 1)[-1])

    async def finish(self, feed: int, at: Cursor, retained_from: int) -> None:
        """Note that the copy is equal to its origin's feed at that number."""
        await self._session.connection.execute(_FINISH, feed, at.epoch, at.seq, retained_from)
