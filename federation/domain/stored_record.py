"""A record as the database has it."""

from __future__ import annotations

from datetime import datetime

import msgspec


class StoredRecord(msgspec.Struct, frozen=True):
    """A record as it is served: its bytes, and what the HTTP headers need."""

    document: bytes
    hash: bytes
    retracted: bool
    updated_at: datetime
