"""Advisories that an import has read, so that the next one need not read them again.

A row says what came of an advisory, and of which solutions, options and program that is true (its *basis*).
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple

import msgspec

from federation.store.statements import Session

MAX_READ_ADVISORIES = 400_000
"""Advisories of one form that are remembered."""
SLICE = 2_000
"""Own incidents that are read at once."""
_LIST = "SELECT sha256, incidents, skipped, state FROM read_advisories WHERE form = $1 AND basis = $2"
_FORGET = "DELETE FROM read_advisories WHERE form = $1 AND basis <> $2"
_STORE = """
INSERT INTO read_advisories (form, basis, sha256, incidents, skipped, state)
SELECT $1, $2, * FROM unnest($3::bytea[], $4::int[], $5::int[], $6::bytea[])
ON CONFLICT (form, sha256) DO UPDATE SET
    basis = excluded.basis, incidents = excluded.incidents, skipped = excluded.skipped, state = excluded.state
"""
_LIST_SOLUTIONS = """
SELECT origin, key, hash FROM records
WHERE type = 'solution' AND (origin, key) > ($1, $2) ORDER BY origin, key LIMIT $3
"""
_COUNT_RETRACTED = """
SELECT count(*), coalesce(max(arrived), 0) FROM records
WHERE type = 'incident' AND origin = $1 AND retracted
"""
_LIST_INCIDENTS = """
SELECT key, hash, document FROM records
WHERE type = 'incident' AND origin = $1 AND key > $2 AND NOT retracted ORDER BY key LIMIT $3
"""


class ReadAdvisory(NamedTuple):
    """What came of an advisory."""

    incidents: int
    skipped: int
    """Vulnerabilities that concern no solution known here."""
    state: bytes
    """Hash of its incidents as they were then; empty where there are none."""


class _Source(msgspec.Struct):
    sha256: str | None = None


class _Content(msgspec.Struct):
    source: _Source | None = None


class _Incident(msgspec.Struct):
    content: _Content | None = None


_decoder = msgspec.json.Decoder(_Incident)


class ReadAdvisoriesReader:
    """Advisories that were read, and what their outcome rests on."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def all(self, form: str, basis: bytes) -> dict[bytes, ReadAdvisory]:
        """The advisories of this basis, by the SHA-256 of their bytes."""
        rows = await self._session.connection.fetch(_LIST, form, basis)
        return {row[0]: ReadAdvisory(row[1], row[2], row[3]) for row in rows}

    async def catalogue_digest(self, operator: str) -> bytes:
        """A hash of all solutions that are stored here, and of the incidents that the operator retracted."""
        digest = hashlib.sha256()
        after = ("", "")
        while rows := await self._session.connection.fetch(_LIST_SOLUTIONS, *after, SLICE):
            for row in rows:
                digest.update(f"{row[0]}/{row[1]} ".encode() + row[2])
            after = rows[-1][0], rows[-1][1]
        retracted = await self._session.connection.fetchrow(_COUNT_RETRACTED, operator)
        digest.update(f"{retracted[0]} {retracted[1]}".encode())
        return digest.digest()

    async def incident_states(self, operator: str) -> dict[bytes, bytes]:
        """By the SHA-256 of an advisory: a hash of the incidents of this operator that were made of it."""
        states: dict[bytes, bytes] = {}
        async for key, record, source in self._sources(operator):
            before = states.get(source, b"")
            states[source] = hashlib.sha256(before + key.encode() + record).digest()
        return states

    async def _sources(self, operator: str) -> AsyncIterator[tuple[str, bytes, bytes]]:
        """Own incidents in the order of their keys: key, hash of the record, hash of the advisory."""
        after = ""
        while rows := await self._session.connection.fetch(_LIST_INCIDENTS, operator, after, SLICE):
            for key, record, document in rows:
                content = _decoder.decode(document).content
                if content is not None and content.source is not None and content.source.sha256:
                    yield key, record, bytes.fromhex(content.source.sha256)
            after = rows[-1][0]


class ReadAdvisoriesWriter(ReadAdvisoriesReader):
    """Advisories that were read, in a transaction that may change them."""

    async def forget_others(self, form: str, basis: bytes) -> None:
        """Delete those of another basis: solutions or options have changed since."""
        await self._session.connection.execute(_FORGET, form, basis)

    async def store(self, form: str, basis: bytes, read: Iterable[tuple[bytes, ReadAdvisory]]) -> None:
        rows = list(read)
        await self._session.connection.execute(
            _STORE,
            form,
            basis,
            [sha256 for sha256, _ in rows],
            [advisory.incidents for _, advisory in rows],
            [advisory.skipped for _, advisory in rows],
            [advisory.state for _, advisory in rows],
        )
