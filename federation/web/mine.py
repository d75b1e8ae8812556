"""Ours: what of our own is unanswered, unknown, old or due."""

from __future__ import annotations

from urllib.parse import urlencode

from litestar.response.base import ASGIResponse

from federation.domain.query import PageKey
from federation.edge.operations import Right
from federation.node import deadlines, exposure, own_work
from federation.web.pages import page
from federation.web.visit import Visit

READ = Right("incidents.write")
MAX_INCIDENTS = 50
"""Open incidents that one page compares with our deployments, the newest first."""


@page("/mine", act="page_mine", right=READ)
async def mine(visit: Visit) -> ASGIResponse:
    """Show what waits for us: incidents without our answer, reports, tasks, needs, versions."""
    node, by = visit.node, visit.caller
    after = PageKey.parse(text, "-updated_at") if (text := visit.parameter("after")) else None
    own, following = await exposure.of_own(
        node, by=by, limit=MAX_INCIDENTS, after=after, with_deployments=False
    )
    due = await deadlines.list_deadlines(node, by=by) if visit.may("deadlines.read") else ()
    return visit.page(
        "mine.html",
        alternate="/v1/exposure?mine=true",
        own=own,
        following=str(following) if following is not None else "",
        unanswered=[line for line in own.incidents if line.exposure.answer is None],
        answered=[line for line in own.incidents if line.exposure.answer is not None],
        deadlines=[view for view in due if view.next is not None],
        tasks=await own_work.open_tasks(node, by=by),
        needs=await own_work.open_needs(node, by=by),
        versions=[(note, _address(visit, note)) for note in await own_work.version_notes(node, by=by)],
        is_partial=not by.sees_all,
    )


def _address(visit: Visit, note: own_work.VersionNote) -> str:
    """The list of the deployments that a note is about; those without a version are marked there."""
    filters = {"origin": visit.node.operator, "solution": note.solution, "version": note.version or ""}
    return (
        f"{visit.url('/deployments')}?{urlencode({name: value for name, value in filters.items() if value})}"
    )


HANDLERS = (mine,)
