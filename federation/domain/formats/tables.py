"""A table as a file of any of the forms that spreadsheets read: CSV, XLSX, ODS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from federation.domain.formats.csv_tables import csv_bytes
from federation.domain.formats.ods_tables import MEDIA_TYPE as ODS
from federation.domain.formats.ods_tables import ods_bytes
from federation.domain.formats.xlsx_tables import xlsx_bytes

Rows = Iterable[Sequence[object]]
CSV = "text/csv"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MAX_ROWS = 5_000
"""Rows of one file, at most. The slowest form takes half a second of a core for them (decision 0064)."""


class TableForm(NamedTuple):
    """A form of a table, by the ending of its file's name."""

    ending: str
    media_type: str
    write: Callable[[str, Sequence[str], Rows], bytes]
    """Takes the name of the table, its head and its rows."""


def _csv(name: str, head: Sequence[str], rows: Rows) -> bytes:
    return csv_bytes(head, rows)


FORMS: tuple[TableForm, ...] = (
    TableForm("csv", CSV, _csv),
    TableForm("xlsx", XLSX, xlsx_bytes),
    TableForm("ods", ODS, ods_bytes),
)
"""In the order in which pages offer them."""
BY_ENDING: dict[str, TableForm] = {form.ending: form for form in FORMS}
