"""Simulate nodes until so many faults have happened to them.

    python -m tests.simulation --faults 2000 --seed 1

Seeds follow one another, each with nodes of its own and ``RUN`` faults. What is found wrong is printed with
the command that replays it.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.simulation.databases import cluster
from tests.simulation.simulation_run import OPERATORS, RUN, Wrong, run


async def main(faults: int, seed: int, *, verbose: bool) -> int:
    counts: Counter[str] = Counter()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="simulation-") as directory:
        async with cluster(Path(directory) / "node", OPERATORS) as databases:
            while counts.total() < faults:
                asked = min(RUN, faults - counts.total())
                try:
                    world = await run(databases, seed, asked)
                except Wrong as error:
                    if verbose:
                        print("\n".join(error.log))
                    print(f"\nseed {seed}: {error}", file=sys.stderr)
                    print(f"\nreplay: make simulate SEED={seed} FAULTS={asked} VERBOSE=1", file=sys.stderr)
                    return 1
                if verbose:
                    print("\n".join(world.log))
                counts += world.counts
                told = ", ".join(f"{number} {kind}" for kind, number in counts.most_common())
                seconds = time.monotonic() - began
                print(f"seed {seed}: {counts.total()} faults in {seconds:.0f} s: {told}", flush=True)
                seed += 1
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--faults", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verbose", action="store_true", help="print every step")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    sys.exit(asyncio.run(main(arguments.faults, arguments.seed, verbose=arguments.verbose)))
