"""Answers of a node beside its records, as far as a program needs them.

They are open: a member that a newer node adds is left out, and a value of a list that may grow is a text.
Members have the names of the API.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from federation.domain.deadline import ReportingDeadline
from federation.domain.territories.bodies import Body

# Writes


class RecordEffect(msgspec.Struct, frozen=True, kw_only=True):
    """The effect of a change on a record at other operators."""

    type: str
    key: str
    appears_at: tuple[str, ...] = ()
    """Peers that would get it; ``*`` stands for everybody, without a token."""
    disappears_from: tuple[str, ...] = ()
    """Peers that would have to drop it."""


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """The effect of a change at other operators; nothing was changed."""

    effects: tuple[RecordEffect, ...]
    records: int
    """Records that appear or disappear; the first thousand are named."""


# Exposure


class ExposedBodies(msgspec.Struct, frozen=True, kw_only=True):
    """The communes and groupings that an incident affects."""

    current_through: str
    bodies: tuple[Body, ...]


# Deadlines


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """A step of a reporting deadline, and by when it is due."""

    step: str
    rule: str
    due_at: str
    done_at: str | None = None
    overdue: bool = False


class DeadlineStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A reporting deadline and its steps."""

    key: str
    deadline: ReportingDeadline
    steps: tuple[StepView, ...]
    next: StepView | None = None
    """The first step that is not done."""


# Alerts


class SubscriptionSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A new subscription; its secret is answered this once."""

    id: str
    secret: str


class SubscriptionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription to alerts."""

    id: str
    events: tuple[str, ...]
    webhook: str | None = None
    email: str | None = None
    unanswered_hours: int = 24
    private: bool = False
    active: bool = True
    """False after its receiver answered 410."""


class AlertStatus(msgspec.Struct, frozen=True, kw_only=True):
    """An alert and its delivery so far."""

    id: str
    subscription: str
    event: str
    subject: str
    at: datetime
    attempts: int = 0
    next_try_at: datetime | None = None
    delivered_at: datetime | None = None
    parked_at: datetime | None = None
    failure: str | None = None
    origin: str | None = None
    """The operator it is about."""
    withheld: bool = False
    """True for an alert that only a digest counts."""


# The node and its peers


class NodeDescription(msgspec.Struct, frozen=True, kw_only=True):
    """The public description of a node."""

    operator: str
    name: str
    url: str
    types: tuple[str, ...] = ()
    limits: dict[str, int] = {}
    tombstones_kept_days: int = 0
    contact: str | None = None
    security_contact: str | None = None


class FeedHead(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a feed."""

    origin: str
    audience: str
    epoch: str
    seq: int
    count: int = 0


class CopyStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The copy of a peer's feed."""

    audience: str
    pulled: int
    """Number up to which it was pulled."""
    head: int | None = None
    """Number of the last entry at the peer."""
    count: int = 0
    state: str
    verified_at: str | None = None
    verified_seq: int | None = None
    age_seconds: int | None = None
    alarm: str | None = None


class PeerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A peer, and how far its feeds were pulled."""

    operator: str
    name: str
    url: str
    state: str
    contacted_at: str | None = None
    failures: int = 0
    failure: str | None = None
    lag: int = 0
    """Entries that it has and that were not pulled yet."""
    paused: str | None = None
    feeds: tuple[CopyStatus, ...] = ()


class RejectedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of a peer that was rejected."""

    origin: str
    audience: str
    seq: int
    reason: str
    detail: str = ""


class PeersStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The peers of a node."""

    peers: tuple[PeerStatus, ...]
    rejected: tuple[RejectedEntry, ...] = ()
    excluded: tuple[str, ...] = ()
