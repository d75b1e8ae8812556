"""An offer is open, not open or unknown, and says why."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from federation.domain.content.offer import Offer
from federation.domain.offers.eligibility import Location, availability
from federation.domain.offers.quote import PricedBody, quote

TODAY = date(2026, 3, 1)
CHASSAGNE = PricedBody(kind="commune", population=261)
IN_COTE_D_OR = Location(("21",), ("200006682",))


def offer(**members: Any) -> Offer:
    return msgspec.convert(
        {
            "solution": "arnia/glpi",
            "title": {"fr": "Gestion de parc"},
            "contact": "contact@arnia.example.org",
            "pricing": "free",
            **members,
        },
        Offer,
    )


def reasons(found: Any) -> list[tuple[str, str]]:
    return [(reason.condition, reason.state) for reason in found.reasons]


def test_an_offer_without_conditions_is_open_to_all() -> None:
    found = availability(offer(), CHASSAGNE, None, TODAY)
    assert (found.state, found.reasons) == ("open", ())


@pytest.mark.parametrize(
    ("eligibility", "state", "why"),
    [
        ({"kinds": ["commune", "epci"]}, "open", []),
        ({"kinds": ["region"]}, "not-open", [("kind", "not-open")]),
        ({"population": {"to": 3_500}}, "open", []),
        ({"population": {"from": 262}}, "not-open", [("population", "not-open")]),
        ({"agents": {"to": 10}}, "unknown", [("agents", "unknown")]),
        ({"territory": ["FR-BFC"]}, "open", []),
        ({"territory": ["21"]}, "open", []),
        ({"territory": ["FR-21", "71"]}, "open", []),
        ({"territory": ["FR"]}, "open", []),
        ({"territory": ["FR-BRE", "71"]}, "not-open", [("territory", "not-open")]),
        (
            {"kinds": ["region"], "agents": {"to": 10}},
            "not-open",
            [("kind", "not-open"), ("agents", "unknown")],
        ),
    ],
)
def test_each_condition_answers_for_itself(
    eligibility: dict[str, Any], state: str, why: list[tuple[str, str]]
) -> None:
    found = availability(offer(eligibility=eligibility), CHASSAGNE, IN_COTE_D_OR, TODAY)
    assert (found.state, reasons(found)) == (state, why)


def test_a_body_that_lies_in_a_territory_in_part_may_or_may_not_be_meant() -> None:
    across = Location(("21", "71"))
    for territory, state in (
        (["21"], "unknown"),
        (["21", "71"], "open"),
        (["FR-BFC"], "open"),
        (["58"], "not-open"),
    ):
        asked = offer(eligibility={"territory": territory})
        assert availability(asked, CHASSAGNE, across, TODAY).state == state


def test_a_territory_that_the_register_does_not_have_is_unknown_in_france_only() -> None:
    for territory, state in ((["FR-ZZZ"], "unknown"), (["FR-ZZZ", "21"], "open"), (["BE"], "not-open")):
        asked = offer(eligibility={"territory": territory})
        assert availability(asked, CHASSAGNE, IN_COTE_D_OR, TODAY).state == state


def test_of_a_body_that_the_register_does_not_have_no_place_and_no_number_is_known() -> None:
    unknown = PricedBody(kind="syndicat")
    found = availability(
        offer(eligibility={"territory": ["FR"], "population": {"to": 9}}), unknown, None, TODAY
    )
    assert (found.state, reasons(found)) == ("unknown", [("territory", "unknown"), ("population", "unknown")])


def test_an_offer_is_open_within_its_days() -> None:
    dated = offer(valid_from="2026-03-01", valid_until="2026-03-31")
    for day, state in (
        ("2026-02-28", "not-open"),
        ("2026-03-01", "open"),
        ("2026-03-31", "open"),
        ("2026-04-01", "not-open"),
    ):
        assert availability(dated, CHASSAGNE, None, date.fromisoformat(day)).state == state


def test_an_offer_that_requires_another_one_is_unknown_until_that_is_joined() -> None:
    needing = offer(requires={"offers": ["arnia/membership"]})
    found = availability(needing, CHASSAGNE, None, TODAY)
    assert (found.state, found.reasons[0].allowed) == ("unknown", ("arnia/membership",))
    assert availability(needing, CHASSAGNE, None, TODAY, frozenset({"arnia/membership"})).state == "open"
    in_words = offer(requires={"text": {"fr": "Adhérer au syndicat"}})
    assert availability(in_words, CHASSAGNE, None, TODAY, frozenset()).state == "unknown"


def test_free_and_on_request_are_two_things() -> None:
    assert quote(offer(), CHASSAGNE).total_cents == 0
    assert quote(offer(pricing="on-request"), CHASSAGNE).unknown == ("price",)
    for wrong in ({"pricing": "tariff"}, {"tariff": {"currency": "EUR", "vat": "exempt", "parts": []}}):
        with pytest.raises(msgspec.ValidationError):
            offer(**wrong)
