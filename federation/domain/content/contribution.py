"""A contribution: what an operator adds to a record of another one, shown beneath it.

A record has one writer. So a point for the agenda, a question, an answer or a task done is a record of the
operator that says it, and names the record that it is about, its subject.

1. Subjects are CLEAR or GREEN: a group means something at its origin alone. A new contribution has the label
   of its subject where the node has it (``node/contribution_labels.py``), and none is ever wider.
2. A contribution is visible to those who may see it and its subject (``store/visibility.py``): a subject that
   becomes narrower takes along what was said about it.
3. The writer has an alert then, ``contribution.hidden``, to narrow or retract it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from federation.domain.faults import Fault
from federation.domain.messages import Message
from federation.domain.part import Part
from federation.domain.projection import texts
from federation.domain.record_content import Content
from federation.domain.rule_broken import RuleBroken
from federation.domain.values import Id, Key, LanguageMap, TypeName

CONTRIBUTION_LABELS = ("CLEAR", "GREEN", "RED")
"""Labels that a contribution can have, RED while it is nobody else's: a group means something at its origin
alone."""
WITHOUT_TEXT = ("attendance", "task-done")
"""Kinds that say enough without a text."""


class Subject(Part, frozen=True, kw_only=True):
    """The record that a contribution is about."""

    type: TypeName
    id: Id


class Contribution(Content, frozen=True, kw_only=True):
    """A point, a question, an answer or a report about a record of any operator."""

    type: ClassVar = "contribution"
    plural: ClassVar = "contributions"
    filters: ClassVar = ("about", "about_type", "kind", "task")
    filter_types: ClassVar = {"about": Id, "about_type": TypeName}
    has_subject: ClassVar = True

    about: Subject
    kind: Literal["agenda-item", "comment", "question", "answer", "attendance", "task-done"]
    task: Key | None = None
    """The task of the meeting that it is about."""
    text: LanguageMap | None = None

    def default_tlp(self) -> Literal["GREEN"]:
        return "GREEN"

    def own_rules(self) -> tuple[Iterator[RuleBroken], ...]:
        return (self._has_its_members(),)

    def _has_its_members(self) -> Iterator[RuleBroken]:
        if self.kind == "task-done" and self.task is None:
            yield RuleBroken("task-done needs the task that is done", number=36, member="task")
        if self.kind not in WITHOUT_TEXT and self.text is None:
            rule = "a contribution of the kind {kind} needs a text"
            yield RuleBroken(rule, number=36, member="text", kind=self.kind)

    def writer_rules(self, tlp: str) -> tuple[Iterator[Fault], ...]:
        return (self._for_all_partners(tlp), self._about_another_type())

    def _for_all_partners(self, tlp: str) -> Iterator[Fault]:
        if tlp not in CONTRIBUTION_LABELS:
            message = Message(
                "a contribution is CLEAR or GREEN, as the record that it is about, or RED: to a group, write"
                " to the contact of the record"
            )
            yield Fault(pointer="", code="rule", message=message, rule=37)

    def _about_another_type(self) -> Iterator[Fault]:
        # Of a contribution about another one, nobody would see from its subject who may see it.
        if self.about.type == self.type:
            message = Message(
                "a contribution is about a record of another type: name the subject of that one"
            )
            yield Fault(pointer="/about/type", code="rule", message=message, rule=44)

    def found_by(self) -> Iterator[tuple[str, str]]:
        yield "about", self.about.id
        yield "about_type", self.about.type
        yield "kind", self.kind
        if self.task:
            yield "task", self.task

    def words(self) -> Iterator[tuple[bool, str]]:
        yield from texts(self.text)
