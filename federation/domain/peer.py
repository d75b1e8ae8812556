"""A peer: another operator's node that we know, and how patient we are with it."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

PeerState = Literal["active", "suspended"]
"""Invitation adds ``invited``, ``pending`` and ``left``."""

FIRST_WAIT = 1.0
LONGEST_WAIT = 300.0
"""Bounds of the back-off between attempts, in seconds."""


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of a peer."""

    operator: str
    url: str
    name: str
    state: PeerState
    keys: dict[str, Any]
    """Its public JWK set (RFC 7517), as it was when an administrator confirmed the thumbprint."""
    thumbprint: str
    added_at: datetime
    contacted_at: datetime | None = None
    """When it last answered as it should."""
    failures: int = 0
    """Attempts in a row that failed."""
    failure: str | None = None
    """Why the last attempt failed."""
    next_try_at: datetime | None = None


def back_off(failures: int, *, asked: float | None = None, chance: random.Random | None = None) -> timedelta:
    """How long to wait after so many failures in a row.

    Doubles from one second to five minutes, with full jitter so that peers of a node that comes back do
    not all return at once; never less than the peer asked for (``Retry-After``, in seconds, capped).
    """
    ceiling = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(failures - 1, 20))
    wait = (chance or random).uniform(FIRST_WAIT / 2, ceiling)
    return timedelta(seconds=max(wait, min(asked or 0.0, LONGEST_WAIT)))
