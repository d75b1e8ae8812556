"""The command that writes all records of the operator to files: ``federation export --help``.

1. Each type of record is read page by page, in the order of keys, and appended to its file.
2. After each page the file is flushed to the disk, and then the state is noted. An export that was
   interrupted goes on behind the last page that was noted: what stands after it is cut off.
3. At the end the manifest is written, and the state is removed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import click
import msgspec

import federation
from federation.cli.console import command, json_option, node_here, print_result
from federation.domain.errors import CommandFailed
from federation.domain.record_content import Content
from federation.domain.record_files import IN_ORDER, MANIFEST, PROGRESS, Manifest, Progress, RecordFile
from federation.domain.values import as_instant
from federation.node import own_records
from federation.node.node import Node

READ_BYTES = 1_048_576
"""Bytes of a file that are hashed at a time."""


@click.command("export")
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The directory for the files; it is made. Where an export was interrupted, it goes on.",
)
@json_option
@command
async def export(output: Path, as_json: bool) -> None:
    """Write all records of this operator to files, of every label: to leave, or to store them elsewhere.

    For each type of record there is a file of documents, one a line (NDJSON), as they are stored and served.
    A manifest names the files with their SHA-256. `federation import-records` reads them again. The files
    hold AMBER and RED records: only the user who runs the command can read them.
    """
    async with node_here() as node:
        manifest = await _Export(node, output).run(lambda line: None if as_json else click.echo(line))
    number = sum(file.records for file in manifest.files)
    print_result(
        {**msgspec.to_builtins(manifest), "directory": str(output)},
        as_json,
        lambda: click.echo(f"{number} records of {manifest.operator} are in {output}"),
    )


class _Export:
    """An export into a directory."""

    def __init__(self, node: Node, directory: Path) -> None:
        self._node = node
        self._directory = directory
        self._progress = Progress(operator=node.operator, began_at=as_instant(node.clock()))

    async def run(self, report: Callable[[str], None]) -> Manifest:
        self._begin()
        finished = {file.type for file in self._progress.files}
        for kind in IN_ORDER:
            if kind.type not in finished:
                file = await self._write(kind)
                self._note(Progress(
                    operator=self._progress.operator,
                    began_at=self._progress.began_at,
                    files=(*self._progress.files, file),
                ))  # fmt: skip
                report(f"{file.name}: {file.records} records, {file.bytes} bytes")
        manifest = Manifest(
            operator=self._node.operator,
            name=self._node.name,
            url=self._node.url,
            program=federation.__version__,
            began_at=self._progress.began_at,
            ended_at=as_instant(self._node.clock()),
            files=self._progress.files,
        )
        self._replace(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        (self._directory / PROGRESS).unlink()
        return manifest

    def _begin(self) -> None:
        """Make the directory, or read the state of the export that was interrupted there."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (self._directory / MANIFEST).exists():
            raise CommandFailed(f"{self._directory} has a complete export already: name another directory")
        state = self._directory / PROGRESS
        if not state.exists():
            if any(self._directory.iterdir()):
                raise CommandFailed(f"{self._directory} is not empty: name a directory of its own")
            self._note(self._progress)
            return
        try:
            progress = msgspec.json.decode(state.read_bytes(), type=Progress)
        except msgspec.DecodeError as error:
            raise CommandFailed(f"{state} cannot be read: {error}; name another directory") from None
        if progress.operator != self._node.operator:
            raise CommandFailed(f"{self._directory} has the records of {progress.operator}, not of this node")
        self._progress = progress

    async def _write(self, kind: type[Content]) -> RecordFile:
        """The file of a type, from the last page that was noted on."""
        name, state = f"{kind.plural}.ndjson", self._progress
        with self._open(name) as file:
            file.truncate(state.bytes)
            digest = hashlib.sha256()
            while chunk := file.read(READ_BYTES):
                digest.update(chunk)
            records, after, is_first = state.records, state.after, state.after is None
            while is_first or after is not None:
                is_first = False
                documents, after = await own_records.page(self._node, kind, after)
                for document in documents:
                    line = document + b"\n"
                    file.write(line)
                    digest.update(line)
                records += len(documents)
                file.flush()
                os.fsync(file.fileno())
                self._note(msgspec.structs.replace(state, records=records, bytes=file.tell(), after=after))
            return RecordFile(name, kind.type, records, file.tell(), digest.hexdigest())

    def _open(self, name: str) -> BinaryIO:
        path = self._directory / name
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        return os.fdopen(descriptor, "r+b")

    def _note(self, progress: Progress) -> None:
        self._progress = progress
        self._replace(PROGRESS, msgspec.json.encode(progress))

    def _replace(self, name: str, body: bytes) -> None:
        """Write a small file as a whole, or not at all."""
        part = self._directory / f"{name}.part"
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._directory / name)
