"""The page of the architecture names every room, and in a record's walk only what exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.docs.blocks import DOCS, ROOT
from tests.docs.test_contributing import rooms

PACKAGE = ROOT / "federation"
PAGE = DOCS / "why" / "architecture.md"
NAMED = re.compile(r"`((?:[a-z_]+/)+[a-z_]+)\.([A-Za-z_]+(?:\.[A-Za-z_]+)*)`")


def section(title: str) -> str:
    """The text under a heading."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def unknown_names(text: str, package: Path) -> Iterator[str]:
    """Functions, classes and methods that are named as `room/module.name` and do not exist."""
    for module, name in NAMED.findall(text):
        path = package / f"{module}.py"
        body = ast.parse(path.read_text()).body if path.exists() else []
        for part in name.split("."):
            definitions = [
                node
                for node in body
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                and node.name == part
            ]
            body = definitions[0].body if definitions else []
            if not definitions:
                yield f"{module}.{name}"
                break


def test_every_room_is_named_and_every_named_room_exists() -> None:
    rows = re.findall(r"^\| `([a-z/]+)` \|", section("The rooms"), re.MULTILINE)
    assert sorted(rows) == sorted(room.removesuffix(".py") for room in rooms(PACKAGE))


def test_a_records_walk_names_what_exists() -> None:
    walk = section("A record's walk")
    assert len(NAMED.findall(walk)) > 20
    assert list(unknown_names(walk, PACKAGE)) == []


def test_a_name_that_does_not_exist_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "feeds.py").write_text("class Feeds:\n    async def heads(self): ...\n")
    text = "`api/feeds.Feeds.heads`, `api/feeds.Feeds.tails`, `api/gone.x`, `api/feeds` and `Feeds.heads`"
    assert list(unknown_names(text, tmp_path)) == ["api/feeds.Feeds.tails", "api/gone.x"]
