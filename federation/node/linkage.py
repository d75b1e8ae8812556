"""Which solutions are the same software, asked of what the records say that a caller may see."""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterable, Sequence
from itertools import zip_longest
from typing import TypeVar

from federation.domain.exposure.linkage import MAX_STEPS, Link, Links, is_record, links
from federation.domain.visibility import Caller
from federation.store.database import Reading

MAX_SOLUTIONS = 2_000
"""Solutions whose records are looked at for one answer, at most."""
MAX_NAMES = 5_000
"""Things they name of which it is looked up who else names them, at most."""


MAX_LINKS = 5_000
"""Pairs of solutions that are told to be the same for one answer, at most."""

One = TypeVar("One", bound=Hashable)


async def linked_solutions(tx: Reading, solutions: Iterable[str], *, visible_to: Caller) -> Links:
    """What is the same software as each of these solutions (``domain/sameness.py``).

    As many questions to the database for many solutions as for one: eight at most, and mostly three.
    """
    asked, more = _in_turn([(one,) for one in sorted(set(solutions))], MAX_SOLUTIONS)
    says: dict[str, tuple[str, ...]] = {}
    wanted = asked
    for _ in range(MAX_STEPS + 1):
        if not wanted:
            break
        says |= dict.fromkeys(wanted, ()) | await tx.exposure.identified(wanted, visible_to=visible_to)
        reached = ([one for one in says[solution] if is_record(one)] for solution in wanted)
        wanted, beyond = _in_turn(reached, MAX_SOLUTIONS, without=says)
        more |= beyond
    namers: dict[str, tuple[str, ...]] = {}
    wanted, beyond = _in_turn([(solution, *several) for solution, several in says.items()], MAX_NAMES)
    for _ in range(MAX_STEPS + 1):
        more |= beyond
        if not wanted:
            break
        found = await tx.exposure.naming(wanted, visible_to=visible_to)
        namers |= dict.fromkeys(wanted, ()) | found
        wanted, beyond = _in_turn(found.values(), MAX_NAMES, without=namers)
    same: dict[str, dict[str, Link]] = {}
    for solution in asked:
        same[solution], beyond = links(solution, says, namers)
        more |= beyond
    pairs, beyond = _in_turn(([(one, other) for other in found] for one, found in same.items()), MAX_LINKS)
    if beyond:
        more = True
        kept: dict[str, dict[str, Link]] = {}
        for one, other in pairs:
            kept.setdefault(one, {})[other] = same[one][other]
        same = kept
    return Links(same, more=more)


def _in_turn(
    several: Iterable[Sequence[One]], most: int, *, without: Container[One] = ()
) -> tuple[list[One], bool]:
    """The first of each, then the second of each, as many as that, and whether there are more.

    Whoever has a thousand does not keep others from having one.
    """
    each = zip_longest(*several)
    found = dict.fromkeys(one for turn in each for one in turn if one is not None and one not in without)
    return list(found)[:most], len(found) > most
