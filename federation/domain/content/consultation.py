"""A consultation: one procedure of a purchase, from the first idea to the contract.

Names of the contract are those of DECP 2.0.3, the published essential data of French public contracts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, get_args

from msgspec import Meta

from federation.domain.content.solution import THEMES, Theme, unknown_themes
from federation.domain.content.tariff import Tariff
from federation.domain.faults import Fault
from federation.domain.organisation import Identifier
from federation.domain.part import Dated, Part, distinct
from federation.domain.projection import texts
from federation.domain.record_content import Content
from federation.domain.rule_broken import RuleBroken
from federation.domain.values import END, Cents, Day, Id, Instant, Key, LanguageMap, Line, Url

ConsultationStatus = Literal[
    "idea", "gathering", "convention", "launched", "awarded", "running", "ended", "abandoned"
]
CONSULTATION_STATUSES: tuple[ConsultationStatus, ...] = get_args(ConsultationStatus)
AFTER_AWARD = ("awarded", "running", "ended")
"""Statuses with a contract."""
Cpv = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{8}(-[0-9])?" + END,
        description="A code of the Common Procurement Vocabulary (2008).",
        examples=["48000000-8"],
    ),
]


class CountedUnit(Part, frozen=True, kw_only=True):
    """Something whose quantity each body says: workstations, licences, signatures."""

    key: Key
    """Its name within the consultation: needs refer to it."""
    label: LanguageMap


class Supplier(Identifier, frozen=True, kw_only=True):
    """A holder of the contract, by its number in a register."""

    name: Line | None = None


class AwardedContract(Dated, frozen=True, kw_only=True):
    """The contract that came of it."""

    moments: ClassVar = ("notified_on",)

    id: Annotated[str, Meta(min_length=1, max_length=16)]
    """Its number, within the buyer's contracts (DECP `id`)."""
    notified_on: Day | None = None
    months: Annotated[int, Meta(ge=1, le=1_200)] | None = None
    amount_cents: Cents | None = None
    """Without VAT."""
    suppliers: Annotated[tuple[Supplier, ...], Meta(max_length=50)] = ()


class Consultation(Content, frozen=True, kw_only=True):
    """A procedure of a purchase: what is bought, until when needs are given, and what came of it."""

    type: ClassVar = "consultation"
    plural: ClassVar = "consultations"
    title_member: ClassVar = "title"
    filters: ClassVar = ("purchase", "status", "solution", "theme", "cpv")
    filter_types: ClassVar = {
        "solution": Id,
        "theme": Literal.__getitem__(tuple(sorted(THEMES))),
        "cpv": Cpv,
    }
    moments: ClassVar = ("needs_until", "launch_on", "award_on")
    ordered: ClassVar = (("launch_on", "award_on"),)

    purchase: Id
    title: LanguageMap
    status: ConsultationStatus
    needs_until: Instant | None = None
    """The moment until which needs are given: later ones are reported as late."""
    launch_on: Day | None = None
    award_on: Day | None = None
    solutions: Annotated[tuple[Id, ...], Meta(max_length=50)] = ()
    themes: Annotated[tuple[Theme, ...], Meta(max_length=20)] = ()
    cpv: Annotated[tuple[Cpv, ...], Meta(max_length=20)] = ()
    units: Annotated[tuple[CountedUnit, ...], Meta(max_length=100)] = ()
    notice_urls: Annotated[tuple[Url, ...], Meta(max_length=20)] = ()
    contract: AwardedContract | None = None
    tariff: Tariff | None = None
    """The price for a body that joins now."""

    def own_rules(self) -> tuple[Iterator[RuleBroken], ...]:
        return distinct("units", "key", self.units), self._contract_after_award()

    def _contract_after_award(self) -> Iterator[RuleBroken]:
        if self.contract is not None and self.status not in AFTER_AWARD:
            rule = "a contract comes with the award, and the status is {status}"
            yield RuleBroken(rule, number=40, member="contract", status=self.status)

    def writer_rules(self, tlp: str) -> tuple[Iterator[Fault], ...]:
        return (unknown_themes(self.themes),)

    def found_by(self) -> Iterator[tuple[str, str]]:
        yield "purchase", self.purchase
        yield "status", self.status
        for solution in self.solutions:
            yield "solution", solution
        for theme in self.themes:
            yield "theme", theme
        for code in self.cpv:
            yield "cpv", code

    def words(self) -> Iterator[tuple[bool, str]]:
        yield from texts(self.title)
        for unit in self.units:
            yield from texts(unit.label)
        yield False, self.purchase.replace("/", " ")
