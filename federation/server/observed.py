"""Middleware around the application: metrics, log, HEAD, Host, headers, compression, bodies, draining."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from federation.edge.answers import act_of
from federation.edge.log_paths import logged_path
from federation.edge.shares import AWAITED, Awaited
from federation.edge.standing_headers import NAMES, Header, standing_headers
from federation.server import bodies
from federation.server.compression import compressing
from federation.server.connections import Connections, peer_of
from federation.server.host import names_one_host, refuse_host
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

CLOSE = (b"connection", b"close")
ONLY_HTTPS = (b"strict-transport-security", b"max-age=31536000")
"""Sent by a node whose URL is https. For its host name alone: other hosts of the domain are not ours."""


class ObservedApplication:
    """ASGI middleware, outermost: counts and logs requests, and answers HEAD as GET without its body.

    It also puts the security headers on every answer; ``https`` is whether the node's URL is. A request must
    name one host (RFC 9112, 3.2), and a body that nobody read is dealt with as ``server/bodies.py`` says.
    """

    def __init__(
        self, app: Any, metrics: Metrics, *, https: bool = False, connections: Connections | None = None
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._headers = (*SECURITY_HEADERS, *((ONLY_HTTPS,) if https else ()))
        self._names = NAMES | {name for name, _ in self._headers}
        self._looked_at: tuple[Any, frozenset[bytes]] = None, frozenset()
        """The message whose headers were looked at last, and their names: all that wait get the same one."""
        self._log = logging.getLogger("federation.requests")
        self._connections = connections
        self._under_way = 0
        self._idle = asyncio.Event()
        self._closing = False
        self.on_drain: Callable[[], None] = lambda: None
        """Ends waits and streams when the process is to stop."""

    def close_connections(self) -> None:
        """End waits and streams, report the node as not ready, and each connection with its next answer."""
        self._closing = True
        self.on_drain()

    async def drain(self, seconds: float) -> None:
        """Let the requests under way end, for so long."""
        self.close_connections()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._under_way:
                    self._idle.clear()
                    await self._idle.wait()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._under_way += 1
        end_request = self._begin_request(scope)
        try:
            body = bodies.body_of(scope, receive)
            rest = await self._answer(
                scope, receive if body is None else body.receive, send, body, end_request
            )
        finally:
            end_request()
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()
        if rest is not None:
            await rest.linger()

    def _standing(self, scope: Any) -> tuple[Header, ...]:
        """The headers that an answer gets here."""
        return (*self._headers, *standing_headers(scope))

    def _names_in(self, message: Any) -> frozenset[bytes]:
        """The names of the headers that an answer sets itself."""
        looked_at, names = self._looked_at
        if looked_at is not message:
            names = frozenset(name for name, _ in message["headers"])
            self._looked_at = message, names
        return names

    def _begin_request(self, scope: Any) -> Callable[[], None]:
        """Note that the connection has a request under way; returns the function that notes its end."""
        connections, peer = self._connections, peer_of(scope)
        if connections is None or peer is None:
            return lambda: None
        return connections.begin(peer)

    async def _answer(
        self,
        scope: Any,
        receive: Any,
        send: Any,
        body: bodies.RequestBody | None,
        end_request: Callable[[], None],
    ) -> bodies.RequestBody | None:
        """Answer a request; returns its body when a rest of it was not read before the answer."""
        began = time.perf_counter()
        status = 0
        rest: bodies.RequestBody | None = None
        standing: tuple[Header, ...] | None = None
        method = scope["method"]
        headless = method == "HEAD"
        if headless:
            # A DPoP proof was made for HEAD.
            scope = {**scope, "method": "GET", "asked_method": "HEAD"}

        async def observed_send(message: Any) -> None:
            nonlocal status, rest
            if message["type"] == "http.response.start":
                status = message["status"]
                took = time.perf_counter() - began
                headers = message["headers"]
                present = self._names_in(message)
                added = [*(standing or self._standing(scope))]
                if not present.isdisjoint(self._names):
                    added = [header for header in added if header[0] not in present or header[0] == b"link"]
                if b"connection" not in present:
                    if body is not None and not body.complete:
                        if status >= 400:
                            end_request()  # what is only read to be dropped is as good as idle
                        # A report that is sent while its upload is read ends its connection, too.
                        if status < 400 or not await body.drain():
                            rest = body
                    if self._closing or rest is not None:
                        added.append(CLOSE)
                elif body is not None and not body.complete:
                    rest = body
                message = {**message, "headers": [*headers, *added]}
                self._metrics.requests.count(act_of(scope), status, took)
                if status >= 500 or self._log.isEnabledFor(logging.DEBUG):
                    self._log.log(
                        logging.ERROR if status >= 500 else logging.DEBUG,
                        "answered",
                        extra={
                            "method": method,
                            "path": logged_path(scope["path"])[:200],
                            "status": status,
                            "ms": round(took * 1000, 2),
                        },
                    )
            elif headless and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        if names_one_host(scope):
            scope[AWAITED] = None
            send_answer = compressing(scope, observed_send)
            await self._app(scope, receive, send_answer)
            awaited: Awaited | None = scope[AWAITED]
            if awaited is not None:
                # Made before the wait: only sending is left when a record answers hundreds at once.
                standing = self._standing(scope)
                await awaited.send(scope, receive, send_answer)
        else:
            await refuse_host(scope, self._app.state.node.url)(scope, receive, observed_send)
        return rest
