"""Ours: what of our own is unanswered, unknown, old or due."""

from __future__ import annotations

from urllib.parse import urlencode

from litestar.response.base import ASGIResponse

from federation.domain.query import PageKey
from federation.edge.operations import Right
from federation.node import own_work
from federation.web.pages import page
from federation.web.visit import Visit

READ = Right("incidents.write")
MAX_INCIDENTS = 50
"""Open incidents that one page compares with our deployments, the newest first."""


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


def _address(visit: Visit, note: own_work.VersionNote) -> str:
    """The list of the deployments that a note is about; those without a version are marked there."""
    filters = {"origin": visit.node.operator, "solution": note.solution, "version": note.version or ""}
    return (
        f"{visit.url('/deployments')}?{urlencode({name: value for name, value in filters.items() if value})}"
    )


HANDLERS = (mine,)
