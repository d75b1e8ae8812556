"""The statements of a list: a page and a count by each strategy (``lists.py`` chooses).

``by_order`` scans ``ix_records_listed`` (or the primary key) in the order of the list and checks the filters
on each row. ``by_index`` asks ``ix_records_found`` for the filters, reads the rows found and sorts them. Both
read ``rows`` rows at most, in one statement, and report with ``cut`` whether there were more: a result with
``cut`` is incomplete, and not used. Documents are read for the rows of the page alone.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import FromClause, Integer, and_, case, false, func, literal_column, or_, select, true

from federation.domain.query import MAX_TOTAL
from federation.store.list_filters import (
    Shape,
    after_page,
    index_filters,
    of_type,
    rank,
    residual_filters,
    sort_order,
    time_range,
)
from federation.store.pages import bounded
from federation.store.statements import Statement, param
from federation.store.tables import records
from federation.store.visibility import subject_condition, visible_condition

_KEY = ("updated_at", "origin", "key")
_ROW_ADDRESS: Any = literal_column("records.ctid").label("row_address")
"""Valid within one statement, where it saves a second look-up of the key."""
_LISTED = (~records.c.retracted, records.c.not_understood.is_(None))
"""Conditions of every list, as the indexes of the orders have them."""


def _visible(table: FromClause, shape: Shape) -> Any:
    """The condition that the viewer may see a row, and its subject where the type has one."""
    visible = visible_condition(table, shape.viewer)
    return and_(visible, subject_condition(table, shape.viewer)) if shape.has_subject else visible


def _scan_conditions(shape: Shape) -> list[Any]:
    """Conditions that the index of the order knows: they bound a scan, and cost no row."""
    conditions = [of_type(records), *_LISTED, *after_page(records, shape)]
    if shape.sort != "id":
        conditions += time_range(records, shape)
        if shape.viewer == "anonymous":  # there is an index of the public records
            conditions.append(visible_condition(records, shape.viewer))
    return conditions


def _scan(shape: Shape) -> FromClause:
    """The first ``rows`` rows in the order of the list, for ``_row_conditions``.

    The conditions are outside of it: a scan that also answered them for each row took a fifth longer.
    """
    c = records.c
    return (
        select(c.document, *(c[name] for name in _KEY), c.audience, c.facets, c.beneficiaries, c.search)
        .where(*_scan_conditions(shape))
        .order_by(*sort_order(records, shape))
        .limit(param("rows"))
        .subquery("scanned")
    )


def _row_conditions(scanned: FromClause, shape: Shape) -> list[Any]:
    """The other conditions: they are checked on each row of a scan."""
    conditions = [*index_filters(scanned, shape), _visible(scanned, shape)]
    if shape.sort == "id":
        conditions += time_range(scanned, shape)
    return conditions


def _more_to_scan(shape: Shape) -> Any:
    """True when the order has more than ``rows`` rows."""
    counted: Any = select(literal_column("1")).where(*_scan_conditions(shape)).limit(param("rows") + 1)
    total: Any = select(func.count()).select_from(counted.subquery("counted")).scalar_subquery()
    return total > param("rows")


def _not_understood(shape: Shape) -> Any:
    """The records of the type that are not understood and that the viewer may see, up to ``MAX_TOTAL``.

    Nothing is known of them that filters ask for. Mostly there are none: one look into an empty index.
    """
    marked = records.alias("marked")
    counted: Any = (
        select(literal_column("1"))
        .where(of_type(marked), marked.c.not_understood.is_not(None), _visible(marked, shape))
        .limit(literal_column(str(MAX_TOTAL)))
    )
    number: Any = select(func.count()).select_from(counted.subquery("counted_marks")).scalar_subquery()
    return number.label("not_understood")


@lru_cache(maxsize=512)
def page_by_order(shape: Shape) -> Statement:
    """The first ``one_more`` matches of a scan. ``cut`` is computed at the end of a list."""
    scanned = _scan(shape)
    matching = (
        select(*(scanned.c[name] for name in ("document", *_KEY)))
        .where(*_row_conditions(scanned, shape))
        .order_by(*sort_order(scanned, shape))
        .limit(param("one_more"))
    )
    page = bounded(matching, *shape.order, backwards=shape.descending).subquery("page")
    cut = case((page.c.followed, false()), else_=_more_to_scan(shape)).label("cut")
    state = select(literal_column("1")).subquery("state")  # one row, also where the page has none
    return Statement(
        select(cut, _not_understood(shape), *page.c)
        .prefix_with("/* page_by_order */")
        .select_from(state.outerjoin(page, true()))
        .order_by(*sort_order(page, shape))
    )


@lru_cache(maxsize=512)
def count_by_order(shape: Shape) -> Statement:
    """The number of matches of a scan, which ends after ``max_total`` + 1 of them."""
    scanned = _scan(shape)
    matching = (
        select(literal_column("1"))
        .select_from(scanned)
        .where(*_row_conditions(scanned, shape))
        .limit(param("max_total") + 1)
        .subquery("matching")
    )
    total = select(func.count().label("total")).select_from(matching).subquery("totals").c.total
    cut = case((total <= param("max_total"), _more_to_scan(shape)), else_=false())
    return Statement(select(total, cut.label("cut")).prefix_with("/* count_by_order */"))


@lru_cache(maxsize=512)
def page_by_index(shape: Shape) -> Statement:
    """The rows that the index finds, sorted, if they are not more than ``rows``; else ``cut`` and no page.

    ``total`` is the number of records in the whole list; with ``cut``, the number among the rows read. The
    search in the index is materialized, so that the planner cannot take another index for it. In the order of
    relevance ``ranked`` is false, and the order that of time, where more than ``max_ranked`` rows match.
    """
    c = records.c
    matches = and_(true(), *residual_filters(records, shape)).label("matches")
    words = [c.search] if shape.is_ranked else []
    facets = [c.facets] if shape.has_subject else []
    indexed = (
        select(_ROW_ADDRESS, *(c[name] for name in _KEY), *words, *facets, c.type, c.audience, matches)
        .where(*_LISTED, *index_filters(records, shape))
        .cte("indexed")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    read = select(indexed).limit(param("rows") + 1).cte("read")
    cut = select(func.count() > param("rows")).select_from(read).scalar_subquery()
    matching = (
        select(read)
        .where(
            read.c.matches,
            of_type(read),
            _visible(read, shape),
            *time_range(read, shape),
        )
        .cte("matching")
    )
    total = select(func.count()).select_from(matching).scalar_subquery()
    ranks, ranked = _ranks(read, matching) if shape.is_ranked else ([], [])
    sorted_rows = (
        select(matching.c.row_address, *(matching.c[name] for name in _KEY), *ranks)
        .where(~cut)
        .subquery("sorted_rows")
    )
    chosen = (
        select(sorted_rows)
        .where(*after_page(sorted_rows, shape))
        .order_by(*sort_order(sorted_rows, shape))
        .limit(param("one_more"))
        .subquery("chosen")
    )
    documents = (
        select(c.document, *(chosen.c[name] for name in (*_KEY, *(column.name for column in ranks))))
        .select_from(chosen.join(records, literal_column("records.ctid") == chosen.c.row_address))
        .order_by(*sort_order(chosen, shape))
    )
    page = bounded(documents, *shape.order, backwards=shape.descending).subquery("page")
    state = select(cut.label("cut"), total.label("total"), _not_understood(shape), *ranked).subquery("state")
    return Statement(
        select(*state.c, *page.c)
        .prefix_with("/* page_by_index */")
        .select_from(state.outerjoin(page, true()))
        .order_by(*sort_order(page, shape))
    )


def _ranks(read: FromClause, matching: FromClause) -> tuple[list[Any], list[Any]]:
    """The rank of each row, the same for all where they are not to be ranked; and the column ``ranked``.

    What the viewer may not see counts as well, as in a search that reads ``max_ranked`` rows at most.
    """
    counted: Any = (
        select(func.count()).select_from(read).where(read.c.matches, of_type(read)).scalar_subquery()
    )
    ranked = counted <= param("max_ranked", Integer)
    return [case((ranked, rank(matching)), else_=0).label("rank")], [ranked.label("ranked")]


@lru_cache(maxsize=512)
def count_by_index(shape: Shape) -> Statement:
    """The number of matches among ``rows`` rows of the index, which ends after ``max_total`` + 1 of them."""
    matches = and_(
        of_type(records),
        _visible(records, shape),
        *time_range(records, shape),
        *residual_filters(records, shape),
    )
    beyond = func.row_number().over() > param("rows")
    read = (
        select(matches.label("matches"), beyond.label("beyond"))
        .where(*_LISTED, *index_filters(records, shape))
        .limit(param("rows") + 1)
        .subquery("read")
    )
    counted = (
        select(read)
        .where(or_(read.c.matches, read.c.beyond))
        .limit(param("max_total") + 1)
        .subquery("counted")
    )
    total = func.count().filter(and_(counted.c.matches, ~counted.c.beyond)).label("total")
    cut = func.coalesce(func.bool_or(counted.c.beyond), false()).label("cut")
    return Statement(select(total, cut).prefix_with("/* count_by_index */").select_from(counted))
