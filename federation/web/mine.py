"""Ours: what of our own is unanswered, unknown, old or due."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import urlencode

from litestar.response.base import ASGIResponse

from federation.domain.exposure.answers import OwnLine
from federation.domain.query import PageKey
from federation.edge.operations import Right
from federation.node import exposure, own_work
from federation.node.deadlines import DeadlineView
from federation.web.language import screen_text as t
from federation.web.list_files import file_answer, list_file
from federation.web.listing import value_words
from federation.web.pages import page
from federation.web.rendering import in_language
from federation.web.visit import Visit

READ = Right("incidents.write")
MAX_INCIDENTS = 50
"""Open incidents that one page compares with our deployments, the newest first."""
MAX_FILE_PAGES = 10
"""Pages of incidents that the file has, at most."""
COLUMNS = (
    t("What waits"), t("Title"), t("Identifier"), t("State"), t("Due on"), t("Affected"), t("To be checked"),
)  # fmt: skip


@page("/mine", act="page_mine", right=READ)
async def mine(visit: Visit) -> ASGIResponse:
    """Show what waits for us: incidents without our answer, reports, tasks, needs, versions."""
    by = visit.caller
    after = PageKey.parse(text, "-updated_at") if (text := visit.parameter("after")) else None
    work = await own_work.of_own(
        visit.node, by=by, limit=MAX_INCIDENTS, after=after, with_deadlines=visit.may("deadlines.read")
    )
    own = work.exposure
    return visit.page(
        "mine.html",
        alternate="/v1/exposure?mine=true",
        own=own,
        following=str(work.following) if work.following is not None else "",
        unanswered=[line for line in own.incidents if line.exposure.answer is None],
        answered=[line for line in own.incidents if line.exposure.answer is not None],
        deadlines=[view for view in work.deadlines if view.next is not None],
        tasks=work.tasks,
        needs=work.needs,
        versions=[(note, _address(visit, note)) for note in work.versions],
        is_partial=not by.sees_all,
    )


@list_file("/mine", act="page_mine_file", right=READ)
async def mine_file(visit: Visit) -> ASGIResponse:
    """The page as a file: a line for each thing that waits for us."""
    node, by = visit.node, visit.caller
    work = await own_work.of_own(
        node, by=by, limit=MAX_INCIDENTS, after=None, with_deadlines=visit.may("deadlines.read")
    )
    lines, after = [*work.exposure.incidents], work.following
    for _ in range(MAX_FILE_PAGES - 1):
        if after is None:
            break
        own, after = await exposure.of_own(
            node, by=by, limit=MAX_INCIDENTS, after=after, with_deployments=False
        )
        lines += own.incidents
    rows = [
        *_incident_rows(visit, lines),
        *_deadline_rows(visit, work.deadlines),
        *_task_rows(visit, work.tasks),
        *_need_rows(visit, work.needs),
        *_version_rows(visit, work.versions),
    ]
    return await file_answer(visit, "mine", COLUMNS, rows, is_cut=after is not None, cut=_MORE_INCIDENTS)


_MORE_INCIDENTS = t("There are more open incidents: see the page.")
_STATES = {True: t("overdue"), False: t("due")}
_REASONS = {
    "ended": t("support has ended:"),
    "unsupported": t("no longer supported"),
    "rolling": t("changes all the time: whether an incident affects it is unknown"),
    "not-understood": t("this version of the program does not understand the record"),
    "unknown": t("version unknown: whether an incident affects it is unknown"),
}


def _incident_rows(visit: Visit, lines: list[OwnLine]) -> Iterator[list[object]]:
    for line in lines:
        answered = line.exposure.answer
        yield [
            visit.text(t("Incident")),
            in_language(visit.language, line.incident.title)[0],
            line.incident.id,
            value_words(visit, "statement_status", answered)
            if answered
            else visit.text(t("without an answer of ours")),
            None,
            line.exposure.affected.deployments,
            line.exposure.unknown.deployments,
        ]


def _deadline_rows(visit: Visit, views: tuple[DeadlineView, ...]) -> Iterator[list[object]]:
    for view in views:
        if view.next is not None:
            step = value_words(visit, "deadline_step", view.next.step)
            state = visit.text(_STATES[view.next.overdue])
            yield [step, view.deadline.title, view.key, state, view.next.due_at, None, None]


def _task_rows(visit: Visit, tasks: Iterable[own_work.Task]) -> Iterator[list[object]]:
    for task in tasks:
        title = in_language(visit.language, task.text)[0]
        state = visit.text(_STATES[task.overdue]) if task.due else visit.text(t("without a date"))
        yield [visit.text(t("Task")), title, task.meeting, state, task.due, None, None]


def _need_rows(visit: Visit, needs: Iterable[own_work.OpenNeed]) -> Iterator[list[object]]:
    for need in needs:
        title = in_language(visit.language, need.title)[0]
        state = (
            value_words(visit, "participation_state", need.state)
            if need.state
            else visit.text(t("We have said nothing yet."))
        )
        yield [visit.text(t("Need to give")), title, need.consultation, state, need.needs_until, None, None]


def _version_rows(visit: Visit, notes: Iterable[own_work.VersionNote]) -> Iterator[list[object]]:
    for note in notes:
        title = " ".join(filter(None, (note.solution or visit.text(t("unknown solution")), note.version)))
        reason = visit.text(_REASONS[note.reason])
        yield [visit.text(t("Version")), title, note.solution, reason, note.ended_on, None, note.deployments]


def _address(visit: Visit, note: own_work.VersionNote) -> str:
    """The list of the deployments that a note is about; those without a version are marked there."""
    filters = {"origin": visit.node.operator, "solution": note.solution, "version": note.version or ""}
    return (
        f"{visit.url('/deployments')}?{urlencode({name: value for name, value in filters.items() if value})}"
    )


HANDLERS = (mine, mine_file)
