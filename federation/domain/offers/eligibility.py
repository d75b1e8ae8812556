"""Whether a body may join an offer: open, not open, or unknown, with each reason.

Each condition answers for itself: met, not met, or not known. One that is not met closes the offer; else one
that is not known leaves it unknown. In doubt it is never open.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

import msgspec

from federation.domain.content.offer import Offer
from federation.domain.content.tariff import Bounds
from federation.domain.offers.quote import PricedBody
from federation.domain.territories.areas import area_of, departements_of
from federation.domain.values import day

State = Literal["open", "not-open", "unknown"]
Condition = Literal["kind", "territory", "population", "agents", "valid_from", "valid_until", "requires"]


class Place(msgspec.Struct, frozen=True):
    """The places that a body is in; of a body that the register does not have, nothing is known."""

    departement: str
    """INSEE code."""
    groupings: tuple[str, ...] = ()
    """SIREN of the groupings that it belongs to, or is."""


class Reason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A condition that is not met, or not known to be."""

    condition: Condition
    state: Literal["not-open", "unknown"]
    allowed: tuple[str, ...] = ()
    """Kinds, territories or offers that would do."""
    from_: int | None = msgspec.field(default=None, name="from")
    to: int | None = None
    """Bounds of a number."""
    on: str | None = None
    """The day from which, or until which, one may join."""


class Availability(msgspec.Struct, frozen=True, kw_only=True):
    """The answer for one offer and one body."""

    state: State
    reasons: tuple[Reason, ...] = ()


def availability(
    offer: Offer, body: PricedBody, place: Place | None, on: date, joined: frozenset[str] | None = None
) -> Availability:
    """The answer on a day.

    ``joined``: ids of the offers that the body has joined; None: not known, so an offer that requires another
    one is unknown.
    """
    asked = offer.eligibility
    reasons: list[Reason] = []
    if asked.kinds and body.kind not in asked.kinds:
        reasons.append(Reason(condition="kind", state="not-open", allowed=asked.kinds))
    if asked.territory:
        is_inside = None if place is None else any(_is_in(place, code) for code in asked.territory)
        if not is_inside:
            state: Literal["not-open", "unknown"] = "unknown" if is_inside is None else "not-open"
            reasons.append(Reason(condition="territory", state=state, allowed=asked.territory))
    reasons += _number_reasons("population", asked.population, body.population)
    reasons += _number_reasons("agents", asked.agents, body.agents)
    if offer.valid_from is not None and on < day(offer.valid_from):
        reasons.append(Reason(condition="valid_from", state="not-open", on=offer.valid_from))
    if offer.valid_until is not None and on > day(offer.valid_until):
        reasons.append(Reason(condition="valid_until", state="not-open", on=offer.valid_until))
    if offer.requires is not None:
        missing = tuple(needed for needed in offer.requires.offers if joined is None or needed not in joined)
        if missing or offer.requires.text is not None:
            reasons.append(Reason(condition="requires", state="unknown", allowed=missing))
    if any(reason.state == "not-open" for reason in reasons):
        return Availability(state="not-open", reasons=tuple(reasons))
    return Availability(state="unknown" if reasons else "open", reasons=tuple(reasons))


def _number_reasons(
    condition: Literal["population", "agents"], bounds: Bounds | None, number: int | None
) -> list[Reason]:
    if bounds is None or (number is not None and bounds.contain(number)):
        return []
    state: Literal["not-open", "unknown"] = "unknown" if number is None else "not-open"
    return [Reason(condition=condition, state=state, from_=bounds.from_, to=bounds.to)]


def _is_in(place: Place, code: str) -> bool:
    """True if a body is in the territory of a code."""
    area = area_of(code)
    if area is None:
        return False
    if area.kind == "grouping":
        return area.codes[0] in place.groupings
    return place.departement in departements_of(area)
