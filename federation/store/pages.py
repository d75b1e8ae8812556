"""Pages bounded in bytes: what does not fit is left in the database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal_column, select
from sqlalchemy.sql.expression import SelectBase

from federation.store.statements import param

AROUND = 512
"""Bytes that a record has around its document on the wire, at most: names, hash, cursor."""


def bounded(rows: SelectBase, *order: str, backwards: bool = False) -> Select[Any]:
    """The first of some rows, ``limit`` of them and ``most`` bytes at most, but one in any case.

    ``rows`` are in the order named and one more than ``limit`` (``one_more``), so that the last column
    added here, ``followed``, says of the last row whether there is another one after it. One window over
    the few rows of a page: the length of a document is known without reading it.
    """
    page = rows.subquery("page")
    columns = page.c
    places: list[ColumnElement[Any]] = [
        columns[name].desc() if backwards else columns[name] for name in order
    ]
    own = func.coalesce(func.octet_length(columns.document), 0) + literal_column(str(AROUND))
    # The same window for both, so that PostgreSQL walks it once.
    window: dict[str, Any] = {"order_by": places, "rows": (None, 0)}
    sized = select(
        *columns,
        func.lead(literal_column("true")).over(**window).is_not(None).label("followed"),
        own.label("own"),
        func.sum(own).over(**window).label("size"),
    ).subquery("sized")
    fits = (sized.c.size <= param("max_bytes")) | (sized.c.size == sized.c.own)
    return (
        select(*(sized.c[column.name] for column in columns), sized.c.followed)
        .where(fits)
        .order_by(*(sized.c[name].desc() if backwards else sized.c[name] for name in order))
        .limit(param("limit"))
    )
