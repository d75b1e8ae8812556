"""Purchases: the vehicles by which bodies buy together, what can still be joined, and how."""

from __future__ import annotations

import msgspec
from litestar.response.base import ASGIResponse

from federation.domain.content.consultation import Consultation
from federation.domain.content.purchase import SIRET, Purchase
from federation.domain.query import Query
from federation.edge.operations import Right
from federation.node import records
from federation.web.consultations import ConsultationRow
from federation.web.entries import Entry, decoder
from federation.web.labels import LABELS
from federation.web.language import screen_text as t
from federation.web.list_files import Column, list_file, listing_file
from federation.web.listing import Filter, list_answer, read_listing, value_words
from federation.web.pages import page
from federation.web.records import open_record, source_of
from federation.web.rendering import in_language
from federation.web.visit import Visit

READ = Right("purchases.read", open=True)
MAX_CONSULTATIONS = 50
"""Consultations of a purchase that its page shows, those changed last."""


class Coordinator(msgspec.Struct, frozen=True):
    """The coordinator of a purchase, as the list shows it."""

    name: str | None = None


class PurchaseRow(msgspec.Struct, frozen=True):
    """The members of a purchase that the list shows."""

    title: dict[str, str]
    summary: dict[str, str]
    kind: str
    coordinator: Coordinator
    status: str = ""


FILTERS = (
    Filter("q", t("Words")),
    Filter("kind", t("Kind"), values=tuple(LABELS["purchase_kind"]), kind="purchase_kind"),
    Filter("status", t("To join"), values=tuple(LABELS["purchase_status"]), kind="purchase_status"),
    Filter("territory", t("Territory"), hint=t("for example 71 or FR-BFC")),
    Filter("origin", t("Operator"), hint=t("its identifier, for example arnia")),
)
COLUMNS = (
    Column(t("Title"), lambda visit, entry: in_language(visit.language, entry.content.title)[0]),
    Column(t("Summary"), lambda visit, entry: in_language(visit.language, entry.content.summary)[0]),
    Column(t("Kind"), lambda visit, entry: value_words(visit, "purchase_kind", entry.content.kind)),
    Column(t("To join"), lambda visit, entry: value_words(visit, "purchase_status", entry.content.status)),
    Column(t("Coordinator"), lambda visit, entry: entry.content.coordinator.name),
    Column(t("Operator"), lambda visit, entry: entry.origin),
    Column(t("Identifier"), lambda visit, entry: entry.id),
    Column(t("Updated"), lambda visit, entry: entry.updated_at),
)


@page("/purchases", act="page_purchases", right=READ)
async def purchases(visit: Visit) -> ASGIResponse:
    """List joint purchases."""
    return list_answer(visit, "purchases.html", await read_listing(visit, Purchase, PurchaseRow, FILTERS))


@list_file("/purchases", act="page_purchases_file", right=READ)
async def purchases_file(visit: Visit) -> ASGIResponse:
    """The list of joint purchases as a file."""
    return await listing_file(visit, Purchase, PurchaseRow, FILTERS, COLUMNS)


@page("/purchases/{origin:str}/{key:str}", act="page_purchase", right=READ)
async def purchase(visit: Visit, origin: str, key: str) -> ASGIResponse:
    """Show what is bought together, how to join, and the consultations held."""
    entry = await open_record(visit, Purchase, origin, key)
    if not isinstance(entry, Entry):
        return entry
    query = Query(kind=Consultation, facets=(("purchase", (entry.id,)),), limit=MAX_CONSULTATIONS)
    documents, following, _ = await records.collect(visit.node, query, by=visit.caller)
    identifiers = entry.content.coordinator.identifiers
    return visit.page(
        "purchase.html",
        alternate=f"/v1/purchases/{origin}/{key}",
        entry=entry,
        source=await source_of(visit, entry),
        siret=next((identifier.value for identifier in identifiers if identifier.scheme == SIRET), ""),
        consultations=[decoder(ConsultationRow).decode(document) for document in documents],
        has_more=following is not None,
        is_ours=origin == visit.node.operator and visit.may("purchases.write"),
    )


HANDLERS = (purchases, purchases_file, purchase)
