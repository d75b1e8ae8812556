"""Values of cells: what people write in French and English sheets, in the form that records have.

A function takes a cell that is not empty. It returns the value, or raises CellProblem with the reason. A
:class:`Guess` is a value that was interpreted: the report says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import msgspec

from federation.domain.canonical import text_problem
from federation.domain.formats.advisory import short_hash
from federation.domain.formats.sheets.cells import Cell, CellFault
from federation.domain.messages import Message
from federation.domain.territories.areas import area_of
from federation.domain.territories.finder import words_of
from federation.domain.values import ID_PATTERN, KEY_PATTERN

MAX_KEY_CHARACTERS = 100
NOTHING = frozenset(
    {"", "-", "--", "/", "n/a", "na", "s/o", "so", "néant", "neant", "sans objet", "none", "null", "vide"}
)
"""Texts of cells that stand for an empty one."""


class CellProblem(Exception):
    """A cell that has no value of its kind."""

    def __init__(self, message: str | Message, **values: Any) -> None:
        self.message = message if isinstance(message, Message) else Message(message, values)
        super().__init__(str(self.message))


class Guess(msgspec.Struct, frozen=True):
    """A value that was interpreted, and the reason."""

    value: Any
    note: str


def is_nothing(cell: Cell) -> bool:
    """True for a cell without a value."""
    return isinstance(cell, str) and cell.casefold() in NOTHING


def read_text(cell: Cell) -> str:
    """The text of a cell; of a number or a date as it is written in CSV."""
    match cell:
        case CellFault():
            raise CellProblem(cell.message)
        case bool():
            return "oui" if cell else "non"
        case datetime() if cell.time() == datetime.min.time():
            return cell.date().isoformat()
        case date():
            return cell.isoformat(" ") if isinstance(cell, datetime) else cell.isoformat()
        case float() | int():
            return repr(cell)
    if (problem := text_problem(cell)) is not None:
        raise CellProblem(problem)
    return cell


def read_line(cell: Cell) -> str:
    """A text of one line."""
    text = " ".join(read_text(cell).split())
    if len(text) > 200:
        raise CellProblem(
            "the text has {length} characters; {maximum} are possible", length=len(text), maximum=200
        )
    return text


def read_key(cell: Cell) -> str | Guess:
    """A key of a record; a text that is none is written with the letters that keys have."""
    text = read_line(cell)
    if re.fullmatch(KEY_PATTERN, text):
        return text
    return Guess(key_of(text), f"key: {text}")


def key_of(text: str) -> str:
    """A key for a text: its words without accents."""
    key = "-".join(words_of(text))
    if len(key) > MAX_KEY_CHARACTERS or not key:
        key = f"{key[: MAX_KEY_CHARACTERS - 17]}-{short_hash(text)}".lstrip("-")
    return key


def read_id(cell: Cell) -> str:
    """The id or the key of a record."""
    text = read_line(cell)
    if re.fullmatch(ID_PATTERN, text) or re.fullmatch(KEY_PATTERN, text):
        return text
    raise CellProblem("{text} is neither a key nor an id such as arnia/glpi", text=text[:80])


# Words

_YES = frozenset("oui o yes y vrai true 1 x ok".split())
_NO = frozenset("non n no faux false 0".split())


def read_yes_no(cell: Cell) -> bool:
    """Yes or no, in French or English."""
    if isinstance(cell, bool):
        return cell
    word = read_line(cell).casefold()
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise CellProblem("{text} is neither oui nor non", text=word[:80])


def read_choice(cell: Cell, choices: Mapping[str, tuple[str, ...]]) -> str:
    """The value whose own name or other names the text is; compared without accents and hyphens."""
    text = read_line(cell)
    words = " ".join(words_of(text))
    for value, names in choices.items():
        if words == " ".join(words_of(value)) or words in names:
            return value
    raise CellProblem("{text} is none of {values}", text=text[:80], values=", ".join(choices))


_UNKNOWN_VERSIONS = frozenset(("inconnu", "inconnue", "unknown", "non connue", "a completer"))
_ROLLING_VERSIONS = frozenset(("en continu", "rolling", "saas", "continu", "latest", "derniere"))


def read_version(cell: Cell) -> str | Guess:
    """A version; ``unknown`` and ``rolling`` (in brackets) where the text says so."""
    if isinstance(cell, date):
        raise CellProblem("the spreadsheet has made a date of the version: format the column as text")
    text = read_line(cell)
    words = " ".join(words_of(text))
    if text == "?" or words in _UNKNOWN_VERSIONS:
        return UNKNOWN_VERSION
    if words in _ROLLING_VERSIONS:
        return ROLLING_VERSION
    if len(text) > 100:
        raise CellProblem(
            "the text has {length} characters; {maximum} are possible", length=len(text), maximum=100
        )
    # 10.10 and 10.1 are one number.
    return Guess(text, f"version: {text} is a number in the sheet") if isinstance(cell, float) else text


UNKNOWN_VERSION = "(unknown)"
ROLLING_VERSION = "(rolling)"

_COUNTRIES = {
    "france": "FR",
    "belgique": "BE",
    "belgium": "BE",
    "allemagne": "DE",
    "germany": "DE",
    "suisse": "CH",
    "switzerland": "CH",
    "luxembourg": "LU",
    "pays bas": "NL",
    "netherlands": "NL",
    "irlande": "IE",
    "ireland": "IE",
    "italie": "IT",
    "italy": "IT",
    "espagne": "ES",
    "spain": "ES",
    "portugal": "PT",
    "pologne": "PL",
    "poland": "PL",
    "royaume uni": "GB",
    "united kingdom": "GB",
    "etats unis": "US",
    "united states": "US",
    "finlande": "FI",
    "suede": "SE",
    "danemark": "DK",
    "autriche": "AT",
}


def read_country(cell: Cell) -> str:
    """A country of ISO 3166-1, by its code or its name."""
    text = read_line(cell)
    if re.fullmatch("[A-Za-z]{2}", text):
        return text.upper()
    if (code := _COUNTRIES.get(" ".join(words_of(text)))) is not None:
        return code
    raise CellProblem("{text} is no country of ISO 3166-1, such as FR", text=text[:80])


def read_url(cell: Cell) -> str | Guess:
    """The address of a page."""
    text = read_line(cell)
    if scheme := re.match("https?://", text, re.IGNORECASE):
        return scheme[0].lower() + text[scheme.end() :]
    if re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+(/\S*)?", text, re.IGNORECASE):
        return Guess(f"https://{text}", f"https://{text}")
    raise CellProblem("{text} is no address such as https://example.org", text=text[:80])


_BETWEEN = re.compile(r"[;,|\n]")


def read_list(cell: Cell) -> list[str]:
    """Entries separated by semicolon, comma, bar or line end."""
    entries = (entry.strip() for entry in _BETWEEN.split(read_text(cell)))
    return [entry for entry in dict.fromkeys(entries) if entry]


def read_territories(cell: Cell) -> list[str]:
    """Codes of territories: numbers of départements, codes of ISO 3166."""
    if isinstance(cell, int) and not isinstance(cell, bool):
        codes = [f"{cell:02}"]
    else:
        codes = [code.upper() for code in read_list(cell)]
    for code in codes:
        if area_of(code) is None:
            raise CellProblem("{code} is no territory of the register", code=code[:40])
    return codes
