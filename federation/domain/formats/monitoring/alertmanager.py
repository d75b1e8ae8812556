"""The webhook of Prometheus Alertmanager, version 4 of the message.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config; its members are those of
``notify/webhook/webhook.go`` and ``template/template.go``. The fingerprint is a hash of the labels, so it is
the same at each delivery and when the alert is resolved.
"""

from __future__ import annotations

from typing import Any

from federation.domain.errors import Invalid
from federation.domain.formats.monitoring.event import (
    MAX_EVENTS,
    Delivery,
    EventInvalid,
    MonitorEvent,
    read_fingerprint,
    read_labels,
    read_object,
    read_text,
    read_time,
)
from federation.domain.messages import Message
from federation.domain.sources.reading import ReadingFault

VERSION = "4"
_TEXTS = ("summary", "description", "message")
"""Annotations that have the text for people, the first one that is there."""


def read_alertmanager(raw: bytes) -> Delivery:
    """Read a delivery. Raises Invalid where it is no message of version 4."""
    message = read_object(raw)
    if message.get("version") != VERSION:
        raise Invalid(
            "it is not a message of Alertmanager of version {version}",
            pointer="/version",
            fault="not-allowed",
            allowed=(VERSION,),
            version=VERSION,
        )
    return read_alerts(message)


def read_alerts(message: dict[str, Any]) -> Delivery:
    """The alerts of a message of Alertmanager or Grafana. Raises Invalid without a list of them."""
    alerts = message.get("alerts")
    if not isinstance(alerts, list):
        raise Invalid("the message has no list of alerts", pointer="/alerts", fault="missing")
    if len(alerts) > MAX_EVENTS:
        raise Invalid(
            "the message has {number} alerts; {maximum} are read (set max_alerts of the webhook)",
            pointer="/alerts",
            fault="too-many",
            number=len(alerts),
            maximum=MAX_EVENTS,
        )
    events: list[MonitorEvent] = []
    faults: list[ReadingFault] = []
    for number, alert in enumerate(alerts):
        place = f"alerts[{number}]"
        try:
            events.append(_read_alert(alert, place))
        except EventInvalid as error:
            faults.append(ReadingFault(place, error.reason, error.member))
    omitted = message.get("truncatedAlerts")
    is_number = isinstance(omitted, int) and not isinstance(omitted, bool)
    return Delivery(tuple(events), tuple(faults), max(int(omitted), 0) if is_number and omitted else 0)


def _read_alert(alert: Any, place: str) -> MonitorEvent:
    if not isinstance(alert, dict):
        raise EventInvalid(Message("the alert is not an object"), "")
    state = alert.get("status")
    if state not in ("firing", "resolved"):
        raise EventInvalid(Message("the status is neither firing nor resolved"), "status")
    starts_at = read_time(alert.get("startsAt"), "startsAt")
    if starts_at is None:
        raise EventInvalid(Message("the alert does not say since when"), "startsAt")
    ends_at = read_time(alert.get("endsAt"), "endsAt")
    if state == "resolved" and ends_at is None:
        raise EventInvalid(Message("the alert is resolved, and does not say since when"), "endsAt")
    annotations = alert.get("annotations")
    texts = annotations if isinstance(annotations, dict) else {}
    return MonitorEvent(
        fingerprint=read_fingerprint(alert.get("fingerprint"), "fingerprint"),
        state=state,
        place=place,
        starts_at=starts_at,
        # An alert that fires may name the time at which it is given up without another delivery.
        ends_at=ends_at if state == "resolved" else None,
        labels=read_labels(alert.get("labels")),
        summary=next((text for name in _TEXTS if (text := read_text(texts.get(name)))), None),
    )
