"""Drafts: the part of a document that its writer may set, read strictly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Generic

import msgspec

from federation.domain.canonical import canonical, decode_json, escape_pointer
from federation.domain.document import SERVER_OWNED, C, SameAs
from federation.domain.errors import Invalid
from federation.domain.values import (
    Group,
    Key,
    Part,
)
from federation.domain.visibility import Tlp, audience_of


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
    try:
        draft = msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise to_invalid(error) from None
    for pointer, name, allowed in unknown_members(value, draft):
        known_here = ", ".join(sorted(allowed))
        raise Invalid(f"{name} is not a member here; {known_here} are", pointer=pointer)
    return _check_rules(draft) if is_draft else draft


def _check_rules(draft: Any) -> Any:
    """Return the draft if it keeps the rules that concern several members. Raises Invalid."""
    tlp = draft.tlp or draft.content.default_tlp()
    audience_of(tlp, draft.audience)
    try:
        draft.content.check_as_writer(tlp)
    except Invalid as error:
        raise Invalid(error.detail, pointer=f"/content{error.pointer}") from None
    except ValueError as error:
        raise Invalid(str(error), pointer="/content") from None
    return draft


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


def to_invalid(error: msgspec.ValidationError) -> Invalid:
    """Convert an error of msgspec: a JSON Pointer (RFC 6901) replaces its path."""
    parsed = _PATH.match(str(error))
    detail, path = (parsed["said"], parsed["path"]) if parsed else (str(error), None)
    steps = [
        escape_pointer(step["name"] or step["index"])
        for step in _STEP.finditer((path or "").replace("[...]", ""))
    ]
    return Invalid(detail, pointer="".join(f"/{step}" for step in steps))
