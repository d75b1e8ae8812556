"""Refusals as pages with a way on."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.response.base import ASGIResponse

from federation.domain import errors
from federation.domain.messages import LANGUAGES
from federation.domain.visibility import anonymous
from federation.edge.answers import Bytes, act_of, subject_of
from federation.edge.log_paths import logged_path
from federation.edge.query_parameters import PAIRS
from federation.edge.requests import node_of
from federation.edge.statuses import STATUS, retry_headers
from federation.web.language import language_of_path
from federation.web.visit import HTML, Visit, redirect

STEP_UP = "insufficient_user_authentication"
"""The error of a page that asks its visitor to log in again (RFC 9470, 3)."""
log = logging.getLogger("federation.web")


def answer_page_error(visit: Visit, error: Exception) -> ASGIResponse:
    """The page of a refusal or failure. A page that needs a login leads to it, and back."""
    scope: Any = visit.request.scope
    scope.setdefault(PAIRS, [])
    refused, status = _as_refusal(error)
    if refused is None:
        path, method = logged_path(visit.request.url.path), visit.request.method
        log.error("unhandled exception", exc_info=error, extra={"path": path, "method": method})
    elif status in (401, 403, 429):
        visit.node.refusals.count(act_of(scope), refused.code, subject_of(visit.caller))
    if isinstance(refused, errors.Unauthenticated) and visit.request.method in ("GET", "HEAD"):
        query = scope["query_string"].decode("latin-1")
        back = f"{visit.path}?{query}" if query else visit.path
        again = {"again": "yes"} if refused.error == STEP_UP else {}
        return redirect(visit.url(f"/login?{urlencode({'next': back, **again})}"))
    return visit.page(
        "error.html",
        status=status,
        headers=retry_headers(refused) if refused is not None else None,
        kind=_kind(refused, status),
        error=refused,
        fields=list(visit.form.fields.items()) if visit.form is not None else [],
    )


def _as_refusal(error: Exception) -> tuple[errors.Refused | None, int]:
    """The refusal that an exception is, and its status; None for a fault of the program."""
    if isinstance(error, errors.Refused):
        return error, STATUS[type(error)]
    if isinstance(error, HTTPException) and 400 <= error.status_code < 500:
        if error.status_code == 404:
            return errors.NotFound("there is no such page here"), 404
        return errors.Invalid("the request cannot be read"), error.status_code
    return None, 500


def _kind(refused: errors.Refused | None, status: int) -> str:
    """The way on that the page offers."""
    match refused:
        case None:
            return "failed"
        case errors.Unauthenticated(error=error) if error == STEP_UP:
            return "step-up"
        case errors.Unauthenticated():
            return "session-ended"
        case errors.MissingScope():
            return "role"
        case errors.Retracted():
            return "retracted"
        case errors.NotFound():
            return "absent"
        case errors.TooManyRequests():
            return "too-many"
    return "unavailable" if status == 503 else "refused"


def answer_no_page(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The answer under the path of a language where there is no page, or not with this method."""
    node = node_of(request)
    language = language_of_path(request.scope["path"]) or LANGUAGES[0]
    page = answer_page_error(Visit(request, language, anonymous(node.operator)), error)
    if not isinstance(page, Bytes):  # (an exception handler of the framework returns one of these)
        raise TypeError("a page is made of bytes")
    headers = {name: value for name, value in page.named_headers.items() if name != "content-type"}
    return Response(page.body, status_code=page.status_code, media_type=HTML, headers=headers)
