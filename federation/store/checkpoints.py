"""Digests of feeds, and the checkpoints signed over them.

A record is written without touching a digest: that a bucket has changed shows by the numbers of the feed,
which only grow. A digest is refreshed by computing the buckets of all entries with a later number, in the
database and in one statement, so that it is of one moment. Changes without a number (tombstones that are
dropped) mark their buckets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Text, select, update
from sqlalchemy.dialects.postgresql import insert

from federation.domain.checkpoint import BUCKETS, EMPTY, DigestState, Leaf
from federation.store.statements import Session, Statement, param
from federation.store.tables import digests, feeds, records

LEAVES_PER_TURN = 1_000
"""Stored leaves put together before other tasks have a turn: a millisecond."""

# A leaf is written as ``domain.checkpoint.Leaf`` writes it. A record without a number has 0 there, and so is
# no leaf of any origin.

COMPUTE_CHANGED_BUCKETS = """
WITH feed AS MATERIALIZED (SELECT id, head, live, retained_from, epoch FROM feeds WHERE id = $1),
changed AS MATERIALIZED (
    SELECT bucket FROM records WHERE feed = $1 AND seq > $2 AND seq <= 9223372036854775807
    UNION
    SELECT get_byte(sha256((type || '/' || key)::bytea), 0) FROM withdrawals
    WHERE feed = $1 AND seq > $2 AND seq <= 9223372036854775807
    UNION
    SELECT unnest($3::smallint[])
)
SELECT feed.epoch, feed.head, feed.live, feed.retained_from, changed.bucket, computed.digest
FROM feed
LEFT JOIN changed ON true
LEFT JOIN LATERAL (
    SELECT
        CASE WHEN count(*) > 0 THEN
            sha256(convert_to(string_agg(line, E'\\n' ORDER BY line COLLATE "C") || E'\\n', 'UTF8'))
        END AS digest
    FROM (
        SELECT type || '/' || key || ' ' || revision || ' '
               || CASE WHEN retracted THEN 'delete' ELSE 'upsert' END
               || ' ' || encode(hash, 'hex') || ' ' || coalesce(seq, 0) AS line
        FROM records AS r
        WHERE r.feed = $1 AND r.bucket = changed.bucket
          AND (NOT r.retracted OR r.seq > feed.retained_from OR r.seq IS NULL)
    ) AS lines
) AS computed ON true
"""
"""The buckets of feed $1 with entries later than number $2, and those marked in $3, digested anew.

Numbers are bounded above, by the largest there is: a plan for any number takes a third of all rows for those
beyond it, and then reads a whole feed by the smallest index; a tenth of a second for each signature. Digests
are computed bucket by bucket: joined as a whole, the plan for any number of changes would read all of the
feed for one.
"""
COMPUTE_ALL_BUCKETS = """
SELECT feeds.epoch, feeds.head, feeds.live, feeds.retained_from, computed.bucket, computed.digest
FROM feeds
LEFT JOIN (
    SELECT bucket,
           sha256(convert_to(string_agg(line, E'\\n' ORDER BY line COLLATE "C") || E'\\n', 'UTF8')) AS digest
    FROM (
        SELECT r.bucket,
               r.type || '/' || r.key || ' ' || r.revision || ' '
               || CASE WHEN r.retracted THEN 'delete' ELSE 'upsert' END
               || ' ' || encode(r.hash, 'hex') || ' ' || coalesce(r.seq, 0) AS line
        FROM records AS r JOIN feeds AS f ON f.id = r.feed
        WHERE r.feed = $1 AND (NOT r.retracted OR r.seq > f.retained_from OR r.seq IS NULL)
    ) AS lines
    GROUP BY bucket
) AS computed ON true
WHERE feeds.id = $1
"""
"""All buckets of feed $1, whose digest has never been computed: in one scan, since every bucket is read."""
LIST_LEAVES = """
SELECT head, retained_from, line FROM (
    SELECT feeds.head, feeds.retained_from,
           r.type || '/' || r.key || ' ' || r.revision || ' '
           || CASE WHEN r.retracted THEN 'delete' ELSE 'upsert' END
           || ' ' || encode(r.hash, 'hex') || ' ' || coalesce(r.seq, 0) AS line
    FROM feeds LEFT JOIN records AS r
        ON r.feed = feeds.id AND r.bucket = $2
            AND (NOT r.retracted OR r.seq > feeds.retained_from OR r.seq IS NULL)
    WHERE feeds.id = $1
) AS leaves
ORDER BY line COLLATE "C"
"""
"""The leaves of bucket $2 of feed $1 as they are signed, in order."""
STORED_LEAVES = Statement(
    select(
        records.c.type, records.c.key, records.c.revision, records.c.retracted, records.c.hash, records.c.seq
    ).where(records.c.feed == param("feed"), records.c.bucket == param("bucket"))
)  # fmt: skip
_FIND_CORRUPTED = """
SELECT type, key FROM records WHERE feed = $1 AND sha256(document) <> hash ORDER BY type, key LIMIT $2
"""
CREATE_DIGEST = Statement(
    insert(digests)
    .values(
        feed=param("feed"),
        seq=-1,
        retained_from=0,
        count=0,
        buckets=EMPTY * BUCKETS,
        marked=list(range(BUCKETS)),
    )
    .on_conflict_do_nothing()
)
RESET_DIGEST = Statement(
    update(digests)
    .where(digests.c.feed == param("feed"))
    .values(
        seq=-1,
        marked=list(range(BUCKETS)),
        buckets=EMPTY * BUCKETS,
        checkpoint=None,
        signed_at=None,
        expires_at=None,
    )
)
_digest = (
    select(
        digests.c.feed, digests.c.seq, digests.c.retained_from, digests.c.count, digests.c.buckets,
        digests.c.marked, digests.c.checkpoint, digests.c.signed_at, digests.c.expires_at,
    ).where(digests.c.feed == param("feed"))
)  # fmt: skip
_FIND = Statement(_digest)
_TRY_LOCK = Statement(_digest.with_for_update(skip_locked=True))
_LOCK = Statement(_digest.with_for_update())
_LIST_WITH_FEEDS = Statement(
    select(
        feeds.c.id, feeds.c.audience, feeds.c.epoch, feeds.c.head, feeds.c.retained_from,
        digests.c.feed, digests.c.seq, digests.c.retained_from.label("digested_from"), digests.c.count,
        digests.c.buckets, digests.c.marked, digests.c.checkpoint, digests.c.signed_at, digests.c.expires_at,
    )
    .outerjoin(digests, digests.c.feed == feeds.c.id)
    .where(feeds.c.origin == param("origin", Text), feeds.c.epoch.is_not(None))
    .order_by(feeds.c.audience)
)  # fmt: skip
_UNSIGN = Statement(
    update(digests)
    .where(digests.c.feed.in_(select(feeds.c.id).where(feeds.c.origin == param("origin", Text))))
    .values(marked=list(range(BUCKETS)), checkpoint=None, signed_at=None, expires_at=None)
)
_STORE_UNSIGNED = """
UPDATE digests
SET seq = $2, retained_from = $3, count = $4, buckets = $5, marked = '{}',
    checkpoint = NULL, signed_at = NULL, expires_at = NULL
WHERE feed = $1
"""
_STORE_SIGNED = """
WITH stored AS (
    UPDATE digests
    SET seq = $2, retained_from = $3, count = $4, buckets = $5, marked = '{}',
        checkpoint = $6, signed_at = $7, expires_at = $8
    WHERE feed = $1
    RETURNING feed
)
UPDATE node SET proved = proved + 1 FROM stored
"""
"""A digest of an own feed with its checkpoint; counted in the node's row, so that waiting peers are told."""
_MARK_BUCKETS = """
UPDATE digests
SET marked = ARRAY(SELECT DISTINCT unnest(marked || $2::smallint[])),
    checkpoint = NULL, signed_at = NULL, expires_at = NULL
WHERE feed = $1
"""


class FeedDigest(msgspec.Struct, frozen=True):
    """A stored digest, and the checkpoint over it if there is one."""

    feed: int
    seq: int
    retained_from: int
    count: int
    buckets: bytes
    marked: list[int]
    checkpoint: str | None
    signed_at: datetime | None
    expires_at: datetime | None

    @property
    def state(self) -> DigestState:
        return DigestState(
            seq=self.seq, retained_from=self.retained_from, count=self.count, buckets=self.buckets
        )


class UnsignedFeed(msgspec.Struct, frozen=True):
    """A feed, and its digest as it was last computed."""

    feed: int
    audience: str
    epoch: str
    head: int
    retained_from: int
    digest: FeedDigest | None


class CheckpointsReader:
    """Digests and checkpoints, for reading."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def find(self, feed: int) -> FeedDigest | None:
        """The digest of a feed as it was last computed."""
        row = await self._session.one(_FIND, feed=feed)
        return FeedDigest(*row) if row else None

    async def due(self, origin: str) -> tuple[UnsignedFeed, ...]:
        """The feeds of an origin and their digests."""
        rows = await self._session.all(_LIST_WITH_FEEDS, origin=origin)
        return tuple(
            UnsignedFeed(
                row[0],
                row[1],
                row[2],
                row[3],
                row[4],
                FeedDigest(*row[5:]) if row["feed"] is not None else None,
            )
            for row in rows
        )

    async def leaves(self, feed: int, bucket: int) -> tuple[int, int, list[str]]:
        """The head and ``retained_from`` of a feed, and the leaves of a bucket in order, of one moment."""
        rows = await self._session.connection.fetch(LIST_LEAVES, feed, bucket)
        lines = [row["line"] for row in rows if row["line"] is not None]
        return (rows[0]["head"], rows[0]["retained_from"], lines) if rows else (0, 0, lines)

    async def stored_leaves(self, feed: int, bucket: int, retained_from: int) -> dict[tuple[str, str], Leaf]:
        """The leaves of a bucket by (type, key)."""
        leaves = {}
        rows = await self._session.all(STORED_LEAVES, feed=feed, bucket=bucket)
        for number, row in enumerate(rows):
            if number % LEAVES_PER_TURN == LEAVES_PER_TURN - 1:
                await asyncio.sleep(0)
            if not row["retracted"] or row["seq"] is None or row["seq"] > retained_from:
                leaves[row["type"], row["key"]] = Leaf(
                    row["type"],
                    row["key"],
                    row["revision"],
                    "delete" if row["retracted"] else "upsert",
                    row["hash"].hex(),
                    row["seq"] or 0,
                )
        return leaves

    async def changed_bytes(self, feed: int, limit: int) -> list[tuple[str, str]]:
        """Records of a feed, by type and key, whose document does not have its hash."""
        rows = await self._session.connection.fetch(_FIND_CORRUPTED, feed, limit)
        return [(row[0], row[1]) for row in rows]


class CheckpointsWriter(CheckpointsReader):
    """Digests and checkpoints, in a transaction that may change them."""

    async def try_lock(self, feed: int) -> FeedDigest | None:
        """The digest, locked until the commit; None while another transaction has the lock."""
        row = await self._session.one(_TRY_LOCK, feed=feed)
        if row is None and await self.find(feed) is None:
            await self._session.run(CREATE_DIGEST, feed=feed)
            row = await self._session.one(_TRY_LOCK, feed=feed)
        return FeedDigest(*row) if row else None

    async def lock(self, feed: int) -> None:
        """Lock the digest until the commit, after the transaction that has the lock now.

        Before the lock of numbering: a signing transaction has the digest when it takes that one.
        """
        if await self._session.one(_LOCK, feed=feed) is None:
            await self._session.run(CREATE_DIGEST, feed=feed)
            await self._session.one(_LOCK, feed=feed)

    async def compute(self, digest: FeedDigest) -> tuple[str | None, DigestState]:
        """The feed's epoch and its state as it is now, to be stored next; the digest must be locked.

        Its cost is that of the buckets that have changed.
        """
        if digest.seq < 0:
            rows = await self._session.connection.fetch(COMPUTE_ALL_BUCKETS, digest.feed)
            buckets = bytearray(EMPTY * BUCKETS)
        else:
            rows = await self._session.connection.fetch(
                COMPUTE_CHANGED_BUCKETS, digest.feed, digest.seq, digest.marked
            )
            buckets = bytearray(digest.buckets)
        first = rows[0]
        for row in rows:
            if (n := row["bucket"]) is not None:
                buckets[32 * n : 32 * n + 32] = row["digest"] or EMPTY
        state = DigestState(
            seq=first["head"],
            retained_from=first["retained_from"],
            count=first["live"],
            buckets=bytes(buckets),
        )
        return first["epoch"], state

    async def store(self, before: FeedDigest, state: DigestState) -> None:
        """Store a computed state that nobody has signed, where it differs from the one before."""
        if state != before.state or before.marked:
            await self._session.connection.execute(_STORE_UNSIGNED, before.feed, *state_columns(state))

    async def sign(
        self, feed: int, state: DigestState, checkpoint: str, signed_at: datetime, expires_at: datetime
    ) -> None:
        """Store the computed state of an own feed with its checkpoint, and report it to waiting peers.

        It takes the lock of numbering: commit right after.
        """
        await self._session.connection.execute(
            _STORE_SIGNED, feed, *state_columns(state), checkpoint, signed_at, expires_at
        )

    async def unsign(self, origin: str) -> None:
        """Drop the checkpoints of an origin's feeds: they are of another epoch, and are to be signed anew."""
        await self._session.run(_UNSIGN, origin=origin)

    async def reset(self, feed: int) -> None:
        """Have all buckets computed anew: the numbers of the feed mean nothing any more."""
        await self._session.run(RESET_DIGEST, feed=feed)

    async def mark(self, feed: int, buckets: Sequence[int]) -> None:
        """Mark buckets that changed without a new number of the feed, and drop the checkpoint over them."""
        await self._session.connection.execute(_MARK_BUCKETS, feed, list(buckets))


def state_columns(state: DigestState) -> tuple[int, int, int, bytes]:
    """A state as the columns of a stored digest."""
    return state.seq, state.retained_from, state.count, state.buckets
