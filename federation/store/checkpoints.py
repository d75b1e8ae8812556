"""Digests of feeds, their checkpoints, and what is known of the copies held here.

Nothing is written when a record is: that a bucket has changed shows by the numbers of the feed, which only
grow. A digest is brought up to date by computing the buckets of what has a later number, in the database
and in one statement, so that it is of one moment. What changes without a number (tombstones that are
dropped) marks its buckets.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Text, case, func, select, update
from sqlalchemy.dialects.postgresql import insert

from federation.domain.checkpoint import BUCKETS, EMPTY, DigestState, Leaf, PendingReceipt
from federation.domain.copy import CopyFacts
from federation.domain.feed import FeedName
from federation.store.statements import Session, Statement, param
from federation.store.tables import Moment, copies, digests, feeds, records

_LINE = (
    "type || '/' || key || ' ' || revision || ' ' || CASE WHEN retracted THEN 'delete' ELSE 'upsert' END"
    " || ' ' || encode(hash, 'hex') || ' ' || coalesce(seq, 0)"
)
"""A leaf, as ``domain.proof.Leaf`` writes it; what has no number has 0, and so is no leaf of any origin."""
LAST = 9_223_372_036_854_775_807
"""A number that none is beyond."""
# Between two numbers, and not only beyond one: a plan for any number takes a third of all for what is beyond
# it, and then reads a whole feed by whichever index is the smallest; a tenth of a second for each signature.
_BRING_UP = f"""
WITH place AS MATERIALIZED (SELECT id, head, live, retained_from, epoch FROM feeds WHERE id = $1),
changed AS MATERIALIZED (
    SELECT bucket FROM records WHERE feed = $1 AND seq > $2 AND seq <= {LAST}
    UNION
    SELECT get_byte(sha256((type || '/' || key)::bytea), 0) FROM withdrawals
    WHERE feed = $1 AND seq > $2 AND seq <= {LAST}
    UNION
    SELECT unnest($3::smallint[])
)
SELECT place.epoch, place.head, place.live, place.retained_from, changed.bucket, made.digest
FROM place
LEFT JOIN changed ON true
-- Bucket by bucket: joined as a whole, the plan for any number of changes would read all of the feed for one.
LEFT JOIN LATERAL (
    SELECT
        CASE WHEN count(*) > 0 THEN
            sha256(convert_to(string_agg(line, E'\\n' ORDER BY line COLLATE "C") || E'\\n', 'UTF8'))
        END AS digest
    FROM (
        SELECT {_LINE} AS line FROM records AS r
        WHERE r.feed = $1 AND r.bucket = changed.bucket
          AND (NOT r.retracted OR r.seq > place.retained_from OR r.seq IS NULL)
    ) AS lines
) AS made ON true
"""
_MAKE = f"""
SELECT place.epoch, place.head, place.live, place.retained_from, made.bucket, made.digest
FROM feeds AS place
LEFT JOIN (
    SELECT bucket,
           sha256(convert_to(string_agg(line, E'\\n' ORDER BY line COLLATE "C") || E'\\n', 'UTF8')) AS digest
    FROM (
        SELECT r.bucket, {_LINE} AS line FROM records AS r JOIN feeds AS f ON f.id = r.feed
        WHERE r.feed = $1 AND (NOT r.retracted OR r.seq > f.retained_from OR r.seq IS NULL)
    ) AS lines
    GROUP BY bucket
) AS made ON true
WHERE place.id = $1
"""
"""All of a digest that has never been made: as a whole, since every bucket is read in any case."""
_BEGIN = Statement(
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
_HELD = (
    select(
        digests.c.feed, digests.c.seq, digests.c.retained_from, digests.c.count, digests.c.buckets,
        digests.c.marked, digests.c.checkpoint, digests.c.signed_at, digests.c.expires_at,
    ).where(digests.c.feed == param("feed"))
)  # fmt: skip
_FIND = Statement(_HELD)
_DUE = Statement(
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
_LOCK = Statement(_HELD.with_for_update(skip_locked=True))
_AWAIT = Statement(_HELD.with_for_update())
_KEEP = """
UPDATE digests
SET seq = $2, retained_from = $3, count = $4, buckets = $5, marked = '{}',
    checkpoint = $6, signed_at = $7, expires_at = $8
WHERE feed = $1
"""
_SIGN = f"WITH kept AS ({_KEEP} RETURNING feed) UPDATE node SET proved = proved + 1 FROM kept"
# Again between two numbers. All of it sees the copy as it was before.
_VERIFIED = f"""
WITH kept AS ({_KEEP}),
confirmed AS (
    SELECT greatest(verified_seq, CASE WHEN withdrawn_epoch = epoch THEN withdrawn END, 0) AS seq
    FROM copies JOIN feeds ON id = feed WHERE feed = $1
),
compared AS (
    UPDATE copies
    SET compared = 'verified', detail = NULL, tried = NULL, tried_at = NULL,
        verified_seq = $2, verified_at = $7, expires_at = $8, newest = greatest(newest, $7)
    WHERE feed = $1
),
cleared AS (DELETE FROM set_aside WHERE feed = $1)
SELECT count(*) < $2 - (SELECT seq FROM confirmed)
FROM records WHERE feed = $1 AND seq > (SELECT seq FROM confirmed) AND seq <= $2
"""
_FORGET = Statement(
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
_MARK = """
UPDATE digests
SET marked = ARRAY(SELECT DISTINCT unnest(marked || $2::smallint[])),
    checkpoint = NULL, signed_at = NULL, expires_at = NULL
WHERE feed = $1
"""
_CHANGED_BYTES = """
SELECT type, key FROM records WHERE feed = $1 AND sha256(document) <> hash ORDER BY type, key LIMIT $2
"""
_LEAVES = f"""
SELECT head, since, line FROM (
    SELECT place.head, place.retained_from AS since, {_LINE} AS line
    FROM feeds AS place LEFT JOIN records AS r
        ON r.feed = place.id AND r.bucket = $2
            AND (NOT r.retracted OR r.seq > place.retained_from OR r.seq IS NULL)
    WHERE place.id = $1
) AS listed
ORDER BY line COLLATE "C"
"""
_HELD_LEAVES = Statement(
    select(
        records.c.type, records.c.key, records.c.revision, records.c.retracted, records.c.hash, records.c.seq
    ).where(records.c.feed == param("feed"), records.c.bucket == param("bucket"))
)  # fmt: skip
COPY_COLUMNS = (
    copies.c.compared, copies.c.detail, copies.c.verified_seq, copies.c.verified_at, copies.c.expires_at,
    copies.c.newest, copies.c.via, copies.c.withdrawn_epoch, copies.c.withdrawn, copies.c.purged,
    copies.c.receipted, copies.c.braked, copies.c.braked_at, copies.c.confirmed, copies.c.tried,
    copies.c.tried_at,
)  # fmt: skip
_COPY = Statement(select(*COPY_COLUMNS).where(copies.c.feed == param("feed")))
_COPIES = Statement(
    select(feeds.c.origin, feeds.c.audience, *COPY_COLUMNS)
    .join(feeds, feeds.c.id == copies.c.feed)
    .order_by(feeds.c.origin, feeds.c.audience)
)
_DIVERGED = Statement(
    update(copies)
    .where(copies.c.feed == param("feed"))
    .values(
        compared="diverged",
        detail=param("detail", Text),
        tried=param("tried", Text),
        tried_at=param("tried_at", Moment),
    )
)
_SEEN = Statement(
    update(copies)
    .where(copies.c.feed == param("feed"))
    .values(newest=func.greatest(copies.c.newest, param("signed_at", Moment)))
)
_CAME_BY = Statement(
    update(copies)
    .where(copies.c.feed == param("feed"), copies.c.via.is_distinct_from(param("via", Text)))
    .values(via=param("via", Text))
)
_WITHDREW = Statement(
    update(copies)
    .where(copies.c.feed == param("feed"))
    .values(
        withdrawn=case(
            (
                copies.c.withdrawn_epoch == param("epoch", Text),
                func.greatest(copies.c.withdrawn, param("seq")),
            ),
            else_=param("seq"),
        ),
        withdrawn_epoch=param("epoch", Text),
        purged=param("purged"),
        receipted=False,
    )
)
_RECEIPTED = Statement(
    update(copies)
    .where(
        copies.c.feed == param("feed"),
        copies.c.withdrawn == param("seq"),
        copies.c.withdrawn_epoch == param("epoch", Text),
        copies.c.purged == param("purged"),
    )
    .values(receipted=True)
)
_BRAKE = Statement(
    update(copies)
    .where(copies.c.feed == param("feed"))
    .values(braked=param("why", Text), braked_at=func.coalesce(copies.c.braked_at, func.now()))
)
_CONFIRM = Statement(
    update(copies)
    .where(copies.c.feed == param("feed"), copies.c.braked.is_not(None))
    .values(braked=None, braked_at=None, confirmed=True)
)
_CONFIRMED = Statement(
    update(copies)
    .where(copies.c.feed == param("feed"), copies.c.confirmed | copies.c.braked.is_not(None))
    .values(braked=None, braked_at=None, confirmed=False)
)
_CONFIRMED_OF = Statement(
    select(feeds.c.origin).join(copies, copies.c.feed == feeds.c.id).where(copies.c.confirmed).distinct()
)
_FORGET_COPY = Statement(
    update(copies)
    .where(copies.c.feed == param("feed"))
    .values(
        compared=None, detail=None, verified_seq=None, verified_at=None, expires_at=None, newest=None,
        via=None, braked=None, braked_at=None, confirmed=False, tried=None, tried_at=None,
    )
)  # fmt: skip
_OWED = Statement(
    select(copies.c.feed, feeds.c.audience, copies.c.withdrawn_epoch, copies.c.withdrawn, copies.c.purged)
    .join(feeds, feeds.c.id == copies.c.feed)
    .where(
        feeds.c.origin == param("origin", Text), ~copies.c.receipted, copies.c.withdrawn_epoch.is_not(None)
    )
    .order_by(feeds.c.audience)
)

FORGOTTEN = (_BEGIN, _FORGET, _FORGET_COPY)
"""Nothing is held of a feed any more. What was withdrawn and is owed a receipt stays.

(It is begun so that who makes the first digest of the feed now is waited for, too.)
"""


class FeedDigest(msgspec.Struct, frozen=True):
    """A digest at rest, and the checkpoint over it if there is one."""

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
    """A feed, and its digest as it was last made."""

    feed: int
    audience: str
    epoch: str
    head: int
    retained_from: int
    digest: FeedDigest | None


def _columns(state: DigestState) -> tuple[int, int, int, bytes]:
    return state.seq, state.retained_from, state.count, state.buckets


class CheckpointsReader:
    """Digests and copies, for who looks at them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def find(self, feed: int) -> FeedDigest | None:
        """The digest of a feed as it was last made."""
        row = await self._session.one(_FIND, feed=feed)
        return FeedDigest(*row) if row else None

    async def due(self, origin: str) -> tuple[UnsignedFeed, ...]:
        """The feeds of an origin and their digests."""
        rows = await self._session.all(_DUE, origin=origin)
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
        rows = await self._session.connection.fetch(_LEAVES, feed, bucket)
        lines = [row["line"] for row in rows if row["line"] is not None]
        return (rows[0]["head"], rows[0]["since"], lines) if rows else (0, 0, lines)

    async def stored_leaves(self, feed: int, bucket: int, retained_from: int) -> dict[tuple[str, str], Leaf]:
        """The leaves of a bucket by (type, key)."""
        found = {}
        for row in await self._session.all(_HELD_LEAVES, feed=feed, bucket=bucket):
            if not row["retracted"] or row["seq"] is None or row["seq"] > retained_from:
                found[row["type"], row["key"]] = Leaf(
                    row["type"],
                    row["key"],
                    row["revision"],
                    "delete" if row["retracted"] else "upsert",
                    row["hash"].hex(),
                    row["seq"] or 0,
                )
        return found

    async def changed_bytes(self, feed: int, most: int) -> list[tuple[str, str]]:
        """Records of a feed, by type and key, whose document does not have its hash."""
        return [(row[0], row[1]) for row in await self._session.connection.fetch(_CHANGED_BYTES, feed, most)]

    async def copy(self, feed: int) -> CopyFacts:
        """What is known of a copy; of one never compared, nothing."""
        row = await self._session.one(_COPY, feed=feed)
        return CopyFacts(*row) if row else CopyFacts()

    async def pending_receipts(self, origin: str) -> tuple[PendingReceipt, ...]:
        """The receipts that an origin has not got yet."""
        return tuple(PendingReceipt(*row) for row in await self._session.all(_OWED, origin=origin))

    async def confirmed_removals(self) -> frozenset[str]:
        """The operators whose removals an administrator has confirmed, and which are not carried out yet."""
        return frozenset(row[0] for row in await self._session.all(_CONFIRMED_OF))

    async def copies(self) -> dict[FeedName, CopyFacts]:
        """What is known of every copy."""
        rows = await self._session.all(_COPIES)
        return {FeedName(row[0], row[1]): CopyFacts(*row[2:]) for row in rows}


class CheckpointsWriter(CheckpointsReader):
    """Digests and copies, in a transaction that may change them."""

    async def lock(self, feed: int) -> FeedDigest | None:
        """The digest, for who is about to bring it up to date; None while another one does."""
        row = await self._session.one(_LOCK, feed=feed)
        if row is None and await self.find(feed) is None:
            await self._session.run(_BEGIN, feed=feed)
            row = await self._session.one(_LOCK, feed=feed)
        return FeedDigest(*row) if row else None

    async def hold(self, feed: int) -> None:
        """Nobody brings the digest up to date until the commit; who does now is waited for.

        Before the lock of numbering: who signs has the digest when it takes that.
        """
        if await self._session.one(_AWAIT, feed=feed) is None:
            await self._session.run(_BEGIN, feed=feed)
            await self._session.one(_AWAIT, feed=feed)

    async def compute(self, was: FeedDigest) -> tuple[str | None, DigestState]:
        """The feed's epoch and state as they are now, for who keeps it next; the digest must be locked.

        Its cost is that of the buckets that have changed.
        """
        if was.seq < 0:
            rows = await self._session.connection.fetch(_MAKE, was.feed)
            buckets = bytearray(EMPTY * BUCKETS)
        else:
            rows = await self._session.connection.fetch(_BRING_UP, was.feed, was.seq, was.marked)
            buckets = bytearray(was.buckets)
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

    async def store(self, was: FeedDigest, state: DigestState) -> None:
        """Keep what was reckoned, where that is something new: nobody has signed it."""
        if state != was.state or was.marked:
            await self._session.connection.execute(_KEEP, was.feed, *_columns(state), None, None, None)

    async def sign(
        self, feed: int, state: DigestState, checkpoint: str, signed_at: datetime, expires_at: datetime
    ) -> None:
        """Keep what was reckoned of a feed of one's own, with the checkpoint over it; who waits is told.

        It takes the lock of numbering: commit right after.
        """
        await self._session.connection.execute(
            _SIGN, feed, *_columns(state), checkpoint, signed_at, expires_at
        )

    async def unsign(self, origin: str) -> None:
        """What was signed of an origin's feeds holds no longer: they are of another epoch, and made anew."""
        await self._session.run(_UNSIGN, origin=origin)

    async def forget(self, feed: int) -> None:
        """The numbers of the feed mean nothing any more: its digest is to be made from the beginning."""
        await self._session.run(_FORGET, feed=feed)

    async def mark(self, feed: int, buckets: Sequence[int]) -> None:
        """These buckets have changed without a new number of the feed: what was signed is not there now."""
        await self._session.connection.execute(_MARK, feed, list(buckets))

    async def mark_verified(
        self, feed: int, state: DigestState, checkpoint: str, signed_at: datetime, expires_at: datetime
    ) -> bool:
        """Keep what was reckoned of a copy, which is what its origin signed.

        All that the feed has is held then: nothing of it is set aside any more. Returns whether the feed has
        numbers without a record, beyond the last comparison and the last withdrawal that was confirmed.
        """
        gaps: bool = await self._session.connection.fetchval(
            _VERIFIED, feed, *_columns(state), checkpoint, signed_at, expires_at
        )
        return gaps

    async def mark_diverged(self, feed: int, detail: str, *, tried: str, tried_at: datetime) -> None:
        """The copy is not what its origin signed; ``tried``: the roots that a repair has left unequal."""
        await self._session.run(_DIVERGED, feed=feed, detail=detail[:500], tried=tried, tried_at=tried_at)

    async def mark_seen(self, feed: int, signed_at: datetime) -> None:
        """A checkpoint of that time came: none older is taken from now on."""
        await self._session.run(_SEEN, feed=feed, signed_at=signed_at)

    async def set_relay(self, feed: int, via: str | None) -> None:
        """Who the last entries came from."""
        await self._session.run(_CAME_BY, feed=feed, via=via)

    async def note_withdrawal(self, feed: int, epoch: str, seq: int, *, purged: bool = False) -> None:
        """Withdrawals up to that number have been carried out: the origin is owed a receipt."""
        await self._session.run(_WITHDREW, feed=feed, epoch=epoch, seq=seq, purged=purged)

    async def mark_receipt_sent(self, feed: int, epoch: str, seq: int, *, purged: bool) -> None:
        """The origin has our receipt, unless there is more to confirm by now."""
        await self._session.run(_RECEIPTED, feed=feed, epoch=epoch, seq=seq, purged=purged)

    async def pause(self, feed: int, why: str) -> None:
        """Nothing more is taken of this feed until an administrator confirms."""
        await self._session.run(_BRAKE, feed=feed, why=why)

    async def confirm(self, feed: int) -> bool:
        """Let the removals that wait happen; False when none wait."""
        return await self._session.run(_CONFIRM, feed=feed) == 1

    async def clear_confirmation(self, feed: int) -> None:
        """What was confirmed has happened: the next removals are looked at anew."""
        await self._session.run(_CONFIRMED, feed=feed)
