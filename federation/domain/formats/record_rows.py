"""Records as rows of a table: a column for each member of the envelope and of the content.

Texts and numbers are cells of their type. What has members or entries of its own is the JSON of the record in
one cell, so that a program reads back exactly what the record says.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec

from federation.domain.record_content import Content

ENVELOPE = ("origin", "key", "revision", "tlp", "audience", "created_at", "updated_at", "same_as")


class _Record(msgspec.Struct):
    origin: str
    key: str
    revision: int
    tlp: str
    created_at: str
    updated_at: str
    content: dict[str, msgspec.Raw]
    audience: str | None = None
    same_as: msgspec.Raw = msgspec.Raw()


_records = msgspec.json.Decoder(_Record)
_values = msgspec.json.Decoder()


@cache
def record_head(kind: type[Content]) -> tuple[str, ...]:
    """The labels of the columns; members of the content stand under their own name."""
    return (*ENVELOPE, *(field.encode_name for field in msgspec.structs.fields(kind)))


def record_rows(kind: type[Content], documents: Iterable[bytes]) -> list[list[object]]:
    """A row for each document, none of which is a tombstone."""
    members = record_head(kind)[len(ENVELOPE) :]
    rows = []
    for document in documents:
        record = _records.decode(document)
        envelope = [_cell(getattr(record, name)) for name in ENVELOPE]
        rows.append([*envelope, *(_cell(record.content.get(name)) for name in members)])
    return rows


def _cell(value: Any) -> object:
    if not isinstance(value, msgspec.Raw):
        return value
    text = bytes(value)
    if not text:
        return None
    return text.decode() if text[:1] in (b"{", b"[") else _values.decode(text)
