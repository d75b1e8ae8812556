"""Coverage: where solutions are in use, as a table by département and as a map.

The table is the complete answer. The map is its picture: of metropolitan France alone, and each of its areas
has its number in words.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from litestar.response.base import ASGIResponse

from federation.domain.exposure.by_departement import Share
from federation.domain.territories.map import HEIGHT, WIDTH, departements
from federation.domain.values import ID_PATTERN, OPERATOR_PATTERN
from federation.edge.operations import Right
from federation.node import coverage as counts
from federation.web.forms import Form
from federation.web.language import screen_text as t
from federation.web.list_files import file_answer, list_file
from federation.web.pages import page
from federation.web.visit import Visit

READ = Right("deployments.read", open=True)
CLASSES = (0, 1, 25, 50, 75)
"""Percent of the inhabitants from which on a département has the next of the five shades."""
_PATTERNS = {"solution": ID_PATTERN, "operator": OPERATOR_PATTERN}
_COLUMNS = (
    t("Département"), t("Code"), t("Communes"), t("of"), t("Groupings of communes"), t("Inhabitants served"),
    t("Share of the inhabitants, in percent"), t("Operators"),
)  # fmt: skip


class Row(NamedTuple):
    """A département in the table and on the map."""

    name: str
    path: str
    """Its outline; empty where the map does not have it."""
    share: Share
    operators: int
    shade: int


@page("/coverage", act="page_coverage", right=READ)
async def coverage(visit: Visit) -> ASGIResponse:
    """Show where solutions are in use."""
    form = _form(visit)
    if form.faults:
        return visit.page("coverage.html", status=400, form=form, found=None)
    found = await _count(visit, form)
    return visit.page(
        "coverage.html",
        form=form,
        found=found,
        rows=_rows(found),
        width=WIDTH,
        height=HEIGHT,
        classes=CLASSES,
    )


@list_file("/coverage", act="page_coverage_file", right=READ)
async def coverage_file(visit: Visit) -> ASGIResponse:
    """The table as a file."""
    form = _form(visit)
    if form.faults:
        return visit.page("coverage.html", status=400, form=form, found=None)
    rows = [
        (
            row.name, row.share.code, row.share.communes, row.share.all_communes, row.share.epci,
            row.share.inhabitants, row.share.percent, row.operators,
        )
        for row in _rows(await _count(visit, form))
    ]  # fmt: skip
    return await file_answer(visit, "coverage", _COLUMNS, rows, is_cut=False)


def _form(visit: Visit) -> Form:
    """The filters, with the faults of those that can name nothing."""
    form = Form({name: [value] for name in _PATTERNS if (value := visit.parameter(name))})
    for name, pattern in _PATTERNS.items():
        if form.value(name) and not re.search(pattern, form.value(name)):
            form.refuse(name, visit.text("This is no identifier. An example is above."))
    return form


async def _count(visit: Visit, form: Form) -> counts.Coverage:
    return await counts.of(
        visit.node, solution=form.value("solution"), operator=form.value("operator"), by=visit.caller
    )


def _rows(found: counts.Coverage) -> list[Row]:
    shares = {share.code: share for share in found.departements}
    return [
        Row(
            shape.name,
            shape.path,
            shares[shape.code],
            found.operators.get(shape.code, 0),
            sum(shares[shape.code].percent >= least for least in CLASSES) - 1,
        )
        for shape in departements()
        if shape.code in shares
    ]


HANDLERS = (coverage, coverage_file)
