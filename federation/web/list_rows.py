"""Rows of lists, rendered once for each revision of a record.

1. A row is made by a macro of ``templates/rows.html`` from the record alone, in one language and time zone.
2. What depends on more is left open in it: the name of the operator, and ages. Each visit fills that in.
3. Rows are stored by the document of their record. A revised record has another document, so its row is made
   anew.

A list shows the rows of the documents that its query found: the query decides what a visitor may see.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

from markupsafe import Markup, escape

from federation.web.entries import Entry, decoder
from federation.web.formatting import age_text
from federation.web.rendered import RenderedParts
from federation.web.rendering import as_moment, macro, moment_element
from federation.web.visit import Visit

R = TypeVar("R")

MAX_STORED_BYTES = 8 * 1_048_576
"""Bytes of rows that a process stores, at most: some ten thousand."""
_OPEN = Markup("<open>")
"""The mark of what is left open. Texts of records are escaped, so none has it."""


class Row(NamedTuple, Generic[R]):
    """A row as a visit sees it."""

    entry: Entry[R]
    html: str


class _Rendered(NamedTuple):
    """A row with gaps between its parts: for an age a moment, for the name of the operator None."""

    entry: Entry[Any]
    parts: tuple[str, ...]
    gaps: tuple[datetime | None, ...]


_stored: RenderedParts[_Rendered] = RenderedParts(MAX_STORED_BYTES)


class RowsReader(Generic[R]):
    """Reads the rows of a list. ``shape``: the members that they show; ``name``: the macro of a row."""

    def __init__(self, visit: Visit, shape: type[R], name: str) -> None:
        self._visit, self._shape, self._name = visit, shape, name
        self._rendered: list[_Rendered] = []

    def read(self, documents: Iterable[bytes]) -> set[str]:
        """Read documents; the operators that their rows name."""
        language, zone, name = self._visit.language, self._visit.node.time_zone, self._name
        for document in documents:
            source = (document, name, language, zone)
            if (rendered := _stored.get(source)) is None:
                rendered = _render(self._visit, self._shape, name, document)
                _stored.add(source, rendered, len(document) + sum(map(len, rendered.parts)))
            self._rendered.append(rendered)
        return {rendered.entry.origin for rendered in self._rendered}

    def rows(self) -> tuple[Row[R], ...]:
        """The rows, with the names of operators that the visit knows by now."""
        language, now = self._visit.language, self._visit.now
        names = {
            origin: str(escape(self._visit.operator_name(origin)))
            for origin in {rendered.entry.origin for rendered in self._rendered}
        }
        rows = []
        for entry, parts, gaps in self._rendered:
            html = parts[0]
            for gap, part in zip(gaps, parts[1:], strict=True):
                html += (names[entry.origin] if gap is None else age_text(language, gap, now)) + part
            rows.append(Row(entry, html))
        return tuple(rows)


def _render(visit: Visit, shape: Any, name: str, document: bytes) -> _Rendered:
    entry: Entry[Any] = decoder(shape).decode(document)
    language, zone = visit.language, visit.node.time_zone
    gaps: list[datetime | None] = []

    def operator() -> Markup:
        gaps.append(None)
        return _OPEN

    def age(value: str) -> Markup:
        gaps.append(as_moment(value))
        return moment_element(language, zone, value, _OPEN)

    def moment(value: str) -> Markup:
        return moment_element(language, zone, value)

    html = macro(language, "rows.html", name)(entry, operator, moment, age)
    return _Rendered(entry, tuple(str(html).split(_OPEN)), tuple(gaps))
