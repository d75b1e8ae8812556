"""The list of public cases: one line for each, also for those that have no test."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.cases import conftest
from tests.cases.conftest import CaseReport

PUBLIC = """# Public cases
**a01 FAIL** · somebody/project#1 (a label)
people: text with **bold** words
**a19 FAIL (minor)** · a language
**a36 weak FAIL** · changes
**a37** · passes
"""


def an_item(name: str, *cases: tuple[str, str]) -> Any:
    markers = [SimpleNamespace(args=case) for case in cases]
    return SimpleNamespace(nodeid=name, iter_markers=lambda _: markers)


def an_outcome(name: str, outcome: str, when: str = "call") -> Any:
    return SimpleNamespace(nodeid=name, when=when, failed=outcome == "failed", passed=outcome == "passed")


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CaseReport:
    file = tmp_path / "public-cases.md"
    file.write_text(PUBLIC, encoding="utf-8")
    monkeypatch.setattr(conftest, "PUBLIC_CASES", file)
    return CaseReport()


def test_a_case_passes_when_all_its_tests_do_and_one_without_a_test_fails_the_run(report: CaseReport) -> None:
    report.pytest_collection_modifyitems(
        [an_item("x", ("a01", "Labels narrow")), an_item("y", ("a01", "Labels narrow"), ("a19", "Languages"))]
    )
    report.pytest_runtest_logreport(an_outcome("x", "passed"))
    report.pytest_runtest_logreport(an_outcome("y", "failed", when="setup"))
    report.pytest_runtest_logreport(an_outcome("other", "failed"))
    assert report.lines() == [
        "a01  failed   Labels narrow",
        "a19  failed   Languages",
        "a36  no test  changes",
    ]
    session: Any = SimpleNamespace(exitstatus=pytest.ExitCode.OK)
    report.pytest_sessionfinish(session)
    assert session.exitstatus == pytest.ExitCode.TESTS_FAILED


def test_without_the_file_of_the_cases_those_that_have_tests_are_listed(
    report: CaseReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conftest, "PUBLIC_CASES", tmp_path / "absent")
    report.pytest_collection_modifyitems(
        [an_item("x", ("a01", "Labels narrow")), an_item("y", ("a02", "Bounds"))]
    )
    report.pytest_runtest_logreport(an_outcome("x", "passed"))
    assert report.lines() == ["a01  passed   Labels narrow", "a02  not run  Bounds"]
    session: Any = SimpleNamespace(exitstatus=pytest.ExitCode.OK)
    report.pytest_sessionfinish(session)
    assert session.exitstatus == pytest.ExitCode.OK
