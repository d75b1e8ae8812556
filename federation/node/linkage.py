"""The solutions that are the same software, by the records that a caller may see."""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterable, Sequence
from itertools import zip_longest
from typing import TypeVar

from federation.domain.exposure.linkage import MAX_STEPS, Link, Links, links
from federation.domain.exposure.partial import ANY_IDENTIFIER
from federation.domain.exposure.solution_identifiers import is_doubtful, is_record, proof_of
from federation.domain.visibility import Caller
from federation.store.database import Reading

MAX_SOLUTIONS = 2_000
"""Solutions whose records are read for one answer, at most."""
MAX_NAMES = 5_000
"""Identifiers in them whose other records are read for one answer, at most."""
MAX_LINKS = 5_000
"""Links of one answer, at most."""

T = TypeVar("T", bound=Hashable)


async def linked_solutions(tx: Reading, solutions: Iterable[str], *, visible_to: Caller) -> Links:
    """Link each of these solutions with the same software (``domain/exposure/linkage.py``).

    As many statements to the database for many solutions as for one: nine at most, and mostly three.
    """
    named, more = _in_turn([(solution,) for solution in sorted(set(solutions))], MAX_SOLUTIONS)
    identifiers: dict[str, tuple[str, ...]] = {}
    unread = named
    for _ in range(MAX_STEPS + 1):
        if not unread:
            break
        identifiers |= dict.fromkeys(unread, ())
        identifiers |= await tx.linkage.identifiers_of(unread, visible_to=visible_to)
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
        naming = await tx.linkage.solutions_naming(unread, visible_to=visible_to)
        has_partly_read |= bool(naming.pop(ANY_IDENTIFIER, ()))
        namers |= dict.fromkeys(unread, ()) | naming
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
