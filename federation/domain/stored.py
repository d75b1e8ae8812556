"""A record as it is stored and served."""

from __future__ import annotations

from datetime import datetime

import msgspec


class StoredRecord(msgspec.Struct, frozen=True):
    """A record as it is served: bytes and what the HTTP headers need."""

    document: bytes
    hash: bytes
    retracted: bool
    updated_at: datetime
