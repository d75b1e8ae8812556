"""The command that publishes the records of an export again: ``federation import-records --help``.

All files are read twice: first every hash is compared with the manifest, and nothing is published of an
export that was changed or cut off.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from federation.cli.console import command, json_option, message_of, node_here, print_result
from federation.domain.document import MAX_DOCUMENT
from federation.domain.errors import CommandFailed, Refused
from federation.domain.record_files import (
    IN_ORDER,
    MANIFEST,
    MAX_MANIFEST_BYTES,
    Manifest,
    RecordFile,
    Renaming,
    read_manifest,
)
from federation.node import own_records
from federation.node.own_records import PAGE_RECORDS, Copy, Outcome, Restored, read_copy

OUTCOMES: tuple[Outcome, ...] = ("published", "revised", "unchanged", "skipped", "refused")
UNLISTED: tuple[Outcome, ...] = ("published", "revised", "unchanged")


@click.command("import-records")
@click.argument("directory", type=click.Path(exists=True, path_type=Path, file_okay=False))
@click.option("--dry-run", is_flag=True, help="Change nothing, and say what would become of each record.")
@click.option(
    "--from", "renamed_from", metavar="OPERATOR",
    help="Take over the export of another operator: its records become records of this node's operator.",
)  # fmt: skip
@click.option("--verbose", is_flag=True, help="List every record, not only those left out.")
@json_option
@command
async def import_records(
    directory: Path, dry_run: bool, renamed_from: str | None, verbose: bool, as_json: bool
) -> None:
    """Publish the records of an export (`federation export`) at this node.

    A record that is here and says the same is left as it is, and so is one that was changed here after the
    export: importing again changes nothing. Records keep their keys and labels; revisions and times are those
    of this node. The exit status is 1 when a record was refused.
    """
    counts: Counter[str] = Counter()
    left_out: list[dict[str, str]] = []
    async with node_here() as node:
        manifest, names = _read(directory)
        renaming = _renaming(manifest, node.operator, renamed_from, names)
        files = {file.type: file for file in manifest.files}
        for kind in IN_ORDER:
            file = files.pop(kind.type, None)
            for batch in _batches(directory, file) if file is not None else ():
                copies: list[Copy] = []
                results: list[Restored] = []
                for number, line in batch:
                    try:
                        copies.append(read_copy(line, kind, manifest.operator, renaming))
                    except Refused as error:
                        results.append(Restored("refused", f"line {number}", message_of(error)))
                results += await own_records.restore(node, kind, copies, dry_run=dry_run)
                for result in results:
                    counts[result.outcome] += 1
                    if result.outcome not in UNLISTED:
                        left_out.append({"type": kind.type, **result._asdict()})
                    if not as_json and (verbose or result.outcome not in UNLISTED):
                        click.echo(f"{result.outcome}  {kind.type} {result.key}  {result.reason}".rstrip())
        for file in files.values():
            counts["skipped"] += file.records
            reason = f"this version does not know the type {file.type}"
            left_out.append({"type": file.type, "outcome": "skipped", "key": file.name, "reason": reason})
            if not as_json:
                click.echo(f"skipped  {file.name}  {reason}")
    summary: dict[str, Any] = {outcome: counts[outcome] for outcome in OUTCOMES}
    words = ", ".join(f"{outcome} {number}" for outcome, number in summary.items())
    print_result(
        {"dry_run": dry_run, "operator": manifest.operator, "summary": summary, "left_out": left_out},
        as_json,
        lambda: click.echo(f"{'would be ' if dry_run else ''}{words}"),
    )
    if counts["refused"]:
        sys.exit(1)


def _renaming(
    manifest: Manifest, own: str, renamed_from: str | None, names: frozenset[str]
) -> Renaming | None:
    """The change of the operator's id. Raises CommandFailed where it was not asked for."""
    if renamed_from is not None and renamed_from != manifest.operator:
        raise CommandFailed(f"this is an export of {manifest.operator}, not of {renamed_from}")
    if manifest.operator == own:
        return None
    if renamed_from is None:
        raise CommandFailed(
            f"this is an export of {manifest.operator}, and this is the node of {own}, which writes its own"
            f" records only; to take them over as records of {own}, add --from {manifest.operator}"
        )
    return Renaming(manifest.operator, own, names)


def _read(directory: Path) -> tuple[Manifest, frozenset[str]]:
    """The manifest, and the keys of all records. Raises CommandFailed unless every file is as it says."""
    path = directory / MANIFEST
    if not path.exists():
        raise CommandFailed(f"{directory} has no {MANIFEST}: it is no export, or one that was not finished")
    with path.open("rb") as opened:
        raw = opened.read(MAX_MANIFEST_BYTES + 1)
    if len(raw) > MAX_MANIFEST_BYTES:
        raise CommandFailed(f"{path} is longer than {MAX_MANIFEST_BYTES} bytes")
    try:
        manifest = read_manifest(raw)
    except Refused as error:
        raise CommandFailed(f"{path}: {message_of(error)}") from None
    keys: set[str] = set()
    for file in manifest.files:
        keys |= _check(directory / file.name, file)
    return manifest, frozenset(keys)


def _check(path: Path, file: RecordFile) -> set[str]:
    """The keys in a file. Raises CommandFailed where it is not the file of the manifest."""
    digest, records, keys = hashlib.sha256(), 0, set()
    for line in _lines(path):
        digest.update(line)
        records += 1
        keys.add(own_records.key_of(line))
    if (digest.hexdigest(), records) != (file.sha256, file.records):
        raise CommandFailed(
            f"{path} is not the file that the manifest names: it was changed or cut off; nothing was imported"
        )
    return keys


def _batches(directory: Path, file: RecordFile) -> Iterator[list[tuple[int, bytes]]]:
    batch: list[tuple[int, bytes]] = []
    for entry in enumerate(_lines(directory / file.name), 1):
        batch.append(entry)
        if len(batch) == PAGE_RECORDS:
            yield batch
            batch = []
    if batch:
        yield batch


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a file; a document has a megabyte at most."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as opened:
            while line := opened.readline(MAX_DOCUMENT + 2):
                if len(line) > MAX_DOCUMENT + 1:
                    raise CommandFailed(f"{path} has a line that is longer than {MAX_DOCUMENT} bytes")
                yield line
    except OSError as error:
        raise CommandFailed(f"{path} cannot be read: {error.strerror}") from None
