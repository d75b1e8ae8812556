"""Middleware around the whole application: request metrics, request log, HEAD, security headers, draining."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from federation.api.responses import act_of
from federation.telemetry import Metrics

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    # No answer is a page, but for the few that name what they load.
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    # Pages of other origins have no business here: browsers keep every answer from them.
    (b"cross-origin-resource-policy", b"same-origin"),
    # The server would name itself and so its software; it leaves a name that is set.
    (b"server", b"federation"),
)
"""Headers of every answer that does not set them itself."""

ONLY_HTTPS = (b"strict-transport-security", b"max-age=31536000")
"""Sent by a node whose URL is https. For its host name alone: other hosts of the domain are not ours."""


class ObservedApplication:
    """ASGI middleware, outermost: counts and logs requests, and answers HEAD as GET without its body.

    It also puts the security headers on every answer; ``https`` is whether the node's URL is.
    """

    def __init__(self, app: Any, metrics: Metrics, *, https: bool = False) -> None:
        self._app = app
        self._metrics = metrics
        self._headers = (*SECURITY_HEADERS, *((ONLY_HTTPS,) if https else ()))
        self._log = logging.getLogger("federation.requests")
        self._under_way = 0
        self._idle = asyncio.Event()
        self.on_drain: Callable[[], None] = lambda: None
        """Ends waits and streams when the process is to stop."""

    async def drain(self, seconds: float) -> None:
        """Let the requests under way end, for so long."""
        self.on_drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._under_way:
                    self._idle.clear()
                    await self._idle.wait()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0
        method = scope["method"]
        headless = method == "HEAD"
        if headless:
            # A DPoP proof was made for HEAD.
            scope = {**scope, "method": "GET", "asked_method": "HEAD"}

        async def observed_send(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message["headers"]
                present = {name for name, _ in headers}
                added = [header for header in self._headers if header[0] not in present]
                message = {**message, "headers": [*headers, *added]}
                took = time.perf_counter() - began
                self._metrics.count_request(act_of(scope), status, took)
                if status >= 500 or self._log.isEnabledFor(logging.DEBUG):
                    self._log.log(
                        logging.ERROR if status >= 500 else logging.DEBUG,
                        "answered",
                        extra={
                            "method": method,
                            "path": scope["path"][:200],
                            "status": status,
                            "ms": round(took * 1000, 2),
                        },
                    )
            elif headless and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        self._under_way += 1
        try:
            await self._app(scope, receive, observed_send)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()
