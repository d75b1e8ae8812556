"""Imports of uploaded files: as one of a source, or on their own."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import msgspec

from federation.domain.errors import Conflict, Invalid, TooLarge
from federation.domain.formats.columns import Suggestion, suggest
from federation.domain.formats.sheets.mapping import Mapping
from federation.domain.formats.spreadsheets import read_sheet
from federation.domain.sources.kinds import kind_of, read_options
from federation.domain.sources.labels import narrowest
from federation.domain.sources.report import RunReport
from federation.domain.sources.source import MEBIBYTE, ImportSource, SourceSettings
from federation.domain.sources.uploaded import UploadedFile
from federation.domain.visibility import Caller, Tlp
from federation.node import sources
from federation.node.node import Node
from federation.node.source_runs import SourceRun, alone
from federation.node.sources import UPLOADS


class FileImport(msgspec.Struct, frozen=True, kw_only=True):
    """An uploaded file, and how it is to be imported."""

    source: str | None = None
    """The source that the file is of; None for a file on its own, of the kind that is named."""
    kind: str | None = None
    options: dict[str, Any] | None = None
    """In place of those of the source."""
    tlp: Tlp | None = None
    """A label beside that of the source: the narrower one counts."""
    audience: str | None = None
    dry_run: bool = False
    replaces: bool = False
    """Whether what the file no longer has is retracted, as the dry run of the digest has shown."""
    digest: str | None = None


async def suggest_columns(file: UploadedFile) -> Suggestion | None:
    """The meaning of the columns of a spreadsheet, as chosen or as suggested; None for another file.

    Raises Invalid.
    """
    if kind_of(file.kind).options is not Mapping:
        return None
    saved: Mapping = read_options(kind_of(file.kind), msgspec.json.decode(file.options))
    return await asyncio.to_thread(_suggest, file.raw, saved)


def _suggest(raw: bytes, saved: Mapping) -> Suggestion:
    return suggest(read_sheet(raw, saved.sheet), saved=saved)


async def import_file(node: Node, raw: bytes, file: FileImport, *, by: Caller) -> RunReport:
    """Import an uploaded file. Raises Refused; nothing was changed then.

    What a file on its own does not have has not disappeared: it may be in the next one.
    """
    if file.source is None and file.replaces:
        raise Invalid(
            "only the file of a source replaces its records: name the source",
            pointer="?source",
            fault="missing",
        )
    name = file.source or await _source_of_uploads(node, file, by)
    absent = _imagined(node, name, file.kind) if file.source is None and file.kind is not None else None
    async with alone(node, name, absent) as source:
        if file.kind is not None and file.kind != source.kind:
            raise Invalid(
                "the source {name} is of the kind {kind}", pointer="?as", name=name, kind=source.kind
            )
        if len(raw) > source.quota.mebibytes * MEBIBYTE:
            raise TooLarge(
                "the quota of the source is {maximum} mebibytes for one file", maximum=source.quota.mebibytes
            )
        label = narrowest(*(label for label in (source.tlp, file.tlp) if label is not None))
        used = msgspec.structs.replace(
            source,
            options=source.options if file.options is None else file.options,
            tlp=label,
            audience=source.audience or file.audience,
        )
        run = SourceRun(node, used, "upload", by, dry_run=file.dry_run)
        report = await run.read(raw, replaces=file.replaces, digest=file.digest, partial=file.source is None)
        return await run.store(report, None)


async def _source_of_uploads(node: Node, file: FileImport, by: Caller) -> str:
    """The name of the source of files of a kind that are uploaded on their own; added with the first one."""
    if file.kind is None:
        raise Invalid(
            "name the kind of the file, or the source that it is of", pointer="?as", fault="missing"
        )
    kind_of(file.kind)
    name = f"{UPLOADS}{file.kind}"
    async with node.store.read() as tx:
        is_there = await tx.sources.find(name) is not None
    if not is_there and not file.dry_run:
        with suppress(Conflict):  # somebody else was faster
            await sources.add(node, SourceSettings(name=name, kind=file.kind), by=by)
    return name


def _imagined(node: Node, name: str, kind: str) -> ImportSource:
    """A source that is not stored: a dry run adds none."""
    settings = msgspec.structs.asdict(SourceSettings(name=name, kind=kind))
    return ImportSource(
        **settings,
        state="active",
        created_at=node.clock(),
        next_at=None,
        last_run_at=None,
        last_success_at=None,
        failures=0,
        failing_since=None,
        reason=None,
        reason_fr=None,
        has_secret=False,
        records=0,
        disappeared=0,
    )
