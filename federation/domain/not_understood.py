"""Records that this version does not understand, as an administrator sees them."""

from __future__ import annotations

import msgspec


class NotUnderstood(msgspec.Struct, frozen=True):
    """Records of one operator and type that this version does not understand: a newer one may."""

    type: str
    records: int
    reasons: dict[str, int]
    """Records by the reason, in words of the schema; of many reasons the most frequent."""
