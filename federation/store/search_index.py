"""Make the index values of stored records anew after an upgrade, and collect the words that they have.

1. ``search_index`` says with which version of the index values the records were written, or, as a negative
   number, are being written, and how far the change log has been read. Its row is locked for each step, so
   that one process works at a time.
2. A step reads the next records in the order of the change log, makes their values from the stored document,
   and stores both them and how far it came in one transaction. A node that is stopped goes on where it was.
3. Records that a writer has locked are left for the next step: a step waits for nobody. What a writer stores
   meanwhile has a higher local sequence, and the present values.
4. Words of names, titles and summaries are collected in the same way, for ever: suggestions are made of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from federation.domain.record_reading import project_stored
from federation.domain.words import INDEX_VERSION, dictionary_words
from federation.store.statements import Session

STEP_RECORDS = 250
"""Records that one step reads: 10 to 50 ms."""
MAX_WORDS = 100_000
"""Words that are collected, at most: French has fewer in use, and a hostile peer may send more."""
MAX_STEP_WORDS = 5_000
"""Words that one step stores."""

_LOCK = "SELECT version, position, until, learned FROM search_index FOR UPDATE SKIP LOCKED"
_HAS_ROW = "SELECT EXISTS (SELECT FROM search_index)"
"""Asked first: to add a row would wait for the process that has it locked."""
_ADD_ROW = "INSERT INTO search_index DEFAULT VALUES ON CONFLICT DO NOTHING"
_READ_NEWEST = "SELECT arrival FROM node"
_READ_STATE = "SELECT version, position, until FROM search_index"
_READ_BATCH = """
SELECT arrived, type, origin, key, document FROM records
WHERE arrived > $1 AND arrived <= $2 AND not_understood IS NULL ORDER BY arrived LIMIT $3
"""
_READ_TITLED = """
SELECT arrived, type, origin, CASE WHEN type NOT IN ('deployment', 'statement') THEN document END AS document
FROM records
WHERE arrived > $1 AND arrived <= $2 AND not_understood IS NULL ORDER BY arrived LIMIT $3
"""
UPDATE = r"""
WITH incoming AS (
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[])
    AS i(arrived, facets, beneficiaries, other, french)
),
unlocked AS MATERIALIZED (
    SELECT records.arrived FROM records JOIN incoming ON incoming.arrived = records.arrived
    FOR NO KEY UPDATE OF records SKIP LOCKED
)
UPDATE records SET
    facets = string_to_array(i.facets, E'\x1f'), beneficiaries = string_to_array(i.beneficiaries, E'\x1f'),
    search = setweight(to_tsvector('federation_french', regexp_replace(
        regexp_replace(split_part(i.other, E'\x1f', 2), 'ers\M', 'er', 'gi'), '[eé](e|s|es)\M', 'e', 'gi'
    )), 'A') || to_tsvector('federation_french', regexp_replace(
        regexp_replace(split_part(i.other, E'\x1f', 1), 'ers\M', 'er', 'gi'), '[eé](e|s|es)\M', 'e', 'gi'
    )) || to_tsvector('federation_french', regexp_replace(
        regexp_replace(i.french, 'ers\M', 'er', 'gi'), '[eé](e|s|es)\M', 'e', 'gi'
    )) || to_tsvector('federation_simple', i.other)
FROM incoming AS i JOIN unlocked ON unlocked.arrived = i.arrived
WHERE records.arrived = i.arrived
RETURNING records.arrived
"""
_FIND_PRESENT = "SELECT min(arrived) FROM records WHERE arrived = ANY($1::bigint[])"
"""A record that was written again has another local sequence, and needs nothing more."""
_ADVANCE = "UPDATE search_index SET version = $1, position = $2, until = $3"
_ADVANCE_LEARNED = "UPDATE search_index SET learned = $1"
_ADD_WORDS = """
INSERT INTO search_words (word, written)
SELECT * FROM unnest($1::text[], $2::text[])
WHERE (SELECT count(*) FROM search_words) < $3
ON CONFLICT DO NOTHING
"""
_HAS_SIMILARITY = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm')"
_SIMILAR = """
SELECT asked.n, nearest.written FROM unnest($1::text[]) WITH ORDINALITY AS asked(word, n)
CROSS JOIN LATERAL (
    SELECT written FROM search_words
    WHERE word % asked.word AND word <> asked.word AND similarity(word, asked.word) >= $2
        AND NOT EXISTS (SELECT FROM search_words WHERE word = asked.word)
    ORDER BY similarity(word, asked.word) DESC, word LIMIT 1
) AS nearest
"""


class IndexProgress(NamedTuple):
    """How far the index values of earlier programs have been made anew."""

    remaining: int
    """Changes of the change log that are still to be read, at most; 0 when it is done."""
    changed: int = 0
    """Records that the step has written."""
    is_blocked: bool = False
    """True where another process does it, or a writer has locked the next record."""


class SearchIndexReader:
    """The state of the index values, and words that are like others."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def remaining(self) -> int:
        """Changes that are still to be read for values of this version, at most."""
        connection = self._session.connection
        row = await connection.fetchrow(_READ_STATE)
        newest: int = await connection.fetchval(_READ_NEWEST)
        if row is None:
            return newest
        position, until = int(row["position"]), int(row["until"])
        if row["version"] == -INDEX_VERSION:
            return max(until - position, 1)
        return 0 if row["version"] == INDEX_VERSION else newest

    async def similar_words(self, words: list[str], least: float) -> dict[int, str]:
        """For places of words that no record has, the most similar word of a record.

        Empty where PostgreSQL has no ``pg_trgm``.
        """
        connection = self._session.connection
        if not words or not await connection.fetchval(_HAS_SIMILARITY):
            return {}
        return {row["n"] - 1: row["written"] for row in await connection.fetch(_SIMILAR, words, least)}


class SearchIndexWriter(SearchIndexReader):
    """Steps that make index values anew and collect words; each is a transaction."""

    async def refresh(self, limit: int = STEP_RECORDS) -> IndexProgress:
        """Make the values of the next records, if they were written by an earlier program."""
        connection = self._session.connection
        row = await self._lock()
        if row is None:
            return IndexProgress(await self.remaining(), is_blocked=True)
        version, position, until, _ = row
        if version == INDEX_VERSION:
            return IndexProgress(0)
        if version != -INDEX_VERSION:
            # Begin: what is written from now on has the present values.
            version, position, until = -INDEX_VERSION, 0, await connection.fetchval(_READ_NEWEST)
        batch = await connection.fetch(_READ_BATCH, position, until, limit)
        values = _values(batch)
        asked: list[int] = values[0]
        changed = {row["arrived"] for row in await connection.fetch(UPDATE, *values)} if asked else set()
        reached = batch[-1]["arrived"] if batch else until
        missed = [arrived for arrived in asked if arrived not in changed]
        blocked = await connection.fetchval(_FIND_PRESENT, missed) if missed else None
        if blocked is not None:
            reached = blocked - 1
        done = not batch
        await connection.execute(_ADVANCE, INDEX_VERSION if done else version, reached, until)
        return IndexProgress(0 if done else max(until - reached, 1), len(changed), blocked is not None)

    async def _lock(self) -> Any:
        row = await self._session.connection.fetchrow(_LOCK)
        if row is None and not await self._session.connection.fetchval(_HAS_ROW):
            await self._session.connection.execute(_ADD_ROW)
            row = await self._session.connection.fetchrow(_LOCK)
        return row

    async def learn(self, limit: int = STEP_RECORDS) -> bool:
        """Collect the words of the next records. Returns True if there are more to read."""
        connection = self._session.connection
        row = await self._lock()
        if row is None:
            return False
        newest = await connection.fetchval(_READ_NEWEST)
        batch = await connection.fetch(_READ_TITLED, row["learned"], newest, limit)
        words: dict[str, str] = {}
        for record in batch:
            if record["document"] is not None:
                values = project_stored(record["document"], record["type"], record["origin"])
                for word, written in dictionary_words(values.french, values.other) if values else ():
                    words.setdefault(word, written)
        if words:
            listed = sorted(words)[:MAX_STEP_WORDS]
            await connection.execute(_ADD_WORDS, listed, [words[word] for word in listed], MAX_WORDS)
        reached = batch[-1]["arrived"] if batch else newest
        if reached != row["learned"]:
            await connection.execute(_ADVANCE_LEARNED, reached)
        return len(batch) == limit


def _values(batch: Iterable[Any]) -> tuple[list[Any], ...]:
    """Columns of the values of the records that have some: tombstones have none."""
    columns: tuple[list[Any], ...] = ([], [], [], [], [])
    for record in batch:
        values = project_stored(record["document"], record["type"], record["origin"])
        if values is not None:
            columns[0].append(record["arrived"])
            columns[1].append("\x1f".join(values.facets))
            columns[2].append("\x1f".join(values.beneficiaries))
            columns[3].append(values.other)
            columns[4].append(values.french)
    return columns
