"""Cells of XLSX and ODS, which have a type: a text is written as a text, so no program computes it.

No apostrophe is put in front, as CSV needs it: it would be shown. A text that begins like a formula gets the
style of a text beside its type, so that it stays one when somebody edits it.
"""

from __future__ import annotations

import re

from federation.domain.formats.csv_tables import SIGNS

MAX_TEXT_CHARACTERS = 32_767
"""Characters of a cell, at most: what Excel reads. Longer texts are cut, with an ellipsis."""
MAX_EXACT_INTEGER = 10**15
"""Cells store numbers as floating-point numbers of 15 digits; a larger integer is written as a text."""
_UNPRINTABLE = re.compile("[^\t\n\\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot have (2.2), and the carriage return, which it reads as a line feed."""


def typed_cell(value: object) -> str | int | float:
    """A value as a cell has it: a number that the program made, or a text."""
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    if isinstance(value, float) or (isinstance(value, int) and abs(value) <= MAX_EXACT_INTEGER):
        return value
    text = without_unprintable(str(value))
    return text if len(text) <= MAX_TEXT_CHARACTERS else f"{text[: MAX_TEXT_CHARACTERS - 1]}…"


def without_unprintable(text: str) -> str:
    """A text of characters that XML can have."""
    return _UNPRINTABLE.sub("", text)


def looks_computed(text: str) -> bool:
    """True for a text that a spreadsheet would compute if somebody typed it."""
    return text.lstrip("; \t\n\ufeff\N{NO-BREAK SPACE}")[:1] in SIGNS
