r"""Writes of the node's own records.

A write is one statement at the end of a transaction (:data:`UPSERT`), or a transaction of its own
(:data:`UPSERT_ONE`). It takes the lock of numbering, which is the row of ``node``, numbers the records and
stores them, and the commit follows at once; slow work has been done before. The lock is held until the commit
is visible, so that a reader of number 8 can read 7.

The texts of ``facets`` and ``beneficiaries`` come joined by ``\x1f``: PostgreSQL has no arrays of arrays of
different length. French texts come once each, and ``french`` counts in them from 1: many records of one
operator have the same, and to make search words of a text is slow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from zlib import crc32

import asyncpg

from federation.domain.errors import Invalid, SequenceConflict, WriteConflict
from federation.domain.node_state import NodeState
from federation.domain.record import Record
from federation.domain.stored import StoredRevision
from federation.store.records import RecordsReader

KEY_LOCKS = 20261124
"""The class of the advisory locks of keys, see ``locks_of``."""

LOCK_REVISIONS = """
SELECT type, key, revision, feed, seq, retracted, hash, created_at, document FROM records
WHERE type = $1 AND origin = $2 AND key = ANY($3::text[]) ORDER BY key FOR UPDATE
"""
"""The stored revisions of own records, locked in one order: two uploads of the same keys cannot deadlock."""
UPSERT = r"""
WITH incoming AS (
    SELECT * FROM unnest(
        $1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bool[], $7::timestamptz[],
        $8::timestamptz[], $9::bytea[], $10::bytea[], $11::text[], $12::text[], $13::text[], $14::int[],
        $15::int[], $16::int[]
    ) WITH ORDINALITY AS i(
        type, key, revision, tlp, audience, retracted, created_at, updated_at, hash, document, facets,
        beneficiaries, other, french, feed, live, n
    )
),
texts AS MATERIALIZED (
    SELECT array_agg(to_tsvector('federation_french', regexp_replace(
        regexp_replace(text, 'ers\M', 'er', 'gi'), '[eé](e|s|es)\M', 'e', 'gi'
    )) ORDER BY n) AS words
    FROM unnest($17::text[]) WITH ORDINALITY AS t(text, n)
),
leaving AS (
    SELECT * FROM unnest($19::text[], $20::text[], $21::int[], $22::bigint[], $23::int[])
    WITH ORDINALITY AS l(type, key, feed, revision, live, n)
),
moves AS (
    SELECT feed, live, true AS enters FROM incoming WHERE feed IS NOT NULL
    UNION ALL
    SELECT feed, live, false FROM leaving
),
numbering AS (
    UPDATE node SET arrival = arrival + cardinality($1::text[]) + cardinality($19::text[]),
        published = published + 1
    RETURNING arrival - cardinality($1::text[]) - cardinality($19::text[]) AS base
),
heads AS (
    UPDATE feeds SET head = feeds.head + moved.entries, live = feeds.live + moved.live
    FROM (
        SELECT feed, count(*) AS entries, count(*) FILTER (WHERE enters) AS entering, sum(live) AS live
        FROM moves GROUP BY feed
    ) AS moved, numbering
    WHERE feeds.id = moved.feed
    RETURNING feeds.id, feeds.head - moved.entries AS base, moved.entering
),
returned AS (
    DELETE FROM withdrawals USING incoming
    WHERE withdrawals.feed = incoming.feed AND withdrawals.type = incoming.type
      AND withdrawals.key = incoming.key
),
withdrawn AS (
    INSERT INTO withdrawals (feed, type, key, seq, arrived, revision)
    SELECT l.feed, l.type, l.key,
           heads.base + heads.entering + row_number() OVER (PARTITION BY l.feed ORDER BY l.n),
           numbering.base + cardinality($1::text[]) + l.n, l.revision
    FROM leaving AS l JOIN heads ON heads.id = l.feed CROSS JOIN numbering
    ON CONFLICT (feed, type, key) DO UPDATE
    SET seq = excluded.seq, arrived = excluded.arrived, revision = excluded.revision, at = now()
)
INSERT INTO records AS stored (
    type, origin, key, feed, seq, arrived, revision, tlp, audience, retracted,
    created_at, updated_at, hash, document, facets, beneficiaries, search
)
SELECT i.type, $18::text, i.key, i.feed,
       -- By a window and not by a join on n: with any plan, each record is read once.
       heads.base + row_number() OVER (PARTITION BY i.feed ORDER BY i.n), numbering.base + i.n,
       i.revision, i.tlp, i.audience, i.retracted, i.created_at, i.updated_at, i.hash, i.document,
       string_to_array(i.facets, E'\x1f'), string_to_array(i.beneficiaries, E'\x1f'),
       setweight(to_tsvector('federation_french', regexp_replace(
           regexp_replace(split_part(i.other, E'\x1f', 2), 'ers\M', 'er', 'gi'), '[eé](e|s|es)\M', 'e', 'gi'
       )), 'A') || to_tsvector('federation_french', regexp_replace(
           regexp_replace(split_part(i.other, E'\x1f', 1), 'ers\M', 'er', 'gi'), '[eé](e|s|es)\M', 'e', 'gi'
       )) || texts.words[i.french] || to_tsvector('federation_simple', i.other)
FROM incoming AS i CROSS JOIN texts CROSS JOIN numbering LEFT JOIN heads ON heads.id = i.feed
ON CONFLICT (type, origin, key) DO UPDATE SET
    feed = excluded.feed, seq = excluded.seq, arrived = excluded.arrived, revision = excluded.revision,
    tlp = excluded.tlp, audience = excluded.audience, retracted = excluded.retracted,
    created_at = excluded.created_at, updated_at = excluded.updated_at,
    hash = excluded.hash, document = excluded.document, facets = excluded.facets,
    beneficiaries = excluded.beneficiaries, search = excluded.search
WHERE stored.revision = excluded.revision - 1
"""
"""Number and store own records, and the withdrawals of those that leave a feed for another audience.

$15 is the feed of each record, $16 the change of its number of live records, $19 to $23 are the withdrawals.
A record whose stored revision is not the one before is left out: the row count reports the lost race.
"""
UPSERT_ONE = r"""
WITH turn AS MATERIALIZED (SELECT true AS taken FROM pg_advisory_xact_lock($18, $19)),
stored AS MATERIALIZED (
    SELECT records.revision FROM turn CROSS JOIN records
    WHERE turn.taken AND records.type = $1 AND records.origin = $15 AND records.key = $2
      AND records.revision = $3::bigint - 1
    -- The row as it is after the wait for the turn, whatever this statement saw before.
    FOR NO KEY UPDATE OF records
),
words AS MATERIALIZED (
    SELECT setweight(to_tsvector('federation_french', regexp_replace(
        regexp_replace(split_part($13::text, E'\x1f', 2), 'ers\M', 'er', 'gi'), '[eé](e|s|es)\M', 'e', 'gi'
    )), 'A') || to_tsvector('federation_french', regexp_replace(
        regexp_replace(split_part($13::text, E'\x1f', 1), 'ers\M', 'er', 'gi'), '[eé](e|s|es)\M', 'e', 'gi'
    )) || to_tsvector('federation_french', regexp_replace(
        regexp_replace($14::text, 'ers\M', 'er', 'gi'), '[eé](e|s|es)\M', 'e', 'gi'
    )) || to_tsvector('federation_simple', $13::text) AS search
),
numbering AS (
    UPDATE node SET arrival = arrival + 1, published = published + 1
    FROM turn WHERE turn.taken AND ($3::bigint = 1 OR EXISTS (SELECT FROM stored))
    RETURNING node.epoch, node.arrival, node.trust, node.proved, node.published, node.arrivals_from
),
heads AS (
    UPDATE feeds SET head = feeds.head + 1, live = feeds.live + $17::int
    FROM numbering WHERE feeds.id = $16::int AND numbering.arrival > 0
    RETURNING feeds.head
),
returned AS (
    DELETE FROM withdrawals USING numbering
    WHERE withdrawals.feed = $16 AND withdrawals.type = $1 AND withdrawals.key = $2
      AND numbering.arrival > 0
),
inserted AS (
    INSERT INTO records (
        type, origin, key, feed, seq, arrived, revision, tlp, audience, retracted,
        created_at, updated_at, hash, document, facets, beneficiaries, search
    )
    SELECT $1, $15, $2, $16, heads.head, numbering.arrival, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
           words.search
    FROM numbering CROSS JOIN words LEFT JOIN heads ON true
    WHERE $3 = 1
),
revised AS (
    UPDATE records SET
        feed = $16, seq = heads.head, arrived = numbering.arrival, revision = $3, tlp = $4, audience = $5,
        retracted = $6, created_at = $7, updated_at = $8, hash = $9, document = $10, facets = $11,
        beneficiaries = $12, search = words.search
    FROM numbering CROSS JOIN words LEFT JOIN heads ON true
    WHERE records.type = $1 AND records.origin = $15 AND records.key = $2 AND $3 > 1
)
SELECT numbering.*, heads.head FROM numbering LEFT JOIN heads ON true
"""
"""Number and store one own record that stays in feed $16, and return the row of the node and its number.

It takes the lock of the record's key ($18, $19) itself. A lost race stores nothing: no row is returned where
the stored revision is not the one before, and a first revision of a key that is stored violates the primary
key (SQLSTATE 23505).
"""


class LeavingRecord(NamedTuple):
    """A record that leaves a feed for another audience."""

    type: str
    key: str
    feed: int
    revision: int
    was_live: bool


def locks_of(type_name: str, keys: Iterable[str]) -> frozenset[int]:
    """The locks of own keys, for the transaction that may write them.

    There is no row to lock for a record that is not stored yet: without these its writer could meet another
    one's row only when it has the lock of numbering already, a deadlock. Few enough for PostgreSQL's table of
    locks.
    """
    return frozenset(crc32(f"{type_name}/{key}".encode()) & 255 for key in keys)


class RecordsWriter(RecordsReader):
    """Own records, in a transaction that may change them. Numbers come last: commit right after."""

    async def stored_revisions(
        self, type_name: str, origin: str, keys: Sequence[str]
    ) -> dict[str, StoredRevision]:
        """The stored revisions of own records, locked against other writers until the commit.

        The transaction has the locks of these keys (``locks_of``), so no other one creates one of them.
        """
        rows = await self._session.connection.fetch(LOCK_REVISIONS, type_name, origin, list(keys))
        return {row["key"]: StoredRevision(*row) for row in rows}

    async def upsert(
        self,
        origin: str,
        written: Sequence[tuple[Record, int | None, int]],
        leaving: Sequence[LeavingRecord] = (),
    ) -> None:
        """Number and store own records: (record, its feed or None, change of the live count).

        Raises WriteConflict when another writer came first, and Invalid when the database refuses a record;
        the transaction must not be committed then.
        """
        columns, texts = record_columns([record for record, _, _ in written])
        with translated_errors(len(written)):
            tag: str = await self._session.connection.execute(
                UPSERT,
                *columns,
                [feed for _, feed, _ in written],
                [live for _, _, live in written],
                texts,
                origin,
                [record.type for record in leaving],
                [record.key for record in leaving],
                [record.feed for record in leaving],
                [record.revision for record in leaving],
                [-1 if record.was_live else 0 for record in leaving],
            )
        if tag != f"INSERT 0 {len(written)}":
            raise WriteConflict

    async def upsert_one(
        self, origin: str, record: Record, feed: int | None, live: int
    ) -> tuple[NodeState, int | None]:
        """Number and store one own record that stays in its feed, in a transaction of its own.

        Returns the node's row after it, and the record's number in its feed, where it is in one.

        Raises WriteConflict when another writer came first, and Invalid; nothing is stored then.
        """
        (lock,) = locks_of(record.type, [record.key])
        words = record.projection
        with translated_errors(1):
            try:
                row = await self._session.connection.fetchrow(
                    UPSERT_ONE,
                    record.type,
                    record.key,
                    record.revision,
                    record.tlp,
                    record.audience,
                    record.retracted,
                    record.created_at,
                    record.updated_at,
                    record.hash,
                    record.document,
                    words.facets,
                    words.beneficiaries,
                    words.other,
                    words.french,
                    origin,
                    feed,
                    live,
                    KEY_LOCKS,
                    lock,
                )
            except asyncpg.UniqueViolationError as error:
                if error.constraint_name == "pk_records":
                    raise WriteConflict from None
                raise
        if row is None:
            raise WriteConflict
        return NodeState(*row[:-1]), row[-1]


@contextmanager
def translated_errors(number: int) -> Iterator[None]:
    """Errors of the database about so many records, as errors of the domain."""
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        raise SequenceConflict from error
    except (asyncpg.DataError, asyncpg.ProgramLimitExceededError) as error:
        # Not in PostgreSQL's words: they may quote the record.
        if number == 1:
            raise Invalid("the record cannot be stored: SQLSTATE {state}", state=error.sqlstate) from error
        raise Invalid(
            "one of these {number} records cannot be stored: SQLSTATE {state}",
            number=number,
            state=error.sqlstate,
        ) from error


def record_columns(written: Sequence[Record]) -> tuple[tuple[list[Any], ...], list[str]]:
    """The first 14 parameters of a statement that writes records, and the French texts.

    (Column by column: this is done for every record.)
    """
    projections = [record.projection for record in written]
    texts: dict[str, int] = {}
    return (
        [record.type for record in written],
        [record.key for record in written],
        [record.revision for record in written],
        [record.tlp for record in written],
        [record.audience for record in written],
        [record.retracted for record in written],
        [record.created_at for record in written],
        [record.updated_at for record in written],
        [record.hash for record in written],
        [record.document for record in written],
        ["\x1f".join(projection.facets) for projection in projections],
        ["\x1f".join(projection.beneficiaries) for projection in projections],
        [projection.other for projection in projections],
        [texts.setdefault(projection.french, len(texts) + 1) for projection in projections],
    ), list(texts)
