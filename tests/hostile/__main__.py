"""Attack a node of its own, and report whether a bound was broken.

python -m tests.hostile            every program
python -m tests.hostile greedy     one of them
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys

from tests.hostile import crowd, greedy, peer


async def _peer() -> bool:
    return await peer.main(peer.Sizes()) == 0


PROGRAMS = {"greedy": greedy.main, "peer": _peer, "crowd": crowd.main}
"""By name: each prints its figures and returns whether every bound held."""


async def main(names: list[str]) -> bool:
    held = [await PROGRAMS[name]() for name in names]
    return all(held)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("program", nargs="*", choices=[*PROGRAMS, []], default=[], help=", ".join(PROGRAMS))
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    sys.exit(0 if asyncio.run(main(arguments.program or list(PROGRAMS))) else 1)
