"""The predicate ``may_see`` in SQL.

The only twin of ``domain.visibility.may_see``: the words and their order are equal. Readers of records take
``visible_to=`` as a required keyword and add this condition to their statements.
"""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import ColumnElement, FromClause, Text, and_, literal_column, not_, or_, true
from sqlalchemy.dialects.postgresql import ARRAY

from federation.domain.visibility import FEDERATION, PUBLIC, Caller
from federation.store.statements import param

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
