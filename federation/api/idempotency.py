"""Requests with an ``Idempotency-Key`` (draft-ietf-httpapi-idempotency-key-header-07).

An operation declares that it takes one (``Operation.takes_key``). ``api/handlers.respond`` then calls it
through :func:`answer_once`, and its function hands :func:`keyed_request` to the transaction that writes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.parameters import IDEMPOTENCY_KEY
from federation.domain.errors import AnswerNotStored, Invalid, KeyReused, RequestInProgress
from federation.domain.repeat import (
    MAX_KEY_CHARACTERS,
    REQUEST_KEY_PATTERN,
    RequestName,
    StoredAnswer,
)
from federation.edge.answers import Bytes
from federation.edge.operations import Operation
from federation.edge.query_parameters import is_true
from federation.edge.requests import BODY, body_of, caller_of, node_of
from federation.node.repeats import KeyedRequest, Repeated

HEADER = "idempotency-key"
_MEMBER = "keyed request"
"""The member of an ASGI scope that the request is under."""
_FORM = re.compile(REQUEST_KEY_PATTERN)

Rendering = Callable[[Any], ASGIResponse]
"""From the result of an operation to its answer."""


def with_key(operation: Operation) -> Operation:
    """The operation with the parameter and the refusals of a key, where it takes one."""
    if not operation.takes_key:
        return operation
    refusals = (RequestInProgress, KeyReused, *((AnswerNotStored,) if operation.unstored_advice else ()))
    return msgspec.structs.replace(
        operation,
        parameters=(*operation.parameters, IDEMPOTENCY_KEY),
        errors=tuple(dict.fromkeys((*operation.errors, Invalid, *refusals))),
    )


async def answer_once(
    operation: Operation, function: Callable[..., Awaitable[ASGIResponse]], request: Request[Any, Any, Any]
) -> ASGIResponse:
    """The answer of an operation, or that of the first request with the same key. Raises Refused."""
    key = key_of(request)
    if key is None or is_true(request, "dry_run"):
        return await function(request, **request.path_params)
    scope: Any = request.scope
    body = scope[BODY] = await body_of(request, operation.max_bytes) if operation.bodies else b""
    caller = caller_of(request)
    name = RequestName(caller.client or caller.operator or "", operation.id, key)
    asked = hashlib.sha256()
    for part in (request.scope["path"].encode(), request.scope["query_string"], body):
        asked.update(b"%d:" % len(part) + part)
    keyed = KeyedRequest(name, asked.digest(), unstored_advice=operation.unstored_advice)
    stored = await keyed.find(node_of(request))
    if stored is not None:
        return _repeated_answer(stored)
    scope[_MEMBER] = keyed
    try:
        response = await function(request, **request.path_params)
    except Repeated as repeated:
        return _repeated_answer(repeated.answer)
    if not keyed.is_stored:
        raise AssertionError(f"{operation.id} takes an Idempotency-Key and has stored no answer")
    return response


def keyed_request(request: Request[Any, Any, Any], rendering: Rendering) -> KeyedRequest | None:
    """The part of the transaction that stores the answer; None for a request without a key."""
    scope: Any = request.scope
    keyed: KeyedRequest | None = scope.get(_MEMBER)
    if keyed is not None:
        keyed.answer_of = lambda result: _to_stored(rendering(result))
    return keyed


def key_of(request: Request[Any, Any, Any]) -> str | None:
    """The key of a request. Raises Invalid."""
    given = request.headers.getall(HEADER, [])
    if not given:
        return None
    form = _FORM.fullmatch(given[0].strip()) if len(given) == 1 else None
    if form is None:
        raise Invalid(
            "Idempotency-Key is one string of up to {number} visible ASCII characters in quotes",
            number=MAX_KEY_CHARACTERS,
        )
    return form[0].strip('"')


def _to_stored(response: ASGIResponse) -> StoredAnswer:
    if not isinstance(response, Bytes):
        raise AssertionError("only an answer of bytes can be stored")
    return StoredAnswer(b"", response.status_code, response.named_headers, response.body)


def _repeated_answer(stored: StoredAnswer) -> ASGIResponse:
    headers = dict(stored.headers)
    media_type = headers.pop("content-type", "")
    return Bytes(stored.body or b"", stored.status, media_type, headers)
