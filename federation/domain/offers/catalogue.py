"""Every offer that a node has, in memory, as far as its rank for a body depends on it.

Offers are grouped by their territories, and the groups are found by each département and grouping that they
have a part of. Offers for other territories are counted, and no more is computed of them. The others are
ranked (``ranking.py``).

Texts are not stored. What one origin may have here is bounded, so that no other is left out for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date

import msgspec

from federation.domain.content.offer import Offer
from federation.domain.content.tariff import Tariff
from federation.domain.offers.eligibility import Location
from federation.domain.offers.quote import PricedBody
from federation.domain.offers.ranking import OfferQuestion, StoredOffer
from federation.domain.territories.areas import area_of, departements_of
from federation.domain.visibility import Caller, may_see

MAX_WEIGHT_PER_ORIGIN = 20_000
"""Offers and parts of tariffs that one origin has in memory, at most: some 8 MB."""
MAX_WEIGHT = 400_000
"""Those of all origins, at most: some 160 MB."""
PLACES_LIKE_A_PART = 4
"""Départements of an offer that weigh as much as a part of its tariff."""
EVERY_PLACE = ""
"""The place of offers that may be open anywhere."""
Territories = tuple[str, ...]


def without_texts(offer: Offer) -> Offer:
    """An offer as far as its availability and its price depend on it."""
    tariff = offer.tariff
    if tariff is not None:
        parts = tuple(msgspec.structs.replace(part, label=_NO_TEXT) for part in tariff.parts)
        tariff = Tariff(currency=tariff.currency, vat=tariff.vat, parts=parts)
    return Offer(
        solution=offer.solution,
        title=_NO_TEXT,
        contact="",
        pricing=offer.pricing,
        eligibility=offer.eligibility,
        requires=offer.requires,
        tariff=tariff,
        valid_from=offer.valid_from,
        valid_until=offer.valid_until,
    )


_NO_TEXT: dict[str, str] = {}


class OfferCatalogue:
    """The offers of a node by their territories."""

    def __init__(self) -> None:
        self._groups: dict[Territories, dict[str, StoredOffer]] = {}
        self._by_place: dict[str, dict[Territories, None]] = {}
        """Groups by each département and grouping of communes that they have a part of."""
        self._places: dict[str, Territories] = {}
        self._numbers: Counter[tuple[str, str]] = Counter()
        """Offers of each origin and audience."""
        self._weights: Counter[str] = Counter()
        self._weight = 0
        self._left_out: dict[str, str] = {}
        """Ids of offers that are beyond a bound, and their origins."""

    def __len__(self) -> int:
        return len(self._places)

    @property
    def incomplete_origins(self) -> tuple[str, ...]:
        """Operators some of whose offers are beyond a bound, and in no answer."""
        return tuple(sorted(set(self._left_out.values())))

    def store(self, id_: str, origin: str, audience: str, offer: Offer | None) -> None:
        """Store an offer, in place of its earlier revision."""
        self.remove(id_)
        eligibility = offer.eligibility if offer is not None else None
        territories = eligibility.territory if eligibility is not None else ()
        places = _places_of(territories)
        parts = offer.tariff.parts if offer is not None and offer.tariff is not None else ()
        weight = 1 + len(parts) + len(places) // PLACES_LIKE_A_PART
        if self._weights[origin] + weight > MAX_WEIGHT_PER_ORIGIN or self._weight + weight > MAX_WEIGHT:
            self._left_out[id_] = origin
            return
        group = self._groups.get(territories)
        if group is None:
            group = self._groups[territories] = {}
            for place in places:
                self._by_place.setdefault(place, {})[territories] = None
        group[id_] = StoredOffer(
            id_, origin, audience, without_texts(offer) if offer else None, weight, _changes_later(offer)
        )
        self._places[id_] = territories
        self._numbers[origin, audience] += 1
        self._weights[origin] += weight
        self._weight += weight

    def remove(self, id_: str) -> None:
        """Forget an offer, if it is there."""
        self._left_out.pop(id_, None)
        territories = self._places.pop(id_, None)
        if territories is None:
            return
        group = self._groups[territories]
        stored = group.pop(id_)
        self._numbers[stored.origin, stored.audience] -= 1
        self._weights[stored.origin] -= stored.weight
        self._weight -= stored.weight
        if not group:
            del self._groups[territories]
            for place in _places_of(territories):
                del self._by_place[place][territories]

    def ask(self, body: PricedBody, location: Location | None, on: date, *, by: Caller) -> OfferQuestion:
        """Rank the offers that a caller may see for a body."""
        return OfferQuestion(
            self._groups_for(location), self._all_offers, self._number_visible(by), body, location, on, by
        )

    def _groups_for(self, location: Location | None) -> Iterable[dict[str, StoredOffer]]:
        """The offers that may be for a place; all of them where the place is not known."""
        if location is None:
            return list(self._groups.values())
        places = (EVERY_PLACE, *location.departements, *location.groupings)
        found = {territories: None for place in places for territories in self._by_place.get(place, ())}
        return [self._groups[territories] for territories in found]

    def _all_offers(self) -> Iterable[StoredOffer]:
        """Every offer, in no order."""
        return [stored for group in self._groups.values() for stored in group.values()]

    def _number_visible(self, by: Caller) -> int:
        """The number of offers that a caller may see."""
        return sum(number for key, number in self._numbers.items() if number and may_see(*key, by))


def _places_of(territories: Territories) -> frozenset[str]:
    """The départements and groupings in which an offer for these territories may be open.

    ``EVERY_PLACE`` among them for an offer without territories, and for a code of France that this register
    does not have.
    """
    places = set() if territories else {EVERY_PLACE}
    for code in territories:
        area = area_of(code)
        if area is None:
            if code[0].isdigit() or code.startswith("FR"):
                places.add(EVERY_PLACE)
        elif area.kind == "country":
            places.add(EVERY_PLACE)
        elif area.kind == "grouping":
            places.update(area.codes)
        else:
            places |= departements_of(area)
    return frozenset(places)


def _changes_later(offer: Offer | None) -> bool:
    """True for a tariff whose later years may differ from the first one."""
    tariff = offer.tariff if offer is not None else None
    return tariff is not None and any(part.when not in ("yearly", "monthly") for part in tariff.parts)
