"""The sheets of an ODS file before the library reads them: their size, formulas, and errors of formulas.

The library reads all sheets at once, and writes out cells and rows that are there "so many times"
(OpenDocument 1.3, part 3, `number-columns-repeated`). So this looks first, at all of them.
"""

from __future__ import annotations

from federation.domain.errors import Invalid
from federation.domain.formats.sheets.archive import local_attributes, scan_xml
from federation.domain.formats.sheets.cells import ERROR_TEMPLATE, FORMULA, MAX_CELLS, MAX_CHARACTERS
from federation.domain.formats.sheets.size import Position, SheetSize
from federation.domain.messages import Message

CONTENT = "content.xml"
MANIFEST = "META-INF/manifest.xml"
MIMETYPE = "mimetype"
MEDIA_TYPE = b"application/vnd.oasis.opendocument.spreadsheet"
NO_ENCRYPTION = b'<manifest xmlns="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
"""A manifest for the library, which looks into it for a password and nothing else."""
MAX_SHEETS = 1_000
_ATTRIBUTES = (
    "number-columns-repeated", "number-rows-repeated", "value-type", "string-value", "formula", "value",
    "date-value", "time-value", "boolean-value",
)  # fmt: skip
_CELLS = ("table-cell", "covered-table-cell")


class _Scan:
    """The walk over the cells of all sheets."""

    def __init__(self) -> None:
        self.sizes: list[tuple[str, SheetSize]] = []
        self.row = self.column = 0
        self.row_repeats = 1
        self.cell: dict[str, str] | None = None
        self.is_error = False
        self.parts: list[str] = []
        self.cells = 0

    @property
    def size(self) -> SheetSize:
        if not self.sizes:
            raise Invalid("the file has a cell outside of a sheet")
        return self.sizes[-1][1]

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "table":
            if self.cell is not None:
                raise Invalid("a cell has a table in it")
            names = local_attributes(attributes, ("name",))
            self.sizes.append((names.get("name", ""), SheetSize()))
            self.row = 0
            if len(self.sizes) > MAX_SHEETS:
                raise Invalid("the file has more than {maximum} sheets", maximum=MAX_SHEETS)
        elif name == "table-row":
            self.column = 0
            self.row_repeats = _number(local_attributes(attributes, _ATTRIBUTES).get("number-rows-repeated"))
        elif name in _CELLS:
            self.cell = local_attributes(attributes, _ATTRIBUTES)
            self.is_error = "error" in (
                value for key, value in attributes.items() if key.endswith(":value-type")
            )
            self.parts.clear()

    def text(self, part: str) -> None:
        if self.cell is not None:
            self.parts.append(part)

    def end(self, name: str) -> None:
        if name == "table-row":
            self.row += self.row_repeats
        elif name == "table" and self.sizes:
            size = self.size
            self.cells += size.rows * size.columns
            if self.cells > MAX_CELLS:
                raise Invalid("the file has more than {maximum} cells: divide it", maximum=MAX_CELLS)
            if sum(size.characters for _, size in self.sizes) > MAX_CHARACTERS:
                raise Invalid(
                    "the sheet has more than {maximum} characters: divide the file", maximum=MAX_CHARACTERS
                )
        elif name in _CELLS and self.cell is not None:
            self._count(self.cell)
            self.cell = None

    def _count(self, cell: dict[str, str]) -> None:
        repeats = _number(cell.get("number-columns-repeated"))
        text = "".join(self.parts)
        if text.strip() or "value-type" in cell or "formula" in cell:
            position = Position(self.row, self.column)
            characters = len(text) + len(cell.get("string-value", ""))
            self.size.add(position, characters, rows=self.row_repeats, columns=repeats)
            problem: Message | None = None
            if self.is_error:
                problem = Message(ERROR_TEMPLATE, {"error": text.strip()[:20]})
            elif "formula" in cell:
                problem = FORMULA
            if problem is not None:
                for row in range(self.row, self.row + self.row_repeats):
                    for column in range(self.column, self.column + repeats):
                        self.size.faults[Position(row, column)] = problem
        self.column += repeats


def _number(text: str | None) -> int:
    """A number of repeats: 1 where none is given, and as many as no sheet has where it is no number."""
    if text is None:
        return 1
    if text.isascii() and text.isdigit() and 0 < len(text) < 9:
        return max(int(text), 1)
    raise Invalid("the file repeats a cell {number} times", number=text[:20])


def scan_content(content: bytes) -> list[tuple[str, SheetSize]]:
    """The sheets by name with their sizes, in their order. Raises Invalid where one is too large."""
    scan = _Scan()
    scan_xml(content, scan.start, scan.end, scan.text)
    return scan.sizes
