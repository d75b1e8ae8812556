"""CONTRIBUTING.md names every room of the code, from top to bottom, and no room that does not exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from tests.docs.blocks import ROOT

PACKAGE = ROOT / "federation"
TABLE = re.compile(r"^\| a change of … \| belongs in \|\n\| --- \| --- \|\n((?:\|.*\n)+)", re.MULTILINE)


def named(page: str) -> list[str]:
    """The rooms in the rows of the first table, such as `domain/content` or `telemetry.py`."""
    table = TABLE.search(page)
    assert table
    places = [row.rstrip(" |").rsplit(" | ", 1)[1] for row in table[1].splitlines()]
    rooms = [re.match(r"`([a-z_/.]+)`", place) for place in places]
    assert all(rooms), places
    return [room[1].rstrip("/") for room in rooms if room]


def rooms(package: Path) -> set[str]:
    """Packages and modules at the top of the code, and the packages in `domain`."""
    inner = [*package.iterdir(), *(package / "domain").iterdir()]
    packages = {path.relative_to(package) for path in inner if (path / "__init__.py").exists()}
    modules = {path.relative_to(package) for path in package.glob("*.py") if path.name != "__init__.py"}
    return {str(path) for path in packages | modules}


def test_every_room_has_a_row_and_every_row_a_room() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text()
    assert sorted(named(page)) == sorted(rooms(PACKAGE))


def test_the_rooms_are_listed_in_the_order_of_the_import_rule() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    floor = {room: number for number, layer in enumerate(layers) for room in layer.split(" | ")}
    beside = {"telemetry.py"}
    listed = [
        floor[room.split("/")[0]]
        for room in named((ROOT / "CONTRIBUTING.md").read_text())
        if room not in beside
    ]
    assert listed == sorted(listed)


def test_a_room_without_a_row_is_noticed(tmp_path: Path) -> None:
    for room in ("api", "domain", "domain/content"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").touch()
    (tmp_path / "telemetry.py").touch()
    assert rooms(tmp_path) == {"api", "domain", "domain/content", "telemetry.py"}
    page = (
        "| a change of … | belongs in |\n| --- | --- |\n"
        "| x `y` | `api/` (a place) |\n| z | `telemetry.py` |\n\n| other | `web/` |\n"
    )
    assert named(page) == ["api", "telemetry.py"]
