"""The offers for a body as a spreadsheet, a line for each offer; the text of a deliberation as files."""

from __future__ import annotations

from litestar.response.base import ASGIResponse

from federation.domain.offers.answers import BodyOffers, OfferAnswer, Price
from federation.web.labels import LABELS
from federation.web.language import screen_text as t
from federation.web.language import translate
from federation.web.list_files import file_answer
from federation.web.rendering import in_language
from federation.web.visit import Visit

COLUMNS = (
    t("Offer"), t("Title"), t("Operator"), t("May it join?"), t("Why not, or why not known"), t("First year"),
    t("Following years"), t("Currency"), t("VAT"), t("To be joined until"), t("Contact"),
)  # fmt: skip
_MORE = t("There are more offers: ask the API.")


async def offers_file(visit: Visit, view: BodyOffers, *, is_cut: bool) -> ASGIResponse:
    """The file of the offers for a body; its last line says when there are more."""
    rows = [_row(visit, offer) for offer in view.offers]
    name = f"offers-{view.body.id.replace(':', '-')}"
    return await file_answer(visit, name, COLUMNS, rows, is_cut=is_cut, cut=_MORE)


def _row(visit: Visit, offer: OfferAnswer) -> list[object]:
    language = visit.language
    price = offer.first_year
    return [
        offer.id,
        in_language(language, offer.title)[0],
        offer.origin,
        _label(visit, "offer_state", offer.state),
        "; ".join(reason.text[language] for reason in offer.reasons),
        _amount(visit, price),
        _amount(visit, offer.following_years),
        price.currency or "",
        _label(visit, "vat", price.vat) if price.vat else "",
        offer.valid_until or "",
        offer.contact,
    ]


def _label(visit: Visit, kind: str, value: str) -> str:
    return translate(visit.language, LABELS[kind][value])


def _amount(visit: Visit, price: Price) -> object:
    """The amount in whole units, as a number; else the reasons that it is unknown."""
    if price.total_cents is None:
        return "; ".join(text[visit.language] for text in price.unknown_text)
    return price.total_cents / 100
