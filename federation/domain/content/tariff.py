"""A tariff: the parts that a price is made of, and the bodies that each part is for.

Figures are integers: an amount for one unit in millionths of the currency (``micros``), since 0.166 euros an
inhabitant is no whole number of cents. The price for a body is computed by ``domain/offers/quote.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, get_args

from msgspec import Meta

from federation.domain.part import Dated, Part
from federation.domain.rule_broken import RuleBroken
from federation.domain.values import Cents, Count, Currency, Day, LanguageMap, Url

BodyKind = Literal["commune", "epci", "departement", "region", "ccas", "school", "syndicat", "other"]
"""Kinds of public bodies: a closed list, since prices and rights to join depend on it."""
BODY_KINDS: tuple[BodyKind, ...] = get_args(BodyKind)
BodyKinds = Annotated[tuple[BodyKind, ...], Meta(max_length=8)]
Basis = Literal["body", "inhabitant", "agent", "user", "member-commune", "gigabyte"]
"""The unit that an amount is for."""
When = Literal["yearly", "monthly", "once", "first-year", "after-first"]
"""``yearly`` and ``monthly`` from the first year on; ``once`` at joining; ``first-year`` and ``after-first``
where the amount of the first year differs. Years count from joining."""


class NumberRange(Part, frozen=True, kw_only=True, rename={"from_": "from"}):
    """Numbers from and to; both are inside, and either may be absent."""

    from_: Count | None = None
    to: Count | None = None

    def __post_init__(self) -> None:
        for broken in self._in_order():
            raise broken

    def rules(self) -> tuple[Iterator[RuleBroken], ...]:
        return (self._in_order(),)

    def _in_order(self) -> Iterator[RuleBroken]:
        if self.from_ is None and self.to is None:
            yield RuleBroken("a range needs from, to, or both", number=31)
        elif self.from_ is not None and self.to is not None and self.from_ > self.to:
            yield RuleBroken("to is below from", number=31, member="to")

    def contains(self, number: int) -> bool:
        """True for a number within the range."""
        return (self.from_ is None or number >= self.from_) and (self.to is None or number <= self.to)


class TariffPart(Part, frozen=True, kw_only=True):
    """One amount of a tariff, for the bodies that match all of its conditions."""

    label: LanguageMap
    when: When
    basis: Basis
    micros: Annotated[
        int, Meta(ge=0, le=10**15, description="Amount for one unit, in millionths of the currency.")
    ]
    kinds: BodyKinds = ()
    """Kinds of bodies that it is for; absent: every kind."""
    population: NumberRange | None = None
    agents: NumberRange | None = None
    minimum_cents: Cents | None = None
    """The least amount of a year, whatever the number of units."""
    maximum_cents: Cents | None = None
    optional: bool = False
    """True for an option: it is listed apart, and is not in the total."""

    def __post_init__(self) -> None:
        for broken in self._in_order():
            raise broken

    def rules(self) -> tuple[Iterator[RuleBroken], ...]:
        return (self._in_order(),)

    def _in_order(self) -> Iterator[RuleBroken]:
        if (
            self.minimum_cents is not None
            and self.maximum_cents is not None
            and self.minimum_cents > self.maximum_cents
        ):
            yield RuleBroken("maximum_cents is below minimum_cents", number=31, member="maximum_cents")


class Tariff(Dated, frozen=True, kw_only=True):
    """The prices of an offer, as they were decided."""

    moments: ClassVar = ("decided_on",)

    currency: Currency
    vat: Literal["excluded", "included", "exempt"]
    parts: Annotated[tuple[TariffPart, ...], Meta(min_length=1, max_length=200)]
    decided_on: Day | None = None
    source_url: Url | None = None
