"""Frequent filter values and words of records, by PostgreSQL's own statistics.

The statistics are made whenever many records have come. A search for a frequent value in the index names a
great part of the table: such values are checked on the records that the rest of a query has found. Records
with a rare value are found by it at once. See ``docs/decisions/0009-bound-totals-at-1000.md``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

COMMON = 0.25
"""Share of all records from which on something is common."""
LOOKED_UP = 10.0
"""Seconds for which the statistics are taken to be as they were."""

_STATISTICS = """
SELECT attname, most_common_elems::text::text[], most_common_elem_freqs,
    (SELECT reltuples FROM pg_class WHERE oid = 'records'::regclass)
FROM pg_stats
WHERE schemaname = current_schema() AND tablename = 'records' AND attname IN ('facets', 'search')
"""
"""After the shares of the elements comes the least of them (PostgreSQL, ``pg_stats``)."""

_LEXEME = r"'(?:[^'\\]|''|\\\\)+'"
_ALL_OF = re.compile(f"{_LEXEME}(?: (?:&|<(?:-|[0-9]+)>) {_LEXEME})+")
"""All words of it are wanted; some may have to follow one another."""
_LEXEMES = re.compile(_LEXEME)
_NEGATABLE = re.compile(f"(!?)({_LEXEME})")


class ColumnStats:
    """Frequent filters and words of the records, as far as PostgreSQL has statistics."""

    def __init__(self, facets: frozenset[str] = frozenset(), lexemes: frozenset[str] = frozenset()) -> None:
        self.facets = facets
        self.lexemes = lexemes
        self.records = float("inf")
        """How many there are."""
        self._shares: dict[str, float] = {}
        """Of all records, those that have a filter."""
        self._least = 1.0
        """Of a filter that is not among them, at most."""
        self._lexeme_shares: dict[str, float] = {}
        self._least_lexeme = 1.0
        self._until = 0.0

    async def look_up(self, connection: Any) -> None:
        """Look at the statistics, if the last look was long ago."""
        now = time.monotonic()
        if now < self._until:
            return
        self._until = now + LOOKED_UP  # before the answer: others who ask meanwhile do without
        found: dict[str, dict[str, float]] = {}
        for name, elements, shares, records in await connection.fetch(_STATISTICS):
            if elements is None:
                continue
            found[name] = dict(zip(elements, shares, strict=False))
            if name == "facets":
                self._least, self.records = shares[len(elements)], records
            else:
                self._least_lexeme = shares[len(elements)]
        self._shares, self._lexeme_shares = found.get("facets", {}), found.get("search", {})
        self.facets, self.lexemes = _common(self._shares), _common(found.get("search", {}))

    def at_most(self, *filters: Sequence[str]) -> float:
        """How many records pass filters of several values each, at most, as far as is known."""
        shares = (sum(self._shares.get(value, self._least) for value in values) for values in filters)
        return self.records * min(shares, default=1.0)

    def at_most_of_words(self, words: str) -> float:
        """How many records a text search query (PostgreSQL, 8.11.2) finds at most, as far as is known."""
        operators = _LEXEMES.sub("", words)
        if "!" in operators and ("|" in operators or "(" in operators):
            return self.records
        lexemes = [_plain(lexeme) for negated, lexeme in _NEGATABLE.findall(words) if not negated]
        shares = [self._lexeme_shares.get(lexeme, self._least_lexeme) for lexeme in lexemes]
        share = sum(shares) if "|" in operators else min(shares, default=1.0)
        return self.records * min(share, 1.0)

    def apart(self, facets: list[str]) -> tuple[list[str], list[str]]:
        """Those of some filters that are rare, and those that are common."""
        return [one for one in facets if one not in self.facets], [
            one for one in facets if one in self.facets
        ]

    def rare(self, words: str) -> str | None:
        """What of a text search query (PostgreSQL, 8.11.2) has to be found of which all words are wanted.

        None where nothing can be left out of it, or nothing would be left.
        """
        if not _ALL_OF.fullmatch(words):
            return None
        lexemes = _LEXEMES.findall(words)
        rare = [one for one in lexemes if _plain(one) not in self.lexemes]
        return " & ".join(rare) if 0 < len(rare) < len(lexemes) else None


def _common(shares: dict[str, float]) -> frozenset[str]:
    return frozenset(element for element, share in shares.items() if element is not None and share >= COMMON)


def _plain(lexeme: str) -> str:
    """A lexeme without the quotes that a query has around it and doubles in it."""
    return lexeme[1:-1].replace("''", "'").replace("\\\\", "\\")
