"""The solutions that are the same software, by the records that a caller may see."""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterable, Sequence
from copy import copy
from itertools import zip_longest
from typing import Self, TypeVar

from federation.domain.exposure.linkage import MAX_STEPS, Link, Links, links
from federation.domain.exposure.partial import ANY_IDENTIFIER
from federation.domain.exposure.solution_identifiers import is_doubtful, is_record, proof_of
from federation.domain.visibility import Caller
from federation.store.database import Reading
from federation.store.linkage import identifiers_around
from federation.store.together import Together

MAX_SOLUTIONS = 2_000
"""Solutions whose records are read for one answer, at most."""
MAX_NAMES = 5_000
"""Identifiers in them whose other records are read for one answer, at most."""
MAX_LINKS = 5_000
"""Links of one answer, at most."""

T = TypeVar("T", bound=Hashable)


class LinkageReads:
    """Identifiers of solutions, and solutions that name them, as one answer reads them: nothing twice."""

    def __init__(self, tx: Reading, *, visible_to: Caller) -> None:
        self._tx = tx
        self._visible_to = visible_to
        self._identifiers: dict[str, tuple[str, ...]] = {}
        self._namers: dict[str, tuple[str, ...]] = {}

    def within(self, tx: Reading) -> Self:
        """Read through another connection; what was read is shared."""
        reads = copy(self)
        reads._tx = tx
        return reads

    async def begin(self, solutions: Iterable[str]) -> None:
        """Read what these solutions name and who names the same, by one statement: mostly that is all."""
        missing = [solution for solution in solutions if solution not in self._identifiers]
        if not missing:
            return
        async with Together(self._tx) as reads:
            linkage = reads.tx.linkage
            own = reads.start(linkage.identifiers_of(missing, visible_to=self._visible_to))
            namers = reads.start(
                linkage.solutions_naming_around(missing, MAX_NAMES, visible_to=self._visible_to)
            )
        self._identifiers.update(dict.fromkeys(missing, ()) | own.result())
        around = identifiers_around(missing, (name for names in own.result().values() for name in names))
        if len(around) <= MAX_NAMES:  # else some were not looked up
            self._namers.update(dict.fromkeys(around, ()) | namers.result())

    async def identifiers_of(self, solutions: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The identifiers in the records of solutions; the empty tuple where there are none to be seen."""
        asked = list(solutions)
        if missing := [solution for solution in asked if solution not in self._identifiers]:
            identifiers = await self._tx.linkage.identifiers_of(missing, visible_to=self._visible_to)
            self._identifiers.update(dict.fromkeys(missing, ()) | identifiers)
        return {solution: self._identifiers[solution] for solution in asked}

    async def namers_of(self, identifiers: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The solutions whose records name an identifier, by identifier."""
        asked = list(identifiers)
        if missing := [name for name in asked if name not in self._namers]:
            namers = await self._tx.linkage.solutions_naming(missing, visible_to=self._visible_to)
            self._namers.update(dict.fromkeys(missing, ()) | namers)
        return {name: self._namers[name] for name in asked}


async def linked_solutions(
    tx: Reading, solutions: Iterable[str], *, visible_to: Caller, reads: LinkageReads | None = None
) -> Links:
    """Link each of these solutions with the same software (``domain/exposure/linkage.py``).

    As many statements to the database for many solutions as for one: eight at most, and mostly one or two.
    ``reads``: those of the same answer so far.
    """
    reads = LinkageReads(tx, visible_to=visible_to) if reads is None else reads
    named, more = _in_turn([(solution,) for solution in sorted(set(solutions))], MAX_SOLUTIONS)
    await reads.begin(named)
    identifiers: dict[str, tuple[str, ...]] = {}
    unread = named
    for _ in range(MAX_STEPS + 1):
        if not unread:
            break
        identifiers |= await reads.identifiers_of(unread)
        records = ([name for name in identifiers[solution] if is_record(name)] for solution in unread)
        unread, is_cut = _in_turn(records, MAX_SOLUTIONS, without=identifiers)
        more |= is_cut
    namers: dict[str, tuple[str, ...]] = {}
    looked_up = (
        (solution, *names, *(proof_of(name) for name in names if is_doubtful(name)))
        for solution, names in identifiers.items()
    )
    unread, is_cut = _in_turn([(ANY_IDENTIFIER,) if named else (), *looked_up], MAX_NAMES)
    has_partly_read = False
    for _ in range(MAX_STEPS + 1):
        more |= is_cut
        if not unread:
            break
        naming = await reads.namers_of(unread)
        has_partly_read |= bool(naming.pop(ANY_IDENTIFIER, ()))
        namers |= naming
        unread, is_cut = _in_turn(naming.values(), MAX_NAMES, without=namers)
    partly_read: frozenset[str] = frozenset()
    if has_partly_read:
        found = await tx.linkage.solutions_with(ANY_IDENTIFIER, MAX_SOLUTIONS + 1, visible_to=visible_to)
        partly_read = frozenset(found[:MAX_SOLUTIONS])
        # What a solution names that cannot all be read may be the software of others that are not linked.
        more |= len(found) > MAX_SOLUTIONS or not partly_read.isdisjoint(named)
    linked: dict[str, dict[str, Link]] = {}
    for solution in named:
        linked[solution], is_cut = links(solution, identifiers, namers)
        more |= is_cut
    pairs, is_cut = _in_turn(
        ([(solution, alias) for alias in links_] for solution, links_ in linked.items()), MAX_LINKS
    )
    if is_cut:
        more = True
        reduced: dict[str, dict[str, Link]] = {}
        for solution, alias in pairs:
            reduced.setdefault(solution, {})[alias] = linked[solution][alias]
        linked = reduced
    return Links(linked, more=more, unread=partly_read)


def _in_turn(lists: Iterable[Sequence[T]], limit: int, *, without: Container[T] = ()) -> tuple[list[T], bool]:
    """The first of each list, then the second of each, ``limit`` at most; True when there are more.

    A list of a thousand does not keep the others from having one.
    """
    rounds = zip_longest(*lists)
    items = dict.fromkeys(
        item for round_ in rounds for item in round_ if item is not None and item not in without
    )
    return list(items)[:limit], len(items) > limit
