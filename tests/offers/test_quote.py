"""Prices of real tariffs, and of each form that a tariff may have."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from federation.domain.content.tariff import Tariff
from federation.domain.offers.quote import PricedBody, quote_tariff


def tariff(*parts: dict[str, Any]) -> Tariff:
    labelled = [{"label": {"fr": "Part"}, "when": "yearly", "basis": "body", **part} for part in parts]
    return msgspec.convert({"currency": "EUR", "vat": "excluded", "parts": labelled}, Tariff)


def euros(amount: float) -> int:
    return round(amount * 1_000_000)


AMF_32 = tariff(
    {"kinds": ["commune"], "population": {"to": 199}, "micros": euros(48)},
    {"kinds": ["commune"], "population": {"from": 200, "to": 399}, "micros": euros(67)},
    {"kinds": ["commune"], "population": {"from": 400, "to": 600}, "micros": euros(77)},
    {
        "kinds": ["commune"],
        "population": {"from": 601},
        "basis": "inhabitant",
        "micros": euros(0.166),
        "maximum_cents": 3_850_000,
    },
    {
        "kinds": ["epci"],
        "population": {"from": 5_000},
        "basis": "inhabitant",
        "micros": euros(0.047),
        "maximum_cents": 820_000,
    },
)
"""Subscription to the association of mayors of the Gers, 2022."""

ESTABLISHMENTS = ["ccas", "school", "syndicat", "other"]
CDG_38 = tariff(
    *(
        {"when": when, "micros": euros(amount), **condition}
        for condition, amounts in (
            ({"kinds": ["commune"], "population": {"to": 1_500}}, (52, 36)),
            ({"kinds": ["commune"], "population": {"from": 1_501, "to": 5_000}}, (227, 158)),
            ({"kinds": ["commune"], "population": {"from": 20_001}}, (1_748, 1_212)),
            ({"kinds": ESTABLISHMENTS, "agents": {"to": 49}}, (227, 158)),
            ({"kinds": ESTABLISHMENTS, "agents": {"from": 351}}, (1_748, 1_212)),
        )
        for when, amount in zip(("first-year", "after-first"), amounts, strict=True)
    )
)
"""Pack of electronic administration of the management centre of the Isère, 2014; some bands are not known."""


def commune(population: int | None, **numbers: int) -> PricedBody:
    return PricedBody(kind="commune", population=population, **numbers)


@pytest.mark.parametrize(
    ("population", "cents"),
    [(85, 4_800), (199, 4_800), (200, 6_700), (400, 7_700), (600, 7_700), (601, 9_977), (2_000, 33_200),
     (300_000, 3_850_000)],
)  # fmt: skip
def test_a_commune_pays_by_its_band_and_never_more_than_the_maximum(population: int, cents: int) -> None:
    found = quote_tariff(AMF_32, commune(population))
    assert (found.total_cents, found.unknown, found.currency) == (cents, (), "EUR")
    assert len(found.lines) == 1


def test_a_body_that_no_part_names_has_an_unknown_price_and_not_zero() -> None:
    small = PricedBody(kind="epci", population=4_999)
    assert quote_tariff(AMF_32, small).unknown == ("part",)
    assert quote_tariff(AMF_32, small).total_cents is None
    assert quote_tariff(AMF_32, PricedBody(kind="epci", population=5_000)).total_cents == 23_500
    assert quote_tariff(AMF_32, PricedBody(kind="region", population=5_000)).unknown == ("part",)
    assert quote_tariff(CDG_38, commune(10_000)).unknown == ("part",)  # a band that is not known


def test_the_first_year_and_the_following_ones_have_prices_of_their_own() -> None:
    years = [quote_tariff(CDG_38, commune(265), year).total_cents for year in (1, 2, 3)]
    assert years == [5_200, 3_600, 3_600]
    assert quote_tariff(CDG_38, commune(30_000)).total_cents == 174_800


def test_a_number_that_is_needed_and_not_given_makes_the_price_unknown() -> None:
    def establishment(**numbers: int) -> PricedBody:
        return PricedBody(kind="ccas", **numbers)

    assert quote_tariff(CDG_38, establishment()).unknown == ("agents",)
    assert quote_tariff(CDG_38, establishment(agents=49)).total_cents == 22_700
    assert quote_tariff(CDG_38, establishment(agents=351), 2).total_cents == 121_200
    assert quote_tariff(CDG_38, establishment(agents=100)).unknown == ("part",)
    # Of a commune no number of agents is asked for, whatever other parts depend on it.
    assert quote_tariff(CDG_38, commune(265)).unknown == ()
    assert quote_tariff(AMF_32, commune(None)).unknown == ("population",)


def test_a_base_with_options_and_gigabytes() -> None:
    found = tariff(
        {"micros": euros(120)},
        {"basis": "gigabyte", "when": "monthly", "micros": euros(0.05)},
        {"optional": True, "micros": euros(30), "label": {"fr": "Option"}},
        {"optional": True, "basis": "user", "micros": euros(2)},
    )
    known = quote_tariff(found, commune(265, gigabytes=100, users=4))
    assert known.total_cents == 12_000 + 6_000
    assert [line.cents for line in known.options] == [3_000, 800]
    assert quote_tariff(found, commune(265)).unknown == ("gigabytes",)
    # An option of an unknown number of units leaves the total as it is.
    without = quote_tariff(found, commune(265, gigabytes=0))
    assert (without.total_cents, [line.cents for line in without.options]) == (12_000, [3_000, None])


def test_inhabitants_and_the_number_of_member_communes() -> None:
    found = tariff(
        {"basis": "inhabitant", "micros": euros(0.10)}, {"basis": "member-commune", "micros": euros(50)}
    )
    epci = PricedBody(kind="epci", population=12_345, member_communes=27)
    assert quote_tariff(found, epci).total_cents == 123_450 + 135_000
    assert quote_tariff(found, PricedBody(kind="epci", population=12_345)).unknown == ("member_communes",)


def test_a_share_to_buy_first_is_paid_once() -> None:
    found = tariff({"when": "once", "micros": euros(500)}, {"micros": euros(20)})
    assert [quote_tariff(found, commune(265), year).total_cents for year in (1, 2)] == [52_000, 2_000]


def test_a_first_year_without_a_price_is_free_and_not_unknown() -> None:
    found = tariff({"when": "after-first", "micros": euros(99)})
    assert [quote_tariff(found, commune(265), year).total_cents for year in (1, 2)] == [0, 9_900]


@pytest.mark.parametrize(
    ("micros", "inhabitants", "cents"),
    [(5_000, 1, 1), (4_999, 1, 0), (15_000, 1, 2), (166_000, 3, 50), (1, 10**9, 100_000)],
)
def test_each_part_is_rounded_half_up_to_cents(micros: int, inhabitants: int, cents: int) -> None:
    found = tariff({"basis": "inhabitant", "micros": micros})
    assert quote_tariff(found, commune(inhabitants)).total_cents == cents


def test_a_minimum_holds_for_the_year() -> None:
    found = tariff({"basis": "user", "when": "monthly", "micros": euros(1), "minimum_cents": 5_000})
    assert quote_tariff(found, commune(265, users=1)).total_cents == 5_000
    assert quote_tariff(found, commune(265, users=10)).total_cents == 12_000
