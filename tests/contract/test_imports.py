"""Each import contract of ``pyproject.toml`` refuses what it forbids; the package as it is keeps all of them.

Each is broken on purpose in a copy of the package, with every offending import that it names at once.
"""

from __future__ import annotations

import ast
import itertools
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS: list[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"][
    "importlinter"
]["contracts"]
LINT = Path(sys.executable).with_name("lint-imports")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The imports of modules that are as they were in another copy are read once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package and of its contracts."""
    shutil.copytree(
        ROOT / "federation", tmp_path / "federation", ignore=lambda folder, names: {
            name for name in names if not (Path(folder, name).is_dir() or name.endswith(".py"))
        },
    )  # fmt: skip
    shutil.copy2(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def linted(copy: Path, cache: Path) -> tuple[bool, str]:
    """Whether the copy keeps every contract, and the report, each run of blanks as one."""
    done = subprocess.run(
        [LINT, "--no-logo", "--cache-dir", cache],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "COLUMNS": "400"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Contracts:" in done.stdout, (done.stdout, done.stderr)
    return done.returncode == 0, " ".join(done.stdout.split())


def add_import(copy: Path, module: str, imported: str) -> None:
    path = copy.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    with file.open("a") as text:
        text.write(f"\nimport {imported}\n")


def offences(contract: dict[str, Any]) -> list[tuple[str, str]]:
    """Modules, and what each must not import: one of each kind that the contract names."""
    if contract["type"] == "forbidden":
        return list(itertools.product(contract["source_modules"], contract["forbidden_modules"]))
    assert contract["type"] == "layers", "say here how to break a contract of another type"
    (container,) = contract["containers"]
    layers = [[f"{container}.{name.strip()}" for name in line.split("|")] for line in contract["layers"]]
    upward = [(low, high[0]) for high, lower in itertools.pairwise(layers) for low in lower]
    return upward + [pair for siblings in layers for pair in itertools.permutations(siblings, 2)]


def test_the_package_as_it_is_keeps_every_contract(copy: Path, cache: Path) -> None:
    kept, report = linted(copy, cache)
    assert kept, report
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in report


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract["name"])
def test_a_contract_refuses_each_import_that_it_forbids(
    copy: Path, cache: Path, contract: dict[str, Any]
) -> None:
    pairs = offences(contract)
    for module, imported in pairs:
        add_import(copy, module, imported)
    kept, report = linted(copy, cache)
    assert not kept
    assert f"{contract['name']} BROKEN" in report
    for module, imported in pairs:
        assert f"{module} is not allowed to import {imported}:" in report


@pytest.mark.parametrize("name", ["helpers.py", "helpers/__init__.py"])
def test_a_new_module_without_a_layer_is_refused(copy: Path, cache: Path, name: str) -> None:
    path = copy / "federation" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    kept, report = linted(copy, cache)
    assert not kept
    assert "federation.helpers" in report


def stores_used(source: str) -> list[str]:
    """Expressions by which a module would reach the store of a node, and open a transaction."""
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and node.attr == "store"
    ]


@pytest.mark.parametrize("package", ["api", "web"])
def test_machines_and_pages_open_no_transaction(package: str) -> None:
    modules = list((ROOT / "federation" / package).rglob("*.py"))
    assert modules
    assert {path.name: found for path in modules if (found := stores_used(path.read_text()))} == {}


def test_a_transaction_that_is_opened_there_would_be_found() -> None:
    assert stores_used("async with node.store.read() as tx: pass") == ["node.store"]
    assert stores_used("async with node_of(request).store.write() as tx: pass") == ["node_of(request).store"]
    assert stores_used("stored = node.restore()") == []
