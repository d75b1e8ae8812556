"""A sheet as rows of cells, whatever file it is from, and the bounds that hold for every file."""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime
from typing import Literal

import msgspec

from federation.domain.canonical import FORBIDDEN_CHARACTERS
from federation.domain.messages import Message

MAX_FILE_BYTES = 16 * 1_048_576
"""Bytes of a file."""
MAX_ROWS = 20_000
"""Rows of a sheet, its head among them, up to the last one that is not empty."""
MAX_COLUMNS = 256
"""Columns of a sheet, up to the last one that is not empty."""
MAX_CELLS = 500_000
"""Rows times columns: empty cells between others take memory, too."""
MAX_CELL_CHARACTERS = 32_767
"""Characters of a cell: as many as spreadsheet programs store."""
MAX_CHARACTERS = 16_000_000
"""Characters of all cells of a sheet: a file may name one long text in many cells."""

FORMULA = Message("the cell has a formula; put its value there as text or number")
ERROR_TEMPLATE = "the cell has the error {error} of a formula"

_ERRORS = re.compile(
    r"#(?:REF|VALUE|VALEUR|NAME|NOM|DIV/0|NULL|NUL|NUM|NOMBRE|N/A|SPILL|CALC|FIELD|BLOCKED|GETTING_DATA)[!?]?"
    r"|(?:Err|Erreur) ?:[0-9]{3}"
)
_INVISIBLE = re.compile(f"{FORBIDDEN_CHARACTERS}|[\ud800-\udfff]")
_SPACES = str.maketrans(dict.fromkeys("\u00a0\u202f\u2007\u2009", " "))
_DEFUSED = re.compile(r"'(?=[=+\-@])")
"""The apostrophe that lists of this program put before a sign that a spreadsheet would compute."""


class CellFault(msgspec.Struct, frozen=True):
    """A cell without a value that can be used: a formula, or the error of one."""

    message: Message


Cell = str | int | float | bool | date | datetime | CellFault
"""The value of a cell; an empty text where there is none."""


class Row(msgspec.Struct, frozen=True):
    """The cells of one row."""

    line: int
    """Its number in the file, from 1; in CSV that of the line on which it begins."""
    cells: tuple[Cell, ...]

    @property
    def place(self) -> str:
        """The row as reports name it."""
        return f"line {self.line}"


class Sheet(msgspec.Struct, frozen=True):
    """The rows of a file that are not empty."""

    form: Literal["csv", "xlsx", "ods"]
    rows: tuple[Row, ...]
    name: str | None = None
    """The name of the sheet; None in CSV."""
    names: tuple[str, ...] = ()
    """The visible sheets of the file."""
    encoding: str | None = None
    separator: str | None = None


def clean_text(text: str) -> str:
    """The text in Unicode normal form C, without invisible characters and spaces at its ends."""
    if text.isascii() and text.isprintable():
        return text.strip()
    text = text.translate(_SPACES).replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", _INVISIBLE.sub("", text)).strip()


def text_cell(text: str) -> str | CellFault:
    """The cell that a text of a file is."""
    text = clean_text(text)
    if text.startswith("="):
        return CellFault(FORMULA)
    if _ERRORS.fullmatch(text):
        return CellFault(Message(ERROR_TEMPLATE, {"error": text}))
    return _DEFUSED.sub("", text, count=1) if text.startswith("'") else text


def without_empty_end(cells: list[Cell]) -> list[Cell]:
    """The cells up to the last one that is not empty."""
    length = len(cells)
    while length and cells[length - 1] == "":
        length -= 1
    return cells[:length]
