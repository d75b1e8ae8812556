"""Drafts: the part of a document that its writer may set, read strictly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Generic

import msgspec

from federation.domain.addresses import address_problem, addresses_in, with_plain_scheme
from federation.domain.canonical import canonical, decode_json, escape_pointer
from federation.domain.document import SERVER_OWNED, C, SameAs
from federation.domain.errors import Invalid
from federation.domain.expected import in_words
from federation.domain.values import (
    Group,
    Key,
    Part,
)
from federation.domain.visibility import Tlp, audience_of

MAX_PLAIN_SCHEMES = 10
"""Addresses of one draft whose scheme is written in small letters, at most: each is decoded once more."""


class Draft(Part, Generic[C], frozen=True, kw_only=True):
    """The content, and the envelope fields that its writer may set."""

    content: C
    tlp: Tlp | None = None
    audience: Group | None = None
    same_as: SameAs = ()


class KeyedDraft(Draft[C], Generic[C], frozen=True, kw_only=True):
    """A line of a bulk upload: a draft and the key it is for."""

    key: Key


def read_draft(body: bytes, shape: Any) -> Any:
    """Decode what one's own IT system sent, strictly.

    ``shape`` is a ``Draft[...]`` or another struct of the schema. Unknown members, duplicate members,
    members that the node owns, wrong types and rules broken are each refused with a pointer.
    """
    draft = _decode_if_complete(body, shape)
    if draft is not None:
        return _check_rules(draft)
    value = decode_json(body)
    if not isinstance(value, dict):
        raise Invalid("the body must be a JSON object")
    return check_draft(value, shape)


def _decode_if_complete(body: bytes, shape: Any) -> Any:
    """The draft, where a quick look shows that every member of the body is in it once; else None.

    What it says is what the body says, member by member, and what the body says is as long as the body
    without white space: so nothing is unknown, there twice, nested too deep or owned by the node. Bodies
    that say a default, or a number or a letter in another way than we write it, are looked at slowly: the
    one place where errors are told is :func:`check_draft`.
    """
    if getattr(shape, "__origin__", None) not in (Draft, KeyedDraft):
        return None
    try:
        draft = decoder_of(shape).decode(body)
        encoded = msgspec.json.encode(msgspec.json.decode(body), order="sorted")
        if canonical(draft) == encoded and len(msgspec.json.format(body, indent=-1)) == len(encoded):
            return draft
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass
    return None


@lru_cache
def decoder_of(shape: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(shape)


def check_draft(value: dict[str, Any], shape: Any) -> Any:
    """The struct that plain values stand for; strict as :func:`read_draft`."""
    is_draft = getattr(shape, "__origin__", shape) in (Draft, KeyedDraft)
    if is_draft:
        for name in SERVER_OWNED:
            if name in value and not (name == "key" and shape.__origin__ is KeyedDraft):
                raise Invalid(f"{name} is set by the node; leave it out", pointer=f"/{name}")
    draft = _convert(value, shape)
    for pointer, name, allowed in unknown_members(value, draft):
        known_here = ", ".join(sorted(allowed))
        raise Invalid(f"{name} is not a member here; {known_here} are", pointer=pointer)
    return _check_rules(draft) if is_draft else draft


def _convert(value: Any, shape: Any, attempts: int = MAX_PLAIN_SCHEMES) -> Any:
    """The struct that plain values stand for. Raises Invalid.

    The schema has no schemes in capital letters: such addresses are first written in small ones.
    """
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        refusal = to_invalid(error, value)
        pointer = refusal.pointer or ""
        text = _at(value, pointer)
        plain = with_plain_scheme(text) if isinstance(text, str) and attempts else text
        if plain == text or "matching regex" not in str(error):
            raise refusal from None
    return _convert(_replace(value, _steps(pointer), plain), shape, attempts - 1)


def _steps(pointer: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _at(value: Any, pointer: str) -> Any:
    """The member that a pointer names; None where there is none."""
    for step in _steps(pointer):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list | tuple) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _replace(value: Any, steps: list[str], new: str) -> Any:
    """The same values with one member changed; those of the caller stay as they are."""
    if not steps:
        return new
    if isinstance(value, dict):
        return {**value, steps[0]: _replace(value[steps[0]], steps[1:], new)}
    index = int(steps[0])
    return [*value[:index], _replace(value[index], steps[1:], new), *value[index + 1 :]]


def _check_rules(draft: Any) -> Any:
    """Return the draft, as it is written, if it keeps the rules of writers. Raises Invalid."""
    tlp = draft.tlp or draft.content.default_tlp()
    audience_of(tlp, draft.audience)
    try:
        draft.content.check_as_writer(tlp)
    except Invalid as error:
        raise Invalid(error.detail, pointer=f"/content{error.pointer}") from None
    except ValueError as error:
        raise Invalid(str(error), pointer="/content") from None
    for pointer, address in (*addresses_in(draft.content, "/content"), *addresses_in(draft)):
        if problem := address_problem(address):
            raise Invalid(problem, pointer=pointer)
    content = draft.content.as_written()
    return draft if content is draft.content else msgspec.structs.replace(draft, content=content)


def unknown_members(value: Any, struct: Any, at: str = "") -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Members of ``value`` that the struct made from it did not take: (pointer, name, those it takes)."""
    if isinstance(struct, msgspec.Struct):
        config = struct.__struct_config__
        fields = struct.__struct_encode_fields__
        for name, inner in value.items():
            pointer = f"{at}/{escape_pointer(name)}"
            if name in fields:
                attribute = struct.__struct_fields__[fields.index(name)]
                yield from unknown_members(inner, getattr(struct, attribute), pointer)
            elif name != config.tag_field:
                yield pointer, name, fields
    elif isinstance(struct, tuple | list):
        for index, (inner, part) in enumerate(zip(value, struct, strict=False)):
            if isinstance(part, msgspec.Struct):
                yield from unknown_members(inner, part, f"{at}/{index}")


_PATH = re.compile(r"^(?P<said>.*?)(?: - at `(?:key` in `)?\$(?P<path>.*)`)?$", re.DOTALL)

_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]")


def to_invalid(error: msgspec.ValidationError, value: Any = None) -> Invalid:
    """Convert an error of msgspec: a JSON Pointer (RFC 6901) replaces its path, and words a pattern.

    ``value``: what was decoded, for a hint.
    """
    parsed = _PATH.match(str(error))
    detail, path = (parsed["said"], parsed["path"]) if parsed else (str(error), None)
    steps = [
        escape_pointer(step["name"] or step["index"])
        for step in _STEP.finditer((path or "").replace("[...]", ""))
    ]
    pointer = "".join(f"/{step}" for step in steps)
    return Invalid(in_words(detail, _at(value, pointer)), pointer=pointer)
