"""The record types this version knows. A type that is not here is kept and served, not understood."""

from __future__ import annotations

from typing import Any

from federation.domain.content.consultation import Consultation
from federation.domain.content.contribution import Contribution
from federation.domain.content.deployment import Deployment
from federation.domain.content.group import Group
from federation.domain.content.incident import Incident
from federation.domain.content.meeting import Meeting
from federation.domain.content.membership import Membership
from federation.domain.content.offer import Offer
from federation.domain.content.operator import Operator
from federation.domain.content.participation import Participation
from federation.domain.content.practice import Practice
from federation.domain.content.purchase import Purchase
from federation.domain.content.solution import Solution
from federation.domain.content.statement import Statement
from federation.domain.record_content import Content

TYPES: dict[str, type[Content]] = {
    content.type: content
    for content in (
        Solution,
        Deployment,
        Incident,
        Statement,
        Operator,
        Group,
        Membership,
        Offer,
        Practice,
        Meeting,
        Contribution,
        Purchase,
        Consultation,
        Participation,
    )
}


def known_type(type_name: str) -> Any:
    """The content class of a type, or None. (``Any``: it is used as a type argument.)"""
    return TYPES.get(type_name)
