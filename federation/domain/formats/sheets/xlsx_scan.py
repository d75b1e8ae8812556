"""A sheet of an XLSX file before the library reads it: its size, its formulas, and the errors of formulas.

The library allocates rows times columns, copies a shared text into each cell that names it, and returns an
error as an empty cell. So this looks first (ECMA-376, part 1, 18.3).
"""

from __future__ import annotations

import posixpath
import re
from typing import NamedTuple

from federation.domain.errors import Invalid
from federation.domain.formats.sheets.archive import scan_xml
from federation.domain.formats.sheets.cells import ERROR_TEMPLATE, FORMULA
from federation.domain.formats.sheets.size import Position, SheetSize
from federation.domain.messages import Message

WORKBOOK = "xl/workbook.xml"
RELATIONS = "xl/_rels/workbook.xml.rels"
STRINGS = "xl/sharedStrings.xml"
STYLES = "xl/styles.xml"
OTHERS = ("[Content_Types].xml", "_rels/.rels", STYLES)
MAX_SHEETS = 1_000
_REFERENCE = re.compile(r"([A-Za-z]{1,3})([0-9]{1,7})")


class SheetPart(NamedTuple):
    """A sheet of the workbook, and the member of the archive that has it."""

    name: str
    member: str
    is_visible: bool


def read_parts(workbook: bytes, relations: bytes) -> list[SheetPart]:
    """The sheets in the order of the workbook."""
    targets: dict[str, str] = {}
    sheets: list[tuple[str, str, bool]] = []

    def relation(name: str, attributes: dict[str, str]) -> None:
        if name == "Relationship":
            targets[attributes.get("Id", "")] = attributes.get("Target", "")

    def sheet(name: str, attributes: dict[str, str]) -> None:
        if name == "sheet":
            target = next((value for key, value in attributes.items() if key.endswith(":id")), "")
            sheets.append(
                (attributes.get("name", ""), target, attributes.get("state", "visible") == "visible")
            )
            if len(sheets) > MAX_SHEETS:
                raise Invalid("the file has more than {maximum} sheets", maximum=MAX_SHEETS)

    scan_xml(relations, relation, _nothing, _nothing)
    scan_xml(workbook, sheet, _nothing, _nothing)
    return [
        SheetPart(name, _member(targets[target]), is_visible)
        for name, target, is_visible in sheets
        if target in targets
    ]


def _nothing(_: str) -> None:
    pass


def _member(target: str) -> str:
    return target.lstrip("/") if target.startswith("/") else posixpath.normpath(f"xl/{target}")


def read_lengths(strings: bytes | None) -> list[int]:
    """The characters of each shared text."""
    lengths: list[int] = []
    if strings is None:
        return lengths
    length = 0

    def start(name: str, _: dict[str, str]) -> None:
        nonlocal length
        if name == "si":
            length = 0

    def end(name: str) -> None:
        if name == "si":
            lengths.append(length)

    def text(part: str) -> None:
        nonlocal length
        length += len(part)

    scan_xml(strings, start, end, text)
    return lengths


class _Scan:
    """The walk over the cells of one sheet."""

    def __init__(self, lengths: list[int]) -> None:
        self.lengths = lengths
        self.size = SheetSize()
        self.row = self.column = -1
        self.kind = ""
        self.parts: list[str] | None = None
        """The text of the value that is being read; None outside of values."""
        self.characters = 0
        self.has_value = self.has_formula = False
        self.error = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "c":
            self.kind, self.characters, self.error = attributes.get("t", ""), 0, ""
            self.has_value = self.has_formula = False
            self.row, self.column = self._position(attributes.get("r"))
        elif name in ("v", "is"):
            self.parts = []
        elif name == "f":
            self.has_formula = True
        elif name == "row":
            number = attributes.get("r", "")
            is_number = number.isascii() and number.isdigit() and len(number) < 8
            self.row, self.column = int(number) - 1 if is_number else self.row + 1, -1

    def text(self, part: str) -> None:
        if self.parts is not None:
            self.parts.append(part)

    def end(self, name: str) -> None:
        if name in ("v", "is") and self.parts is not None:
            self._count("".join(self.parts))
            self.parts = None
        elif name == "c" and (self.has_value or self.has_formula):
            position = Position(self.row, self.column)
            self.size.add(position, self.characters)
            if self.kind == "e":
                self.size.faults[position] = Message(ERROR_TEMPLATE, {"error": self.error})
            elif self.has_formula:
                self.size.faults[position] = FORMULA

    def _count(self, value: str) -> None:
        self.has_value = self.has_value or value != ""
        self.error = value[:20]
        index = value.strip()
        if self.kind == "s" and index.isascii() and index.isdigit() and len(index) < 9:
            self.characters += self.lengths[int(index)] if int(index) < len(self.lengths) else 0
        else:
            self.characters += len(value)

    def _position(self, reference: str | None) -> tuple[int, int]:
        if reference is None:
            return max(self.row, 0), self.column + 1
        parsed = _REFERENCE.fullmatch(reference)
        if parsed is None:
            raise Invalid("the sheet has a cell without a place: {reference}", reference=reference[:20])
        column = 0
        for letter in parsed[1].upper():
            column = column * 26 + ord(letter) - 64
        return int(parsed[2]) - 1, column - 1


def scan_sheet(sheet: bytes, lengths: list[int]) -> SheetSize:
    """The size of a sheet. Raises Invalid for one that is too large."""
    scan = _Scan(lengths)
    scan_xml(sheet, scan.start, scan.end, scan.text)
    return scan.size
