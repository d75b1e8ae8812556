"""Records at rest: found, listed, kept.

Keeping is one statement at the end of a transaction (:data:`KEEP`), or a transaction of its own
(:data:`KEEP_ONE`): it takes the lock of numbering, gives the records their numbers and writes them, and the
commit follows at once. Whatever is slow has been done before. The lock is held until the commit is visible,
so who reads number 8 can read 7.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from zlib import crc32

import asyncpg
import msgspec
from sqlalchemy import Text, cast, column, func, literal_column, select, true, union_all
from sqlalchemy.dialects.postgresql import ARRAY

from federation.domain.errors import Invalid, WriteConflict
from federation.domain.feed import PAGE_BYTES
from federation.domain.query import PageKey, Query
from federation.domain.record import Record
from federation.domain.visibility import FEDERATION, PRIVATE, PUBLIC, Caller
from federation.store import lists
from federation.store.list_filters import endings
from federation.store.pages import bounded
from federation.store.statements import Session, Statement, param
from federation.store.tables import feeds, records, withdrawals
from federation.store.visibility import Eyes, arguments, eyes, visible_condition


class StoredRecord(msgspec.Struct, frozen=True):
    """A record as it is served: bytes and what the HTTP headers need."""

    document: bytes
    hash: bytes
    retracted: bool
    updated_at: datetime


class StoredRevision(msgspec.Struct, frozen=True):
    """What is held of a record, for whoever is about to write it."""

    type: str
    key: str
    revision: int
    feed: int | None
    seq: int | None
    retracted: bool
    hash: bytes
    created_at: datetime
    document: bytes | None = None
    """Read for one's own records only, which may be compared or patched."""


class NodeState(msgspec.Struct, frozen=True):
    """What every process looks at to learn of what others did."""

    epoch: str
    arrival: int
    trust: int
    proved: int
    published: int
    arrivals_from: int

    @property
    def heads(self) -> int:
        """Grows whenever the heads of the node's own feeds change."""
        return self.published + self.proved


class SequenceConflict(Exception):
    """Something else is held at a number that an entry has: it is of a past that its origin has lost, or came
    garbled. See ``feeds.unseat``."""


class Advance(NamedTuple):
    """How the place of a feed that is followed moves on."""

    feed: int
    from_seq: int
    """Where it is."""
    seen_epoch: str | None
    to: int
    epoch: str
    delta: int
    """Change of the number of live records."""


class LeavingRecord(NamedTuple):
    """A record that leaves a feed for another audience."""

    type: str
    key: str
    feed: int
    revision: int
    was_live: bool


# Finding


@lru_cache
def _find(through: Eyes) -> Statement:
    return Statement(
        select(records.c.document, records.c.hash, records.c.retracted, records.c.updated_at).where(
            records.c.type == param("type", Text),
            records.c.origin == param("origin", Text),
            records.c.key == param("key", Text),
            visible_condition(records, through),
        )
    )


_HELD = select(
    records.c.type,
    records.c.key,
    records.c.revision,
    records.c.feed,
    records.c.seq,
    records.c.retracted,
    records.c.hash,
    records.c.created_at,
)
_OWN_HELD = Statement(
    _HELD.add_columns(records.c.document)
    .where(
        records.c.type == param("type", Text),
        records.c.origin == param("origin", Text),
        records.c.key == param("keys", ARRAY(Text)).any_(),
    )
    # In one order, so that two bulk uploads of the same keys cannot wait for each other.
    .order_by(records.c.key)
    .with_for_update()
)
_STANDING = f"""
SELECT public.id, federation.id, held.*
FROM (VALUES (1)) AS one
LEFT JOIN feeds AS public ON public.origin = $2 AND public.audience = '{PUBLIC}'
LEFT JOIN feeds AS federation ON federation.origin = $2 AND federation.audience = '{FEDERATION}'
LEFT JOIN (
    SELECT type, key, revision, feed, seq, retracted, hash, created_at, document FROM records
    WHERE type = $1 AND origin = $2 AND key = $3
) AS held ON true
"""
_asked = (
    func.unnest(param("types", ARRAY(Text)), param("keys", ARRAY(Text)))
    .table_valued(column("type", Text), column("key", Text), name="asked")
    .render_derived()
)
# Each is looked up by its whole key, whatever the planner believes of the table: a plan made while it was
# empty would read all of an origin's records for every slice.
_each = (
    _HELD.where(
        records.c.type == _asked.c.type,
        records.c.origin == param("origin", Text),
        records.c.key == _asked.c.key,
    )
    .limit(literal_column("1"))
    .correlate(_asked)
    .lateral("held")
)
_OTHERS_HELD = Statement(select(*_each.c).select_from(_asked.join(_each, true())))


# Arrivals: what an operator's own systems follow

_ARRIVALS = Statement(
    bounded(
        select(
            union_all(
                select(
                    records.c.arrived,
                    records.c.retracted,
                    records.c.origin,
                    records.c.type,
                    records.c.key,
                    records.c.revision,
                    records.c.hash,
                    records.c.document,
                )
                .where(records.c.arrived > param("after"), records.c.arrived <= param("until"))
                .order_by(records.c.arrived)
                .limit(param("one_more"))
                .subquery()
                .select(),
                select(
                    withdrawals.c.arrived,
                    cast(None, records.c.retracted.type).label("retracted"),
                    feeds.c.origin,
                    withdrawals.c.type,
                    withdrawals.c.key,
                    withdrawals.c.revision,
                    cast(None, records.c.hash.type).label("hash"),
                    cast(None, records.c.document.type).label("document"),
                )
                .join(feeds, feeds.c.id == withdrawals.c.feed)
                .where(
                    withdrawals.c.arrived > param("after"),
                    withdrawals.c.arrived <= param("until"),
                    # A record that only moved to another audience is still held: it has not gone from here.
                    ~select(records.c.key)
                    .where(
                        records.c.type == withdrawals.c.type,
                        records.c.origin == feeds.c.origin,
                        records.c.key == withdrawals.c.key,
                    )
                    .exists(),
                )
                .order_by(withdrawals.c.arrived)
                .limit(param("one_more"))
                .subquery()
                .select(),
            ).subquery("changes")
        )
        .order_by("arrived")
        .limit(param("one_more")),
        "arrived",
    )
)


STATE_COLUMNS = ("epoch", "arrival", "trust", "proved", "published", "arrivals_from")
LOCKS = 20261124
"""The class of the locks of keys, see ``locks_of``."""

# Keeping. Written as text: it is one act, and Core's form of it would be four times as long.

_COLUMNS = (
    "type text", "key text", "revision bigint", "tlp text", "audience text", "retracted bool",
    "created_at timestamptz", "updated_at timestamptz", "hash bytea", "document bytea",
    "facets text", "beneficiaries text", "other text", "french int",
)  # fmt: skip
"""What a record is written down with, each an array with a value for each record.

``french`` counts in the texts that follow: many records of one operator have the same, and to make words of a
text is dear.
"""


def _incoming(*further: str) -> str:
    """The records that come, as rows: a statement's first parameters are their columns and their texts."""
    columns = [column.split(" ") for column in (*_COLUMNS, *further)]
    arrays = ", ".join(f"${n}::{type_}[]" for n, (_, type_) in enumerate(columns, 1))
    names = ", ".join(name for name, _ in columns)
    return f"""incoming AS (SELECT * FROM unnest({arrays}) WITH ORDINALITY AS i({names}, n)),
texts AS MATERIALIZED (
    SELECT array_agg(to_tsvector('federation_french', {endings(literal_column("text"))}) ORDER BY n) AS words
    FROM unnest(${len(columns) + 1}::text[]) WITH ORDINALITY AS t(text, n)
)"""


_INSERT = """
INSERT INTO records AS held (
    type, origin, key, feed, seq, arrived, revision, tlp, audience, retracted,
    created_at, updated_at, hash, document, facets, beneficiaries, search
)
SELECT i.type, {origin}::text, i.key, {feed}, {seq}, clock.base + i.n,
       i.revision, i.tlp, i.audience, i.retracted, i.created_at, i.updated_at, i.hash, i.document,
       string_to_array(i.facets, E'\\x1f'), string_to_array(i.beneficiaries, E'\\x1f'),
       to_tsvector('federation_french', {other}) || texts.words[i.french]
       || to_tsvector('federation_simple', i.other)
FROM incoming AS i CROSS JOIN texts CROSS JOIN clock {further}
"""
_OR_REVISE = """
ON CONFLICT (type, origin, key) DO UPDATE SET
    feed = excluded.feed, seq = excluded.seq, arrived = excluded.arrived, revision = excluded.revision,
    tlp = excluded.tlp, audience = excluded.audience, retracted = excluded.retracted,
    created_at = excluded.created_at, updated_at = excluded.updated_at,
    hash = excluded.hash, document = excluded.document, facets = excluded.facets,
    beneficiaries = excluded.beneficiaries, search = excluded.search
WHERE {condition}
"""
_OTHER = str(endings(literal_column("i.other")))

UPSERT = (
    f"WITH {_incoming('feed int', 'live int')}"
    + """,
leaving AS (
    SELECT * FROM unnest($19::text[], $20::text[], $21::int[], $22::bigint[], $23::int[])
    WITH ORDINALITY AS l(type, key, feed, revision, live, n)
),
places AS (
    SELECT feed, live, true AS enters FROM incoming WHERE feed IS NOT NULL
    UNION ALL
    SELECT feed, live, false FROM leaving
),
clock AS (
    UPDATE node SET arrival = arrival + cardinality($1::text[]) + cardinality($19::text[]),
        published = published + 1
    RETURNING arrival - cardinality($1::text[]) - cardinality($19::text[]) AS base
),
heads AS (
    UPDATE feeds SET head = feeds.head + moved.entries, live = feeds.live + moved.live
    FROM (
        SELECT feed, count(*) AS entries, count(*) FILTER (WHERE enters) AS entering, sum(live) AS live
        FROM places GROUP BY feed
    ) AS moved, clock
    WHERE feeds.id = moved.feed
    RETURNING feeds.id, feeds.head - moved.entries AS base, moved.entering
),
returned AS (
    DELETE FROM withdrawals USING incoming
    WHERE withdrawals.feed = incoming.feed AND withdrawals.type = incoming.type
      AND withdrawals.key = incoming.key
),
left_behind AS (
    INSERT INTO withdrawals AS w (feed, type, key, seq, arrived, revision)
    SELECT l.feed, l.type, l.key,
           heads.base + heads.entering + row_number() OVER (PARTITION BY l.feed ORDER BY l.n),
           clock.base + cardinality($1::text[]) + l.n, l.revision
    FROM leaving AS l JOIN heads ON heads.id = l.feed CROSS JOIN clock
    ON CONFLICT (feed, type, key) DO UPDATE
    SET seq = excluded.seq, arrived = excluded.arrived, revision = excluded.revision, at = now()
)"""
    + _INSERT.format(
        origin="$18",
        feed="i.feed",
        # By a window and not by a join on n: whatever the plan, each record is looked at once.
        seq="heads.base + row_number() OVER (PARTITION BY i.feed ORDER BY i.n)",
        other=_OTHER,
        further="LEFT JOIN heads ON heads.id = i.feed",
    )
    + _OR_REVISE.format(condition="held.revision = excluded.revision - 1")
)
"""Number and keep records of one's own. The row of ``node`` is the lock, taken here and nowhere earlier."""

_STATE = ", ".join(f"node.{name}" for name in STATE_COLUMNS)
_LEFT = ", ".join(f"clock.{name}" for name in STATE_COLUMNS)
UPSERT_ONE = (
    f"WITH {_incoming()}"
    + f""",
turn AS MATERIALIZED (SELECT true AS taken FROM pg_advisory_xact_lock({LOCKS}, $19)),
clock AS (
    UPDATE node SET arrival = arrival + 1, published = published + 1 FROM turn WHERE turn.taken
    RETURNING arrival - 1 AS base, {_STATE}
),
heads AS (
    UPDATE feeds SET head = head + 1, live = live + $18 FROM clock WHERE feeds.id = $17 AND clock.base >= 0
    RETURNING head - 1 AS base
),
returned AS (
    DELETE FROM withdrawals USING incoming
    WHERE withdrawals.feed = $17 AND withdrawals.type = incoming.type AND withdrawals.key = incoming.key
),
kept AS ("""
    + _INSERT.format(
        origin="$16", feed="$17::int", seq="heads.base + 1", other=_OTHER, further="LEFT JOIN heads ON true"
    )
    + _OR_REVISE.format(condition="held.revision = excluded.revision - 1")
    + f"""
RETURNING true)
SELECT {_LEFT}, (SELECT base + 1 FROM heads), 1 / (SELECT count(*) FROM kept) FROM clock
"""
)
"""Number and keep one record that stays in its feed, with the lock of its key, and tell the node's row.

A division by zero is how a statement fails: where somebody was faster and nothing is kept, the numbers must
not have moved either, and nobody is left to roll back.
"""

_TAKEN = _INSERT.format(
    origin="$17",
    feed="$18::int",
    seq="i.seq",
    other=_OTHER,
    further="",
)
TAKE = (
    f"WITH {_incoming('seq bigint')}"
    + """,
clock AS (
    UPDATE node SET arrival = arrival + cardinality($1::text[])
    RETURNING arrival - cardinality($1::text[]) AS base
)"""
    + _TAKEN
    + _OR_REVISE.format(condition="true")
)
"""Keep records of another origin at the numbers it gave them."""


def _place(feed: str, condition: str = "true") -> str:
    """The place up to which a feed was taken, locked."""
    return f"""place AS MATERIALIZED (
    SELECT id, head, epoch FROM feeds WHERE id = {feed} AND {condition} FOR NO KEY UPDATE
)"""


def _advancing(seen: str, seen_epoch: str, to: str, epoch: str, delta: str) -> str:
    """Move that place, unless somebody else did.

    The row is locked before it is looked at: who waits here for another one sees where that one leaves it.
    (In a query of its own: what an UPDATE finds is what there was before it waited.)
    """
    return f"""
UPDATE feeds SET head = {to}, epoch = {epoch}, live = feeds.live + {delta},
    -- A head told in another epoch says nothing about this one.
    remote_head = CASE
        WHEN place.epoch IS DISTINCT FROM {epoch} THEN {to} ELSE greatest(feeds.remote_head, {to})
    END
FROM place
WHERE feeds.id = place.id AND place.head = {seen} AND place.epoch IS NOT DISTINCT FROM {seen_epoch}
RETURNING true AS moved
"""


ADVANCE = f"WITH {_place('$1')} {_advancing('$2', '$3', '$4', '$5', '$6')}"
_ADVANCED = _advancing("$19::bigint", "$20::text", "$21::bigint", "$22::text", "$23::bigint")
_ADVANCING = f"""
advanced AS ({_ADVANCED}),
clock AS (
    -- After the feed's row, as whoever signs or compares takes them.
    UPDATE node SET arrival = arrival + cardinality($1::text[]) FROM advanced WHERE advanced.moved
    RETURNING arrival - cardinality($1::text[]) AS base, {_STATE}
)"""
TAKE_ON = (
    f"WITH {_incoming('seq bigint')}, {_place('$18::int')}, {_ADVANCING}"
    + _TAKEN
    + _OR_REVISE.format(condition="true")
)
"""The same of a feed that is followed: its place moves on too, or none is kept."""


def _none(table: str, condition: str) -> str:
    """That nothing is noted of these records of the feed. (Most feeds have nothing noted at all.)"""
    return f"""(
    NOT EXISTS (SELECT FROM {table} WHERE feed = $18 AND {condition})
    OR NOT EXISTS (
        SELECT FROM unnest($1::text[], $2::text[]) AS named(type, key)
        JOIN {table} AS t ON t.feed = $18 AND t.type = named.type AND t.key = named.key AND {condition}
    )
)"""


_UNKNOWN = f"{_none('withdrawals', 'seq > 0')} AND {_none('set_aside', 'true')}"
TAKE_NEW = (
    f"WITH {_incoming('seq bigint')}, {_place('$18::int', _UNKNOWN)}, {_ADVANCING}, kept AS ({_TAKEN})"
    f" SELECT {_LEFT} FROM clock"
)
"""The same of records none of which is held, or has left the feed, or is set aside; tells the node's row.

It looks for that itself, and so needs nothing before it, and no transaction around it.
"""

_PURGE = """
WITH gone AS (
    SELECT g.*, feeds.origin FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[])
    WITH ORDINALITY AS g(type, key, seq, revision, n) JOIN feeds ON feeds.id = $1
),
clock AS (
    UPDATE node SET arrival = arrival + cardinality($2::text[])
    RETURNING arrival - cardinality($2::text[]) AS base
),
purged AS (
    DELETE FROM records USING gone
    WHERE records.type = gone.type AND records.origin = gone.origin AND records.key = gone.key
      AND coalesce(records.feed, 0) = $1  -- looked at, and not looked up by: a feed is long
    RETURNING records.retracted
),
stubs AS (
    INSERT INTO withdrawals (feed, type, key, seq, arrived, revision)
    SELECT $1, gone.type, gone.key, gone.seq, clock.base + gone.n, gone.revision FROM gone CROSS JOIN clock
    ON CONFLICT (feed, type, key) DO UPDATE
    SET seq = excluded.seq, arrived = excluded.arrived, revision = excluded.revision, at = now()
)
SELECT count(*) FROM purged WHERE NOT retracted
"""

_DROP = """
WITH gone AS (
    DELETE FROM records USING unnest($2::text[], $3::text[]) AS named(type, key)
    WHERE records.feed = $1 AND records.type = named.type AND records.key = named.key
    RETURNING records.type, records.key, records.revision
),
numbered AS (
    SELECT type, key, revision, row_number() OVER (ORDER BY type, key) AS n FROM gone
),
clock AS (
    UPDATE node SET arrival = arrival + (SELECT count(*) FROM gone)
    RETURNING arrival - (SELECT count(*) FROM gone) AS base
)
INSERT INTO withdrawals (feed, type, key, seq, arrived, revision)
SELECT $1, type, key, -(clock.base + n), clock.base + n, revision FROM numbered CROSS JOIN clock
ON CONFLICT (feed, type, key) DO UPDATE
SET seq = excluded.seq, arrived = excluded.arrived, revision = excluded.revision, at = now()
"""
"""Drop what a feed no longer has, without a number of the feed that says so."""

_MEMBERSHIPS = Statement(
    select(records.c.key).where(
        records.c.type == "group",
        records.c.origin == param("node", Text),
        ~records.c.retracted,
        records.c.facets.contains(param("member", ARRAY(Text))),
    )
)
_GROUP_EXISTS = Statement(
    select(records.c.key).where(
        records.c.type == "group",
        records.c.origin == param("node", Text),
        records.c.key == param("name", Text),
        ~records.c.retracted,
    )
)


_MEMBERS = """
SELECT substr(facet, length('group.member=') + 1) FROM records CROSS JOIN unnest(facets) AS facet
WHERE type = 'group' AND origin = $1 AND key = $2 AND NOT retracted AND facet LIKE 'group.member=%'
"""
_LIVE_NAMES = """
SELECT type, key FROM records JOIN feeds ON feeds.id = records.feed
WHERE feeds.origin = $1 AND feeds.audience = $2 AND NOT retracted ORDER BY seq LIMIT $3
"""
_LIVE = "SELECT live FROM feeds WHERE origin = $1 AND audience = $2"


class RecordsReader:
    """Records, as far as somebody may see them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def find(self, type_name: str, origin: str, key: str, *, visible_to: Caller) -> StoredRecord | None:
        """The record or its tombstone; None if there is none that the caller may see."""
        row = await self._session.one(
            _find(eyes(visible_to)), type=type_name, origin=origin, key=key, **arguments(visible_to)
        )
        return StoredRecord(*row) if row else None

    async def collect(
        self, query: Query, *, visible_to: Caller
    ) -> tuple[list[bytes], PageKey | None, int | None]:
        """A page of documents, where the next one begins, and how many there are if that was asked.

        The total is exact up to ``MAX_TOTAL``; a higher one says that there are more.
        """
        return await lists.collect(self._session, query, visible_to=visible_to)

    async def change_log(
        self, after: int, until: int, limit: int, *, visible_to: Caller
    ) -> tuple[list[Any], bool]:
        """Everything held, of every origin, in the order it arrived here; for the operator itself.

        As many as ``limit`` and ``PAGE_BYTES`` allow, and whether there are more.
        """
        if not visible_to.own:
            return [], False
        rows = await self._session.all(
            _ARRIVALS, after=after, until=until, limit=limit, one_more=limit + 1, max_bytes=PAGE_BYTES
        )
        return [row[:-1] for row in rows], bool(rows) and rows[-1]["followed"]

    async def groups_of(self, operator: str, *, node: str) -> frozenset[str]:
        """The groups of this node that an operator is a member of."""
        rows = await self._session.all(_MEMBERSHIPS, node=node, member=[f"group.member={operator}"])
        return frozenset(row[0] for row in rows)

    async def members_of(self, name: str, *, node: str) -> frozenset[str]:
        """The members of a group of this node."""
        return frozenset(row[0] for row in await self._session.connection.fetch(_MEMBERS, node, name))

    async def live_names(self, origin: str, audience: str, most: int) -> tuple[list[tuple[str, str]], int]:
        """The first records of a feed, as (type, key), and how many there are."""
        rows = await self._session.connection.fetch(_LIVE_NAMES, origin, audience, most)
        total = await self._session.connection.fetchval(_LIVE, origin, audience)
        return [(row[0], row[1]) for row in rows], total or 0

    async def current_state(
        self, type_name: str, origin: str, key: str
    ) -> tuple[StoredRevision | None, dict[str, int | None]]:
        """What is held of one of one's own records, and the feeds it may be in, for who is about to write.

        Nothing is locked. Feeds by their audience: for everybody and for peers, as far as there are any; what
        is private is in none.
        """
        row = await self._session.connection.fetchrow(_STANDING, type_name, origin, key)
        feeds: dict[str, int | None] = {PRIVATE: None}
        feeds |= {audience: row[n] for n, audience in enumerate((PUBLIC, FEDERATION)) if row[n] is not None}
        return StoredRevision(*row[2:]) if row[2] is not None else None, feeds

    async def has_group(self, name: str, *, node: str) -> bool:
        """Whether this node has such a group."""
        return await self._session.value(_GROUP_EXISTS, node=node, name=name) is not None


def locks_of(type_name: str, keys: Iterable[str]) -> frozenset[int]:
    """The locks of one's own keys, for the transaction that may write them.

    There is no row to lock for a record that is yet to be made: without these its writer could meet another
    one's row only when it has the lock of numbering already, a deadlock. Few enough for PostgreSQL's table of
    locks.
    """
    return frozenset(crc32(f"{type_name}/{key}".encode()) & 255 for key in keys)


class RecordsWriter(RecordsReader):
    """Records, in a transaction that may change them. Numbers come last: commit right after."""

    async def stored_revisions(
        self, type_name: str, origin: str, keys: Sequence[str]
    ) -> dict[str, StoredRevision]:
        """What is held of one's own records, locked against other writers until the commit.

        The transaction has the locks of these keys (``locks_of``), so nobody is making one of them.
        """
        rows = await self._session.all(_OWN_HELD, type=type_name, origin=origin, keys=list(keys))
        return {row["key"]: StoredRevision(*row) for row in rows}

    async def stored_revisions_of(
        self, origin: str, names: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], StoredRevision]:
        """What is held of another origin's records, by (type, key)."""
        rows = await self._session.all(
            _OTHERS_HELD, origin=origin, types=[t for t, _ in names], keys=[k for _, k in names]
        )
        return {(row["type"], row["key"]): StoredRevision(*row) for row in rows}

    async def upsert(
        self,
        origin: str,
        kept: Sequence[tuple[Record, int | None, int]],
        leaving: Sequence[LeavingRecord] = (),
    ) -> None:
        """Number and keep records of one's own: (record, its feed or None, change of the live count).

        Raises Raced when another writer came first, and Invalid when the database does not take one of
        them; nothing of the transaction may then be committed.
        """
        columns, texts = _columns([record for record, _, _ in kept])
        tag = await self._insert(
            UPSERT,
            *columns,
            [feed for _, feed, _ in kept],
            [live for _, _, live in kept],
            texts,
            origin,
            [one.type for one in leaving],
            [one.key for one in leaving],
            [one.feed for one in leaving],
            [one.revision for one in leaving],
            [-1 if one.was_live else 0 for one in leaving],
        )
        if tag != f"INSERT 0 {len(kept)}":
            raise WriteConflict

    async def upsert_one(
        self, origin: str, record: Record, feed: int | None, live: int
    ) -> tuple[NodeState, int | None]:
        """The same of one record that stays in its feed: a transaction of its own.

        The node's row after it, and the record's number in its feed, where it is in one.

        Raises Raced and Invalid; nothing is kept then.
        """
        columns, texts = _columns([record])
        (lock,) = locks_of(record.type, [record.key])
        row = await self._told(UPSERT_ONE, *columns, texts, origin, feed, live, lock)
        assert row is not None  # noqa: S101 - there is one row of the node
        return NodeState(*row[:-2]), row[-2]

    async def take(self, origin: str, feed: int, taken: Sequence[tuple[Record, int]]) -> None:
        """Keep records of another origin: (record, its number in the feed).

        Raises Invalid when the database does not take one of them, and Occupied when something else has one
        of the numbers; nothing of the transaction may then be committed.
        """
        await self._insert(TAKE, *_taken(taken), origin, feed)

    async def take_on(self, origin: str, advance: Advance, taken: Sequence[tuple[Record, int]]) -> bool:
        """The same of a feed that is followed, and its place moves on with them.

        False if somebody else moved it in between; then nothing is kept.
        """
        tag = await self._insert(TAKE_ON, *_taken(taken), origin, *advance)
        return not tag.endswith(" 0")

    async def take_new(
        self, origin: str, advance: Advance, taken: Sequence[tuple[Record, int]]
    ) -> NodeState | None:
        """The same of records that nothing is known of, in a transaction of its own. The node's row after it.

        None if somebody else moved the place in between, or something is known of one of them; raises
        Occupied when one of them is held. Nothing is kept then.
        """
        row = await self._told(TAKE_NEW, *_taken(taken), origin, *advance)
        return NodeState(*row) if row else None

    async def _insert(self, statement: str, *arguments: Any) -> str:
        with _refusing(len(arguments[0])):
            tag: str = await self._session.connection.execute(statement, *arguments)
        return tag

    async def _told(self, statement: str, *arguments: Any) -> Any:
        with _refusing(len(arguments[0])):
            return await self._session.connection.fetchrow(statement, *arguments)

    async def drop(self, feed: int, names: Sequence[tuple[str, str]]) -> int:
        """Drop records that the feed's origin does not have in it any more; stubs tell who follows arrivals.

        Returns how many there were.
        """
        tag: str = await self._session.connection.execute(
            _DROP, feed, [type_ for type_, _ in names], [key for _, key in names]
        )
        return int(tag.rsplit(" ", 1)[-1])

    async def purge(self, feed: int, gone: Sequence[tuple[str, str, int, int]]) -> int:
        """Drop what was withdrawn, (type, key, seq, revision), and keep stubs. Returns how many were live.

        Raises Occupied when something else has one of the numbers.
        """
        try:
            live: int = await self._session.connection.fetchval(
                _PURGE, feed, *([one[i] for one in gone] for i in range(4))
            )
        except asyncpg.UniqueViolationError as error:
            raise SequenceConflict from error
        return live


@contextmanager
def _refusing(many: int) -> Iterator[None]:
    """What the database refuses of so many records, in errors of ours."""
    try:
        yield
    except asyncpg.DivisionByZeroError:
        raise WriteConflict from None  # see KEEP_ONE
    except asyncpg.UniqueViolationError as error:
        raise SequenceConflict from error
    except (asyncpg.DataError, asyncpg.ProgramLimitExceededError) as error:
        which = "the record" if many == 1 else f"one of these {many} records"
        # Not in PostgreSQL's words: they may quote the record.
        raise Invalid(f"{which} cannot be stored: SQLSTATE {error.sqlstate}") from error


def _taken(taken: Sequence[tuple[Record, int]]) -> tuple[list[Any], ...]:
    """The first parameters of what keeps records of another origin."""
    columns, texts = _columns([record for record, _ in taken])
    return *columns, [seq for _, seq in taken], texts


def _columns(records: Sequence[Record]) -> tuple[tuple[list[Any], ...], list[str]]:
    """The arrays of ``_COLUMNS``, and the texts. (Column by column: this is done for every record.)"""
    found = [record.projection for record in records]
    texts: dict[str, int] = {}
    return (
        [record.type for record in records],
        [record.key for record in records],
        [record.revision for record in records],
        [record.tlp for record in records],
        [record.audience for record in records],
        [record.retracted for record in records],
        [record.created_at for record in records],
        [record.updated_at for record in records],
        [record.hash for record in records],
        [record.document for record in records],
        ["\x1f".join(one.facets) for one in found],
        ["\x1f".join(one.beneficiaries) for one in found],
        [one.other for one in found],
        [texts.setdefault(one.french, len(texts) + 1) for one in found],
    ), list(texts)
