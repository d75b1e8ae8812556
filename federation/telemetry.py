"""Logs in JSON, one line an event, and metrics for Prometheus.

No token, assertion or secret is ever given to a logger; lengths are capped all the same.
"""

from __future__ import annotations

import logging
import re
import sys
import time
import traceback
from bisect import bisect_left
from collections import Counter as Counting
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

MAX_FIELD = 2_000
REPEAT_SECONDS = 600.0
"""After which a line that is repeated is logged again, with the number of its repetitions."""
MAX_LINES = 20
"""Different lines of one event and one peer within that time."""
MAX_REMEMBERED_LINES = 2_000
_NUMBERS = re.compile(r"[0-9]+")
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


class RepeatedLines(logging.Filter):
    """Passes a warning or an error once, and its repetitions with their number, every ``REPEAT_SECONDS``.

    A line is repeated where the logger, the event and the members are the same, but for numbers: a peer that
    fails at each poll fails for the third time and then for the fourth. Of one event and peer no more than
    ``MAX_LINES`` different lines pass in that time. The first of them that passes afterwards says in
    ``repeated`` how many did not. Errors with a trace, and lines that are no warnings, always pass.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._passed_at: OrderedDict[tuple[Any, ...], float] = OrderedDict()
        self._withheld: Counting[tuple[Any, ...]] = Counting()
        self._lines: dict[tuple[Any, ...], list[float]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING or record.exc_info or not record.name.startswith("federation"):
            return True
        members = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        event = (record.name, record.msg, members.get("peer") or members.get("feed"))
        line = (*event, *(_without_numbers(name, members[name]) for name in sorted(members)))
        current = self._clock()
        passed_at = self._passed_at.get(line)
        if passed_at is not None and current - passed_at < REPEAT_SECONDS:
            self._withheld[line] += 1
            return False
        recent = [at for at in self._lines.pop(event, ()) if current - at < REPEAT_SECONDS]
        self._lines[event] = recent
        if len(recent) >= MAX_LINES:
            self._withheld[event] += 1
            return False
        recent.append(current)
        if withheld := self._withheld.pop(line, 0) + self._withheld.pop(event, 0):
            record.repeated = withheld
        self._passed_at[line] = current
        self._passed_at.move_to_end(line)
        self._forget()
        return True

    def _forget(self) -> None:
        while len(self._passed_at) > MAX_REMEMBERED_LINES:
            line, _ = self._passed_at.popitem(last=False)
            self._withheld.pop(line, None)
        while len(self._lines) > MAX_REMEMBERED_LINES:
            event = next(iter(self._lines))
            del self._lines[event]
            self._withheld.pop(event, None)


def _without_numbers(name: str, value: object) -> object:
    if isinstance(value, str):
        # (The numbers of a record's key tell one record from another.)
        return _NUMBERS.sub("0", value) if name in ("reason", "detail") else value
    return None


def log_as_json(level: str = "INFO") -> None:
    """Send every log line to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    handler.addFilter(RepeatedLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("httpx2", "httpcore2", "httpx", "httpcore", "asyncio", "authlib", "alembic", "asyncpg"):
        # They log URLs and headers at DEBUG and INFO, where tokens pass, or each step of a start.
        logging.getLogger(noisy).setLevel(logging.WARNING)


class RequestTimes(Collector):
    """Requests answered, and their times to the first byte of the answer.

    All requests are counted in one thread. The library's counters, of which each takes a lock, took a tenth
    of the time that the answer of a request takes that was waiting.
    """

    BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)
    """Seconds."""

    def __init__(self) -> None:
        self._answered: Counting[tuple[str, int]] = Counting()
        self._within: dict[str, list[int]] = {}
        """Of each operation, the requests between a bound and the one before; the last number: beyond all."""
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def count(self, operation: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._answered[operation, status] += 1
        if (within := self._within.get(operation)) is None:
            within = self._within[operation] = [0] * (len(self.BOUNDS) + 1)
        within[bisect_left(self.BOUNDS, seconds)] += 1
        self._seconds[operation] += seconds

    def collect(self) -> Iterator[Metric]:
        """The metrics, for Prometheus."""
        answered = CounterMetricFamily(
            "federation_requests", "Requests answered.", labels=("operation", "status")
        )
        for (operation, status), number in list(self._answered.items()):
            answered.add_metric((operation, str(status)), number)
        yield answered
        times = HistogramMetricFamily(
            "federation_request_seconds",
            "Time to the first byte of the answer (waiting for news not counted apart).",
            labels=("operation",),
        )
        bounds = [*map(str, self.BOUNDS), "+Inf"]
        for operation, within in list(self._within.items()):
            times.add_metric(
                (operation,), list(zip(bounds, accumulate(within), strict=True)), self._seconds[operation]
            )
        yield times


class Metrics:
    """Counters of this process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = RequestTimes()
        self.registry.register(self.requests)
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
        self.not_understood = Gauge(
            "federation_not_understood_records",
            "Records of a peer that this version does not understand: a newer one may.",
            ("origin", "type"),
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

        self.under_way = Gauge(
            "federation_under_way",
            "Requests, and waits with open streams, that are under way.",
            ("kind",),
            registry=self.registry,
        )
        self.shares_refused = Counter(
            "federation_shares_refused",
            "Requests refused because their caller, or all callers together, had too many under way.",
            ("kind", "bound"),
            registry=self.registry,
        )
        self.connections = Gauge(
            "federation_connections", "Connections to the API that are open.", registry=self.registry
        )
        self.connections_closed = Counter(
            "federation_connections_closed",
            "Idle connections that were closed because their address, or all together, had too many.",
            ("bound",),
            registry=self.registry,
        )

    def exposition(self) -> bytes:
        """All of them in the text format of Prometheus."""
        return generate_latest(self.registry)
