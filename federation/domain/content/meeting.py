"""A meeting: when, where, about what; afterwards what was decided, and who does what.

Other operators propose points, answer, and report their tasks done by contributions of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Meta

from federation.domain.faults import Fault
from federation.domain.messages import Message
from federation.domain.part import Dated, Part, distinct, short_markdown
from federation.domain.projection import texts
from federation.domain.record_content import Content
from federation.domain.rule_broken import RuleBroken
from federation.domain.values import END, Day, Instant, Key, LanguageMap, Line, MarkdownMap, Operator, Url

TimeZone = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z][A-Za-z0-9_+-]{0,31}(/[A-Za-z0-9][A-Za-z0-9_+-]{0,31}){0,2}" + END,
        description="A time zone of the IANA database.",
        examples=["Europe/Paris"],
    ),
]


class AgendaPoint(Part, frozen=True, kw_only=True):
    """One point of the agenda, in its place."""

    title: LanguageMap
    minutes: Annotated[int, Meta(ge=1, le=1_440)] | None = None
    """The time that it is given."""
    by: Operator | None = None
    """The operator that presents it."""


class MeetingDecision(Dated, frozen=True, kw_only=True):
    """A decision, as it was taken."""

    moments: ClassVar = ("on",)

    text: LanguageMap
    on: Day | None = None


class MeetingTask(Dated, frozen=True, kw_only=True):
    """Something that an operator does until a day."""

    moments: ClassVar = ("due", "done_on")

    key: Key
    """Its name within the meeting: contributions refer to it."""
    text: LanguageMap
    owner: Operator | None = None
    due: Day | None = None
    done_on: Day | None = None


class Meeting(Content, frozen=True, kw_only=True):
    """A meeting of operators, with its agenda, decisions, tasks and minutes."""

    type: ClassVar = "meeting"
    plural: ClassVar = "meetings"
    title_member: ClassVar = "title"
    filters: ClassVar = ("status", "series", "attending", "owner")
    filter_types: ClassVar = {"attending": Operator, "owner": Operator}
    moments: ClassVar = ("starts_at", "ends_at")
    ordered: ClassVar = (("starts_at", "ends_at"),)

    title: LanguageMap
    starts_at: Instant
    ends_at: Instant | None = None
    time_zone: TimeZone | None = None
    """The zone in which the times are shown to people."""
    place: Line | None = None
    url: Url | None = None
    """The address of the video conference."""
    status: Literal["planned", "held", "cancelled"] = "planned"
    agenda: Annotated[tuple[AgendaPoint, ...], Meta(max_length=100)] = ()
    decisions: Annotated[tuple[MeetingDecision, ...], Meta(max_length=200)] = ()
    tasks: Annotated[tuple[MeetingTask, ...], Meta(max_length=200)] = ()
    minutes: MarkdownMap | None = None
    attending: Annotated[tuple[Operator, ...], Meta(max_length=500)] = ()
    series: Key | None = None
    """The name of a recurring meeting: the same for each of its dates."""

    def default_tlp(self) -> Literal["GREEN"]:
        # Partners meet among themselves.
        return "GREEN"

    def own_rules(self) -> tuple[Iterator[RuleBroken], ...]:
        return distinct("tasks", "key", self.tasks), short_markdown("minutes", self.minutes)

    def writer_rules(self, tlp: str) -> tuple[Iterator[Fault], ...]:
        return (self._known_zone(),)

    def _known_zone(self) -> Iterator[Fault]:
        if self.time_zone is not None and not is_time_zone(self.time_zone):
            message = Message("{zone} is not a time zone of the IANA database", {"zone": self.time_zone})
            yield Fault(pointer="/time_zone", code="not-allowed", message=message, rule=35)

    def found_by(self) -> Iterator[tuple[str, str]]:
        yield "status", self.status
        if self.series:
            yield "series", self.series
        for operator in self.attending:
            yield "attending", operator
        for task in self.tasks:
            if task.owner:
                yield "owner", task.owner

    def words(self) -> Iterator[tuple[bool, str]]:
        yield from texts(self.title)
        for point in self.agenda:
            yield from texts(point.title)
        for decision in self.decisions:
            yield from texts(decision.text)
        for task in self.tasks:
            yield from texts(task.text)
        yield from texts(self.minutes)


def is_time_zone(name: str) -> bool:
    """True for a name of the database of zones that this machine has."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        return False
    return True
