"""Runs tests of the copy it is started in, again and again; a program of its own, for ``__main__.py``.

Each run is a fork of this process, which has read the libraries and nothing of the project: so a run costs
what its tests cost. A line of standard input is what to run (:class:`Asked`), a line of output how it went.
"""

from __future__ import annotations

import builtins
import importlib
import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

LIBRARIES = (
    "alembic.command asyncpg authlib.integrations.httpx_client granian.server.embed httpx2 joserfc.jwt "
    "license_expression litestar msgspec prometheus_client sqlalchemy.ext.asyncio "
    "sqlalchemy.dialects.postgresql.asyncpg"
).split()
RESULT, OUTPUT = "mutants-result.json", "mutants-output.txt"
OPTIONS = ["-q", "-x", "--tb=short", "--override-ini=addopts=", "--strict-markers", "--strict-config"]
OPTIONS += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of plugins that are read already
OFF = ["cacheprovider", "schemathesis", "hypothesispytest", "xdist"]


class Asked(NamedTuple):
    """What to run."""

    files: list[str]
    tests: list[str] | None
    """Which tests of the files, in this order; all if None."""
    counts: bool
    """Whether to note which statements each test runs."""
    limit: float
    """Seconds after which it is given up."""


class Chosen:
    """Plugin: the tests that were asked for, in their order, and the first that failed."""

    def __init__(self, tests: list[str] | None) -> None:
        self._place = None if tests is None else {test: n for n, test in enumerate(tests)}
        self.failed = ""
        self.ran = 0

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if (place := self._place) is not None:
            items[:] = sorted((i for i in items if i.nodeid in place), key=lambda i: place[i.nodeid])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed = self.failed or report.nodeid or "while collecting"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.ran += report.when == "call"
        if report.failed:
            self.failed = self.failed or report.nodeid


class Counting:
    """Plugin: how long each test takes, and which statements it runs of the modules that tell so.

    What a fixture of a wider scope runs, every test that uses it has run.
    """

    def __init__(self) -> None:
        self._now: set[tuple[str, int]] = set()
        self._lines: dict[str, set[tuple[str, int]]] = {}
        self._wide: dict[str, set[tuple[str, int]]] = {}
        self._uses: dict[str, list[str]] = {}
        self._seconds: dict[str, float] = {}
        setattr(builtins, "_mutants_ran", self._ran)  # noqa: B010 - what `changing.counted` looks for

    def _ran(self, module: str, line: int) -> None:
        self._now.add((module, line))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._uses[item.nodeid] = list(getattr(item, "fixturenames", ()))
        self._now = self._lines.setdefault(item.nodeid, set())
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Iterator[None]:
        before = self._now
        if fixturedef.scope != "function":
            self._now = self._wide.setdefault(fixturedef.argname, set())
        try:
            return (yield)
        finally:
            self._now = before

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] = self._seconds.get(report.nodeid, 0.0) + report.duration

    def found(self) -> dict[str, Any]:
        every = {}
        for test, lines in self._lines.items():
            ran = lines.union(*(self._wide.get(name, ()) for name in self._uses[test]))
            by_module: dict[str, list[int]] = {}
            for module, line in sorted(ran):
                by_module.setdefault(module, []).append(line)
            every[test] = {"seconds": self._seconds[test], "lines": by_module}
        return every


def run(asked: Asked, copy: str) -> None:
    """In the fork: run the tests, and write how it went to ``result``. Does not return."""
    sys.path.insert(0, copy)
    if not asked.counts:
        # What was compiled is read. What is broken must not be compiled, or be taken for it the next time.
        sys.dont_write_bytecode, os.environ["PYTHONDONTWRITEBYTECODE"] = True, "1"
    chosen, counting = Chosen(asked.tests), Counting()
    options = [*OPTIONS, f"--basetemp={copy}/../temporary", *(f"-pno:{name}" for name in OFF)]
    plugins = [chosen, counting] if asked.counts else [chosen]
    code = int(pytest.main([*options, *asked.files], plugins=plugins))
    said = {"code": code, "failed": chosen.failed, "ran": chosen.ran, "tests": counting.found()}
    Path(copy, RESULT).write_text(json.dumps(said))


def forked(asked: Asked, copy: str) -> dict[str, Any]:
    """Run in a fork of this process, of which nothing is left when it has ended or taken too long."""
    result = Path(copy, RESULT)
    result.unlink(missing_ok=True)
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setsid()
        heard = os.open(os.devnull, os.O_RDONLY)
        output = os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for file, number in ((heard, 0), (output, 1), (output, 2)):
            os.dup2(file, number)
        try:
            run(asked, copy)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)  # whatever threads and processes the tests have left
    gone = os.pidfd_open(child)
    try:
        hung = not select.select([gone], [], [], asked.limit)[0]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(gone)
    said: dict[str, Any]
    try:
        said = json.loads(result.read_text())
    except FileNotFoundError:
        said = {"code": -1, "failed": "it ended before its tests did", "ran": 0, "tests": {}}
    return {**said, "hung": hung, "seconds": round(time.monotonic() - began, 2)}


def main() -> None:
    copy = os.getcwd()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    for name in LIBRARIES:
        importlib.import_module(name)
    for line in sys.stdin:
        print(json.dumps(forked(Asked(**json.loads(line)), copy)), flush=True)


if __name__ == "__main__":
    main()
