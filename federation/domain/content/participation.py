"""A participation: an operator joins a consultation, for itself and the bodies that it serves.

The law counts the needs that were given before the procedure. So the node, and not the writer, notes when a
quantity was given, and keeps the quantities before it:

1. A quantity that is new or that changes gets the time of the node as ``given_at``; the one that it replaces
   moves to ``earlier``. Nothing else changes ``given_at``.
2. A need that the writer leaves out stays with quantity 0: what was given in time counts.
3. A writer's own values of ``given_at`` and ``earlier`` are replaced.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self

import msgspec
from msgspec import Meta

from federation.domain.content.deployment import Bodies, Coverage, one_body_each, territories_of
from federation.domain.errors import Invalid
from federation.domain.faults import Fault
from federation.domain.organisation import Organisation
from federation.domain.part import Dated, distinct
from federation.domain.record_content import Content
from federation.domain.rule_broken import RuleBroken
from federation.domain.values import Cents, Count, Day, Id, Instant, Key, Territory, as_instant, instant

MAX_NEEDS = 100
MAX_CHANGES = 50
"""Changes of the quantity of one need."""


class EarlierQuantity(Dated, frozen=True, kw_only=True):
    """A quantity that was in force from a moment on, until the next one."""

    moments: ClassVar = ("given_at",)

    quantity: Count
    given_at: Instant


class Need(Dated, frozen=True, kw_only=True):
    """The quantity of one unit that an operator needs, for all the bodies of the participation."""

    moments: ClassVar = ("given_at",)

    unit: Key
    """Key of a unit of the consultation."""
    quantity: Count
    estimated_cents: Cents | None = None
    given_at: Instant | None = None
    """The time since which the quantity is the present one. The node sets it; yours is replaced."""
    earlier: Annotated[tuple[EarlierQuantity, ...], Meta(max_length=MAX_CHANGES)] = ()
    """The quantities before it, oldest first. The node sets them; yours are replaced."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for broken in self._in_order():
            raise broken

    def rules(self) -> tuple[Iterator[RuleBroken], ...]:
        return (*super().rules(), self._in_order())

    def _in_order(self) -> Iterator[RuleBroken]:
        if not self.earlier:
            return
        given = [quantity.given_at for quantity in self.earlier]
        given += [self.given_at] if self.given_at else []
        moments = [instant(moment) for moment in given]
        if moments != sorted(moments):
            rule = "earlier quantities come in the order of their times, before given_at"
            yield RuleBroken(rule, number=41, member="earlier")

    def quantity_at(self, moment: datetime) -> int | None:
        """The quantity that was in force at a moment; None where none had been given by then."""
        if self.given_at is not None and instant(self.given_at) <= moment:
            return self.quantity
        for quantity in reversed(self.earlier):
            if instant(quantity.given_at) <= moment:
                return quantity.quantity
        return None

    def given(self, before: Need | None, now: datetime) -> Need:
        """This need with the members that the node sets. Raises ValueError after ``MAX_CHANGES``."""
        if before is None or before.given_at is None:
            return msgspec.structs.replace(self, given_at=as_instant(now), earlier=())
        if self.quantity == before.quantity:
            return msgspec.structs.replace(self, given_at=before.given_at, earlier=before.earlier)
        if len(before.earlier) == MAX_CHANGES:
            raise ValueError("there is no room for another quantity")
        # A clock that was set back moves no quantity before an older one.
        given_at = as_instant(max(now, instant(before.given_at)))
        replaced = EarlierQuantity(quantity=before.quantity, given_at=before.given_at)
        return msgspec.structs.replace(self, given_at=given_at, earlier=(*before.earlier, replaced))


class Participation(Content, frozen=True, kw_only=True, rename={"coverage": "bodies"}):
    """An operator takes part in a consultation, and says what it needs."""

    type: ClassVar = "participation"
    plural: ClassVar = "participations"
    filters: ClassVar = ("consultation", "state", "territory", "beneficiary")
    filter_types: ClassVar = {"territory": Territory, "beneficiary": str}
    moments: ClassVar = ("decided_on",)

    consultation: Id
    state: Literal["interested", "need-given", "deliberated", "signed", "withdrawn"]
    coverage: Coverage | None = None
    """The bodies that it takes part for; absent: the operator itself."""
    needs: Annotated[tuple[Need, ...], Meta(max_length=MAX_NEEDS)] = ()
    decided_on: Day | None = None

    def default_tlp(self) -> Literal["GREEN"]:
        # Needs tell what a body has and has not; partners add them up.
        return "GREEN"

    def own_rules(self) -> tuple[Iterator[RuleBroken], ...]:
        return (distinct("needs", "unit", self.needs),)

    def writer_rules(self, tlp: str) -> tuple[Iterator[Fault], ...]:
        return (one_body_each(self.coverage, "/bodies"),)

    def completed(self, before: dict[str, Any] | None, now: datetime) -> Self:
        """The needs with their times, and those that were left out with quantity 0."""
        stored = msgspec.convert(before.get("needs", []) if before else [], tuple[Need, ...])
        earlier = {need.unit: need for need in stored}
        units = {need.unit for need in self.needs}
        left_out = [msgspec.structs.replace(need, quantity=0) for need in stored if need.unit not in units]
        needs = (*self.needs, *left_out)
        if len(needs) > MAX_NEEDS:
            raise Invalid(
                "there are at most {maximum} needs, with those that were given before",
                pointer="/content/needs",
                fault="too-many",
                maximum=MAX_NEEDS,
            )
        given = []
        for index, need in enumerate(needs):
            try:
                given.append(need.given(earlier.get(need.unit), now))
            except ValueError:
                raise Invalid(
                    "the quantity of {unit} has changed {maximum} times, and cannot change again",
                    pointer=f"/content/needs/{index}/quantity" if need.unit in units else "/content/needs",
                    fault="rule",
                    rule=42,
                    unit=need.unit,
                    maximum=MAX_CHANGES,
                ) from None
        return msgspec.structs.replace(self, needs=tuple(given))

    def found_by(self) -> Iterator[tuple[str, str]]:
        yield "consultation", self.consultation
        yield "state", self.state
        if self.coverage:
            for territory in territories_of(self.coverage):
                yield "territory", territory

    def bodies(self) -> Iterator[Organisation]:
        if isinstance(self.coverage, Bodies):
            yield from self.coverage.beneficiaries

    def words(self) -> Iterator[tuple[bool, str]]:
        yield False, self.consultation.replace("/", " ")
