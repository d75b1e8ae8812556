"""Days and moments of cells, as French and English sheets write them."""

from __future__ import annotations

import re
from datetime import date, datetime

from federation.domain.formats.sheets.cells import Cell
from federation.domain.formats.sheets.values import CellProblem, Guess, read_line
from federation.domain.territories.finder import words_of

_MONTH_NAMES = (
    "janvier janv january jan", "fevrier fevr fev february feb", "mars march", "avril avr april", "mai may",
    "juin june", "juillet juil july", "aout august", "septembre sept september", "octobre oct october",
    "novembre nov november", "decembre dec december",
)  # fmt: skip
_MONTHS = {name: number for number, names in enumerate(_MONTH_NAMES, start=1) for name in names.split()}
_ISO = re.compile(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})")
_FRENCH = re.compile(r"([0-9]{1,2})[-/. ]([0-9]{1,2})[-/. ]([0-9]{4}|[0-9]{2})")
_TIME = re.compile(r"([01]?[0-9]|2[0-3])[:hH]([0-5][0-9])(?::([0-5][0-9])(?:\.[0-9]{1,6})?)?(?:Z|\+00:?00)?")


def read_day(cell: Cell) -> str | Guess:
    """A day: ``15/03/2024``, ``15 mars 2024``, ``2024-03-15``; a time after it is left out."""
    if isinstance(cell, datetime):
        return _day(cell.year, cell.month, cell.day, cell.isoformat())
    if isinstance(cell, date):
        return _day(cell.year, cell.month, cell.day, cell.isoformat())
    text = read_line(cell)
    day, _ = _split_time(text)
    if parsed := _ISO.fullmatch(day):
        return _day(int(parsed[1]), int(parsed[2]), int(parsed[3]), text)
    if parsed := _FRENCH.fullmatch(day):
        year = int(parsed[3])
        found = _day(year if year > 99 else 2000 + year, int(parsed[2]), int(parsed[1]), text)
        return found if year > 99 else Guess(found, text)
    words = words_of(day)
    if len(words) == 3 and words[1] in _MONTHS and re.fullmatch("[0-9]{4}", words[2]):
        number = words[0].removesuffix("er")
        if re.fullmatch("[0-9]{1,2}", number):
            return _day(int(words[2]), _MONTHS[words[1]], int(number), text)
    raise CellProblem("{text} is no day such as 15/03/2024", text=text[:80])


def _split_time(text: str) -> tuple[str, str | None]:
    """The day and the time of a text."""
    for separator in ("T", " "):
        day, found, clock = text.rpartition(separator)
        if found and _TIME.fullmatch(clock):
            return day, clock
    return text, None


def _day(year: int, month: int, number: int, text: str) -> str:
    try:
        found = date(year, month, number)
    except ValueError:
        raise CellProblem("{text} is not a date of the calendar", text=text[:80]) from None
    if not 1970 <= found.year <= 2200:
        raise CellProblem("{text} is not in the years 1970 to 2200", text=text[:80])
    return found.isoformat()


def read_moment(cell: Cell) -> str | Guess:
    """A moment in UTC; of a day alone its beginning."""
    found = read_day(cell)
    day = found.value if isinstance(found, Guess) else found
    clock = cell.time().isoformat("seconds") if isinstance(cell, datetime) else "00:00:00"
    if not isinstance(cell, date) and (written := _split_time(read_line(cell))[1]) is not None:
        parsed = _TIME.fullmatch(written)
        if parsed:
            clock = f"{int(parsed[1]):02}:{parsed[2]}:{parsed[3] or '00'}"
    moment = f"{day}T{clock}Z"
    return Guess(moment, found.note) if isinstance(found, Guess) else moment
