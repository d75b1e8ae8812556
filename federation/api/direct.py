"""Lists, and GET and PUT of one record, past the framework: to read is what is asked for most and does least,
and a record that is put is on its way to every peer that waits for it.

Nothing is decided here. Route handler, guard, answer and refusals are those that the framework would have
come to, and whatever is out of the ordinary goes its way: other methods, other paths, odd host names.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from litestar import Litestar, Request
from litestar.datastructures import Headers
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from federation.api.guard import admit
from federation.api.records import one_record, publish_one, some_records
from federation.api.responses import on_bug, on_refused
from federation.domain.errors import Refused

_HOST = re.compile(rb"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?")


_ACTS = {"get": "GET", "list": "GET", "publish": "PUT"}


class Direct:
    """ASGI, around the framework's application."""

    def __init__(self, app: Litestar) -> None:
        self.framework = app
        self._handlers: dict[tuple[str, int, str, str], HTTPRouteHandler] = {}
        for route in app.routes:
            for handler in getattr(route, "route_handlers", ()):
                if method := _ACTS.get(handler.opt.get("act", "")):
                    parts = route.path.split("/")
                    self._handlers[method, len(parts), parts[1], parts[2]] = handler

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        handler = self._handler(scope)
        if handler is None:
            await self.framework(scope, receive, send)
            return
        scope["app"] = scope["litestar_app"] = self.framework
        scope["route_handler"] = handler
        try:
            answer = await self._answer(scope, receive, send, handler)
        except Refused as refused:
            request: Request[Any, Any, Any] = Request(scope, receive, send)
            answer = on_refused(request, refused).to_asgi_response(None, request)
        except Exception as error:
            request = Request(scope, receive, send)
            answer = on_bug(request, error).to_asgi_response(None, request)
        await answer(scope, receive, send)

    async def _answer(self, scope: Any, receive: Any, send: Any, handler: HTTPRouteHandler) -> ASGIResponse:
        kind, state = handler.opt["kind"], self.framework.state
        headers = Headers.from_scope(scope)
        caller = await admit(state, scope, headers, handler)
        if handler.opt["act"] == "list":
            return await some_records(Request(scope, receive, send), kind)
        _, _, _, origin, key = scope["path"].split("/")
        if handler.opt["act"] == "publish":
            return await publish_one(Request(scope, receive, send), kind, origin, key)
        known = headers.get("if-none-match")
        return await one_record(state.node, kind, origin, key, by=caller, known=known)

    def _handler(self, scope: Any) -> HTTPRouteHandler | None:
        """The handler of a record or a list, when this is a plain request for one."""
        if scope["type"] != "http" or scope.get("root_path"):
            return None
        parts = scope["path"].split("/")
        if len(parts) not in (3, 5) or parts[0] or not all(parts[1:]):
            return None
        for name, value in scope["headers"]:
            if name == b"host" and not _is_plain(value):
                return None
        return self._handlers.get((scope["method"], len(parts), parts[1], parts[2]))


@lru_cache(256)
def _is_plain(host: bytes) -> bool:
    return _HOST.fullmatch(host) is not None
