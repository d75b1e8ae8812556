"""Attack a node of its own, and report whether a bound was broken.

python -m tests.hostile            every program
python -m tests.hostile greedy     one of them

Exit code 1 where a bound was broken; 2 where all held, but a program could not run for want of Caddy.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys

from tests.hostile import crowd, greedy, peer, rolling
from tests.hostile.caddy import CaddyMissing


async def _peer() -> bool:
    return await peer.main(peer.Sizes()) == 0


PROGRAMS = {"greedy": greedy.main, "peer": _peer, "crowd": crowd.main, "rolling": rolling.main}
"""By name: each prints its figures and returns whether every bound held."""


async def main(names: list[str]) -> int:
    """Run these programs one after the other; the exit code."""
    held, missing = True, ""
    for name in names:
        try:
            held &= await PROGRAMS[name]()
        except CaddyMissing as error:
            missing = f"{name} did not run. {error}"
    if missing:
        print(missing, file=sys.stderr)
    return 1 if not held else 2 if missing else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("program", nargs="*", choices=[*PROGRAMS, []], default=[], help=", ".join(PROGRAMS))
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    sys.exit(asyncio.run(main(arguments.program or list(PROGRAMS))))
