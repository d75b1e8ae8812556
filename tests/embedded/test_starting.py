"""What a node finds when its PostgreSQL has started, and what is left when it has stopped."""

import asyncio
import os
import re
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from federation.postgres import errors
from federation.postgres import server as postgres_server
from federation.postgres.server import running
from tests.embedded.processes import Node, keeper, living, postmaster, status, until

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")


def modes(*paths: Path) -> dict[Path, tuple[int, int, int]]:
    found = {path: path.lstat() for path in paths}
    return {path: (entry.st_mode, entry.st_uid, entry.st_gid) for path, entry in found.items()}


def below(directory: Path) -> Iterator[Path]:
    return (path for path in directory.rglob("*") if not path.is_symlink())


async def test_the_database_is_the_nodes_and_the_node_is_no_superuser(lived: Path) -> None:
    async with running(lived, exclusive=True) as dsn:
        database = await asyncpg.connect(dsn)
        assert await database.fetchval("SELECT current_user") == "federation"
        assert await database.fetchval("SELECT current_database()") == "federation"
        assert await database.fetchval("SHOW is_superuser") == "off"
        for extension in ("unaccent", "pg_trgm"):
            await database.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}")
        assert await database.fetchval("SHOW server_encoding") == "UTF8"
        assert await database.fetchval("SELECT lower('ÉVRY')") == "évry"
        words = await database.fetchval("SELECT to_tsvector('french', 'l’incident « GLPI »')::text")
        assert words == "'glpi':3 'incident':2"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await database.execute("COPY (SELECT 1) TO PROGRAM 'true'")
        await database.close()


async def test_it_is_set_as_the_table_says(lived: Path) -> None:
    from federation.postgres.supervisor import SETTINGS

    async with running(lived, exclusive=True) as dsn:
        database = await asyncpg.connect(dsn)
        rows = await database.fetch("SELECT name, current_setting(name) AS value FROM pg_settings")
        said = {row["name"]: row["value"] for row in rows}
        refused = await database.fetch(
            "SELECT * FROM pg_settings WHERE source = 'command line' AND name = 'fsync'"
        )
        await database.close()
    assert not refused
    assert {name: said[name] for name, value, _ in SETTINGS if name in said} == {
        name: value.strip("'") for name, value, _ in SETTINGS if name in said
    }
    assert said["fsync"] == "on"


async def test_the_kernel_says_who_comes_in_and_nobody_is_trusted(lived: Path) -> None:
    async with running(lived, exclusive=True) as dsn:
        rules = (lived / "postgresql" / "data" / "pg_hba.conf").read_text()
        assert rules == "local federation federation peer map=node\n"
        for other in (dsn.replace("//federation@", "//postgres@"), dsn.replace("/federation?", "/postgres?")):
            with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
                await asyncpg.connect(other)


def tcp_listeners() -> set[str]:
    """The sockets of this machine that wait for TCP connections, by inode."""
    tables = [Path(f"/proc/net/{name}") for name in ("tcp", "tcp6")]
    lines = [
        line.split() for table in tables if table.exists() for line in table.read_text().splitlines()[1:]
    ]
    return {line[9] for line in lines if line[3] == "0A"}


def sockets_of(pids: set[int]) -> set[str]:
    """The sockets that these processes hold, by inode."""
    links = [link for pid in pids for link in Path(f"/proc/{pid}/fd").iterdir()]
    return {match[1] for link in links if (match := re.match(r"socket:\[(\d+)\]", os.readlink(link)))}


@linux
async def test_no_process_of_it_listens_on_tcp(lived: Path) -> None:
    async with running(lived, exclusive=True):
        held, listening = sockets_of(living(lived)), tcp_listeners()
    assert held
    assert not held & listening


async def test_what_is_made_is_closed_and_what_was_there_is_not_touched(closed: Path) -> None:
    there = closed / "there"
    there.mkdir(0o755)
    untouched = (there, *there.parents)
    before = modes(*untouched)
    async with running(there / "a" / "node", exclusive=True) as dsn:
        database = await asyncpg.connect(dsn)
        await database.execute("CREATE TABLE kept AS SELECT 7 AS number")
        await database.close()
        assert modes(*untouched) == before
        for path in below(there):
            mode = path.lstat().st_mode
            assert not mode & 0o077, f"{path} is open: {stat.filemode(mode)}"
    assert modes(*untouched) == before
    async with running(there / "a" / "node", exclusive=False) as dsn:
        database = await asyncpg.connect(dsn)
        assert await database.fetchval("SELECT number FROM kept") == 7
        await database.close()
    assert modes(*untouched) == before


@linux
async def test_a_stopped_node_leaves_no_process_no_socket_and_no_lock(lived: Path) -> None:
    async with running(lived, exclusive=True):
        assert {postmaster(lived), keeper(lived)} < living(lived)
        data = lived / "postgresql" / "data"
        assert (data / ".s.PGSQL.5432").is_socket()
    assert not living(lived)
    assert not [path for path in data.iterdir() if "PGSQL" in path.name or path.name == "postmaster.pid"]
    assert (lived / "postgresql" / "node.lock").read_text() == ""


@linux
async def test_a_node_cancelled_while_it_starts_leaves_no_process(directory: Path) -> None:
    async def node() -> None:
        async with running(directory, exclusive=True):
            raise AssertionError("it was to be cancelled before")

    starting = asyncio.create_task(node())
    await asyncio.to_thread(until, lambda: list((directory / "postgresql").glob("new-*/global")))
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not living(directory)


@pytest.fixture
def short_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the short names of this test are made, and of no other."""
    with tempfile.TemporaryDirectory(prefix="s-", dir=postgres_server.SHORT_NAMES) as names:
        monkeypatch.setattr(postgres_server, "SHORT_NAMES", Path(names))
        yield Path(names)


def modes_in(directory: Path) -> list[int]:
    return [stat.S_IMODE(path.lstat().st_mode) for path in directory.iterdir()]


@pytest.mark.parametrize(
    ("name", "through_a_link"), [("è&?host=x#'%41 +", False), ("n" * 100, True), ("one,two", True)]
)
async def test_any_directory_has_a_dsn(
    lived: Path, short_names: Path, name: str, through_a_link: bool
) -> None:
    moved = lived.with_name(name)
    os.rename(lived, moved)
    try:
        async with running(moved, exclusive=True) as dsn:
            database = await asyncpg.connect(dsn)
            assert await database.fetchval("SELECT 1") == 1
            await database.close()
            assert modes_in(short_names) == [0o700] * through_a_link
        assert not modes_in(short_names)
    finally:
        os.rename(moved, lived)


async def test_a_short_name_that_is_somebody_elses_is_refused(closed: Path, short_names: Path) -> None:
    data = closed / ("n" * 100) / "postgresql" / "data"
    with postgres_server._short_name(data, owned=True) as link:
        short = link.parent
    short.mkdir(0o755)
    with pytest.raises(errors.DirectoryUnusable, match="is not ours"):
        async with running(data.parent.parent, exclusive=True):
            pass


@linux
async def test_a_log_is_bounded(lived: Path) -> None:
    from federation.postgres.supervisor import LOG_BYTES

    log = lived / "postgresql" / "postgresql.log"
    with log.open("ab") as file:
        file.truncate(LOG_BYTES)
    node = Node(lived)
    node.says("ready")
    assert node.leave() == "left"
    assert log.with_name("postgresql.log.1").stat().st_size > LOG_BYTES
    assert sum(file.stat().st_size for file in log.parent.glob(log.name)) < LOG_BYTES


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="needs root: ordinary accounts change nobody"
)
async def test_root_does_not_run_postgresql(lived: Path) -> None:
    async with running(lived, exclusive=True):
        server = status(postmaster(lived))
        assert "0" not in server["Uid"].split()
        assert "0" not in server["Gid"].split()
        assert server["Groups"] == ""
        assert int(server["CapEff"], 16) == 0
