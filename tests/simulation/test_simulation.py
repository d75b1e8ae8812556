"""Nodes to which a thousand things go wrong hold, in the end, what their origins hold and nothing else."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from tests.simulation.databases import Database, cluster
from tests.simulation.simulation_run import OPERATORS, run

pytestmark = pytest.mark.long

PROCESSES = 2
KINDS = {
    "delay", "cut", "truncate", "duplicate", "corrupt", "half-open", "lost", "omit", "reorder", "meanwhile",
    "overtaken", "alter", "replay", "crash", "restart", "restore", "restore unnoticed", "clock", "retention",
    "new key", "new epoch",
}  # fmt: skip
"""Everything that can go wrong here."""


@pytest.fixture(scope="module")
async def databases(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Database]]:
    """A PostgreSQL for the nodes of one simulation at a time."""
    async with cluster(tmp_path_factory.mktemp("simulated"), OPERATORS[:4]) as found:
        yield found


@pytest.mark.parametrize("faults", [200, pytest.param(2_000, marks=pytest.mark.slow)])
async def test_after_many_faults_every_copy_is_what_its_origin_has_and_signed(faults: int) -> None:
    """Seeds of their own in two processes, as ``make simulate`` does; few faults are not of every kind."""
    running = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.simulation",
            "--faults", str(faults // PROCESSES), "--seed", str(1 + 1_000 * n),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "PYTHONWARNINGS": "error"},
        )
        for n in range(PROCESSES)
    ]  # fmt: skip
    said = [(await process.communicate())[0].decode() for process in running]
    assert [process.returncode for process in running] == [0] * PROCESSES, "\n".join(said)
    counts: Counter[str] = Counter()
    for told in said:
        for number, kind in re.findall(
            r"(\d+) ([a-z][a-z -]*?)(?:,|$)", told.splitlines()[-1].split(": ", 2)[2]
        ):
            counts[kind] += int(number)
    assert counts.total() >= faults
    assert counts.keys() <= KINDS
    if faults >= 1_000:
        assert counts.keys() == KINDS


async def test_a_seed_replays_exactly(databases: dict[str, Database]) -> None:
    """The same seed is the same story, step by step; another one is another."""
    logging.disable(logging.CRITICAL)
    try:
        first, again, other = [(await run(databases, seed, 25)) for seed in (9, 9, 12)]
    finally:
        logging.disable(logging.NOTSET)
    assert first.log == again.log
    assert first.counts == again.counts
    assert first.log != other.log
