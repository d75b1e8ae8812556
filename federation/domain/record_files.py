"""The files of a complete export: a file of documents for each type of record, and a manifest with hashes.

A file holds documents as they are stored, one a line (NDJSON), in the order of their keys. The manifest is
written last: without it an export is not complete.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from federation.domain.errors import Invalid
from federation.domain.record_content import Content
from federation.domain.registry import TYPES
from federation.domain.values import Sha256

FORMAT: Literal["federation-records-1"] = "federation-records-1"
MANIFEST = "manifest.json"
PROGRESS = "unfinished.json"
"""The state of an export that is not finished."""
MAX_MANIFEST_BYTES = 1_048_576
_FILE_NAME = re.compile(r"[a-z][a-z-]{0,60}\.ndjson")
IN_ORDER: tuple[type[Content], ...] = tuple(
    sorted(TYPES.values(), key=lambda kind: (kind.type != "group", kind.has_subject))
)
"""Types in the order in which they are read: audiences first, and records about others last."""


class RecordFile(msgspec.Struct, frozen=True):
    """A file of documents of one type."""

    name: str
    type: str
    records: int
    bytes: int
    sha256: Sha256


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The files of an export, and whose records they hold."""

    format: Literal["federation-records-1"] = FORMAT
    operator: str
    name: str
    url: str
    program: str
    """Version of the program that wrote it."""
    began_at: str
    ended_at: str
    """A record is in the state that it had at some moment between the two."""
    files: tuple[RecordFile, ...]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """The state of an export that is not finished: it goes on from here."""

    operator: str
    began_at: str
    files: tuple[RecordFile, ...] = ()
    """Files that are finished."""
    records: int = 0
    """Records in the file that comes next, and its bytes as far as they are certain."""
    bytes: int = 0
    after: str | None = None
    """The key of the page that ended there."""


def read_manifest(raw: bytes) -> Manifest:
    """Raises Invalid for what is no manifest of this form, or names a file that an export does not have."""
    try:
        manifest = msgspec.json.decode(raw, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid("it is no manifest of an export: {problem}", problem=str(error)[:200]) from None
    for number, file in enumerate(manifest.files):
        if not _FILE_NAME.fullmatch(file.name):
            raise Invalid(
                "{name} is no name of a file of an export",
                pointer=f"/files/{number}/name",
                name=ascii(file.name)[1:81],
            )
    return manifest


class Renaming(msgspec.Struct, frozen=True):
    """The change of an operator's id in records that are taken over from another node."""

    old: str
    new: str
    keys: frozenset[str]
    """Keys of the records that come along: an id that has one of them is changed, any other one stays."""

    def apply(self, value: Any) -> Any:
        """The same JSON value, with the ids of records that come along under the new operator."""
        if isinstance(value, str):
            origin, slash, key = value.partition("/")
            return f"{self.new}/{key}" if slash and origin == self.old and key in self.keys else value
        if isinstance(value, dict):
            return {name: self.apply(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.apply(inner) for inner in value]
        return value
