"""Alerts: events, messages and signatures, and the times between attempts.

Webhooks are signed after Standard Webhooks 1.0 (https://www.standardwebhooks.com): the identifier, the time
and the body under HMAC-SHA256. The identifier of an alert is the same at each attempt, so that a receiver
which answered too late can tell that it has it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import re
import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from federation.domain.feed import printable
from federation.domain.part import Part
from federation.domain.rule_broken import RuleBroken
from federation.domain.values import Mailbox, Url

AlertEvent = Literal[
    "incident.published", "incident.changed", "incident.affects-mine", "incident.unanswered", "peer.stale",
    "record.rejected", "peer.paused", "contribution.hidden", "source.failing",
]  # fmt: skip
TestEvent = Literal["subscription.test"]
DigestEvent = Literal["alerts.withheld"]
EVENTS: tuple[AlertEvent, ...] = get_args(AlertEvent)
EVENT_MEANINGS: dict[AlertEvent, str] = {
    "incident.published": "an incident has been published by an operator",
    "incident.changed": "an incident has been revised, withdrawn or retracted",
    "incident.affects-mine": "an open incident affects deployments of one's own, or may affect them",
    "incident.unanswered": "such an incident is still without a statement of one's own after so many hours",
    "peer.stale": "a peer has not answered for ten minutes",
    "record.rejected": "an entry of a peer's feed has been rejected",
    "peer.paused": "a peer is paused until an administrator confirms: much is removed, or beyond its quota",
    "contribution.hidden": "the record that a contribution of one's own is about has fewer readers than it",
    "source.failing": "a source of records could not be read three times in a row, or more often",
}

TEST_EVENT: TestEvent = "subscription.test"
"""What a subscriber is told when an administrator tries whether it can be."""
TEST_EVENT_MEANING = "somebody tries whether this subscription is told; nothing has happened"

DIGEST_EVENT: DigestEvent = "alerts.withheld"
"""Stands for alerts of one operator that were more than a receiver gets one by one within an hour."""
DIGEST_EVENT_MEANING = "an operator has caused more alerts than are sent one by one within an hour"
UNBOUNDED_EVENTS: frozenset[str] = frozenset({"peer.stale", "peer.paused"})
"""Events that are never withheld: of each peer there are few."""

FLOOD_PERIOD = timedelta(hours=1)
"""The time for which alerts of one origin are counted, and after which withheld ones have their digest."""
FLOOD_QUIET = timedelta(minutes=5)
"""The time without another one after which the digest comes earlier."""
MAX_WITHHELD = 10_000
"""Withheld alerts of a flood that are stored, for one subscription; of more, only the number is."""

MIN_WAIT_SECONDS = 5.0
MAX_WAIT_SECONDS = 7_200.0
"""Bounds of the back-off between attempts, in seconds."""
MAX_DELIVERY_TIME = timedelta(hours=24)
"""After this an alert is parked: listed, and delivered again only when somebody says so."""
ATTEMPT_LEASE = timedelta(minutes=3)
"""For so long an attempt is left to the process that made it."""
ATTEMPT_TIMEOUT = timedelta(minutes=2)
"""An attempt has ended after this, and before its lease has: else another process would make it, too."""


class NewSubscription(Part, frozen=True, kw_only=True):
    """Events, and the receiver of their alerts."""

    events: Annotated[tuple[AlertEvent, ...], Meta(min_length=1, max_length=9)]
    webhook: Url | None = None
    email: Mailbox | None = None
    unanswered_hours: Annotated[int, Meta(ge=1, le=720)] = 24
    private: bool = False
    """Whether the webhook may be at an address that is not public. Over HTTP this takes ``node.admin``."""

    def __post_init__(self) -> None:
        for broken in self._one_receiver():
            raise broken

    def rules(self) -> tuple[Iterator[RuleBroken], ...]:
        return (self._one_receiver(),)

    def _one_receiver(self) -> Iterator[RuleBroken]:
        if (self.webhook is None) == (self.email is None):
            yield RuleBroken("a subscription has a webhook or an email, and one of them", number=12)


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, for one subscription."""

    id: str
    event: AlertEvent | TestEvent | DigestEvent
    subject: str
    at: datetime
    data: dict[str, Any]


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """An e-mail, but for whom it is from."""

    id: str
    """The same at each attempt: it becomes the ``Message-ID``, by which a mail server knows one again."""
    to: str
    subject: str
    text: str
    at: datetime


_DOT_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_MAILBOX = re.compile(
    _DOT_ATOM
    + r"@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)


def is_mailbox(text: str) -> bool:
    """True for a plain address: of the forms of RFC 5321 the one that all software reads alike."""
    return len(text) <= 254 and text.index("@") <= 64 if _MAILBOX.fullmatch(text) else False


_MEANINGS: dict[str, str] = {event: meaning for event, meaning in EVENT_MEANINGS.items()} | {
    TEST_EVENT: TEST_EVENT_MEANING,
    DIGEST_EVENT: DIGEST_EVENT_MEANING,
}


def compose_letter(alert: Alert, *, to: str, subscription: str, node: str) -> Letter:
    """An alert as an e-mail. Each of its values is in one line: what comes of a peer begins none."""
    meaning = _MEANINGS[alert.event]
    return Letter(
        id=alert.id,
        to=to,
        subject=f"[federation] {alert.event}: {_line(alert.subject, 150)}",
        text="\n".join(
            (
                f"{meaning[0].upper()}{meaning[1:]}.",
                "",
                *(f"{name}: {_line(text, MAX_LINE_LENGTH)}" for name, text in _values(alert.data)),
                "",
                "-- ",
                f"The federation node {node} tells this to {to} (subscription {subscription}).",
                f"To end it: federation subscription remove {subscription}",
            )
        ),
        at=alert.at,
    )


MAX_LINE_LENGTH = 800
"""Characters of a value in an e-mail; a line has 998 octets at most (RFC 5322, 2.1.1)."""


def _values(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in data.items():
        match value:
            case dict():  # a text in several languages
                yield from ((f"{name} ({language})", str(text)) for language, text in value.items())
            case list():
                yield name, ", ".join(map(str, value)) or "none"
            case None:
                continue
            case _:
                yield name, str(value)


def _line(text: str, max_length: int) -> str:
    shown = " ".join(printable(text, max_length + 1).replace("\ufffd", " ").split())
    return shown if len(shown) <= max_length else f"{shown[: max_length - 1]}…"


def mint_webhook_secret() -> str:
    """A new secret: 256 random bits as Standard Webhooks writes them."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def signature(secret: str, id_: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{id_}.{timestamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()}"


def next_wait(
    attempts: int, *, retry_after: float | None = None, chance: random.Random | None = None
) -> timedelta:
    """Wait after so many attempts: doubled each time up to two hours, with jitter.

    Never less than the receiver asked for (``Retry-After``, in seconds), up to two hours as well.
    """
    ceiling = min(MAX_WAIT_SECONDS, MIN_WAIT_SECONDS * 2 ** min(attempts - 1, 20))
    wait = (chance or random).uniform(ceiling / 2, ceiling)
    return timedelta(seconds=max(wait, min(retry_after or 0.0, MAX_WAIT_SECONDS)))


class AlertState(msgspec.Struct, frozen=True):
    """An alert and its delivery so far."""

    id: str
    subscription: str
    event: str
    subject: str
    at: datetime
    attempts: int
    next_try_at: datetime | None
    delivered_at: datetime | None
    parked_at: datetime | None
    failure: str | None
    origin: str | None = None
    """The operator it is about."""
    withheld: bool = False
    """Whether it was one too many of that operator within an hour: only a digest counts it."""


class AlertFlood(msgspec.Struct, frozen=True):
    """Alerts of one origin that are withheld from a subscription, until a digest of them is sent."""

    subscription: str
    origin: str
    began_at: datetime
    last_at: datetime
    withheld: int

    def is_over(self, now: datetime) -> bool:
        return now - self.began_at >= FLOOD_PERIOD or now - self.last_at >= FLOOD_QUIET
