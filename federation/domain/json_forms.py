"""The forms of JSON values, in words: of a type of the schema, and of a value that was sent."""

from __future__ import annotations

from typing import Any

from msgspec import inspect

OBJECT, ARRAY, TEXT = "an object", "an array", "a text"
INTEGER, NUMBER, BOOLEAN, NULL = "an integer", "a number", "true or false", "null"
"""Templates of messages (``domain/messages.py``)."""


def form_of(type_: inspect.Type) -> str:
    match type_:
        case inspect.Metadata():
            return form_of(type_.type)
        case inspect.StructType() | inspect.DictType():
            return OBJECT
        case inspect.VarTupleType() | inspect.ListType():
            return ARRAY
        case inspect.IntType():
            return INTEGER
        case inspect.BoolType():
            return BOOLEAN
        case inspect.NoneType():
            return NULL
    return TEXT


def form_of_value(value: Any) -> str:
    match value:
        case bool():
            return BOOLEAN
        case dict():
            return OBJECT
        case list() | tuple():
            return ARRAY
        case int():
            return INTEGER
        case float():
            return NUMBER
        case None:
            return NULL
    return TEXT
