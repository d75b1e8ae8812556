"""Reporting deadlines: by when an authority must have a report, from when the operator became aware.

NIS2 (Directive (EU) 2022/2555), Article 23(4): an early warning within 24 hours, a notification within 72
hours, a final report one month after that notification. GDPR (Regulation (EU) 2016/679), Article 33(1): a
notification of a breach of personal data within 72 hours. Hours and months are counted without a break;
what days of rest do to them (Regulation (EEC) 1182/71) is for the operator's lawyers.

A reporting deadline is the operator's own business: it is no record, and no feed has it.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from federation.domain.formats.ical import CalendarEvent, calendar
from federation.domain.part import Dated
from federation.domain.rule_broken import RuleBroken
from federation.domain.values import Id, Instant, Line, Text, as_instant, instant

Regime = Literal["nis2", "gdpr"]
Step = Literal["nis2-early-warning", "nis2-notification", "nis2-final-report", "gdpr-notification"]
STEPS: dict[Step, tuple[Regime, str]] = {
    "nis2-early-warning": ("nis2", "NIS2, Article 23(4)(a): early warning within 24 hours"),
    "nis2-notification": ("nis2", "NIS2, Article 23(4)(b): notification within 72 hours"),
    "nis2-final-report": ("nis2", "NIS2, Article 23(4)(d): final report one month after the notification"),
    "gdpr-notification": ("gdpr", "GDPR, Article 33(1): notification within 72 hours"),
}


class CompletedStep(Dated, frozen=True, kw_only=True):
    """A step that is done."""

    moments: ClassVar = ("at",)

    step: Step
    at: Instant
    reference: Line | None = None
    """What the authority calls it."""


class ReportingDeadline(Dated, frozen=True, kw_only=True):
    """An event that the operator became aware of, and the rules under which it has to be reported."""

    moments: ClassVar = ("aware_at",)

    title: Line
    regimes: Annotated[tuple[Regime, ...], Meta(min_length=1, max_length=2)]
    aware_at: Instant
    incident: Id | None = None
    done: Annotated[tuple[CompletedStep, ...], Meta(max_length=4)] = ()
    note: Text | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for rule in (self._steps_of_regimes(), self._done_once()):
            for broken in rule:
                raise broken

    def rules(self) -> tuple[Iterator[RuleBroken], ...]:
        return (*super().rules(), self._steps_of_regimes(), self._done_once())

    def _steps_of_regimes(self) -> Iterator[RuleBroken]:
        for index, done in enumerate(self.done):
            if STEPS[done.step][0] not in self.regimes:
                yield RuleBroken(
                    "{step} is not a step of {regimes}",
                    number=11,
                    member=f"done/{index}/step",
                    step=done.step,
                    regimes=", ".join(self.regimes),
                )

    def _done_once(self) -> Iterator[RuleBroken]:
        if len({done.step for done in self.done}) != len(self.done):
            yield RuleBroken("a step is done once", number=11, member="done")


class DeadlineStep(msgspec.Struct, frozen=True):
    """A step and by when it is due."""

    step: Step
    rule: str
    due_at: Instant
    done_at: Instant | None
    overdue: bool


def steps_of(deadline: ReportingDeadline, now: datetime) -> tuple[DeadlineStep, ...]:
    """The steps of a deadline, the one due first first."""
    return tuple(sorted(_steps(deadline, now), key=lambda step: step.due_at))


def _steps(deadline: ReportingDeadline, now: datetime) -> Iterator[DeadlineStep]:
    aware = instant(deadline.aware_at)
    done = {step.step: step.at for step in deadline.done}
    notified = done.get("nis2-notification")
    due: dict[Step, datetime] = {
        "nis2-early-warning": aware + timedelta(hours=24),
        "nis2-notification": aware + timedelta(hours=72),
        # From when it was sent; while it was not, from when it is to be.
        "nis2-final-report": a_month_after(instant(notified) if notified else aware + timedelta(hours=72)),
        "gdpr-notification": aware + timedelta(hours=72),
    }
    for step, (regime, rule) in STEPS.items():
        if regime in deadline.regimes:
            at = done.get(step)
            yield DeadlineStep(step, rule, as_instant(due[step]), at, at is None and due[step] < now)


def a_month_after(moment: datetime) -> datetime:
    """This day of the next month, or the last day of that month."""
    year, month = moment.year + moment.month // 12, moment.month % 12 + 1
    return moment.replace(year=year, month=month, day=min(moment.day, monthrange(year, month)[1]))


def next_due(steps: tuple[DeadlineStep, ...]) -> DeadlineStep | None:
    """The first step that is not done."""
    return next((step for step in steps if step.done_at is None), None)


# iCalendar (RFC 5545)


def events_of(key: str, deadline: ReportingDeadline, now: datetime, *, host: str) -> Iterator[CalendarEvent]:
    """The steps of a deadline that are not done; each has an alarm two hours before."""
    for step in steps_of(deadline, now):
        if step.done_at is None:
            yield CalendarEvent(
                uid=f"{key}-{step.step}@{host}",
                changed_at=now,
                starts_at=instant(step.due_at),
                summary=f"{step.step}: {deadline.title}",
                description=step.rule,
                alarm_minutes=120,
            )


def calendar_of(deadlines: tuple[tuple[str, ReportingDeadline], ...], now: datetime, *, host: str) -> bytes:
    """A calendar of every step that is not done."""
    events = (event for key, deadline in deadlines for event in events_of(key, deadline, now, host=host))
    return calendar(events, product="deadlines")
