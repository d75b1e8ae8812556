"""What the pages name exists: links, commands, options, variables, files; what is not to be named is not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from federation.cli import main
from federation.settings.settings import Settings
from tests.docs.blocks import DOCS, ROOT

PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
EACH = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))

_FENCE = re.compile(r"^( *)```[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_COMMAND = re.compile(
    r"(?:^|[$#;|(] ?|&& |bin/|exec |exec node )federation((?: (?:--?[a-z][a-z-]*|[a-z]+)(?![\w./=-]))+)",
    re.MULTILINE,
)
AVOIDED = ("tenant", "entity", "DTO", "payload", "manager", "helper", "utils", "CRUD")
"""Words that the glossary leaves out: there is another one for each thing."""
TO_BE_WRITTEN = {"federation/domain/content/recipe.py"}
"""Files that a how-to asks its reader to make."""


def prose(text: str) -> str:
    """A page without its code blocks."""
    return _FENCE.sub("", text)


def codes(text: str) -> Iterator[str]:
    """The code of a page: blocks and spans."""
    for block in _FENCE.finditer(text):
        yield block[2]
    for span in _SPAN.finditer(prose(text)):
        yield " ".join(span[1].split())


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    headings = _HEADING.findall(prose(page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def unknown_commands(text: str) -> Iterator[str]:
    """Commands and options of the command line that are named and do not exist."""
    for code in codes(text):
        for found in _COMMAND.finditer(code):
            command: click.Command = main
            for word in found[1].split():
                if word.startswith("-"):
                    known = {"-h", "--help", *(name for p in command.params for name in p.opts)}
                    if word not in known:
                        yield f"{found[0]}: {word}"
                elif isinstance(command, click.Group):
                    inner = command.get_command(click.Context(command), word)
                    if inner is None:
                        yield f"{found[0]}: {word}"
                        break
                    command = inner


@EACH
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(_SPAN.sub("code", prose(page.read_text()))):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert ROOT in target.parents, link
        if anchor:
            assert anchor in anchors(target), link


@EACH
def test_headings_use_the_words_of_the_glossary(page: Path) -> None:
    for heading in _HEADING.findall(prose(page.read_text())):
        words = set(re.findall(r"\w+", heading.lower()))
        assert not words & {word.lower() for word in AVOIDED}, heading


@EACH
def test_commands_and_options_exist(page: Path) -> None:
    assert list(unknown_commands(page.read_text())) == []


def test_a_command_that_does_not_exist_is_noticed() -> None:
    block = "```console\n$ federation peer befriend x\n$ bin/federation client add a\n```\n"
    said = f"`federation serve --fast`\n{block}"
    assert list(unknown_commands(said)) == [
        "$ federation peer befriend x: befriend",
        "federation serve --fast: --fast",
    ]


@EACH
def test_variables_exist(page: Path) -> None:
    known = {f"FEDERATION_{name.upper()}" for name in Settings.__struct_fields__}
    known |= set(re.findall(r"FEDERATION_[A-Z_]+", (ROOT / "compose.yaml").read_text()))
    assert set(re.findall(r"\bFEDERATION_[A-Z_]+\b", page.read_text())) <= known


@EACH
def test_targets_of_make_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for code in codes(page.read_text()):
        for found in re.finditer(r"(?:^|\$ )make ([a-z][a-z ]*)", code, re.MULTILINE):
            assert set(found[1].split()) <= targets, found[0]


@EACH
def test_files_that_are_named_exist(page: Path) -> None:
    for code in codes(page.read_text()):
        for path in re.findall(r"(?<![\w/.-])(?:federation|migrations|tests)/[\w/-]+\.\w+", code):
            assert (ROOT / path).exists() == (path not in TO_BE_WRITTEN), path


@EACH
def test_nothing_is_told_of_a_machine_or_an_index(page: Path) -> None:
    text = page.read_text()
    directories = re.findall(r"(?<![\w.])/(?:work|root|home|tmp|Users)/\S+", text)
    indexes = re.findall(r"pythonhosted|pypi|npmjs|proxy\.golang", text, re.IGNORECASE)
    assert not directories
    assert not indexes


def test_every_decision_has_its_number_first() -> None:
    for page in (DOCS / "decisions").glob("[0-9]*.md"):
        assert page.read_text().startswith(f"# {page.name[:4]} ")


@EACH
def test_tests_that_are_named_exist(page: Path) -> None:
    named = set(re.findall(r"`(test_\w+)`", page.read_text()))
    if page.name == "threats.md":
        assert len(named) > 30
    files = [test.read_text() for test in (ROOT / "tests").rglob("test_*.py")] if named else []
    assert {name for name in named if not any(f"def {name}(" in text for text in files)} == set()
