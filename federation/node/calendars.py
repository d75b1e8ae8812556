"""Calendars to subscribe to: meetings, ends of the time for needs, maintenance windows, reporting deadlines.

1. The newest records of each type that the caller may see, and never one beyond GREEN: calendar programs
   store what they read, and share it.
2. Each is an event of its own, the same one at every node: its UID is made of type, origin and key, its
   SEQUENCE of the revision.
3. What was cancelled or retracted stays for a while as cancelled, so that programs remove it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from federation.domain.content.consultation import Consultation
from federation.domain.content.deployment import Deployment
from federation.domain.content.incident import Incident
from federation.domain.content.meeting import Meeting
from federation.domain.content.purchase import Purchase
from federation.domain.errors import Invalid, NotFound
from federation.domain.formats.ical import CalendarEvent, calendar
from federation.domain.messages import Language
from federation.domain.query import MAX_PAGE, Query, filters_of
from federation.domain.record_content import Content
from federation.domain.territories.identity import names_of_body
from federation.domain.territories.public_bodies import containing_codes
from federation.domain.values import EVERYWHERE, instant
from federation.domain.visibility import Caller, anonymous
from federation.node import bodies, deadlines, people
from federation.node.node import Node
from federation.store.database import Reading

MAX_RECORDS = MAX_PAGE
"""Records of each type, those changed last."""
MAX_TOMBSTONES = 200
PAST = timedelta(days=180)
"""Events that ended before that are left out."""
TOMBSTONES = timedelta(days=60)
"""A retracted record is in calendars as cancelled for so long."""
GREEN_AT_MOST = frozenset({"CLEAR", "GREEN"})
TEXTS: dict[str, dict[Language, str]] = {
    "needs": {"en": "Last moment for needs: %s", "fr": "Fin du recueil des besoins : %s"},
    "maintenance": {"en": "Maintenance: %s", "fr": "Maintenance : %s"},
    "retracted": {"en": "Cancelled (retracted)", "fr": "Annulé (fiche retirée)"},
    "name": {"en": "Federation: %s", "fr": "Fédération : %s"},
}
_PLURALS: dict[str, str] = {kind.type: kind.plural for kind in (Meeting, Consultation, Incident)}


Facets = tuple[tuple[str, tuple[str, ...]], ...]


class CalendarFilter(msgspec.Struct, frozen=True):
    """The part of the public calendar that somebody subscribes to; empty: all of it."""

    plural: str | None = None
    """``meetings``, ``consultations`` or ``incidents``: maintenance windows."""
    origin: str | None = None
    theme: str | None = None
    solution: str | None = None
    body: str | None = None
    """A public body, ``scheme:value``: consultations of purchases that it may join, and maintenance of what
    serves it. A meeting is of operators, and concerns none."""


ALL = CalendarFilter()


class _Shown(msgspec.Struct, frozen=True):
    """The members of a content of any of the three types that an event shows."""

    title: dict[str, str]
    status: str = ""
    starts_at: str | None = None
    ends_at: str | None = None
    place: str | None = None
    url: str | None = None
    summary: dict[str, str] = {}
    agenda: tuple[dict[str, Any], ...] = ()
    needs_until: str | None = None
    scheduled_for: str | None = None
    scheduled_until: str | None = None


class _Entry(msgspec.Struct, frozen=True):
    type: str
    origin: str
    key: str
    revision: int
    updated_at: str
    tlp: str
    content: _Shown | None = None


_entries = msgspec.json.Decoder(_Entry)


class _Named(msgspec.Struct, frozen=True):
    origin: str
    key: str


_names = msgspec.json.Decoder(_Named)


async def public_calendar(node: Node, language: Language, only: CalendarFilter = ALL) -> bytes:
    """The calendar of what is public. Raises Invalid for a body that nobody knows."""
    async with node.store.read() as tx:
        documents = await _documents(node, tx, by=anonymous(node.operator), only=only)
    return await asyncio.to_thread(_calendar, node, documents, (), language)


async def own_calendar(node: Node, secret: str, language: Language) -> bytes:
    """The calendar of the person to whom a secret address belongs. Raises NotFound.

    What it shows is GREEN at most, whatever the person may see elsewhere.
    """
    caller = await people.calendar_caller(node, secret)
    if caller is None:
        raise NotFound("there is no such calendar; its owner may have ended the address")
    async with node.store.read() as tx:
        documents = await _documents(node, tx, by=caller)
    own = await deadlines.events(node, by=caller) if "deadlines.read" in caller.scopes else ()
    return await asyncio.to_thread(_calendar, node, documents, own, language)


async def _documents(node: Node, tx: Reading, *, by: Caller, only: CalendarFilter = ALL) -> list[bytes]:
    facets: dict[type[Content], Facets] = {
        Meeting: (),
        Consultation: (),
        Incident: (("kind", ("maintenance",)),),
    }
    if only.body is not None:
        facets = await _facets_of_body(tx, only.body, by=by)
    members = {"origin": only.origin, "theme": only.theme, "solution": only.solution}
    narrowing = tuple((name, (value,)) for name, value in members.items() if value is not None)
    documents = []
    for kind, filters in facets.items():
        if only.plural not in (None, kind.plural) or not {name for name, _ in narrowing} <= {
            *filters_of(kind)
        }:
            continue
        if by.operator is None or f"{kind.plural}.read" in by.scopes:
            query = Query(kind=kind, facets=(*filters, *narrowing), limit=MAX_RECORDS)
            documents += (await tx.records.collect(query, visible_to=by))[0]
    if only.theme or only.solution or only.body:  # of a tombstone nobody knows what it was about
        return documents
    since = node.clock() - TOMBSTONES
    gone = [kind.type for kind in (Meeting, Consultation) if only.plural in (None, kind.plural)]
    retracted = await tx.calendars.tombstones(gone, since, MAX_TOMBSTONES, visible_to=by)
    return documents + [
        document
        for document in retracted
        if only.origin is None or _entries.decode(document).origin == only.origin
    ]


async def _facets_of_body(tx: Reading, body_id: str, *, by: Caller) -> dict[type[Content], Facets]:
    """The filters of the events of a body, for each type that has any. Raises Invalid.

    A consultation is open to the bodies of the territory of its purchase; one of a purchase that the caller
    may not see is left out. What serves a body are the deployments that name it.
    """
    try:
        body = await bodies.get_body(body_id)
    except Invalid as error:
        raise Invalid(error.message, pointer="?body", fault=error.faults[0].code) from error
    territories = (*containing_codes(body), EVERYWHERE)
    purchases = Query(kind=Purchase, facets=(("territory", territories),), limit=MAX_RECORDS)
    serving = Query(kind=Deployment, beneficiaries=tuple(names_of_body(body.id)), limit=MAX_RECORDS)
    found: dict[type[Content], Facets] = {}
    if ids := await _ids(tx, purchases, by=by):
        found[Consultation] = (("purchase", ids),)
    if ids := await _ids(tx, serving, by=by):
        found[Incident] = (("kind", ("maintenance",)), ("deployment", ids))
    return found


async def _ids(tx: Reading, query: Query, *, by: Caller) -> tuple[str, ...]:
    documents, _, _ = await tx.records.collect(query, visible_to=by)
    names = map(_names.decode, documents)
    return tuple(f"{name.origin}/{name.key}" for name in names)


def _calendar(
    node: Node, documents: Iterable[bytes], own: Iterable[CalendarEvent], language: Language
) -> bytes:
    after = node.clock() - PAST
    events = [
        event
        for document in documents
        if (event := _event(_entries.decode(document), node.url, language)) is not None
        and (event.ends_at or event.starts_at) >= after
    ]
    events.sort(key=lambda event: (event.starts_at, event.uid))
    name = TEXTS["name"][language] % node.name
    return calendar((*events, *own), product=node.operator, name=name, language=language)


def _event(entry: _Entry, base: str, language: Language) -> CalendarEvent | None:
    """The event of a record; None where it has no time, or is for a group of operators alone."""
    if entry.tlp not in GREEN_AT_MOST:
        return None
    changed_at = instant(entry.updated_at)
    made: dict[str, Any] | None = {
        "starts_at": changed_at, "summary": TEXTS["retracted"][language], "status": "CANCELLED",
    }  # fmt: skip
    if entry.content is not None:
        made = _MAKERS[entry.type](entry.content, language)
    if made is None:
        return None
    plural = _PLURALS[entry.type]
    return CalendarEvent(
        uid=f"{entry.origin}/{entry.key}@{plural}.federation",
        sequence=entry.revision - 1,
        changed_at=changed_at,
        url=f"{base}/{language}/{plural}/{entry.origin}/{entry.key}",
        **made,
    )


def _meeting(content: _Shown, language: Language) -> dict[str, Any] | None:
    if content.starts_at is None:
        return None
    points = [_words(point.get("title"), language) for point in content.agenda]
    agenda = "\n".join(f"{number}. {point}" for number, point in enumerate(points, 1))
    return {
        **_span(content.starts_at, content.ends_at),
        "summary": _words(content.title, language),
        "description": "\n\n".join(filter(None, (content.url if content.place else None, agenda))),
        "location": content.place or content.url or "",
        "status": "CANCELLED" if content.status == "cancelled" else "CONFIRMED",
    }


def _consultation(content: _Shown, language: Language) -> dict[str, Any] | None:
    if content.needs_until is None:
        return None
    return {
        **_span(content.needs_until, None),
        "summary": TEXTS["needs"][language] % _words(content.title, language),
        "status": "CANCELLED" if content.status == "abandoned" else "CONFIRMED",
        "alarm_minutes": 24 * 60,
    }


def _maintenance(content: _Shown, language: Language) -> dict[str, Any] | None:
    if content.scheduled_for is None:
        return None
    return {
        **_span(content.scheduled_for, content.scheduled_until),
        "summary": TEXTS["maintenance"][language] % _words(content.title, language),
        "description": _words(content.summary, language),
        "status": "CANCELLED" if content.status == "withdrawn" else "CONFIRMED",
    }


_MAKERS: Mapping[str, Callable[[_Shown, Language], dict[str, Any] | None]] = {
    Meeting.type: _meeting,
    Consultation.type: _consultation,
    Incident.type: _maintenance,
}


def _span(begins: str, ends: str | None) -> dict[str, datetime | None]:
    return {"starts_at": instant(begins), "ends_at": instant(ends) if ends else None}


def _words(texts: Mapping[str, str] | None, language: Language) -> str:
    """A text in a language, else in the first one that it has."""
    if not texts:
        return ""
    return texts.get(language) or next(iter(texts.values()))


def addresses(node: Node, secret: str) -> Iterator[tuple[Language, str]]:
    """The addresses of a person's calendar in each language."""
    for language in TEXTS["name"]:
        yield language, f"{node.url}/calendar/{secret}.ics?language={language}"
