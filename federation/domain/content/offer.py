"""An offer: what public bodies may join, on which conditions and at which price.

A record of its own, apart from the deployment that it is about: a price list is public, and who runs which
version is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from federation.domain.content.tariff import Bounds, Kinds, Tariff
from federation.domain.errors import Invalid
from federation.domain.values import (
    Content,
    Day,
    Id,
    LanguageMap,
    Line,
    Mailbox,
    Part,
    RuleBroken,
    Territory,
    Text,
    texts,
)

PLACEHOLDERS = ("name", "siren", "price", "date")
"""Names that the text of a deliberation may have in braces: of the body, and of what it decides."""
_IN_BRACES = re.compile(r"\{([^{}]{0,40})\}")


class Eligibility(Part, frozen=True, kw_only=True):
    """The bodies that may join: those that match every condition that is there."""

    kinds: Kinds = ()
    territory: Annotated[tuple[Territory, ...], Meta(max_length=200)] = ()
    population: Bounds | None = None
    agents: Bounds | None = None


class Requirement(Part, frozen=True, kw_only=True):
    """What a body must have joined before: other offers, or something in words."""

    offers: Annotated[tuple[Id, ...], Meta(max_length=20)] = ()
    text: LanguageMap | None = None

    def __post_init__(self) -> None:
        if not self.offers and self.text is None:
            raise RuleBroken("a requirement needs offers or text")


class Step(Part, frozen=True, kw_only=True):
    """One step of joining, in its place."""

    what: LanguageMap
    who: Line | None = None
    weeks: Annotated[int, Meta(ge=0, le=520)] | None = None


class Offer(Content, frozen=True, kw_only=True):
    """A service that public bodies may join, with its conditions, its price and the way to it."""

    type: ClassVar = "offer"
    plural: ClassVar = "offers"
    title_member: ClassVar = "title"
    filters: ClassVar = ("solution", "pricing", "kind", "territory", "consultation")
    moments: ClassVar = ("valid_from", "valid_until")
    ordered: ClassVar = (("valid_from", "valid_until"),)

    solution: Id
    title: LanguageMap
    contact: Mailbox
    pricing: Literal["free", "on-request", "tariff"]
    summary: LanguageMap | None = None
    eligibility: Eligibility = Eligibility()
    requires: Requirement | None = None
    steps: Annotated[tuple[Step, ...], Meta(max_length=30)] = ()
    deliberation_template: Text | None = None
    """The text that a council votes, with ``{name}``, ``{siren}``, ``{price}`` and ``{date}`` in it."""
    tariff: Tariff | None = None
    deployments: Annotated[tuple[Id, ...], Meta(max_length=50)] = ()
    consultation: Id | None = None
    valid_from: Day | None = None
    valid_until: Day | None = None
    trial_months: Annotated[int, Meta(ge=0, le=120)] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pricing == "tariff" and self.tariff is None:
            raise RuleBroken("pricing is tariff, so tariff is needed")
        if self.pricing != "tariff" and self.tariff is not None:
            raise RuleBroken("a tariff needs pricing tariff")

    def check_as_writer(self, tlp: str) -> None:
        for name in _IN_BRACES.findall(self.deliberation_template or ""):
            if name not in PLACEHOLDERS:
                raise Invalid(
                    f"{{{name}}} is not replaced in the text of a deliberation;"
                    f" {', '.join(f'{{{known}}}' for known in PLACEHOLDERS)} are",
                    pointer="/deliberation_template",
                )

    def found_by(self) -> Iterator[tuple[str, str]]:
        yield "solution", self.solution
        yield "pricing", self.pricing
        for kind in self.eligibility.kinds:
            yield "kind", kind
        for territory in self.eligibility.territory:
            yield "territory", territory
        if self.consultation:
            yield "consultation", self.consultation

    def words(self) -> Iterator[tuple[bool, str]]:
        yield from texts(self.title, self.summary)
        yield False, self.solution.replace("/", " ")
