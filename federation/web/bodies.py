"""The page of a commune: what it may join, from whom, at which price, and what its council must vote."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Literal

import msgspec
from litestar.response.base import ASGIResponse

from federation.domain.content.tariff import BODY_KINDS
from federation.domain.errors import Invalid, NotFound
from federation.domain.formats.odt import MEDIA_TYPE as ODT
from federation.domain.formats.odt import odt_bytes
from federation.domain.offers.answers import NUMBERS, BodyOffers, OfferAnswer, Price
from federation.domain.offers.explained import KIND_NAMES
from federation.domain.offers.joining import BLANK, deliberation
from federation.domain.territories.finder import MAX_QUESTION_CHARACTERS, BodyMatches
from federation.domain.territories.public_bodies import PublicBody
from federation.domain.values import day, instant
from federation.edge.operations import Right
from federation.edge.table_files import run_in_table_thread
from federation.node import bodies, offers, operator_names
from federation.node.offers import MAX_NUMBER, GivenFacts
from federation.web.body_files import offers_file
from federation.web.formatting import date_text, money_text
from federation.web.forms import Form, whole_number
from federation.web.language import screen_text as t
from federation.web.list_files import list_file
from federation.web.pages import page
from federation.web.rendering import in_language
from federation.web.visit import Visit

READ = Right("offers.read", open=True)
BODY = "/bodies/{body_id:str}"
SHOWN = 20
"""Offers of one page, each with its steps and its prices."""
MAX_FOUND = 50
NUMBER_FIELDS: dict[str, str] = {
    "population": t("Number of inhabitants"),
    "agents": t("Number of agents"),
    "users": t("Number of users"),
    "gigabytes": t("Gigabytes to be stored"),
    "member_communes": t("Number of member communes"),
}
_FACTS = ("kind", "departement", *NUMBERS, "date")
"""Parameters that links of the page carry on."""
_NOT_A_NUMBER = t("Write a whole number from 0 to %(maximum)s, for example 12.")
_NOT_A_DATE = t("Write a day as 2026-03-31.")


@page("/commune", act="page_commune", right=READ)
async def commune(visit: Visit) -> ASGIResponse:
    """Find the visitor's commune by name, postcode or number; the only one found leads on."""
    question = visit.parameter("q")[:MAX_QUESTION_CHARACTERS]
    found = await bodies.find_bodies(question, MAX_FOUND) if question else BodyMatches(total=0, bodies=())
    if found.total == 1:
        body = found.bodies[0].body
        return visit.to(f"/bodies/{_address(body)}")
    return visit.page(
        "commune.html",
        question=question,
        found=[(match.body, _address(match.body)) for match in found.bodies],
        total=found.total,
    )


def _address(body: PublicBody) -> str:
    """The identifier under which the page of a body says by which part it was found."""
    return f"cog:{body.part.code}" if body.part else body.id


@page(BODY, act="page_body", right=READ)
async def body(visit: Visit, body_id: str) -> ASGIResponse:
    """Show what a body may join, the cheapest first, and how."""
    known = await _known(body_id)
    facts = _Facts(visit)
    visit.form = facts.form
    view: BodyOffers | None = None
    following = None
    if not facts.form.faults and (known.known or facts.given.kind is not None):
        try:
            view, following = await offers.of_body(
                visit.node,
                body_id,
                facts.given,
                by=visit.caller,
                limit=SHOWN,
                after=visit.parameter("after") or None,
                with_elsewhere=False,
            )
        except Invalid as error:
            facts.form.refuse_all(error.faults, visit.language, {f"?{name}": name for name in _FACTS})
    if view is not None:
        visit.operator_names = await operator_names.names_of(
            visit.node, {offer.origin for offer in view.offers}, by=visit.caller
        )
    kept = facts.kept
    return visit.page(
        "body.html",
        status=400 if facts.form.faults else 200,
        alternate=f"/v1/bodies/{body_id}/offers",
        feed=f"bodies/{body_id}",
        body=known,
        body_id=body_id,
        answer=view,
        groups=_groups(view) if view is not None else (),
        fields=_fields(known, view, facts.form),
        kinds=[(kind, _kind_words(visit, kind)) for kind in BODY_KINDS],
        kept=kept,
        following={**kept, "after": following} if following else None,
        is_later_page=bool(visit.parameter("after")),
    )


async def _known(body_id: str) -> PublicBody:
    """The body. Raises NotFound for an address that can name none."""
    try:
        return await bodies.get_body(body_id)
    except Invalid as error:
        raise NotFound(error.message) from error


@list_file(f"{BODY}/offers", act="page_body_file", right=READ)
async def body_file(visit: Visit, body_id: str) -> ASGIResponse:
    """Send the offers for a body as a spreadsheet."""
    await _known(body_id)
    view, following = await offers.of_body(
        visit.node, body_id, _Facts(visit).checked(), by=visit.caller, with_elsewhere=False
    )
    return await offers_file(visit, view, is_cut=following is not None)


@page(
    f"{BODY}/deliberation",
    act="page_deliberation",
    right=READ,
    endings={"txt": "text/plain", "odt": ODT},
)
async def deliberation_file(visit: Visit, body_id: str) -> ASGIResponse:
    """Send the text that a council votes to join an offer, with the names and the price filled in.

    As a plain text, or as a document that a text program edits.
    """
    await _known(body_id)
    facts = _Facts(visit)
    asked, document, answer = await offers.of_body_one(
        visit.node, body_id, visit.parameter("offer"), facts.checked(), by=visit.caller
    )
    content = document.content
    assert content is not None  # noqa: S101 - tombstones are not read
    title = in_language("fr", content.title)[0]
    text = deliberation(
        content.deliberation_template,
        title=title,
        operator=answer.origin,
        body=asked.body,
        price=price_words(answer.first_year, answer.following_years),
        date=date_text("fr", facts.day) if facts.day else BLANK,
    )
    name = f"deliberation-{answer.id.replace('/', '-')}"
    if visit.path.endswith(".odt"):
        made_at = instant(document.updated_at)
        body = await run_in_table_thread(odt_bytes, text, title, "fr-FR", made_at)
        return visit.file(body, ODT, f"{name}.odt")
    return visit.file(text.encode(), "text/plain", f"{name}.txt")


def price_words(first: Price, later: Price) -> str:
    """A price for the text that a council votes, in French; dots where it is not known."""
    if first.total_cents is None or later.total_cents is None:
        return BLANK
    if first.total_cents == later.total_cents:
        return "gratuit" if not first.total_cents else f"{_amount(first)} par an"
    return f"{_amount(first)} la première année, puis {_amount(later)} par an"


_VAT = {"excluded": " HT", "included": " TTC", "exempt": " (TVA non applicable)"}


def _amount(price: Price) -> str:
    assert price.total_cents is not None  # noqa: S101 - known prices only
    return money_text("fr", price.total_cents, price.currency or "EUR") + _VAT.get(price.vat or "", "")


class _Facts:
    """Facts about the body that the visitor typed into the small form of the page."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        fields: dict[str, list[str]] = {}
        for name, value in visit.pairs:
            if name in _FACTS:
                fields.setdefault(name, []).append(value)
        self.form = Form(fields)
        numbers = {name: number for name in NUMBERS if (number := self._number(name)) is not None}
        kind = next((kind for kind in BODY_KINDS if kind == self.form.value("kind")), None)
        departements = self.form.value("departement").replace(",", " ").upper().split()
        self.given = GivenFacts(kind=kind, departements=tuple(departements[:20]), **numbers)
        self.day = self._day()

    @property
    def kept(self) -> dict[str, str]:
        """The parameters for links to the same body."""
        return {name: value for name in _FACTS if (value := self.form.value(name))}

    def checked(self) -> GivenFacts:
        """The facts, for a page without the form. Raises Invalid."""
        if self.form.faults:
            raise Invalid(next(iter(self.form.faults.values()))[0])
        return self.given

    def _number(self, name: str) -> int | None:
        text = "".join(self.form.value(name).split())
        if not text:
            return None
        number = whole_number(text, MAX_NUMBER)
        if number is None:
            self.form.refuse(name, self._visit.text(_NOT_A_NUMBER, maximum=MAX_NUMBER))
        return number

    def _day(self) -> date | None:
        text = self.form.value("date")
        if not text:
            return None
        try:
            return day(text)
        except ValueError:
            self.form.refuse("date", self._visit.text(_NOT_A_DATE))
            return None


class OfferGroup(msgspec.Struct, frozen=True):
    """Offers of one state on the page."""

    state: Literal["open", "unknown", "not-open"]
    offers: tuple[OfferAnswer, ...]


def _groups(view: BodyOffers) -> tuple[OfferGroup, ...]:
    """The offers of a page by their state, in their order."""
    groups: dict[Literal["open", "unknown", "not-open"], list[OfferAnswer]] = {}
    for offer in view.offers:
        groups.setdefault(offer.state, []).append(offer)
    return tuple(OfferGroup(state, tuple(listed)) for state, listed in groups.items())


def _fields(body: PublicBody, view: BodyOffers | None, form: Form) -> list[tuple[str, str]]:
    """Name and label of the numbers that the form asks for: those that are missing, given or at fault."""
    return list(_shown_fields(body, view, form))


def _shown_fields(body: PublicBody, view: BodyOffers | None, form: Form) -> Iterator[tuple[str, str]]:
    missing = view.missing if view is not None else ("population", "agents")
    for name, label in NUMBER_FIELDS.items():
        is_known = view is None and name == "population" and body.population is not None
        if (name in missing and not is_known) or form.value(name) or name in form.faults:
            yield name, label


def _kind_words(visit: Visit, kind: str) -> str:
    return next(names[visit.language] for known, names in KIND_NAMES.items() if known == kind)


HANDLERS = (commune, body, body_file, deliberation_file)
