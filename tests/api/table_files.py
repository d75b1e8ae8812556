"""Reading the files of lists as a spreadsheet reads them."""

from __future__ import annotations

import csv
import io

import httpx2
from python_calamine import load_workbook

MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
}


def rows_of(answer: httpx2.Response, form: str) -> list[list[str]]:
    """The cells of a file as texts; checks its status and media type."""
    assert answer.status_code == 200, answer.text[:600]
    assert answer.headers["content-type"] == MEDIA_TYPES[form]
    assert answer.headers["content-disposition"].endswith(f'.{form}"')
    if form == "csv":
        return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    sheet = load_workbook(io.BytesIO(answer.content)).get_sheet_by_index(0)
    return [[_text(cell) for cell in row] for row in sheet.to_python(skip_empty_area=False)]


def _text(cell: object) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
