"""Tables as CSV.

The form is RFC 4180: commas, CR LF, quotes doubled; UTF-8 with a byte order mark, without which spreadsheets
take it for another encoding.

A spreadsheet computes what begins with ``=``, ``+``, ``-`` or ``@``, also behind white space, and so a text
of another operator could call an address or a program. Such a text gets an apostrophe in front (OWASP, CSV
injection). So does what follows a semicolon, a tab or a line break inside a text: where a spreadsheet
separates by semicolons, as in France, a new cell begins there.

- A telephone number (``+33 1 23 45 67 89``) is a text, and gets the apostrophe like any other: a spreadsheet
  would drop its ``+`` or add it up.
- A number that the program wrote, negative ones too, is not quoted and stays a number.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

SIGNS = frozenset("=+-@\uff0b\uff1d\uff0d\uff20")
"""Signs with which a spreadsheet computes what is typed; the last four are in full width."""
_BEGINNING = re.compile("(?:^|[;\\s\ufeff])[;\\s\ufeff]*+[=+\\-@\uff0b\uff1d\uff0d\uff20]?")
"""Where a cell may begin, and the sign with which it is computed. It takes all white space at once and never
fails, so that a text is read in one pass."""
_SEPARATORS = frozenset(";\t\r\n")


def csv_bytes(head: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Rows as CSV, with their head."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(map(safe_cell, head))
    writer.writerows(map(safe_cell, row) for row in rows)
    return ("\ufeff" + text.getvalue()).encode()


def safe_cell(value: object) -> object:
    """A cell that no spreadsheet computes."""
    if value is None:
        return ""
    if isinstance(value, int | float):
        return value
    return _BEGINNING.sub(_quote, str(value))


def _quote(match: re.Match[str]) -> str:
    beginning = match[0]
    is_computed = beginning[-1:] in SIGNS
    if match.start() == 0 and (is_computed or beginning[:1] in _SEPARATORS - {";"}):
        return f"'{beginning}"
    if is_computed and not _SEPARATORS.isdisjoint(beginning):
        return f"{beginning[:-1]}'{beginning[-1]}"
    return beginning
