"""One line for each public case: its number, the sentence that is right, and whether its tests passed.

``make cases`` prints them, and the cases of ``shared/cases/public-cases.md`` beside the project that have no
test.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PUBLIC_CASES = Path(__file__).parents[3] / "shared" / "cases" / "public-cases.md"
_CASE = re.compile(r"^\*\*([a-z][0-9]{2}) [^*]*FAIL[^*]*\*\* *·? *(.*)$", re.MULTILINE)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cases", action="store_true", help="Print one line for each public case.")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--cases"):
        config.pluginmanager.register(CaseReport(), "cases")


class CaseReport:
    """Collects the cases of the tests that run, and their outcomes."""

    def __init__(self) -> None:
        self._sentences: dict[str, str] = {}
        self._numbers: dict[str, list[str]] = {}
        self._failed: set[str] = set()
        self._passed: set[str] = set()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            for marker in item.iter_markers("case"):
                number, sentence = marker.args
                self._sentences.setdefault(number, sentence)
                self._numbers.setdefault(item.nodeid, []).append(number)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for number in self._numbers.get(report.nodeid, ()):
            if report.failed:
                self._failed.add(number)
            elif report.when == "call" and report.passed:
                self._passed.add(number)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.untested() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("public cases")
        for line in self.lines():
            terminalreporter.write_line(line)

    def untested(self) -> dict[str, str]:
        """The public cases that have no test; none where their file is not beside the project."""
        if not PUBLIC_CASES.exists():
            return {}
        listed = dict(_CASE.findall(PUBLIC_CASES.read_text(encoding="utf-8")))
        return {number: text for number, text in listed.items() if number not in self._sentences}

    def lines(self) -> list[str]:
        lines = {number: f"{number}  no test  {text}" for number, text in self.untested().items()}
        for number, sentence in self._sentences.items():
            outcome = (
                "failed" if number in self._failed else "passed" if number in self._passed else "not run"
            )
            lines[number] = f"{number}  {outcome:7}  {sentence}"
        return [line for _, line in sorted(lines.items())]
