"""What very many records have in common: to find them by it names a great part of the table.

PostgreSQL's own statistics say so; they are made whenever many records have come. What is common is looked
for on the records that the rest of a question has found: see
``docs/decisions/0044-what-is-common-is-looked-for-last.md``.
"""

from __future__ import annotations

import re
import time
from typing import Any

COMMON = 0.25
"""Share of all records from which on something is common."""
LOOKED_UP = 60.0
"""Seconds for which the statistics are taken to be as they were."""

_STATISTICS = """
SELECT attname, most_common_elems::text::text[], most_common_elem_freqs FROM pg_stats
WHERE schemaname = current_schema() AND tablename = 'records' AND attname IN ('facets', 'search')
"""

_LEXEME = r"'(?:[^'\\]|''|\\\\)+'"
_ALL_OF = re.compile(f"{_LEXEME}(?: & {_LEXEME})+")
_LEXEMES = re.compile(_LEXEME)


class Common:
    """The filters and the words that are common, as far as is known."""

    def __init__(self, facets: frozenset[str] = frozenset(), lexemes: frozenset[str] = frozenset()) -> None:
        self.facets = facets
        self.lexemes = lexemes
        self._until = 0.0

    async def look_up(self, connection: Any) -> None:
        """Look at the statistics, if the last look was long ago."""
        now = time.monotonic()
        if now < self._until:
            return
        self._until = now + LOOKED_UP  # before the answer: others who ask meanwhile do without
        found = {
            row[0]: frozenset(
                element
                for element, share in zip(row[1] or (), row[2] or (), strict=False)
                if element is not None and share >= COMMON
            )
            for row in await connection.fetch(_STATISTICS)
        }
        self.facets, self.lexemes = found.get("facets", frozenset()), found.get("search", frozenset())

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


def _plain(lexeme: str) -> str:
    """A lexeme without the quotes that a query has around it and doubles in it."""
    return lexeme[1:-1].replace("''", "'").replace("\\\\", "\\")
