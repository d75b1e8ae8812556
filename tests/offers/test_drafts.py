"""Drafts of offers have the prices and the conditions of the deployment that they are made of."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from federation.domain.content.deployment import Deployment
from federation.domain.content.offer import Offer
from federation.domain.document import Document
from federation.domain.draft import KeyedDraft, check_draft
from federation.domain.offers.drafts import Vat, draft_offer
from federation.domain.offers.eligibility import availability
from federation.domain.offers.quote import PricedBody, quote
from federation.domain.values import day
from tests.domain.builders import a_deployment

BANDS = [
    {"max_population": 500, "amount_cents": 9_000, "currency": "EUR", "per": "year", "unit": "body"},
    {"amount_cents": 25_000, "currency": "EUR", "per": "year", "unit": "body"},
    {"amount_cents": 1_000, "currency": "EUR", "per": "one-off", "unit": "body"},
]
FORMER = {"open": True, "price_bands": BANDS, "join_url": "https://arnia.example.org/join"}


def a_draft(offer: dict[str, Any], vat: Vat | None = "excluded") -> tuple[Offer, str | None]:
    """The offer that a deployment becomes."""
    document: Any = {
        "type": "deployment", "origin": "arnia", "key": "d", "revision": 1, "tlp": "GREEN",
        "created_at": "2026-01-01T00:00:00.000000Z", "updated_at": "2026-01-01T00:00:00.000000Z",
        "content": a_deployment(offer=offer),
    }  # fmt: skip
    deployment: Document[Deployment] = msgspec.convert(document, Document[Deployment])
    drafted = draft_offer(deployment, name="GLPI", contact="contact@example.org", vat=vat)
    shape: Any = KeyedDraft
    draft = check_draft(msgspec.to_builtins(drafted.draft), shape[Offer])
    assert (draft.key, draft.tlp) == ("d", "GREEN")
    return draft.content, drafted.left_out


@pytest.mark.parametrize(
    ("population", "first", "following"), [(0, 10_000, 9_000), (500, 10_000, 9_000), (501, 26_000, 25_000)]
)
def test_price_bands_become_a_tariff_with_the_same_prices(
    population: int, first: int, following: int
) -> None:
    offer, left_out = a_draft(FORMER)
    assert left_out is None
    body = PricedBody(kind="commune", population=population)
    assert [quote(offer, body, year).total_cents for year in (1, 2)] == [first, following]
    assert availability(offer, body, None, day("2026-01-01")).state == "open"


def test_conditions_in_words_leave_the_answer_unknown() -> None:
    offer, _ = a_draft({"open": True, "eligibility": {"fr": "Réservé aux adhérents"}})
    assert (offer.pricing, offer.title) == ("on-request", {"fr": "GLPI"})
    body = PricedBody(kind="commune", population=10)
    assert availability(offer, body, None, day("2026-01-01")).state == "unknown"


@pytest.mark.parametrize(
    ("bands", "vat", "reason"),
    [
        (BANDS, None, "tax"),
        ([*BANDS, {**BANDS[0], "currency": "CHF"}], "excluded", "currencies"),
        ([*BANDS, {**BANDS[1], "amount_cents": 3}], "excluded", "same bodies"),
    ],
)
def test_prices_that_no_tariff_can_hold_are_left_out(bands: list[Any], vat: Vat | None, reason: str) -> None:
    offer, left_out = a_draft({"open": True, "price_bands": bands}, vat)
    assert (offer.pricing, offer.tariff) == ("on-request", None)
    assert left_out is not None
    assert reason in left_out
