"""The places in which solutions are in use, by département, as far as a caller may see."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Sequence
from weakref import WeakKeyDictionary

import msgspec

from federation.domain.document import check_id
from federation.domain.exposure.by_departement import Share, shares, touched
from federation.domain.exposure.coverage import Tally, tally
from federation.domain.visibility import Caller
from federation.node import exposure_index
from federation.node.node import Node
from federation.store.body_sets import CoverageSet
from federation.store.exposure import DeploymentGroup

MAX_GROUPS = 3_000
"""Groups of deployments that one answer adds up, at most: 15 MB."""
MAX_STORED = 32
"""Answers that a process stores for a node, at most. Each is valid until the next record has arrived."""


class Coverage(msgspec.Struct, frozen=True):
    """The use of one solution, or of all, by département."""

    departements: tuple[Share, ...]
    operators: dict[str, int]
    """Operators that serve somebody in a département, by its code."""
    total: Tally
    deployments: int
    more: bool
    """True where not all groups were added up: every number is "at least"."""


_stored: WeakKeyDictionary[Node, OrderedDict[tuple[object, ...], Coverage]] = WeakKeyDictionary()


async def of(node: Node, *, solution: str = "", operator: str = "", by: Caller) -> Coverage:
    """The coverage of a solution, of an operator, of both or of everything. Raises Invalid for a bad id."""
    if solution:
        origin, _, key = solution.partition("/")
        check_id(origin, key)
    if operator:
        check_id(operator, operator)
    through = await exposure_index.catch_up(node)
    viewer = msgspec.structs.replace(by, client=None, scopes=frozenset(), person=None, person_name=None)
    stored = _stored.setdefault(node, OrderedDict())
    name = (viewer, solution, operator, through)
    if (known := stored.get(name)) is not None:
        stored.move_to_end(name)
        return known
    if solution:
        groups = await exposure_index.groups_in_use(
            node, "solutions", [solution], MAX_GROUPS + 1, visible_to=by
        )
    elif operator:
        groups = await exposure_index.groups_in_use(
            node, "operators", [operator], MAX_GROUPS + 1, visible_to=by
        )
    else:
        groups = await exposure_index.groups_in_use(node, "all", [], MAX_GROUPS + 1, visible_to=by)
    more = len(groups) > MAX_GROUPS
    if solution and operator:
        groups = tuple(pair for pair in groups if pair[0].origin == operator)
    # Thousands of sets take tens of milliseconds.
    answer = await asyncio.to_thread(_add_up, groups[:MAX_GROUPS], more)
    stored[name] = answer
    while len(stored) > MAX_STORED:
        stored.popitem(last=False)
    return answer


def _add_up(groups: Sequence[tuple[DeploymentGroup, CoverageSet]], more: bool) -> Coverage:
    tokens = elsewhere = 0
    by_origin: dict[str, int] = {}
    for group, covers in groups:
        tokens |= covers.tokens
        elsewhere |= covers.elsewhere
        by_origin[group.origin] = by_origin.get(group.origin, 0) | covers.tokens
    operators = Counter(code for part in by_origin.values() for code in touched(part))
    return Coverage(
        shares(tokens),
        dict(operators),
        tally(
            tokens,
            others=elsewhere.bit_count(),
            counted=sum(group.counted for group, _ in groups),
            areas=sum(group.areas for group, _ in groups),
        ),
        sum(group.deployments for group, _ in groups),
        more,
    )
