"""The predicate ``may_see`` in SQL.

The only twin of ``domain.visibility.may_see``: the words and their order are equal. Readers of records take
``visible_to=`` as a required keyword and add this condition to their statements.
"""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Text,
    and_,
    exists,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY

from federation.domain.visibility import FEDERATION, PUBLIC, Caller
from federation.store.statements import param
from federation.store.tables import records

Viewer = Literal["own", "person", "peer", "excluded", "anonymous"]
"""The five shapes of the predicate; each statement is compiled once for each. ``person``: a person whose
ceiling is below RED. ``excluded``: a peer that some origin excludes. Most peers are not, and their statements
have no condition for it."""


def viewer_of(caller: Caller) -> Viewer:
    if caller.sees_all:
        return "own"
    if caller.own:
        return "person"
    if caller.operator is None:
        return "anonymous"
    return "excluded" if caller.excluded_by else "peer"


def visible_condition(table: FromClause, viewer: Viewer) -> ColumnElement[bool]:
    """The condition under which a viewer may see rows of a table with ``origin`` and ``audience``."""
    columns = table.c
    match viewer:
        case "own":
            return true()
        case "anonymous":
            # Written out, so that the planner knows the partial index of public records holds them all.
            return columns.audience == literal_column(f"'{PUBLIC}'")
        case "person":
            return or_(
                columns.audience.in_([PUBLIC, FEDERATION]),
                columns.origin.concat("/").concat(columns.audience)
                == param("viewer_audiences", ARRAY(Text)).any_(),
            )
        case "peer":
            return or_(
                columns.audience.in_([PUBLIC, FEDERATION]),
                and_(
                    columns.origin == param("viewer_node", Text),
                    columns.audience == param("viewer_groups", ARRAY(Text)).any_(),
                ),
            )
        case "excluded":
            return or_(
                columns.audience == literal_column(f"'{PUBLIC}'"),
                and_(
                    columns.audience == literal_column(f"'{FEDERATION}'"),
                    not_(columns.origin == param("viewer_excluded_by", ARRAY(Text)).any_()),
                ),
                and_(
                    columns.origin == param("viewer_node", Text),
                    columns.audience == param("viewer_groups", ARRAY(Text)).any_(),
                ),
            )


_NAMED_TYPE, _NAMED_ID = "contribution.about_type=", "contribution.about="


def subject_condition(table: FromClause, viewer: Viewer) -> ColumnElement[bool]:
    """The condition under which a viewer may see the subjects of contributions: the same predicate again.

    ``table`` has the ``facets`` of live contributions. A subject that is not stored here is seen by nobody
    but the operator itself; nor is one that is a contribution, of which a second look would be needed.
    """
    if viewer == "own":
        return true()
    subject = records.alias("subject")
    type_, id_ = _named(table, _NAMED_TYPE), _named(table, _NAMED_ID)
    return exists(
        select(literal_column("1"))
        .where(
            subject.c.type == type_,
            subject.c.type != literal_column("'contribution'"),
            subject.c.origin == func.split_part(id_, "/", literal_column("1")),
            subject.c.key == func.split_part(id_, "/", literal_column("2")),
            visible_condition(subject, viewer),
        )
        .correlate(table)
    )


def _named(table: FromClause, prefix: str) -> Any:
    """The value of the facet of a row that begins so."""
    facet: Any = func.unnest(table.c.facets).column_valued("facet")
    start: Any = literal_column(f"'{prefix}'")
    value = func.substr(facet, literal_column(str(len(prefix) + 1)), type_=Text)
    named = select(value).where(func.starts_with(facet, start)).limit(literal_column("1"))
    return named.correlate(table).scalar_subquery()


def arguments(caller: Caller) -> dict[str, Any]:
    """The parameters of :func:`visible_condition` for this caller."""
    viewer = viewer_of(caller)
    if viewer in ("own", "anonymous"):
        return {}
    if viewer == "person":
        return {"viewer_audiences": sorted(caller.ceiling.groups if caller.ceiling is not None else ())}
    arguments: dict[str, Any] = {"viewer_node": caller.node, "viewer_groups": sorted(caller.groups)}
    if viewer == "excluded":
        arguments["viewer_excluded_by"] = sorted(caller.excluded_by)
    return arguments
