"""Outages made of events of monitoring: which event opens, extends or resolves one.

1. The key of an outage is made of source, fingerprint and beginning, so an event that comes again finds it.
2. An event that went down opens an outage, unless one of its fingerprint is open, or was resolved later than
   it went down: an old delivery opens nothing again.
3. Within ``DAMPING`` of its resolution, an outage that comes back is the same one: its timeline gets a line.
4. A resolution that names its beginning stands for both events, since the first may have been lost. One that
   is older than the last line that it went down changes nothing.

What is published is chosen for a record that may be public: the deployment, its state and times, and fixed
sentences. The text of the alert, which may have addresses and secrets in it, goes in if its source says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from federation.domain.formats.advisory import parse_instant, short_hash
from federation.domain.formats.monitoring.event import MonitorEvent
from federation.domain.messages import Message
from federation.domain.part import Part
from federation.domain.values import END, as_instant
from federation.domain.visibility import Tlp, is_wider

DAMPING = timedelta(minutes=10)
"""An outage that comes back so soon after its resolution is the same one."""
MAX_AHEAD = timedelta(minutes=10)
"""A time of an event may be ahead of the node's clock by this."""
MAX_LINES = 100
"""Lines of a timeline after which an outage that comes back gets no more of them."""
MAX_SUMMARY_CHARACTERS = 500

Severity = Literal["none", "low", "medium", "high", "critical"]
SEVERITIES: dict[str, Severity] = {
    "critical": "critical", "page": "critical", "emergency": "critical", "fatal": "critical",
    "high": "high", "error": "high", "major": "high",
    "warning": "medium", "warn": "medium", "medium": "medium", "moderate": "medium",
    "low": "low", "minor": "low", "info": "low", "information": "low", "informational": "low",
    "none": "none",
}  # fmt: skip
"""Severities by the value of the label ``severity``, as rules of Prometheus and Grafana write it."""

LabelName = Annotated[str, Meta(min_length=1, max_length=200)]


class EventOptions(Part, frozen=True, kw_only=True):
    """The options of a source of events."""

    deployment_label: LabelName = "deployment"
    """The label (in Uptime Kuma, the tag) that names a deployment of this node: its key, or its id."""
    with_texts: bool = False
    """Publish the text of the alert as summary. It is shown to all readers of the outage."""
    language: Annotated[str, Meta(pattern=r"^[a-z]{2,3}" + END)] = "fr"
    """The language of these texts."""
    severity: Severity = "medium"
    """The severity where no label names one."""
    heartbeat_alert: LabelName = "Watchdog"
    """The name of the alert that always fires, and says that monitoring itself works: it is no outage."""
    heartbeat_seconds: Annotated[int, Meta(ge=60, le=604_800)] | None = None
    """The time within which that alert, or any other event, is expected."""
    heartbeat_deployment: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    """The deployment whose outage begins when the heartbeat does not come; else there is an alert alone."""


class Labelled(msgspec.Struct, frozen=True):
    """A label and its audience; no label means that of other outages of the node."""

    tlp: Tlp | None = None
    audience: str | None = None

    def members(self) -> dict[str, str]:
        members = {"tlp": self.tlp, "audience": self.audience}
        return {name: value for name, value in members.items() if value is not None}


def label_of_outage(wanted: Labelled, deployment: Labelled) -> Labelled:
    """The label of an outage: never wider than that of a deployment for a group, or for its operator alone.

    A deployment for the federation may have a public outage, as one that a person writes. Where each is for
    another group, nobody but the operator is in both.
    """
    if deployment.tlp in (None, "CLEAR", "GREEN"):
        return wanted
    if wanted.tlp is None or is_wider(wanted.tlp, deployment.tlp):
        same_group = wanted.audience in (None, deployment.audience)
        return deployment if same_group else Labelled("RED")
    if wanted.tlp != "RED" and wanted.audience != deployment.audience:
        return Labelled("RED")
    return wanted


def key_prefix(source: str, fingerprint: str) -> str:
    """The beginning of the keys of all outages of one fingerprint."""
    return f"outage-{short_hash(source, fingerprint)}-"


_LAST_SECOND = int(datetime(2201, 1, 1, tzinfo=UTC).timestamp())


def outage_key(source: str, fingerprint: str, starts_at: datetime) -> str:
    """The key of an outage. Its number counts down with time: the newest outage is the first in order."""
    return f"{key_prefix(source, fingerprint)}{_LAST_SECOND - int(starts_at.timestamp()):010d}"


def severity_of(event: MonitorEvent, options: EventOptions) -> Severity:
    return SEVERITIES.get(event.labels.get("severity", "").strip().lower(), options.severity)


DOWN = {"en": "Monitoring reports it as down.", "fr": "La supervision signale une panne."}
DOWN_AGAIN = {
    "en": "Monitoring reports it as down again.",
    "fr": "La supervision signale une nouvelle panne.",
}
UP = {"en": "Monitoring reports it as up.", "fr": "La supervision signale le retour à la normale."}
FLAPPING = {
    "en": "It goes down and comes up again; further changes are not listed.",
    "fr": "Le service tombe et revient ; les changements suivants ne sont pas listés.",
}
_OPEN: tuple[str, ...] = ("investigating", "identified", "monitoring")


class Change(msgspec.Struct, frozen=True):
    """The effect of an event on the outages of its fingerprint."""

    content: dict[str, Any] | None = None
    """The content of the outage afterwards; None where nothing changes."""
    is_new: bool = False
    reason: Message | None = None
    """The reason that nothing changes."""


class Outage(msgspec.Struct, frozen=True):
    """The newest outage of a fingerprint, as it is stored."""

    content: Mapping[str, Any]
    updated_at: datetime

    @property
    def is_open(self) -> bool:
        return self.content["status"] in _OPEN

    @property
    def closed_at(self) -> datetime:
        """The time since which it is resolved or withdrawn."""
        resolved_at = parse_instant(self.content.get("resolved_at"))
        return resolved_at if resolved_at and self.content["status"] == "resolved" else self.updated_at


def apply_event(newest: Outage | None, event: MonitorEvent, first: Mapping[str, Any]) -> Change:
    """The effect of an event; ``first`` has the members of a new outage that do not depend on time."""
    down = Change(reason=Message("there is no outage of it"))
    if event.starts_at is not None:
        down = _apply_down(newest, event.starts_at, first)
    if event.state == "firing":
        return down
    content = down.content
    if content is None:
        if newest is None or not newest.is_open:
            is_older = newest is not None and not newest.is_open
            return Change(reason=Message("it is resolved already") if is_older else down.reason)
        content = dict(newest.content)
    return _apply_up(content, event, is_new=down.is_new)


def _apply_down(newest: Outage | None, starts_at: datetime, first: Mapping[str, Any]) -> Change:
    if newest is None:
        return _open(starts_at, first)
    if newest.is_open:
        return Change(reason=Message("it is open already"))
    if starts_at <= newest.closed_at:
        return Change(reason=Message("an older event: the outage is over already"))
    if starts_at - newest.closed_at >= DAMPING:
        return _open(starts_at, first)
    if newest.content["status"] == "withdrawn":
        return Change(reason=Message("the outage was withdrawn less than ten minutes before"))
    content = {name: value for name, value in newest.content.items() if name != "resolved_at"}
    return Change(_with_line(content, starts_at, "investigating", DOWN_AGAIN))


def _open(starts_at: datetime, first: Mapping[str, Any]) -> Change:
    content = {**first, "kind": "outage", "started_at": as_instant(starts_at)}
    return Change(_with_line(content, starts_at, "investigating", DOWN), is_new=True)


def _apply_up(content: dict[str, Any], event: MonitorEvent, *, is_new: bool) -> Change:
    ends_at = event.ends_at
    if ends_at is None:
        raise AssertionError("a resolution has a time")
    last_down = max(_times_down(content), default=ends_at)
    if ends_at < last_down:
        return Change(reason=Message("an older event: it went down again since"))
    # Somebody may have noted later that it was detected; it is resolved no earlier than that.
    detected_at = parse_instant(content.get("detected_at")) or ends_at
    resolved = {**content, "resolved_at": as_instant(max(ends_at, detected_at))}
    return Change(_with_line(resolved, ends_at, "resolved", UP), is_new=is_new)


def _times_down(content: Mapping[str, Any]) -> Iterable[datetime]:
    """The times at which monitoring reported it as down. Lines of people do not count: they come later."""
    times = [content.get("started_at")]
    times += [line["at"] for line in content.get("updates", ()) if line["text"] in (DOWN, DOWN_AGAIN)]
    return [moment for time in times if (moment := parse_instant(time))]


def _with_line(content: dict[str, Any], at: datetime, status: str, text: Mapping[str, str]) -> dict[str, Any]:
    """The content in another status, with a line of the timeline as long as it is not too long."""
    lines = list(content.get("updates", ()))
    if len(lines) < MAX_LINES:
        is_last = len(lines) == MAX_LINES - 1
        lines.append({"at": as_instant(at), "status": status, "text": dict(FLAPPING if is_last else text)})
    return {**content, "status": status, "updates": lines}


def first_members(event: MonitorEvent, options: EventOptions, deployment: str, name: str) -> dict[str, Any]:
    """The members of a new outage that do not depend on time.

    ``deployment`` is its id, ``name`` the deployment as readers of the outage may know it.
    """
    summary = dict(DOWN)
    if options.with_texts and event.summary:
        summary = {options.language: event.summary[:MAX_SUMMARY_CHARACTERS]}
    return {
        "title": {"en": f"Outage of {name}", "fr": f"Panne de {name}"},
        "summary": summary,
        "severity": severity_of(event, options),
        "affects": [{"deployments": [deployment]}],
    }


def heartbeat_overdue(options: EventOptions, last_at: datetime, now: datetime) -> datetime | None:
    """The time since which the expected heartbeat is missing; None while it is not."""
    if options.heartbeat_seconds is None:
        return None
    due_at = last_at + timedelta(seconds=options.heartbeat_seconds)
    return due_at if now > due_at else None
