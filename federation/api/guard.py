"""What every request passes before its handler, and before anything of its body is decoded.

The table ``RIGHTS`` names the scope of each operation, and whether it is open to callers without a
token (who then see CLEAR records only). The application does not start with a route that is not in it.
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Litestar, Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler

from federation.api.caller import Tokens
from federation.domain.document import MAX_DOCUMENT
from federation.domain.errors import (
    Broken,
    Invalid,
    MissingScope,
    TooLarge,
    Unauthenticated,
    UnsupportedMediaType,
)
from federation.domain.visibility import Caller, anonymous


class Right(msgspec.Struct, frozen=True):
    """Who may carry out an operation."""

    scope: str | None
    """Scope the token must carry; ``{plural}`` stands for the collection."""
    open: bool = False
    """Whether callers without a token may, too."""


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
    # Feeds
    "heads": Right("feeds.read", open=True),
    "changes": Right("feeds.read", open=True),
    "arrivals": Right("changes.read"),
    "peers": Right("peers.read"),
    # The node
    "descriptor": Right(None, open=True),
    "authorization_server": Right(None, open=True),
    "jwks": Right(None, open=True),
    "token": Right(None, open=True),
    "openapi": Right(None, open=True),
    "docs": Right(None, open=True),
    "asset": Right(None, open=True),
    "problem": Right(None, open=True),
    "options": Right(None, open=True),
    "live": Right(None, open=True),
    "ready": Right(None, open=True),
    "metrics": Right("node.admin"),
}

MAX_QUERY = 8_192
"""Bytes of a query string, at most."""


def right_of(handler: BaseRouteHandler) -> Right:
    """The right an operation asks for. KeyError when the table does not name it."""
    right = RIGHTS[handler.opt["act"]]
    kind = handler.opt.get("kind")
    if right.scope and kind is not None:
        return Right(right.scope.format(plural=kind.plural), right.open)
    return right


def check_rights(app: Litestar) -> None:
    """Raises Broken when a route is not in the table."""
    for route in app.routes:
        handlers = getattr(route, "route_handlers", None) or [getattr(route, "route_handler", None)]
        for handler in handlers:
            if isinstance(handler, HTTPRouteHandler) and handler.http_methods <= {"OPTIONS"}:
                continue  # answered by Litestar itself, with the methods a path takes
            if handler is None or handler.opt.get("act") not in RIGHTS:
                raise Broken(f"the route {route.path} is not in the table of rights")


async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Check form, size and right of a request. Raises an error of the domain."""
    act = handler.opt.get("act")
    if act is None:
        return
    headers = connection.headers
    if len(connection.scope["query_string"]) > MAX_QUERY:
        raise TooLarge(f"the query string is longer than {MAX_QUERY} bytes")
    if reads := handler.opt.get("reads"):
        check_form(headers.get("content-type"), headers.get("content-encoding"), reads)
        length = headers.get("content-length")
        limit = handler.opt.get("limit", MAX_DOCUMENT)
        if length is not None and (not length.isdigit() or int(length) > limit):
            raise TooLarge(f"the body is longer than {limit} bytes")
    tokens: Tokens = connection.app.state.tokens
    right = right_of(handler)
    caller = anonymous(tokens.operator)
    if right.scope is not None:
        authorization = headers.get("authorization")
        if authorization is not None:
            caller = await tokens.caller(authorization)
            if right.scope not in caller.scopes:
                raise MissingScope(f"the token does not carry the scope {right.scope}")
        elif not right.open:
            raise Unauthenticated(f"a token with the scope {right.scope} is needed", presented=False)
    connection.scope["caller"] = caller  # type: ignore[typeddict-unknown-key]


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
    """The whole body. Raises TooLarge as soon as it is, whatever Content-Length said."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise TooLarge(f"the body is longer than {limit} bytes")
        parts.append(part)
    if not size:
        raise Invalid("the request has no body")
    return b"".join(parts)
