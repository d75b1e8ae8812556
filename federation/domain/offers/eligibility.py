"""The answer to a body that wants to join an offer: open, not open, or unknown, with each reason.

Each condition answers for itself: met, not met, or not known. One that is not met closes the offer; else one
that is not known leaves it unknown. In doubt it is never open.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from typing import Literal

import msgspec

from federation.domain.content.offer import Offer
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
    reasons = tuple(_unmet(offer, body, location, on, joined))
    return Availability(state=_worst(reasons), reasons=reasons)


def state_of(offer: Offer, body: PricedBody, location: Location | None, on: date) -> State:
    """The state of ``availability`` alone; most offers have no condition that is not met."""
    return _worst(tuple(_unmet(offer, body, location, on, None)))


def _worst(reasons: tuple[UnmetCondition, ...]) -> State:
    if not reasons:
        return "open"
    return "not-open" if any(reason.state == "not-open" for reason in reasons) else "unknown"


def _unmet(
    offer: Offer, body: PricedBody, location: Location | None, on: date, joined: frozenset[str] | None
) -> Iterator[UnmetCondition]:
    """The conditions that are not met, or not known to be."""
    asked = offer.eligibility
    if asked is not None:
        if asked.kinds and body.kind not in asked.kinds:
            yield UnmetCondition(condition="kind", state="not-open", allowed=asked.kinds)
        if asked.territory:
            state = territory_state(location, asked.territory)
            if state != "open":
                yield UnmetCondition(condition="territory", state=state, allowed=asked.territory)
        if asked.population is not None:
            yield from _number_reasons("population", asked.population, body.population)
        if asked.agents is not None:
            yield from _number_reasons("agents", asked.agents, body.agents)
    if offer.valid_from is not None and on < day(offer.valid_from):
        yield UnmetCondition(condition="valid_from", state="not-open", on=offer.valid_from)
    if offer.valid_until is not None and on > day(offer.valid_until):
        yield UnmetCondition(condition="valid_until", state="not-open", on=offer.valid_until)
    if offer.requires is not None:
        missing = tuple(needed for needed in offer.requires.offers if joined is None or needed not in joined)
        if missing or offer.requires.text is not None:
            yield UnmetCondition(condition="requires", state="unknown", allowed=missing)


def _number_reasons(
    condition: Literal["population", "agents"], bounds: NumberRange, number: int | None
) -> Iterator[UnmetCondition]:
    if number is None or not bounds.contains(number):
        state: State = "unknown" if number is None else "not-open"
        yield UnmetCondition(condition=condition, state=state, from_=bounds.from_, to=bounds.to)


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
