"""Answers: stored bytes with their ETag, and every refusal as a problem (``api/problem_details.py``)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException
from litestar.response.base import ASGIResponse

from federation.api.oauth_errors import oauth_code, oauth_error
from federation.api.problem_details import TYPE, Problem, fault_details, text_of
from federation.domain import errors as domain_errors
from federation.domain.faults import Fault
from federation.domain.messages import Language, Message
from federation.domain.stored import StoredRecord
from federation.edge.answers import (
    JSON,
    NO_STORE,
    PROBLEM,
    REVALIDATE,
    act_of,
    answer,
    etag,
    http_date,
    json_answer,
    subject_of,
)
from federation.edge.log_paths import logged_path
from federation.edge.operations import KEY, Operation
from federation.edge.standing_headers import accepted_types, allowed_methods
from federation.edge.statuses import INTERNAL_ERROR, METHOD_NOT_ALLOWED, STATUS, TITLES, retry_headers
from federation.edge.weights import language_of
from federation.node.edits import WriteResult
from federation.node.keys import ALGORITHMS
from federation.node.previews import Preview

log = logging.getLogger("federation.api")


def record_answer(
    record: StoredRecord, held_tags: frozenset[str] | None, modified_since: str | None = None
) -> ASGIResponse:
    """A record's own bytes, or 304 when the caller has them.

    ``modified_since``: the header ``If-Modified-Since``; it counts where no tag is named (RFC 9110, 13.1.3),
    and as the date of ``Last-Modified`` alone: a revision may arrive after a later date than its own.
    """
    modified = http_date(record.updated_at)
    headers = {"etag": etag(record.hash), "last-modified": modified, **REVALIDATE}
    if held_tags is None:
        is_held = modified_since == modified
    else:
        is_held = "*" in held_tags or record.hash.hex() in held_tags
    if is_held:
        return answer(b"", status=304, headers=headers)
    return answer(record.document, headers=headers)


def write_answer(outcome: WriteResult, location: str, *, dry_run: bool = False) -> ASGIResponse:
    """The answer to a write: 201 for a new record, 200 for a revised or unchanged one, 204 retracted.

    With ``dry_run``, a preview without changes: a write that changes something raises DryRun before.
    """
    if dry_run:
        return json_answer(Preview.nothing(), headers=NO_STORE)
    headers = {"etag": etag(outcome.hash), **NO_STORE}
    if outcome.retracted:
        return answer(b"", status=204, headers=headers)
    if outcome.created:
        headers["location"] = location
    return answer(outcome.document, status=201 if outcome.created else 200, headers=headers)


def problem(
    base: str,
    code: str,
    title: str,
    status: int,
    message: Message | None,
    *,
    faults: tuple[Fault, ...] = (),
    more: int = 0,
    language: Language = "en",
    headers: Mapping[str, str] | None = None,
) -> Response[bytes]:
    """A refusal. ``help`` is a page that this node serves."""
    body = Problem(
        type=TYPE.format(code=code),
        code=code,
        title=text_of(title, language),
        status=status,
        detail=None if message is None else message.to_text(language),
        help=f"{base}/problems/{code}",
        errors=fault_details(faults, language),
        more=more,
    )
    return Response(
        msgspec.json.encode(body),
        status_code=status,
        media_type=PROBLEM,
        headers={
            **NO_STORE,
            "content-language": language,
            "vary": "authorization, accept-language",
            **(headers or {}),
        },
    )


def refusal(
    base: str,
    error: domain_errors.Refused,
    *,
    authorization: str = "",
    scope: str | None = None,
    language: Language = "en",
) -> Response[bytes]:
    """The problem that an error of the domain is answered as.

    ``authorization``: the header of the request; ``scope``: the scope that its operation asks for.
    """
    status = STATUS[type(error)]
    headers = retry_headers(error)
    scheme = authorization.partition(" ")[0].lower()
    if isinstance(error, domain_errors.Unauthenticated):
        headers["www-authenticate"] = _challenges(base, error, scheme, tokens=scope is not None)
    elif isinstance(error, domain_errors.MissingScope):
        name = "DPoP" if scheme == "dpop" else "Bearer"
        needed = f', scope="{scope}"' if scope else ""
        headers["www-authenticate"] = f'{name} realm="{base}", error="insufficient_scope"{needed}'
    return problem(
        base,
        error.code,
        error.title,
        status,
        error.message,
        faults=error.faults,
        more=error.more,
        language=language,
        headers=headers,
    )


def _challenges(base: str, error: domain_errors.Unauthenticated, scheme: str, *, tokens: bool) -> str:
    """The challenges of a 401 (RFC 6750, 3; RFC 9449, 7.1): in the scheme that was used first.

    Without credentials there is no error code. ``tokens``: whether access tokens are taken, which can be
    bound to a key; an invitation cannot.
    """
    code = f', error="{error.error}"' if error.presented else ""
    bearer, bound = f'Bearer realm="{base}"', f'DPoP realm="{base}"'
    algorithms = f', algs="{" ".join(ALGORITHMS)}"'
    if not tokens:
        return bearer + code
    if scheme == "dpop":
        return bound + code + algorithms
    return f"{bearer}{code}, {bound}{algorithms}"


def answer_refusal(request: Request[Any, Any, Any], error: domain_errors.Refused) -> Response[bytes]:
    """The answer to a refused request; a refused access is counted for the audit trail."""
    node = request.app.state.node
    if STATUS[type(error)] in (401, 403, 429):
        scope: Mapping[str, Any] = request.scope
        node.refusals.count(act_of(scope), error.code, subject_of(scope.get("caller")))
    members: Any = request.scope
    operation: Operation | None = members.get(KEY)
    answered = refusal(
        node.url,
        error,
        authorization=request.headers.get("authorization", ""),
        scope=operation.right.scope if operation is not None else None,
        language=language_of(request.headers.get("accept-language")),
    )
    if operation is not None and operation.oauth_errors:
        status = STATUS[type(error)]
        body = oauth_error(oauth_code(status), error.detail)
        return Response(
            msgspec.json.encode(body),
            status_code=status,
            media_type=JSON,
            headers={name: value for name, value in answered.headers.items() if name != "content-language"},
        )
    if operation is not None and isinstance(error, domain_errors.UnsupportedMediaType):
        answered.headers.update(accepted_types(operation))
    return answered


def answer_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """The answer to a refusal of Litestar's own, as to all others: no route, wrong method, broken body."""
    base = request.app.state.node.url
    language = language_of(request.headers.get("accept-language"))
    match error.status_code:
        case 404:
            refused: domain_errors.Refused = domain_errors.NotFound("there is no such path here")
        case 405:
            named = (error.headers or {}) if isinstance(error, MethodNotAllowedException) else {}
            (value,) = [value for name, value in named.items() if name.lower() == "allow"] or [""]
            methods = filter(None, value.split(", "))
            allowed = {"allow": ", ".join(allowed_methods(methods))}
            title = TITLES[METHOD_NOT_ALLOWED]
            return problem(base, METHOD_NOT_ALLOWED, title, 405, None, language=language, headers=allowed)
        case 413:
            refused = domain_errors.TooLarge("the body is larger than is read here")
        case status if 400 <= status < 500:
            refused = domain_errors.Invalid("the request cannot be read")
        case _ if "disconnected" in error.detail:
            # Nobody is there to read it; what whole batches of an upload have brought is kept.
            refused = domain_errors.Invalid("the connection broke within the body")
        case _:
            return answer_exception(request, error)
    return refusal(base, refused, language=language)


def answer_exception(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The answer to an exception outside the tree of errors. Its trace is logged, and not answered."""
    log.error(
        "unhandled exception",
        exc_info=error,
        extra={"path": logged_path(request.url.path), "method": request.method},
    )
    return problem(
        request.app.state.node.url,
        INTERNAL_ERROR,
        TITLES[INTERNAL_ERROR],
        500,
        Message("the node failed in a way it should not; its log says how"),
        language=language_of(request.headers.get("accept-language")),
    )
