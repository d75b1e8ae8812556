"""A tariff: the parts that a price is made of, and the bodies that each part is for.

Figures are integers: an amount for one unit in millionths of the currency (``micros``), since 0.166 euros an
inhabitant is no whole number of cents. What a body pays is computed by ``domain/offers/quote.py``.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from federation.domain.values import (
    Cents,
    Count,
    Currency,
    Dated,
    Day,
    LanguageMap,
    Part,
    RuleBroken,
    Url,
)

BodyKind = Literal["commune", "epci", "departement", "region", "ccas", "school", "syndicat", "other"]
"""Kinds of public bodies: a closed list, since prices and rights to join depend on it."""
Basis = Literal["body", "inhabitant", "agent", "user", "member-commune", "gigabyte"]
"""The unit that an amount is for."""
When = Literal["yearly", "monthly", "once", "first-year", "after-first"]
"""``yearly`` and ``monthly`` from the first year on; ``once`` at joining; ``first-year`` and ``after-first`` are
the amounts of a year where the first one differs. Years count from joining."""

Kinds = Annotated[tuple[BodyKind, ...], Meta(max_length=8)]


class Bounds(Part, frozen=True, kw_only=True, rename={"from_": "from"}):
    """Numbers from and to; both are inside, and either may be absent."""

    from_: Count | None = None
    to: Count | None = None

    def __post_init__(self) -> None:
        if self.from_ is None and self.to is None:
            raise RuleBroken("bounds need from or to")
        if self.from_ is not None and self.to is not None and self.from_ > self.to:
            raise RuleBroken("to is below from")

    def contain(self, number: int) -> bool:
        """True for a number within the bounds."""
        return (self.from_ is None or number >= self.from_) and (self.to is None or number <= self.to)


class TariffPart(Part, frozen=True, kw_only=True):
    """One amount of a tariff, for the bodies that match all of its conditions."""

    label: LanguageMap
    when: When
    basis: Basis
    micros: Annotated[
        int,
        Meta(ge=0, le=10**15, description="Amount for one unit, in millionths of the currency."),
    ]
    kinds: Kinds = ()
    """Kinds of bodies that it is for; every kind without one."""
    population: Bounds | None = None
    agents: Bounds | None = None
    minimum_cents: Cents | None = None
    maximum_cents: Cents | None = None
    optional: bool = False
    """An option: it is listed apart, and is not in the total."""

    def __post_init__(self) -> None:
        if (
            self.minimum_cents is not None
            and self.maximum_cents is not None
            and self.minimum_cents > self.maximum_cents
        ):
            raise RuleBroken("maximum_cents is below minimum_cents")


class Tariff(Dated, frozen=True, kw_only=True):
    """The prices of an offer, as they were decided."""

    moments: ClassVar = ("decided_on",)

    currency: Currency
    vat: Literal["excluded", "included", "exempt"]
    parts: Annotated[tuple[TariffPart, ...], Meta(min_length=1, max_length=200)]
    decided_on: Day | None = None
    source_url: Url | None = None
