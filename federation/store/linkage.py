"""Identifiers of solutions, read by a viewer: the records that say what a solution is.

Solutions are the same software where their records name one thing (``domain/exposure/linkage.py``). The table
follows the change log with the exposure index (``exposure_index.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from sqlalchemy import Text, column, func, select, true, tuple_, union
from sqlalchemy.dialects.postgresql import ARRAY

from federation.domain.exposure.linkage import MAX_LINKS_PER_SOLUTION
from federation.domain.exposure.partial import ANY_IDENTIFIER
from federation.domain.exposure.solution_identifiers import proof_of
from federation.domain.visibility import Caller
from federation.store.statements import Session, Statement, param
from federation.store.tables import solution_identifiers
from federation.store.visibility import Viewer, arguments, viewer_of, visible_condition

_s = solution_identifiers.c
_solutions = (
    func.unnest(param("origins", ARRAY(Text)), param("keys", ARRAY(Text)))
    .table_valued(column("origin", Text), column("key", Text), name="solutions")
    .render_derived()
)


@lru_cache
def _identifiers(viewer: Viewer) -> Statement:
    return Statement(
        select(_s.origin, _s.key, _s.identifier)
        .where(
            tuple_(_s.origin, _s.key).in_(select(_solutions.c.origin, _solutions.c.key)),
            visible_condition(solution_identifiers, viewer),
        )
        .order_by(_s.origin, _s.key, _s.identifier)
    )


def _identifiers_around(viewer: Viewer) -> Any:
    """Identifiers that may link solutions: their own ids, what they name, and the proof of each of these."""
    named = (
        select(_s.identifier)
        .where(
            tuple_(_s.origin, _s.key).in_(select(_solutions.c.origin, _solutions.c.key)),
            visible_condition(solution_identifiers, viewer),
        )
        .cte("named")
    )
    every = union(
        select(param("any_solution", Text).label("identifier")),
        select(_solutions.c.origin.concat("/").concat(_solutions.c.key)),
        select(named.c.identifier),
        select(named.c.identifier.concat(param("proof", Text))),
    ).subquery("every")
    return select(every.c.identifier).limit(param("max_names")).cte("identifiers")


@lru_cache
def _solutions_naming(viewer: Viewer, *, around: bool = False) -> Statement:
    """Solutions that name an identifier: the first of each operator, however many another one has.

    The index leads from one (origin, audience) of an identifier to the next: the thousand records of one
    operator are passed over, and not read. So are hidden ones. ``around``: of the identifiers around
    solutions, in place of those that are given.
    """
    identifiers: Any = (
        _identifiers_around(viewer)
        if around
        else func.unnest(param("identifiers", ARRAY(Text)))
        .table_valued(column("identifier", Text), name="identifiers")
        .render_derived()
    )
    pair = select(_s.origin, _s.audience).order_by(_s.origin, _s.audience).limit(1)
    first_pair = (
        pair.where(_s.identifier == identifiers.c.identifier).correlate(identifiers).lateral("first_pair")
    )
    pairs = (
        select(identifiers.c.identifier, first_pair.c.origin, first_pair.c.audience)
        .select_from(identifiers.join(first_pair, true()))
        .cte("pairs", recursive=True)
    )
    next_pair = (
        pair.where(
            _s.identifier == pairs.c.identifier,
            tuple_(_s.origin, _s.audience) > tuple_(pairs.c.origin, pairs.c.audience),
        )
        .correlate(pairs)
        .lateral("next_pair")
    )
    pairs = pairs.union_all(
        select(pairs.c.identifier, next_pair.c.origin, next_pair.c.audience).select_from(
            pairs.join(next_pair, true())
        )
    )
    first_keys = (
        select(_s.key)
        .where(
            _s.identifier == pairs.c.identifier,
            _s.origin == pairs.c.origin,
            _s.audience == pairs.c.audience,
        )
        .order_by(_s.key)
        # One more than is used, which shows that there are more.
        .limit(MAX_LINKS_PER_SOLUTION + 1)
        .correlate(pairs)
        .lateral("first_keys")
    )
    return Statement(
        select(pairs.c.identifier, pairs.c.origin, first_keys.c.key)
        .select_from(pairs.join(first_keys, true()))
        .where(visible_condition(pairs, viewer))
        .order_by(pairs.c.identifier, pairs.c.origin, first_keys.c.key)
    )


@lru_cache
def _solutions_with(viewer: Viewer) -> Statement:
    return Statement(
        select(_s.origin, _s.key)
        .where(_s.identifier == param("identifier", Text), visible_condition(solution_identifiers, viewer))
        .order_by(_s.origin, _s.key)
        .limit(param("limit"))
    )


class LinkageReader:
    """Identifiers of solutions, as far as a caller may see the records that name them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def identifiers_of(
        self, solutions: Iterable[str], *, visible_to: Caller
    ) -> dict[str, tuple[str, ...]]:
        """The identifiers in the records of solutions; those without any, or hidden, are left out."""
        names = [solution.partition("/") for solution in solutions]
        rows = await self._session.all(
            _identifiers(viewer_of(visible_to)),
            origins=[origin for origin, _, _ in names],
            keys=[key for _, _, key in names],
            **arguments(visible_to),
        )
        by_solution: dict[str, list[str]] = {}
        for origin, key, identifier in rows:
            by_solution.setdefault(f"{origin}/{key}", []).append(identifier)
        return {solution: tuple(identifiers) for solution, identifiers in by_solution.items()}

    async def solutions_naming(
        self, identifiers: Iterable[str], *, visible_to: Caller
    ) -> dict[str, tuple[str, ...]]:
        """The solutions whose records name an identifier, by identifier.

        Of each operator and audience ``MAX_LINKS_PER_SOLUTION`` and one more, at most.
        """
        rows = await self._session.all(
            _solutions_naming(viewer_of(visible_to)), identifiers=sorted(identifiers), **arguments(visible_to)
        )
        return _by_identifier(rows)

    async def solutions_naming_around(
        self, solutions: Iterable[str], max_names: int, *, visible_to: Caller
    ) -> dict[str, tuple[str, ...]]:
        """Solutions that name an identifier around these solutions (``identifiers_around``).

        So many identifiers are looked up at most.
        """
        names = [solution.partition("/") for solution in solutions]
        rows = await self._session.all(
            _solutions_naming(viewer_of(visible_to), around=True),
            origins=[origin for origin, _, _ in names],
            keys=[key for _, _, key in names],
            any_solution=ANY_IDENTIFIER,
            proof=proof_of(""),
            max_names=max_names,
            **arguments(visible_to),
        )
        return _by_identifier(rows)

    async def solutions_with(self, identifier: str, limit: int, *, visible_to: Caller) -> tuple[str, ...]:
        """Solutions whose records have an identifier, in order, whatever their operators."""
        rows = await self._session.all(
            _solutions_with(viewer_of(visible_to)),
            identifier=identifier,
            limit=limit,
            **arguments(visible_to),
        )
        return tuple(f"{origin}/{key}" for origin, key in rows)


def _by_identifier(rows: Iterable[Any]) -> dict[str, tuple[str, ...]]:
    by_identifier: dict[str, list[str]] = {}
    for identifier, origin, key in rows:
        by_identifier.setdefault(identifier, []).append(f"{origin}/{key}")
    return {identifier: tuple(solutions) for identifier, solutions in by_identifier.items()}


def identifiers_around(solutions: Iterable[str], identifiers: Iterable[str]) -> set[str]:
    """The identifiers that ``solutions_naming_around`` looks up for solutions that have these ones."""
    around = {ANY_IDENTIFIER, *solutions}
    for identifier in identifiers:
        around |= {identifier, proof_of(identifier)}
    return around
