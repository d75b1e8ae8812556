"""Offers and shared work of the demonstration: complete, open to whom they say, and marked as invented."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime

import msgspec
import pytest

from federation.demo.communes import REGIONS, beneficiaries
from federation.demo.cooperation import CONSULTATION, answering_drafts, needs_in_all, shared_drafts
from federation.demo.data import NAMES
from federation.demo.offers import OFFERS
from federation.demo.practices import PRACTICES
from federation.domain.content.offer import Offer
from federation.domain.draft import Draft, check_draft
from federation.domain.offers.eligibility import Location, availability
from federation.domain.offers.quote import PricedBody, quote
from federation.domain.registry import TYPES
from federation.domain.values import instant

TODAY = datetime(2026, 11, 30, 9, tzinfo=UTC)
BY_PLURAL = {kind.plural: kind for kind in TYPES.values()}


def test_each_operator_has_two_offers_and_all_five_practices() -> None:
    assert Counter(offer.origin for offer in OFFERS) == dict.fromkeys(NAMES, 2)
    assert len(PRACTICES) == 5
    assert {practice.origin for practice in PRACTICES} == set(NAMES)


@pytest.mark.parametrize("operator", NAMES)
def test_what_is_shared_is_what_a_writer_may_send(operator: str) -> None:
    shared = [*shared_drafts(operator, TODAY), *answering_drafts(operator, TODAY)]
    shared += [("offers", {"key": o.key, "content": o.content}) for o in OFFERS if o.origin == operator]
    for plural, draft in shared:
        shape: type = Draft[BY_PLURAL[plural]]  # type: ignore[valid-type]
        check_draft({"content": draft["content"]}, shape)


def test_every_title_says_that_its_subject_is_invented() -> None:
    titles = [entry.content["title"] for entry in (*OFFERS, *PRACTICES)]
    for operator in NAMES:
        titles += [
            draft["content"]["title"]
            for plural, draft in shared_drafts(operator, TODAY)
            if plural in ("purchases", "consultations", "meetings")
        ]
    for title in titles:
        assert title["fr"].endswith("(démonstration)")
        assert title["en"].endswith("(demonstration)")


def test_a_small_commune_has_prices_and_reasons() -> None:
    commune = next(b for b in beneficiaries(REGIONS["FR-BFC"]) if b.kind == "commune" and b.population < 300)
    body = PricedBody(kind="commune", population=commune.population)
    location = Location(departements=(commune.departement,), groupings=(commune.epci or "",))
    answers = {}
    for entry in OFFERS:
        offer = msgspec.convert(entry.content, Offer)
        answers[entry.id] = availability(offer, body, location, date(2026, 12, 1)), quote(offer, body)
    prices = {id_: price.total_cents for id_, (found, price) in answers.items() if found.state == "open"}
    assert prices == {
        "arnia/offre-parc-informatique": 15_000,
        "recia/offre-visioconference": 4_800,
        "recia/offre-formation": 0,
    }
    reasons = {
        reason.condition
        for found, _ in answers.values()
        if found.state == "not-open"
        for reason in found.reasons
        if reason.state == "not-open"
    }
    assert reasons == {"kind", "territory", "population"}


def test_needs_of_all_operators_add_up_before_the_deadline() -> None:
    (consultation,) = (
        draft["content"] for plural, draft in shared_drafts("arnia", TODAY) if plural == "consultations"
    )
    assert instant(consultation["needs_until"]) > TODAY
    total: Counter[str] = Counter()
    for operator in NAMES:
        for plural, draft in answering_drafts(operator, TODAY):
            if plural == "participations":
                assert draft["content"]["consultation"] == CONSULTATION
                total.update({need["unit"]: need["quantity"] for need in draft["content"]["needs"]})
    assert total == needs_in_all()
    assert set(total) == {unit["key"] for unit in consultation["units"]}
