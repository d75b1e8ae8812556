"""Drafts: the part of a document that its writer may set, read strictly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Generic

import msgspec

from federation.domain.addresses import address_problem, addresses_in
from federation.domain.canonical import canonical, decode_json, escape_pointer
from federation.domain.document import SERVER_OWNED, C, SameAs
from federation.domain.errors import Invalid
from federation.domain.expected import in_words
from federation.domain.fault_search import FaultSearch
from federation.domain.faults import Fault
from federation.domain.messages import Message
from federation.domain.normal_values import normal_value
from federation.domain.part import Part
from federation.domain.unsound import UNSOUND, UnsoundError, sound
from federation.domain.values import Group, Key
from federation.domain.visibility import Tlp, audience_of


class Draft(Part, Generic[C], frozen=True, kw_only=True):
    """The content, and the envelope fields that its writer may set.

    Without ``tlp`` a new record has the label of its type (an outage or a maintenance is CLEAR, or GREEN
    where the operator of the node chose so), and a record that is there keeps its label.
    """

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
        raise Invalid("the body must be a JSON object", pointer="", fault="wrong-type")
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
    """The struct that plain values stand for, as strictly as :func:`read_draft`. Raises Invalid."""
    kind = getattr(shape, "__origin__", shape)
    is_draft = kind in (Draft, KeyedDraft)
    owned = [
        name
        for name in (SERVER_OWNED if is_draft else ())
        if name in value and not (name == "key" and kind is KeyedDraft)
    ]
    rest = {name: member for name, member in value.items() if name not in owned} if owned else value
    normal = normal_value(rest, shape)
    try:
        draft = msgspec.convert(normal, shape)
    except msgspec.ValidationError as error:
        raise _all_faults(normal, shape, owned, to_invalid(error)) from None
    if owned or _has_unknown_members(normal, draft):
        raise _all_faults(normal, shape, owned)
    return _check_rules(draft) if is_draft else draft


def _all_faults(value: Any, shape: Any, owned: list[str], first: Invalid | None = None) -> Invalid:
    """One refusal for all faults of a body; ``first``: the one that msgspec reports."""
    is_draft = getattr(shape, "__origin__", shape) in (Draft, KeyedDraft)
    search = FaultSearch(as_writer=is_draft)
    for name in owned:
        message = Message("{name} is set by the node; leave it out", {"name": name})
        search.add(Fault(pointer=f"/{name}", code="set-by-node", message=message))
    draft = search.look(value, shape)
    if is_draft:
        for rule in _writer_rules(draft):
            for fault in sound(rule):
                search.add(fault)
    if search.faults:
        return Invalid.of(search.faults, search.more)
    # Faults behind the bound of a search.
    return first or Invalid("the body has a member that is not in the schema")


def _writer_rules(draft: Any) -> Iterator[Iterator[Fault]]:
    """The rules of writers, but for those of addresses."""
    yield _audience_rule(draft)
    try:
        rules = draft.content.writer_rules(_tlp_of(draft))
    except UnsoundError:
        return
    for rule in rules:
        yield (msgspec.structs.replace(fault, pointer=f"/content{fault.pointer}") for fault in rule)


def _audience_rule(draft: Any) -> Iterator[Fault]:
    try:
        audience_of(_tlp_of(draft), draft.audience)
    except Invalid as error:
        yield from error.faults


def _tlp_of(draft: Any) -> Any:
    try:
        return draft.content.default_tlp() if draft.tlp is None else draft.tlp
    except UnsoundError:
        return UNSOUND


def _check_rules(draft: Any) -> Any:
    """Return the draft, as it is written, if it keeps the rules of writers. Raises Invalid."""
    faults = [fault for rule in _writer_rules(draft) for fault in rule]
    for pointer, address in (*addresses_in(draft.content, "/content"), *addresses_in(draft)):
        if problem := address_problem(address):
            faults.append(Fault(pointer=pointer, code="address", message=problem, rule=19))
    if faults:
        raise Invalid.of(faults)
    content = draft.content.as_written()
    return draft if content is draft.content else msgspec.structs.replace(draft, content=content)


def _has_unknown_members(value: Any, struct: Any) -> bool:
    """True where ``value`` has members that the struct made from it did not take."""
    if isinstance(struct, msgspec.Struct):
        tag_field = struct.__struct_config__.tag_field
        fields = struct.__struct_encode_fields__
        for name, inner in value.items():
            if name in fields:
                attribute = struct.__struct_fields__[fields.index(name)]
                if _has_unknown_members(inner, getattr(struct, attribute)):
                    return True
            elif name != tag_field:
                return True
    elif isinstance(struct, tuple | list):
        return any(
            isinstance(part, msgspec.Struct) and _has_unknown_members(inner, part)
            for inner, part in zip(value, struct, strict=False)
        )
    return False


_PATH = re.compile(r"^(?P<said>.*?)(?: - at `(?:key` in `)?\$(?P<path>.*)`)?$", re.DOTALL)

_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]")


def to_invalid(error: msgspec.ValidationError) -> Invalid:
    """Convert an error of msgspec: a JSON Pointer (RFC 6901) replaces its path, and words a pattern."""
    parsed = _PATH.match(str(error))
    detail, path = (parsed["said"], parsed["path"]) if parsed else (str(error), None)
    steps = [
        escape_pointer(step["name"] or step["index"])
        for step in _STEP.finditer((path or "").replace("[...]", ""))
    ]
    pointer = "".join(f"/{step}" for step in steps)
    return Invalid(in_words(detail), pointer=pointer)
