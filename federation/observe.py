"""What the node tells of itself: JSON logs, one line an event, and metrics for Prometheus.

No token, assertion or secret is ever given to a logger; lengths are capped all the same.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, get_args

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from federation.domain.proof import CopyState

if TYPE_CHECKING:
    from federation.node import Node

MAX_FIELD = 2_000
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, event, and the fields given as ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage()[:MAX_FIELD],
        }
        for name, value in vars(record).items():
            if name not in _STANDARD:
                line[name] = value[:MAX_FIELD] if isinstance(value, str) else value
        if record.exc_info:
            line["trace"] = "".join(traceback.format_exception(*record.exc_info))[-4 * MAX_FIELD :]
        return msgspec.json.encode(line, enc_hook=str).decode()


def log_as_json(level: str = "INFO") -> None:
    """Send every log line to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("httpx2", "httpcore2", "httpx", "httpcore", "asyncio", "authlib"):
        # They log URLs and headers at DEBUG and INFO; tokens pass there.
        logging.getLogger(noisy).setLevel(logging.WARNING)


class Metrics:
    """Counters of this process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "federation_requests", "Requests answered.", ("operation", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "federation_request_seconds",
            "Time to the first byte of the answer (waiting for news not counted apart).",
            ("operation",),
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30),
            registry=self.registry,
        )
        self.pulled = Counter(
            "federation_pulled_entries", "Entries taken from peers.", ("peer",), registry=self.registry
        )
        self.aside = Counter(
            "federation_set_aside_entries",
            "Entries of peers set aside.",
            ("peer", "reason"),
            registry=self.registry,
        )
        self.repaired = Counter(
            "federation_repaired_records",
            "Records taken, moved or dropped since a copy was not what its origin had signed.",
            ("peer",),
            registry=self.registry,
        )
        self._state = Gauge(
            "federation_copy_state",
            "1 for the state that the copy of a peer's feed is in.",
            ("origin", "audience", "state"),
            registry=self.registry,
        )
        self._age = Gauge(
            "federation_copy_proof_age_seconds",
            "Age of the checkpoint that the copy of a peer's feed was last found equal to.",
            ("origin", "audience"),
            registry=self.registry,
        )
        self._waits = Gauge(
            "federation_copy_waits",
            "1 where removals wait for an administrator to confirm them.",
            ("origin", "audience"),
            registry=self.registry,
        )
        self._head = Gauge(
            "federation_feed_head",
            "Number of the last entry held.",
            ("origin", "audience"),
            registry=self.registry,
        )
        self._count = Gauge(
            "federation_feed_records", "Records held.", ("origin", "audience"), registry=self.registry
        )
        self._lag = Gauge(
            "federation_feed_lag_entries",
            "Entries told and not taken.",
            ("origin", "audience"),
            registry=self.registry,
        )
        self._failures = Gauge(
            "federation_peer_failures", "Failed attempts in a row.", ("peer",), registry=self.registry
        )

        self._alerts = Gauge(
            "federation_alerts_untold",
            "Alerts that were tried and were not taken: waiting to be tried again, or parked.",
            ("state",),
            registry=self.registry,
        )

        # Looking a counter up by its labels takes longer than counting.
        self._counters = cache(lambda *labels: self.requests.labels(*labels).inc)
        self._observers = cache(lambda operation: self.seconds.labels(operation).observe)

    def answered(self, operation: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._counters(operation, str(status))()
        self._observers(operation)(seconds)

    async def page(self, node: Node) -> bytes:
        """The metrics of this process and of the database, as Prometheus reads them."""
        async with node.store.read() as tx:
            feeds, peers = await tx.feeds.all(), await tx.peers.all()
            waiting, parked = await tx.alerts.untold()
        copies = await node.copies()
        for gauge in (
            self._head, self._count, self._lag, self._failures, self._state, self._age, self._waits
        ):  # fmt: skip
            gauge.clear()
        for feed in feeds:
            labels = (feed.origin, feed.audience)
            self._head.labels(*labels).set(feed.head)
            self._count.labels(*labels).set(feed.live)
            if feed.origin != node.operator:
                self._lag.labels(*labels).set(max((feed.remote_head or 0) - feed.head, 0))
        for name, copy in copies.items():
            for state in get_args(CopyState):
                self._state.labels(name.origin, name.audience, state).set(copy.state == state)
            if copy.age_seconds is not None:
                self._age.labels(name.origin, name.audience).set(copy.age_seconds)
            self._waits.labels(name.origin, name.audience).set(copy.waits is not None)
        for peer in peers:
            self._failures.labels(peer.operator).set(peer.failures)
        self._alerts.labels("waiting").set(waiting)
        self._alerts.labels("parked").set(parked)
        return generate_latest(self.registry)


SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    # Nothing that we answer is a page, but for those that say what they load.
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    # Pages of other origins have no business here: browsers keep every answer from them.
    (b"cross-origin-resource-policy", b"same-origin"),
    # The server would name itself and so its software; it leaves a name that is there.
    (b"server", b"federation"),
)
"""What every answer says that does not say otherwise itself."""
ONLY_HTTPS = (b"strict-transport-security", b"max-age=31536000")
"""Said by a node whose URL is https. For its host name alone: what else is in the domain is not ours."""


class Observed:
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
        """What ends waits and streams when the process is to stop."""

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
            # What a DPoP proof was made for is still HEAD.
            scope = {**scope, "method": "GET", "asked_method": "HEAD"}

        async def observed_send(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message["headers"]
                there = {name for name, _ in headers}
                added = [header for header in self._headers if header[0] not in there]
                message = {**message, "headers": [*headers, *added]}
                handler = scope.get("route_handler")
                operation = handler.opt.get("act", "unknown") if handler is not None else "unknown"
                took = time.perf_counter() - began
                self._metrics.answered(operation, status, took)
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
