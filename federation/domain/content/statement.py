"""A statement: an operator's answer to an incident, in the terms of VEX (CSAF 2.0, profile 5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, get_args

from msgspec import Meta

from federation.domain.projection import texts
from federation.domain.record_content import Content
from federation.domain.rule_broken import RuleBroken
from federation.domain.values import Id, Instant, LanguageMap

StatementStatus = Literal["under_investigation", "known_affected", "known_not_affected", "fixed"]
"""Product status of CSAF 2.0, 3.2.3.9."""
STATEMENT_STATUSES: tuple[StatementStatus, ...] = get_args(StatementStatus)

Justification = Literal[
    "component_not_present",
    "inline_mitigations_already_exist",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_not_present",
]
"""Flags of CSAF 2.0, 3.2.3.5: why something is not affected."""


class Statement(Content, frozen=True, kw_only=True):
    """An operator's answer: whether its deployments are affected by an incident, and what it does."""

    type: ClassVar = "statement"
    plural: ClassVar = "statements"
    filters: ClassVar = ("incident", "status", "deployment")
    filter_types: ClassVar = {"deployment": Id}
    moments: ClassVar = ("planned_at",)

    incident: Id
    status: StatementStatus
    deployments: Annotated[tuple[Id, ...], Meta(max_length=1_000)] = ()
    """Those it speaks of; absent: all of the operator's own that the incident concerns."""
    justification: Justification | None = None
    action: LanguageMap | None = None
    """What is done, in words."""
    planned_at: Instant | None = None
    """When it is to be done."""

    def own_rules(self) -> tuple[Iterator[RuleBroken], ...]:
        return (self._justified(),)

    def _justified(self) -> Iterator[RuleBroken]:
        if self.status == "known_not_affected" and self.justification is None:
            rule = "known_not_affected needs a justification"
            yield RuleBroken(rule, number=9, member="justification")
        if self.status != "known_not_affected" and self.justification is not None:
            rule = "a justification says why something is not affected, and the status is {status}"
            yield RuleBroken(rule, number=9, member="justification", status=self.status)

    def default_tlp(self) -> Literal["GREEN"]:
        # Who has not yet repaired what is no news for everybody.
        return "GREEN"

    def found_by(self) -> Iterator[tuple[str, str]]:
        yield "incident", self.incident
        yield "status", self.status
        for deployment in self.deployments:
            yield "deployment", deployment

    def words(self) -> Iterator[tuple[bool, str]]:
        yield from texts(self.action)
        yield False, self.incident.replace("/", " ")
