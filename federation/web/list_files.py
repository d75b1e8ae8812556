"""Lists as files: the whole filtered list as CSV, XLSX or ODS, up to a bound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from federation.domain.formats.tables import BY_ENDING, FORMS, MAX_ROWS
from federation.domain.query import MAX_PAGE
from federation.domain.record_content import Content
from federation.edge.operations import Right
from federation.edge.table_files import run_in_table_thread, write_table
from federation.node import search
from federation.web.entries import Entry, decoder
from federation.web.language import screen_text as t
from federation.web.language import translate_number
from federation.web.listing import Filter, read_filters
from federation.web.pages import Function, page
from federation.web.visit import Visit

_CUT = t("This file ends after %(rows)s rows. There are more: narrow the list by its filters.")


class Column(NamedTuple):
    """A column of a file."""

    label: str
    """A text of the screen."""
    value: Callable[[Visit, Entry[Any]], object]
    """The text or the number of a row."""


def list_file(path: str, *, act: str, right: Right) -> Callable[[Function], HTTPRouteHandler]:
    """The route handler of the files of a page, one for each form: ``/solutions`` has ``/solutions.ods``.

    The function below it answers with ``listing_file`` or ``file_answer``.
    """
    return page(path, act=act, right=right, endings={form.ending: form.media_type for form in FORMS})


async def listing_file(
    visit: Visit,
    kind: type[Content],
    row: type,
    filters: Sequence[Filter],
    columns: Sequence[Column],
    *,
    narrowed: Sequence[tuple[str, str]] = (),
) -> ASGIResponse:
    """The file of a list. Raises Invalid for a filter that is at fault."""
    query = read_filters(visit, kind, filters, narrowed)
    decode = decoder(row).decode

    def lines(documents: Sequence[bytes]) -> list[list[object]]:
        return [[column.value(visit, decode(document)) for column in columns] for document in documents]

    rows: list[list[object]] = []
    after, not_understood = None, 0
    while len(rows) < MAX_ROWS:
        # A page at a time, so that others have their turn between.
        query = msgspec.structs.replace(query, after=after, limit=min(MAX_PAGE, MAX_ROWS - len(rows)))
        listed = (await search.search(visit.node, query, by=visit.caller)).listed
        rows += await run_in_table_thread(lines, listed.documents)
        after, not_understood = listed.page_key, not_understood or listed.not_understood
        if after is None:
            break
    if not_understood:
        rows.append([_not_understood(visit, not_understood), *[None] * (len(columns) - 1)])
    head = [column.label for column in columns]
    return await file_answer(visit, kind.plural, head, rows, is_cut=after is not None)


def _not_understood(visit: Visit, number: int) -> str:
    return translate_number(
        visit.language,
        "%(num)s more is not understood by this version and not shown",
        "%(num)s more are not understood by this version and not shown",
        number,
    ) % {"num": number}


async def file_answer(
    visit: Visit,
    name: str,
    labels: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    is_cut: bool,
    cut: str = _CUT,
) -> ASGIResponse:
    """A file of rows that are made already, in the form that the address ends with.

    ``labels``: texts of the screen. ``cut``: the text of its last line where there are more.
    """
    form = BY_ENDING[visit.path.rpartition(".")[2]]
    if is_cut:
        rows = [*rows, [visit.text(cut, rows=MAX_ROWS), *[None] * (len(labels) - 1)]]
    body = await write_table(form, name, [visit.text(label) for label in labels], rows)
    return visit.file(body, form.media_type, f"{name}.{form.ending}")
