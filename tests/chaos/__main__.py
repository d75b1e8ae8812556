"""Kill nodes and their PostgreSQL with -9, and compare everything after each kill.

python -m tests.chaos --kills 500 --seed 1
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import tempfile
import time
from pathlib import Path

from tests.chaos.kills import chaos


async def main(kills: int, seed: int) -> None:
    with tempfile.TemporaryDirectory(prefix="chaos-") as directory:
        async with chaos(Path(directory), seed) as found:
            began = time.monotonic()
            for n in range(kills):
                await found.one()
                if (n + 1) % 10 == 0 or n + 1 == kills:
                    told = ", ".join(f"{number} {kind}" for kind, number in found.counts.most_common())
                    print(f"{n + 1} kills in {time.monotonic() - began:.0f} s: {told}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    asyncio.run(main(arguments.kills, arguments.seed))
