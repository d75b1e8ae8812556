"""A record as it is stored: to be served, or to be replaced by its next revision."""

from __future__ import annotations

from datetime import datetime

import msgspec


class StoredRecord(msgspec.Struct, frozen=True):
    """A record as it is served: bytes and what the HTTP headers need."""

    document: bytes
    hash: bytes
    retracted: bool
    updated_at: datetime
    not_understood: str | None = None
    """Why this version does not understand the content, where it does not."""


class StoredRevision(msgspec.Struct, frozen=True):
    """The stored revision of a record, read before another one is written."""

    type: str
    key: str
    revision: int
    feed: int | None
    seq: int | None
    retracted: bool
    hash: bytes
    created_at: datetime
    document: bytes | None = None
    """Read for own records only, which may be compared or patched."""
    size: int = 0
    """Bytes of the document; read for records of other origins only, which count towards a quota."""
