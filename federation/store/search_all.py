"""A search in the records of several types: the best of each, in one statement.

The rows that the index finds are read up to a bound. Where it finds more, those read are any, and the result
says that it is cut: the list of a type (``lists.py``) finds the best of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Integer, func, literal_column, select

from federation.domain.query import RELEVANCE
from federation.domain.visibility import LABELS, Caller
from federation.store.list_filters import Shape, index_filters, rank
from federation.store.statements import Session, Statement, param
from federation.store.tables import records
from federation.store.visibility import Viewer, arguments, viewer_of, visible_condition

MAX_ROWS = 5_000
"""Rows that one search reads: 5 to 20 ms."""
_ROW_ADDRESS: Any = literal_column("records.ctid").label("row_address")
"""Valid within one statement."""


class TypeMatches(NamedTuple):
    """The records of one type that a search has found."""

    documents: list[bytes]
    """The best of them."""
    total: int


@lru_cache
def _best_of_each(viewer: Viewer) -> Statement:
    """The best matches of each type, with the number of all."""
    c = records.c
    shape = Shape(
        viewer, RELEVANCE, required=False, alternatives=0, beneficiaries=False, words=True, since=False,
        before=False, after=False,
    )  # fmt: skip
    indexed = (
        select(_ROW_ADDRESS, c.type, c.updated_at, c.origin, c.key, rank(records).label("rank"))
        .where(
            ~c.retracted,
            c.not_understood.is_(None),
            # Before the bound: that there are many is not to be known of records that are not visible.
            visible_condition(records, viewer),
            *index_filters(records, shape),
        )
        .cte("indexed")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    read = select(indexed).limit(param("rows") + 1).cte("read")
    place = func.row_number().over(
        partition_by=read.c.type,
        order_by=(read.c.rank.desc(), read.c.updated_at.desc(), read.c.origin.desc(), read.c.key.desc()),
    )
    total = func.count().over(partition_by=read.c.type)
    ranked = select(read.c.row_address, read.c.type, place.label("place"), total.label("total")).subquery(
        "ranked"
    )
    cut = select(func.count() > param("rows")).select_from(read).scalar_subquery()
    return Statement(
        select(ranked.c.type, ranked.c.total, records.c.document, cut.label("cut"))
        .select_from(ranked.join(records, literal_column("records.ctid") == ranked.c.row_address))
        .where(ranked.c.place <= param("of_each", Integer))
        .order_by(ranked.c.type, ranked.c.place)
    )


async def search_all(
    session: Session, words: str, types: Sequence[str], of_each: int, *, visible_to: Caller
) -> tuple[dict[str, TypeMatches], bool]:
    """The best matches by type; True where more rows match than were read."""
    viewer = viewer_of(visible_to)
    # The index leaves out what is not public, where no more is visible.
    labels = LABELS[:1] if viewer == "anonymous" else LABELS
    rows = await session.all(
        _best_of_each(viewer),
        words=words,
        labels=[f"{name}.tlp={label}" for name in types for label in labels],
        rows=MAX_ROWS,
        of_each=of_each,
        **arguments(visible_to),
    )
    found: dict[str, TypeMatches] = {}
    for type_name, total, document, _ in rows:
        found.setdefault(type_name, TypeMatches([], total)).documents.append(document)
    return found, bool(rows) and rows[0][3]
