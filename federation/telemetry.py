"""Logs in JSON, one line an event, and metrics for Prometheus.

No token, assertion or secret is ever given to a logger; lengths are capped all the same.
"""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from functools import cache
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

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
        self.rejected = Counter(
            "federation_rejected_entries",
            "Entries of peers that were rejected.",
            ("peer", "reason"),
            registry=self.registry,
        )
        self.repaired = Counter(
            "federation_repaired_records",
            "Records taken, moved or dropped since a copy was not what its origin had signed.",
            ("peer",),
            registry=self.registry,
        )
        self.copy_state = Gauge(
            "federation_copy_state",
            "1 for the state that the copy of a peer's feed is in.",
            ("origin", "audience", "state"),
            registry=self.registry,
        )
        self.copy_age = Gauge(
            "federation_copy_verified_age_seconds",
            "Age of the checkpoint that the copy of a peer's feed was last found equal to.",
            ("origin", "audience"),
            registry=self.registry,
        )
        self.copy_paused = Gauge(
            "federation_copy_paused",
            "1 where removals, or a peer beyond its quota, await an administrator.",
            ("origin", "audience"),
            registry=self.registry,
        )
        self.feed_head = Gauge(
            "federation_feed_head",
            "Number of the last entry held.",
            ("origin", "audience"),
            registry=self.registry,
        )
        self.feed_records = Gauge(
            "federation_feed_records", "Records held.", ("origin", "audience"), registry=self.registry
        )
        self.feed_lag = Gauge(
            "federation_feed_lag_entries",
            "Entries told and not taken.",
            ("origin", "audience"),
            registry=self.registry,
        )
        self.peer_failures = Gauge(
            "federation_peer_failures", "Failed attempts in a row.", ("peer",), registry=self.registry
        )

        self.alerts_pending = Gauge(
            "federation_alerts_pending",
            "Alerts that were tried and not delivered: waiting for the next attempt, or parked.",
            ("state",),
            registry=self.registry,
        )

        # Looking a counter up by its labels takes longer than counting.
        self._counters = cache(lambda *labels: self.requests.labels(*labels).inc)
        self._observers = cache(lambda operation: self.seconds.labels(operation).observe)

    def count_request(self, operation: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._counters(operation, str(status))()
        self._observers(operation)(seconds)

    def exposition(self) -> bytes:
        """All of them in the text format of Prometheus."""
        return generate_latest(self.registry)
