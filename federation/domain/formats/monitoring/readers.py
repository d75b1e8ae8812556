"""The readers of webhooks of monitoring, by the kind of their source."""

from __future__ import annotations

from collections.abc import Callable

from federation.domain.formats.monitoring.alertmanager import read_alertmanager
from federation.domain.formats.monitoring.event import Delivery
from federation.domain.formats.monitoring.grafana import read_grafana
from federation.domain.formats.monitoring.uptime_kuma import read_uptime_kuma

EVENT_READERS: dict[str, Callable[[bytes], Delivery]] = {
    "alertmanager": read_alertmanager,
    "grafana": read_grafana,
    "uptime-kuma": read_uptime_kuma,
}
"""Reads one delivery; raises Invalid and nothing else."""
