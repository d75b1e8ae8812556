"""The reference says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from federation.api import openapi
from federation.api.problems import PROBLEMS
from federation.cli import main
from federation.domain.registry import TYPES
from federation.server.app import api
from federation.settings.settings import Settings
from tests.docs.blocks import BLOCKS, DOCS, OF_ONE_COLLECTION, ROOT, commands, names, written

PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_is_made_from_the_code_is_as_the_code_is(page: Path) -> None:
    text = page.read_text()
    assert text == written(text), "run python -m tests.docs.blocks"


def test_every_block_is_in_a_page() -> None:
    assert {name for page in PAGES for name in names(page.read_text())} == set(BLOCKS)


def test_every_command_has_its_help_in_the_reference() -> None:
    page = (DOCS / "reference/cli.md").read_text()
    for path, command in commands():
        assert f"## federation {' '.join(path)}\n" in page
        for option in (name for parameter in command.params for name in parameter.opts if name[:2] == "--"):
            assert option in page
    assert len(list(commands())) >= len(main.list_commands(click.Context(main)))


def test_every_problem_has_its_meaning_and_remedy() -> None:
    page = (DOCS / "reference/problems.md").read_text()
    assert set(re.findall(r"^## (\S+)$", page, re.MULTILINE)) == set(PROBLEMS)
    for problem in PROBLEMS.values():
        assert problem.meaning in page
        assert problem.remedy in page


def test_every_setting_is_in_the_reference() -> None:
    page = (DOCS / "reference/settings.md").read_text()
    named = set(re.findall(r"^\| `FEDERATION_([A-Z_]+)`", page, re.MULTILINE))
    assert named == {name.upper() for name in Settings.__struct_fields__}


def test_every_member_of_every_type_is_in_the_reference() -> None:
    page = (DOCS / "reference/schema.md").read_text()
    for kind in TYPES.values():
        _, _, section = page.partition(f"\n## {kind.__name__}\n")
        section = section.partition("\n## ")[0]
        assert section, kind
        for member in kind.__struct_encode_fields__:
            assert f"| `{member}` |" in section


def test_every_path_of_the_api_is_in_the_reference() -> None:
    page = (DOCS / "reference/api.md").read_text()
    for path, methods in openapi.document(api(), "https://node.example.org")["paths"].items():
        for method in methods:
            named = f"{method.upper()} {path}"
            for kind in TYPES.values():
                if not path.endswith(OF_ONE_COLLECTION):
                    named = re.sub(rf"/v1/{kind.plural}\b", "/v1/{collection}", named)
            assert f"`{named}`" in page


def test_a_stale_block_is_noticed() -> None:
    stale = "<!-- from the code: settings -->\nold\n<!-- end -->"
    assert names(stale) == ["settings"]
    assert written(stale) != stale
