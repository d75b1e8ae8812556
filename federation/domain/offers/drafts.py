"""Drafts of offers, made of the offers that deployments had before offers were records.

A draft says no more than its deployment: conditions in words become ``requires``, so that the offer answers
unknown and not open; prices that a tariff cannot hold are left out, with the reason. A person reads each
draft and publishes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Literal

import msgspec

from federation.domain.content.deployment import Deployment, DeploymentOffer, PriceBand
from federation.domain.document import Document

Vat = Literal["excluded", "included", "exempt"]
_WHEN = {"year": "yearly", "month": "monthly", "one-off": "once"}
_MICROS_PER_CENT = 10_000
_LABELS = {
    "body": {"fr": "Par organisme", "en": "For each body"},
    "inhabitant": {"fr": "Par habitant", "en": "For each inhabitant"},
    "agent": {"fr": "Par agent", "en": "For each agent"},
}


class OfferDraft(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of an upload to ``/v1/offers/bulk``."""

    key: str
    tlp: str
    content: dict[str, Any]
    audience: str | None = None


class Drafted(msgspec.Struct, frozen=True):
    """A draft, and the reason for which its prices were left out; None where none was."""

    draft: OfferDraft
    left_out: str | None


def draft_offer(document: Document[Deployment], *, name: str, contact: str, vat: Vat | None) -> Drafted:
    """The draft for a deployment with an open offer, under the label of the deployment.

    ``name``: of the solution. ``vat``: what prices say of the tax, which deployments did not tell.
    """
    deployment = document.content
    offer = deployment.offer if deployment is not None else None
    if deployment is None or offer is None:
        raise ValueError("the deployment has no offer")
    languages = offer.eligibility or {"fr": ""}
    content: dict[str, Any] = {
        "solution": deployment.solution,
        "title": dict.fromkeys(languages, name),
        "contact": contact,
        "pricing": "on-request",
        "deployments": [f"{document.origin}/{document.key}"],
    }
    if offer.eligibility is not None:
        content["requires"] = {"text": offer.eligibility}
    if offer.join_url is not None:
        what = {"fr": f"S'inscrire : {offer.join_url}", "en": f"Join: {offer.join_url}"}
        content["steps"] = [{"what": what}]
    left_out = _why_no_tariff(offer, vat)
    if offer.price_bands and left_out is None:
        content["pricing"] = "tariff"
        content["tariff"] = {
            "currency": offer.price_bands[0].currency,
            "vat": vat,
            "parts": list(_parts(offer.price_bands)),
        }
    draft = OfferDraft(key=document.key, tlp=document.tlp, audience=document.audience, content=content)
    return Drafted(draft, left_out)


def _kind_of(band: PriceBand) -> tuple[str, str]:
    return band.per, band.unit


def _why_no_tariff(offer: DeploymentOffer, vat: Vat | None) -> str | None:
    """The reason that prices are in no tariff; None where they are, or where there are none."""
    if not offer.price_bands:
        return None
    if vat is None:
        return "prices do not say whether they include the tax: name it by --vat"
    if len({band.currency for band in offer.price_bands}) > 1:
        return "prices are in several currencies"
    bounds = [(*_kind_of(band), band.max_population) for band in offer.price_bands]
    if len(set(bounds)) < len(bounds):
        return "two prices are for the same bodies"
    return None


def _parts(bands: Sequence[PriceBand]) -> Iterator[dict[str, Any]]:
    """The parts of a tariff: each band begins above the one before it."""
    for (per, unit), of_kind in groupby(sorted(bands, key=_kind_of), key=_kind_of):
        smallest = 0
        for band in sorted(of_kind, key=_maximum):
            part: dict[str, Any] = {
                "label": _LABELS[unit],
                "when": _WHEN[per],
                "basis": unit,
                "micros": band.amount_cents * _MICROS_PER_CENT,
            }
            population = {"from": smallest} if smallest else {}
            if band.max_population is not None:
                population["to"] = band.max_population
                smallest = band.max_population + 1
            yield part | ({"population": population} if population else {})


def _maximum(band: PriceBand) -> float:
    return float("inf") if band.max_population is None else band.max_population
