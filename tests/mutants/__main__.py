"""``make mutants``: break each security check once, in a copy of the project, and see a test turn red."""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import NamedTuple

from tests.mutants.changing import Mutant, mutants

ROOT = Path(__file__).parents[2]
TESTS: dict[str, tuple[str, ...]] = {
    "federation/domain/visibility.py": (
        "tests/domain/test_visibility.py",
        "tests/store/test_seeing.py",
        "tests/matrix",
    ),
    "federation/store/seen.py": ("tests/store/test_seeing.py", "tests/matrix"),
    "federation/domain/joining.py": ("tests/trust/test_joining.py", "tests/attack"),
    "federation/keys.py": ("tests/domain/test_keys.py", "tests/trust", "tests/attack"),
    "federation/api/caller.py": (
        "tests/api/test_rights.py",
        "tests/attack",
        "tests/trust/test_under_traffic.py",
    ),
    "federation/api/guard.py": (
        "tests/api/test_rights.py",
        "tests/api/test_limits.py",
        "tests/api/test_input.py",
    ),
    "federation/api/oauth.py": ("tests/api/test_tokens.py", "tests/attack", "tests/fuzz"),
    "federation/api/peers.py": ("tests/attack", "tests/trust", "tests/api/test_openapi.py"),
    "federation/trust.py": ("tests/trust", "tests/attack"),
}
"""The modules whose checks are broken, and the tests that must notice, the quickest first."""
LONGEST = 240
"""Seconds after which a mutant that hangs counts as noticed."""


class Outcome(NamedTuple):
    module: str
    mutant: Mutant
    noticed: bool
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--module", action="append", help="Only these modules (part of the path).")
    parser.add_argument("--sample", type=int, default=0, help="So many, chosen by the seed; 0 for all.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="Write every outcome there.")
    asked = parser.parse_args()
    found = [
        (module, mutant)
        for module in TESTS
        if not asked.module or any(part in module for part in asked.module)
        for mutant in mutants((ROOT / module).read_text())
    ]
    total = len(found)
    if asked.sample:
        found = random.Random(asked.seed).sample(found, min(asked.sample, total))
    print(f"{len(found)} of {total} mutants, {asked.jobs} at a time", flush=True)
    outcomes = run(found, asked.jobs)
    survivors = [one for one in outcomes if not one.noticed]
    by_module = Counter(one.module for one in outcomes)
    for module, number in by_module.items():
        alive = sum(one.module == module for one in survivors)
        print(f"{module}: {number - alive} of {number} noticed")
    for one in sorted(survivors):
        print(f"SURVIVED {one.module}:{one.mutant.line}  {one.mutant.what}")
    share = 100 * (len(outcomes) - len(survivors)) / max(len(outcomes), 1)
    print(f"{share:.1f} % of {len(outcomes)} noticed")
    if asked.json:
        rows = [
            {"module": o.module, "line": o.mutant.line, "what": o.mutant.what, "noticed": o.noticed}
            for o in outcomes
        ]
        asked.json.write_text(json.dumps(rows, indent=1))
    sys.exit(share < 95)


def run(found: list[tuple[str, Mutant]], jobs: int) -> list[Outcome]:
    copies: Queue[Path] = Queue()
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        for number in range(jobs):
            copy = Path(directory) / str(number) / "main"
            shutil.copytree(
                ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache")
            )
            copies.put(copy)

        def one(work: tuple[str, Mutant]) -> Outcome:
            copy = copies.get()
            try:
                outcome = judged(copy, *work)
            finally:
                copies.put(copy)
            print(
                "." if outcome.noticed else f"\nSURVIVED {work[0]}:{work[1].line}  {work[1].what}",
                end="",
                flush=True,
            )
            return outcome

        with ThreadPoolExecutor(jobs) as pool:
            outcomes = list(pool.map(one, found))
    print()
    return outcomes


def judged(copy: Path, module: str, mutant: Mutant) -> Outcome:
    """Run the module's tests with the mutant in its place."""
    began = time.monotonic()
    place = copy / module
    original = place.read_text()
    place.write_text(mutant.source)
    try:
        noticed = any(red(copy, tests) for tests in TESTS[module])
    finally:
        place.write_text(original)
    return Outcome(module, mutant, noticed, time.monotonic() - began)


def red(copy: Path, tests: str) -> bool:
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", tests],
        cwd=copy, env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        return process.wait(LONGEST) != 0
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()
        return True


if __name__ == "__main__":
    main()
