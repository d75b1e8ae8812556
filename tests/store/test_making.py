"""Only `serve`, `init` and `demo` make a node: other commands say that there is none, and make nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from federation.store import schema
from tests.exposure.commands import ran, said, told
from tests.store.stepwise_transactions import looking

COMMANDS = (
    ("client", "list"), ("client", "add", "x"), ("status",), ("peer", "list"), ("key",), ("migrate",),
    ("restore-check",), ("audit", "list"), ("deadline", "list"), ("group", "list"), ("peer", "invite"),
)  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
async def test_a_command_makes_no_node_in_an_empty_directory(tmp_path: Path, words: tuple[str, ...]) -> None:
    place = tmp_path / "nowhere"
    status, text = await ran("", *words, OPERATOR="zz", DATA_DIR=str(place))
    assert status == 1
    assert text == (
        f"federation: there is no node in {place} (FEDERATION_DATA_DIR); set the variables that"
        " `federation serve` runs with, or make a node with `federation init`\n"
    )
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("words", [("client", "list"), ("migrate",)], ids=" ".join)
async def test_a_command_makes_no_node_in_an_empty_database(fresh: str, words: tuple[str, ...]) -> None:
    status, text = await ran(fresh, *words)
    assert status == 1
    assert "there is no node in that database (FEDERATION_DATABASE_URL)" in text
    assert await schema.is_new(fresh)
    async with looking(fresh) as look:
        assert await look.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0


async def test_init_makes_a_node_once_in_a_database(fresh: str) -> None:
    made = await told(fresh, "init")
    assert (made["operator"], made["made"]) == ("arnia", True)
    assert await told(fresh, "init") == {**made, "made": False}
    assert (await said(fresh, "key")).strip() == made["thumbprint"]
    assert await told(fresh, "migrate") == {"before": schema.newest(), "after": schema.newest()}
    status, text = await ran(fresh, "init", OPERATOR="megalis")
    assert status == 1
    assert "belongs to the node of arnia, not of megalis" in text


async def test_init_makes_a_node_in_a_directory(tmp_path: Path) -> None:
    place = str(tmp_path / "new")
    text = await said("", "init", DATA_DIR=place)
    assert text.startswith("the node of arnia is made, key ")
    assert (await said("", "key", DATA_DIR=place)).strip() == text.split()[-1]
