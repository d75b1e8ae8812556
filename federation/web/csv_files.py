"""Lists as CSV: the whole filtered list, up to a bound.

The form is RFC 4180: commas, CR LF, quotes doubled; UTF-8 with a byte order mark, without which spreadsheets
take it for another encoding.

A spreadsheet computes what begins with ``=``, ``+``, ``-`` or ``@``, also behind white space, and so a text
of another operator could call an address or a program. Such a text gets an apostrophe in front (OWASP, CSV
injection). So does what follows a semicolon, a tab or a line break inside a text: where a spreadsheet
separates by semicolons, as in France, a new cell begins there.

- A telephone number (``+33 1 23 45 67 89``) is a text, and gets the apostrophe like any other: a spreadsheet
  would drop its ``+`` or add it up.
- A number that the program wrote, negative ones too, is not quoted and stays a number.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from litestar.response.base import ASGIResponse

from federation.domain.query import MAX_PAGE
from federation.domain.record_content import Content
from federation.node import records
from federation.web.language import screen_text as t
from federation.web.listing import Entry, Filter, decoder, read_filters
from federation.web.visit import Visit

CSV = "text/csv"
MAX_CSV_ROWS = 5_000
"""Rows of one file, at most; the last line says when there are more."""
_BEGINNING = re.compile("(?:^|[;\\s\ufeff])[;\\s\ufeff]*+[=+\\-@\uff0b\uff1d\uff0d\uff20]?")
"""Where a cell may begin, and the sign with which it is computed; the last four signs are in full width. It
takes all white space at once and never fails, so that a text is read in one pass."""
_SIGNS = frozenset("=+-@\uff0b\uff1d\uff0d\uff20")
_SEPARATORS = frozenset(";\t\r\n")
_CUT = t("This file ends after %(rows)s rows. There are more: narrow the list by its filters.")


class Column(NamedTuple):
    """A column of a file."""

    label: str
    """A text of the screen."""
    value: Callable[[Visit, Entry[Any]], object]
    """The text or the number of a row."""


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
    query = msgspec.structs.replace(read_filters(visit, kind, filters, narrowed), limit=MAX_PAGE)
    decode = decoder(row).decode
    written: list[list[object]] = []
    after = None
    for _ in range(MAX_CSV_ROWS // MAX_PAGE):
        # A page at a time, so that others have their turn between.
        query = msgspec.structs.replace(query, after=after)
        documents, after, _ = await records.collect(visit.node, query, by=visit.caller)
        written += [[column.value(visit, decode(document)) for column in columns] for document in documents]
        if after is None:
            break
    return file_answer(visit, kind.plural, columns, written, is_cut=after is not None)


def file_answer(
    visit: Visit, name: str, columns: Sequence[Column], rows: Iterable[Sequence[object]], *, is_cut: bool
) -> ASGIResponse:
    """A file of rows that are made already."""
    body = csv_bytes([visit.text(column.label) for column in columns], rows)
    if is_cut:
        last = [visit.text(_CUT, rows=MAX_CSV_ROWS), *[""] * (len(columns) - 1)]
        body += csv_bytes(last, ()).removeprefix("\ufeff".encode())
    return visit.file(body, CSV, f"{name}.csv")


def csv_bytes(head: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Rows as CSV, with their head."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(map(safe_cell, head))
    writer.writerows(map(safe_cell, row) for row in rows)
    return ("\ufeff" + text.getvalue()).encode()


def safe_cell(value: object) -> object:
    """A cell that no spreadsheet computes."""
    if value is None:
        return ""
    if isinstance(value, int | float):
        return value
    return _BEGINNING.sub(_quote, str(value))


def _quote(match: re.Match[str]) -> str:
    beginning = match[0]
    is_computed = beginning[-1:] in _SIGNS
    if match.start() == 0 and (is_computed or beginning[:1] in _SEPARATORS - {";"}):
        return f"'{beginning}"
    if is_computed and not _SEPARATORS.isdisjoint(beginning):
        return f"{beginning[:-1]}'{beginning[-1]}"
    return beginning
