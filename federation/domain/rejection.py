"""Rejected entries as an administrator sees them: those of peers' feeds here, and ours at peers."""

from __future__ import annotations

import msgspec


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
    at: str


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
    at: str
