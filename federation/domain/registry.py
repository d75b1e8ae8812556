"""The record types this version knows. A type that is not here is kept and served, not understood."""

from __future__ import annotations

from typing import Any

from federation.domain.content.deployment import Deployment
from federation.domain.content.group import Group
from federation.domain.content.incident import Incident
from federation.domain.content.membership import Membership
from federation.domain.content.operator import Operator
from federation.domain.content.solution import Solution
from federation.domain.content.statement import Statement
from federation.domain.values import Content

TYPES: dict[str, type[Content]] = {
    content.type: content
    for content in (Solution, Deployment, Incident, Statement, Operator, Group, Membership)
}


def known_type(type_name: str) -> Any:
    """The content class of a type, or None. (``Any``: it is used as a type argument.)"""
    return TYPES.get(type_name)
