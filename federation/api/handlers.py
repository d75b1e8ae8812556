"""From an operation and its function to a route handler, by one sequence that every request runs through.

    check caller, limits, size and right (``api/guard.py``)
    → take a slot of the caller's share, and one for waiting where the request waits (``edge/shares.py``)
    → repeat the answer of an earlier request with the same ``Idempotency-Key`` (``api/idempotency.py``)
    → call the operation's function with the parameters of the path; where the request waits, once the
      framework has returned (``Awaited``)
    → turn what was refused or went wrong into a problem (``api/responses.py``)

Whatever is to happen around all operations is put here, in :func:`respond`. The framework calls the handler
that :func:`handles` makes, so no operation can leave a step out.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
from litestar import Request, Response, route
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from litestar.response.streaming import ASGIStreamingResponse

from federation.api.guard import admit
from federation.api.idempotency import answer_once, with_key
from federation.api.requests import asks_to_wait, wait_of
from federation.api.responses import answer_exception, answer_http_error, answer_refusal
from federation.domain.errors import Refused
from federation.edge.answers import answer
from federation.edge.operations import ANYONE, KEY, Operation, operation_of
from federation.edge.shares import SLOT, Awaited, Sending, Slot, Unfinished, enter, while_connected
from federation.edge.standing_headers import PREFLIGHT, accepted_types, allowed_methods

Function = Callable[..., Awaitable[ASGIResponse]]
"""Takes the request, and the parameters of the path by name."""


def handles(operation: Operation) -> Callable[[Function], HTTPRouteHandler]:
    """The route handler of an operation, made from the function below."""

    def declare(function: Function) -> HTTPRouteHandler:
        text = operation.description or inspect.cleandoc(function.__doc__ or "")
        declared = with_key(msgspec.structs.replace(operation, description=text))

        async def handler(request: Request[Any, Any, Any]) -> ASGIResponse:
            return await respond(declared, function, request)

        paths = [operation.path, *operation.aliases]
        return route(paths, http_method=[operation.method], status_code=200, opt={KEY: declared})(handler)

    return declare


async def respond(operation: Operation, function: Function, request: Request[Any, Any, Any]) -> ASGIResponse:
    """The answer to a request, whatever becomes of it. Raises nothing but cancellation."""
    scope: Any = request.scope
    scope[KEY] = operation
    return await _or_problem(operation, _answer(operation, function, request), request)


async def _answer(operation: Operation, function: Function, request: Request[Any, Any, Any]) -> ASGIResponse:
    """The answer to a request that is admitted. Raises what refuses it."""
    caller = await admit(operation, request.app.state, request.scope, request.headers)
    slot = enter(operation, request, caller)
    waits = operation.waits and caller.operator is not None and asks_to_wait(request.headers)
    if slot is not None and waits:
        slot.wait()
    if operation.takes_key:
        return await answer_once(operation, function, request)
    if waits and wait_of(request):
        # A stream notices by itself that its connection ends, and only one task can.
        answering = while_connected(function(request, **request.path_params), request)
        return Awaited(_or_problem(operation, answering, request))
    return await function(request, **request.path_params)


async def _or_problem(
    operation: Operation, answering: Awaitable[ASGIResponse], request: Request[Any, Any, Any]
) -> ASGIResponse:
    """An answer, or the problem for which it is refused. The request's slot is free then, or the answer's."""
    scope: Any = request.scope
    refusal: Response[bytes]
    response: ASGIResponse | None = None
    try:
        response = await answering
        slot: Slot | None = scope.get(SLOT)
        if slot is not None and isinstance(response, ASGIStreamingResponse):
            if not operation.bodies:  # an upload is read while its report is sent
                slot.wait()
            response = Sending(response, slot)
        return response
    except Refused as error:
        refusal = answer_refusal(request, error)
    except HTTPException as error:
        refusal = answer_http_error(request, error)
    except Exception as error:
        refusal = answer_exception(request, error)
    finally:
        if (slot := scope.get(SLOT)) is not None and not isinstance(response, Unfinished):
            slot.release()
    return refusal.to_asgi_response(None, request)


def with_options(handlers: Iterable[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    """The handlers, and before them one for OPTIONS of each path, which answers the methods it takes.

    The framework makes one of its own for a path that has none yet: it names the methods of the path's first
    handler only, and has no operation.
    """
    given = list(handlers)
    operations: dict[str, list[Operation]] = {}
    for handler in given:
        operation = operation_of(handler)
        if operation is not None:
            for path in (operation.path, *operation.aliases):
                operations.setdefault(path, []).append(operation)
    return [*(_options(path, listed) for path, listed in operations.items()), *given]


def _options(path: str, operations: list[Operation]) -> HTTPRouteHandler:
    headers = {"allow": ", ".join(allowed_methods(operation.method for operation in operations))}
    for operation in operations:
        headers |= accepted_types(operation)
    is_public = any(operation.is_public for operation in operations)

    @handles(Operation(act="options", id="", method="OPTIONS", path=path, right=ANYONE, tag="node"))
    async def options(request: Request[Any, Any, Any], **_: str) -> ASGIResponse:
        """Answer the methods that the path takes, and a browser what a page of another origin may do."""
        asked = request.headers.get("access-control-request-method")
        if asked in ("GET", "HEAD") and is_public:
            return answer(b"", status=204, headers={**headers, **PREFLIGHT})
        return answer(b"", status=204, headers=headers)

    return options
