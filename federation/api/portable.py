"""From the JSON Schemas that msgspec makes to schemas that every validator and every generator reads alike.

One pass from the leaves to the root, :func:`reform`:

1. A pattern loses what only Python needs, so that ECMA-262 (flag ``u``) and RE2 compile it. In the OpenAPI
   document a date has its ``format`` alone: clients write any offset.
2. A member that may be absent is never null, and has no ``default``: generators would require it, or send it.
   What its absence means in a body is in its description.
3. Alternatives exclude each other (msgspec takes one of each JSON type, or tagged ones): ``oneOf``.
4. An enumeration of one value is a ``const``. In answers other enumerations are open (``x-extensible-enum``):
   a later version adds values, and a client made today must read them.
5. A schema that has a name becomes a reference to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

Schema = dict[str, Any]
Use = Literal["document", "answer", "body"]
"""The file of a record type; the OpenAPI document for what is read; and for what is sent."""

MAPS = ("properties", "$defs", "dependentSchemas")
LISTS = ("anyOf", "oneOf", "allOf")
SINGLE = ("items", "additionalProperties", "propertyNames", "not", "if", "then", "else")
"""The keywords that have schemas in them: by name, in a list, and one."""

OPEN = "x-extensible-enum"
_PYTHON_END = r"(?!\n)"
_NULL = {"type": "null"}
_DATES = ("date-time", "date")
_KEPT_CLOSED = ({"CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED"}, {"upsert", "delete", "withdraw"})
"""Enumerations that no version of the protocol adds to: TLP 2.0, and the operations of an entry."""


def refer(schema: Any, use: Use, names: Mapping[bytes, str]) -> Any:
    """The portable form of a schema, or a reference to it."""
    return reform({"items": schema}, use, names)["items"]


def reform(schema: Schema, use: Use, names: Mapping[bytes, str] | None = None) -> Schema:
    """The portable form of a schema. ``names``: references, by the :func:`fingerprint` of what is named."""

    def change(inner: Schema) -> Schema:
        changed = _node(inner, use)
        reference = (names or {}).get(fingerprint(changed))
        return {"$ref": reference} if reference is not None else changed

    # (The schema itself has no reference in its place: it is what the name stands for.)
    return _node(_children(schema, lambda inner: walk(inner, change)), use)


def walk(schema: Any, change: Callable[[Schema], Schema]) -> Any:
    """A schema in which each one inside it, and then itself, has been changed."""
    if not isinstance(schema, dict):
        return schema
    return change(_children(schema, lambda inner: walk(inner, change)))


def _children(schema: Schema, change: Callable[[Any], Any]) -> Schema:
    changed = dict(schema)
    for keyword in MAPS:
        if keyword in changed:
            changed[keyword] = {name: change(inner) for name, inner in changed[keyword].items()}
    for keyword in LISTS:
        if keyword in changed:
            changed[keyword] = [change(inner) for inner in changed[keyword]]
    for keyword in SINGLE:
        if keyword in changed:
            changed[keyword] = change(changed[keyword])
    return changed


def fingerprint(schema: Schema) -> bytes:
    """Equal for schemas that say the same."""
    values = {"enum": sorted(schema["enum"], key=str)} if "enum" in schema else {}
    return msgspec.json.encode({**schema, **values}, order="sorted")


def portable_pattern(pattern: str) -> str:
    """A pattern as it is published: ``$`` is the end of a text in ECMA-262 and RE2, and Python needs more."""
    return pattern.replace(_PYTHON_END, "")


def nullable(schema: Schema) -> Schema:
    """The same schema, or null."""
    if isinstance(schema.get("type"), str) and not schema.keys() & {"enum", "const"}:
        return {**schema, "type": [schema["type"], "null"]}
    if "oneOf" in schema and "discriminator" not in schema:
        return {**schema, "oneOf": [*schema["oneOf"], _NULL]}
    return {"oneOf": [schema, _NULL]}


def without_null(schema: Schema) -> Schema:
    """The same schema, less null."""
    if isinstance(schema.get("type"), list):
        (type_,) = (type_ for type_ in schema["type"] if type_ != "null")
        return {**schema, "type": type_}
    if _NULL not in schema.get("oneOf", ()):
        return schema
    branches = [branch for branch in schema["oneOf"] if branch != _NULL]
    rest = {name: value for name, value in schema.items() if name != "oneOf"}
    return {**branches[0], **rest} if len(branches) == 1 else {**rest, "oneOf": branches}


def all_required(schema: Schema) -> Schema:
    """An object whose members are all written, whatever their values."""
    return {**schema, "required": list(schema["properties"])} if schema.get("properties") else schema


def _node(schema: Schema, use: Use) -> Schema:
    unused = {"title", "discriminator"} if use == "document" else {"title"}  # OpenAPI alone has the second
    schema = {name: value for name, value in schema.items() if name not in unused}
    if "pattern" in schema:
        schema["pattern"] = portable_pattern(schema["pattern"])
        if use != "document" and schema.get("format") in _DATES:
            del schema["pattern"]
    if "anyOf" in schema:
        schema["oneOf"] = schema.pop("anyOf")
        if _NULL in schema["oneOf"]:
            default = {"default": schema.pop("default")} if "default" in schema else {}
            schema = {**nullable(without_null(schema)), **default}
    if "properties" in schema:
        return _object(schema, use)
    return _values(schema, use)


def _values(schema: Schema, use: Use) -> Schema:
    """A schema of certain values: with their type, closed or open."""
    values = schema.pop("enum", None)
    if values is None:
        if "const" in schema and "type" not in schema:
            schema["type"] = _type(schema["const"])
        return schema
    if len(values) == 1:
        return {**schema, "type": _type(values[0]), "const": values[0]}
    is_closed = use != "answer" or set(values) in _KEPT_CLOSED
    return {**schema, "type": _type(values[0]), "enum" if is_closed else OPEN: values}


def _type(value: Any) -> str:
    return "boolean" if isinstance(value, bool) else "integer" if isinstance(value, int) else "string"


def _object(schema: Schema, use: Use) -> Schema:
    required = schema.get("required", [])
    properties = {}
    for name, inner in schema["properties"].items():
        if name not in required and isinstance(inner, dict):
            inner = without_null(inner)
        if isinstance(inner, dict) and "default" in inner:
            default = inner.pop("default")
            if use == "body" and not _is_nothing(default) and "$ref" not in inner:
                words = f"{inner.get('description', '')} Absent: {msgspec.json.encode(default).decode()}."
                inner["description"] = words.strip()
        properties[name] = inner
    changed = {**schema, "properties": properties}
    if not required:
        changed.pop("required", None)
    return changed


def _is_nothing(default: Any) -> bool:
    return default is None or default in ((), [], {})
