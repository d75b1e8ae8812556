"""The answer to "What may this body join, from whom, at which price?", as it is given."""

from __future__ import annotations

from datetime import date
from typing import Literal

import msgspec

from federation.domain.content.offer import JoiningStep, Offer, Requirement
from federation.domain.content.tariff import BodyKind
from federation.domain.exposure.answers import CopyAge
from federation.domain.offers.eligibility import Location, State, UnmetCondition, availability
from federation.domain.offers.explained import needed_text, reason_text
from federation.domain.offers.quote import PricedBody, Quote, QuoteLine, Unknown, quote
from federation.domain.offers.ranking import LATER_YEAR, OfferCounts
from federation.domain.territories.public_bodies import PublicBody

NUMBERS = ("population", "agents", "users", "gigabytes", "member_communes")
"""Numbers of a body that prices may depend on."""
MissingNumber = Literal["population", "agents", "users", "gigabytes", "member_communes"]


class BodyNumber(msgspec.Struct, frozen=True):
    """A number of a body, and its source."""

    value: int
    source: Literal["register", "given"]


class BodyNumbers(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers that prices were computed with; null: not known."""

    population: BodyNumber | None = None
    agents: BodyNumber | None = None
    users: BodyNumber | None = None
    gigabytes: BodyNumber | None = None
    member_communes: BodyNumber | None = None


class Reason(msgspec.Struct, frozen=True):
    """A condition of an offer that is not met, or not known to be."""

    condition: UnmetCondition
    text: dict[str, str]
    """In English and French."""


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """The price of a year, or the reasons that it is unknown."""

    total_cents: int | None
    """Null: unknown. Zero is a price."""
    currency: str | None
    vat: str | None
    """``excluded``, ``included`` or ``exempt``."""
    lines: tuple[QuoteLine, ...]
    options: tuple[QuoteLine, ...]
    """Parts that a body may take besides; not in the total."""
    unknown: tuple[Unknown, ...]
    unknown_text: tuple[dict[str, str], ...]
    """The same in English and French."""


class ServingDeployment(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment that serves the body already, as far as the caller may see it."""

    id: str
    solution: str
    status: str
    by: Literal["list", "territory"]
    """Its coverage names the body, or a territory that the body is in."""


class OfferAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One offer for one body."""

    id: str
    origin: str
    tlp: str
    audience: str | None
    updated_at: str
    title: dict[str, str]
    summary: dict[str, str] | None
    solution: str
    state: State
    """``open`` only where every condition is known to be met."""
    reasons: tuple[Reason, ...]
    pricing: Literal["free", "on-request", "tariff"]
    first_year: Price
    following_years: Price
    """Of each year after the first one."""
    decided_on: str | None
    source_url: str | None
    valid_until: str | None
    """The last day on which a body may join."""
    trial_months: int | None
    requires: Requirement | None
    steps: tuple[JoiningStep, ...]
    contact: str
    mailto: dict[str, str]
    """Addresses that open a mail to the operator with offer, name and SIREN, in English and French."""
    deliberation_url: str
    """The text that a council votes, filled in for this body."""
    has_own_deliberation: bool
    """False: the operator gives no text, and a general one is filled in."""
    deployments: tuple[str, ...]
    consultation: str | None
    served_by: tuple[ServingDeployment, ...]
    """Deployments of this offer that serve the body already."""
    copy: CopyAge
    """Age and verification of this node's copy of the operator's records."""


class BodyOffers(msgspec.Struct, frozen=True, kw_only=True):
    """The offers of all operators for one body, as far as the caller may see them: those open to it first.

    Within a state the cheapest of a currency and VAT basis comes first, and unknown prices last.
    """

    body: PublicBody
    kind: BodyKind
    numbers: BodyNumbers
    on: str
    """The day for which it was asked."""
    counts: OfferCounts
    missing: tuple[MissingNumber, ...]
    """Numbers that would settle a price or a condition of this page."""
    incomplete: tuple[str, ...]
    """Operators with more offers than this node computes with: some of theirs are not here."""
    offers: tuple[OfferAnswer, ...]
    served_by: tuple[ServingDeployment, ...]
    """Deployments that serve the body already: those that list it, and of the solutions on this page those
    that cover its territory."""
    next: str | None = None
    """Address of the next page."""


def price_of(offer: Offer, body: PricedBody, year: int) -> Price:
    """The price of a year after joining."""
    return _price(quote(offer, body, year))


def _price(found: Quote) -> Price:
    return Price(
        total_cents=found.total_cents,
        currency=found.currency,
        vat=found.vat,
        lines=found.lines,
        options=found.options,
        unknown=found.unknown,
        unknown_text=tuple(needed_text(unknown) for unknown in found.unknown),
    )


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A question about offers: the body, its numbers and the day."""

    body: PublicBody
    priced: PricedBody
    location: Location | None
    on: date

    def reasons(self, offer: Offer) -> tuple[State, tuple[Reason, ...]]:
        """The state of an offer for the body, and the reasons in words."""
        found = availability(offer, self.priced, self.location, self.on)
        return found.state, tuple(Reason(reason, reason_text(reason)) for reason in found.reasons)

    def prices(self, offer: Offer) -> tuple[Price, Price]:
        """The price of the first year, and of each later one."""
        return price_of(offer, self.priced, 1), price_of(offer, self.priced, LATER_YEAR)


def missing_numbers(offers: tuple[OfferAnswer, ...]) -> tuple[MissingNumber, ...]:
    """The numbers that would settle a price or a condition of these offers, those not open apart."""
    missing: set[str] = set()
    for offer in offers:
        if offer.state != "not-open":
            missing |= {*offer.first_year.unknown, *offer.following_years.unknown}
            missing |= {reason.condition.condition for reason in offer.reasons}
    return tuple(name for name in NUMBERS if name in missing)  # type: ignore[misc] # names of the Literal
