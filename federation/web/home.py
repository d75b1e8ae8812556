"""The first page, the way to it, and the files that all pages load."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from litestar.response.base import ASGIResponse

from federation.domain.errors import NotFound
from federation.domain.query import Query
from federation.domain.registry import TYPES
from federation.domain.values import instant
from federation.edge.answers import answer
from federation.edge.weights import language_of
from federation.node import operator_names, records, service_status
from federation.web.entries import Entry, decode_rows
from federation.web.pages import page
from federation.web.static_files import static_files
from federation.web.visit import Visit, redirect

NEW_TYPES = ("practice", "solution", "offer")
"""Types whose newest records the first page shows."""
MAX_NEW = 4
"""Records of each type that are shown as new."""
MAX_EVENTS = 8
"""Outages, dates and meetings that each part shows, at most."""
MAX_READ = 100
"""Consultations and meetings that are read to find those that come next, at most: those changed last."""
OPEN_CONSULTATIONS = ("idea", "gathering", "convention")
"""Statuses in which needs are still given."""


class NewRow(msgspec.Struct, frozen=True):
    """The members of a new record that are shown; a solution has a name in place of a title."""

    name: str | None = None
    title: dict[str, str] | None = None


class ConsultationRow(msgspec.Struct, frozen=True):
    """The members of a consultation that are shown."""

    title: dict[str, str]
    needs_until: str | None = None


class MeetingRow(msgspec.Struct, frozen=True):
    """The members of a meeting that are shown."""

    title: dict[str, str]
    starts_at: str
    place: str | None = None
    url: str | None = None


@page("/", act="page_home")
async def home(visit: Visit) -> ASGIResponse:
    """Show what is new, what is down, what closes soon, and when operators meet."""
    *newest, open_consultations, planned_meetings = await records.collect_each(
        visit.node,
        [
            *(Query(kind=TYPES[name], limit=MAX_NEW) for name in NEW_TYPES),
            Query(kind=TYPES["consultation"], facets=(("status", OPEN_CONSULTATIONS),), limit=MAX_READ),
            Query(kind=TYPES["meeting"], facets=(("status", ("planned",)),), limit=MAX_READ),
        ],
        by=visit.caller,
    )
    new = [row for documents in newest for row in decode_rows(NewRow, documents)]
    consultations: Sequence[Entry[ConsultationRow]] = decode_rows(ConsultationRow, open_consultations)
    meetings: Sequence[Entry[MeetingRow]] = decode_rows(MeetingRow, planned_meetings)
    events, more_events = await service_status.going_on(visit.node, by=visit.caller)
    visit.operator_names = await operator_names.names_of(
        visit.node, {*(event.origin for event in events), *(entry.origin for entry in new)}, by=visit.caller
    )
    now = visit.now
    closing = [entry for entry in consultations if _is_to_come(visit, entry.content.needs_until)]
    closing.sort(key=lambda entry: instant(entry.content.needs_until or ""))
    to_come = [entry for entry in meetings if _is_to_come(visit, entry.content.starts_at)]
    to_come.sort(key=lambda entry: instant(entry.content.starts_at))
    return visit.page(
        "home.html",
        feed="all",
        plurals={name: kind.plural for name, kind in TYPES.items()},
        new=sorted(new, key=lambda entry: entry.updated_at, reverse=True),
        down=[event for event in events if not event.is_to_come(now)][:MAX_EVENTS],
        planned=sorted(
            (event for event in events if event.is_to_come(now)), key=lambda event: event.since or ""
        )[:MAX_EVENTS],
        more_events=more_events,
        closing=closing[:MAX_EVENTS],
        meetings=to_come[:MAX_EVENTS],
    )


def _is_to_come(visit: Visit, moment: str | None) -> bool:
    return moment is not None and instant(moment) > visit.now


@page("/", act="page_root", has_language=False)
async def root(visit: Visit) -> ASGIResponse:
    """Lead to the first page in the language of the visitor."""
    language = language_of(visit.request.headers.get("accept-language"))
    return redirect(f"/{language}", 302)


@page("/static/{digest:str}/{name:str}", act="page_file", has_language=False, media_type="text/css")
async def static_file(visit: Visit, digest: str, name: str) -> ASGIResponse:
    """Send a style, script or icon."""
    file = static_files().get(name)
    if file is None or file.digest != digest:
        raise NotFound("there is no such page here")
    headers = {"cache-control": "public, max-age=31536000, immutable"}
    return answer(file.body, media_type=file.media_type, headers=headers)


HANDLERS = (home, root, static_file)
