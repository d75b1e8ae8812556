"""Calendars to subscribe to: the public one, and that of a person by its secret address.

Calendar programs cannot log in, so the address is the key. It stands in no log of the node
(``edge/log_paths.py``) and in no cache, and it ends with the person.
"""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.handlers import handles
from federation.api.public_answers import LANGUAGE, PUBLIC_ETAG, asked_language, public_answer
from federation.domain.content.solution import THEMES
from federation.domain.errors import NotFound
from federation.domain.territories.public_bodies import BODY_ID_PATTERN
from federation.domain.values import ID_PATTERN, OPERATOR_PATTERN
from federation.edge.answers import NO_STORE, answer
from federation.edge.operations import ANYONE, Answer, Operation, Parameter
from federation.edge.query_parameters import parameters_of
from federation.edge.requests import node_of
from federation.node import calendars
from federation.node.calendars import CalendarFilter

CALENDAR = "text/calendar"
PUBLIC_SECONDS = 300
ENDING = ".ics"
FILTERS = (
    Parameter(
        "type",
        {
            "description": "Events of this type alone; `incidents`: maintenance windows.",
            "schema": {"type": "string", "enum": ["meetings", "consultations", "incidents"]},
        },
    ),
    Parameter(
        "origin",
        {
            "description": "Events of this operator alone.",
            "schema": {"type": "string", "pattern": OPERATOR_PATTERN},
        },
    ),
    Parameter(
        "theme",
        {
            "description": "Consultations of this theme alone.",
            "schema": {"type": "string", "enum": sorted(THEMES)},
        },
    ),
    Parameter(
        "solution",
        {
            "description": "Consultations and maintenance of this solution alone: `origin/key`.",
            "schema": {"type": "string", "pattern": ID_PATTERN},
        },
    ),
    Parameter(
        "body",
        {
            "description": (
                "Events of this public body alone: consultations of purchases that are open to it, and"
                " maintenance of deployments that name it. No meeting is one."
            ),
            "schema": {"type": "string", "pattern": BODY_ID_PATTERN, "examples": ["cog:71076"]},
        },
    ),
)


@handles(
    Operation(
        act="public_calendar",
        id="getPublicCalendar",
        method="GET",
        path="/calendar.ics",
        right=ANYONE,
        tag="node",
        parameters=(LANGUAGE, *FILTERS),
        answers=(
            Answer(200, "A calendar (RFC 5545)", {CALENDAR: {"type": "string"}}, PUBLIC_ETAG),
            Answer(304, "You have it", {}, PUBLIC_ETAG),
        ),
    )
)
async def public_calendar(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Subscribe to what is public: ends of the time for needs, maintenance windows, public meetings."""
    given = parameters_of(request)
    names = ("type", "origin", "theme", "solution", "body")
    only = CalendarFilter(*(given.get(name) for name in names))
    body = await calendars.public_calendar(node_of(request), asked_language(request), only)
    return public_answer(request, body, CALENDAR, PUBLIC_SECONDS)


@handles(
    Operation(
        act="own_calendar",
        id="",
        method="GET",
        path="/calendar/{file:str}",
        right=ANYONE,
        tag="node",
        parameters=(LANGUAGE,),
        answers=(Answer(200, "A calendar (RFC 5545)", {CALENDAR: {"type": "string"}}),),
    )
)
async def own_calendar(request: Request[Any, Any, Any], file: str) -> ASGIResponse:
    """Send the calendar of the person whose address it is."""
    if not file.endswith(ENDING):
        raise NotFound("there is no such calendar; its owner may have ended the address")
    body = await calendars.own_calendar(node_of(request), file.removesuffix(ENDING), asked_language(request))
    return answer(body, media_type=CALENDAR, headers=NO_STORE)


HANDLERS = (public_calendar, own_calendar)
