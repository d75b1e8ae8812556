"""The lines of a sheet, as values by field, with all that is wrong with each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from federation.domain.errors import Invalid
from federation.domain.formats.sheets.cells import Cell, CellFault, Row
from federation.domain.formats.sheets.values import CellProblem, Guess, is_nothing, read_text
from federation.domain.messages import Message
from federation.domain.sources.reading import ReadingFault

MAX_READING_FAULTS = 1_000
"""Faults of one file that are listed; further ones are counted."""
COLUMN_TEMPLATE = "column {column}: {problem}"

T = TypeVar("T")


class Faults:
    """The faults of a file: listed up to a bound, then counted."""

    def __init__(self) -> None:
        self.listed: list[ReadingFault] = []
        self.more = 0

    def __len__(self) -> int:
        return len(self.listed) + self.more

    def add(self, place: str, message: Message, member: str | None = None) -> None:
        if len(self.listed) < MAX_READING_FAULTS:
            self.listed.append(ReadingFault(place, message, member))
        else:
            self.more += 1

    def refusal(self, place: str, error: Invalid) -> None:
        """Add each fault of a refusal, with its member."""
        for fault in error.faults:
            self.add(place, fault.message, fault.pointer.removeprefix("/content").removeprefix("/") or None)
        if not error.faults:
            self.add(place, error.message)
        self.more += error.more

    def all(self) -> tuple[ReadingFault, ...]:
        if not self.more:
            return tuple(self.listed)
        message = Message("{count} more faults are not listed", {"count": self.more})
        return (*self.listed, ReadingFault("", message))


class Line:
    """One line: its cells by field."""

    def __init__(
        self,
        row: Row,
        fields: Mapping[int, str],
        heads: Mapping[str, str],
        fixed: Mapping[str, str],
        words: Mapping[str, Mapping[str, str]],
        faults: Faults,
    ) -> None:
        self.place = row.place
        self.number = row.line
        self.cells: dict[str, Cell] = dict(fixed)
        for column, field in fields.items():
            cell = row.cells[column] if column < len(row.cells) else ""
            if field in words and isinstance(cell, str):
                cell = words[field].get(cell.casefold(), cell)
            if isinstance(cell, CellFault) or not is_nothing(cell):
                self.cells[field] = cell
        self.heads = heads
        self.faults = faults
        self.is_sound = True
        self.notes: list[str] = []
        """Members that got a default, and values that were interpreted."""

    def has(self, field: str) -> bool:
        """True where the line has a value of the field, whatever it is."""
        return field in self.cells

    def read(self, field: str, reader: Callable[[Cell], T | Guess]) -> T | None:
        """The value of a field; None where it has none, and where it is at fault."""
        if field not in self.cells:
            return None
        cell = self.cells[field]
        try:
            if isinstance(cell, CellFault):
                read_text(cell)  # (raises)
            found = reader(cell)
        except CellProblem as problem:
            self.fail(problem.message, field)
            return None
        if isinstance(found, Guess):
            self.notes.append(found.note)
            value: T = found.value
            return value
        return found

    def fail(self, message: Message, field: str | None = None) -> None:
        """Note a fault: the line makes no record."""
        self.is_sound = False
        head = self.heads.get(field) if field else None
        if head is not None:
            message = Message(COLUMN_TEMPLATE, {"column": head, "problem": message})
        self.faults.add(self.place, message, field)

    def need(self, field: str, value: T | None) -> T | None:
        """The value; where there is none, and no fault of it was noted, that is a fault."""
        if value is None and field not in self.cells:
            self.fail(Message("the line has no {field}", {"field": field}), field)
        return value

    def default(self, content: dict[str, Any], member: str, value: Any, standard: Any) -> None:
        """Set a member, to its default where the line has no value for it."""
        if value is None:
            self.notes.append(member)
        content[member] = standard if value is None else value
