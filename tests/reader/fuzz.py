"""Compares the verdicts of this program with those of the reader in JavaScript, on entries made up by chance.

    python -m tests.reader.fuzz --cases 100000 --seed 1

Each line of a feed gets the same verdict from both: rejected for the same reason, not understood or
understood, with the same hash. A difference is a bug of one of them, or a gap in the protocol's pages.
"""

from __future__ import annotations

import argparse
import base64
import collections
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from federation.domain.entry import RejectedEntry, read_entry, unreadable, verify
from federation.domain.errors import Invalid
from federation.domain.feed import FeedName
from tests.reader.made_up import ROOT, Entries

CONFORMANCE = ROOT / "federation" / "spec" / "conformance"
BATCH = 100


def verdict(line: bytes, feed: str) -> dict[str, Any]:
    """The verdict of this program on a line of a feed, in the words of ``judge.mjs``."""
    try:
        entry = read_entry(line)
    except Invalid as reason:
        try:
            rejected = unreadable(line, reason)
        except Invalid as error:
            return {"verdict": "ends-the-stream", "detail": str(error)}
        return {"verdict": rejected.reason, "detail": rejected.detail}
    found = verify(entry, FeedName(*feed.split("/", 1)))
    if isinstance(found, RejectedEntry):
        return {"verdict": found.reason, "detail": found.detail}
    if found.record is None:
        return {"verdict": "understood"}
    fault = found.record.not_understood
    return {
        "verdict": "understood" if fault is None else "not-understood",
        "hash": found.record.hash.hex(),
        "detail": fault,
    }


class Judge:
    """The reader in JavaScript, in a process that gives its verdicts on lines as long as it runs."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def verdicts(self, entries: list[tuple[str, bytes]]) -> list[dict[str, Any]]:
        assert self.process.stdin
        assert self.process.stdout
        for feed, line in entries:
            asked = {"feed": feed, "line": base64.b64encode(line).decode()}
            self.process.stdin.write(json.dumps(asked).encode() + b"\n")
            self.process.stdin.flush()
        return [json.loads(self.process.stdout.readline()) for _ in entries]


@contextmanager
def judge(node: str, schemas: Path = ROOT / "schemas") -> Iterator[Judge]:
    """The judge of the reader, run by the ``node`` at this path."""
    command = [node, str(CONFORMANCE / "judge.mjs"), "--schemas", str(schemas)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield Judge(process)
        finally:
            assert process.stdin
            process.stdin.close()


def same(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    return all(ours.get(name) == theirs.get(name) for name in ("verdict", "hash"))


def differences(asked: Judge, cases: int, seed: int, counted: dict[str, int]) -> Iterator[dict[str, Any]]:
    """The entries on which the verdicts differ; ``counted`` gets the number of each verdict of ours."""
    entries = Entries(seed)
    for start in range(0, cases, BATCH):
        batch = [entries.line() for _ in range(min(BATCH, cases - start))]
        for (feed, line), theirs in zip(batch, asked.verdicts(batch), strict=True):
            ours = verdict(line, feed)
            counted[ours["verdict"]] = counted.get(ours["verdict"], 0) + 1
            if not same(ours, theirs):
                yield {"feed": feed, "line": line, "ours": ours, "theirs": theirs}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--node", default="node")
    parser.add_argument("--show", type=int, default=10, help="differences that are printed")
    options = parser.parse_args()
    counted: dict[str, int] = {}
    kinds: collections.Counter[tuple[str, str]] = collections.Counter()
    with judge(options.node) as asked:
        for found in differences(asked, options.cases, options.seed, counted):
            kinds[found["ours"]["verdict"], found["theirs"]["verdict"]] += 1
            if kinds.total() <= options.show:
                print(found["feed"], found["ours"], found["theirs"], found["line"][:2_000], sep="\n  ")
    print(f"{options.cases} entries: {counted}; {kinds.total()} differences {dict(kinds)}")
    return 1 if kinds else 0


if __name__ == "__main__":
    sys.exit(main())
