"""Real processes to be started, looked at and killed."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg

from tests.waiting import MAX_WAIT_SECONDS

PROJECT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("node_process.py")


class Node:
    """A node in a process of its own."""

    def __init__(
        self,
        directory: Path,
        doing: str = "serve",
        *more: str,
        python: str = sys.executable,
        path: tuple[str, ...] = (),
        before: tuple[str, ...] = (),
        user: int | None = None,
    ) -> None:
        search = os.pathsep.join(
            (*path, str(PROJECT), *(entry for entry in sys.path if "site-packages" in entry))
        )
        self.process = subprocess.Popen(
            [*before, python, str(SCRIPT), str(directory), doing, *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": search, "PYTHONDONTWRITEBYTECODE": "1"},
            cwd="/",  # where every account may be
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )

    def says(self, word: str) -> str:
        """Read on until it says `word`; what it said after it."""
        assert self.process.stdout
        for line in self.process.stdout:
            said, _, rest = line.strip().partition(" ")
            if said == word:
                return rest
        raise AssertionError(f"it ended without saying {word}")

    def keeps(self, rows: int) -> int:
        """Let it commit so many more rows; the number of the last."""
        return [int(self.says("kept")) for _ in range(rows)][-1]

    def kill(self) -> None:
        self.process.kill()
        self.close()

    def leave(self) -> str:
        """Ask it to leave; the last thing that it says."""
        said, _ = self.process.communicate(timeout=MAX_WAIT_SECONDS)
        return str(said).splitlines()[-1]

    def close(self) -> None:
        """Close our ends of its pipes, and wait until it is gone."""
        with suppress(BrokenPipeError):
            self.process.communicate(timeout=MAX_WAIT_SECONDS)


def until(true: Callable[[], object], seconds: float = MAX_WAIT_SECONDS) -> None:
    """Wait for an event."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


async def rows_after(dsn: str, seconds: float = MAX_WAIT_SECONDS) -> int:
    """How many rows were kept, asked as a pool asks: again, while the server is coming back."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            database = await asyncpg.connect(dsn)
        except (OSError, asyncpg.PostgresError):
            assert time.monotonic() < deadline, "the server did not come back"
            await asyncio.sleep(0.02)
            continue
        try:
            return int(await database.fetchval("SELECT count(*) FROM kept"))
        finally:
            await database.close()


def status(pid: int) -> dict[str, str]:
    """What the kernel says of a process; empty when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def as_owner(directory: Path, argv: list[str | Path]) -> subprocess.Popen[bytes]:
    """Start a program in the cluster, as the account that owns it."""
    data = directory / "postgresql" / "data"
    owner = data.stat()
    root = os.geteuid() == 0
    return subprocess.Popen(
        argv,
        cwd=data,
        stderr=subprocess.DEVNULL,
        user=owner.st_uid if root else None,
        group=owner.st_gid if root else None,
        extra_groups=[] if root else None,
    )


def all_pids() -> Iterator[int]:
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())


def living(directory: Path) -> set[int]:
    """Every process that holds the cluster's lock: the keeper, the postmaster and all its children."""
    lock = str(directory / "postgresql" / "cluster.lock")
    found = set()
    for pid in all_pids():
        with suppress(OSError):
            for file in os.listdir(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    if os.readlink(f"/proc/{pid}/fd/{file}") == lock:
                        found.add(pid)
    return found


def children(parent: int) -> set[int]:
    return {pid for pid in all_pids() if status(pid).get("PPid") == str(parent)}


def postmaster(directory: Path) -> int:
    return int((directory / "postgresql" / "data" / "postmaster.pid").read_text().split()[0])


def keeper(directory: Path) -> int:
    return int(status(postmaster(directory))["PPid"])


def kill(*pids: int) -> None:
    """Kill them all at once: none has the time to notice that another is gone."""
    for how in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            os.kill(pid, how)
