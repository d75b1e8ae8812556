"""Import of an archive of advisories: how quickly, in how much memory, and how much less the second time.

Made-up OSV advisories, of which one in fifty concerns a solution that is known here: an archive of all
advisories is read for the few that one's own catalogue has. The command runs as an administrator runs it, in
a process of its own.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from bench.measuring import Better, Figure, Goal, Series
from bench.run import Run
from bench.sites import Site, site
from federation.domain.content.solution import Solution
from federation.domain.draft import Draft, check_draft
from federation.domain.visibility import itself
from federation.node import records

FILES, QUICK_FILES = 50_000, 1_000
KNOWN_SOLUTIONS = 200
ONE_IN = 50
"""One advisory of so many concerns a known solution."""
MAX_MB = 300.0
MAX_SHARE = 33.0
"""Percent of the first import that the second one may take."""


async def measure(run: Run) -> None:
    """All of this part."""
    number = QUICK_FILES if run.quick else FILES
    directory, archive = run.directory / "advisories", run.directory / "all.zip"
    run.tell(f"importing: writing {number} advisories")
    await asyncio.to_thread(_write, directory, archive, number)
    rates: dict[str, list[float]] = {"directory": [], "ZIP archive": []}
    memory: list[float] = []
    shares: list[float] = []
    for turn in run.turns():
        run.tell(f"importing: turn {turn}")
        run.noise.probe()
        for name, path in (("directory", directory), ("ZIP archive", archive)):
            async with site("arnia", run.directory / f"importing-{turn}-{name[:3]}") as arnia:
                await _publish_solutions(arnia)
                first, most = await asyncio.to_thread(_import, arnia, path, number, is_first=True)
                second, _ = await asyncio.to_thread(_import, arnia, path, number, is_first=False)
            rates[name].append(number / first)
            memory.append(most)
            shares.append(second / first * 100)
    for name, values in rates.items():
        _add(run, f"first import of {number} OSV advisories, {name}", "advisories/s", values, "more")
    _add(run, f"memory of an import of {number}, at most", "MB", memory, "less", Goal(most=MAX_MB))
    goal = None if run.quick else Goal(most=MAX_SHARE)  # a small import is the start of the process
    _add(run, f"second import of the same {number}", "% of the first", shares, "less", goal)


def _add(
    run: Run, work: str, unit: str, values: list[float], better: Better, goal: Goal | None = None
) -> None:
    node = Series("node", tuple(values))
    run.add(Figure(part="importing", work=work, unit=unit, better=better, node=node, goal=goal))


def _import(arnia: Site, path: Path, number: int, *, is_first: bool) -> tuple[float, float]:
    """Seconds that the command takes, and MB of its memory at most."""
    environment = {name: value for name, value in os.environ.items() if "FEDERATION_" not in name}
    environment |= {"FEDERATION_OPERATOR": arnia.operator, "FEDERATION_DATABASE_URL": arnia.dsn}
    output = arnia.log.with_suffix(".json")
    began = time.perf_counter()
    with output.open("wb") as out, arnia.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "federation.cli", "import", "osv", str(path), "--json"],
            env=environment, stdout=out, stderr=log, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    took = time.perf_counter() - began
    summary = msgspec.json.decode(output.read_bytes())["summary"]
    outcome = "published" if is_first else "unchanged"
    if process.returncode or summary[outcome] + summary["skipped"] != number or not summary[outcome]:
        raise AssertionError(f"an import ended with {process.returncode}: {summary}")
    return took, usage.ru_maxrss / 1_024


async def _publish_solutions(arnia: Site) -> None:
    shape: Any = Draft
    drafts = {
        f"s{number}": check_draft({"content": _solution(number)}, shape[Solution])
        for number in range(KNOWN_SOLUTIONS)
    }
    async with arnia.here() as node:
        await records.upload(node, Solution, drafts, by=itself(arnia.operator))


def _solution(number: int) -> dict[str, Any]:
    return {
        "name": f"Known {number} (benchmark)",
        "summary": {"en": "Invented for a benchmark."},
        "kind": "software",
        "status": "stable",
        "licence": "GPL-3.0-or-later",
        "themes": ["it-asset-management"],
        "packages": [{"purl": f"pkg:npm/known-{number}"}],
    }


def _write(directory: Path, archive: Path, number: int) -> None:
    directory.mkdir()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for name, raw in _advisories(number):
            (directory / name).write_bytes(raw)
            packed.writestr(name, raw)


def _advisories(number: int) -> Iterator[tuple[str, bytes]]:
    """Made-up OSV advisories, of two kilobytes and some packages each."""
    chance = random.Random(number)
    words = [f"word{n}" for n in range(400)]
    for n in range(number):
        is_known = n % ONE_IN == 0
        package = f"known-{n // ONE_IN % KNOWN_SOLUTIONS}" if is_known else f"package-{n}"
        packages = [package, *(f"{package}-part-{part}" for part in range(chance.randrange(3)))]
        id_ = f"GHSA-{n:04x}-bench-{n % 10_000:04d}"
        advisory = {
            "id": id_,
            "schema_version": "1.6.0",
            "published": "2026-01-01T00:00:00Z",
            "modified": "2026-01-02T00:00:00Z",
            "aliases": [f"CVE-2099-{n:05d}"],
            "summary": " ".join(chance.choices(words, k=10)),
            "details": " ".join(chance.choices(words, k=200)),
            "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
            "affected": [
                {
                    "package": {"ecosystem": "npm", "name": name, "purl": f"pkg:npm/{name}"},
                    "ranges": [
                        {
                            "type": "SEMVER",
                            "events": [{"introduced": "0"}, {"fixed": f"{major}.{chance.randrange(30)}.0"}],
                        }
                        for major in range(1, chance.randrange(2, 5))
                    ],
                }
                for name in packages
            ],
            "references": [{"type": "WEB", "url": f"https://example.org/{id_}/{part}"} for part in range(4)],
        }
        yield f"{id_}.json", msgspec.json.encode(advisory)
