"""A record as it is stored, for the decision whether another revision takes its place."""

from __future__ import annotations

from datetime import datetime

import msgspec


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
