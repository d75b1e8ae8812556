"""Entries of feeds: pages of them, those at given numbers, and those that are new since a head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import BigInteger, cast, select, union_all
from sqlalchemy.dialects.postgresql import ARRAY

from federation.domain.errors import CursorExpired, CursorInFuture, EpochChanged
from federation.domain.feed import PAGE_BYTES, Cursor, FeedState, Head
from federation.domain.visibility import Caller, may_see
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
LIST_DELTAS = """
SELECT feeds.id, feeds.origin, feeds.audience, feeds.epoch, feeds.head, feeds.live, feeds.retained_from,
    feeds.remote_head, digests.checkpoint, groups.names, entries.*
FROM feeds
CROSS JOIN (
    SELECT array_agg(key) AS names FROM records
    WHERE type = 'group' AND origin = $1 AND NOT retracted AND facets @> ARRAY['group.member=' || $2::text]
) AS groups
LEFT JOIN digests ON digests.feed = feeds.id
LEFT JOIN unnest($3::text[], $4::text[], $5::bigint[]) AS before(audience, epoch, seq)
    ON before.audience = feeds.audience AND before.epoch = feeds.epoch
    AND feeds.head - before.seq BETWEEN 1 AND $6 AND (before.seq = 0 OR before.seq >= feeds.retained_from)
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
    WHERE size <= $7
) AS entries ON true
WHERE feeds.origin = $1
ORDER BY feeds.audience, entries.seq
"""
"""The heads of origin $1, the groups that operator $2 is in, and the entries after the heads in $3 to $5.

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
                    f"the feed {feed.name} is now of epoch {feed.epoch}: compare what you hold, from zero"
                )
            if after.seq > feed.head:
                raise CursorInFuture(
                    f"the feed {feed.name} ends at {feed.head}, the cursor is at {after.seq}"
                )
            if 0 < after.seq < feed.retained_from:
                raise CursorExpired(
                    f"the feed {feed.name} is kept from {feed.retained_from} on: start from zero"
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

    async def deltas(
        self, before: Sequence[Head], max_entries: int, max_bytes: int, *, visible_to: Caller
    ) -> tuple[tuple[FeedState, ...], dict[int, list[Any]]]:
        """The node's own feeds that the caller may read, and rows after the heads ``before``.

        By feed. There are none of a feed with more than ``max_entries`` new entries or ``max_bytes`` of
        documents, of one in another epoch, or whose cursor has expired. A peer's groups are read here.
        """
        rows = await self._session.connection.fetch(
            LIST_DELTAS,
            visible_to.node,
            visible_to.operator,
            [head.audience for head in before],
            [head.epoch for head in before],
            [head.seq for head in before],
            max_entries,
            max_bytes,
        )
        ends = len(FEED_COLUMNS) + 1
        visible: dict[int, FeedState] = {}
        entries: dict[int, list[Any]] = {}
        for row in rows:
            feed = visible.get(row[0]) or FeedState(*row[:ends])
            visible_to = msgspec.structs.replace(visible_to, groups=frozenset(row[ends] or ()))
            if feed.epoch and may_see(feed.origin, feed.audience, visible_to):
                visible[feed.id] = feed
                if row[ends + 1] is not None:
                    entries.setdefault(feed.id, []).append(row[ends + 1 :])
        return tuple(visible.values()), entries
