"""Faults of documents in words of the schema, without a value of the document: logs may have them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import inspect

from federation.domain.document import Document, Sealed
from federation.domain.draft import to_invalid
from federation.domain.errors import Invalid
from federation.domain.record_content import Content
from federation.domain.rule_broken import RuleBroken

# What msgspec says before it quotes a value or a pattern.
_UNQUOTED = re.compile(
    r"Expected `[a-z |]+`(?:, got `[a-z]+`| matching regex| (?:of length )?[<>=]+ [0-9]+)?"
    r"|Object missing required field `[a-z_0-9]+`|Invalid (?:enum )?value"
)


def without_values(error: msgspec.ValidationError) -> Invalid:
    """Return the same error without the values it quotes."""
    if isinstance(error.__cause__, RuleBroken):
        detail = error.__cause__.without_values
    else:
        unquoted = _UNQUOTED.match(str(error))
        detail = unquoted.group() if unquoted else "it does not keep the schema"
    return Invalid(detail, pointer=to_invalid(error).pointer)


def pointing_into_schema(error: Invalid, kind: type[Content] | None) -> Invalid:
    """The error with its pointer as far as the schema names the members; beyond, names are the document's."""
    types = document_types(kind)
    shown = ""
    for step in (error.pointer or "").split("/")[1:]:
        types = [inner for type_ in types for inner in _member_types(type_, step)]
        if not types:
            return Invalid(error.detail, pointer=f"{shown}/…")
        shown += f"/{step}"
    return Invalid(error.detail, pointer=shown)


def document_types(kind: type[Content] | None) -> list[inspect.Type]:
    """The types of a document of this kind, or of one whose kind is not known."""
    shape: Any = Document
    return _flat(_shape(shape[kind] if kind else Sealed))


@lru_cache
def _shape(type_: Any) -> inspect.Type:
    return inspect.type_info(type_)


def _flat(type_: inspect.Type) -> list[inspect.Type]:
    """The types that a value may be of."""
    if isinstance(type_, inspect.Metadata):
        return _flat(type_.type)
    if isinstance(type_, inspect.UnionType):
        return [inner for union in type_.types for inner in _flat(union)]
    return [type_]


def _member_types(type_: inspect.Type, step: str) -> list[inspect.Type]:
    """The types of a member or an item; nothing where the schema has no such member."""
    if isinstance(type_, inspect.StructType):
        if step == type_.tag_field:
            return [inspect.AnyType()]
        return [inner for field in type_.fields if field.encode_name == step for inner in _flat(field.type)]
    if isinstance(type_, inspect.VarTupleType) and step.isdecimal():
        return _flat(type_.item_type)
    return []


def null_member(value: Any, types: list[inspect.Type], at: str = "") -> str | None:
    """The pointer of a member that the schema knows and that is null: the decoder takes it for absent."""
    if isinstance(value, dict):
        members: Iterable[tuple[str, Any]] = value.items()
    elif isinstance(value, list):
        members = ((str(n), item) for n, item in enumerate(value))
    else:
        return None
    for step, member in members:
        inner = [type_ for outer in types for type_ in _member_types(outer, step)]
        if inner and member is None:
            return f"{at}/{step}"
        if inner and (pointer := null_member(member, inner, f"{at}/{step}")):
            return pointer
    return None
