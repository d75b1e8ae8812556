"""The catalogue in memory gives what asking each offer gives, whatever was stored, replaced and removed."""

from __future__ import annotations

import random
from datetime import date
from typing import Any

import msgspec
import pytest

from federation.domain.content.offer import Offer
from federation.domain.offers import catalogue as module
from federation.domain.offers.catalogue import OfferCatalogue
from federation.domain.offers.eligibility import Location, availability
from federation.domain.offers.quote import PricedBody, quote
from federation.domain.offers.ranking import OfferQuestion
from federation.domain.territories.public_bodies import location_codes, public_body
from federation.domain.visibility import Caller, anonymous, may_see
from tests.offers.tariffs import AMF_32, CDG_38, an_offer, euros, tariff

ON = date(2026, 11, 30)
CODES = (
    "FR", "FR-BFC", "FR-BRE", "27", "21", "FR-21", "71", "2A", "20", "FR-69M", "69", "974", "FR-LRE", "RE",
    "FR-6AE", "67", "FR-ZZ", "999", "BE", "BE-BRU",
)  # fmt: skip
BODIES = (
    "cog:71076", "cog:21231", "cog:69123", "cog:69264", "cog:2A004", "cog:97411", "cog:67482", "cog:29019",
    "cog:75112", "0002:242100410", "0002:200046977", "0002:200054781", "territory:21",
    "territory:FR-BFC", "territory:27",
)  # fmt: skip
AUDIENCES = ("public", "federation", "security", "private")
TARIFFS = (
    AMF_32,
    CDG_38,
    tariff({"micros": euros(1), "basis": "agent", "when": "after-first"}),
    tariff({"micros": euros(3)}, currency="CHF"),
)


def made(chance: random.Random) -> Offer:
    """An offer drawn by lot."""
    members: dict[str, Any] = {}
    eligibility: dict[str, Any] = {}
    if chance.random() < 0.8:
        eligibility["territory"] = chance.sample(CODES, chance.choice((1, 1, 2, 4)))
    if chance.random() < 0.3:
        eligibility["kinds"] = chance.sample(("commune", "epci", "region"), 2)
    if chance.random() < 0.3:
        eligibility["population"] = {"to": chance.choice((3_500, 50_000, 500_000))}
    if chance.random() < 0.1:
        members["valid_until"] = chance.choice(("2020-01-01", "2030-01-01"))
    if chance.random() < 0.6:
        members["tariff"] = chance.choice(TARIFFS)
    return msgspec.convert(an_offer(eligibility=eligibility, **members), Offer)


def body_of(text: str) -> tuple[PricedBody, Location | None]:
    body = public_body(text)
    assert body.kind is not None
    departements, groupings = location_codes(body)
    priced = PricedBody(kind=body.kind, population=body.population, member_communes=body.member_communes)
    return priced, Location(departements, groupings)


def asked(question: OfferQuestion) -> OfferQuestion:
    for _ in question.steps(3):
        pass
    return question


@pytest.mark.parametrize("seed", range(3))
def test_it_ranks_what_asking_each_offer_gives(seed: int) -> None:
    chance = random.Random(seed)
    catalogue = OfferCatalogue()
    stored: dict[str, tuple[str, str, Offer]] = {}
    for number in range(400):
        id_ = f"arnia/o{chance.randrange(250)}"
        if chance.random() < 0.2:
            stored.pop(id_, None)
            catalogue.remove(id_)
            continue
        audience, offer = chance.choice(AUDIENCES), made(chance)
        origin = chance.choice(("arnia", "megalis"))
        stored[id_] = origin, audience, offer
        catalogue.store(id_, origin, audience, offer)
        assert len(catalogue) == len(stored), number
    callers = (
        anonymous("arnia"),
        Caller(node="arnia", operator="recia", groups=frozenset({"security"})),
        Caller(node="arnia", operator="arnia"),
    )
    for text in BODIES:
        body, location = body_of(text)
        for by in callers:
            seen = {
                id_: offer
                for id_, (origin, audience, offer) in stored.items()
                if may_see(origin, audience, by)
            }
            states = {id_: availability(offer, body, location, ON).state for id_, offer in seen.items()}
            question = asked(catalogue.ask(body, location, ON, by=by))
            ranked = {rank.id: ("open", "unknown", "not-open")[rank.state] for rank in question.ranks}
            elsewhere = set(question.elsewhere())
            assert {**ranked, **dict.fromkeys(elsewhere, "not-open")} == states
            assert not elsewhere & ranked.keys()
            counts = question.counts
            assert (counts.open, counts.unknown) == (
                sum(state == "open" for state in states.values()),
                sum(state == "unknown" for state in states.values()),
            )
            assert counts.elsewhere == len(elsewhere)
            assert counts.not_open == len(states) - counts.open - counts.unknown - counts.elsewhere
            for rank in question.ranks:
                prices = [quote(seen[rank.id], body, year).total_cents for year in (1, 2)]
                if rank.state < 2:
                    assert rank.without_price == (None in prices)
                    assert [rank.first_cents, rank.later_cents] == [price or 0 for price in prices]


def test_a_body_whose_place_is_not_known_is_asked_of_every_offer() -> None:
    catalogue = OfferCatalogue()
    chance = random.Random(0)
    for number in range(50):
        catalogue.store(f"arnia/o{number}", "arnia", "public", made(chance))
    question = asked(catalogue.ask(PricedBody(kind="school"), None, ON, by=anonymous("arnia")))
    assert len(question.ranks) == 50
    assert list(question.elsewhere()) == []


def test_what_is_forgotten_leaves_nothing_behind_and_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WEIGHT_PER_ORIGIN", 6)
    catalogue = OfferCatalogue()
    large = msgspec.convert(an_offer(tariff=AMF_32), Offer)
    catalogue.store("arnia/one", "arnia", "public", large)
    catalogue.store("arnia/two", "arnia", "public", large)
    catalogue.store("megalis/one", "megalis", "public", large)
    assert (len(catalogue), [*catalogue.incomplete_origins]) == (2, ["arnia"])
    catalogue.remove("arnia/one")
    assert [*catalogue.incomplete_origins] == ["arnia"]
    catalogue.store("arnia/two", "arnia", "public", large)
    assert (len(catalogue), [*catalogue.incomplete_origins]) == (2, [])
    monkeypatch.setattr(module, "MAX_WEIGHT", 13)
    catalogue.store("recia/one", "recia", "public", large)
    assert [*catalogue.incomplete_origins] == ["recia"]
    for id_ in ("arnia/two", "megalis/one", "recia/one"):
        catalogue.remove(id_)
    assert not catalogue._groups
    assert not any(catalogue._by_place.values())
    assert (len(catalogue), catalogue._weight, [*catalogue.incomplete_origins]) == (0, 0, [])
