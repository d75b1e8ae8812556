"""Rules between members that JSON Schema can say, beside the schema of the struct that checks them.

They are written in keywords that generators of clients pass over (``if``, ``dependentSchemas``) and
validators do not: ``allOf`` and ``anyOf`` in their place would make a generator split the object.
Rules that JSON Schema cannot say are numbered in ``domain/rules.py``.
"""

from __future__ import annotations

from typing import Any

from federation.api.portable import portable_pattern
from federation.domain.content.consultation import AFTER_AWARD
from federation.domain.content.contribution import CONTRIBUTION_LABELS, WITHOUT_TEXT
from federation.domain.content.group import RESERVED
from federation.domain.content.incident import STATUSES
from federation.domain.content.purchase import CENTRAL
from federation.domain.registry import TYPES
from federation.domain.values import GROUP_PATTERN

Condition = dict[str, Any]


def _needs(*names: str) -> Condition:
    """An object with these members. (A linter wants them among the properties of the same schema.)"""
    return {"required": list(names), "properties": {name: {} for name in names}}


_AMBER = {"properties": {"tlp": {"enum": ["AMBER", "AMBER+STRICT"]}}, "required": ["tlp"]}
_WITH_AUDIENCE = {"required": ["audience"], "properties": {"audience": {"not": {"enum": sorted(RESERVED)}}}}
_WITHOUT_AUDIENCE = {"not": _needs("audience")}
_GROUP_KEY = {"type": "string", "pattern": portable_pattern(GROUP_PATTERN), "not": {"enum": sorted(RESERVED)}}


def _for_label(amber: Condition) -> Condition:
    """An audience with AMBER and AMBER+STRICT, and only with them."""
    return {"if": amber, "then": _WITH_AUDIENCE, "else": _WITHOUT_AUDIENCE}


def _labels(type_name: str) -> Condition:
    """The same for a draft, which may leave the label to its type."""
    if type_name == "incident":
        # (An incident of the kind `security` is AMBER when its writer names no label.)
        security = {"properties": {"kind": {"const": "security"}}, "required": ["kind"]}
        unlabelled = {
            "not": _needs("tlp"),
            "properties": {"content": security},
            "required": ["content"],
        }
        return _for_label({"anyOf": [_AMBER, unlabelled]})
    return _for_label(_AMBER)


def _of_kind(kind: str) -> Condition:
    return {"properties": {"kind": {"const": kind}}, "required": ["kind"]}


def _incident() -> Condition:
    """The statuses of each kind, and the times that a kind needs."""
    statuses = [
        {"if": _of_kind(kind), "then": {"properties": {"status": {"enum": list(allowed)}}}}
        for kind, allowed in STATUSES.items()
    ]
    times = {
        "if": _of_kind("maintenance"),
        "then": _needs("scheduled_for"),
        "else": {"anyOf": [_needs("started_at"), _needs("detected_at")]},
    }
    # `kind` is always there: it only keeps `allOf` out of sight of generators.
    return {"dependentSchemas": {"kind": {"allOf": [*statuses, times]}}}


def _exactly_where(member: str, name: str, value: str) -> Condition:
    """A member that is there where another one has this value, and nowhere else."""
    return {
        "if": {"properties": {name: {"const": value}}, "required": [name]},
        "then": _needs(member),
        "else": {"not": _needs(member)},
    }


def _contribution() -> Condition:
    """The members that a contribution needs by its kind."""
    without_text = {"properties": {"kind": {"enum": list(WITHOUT_TEXT)}}, "required": ["kind"]}
    text = {"if": without_text, "else": _needs("text")}
    # (`kind` is always there, as with incidents.)
    return {
        "dependentSchemas": {"kind": {"allOf": [{"if": _of_kind("task-done"), "then": _needs("task")}, text]}}
    }


def _either(first: str, second: Condition) -> Condition:
    """What holds where a member is absent."""
    return {"if": {"not": _needs(first)}, "then": second}


def _drafts() -> dict[str, Condition]:
    conditions: dict[str, Condition] = {}
    for kind in TYPES.values():
        for shape in ("Draft", "KeyedDraft"):
            condition = _labels(kind.type)
            if kind.type == "group":
                only_red = {"tlp": {"const": "RED"}, **({"key": _GROUP_KEY} if shape == "KeyedDraft" else {})}
                condition = {"dependentSchemas": {"content": {"properties": only_red, **_WITHOUT_AUDIENCE}}}
            if kind.type == "contribution":
                labels = {"tlp": {"enum": list(CONTRIBUTION_LABELS)}}
                condition = {"dependentSchemas": {"content": {"properties": labels, **_WITHOUT_AUDIENCE}}}
            conditions[f"{shape}_{kind.__name__}_"] = condition
        document = _for_label(_AMBER)
        if kind.type == "group":
            of_group = {"tlp": {"const": "RED"}, "key": _GROUP_KEY}
            document = {"dependentSchemas": {"key": {"properties": of_group, **_WITHOUT_AUDIENCE}}}
        conditions[f"Document_{kind.__name__}_"] = document
    return conditions


CONDITIONS: dict[str, Condition] = {
    **_drafts(),
    "Incident": _incident(),
    "Affected": _either(
        "solution",
        {
            "required": ["deployments"],
            "properties": {"deployments": {"type": "array", "items": {}, "minItems": 1}},
        },
    ),
    "Package": _either("purl", _needs("cpe")),
    "Deployment": {
        "if": {"properties": {"version_state": {"const": "exact"}}, "required": ["version_state"]},
        "then": _needs("version"),
    },
    "Statement": {
        "if": {"properties": {"status": {"const": "known_not_affected"}}, "required": ["status"]},
        "then": _needs("justification"),
        "else": {"not": _needs("justification")},
    },
    "Requirement": _either(
        "text",
        {"required": ["offers"], "properties": {"offers": {"type": "array", "items": {}, "minItems": 1}}},
    ),
    "Offer": _exactly_where("tariff", "pricing", "tariff"),
    "Contribution": _contribution(),
    "Purchase": _exactly_where("mode", "kind", CENTRAL),
    "Consultation": {
        "if": _needs("contract"),
        "then": {"properties": {"status": {"enum": list(AFTER_AWARD)}}},
    },
    "NewSubscription": {
        "if": _needs("webhook"),
        "then": {"not": _needs("email")},
        "else": _needs("email"),
    },
}
"""Keywords by the name that msgspec gives the struct."""
