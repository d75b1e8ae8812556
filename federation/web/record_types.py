"""The types of records that have a form, with its fields."""

from __future__ import annotations

from federation.domain.registry import TYPES
from federation.web import exchange_fields, record_fields
from federation.web.fields import Field

_FIELDS: dict[str, tuple[Field, ...]] = {
    "incident": record_fields.INCIDENT,
    "deployment": record_fields.DEPLOYMENT,
    "solution": record_fields.SOLUTION,
    "offer": exchange_fields.OFFER,
    "practice": exchange_fields.PRACTICE,
    "meeting": exchange_fields.MEETING,
    "purchase": exchange_fields.PURCHASE,
    "consultation": exchange_fields.CONSULTATION,
    "participation": exchange_fields.PARTICIPATION,
    "operator": record_fields.OPERATOR,
    "group": record_fields.GROUP,
}
FIELDS = {kind: fields for kind, fields in _FIELDS.items() if kind in TYPES}
"""The fields by type, in the order of the page that offers them."""
