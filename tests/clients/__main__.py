"""Generate, check and run the clients (``tests/clients/__init__.py``). Exit code 1 when one of them fails."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import httpx2

import tests.clients as about
from tests.clients import stored, tools
from tests.clients.catalogue import CLIENTS, STEPS, Client
from tests.clients.node import OPERATOR, Serving, serving

MAX_COMMAND_SECONDS = 900.0
"""For one command, on a slow machine as well."""
MAX_SHOWN_LINES = 60
"""Of the output of a command that failed; its log has all."""


class Line(NamedTuple):
    """A line of the table at the end."""

    client: str
    step: str
    outcome: str
    seconds: float


class Run:
    """All clients against one node, one step after the other."""

    def __init__(self, node: Serving, document: bytes) -> None:
        self._node = node
        self._document = document
        self.lines: list[Line] = []
        self.remarks: list[str] = []

    def client(self, client: Client) -> bool:
        """Generate, check and run one client; False when a step failed, which ends it."""
        place = tools.workplace(client)
        shutil.rmtree(place, ignore_errors=True)
        target = place / client.target
        target.parent.mkdir(parents=True)
        (place / "openapi.json").write_bytes(self._document)
        shutil.copyfile(client.source, target)
        for name, content in client.files:
            (place / name).write_text(content)
        if (remark := tools.prepare(client)) is not None:
            self.remarks.append(remark)
            print(remark, flush=True)
        steps: list[tuple[str, Callable[[], object]]] = [
            ("generate", lambda: self._call(client, client.generate)),
            ("check types", lambda: self._check(client)),
            ("story", lambda: self._story(client)),
            ("compare", lambda: self._compare(client)),
        ]
        return all(self._step(client, name, act) for name, act in steps)

    def skip(self, client: Client, programs: Iterable[str]) -> None:
        """Note a client that this machine cannot run."""
        self._note(
            Line(client.name, "all", f"SKIPPED: no {', '.join(map(tools.in_words, programs))} here", 0.0)
        )

    def _step(self, client: Client, name: str, act: Callable[[], object]) -> bool:
        began = time.monotonic()
        try:
            act()
        except tools.Failed as error:
            self._note(Line(client.name, name, "FAILED", time.monotonic() - began))
            print(error, flush=True)
            return False
        self._note(Line(client.name, name, "ok", time.monotonic() - began))
        return True

    def _note(self, line: Line) -> None:
        self.lines.append(line)
        print(f"{line.client:26}{line.step:14}{line.outcome:10}{line.seconds:7.1f} s", flush=True)

    def _call(self, client: Client, command: tuple[str, ...]) -> str:
        """The output of a command of a client. Raises Failed."""
        variables = tools.environment(client) | {
            "NODE_URL": self._node.url,
            "CLIENT_ID": self._node.client_id,
            "CLIENT_SECRET": self._node.client_secret,
            "OPERATOR": OPERATOR,
            "PREFIX": client.prefix,
        }
        place = tools.workplace(client)
        program = command[0] if "/" in command[0] else shutil.which(command[0], path=variables["PATH"])
        if program is None:
            raise tools.Failed(f"{command[0]} is not installed")
        try:
            done = subprocess.run(
                [program, *command[1:]],
                cwd=place, env=variables, timeout=MAX_COMMAND_SECONDS, text=True, errors="replace",
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise tools.Failed(f"no end within {MAX_COMMAND_SECONDS:g} s: {' '.join(command)}") from None
        with (place / "log.txt").open("a") as log:
            log.write(f"$ {' '.join(command)}\n{done.stdout}\n")
        if done.returncode:
            shown = "\n".join(done.stdout.splitlines()[-MAX_SHOWN_LINES:])
            raise tools.Failed(f"$ {' '.join(command)}\n{shown}\nAll of it: {place / 'log.txt'}")
        return done.stdout

    def _check(self, client: Client) -> None:
        for check in client.checks:
            self._call(client, check)

    def _story(self, client: Client) -> None:
        """Run the story. Raises Failed when it did not report every step."""
        reported = [
            line.split(":")[0] for line in self._call(client, client.run).splitlines() if ": " in line
        ]
        if [name for name in reported if name in STEPS] != list(STEPS):
            raise tools.Failed(f"the story reported {', '.join(reported)} and not {', '.join(STEPS)}")

    def _compare(self, client: Client) -> None:
        if found := stored.faults(self._node, client.prefix):
            raise tools.Failed("\n".join(found))


def chosen(names: list[str]) -> list[Client]:
    """The clients of these names or families; all where none is named."""
    known = {client.name for client in CLIENTS} | {client.family for client in CLIENTS}
    if unknown := sorted(set(names) - known):
        raise SystemExit(
            f"{', '.join(unknown)}: there is no such client; there are {', '.join(sorted(known))}"
        )
    return [client for client in CLIENTS if not names or {client.name, client.family} & set(names)]


def main(names: list[str], *, strict: bool, install: bool) -> int:
    """Run these clients; 1 when one failed, or when one was left out and ``strict`` asks for all."""
    clients = chosen(names)
    try:
        needed = sorted({program for client in clients for program in tools.missing(client)})
        if install and needed:
            tools.install_programs(needed)
        able = [client for client in clients if not tools.missing(client)]
        if able:
            tools.install_python()
        if any("node" in client.needs for client in able):
            tools.install_typescript()
    except tools.Failed as error:
        print(error)
        return 1
    with serving() as node:
        document = httpx2.get(f"{node.url}/v1/openapi.json", trust_env=False).raise_for_status().content
        run = Run(node, document)
        results = [run.client(client) for client in able]
    skipped = [client for client in clients if client not in able]
    for client in skipped:
        run.skip(client, tools.missing(client))
    _print_table(run.lines)
    for remark in run.remarks:
        print(remark)
    if skipped:
        print("Left out for want of a program; `make clients INSTALL=1` installs what is missing, as root.")
    return 1 if not all(results) or (strict and skipped) else 0


def _print_table(lines: list[Line]) -> None:
    print(f"\n{'client':26}{'step':14}{'outcome':10}seconds")
    for line in lines:
        print(f"{line.client:26}{line.step:14}{line.outcome:10}{line.seconds:7.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m tests.clients",
        description=about.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "client", nargs="*", help="a client or a family (python, typescript, go); all if none"
    )
    parser.add_argument("--strict", action="store_true", help="a client that cannot run here is a failure")
    parser.add_argument("--install", action="store_true", help="install missing programs, as root")
    arguments = parser.parse_args()
    os.chdir(Path(__file__).parents[2])
    sys.exit(main(arguments.client, strict=arguments.strict, install=arguments.install))
