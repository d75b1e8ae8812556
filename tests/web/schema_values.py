"""The values of an enumeration in the content of a record."""

from __future__ import annotations

from typing import Any

from msgspec import inspect


def values_at(content: Any, path: str) -> set[str]:
    """The values that a member can have, by the path of a form's field."""
    types: list[Any] = [inspect.type_info(content)]
    for name in path.split("."):
        types = [member for type_ in types for part in parts(type_) for member in members(part, name)]
    return {value for type_ in types for part in parts(type_) for value in values(part)}


def parts(type_: Any) -> list[Any]:
    if isinstance(type_, inspect.Metadata):
        return parts(type_.type)
    if isinstance(type_, inspect.UnionType):
        return [part for member in type_.types for part in parts(member)]
    if isinstance(type_, inspect.VarTupleType | inspect.ListType):
        return parts(type_.item_type)
    return [type_]


def members(type_: Any, name: str) -> list[Any]:
    if not isinstance(type_, inspect.StructType):
        return []
    if type_.tag_field == name:
        return [inspect.LiteralType((type_.tag,))]
    return [field.type for field in type_.fields if field.encode_name == name]


def values(type_: Any) -> tuple[Any, ...]:
    return type_.values if isinstance(type_, inspect.LiteralType) else ()
