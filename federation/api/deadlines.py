"""Reporting deadlines of NIS2 and GDPR: the operator's own, over HTTP, never part of a feed."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.answer_links import FROM_PATH, links
from federation.api.examples import DEADLINE
from federation.api.handlers import handles
from federation.domain.deadline import ReportingDeadline
from federation.domain.draft import read_draft
from federation.domain.errors import Invalid, NotFound
from federation.edge.answers import JSON, NO_STORE, answer, json_answer
from federation.edge.operations import Answer, Body, Operation, Right
from federation.edge.requests import body_of, caller_of, node_of
from federation.node import deadlines as node_deadlines
from federation.node import records
from federation.node.deadlines import DeadlineView

CALENDAR = "text/calendar"
READER, WRITER = Right("deadlines.read"), Right("deadlines.write", caller="own")
ONE = "/v1/deadlines/{origin:str}/{key:str}"


class DeadlinesView(msgspec.Struct, frozen=True):
    """Every reporting deadline, the one due next first."""

    deadlines: tuple[DeadlineView, ...]


@handles(
    Operation(
        act="deadlines",
        id="listDeadlines",
        method="GET",
        path="/v1/deadlines",
        right=READER,
        tag="alerts",
        answers=(Answer(200, "The deadlines", {JSON: DeadlinesView}),),
    )
)
async def list_deadlines(request: Request[Any, Any, Any]) -> ASGIResponse:
    """List the reporting deadlines, the one due next first."""
    return json_answer(
        DeadlinesView(await node_deadlines.list_deadlines(node_of(request), by=caller_of(request))),
        headers=NO_STORE,
    )


@handles(
    Operation(
        act="calendar",
        id="getCalendar",
        method="GET",
        path="/v1/deadlines.ics",
        right=READER,
        tag="alerts",
        answers=(Answer(200, "A calendar", {CALENDAR: {"type": "string"}}),),
    )
)
async def get_calendar(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Download what is due as a calendar (RFC 5545)."""
    headers = {**NO_STORE, "content-disposition": 'attachment; filename="deadlines.ics"'}
    return answer(
        await node_deadlines.calendar(node_of(request), by=caller_of(request)),
        media_type=CALENDAR,
        headers=headers,
    )


@handles(
    Operation(
        act="deadline",
        id="getDeadline",
        method="GET",
        path=ONE,
        right=READER,
        tag="alerts",
        answers=(Answer(200, "The deadline", {JSON: DeadlineView}),),
        errors=(NotFound,),
    )
)
async def get_deadline(request: Request[Any, Any, Any], origin: str, key: str) -> ASGIResponse:
    """Get a reporting deadline and its steps."""
    return json_answer(
        await node_deadlines.find(node_of(request), origin, key, by=caller_of(request)), headers=NO_STORE
    )


@handles(
    Operation(
        act="set_deadline",
        id="setDeadline",
        method="PUT",
        path=ONE,
        right=WRITER,
        tag="alerts",
        bodies=(Body(JSON, ReportingDeadline, DEADLINE),),
        answers=(
            Answer(
                200,
                "The deadline as it is now",
                {JSON: DeadlineView},
                links=links(FROM_PATH, get="getDeadline", remove="removeDeadline"),
            ),
        ),
        errors=(Invalid, NotFound),
    )
)
async def set_deadline(request: Request[Any, Any, Any], origin: str, key: str) -> ASGIResponse:
    """Set a reporting deadline, or note what has been done: NIS2 24 h, 72 h and one month, GDPR 72 h."""
    node = node_of(request)
    records.check_origin(node, origin, key)
    deadline = read_draft(await body_of(request), ReportingDeadline)
    return json_answer(
        await node_deadlines.set_deadline(node, deadline, origin, key, by=caller_of(request)),
        headers=NO_STORE,
    )


@handles(
    Operation(
        act="remove_deadline",
        id="removeDeadline",
        method="DELETE",
        path=ONE,
        right=WRITER,
        tag="alerts",
        answers=(Answer(204, "Removed"),),
        errors=(NotFound,),
    )
)
async def remove_deadline(request: Request[Any, Any, Any], origin: str, key: str) -> ASGIResponse:
    """Remove a reporting deadline."""
    await node_deadlines.remove_deadline(node_of(request), origin, key, by=caller_of(request))
    return answer(b"", status=204, headers=NO_STORE)


HANDLERS = (list_deadlines, get_calendar, get_deadline, set_deadline, remove_deadline)
