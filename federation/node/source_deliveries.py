"""Deliveries of monitoring to a source: read, carry out and report them; and notice a source that is silent.

No lock is taken: two programs of one monitoring deliver the same at once, and neither asks again after a
conflict. A delivery that changes nothing leaves no report, but the time of it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from federation.domain.errors import Invalid, Refused
from federation.domain.formats.monitoring.readers import EVENT_READERS
from federation.domain.messages import Message
from federation.domain.sources.kinds import KINDS, kind_of, read_options
from federation.domain.sources.outages import EventOptions, Labelled
from federation.domain.sources.report import (
    Outcome,
    ReportLine,
    RunReport,
    Tally,
    not_read,
    rejected,
)
from federation.domain.sources.source import ALERT_AFTER_FAILURES, HttpState, ImportSource
from federation.domain.values import as_instant
from federation.domain.visibility import itself
from federation.node.node import Node
from federation.node.source_events import EventLine, EventSource, apply_delivery, check_heartbeat

_OUTCOMES: dict[str, Outcome] = {
    "opened": "created",
    "extended": "revised",
    "resolved": "revised",
    "unchanged": "unchanged",
    "heartbeat": "unchanged",
}


async def deliver(node: Node, source: ImportSource, raw: bytes) -> RunReport:
    """Carry out a delivery to a source, whose secret it came with. Raises Invalid for an unreadable one.

    The source has the rights of the operator itself, as any source.
    """
    started_at = node.clock()
    tally = Tally()

    def report(outcome: Any) -> RunReport:
        return RunReport(
            source=source.name,
            trigger="event",
            outcome=outcome,
            started_at=started_at,
            ended_at=node.clock(),
            counts=tally.counts,
            lines=tally.lines,
            omitted=tally.omitted,
        )

    events = _event_source(source)
    try:
        delivery = await asyncio.to_thread(EVENT_READERS[source.kind], raw)
    except Invalid as error:
        async with node.store.write() as tx:
            await tx.sources.note_failure(report("failed").with_reason(error.message), None)
        raise
    by = itself(node.operator)
    applied = await apply_delivery(node, events, delivery, by=by)
    for fault in applied.faults:
        tally.add(not_read(fault.place, fault.reason, fault.member))
    for line in applied.lines:
        tally.add(_report_line(line))
    if events.options.heartbeat_deployment is not None:
        try:
            await check_heartbeat(node, events, node.clock(), by=by)
        except Refused as error:
            tally.add(rejected("heartbeat", error, type_="incidents"))
    done = report("done")
    async with node.store.write() as tx:
        if done.counts.changed or done.counts.rejected:
            await tx.sources.note_success(done, None, HttpState())
        else:
            await tx.sources.note_delivery(source.name, done.ended_at)
    return done


def _event_source(source: ImportSource) -> EventSource:
    options: EventOptions = read_options(kind_of(source.kind), source.options)
    return EventSource(source.name, options, Labelled(source.tlp, source.audience))


def _report_line(line: EventLine) -> ReportLine:
    if line.error is not None:
        return rejected(line.place, line.error, type_="incidents")
    english = () if line.reason is None else (str(line.reason),)
    french = () if line.reason is None else (line.reason.to_text("fr"),)
    return ReportLine(_OUTCOMES[line.outcome], line.place, "incidents", line.key, english, french)


async def check_silence(node: Node) -> None:
    """Note sources of events that are silent though a heartbeat is expected: that is an alert.

    It opens the outage of the deployment that a source names; the next delivery resolves it.
    """
    async with node.store.read() as tx:
        sources = await tx.sources.all()
    for source in sources:
        kind = KINDS.get(source.kind)
        if kind is None or kind.way != "event" or source.state != "active":
            continue
        events = _event_source(source)
        if events.options.heartbeat_seconds is None:
            continue
        last_at = source.last_success_at or source.created_at
        moment = as_instant(last_at)
        try:
            since = await check_heartbeat(node, events, last_at, by=itself(node.operator))
            reason = Message("nothing was delivered (the last delivery: {moment})", {"moment": moment})
        except Refused as error:
            since = node.clock()
            reason = Message(
                "{reason} (the last delivery: {moment})", {"reason": error.message, "moment": moment}
            )
        if since is not None and source.failures < ALERT_AFTER_FAILURES:
            async with node.store.write() as tx:
                await tx.sources.note_silence(source.name, since, ALERT_AFTER_FAILURES, reason)
