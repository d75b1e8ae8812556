"""The webhook of Uptime Kuma, 1.x and 2.x, with the body "application/json".

The members are those of ``server/notification-providers/webhook.js`` and ``server/model/heartbeat.js``:
``heartbeat`` (status 0 down, 1 up, 2 pending, 3 maintenance; times in UTC without an offset) and ``monitor``.
The monitor is the fingerprint. Its tags are the labels: a tag ``deployment`` with a value names the
deployment. A message without a heartbeat (the test of a notification, a certificate that will expire) has no
event.

``monitor`` may have passwords and connection strings, ``heartbeat`` the answer of the service: of both only
the members that are named below are read. A resolution names its beginning from version 2.1 on
(``lastDownTime``); without it, it resolves what is open.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from federation.domain.errors import Invalid
from federation.domain.formats.monitoring.event import (
    MAX_LABELS,
    Delivery,
    EventInvalid,
    EventState,
    MonitorEvent,
    read_object,
    read_text,
    read_time,
)
from federation.domain.messages import Message
from federation.domain.sources.reading import ReadingFault

_STATES: dict[int, EventState | None] = {0: "firing", 1: "resolved", 2: None, 3: None}
"""States by the number of the status. Pending and maintenance are no outage, and end none."""


def read_uptime_kuma(raw: bytes) -> Delivery:
    """Read a delivery. Raises Invalid where it is no message of Uptime Kuma."""
    message = read_object(raw)
    if not {"heartbeat", "monitor", "msg"} & message.keys():
        raise Invalid(
            "it is not a message of Uptime Kuma: choose the body application/json, not a custom one",
            pointer="/heartbeat",
            fault="missing",
        )
    heartbeat, monitor = message.get("heartbeat"), message.get("monitor")
    if heartbeat is None:
        return Delivery(())
    try:
        event = _read_heartbeat(heartbeat, monitor if isinstance(monitor, dict) else {})
    except EventInvalid as error:
        return Delivery((), (ReadingFault("heartbeat", error.reason, error.member),))
    return Delivery(() if event is None else (event,))


def _read_heartbeat(heartbeat: Any, monitor: dict[str, Any]) -> MonitorEvent | None:
    if not isinstance(heartbeat, dict):
        raise EventInvalid(Message("the heartbeat is not an object"), "heartbeat")
    status = heartbeat.get("status")
    if isinstance(status, bool) or not isinstance(status, int) or status not in _STATES:
        raise EventInvalid(
            Message("the status is none of 0 (down), 1 (up), 2 (pending), 3 (maintenance)"), "status"
        )
    state = _STATES[status]
    if state is None:
        return None
    number = heartbeat.get("monitorID", monitor.get("id"))
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 2**53:
        raise EventInvalid(Message("the heartbeat does not name its monitor by a number"), "monitorID")
    at = read_time(heartbeat.get("time"), "time")
    if at is None:
        raise EventInvalid(Message("the heartbeat has no time"), "time")
    try:
        last_down_at = read_time(heartbeat.get("lastDownTime"), "lastDownTime")
    except EventInvalid:
        last_down_at = None
    if last_down_at is not None and last_down_at > at:
        last_down_at = None
    return MonitorEvent(
        fingerprint=f"monitor {number}",
        state=state,
        place="heartbeat",
        starts_at=at if state == "firing" else last_down_at,
        ends_at=at if state == "resolved" else None,
        labels=dict(_labels(monitor)),
        summary=read_text(heartbeat.get("msg")) or None,
    )


def _labels(monitor: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The name of the monitor as ``alertname``, and its tags."""
    if name := read_text(monitor.get("name")):
        yield "alertname", name
    tags = monitor.get("tags")
    for tag in tags[:MAX_LABELS] if isinstance(tags, list) else ():
        if isinstance(tag, dict) and (name := read_text(tag.get("name"))):
            yield name, read_text(tag.get("value"))
