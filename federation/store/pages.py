"""Pages bounded in bytes: rows that do not fit are not sent by the database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal_column, select
from sqlalchemy.sql.expression import SelectBase

from federation.store.statements import param

MAX_ENVELOPE_BYTES = 512
"""Bytes around the document of a record on the wire, at most: names, hash, cursor."""


def bounded(rows: SelectBase, *order: str, backwards: bool = False) -> Select[Any]:
    """The first rows: at most ``limit`` rows and ``max_bytes`` bytes, but at least one row.

    ``rows`` are in the given order, one more than ``limit`` (``one_more``). The last column, ``followed``,
    is added here: it is true for a row that has another one after it. Lengths of documents are known without
    reading them.
    """
    page = rows.subquery("page")
    columns = page.c
    sort_order: list[ColumnElement[Any]] = [
        columns[name].desc() if backwards else columns[name] for name in order
    ]
    own = func.coalesce(func.octet_length(columns.document), 0) + literal_column(str(MAX_ENVELOPE_BYTES))
    # The same window for both, so that PostgreSQL walks it once.
    window: dict[str, Any] = {"order_by": sort_order, "rows": (None, 0)}
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
