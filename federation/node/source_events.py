"""Events of a source of monitoring: they open, extend and resolve outages of deployments of this node.

``domain/sources/outages`` decides what an event does; here are its deployment, the newest outage of its
fingerprint, and the write. Events of one delivery are carried out in the order of their times. The same
delivery again changes nothing, and neither does one that comes late.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from federation.domain.content.incident import Incident
from federation.domain.draft import Draft, check_draft
from federation.domain.errors import Conflict, Invalid, NotFound, PreconditionFailed, Refused
from federation.domain.formats.monitoring.event import Delivery, MonitorEvent
from federation.domain.messages import Message
from federation.domain.query import PageKey, Query
from federation.domain.record import draft_of
from federation.domain.sources.outages import (
    MAX_AHEAD,
    Outage,
    apply_event,
    first_members,
    heartbeat_overdue,
    key_prefix,
    outage_key,
)
from federation.domain.sources.reading import ReadingFault
from federation.domain.stored import StoredRecord
from federation.domain.visibility import Caller, itself
from federation.node import records
from federation.node.event_targets import EventSource as EventSource
from federation.node.event_targets import EventTarget, find_own, find_target
from federation.node.node import Node
from federation.node.records import Preconditions

MAX_OPEN = 20
"""Outages of one deployment that are open at a time; of more fingerprints no further ones are opened."""
MAX_ATTEMPTS = 5
"""Attempts to write an outage that other writers change meanwhile, at most."""

EventOutcome = Literal["opened", "extended", "resolved", "unchanged", "heartbeat", "refused"]


class EventLine(msgspec.Struct, frozen=True):
    """The outcome of one event. It has no text of the alert, but the label that names the deployment."""

    outcome: EventOutcome
    place: str
    key: str = ""
    """The key of its outage."""
    reason: Message | None = None
    """The reason that nothing changed."""
    error: Refused | None = None
    """The reason that it was refused."""


class EventReport(msgspec.Struct, frozen=True):
    """The outcome of a delivery."""

    lines: tuple[EventLine, ...]
    faults: tuple[ReadingFault, ...] = ()
    """Events that could not be read."""
    omitted: int = 0
    """Alerts that the source itself has left out."""


async def apply_delivery(node: Node, source: EventSource, delivery: Delivery, *, by: Caller) -> EventReport:
    """Open, extend and resolve the outages of a delivery. An event that is refused changes nothing."""
    targets: dict[str, EventTarget | Refused] = {}
    events = sorted(delivery.events, key=_time_of)
    lines = [await _apply(node, source, event, targets, by) for event in events]
    return EventReport(tuple(lines), delivery.faults, delivery.omitted)


def _time_of(event: MonitorEvent) -> datetime:
    time = event.ends_at or event.starts_at
    if time is None:
        raise AssertionError("an event has a time")
    return time


async def check_heartbeat(
    node: Node, source: EventSource, last_at: datetime, *, by: Caller
) -> datetime | None:
    """The time since which a source of events is silent though it should not be; None while it is not.

    ``last_at``: its last delivery, or the time that the source was added. Opens the outage of the deployment
    that the options name, and resolves it when the source is back. Raises Refused where that fails.
    """
    options = source.options
    overdue = heartbeat_overdue(options, last_at, node.clock())
    if options.heartbeat_deployment is None:
        return overdue
    # Resolved by the last delivery, which names no beginning: it ends what is open.
    event = MonitorEvent(
        fingerprint=_HEARTBEAT,
        state="resolved" if overdue is None else "firing",
        place="heartbeat",
        starts_at=overdue,
        ends_at=last_at if overdue is None else None,
        labels={options.deployment_label: options.heartbeat_deployment},
    )
    line = await _apply(node, source, event, {}, by)
    if line.error is not None:
        raise line.error
    return overdue


_HEARTBEAT = "\0heartbeat"
"""A fingerprint that no delivery has: it cannot be shown."""


async def _apply(
    node: Node,
    source: EventSource,
    event: MonitorEvent,
    targets: dict[str, EventTarget | Refused],
    by: Caller,
) -> EventLine:
    options = source.options
    if event.name == options.heartbeat_alert:
        return EventLine("heartbeat", event.place)
    try:
        if _time_of(event) > node.clock() + MAX_AHEAD:
            raise Invalid("the time of the event is ahead: compare the clocks of the source and of this node")
        named = event.labels.get(options.deployment_label, "")
        if named not in targets:
            targets[named] = await find_target(node, source, named)
        target = targets[named]
        if isinstance(target, Refused):
            raise target
        return await _write(node, source, event, target, by)
    except Refused as error:
        return EventLine("refused", event.place, error=error)


async def _write(
    node: Node, source: EventSource, event: MonitorEvent, target: EventTarget, by: Caller
) -> EventLine:
    shape: Any = Draft
    first = first_members(event, source.options, target.id, target.name)
    for _ in range(MAX_ATTEMPTS):
        newest = await _newest(node, source.name, event.fingerprint)
        outage = None
        if newest is not None:
            key, stored = newest
            draft = draft_of(stored.document)
            outage = Outage(draft["content"], stored.updated_at)
        change = apply_event(outage, event, first)
        if change.content is None:
            return EventLine("unchanged", event.place, "" if newest is None else key, change.reason)
        if change.is_new:
            if event.starts_at is None:
                raise AssertionError("a new outage has a beginning")
            key = outage_key(source.name, event.fingerprint, event.starts_at)
            draft = {**target.label.members(), "content": change.content}
            if await _is_retracted(node, key):
                return EventLine("unchanged", event.place, key, Message("it was retracted here"))
            if change.content["status"] != "resolved":
                await _check_number(node, target.id)
            expected = Preconditions(none_match=frozenset({"*"}))
        else:
            draft = {**draft, "content": change.content}
            expected = Preconditions(match=frozenset({stored.hash.hex()}))
        checked = check_draft(draft, shape[Incident])
        try:
            await records.publish(node, Incident, checked, node.operator, key, by=by, preconditions=expected)
        except PreconditionFailed:
            continue
        status = change.content["status"]
        outcome: EventOutcome = "opened" if change.is_new else "extended"
        return EventLine("resolved" if status == "resolved" else outcome, event.place, key)
    raise Conflict("other writers were always first; try again")


async def _check_number(node: Node, deployment: str) -> None:
    """Raises Conflict where too many outages of a deployment are open: a rule with a fault makes no flood."""
    query = Query(
        kind=Incident,
        facets=(
            ("origin", (node.operator,)),
            ("deployment", (deployment,)),
            ("kind", ("outage",)),
            ("status", ("investigating",)),
        ),
        limit=MAX_OPEN,
    )
    documents, _, _ = await records.collect(node, query, by=itself(node.operator))
    if len(documents) >= MAX_OPEN:
        raise Conflict(
            "{deployment} has {maximum} open outages of monitoring already",
            deployment=deployment,
            maximum=MAX_OPEN,
        )


async def _newest(node: Node, source: str, fingerprint: str) -> tuple[str, StoredRecord] | None:
    """The newest outage of a fingerprint: the first in the order of keys, see ``outage_key``."""
    prefix = key_prefix(source, fingerprint)
    query = Query(
        kind=Incident,
        facets=(("origin", (node.operator,)),),
        sort="id",
        limit=1,
        after=PageKey("id", datetime(1970, 1, 1, tzinfo=UTC), node.operator, prefix),
    )
    documents, _, _ = await records.collect(node, query, by=itself(node.operator))
    for document in documents:
        key: str = msgspec.json.decode(document)["key"]
        if key.startswith(prefix):
            return key, await find_own(node, Incident, node.operator, key)
    return None


async def _is_retracted(node: Node, key: str) -> bool:
    try:
        return (await find_own(node, Incident, node.operator, key)).retracted
    except NotFound:
        return False
