"""Events of monitoring: something went down or came up again, as a webhook reports it.

Strict about fingerprint, state and time, since an outage is opened and resolved by them; lenient about the
rest, which differs between versions. Only the members that are named here are read: a webhook has passwords,
addresses and whole answers of the monitored service in others.

Bounds: ``MAX_DELIVERY_BYTES``, the depth of ``canonical.check_depth``, ``MAX_EVENTS``, ``MAX_LABELS``,
``MAX_VALUE_CHARACTERS``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from federation.domain.canonical import check_depth
from federation.domain.errors import Invalid
from federation.domain.formats.advisory import parse_instant
from federation.domain.messages import Message
from federation.domain.sources.reading import ReadingFault

MAX_DELIVERY_BYTES = 1_048_576
"""Bytes of one delivery, at most."""
MAX_EVENTS = 1_000
"""Events of one delivery, at most."""
MAX_LABELS = 100
"""Labels of an event that are read; the rest is left out."""
MAX_VALUE_CHARACTERS = 500
"""Characters of a label that are read, of its name and its value each, and of a text."""
MAX_FINGERPRINT_CHARACTERS = 200
"""Characters of a fingerprint, at most."""

FIRST_YEAR = 1970

EventState = Literal["firing", "resolved"]
NO_TIME = "0001-01-01"
"""The day that programs in Go write for no time."""


class MonitorEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A state of one monitored thing."""

    fingerprint: str
    """The source's own identifier of the alert, the same when it is resolved."""
    state: EventState
    place: str
    """Its place in the delivery: "alerts[3]"."""
    starts_at: datetime | None = None
    """The time it went down; None for a resolution that does not name it."""
    ends_at: datetime | None = None
    """The time it came up again; None while it is down."""
    labels: Mapping[str, str] = {}
    summary: str | None = None
    """The text for people. It may have addresses and secrets in it."""

    @property
    def name(self) -> str:
        """The name of the alert's rule."""
        return self.labels.get("alertname", "")


class Delivery(msgspec.Struct, frozen=True):
    """All that one call of a webhook reports."""

    events: tuple[MonitorEvent, ...]
    faults: tuple[ReadingFault, ...] = ()
    omitted: int = 0
    """Alerts that the source has left out itself, as it says."""


class EventInvalid(Exception):
    """The reason that an event is left out, and its member at fault."""

    def __init__(self, reason: Message, member: str) -> None:
        super().__init__(str(reason))
        self.reason = str(reason)
        self.member = member


def read_object(raw: bytes) -> dict[str, Any]:
    """The JSON object of a delivery. Raises Invalid."""
    if len(raw) > MAX_DELIVERY_BYTES:
        raise Invalid(
            "the delivery is {size} bytes long; {maximum} are read", size=len(raw), maximum=MAX_DELIVERY_BYTES
        )
    check_depth(raw)
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Invalid("the delivery is not JSON: {reason}", reason=str(error)[:300]) from None
    if not isinstance(value, dict):
        raise Invalid("the delivery is not a JSON object", pointer="", fault="wrong-type")
    return value


def read_text(value: Any, max_length: int = MAX_VALUE_CHARACTERS) -> str:
    """A text in one line, without what cannot be shown; empty for what is no text."""
    if not isinstance(value, str):
        return ""
    shown = "".join(char if char.isprintable() else " " for char in value[: 4 * max_length])
    return " ".join(shown.split())[:max_length]


def read_labels(value: Any) -> dict[str, str]:
    """The labels of an event that are texts, ``MAX_LABELS`` at most."""
    if not isinstance(value, dict):
        return {}
    labels: dict[str, str] = {}
    for name, text in value.items():
        if len(labels) == MAX_LABELS:
            break
        if isinstance(text, str) and 0 < len(name) <= MAX_VALUE_CHARACTERS:
            labels[name] = read_text(text)
    return labels


def read_time(value: Any, member: str) -> datetime | None:
    """The time that a member names in RFC 3339; None for none and for ``NO_TIME``. Raises EventInvalid."""
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > 64:
        raise EventInvalid(Message("it is no time of RFC 3339"), member)
    if value.startswith(NO_TIME):
        return None
    moment = parse_instant(value)
    if moment is None or moment.year < FIRST_YEAR:
        raise EventInvalid(Message("it is no time of RFC 3339 from 1970 to 2200"), member)
    return moment


def read_fingerprint(value: Any, member: str) -> str:
    """The identifier of an alert. Raises EventInvalid."""
    if not isinstance(value, str) or not value.strip():
        raise EventInvalid(
            Message("the event has no fingerprint, so that its resolution would not be recognised"), member
        )
    if len(value) > MAX_FINGERPRINT_CHARACTERS:
        raise EventInvalid(Message("the fingerprint is too long"), member)
    if not value.isprintable():
        raise EventInvalid(Message("the fingerprint has characters that cannot be shown"), member)
    return value
