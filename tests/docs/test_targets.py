"""The targets of make: each has a purpose, `full` leaves nothing out, the hooks run what `check` runs."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import tomllib

import yaml

from tests.docs.blocks import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()


def phony(makefile: str) -> set[str]:
    """The names that `.PHONY` lists."""
    return set(" ".join(re.findall(r"^\.PHONY:(.*)$", makefile, re.MULTILINE)).split())


def purposes(makefile: str) -> dict[str, str]:
    """The text after `##` of each rule that has one."""
    return dict(re.findall(r"^([a-z]+):.*?## (\S.*)$", makefile, re.MULTILINE))


def recipe(makefile: str, target: str) -> list[str]:
    """The commands of a rule, as they are run."""
    lines = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert lines, target
    return [line.strip().removeprefix("@").replace("$(BIN)", ".venv/bin") for line in lines[1].splitlines()]


def make(*arguments: str) -> str:
    """The output of make, with none of the variables of a make that runs these tests."""
    environment = {"PATH": os.environ["PATH"]}
    command = ["make", "--no-print-directory", "-C", str(ROOT), *arguments]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def hooks(configuration: str) -> list[str]:
    """The commands of the pre-commit hooks, all of which are on this machine."""
    repositories = yaml.safe_load(configuration)["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    (repository,) = repositories
    for hook in repository["hooks"]:
        assert hook["language"] == "system", hook
        assert hook["always_run"], hook
        assert not hook["pass_filenames"], hook
    return [hook["entry"] for hook in repository["hooks"]]


def test_every_target_has_a_purpose_and_help_lists_it() -> None:
    assert set(purposes(MAKEFILE)) == phony(MAKEFILE)
    listed = dict(line.split(maxsplit=1) for line in make("help").splitlines())
    assert listed == purposes(MAKEFILE)
    assert all(len(line) < 120 for line in make("help").splitlines())


def test_a_target_without_a_purpose_is_noticed() -> None:
    makefile = ".PHONY: all some\nall: x ## Build all\n\ttrue\nsome: x\n\ttrue\nsome: X = 1\n"
    assert phony(makefile) == {"all", "some"}
    assert purposes(makefile) == {"all": "Build all"}


def test_every_rule_is_phony() -> None:
    assert set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE)) == phony(MAKEFILE)


def test_the_hooks_run_what_make_check_runs() -> None:
    configuration = (ROOT / ".pre-commit-config.yaml").read_text()
    assert hooks(configuration) == recipe(MAKEFILE, "check")
    assert recipe("check: x\n\t@$(BIN)/ruff check .\n\tmypy\n\nother:\n\ttrue\n", "check") == [
        ".venv/bin/ruff check .",
        "mypy",
    ]


def test_full_leaves_nothing_out() -> None:
    """Only counts and seeds may be chosen on the command line."""
    narrowed = make(
        "--dry-run",
        "full",
        "K=a",
        "SLOW=",
        "CHECK=",
        "SAMPLE=1",
        "CASE=1",
        "READER=csv",
        "SEED=7",
        "FAULTS=9",
        "CLIENTS=go",
    )
    for target in (
        "check",
        "demo",
        "test",
        "matrix",
        "simulate",
        "chaos",
        "attack",
        "fuzz",
        "clients",
        "mutants",
    ):
        program = recipe(MAKEFILE, target)[0].split(" $(")[0]
        assert program in narrowed
    matrix, tests = sorted(re.findall(r"-m pytest .*", narrowed), key=lambda line: "tests/matrix" not in line)
    assert "tests/matrix" in matrix
    assert not re.search(r" -[mk] ", tests.removeprefix("-m pytest"))
    assert "demo --check" in narrowed
    assert "--sample 0" in narrowed
    assert "--case " not in narrowed
    assert "--reader " not in narrowed
    assert re.search(r"-m tests\.clients --strict --install *$", narrowed, re.MULTILINE)
    assert "--faults 9 --seed 7" in narrowed


def test_make_test_leaves_out_the_slow_tests_unless_some_are_named() -> None:
    def selected(*arguments: str) -> str:
        (tests,) = re.findall(r"-m pytest -n (.*)", make("--dry-run", "test", *arguments))
        return str(tests)

    assert selected() == (
        "2 --dist loadfile --no-loadscope-reorder --ignore=tests/matrix"
        " -m 'not slow and not long and not browser'"
    )
    assert selected("SLOW=1") == "2 --dist loadfile --no-loadscope-reorder -r s"
    assert (
        selected("K=list and not bulk") == "0 --dist loadfile --no-loadscope-reorder -k 'list and not bulk'"
    )
    assert selected("K=tests/api/test_lists.py tests/docs", "WORKERS=4") == (
        "4 --dist loadfile --no-loadscope-reorder 'tests/api/test_lists.py' 'tests/docs'"
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert any(marker.startswith("slow:") for marker in project["tool"]["pytest"]["ini_options"]["markers"])


def test_editors_break_lines_where_the_formatter_does() -> None:
    editor = configparser.ConfigParser()
    editor.read_string("[general]\n" + (ROOT / ".editorconfig").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert editor.getint("*", "max_line_length") == project["tool"]["ruff"]["line-length"]
