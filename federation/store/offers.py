"""Offers for the catalogue in memory, documents of a page, and deployments that serve a body already."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Text, and_, column, func, select, true
from sqlalchemy.dialects.postgresql import ARRAY

from federation.domain.visibility import Caller
from federation.store.statements import Session, Statement, param
from federation.store.tables import records
from federation.store.visibility import Viewer, arguments, viewer_of, visible_condition

MAX_SERVING = 100
"""Deployments that serve a body and are read for one answer, at most, of each of the two ways."""

_READ_NEWEST = "SELECT arrival, arrivals_from FROM node"
_READ_CHANGES = """
SELECT origin, key FROM records WHERE arrived > $1 AND arrived <= $2 AND type = 'offer'
UNION
SELECT feeds.origin, w.key FROM withdrawals AS w JOIN feeds ON feeds.id = w.feed
WHERE w.arrived > $1 AND w.arrived <= $2 AND w.type = 'offer'
"""
"""The offers that changed or left after local sequence $1, up to $2."""
_LIST_ALL = "SELECT origin, key, arrived FROM records WHERE type = 'offer' AND NOT retracted"
_READ_OFFERS = """
SELECT r.origin, r.key, r.audience, r.arrived, r.not_understood IS NULL AS understood, r.document
FROM unnest($1::text[], $2::text[]) AS asked(origin, key)
JOIN records AS r ON r.type = 'offer' AND r.origin = asked.origin AND r.key = asked.key
WHERE NOT r.retracted
"""
_names = (
    func.unnest(param("origins", ARRAY(Text)), param("keys", ARRAY(Text)))
    .table_valued(column("origin", Text), column("key", Text), name="names")
    .render_derived()
)


@lru_cache
def _documents(viewer: Viewer) -> Statement:
    """Documents of offers by their names, as far as they are understood and visible."""
    c = records.c
    return Statement(
        select(c.document)
        .join(_names, and_(c.origin == _names.c.origin, c.key == _names.c.key))
        .where(
            c.type == "offer",
            ~c.retracted,
            c.not_understood.is_(None),
            visible_condition(records, viewer),
        )
    )


@lru_cache
def _serving(viewer: Viewer, by: str) -> Statement:
    """Deployments that list a body, or that are for a territory it is in."""
    c = records.c
    if by == "body":
        found = c.beneficiaries.overlap(param("names", ARRAY(Text)))
    else:
        found = and_(
            c.facets.overlap(param("territories", ARRAY(Text))),
            # (Checked on the rows: popular solutions have very many deployments, territories have few.)
            c.facets.overlap(param("solutions", ARRAY(Text))).is_(true()),
        )
    return Statement(
        select(c.origin, c.key, c.document)
        .where(
            c.type == "deployment",
            ~c.retracted,
            c.not_understood.is_(None),
            found,
            visible_condition(records, viewer),
        )
        .limit(MAX_SERVING)
    )


class NewestChange(NamedTuple):
    """The end of the change log, and the number before which changes may be missing in it."""

    arrival: int
    arrivals_from: int


class OffersReader:
    """Offers of every operator. Those for the catalogue are read whoever may see them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def newest(self) -> NewestChange:
        """The local sequence of the last change that has arrived."""
        return NewestChange(*await self._session.connection.fetchrow(_READ_NEWEST))

    async def changed(self, after: int, until: int) -> list[tuple[str, str]]:
        """Origin and key of the offers that changed or left, withdrawn ones among them."""
        rows = await self._session.connection.fetch(_READ_CHANGES, after, until)
        return [(row[0], row[1]) for row in rows]

    async def all_names(self) -> dict[tuple[str, str], int]:
        """Origin and key of every offer, and the local sequence of its last change."""
        rows = await self._session.connection.fetch(_LIST_ALL)
        return {(row[0], row[1]): row[2] for row in rows}

    async def read(self, names: Sequence[tuple[str, str]]) -> list[Any]:
        """Rows (origin, key, audience, arrived, understood, document) of the offers that are there."""
        origins, keys = [name[0] for name in names], [name[1] for name in names]
        rows: list[Any] = await self._session.connection.fetch(_READ_OFFERS, origins, keys)
        return rows

    async def documents(self, ids: Sequence[str], *, visible_to: Caller) -> list[bytes]:
        """The documents of offers (``origin/key``) that the caller may see, in no order."""
        names = [id_.split("/", 1) for id_ in ids]
        rows = await self._session.all(
            _documents(viewer_of(visible_to)),
            origins=[name[0] for name in names],
            keys=[name[1] for name in names],
            **arguments(visible_to),
        )
        return [row[0] for row in rows]

    async def serving_body(self, names: Sequence[str], *, visible_to: Caller) -> list[Any]:
        """Rows (origin, key, document) of deployments that list a body, ``MAX_SERVING`` at most.

        ``names``: every ``scheme:value`` of the body.
        """
        if not names:
            return []
        viewer, values = viewer_of(visible_to), arguments(visible_to)
        return await self._session.all(_serving(viewer, "body"), names=list(names), **values)

    async def serving_territories(
        self, territories: Sequence[str], solutions: Sequence[str], *, visible_to: Caller
    ) -> list[Any]:
        """Rows of deployments of these solutions that are for one of these territories.

        ``territories``: every code of the places that a body is in.
        """
        if not territories or not solutions:
            return []
        return await self._session.all(
            _serving(viewer_of(visible_to), "territory"),
            territories=[f"deployment.territory={code}" for code in territories],
            solutions=[f"deployment.solution={solution}" for solution in solutions],
            **arguments(visible_to),
        )
