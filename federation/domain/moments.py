"""Moments as writers send them: RFC 3339 with any offset and any number of decimals, written down in UTC.

Read are ``T`` and ``Z`` in small letters, a space in place of ``T`` (RFC 3339, 5.6, note), the offset
``-00:00`` (UTC, 4.3) and a leap second (5.7). Decimals beyond microseconds are cut off, and a leap second
becomes the last microsecond before it: no moment is moved into the future.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from federation.domain.faults import FaultCode
from federation.domain.messages import Message

YEARS = range(1970, 2201)
"""The years that are known, in UTC."""
_RFC_3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))"
)
_MICROSECOND_DIGITS = 6


class MomentError(ValueError):
    """The reason that a text is no moment that is known here."""

    def __init__(self, code: FaultCode, message: Message) -> None:
        super().__init__(str(message))
        self.code = code
        self.message = message


def in_utc(text: str) -> str:
    """A date-time of RFC 3339 as an ``Instant``: in UTC, with ``Z``, decimals as given up to microseconds.

    Raises MomentError.
    """
    parts = _RFC_3339.fullmatch(text)
    if parts is None:
        raise _unreadable()
    day, minute, second, decimals, sign, hours, minutes = parts.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{minute}").replace(tzinfo=UTC)
    except ValueError:
        message = Message("{moment} is not a moment of the calendar", {"moment": text[:80]})
        raise MomentError("calendar", message) from None
    try:
        if sign is not None:
            offset = timedelta(hours=int(hours), minutes=int(minutes))
            moment = moment - offset if sign == "+" else moment + offset
    except OverflowError:
        raise _out_of_range(text) from None
    if moment.year not in YEARS:
        raise _out_of_range(text)
    if second == "60" and _ends_a_month(moment):
        second, decimals = "59", "9" * _MICROSECOND_DIGITS
    elif second > "59":
        raise _unreadable()
    fraction = f".{decimals[:_MICROSECOND_DIGITS]}" if decimals else ""
    return f"{moment:%Y-%m-%dT%H:%M}:{second}{fraction}Z"


def _unreadable() -> MomentError:
    expected = Message(
        "expected a date and time with its offset from UTC (RFC 3339), such as 2026-03-01T08:30:00Z or"
        " 2026-03-01T09:30:00+01:00"
    )
    return MomentError("pattern", expected)


def _out_of_range(text: str) -> MomentError:
    message = Message("{moment} is, in UTC, outside the years 1970 to 2200", {"moment": text[:80]})
    return MomentError("out-of-range", message)


def _ends_a_month(minute: datetime) -> bool:
    """True for the last minute of a month in UTC: only it can have a leap second (ITU-R TF.460-6)."""
    return (minute + timedelta(minutes=1)).day == 1 and (minute.hour, minute.minute) == (23, 59)
