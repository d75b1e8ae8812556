"""One directory, one server: those who serve exclude each other, commands join in or take turns."""

import asyncio
import os
from pathlib import Path

import asyncpg
import pytest

from federation.postgres import server
from federation.postgres.errors import DirectoryInUse
from federation.postgres.server import running
from tests.embedded.processes import Node, until
from tests.waiting import MAX_WAIT_SECONDS


async def test_a_second_node_is_refused_at_once_and_told_why(
    lived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not wait as a command would: for an hour, here."""
    monkeypatch.setattr(server, "CLAIM_SECONDS", 3_600.0)
    node = Node(lived)
    node.says("ready")
    async with asyncio.timeout(MAX_WAIT_SECONDS):
        with pytest.raises(DirectoryInUse) as refused:
            async with running(lived, exclusive=True):
                pass
    assert str(lived) in str(refused.value)
    assert f"process {node.process.pid}:" in str(refused.value)
    assert "stop that process first" in str(refused.value)
    node.keeps(1)
    assert node.leave() == "left"


async def test_a_second_node_is_refused_within_one_process_too(lived: Path) -> None:
    async with running(lived, exclusive=True):
        with pytest.raises(DirectoryInUse, match=f"process {os.getpid()}:"):
            async with running(lived, exclusive=True):
                pass


async def test_of_two_nodes_that_start_together_one_serves(lived: Path) -> None:
    nodes = [Node(lived) for _ in range(2)]
    outputs = [node.process.stdout for node in nodes if node.process.stdout]
    first, second = [next(output).split()[0] for output in outputs]
    assert {first, second} == {"ready", "refused"}
    for node in nodes:
        node.close()


async def test_a_command_joins_the_node_that_serves(lived: Path) -> None:
    async with running(lived, exclusive=True) as served:
        started = await _started(served)
        async with running(lived, exclusive=False) as joined:
            assert await _started(joined) == started
        assert await _started(served) == started  # and does not stop it


async def test_a_command_waits_for_a_node_that_is_starting(directory: Path) -> None:
    node = Node(directory)
    until((directory / "postgresql" / "node.lock").exists)
    async with running(directory, exclusive=False) as dsn:
        await _started(dsn)
    assert node.leave() == "left"


async def test_two_commands_at_once_both_get_their_turn(lived: Path) -> None:
    async def command() -> None:
        async with running(lived, exclusive=False) as dsn:
            database = await asyncpg.connect(dsn)
            await asyncio.sleep(0.1)
            assert await database.fetchval("SELECT 1") == 1
            await database.close()

    await asyncio.gather(*(command() for _ in range(3)))


async def test_a_node_waits_for_a_command(lived: Path) -> None:
    command = Node(lived, "command")
    command.says("ready")
    node = Node(lived)
    await asyncio.sleep(0.3)
    assert command.leave() == "left"
    node.says("ready")
    assert node.leave() == "left"


async def test_nobody_waits_for_ever(lived: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CLAIM_SECONDS", 0.2)
    command = Node(lived, "command")
    command.says("ready")
    for exclusive in (True, False):
        with pytest.raises(DirectoryInUse, match=f"process {command.process.pid}:"):
            async with running(lived, exclusive=exclusive):
                pass
    assert command.leave() == "left"


async def _started(dsn: str) -> object:
    database = await asyncpg.connect(dsn)
    try:
        return await database.fetchval("SELECT pg_postmaster_start_time()")
    finally:
        await database.close()
