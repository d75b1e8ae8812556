"""The price of an offer for one body: pure, exact, and never a guess.

1. A part of the tariff is for a body that matches all of its conditions (kind, population, agents). A
   condition on a number that is not known makes the price unknown, unless another one excludes the part.
2. A part that is due in the year asked for is ``micros`` times the number of its units, rounded half up to
   cents, then kept within ``minimum_cents`` and ``maximum_cents``. A monthly part is due twelve times: the
   bounds are those of the year. A number of units that is not known makes the price unknown, too.
3. Optional parts are listed apart. The total is the sum of the others.
4. Where no part is for the body, the price is unknown: a tariff that does not name it says nothing.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from federation.domain.content.offer import Offer
from federation.domain.content.tariff import Basis, BodyKind, Tariff, TariffPart

MONTHS = 12
MICROS_PER_CENT = 10_000
Unknown = Literal["population", "agents", "users", "gigabytes", "member_communes", "price", "part"]
"""The reason of an unknown price: a number that is needed, a price on request, or no part for the body."""

_NUMBERS: dict[Basis, Unknown] = {
    "inhabitant": "population",
    "agent": "agents",
    "user": "users",
    "member-commune": "member_communes",
    "gigabyte": "gigabytes",
}


class PricedBody(msgspec.Struct, frozen=True, kw_only=True):
    """A body as far as prices depend on it. None: the number is not known."""

    kind: BodyKind
    population: int | None = None
    agents: int | None = None
    users: int | None = None
    gigabytes: int | None = None
    member_communes: int | None = None

    def number(self, name: str) -> int | None:
        """A number by its name."""
        found: int | None = getattr(self, name)
        return found


class QuoteLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One part of a tariff, as it is due in the year."""

    label: dict[str, str]
    basis: Basis
    when: str
    quantity: int | None = None
    """Units that the amount is for; None: not known."""
    cents: int | None = None
    """None: the number of units is not known."""


class Quote(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The price of one year, or the reasons that it is unknown."""

    year: int
    """Counted from joining, from 1."""
    total_cents: int | None = None
    """None: unknown. Zero is a price."""
    currency: str | None = None
    vat: str | None = None
    lines: tuple[QuoteLine, ...] = ()
    options: tuple[QuoteLine, ...] = ()
    """Parts that a body may take besides; not in the total."""
    unknown: tuple[Unknown, ...] = ()
    """The numbers that are missing, or another reason; empty where the total is known."""


def quote(offer: Offer, body: PricedBody, year: int = 1) -> Quote:
    """The price of an offer for a body, in a year after joining (1 or later)."""
    if offer.tariff is not None:
        return quote_tariff(offer.tariff, body, year)
    if offer.pricing == "free":
        return Quote(year=year, total_cents=0)
    return Quote(year=year, unknown=("price",))


def total_of(offer: Offer, body: PricedBody, year: int = 1) -> int | None:
    """The total of ``quote`` alone, in cents; None: unknown. Computed as there, without lines."""
    if offer.tariff is not None:
        due, missing = _due_parts(offer.tariff, body, year)
        return None if missing else sum(part.cents or 0 for part in due if not part.part.optional)
    return 0 if offer.pricing == "free" else None


def quote_tariff(tariff: Tariff, body: PricedBody, year: int = 1) -> Quote:
    """The price of a tariff for a body, in a year after joining (1 or later)."""
    due, missing = _due_parts(tariff, body, year)
    lines = tuple(_line(part) for part in due if not part.part.optional)
    return Quote(
        year=year,
        total_cents=None if missing else sum(line.cents or 0 for line in lines),
        currency=tariff.currency,
        vat=tariff.vat,
        lines=lines,
        options=tuple(_line(part) for part in due if part.part.optional),
        unknown=tuple(missing),
    )


class _DuePart(NamedTuple):
    """A part that a body pays in a year."""

    part: TariffPart
    quantity: int | None
    """Units that the amount is for; None: not known."""
    cents: int | None


def _due_parts(tariff: Tariff, body: PricedBody, year: int) -> tuple[list[_DuePart], dict[Unknown, None]]:
    """The parts that are due, and what is missing for a total."""
    due: list[_DuePart] = []
    missing: dict[Unknown, None] = {}
    is_for_body = False
    for part in tariff.parts:
        conditions = _unknown_conditions(part, body)
        if conditions is None:
            continue
        if conditions:
            missing |= {} if part.optional else dict.fromkeys(conditions)
            continue
        is_for_body |= not part.optional
        if not _is_due(part, year):
            continue
        amount = _amount(part, body)
        due.append(amount)
        if amount.cents is None and not part.optional:
            missing[_NUMBERS[part.basis]] = None
    if not missing and not is_for_body:
        missing["part"] = None
    return due, missing


def _unknown_conditions(part: TariffPart, body: PricedBody) -> tuple[Unknown, ...] | None:
    """The numbers that decide whether a part is for a body; None where it is not for it."""
    if part.kinds and body.kind not in part.kinds:
        return None
    unknown: tuple[Unknown, ...] = ()
    if part.population is not None:
        if body.population is None:
            unknown = ("population",)
        elif not part.population.contains(body.population):
            return None
    if part.agents is not None:
        if body.agents is None:
            unknown = (*unknown, "agents")
        elif not part.agents.contains(body.agents):
            return None
    return unknown


def _is_due(part: TariffPart, year: int) -> bool:
    match part.when:
        case "once" | "first-year":
            return year == 1
        case "after-first":
            return year > 1
    return True


def _amount(part: TariffPart, body: PricedBody) -> _DuePart:
    """A part with its amount, where the number of its units is known."""
    quantity = 1 if part.basis == "body" else body.number(_NUMBERS[part.basis])
    if quantity is None:
        return _DuePart(part, None, None)
    micros = part.micros * quantity * (MONTHS if part.when == "monthly" else 1)
    cents = (micros + MICROS_PER_CENT // 2) // MICROS_PER_CENT
    cents = max(cents, part.minimum_cents or 0)
    return _DuePart(part, quantity, cents if part.maximum_cents is None else min(cents, part.maximum_cents))


def _line(due: _DuePart) -> QuoteLine:
    part = due.part
    return QuoteLine(
        label=part.label, basis=part.basis, when=part.when, quantity=due.quantity, cents=due.cents
    )
