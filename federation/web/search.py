"""Search in everything that has a page, grouped by type."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from litestar.response.base import ASGIResponse

from federation.domain.query import MAX_WORDS_CHARACTERS
from federation.domain.registry import TYPES
from federation.domain.words import search_words
from federation.node import operator_names
from federation.node import search as searches
from federation.web.entries import Entry, decode_rows
from federation.web.forms import Form
from federation.web.language import screen_text as t
from federation.web.pages import page
from federation.web.visit import Visit

OF_EACH = 5
"""Records of each type that are shown."""
SEARCHED = (
    ("solution", t("Solutions")), ("offer", t("Offers")), ("practice", t("Practices")),
    ("consultation", t("Consultations")), ("purchase", t("Joint purchases")), ("incident", t("Incidents")),
    ("meeting", t("Meetings")), ("operator", t("Operators")),
)  # fmt: skip
"""Types in the order of their groups. Deployments have a list of their own to search in."""
WITHOUT_PAGE = frozenset({"offer"})
"""Types whose records are shown on the page of their solution."""


class FoundRow(msgspec.Struct, frozen=True):
    """The members of a record that a line of results shows."""

    name: str | None = None
    title: dict[str, str] | None = None
    summary: dict[str, str] | None = None
    solution: str | None = None


class Group(NamedTuple):
    """The records found of one type."""

    type: str
    title: str
    plural: str
    entries: list[Entry[Any]]
    total: int


@page("/search", act="page_search")
async def search(visit: Visit) -> ASGIResponse:
    """Search in what the visitor may see."""
    asked = visit.parameter("q").strip()
    form = Form({"q": [asked]} if asked else {})
    words = search_words(asked) if len(asked) <= MAX_WORDS_CHARACTERS else ""
    if len(asked) > MAX_WORDS_CHARACTERS:
        form.refuse("q", visit.text("At most %(maximum)s characters.", maximum=MAX_WORDS_CHARACTERS))
    elif asked and not words:
        form.refuse("q", visit.text("There is no word in this to search for."))
    if not words:
        return visit.page("search.html", status=400 if form.faults else 200, form=form, groups=None)
    types = [name for name, _ in SEARCHED if visit.session is None or visit.may(f"{TYPES[name].plural}.read")]
    found = await searches.search_all(visit.node, words, types, OF_EACH, by=visit.caller)
    groups = [
        Group(name, title, TYPES[name].plural, decode_rows(FoundRow, part.documents), part.total)
        for name, title in SEARCHED
        if (part := found.by_type.get(name)) is not None
    ]
    visit.operator_names = await operator_names.names_of(
        visit.node, {entry.origin for group in groups for entry in group.entries}, by=visit.caller
    )
    return visit.page(
        "search.html",
        form=form,
        groups=groups,
        is_cut=found.is_cut,
        suggestion=found.suggestion,
        without_page=WITHOUT_PAGE,
    )


HANDLERS = (search,)
