"""Solutions: what is shared, who runs it and for how many, and what is known to be wrong with it."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
from litestar.response.base import ASGIResponse

from federation.domain.content.solution import DevelopmentStatus, Solution, SolutionKind
from federation.edge.operations import Right
from federation.node import uses
from federation.web.entries import Entry, decoder
from federation.web.language import screen_text as t
from federation.web.list_files import Column, list_file, listing_file
from federation.web.listing import Filter, list_answer, read_listing, value_words
from federation.web.offer_lines import OfferRow
from federation.web.pages import page
from federation.web.records import open_record, source_among
from federation.web.rendering import in_language
from federation.web.theme_names import THEME_NAMES
from federation.web.visit import Visit

READ = Right("solutions.read", open=True)
MAX_RELEASES = 20
"""Releases that the page of a solution shows, at most: those that the record has last."""


class SolutionRow(msgspec.Struct, frozen=True):
    """The members of a solution that the list shows."""

    name: str
    summary: dict[str, str]
    kind: str
    status: str
    licence: str
    themes: tuple[str, ...]


FILTERS = (
    Filter("q", t("Words")),
    Filter("theme", t("Theme"), values=tuple(sorted(THEME_NAMES)), kind="theme"),
    Filter("kind", t("Kind"), values=get_args(SolutionKind), kind="solution_kind"),
    Filter("status", t("State of development"), values=get_args(DevelopmentStatus), kind="development"),
    Filter("licence", t("Licence"), hint=t("for example GPL-3.0-or-later")),
    Filter("origin", t("Operator"), hint=t("its identifier, for example arnia")),
)
COLUMNS = (
    Column(t("Name"), lambda visit, entry: entry.content.name),
    Column(t("Summary"), lambda visit, entry: in_language(visit.language, entry.content.summary)[0]),
    Column(t("Kind"), lambda visit, entry: value_words(visit, "solution_kind", entry.content.kind)),
    Column(
        t("State of development"),
        lambda visit, entry: value_words(visit, "development", entry.content.status),
    ),
    Column(t("Licence"), lambda visit, entry: entry.content.licence),
    Column(
        t("Themes"),
        lambda visit, entry: ", ".join(value_words(visit, "theme", theme) for theme in entry.content.themes),
    ),
    Column(t("Operator"), lambda visit, entry: entry.origin),
    Column(t("Identifier"), lambda visit, entry: entry.id),
    Column(t("Updated"), lambda visit, entry: entry.updated_at),
)


@page("/solutions", act="page_solutions", right=READ)
async def solutions(visit: Visit) -> ASGIResponse:
    """List solutions."""
    return list_answer(visit, "solutions.html", await read_listing(visit, Solution, SolutionRow, FILTERS))


@list_file("/solutions", act="page_solutions_file", right=READ)
async def solutions_file(visit: Visit) -> ASGIResponse:
    """The list of solutions as a file."""
    return await listing_file(visit, Solution, SolutionRow, FILTERS, COLUMNS)


@page("/solutions/{origin:str}/{key:str}", act="page_solution", right=READ)
async def solution(visit: Visit, origin: str, key: str) -> ASGIResponse:
    """Show what a solution is, who runs it and offers it, and whether it is sound."""
    read = await uses.of_solution(visit.node, origin, key, by=visit.caller)
    entry = await open_record(visit, Solution, origin, key, stored=read.stored)
    if not isinstance(entry, Entry):
        return entry
    visit.operator_names = read.names
    return visit.page(
        "solution.html",
        alternate=f"/v1/solutions/{origin}/{key}",
        feed=f"solutions/{entry.id}" if entry.tlp == "CLEAR" else None,
        entry=entry,
        source=source_among(read.sources, entry),
        use=read.use,
        offers=tuple(map(decoder(OfferRow).decode, read.use.offers)),
        steward=_steward(entry.content.steward),
        releases=entry.content.releases[-MAX_RELEASES:][::-1],
    )


def _steward(steward: Any) -> str:
    """The name of a steward, which may be a text or an organisation."""
    return steward if isinstance(steward, str) else getattr(steward, "name", None) or ""


HANDLERS = (solutions, solutions_file, solution)
