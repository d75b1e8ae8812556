"""The keeper: a small process of ours that stands between a node and its PostgreSQL.

    node ──lifeline──▶ keeper ──parent of──▶ postgres ──▶ its backends

It makes the cluster where there is none, runs the server, writes `ready` on its standard output, keeps the
server's log within bounds, and stops the server when the lifeline ends. The lifeline is its standard input,
a pipe on which nothing is ever written: it ends when the node closes it, and also when the node is killed.
A clean stop and a kill -9 of the node are therefore one path, and that path runs every day.

Who is alive is never guessed from a pid, which may be recycled or a zombie's. Every process of the cluster
inherits one locked file, so the kernel answers: while the lock is held somebody lives, when it is free nobody
does. And only children are ever signalled, since a child's pid cannot be recycled before we reap it.

`server.py` runs this file as a script with `python -I -S`; it imports little, to be there in 20 ms.
"""

import contextlib
import errno
import fcntl
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

# What the server is told, and why; written to its postgresql.conf at every start, so this table is the truth.
SETTINGS = (
    ("listen_addresses", "''", "no TCP: a process of another machine cannot even ask"),
    ("unix_socket_directories", "'.'", "the data directory itself, 0700; relative, so as long as it likes"),
    ("unix_socket_permissions", "0700", "on top of the directory's own mode"),
    ("port", "5432", "no port, only the end of the socket's name"),
    ("allow_alter_system", "off", "this file is rewritten at every start and must not be overruled"),
    ("fsync", "on", "a committed row is on disk"),
    ("synchronous_commit", "on", "the same"),
    ("full_page_writes", "on", "a page half written in a power cut is repaired"),
    ("max_connections", "100", "several API processes, each with a pool"),
    ("shared_buffers", "128MB", "a node is at home on a VM with 1 GB"),
    ("effective_cache_size", "512MB", "the same VM; only a hint to the planner"),
    ("dynamic_shared_memory_type", "mmap", "nothing in /dev/shm: it may be tiny, or cleared at a logout"),
    ("io_method", "sync", "three processes fewer; asynchronous reads pay on larger disks"),
    ("max_parallel_workers_per_gather", "0", "two cores, many small queries"),
    ("max_logical_replication_workers", "0", "one process fewer; nodes exchange over HTTP"),
    ("wal_level", "minimal", "nobody replicates from here"),
    ("max_wal_senders", "0", "the same, and required by it"),
    ("min_wal_size", "64MB", "small disks"),
    ("max_wal_size", "512MB", "small disks; a checkpoint every 512 MB of writes at the latest"),
    ("jit", "off", "compiling costs more than our queries do"),
    ("timezone", "'UTC'", "instants are written in UTC everywhere"),
    ("log_timezone", "'UTC'", "the same"),
    ("log_destination", "'stderr'", "a pipe to the keeper, which bounds the file"),
    ("logging_collector", "off", "the same, and one process fewer"),
    ("log_line_prefix", "'%m [%p] '", "when and who"),
    ("log_min_messages", "warning", "LOG, errors and warnings"),
    ("log_checkpoints", "off", "a line every five minutes tells nobody anything"),
    ("log_error_verbosity", "terse", "DETAIL shows the values of a row, which may be AMBER or RED"),
    ("log_min_error_statement", "panic", "the same for the text of statements"),
    ("lc_messages", "'C'", "errors are recognised by their English text"),
)  # fmt: skip

# The only way in: the node's own account, told by the kernel, on this database as this role. No superuser can
# connect at all; an administrator uses `postgres --single` as the owner of the files.
HBA = "local federation federation peer map=node\n"
IDENT = 'node "{}" federation\n'

FIRST_WORDS = b"CREATE ROLE federation LOGIN\nCREATE DATABASE federation OWNER federation\n"

# Fast shutdown, then immediate, then the kernel's; seconds given to each. A fast shutdown writes at most the
# 128 MB of shared buffers; after an immediate one the next start replays the log. Nothing is lost.
STOPPING = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
LEFTOVER_SECONDS = 35.0  # longer than all of STOPPING: another keeper may be at it
ORPHAN_SECONDS = 1.0  # backends leave within milliseconds of their postmaster, unless deep in a query
LOG_BYTES = 8 << 20  # and as much again in the file before

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # <linux/prctl.h>
LIFELINE, REPORT = 0, 1


class Failed(Exception):
    """The server cannot be had; `kind` is the name of the error in `server.py` that says so."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class Released(Exception):
    """The lifeline ended: the node wants no server any more, or is dead."""


class Log:
    """PostgreSQL's log, in a file that is never much longer than LOG_BYTES, and its last lines."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.tail = b""

    def write(self, output: bytes) -> None:
        self.tail = (self.tail + output)[-4096:]
        with contextlib.suppress(OSError):  # a full disk must not also take the server down
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                os.write(file, output)
                if os.fstat(file).st_size > LOG_BYTES:
                    os.replace(self.path, f"{self.path}.1")
            finally:
                os.close(file)

    def reason(self) -> str:
        """The line that says best why it ended."""
        lines = [line.strip() for line in self.tail.decode(errors="replace").splitlines() if line.strip()]
        reported = [
            line for line in lines if any(word in line for word in ("FATAL", "PANIC", "ERROR", "error:"))
        ]
        return (reported or lines or ["it said nothing"])[-1]


class Supervisor:
    """Keeps the cluster `room`/data, run by the account `uid`:`gid`, open to the account named `admitted`."""

    def __init__(self, room: str, binaries: str, uid: int, gid: int, admitted: str) -> None:
        self.room, self.binaries, self.uid, self.gid, self.admitted = room, binaries, uid, gid, admitted
        self.data = f"{room}/data"
        self.log = Log(f"{room}/postgresql.log")
        # As root the data directory may lie under parents that the account cannot pass. Its processes are put
        # into it before they become that account, and call it by a name that leads through no parent.
        linux = sys.platform == "linux"
        self.data_name = "/proc/self/cwd" if linux and os.geteuid() == 0 else ""
        if linux:
            from ctypes import CDLL

            self.prctl: Callable[..., object] = CDLL(None).prctl
            # Backends that lose their postmaster become our children, not PID 1's, which may reap nobody.
            self.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        else:
            self.prctl = lambda *_: None
        self.woken, waker = os.pipe()
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # Service managers signal every process they find; the node decides when it has finished with us.
        for polite in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(polite, signal.SIG_IGN)

    def keep(self) -> None:
        """Run the server until the node lets go, or it ends by itself."""
        self.hold_the_lock()
        if not os.path.lexists(self.data):
            self.make_the_cluster()
        self.sweep()
        announced = False

        def announce() -> bool:
            nonlocal announced
            if not announced and self.is_ready():
                announced = True
                with contextlib.suppress(BrokenPipeError):  # nobody listens: the lifeline will tell
                    os.write(REPORT, b"ready\n")
            return announced

        ending = self.run(self.data, ["postgres", "-D", self.data_name or self.data], watch=announce)
        raise Failed(
            *self.diagnosis(f"PostgreSQL ended ({ending})" if announced else "PostgreSQL did not start")
        )

    def hold_the_lock(self) -> None:
        """Wait until no process of this cluster is left, and make ours inherit the claim.

        A keeper that lost its node is stopping its server; a server that lost its keeper stops by itself.
        """
        file = os.open(f"{self.room}/cluster.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        deadline = time.monotonic() + LEFTOVER_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Failed(
                        "DirectoryInUse",
                        f"an earlier PostgreSQL in {self.data} (pid {self.postmaster() or 'unknown'}) does "
                        "not end: find out what it waits for, or kill it, then start again",
                    ) from None
            if select.select([LIFELINE], [], [], 0.02)[0]:
                raise Released
        os.set_inheritable(file, True)

    def make_the_cluster(self) -> None:
        """Make the cluster aside and give it its name when it is complete and on disk.

        So `data` is whole or absent, and whatever a killed attempt left holds nobody's rows.
        """
        self.forget_attempts()
        new = f"{self.room}/new-{os.urandom(4).hex()}"
        os.mkdir(new, 0o700)
        if os.geteuid() == 0:
            os.chown(new, self.uid, self.gid)
        name = self.data_name or new
        settings = {setting: value.strip("'") for setting, value, _ in SETTINGS}
        initdb = ["initdb", "-D", name, "--username=postgres", "--auth=peer", "--encoding=UTF8", "--no-sync"]
        # The built-in provider sorts and folds alike on every system. The text search parser still asks the C
        # library what a letter is, and with plain C it would take « and ’ for letters.
        initdb += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        initdb += ["--locale=C", f"--lc-ctype={_ctype()}"]
        for pid_known in ("shared_buffers", "max_connections", "dynamic_shared_memory_type", "timezone"):
            initdb += [
                "--set",
                f"{pid_known}={settings[pid_known]}",
            ]  # or it would try what this machine can bear
        # -F: nothing is worth a sync before the sync of everything that follows
        single = ["postgres", "--single", "-F", "-D", name, "--exit_on_error=on", "--shared_buffers=16MB"]
        sync = ["initdb", "-D", name, "--sync-only"]
        try:
            for program, given in ((initdb, b""), ([*single, "template1"], FIRST_WORDS), (sync, b"")):
                if self.run(new, program, given=given) != "exit 0":
                    raise Failed(*self.diagnosis("the database could not be made"))
        except (Failed, Released):
            self.forget_attempts()
            raise
        os.rename(new, self.data)
        for directory in (self.room, os.path.dirname(self.room), os.path.dirname(os.path.dirname(self.room))):
            _sync(directory)

    def forget_attempts(self) -> None:
        """Remove clusters that were never finished, and so never held a row."""
        for attempt in os.listdir(self.room):
            if attempt.startswith("new-"):
                from shutil import rmtree

                rmtree(f"{self.room}/{attempt}", ignore_errors=True)

    def sweep(self) -> None:
        """Remove what a killed server left behind.

        PostgreSQL would refuse to start where the pid it noted is a zombie or somebody else's today. The lock
        was free, so no process of ours lives; a server that was started by hand is still found by PostgreSQL
        itself, through its shared memory.
        """
        for name in ("postmaster.pid", ".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self.data}/{name}")

    def is_ready(self) -> bool:
        """Return True if the server's pid file says, as it does for pg_ctl, that it accepts connections."""
        try:
            with open(f"{self.data}/postmaster.pid") as file:
                return file.read().splitlines()[7:8] == ["ready   "]
        except FileNotFoundError:
            return False

    def postmaster(self) -> str:
        try:
            with open(f"{self.data}/postmaster.pid") as file:
                return file.readline().strip()
        except OSError:
            return ""

    def run(
        self, where: str, argv: Sequence[str], *, given: bytes = b"", watch: Callable[[], bool] = lambda: True
    ) -> str:
        """Run one program of PostgreSQL to its end and to that of all its children; say how it ended.

        `watch` is called until it is satisfied. When the lifeline ends the program is ended: LetGo.
        """
        output, says = os.pipe()
        child = os.fork()
        if child == 0:
            self.become_program(where, argv, given, says)
        os.close(says)
        ending = ""
        let_go = False
        orphans_until = deadline = float("inf")
        steps = iter(STOPPING)
        try:
            while True:
                pause = 0.005 if not watch() else 0.25 if let_go or ending else None
                heard = select.select([output, self.woken, *([] if let_go else [LIFELINE])], [], [], pause)[0]
                if output in heard:
                    words = os.read(output, 65536)
                    if not words:  # the last process that could speak is gone
                        break
                    self.log.write(words)
                if self.woken in heard:
                    os.read(self.woken, 4096)
                    for pid, status in _reap(block=False):
                        if pid == child:
                            ending = _ending(status)
                            orphans_until = time.monotonic() + ORPHAN_SECONDS
                if LIFELINE in heard:
                    let_go, deadline = True, time.monotonic()
                if not ending and time.monotonic() >= deadline:
                    step, seconds = next(steps, STOPPING[-1])
                    deadline = time.monotonic() + seconds
                    os.kill(child, step)
                if time.monotonic() >= orphans_until:
                    _kill_children()
        finally:
            os.close(output)
        for pid, status in _reap(block=True):
            if pid == child:
                ending = _ending(status)
        if let_go:
            raise Released
        return ending

    def become_program(self, where: str, argv: Sequence[str], given: bytes, says: int) -> NoReturn:
        """In the child: go into the cluster, put down privileges, write the settings, become the program."""
        try:
            keeper = os.getppid()
            os.chdir(where)  # before the privileges go: its parents may be closed to the account
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(self.gid)
                os.setuid(self.uid)
            os.umask(0o077)
            # Should the keeper be killed, the kernel asks for a fast shutdown. Set after the change of
            # account, which clears it; and the keeper may have died before it was set.
            self.prctl(PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0)
            if os.getppid() != keeper:
                os._exit(1)
            if os.path.exists("PG_VERSION"):
                # By the account, not by root: in a directory of the account a link could lead root anywhere.
                _write(
                    "postgresql.conf",
                    "".join(f"{name} = {value}  # {reason}\n" for name, value, reason in SETTINGS),
                )
                _write("pg_hba.conf", HBA)
                _write("pg_ident.conf", IDENT.format(self.admitted))
            source, sink = os.pipe()
            os.write(sink, given)
            os.close(sink)
            os.dup2(source, 0)
            os.dup2(says, 1)
            os.dup2(says, 2)
            # A clean environment: PGDATA, PGOPTIONS and the like of whoever started the node mean nothing.
            clean = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
            path = f"{self.binaries}/{argv[0]}"
            os.execve(path, [path, *argv[1:]], clean)  # noqa: S606 - that there is no shell is the point
        except BaseException as error:
            os.write(says, f"error: {argv[0]} could not be run: {error}\n".encode())
        os._exit(127)

    def diagnosis(self, description: str) -> tuple[str, str]:
        """The kind of error and a sentence, from PostgreSQL's last words."""
        output = self.log.tail
        reason = self.log.reason()
        if b"No space left on device" in output or b"Disk quota exceeded" in output:
            return (
                "DiskFull",
                f"{description}: the disk that holds {self.room} is full: make room, then start again",
            )
        if b"shared memory block" in output or b'lock file "' in output:
            account = f"a PostgreSQL that somebody else started runs in {self.data}"
            return "DirectoryInUse", f"{description}: {account}: stop it, then start again"
        return "DidNotStart", f"{description}: {reason} (more in {self.log.path})"


def _ctype() -> str:
    """A UTF-8 locale that this system's C library knows."""
    import locale

    for name in ("C.UTF-8", "en_US.UTF-8"):
        with contextlib.suppress(locale.Error):
            return locale.setlocale(locale.LC_CTYPE, name)
    return "C"


def _write(path: str, text: str) -> None:
    """Replace a file by a whole new one, unless it says this already."""
    with contextlib.suppress(FileNotFoundError), open(path) as file:
        if file.read() == text:
            return
    with open(f"{path}.new", "w") as file:
        file.write(text)
    os.replace(f"{path}.new", path)


def _sync(directory: str) -> None:
    file = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _ending(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"exit {code}" if code >= 0 else f"signal {-code}"


def _reap(*, block: bool) -> list[tuple[int, int]]:
    """Children that have ended, with how. Orphans of the server are among them."""
    ended = []
    with contextlib.suppress(ChildProcessError):
        while (child := os.waitpid(-1, 0 if block else os.WNOHANG))[0]:
            ended.append(child)
    return ended


def _kill_children() -> None:
    """End backends that outlive their postmaster (Linux; elsewhere we wait for the end of their query)."""
    with contextlib.suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children") as file:
        for pid in file.read().split():
            os.kill(int(pid), signal.SIGKILL)


def main() -> None:
    room, binaries, uid, gid, admitted = sys.argv[1:]
    try:
        Supervisor(room, binaries, int(uid), int(gid), admitted).keep()
    except Released:
        return
    except Failed as error:
        kind, reason = error.kind, str(error)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        kind, reason = "DiskFull" if full else "DirectoryUnusable", f"{room}: {error}"
    with contextlib.suppress(BrokenPipeError):
        os.write(REPORT, f"{kind} {reason}\n".encode(errors="surrogateescape"))
    sys.exit(1)


if __name__ == "__main__":
    main()
