"""Webhooks of monitoring and indexes of advisories for the fuzz of readers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from federation.domain.formats.csaf_provider import read_changes, read_provider, read_rolie
from federation.domain.formats.cve_deltas import read_deltas
from federation.domain.formats.monitoring.readers import EVENT_READERS
from federation.domain.formats.osv_changes import read_modified_ids
from tests.domain import test_advisory_indexes as indexes
from tests.fuzz.reader_inputs import Reader
from tests.monitoring import webhooks

RESOLVED = webhooks.an_alert(state="resolved", ends_at="2026-03-01T10:20:00Z")
ALERTS = (webhooks.an_alert(), RESOLVED, webhooks.an_alert(fingerprint="b", severity="critical"))
DELIVERIES: dict[str, Sequence[bytes]] = {
    "alertmanager": [webhooks.alertmanager(*ALERTS), webhooks.alertmanager()],
    "grafana": [webhooks.grafana(*ALERTS)],
    "uptime-kuma": [
        webhooks.uptime_kuma(),
        webhooks.uptime_kuma(1, lastDownTime="2026-03-01 09:59:00"),
        webhooks.TEST_OF_UPTIME_KUMA,
    ],
}


def _reader(name: str, read: Callable[[bytes], Any], *examples: bytes) -> Reader:
    return Reader(name, read, lambda: examples)


READERS = (
    *(_reader(kind, read, *DELIVERIES[kind]) for kind, read in EVENT_READERS.items()),
    _reader("csaf-provider", read_provider, indexes.PROVIDER),
    _reader("csaf-rolie", partial(read_rolie, label=None), indexes.ROLIE),
    _reader("csaf-changes", partial(read_changes, url=indexes.URL, label=None), indexes.CHANGES),
    _reader("osv-changes", partial(read_modified_ids, url=indexes.URL), indexes.MODIFIED),
    _reader("cve-deltas", partial(read_deltas, url=indexes.URL), indexes.DELTAS),
)
