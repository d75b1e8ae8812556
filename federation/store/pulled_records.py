r"""Writes of records pulled from other operators' feeds, at the numbers their origins gave them.

As own records (``record_writes``), they are stored by one statement at the end of a transaction
(:data:`UPSERT`), or by one that is a transaction of its own (:data:`INSERT`). It moves the feed on, too, or
stores nothing where another process did that in between: what is stored and how far the feed was pulled
never differ. The row of the feed is locked before the row of ``node``, in the order of signing and comparing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import asyncpg

from federation.domain.errors import SequenceConflict
from federation.domain.node_state import NodeState
from federation.domain.record import Record
from federation.domain.stored import StoredRevision
from federation.store.record_writes import record_columns, translated_errors
from federation.store.statements import Session

STORED_REVISIONS = """
SELECT stored.*
FROM unnest($2::text[], $3::text[]) AS named(type, key)
CROSS JOIN LATERAL (
    SELECT type, key, revision, feed, seq, retracted, hash, created_at,
        NULL::bytea AS document, octet_length(document) AS size FROM records
    WHERE type = named.type AND origin = $1 AND key = named.key LIMIT 1
) AS stored
"""
"""The stored revisions of records of origin $1. (The length of a document is known without reading it.)

Each is found by its whole key, whatever the planner believes of the table: a plan made while it was empty
would read all of an origin's records for every batch.
"""
UPSERT = r"""
WITH incoming AS (
    SELECT * FROM unnest(
        $1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bool[], $7::timestamptz[],
        $8::timestamptz[], $9::bytea[], $10::bytea[], $11::text[], $12::text[], $13::text[], $14::int[],
        $15::bigint[], $26::text[]
    ) WITH ORDINALITY AS i(
        type, key, revision, tlp, audience, retracted, created_at, updated_at, hash, document, facets,
        beneficiaries, other, french, seq, not_understood, n
    )
),
texts AS MATERIALIZED (
    SELECT array_agg(to_tsvector('federation_french', regexp_replace(
        regexp_replace(text, 'ers\M', 'er', 'gi'), '[eé](e|s|es)\M', 'e', 'gi'
    )) ORDER BY n) AS words
    FROM unnest($16::text[]) WITH ORDINALITY AS t(text, n)
),
place AS MATERIALIZED (
    SELECT id, head, epoch FROM feeds WHERE id = $18::int FOR NO KEY UPDATE
),
advanced AS (
    UPDATE feeds SET
        head = coalesce($21::bigint, place.head), epoch = coalesce($22::text, place.epoch),
        live = feeds.live + $23::bigint,
        records = feeds.records + $24::bigint, bytes = feeds.bytes + $25::bigint,
        remote_head = CASE
            WHEN $21::bigint IS NULL THEN feeds.remote_head
            WHEN place.epoch IS DISTINCT FROM $22::text THEN $21::bigint
            ELSE greatest(feeds.remote_head, $21::bigint)
        END
    FROM place
    WHERE feeds.id = place.id AND (
        $19::bigint IS NULL OR (place.head = $19::bigint AND place.epoch IS NOT DISTINCT FROM $20::text)
    )
    RETURNING true AS moved
),
numbering AS (
    UPDATE node SET arrival = arrival + cardinality($1::text[]) FROM advanced WHERE advanced.moved
    RETURNING arrival - cardinality($1::text[]) AS base
)
INSERT INTO records (
    type, origin, key, feed, seq, arrived, revision, tlp, audience, retracted,
    created_at, updated_at, hash, document, facets, beneficiaries, not_understood, search
)
SELECT i.type, $17::text, i.key, $18::int, i.seq, numbering.base + i.n,
       i.revision, i.tlp, i.audience, i.retracted, i.created_at, i.updated_at, i.hash, i.document,
       string_to_array(i.facets, E'\x1f'), string_to_array(i.beneficiaries, E'\x1f'), i.not_understood,
       setweight(to_tsvector('federation_french', regexp_replace(
           regexp_replace(split_part(i.other, E'\x1f', 2), 'ers\M', 'er', 'gi'), '[eé](e|s|es)\M', 'e', 'gi'
       )), 'A') || to_tsvector('federation_french', regexp_replace(
           regexp_replace(split_part(i.other, E'\x1f', 1), 'ers\M', 'er', 'gi'), '[eé](e|s|es)\M', 'e', 'gi'
       )) || texts.words[i.french] || to_tsvector('federation_simple', i.other)
FROM incoming AS i CROSS JOIN texts CROSS JOIN numbering
ON CONFLICT (type, origin, key) DO UPDATE SET
    feed = excluded.feed, seq = excluded.seq, arrived = excluded.arrived, revision = excluded.revision,
    tlp = excluded.tlp, audience = excluded.audience, retracted = excluded.retracted,
    created_at = excluded.created_at, updated_at = excluded.updated_at,
    hash = excluded.hash, document = excluded.document, facets = excluded.facets,
    beneficiaries = excluded.beneficiaries, not_understood = excluded.not_understood,
    search = excluded.search
"""
"""Store records of feed $18 and move it on, from number $19 of epoch $20 to number $21 of epoch $22.

Without numbers ($19 to $22 null) the feed stays where it is. Where it is not at $19, no row is stored.
$23 to $25: the changes of its live records, of its records and of the bytes of their documents. $26: why each
record is not understood.
"""
INSERT = r"""
WITH incoming AS (
    SELECT * FROM unnest(
        $1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bool[], $7::timestamptz[],
        $8::timestamptz[], $9::bytea[], $10::bytea[], $11::text[], $12::text[], $13::text[], $14::int[],
        $15::bigint[], $26::text[]
    ) WITH ORDINALITY AS i(
        type, key, revision, tlp, audience, retracted, created_at, updated_at, hash, document, facets,
        beneficiaries, other, french, seq, not_understood, n
    )
),
texts AS MATERIALIZED (
    SELECT array_agg(to_tsvector('federation_french', regexp_replace(
        regexp_replace(text, 'ers\M', 'er', 'gi'), '[eé](e|s|es)\M', 'e', 'gi'
    )) ORDER BY n) AS words
    FROM unnest($16::text[]) WITH ORDINALITY AS t(text, n)
),
place AS MATERIALIZED (
    SELECT id, head, epoch FROM feeds
    WHERE id = $18::int
      -- Most feeds have no withdrawal and no rejected entry at all, which is looked for first.
      AND (
          NOT EXISTS (SELECT FROM withdrawals WHERE feed = $18 AND seq > 0)
          OR NOT EXISTS (
              SELECT FROM unnest($1::text[], $2::text[]) AS named(type, key)
              JOIN withdrawals AS w
                  ON w.feed = $18 AND w.type = named.type AND w.key = named.key AND w.seq > 0
          )
      )
      AND (
          NOT EXISTS (SELECT FROM rejected_entries WHERE feed = $18)
          OR NOT EXISTS (
              SELECT FROM unnest($1::text[], $2::text[]) AS named(type, key)
              JOIN rejected_entries AS r ON r.feed = $18 AND r.type = named.type AND r.key = named.key
          )
      )
    FOR NO KEY UPDATE
),
advanced AS (
    UPDATE feeds SET head = $21::bigint, epoch = $22::text, live = feeds.live + $23::bigint,
        records = feeds.records + $24::bigint, bytes = feeds.bytes + $25::bigint,
        remote_head = CASE
            WHEN place.epoch IS DISTINCT FROM $22::text THEN $21::bigint
            ELSE greatest(feeds.remote_head, $21::bigint)
        END
    FROM place
    WHERE feeds.id = place.id AND place.head = $19::bigint AND place.epoch IS NOT DISTINCT FROM $20::text
    RETURNING true AS moved
),
numbering AS (
    UPDATE node SET arrival = arrival + cardinality($1::text[]) FROM advanced WHERE advanced.moved
    RETURNING arrival - cardinality($1::text[]) AS base,
        node.epoch, node.arrival, node.trust, node.proved, node.published, node.arrivals_from
),
inserted AS (
    INSERT INTO records (
        type, origin, key, feed, seq, arrived, revision, tlp, audience, retracted,
        created_at, updated_at, hash, document, facets, beneficiaries, not_understood, search
    )
    SELECT i.type, $17::text, i.key, $18::int, i.seq, numbering.base + i.n,
           i.revision, i.tlp, i.audience, i.retracted, i.created_at, i.updated_at, i.hash, i.document,
           string_to_array(i.facets, E'\x1f'), string_to_array(i.beneficiaries, E'\x1f'),
           i.not_understood,
           setweight(to_tsvector('federation_french', regexp_replace(
               regexp_replace(split_part(i.other, E'\x1f', 2), 'ers\M', 'er', 'gi'),
               '[eé](e|s|es)\M', 'e', 'gi'
           )), 'A') || to_tsvector('federation_french', regexp_replace(
               regexp_replace(split_part(i.other, E'\x1f', 1), 'ers\M', 'er', 'gi'),
               '[eé](e|s|es)\M', 'e', 'gi'
           )) || texts.words[i.french] || to_tsvector('federation_simple', i.other)
    FROM incoming AS i CROSS JOIN texts CROSS JOIN numbering
)
SELECT epoch, arrival, trust, proved, published, arrivals_from FROM numbering
"""
"""Store records of feed $18 that are not stored yet and move it on, as ``UPSERT``; return the node's row.

It looks itself for withdrawals and rejected entries of these records, and so needs no statement before it and
no transaction around it: no row is returned where there are any, or where the feed is not at number $19 of
epoch $20. A record that is stored violates the primary key (SQLSTATE 23505).
"""
PURGE = """
WITH purged AS (
    SELECT p.*, feeds.origin FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[])
    WITH ORDINALITY AS p(type, key, seq, revision, n) JOIN feeds ON feeds.id = $1
),
numbering AS (
    UPDATE node SET arrival = arrival + cardinality($2::text[])
    RETURNING arrival - cardinality($2::text[]) AS base
),
deleted AS (
    DELETE FROM records USING purged
    WHERE records.type = purged.type AND records.origin = purged.origin AND records.key = purged.key
      AND coalesce(records.feed, 0) = $1  -- compared, and not searched by: a feed is long
    RETURNING records.retracted, octet_length(records.document) AS size
),
counted AS (
    UPDATE feeds SET records = feeds.records - gone.number, bytes = feeds.bytes - gone.size
    FROM (SELECT count(*) AS number, sum(size) AS size FROM deleted) AS gone
    WHERE id = $1 AND gone.number > 0
),
withdrawn AS (
    INSERT INTO withdrawals (feed, type, key, seq, arrived, revision)
    SELECT $1, purged.type, purged.key, purged.seq, numbering.base + purged.n, purged.revision
    FROM purged CROSS JOIN numbering
    ON CONFLICT (feed, type, key) DO UPDATE
    SET seq = excluded.seq, arrived = excluded.arrived, revision = excluded.revision, at = now()
)
SELECT count(*) FROM deleted WHERE NOT retracted
"""
"""Delete records that their origin withdrew from feed $1, and store the withdrawals in their place."""


class Advance(NamedTuple):
    """A move of a feed that is followed, from one number to another."""

    feed: int
    from_seq: int
    """The number up to which it has been pulled."""
    from_epoch: str | None
    to_seq: int
    to_epoch: str
    delta: int
    """Change of the number of live records."""
    records: int = 0
    """Change of the number of records, with tombstones."""
    size: int = 0
    """Change of the bytes of their documents."""


class PulledRecordsWriter:
    """Records of other origins, in a transaction that may change them.

    Numbers come last: commit right after.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    async def stored_revisions(
        self, origin: str, names: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], StoredRevision]:
        """The stored revisions of an origin's records, by (type, key)."""
        rows = await self._session.connection.fetch(
            STORED_REVISIONS, origin, [type_ for type_, _ in names], [key for _, key in names]
        )
        return {(row["type"], row["key"]): StoredRevision(*row) for row in rows}

    async def upsert(self, origin: str, advance: Advance, pulled: Sequence[tuple[Record, int]]) -> bool:
        """Store records, each with its number in the feed, and move the feed on.

        False if another process moved it in between; nothing is stored then. Raises Invalid when the database
        refuses a record, and SequenceConflict when another one has one of the numbers; the transaction must
        not be committed then.
        """
        with translated_errors(len(pulled)):
            tag: str = await self._session.connection.execute(
                UPSERT, *_columns(pulled), origin, *advance, _reasons(pulled)
            )
        return not tag.endswith(" 0")

    async def upsert_in_place(
        self,
        origin: str,
        feed: int,
        pulled: Sequence[tuple[Record, int]],
        *,
        records: int = 0,
        size: int = 0,
    ) -> None:
        """Store records as ``upsert`` does, of a feed that stays where it is.

        ``records`` and ``size``: the changes of the feed's records and of the bytes of their documents.
        """
        with translated_errors(len(pulled)):
            await self._session.connection.execute(
                UPSERT,
                *_columns(pulled),
                origin,
                feed,
                *(None, None, None, None),
                0,
                records,
                size,
                _reasons(pulled),
            )

    async def insert(
        self, origin: str, advance: Advance, pulled: Sequence[tuple[Record, int]]
    ) -> NodeState | None:
        """Store records as ``upsert`` does, in a transaction of its own, where all of them are new.

        Returns the node's row after it; None if another process moved the feed in between, or one of the
        records is withdrawn or rejected. Raises SequenceConflict when one of them is stored already. Nothing
        is stored then.
        """
        with translated_errors(len(pulled)):
            row = await self._session.connection.fetchrow(
                INSERT, *_columns(pulled), origin, *advance, _reasons(pulled)
            )
        return NodeState(*row) if row else None

    async def purge(self, feed: int, withdrawn: Sequence[tuple[str, str, int, int]]) -> int:
        """Delete withdrawn records, (type, key, seq, revision), and store their withdrawals.

        Returns how many were live. Raises SequenceConflict when another entry has one of the numbers.
        """
        try:
            live: int = await self._session.connection.fetchval(
                PURGE, feed, *([withdrawal[i] for withdrawal in withdrawn] for i in range(4))
            )
        except asyncpg.UniqueViolationError as error:
            raise SequenceConflict from error
        return live


def _columns(pulled: Sequence[tuple[Record, int]]) -> tuple[list[Any], ...]:
    columns, texts = record_columns([record for record, _ in pulled])
    return *columns, [seq for _, seq in pulled], texts


def _reasons(pulled: Sequence[tuple[Record, int]]) -> list[str | None]:
    return [record.not_understood for record, _ in pulled]
