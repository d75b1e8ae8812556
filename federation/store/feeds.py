"""Feeds at rest: heads, pages of entries, and how far other operators' feeds have been taken."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import BigInteger, Text, cast, delete, func, literal, select, union_all, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from federation.domain.errors import CursorExpired, CursorInFuture, EpochChanged
from federation.domain.feed import PAGE_BYTES, Cursor, FeedName, Head, RejectedEntry
from federation.domain.visibility import Caller, may_see
from federation.store.checkpoints import COPY_COLUMNS, FORGOTTEN, CopyRow
from federation.store.pages import bounded
from federation.store.records import ADVANCE, STATE_COLUMNS, NodeState, StoredRevision
from federation.store.statements import Session, Statement, param
from federation.store.tables import copies, digests, feeds, node, records, set_aside, withdrawals

MAX_REJECTED = 10_000
"""Entries of one feed that are kept as set aside; of more, only the number is known, by the metrics."""


class FeedState(msgspec.Struct, frozen=True):
    """A feed as it is held here."""

    id: int
    origin: str
    audience: str
    epoch: str | None
    head: int
    live: int
    retained_from: int
    remote_head: int | None
    checkpoint: str | None = None
    """What its origin signed of it last; read for heads only."""

    @property
    def name(self) -> FeedName:
        return FeedName(self.origin, self.audience)

    @property
    def cursor(self) -> Cursor | None:
        """Up to where it was taken."""
        return Cursor(self.epoch, self.head) if self.epoch else None

    @property
    def as_head(self) -> Head:
        """As a reader of the feed is told of it."""
        return Head(
            origin=self.origin,
            audience=self.audience,
            epoch=self.epoch or "",
            seq=self.head,
            retained_from=self.retained_from,
            count=self.live,
            checkpoint=self.checkpoint,
        )


_COLUMNS = (
    feeds.c.id, feeds.c.origin, feeds.c.audience, feeds.c.epoch,
    feeds.c.head, feeds.c.live, feeds.c.retained_from, feeds.c.remote_head,
)  # fmt: skip
_ALL = Statement(select(*_COLUMNS).order_by(feeds.c.origin, feeds.c.audience))
_OF = Statement(
    select(*_COLUMNS, digests.c.checkpoint)
    .outerjoin(digests, digests.c.feed == feeds.c.id)
    .where(feeds.c.origin == param("origin", Text))
    .order_by(feeds.c.audience)
)
_ONE = Statement(
    select(*_COLUMNS).where(
        feeds.c.origin == param("origin", Text), feeds.c.audience == param("audience", Text)
    )
)
_UNTOLD_OF = select(set_aside.c.feed).where(set_aside.c.feed == feeds.c.id, ~set_aside.c.told).exists()
_COPIES = Statement(
    select(*_COLUMNS, _UNTOLD_OF, copies.c.feed, *COPY_COLUMNS)
    .outerjoin(copies, copies.c.feed == feeds.c.id)
    .where(feeds.c.origin == param("origin", Text))
    .order_by(feeds.c.audience)
)
_OPEN = Statement(
    insert(feeds)
    .values(origin=param("origin", Text), audience=param("audience", Text), epoch=param("epoch", Text))
    .on_conflict_do_nothing()
)
_OPEN_COPY = Statement(insert(copies).values(feed=param("feed")).on_conflict_do_nothing())
_STANDING = f"""
WITH place AS (
    SELECT {", ".join(column.name for column in _COLUMNS)} FROM feeds WHERE origin = $1 AND audience = $2
)
SELECT place.*,
    EXISTS (SELECT FROM withdrawals WHERE feed = place.id AND seq > 0) AS withdrew,
    EXISTS (SELECT FROM set_aside WHERE feed = place.id) AS set_aside,
    held.*
FROM place LEFT JOIN (
    unnest($3::text[], $4::text[]) AS asked(type, key) CROSS JOIN LATERAL (
        SELECT type, key, revision, feed, seq, retracted, hash, created_at FROM records
        WHERE type = asked.type AND origin = $1 AND key = asked.key LIMIT 1
    ) AS held
) ON true
"""
_TOLD = Statement(
    update(feeds)
    .where(feeds.c.id == param("feed"), feeds.c.remote_head.is_distinct_from(param("told")))
    .values(remote_head=param("told"))
)
_LOSES = Statement(
    update(feeds)
    # Of one that was given up nothing is counted, nor of one that is being repaired for the first time.
    .where(feeds.c.id == param("feed"), feeds.c.epoch.is_not(None))
    .values(live=feeds.c.live - param("lost"))
)
_FORGET_NUMBERS = (
    Statement(update(records).where(records.c.feed == param("feed")).values(seq=None)),
    # Below zero they are in nobody's way, and their arrival can still be told.
    Statement(
        update(withdrawals).where(withdrawals.c.feed == param("feed")).values(seq=-withdrawals.c.arrived)
    ),
    # What was set aside as a number names nothing any more.
    Statement(delete(set_aside).where(set_aside.c.feed == param("feed"), set_aside.c.key.contains("?"))),
)
_HOLD = "SELECT FROM feeds WHERE id = ANY($1::int[]) ORDER BY id FOR NO KEY UPDATE"
_PURGE = """
WITH gone AS (
    DELETE FROM records WHERE feed = $1 RETURNING type, key, revision
),
numbered AS (
    SELECT type, key, revision, row_number() OVER (ORDER BY type, key) AS n FROM gone
),
clock AS (
    UPDATE node SET arrival = arrival + (SELECT count(*) FROM gone)
    RETURNING arrival - (SELECT count(*) FROM gone) AS base
)
INSERT INTO withdrawals AS w (feed, type, key, seq, arrived, revision)
SELECT $1, type, key, -(clock.base + n), clock.base + n, revision FROM numbered CROSS JOIN clock
ON CONFLICT (feed, type, key) DO UPDATE
SET seq = excluded.seq, arrived = excluded.arrived, revision = excluded.revision, at = now()
"""
_PURGED = (
    Statement(delete(set_aside).where(set_aside.c.feed == param("feed"))),
    Statement(
        update(feeds)
        .where(feeds.c.id == param("feed"))
        .values(epoch=None, head=0, live=0, remote_head=None, retained_from=0)
    ),
)
_ENTRIES = Statement(
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
_NEWS = f"""
SELECT {", ".join(f"feeds.{column.name}" for column in _COLUMNS)}, digests.checkpoint, groups.names, news.*
FROM feeds
CROSS JOIN (
    SELECT array_agg(key) AS names FROM records
    WHERE type = 'group' AND origin = $1 AND NOT retracted AND facets @> ARRAY['group.member=' || $2::text]
) AS groups
LEFT JOIN digests ON digests.feed = feeds.id
LEFT JOIN unnest($3::text[], $4::text[], $5::bigint[]) AS was(audience, epoch, seq)
    ON was.audience = feeds.audience AND was.epoch = feeds.epoch
    AND feeds.head - was.seq BETWEEN 1 AND $6 AND (was.seq = 0 OR was.seq >= feeds.retained_from)
LEFT JOIN LATERAL (
    SELECT seq, retracted, type, key, revision, hash, document FROM (
        SELECT several.*, sum(coalesce(octet_length(document), 0)) OVER () AS size FROM (
            SELECT seq, retracted, type, key, revision, hash, document FROM records
            WHERE feed = feeds.id AND seq > was.seq AND seq <= feeds.head
            UNION ALL
            SELECT seq, NULL, type, key, revision, NULL, NULL FROM withdrawals
            WHERE feed = feeds.id AND seq > was.seq AND seq <= feeds.head
        ) AS several
    ) AS sized
    WHERE size <= $7
) AS news ON true
WHERE feeds.origin = $1
ORDER BY feeds.audience, news.seq
"""
"""In one go, for it is on the way of every record to every peer."""
_NUMBERED = Statement(
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
_WITHDRAWN = Statement(
    select(withdrawals.c.type, withdrawals.c.key, withdrawals.c.revision).where(
        withdrawals.c.feed == param("feed"),
        # (A stub without a number of the feed says nothing of what may still come in it.)
        withdrawals.c.seq > 0,
        withdrawals.c.key == param("keys", _ARRAY := records.c.facets.type).any_(),
    )
)
_RETURNED = Statement(
    delete(withdrawals).where(
        withdrawals.c.feed == param("feed"),
        withdrawals.c.key == param("keys", _ARRAY).any_(),
        (withdrawals.c.type + literal("/", Text) + withdrawals.c.key) == param("names", _ARRAY).any_(),
    )
)
_DROP_TOMBSTONES = """
WITH gone AS (
    DELETE FROM records WHERE feed = $1 AND retracted AND seq <= $2 RETURNING bucket, arrived
),
stubs AS (
    DELETE FROM withdrawals WHERE feed = $1 AND seq BETWEEN 1 AND $2
    RETURNING arrived, get_byte(sha256((type || '/' || key)::bytea), 0)::smallint AS bucket
),
clock AS (
    -- The lock of numbering first, as whoever writes takes it.
    UPDATE node SET arrivals_from = greatest(
        arrivals_from,
        (SELECT max(arrived) FROM (SELECT arrived FROM gone UNION ALL SELECT arrived FROM stubs) AS dropped)
    )
    RETURNING true AS held
),
noted AS (
    UPDATE feeds SET retained_from = greatest(retained_from, $2) FROM clock WHERE id = $1 AND clock.held
)
-- (A withdrawal that goes before a digest was made of it leaves no number either.)
SELECT coalesce(array_agg(DISTINCT bucket), '{}') AS buckets
FROM (SELECT bucket FROM gone UNION ALL SELECT bucket FROM stubs) AS changed
"""
_EXPIRED = """
SELECT max(seq) FROM (
    SELECT max(seq) AS seq FROM records WHERE feed = $1 AND retracted AND updated_at < $2
    UNION ALL
    SELECT max(seq) FROM withdrawals WHERE feed = $1 AND seq > 0 AND at < $2
) AS several
"""
_DROP_UNSEEN = """
WITH gone AS (DELETE FROM records WHERE feed IS NULL AND retracted AND updated_at < $1 RETURNING arrived),
stubs AS (DELETE FROM withdrawals WHERE seq < 0 AND at < $1 RETURNING arrived),
dropped AS (SELECT arrived FROM gone UNION ALL SELECT arrived FROM stubs)
UPDATE node SET arrivals_from = (SELECT max(arrived) FROM dropped)
WHERE arrivals_from < (SELECT max(arrived) FROM dropped)
"""
_UNSEAT = (
    "UPDATE records SET seq = NULL WHERE feed = $1 AND seq = ANY($2::bigint[])",
    "UPDATE withdrawals SET seq = -arrived WHERE feed = $1 AND seq = ANY($2::bigint[])",
)
_SEAT = """
UPDATE records SET seq = seats.seq
FROM unnest($2::text[], $3::text[], $4::bigint[]) AS seats(type, key, seq)
WHERE records.feed = $1 AND records.type = seats.type AND records.key = seats.key
"""
_SETTLE = """
UPDATE feeds SET epoch = $2, head = $3, retained_from = $4,
    live = (SELECT count(*) FROM records WHERE feed = $1 AND NOT retracted), remote_head = $3
WHERE id = $1
"""
_SET_ASIDE = """
WITH coming AS (
    SELECT a.*, count(*) FILTER (WHERE was.key IS NULL) OVER (ORDER BY a.n) AS new
    FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[])
        WITH ORDINALITY AS a(type, key, seq, revision, reason, detail, n)
    LEFT JOIN set_aside AS was ON was.feed = $1 AND was.type = a.type AND was.key = a.key
)
INSERT INTO set_aside (feed, type, key, seq, revision, reason, detail)
SELECT $1, type, key, seq, revision, reason, detail FROM coming
WHERE new <= $8 - (SELECT count(*) FROM set_aside WHERE feed = $1)
   OR (type, key) IN (SELECT type, key FROM set_aside WHERE feed = $1)
ON CONFLICT (feed, type, key) DO UPDATE
SET seq = excluded.seq, revision = excluded.revision, reason = excluded.reason, detail = excluded.detail,
    at = now(), told = set_aside.told AND set_aside.seq = excluded.seq
RETURNING seq
"""
_ASIDE_COLUMNS = ("type", "key", "seq", "revision", "reason", "detail")
_CLEARED = Statement(
    delete(set_aside).where(
        set_aside.c.feed == param("feed"),
        (set_aside.c.type + literal("/", Text) + set_aside.c.key) == param("names", _ARRAY).any_(),
    )
)
_UNTOLD = Statement(
    select(
        set_aside.c.feed, feeds.c.audience, set_aside.c.seq, set_aside.c.type, set_aside.c.key,
        set_aside.c.revision, set_aside.c.reason, set_aside.c.detail,
    )
    .join(feeds, feeds.c.id == set_aside.c.feed)
    .where(feeds.c.origin == param("origin", Text), ~set_aside.c.told)
    .order_by(set_aside.c.feed, set_aside.c.seq)
    .limit(param("most"))
)  # fmt: skip
_WAS_TOLD = """
UPDATE set_aside SET told = true FROM unnest($2::text[], $3::text[], $4::bigint[]) AS t(type, key, seq)
WHERE set_aside.feed = $1 AND set_aside.type = t.type AND set_aside.key = t.key AND set_aside.seq = t.seq
"""
_ASIDE = Statement(
    select(
        feeds.c.origin,
        feeds.c.audience,
        set_aside.c.type,
        set_aside.c.key,
        set_aside.c.seq,
        set_aside.c.revision,
        set_aside.c.reason,
        set_aside.c.detail,
        set_aside.c.at,
    )
    .join(feeds, feeds.c.id == set_aside.c.feed)
    .order_by(set_aside.c.at.desc())
    .limit(1_000)
)
_STATE = Statement(select(*(node.c[name] for name in STATE_COLUMNS)))


_ADOPT_NODE = Statement(update(node).values(epoch=param("epoch", Text), minted_at=func.now()))
_ADOPT = Statement(
    update(feeds).where(feeds.c.origin == param("origin", Text)).values(epoch=param("epoch", Text))
)
_DATABASE = """
SELECT (SELECT system_identifier FROM pg_control_system()) || '/'
           || (SELECT oid FROM pg_database WHERE datname = current_database()),
       ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint
"""
_KNOWN_DATABASE = "SELECT system_id, timeline FROM node"
_KNOW_DATABASE = "UPDATE node SET system_id = $1, timeline = $2"


class FollowedFeed(NamedTuple):
    """A feed of another origin, and what is known of the copy that is held here."""

    place: FeedState
    copy: CopyRow
    owes: bool
    """Whether its origin is still to be told something of it: what was dropped, or could not be taken."""


class FeedWithRecords(NamedTuple):
    """What is held before a slice of a feed is kept."""

    place: FeedState
    held: dict[tuple[str, str], StoredRevision]
    """Of the records in it, by (type, key)."""
    withdrew: bool
    """Whether any record has left the feed."""
    set_aside: bool
    """Whether any of its entries is set aside."""


class StoredRejection(msgspec.Struct, frozen=True):
    """An entry set aside, as an administrator sees it."""

    origin: str
    audience: str
    type: str
    key: str
    seq: int
    revision: int
    reason: str
    detail: str
    at: datetime


class FeedsReader:
    """Feeds, as far as somebody may read them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def state(self) -> NodeState:
        row = await self._session.one(_STATE)
        assert row is not None, "the node's row is made by `federation migrate`"  # noqa: S101
        return NodeState(*row)

    async def all(self) -> tuple[FeedState, ...]:
        """Every feed held here, own and others'."""
        return tuple(FeedState(*row) for row in await self._session.all(_ALL))

    async def of(self, origin: str, *, visible_to: Caller) -> tuple[FeedState, ...]:
        """The feeds of an origin that are held here and that the caller may read."""
        places = (FeedState(*row) for row in await self._session.all(_OF, origin=origin))
        return tuple(
            place for place in places if place.epoch and may_see(place.origin, place.audience, visible_to)
        )

    async def deltas(
        self, before: Sequence[Head], most: int, most_bytes: int, *, visible_to: Caller
    ) -> tuple[tuple[FeedState, ...], dict[int, list[Any]]]:
        """The node's own feeds that the caller may read, and rows as of ``entries`` of what is new in each.

        ``before``: the state that the caller knows. By feed; of one with more than ``most`` new entries or
        ``most_bytes`` of documents nothing is told, nor of one in another epoch, or whose cursor has expired.
        A peer's groups are looked up here.
        """
        rows = await self._session.connection.fetch(
            _NEWS,
            visible_to.node,
            visible_to.operator,
            [head.audience for head in before],
            [head.epoch for head in before],
            [head.seq for head in before],
            most,
            most_bytes,
        )
        ends = len(_COLUMNS) + 1
        places: dict[int, FeedState] = {}
        found: dict[int, list[Any]] = {}
        for row in rows:
            place = places.get(row[0]) or FeedState(*row[:ends])
            visible_to = msgspec.structs.replace(visible_to, groups=frozenset(row[ends] or ()))
            if place.epoch and may_see(place.origin, place.audience, visible_to):
                places[place.id] = place
                if row[ends + 1] is not None:
                    found.setdefault(place.id, []).append(row[ends + 1 :])
        return tuple(places.values()), found

    async def copies(self, origin: str) -> dict[FeedName, FollowedFeed]:
        """The feeds of an origin that are held here, each with what is known of the copy."""
        ends, found = len(_COLUMNS), {}
        for row in await self._session.all(_COPIES, origin=origin):
            place, (untold, there) = FeedState(*row[:ends]), row[ends : ends + 2]
            copy = CopyRow(*row[ends + 2 :]) if there is not None else CopyRow()
            found[place.name] = FollowedFeed(place, copy, untold or copy.owes_receipt)
        return found

    async def find(self, name: FeedName) -> FeedState | None:
        row = await self._session.one(_ONE, origin=name.origin, audience=name.audience)
        return FeedState(*row) if row else None

    async def with_records(self, name: FeedName, names: Sequence[tuple[str, str]]) -> FeedWithRecords | None:
        """A feed, and what is held of these records of its origin: (type, key). None if there is no feed."""
        rows = await self._session.connection.fetch(
            _STANDING, name.origin, name.audience, [type_ for type_, _ in names], [key for _, key in names]
        )
        if not rows:
            return None
        ends = len(_COLUMNS)
        held = {
            (row["type"], row["key"]): StoredRevision(*row[ends + 2 :])
            for row in rows
            if row["type"] is not None
        }
        return FeedWithRecords(FeedState(*rows[0][:ends]), held, rows[0]["withdrew"], rows[0]["set_aside"])

    async def entries(self, place: FeedState, after: Cursor | None, limit: int) -> tuple[list[Any], bool]:
        """Rows (seq, retracted or None for a withdrawal, type, key, revision, hash, document) in order.

        As many as ``limit`` and ``PAGE_BYTES`` allow, and whether there are more.
        Raises EpochChanged, CursorInFuture or CursorExpired where the cursor does not fit the feed.
        """
        if after is not None:
            if after.epoch != place.epoch:
                raise EpochChanged(
                    f"the feed {place.name} is now of epoch {place.epoch}: compare what you hold, from zero"
                )
            if after.seq > place.head:
                raise CursorInFuture(
                    f"the feed {place.name} ends at {place.head}, the cursor is at {after.seq}"
                )
            if 0 < after.seq < place.retained_from:
                raise CursorExpired(
                    f"the feed {place.name} is kept from {place.retained_from} on: start from zero"
                )
        rows = await self._session.all(
            _ENTRIES,
            feed=place.id,
            after=after.seq if after else 0,
            limit=limit,
            one_more=limit + 1,
            max_bytes=PAGE_BYTES,
        )
        return [row[:-1] for row in rows], bool(rows) and rows[-1]["followed"]

    async def entries_at(self, place: FeedState, numbers: Sequence[int]) -> list[Any]:
        """Rows as of ``entries``, of the records at these numbers; as many as ``PAGE_BYTES`` allow."""
        rows = await self._session.all(
            _NUMBERED,
            feed=place.id,
            numbers=list(numbers),
            limit=len(numbers),
            one_more=len(numbers) + 1,
            max_bytes=PAGE_BYTES,
        )
        return [row[:-1] for row in rows]

    async def rejected(self) -> tuple[StoredRejection, ...]:
        """The thousand entries set aside last, newest first."""
        return tuple(StoredRejection(*row) for row in await self._session.all(_ASIDE))

    async def unreported(self, origin: str, most: int) -> dict[tuple[int, str], list[RejectedEntry]]:
        """What was set aside of an origin's feeds and it was not told, by feed and audience."""
        found: dict[tuple[int, str], list[RejectedEntry]] = {}
        for row in await self._session.all(_UNTOLD, origin=origin, most=most):
            aside = RejectedEntry(
                seq=row["seq"],
                type=row["type"],
                key=row["key"],
                revision=row["revision"],
                reason=row["reason"],
                detail=row["detail"],
            )
            found.setdefault((row["feed"], row["audience"]), []).append(aside)
        return found


class FeedsWriter(FeedsReader):
    """Feeds, in a transaction that may change them."""

    async def open(self, name: FeedName, epoch: str | None) -> FeedState:
        """The feed, made if it was not there."""
        place = await self.find(name)
        if place is None:
            # One at a time: two transactions that open several feeds in different order would deadlock.
            await self._session.connection.execute("SELECT pg_advisory_xact_lock(20261125)")
            await self._session.run(_OPEN, origin=name.origin, audience=name.audience, epoch=epoch)
            place = await self.find(name)
            if place is not None and place.epoch is None:
                await self._session.run(_OPEN_COPY, feed=place.id)
        assert place is not None  # noqa: S101 - made two lines above
        return place

    async def advance(self, place: FeedState, to: Cursor, *, delta: int) -> bool:
        """Move the place up to which a feed was taken; False if somebody else did in between."""
        tag: str = await self._session.connection.execute(
            ADVANCE, place.id, place.head, place.epoch, to.seq, to.epoch, delta
        )
        return tag == "UPDATE 1"

    async def set_remote_head(self, place: FeedState, head: int) -> None:
        """Note what the origin says its head is, for the lag."""
        await self._session.run(_TOLD, feed=place.id, told=head)

    async def subtract_records(self, feed: int, lost: int) -> None:
        """Records have moved on to another feed before their withdrawal from this one was read."""
        await self._session.run(_LOSES, feed=feed, lost=lost)

    async def forget_numbers(self, place: FeedState) -> None:
        """Before a feed is taken anew in another epoch: its old numbers mean nothing."""
        for statement in _FORGET_NUMBERS:
            await self._session.run(statement, feed=place.id)

    async def lock(self, *feeds: int) -> None:
        """Nobody moves these feeds on until the commit; who does now is waited for.

        Before the lock of numbering: who takes entries has the feed when it takes that.
        """
        await self._session.connection.execute(_HOLD, feeds)

    async def purge(self, *places: FeedState) -> int:
        """Drop every copy of feeds that may no longer be read; stubs tell the operator's own systems.

        Each feed is as if it had never been taken. Returns how many records were dropped.
        """
        for place in places:
            for statement in FORGOTTEN:
                # Before the lock of numbering: who signs or compares takes them in that order.
                await self._session.run(statement, feed=place.id)
        # What is being kept at this moment is seen, and dropped with the rest.
        await self.lock(*(place.id for place in places))
        dropped = 0
        for place in places:
            tag: str = await self._session.connection.execute(_PURGE, place.id)
            await self._session.run(_FORGET_NUMBERS[1], feed=place.id)
            for statement in _PURGED:
                await self._session.run(statement, feed=place.id)
            dropped += int(tag.rsplit(" ", 1)[-1])
        return dropped

    async def expired_until(self, feed: int, before: datetime) -> int:
        """Number of the last tombstone or withdrawal of a feed from before that time; 0 if there is none."""
        return await self._session.connection.fetchval(_EXPIRED, feed, before) or 0

    async def drop_tombstones(self, feed: int, until: int) -> list[int]:
        """Drop tombstones and withdrawals up to a number; later cursors alone are good from then on.

        Returns the buckets that change by it.
        """
        return list(await self._session.connection.fetchval(_DROP_TOMBSTONES, feed, until))

    async def drop_unseen(self, before: datetime) -> None:
        """Drop tombstones that are in no feed, and stubs without a number, from before that time."""
        await self._session.connection.execute(_DROP_UNSEEN, before)

    async def clear_seq(self, feed: int, numbers: Sequence[int]) -> None:
        """What is at these numbers has them no longer; what takes its place comes next."""
        for statement in _UNSEAT:
            await self._session.connection.execute(statement, feed, list(numbers))

    async def set_seq(self, feed: int, seats: Sequence[tuple[str, str, int]]) -> None:
        """Records that are held already are at other numbers: (type, key, number)."""
        await self._session.connection.execute(_SEAT, feed, *([one[i] for one in seats] for i in range(3)))

    async def finish_repair(self, feed: int, at: Cursor, retained_from: int) -> None:
        """The feed is held as its origin has it at that place."""
        await self._session.connection.execute(_SETTLE, feed, at.epoch, at.seq, retained_from)

    async def adopt_epoch(self, epoch: str, origin: str) -> None:
        """The node's own feeds are of another epoch from now on."""
        await self._session.run(_ADOPT_NODE, epoch=epoch)
        await self._session.run(_ADOPT, epoch=epoch, origin=origin)

    async def database(self) -> tuple[str, int]:
        """PostgreSQL's system identifier with the database's own, and its timeline.

        A dump that is loaded elsewhere changes the first, recovery and promotion the second.
        """
        row = await self._session.connection.fetchrow(_DATABASE)
        return row[0], row[1]

    async def known_database(self) -> tuple[str | None, int | None]:
        """Both as they were when the epoch was minted; who else asks waits until the commit."""
        # Not the node's row: who mints has the digests to lock before it.
        await self._session.connection.execute("SELECT pg_advisory_xact_lock(20261126)")
        row = await self._session.connection.fetchrow(_KNOWN_DATABASE)
        return row[0], row[1]

    async def set_database(self, system_id: str, timeline: int) -> None:
        await self._session.connection.execute(_KNOW_DATABASE, system_id, timeline)

    async def withdrawn(self, place: FeedState, keys: list[str]) -> dict[tuple[str, str], int]:
        """Revisions with which records left this feed, by (type, key)."""
        rows = await self._session.all(_WITHDRAWN, feed=place.id, keys=keys)
        return {(row[0], row[1]): row[2] for row in rows}

    async def remove_withdrawals(self, place: FeedState, names: list[tuple[str, str]]) -> None:
        """Records are back in the feed: their withdrawals are over."""
        await self._session.run(
            _RETURNED, feed=place.id, keys=[key for _, key in names], names=[f"{t}/{k}" for t, k in names]
        )

    async def store_rejected(self, place: FeedState, several: Sequence[RejectedEntry]) -> frozenset[int]:
        """Keep the last of each record, as far as there is room. Returns the numbers of those kept."""
        last = tuple({(one.type, one.key): one for one in several}.values())
        rows = await self._session.connection.fetch(
            _SET_ASIDE,
            place.id,
            *([getattr(one, name) for one in last] for name in _ASIDE_COLUMNS),
            MAX_REJECTED,
        )
        return frozenset(row["seq"] for row in rows)

    async def mark_reported(self, feed: int, several: Sequence[RejectedEntry]) -> None:
        """The origin knows of these."""
        await self._session.connection.execute(
            _WAS_TOLD, feed, *([getattr(one, name) for one in several] for name in ("type", "key", "seq"))
        )

    async def clear_rejected(self, place: FeedState, names: list[tuple[str, str]]) -> None:
        """A good revision came: what was set aside before it is forgotten."""
        await self._session.run(_CLEARED, feed=place.id, names=[f"{t}/{k}" for t, k in names])
