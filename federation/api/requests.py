"""Reading a request: pages, preferences, accepted forms, preconditions."""

from __future__ import annotations

import re
from typing import Any

from litestar import Request
from litestar.datastructures import Headers

from federation.domain.errors import Invalid, NotAcceptable
from federation.domain.feed import MAX_WAIT_SECONDS, PAGE_ENTRIES, Cursor
from federation.edge.answers import tags
from federation.edge.query_parameters import parameters_of
from federation.edge.weights import weighted
from federation.node.records import Preconditions


def preconditions_of(request: Request[Any, Any, Any]) -> Preconditions:
    """``If-Match`` and ``If-None-Match`` of a write."""
    headers = request.headers
    return Preconditions(tags(headers.get("if-match"), strong=True), tags(headers.get("if-none-match")))


def numbers_of(text: str) -> list[int]:
    """Numbers of entries, separated by commas. Raises Invalid."""
    if not re.fullmatch(r"[1-9][0-9]{0,15}(,[1-9][0-9]{0,15})*", text):
        raise Invalid(
            "these are not numbers of entries, separated by commas", pointer="?numbers", fault="pattern"
        )
    return [int(number) for number in text.split(",")]


def wait_of(request: Request[Any, Any, Any]) -> int:
    """Seconds the caller prefers to wait (RFC 7240, 4.3), at most ``MAX_WAIT_SECONDS``."""
    return _wait_seconds(request.headers)


def asks_to_wait(headers: Headers) -> bool:
    """True for a request that wants to wait for changes, or to have a stream of events."""
    return bool(_wait_seconds(headers)) or "text/event-stream" in headers.get("accept", "")


def _wait_seconds(headers: Headers) -> int:
    for preference in headers.get("prefer", "").split(","):
        if seconds := re.fullmatch(r"\s*wait\s*=\s*([0-9]{1,6})\s*", preference):
            return min(int(seconds[1]), MAX_WAIT_SECONDS)
    return 0


def page_of(request: Request[Any, Any, Any]) -> tuple[Cursor | None, int]:
    """``after`` and ``limit`` of a feed. Raises Invalid."""
    parameters = parameters_of(request)
    limit = int(parameters.get("limit", PAGE_ENTRIES))  # the guard has checked that it is a number
    after = parameters.get("after")
    return Cursor.parse(after, "?after") if after else None, limit


def media_type_of(request: Request[Any, Any, Any], *offered: str) -> str:
    """The form of the answer that ``Accept`` asks for; the first one offered when it does not matter."""
    best, chosen = 0.0, None
    for media_type, weight in weighted(request.headers.get("accept", "*/*")):
        candidate = offered[0] if media_type in ("*/*", "application/*", "") else media_type
        if candidate in offered and weight > best:
            best, chosen = weight, candidate
    if chosen is not None:
        return chosen
    raise NotAcceptable("the answer can be given as {offered}", offered=", ".join(offered))
