"""The records that lines of a sheet stand for, before their files are compared with what is stored."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from federation.domain.formats.sheets.lines import Line
from federation.domain.formats.sheets.values import CellProblem, read_line
from federation.domain.organisation import Identifier
from federation.domain.territories.bodies import bodies
from federation.domain.territories.finder import words_of
from federation.domain.territories.identity import name_of, number_of
from federation.domain.values import ID_PATTERN


class Known(msgspec.Struct, frozen=True):
    """The facts of a node that a reader of spreadsheets needs."""

    operator: str
    """The operator of the node: a key alone names one of its records."""
    solutions: Mapping[str, str] = {}
    """Names of solutions by their ids."""


class LineRecord(msgspec.Struct, kw_only=True):
    """A record as one line gives it, or several lines with one key."""

    line: Line
    key: str
    identity: str
    content: dict[str, Any]
    same_as: tuple[str, ...] = ()
    has_own_key: bool = False
    """True where the file names the key: several lines may then be one record."""
    merge: Callable[[LineRecord, LineRecord], bool] | None = None
    """Adds a second line with the same key to the first; False where they differ, or are about the same."""
    counted: set[tuple[int | str, str]] = msgspec.field(default_factory=set)
    """The bodies of the record, each with the unit of its need: a second line about one is a duplicate."""


class SolutionFinder:
    """Solutions by id, key or name. Raises CellProblem where the words name none, or several."""

    def __init__(self, known: Known) -> None:
        self._operator = known.operator
        self._by_words: dict[str, list[str]] = {}
        for id_, name in known.solutions.items():
            for words in {_normal(name), _normal(id_.partition("/")[2])}:
                self._by_words.setdefault(words, []).append(id_)

    def find(self, cell: Any) -> str:
        text = read_line(cell)
        if re.fullmatch(ID_PATTERN, text):
            return text
        ids = self._by_words.get(_normal(text), [])
        own = [id_ for id_ in ids if id_.startswith(f"{self._operator}/")]
        found = own if len(own) == 1 else ids
        if len(found) == 1:
            return found[0]
        if found:
            raise CellProblem(
                "{name} names several solutions: {ids}", name=text[:80], ids=", ".join(found[:5])
            )
        raise CellProblem(
            "no solution is called {name} here: import solutions first, or name its id", name=text[:80]
        )


def _normal(text: str) -> str:
    return " ".join(words_of(text))


def without(content: Mapping[str, Any], *members: str) -> dict[str, Any]:
    """The content but for these members."""
    return {name: value for name, value in content.items() if name not in members}


def body_of(organisation: Mapping[str, Any]) -> int | str:
    """The body that an organisation is, whichever of its identifiers it has."""
    identifiers = [Identifier(**identifier) for identifier in organisation["identifiers"]]
    names = [name_of(identifier) for identifier in identifiers]
    return next((number for name in names if (number := number_of(name)) is not None), names[0])


def label_of(organisation: Mapping[str, Any]) -> str:
    """The code of a body in keys: the same, whichever of its identifiers a file has."""
    body = body_of(organisation)
    if isinstance(body, str):
        return body.partition(":")[2]
    return bodies()[body].cog or bodies()[body].siren or ""
