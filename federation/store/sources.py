"""Sources, stored, and the reports of their runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from federation.domain.messages import LANGUAGES, Message
from federation.domain.sources.report import MAX_RUNS, RunReport
from federation.domain.sources.source import (
    HttpState,
    ImportSource,
    SourceQuota,
    SourceSettings,
)
from federation.store.statements import Session

_SOURCE = """
SELECT name, kind, url, every, options, tlp, audience, private, quota, state, created_at, next_at,
    last_run_at, last_success_at, failures, failing_since, reason, reason_fr,
    secret_hash IS NOT NULL AS has_secret,
    (SELECT count(*) FROM source_items AS i WHERE i.source = sources.name) AS records,
    (SELECT count(*) FROM source_items AS i
        WHERE i.source = sources.name AND disappeared_at IS NOT NULL) AS disappeared
FROM sources
"""
_ALL = f"{_SOURCE} ORDER BY name"
_FIND = f"{_SOURCE} WHERE name = $1"
_DUE = "SELECT name FROM sources WHERE next_at <= $1 AND state = 'active' ORDER BY next_at LIMIT $2"
_FAILING = f"{_SOURCE} WHERE failures >= $1 ORDER BY name"
_SECRET = "SELECT secret_hash FROM sources WHERE name = $1"  # noqa: S105 - the statement, and no secret
_HTTP_STATE = "SELECT etag, last_modified FROM sources WHERE name = $1"
_MEMORY = "SELECT memory FROM sources WHERE name = $1"
_COUNT_RUNS = "SELECT count(*) FROM source_runs WHERE source = $1 AND ended_at > $2"
_RUNS = "SELECT report FROM source_runs WHERE source = $1 ORDER BY number DESC LIMIT $2"
_RUN = "SELECT report FROM source_runs WHERE source = $1 AND number = $2"
_LOCK = "LOCK TABLE sources IN SHARE ROW EXCLUSIVE MODE"
_ADD = """
INSERT INTO sources
    (name, kind, url, every, options, tlp, audience, private, quota, secret_hash, created_at, next_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""
_CHANGE = "UPDATE sources SET state = $2, every = $3, next_at = $4 WHERE name = $1"
_SET_SECRET = "UPDATE sources SET secret_hash = $2 WHERE name = $1"  # noqa: S105 - the statement, and no secret
_SET_MEMORY = "UPDATE sources SET memory = $2 WHERE name = $1"
_REMOVE = "DELETE FROM sources WHERE name = $1"
_SUCCEEDED = """
UPDATE sources SET runs = runs + 1, last_run_at = $2, last_success_at = $2, failures = 0,
    failing_since = NULL, reason = NULL, reason_fr = NULL,
    next_at = CASE WHEN state = 'active' THEN $3::timestamptz END, etag = $4, last_modified = $5
WHERE name = $1 RETURNING runs
"""
_FAILED = """
UPDATE sources SET runs = runs + 1, last_run_at = $2, failures = failures + 1,
    failing_since = coalesce(failing_since, $2), reason = $4, reason_fr = $5,
    next_at = CASE WHEN state = 'active' THEN $3::timestamptz END
WHERE name = $1 RETURNING runs
"""
_DELIVERED = """
UPDATE sources SET last_run_at = $2, last_success_at = $2, failures = 0, failing_since = NULL, reason = NULL,
    reason_fr = NULL
WHERE name = $1
"""
_SILENT = """
UPDATE sources SET failures = $3, failing_since = coalesce(failing_since, $2), reason = $4, reason_fr = $5
WHERE name = $1 AND failures < $3
"""
_ADD_RUN = "INSERT INTO source_runs (source, number, ended_at, report) VALUES ($1, $2, $3, $4)"
_DROP_RUNS = "DELETE FROM source_runs WHERE source = $1 AND number <= $2"
_report = msgspec.json.Decoder(RunReport)
_quota = msgspec.json.Decoder(SourceQuota)


class SourcesReader:
    """Sources and their runs, for reading."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def all(self) -> tuple[ImportSource, ...]:
        """Every source, by name."""
        return tuple(_to_source(row) for row in await self._session.connection.fetch(_ALL))

    async def find(self, name: str) -> ImportSource | None:
        row = await self._session.connection.fetchrow(_FIND, name)
        return None if row is None else _to_source(row)

    async def due(self, now: datetime, limit: int) -> tuple[str, ...]:
        """The names of active sources whose next run is due, the one that has waited longest first."""
        return tuple(row[0] for row in await self._session.connection.fetch(_DUE, now, limit))

    async def failing(self, failures: int) -> tuple[ImportSource, ...]:
        """Sources that failed so often in a row, at least."""
        return tuple(_to_source(row) for row in await self._session.connection.fetch(_FAILING, failures))

    async def secret_hash(self, name: str) -> bytes | None:
        value: bytes | None = await self._session.connection.fetchval(_SECRET, name)
        return value

    async def http_state(self, name: str) -> HttpState:
        row = await self._session.connection.fetchrow(_HTTP_STATE, name)
        return HttpState() if row is None else HttpState(*row)

    async def memory(self, name: str) -> bytes | None:
        """What the reader of a source stored last (JSON)."""
        value: bytes | None = await self._session.connection.fetchval(_MEMORY, name)
        return value

    async def runs_since(self, name: str, since: datetime) -> int:
        """How many runs ended since then, of those that are stored."""
        return int(await self._session.connection.fetchval(_COUNT_RUNS, name, since))

    async def runs(self, name: str, limit: int = MAX_RUNS) -> tuple[RunReport, ...]:
        """The last runs, newest first."""
        rows = await self._session.connection.fetch(_RUNS, name, limit)
        return tuple(_report.decode(row[0]) for row in rows)

    async def run(self, name: str, number: int) -> RunReport | None:
        stored = await self._session.connection.fetchval(_RUN, name, number)
        return None if stored is None else _report.decode(stored)


class SourcesWriter(SourcesReader):
    """Sources and their runs, in a transaction that may change them."""

    async def lock(self) -> None:
        """No source is added or changed by others until the commit."""
        await self._session.connection.execute(_LOCK)

    async def add(
        self, new: SourceSettings, secret_hash: bytes | None, now: datetime, next_at: datetime | None
    ) -> None:
        await self._session.connection.execute(
            _ADD,
            new.name,
            new.kind,
            new.url,
            new.every,
            msgspec.json.encode(new.options),
            new.tlp,
            new.audience,
            new.private,
            msgspec.json.encode(new.quota),
            secret_hash,
            now,
            next_at,
        )

    async def change(self, name: str, state: str, every: int | None, next_at: datetime | None) -> None:
        await self._session.connection.execute(_CHANGE, name, state, every, next_at)

    async def set_secret(self, name: str, secret_hash: bytes) -> None:
        await self._session.connection.execute(_SET_SECRET, name, secret_hash)

    async def set_memory(self, name: str, memory: bytes) -> None:
        await self._session.connection.execute(_SET_MEMORY, name, memory)

    async def remove(self, name: str) -> None:
        """Remove a source, what it gave and its reports. Its records stay."""
        await self._session.connection.execute(_REMOVE, name)

    async def note_success(self, report: RunReport, next_at: datetime | None, state: HttpState) -> int | None:
        """Store the report of a run that succeeded. Returns its number; None where the source is gone."""
        number = await self._session.connection.fetchval(
            _SUCCEEDED, report.source, report.ended_at, next_at, state.etag, state.last_modified
        )
        return await self._add_run(report, number)

    async def note_failure(self, report: RunReport, next_at: datetime | None) -> int | None:
        """Store the report of a run that failed. Returns its number; None where the source is gone."""
        number = await self._session.connection.fetchval(
            _FAILED, report.source, report.ended_at, next_at, report.reason, report.reason_fr
        )
        return await self._add_run(report, number)

    async def note_delivery(self, name: str, now: datetime) -> None:
        """Note the time of a delivery that changed nothing; it has no report."""
        await self._session.connection.execute(_DELIVERED, name, now)

    async def note_silence(self, name: str, since: datetime, failures: int, reason: Message) -> None:
        """Note that a source of events is silent, as if it had failed so often."""
        await self._session.connection.execute(
            _SILENT, name, since, failures, *(reason.to_text(language) for language in LANGUAGES)
        )

    async def _add_run(self, report: RunReport, number: int | None) -> int | None:
        if number is None:
            return None
        raw = msgspec.json.encode(msgspec.structs.replace(report, number=number))
        await self._session.connection.execute(_ADD_RUN, report.source, number, report.ended_at, raw)
        await self._session.connection.execute(_DROP_RUNS, report.source, number - MAX_RUNS)
        return number


def _to_source(row: Any) -> ImportSource:
    members = dict(row)
    members["options"] = msgspec.json.decode(members["options"])
    members["quota"] = _quota.decode(members["quota"])
    return ImportSource(**members)
