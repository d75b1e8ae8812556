"""The tutorial and the session of the README, run as they are written: real shells, nodes and HTTP."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

import pytest

from tests.docs.blocks import DOCS, ROOT
from tests.nodes import free_port
from tests.waiting import MAX_WAIT_SECONDS

pytestmark = pytest.mark.long

_FENCE = re.compile(r"^```(?P<marks>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LONGEST = 2 * MAX_WAIT_SECONDS
"""Seconds a block may take: some start two nodes, each with a PostgreSQL of its own."""


class Step(NamedTuple):
    """A block of commands, the terminal it is for, and what the page says it prints."""

    terminal: str
    commands: str
    promised: str


def steps(page: str) -> list[Step]:
    """The blocks marked ``sh``, each with the ``text`` block that follows it."""
    found: list[Step] = []
    fresh = False
    for block in _FENCE.finditer(page):
        language, _, terminal = block["marks"].partition(" ")
        if language == "sh":
            found.append(Step(terminal or "only", block["text"], ""))
            fresh = True
        elif language == "text" and fresh:
            found[-1] = found[-1]._replace(promised=block["text"])
            fresh = False
        else:
            fresh = False
    return found


def keeps(promised: str, printed: str) -> bool:
    """Whether the output holds what was promised, in order; ``…`` is anything."""
    parts = [re.escape(part.strip()) for part in promised.split("…")]
    pattern = ".*?".join(re.sub(r"(\\\s|\s)+", r"\\s+", part) for part in parts)
    return re.search(pattern, printed, re.DOTALL) is not None


class Terminal:
    """A shell that runs one block after the other."""

    def __init__(self, directory: Path) -> None:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("FEDERATION_")
        }
        environment |= {
            "HOME": str(directory),
            "PATH": f"{Path(sys.executable).parent}:{environment.get('PATH', '')}",
        }
        self._shell = subprocess.Popen(
            ["/bin/sh"],
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._blocks = 0

    def _read(self) -> None:
        for line in self._pipe(self._shell.stdout):
            self._lines.put(line)
        self._lines.put(None)

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe

    def run(self, commands: str) -> str:
        """What the commands print."""
        self._blocks += 1
        end = f"--- end of block {self._blocks}"
        shell = self._pipe(self._shell.stdin)
        shell.write(f"{commands}\nprintf '\\n%s\\n' '{end}'\n")
        shell.flush()
        printed: list[str] = []
        deadline = time.monotonic() + LONGEST
        while True:
            try:
                line = self._lines.get(timeout=max(deadline - time.monotonic(), 0.0))
            except queue.Empty:
                pytest.fail(f"no end within {LONGEST} s:\n{commands}\nprinted:\n{''.join(printed)}")
            if line is None:
                pytest.fail(f"the shell ended:\n{commands}\nprinted:\n{''.join(printed)}")
            if line.strip() == end:
                return "".join(printed)
            printed.append(line)

    def close(self) -> None:
        """End the shell and what it started; nothing is left when the tutorial has been followed."""
        self._pipe(self._shell.stdin).close()
        with suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGTERM)
        self._shell.wait()
        # A node that was still there drains and stops its PostgreSQL before the pipe closes.
        self._reader.join(LONGEST)
        self._pipe(self._shell.stdout).close()


@contextmanager
def terminals(directory: Path, names: set[str]) -> Iterator[dict[str, Terminal]]:
    opened: dict[str, Terminal] = {}
    try:
        for name in names:
            opened[name] = Terminal(directory)
        yield opened
    finally:
        for terminal in opened.values():
            terminal.close()


def follow(page: Path, directory: Path) -> None:
    """Do what a page says, on free ports in place of those it names."""
    text = page.read_text()
    for port in sorted(set(re.findall(r"FEDERATION_PORT=(\d+)", text))):
        text = re.sub(rf"\b{port}\b", str(free_port()), text)
    found = steps(text)
    assert found
    with terminals(directory, {step.terminal for step in found}) as opened:
        for step in found:
            printed = opened[step.terminal].run(step.commands)
            assert keeps(step.promised, printed), (
                f"{step.commands}\npromised:\n{step.promised}\nprinted:\n{printed}"
            )


def test_the_tutorial_does_what_it_promises(tmp_path: Path) -> None:
    follow(DOCS / "tutorial.md", tmp_path)


def test_the_tutorial_about_pages_does_what_it_promises(tmp_path: Path) -> None:
    follow(DOCS / "tutorial-web.md", tmp_path)


def test_the_session_of_the_readme_does_what_it_promises(tmp_path: Path) -> None:
    follow(ROOT / "README.md", tmp_path)


def test_what_a_page_promises_is_held_against_what_was_printed() -> None:
    assert keeps("a …\nb", "xx a lot\nof\n b yy")
    assert not keeps("a … b", "b a")
    assert not keeps("201", "400")
    assert keeps("", "anything")
    page = "```sh one\nls\n```\n```text\nx\n```\n```sh\npwd\n```\ntext\n```console\n$ no\n```\n"
    assert steps(page) == [Step("one", "ls\n", "x\n"), Step("only", "pwd\n", "")]
