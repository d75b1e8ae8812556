"""Requests for the operations that are asked for most, past the framework's routing.

Nothing is decided here: an operation that declares ``direct=True`` is found by its method and path in the
table of operations, and its handler is called as the framework would call it, with the whole sequence of
``api/handlers.py``. Anything out of the ordinary goes the framework's way: other methods, other paths, odd
host names. Hooks of the framework around a handler would be missed here, so an application with some is
refused.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from litestar import Litestar, Request
from litestar.handlers import HTTPRouteHandler

from federation.api.operations import routes
from federation.domain.errors import CommandFailed

_HOST = re.compile(rb"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?")
_HOOKS = ("guards", "middleware", "before_request", "after_request", "after_response", "dependencies")
"""What the framework would run around a handler."""


class Direct:
    """ASGI, around the framework's application. Raises CommandFailed for one with hooks of its own."""

    def __init__(self, app: Litestar) -> None:
        self.framework = app
        self._handlers: dict[tuple[str, int, str, str], tuple[HTTPRouteHandler, tuple[str, ...]]] = {}
        for operation, handler in routes(app):
            if not operation.direct:
                continue
            if hooks := [name for layer in (app, handler) for name in _HOOKS if getattr(layer, name, None)]:
                raise CommandFailed(
                    f"{operation.path} is answered directly and would miss {', '.join(hooks)}"
                )
            _, root, collection, *rest = operation.path.split("/")
            if not all(part.startswith("{") for part in rest) or "{" in root + collection:
                raise CommandFailed(f"{operation.path} cannot be found by its first two parts")
            names = tuple(part.strip("{}").partition(":")[0] for part in rest)
            self._handlers[operation.method, 3 + len(rest), root, collection] = handler, names

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and not scope.get("root_path"):
            parts = scope["path"].split("/")
            if len(parts) > 2:
                match = self._handlers.get((scope["method"], len(parts), parts[1], parts[2]))
                if match is not None and not parts[0] and all(parts[1:]) and _names_a_host(scope["headers"]):
                    handler, names = match
                    scope["app"] = scope["litestar_app"] = self.framework
                    scope["route_handler"] = handler
                    scope["path_params"] = dict(zip(names, parts[3:], strict=True))
                    request: Request[Any, Any, Any] = Request(scope, receive, send)
                    response = await handler.fn(request)
                    await response(scope, receive, send)
                    return
        await self.framework(scope, receive, send)


def _names_a_host(headers: Any) -> bool:
    return all(_is_plain(value) for name, value in headers if name == b"host")


@lru_cache(256)
def _is_plain(host: bytes) -> bool:
    return _HOST.fullmatch(host) is not None
