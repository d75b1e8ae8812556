"""Entries of feeds: pages of them, those at given numbers, and those that are new since a head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, cast, select, union_all
from sqlalchemy.dialects.postgresql import ARRAY

from federation.domain.errors import CursorExpired, CursorInFuture, EpochChanged
from federation.domain.feed import PAGE_BYTES, Cursor, FeedState, Head
from federation.store.feeds import FEED_COLUMNS
from federation.store.pages import bounded
from federation.store.statements import Session, Statement, param
from federation.store.tables import records, withdrawals

_LIST_PAGE = Statement(
    bounded(
        select(
            union_all(
                select(
                    records.c.seq,
                    records.c.retracted,
                    records.c.type,
                    records.c.key,
                    records.c.revision,
                    records.c.hash,
                    records.c.document,
                )
                .where(records.c.feed == param("feed"), records.c.seq > param("after"))
                .order_by(records.c.seq)
                .limit(param("one_more"))
                .subquery()
                .select(),
                select(
                    withdrawals.c.seq,
                    cast(None, records.c.retracted.type).label("retracted"),
                    withdrawals.c.type,
                    withdrawals.c.key,
                    withdrawals.c.revision,
                    cast(None, records.c.hash.type).label("hash"),
                    cast(None, records.c.document.type).label("document"),
                )
                .where(withdrawals.c.feed == param("feed"), withdrawals.c.seq > param("after"))
                .order_by(withdrawals.c.seq)
                .limit(param("one_more"))
                .subquery()
                .select(),
            ).subquery("entries")
        )
        .order_by("seq")
        .limit(param("one_more")),
        "seq",
    )
)
LIST_OWN_DELTAS = """
SELECT feeds.id, feeds.origin, feeds.audience, feeds.epoch, feeds.head, feeds.live, feeds.retained_from,
    feeds.remote_head, digests.checkpoint, entries.*
FROM feeds
LEFT JOIN digests ON digests.feed = feeds.id
LEFT JOIN unnest($2::text[], $3::text[], $4::bigint[]) AS before(audience, epoch, seq)
    ON before.audience = feeds.audience AND before.epoch = feeds.epoch
    AND feeds.head - before.seq BETWEEN 1 AND $5 AND (before.seq = 0 OR before.seq >= feeds.retained_from)
LEFT JOIN LATERAL (
    SELECT seq, retracted, type, key, revision, hash, document FROM (
        SELECT later.*, sum(coalesce(octet_length(document), 0)) OVER () AS size FROM (
            SELECT seq, retracted, type, key, revision, hash, document FROM records
            WHERE feed = feeds.id AND seq > before.seq AND seq <= feeds.head
            UNION ALL
            SELECT seq, NULL, type, key, revision, NULL, NULL FROM withdrawals
            WHERE feed = feeds.id AND seq > before.seq AND seq <= feeds.head
        ) AS later
    ) AS sized
    WHERE size <= $6
) AS entries ON true
WHERE feeds.origin = $1 AND feeds.epoch IS NOT NULL
ORDER BY feeds.audience, entries.seq
"""
"""The feeds of origin $1 with their checkpoints, and the entries after the heads in $2 to $4.

One statement, since every record passes it on its way to every peer.
"""
_LIST_AT_NUMBERS = Statement(
    bounded(
        select(
            records.c.seq,
            records.c.retracted,
            records.c.type,
            records.c.key,
            records.c.revision,
            records.c.hash,
            records.c.document,
        )
        .where(records.c.feed == param("feed"), records.c.seq == param("numbers", ARRAY(BigInteger)).any_())
        .order_by(records.c.seq)
        .limit(param("one_more")),
        "seq",
    )
)


class EntriesReader:
    """Entries, in rows (seq, retracted or None for a withdrawal, type, key, revision, hash, document)."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def page(self, feed: FeedState, after: Cursor | None, limit: int) -> tuple[list[Any], bool]:
        """Rows in order, as many as ``limit`` and ``PAGE_BYTES`` allow, and whether there are more.

        Raises EpochChanged, CursorInFuture or CursorExpired where the cursor does not fit the feed.
        """
        if after is not None:
            if after.epoch != feed.epoch:
                raise EpochChanged(
                    "the feed {feed} is now of epoch {epoch}: compare what you hold, from zero",
                    feed=feed.name,
                    epoch=feed.epoch,
                )
            if after.seq > feed.head:
                raise CursorInFuture(
                    "the feed {feed} ends at {head}, the cursor is at {cursor}",
                    feed=feed.name,
                    head=feed.head,
                    cursor=after.seq,
                )
            if 0 < after.seq < feed.retained_from:
                raise CursorExpired(
                    "the feed {feed} is kept from {first} on: start from zero",
                    feed=feed.name,
                    first=feed.retained_from,
                )
        rows = await self._session.all(
            _LIST_PAGE,
            feed=feed.id,
            after=after.seq if after else 0,
            limit=limit,
            one_more=limit + 1,
            max_bytes=PAGE_BYTES,
        )
        return [row[:-1] for row in rows], bool(rows) and rows[-1]["followed"]

    async def at(self, feed: FeedState, numbers: Sequence[int]) -> list[Any]:
        """Rows of the records at these numbers; as many as ``PAGE_BYTES`` allow."""
        rows = await self._session.all(
            _LIST_AT_NUMBERS,
            feed=feed.id,
            numbers=list(numbers),
            limit=len(numbers),
            one_more=len(numbers) + 1,
            max_bytes=PAGE_BYTES,
        )
        return [row[:-1] for row in rows]

    async def own_deltas(
        self, origin: str, before: Sequence[Head], max_entries: int, max_bytes: int
    ) -> tuple[tuple[FeedState, ...], dict[int, list[Any]]]:
        """All feeds of an origin, whoever may read them, and the rows after the heads ``before`` by feed.

        There are none of a feed with more than ``max_entries`` new entries or ``max_bytes`` of documents, of
        one in another epoch, or whose cursor has expired.
        """
        rows = await self._session.connection.fetch(
            LIST_OWN_DELTAS,
            origin,
            [head.audience for head in before],
            [head.epoch for head in before],
            [head.seq for head in before],
            max_entries,
            max_bytes,
        )
        ends = len(FEED_COLUMNS) + 1
        feeds: dict[int, FeedState] = {}
        entries: dict[int, list[Any]] = {}
        for row in rows:
            if row[0] not in feeds:
                feeds[row[0]] = FeedState(*row[:ends])
            if row[ends] is not None:
                entries.setdefault(row[0], []).append(row[ends:])
        return tuple(feeds.values()), entries
