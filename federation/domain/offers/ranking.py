"""The rank of each offer for a body: open ones first, then the cheapest.

A rank is a tuple: state, then unknown prices last, currency and VAT basis, the price of the first year, that
of later ones, and the id. Pages begin after a rank. State and prices are those of ``eligibility.py`` and
``quote.py``, with which the answer itself is made: there is no second reckoning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import NamedTuple

import msgspec

from federation.domain.content.offer import Offer
from federation.domain.offers.eligibility import Location, State, state_of
from federation.domain.offers.quote import PricedBody, total_of
from federation.domain.visibility import Caller, may_see

LATER_YEAR = 2
"""A year that stands for all after the first one."""
STATE_RANKS: dict[State, int] = {"open": 0, "unknown": 1, "not-open": 2}
ELSEWHERE = 3
"""Rank of offers for other territories: not open, and nobody there looks for them."""


class Rank(NamedTuple):
    """The place of an offer in an answer."""

    state: int
    without_price: bool
    basis: str
    """Currency and VAT basis: prices are compared within one only."""
    first_cents: int
    later_cents: int
    id: str


class StoredOffer(NamedTuple):
    """An offer in memory."""

    id: str
    origin: str
    audience: str
    offer: Offer | None
    """Without texts; None where this version does not understand it."""
    weight: int
    changes_later: bool


class OfferCounts(msgspec.Struct, frozen=True, kw_only=True):
    """The offers that the caller may see, by their answer for the body."""

    open: int = 0
    unknown: int = 0
    not_open: int = 0
    """For the territory of the body, and not open to it."""
    elsewhere: int = 0
    """For other territories."""
    not_understood: int = 0
    """Offers that this version does not understand: they may be open."""


class OfferQuestion:
    """One question to the catalogue, answered in steps so that other tasks have turns."""

    def __init__(
        self,
        groups: Iterable[dict[str, StoredOffer]],
        everything: Callable[[], Iterable[StoredOffer]],
        visible: int,
        body: PricedBody,
        location: Location | None,
        on: date,
        by: Caller,
    ) -> None:
        self._groups = groups
        self._everything = everything
        self._body = body
        self._location = location
        self._on = on
        self._by = by
        self._may_see: dict[tuple[str, str], bool] = {}
        self._visible = visible
        self._counts = dict.fromkeys(OfferCounts.__struct_fields__, 0)
        self._asked: set[str] = set()
        self.ranks: list[Rank] = []
        """Ranks of the offers for the territory of the body, in no order. Complete after the last step."""

    @property
    def counts(self) -> OfferCounts:
        elsewhere = max(0, self._visible - len(self._asked))
        return OfferCounts(**{**self._counts, "elsewhere": elsewhere})

    def steps(self, weight: int) -> Iterator[None]:
        """Rank offers of so much weight for each step."""
        budget = weight
        for group in self._groups:
            for stored in list(group.values()):
                self._rank(stored)
                budget -= stored.weight
                if budget <= 0:
                    budget = weight
                    yield

    def elsewhere(self) -> Iterator[str]:
        """Ids of the offers for other territories, in no order; to be called after the last step."""
        for stored in self._everything():
            if stored.id not in self._asked and self._is_visible(stored):
                yield stored.id

    def _is_visible(self, stored: StoredOffer) -> bool:
        key = stored.origin, stored.audience
        visible = self._may_see.get(key)
        if visible is None:
            visible = self._may_see[key] = may_see(*key, self._by)
        return visible

    def _rank(self, stored: StoredOffer) -> None:
        if not self._is_visible(stored):
            return
        self._asked.add(stored.id)
        if stored.offer is None:
            self._counts["not_understood"] += 1
            return
        state = state_of(stored.offer, self._body, self._location, self._on)
        self._counts[state.replace("-", "_")] += 1
        self.ranks.append(rank_of(stored, stored.offer, state, self._body))


def rank_of(stored: StoredOffer, offer: Offer, state: State, body: PricedBody) -> Rank:
    """The rank of an offer for a body. Those that are not open have no price here: they are not compared."""
    if state == "not-open":
        return Rank(STATE_RANKS[state], True, "", 0, 0, stored.id)
    first = total_of(offer, body, 1)
    later = total_of(offer, body, LATER_YEAR) if stored.changes_later else first
    return Rank(
        STATE_RANKS[state],
        first is None or later is None,
        _basis(offer),
        first or 0,
        later or 0,
        stored.id,
    )


def elsewhere_rank(id_: str) -> Rank:
    """The rank of an offer for another territory."""
    return Rank(ELSEWHERE, True, "", 0, 0, id_)


def _basis(offer: Offer) -> str:
    tariff = offer.tariff
    return f"{tariff.currency} {tariff.vat}" if tariff is not None else " "
