"""The part of a sheet that has values, counted before a library reads it."""

from __future__ import annotations

from typing import NamedTuple

from federation.domain.errors import Invalid
from federation.domain.formats.sheets.cells import (
    MAX_CELL_CHARACTERS,
    MAX_CELLS,
    MAX_CHARACTERS,
    MAX_COLUMNS,
    MAX_ROWS,
)
from federation.domain.messages import Message


class Position(NamedTuple):
    """A cell by its row and its column, both from 0."""

    row: int
    column: int


class SheetSize:
    """Rows, columns and characters of a sheet so far. Raises Invalid as soon as a bound is passed."""

    def __init__(self) -> None:
        self.rows = 0
        self.columns = 0
        self.characters = 0
        self.faults: dict[Position, Message] = {}
        """Formulas, and the errors of formulas."""

    def add(self, position: Position, characters: int, *, rows: int = 1, columns: int = 1) -> None:
        """Count a cell with a value, or so many equal ones."""
        line = position.row + 1
        self.rows = max(self.rows, position.row + rows)
        self.columns = max(self.columns, position.column + columns)
        if self.rows > MAX_ROWS:
            raise Invalid("the sheet has more than {maximum} rows: divide the file", maximum=MAX_ROWS)
        if self.columns > MAX_COLUMNS:
            raise Invalid("line {line} has more than {maximum} columns", line=line, maximum=MAX_COLUMNS)
        if self.rows * self.columns > MAX_CELLS:
            raise Invalid("the sheet has more than {maximum} cells: divide the file", maximum=MAX_CELLS)
        if characters > MAX_CELL_CHARACTERS:
            raise Invalid(
                "line {line} has a cell of more than {maximum} characters",
                line=line,
                maximum=MAX_CELL_CHARACTERS,
            )
        self.characters += characters * rows * columns
        if self.characters > MAX_CHARACTERS:
            raise Invalid(
                "the sheet has more than {maximum} characters: divide the file", maximum=MAX_CHARACTERS
            )
