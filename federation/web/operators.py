"""Operators: who they are, whom to call, what they run and what they offer."""

from __future__ import annotations

import msgspec
from litestar.response.base import ASGIResponse

from federation.domain.content.operator import Operator
from federation.domain.content.solution import Solution
from federation.domain.query import PAGE, Query
from federation.domain.territories.map import territory_name
from federation.edge.operations import Right
from federation.node import records, uses
from federation.web.entries import Entry, decoder
from federation.web.language import screen_text as t
from federation.web.list_files import Column, list_file, listing_file
from federation.web.listing import Filter, list_answer, read_listing
from federation.web.offer_lines import offers_of
from federation.web.pages import page
from federation.web.records import open_record, source_of
from federation.web.solutions import SolutionRow
from federation.web.visit import Visit

READ = Right("operators.read", open=True)


class IdentifierRow(msgspec.Struct, frozen=True):
    """A number in a register."""

    scheme: str
    value: str


class OperatorRow(msgspec.Struct, frozen=True):
    """The members of an operator that the list shows."""

    name: str
    country: str
    territory: tuple[str, ...]
    contact: str
    security_contact: str
    identifiers: tuple[IdentifierRow, ...] = ()
    homepage: str | None = None
    telephone: str | None = None
    security_telephone: str | None = None

    @property
    def territories(self) -> str:
        """The names of its territories."""
        return ", ".join(map(territory_name, self.territory))


FILTERS = (
    Filter("q", t("Words")),
    Filter("territory", t("Territory"), hint=t("its code, for example 71 or FR-BFC")),
)
COLUMNS = (
    Column(t("Name"), lambda visit, entry: entry.content.name),
    Column(t("Territory"), lambda visit, entry: entry.content.territories),
    Column(t("Contact"), lambda visit, entry: entry.content.contact),
    Column(t("Telephone"), lambda visit, entry: entry.content.telephone),
    Column(t("Security contact"), lambda visit, entry: entry.content.security_contact),
    Column(t("Security telephone"), lambda visit, entry: entry.content.security_telephone),
    Column(t("Web site"), lambda visit, entry: entry.content.homepage),
    Column(t("Identifier"), lambda visit, entry: entry.origin),
)


@page("/operators", act="page_operators", right=READ)
async def operators(visit: Visit) -> ASGIResponse:
    """List operators."""
    return list_answer(visit, "operators.html", await read_listing(visit, Operator, OperatorRow, FILTERS))


@list_file("/operators", act="page_operators_file", right=READ)
async def operators_file(visit: Visit) -> ASGIResponse:
    """The list of operators as a file."""
    return await listing_file(visit, Operator, OperatorRow, FILTERS, COLUMNS)


@page("/operators/{operator:str}", act="page_operator", right=READ)
async def operator(visit: Visit, operator: str) -> ASGIResponse:
    """Show who an operator is, whom to call there, and what it shares, runs and offers."""
    entry = await open_record(visit, Operator, operator, operator, row=OperatorRow)
    if not isinstance(entry, Entry):
        return entry
    query = Query(kind=Solution, facets=(("origin", (operator,)),), limit=PAGE, sort="id")
    documents, more, _ = await records.collect(visit.node, query, by=visit.caller)
    solutions = [decoder(SolutionRow).decode(document) for document in documents]
    runs, more_runs = await uses.of_operator(visit.node, operator, by=visit.caller)
    return visit.page(
        "operator.html",
        alternate=f"/v1/operators/{operator}/{operator}",
        feed=f"operators/{operator}" if entry.tlp == "CLEAR" else None,
        entry=entry,
        source=await source_of(visit, entry),
        solutions=solutions,
        more_solutions=more is not None,
        names={solution.id: solution.content.name for solution in solutions},
        runs=runs[:PAGE],
        more_runs=more_runs or len(runs) > PAGE,
        offers=await offers_of(visit, origin=operator),
    )


HANDLERS = (operators, operators_file, operator)
