"""CSV as spreadsheet programs write it: its encoding and its separator are found by looking at it.

1. A byte order mark names UTF-8 or UTF-16. Without one it is UTF-8 where it can be, and else Windows-1252.
2. A first line ``sep=;`` names the separator. Else it is the one that gives the first rows the same number of
   columns, of semicolon, tab and comma.
3. Quotes enclose separators and line ends; a quote within quotes is doubled (RFC 4180). What is not closed is
   an error: nobody knows where the next row begins.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from itertools import islice

from federation.domain.errors import Invalid
from federation.domain.formats.sheets.cells import (
    MAX_CELL_CHARACTERS,
    MAX_CELLS,
    MAX_COLUMNS,
    MAX_ROWS,
    Row,
    Sheet,
    text_cell,
    without_empty_end,
)

SEPARATORS = (";", "\t", ",")
SAMPLED_ROWS = 30
"""Rows by which the separator is found."""
SAMPLED_CHARACTERS = 65_536
MAX_LINES = 500_000
"""Lines of a file, empty ones and those within quotes among them."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NAMED_SEPARATOR = re.compile(r"sep=([;,\t])\r?\n?", re.IGNORECASE)


def read_csv(raw: bytes) -> Sheet:
    """The rows of a CSV file. Raises Invalid that names the line at fault."""
    text, encoding = _decode(raw)
    first = 1
    if named := _NAMED_SEPARATOR.match(text):
        separator, text, first = named[1], text[named.end() :], 2
    else:
        separator = find_separator(text)
    return Sheet("csv", _read_rows(text, separator, first), encoding=encoding, separator=separator)


def _decode(raw: bytes) -> tuple[str, str]:
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            body = raw[len(mark) :]
            try:
                text = body.decode(encoding)
            except UnicodeDecodeError as error:
                line = body.count(b"\n", 0, error.start) + 1
                raise Invalid("line {line} is not {encoding}", line=line, encoding=encoding.upper()) from None
            return _without_nul(text), encoding
    try:
        return _without_nul(raw.decode()), "utf-8"
    except UnicodeDecodeError:
        pass
    try:
        return _without_nul(raw.decode("cp1252")), "windows-1252"
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise Invalid(
            "line {line} is neither UTF-8 nor Windows-1252: save the file as CSV UTF-8", line=line
        ) from None


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise Invalid("the file is no text: CSV, XLSX and ODS are read")
    return text


def find_separator(text: str) -> str:
    """The separator by which the first rows have the same number of columns; a semicolon where none has."""
    sample = text[:SAMPLED_CHARACTERS]
    best, separator = (0.0, 0), ";"
    for candidate in SEPARATORS:
        try:
            rows = [
                row for row in islice(csv.reader(_lines(sample), delimiter=candidate), SAMPLED_ROWS) if row
            ]
        except csv.Error:
            continue
        widths = Counter(len(row) for row in rows if len(row) > 1)
        if not widths:
            continue
        width, frequency = max(widths.items(), key=lambda entry: (entry[1], entry[0]))
        score = (frequency / len(rows), width)
        if score > best:
            best, separator = score, candidate
    return separator


def _lines(text: str) -> io.StringIO:
    return io.StringIO(text, newline="")


def _read_rows(text: str, separator: str, first: int) -> tuple[Row, ...]:
    if text.count(separator) > MAX_ROWS * MAX_COLUMNS:
        raise Invalid("the sheet has more than {maximum} cells: divide the file", maximum=MAX_CELLS)
    reader = csv.reader(_lines(text), delimiter=separator, strict=True)
    rows: list[Row] = []
    number = width = 0
    while True:
        line = reader.line_num + first
        try:
            values = next(reader, None)
        except csv.Error as error:
            raise Invalid(
                "the row that begins at line {line} cannot be read: {reason}", line=line, reason=str(error)
            ) from None
        if values is None:
            return tuple(rows)
        if reader.line_num > MAX_LINES:
            raise Invalid("the file has more than {maximum} lines: divide it", maximum=MAX_LINES)
        cells = without_empty_end([text_cell(value) for value in values])
        if not cells:
            continue
        number += 1
        width = max(width, len(cells))
        _check_bounds(line, number, width, values)
        rows.append(Row(line, tuple(cells)))


def _check_bounds(line: int, rows: int, columns: int, values: list[str]) -> None:
    if rows > MAX_ROWS:
        raise Invalid("the sheet has more than {maximum} rows: divide the file", maximum=MAX_ROWS)
    if columns > MAX_COLUMNS:
        raise Invalid("line {line} has more than {maximum} columns", line=line, maximum=MAX_COLUMNS)
    if rows * columns > MAX_CELLS:
        raise Invalid("the sheet has more than {maximum} cells: divide the file", maximum=MAX_CELLS)
    if any(len(value) > MAX_CELL_CHARACTERS for value in values):
        raise Invalid(
            "line {line} has a cell of more than {maximum} characters", line=line, maximum=MAX_CELL_CHARACTERS
        )
