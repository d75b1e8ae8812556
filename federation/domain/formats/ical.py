"""Calendars as calendar programs subscribe to them (iCalendar, RFC 5545, with RFC 7986).

Times are in UTC. A calendar of the same events is the same bytes, whenever it is written: the time of an
event is that of its last revision.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Literal

import msgspec

MAX_LINE_OCTETS = 75
"""Octets of a line without its end (RFC 5545, 3.1)."""
MAX_SUMMARY_CHARACTERS = 200
MAX_DESCRIPTION_CHARACTERS = 2_000
REFRESH = "PT1H"
"""How often programs are asked to read the calendar again (RFC 7986, 5.7)."""
_UNPRINTABLE = {code: None for code in (*range(0x20), 0x7F) if code != 0x0A}


class CalendarEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a calendar."""

    uid: str
    """The same in every calendar that has the event."""
    sequence: int = 0
    """Raised by each revision."""
    changed_at: datetime
    starts_at: datetime
    ends_at: datetime | None = None
    """None: a moment without a length."""
    summary: str
    description: str = ""
    location: str = ""
    url: str = ""
    status: Literal["CONFIRMED", "TENTATIVE", "CANCELLED"] = "CONFIRMED"
    alarm_minutes: int | None = None
    """Minutes before its beginning at which a program reminds of it."""


def calendar(events: Iterable[CalendarEvent], *, product: str, name: str = "", language: str = "EN") -> bytes:
    """The calendar of some events."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", f"PRODID:-//federation//{product}//{language.upper()}"]
    if name:
        # NAME and REFRESH-INTERVAL for what follows RFC 7986, the others for what came before it.
        lines += [
            f"NAME:{escape(name)}",
            f"X-WR-CALNAME:{escape(name)}",
            f"REFRESH-INTERVAL;VALUE=DURATION:{REFRESH}",
            f"X-PUBLISHED-TTL:{REFRESH}",
        ]
    for event in events:
        lines += _lines(event)
    lines.append("END:VCALENDAR")
    return "".join(f"{part}\r\n" for line in lines for part in fold(line)).encode()


def _lines(event: CalendarEvent) -> Iterator[str]:
    yield "BEGIN:VEVENT"
    yield f"UID:{escape(event.uid)}"
    yield f"DTSTAMP:{stamp(event.changed_at)}"
    yield f"SEQUENCE:{event.sequence}"
    yield f"DTSTART:{stamp(event.starts_at)}"
    if event.ends_at is not None and event.ends_at > event.starts_at:
        yield f"DTEND:{stamp(event.ends_at)}"
    yield f"SUMMARY:{escape(event.summary[:MAX_SUMMARY_CHARACTERS])}"
    if event.description:
        yield f"DESCRIPTION:{escape(event.description[:MAX_DESCRIPTION_CHARACTERS])}"
    if event.location:
        yield f"LOCATION:{escape(event.location)}"
    if event.url:
        # A value of the type URI is not escaped: what could end the line is taken out.
        yield f"URL:{event.url.translate(_UNPRINTABLE).replace(chr(10), '')}"
    yield f"STATUS:{event.status}"
    if event.alarm_minutes is not None:
        yield from ("BEGIN:VALARM", "ACTION:DISPLAY", f"TRIGGER:-PT{event.alarm_minutes}M")
        reminder = (event.description or event.summary)[:MAX_SUMMARY_CHARACTERS]
        yield from (f"DESCRIPTION:{escape(reminder)}", "END:VALARM")
    yield "END:VEVENT"


def stamp(moment: datetime) -> str:
    """A moment in UTC (RFC 5545, 3.3.5)."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def escape(text: str) -> str:
    """A text in which no character ends the value or the line (RFC 5545, 3.3.11)."""
    text = text.replace("\r\n", "\n").translate(_UNPRINTABLE)
    for char in "\\;,":
        text = text.replace(char, f"\\{char}")
    return text.replace("\n", "\\n")


def fold(line: str) -> Iterator[str]:
    """A line in parts of 75 octets, continued after a space; no character is cut (RFC 5545, 3.1)."""
    part, size = "", 0
    for char in line:
        length = len(char.encode())
        if size + length > MAX_LINE_OCTETS:
            yield part
            part, size = " ", 1
        part, size = part + char, size + length
    yield part
