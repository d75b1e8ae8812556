"""All faults of a value that does not keep a schema: msgspec reports the first one only.

The search walks the value by the types that msgspec has of the schema. A rule between members is checked as
far as the members that it reads are sound: :data:`UNSOUND` stands for those that are not, and breaks off the
rule that reads it. A search finds nothing exactly where msgspec converts the value; a test compares the two.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, get_origin

import msgspec
from msgspec import inspect

from federation.domain.addresses import ADDRESS_PATTERNS, address_problem, pattern_of
from federation.domain.canonical import canonical, check_text, escape_pointer
from federation.domain.errors import Invalid
from federation.domain.expected import expected_form
from federation.domain.faults import MAX_FAULTS, Fault, FaultCode
from federation.domain.json_forms import NULL, form_of, form_of_value
from federation.domain.messages import Message
from federation.domain.moments import MomentError, in_utc
from federation.domain.normal_values import INSTANT_PATTERN
from federation.domain.part import Part
from federation.domain.rule_broken import RuleBroken
from federation.domain.unsound import UNSOUND, sound
from federation.domain.values import Day, day, instant

MAX_VALUES = 5_000
"""Values and unknown members that a search looks at: some ten milliseconds. Faults behind are not found."""
MAX_QUOTED_CHARACTERS = 80
MAX_QUOTED_VALUES = 30
"""Allowed values that a message lists, at most; the fault has them all."""
_DAY_PATTERN = pattern_of(Day)


class _Enough(Exception):
    """So many values have been looked at."""


class FaultSearch:
    """A search, and the faults found so far. ``as_writer``: addresses are checked as those of a writer."""

    def __init__(self, *, as_writer: bool = False, max_values: int = MAX_VALUES) -> None:
        self.faults: list[Fault] = []
        self.more = 0
        self._as_writer = as_writer
        self._left = max_values

    def look(self, value: Any, shape: Any, at: str = "") -> Any:
        """The value as its type, with ``UNSOUND`` for what is at fault."""
        return self.look_by_type(value, _type_of(shape), at)

    def look_by_type(self, value: Any, type_: inspect.Type, at: str) -> Any:
        """The same by the type that msgspec has of a schema."""
        try:
            return self._look(value, type_, at)
        except _Enough:
            return UNSOUND

    def add(self, fault: Fault) -> None:
        """Note a fault; beyond ``MAX_FAULTS`` it is counted."""
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(fault)
        else:
            self.more += 1

    def refuse(
        self, at: str, code: FaultCode, template: str, *, allowed: Sequence[str] = (), **values: Any
    ) -> Any:
        """Note a fault; returns ``UNSOUND``."""
        self.add(Fault(pointer=at, code=code, message=Message(template, values), allowed=tuple(allowed)))
        return UNSOUND

    def _look(self, value: Any, type_: inspect.Type, at: str) -> Any:
        self._count_value()
        match type_:
            case inspect.Metadata():
                return self._look(value, type_.type, at)
            case inspect.StrType():
                return self._text(value, type_, at)
            case inspect.StructType():
                return self._object(value, type_, at)
            case inspect.UnionType():
                return self._union(value, type_, at)
            case inspect.LiteralType():
                return self._literal(value, type_, at)
            case inspect.VarTupleType() | inspect.ListType():
                return self._array(value, type_, at)
            case inspect.DictType():
                return self._dict(value, type_, at)
            case inspect.IntType():
                return self._integer(value, type_, at)
            case inspect.BoolType():
                return value if isinstance(value, bool) else self._wrong(value, (type_,), at)
            case inspect.NoneType():
                return value if value is None else self._wrong(value, (type_,), at)
            case inspect.AnyType() | inspect.RawType():
                return value
        raise NotImplementedError(f"no schema of a body has {type(type_).__name__}")

    def _count_value(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise _Enough

    def _wrong(self, value: Any, types: Sequence[inspect.Type], at: str) -> Any:
        expected = list(dict.fromkeys(form_of(type_) for type_ in types))
        if len(expected) > 1:
            expected = [form for form in expected if form != NULL]
        words = Message(expected[0])
        for form in expected[1:]:
            words = Message("{first} or {second}", {"first": words, "second": Message(form)})
        template = "expected {expected}, and this is {actual}"
        actual = Message(form_of_value(value))
        return self.refuse(at, "wrong-type", template, expected=words, actual=actual)

    def _text(self, value: Any, type_: inspect.StrType, at: str) -> Any:
        if not isinstance(value, str):
            return self._wrong(value, (type_,), at)
        if type_.min_length is not None and len(value) < type_.min_length:
            template = "expected a text of at least {minimum} characters"
            return self.refuse(at, "too-short", template, minimum=type_.min_length)
        if type_.max_length is not None and len(value) > type_.max_length:
            template = "expected a text of at most {maximum} characters, and this has {actual}"
            return self.refuse(at, "too-long", template, maximum=type_.max_length, actual=len(value))
        if self._as_writer:
            self._check_text(value, at)
        if type_.pattern is None:
            return value
        matches = re.search(type_.pattern, value) is not None
        if type_.pattern in (INSTANT_PATTERN, _DAY_PATTERN):
            return self._moment(value, type_.pattern, matches, at)
        if not matches:
            return self._mismatch(type_.pattern, value, at)
        if self._as_writer and type_.pattern in ADDRESS_PATTERNS and (problem := address_problem(value)):
            self.add(Fault(pointer=at, code="address", message=problem, rule=19))
        return value

    def _check_text(self, value: str, at: str) -> None:
        try:
            check_text(canonical(value))
        except Invalid as error:
            self.add(Fault(pointer=at, code="text", message=error.message, rule=20))

    def _mismatch(self, pattern: str, value: str, at: str) -> Any:
        if (message := expected_form(pattern, value)) is None:
            template = "expected a text that matches {pattern}"
            return self.refuse(at, "pattern", template, pattern=pattern)
        self.add(Fault(pointer=at, code="pattern", message=message))
        return UNSOUND

    def _moment(self, value: str, pattern: str, matches: bool, at: str) -> Any:
        try:
            if pattern == INSTANT_PATTERN:
                instant(value if matches else in_utc(value))
            elif matches:
                day(value)
            else:
                return self._mismatch(pattern, value, at)
        except MomentError as error:
            rule = 1 if error.code == "calendar" else None
            self.add(Fault(pointer=at, code=error.code, message=error.message, rule=rule))
            return UNSOUND
        except RuleBroken as error:
            self.add(Fault(pointer=at, code="calendar", message=error.message, rule=error.number))
            return UNSOUND
        return value

    def _integer(self, value: Any, type_: inspect.IntType, at: str) -> Any:
        if not isinstance(value, int) or isinstance(value, bool):
            return self._wrong(value, (type_,), at)
        least, most = type_.ge, type_.le
        if (least is not None and value < least) or (most is not None and value > most):
            if most is None:
                return self.refuse(at, "out-of-range", "expected a number from {minimum} on", minimum=least)
            template = "expected a number from {minimum} to {maximum}"
            return self.refuse(at, "out-of-range", template, minimum=least, maximum=most)
        return value

    def _literal(self, value: Any, type_: inspect.LiteralType, at: str) -> Any:
        if not isinstance(value, str):
            return self._wrong(value, (type_,), at)
        if value in type_.values:
            return value
        return self._not_allowed(value, [str(allowed) for allowed in type_.values], at)

    def _not_allowed(self, value: str, allowed: Sequence[str], at: str) -> Any:
        values = {"value": value[:MAX_QUOTED_CHARACTERS], "values": listed(allowed)}
        return self.refuse(at, "not-allowed", "{value} is not one of {values}", allowed=allowed, **values)

    def _array(self, value: Any, type_: inspect.VarTupleType | inspect.ListType, at: str) -> Any:
        if not isinstance(value, list | tuple):
            return self._wrong(value, (type_,), at)
        count = len(value)
        whole = self._count(count, type_.min_length, type_.max_length, at)
        last = count if type_.max_length is None else min(count, type_.max_length)
        items = tuple(
            self._look(item, type_.item_type, f"{at}/{index}") for index, item in enumerate(value[:last])
        )
        return items if whole and not any(item is UNSOUND for item in items) else UNSOUND

    def _count(self, count: int, least: int | None, most: int | None, at: str) -> bool:
        if least is not None and count < least:
            template = "expected at least {minimum} of these, and there are {actual}"
            self.refuse(at, "too-few", template, minimum=least, actual=count)
            return False
        if most is not None and count > most:
            template = "expected at most {maximum} of these, and there are {actual}"
            self.refuse(at, "too-many", template, maximum=most, actual=count)
            return False
        return True

    def _dict(self, value: Any, type_: inspect.DictType, at: str) -> Any:
        if not isinstance(value, dict):
            return self._wrong(value, (type_,), at)
        whole = self._count(len(value), type_.min_length, type_.max_length, at)
        looked_at: dict[str, Any] = {}
        for number, (name, item) in enumerate(value.items()):
            if type_.max_length is not None and number == type_.max_length:
                break
            pointer = f"{at}/{escape_pointer(name)}"
            whole = self._look(name, type_.key_type, pointer) is not UNSOUND and whole
            looked_at[name] = self._look(item, type_.value_type, pointer)
            whole = looked_at[name] is not UNSOUND and whole
        return looked_at if whole else UNSOUND

    def _union(self, value: Any, union: inspect.UnionType, at: str) -> Any:
        types = [type_.type if isinstance(type_, inspect.Metadata) else type_ for type_ in union.types]
        of_form = [type_ for type_ in types if form_of(type_) == form_of_value(value)]
        structs = [type_ for type_ in of_form if isinstance(type_, inspect.StructType) and type_.tag_field]
        if structs and structs[0].tag_field is not None:
            return self._tagged(value, structs[0].tag_field, structs, at)
        if of_form:
            return self._look(value, of_form[0], at)
        return self._wrong(value, types, at)

    def _tagged(self, value: Any, tag_field: str, structs: list[inspect.StructType], at: str) -> Any:
        pointer = f"{at}/{escape_pointer(tag_field)}"
        tags = [str(struct.tag) for struct in structs]
        if tag_field not in value:
            return self.refuse(pointer, "missing", "{name} is missing", name=tag_field, allowed=tags)
        tag = value[tag_field]
        if not isinstance(tag, str):
            return self._wrong(tag, (inspect.StrType(),), pointer)
        if tag not in tags:
            return self._not_allowed(tag, tags, pointer)
        return self._object(value, structs[tags.index(tag)], at)

    def _object(self, value: Any, type_: inspect.StructType, at: str) -> Any:
        if not isinstance(value, dict):
            return self._wrong(value, (type_,), at)
        names = {field.encode_name for field in type_.fields}
        for name in value:
            if name not in names and name != type_.tag_field:
                self._count_value()
                self._unknown_member(name, sorted(names), f"{at}/{escape_pointer(name)}")
        if type_.tag_field in value and value[type_.tag_field] != type_.tag:
            self._not_allowed(str(value[type_.tag_field]), [str(type_.tag)], f"{at}/{type_.tag_field}")
        members: dict[str, Any] = {}
        for field in type_.fields:
            pointer = f"{at}/{escape_pointer(field.encode_name)}"
            if field.encode_name in value:
                members[field.name] = self._look(value[field.encode_name], field.type, pointer)
            elif field.required:
                members[field.name] = UNSOUND
                self.refuse(pointer, "missing", "{name} is missing", name=field.encode_name)
        made = _unchecked(type_.cls)(**members)
        if isinstance(made, Part):
            for rule in made.rules():
                for broken in sound(rule):
                    pointer, number = f"{at}{broken.pointer}", broken.number
                    self.add(Fault(pointer=pointer, code="rule", message=broken.message, rule=number))
        return made

    def _unknown_member(self, name: str, members: Sequence[str], at: str) -> None:
        values = {"name": name[:MAX_QUOTED_CHARACTERS], "members": ", ".join(members)}
        template = "{name} is not a member here; {members} are"
        self.refuse(at, "unknown-member", template, allowed=members, **values)


def listed(values: Sequence[str]) -> str:
    """Values for a message."""
    return ", ".join(values[:MAX_QUOTED_VALUES]) + (" …" if len(values) > MAX_QUOTED_VALUES else "")


@lru_cache(maxsize=256)
def _type_of(shape: Any) -> inspect.Type:
    return inspect.type_info(shape)


@lru_cache(maxsize=256)
def _unchecked(struct: Any) -> Any:
    """The same structure, made without checking its rules."""
    base = get_origin(struct) or struct
    namespace = {"__post_init__": lambda self: None}
    return msgspec.defstruct(base.__name__, [], bases=(base,), namespace=namespace)
