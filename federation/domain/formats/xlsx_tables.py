"""Tables as XLSX (Office Open XML), written by XlsxWriter with formulas, links and numbers in texts off.

The same rows are the same bytes, whenever they are written, so that a file has an ETag.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from datetime import datetime

from federation.domain.formats.typed_cells import looks_computed, typed_cell

_OPTIONS = {
    "in_memory": True,  # no file on the disk of a node
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
}
_CREATED = datetime(2000, 1, 1)  # noqa: DTZ001 - XlsxWriter takes moments in UTC, without their zone
MAX_WIDTH_CHARACTERS = 60
MAX_NAME_CHARACTERS = 31
"""Characters of the name of a sheet, at most."""


def xlsx_bytes(name: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Rows as XLSX, with their head. ``name``: of the sheet; letters, digits and hyphens."""
    from xlsxwriter import Workbook  # here: most processes never write a spreadsheet

    stream = io.BytesIO()
    with Workbook(stream, _OPTIONS) as book:
        book.set_properties({"created": _CREATED})
        sheet = book.add_worksheet(name[:MAX_NAME_CHARACTERS])
        sheet.freeze_panes(1, 0)
        bold, quoted = book.add_format({"bold": True}), book.add_format({"quote_prefix": True})
        widths = [len(label) for label in head]
        for column, label in enumerate(head):
            sheet.write_string(0, column, _plain(str(typed_cell(label))), bold)
        for line, row in enumerate(rows, 1):
            for column, value in enumerate(map(typed_cell, row)):
                if not isinstance(value, str):
                    sheet.write_number(line, column, value)
                elif value:
                    text = _plain(value)
                    sheet.write_string(line, column, text, quoted if looks_computed(text) else None)
                    widths[column] = max(widths[column], len(value))
        for column, width in enumerate(widths):
            sheet.set_column(column, column, min(width, MAX_WIDTH_CHARACTERS) + 2)
    return stream.getvalue()


def _plain(text: str) -> str:
    """A text that XlsxWriter escapes; it writes what looks like its own rich texts as XML, as it is."""
    return f"{text} " if text.startswith("<r>") and text.endswith("</r>") else text
