"""Calendars to subscribe to: the public one, and that of a person by its secret address.

Calendar programs cannot log in, so the address is the key. It stands in no log of the node
(``edge/log_paths.py``) and in no cache, and it ends with the person.
"""

from __future__ import annotations

import hashlib
from typing import Any

from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.handlers import handles
from federation.domain.errors import NotFound
from federation.domain.messages import LANGUAGES, Language
from federation.edge.answers import NO_STORE, answer
from federation.edge.operations import ANYONE, Answer, Operation, Parameter
from federation.edge.query_parameters import pairs_of
from federation.edge.requests import node_of
from federation.edge.weights import language_of
from federation.node import calendars

CALENDAR = "text/calendar"
PUBLIC_SECONDS = 300
ENDING = ".ics"
LANGUAGE = Parameter(
    "language",
    {
        "description": "The language of its texts; else the one that `Accept-Language` ranks first.",
        "schema": {"type": "string", "enum": list(LANGUAGES)},
    },
)


@handles(
    Operation(
        act="public_calendar",
        id="getPublicCalendar",
        method="GET",
        path="/calendar.ics",
        right=ANYONE,
        tag="node",
        parameters=(LANGUAGE,),
        answers=(Answer(200, "A calendar (RFC 5545)", {CALENDAR: {"type": "string"}}),),
    )
)
async def public_calendar(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Subscribe to what is public: ends of the time for needs, maintenance windows, public meetings."""
    body = await calendars.public_calendar(node_of(request), _language(request))
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"cache-control": f"public, max-age={PUBLIC_SECONDS}", "vary": "accept-language", "etag": tag}
    if tag in (request.headers.get("if-none-match") or ""):
        return answer(b"", status=304, headers=headers)
    return answer(body, media_type=CALENDAR, headers=headers)


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
    body = await calendars.own_calendar(node_of(request), file.removesuffix(ENDING), _language(request))
    return answer(body, media_type=CALENDAR, headers=NO_STORE)


def _language(request: Request[Any, Any, Any]) -> Language:
    asked = next((value for name, value in pairs_of(request) if name == LANGUAGE.name), None)
    for language in LANGUAGES:
        if asked == language:
            return language
    return language_of(request.headers.get("accept-language"))


HANDLERS = (public_calendar, own_calendar)
