"""The predicate ``may_see`` in SQL.

The one twin of ``domain.visibility.may_see``: same words, same order. Readers of records take
``visible_to=`` as a required keyword and add this to what they ask.
"""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import ColumnElement, FromClause, Text, and_, literal_column, or_, true
from sqlalchemy.dialects.postgresql import ARRAY

from federation.domain.visibility import FEDERATION, PUBLIC, Caller
from federation.store.statements import param

Eyes = Literal["own", "peer", "anonymous"]
"""The three shapes of the predicate; each statement is compiled once for each."""


def eyes(caller: Caller) -> Eyes:
    if caller.own:
        return "own"
    return "anonymous" if caller.operator is None else "peer"


def visible_condition(table: FromClause, through: Eyes) -> ColumnElement[bool]:
    """Whether rows of a table with ``origin`` and ``audience`` may be seen."""
    columns = table.c
    match through:
        case "own":
            return true()
        case "anonymous":
            # Written out, so that the planner knows the partial index of public records holds them all.
            return columns.audience == literal_column(f"'{PUBLIC}'")
        case "peer":
            return or_(
                columns.audience.in_([PUBLIC, FEDERATION]),
                and_(
                    columns.origin == param("seen_node", Text),
                    columns.audience == param("seen_groups", ARRAY(Text)).any_(),
                ),
            )


def arguments(caller: Caller) -> dict[str, Any]:
    """The parameters of :func:`seen` for this caller."""
    if eyes(caller) == "peer":
        return {"seen_node": caller.node, "seen_groups": sorted(caller.groups)}
    return {}
