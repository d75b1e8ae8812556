"""Programs that generate, check and run the clients, installed into ``build/clients`` by exact versions."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tests import nodejs
from tests.clients.catalogue import Client

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "build" / "clients"
PYTHON = BUILD / "python"
TYPESCRIPT = BUILD / "typescript"
DEBIAN_GO = Path("/usr/share/gocode")
"""Where Debian's packages of Go libraries are."""
GO_OAUTH2 = "golang.org/x/oauth2"
GO_VALIDATOR = "gopkg.in/validator.v2"
"""The libraries that the client of OpenAPI Generator for Go imports."""
STAND_IN = HERE / "stories" / "go" / "validator"
"""Our own package for the patterns of an answer, where the machine has no validator that can read them."""
PACKAGES = {
    "java": ("default-jre-headless",),
    "go": ("golang-go", "golang-golang-x-oauth2-dev", "golang-gopkg-validator.v2-dev"),
}
"""Debian's packages of each program. Node.js comes by pip (``tests/nodejs``)."""


class Failed(Exception):
    """A command ended with another exit code than 0, or not in time."""


def missing(client: Client) -> list[str]:
    """The programs that a client needs and this machine has not."""
    return [program for program in client.needs if not _is_there(program)]


def in_words(program: str) -> str:
    """A program, with what it must bring along."""
    if program == "node":
        return f"Node.js {nodejs.OLDEST[0]}.{nodejs.OLDEST[1]} with npm"
    return f"Go with {GO_OAUTH2}" if program == "go" else program


def _is_there(program: str) -> bool:
    if program == "node":
        return nodejs.lacking() is None and shutil.which("npm") is not None
    if program == "go":
        return shutil.which("go") is not None and (DEBIAN_GO / "src" / GO_OAUTH2).is_dir()
    return shutil.which(program) is not None


def _has_go_validator() -> bool:
    """True where the machine has a validator that reads the patterns that the generator writes.

    The generator escapes the commas of a pattern. The validator of Debian 12, of 2016, cuts there.
    """
    source = DEBIAN_GO / "src" / GO_VALIDATOR / "validator.go"
    return source.is_file() and "splitUnescapedComma" in source.read_text()


def prepare(client: Client) -> str | None:
    """Put what the machine lacks into the working directory of a client; a remark on it, for the reader."""
    if client.family != "go" or _has_go_validator():
        return None
    shutil.copytree(STAND_IN, workplace(client) / "src" / GO_VALIDATOR)
    return (
        f"{client.name}: this machine has no {GO_VALIDATOR} of v2.0.0 or later; "
        f"{STAND_IN.relative_to(HERE.parents[1])} compares the patterns in its place"
    )


def install_programs(programs: Iterable[str]) -> None:
    """Install programs of the machine by apt-get, which needs root; Node.js by pip. Raises Failed."""
    wanted = set(programs)
    if "node" in wanted:
        try:
            nodejs.install()
        except subprocess.CalledProcessError:
            raise Failed("install Node.js yourself: pip cannot") from None
        nodejs.version_of.cache_clear()
    packages = sorted({package for program in wanted - {"node"} for package in PACKAGES[program]})
    if not packages:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", *packages]):
        if shutil.which("apt-get") is None or subprocess.run(command, env=environment).returncode:
            raise Failed(f"install these yourself, or their equals: {' '.join(packages)}")


def install_python() -> None:
    """The generators in Python, mypy, and the libraries that the clients import; with verified hashes."""
    requirements = HERE / "requirements.txt"
    if _is_current(PYTHON, requirements):
        return
    _call(sys.executable, "-m", "venv", "--clear", str(PYTHON))
    _call(
        str(PYTHON / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
        "--require-hashes", "--requirement", str(requirements),
    )  # fmt: skip
    _note_current(PYTHON, requirements)


def install_typescript() -> None:
    """The generators for TypeScript, its compiler, and the libraries that the clients import."""
    lock = HERE / "package-lock.json"
    if _is_current(TYPESCRIPT, lock):
        return
    TYPESCRIPT.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", lock.name):
        shutil.copyfile(HERE / name, TYPESCRIPT / name)
    _call("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", at=TYPESCRIPT)
    _note_current(TYPESCRIPT, lock)


def environment(client: Client) -> dict[str, str]:
    """The variables of the commands of a client."""
    found = {
        name: value for name, value in os.environ.items() if not name.startswith(("FEDERATION_", "PYTHON"))
    }
    paths = [PYTHON / "bin", TYPESCRIPT / "node_modules/.bin"]
    found["PATH"] = os.pathsep.join([*map(str, paths), found.get("PATH", "")])
    if client.family == "go":
        # Without modules, Go needs no network: client and story are packages, the libraries are Debian's.
        found |= {
            "GO111MODULE": "off", "GOFLAGS": "", "GOTOOLCHAIN": "local",
            "GOPATH": os.pathsep.join([str(workplace(client)), str(DEBIAN_GO)]),
            "GOCACHE": str(BUILD / "go-cache"),
        }  # fmt: skip
    return found


def workplace(client: Client) -> Path:
    """The directory that a client is generated in: below the installed libraries, where Node finds them."""
    return (TYPESCRIPT if client.family == "typescript" else BUILD / client.family) / "clients" / client.name


def _is_current(place: Path, lock: Path) -> bool:
    stamp = place / "installed"
    return stamp.exists() and stamp.read_text() == _digest(lock)


def _note_current(place: Path, lock: Path) -> None:
    (place / "installed").write_text(_digest(lock))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _call(*command: str, at: Path | None = None) -> None:
    if subprocess.run(command, cwd=at).returncode:
        raise Failed(f"{' '.join(command[:4])} … failed")
