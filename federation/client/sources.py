"""Sources of records, and the import of files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from federation.client.sender import JSON, Sender
from federation.domain.sources.report import RunReport
from federation.domain.sources.source import AddedSource, ImportSource, SourceChange, SourceSettings
from federation.domain.visibility import Tlp

BYTES = "application/octet-stream"


class _Sources(msgspec.Struct):
    sources: tuple[ImportSource, ...]


class _Runs(msgspec.Struct):
    runs: tuple[RunReport, ...]


class Sources:
    """The sources of the operator's records."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    async def list(self) -> tuple[ImportSource, ...]:
        """All sources, by name, with their last runs and the next ones."""
        return (await self._sender.decoded(_Sources, "GET", "/v1/sources")).sources

    async def get(self, name: str) -> ImportSource:
        """A source. Raises NotFound."""
        return await self._sender.decoded(ImportSource, "GET", _path(name))

    async def add(self, new: SourceSettings) -> AddedSource:
        """Add a source; the secret of one that is pushed to is returned this once."""
        return await self._sender.decoded(AddedSource, "POST", "/v1/sources", idempotent=False, **_json(new))

    async def change(self, name: str, change: SourceChange) -> ImportSource:
        """Pause or resume a source, or give it another interval. Raises NotFound."""
        return await self._sender.decoded(ImportSource, "PATCH", _path(name), **_json(change))

    async def remove(self, name: str) -> None:
        """Remove a source. Its records stay. Raises NotFound."""
        await self._sender.send("DELETE", _path(name))

    async def run(self, name: str, *, dry_run: bool = False) -> RunReport:
        """Run a polled source now. A failure is a report, too. Raises NotFound, Conflict."""
        parameters = (("dry_run", "true"),) if dry_run else ()
        return await self._sender.decoded(
            RunReport, "POST", f"{_path(name)}/runs", parameters=parameters, idempotent=True
        )

    async def runs(self, name: str) -> tuple[RunReport, ...]:
        """The last runs, newest first, without their lines. Raises NotFound."""
        return (await self._sender.decoded(_Runs, "GET", f"{_path(name)}/runs")).runs

    async def report(self, name: str, number: int) -> RunReport:
        """The report of a run. Raises NotFound."""
        return await self._sender.decoded(RunReport, "GET", f"{_path(name)}/runs/{number}")

    async def import_file(
        self,
        raw: bytes,
        *,
        kind: str | None = None,
        source: str | None = None,
        options: Mapping[str, Any] | None = None,
        tlp: Tlp | None = None,
        audience: str | None = None,
        dry_run: bool = False,
        replace: bool = False,
        digest: str | None = None,
    ) -> RunReport:
        """Import a file, on its own as a kind or as one of a source. Raises Invalid, Conflict."""
        given = {
            "as": kind,
            "source": source,
            "options": None if options is None else msgspec.json.encode(options).decode(),
            "tlp": tlp,
            "audience": audience,
            "dry_run": "true" if dry_run else None,
            "replace": "true" if replace else None,
            "digest": digest,
        }
        return await self._sender.decoded(
            RunReport,
            "POST",
            "/v1/imports",
            parameters=tuple((name, value) for name, value in given.items() if value is not None),
            content=raw,
            headers={"content-type": BYTES},
            idempotent=True,
        )


def _path(name: str) -> str:
    return f"/v1/sources/{quote(name, safe='')}"


def _json(value: Any) -> dict[str, Any]:
    return {"content": msgspec.json.encode(value), "headers": {"content-type": JSON}}
