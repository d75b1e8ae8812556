"""What every request passes before its handler, and before anything of its body is decoded.

The table ``RIGHTS`` names the scope of each operation, and whether it is open to callers without a
token (who then see CLEAR records only). The application does not start with a route that is not in it,
nor with one that may read a body and does not say of which types (``opt={"reads": (JSON,)}``; ``()``
for none). A body where none is read is refused: what we ignore, a proxy in front may not.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Any, Literal

import msgspec
from litestar import Litestar, Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Headers, State
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler

from federation.api.caller import Presented, Tokens
from federation.api.limits import Limits
from federation.domain.document import MAX_DOCUMENT
from federation.domain.errors import (
    CommandFailed,
    Invalid,
    MissingScope,
    TooLarge,
    TooSlow,
    Unauthenticated,
    UnsupportedMediaType,
)
from federation.domain.visibility import Caller, anonymous


class Right(msgspec.Struct, frozen=True):
    """Who may carry out an operation."""

    scope: str | None
    """Scope the token must carry; ``{plural}`` stands for the collection. None: everybody may."""
    open: bool = False
    """Whether callers without a token may, too, where there is a scope."""
    counted: Literal["caller", "credentials", "not"] = "caller"
    """As whose request it counts (``api/limits.py``); ``credentials``: the client's that it claims to be."""


RIGHTS: dict[str, Right] = {
    # Records
    "get": Right("{plural}.read", open=True),
    "list": Right("{plural}.read", open=True),
    "publish": Right("{plural}.write"),
    "publish_new": Right("{plural}.write"),
    "patch": Right("{plural}.write"),
    "retract": Right("{plural}.write"),
    "upload": Right("{plural}.write"),
    "append_update": Right("{plural}.write"),
    "set_version": Right("{plural}.write"),
    "import_advisories": Right("incidents.write"),
    # Exposure
    "incident_exposure": Right("exposure.read", open=True),
    "exposed_bodies": Right("exposure.read", open=True),
    "solution_exposure": Right("exposure.read", open=True),
    "own_exposure": Right("exposure.read"),
    # Alerts and deadlines: the operator's own
    "subscriptions": Right("subscriptions.read"),
    "subscribe": Right("subscriptions.write"),
    "unsubscribe": Right("subscriptions.write"),
    "alerts": Right("subscriptions.read"),
    "replay": Right("subscriptions.write"),
    "deadlines": Right("deadlines.read"),
    "deadline": Right("deadlines.read"),
    "calendar": Right("deadlines.read"),
    "set_deadline": Right("deadlines.write"),
    "remove_deadline": Right("deadlines.write"),
    # Feeds
    "heads": Right("feeds.read", open=True),
    "changes": Right("feeds.read", open=True),
    "digests": Right("feeds.read", open=True),
    "change_log": Right("changes.read"),
    "receipt": Right("feeds.read"),
    "feedback": Right("feeds.read"),
    "withdrawals": Right("peers.read"),
    "refused": Right("peers.read"),
    # Peers
    "peers": Right("peers.read"),
    "join": Right(None, counted="credentials"),
    "activate": Right("node.admin"),
    "suspend": Right("node.admin"),
    "resume": Right("node.admin"),
    "leave": Right("node.admin"),
    "confirm": Right("node.admin"),
    "disconnect": Right("feeds.read"),
    # The node
    "descriptor": Right(None),
    "authorization_server": Right(None),
    "jwks": Right(None),
    "token": Right(None, counted="credentials"),
    "revoke": Right(None, counted="credentials"),
    "introspect": Right(None, counted="credentials"),
    "openapi": Right(None),
    "docs": Right(None),
    "asset": Right(None),
    "problem": Right(None),
    "options": Right(None),
    "live": Right(None, counted="not"),
    "ready": Right(None, counted="not"),
    "metrics": Right("node.admin"),
}

WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
MAX_QUERY = 8_192
"""Bytes of a query string, at most."""
SILENCE = 10.0
"""Seconds after which a body of which nothing more comes is given up."""
WHOLE_BODY = 30.0
"""Seconds within which a body must have come that is no bulk upload."""


@lru_cache(512)
def right_of(handler: BaseRouteHandler) -> Right:
    """The right an operation asks for. KeyError when the table does not name it."""
    # Litestar's own answers to OPTIONS are in no table.
    right = RIGHTS[handler.opt["act"]] if "act" in handler.opt else RIGHTS["options"]
    kind = handler.opt.get("kind")
    if right.scope and kind is not None:
        return Right(right.scope.format(plural=kind.plural), right.open, right.counted)
    return right


def check_rights(app: Litestar) -> None:
    """Raises Broken when a route is not in the table, or leaves open which bodies it reads."""
    for route in app.routes:
        handlers = getattr(route, "route_handlers", None) or [getattr(route, "route_handler", None)]
        for handler in handlers:
            if isinstance(handler, HTTPRouteHandler) and handler.http_methods <= {"OPTIONS"}:
                continue  # answered by Litestar itself, with the methods a path takes
            if handler is None or handler.opt.get("act") not in RIGHTS:
                raise CommandFailed(f"the route {route.path} is not in the table of rights")
            check_reads(route.path, handler)


def check_reads(path: str, handler: HTTPRouteHandler) -> None:
    """Raises Broken when an operation may get a body that the guard knows nothing of."""
    methods = ", ".join(sorted(handler.http_methods))
    if handler.http_methods & WITH_BODY and "reads" not in handler.opt:
        raise CommandFailed(f"{methods} {path} does not say which bodies it reads")
    if not handler.http_methods & WITH_BODY and handler.opt.get("reads"):
        raise CommandFailed(f"{methods} {path} reads a body, and requests of that kind have none")
    if {"data", "body"} & handler.parsed_fn_signature.parameters.keys():
        raise CommandFailed(f"{methods} {path} lets the framework decode the body; use body_of()")


async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """As the framework calls :func:`admit`."""
    await admit(connection.app.state, connection.scope, connection.headers, handler)


async def admit(state: State, scope: Any, headers: Headers, handler: BaseRouteHandler) -> Caller:
    """Check caller, rate, form, size and right of a request. Raises an error of the domain."""
    tokens: Tokens = state.tokens
    limits: Limits = state.limits
    right = right_of(handler)
    authorization = headers.get("authorization")
    scope["caller"] = caller = anonymous(tokens.operator)
    if right.scope is not None and authorization is not None:
        proofs = tuple(headers.getall("dpop", ()))
        try:
            method = scope.get("asked_method", scope["method"])
            caller = await tokens.caller(Presented(authorization, proofs, method, scope["path"]))
        except Unauthenticated:
            limits.count(caller, scope)  # as of somebody without a token
            raise
        scope["caller"] = caller
    match right.counted:
        case "caller":
            limits.count(caller, scope)
        case "credentials":
            limits.count_credentials(authorization, scope)
    check_size(scope, headers, handler)
    if right.scope is not None:
        if authorization is None and not right.open:
            raise Unauthenticated(f"a token with the scope {right.scope} is needed", presented=False)
        if authorization is not None and right.scope not in caller.scopes:
            raise MissingScope(f"the token does not carry the scope {right.scope}")
    return caller


def check_size(scope: Any, headers: Headers, handler: BaseRouteHandler) -> None:
    """Refuse by its headers what must not be read: too long, of another form, a body where none belongs.

    Raises TooLarge, UnsupportedMediaType, Invalid.
    """
    if len(scope["query_string"]) > MAX_QUERY:
        raise TooLarge(f"the query string is longer than {MAX_QUERY} bytes")
    if len(headers.getall("authorization", ())) > 1:
        raise Invalid("there is more than one Authorization header")  # a proxy may have read the other
    length = headers.get("content-length", "0")
    if reads := handler.opt.get("reads"):
        check_form(headers.get("content-type"), headers.get("content-encoding"), reads)
        limit = handler.opt.get("limit", MAX_DOCUMENT)
        if not re.fullmatch("[0-9]{1,19}", length) or int(length) > limit:
            raise TooLarge(f"the body is longer than {limit} bytes")
    elif length.strip("0") or "transfer-encoding" in headers:
        raise Invalid("no body is read here; send the request without one")


def check_form(content_type: str | None, encoding: str | None, reads: tuple[str, ...]) -> None:
    """Raises UnsupportedMediaType unless the body is of a type that is read, and not compressed."""
    media_type, _, parameters = (content_type or "").partition(";")
    if media_type.strip().lower() not in reads:
        raise UnsupportedMediaType(f"the body must be sent with Content-Type: {' or '.join(reads)}")
    for parameter in parameters.lower().split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') != "utf-8":
            raise UnsupportedMediaType("the body must be UTF-8")
    if encoding not in (None, "identity"):
        raise UnsupportedMediaType("the body must not be compressed")


def caller_of(request: Request[Any, Any, Any]) -> Caller:
    """Who is asking, as the guard found."""
    caller: Caller = request.scope["caller"]  # type: ignore[typeddict-item]
    return caller


async def body_of(request: Request[Any, Any, Any], limit: int = MAX_DOCUMENT) -> bytes:
    """The whole body. Raises TooLarge as soon as it is, whatever Content-Length said; TooSlow."""
    parts: list[bytes] = []
    size = 0
    said = request.headers.get("content-length")  # a number, see ``check_size``
    async for part in pieces(request, within=WHOLE_BODY):
        size += len(part)
        if size > limit:
            raise TooLarge(f"the body is longer than {limit} bytes")
        parts.append(part)
        if said is not None and size == int(said):
            break  # that nothing follows would be told apart, a tenth of a millisecond later
    if not size:
        raise Invalid("the request has no body")
    return b"".join(parts)


async def pieces(request: Request[Any, Any, Any], *, within: float | None = None) -> AsyncIterator[bytes]:
    """The body as it comes. Raises TooSlow when it falls silent, or has not come within so many seconds.

    A request under way holds one of the places that there are for them (``serving.CONCURRENT``), so
    nobody may hold it by sending nothing.
    """
    now = asyncio.get_running_loop().time
    coming = request.stream()
    end = now() + within if within is not None else None
    while True:
        quiet = now() + SILENCE
        try:
            async with asyncio.timeout_at(quiet if end is None else min(quiet, end)):
                piece = await anext(coming)
        except StopAsyncIteration:
            return
        except TimeoutError:
            if end is not None and now() >= end:
                raise TooSlow(f"the body did not come within {within:g} seconds") from None
            raise TooSlow(f"nothing more of the body came for {SILENCE:g} seconds") from None
        yield piece
