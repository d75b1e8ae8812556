"""Alerts: what a subscriber is told of, once for each event, and how patiently.

Webhooks are signed after Standard Webhooks 1.0 (https://www.standardwebhooks.com): the identifier, the time
and the body under HMAC-SHA256. The identifier of an alert is the same at each attempt, so that a receiver
which answered too late can tell that it has it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import secrets
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from federation.domain.values import Mailbox, Part, RuleBroken, Url

AlertEvent = Literal[
    "incident.published", "incident.changed", "incident.hits-mine", "incident.unanswered", "peer.stale",
    "record.set-aside",
]  # fmt: skip
EVENTS: tuple[AlertEvent, ...] = get_args(AlertEvent)
MEANING: dict[AlertEvent, str] = {
    "incident.published": "an incident has been published by an operator, or arrived here for the first time",
    "incident.changed": "an incident has been revised, withdrawn or retracted",
    "incident.hits-mine": "an open incident hits deployments of one's own, or may hit them",
    "incident.unanswered": "such an incident is still without a statement of one's own after so many hours",
    "peer.stale": "a peer has not answered for ten minutes",
    "record.set-aside": "an entry of a peer's feed has been set aside",
}

FIRST_WAIT = 5.0
LONGEST_WAIT = 7_200.0
"""Bounds of the back-off between attempts, in seconds."""
PATIENCE = timedelta(hours=24)
"""After this an alert is parked: listed, and delivered again only when somebody says so."""
LEASE = timedelta(minutes=2)
"""For so long an attempt is left to the process that made it."""


class NewSubscription(Part, frozen=True, kw_only=True):
    """What a subscriber wants to be told of, and how."""

    events: Annotated[tuple[AlertEvent, ...], Meta(min_length=1, max_length=6)]
    webhook: Url | None = None
    email: Mailbox | None = None
    unanswered_hours: Annotated[int, Meta(ge=1, le=720)] = 24
    private: bool = False
    """Whether the webhook may be at an address that is not public."""

    def __post_init__(self) -> None:
        if (self.webhook is None) == (self.email is None):
            raise RuleBroken("a subscription has a webhook or an email, and one of them")


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, for one subscription."""

    id: str
    event: AlertEvent
    subject: str
    at: datetime
    data: dict[str, Any]


def a_webhook_secret() -> str:
    """A new secret: 256 random bits as Standard Webhooks writes them."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def signature(secret: str, id_: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{id_}.{timestamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()}"


def next_wait(attempts: int, *, chance: random.Random | None = None) -> timedelta:
    """How long to wait after so many attempts: doubled each time up to two hours, with jitter."""
    ceiling = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(attempts - 1, 20))
    return timedelta(seconds=(chance or random).uniform(ceiling / 2, ceiling))
