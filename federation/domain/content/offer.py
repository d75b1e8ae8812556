"""An offer: what public bodies may join, on which conditions and at which price.

A record of its own, apart from the deployment that it is about: a price list is public, and who runs which
version is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from federation.domain.content.tariff import BODY_KINDS, BodyKind, BodyKinds, NumberRange, Tariff
from federation.domain.faults import Fault
from federation.domain.messages import Message
from federation.domain.part import Part
from federation.domain.projection import texts
from federation.domain.record_content import Content
from federation.domain.rule_broken import RuleBroken
from federation.domain.values import EVERYWHERE, Day, Id, LanguageMap, Line, Mailbox, Territory, Text

PLACEHOLDERS = ("name", "siren", "price", "date")
"""Names that the text of a deliberation may have in braces: of the body, and of its decision."""
_IN_BRACES = re.compile(r"\{([^{}]{0,40})\}")


class Eligibility(Part, frozen=True, kw_only=True):
    """The bodies that may join: those that match every condition that is there."""

    kinds: BodyKinds = ()
    territory: Annotated[tuple[Territory, ...], Meta(max_length=200)] = ()
    population: NumberRange | None = None
    agents: NumberRange | None = None


class Requirement(Part, frozen=True, kw_only=True):
    """What a body must have joined before: other offers, or something in words."""

    offers: Annotated[tuple[Id, ...], Meta(max_length=20)] = ()
    text: LanguageMap | None = None

    def __post_init__(self) -> None:
        for broken in self._requires_something():
            raise broken

    def rules(self) -> tuple[Iterator[RuleBroken], ...]:
        return (self._requires_something(),)

    def _requires_something(self) -> Iterator[RuleBroken]:
        if not self.offers and self.text is None:
            yield RuleBroken("a requirement needs offers, a text, or both", number=32)


class JoiningStep(Part, frozen=True, kw_only=True):
    """One step of joining, in its place."""

    what: LanguageMap
    who: Line | None = None
    weeks: Annotated[int, Meta(ge=0, le=520)] | None = None
    """The weeks that it usually takes."""


JoiningSteps = Annotated[tuple[JoiningStep, ...], Meta(max_length=30)]


class Offer(Content, frozen=True, kw_only=True):
    """A service that public bodies may join, with its conditions, its price and the way to it."""

    type: ClassVar = "offer"
    plural: ClassVar = "offers"
    title_member: ClassVar = "title"
    filters: ClassVar = ("solution", "pricing", "kind", "territory", "deployment", "consultation")
    filter_types: ClassVar = {"kind": BodyKind, "territory": Territory, "deployment": Id}
    moments: ClassVar = ("valid_from", "valid_until")
    ordered: ClassVar = (("valid_from", "valid_until"),)

    solution: Id
    title: LanguageMap
    contact: Mailbox
    pricing: Literal["free", "on-request", "tariff"]
    summary: LanguageMap | None = None
    eligibility: Eligibility | None = None
    """Absent: every body may join."""
    requires: Requirement | None = None
    steps: JoiningSteps = ()
    deliberation_template: Text | None = None
    """The text that a council votes, with `{name}`, `{siren}`, `{price}` and `{date}` in it."""
    tariff: Tariff | None = None
    deployments: Annotated[tuple[Id, ...], Meta(max_length=50)] = ()
    consultation: Id | None = None
    valid_from: Day | None = None
    valid_until: Day | None = None
    """The last day on which a body may join."""
    trial_months: Annotated[int, Meta(ge=0, le=120)] | None = None

    def own_rules(self) -> tuple[Iterator[RuleBroken], ...]:
        return (self._priced(),)

    def _priced(self) -> Iterator[RuleBroken]:
        if self.pricing == "tariff" and self.tariff is None:
            yield RuleBroken("pricing is tariff, so tariff is needed", number=33, member="tariff")
        if self.pricing != "tariff" and self.tariff is not None:
            rule = "a tariff needs the pricing tariff, and it is {pricing}"
            yield RuleBroken(rule, number=33, member="pricing", pricing=self.pricing)

    def writer_rules(self, tlp: str) -> tuple[Iterator[Fault], ...]:
        return (self._known_placeholders(),)

    def _known_placeholders(self) -> Iterator[Fault]:
        for name in dict.fromkeys(_IN_BRACES.findall(self.deliberation_template or "")):
            if name not in PLACEHOLDERS:
                message = Message(
                    "{name} in braces is not replaced in the text of a deliberation; {names} are",
                    {"name": name, "names": ", ".join(PLACEHOLDERS)},
                )
                yield Fault(pointer="/deliberation_template", code="rule", message=message, rule=34)

    def found_by(self) -> Iterator[tuple[str, str]]:
        eligibility = self.eligibility or Eligibility()
        yield "solution", self.solution
        yield "pricing", self.pricing
        for kind in eligibility.kinds or BODY_KINDS:
            yield "kind", kind
        for territory in eligibility.territory or (EVERYWHERE,):
            yield "territory", territory
        for deployment in self.deployments:
            yield "deployment", deployment
        if self.consultation:
            yield "consultation", self.consultation

    def words(self) -> Iterator[tuple[bool, str]]:
        yield from texts(self.title, self.summary)
        yield False, self.solution.replace("/", " ")
