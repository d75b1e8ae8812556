"""Regulatory clocks: the verbs over what is the operator's own, and is in no feed."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

import msgspec

from federation.domain.deadline import Clock, Deadline, Done, calendar_of, deadlines, next_due
from federation.domain.document import canonical, check_draft, check_text
from federation.domain.errors import Conflict, Invalid, NotFound
from federation.domain.feed import printable
from federation.node import records
from federation.node.node import Node
from federation.store.deadlines import MOST


class ClockView(msgspec.Struct, frozen=True):
    """A clock, and what is due."""

    key: str
    clock: Clock
    deadlines: tuple[Deadline, ...]
    next: Deadline | None

    @classmethod
    def of(cls, key: str, clock: Clock, now: datetime) -> ClockView:
        due = deadlines(clock, now)
        return cls(key, clock, due, next_due(due))


async def all_of(node: Node) -> tuple[ClockView, ...]:
    """Every clock, the one due next first and those with nothing due last."""
    async with node.store.read() as tx:
        found = await tx.clocks.all()
    shown = [ClockView.of(key, clock, node.clock()) for key, clock in found]
    shown.sort(key=lambda one: (one.next is None, one.next.due_at if one.next else ""))
    return tuple(shown)


async def find(node: Node, origin: str, key: str) -> ClockView:
    """One clock. Raises NotFound."""
    records.check_origin(node, origin, key)
    async with node.store.read() as tx:
        clock = await tx.clocks.find(key)
    if clock is None:
        raise _no_clock(key)
    return ClockView.of(key, clock, node.clock())


def check(node: Node, clock: Clock, origin: str, key: str) -> None:
    """Raises Invalid for a clock that cannot be kept: its texts are shown, and written to a calendar."""
    records.check_origin(node, origin, key)
    check_text(canonical(clock))


async def keep(node: Node, clock: Clock, origin: str, key: str, *, new: bool = False) -> ClockView:
    """Start a clock, or replace one; with ``new`` only start it. Raises Conflict, Invalid, NotTheWriter."""
    check(node, clock, origin, key)

    def kept(before: Clock | None) -> Clock:
        if before is not None and new:
            raise Conflict(f"there is a clock {key} already")
        return clock

    return await _changed(node, key, kept)


async def note_done(node: Node, done: Done, origin: str, key: str) -> ClockView:
    """Note that a step was taken, in place of what was noted of it before. Raises NotFound, Invalid."""
    records.check_origin(node, origin, key)

    def noted(before: Clock | None) -> Clock:
        if before is None:
            raise _no_clock(key)
        others = [one for one in before.done if one.step != done.step]
        told = msgspec.to_builtins(before) | {"done": msgspec.to_builtins([*others, done])}
        found: Clock = check_draft(told, Clock)
        check(node, found, origin, key)
        return found

    return await _changed(node, key, noted)


async def _changed(node: Node, key: str, change: Callable[[Clock | None], Clock]) -> ClockView:
    async with node.store.write() as tx:
        before = await tx.clocks.lock(key)
        clock = change(before)
        if before is None and await tx.clocks.count() >= MOST:
            # A clock beyond those that are listed would run out unseen.
            raise Invalid(f"there are {MOST} clocks already; remove those that are over")
        await tx.clocks.keep(key, clock)
    return ClockView.of(key, clock, node.clock())


async def drop(node: Node, origin: str, key: str) -> None:
    """Remove a clock. Raises NotFound."""
    records.check_origin(node, origin, key)
    async with node.store.write() as tx:
        if not await tx.clocks.drop(key):
            raise _no_clock(key)


async def calendar(node: Node) -> bytes:
    """What is due of every clock (RFC 5545)."""
    async with node.store.read() as tx:
        found = await tx.clocks.all()
    host = re.sub(r"^https?://|[:/].*$", "", node.url) or node.operator
    return calendar_of(found, node.clock(), host=host)


def _no_clock(key: str) -> NotFound:
    return NotFound(f"there is no clock {printable(key, 80)}")
