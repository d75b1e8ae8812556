"""Feeds: heads, and how far other operators' feeds have been pulled."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Text, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from federation.domain.batch import FeedWithRecords
from federation.domain.feed import Cursor, FeedName, FeedState
from federation.domain.node_state import NodeState
from federation.domain.stored import StoredRevision
from federation.domain.visibility import Caller, may_see
from federation.store.statements import Session, Statement, param
from federation.store.tables import copies, digests, feeds, withdrawals

FEED_COLUMNS = (
    feeds.c.id, feeds.c.origin, feeds.c.audience, feeds.c.epoch,
    feeds.c.head, feeds.c.live, feeds.c.retained_from, feeds.c.remote_head,
)  # fmt: skip
_NODE_STATE = "SELECT epoch, arrival, trust, proved, published, arrivals_from FROM node"
_LIST = Statement(select(*FEED_COLUMNS).order_by(feeds.c.origin, feeds.c.audience))
_LIST_OF_ORIGIN = Statement(
    select(*FEED_COLUMNS, digests.c.checkpoint)
    .outerjoin(digests, digests.c.feed == feeds.c.id)
    .where(feeds.c.origin == param("origin", Text))
    .order_by(feeds.c.audience)
)
_FIND = Statement(
    select(*FEED_COLUMNS).where(
        feeds.c.origin == param("origin", Text), feeds.c.audience == param("audience", Text)
    )
)
_CREATE = Statement(
    insert(feeds)
    .values(origin=param("origin", Text), audience=param("audience", Text), epoch=param("epoch", Text))
    .on_conflict_do_nothing()
)
_CREATE_COPY = Statement(insert(copies).values(feed=param("feed")).on_conflict_do_nothing())
_LOCK_CREATION = "SELECT pg_advisory_xact_lock(20261125)"
"""One at a time: two transactions that open several feeds in different order would deadlock."""
LOCK_FEEDS = "SELECT FROM feeds WHERE id = ANY($1::int[]) ORDER BY id FOR NO KEY UPDATE"
FIND_WITH_RECORDS = """
WITH feed AS (
    SELECT id, origin, audience, epoch, head, live, retained_from, remote_head
    FROM feeds WHERE origin = $1 AND audience = $2
)
SELECT feed.*,
    EXISTS (SELECT FROM withdrawals WHERE feed = feed.id AND seq > 0) AS withdrew,
    EXISTS (SELECT FROM rejected_entries WHERE feed = feed.id) AS set_aside,
    stored.*
FROM feed LEFT JOIN (
    unnest($3::text[], $4::text[]) AS named(type, key) CROSS JOIN LATERAL (
        SELECT type, key, revision, feed, seq, retracted, hash, created_at,
            NULL::bytea AS document, octet_length(document) AS size FROM records
        WHERE type = named.type AND origin = $1 AND key = named.key LIMIT 1
    ) AS stored
) ON true
"""
"""The feed of origin $1 and audience $2, and the stored revisions of these records of its origin."""
ADVANCE = """
WITH place AS MATERIALIZED (SELECT id, head, epoch FROM feeds WHERE id = $1 FOR NO KEY UPDATE)
UPDATE feeds SET head = $4, epoch = $5, live = feeds.live + $6,
    remote_head = CASE
        WHEN place.epoch IS DISTINCT FROM $5 THEN $4 ELSE greatest(feeds.remote_head, $4)
    END
FROM place
WHERE feeds.id = place.id AND place.head = $2 AND place.epoch IS NOT DISTINCT FROM $3
"""
"""Move feed $1 on from number $2 of epoch $3 to number $4 of epoch $5, unless another process did.

The row is locked before it is read, in a query of its own: what an UPDATE finds is what there was before it
waited. A remote head of another epoch says nothing about this one.
"""
_SET_REMOTE_HEAD = Statement(
    update(feeds)
    .where(feeds.c.id == param("feed"), feeds.c.remote_head.is_distinct_from(param("head")))
    .values(remote_head=param("head"))
)
_SUBTRACT_LIVE = Statement(
    update(feeds)
    # A feed that was given up counts nothing, nor does one that is being repaired for the first time.
    .where(feeds.c.id == param("feed"), feeds.c.epoch.is_not(None))
    .values(live=feeds.c.live - param("live"))
)
_SUBTRACT_MOVED = Statement(
    update(feeds)
    .where(feeds.c.id == param("feed"))
    .values(
        # A feed that was given up meanwhile counts nothing.
        records=func.greatest(feeds.c.records - param("records"), 0),
        bytes=func.greatest(feeds.c.bytes - param("size"), 0),
    )
)
_LIST_WITHDRAWN = Statement(
    select(withdrawals.c.type, withdrawals.c.key, withdrawals.c.revision).where(
        withdrawals.c.feed == param("feed"),
        # (A withdrawal without a number of the feed says nothing of entries that may still come in it.)
        withdrawals.c.seq > 0,
        withdrawals.c.key == param("keys", ARRAY(Text)).any_(),
    )
)
_REMOVE_WITHDRAWALS = Statement(
    delete(withdrawals).where(
        withdrawals.c.feed == param("feed"),
        withdrawals.c.key == param("keys", ARRAY(Text)).any_(),
        (withdrawals.c.type + literal("/", Text) + withdrawals.c.key) == param("names", ARRAY(Text)).any_(),
    )
)


class FeedsReader:
    """Feeds, as far as the caller may read them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def state(self) -> NodeState:
        row = await self._session.connection.fetchrow(_NODE_STATE)
        assert row is not None, "the node's row is made by `federation migrate`"  # noqa: S101
        return NodeState(*row)

    async def all(self) -> tuple[FeedState, ...]:
        """Every feed that is stored here, own ones and copies."""
        return tuple(FeedState(*row) for row in await self._session.all(_LIST))

    async def of(self, origin: str, *, visible_to: Caller) -> tuple[FeedState, ...]:
        """The feeds of an origin that are stored here and that the caller may read."""
        rows = await self._session.all(_LIST_OF_ORIGIN, origin=origin)
        return tuple(
            feed
            for feed in (FeedState(*row) for row in rows)
            if feed.epoch and may_see(feed.origin, feed.audience, visible_to)
        )

    async def find(self, name: FeedName) -> FeedState | None:
        row = await self._session.one(_FIND, origin=name.origin, audience=name.audience)
        return FeedState(*row) if row else None

    async def with_records(self, name: FeedName, names: Sequence[tuple[str, str]]) -> FeedWithRecords | None:
        """A feed, and the stored revisions of records of its origin, by (type, key). None without a feed."""
        rows = await self._session.connection.fetch(
            FIND_WITH_RECORDS,
            name.origin,
            name.audience,
            [type_ for type_, _ in names],
            [key for _, key in names],
        )
        if not rows:
            return None
        ends = len(FEED_COLUMNS)
        stored = {
            (row["type"], row["key"]): StoredRevision(*row[ends + 2 :])
            for row in rows
            if row["type"] is not None
        }
        return FeedWithRecords(FeedState(*rows[0][:ends]), stored, rows[0]["withdrew"], rows[0]["set_aside"])


class FeedsWriter(FeedsReader):
    """Feeds, in a transaction that may change them."""

    async def open(self, name: FeedName, epoch: str | None) -> FeedState:
        """The feed, created where there is none."""
        feed = await self.find(name)
        if feed is None:
            await self._session.connection.execute(_LOCK_CREATION)
            await self._session.run(_CREATE, origin=name.origin, audience=name.audience, epoch=epoch)
            feed = await self.find(name)
            if feed is not None and feed.epoch is None:
                await self._session.run(_CREATE_COPY, feed=feed.id)
        assert feed is not None  # noqa: S101 - created two lines above
        return feed

    async def lock(self, *feeds: int) -> None:
        """Lock feeds against being moved on until the commit, after the transactions that do so now.

        Before the lock of numbering: a batch of entries has the feed when it takes that one.
        """
        await self._session.connection.execute(LOCK_FEEDS, feeds)

    async def advance(self, feed: FeedState, to: Cursor, *, delta: int) -> bool:
        """Move the number up to which a feed was pulled; False if another process did in between."""
        tag: str = await self._session.connection.execute(
            ADVANCE, feed.id, feed.head, feed.epoch, to.seq, to.epoch, delta
        )
        return tag == "UPDATE 1"

    async def set_remote_head(self, feed: FeedState, head: int) -> None:
        """Note the head that the origin reports, for the lag."""
        await self._session.run(_SET_REMOTE_HEAD, feed=feed.id, head=head)

    async def subtract_live(self, feed: int, number: int) -> None:
        """Count less live records: the statement that deleted them has counted all of them."""
        await self._session.run(_SUBTRACT_LIVE, feed=feed, live=number)

    async def subtract_moved(self, feed: int, *, live: int, records: int, size: int) -> None:
        """Count less records: they moved to another feed before their withdrawal from this one was read."""
        await self._session.run(_SUBTRACT_LIVE, feed=feed, live=live)
        await self._session.run(_SUBTRACT_MOVED, feed=feed, records=records, size=size)

    async def withdrawn(self, feed: FeedState, keys: list[str]) -> dict[tuple[str, str], int]:
        """Revisions with which records left this feed, by (type, key)."""
        rows = await self._session.all(_LIST_WITHDRAWN, feed=feed.id, keys=keys)
        return {(row[0], row[1]): row[2] for row in rows}

    async def remove_withdrawals(self, feed: FeedState, names: list[tuple[str, str]]) -> None:
        """Forget the withdrawals of records that are back in the feed."""
        await self._session.run(
            _REMOVE_WITHDRAWALS,
            feed=feed.id,
            keys=[key for _, key in names],
            names=[f"{t}/{k}" for t, k in names],
        )
