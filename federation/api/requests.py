"""Reading a request: query string, preferences, accepted forms, preconditions."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from litestar import Request
from litestar.datastructures import Headers

from federation.api.problem_details import weight_of
from federation.api.responses import tags
from federation.domain.errors import Invalid, NotAcceptable
from federation.domain.feed import MAX_WAIT_SECONDS, PAGE_ENTRIES, Cursor
from federation.node.records import Preconditions


def single_parameters(request: Request[Any, Any, Any], *names: str) -> dict[str, str]:
    """The query parameters, each of these names and given once. Raises Invalid."""
    parameters = request.query_params
    for name in parameters:
        if name not in names:
            offered = f"; {' and '.join(names)} can" if names else ""
            raise Invalid(f"{name[:80]!r} cannot be asked here{offered}", pointer=f"?{name[:80]}")
        if len(parameters.getall(name)) > 1:
            raise Invalid(f"{name} is there twice", pointer=f"?{name}")
    return {name: str(parameters[name]) for name in parameters}


def query_pairs(request: Request[Any, Any, Any]) -> list[tuple[str, str]]:
    """The query parameters, in order. Raises Invalid for a query string that is not UTF-8."""
    try:
        return parse_qsl(
            request.scope["query_string"].decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=100,
        )
    except (UnicodeDecodeError, ValueError):
        raise Invalid(
            "the query string cannot be read: UTF-8, percent-encoded, at most 100 members"
        ) from None


def dry_run_of(request: Request[Any, Any, Any]) -> bool:
    """True when the caller only asks what a change would do (``?dry_run=true``). Raises Invalid."""
    return flag_of(request, "dry_run")


def flag_of(request: Request[Any, Any, Any], flag: str) -> bool:
    """True when the only query parameter there may be is ``true``. Raises Invalid."""
    for name in request.query_params:
        if name != flag:
            raise Invalid(f"{name[:80]!r} cannot be asked here; {flag} can", pointer=f"?{name[:80]}")
    values = request.query_params.getall(flag, ["false"])
    if values not in (["true"], ["false"]):
        raise Invalid(f"{flag} is true or false", pointer=f"?{flag}")
    return values == ["true"]


def preconditions_of(request: Request[Any, Any, Any]) -> Preconditions:
    """``If-Match`` and ``If-None-Match`` of a write."""
    headers = request.headers
    return Preconditions(tags(headers.get("if-match"), strong=True), tags(headers.get("if-none-match")))


def numbers_of(text: str) -> list[int]:
    """Numbers of entries, separated by commas. Raises Invalid."""
    if not re.fullmatch(r"[1-9][0-9]{0,15}(,[1-9][0-9]{0,15})*", text):
        raise Invalid("these are not numbers of entries, separated by commas", pointer="?numbers")
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
    """``after`` and ``limit`` of a feed. Raises Invalid for any other parameter."""
    parameters = single_parameters(request, "after", "limit")
    limit = parameters.get("limit", str(PAGE_ENTRIES))
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 6 and 1 <= int(limit) <= PAGE_ENTRIES):
        raise Invalid(f"limit is a number from 1 to {PAGE_ENTRIES}", pointer="?limit")
    after = parameters.get("after")
    return Cursor.parse(after) if after else None, int(limit)


def media_type_of(request: Request[Any, Any, Any], *offered: str) -> str:
    """The form of the answer that ``Accept`` asks for; the first one offered when it does not matter."""
    best, chosen = 0.0, None
    for part in request.headers.get("accept", "*/*").split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = next((weight_of(p) for p in parameters if p.startswith("q=")), 1.0)
        candidate = offered[0] if media_type in ("*/*", "application/*", "") else media_type
        if candidate in offered and weight > best:
            best, chosen = weight, candidate
    if chosen is not None:
        return chosen
    raise NotAcceptable(f"the answer can be given as {', '.join(offered)}")
