"""Meetings: when and where, about what; what was decided, who does what, and what others add."""

from __future__ import annotations

from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from litestar.response.base import ASGIResponse

from federation.domain.content.meeting import Meeting, is_time_zone
from federation.domain.values import instant
from federation.edge.operations import Right
from federation.web import formatting
from federation.web.contributions import contribute, contributions_about
from federation.web.entries import Entry
from federation.web.labels import LABELS
from federation.web.language import screen_text as t
from federation.web.list_files import Column, list_file, listing_file
from federation.web.listing import Filter, list_answer, read_listing, value_words
from federation.web.markdown import in_words
from federation.web.pages import page
from federation.web.records import open_record, source_of
from federation.web.rendering import in_language
from federation.web.visit import Visit

READ = Right("meetings.read", open=True)
BEFORE = ("agenda-item", "question", "answer", "comment", "attendance", "task-done")
"""Contributions to a meeting to come."""
AFTER = ("comment", "question", "answer", "task-done")
"""Contributions to a meeting that was held."""


class MeetingRow(msgspec.Struct, frozen=True):
    """The members of a meeting that the list shows."""

    title: dict[str, str]
    starts_at: str
    status: str = "planned"
    place: str | None = None
    url: str | None = None


FILTERS = (
    Filter("q", t("Words")),
    Filter("status", t("Stage"), values=tuple(LABELS["meeting_status"]), kind="meeting_status"),
    Filter("series", t("Series"), hint=t("the name of a recurring meeting")),
    Filter("owner", t("Tasks of"), hint=t("the identifier of an operator, for example arnia")),
    Filter("origin", t("Operator"), hint=t("its identifier, for example arnia")),
)
COLUMNS = (
    Column(t("Title"), lambda visit, entry: in_language(visit.language, entry.content.title)[0]),
    Column(t("Begins"), lambda visit, entry: entry.content.starts_at),
    Column(t("Stage"), lambda visit, entry: value_words(visit, "meeting_status", entry.content.status)),
    Column(t("Place"), lambda visit, entry: entry.content.place or entry.content.url),
    Column(t("Operator"), lambda visit, entry: entry.origin),
    Column(t("Identifier"), lambda visit, entry: entry.id),
    Column(t("Updated"), lambda visit, entry: entry.updated_at),
)


@page("/meetings", act="page_meetings", right=READ)
async def meetings(visit: Visit) -> ASGIResponse:
    """List meetings."""
    listing = await read_listing(visit, Meeting, MeetingRow, FILTERS)
    rows = sorted(listing.rows, key=lambda row: _order(visit, row.entry))
    return list_answer(visit, "meetings.html", listing._replace(rows=tuple(rows)))


def _order(visit: Visit, entry: Entry[MeetingRow]) -> tuple[bool, float]:
    """Meetings to come first, the next one first; then the others, the last one first."""
    begins = instant(entry.content.starts_at).timestamp()
    is_past = begins < visit.now.timestamp()
    return is_past, -begins if is_past else begins


@list_file("/meetings", act="page_meetings_file", right=READ)
async def meetings_file(visit: Visit) -> ASGIResponse:
    """The list of meetings as a file."""
    return await listing_file(visit, Meeting, MeetingRow, FILTERS, COLUMNS)


@page("/meetings/{origin:str}/{key:str}", act="page_meeting", right=READ)
async def meeting(visit: Visit, origin: str, key: str) -> ASGIResponse:
    """Show a meeting: agenda, decisions, tasks, minutes, and what others add."""
    entry = await open_record(visit, Meeting, origin, key)
    return entry if not isinstance(entry, Entry) else await _show(visit, entry)


@page(
    "/meetings/{origin:str}/{key:str}/contributions",
    act="page_meeting_contribution",
    right=Right("contributions.write"),
    method="POST",
)
async def meeting_contribution(visit: Visit, origin: str, key: str) -> ASGIResponse:
    """Propose a point, ask, answer, say who comes, or report a task done."""
    entry = await open_record(visit, Meeting, origin, key)
    if not isinstance(entry, Entry):
        return entry
    return await contribute(visit, entry, _kinds(entry.content)) or await _show(visit, entry, status=400)


def _kinds(content: Meeting) -> tuple[str, ...]:
    return BEFORE if content.status == "planned" else AFTER


async def _show(visit: Visit, entry: Entry[Any], status: int = 200) -> ASGIResponse:
    content: Meeting = entry.content
    open_tasks = [task for task in content.tasks if task.done_on is None]
    own_tasks = [task for task in open_tasks if task.owner in (None, visit.node.operator)]
    kinds = [kind for kind in _kinds(content) if kind != "task-done" or own_tasks]
    contributions = await contributions_about(visit, entry, kinds, own_tasks)
    return visit.page(
        "meeting.html",
        status=status,
        alternate=f"/v1/meetings/{entry.id}",
        entry=entry,
        source=await source_of(
            visit, entry, *_named(content), *(entry.origin for entry in contributions.entries)
        ),
        minutes=await in_words(content.minutes, visit.language),
        there=_there(visit, content),
        today=visit.now.astimezone(visit.node.time_zone).date().isoformat(),
        reports=_reports(contributions.entries),
        contributions=contributions,
        is_ours=entry.origin == visit.node.operator and visit.may("meetings.write"),
    )


def _named(content: Meeting) -> set[str]:
    """The operators that a meeting names."""
    return {
        *content.attending,
        *(point.by for point in content.agenda if point.by is not None),
        *(task.owner for task in content.tasks if task.owner is not None),
    }


def _there(visit: Visit, content: Meeting) -> str:
    """The beginning in the time zone of the meeting, where that differs from the node's; else empty."""
    if content.time_zone is None or not is_time_zone(content.time_zone):
        return ""
    begins, zone = instant(content.starts_at), ZoneInfo(content.time_zone)
    text = formatting.moment_text(visit.language, begins, zone)
    here = formatting.moment_text(visit.language, begins, visit.node.time_zone or UTC)
    return "" if text == here else f"{text} ({content.time_zone})"


def _reports(entries: Any) -> dict[str, list[Any]]:
    """Contributions that report a task done, by the key of the task."""
    reports: dict[str, list[Any]] = {}
    for entry in entries:
        if entry.content.kind == "task-done" and entry.content.task:
            reports.setdefault(entry.content.task, []).append(entry)
    return reports


HANDLERS = (meetings, meetings_file, meeting, meeting_contribution)
