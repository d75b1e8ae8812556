"""``make mutants``: break each security check once, in a copy of the project, and see a test turn red.

The tests of each module are run once as they are, which must be green, and it is noted which of them run
which statement. Then each statement is broken, one change after the other, and those tests are run that run
it, until one is red: first those that are quick and run little else of the module. An outcome is written
down as soon as it is known (``--keep``): when the run is stopped and begun again, what was noticed is not
tried again unless its module has changed.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import AsyncExitStack
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from federation.postgres import server as postgres_server
from federation.store import schema
from tests.conftest import OPERATORS
from tests.mutants.mutations import Mutant, counted, mentions, mutants
from tests.mutants.pytest_runner import OUTPUT

ROOT = Path(__file__).parents[2]
TESTS: dict[str, tuple[str, ...]] = {
    "federation/domain/visibility.py": (
        "tests/domain/test_visibility.py",
        "tests/domain/test_drafts.py",
        "tests/store/test_seeing.py",
        "tests/api/test_publishing.py",
        "tests/matrix",
    ),
    "federation/store/visibility.py": (
        "tests/store/test_seeing.py",
        "tests/store/test_subjects.py",
        "tests/matrix",
    ),
    "federation/node/exclusions.py": ("tests/proof/test_exclusions.py", "tests/trust", "tests/matrix"),
    "federation/domain/invitation.py": ("tests/domain/test_joining.py", "tests/trust", "tests/attack"),
    "federation/node/keys.py": (
        "tests/domain/test_keys.py",
        "tests/domain/test_proofs.py",
        "tests/api/test_tokens.py",
        "tests/trust",
        "tests/attack",
    ),
    "federation/api/caller.py": (
        "tests/api/test_bounds.py",
        "tests/api/test_rights.py",
        "tests/api/test_tokens.py",
        "tests/api/test_arrivals.py",
        "tests/api/test_feeds.py",
        "tests/attack",
        "tests/trust/test_under_traffic.py",
    ),
    "federation/api/guard.py": (
        "tests/api/test_bounds.py",
        "tests/api/test_rights.py",
        "tests/api/test_limits.py",
        "tests/api/test_input.py",
        "tests/api/test_pages.py",
        "tests/api/test_serving.py",
        "tests/attack/test_bodies.py",
        "tests/matrix",
    ),
    "federation/edge/requests.py": (
        "tests/api/test_bounds.py",
        "tests/api/test_input.py",
        "tests/attack/test_bodies.py",
    ),
    "federation/api/oauth.py": (
        "tests/api/test_limits.py",
        "tests/api/test_bounds.py",
        "tests/api/test_tokens.py",
        "tests/attack",
        "tests/fuzz/test_oauth.py",
    ),
    "federation/node/tokens.py": (
        "tests/api/test_bounds.py",
        "tests/api/test_tokens.py",
        "tests/api/test_rights.py",
        "tests/attack",
        "tests/fuzz/test_oauth.py",
        "tests/trust/test_under_traffic.py",
    ),
    "federation/api/peers.py": (
        "tests/api/test_limits.py",
        "tests/api/test_peers.py",
        "tests/api/test_bounds.py",
        "tests/attack",
        "tests/trust",
        "tests/api/test_openapi.py",
    ),
    "federation/node/invitations.py": ("tests/trust", "tests/attack", "tests/audit/test_noting.py"),
    "federation/node/peers.py": (
        "tests/trust",
        "tests/attack",
        "tests/audit/test_noting.py",
        "tests/proof/test_exclusions.py",
        "tests/sync/test_refusals.py",
    ),
    "federation/node/key_rotation.py": ("tests/trust", "tests/attack", "tests/audit/test_noting.py"),
    "federation/edge/operations.py": (
        "tests/api/test_rights.py",
        "tests/api/test_pages.py",
        "tests/api/test_openapi.py",
        "tests/contract/test_schemas.py",
    ),
    "federation/edge/shares.py": (
        "tests/api/test_shares.py",
        "tests/api/test_connections.py",
        "tests/api/test_limits.py",
    ),
    "federation/node/quotas.py": (
        "tests/sync/test_quotas.py",
        "tests/proof/test_copy_states.py",
        "tests/trust/test_leaving.py",
    ),
    "federation/node/sessions.py": ("tests/people", "tests/web/test_sessions.py", "tests/web/test_login.py"),
    "federation/node/logins.py": ("tests/people", "tests/web/test_login.py"),
}
"""The modules whose checks are broken, and where the tests are that must notice."""
BESIDES = ("tests/docs/test_reference.py", "tests/contract/test_schemas.py")
"""Where the published bounds and forms are held against the code, of whatever module."""
LONGEST = 120.0
"""Seconds after which a mutant that hangs counts as noticed; ten times what its tests take besides."""
KILLERS = 12
"""Tests that have noticed most in a module: they are run sooner."""


class Unusable(Exception):
    """The tests do not show what they should."""


class Outcome(NamedTuple):
    module: str
    mutant: Mutant
    noticed: str
    """The test that turned red; empty if none did."""
    ran: int
    """How many tests were run."""
    seconds: float

    @property
    def change(self) -> str:
        return f"{self.module} {self.mutant.where or '(when it is read)'}: {self.mutant.what}"


class Test(NamedTuple):
    """What is known of a test from the run as it is."""

    seconds: float
    lines: dict[str, frozenset[int]]


class Nest:
    """A copy of the project, databases of its own, and the process that runs tests there."""

    def __init__(self, room: Path) -> None:
        self.copy = room / "main"
        self._servers = room / "servers"
        self._process: asyncio.subprocess.Process

    async def open(self, stack: AsyncExitStack) -> None:
        left_out = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache")
        await asyncio.to_thread(shutil.copytree, ROOT, self.copy, ignore=left_out)
        for operator in OPERATORS:
            server = postgres_server.running(self._servers / operator, exclusive=True)
            await schema.migrate(await stack.enter_async_context(server), operator)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, str(Path(__file__).with_name("pytest_runner.py")),
            cwd=self.copy, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 28,
            env={**os.environ, "PYTHONPATH": str(self.copy), "TEST_SERVERS": str(self._servers)},
        )  # fmt: skip
        stack.push_async_callback(self._process.wait)
        stack.callback(self._process.terminate)

    async def run(self, **asked: Any) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        return dict(json.loads(await self._process.stdout.readline()))

    def count(self, modules: Iterable[str]) -> None:
        for module in modules:
            (self.copy / module).write_text(counted((ROOT / module).read_text(), module))

    def restore(self, modules: Iterable[str]) -> None:
        for module in modules:
            shutil.copy2(ROOT / module, self.copy / module)

    def said(self) -> str:
        return (self.copy / OUTPUT).read_text()[-4_000:]


class Kept:
    """Outcomes in a file, a line each, found again by what was tried."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path and path.exists() else []
        self._known = {row["digest"]: row for row in map(json.loads, lines)}
        program = b"".join(file.read_bytes() for file in sorted((ROOT / "federation").rglob("*.py")))
        self._program = hashlib.sha256(program + Path(ROOT, "tests/conftest.py").read_bytes()).digest()

    def find(self, module: str, mutant: Mutant) -> Outcome | None:
        row = self._known.get(_digest(module, mutant))
        return Outcome(module, mutant, row["noticed"], row["ran"], row["seconds"]) if row else None

    def tests(self, file: str) -> dict[str, Any] | None:
        """What is known of the tests of a file that were green; None if they or the program have changed."""
        row = self._known.get(self._digest_of(file))
        return row["tests"] if row else None

    def add_tests(self, file: str, tests: dict[str, Any]) -> None:
        self._write({"digest": self._digest_of(file), "tests": tests})

    def _digest_of(self, file: str) -> str:
        return hashlib.sha256(self._program + Path(ROOT, file).read_bytes()).hexdigest()

    def _write(self, row: dict[str, Any]) -> None:
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps(row) + "\n")

    def add(self, one: Outcome) -> None:
        row = {
            "digest": _digest(one.module, one.mutant), "module": one.module, "where": one.mutant.where,
            "what": one.mutant.what, "noticed": one.noticed, "ran": one.ran, "seconds": one.seconds,
        }  # fmt: skip
        self._write(row)


def _digest(module: str, mutant: Mutant) -> str:
    return hashlib.sha256(f"{module}\n{mutant.source}".encode()).hexdigest()[:16]


class Trying:
    """The mutants that are still to be tried, and what has come of the others."""

    def __init__(self, kept: Kept, *, again: bool, budget: float) -> None:
        self.kept = kept
        self.again = again
        self.budget = budget
        self.outcomes: list[Outcome] = []
        self._tests: dict[str, Test] = {}
        self._killers: dict[str, Counter[str]] = {module: Counter() for module in TESTS}

    async def as_it_is(self, nests: list[Nest], modules: Iterable[str]) -> None:
        """Run what will be run, unbroken, and note who runs what. Raises Unusable if any is red."""
        chosen = list(modules)
        files = sorted({file for module in chosen for file in files_of(module)})
        left = iter(files)

        async def work(nest: Nest) -> None:
            nest.count(TESTS)
            for file in left:
                tests = self.kept.tests(file)
                if tests is None:
                    told = await nest.run(files=[file], tests=None, counts=True, limit=1_800)
                    if told["code"] or told["hung"]:
                        raise Unusable(f"{file} is red as it is, so nothing can be shown:\n{nest.said()}")
                    tests = told["tests"]
                    self.kept.add_tests(file, tests)
                    print(f"{file}: {told['ran']} tests are green in {told['seconds']:.0f} s", flush=True)
                for name, test in tests.items():
                    lines = {module: frozenset(lines) for module, lines in test["lines"].items()}
                    self._tests[name] = Test(test["seconds"], lines)
            nest.restore(TESTS)

        await asyncio.gather(*map(work, nests))

    async def try_all(self, nests: list[Nest], found: list[tuple[str, Mutant]]) -> None:
        left = iter(found)

        async def work(nest: Nest) -> None:
            for module, mutant in left:
                one = self.kept.find(module, mutant)
                if one is None or (self.again and not one.noticed):
                    one = await self.judged(nest, module, mutant)
                    self.kept.add(one)
                self.outcomes.append(one)
                self._killers[module][one.noticed] += bool(one.noticed)
                told = f"by {one.noticed}" if one.noticed else "SURVIVED"
                count = f"{len(self.outcomes)}/{len(found)}"
                print(f"{count} {one.change} | {told} | {one.ran} tests, {one.seconds:.1f} s", flush=True)

        await asyncio.gather(*map(work, nests))

    def tests_for(self, module: str, mutant: Mutant) -> list[str]:
        """The tests that run the broken statement: first those that are quick and run little else of it."""
        inside = (*TESTS[module], *BESIDES)
        able = [
            name
            for name, test in self._tests.items()
            if name.startswith(inside) and self._may_notice(name, test, module, mutant)
        ]
        killers = {name for name, _ in self._killers[module].most_common(KILLERS)}

        def order(name: str) -> float:
            test = self._tests[name]
            cost = (test.seconds + 0.05) * len(test.lines.get(module, ()))
            return cost / 10 if name in killers else cost

        chosen: list[str] = []
        left = self.budget
        for name in sorted(able, key=order):
            left -= self._tests[name].seconds
            if left < 0 and chosen:
                break
            chosen.append(name)
        return chosen

    def _may_notice(self, name: str, test: Test, module: str, mutant: Mutant) -> bool:
        if mutant.line:
            return mutant.line in test.lines.get(module, ())
        if not mutant.name or (users := users_of(mutant.name)) is None:
            return True
        if mutant.name in (ROOT / name.split("::")[0]).read_text():
            return True
        return any(lines & test.lines.get(user, frozenset()) for user, lines in users.items())

    async def judged(self, nest: Nest, module: str, mutant: Mutant) -> Outcome:
        """Run the module's tests with the mutant in its place."""
        tests = self.tests_for(module, mutant)
        if not tests:
            return Outcome(module, mutant, "", 0, 0.0)
        files = list(dict.fromkeys(name.split("::")[0] for name in tests))
        limit = LONGEST + 10 * sum(self._tests[name].seconds for name in tests)
        (nest.copy / module).write_text(mutant.source)
        try:
            told = await nest.run(files=files, tests=tests, counts=False, limit=limit)
        finally:
            nest.restore([module])
        noticed = told["failed"] or ("it hung" if told["hung"] else "")
        if not noticed and told["code"]:
            noticed = f"pytest ended with {told['code']}"
        if not noticed and told["ran"] != len(tests):
            raise Unusable(f"of {len(tests)} tests {told['ran']} were found again:\n{nest.said()}")
        return Outcome(module, mutant, noticed, told["ran"], told["seconds"])

    async def still_green(self, nest: Nest) -> None:
        """What has turned red is green without the mutants: nothing they left behind has done it."""
        killers = {name for counts in self._killers.values() for name in counts} & self._tests.keys()
        by_file: dict[str, list[str]] = {}
        for name in killers:
            by_file.setdefault(name.split("::")[0], []).append(name)
        for file, names in by_file.items():
            told = await nest.run(files=[file], tests=names, counts=False, limit=1_800)
            if told["code"] or told["hung"]:
                sys.exit(
                    f"{told['failed']} is red without a mutant, too: it has shown nothing\n{nest.said()}"
                )
        print(f"{len(killers)} tests that have noticed something are green without it", flush=True)


@cache
def users_of(constant: str) -> dict[str, frozenset[int]] | None:
    """Which statements of which modules mention a constant; None if it cannot be told who runs them."""
    users = {}
    for file in (ROOT / "federation").rglob("*.py"):
        source = file.read_text()
        if constant in source:
            module = str(file.relative_to(ROOT))
            lines = mentions(source, constant)
            if lines is None or (lines and module not in TESTS):
                return None
            users[module] = lines
    return users


def files_of(module: str) -> list[str]:
    """The files of the tests that must notice, each by its path."""
    places = [ROOT / place for place in (*TESTS[module], *BESIDES)]
    found = [file for place in places for file in ([place] if place.is_file() else place.glob("test_*.py"))]
    return sorted(str(file.relative_to(ROOT)) for file in found)


async def run(asked: argparse.Namespace) -> list[Outcome]:
    modules = [m for m in TESTS if not asked.module or any(part in m for part in asked.module)]
    found = [(module, mutant) for module in modules for mutant in mutants((ROOT / module).read_text())]
    total = len(found)
    if asked.sample:
        found = random.Random(asked.seed).sample(found, min(asked.sample, total))
    print(f"{len(found)} of {total} mutants, {asked.jobs} at a time", flush=True)
    trying = Trying(Kept(asked.keep), again=asked.again, budget=asked.budget)
    if task := asyncio.current_task():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with tempfile.TemporaryDirectory(prefix="mutants-") as room:
        async with AsyncExitStack() as stack:
            nests = [Nest(Path(room, str(number))) for number in range(asked.jobs)]
            for nest in nests:
                await nest.open(stack)
            await trying.as_it_is(nests, modules)
            await trying.try_all(nests, found)
            await trying.still_green(nests[0])
    return trying.outcomes


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make mutants", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--module", action="append", help="Only these modules (part of the path).")
    parser.add_argument("--sample", type=int, default=0, help="So many, chosen by the seed; 0 for all.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", type=Path, help="Write each outcome there, and go on from those there are.")
    parser.add_argument("--again", action="store_true", help="Try those again that nothing has noticed.")
    parser.add_argument(
        "--budget", type=float, default=float("inf"),
        help="Seconds of tests for each; what they do not notice in it counts as not noticed.",
    )  # fmt: skip
    asked = parser.parse_args()
    began = time.monotonic()
    try:
        outcomes = asyncio.run(run(asked))
    except Unusable as error:
        sys.exit(str(error))
    except asyncio.CancelledError:
        sys.exit("stopped; what was found out is kept" if asked.keep else "stopped")
    survivors = sorted(one.change for one in outcomes if not one.noticed)
    for module, number in Counter(one.module for one in outcomes).items():
        alive = sum(one.module == module and not one.noticed for one in outcomes)
        print(f"{module}: {number - alive} of {number} noticed")
    for change in survivors:
        print(f"SURVIVED {change}")
    share = 100 * (len(outcomes) - len(survivors)) / max(len(outcomes), 1)
    minutes = (time.monotonic() - began) / 60
    print(f"{share:.1f} % of {len(outcomes)} noticed, in {minutes:.0f} minutes")
    sys.exit(share < 95)


if __name__ == "__main__":
    main()
