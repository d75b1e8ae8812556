"""Solutions from the lines of a sheet, one for each line."""

from __future__ import annotations

import re
from typing import Any

from federation.domain.formats.sheets import choices
from federation.domain.formats.sheets.cells import Cell
from federation.domain.formats.sheets.lines import Line
from federation.domain.formats.sheets.records import LineRecord
from federation.domain.formats.sheets.values import (
    CellProblem,
    Guess,
    key_of,
    read_choice,
    read_key,
    read_line,
    read_list,
    read_text,
    read_url,
    read_version,
)
from federation.domain.formats.spdx import licence_problem, listed_licence
from federation.domain.territories.finder import words_of

_WIKIDATA = re.compile(r"[Qq][1-9][0-9]{0,11}")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,31}:[^\s\"<>\\^`{|}]{1,2000}")


def build_solution(line: Line, language: str) -> LineRecord | None:
    """The solution of a line; None where the line is at fault."""
    content: dict[str, Any] = {}
    name = line.need("name", line.read("name", read_line))
    summary = line.read("summary", read_text)
    description = line.read("description", read_text)
    if description is not None:
        content["description"] = {language: description}
    kind = line.read("kind", lambda cell: read_choice(cell, choices.SOLUTION_KINDS))
    status = line.read("status", lambda cell: read_choice(cell, choices.DEVELOPMENT_STATUSES))
    licence = line.read("licence", read_licence)
    themes = line.read("themes", lambda cell: _read_themes(cell, line.notes))
    for member in ("repository", "homepage", "documentation"):
        address = line.read(member, read_url)
        if address is not None:
            content[member] = address
    steward = line.read("steward", read_line)
    if steward is not None:
        content["steward"] = steward
    version = line.read("version", read_version)
    if version is not None and not version.startswith("("):
        content["releases"] = [{"version": version}]
    package = {name: value for name in ("purl", "cpe") if (value := line.read(name, read_line)) is not None}
    if package:
        content["packages"] = [package]
    same_as = line.read("same_as", _read_same_as)
    own_key = line.read("key", read_key)
    if not line.is_sound or name is None:
        return None
    content["name"] = name
    line.default(content, "summary", {language: summary} if summary else None, {language: name})
    line.default(content, "kind", kind, "software")
    line.default(content, "status", status, "stable")
    line.default(content, "licence", licence, "LicenseRef-unknown")
    line.default(content, "themes", themes, ["other"])
    identity = read_line(line.cells["key"]) if own_key else name
    return LineRecord(
        line=line,
        key=own_key or key_of(name),
        identity=identity,
        content=content,
        same_as=tuple(same_as or ()),
        has_own_key=own_key is not None,
    )


def read_licence(cell: Cell) -> str | Guess:
    """An SPDX expression in any case; ``GPL2`` and its like; words such as ``libre`` and ``propriétaire``.

    Any other text is an unknown licence: catalogues have all sorts, and the report names them.
    """
    text = read_line(cell)
    words = " ".join(words_of(text))
    for licence, names in choices.LICENCES.items():
        if words in names:
            return licence
    listed = listed_licence(text)
    if licence_problem(listed) is None:
        return listed
    short = choices.SHORT_LICENCES.get(words.replace(" ", ""), "LicenseRef-unknown")
    return Guess(short, f"licence: {text}")


def _read_themes(cell: Cell, notes: list[str]) -> list[str] | None:
    themes: dict[str, None] = {}
    for entry in read_list(cell):
        try:
            themes[read_choice(entry, choices.THEME_NAMES)] = None
        except CellProblem:
            notes.append(f"themes: {entry[:80]}")
            themes["other"] = None
    return list(themes)[:20] or None


def _read_same_as(cell: Cell) -> list[str] | Guess:
    found, guessed = [], False
    for entry in read_list(cell):
        if _WIKIDATA.fullmatch(entry):
            found.append(f"https://www.wikidata.org/wiki/{entry.upper()}")
            guessed = True
        elif _URI.fullmatch(entry):
            found.append(entry)
        else:
            raise CellProblem("{text} is neither an address nor an entry of Wikidata", text=entry[:80])
    return Guess(found, f"same_as: {', '.join(found)}") if guessed else found
