"""Words of texts and of searches: one way to find them, for the index and for questions.

PostgreSQL's parser takes ``demarches-simplifiees.fr`` for a host, ``Eau/Assainissement`` for a file and
``-2025`` for a number, and indexes each as one word. So it gets nothing but letters, digits and spaces.

- Every other character separates words, in texts and in searches.
- Parts of a search that a hyphen, a dot, an apostrophe, ``_`` or ``@`` joins must follow one another
  (``état-civil``, ``CVE-2026-1234``, ``impots.gouv.fr``); other separators only part words (``eau/air``).
- ``"…"`` is a phrase, ``-`` before a word excludes it, and ``or`` stands between alternatives, as in
  PostgreSQL's ``websearch_to_tsquery``, which reads the result. An ``or`` with
  nothing on one side is left out; alone it is a word.
- The ``v`` of a version (``v10.0.18``) is left out; ``v10`` is a word of such a text, too.
- Marks that nobody sees (a soft hyphen, a byte order mark) are no part of a word, and part none.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

INDEX_VERSION = 2
"""Raise it where the index values of a stored record change (words, filters): all are made again then."""

_UNSEEN = re.compile("[\u00ad\u200c\u200d\u2060\ufeff]")
"""Soft hyphen, joiners and byte order mark: texts copied from pages have them in their words."""
_VERSION = re.compile(r"(?<![^\W_])v([0-9]{1,9})(?=\.[0-9])", re.IGNORECASE)
_V_AND_DIGIT = re.compile("[vV][0-9]")
_WORDS = re.compile(r"[^\W_]+")
_SEPARATORS = {code: " " for code in range(128) if not chr(code).isalnum()}
"""The characters of ASCII that separate words."""
_PARTS = re.compile(r'(-?)"([^"]*)"|([^\s"]+)')
_LONG_WORDS = re.compile(r"(?<![\w-])[^\W\d_]{4,40}(?!\w)")
"""Letters alone; a word after a hyphen is excluded from the search."""
MAX_CORRECTED_WORDS = 4
LEAST_SIMILARITY = 0.35
"""Share of the trigrams of two words that both have, from which on one may be meant by the other."""
_OR = "or"
_LISTED = re.compile(r"[^\w.'’@_‐‑-]+")
"""What separates words of a search that need not follow one another."""


def plain_words(text: str) -> str:
    """The words of a text, with one space between them. Accents stay: PostgreSQL removes them.

    Ligatures and other forms of compatibility (``ﬁ``, ``²``) become letters and digits.
    """
    if not text:
        return ""
    if not text.isascii():
        text = _composed(text)
    majors: list[str] = []
    if _V_AND_DIGIT.search(text):
        majors = [f"v{major}" for major in dict.fromkeys(_VERSION.findall(text))]
        text = _VERSION.sub(r"\1", text)
    # This runs for each record that comes: texts of ASCII are translated in C.
    words = text.translate(_SEPARATORS).split() if text.isascii() else _WORDS.findall(text)
    return " ".join(words + majors)


def search_words(question: str) -> str:
    """A search as ``websearch_to_tsquery`` is to read it: plain words, phrases, exclusions, ``or``."""
    read: list[str] = []
    for excluded, phrase, joined in _PARTS.findall(_normal(question)):
        if not joined:
            read += _term(excluded, phrase)
        elif joined.lower() == _OR:
            read.append(_OR)
        elif joined.startswith("-"):
            read += _term("-", joined[1:])
        else:
            for part in _LISTED.split(joined):
                read += _term("", part)
    return " ".join(_between(read)) if any(word != _OR for word in read) else f'"{_OR}"' if read else ""


def _between(read: list[str]) -> Iterator[str]:
    """The words without each ``or`` that does not stand between two."""
    waiting = False
    any_before = False
    for word in read:
        if word == _OR:
            waiting = any_before
            continue
        if waiting:
            yield _OR
        waiting, any_before = False, True
        yield word


class CorrectableWord(NamedTuple):
    """A word of a search, where it stands, and as the table of words has it."""

    start: int
    end: int
    plain: str


def correctable_words(words: str) -> list[CorrectableWord]:
    """The words of a search (as ``search_words`` gives it) that may be misspelt: long ones, not excluded.

    None of a search with ``or``: what one alternative finds would not show that the other one finds anything.
    """
    if _OR in words.split(" "):
        return []
    return [
        CorrectableWord(match.start(), match.end(), without_accents(match[0]))
        for match in _LONG_WORDS.finditer(words)
    ][:MAX_CORRECTED_WORDS]


def dictionary_words(*texts: str) -> Iterator[tuple[str, str]]:
    """The words of plain texts that suggestions can be made of: without accents, and as written."""
    for text in texts:
        for match in _LONG_WORDS.finditer(text):
            yield without_accents(match[0]), match[0].lower()


def without_accents(word: str) -> str:
    """A word in small letters, without accents and ligatures."""
    decomposed = unicodedata.normalize("NFKD", word.lower().replace("œ", "oe").replace("æ", "ae"))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def _normal(text: str) -> str:
    return _VERSION.sub(r"\1", _composed(text))


def _composed(text: str) -> str:
    return _UNSEEN.sub("", unicodedata.normalize("NFKC", text))


def _term(excluded: str, text: str) -> list[str]:
    words = plain_words(text)
    if not words:
        return []
    quote = '"' if " " in words or words.lower() == _OR else ""
    return [f"{excluded}{quote}{words}{quote}"]
