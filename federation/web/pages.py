"""From a page's function to a route handler, by one sequence that every page runs through.

    find the language by the path, and the session by the cookie (``web/visitor.py``)
    → check the origin of a form (``web/form_origin.py``), limits, size and right
    → take a slot of the visitor's share (``edge/shares.py``)
    → call the page's function
    → turn what was refused or went wrong into a page with a way on (``web/error_pages.py``)

A page is an operation like those of programs (``edge/operations.py``): its right is a scope, which roles have
(``domain/person.py``). It has no name in the OpenAPI document.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

from litestar import Request, route
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from federation.domain.errors import MissingScope, NotFound, Unauthenticated
from federation.domain.messages import LANGUAGES
from federation.domain.visibility import anonymous
from federation.edge.answers import FORM, MULTIPART
from federation.edge.limits import Limits
from federation.edge.operations import ANYONE, KEY, Answer, Body, Operation, Right
from federation.edge.query_parameters import read_parameters
from federation.edge.requests import check_size, node_of
from federation.edge.shares import Slot, enter
from federation.web.error_pages import STEP_UP, answer_page_error
from federation.web.form_origin import check_form_origin
from federation.web.forms import MAX_FORM_BYTES
from federation.web.language import language_of_path
from federation.web.visit import HTML, Visit
from federation.web.visitor import session_of

Function = Callable[..., Awaitable[ASGIResponse]]
"""Takes the visit, and the parameters of the path by name."""


def page(
    path: str,
    *,
    act: str,
    right: Right = ANYONE,
    method: Literal["GET", "POST"] = "GET",
    max_bytes: int = MAX_FORM_BYTES,
    media_type: str = HTML,
    endings: Mapping[str, str] | None = None,
    has_language: bool = True,
    fresh: bool = False,
    files: bool = False,
) -> Callable[[Function], HTTPRouteHandler]:
    """The route handler of a page, in every language, made from the function below.

    ``path``: without the language, as the framework reads it: ``/solutions/{origin:str}/{key:str}``. ``act``:
    its name in metrics, logs and the audit trail. ``right``: a scope; with ``open`` for people who are not
    logged in, too. ``endings``: of files that take the place of the page, each with its media type.
    ``fresh``: for people who have logged in within the last five minutes, since it is hard to undo; others
    are asked to log in again, and what they typed waits for them. ``files``: its form has a file, and is
    read by the function, after the right was checked (``Visit.read_upload``).
    """
    media_types = [*endings.values()] if endings else [media_type]
    named = [f"{path}.{ending}" for ending in endings] if endings else [path]
    paths = tuple(full for part in named for full in (localized(part) if has_language else (part,)))
    operation = Operation(
        act=act,
        id="",
        method=method,
        path=paths[0],
        aliases=paths[1:],
        right=right,
        tag="pages",
        bodies=(Body(MULTIPART if files else FORM, {"type": "object"}),) if method == "POST" else (),
        max_bytes=max_bytes,
        answers=(Answer(200, "A page", {name: {"type": "string"} for name in media_types}),),
    )

    def declare(function: Function) -> HTTPRouteHandler:
        async def fresh_only(visit: Visit, **parameters: Any) -> ASGIResponse:
            check_fresh(visit)
            return await function(visit, **parameters)

        guarded = fresh_only if fresh else function

        async def handler(request: Request[Any, Any, Any]) -> ASGIResponse:
            return await respond(operation, guarded, request)

        return route([*paths], http_method=[method], status_code=200, opt={KEY: operation})(handler)

    return declare


def localized(path: str) -> tuple[str, ...]:
    """The paths of a page in each language."""
    return tuple(f"/{language}{path if path != '/' else ''}" for language in LANGUAGES)


async def respond(operation: Operation, function: Function, request: Request[Any, Any, Any]) -> ASGIResponse:
    """The answer to a request for a page, whatever becomes of it. Raises nothing but cancellation."""
    scope: Any = request.scope
    scope[KEY] = operation
    node = node_of(request)
    language = language_of_path(scope["path"]) or LANGUAGES[0]
    scope["caller"] = anonymous(node.operator)
    visit = Visit(request, language, scope["caller"])
    slot: Slot | None = None
    try:
        if "\0" in scope["path"]:  # (no text of the database has it)
            raise NotFound("there is no such page here")
        check_form_origin(operation.method, request.headers, node.url)
        limits: Limits = request.app.state.limits
        session = await session_of(node, request)
        if session is not None:
            visit.session = session
            visit.caller = scope["caller"] = session.caller
        limits.count(visit.caller, scope)
        check_size(operation, scope, request.headers)
        read_parameters(operation, scope)
        slot = enter(operation, request, visit.caller)
        if FORM in operation.media_types:
            await visit.read_form(operation.max_bytes)
        check_right(operation.right, visit)
        return await function(visit, **request.path_params)
    except Exception as error:
        return answer_page_error(visit, error)
    finally:
        if slot is not None:
            slot.release()


def check_right(right: Right, visit: Visit) -> None:
    """Raises Unauthenticated for a page that needs a login, MissingScope for one that needs another role."""
    if right.scope is None:
        return
    if visit.session is None:
        if not right.open:
            raise Unauthenticated("log in to see this page", presented=False)
    elif not visit.may(right.scope):
        raise MissingScope("your role does not have the right {scope}", scope=right.scope)


def check_fresh(visit: Visit) -> None:
    """Raises Unauthenticated (RFC 9470) unless the visitor has logged in within the last five minutes."""
    if not visit.is_fresh:
        raise Unauthenticated(
            "this is hard to undo, so it asks you to log in again first",
            presented=visit.session is not None,
            error=STEP_UP,
        )
