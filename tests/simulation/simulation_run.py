"""One simulation, from a seed to what is found wrong."""

from __future__ import annotations

import traceback

from tests.simulation.databases import Database
from tests.simulation.invariants import always, at_rest
from tests.simulation.simulated_nodes import World, a_world

OPERATORS = ("arnia", "megalis", "recia", "maximilien", "sesame")
RUN = 125
"""Faults of one simulation."""
LOOK = 40
"""Steps between looks at what must always hold."""

SETTLES = 3
"""Rounds without faults, of everybody with everybody, after which all must be well."""


class Wrong(AssertionError):
    """Something does not hold; ``log`` says all that happened before."""

    def __init__(self, found: list[str], log: list[str]) -> None:
        super().__init__("\n  ".join([f"{len(found)} things are wrong", *found[:20]]))
        self.log = log


async def run(databases: dict[str, Database], seed: int, faults: int = RUN) -> World:
    """Let so many faults happen to new nodes, and see whether they recover. Raises Wrong."""
    operators = OPERATORS[: 3 + seed % 3]
    async with a_world(databases, seed, operators) as world:
        try:
            steps = 0
            while world.faults < faults:
                await world.step()
                steps += 1
                if steps % LOOK == 0 and (found := await always(world)):
                    raise Wrong(found, world.log)
            await world.quiesce()
            for _ in range(SETTLES):
                await world.settle()
                if not (found := await at_rest(world)):
                    return world
        except Wrong:
            raise
        except Exception as error:
            raise Wrong(["".join(traceback.format_exception(error)[-14:])], world.log) from error
        raise Wrong(found, world.log)
