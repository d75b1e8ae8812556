"""The answer to a body that wants to join an offer: open, not open, or unknown, with each reason.

Each condition answers for itself: met, not met, or not known. One that is not met closes the offer; else one
that is not known leaves it unknown. In doubt it is never open.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Literal

import msgspec

from federation.domain.content.offer import Eligibility, Offer
from federation.domain.content.tariff import NumberRange
from federation.domain.offers.quote import PricedBody
from federation.domain.territories.areas import area_of, departements_of
from federation.domain.values import day

State = Literal["open", "not-open", "unknown"]
Condition = Literal["kind", "territory", "population", "agents", "valid_from", "valid_until", "requires"]


class Location(msgspec.Struct, frozen=True):
    """The places that a body is in; of a body that the register does not have, nothing is known."""

    departements: tuple[str, ...]
    """INSEE codes of every département that it has a part of."""
    groupings: tuple[str, ...] = ()
    """SIREN of the groupings that it belongs to, or is."""


class UnmetCondition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A condition that is not met, or not known to be."""

    condition: Condition
    state: State
    """``not-open`` or ``unknown``."""
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
    reasons: tuple[UnmetCondition, ...] = ()


def availability(
    offer: Offer, body: PricedBody, location: Location | None, on: date, joined: frozenset[str] | None = None
) -> Availability:
    """The answer on a day.

    ``joined``: ids of the offers that the body has joined; None: not known, so an offer that requires another
    one is unknown.
    """
    asked = offer.eligibility or Eligibility()
    reasons: list[UnmetCondition] = []
    if asked.kinds and body.kind not in asked.kinds:
        reasons.append(UnmetCondition(condition="kind", state="not-open", allowed=asked.kinds))
    if asked.territory:
        state = territory_state(location, asked.territory)
        if state != "open":
            reasons.append(UnmetCondition(condition="territory", state=state, allowed=asked.territory))
    reasons += _number_reasons("population", asked.population, body.population)
    reasons += _number_reasons("agents", asked.agents, body.agents)
    if offer.valid_from is not None and on < day(offer.valid_from):
        reasons.append(UnmetCondition(condition="valid_from", state="not-open", on=offer.valid_from))
    if offer.valid_until is not None and on > day(offer.valid_until):
        reasons.append(UnmetCondition(condition="valid_until", state="not-open", on=offer.valid_until))
    if offer.requires is not None:
        missing = tuple(needed for needed in offer.requires.offers if joined is None or needed not in joined)
        if missing or offer.requires.text is not None:
            reasons.append(UnmetCondition(condition="requires", state="unknown", allowed=missing))
    if any(reason.state == "not-open" for reason in reasons):
        return Availability(state="not-open", reasons=tuple(reasons))
    return Availability(state="unknown" if reasons else "open", reasons=tuple(reasons))


def _number_reasons(
    condition: Literal["population", "agents"], bounds: NumberRange | None, number: int | None
) -> list[UnmetCondition]:
    if bounds is None or (number is not None and bounds.contains(number)):
        return []
    state: State = "unknown" if number is None else "not-open"
    return [UnmetCondition(condition=condition, state=state, from_=bounds.from_, to=bounds.to)]


@lru_cache(maxsize=4_096)
def territory_state(location: Location | None, codes: tuple[str, ...]) -> State:
    """The answer for the territories of an offer: of a body that lies in them in part, nobody knows."""
    if location is None:
        return "unknown"
    covered: set[str] = set()
    state: State = "not-open"
    for code in codes:
        area = area_of(code)
        if area is None:
            # One of another country, or one of France that this register does not have.
            state = "unknown" if code[0].isdigit() or code.startswith("FR") else state
        elif area.kind == "grouping":
            if area.codes[0] in location.groupings:
                return "open"
        else:
            covered |= departements_of(area)
    if covered.issuperset(location.departements):
        return "open"
    return "unknown" if covered.intersection(location.departements) else state
