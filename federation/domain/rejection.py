"""Rejected entries as an administrator sees them: those of peers' feeds here, and ours at peers."""

from __future__ import annotations

import msgspec

from federation.domain.values import Instant

CONTRADICTIONS = ("changed-at-same-revision", "regressing-revision")
"""Reasons of rejection that only an origin gives which has gone back behind its peers' copies."""


class RejectedEntryView(msgspec.Struct, frozen=True):
    """An entry that was set aside, and why."""

    origin: str
    audience: str
    type: str
    key: str
    seq: int
    revision: int
    reason: str
    detail: str
    at: Instant


class FeedbackView(msgspec.Struct, frozen=True):
    """An entry of ours that a peer set aside."""

    operator: str
    audience: str
    type: str
    key: str
    seq: int
    revision: int
    reason: str
    detail: str
    at: Instant


class Contradiction(msgspec.Struct, frozen=True):
    """Entries of an own feed that contradict the entries that a peer stored before."""

    peer: str
    audience: str
    entries: int
    reasons: tuple[str, ...]
