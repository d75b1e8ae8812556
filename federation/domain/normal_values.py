"""Values of a writer in the form of the schema, where a writer may have another one for the same.

Date-times with any offset, in UTC; integers that were written as ``273.0`` or ``1e2``; schemes of URLs in
capital letters. What is not a value of its type stays as it is: the schema refuses it. The search goes by the
types and passes over members below which there is nothing of the kind.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from msgspec import inspect

from federation.domain.addresses import ADDRESS_PATTERNS, pattern_of, with_plain_scheme
from federation.domain.moments import MomentError, in_utc
from federation.domain.values import SAFE_INTEGER, Instant

INSTANT_PATTERN = pattern_of(Instant)
_IN_FORM = re.compile(INSTANT_PATTERN)
Change = Callable[[Any], Any]
"""Returns its argument where there is nothing to change."""


def normal_value(value: Any, shape: Any) -> Any:
    """The same value in the form of the schema. What belongs to the caller is not changed."""
    change = _changes_of(shape)
    return value if change is None else change(value)


@lru_cache(maxsize=256)
def _changes_of(shape: Any) -> Change | None:
    return _changes(inspect.type_info(shape))


def _changes(type_: inspect.Type) -> Change | None:
    """The changes to values of a type; None where there can be none."""
    match type_:
        case inspect.Metadata():
            return _changes(type_.type)
        case inspect.StrType() if type_.pattern == INSTANT_PATTERN:
            return _moment
        case inspect.StrType() if type_.pattern in ADDRESS_PATTERNS:
            return _address
        case inspect.IntType():
            return _integer
        case inspect.VarTupleType() | inspect.ListType() | inspect.SetType() | inspect.FrozenSetType():
            return _of_items(_changes(type_.item_type))
        case inspect.DictType():
            return _of_values(_changes(type_.value_type))
        case inspect.StructType():
            return _of_members({field.encode_name: _changes(field.type) for field in type_.fields})
        case inspect.UnionType():
            return _of_union(type_)
    return None


def _moment(value: Any) -> Any:
    if not isinstance(value, str) or _IN_FORM.search(value):
        return value
    try:
        return in_utc(value)
    except MomentError:
        return value


def _address(value: Any) -> Any:
    return with_plain_scheme(value) if isinstance(value, str) else value


def _integer(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) <= SAFE_INTEGER:
        return int(value)
    return value


def _of_items(change: Change | None) -> Change | None:
    if change is None:
        return None

    def change_items(value: Any) -> Any:
        return [change(item) for item in value] if isinstance(value, list | tuple) else value

    return change_items


def _of_values(change: Change | None) -> Change | None:
    if change is None:
        return None

    def change_values(value: Any) -> Any:
        return {name: change(item) for name, item in value.items()} if isinstance(value, dict) else value

    return change_values


def _of_members(changes: dict[str, Change | None]) -> Change | None:
    by_name = {name: change for name, change in changes.items() if change is not None}
    if not by_name:
        return None

    def change_members(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        changed = {name: change(value[name]) for name, change in by_name.items() if name in value}
        return {**value, **changed}

    return change_members


def _of_union(union: inspect.UnionType) -> Change | None:
    """Changes of the type that a value is of: by its tag among objects, and by its form among the others."""
    tagged = {
        type_.tag: change
        for type_ in union.types
        if isinstance(type_, inspect.StructType) and type_.tag is not None and (change := _changes(type_))
    }
    tag_field = next((t.tag_field for t in union.types if isinstance(t, inspect.StructType) and t.tag), None)
    untagged = [
        change
        for type_ in union.types
        if not (isinstance(type_, inspect.StructType) and type_.tag is not None)
        and (change := _changes(type_)) is not None
    ]
    if not tagged and not untagged:
        return None

    def change_one(value: Any) -> Any:
        if tagged and isinstance(value, dict):
            tag = value.get(tag_field)
            return tagged[tag](value) if isinstance(tag, str) and tag in tagged else value
        for change in untagged:
            value = change(value)
        return value

    return change_one
