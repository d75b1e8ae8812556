"""Bulk uploads: what becomes of each record, and of the feeds that records are retracted from."""

from __future__ import annotations

from typing import Literal

import msgspec

from federation.domain.copy import needs_confirmation
from federation.domain.values import END

Action = Literal["created", "revised", "unchanged", "retracted"]
"""The effect of a line on its record."""
SET_PATTERN = r"^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?" + END
"""Names of sets: small letters and digits, with dots, hyphens and underscores in between."""
DIGEST_PATTERN = r"^[0-9a-f]{64}" + END


class FeedRemovals(msgspec.Struct, frozen=True):
    """Records that an upload retracts from a feed."""

    audience: str
    removed: int
    live: int
    """Records of the feed before."""
    pauses: bool
    """Whether the removal guards of peers would pause the feed, until an administrator there confirms."""

    @classmethod
    def of(cls, audience: str, removed: int, live: int) -> FeedRemovals:
        return cls(audience, removed, live, needs_confirmation(removed, live))
