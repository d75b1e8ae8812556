"""Offers as lines of other pages: of a solution, of an operator."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from federation.domain.content.offer import Offer
from federation.domain.query import PAGE, Query
from federation.node import records
from federation.web.entries import Entry, decoder
from federation.web.visit import Visit


class PartRow(msgspec.Struct, frozen=True):
    """A part of a tariff."""

    label: dict[str, str]
    when: str
    basis: str
    micros: int
    optional: bool = False


class TariffRow(msgspec.Struct, frozen=True):
    """A tariff."""

    currency: str
    vat: str
    parts: tuple[PartRow, ...]


class OfferRow(msgspec.Struct, frozen=True):
    """The members of an offer that a line shows."""

    solution: str
    title: dict[str, str]
    pricing: str
    contact: str
    summary: dict[str, str] | None = None
    tariff: TariffRow | None = None
    valid_until: str | None = None


async def offers_of(
    visit: Visit, *, solutions: Iterable[str] = (), origin: str = ""
) -> tuple[Entry[OfferRow], ...]:
    """The offers of solutions or of an operator that the visitor may see, the last updated 50."""
    facets = (("origin", (origin,)),) if origin else (("solution", tuple(solutions)),)
    query = Query(kind=Offer, facets=facets, limit=PAGE)
    documents, _, _ = await records.collect(visit.node, query, by=visit.caller)
    return tuple(map(decoder(OfferRow).decode, documents))
