"""Whoever is killed: every committed row is kept, and no process stays behind."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import asyncpg
import pytest

from tests.embedded.processes import (
    Node,
    as_owner,
    children,
    keeper,
    kill,
    living,
    postmaster,
    rows_after,
    status,
    until,
)

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
]


async def test_a_killed_node_takes_its_server_along_and_loses_no_row(lived: Path) -> None:
    node = Node(lived)
    last = node.keeps(20)
    node.kill()
    until(lambda: not living(lived))
    assert not (lived / "postgresql" / "data" / ".s.PGSQL.5432").exists()

    again = Node(lived)
    assert again.keeps(1) > last
    assert again.leave() == "left"


async def test_a_node_started_at_once_after_a_kill_waits_for_the_old_server(lived: Path) -> None:
    node = Node(lived)
    last = node.keeps(5)
    server = postmaster(lived)
    os.kill(server, signal.SIGSTOP)  # it is told to shut down, and takes its time
    node.kill()
    again = Node(lived)
    until(lambda: children(again.process.pid))
    await asyncio.sleep(0.3)
    assert postmaster(lived) == server
    os.kill(server, signal.SIGCONT)
    assert again.keeps(1) > last
    assert again.leave() == "left"


async def test_a_killed_postmaster_comes_back_under_the_same_name(lived: Path) -> None:
    node = Node(lived)
    dsn = node.says("ready")
    node.keeps(20)
    before = await rows_after(dsn)
    fallen = postmaster(lived)
    kill(fallen)
    until(lambda: not status(fallen))  # reaped, not only dead
    assert await rows_after(dsn) >= before
    assert not [pid for pid in children(node.process.pid) if status(pid)["State"].startswith("Z")]
    assert node.leave() == "left"


async def test_a_server_that_falls_again_and_again_is_started_again_and_again(lived: Path) -> None:
    node = Node(lived)
    dsn = node.says("ready")
    for _ in range(2):
        fallen = postmaster(lived)
        kill(fallen)
        until(lambda: not status(fallen))  # noqa: B023 - called before the next round
        await rows_after(dsn)
    assert node.leave() == "left"


async def test_a_killed_keeper_is_replaced(lived: Path) -> None:
    node = Node(lived)
    dsn = node.says("ready")
    fallen = keeper(lived), postmaster(lived)
    kill(fallen[0])
    until(lambda: not status(fallen[1]) or status(fallen[1])["State"].startswith("Z"))
    await rows_after(dsn)
    assert node.leave() == "left"


async def test_node_and_postmaster_killed_together_lose_no_row(lived: Path) -> None:
    node = Node(lived)
    last = node.keeps(20)
    kill(postmaster(lived), node.process.pid)
    node.close()
    until(lambda: not living(lived))
    again = Node(lived)
    assert again.keeps(1) > last
    assert again.leave() == "left"


LONG_CALL = "SELECT repeat(md5('x'), 30000000) LIKE '%a%b%c%d%e%f%0%z'"
"""It never looks up: its backend does not notice that the postmaster is gone."""


async def test_a_query_that_outlives_its_postmaster_does_not_hold_up_the_next(lived: Path) -> None:
    node = Node(lived)
    dsn = node.says("ready")
    database = await asyncpg.connect(dsn)
    pid = await database.fetchval("SELECT pg_backend_pid()")
    query = asyncio.create_task(database.execute(LONG_CALL))
    beside = await asyncpg.connect(dsn)
    while await beside.fetchval("SELECT query FROM pg_stat_activity WHERE pid = $1", pid) != LONG_CALL:
        await asyncio.sleep(0.01)
    beside.terminate()
    kill(postmaster(lived))
    await rows_after(dsn)
    with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
        await query
    until(lambda: not status(pid))
    assert node.leave() == "left"


UNREAPED = """
import ctypes, subprocess, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # adopts orphans, as PID 1 does, and reaps none of them
subprocess.Popen(sys.argv[1:], stdin=0, stdout=1)
sys.stdin = None
import time
time.sleep(600)
"""


async def test_a_zombie_postmaster_is_no_obstacle(lived: Path) -> None:
    """In a container whose PID 1 does not reap, the pid that PostgreSQL noted looks alive for ever."""
    node = Node(lived, before=(sys.executable, "-c", UNREAPED))
    last = node.keeps(5)
    reaper = node.process.pid
    server, its_keeper = postmaster(lived), keeper(lived)
    its_node = int(status(its_keeper)["PPid"])
    note = lived / "postgresql" / "data" / "postmaster.pid"
    kill(its_keeper, server, its_node)
    until(lambda: not living(lived))
    assert status(server)["State"].startswith("Z")
    assert note.read_text().split()[0] == str(server)
    os.kill(server, 0)  # to kill(pid, 0) it is alive

    again = Node(lived)
    assert again.keeps(1) > last
    assert again.leave() == "left"
    assert status(reaper)
    node.kill()


async def test_a_recycled_pid_is_no_obstacle_and_comes_to_no_harm(lived: Path) -> None:
    node = Node(lived)
    node.says("ready")
    server, its_keeper = postmaster(lived), keeper(lived)
    kill(its_keeper, server, node.process.pid)
    node.close()
    until(lambda: not living(lived))
    stranger = as_owner(lived, ["sleep", "600"])
    try:
        note = lived / "postgresql" / "data" / "postmaster.pid"
        note.write_text(note.read_text().replace(str(server), str(stranger.pid), 1))
        again = Node(lived)
        again.keeps(1)
        assert again.leave() == "left"
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def segments_there() -> set[str]:
    return {line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}


async def test_no_shared_memory_is_left_by_the_killed(lived: Path) -> None:
    segments = []
    for _ in range(2):
        node = Node(lived)
        node.says("ready")
        note = (lived / "postgresql" / "data" / "postmaster.pid").read_text().splitlines()
        segments.append(note[6].split()[1])
        kill(keeper(lived), postmaster(lived), node.process.pid)
        node.close()
        until(lambda: not living(lived))
    node = Node(lived)
    node.says("ready")
    assert node.leave() == "left"
    assert not segments_there() & set(segments)


async def test_a_cluster_half_made_leaves_no_process_and_is_made_again(directory: Path) -> None:
    room = directory / "postgresql"

    node = Node(directory)
    until(lambda: list(room.glob("new-*/global")))
    node.kill()
    until(lambda: not living(directory))
    assert not list(room.glob("new-*"))

    node = Node(directory)
    until(lambda: list(room.glob("new-*/global")))
    (its_keeper,) = children(node.process.pid)
    kill(its_keeper, node.process.pid)
    node.close()
    until(lambda: not living(directory))
    assert list(room.glob("new-*"))
    assert not (room / "data").exists()

    node = Node(directory)
    node.keeps(1)
    assert node.leave() == "left"
    assert not list(room.glob("new-*"))
