"""The words of the code and of the pages stay plain, as CONTRIBUTING.md has them under "How to write".

Measured are the shares of docstrings that begin with a pronoun, of bound names that only point at something,
and of functions that are called by a bare participle. Names and public words that were replaced stay away.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.docs.blocks import DOCS, ROOT

PACKAGE = ROOT / "federation"

PRONOUN_LED = re.compile(r"(Who|What|Whose|Whom|Whoever|Whatever|Whether|Where|How|That|Up to|As|The same)\b")
POINTING = frozenset(
    "one found said told held several was there other others now wanted asked known what who here same whole"
    " why gone kept taken made left this each many most".split()
)
PARTICIPLE = re.compile(
    r"\w*ed|told|said|held|kept|written|known|found|shown|taken|made|left|seen|sought|within|beyond|beside|around"
    r"|apart|aside|whose|still"
)
MAX_SHARES = {"docstrings": 0.04, "names": 0.02, "functions": 0.05}

REPLACED_NAMES = re.compile(
    r"MOST_\w+|LONGEST_\w+|\w*PATIENCE|RESTS|QUIET|AT_ONCE|\w*SILENCE|RACES|KEEP|KEEPING"
    r"|_?(set_)?asides?|Aside\w*|brake[sd]?|\w*untold|was_told|told_\w+|hits?|hits_mine|wish|eyes|news|arrivals"
    r"|on_its_way|put_in_place|bring_in|reckon\w*|nudge|unseat|vacate|take_back|lend|Lent|sought"
    r"|_glance|_few|_walk|sameness|same_software|notary|farewell|unproved|KeepingUp"
    r"|Held|Taken|Standing|Slice|Eyes|Overtaken|Occupied|Raced|Ledger|Portion|Extent|Place|News|Watch"
)
"""Identifiers for which CONTRIBUTING.md has another word."""
REPLACED_WORDS = (
    "set aside", "set-aside", "set_aside", "farewell", "hits-mine", "unproved", "untold", "same_software",
    "sameness", "brake", "notary", "Prefer: certificate", "federation clock", "/v1/clocks", "clocks.read",
    "clocks.write", "regulatory clock", "arrivals", "proof_age", "copy_waits", "waits to be confirmed",
)  # fmt: skip
"""Words that a page does not use any more."""
HISTORY = {ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"}
"""Pages that name an old word beside its new one."""


class Place(NamedTuple):
    """A place in the code, and the text found there."""

    line: int
    text: str


class Words(NamedTuple):
    """All places of a module that are measured, and those at fault, by kind."""

    measured: dict[str, int]
    faults: dict[str, list[Place]]
    replaced: list[Place]


def words_of(source: str) -> Words:
    """Measure one module."""
    words = Words(dict.fromkeys(MAX_SHARES, 0), {kind: [] for kind in MAX_SHARES}, [])

    def count(kind: str, fault: bool, line: int, text: str) -> None:
        words.measured[kind] += 1
        if fault:
            words.faults[kind].append(Place(line, text))

    for node in ast.walk(ast.parse(source)):
        line = getattr(node, "lineno", 1)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
            text = ast.get_docstring(node)
            if text:
                count("docstrings", bool(PRONOUN_LED.match(text)), line, text.splitlines()[0])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("__"):
            count("functions", bool(PARTICIPLE.fullmatch(node.name.strip("_"))), line, node.name)
        bound = bound_name(node)
        if bound is not None and bound not in ("self", "cls", "_"):
            count("names", bound in POINTING, line, bound)
        words.replaced.extend(
            Place(line, name) for name in identifiers(node) if REPLACED_NAMES.fullmatch(name)
        )
    return words


def bound_name(node: ast.AST) -> str | None:
    """The name that a parameter or an assignment binds."""
    if isinstance(node, ast.arg):
        return node.arg
    return node.id if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else None


def identifiers(node: ast.AST) -> Iterator[str]:
    """The names that a definition, a parameter, an assignment or an attribute uses."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Attribute):
        yield node.attr
    elif (name := bound_name(node)) is not None:
        yield name


@cache
def modules() -> dict[Path, Words]:
    """Each module of the project with its words."""
    return {path: words_of(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}


def replaced_words(text: str) -> list[str]:
    """The words of a page that have been replaced; what is between backquotes counts, too."""
    joined = " ".join(text.split())
    return [word for word in REPLACED_WORDS if re.search(rf"(?<!\w){re.escape(word)}", joined)]


def pages() -> list[Path]:
    """The pages that users read: decisions tell why a word was replaced."""
    found = {*ROOT.glob("*.md"), *DOCS.rglob("*.md")} - HISTORY
    return sorted(page for page in found if page.parent.name != "decisions")


@pytest.mark.parametrize("kind", MAX_SHARES)
def test_the_share_of_vague_words_is_small(kind: str) -> None:
    found = modules()
    measured = sum(words.measured[kind] for words in found.values())
    faults = [
        f"{path.relative_to(ROOT)}:{place.line}: {place.text}"
        for path, words in found.items()
        for place in words.faults[kind]
    ]
    assert len(faults) <= MAX_SHARES[kind] * measured, "\n".join(
        [f"{len(faults)} of {measured} {kind}", *faults]
    )


def test_names_that_were_replaced_do_not_come_back() -> None:
    assert [
        f"{path.relative_to(ROOT)}:{place.line}: {place.text}"
        for path, words in modules().items()
        for place in words.replaced
    ] == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_do_not_use_words_that_were_replaced(page: Path) -> None:
    assert replaced_words(page.read_text()) == []


def test_vague_words_are_noticed_and_plain_ones_are_not() -> None:
    vague = words_of(
        '"""Who reads it."""\ndef told(one, two):\n    """What it is."""\n    held, peer = one\n'
    )
    assert vague.measured == {"docstrings": 2, "names": 4, "functions": 1}
    assert {kind: [place.text for place in places] for kind, places in vague.faults.items()} == {
        "docstrings": ["Who reads it.", "What it is."],
        "names": ["one", "held"],
        "functions": ["told"],
    }
    plain = words_of('"""Read feeds."""\ndef send(self, peer):\n    """Whole feeds are sent."""\n')
    assert plain.measured == {"docstrings": 2, "names": 1, "functions": 1}
    assert plain.faults == {"docstrings": [], "names": [], "functions": []}


def test_replaced_names_and_words_are_noticed_and_others_are_not() -> None:
    source = "class Aside:\n    set_aside = 1\n    def farewell(self, hits): self.brakes()\n"
    assert {place.text for place in words_of(source).replaced} == {
        "Aside", "set_aside", "farewell", "hits", "brakes",
    }  # fmt: skip
    assert words_of("def whitelist(aside_table, MAX_SECONDS): self.placed = 1\n").replaced == []
    assert replaced_words("it was set\naside, see `Prefer: certificate`") == [
        "set aside",
        "Prefer: certificate",
    ]
    assert replaced_words("the clocks differ; a TLS certificate; a reporting deadline; offset aside") == []
