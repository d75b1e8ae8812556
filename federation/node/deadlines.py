"""List, set and remove the operator's reporting deadlines, which are in no feed.

A deadline of an incident is for those who may see the incident; one of none is for every own caller.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

import msgspec

from federation.domain.canonical import canonical, check_text
from federation.domain.content.incident import Incident
from federation.domain.deadline import (
    CompletedStep,
    DeadlineStep,
    ReportingDeadline,
    calendar_of,
    events_of,
    next_due,
    steps_of,
)
from federation.domain.draft import check_draft
from federation.domain.errors import Conflict, Forbidden, Invalid, NotFound
from federation.domain.feed import printable
from federation.domain.formats.ical import CalendarEvent
from federation.domain.visibility import Caller
from federation.node import records
from federation.node.node import Node
from federation.store.database import Reading, Writing
from federation.store.deadlines import MAX_DEADLINES


class DeadlineView(msgspec.Struct, frozen=True):
    """A reporting deadline and its steps."""

    key: str
    deadline: ReportingDeadline
    steps: tuple[DeadlineStep, ...]
    next: DeadlineStep | None

    @classmethod
    def of(cls, key: str, deadline: ReportingDeadline, now: datetime) -> DeadlineView:
        steps = steps_of(deadline, now)
        return cls(key, deadline, steps, next_due(steps))


async def list_deadlines(node: Node, *, by: Caller) -> tuple[DeadlineView, ...]:
    """Every deadline that the caller may see, the one due next first and those with nothing due last."""
    async with node.store.read() as tx:
        return await read_deadlines(node, tx, by=by)


async def read_deadlines(node: Node, tx: Reading, *, by: Caller) -> tuple[DeadlineView, ...]:
    """Read it together with others of one answer."""
    stored = await _visible(tx, by)
    views = [DeadlineView.of(key, deadline, node.clock()) for key, deadline in stored]
    views.sort(key=lambda view: (view.next is None, view.next.due_at if view.next else ""))
    return tuple(views)


async def find(node: Node, origin: str, key: str, *, by: Caller) -> DeadlineView:
    """Find a deadline by its key. Hidden and absent are one answer: NotFound."""
    records.check_origin(node, origin, key)
    async with node.store.read() as tx:
        deadline = await tx.deadlines.find(key)
        if deadline is None or not await _may_see(tx, deadline, by):
            raise _no_deadline(key)
    return DeadlineView.of(key, deadline, node.clock())


def check(node: Node, deadline: ReportingDeadline, origin: str, key: str) -> None:
    """Raises Invalid for a deadline that cannot be stored: its texts are shown, and written to a calendar."""
    records.check_origin(node, origin, key)
    check_text(canonical(deadline))


async def set_deadline(
    node: Node, deadline: ReportingDeadline, origin: str, key: str, *, by: Caller, new: bool = False
) -> DeadlineView:
    """Add a deadline, or replace one; with ``new`` only add it.

    Raises Conflict, Invalid, NotTheWriter, and Forbidden for the key of a deadline that is hidden.
    """
    check(node, deadline, origin, key)

    def replace(before: ReportingDeadline | None) -> ReportingDeadline:
        if before is not None and new:
            raise Conflict("there is a deadline {key} already", key=key)
        return deadline

    return await _change(node, key, replace, by)


async def complete_step(
    node: Node, done: CompletedStep, origin: str, key: str, *, by: Caller
) -> DeadlineView:
    """Store that a step is done, in place of an earlier note of it. Raises NotFound, Invalid."""
    records.check_origin(node, origin, key)

    def complete(before: ReportingDeadline | None) -> ReportingDeadline:
        if before is None:
            raise _no_deadline(key)
        steps = [*(step for step in before.done if step.step != done.step), done]
        draft = msgspec.to_builtins(before) | {"done": msgspec.to_builtins(steps)}
        completed: ReportingDeadline = check_draft(draft, ReportingDeadline)
        check(node, completed, origin, key)
        return completed

    return await _change(node, key, complete, by)


async def _change(
    node: Node, key: str, change: Callable[[ReportingDeadline | None], ReportingDeadline], by: Caller
) -> DeadlineView:
    async with node.store.write() as tx:
        before = await tx.deadlines.lock(key)
        if before is not None and not await _may_see(tx, before, by):
            change(None)  # refuses by itself what needs a deadline that is there
            raise Forbidden("the key {key} cannot be used by you; choose another one", key=key)
        deadline = change(before)
        if not await _may_see(tx, deadline, by):
            raise Invalid(
                "there is no incident {incident} that you may see",
                pointer="/incident",
                fault="rule",
                incident=deadline.incident,
            )
        if before is None and await tx.deadlines.count() >= MAX_DEADLINES:
            # A deadline beyond those that are listed would run out unseen.
            raise Invalid(
                "there are {maximum} deadlines already; remove those that are over", maximum=MAX_DEADLINES
            )
        await tx.deadlines.upsert(key, deadline)
    return DeadlineView.of(key, deadline, node.clock())


async def remove_deadline(node: Node, origin: str, key: str, *, by: Caller) -> None:
    """Remove a deadline. Hidden and absent are one answer: NotFound."""
    records.check_origin(node, origin, key)
    async with node.store.write() as tx:
        deadline = await tx.deadlines.lock(key)
        if deadline is None or not await _may_see(tx, deadline, by):
            raise _no_deadline(key)
        await tx.deadlines.delete(key)


async def calendar(node: Node, *, by: Caller) -> bytes:
    """A calendar of the steps that are due, of every deadline that the caller may see (RFC 5545)."""
    async with node.store.read() as tx:
        stored = await _visible(tx, by)
    return calendar_of(stored, node.clock(), host=_host(node))


async def events(node: Node, *, by: Caller) -> tuple[CalendarEvent, ...]:
    """The steps that are due as events of a larger calendar."""
    now = node.clock()
    async with node.store.read() as tx:
        stored = await _visible(tx, by)
    return tuple(
        event for key, deadline in stored for event in events_of(key, deadline, now, host=_host(node))
    )


def _host(node: Node) -> str:
    return re.sub(r"^https?://|[:/].*$", "", node.url) or node.operator


async def _visible(tx: Reading, by: Caller) -> tuple[tuple[str, ReportingDeadline], ...]:
    stored = await tx.deadlines.all()
    if by.sees_all:
        return stored
    named = [deadline.incident for _, deadline in stored if deadline.incident is not None]
    seen = await tx.records.visible_ids(Incident.type, named, visible_to=by)
    return tuple(item for item in stored if item[1].incident is None or item[1].incident in seen)


async def _may_see(tx: Reading | Writing, deadline: ReportingDeadline, by: Caller) -> bool:
    if by.sees_all or deadline.incident is None:
        return True
    return bool(await tx.records.visible_ids(Incident.type, [deadline.incident], visible_to=by))


def _no_deadline(key: str) -> NotFound:
    return NotFound("there is no deadline {key}", key=printable(key, 80))
