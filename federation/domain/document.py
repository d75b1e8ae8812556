"""The document: what operators exchange, and the one form in which it is written down.

A document is an envelope that feeds, sync and storage understand, and a content that they do not
need to. It becomes bytes once, at its origin: canonical JSON (RFC 8785, for a schema without floats
and with ASCII member names: members sorted, no white space, shortest escapes, UTF-8). Those bytes
are hashed with SHA-256, stored, served, pulled, verified and served again; nobody re-encodes them.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Generic, Literal, NoReturn, TypeVar

import msgspec
from msgspec import Meta, inspect

from federation.domain.errors import Invalid
from federation.domain.registry import known
from federation.domain.values import (
    KEY_PATTERN,
    OPERATOR_PATTERN,
    SAFE_INTEGER,
    TYPE_PATTERN,
    Content,
    Dated,
    Group,
    Instant,
    Key,
    Operator,
    Part,
    Projection,
    RuleBroken,
    TypeName,
    Uri,
    as_instant,
    instant,
)
from federation.domain.visibility import Tlp, audience_of

MAX_DOCUMENT = 1_048_576
"""Bytes of a document, at most; also of a request's body, where it is not NDJSON."""
MAX_DEPTH = 32
"""Objects and arrays inside one another, at most."""

C = TypeVar("C")

SameAs = Annotated[
    tuple[Uri, ...],
    Meta(
        max_length=50, description="The same thing elsewhere: Wikidata, SILL, Comptoir du Libre, repository."
    ),
]


class Envelope(Dated, frozen=True, kw_only=True):
    """The part of every document that feeds, sync and storage understand."""

    moments = ("created_at", "updated_at")
    ordered = (("created_at", "updated_at"),)

    type: TypeName
    origin: Operator
    key: Key
    revision: Annotated[int, Meta(ge=1, le=SAFE_INTEGER)]
    created_at: Instant
    updated_at: Instant
    tlp: Tlp
    audience: Group | None = None
    same_as: SameAs = ()


class Document(Envelope, Generic[C], frozen=True, kw_only=True):
    """One document: an envelope and its content. Without content it is a tombstone."""

    content: C | None = None


class Sealed(Envelope, frozen=True, kw_only=True):
    """A document whose content is left as the bytes it is; empty in a tombstone."""

    content: msgspec.Raw = msgspec.Raw()


class Draft(Part, Generic[C], frozen=True, kw_only=True):
    """What a writer sends: the content, and what of the envelope is theirs to say."""

    content: C
    tlp: Tlp | None = None
    audience: Group | None = None
    same_as: SameAs = ()


class KeyedDraft(Draft[C], Generic[C], frozen=True, kw_only=True):
    """A line of a bulk upload: a draft and the key it is for."""

    key: Key


SERVER_OWNED = ("type", "origin", "key", "revision", "created_at", "updated_at")

Op = Literal["upsert", "delete", "withdraw"]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A document as it was written down: its bytes, their hash, and what it is found by."""

    type: str
    origin: str
    key: str
    revision: int
    tlp: str
    audience: str
    retracted: bool
    created_at: datetime
    updated_at: datetime
    document: bytes
    hash: bytes
    projection: Projection = Projection()

    @property
    def id(self) -> str:
        return f"{self.origin}/{self.key}"

    @property
    def op(self) -> Op:
        return "delete" if self.retracted else "upsert"


# Writing down


def canonical(value: Any) -> bytes:
    """The canonical bytes of a value of the schema."""
    return msgspec.json.encode(value, order="sorted")


def write_down(
    draft: Draft[Any],
    kind: type[Content],
    origin: str,
    key: str,
    *,
    revision: int,
    created_at: datetime,
    updated_at: datetime,
) -> Record:
    """Make a record of a draft. Raises Invalid for texts the schema does not allow."""
    tlp = draft.tlp or draft.content.default_tlp()
    document: Document[Any] = Document(
        type=kind.type,
        origin=origin,
        key=key,
        revision=revision,
        created_at=as_instant(created_at),
        updated_at=as_instant(updated_at),
        tlp=tlp,
        audience=draft.audience,
        same_as=draft.same_as,
        content=draft.content,
    )
    raw = canonical(document)
    if len(raw) > MAX_DOCUMENT:
        raise Invalid(f"the document is {len(raw)} bytes long; {MAX_DOCUMENT} are allowed")
    check_text(raw)
    return Record(
        type=kind.type,
        origin=origin,
        key=key,
        revision=revision,
        tlp=tlp,
        audience=audience_of(tlp, draft.audience),
        retracted=False,
        created_at=created_at,
        updated_at=updated_at,
        document=raw,
        hash=hashlib.sha256(raw).digest(),
        projection=_project(draft.content, kind.type, origin, tlp),
    )


def tombstone(stored: bytes, *, updated_at: datetime) -> Record:
    """The record that says another one has been retracted: its envelope, one revision on, no content."""
    was = msgspec.json.decode(stored, type=Envelope)
    envelope = msgspec.structs.replace(
        was, revision=was.revision + 1, updated_at=as_instant(updated_at), same_as=()
    )
    raw = canonical(envelope)
    return Record(
        type=was.type,
        origin=was.origin,
        key=was.key,
        revision=envelope.revision,
        tlp=was.tlp,
        audience=audience_of(was.tlp, was.audience),
        retracted=True,
        created_at=instant(was.created_at),
        updated_at=updated_at,
        document=raw,
        hash=hashlib.sha256(raw).digest(),
    )


def says_the_same(draft: Draft[Any], stored: bytes) -> bool:
    """Whether publishing the draft would change nothing but revision and time."""
    was = msgspec.json.decode(stored, type=Sealed)
    return (
        (draft.tlp or draft.content.default_tlp()) == was.tlp
        and draft.audience == was.audience
        and draft.same_as == was.same_as
        and canonical(draft.content) == bytes(was.content)
    )


def draft_of(stored: bytes) -> dict[str, Any]:
    """The members of a stored document that a writer may change, as plain values."""
    document: dict[str, Any] = msgspec.json.decode(stored)
    return {name: value for name, value in document.items() if name not in SERVER_OWNED}


def _project(content: Content, type_name: str, origin: str, tlp: str) -> Projection:
    found = content.project()
    always = (f"{type_name}.origin={origin}", f"{type_name}.tlp={tlp}")
    return Projection(always + found.facets, found.beneficiaries, found.french, found.other)


# Reading what a writer sent


def read_draft(body: bytes, shape: Any) -> Any:
    """Decode what one's own IT system sent, strictly.

    ``shape`` is a ``Draft[...]`` or another struct of the schema. Unknown members, duplicate members,
    members that the node owns, wrong types and rules broken are each refused with a pointer.
    """
    draft = _nothing_left_out(body, shape)
    if draft is not None:
        return _checked(draft)
    value = decode_json(body)
    if not isinstance(value, dict):
        raise Invalid("the body must be a JSON object")
    return check_draft(value, shape)


def _nothing_left_out(body: bytes, shape: Any) -> Any:
    """The draft, where a quick look shows that every member of the body is in it once; else None.

    What it says is what the body says, member by member, and what the body says is as long as the body
    without white space: so nothing is unknown, there twice, nested too deep or owned by the node. Bodies
    that say a default, or a number or a letter in another way than we write it, are looked at slowly: the
    one place where errors are told is :func:`check_draft`.
    """
    if getattr(shape, "__origin__", None) not in (Draft, KeyedDraft):
        return None
    try:
        draft = _decoder(shape).decode(body)
        said = msgspec.json.encode(msgspec.json.decode(body), order="sorted")
        if canonical(draft) == said and len(msgspec.json.format(body, indent=-1)) == len(said):
            return draft
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass
    return None


@lru_cache
def _decoder(shape: Any) -> msgspec.json.Decoder[Any]:
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
        raise _invalid(error) from None
    for pointer, name, allowed in unknown_members(value, draft):
        known_here = ", ".join(sorted(allowed))
        raise Invalid(f"{name} is not a member here; {known_here} are", pointer=pointer)
    return _checked(draft) if is_draft else draft


def _checked(draft: Any) -> Any:
    """The same draft, when it keeps the rules that are not those of a single member."""
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
            here = f"{at}/{_escape(name)}"
            if name in fields:
                attribute = struct.__struct_fields__[fields.index(name)]
                yield from unknown_members(inner, getattr(struct, attribute), here)
            elif name != config.tag_field:
                yield here, name, fields
    elif isinstance(struct, tuple | list):
        for index, (inner, part) in enumerate(zip(value, struct, strict=False)):
            if isinstance(part, msgspec.Struct):
                yield from unknown_members(inner, part, f"{at}/{index}")


def decode_json(body: bytes) -> Any:
    """Decode JSON of unknown make: UTF-8, not too deep, no member twice. Raises Invalid."""
    check_depth(body)
    try:
        value = msgspec.json.decode(body)
        # Every difference between what was sent, less white space, and what it says is a duplicate
        # member, an escape that was not needed or a number written oddly. Only the first is refused,
        # so the slow look is for the few bodies where the lengths differ.
        # A number with an exponent can grow, and hide as many bytes as a duplicate member has.
        if _EXPONENT.search(body) or len(msgspec.json.format(body, indent=-1)) != len(
            msgspec.json.encode(value)
        ):
            _refuse_duplicates(json.loads(body, object_pairs_hook=_Members))
    except UnicodeDecodeError:
        raise Invalid("the body is not UTF-8") from None
    except msgspec.DecodeError as error:
        raise Invalid(f"the body is not JSON: {error}") from None
    except (RecursionError, ValueError) as error:
        raise Invalid(f"the body is not JSON that is read here: {error}") from None
    return value


_EXPONENT = re.compile(rb"[0-9][eE]")


class _Members(dict[str, Any]):
    """An object, and the name of a member that was there twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.twice = None if len(self) == len(names) else next(n for n in names if names.count(n) > 1)


def _refuse_duplicates(value: Any, at: str = "") -> None:
    if isinstance(value, _Members):
        if value.twice is not None:
            raise Invalid(f"the member {value.twice} is there twice", pointer=f"{at}/{_escape(value.twice)}")
        for name, inner in value.items():
            _refuse_duplicates(inner, f"{at}/{_escape(name)}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _refuse_duplicates(inner, f"{at}/{index}")


# A text that does not end reaches to the end of the body, and is read once: possessive, no way back.
_TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)


def check_depth(body: bytes) -> None:
    """Refuse JSON nested deeper than ``MAX_DEPTH`` before anything decodes it. Raises Invalid."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for token in _TOKENS.finditer(body):
        match token.group()[:1]:
            case b"[" | b"{":
                depth += 1
                if depth > MAX_DEPTH:
                    raise Invalid(f"the JSON is nested deeper than {MAX_DEPTH} levels")
            case b"]" | b"}":
                depth -= 1


_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u2064\u2066-\u206f\ufeff\U000e0000-\U000e007f]"
)
# In UTF-8: control characters, and what begins a character from U+0300 on. Nothing below changes under NFC
# (Unicode Standard Annex 15, 5.1). The controls from U+0080 to U+009F are looked for by their two bytes.
_NOT_LATIN = bytes(
    code for code in range(256) if code >= 0xCC or (code < 0x80 and _FORBIDDEN.match(chr(code)))
)
_C1 = re.compile(rb"\xc2[\x80-\x9f]")
# In canonical JSON the only escapes are \" \\ \n \t and those of forbidden control characters. A line
# feed may not be last in a text: to Python's regular expressions `$` matches before it.
_FORBIDDEN_ESCAPE = re.compile(rb'(?<!\\)(?:\\\\)*\\([^"\\nt]|n")')


def check_text(raw: bytes) -> None:
    """Refuse a canonical document whose texts are not NFC or hold characters nobody can see.

    Control characters except line feed and tab, bidirectional controls, zero-width characters.
    Raises Invalid with a pointer to the member at fault.
    """
    if _is_plain(raw) and not (b"\\" in raw and _FORBIDDEN_ESCAPE.search(raw)):
        return
    for pointer, string in _strings(msgspec.json.decode(raw)):
        if found := _FORBIDDEN.search(string):
            raise Invalid(f"the text holds U+{ord(found.group()):04X}, which is not allowed", pointer=pointer)
        if not unicodedata.is_normalized("NFC", string):
            raise Invalid("the text is not in Unicode normal form C (NFC)", pointer=pointer)
        if string.endswith("\n"):
            raise Invalid("the text ends with a line feed", pointer=pointer)
    raise Invalid("the text holds characters that are not allowed")


def _is_plain(raw: bytes) -> bool:
    """Whether a text in UTF-8 is NFC and holds none of the forbidden characters; the quickest way first."""
    if len(raw.translate(None, _NOT_LATIN)) == len(raw) and not (b"\xc2" in raw and _C1.search(raw)):
        return True
    text = raw.decode()
    # (What can be printed holds none of them, and that is quicker to know.)
    return unicodedata.is_normalized("NFC", text) and (text.isprintable() or not _FORBIDDEN.search(text))


def _strings(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield f"{at}/{_escape(name)}", name
            yield from _strings(inner, f"{at}/{_escape(name)}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _strings(inner, f"{at}/{index}")


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


_PATH = re.compile(r"^(?P<said>.*?)(?: - at `(?:key` in `)?\$(?P<path>.*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]")


def _invalid(error: msgspec.ValidationError) -> Invalid:
    """The same error with the JSON Pointer of the member in place of msgspec's path."""
    found = _PATH.match(str(error))
    said, path = (found["said"], found["path"]) if found else (str(error), None)
    steps = [
        _escape(step["name"] or step["index"]) for step in _STEP.finditer((path or "").replace("[...]", ""))
    ]
    return Invalid(said, pointer="".join(f"/{step}" for step in steps))


# Reading what a peer sent


def read_record(
    raw: bytes, *, type_name: str, origin: str, key: str, revision: int, digest: bytes | None = None
) -> Record:
    """Verify a document that a peer's feed holds, and find what it is found by.

    ``digest``: its SHA-256, where that has been computed already.

    Known types must keep the schema; unknown types and unknown members are kept as they are. Raises
    Invalid, whose message is the reason noted when the entry is set aside: it is made of the schema's
    words and of numbers, and holds nothing of the document.
    """
    try:
        return _read_record(raw, type_name, origin, key, revision, digest)
    except Invalid as error:
        raise Invalid(error.detail, pointer=_known_part(error.pointer or "", known(type_name))) from None


# What msgspec says before it quotes a value or a pattern.
_UNQUOTED = re.compile(
    r"Expected `[a-z |]+`(?:, got `[a-z]+`| matching regex| (?:of length )?[<>=]+ [0-9]+)?"
    r"|Object missing required field `[a-z_0-9]+`|Invalid (?:enum )?value"
)


def untold(error: msgspec.ValidationError) -> Invalid:
    """The same error without the values it speaks of."""
    if isinstance(error.__cause__, RuleBroken):
        said = error.__cause__.untold
    else:
        found = _UNQUOTED.match(str(error))
        said = found.group() if found else "it does not keep the schema"
    return Invalid(said, pointer=_invalid(error).pointer)


def _known_part(pointer: str, kind: type[Content] | None) -> str:
    """A pointer as far as the schema names its members; beyond, names are the document's own."""
    shape: Any = Document
    here = _flat(_shape(shape[kind] if kind else Sealed))
    shown = ""
    for step in pointer.split("/")[1:]:
        here = [inner for type_ in here for inner in _within(type_, step)]
        if not here:
            return f"{shown}/…"
        shown += f"/{step}"
    return shown


@lru_cache
def _shape(type_: Any) -> inspect.Type:
    return inspect.type_info(type_)


def _flat(type_: inspect.Type) -> list[inspect.Type]:
    """The types that a value may be of."""
    if isinstance(type_, inspect.Metadata):
        return _flat(type_.type)
    if isinstance(type_, inspect.UnionType):
        return [one for several in type_.types for one in _flat(several)]
    return [type_]


def _within(type_: inspect.Type, step: str) -> list[inspect.Type]:
    """The types of a member or an item; nothing where the schema has no such member."""
    if isinstance(type_, inspect.StructType):
        if step == type_.tag_field:
            return [inspect.AnyType()]
        return [one for field in type_.fields if field.encode_name == step for one in _flat(field.type)]
    if isinstance(type_, inspect.VarTupleType) and step.isdecimal():
        return _flat(type_.item_type)
    return []


def _read_record(
    raw: bytes, type_name: str, origin: str, key: str, revision: int, digest: bytes | None
) -> Record:
    if len(raw) > MAX_DOCUMENT:
        raise Invalid(f"the document is {len(raw)} bytes long; {MAX_DOCUMENT} are allowed")
    kind = known(type_name)
    document: Any = _as_we_write(raw, kind) or _as_others_may(raw, kind)
    check_text(raw)
    if (document.type, document.origin, document.key, document.revision) != (
        type_name,
        origin,
        key,
        revision,
    ):
        _refuse_another(document, type_name, origin, key, revision)
    try:
        audience = audience_of(document.tlp, document.audience)
    except Invalid:
        raise Invalid("the label and the audience do not go together", pointer="/audience") from None
    content = document.content
    return Record(
        type=type_name,
        origin=origin,
        key=key,
        revision=revision,
        tlp=document.tlp,
        audience=audience,
        retracted=not content,
        created_at=instant(document.created_at),
        updated_at=instant(document.updated_at),
        document=raw,
        hash=digest or hashlib.sha256(raw).digest(),
        projection=(
            _project(content, type_name, origin, document.tlp)
            if isinstance(content, Content)
            else Projection(facets=(f"{type_name}.origin={origin}", f"{type_name}.tlp={document.tlp}"))
        ),
    )


def _refuse_another(document: Any, type_name: str, origin: str, key: str, revision: int) -> NoReturn:
    for name, told in (("type", type_name), ("origin", origin), ("key", key), ("revision", revision)):
        if getattr(document, name) != told:
            raise Invalid(
                f"the entry is for {type_name} {origin}/{key} at revision {revision},"
                f" the document has another {name}",
                pointer=f"/{name}",
            )
    raise AssertionError("the entry and the document name the same record")


def _as_we_write(raw: bytes, kind: Any) -> Any:
    """The document of a known type, if this program would have written down these very bytes; else None.

    Then they are canonical, of the subset, not too deep, and hold nothing that the schema does not know.
    """
    if kind is None:
        return None
    shape: Any = Document
    try:
        document = _decoder(shape[kind]).decode(raw)
        return document if canonical(document) == raw else None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None  # why is found out slowly


def _as_others_may(raw: bytes, kind: Any) -> Any:
    """The document, also of unknown type or with unknown members. Raises Invalid."""
    check_depth(raw)
    shape: Any = Document
    try:
        value = msgspec.json.decode(raw)
        if msgspec.json.encode(value, order="sorted") != raw:
            raise Invalid("the document is not canonical JSON")
        if _SUSPECT.search(raw):
            _check_subset(value)
        if isinstance(value, dict) and value.get("content", ...) is None:
            raise Invalid("content is null; a tombstone has none", pointer="/content")
        return _decoder(shape[kind] if kind else Sealed).decode(raw)
    except UnicodeDecodeError:
        raise Invalid("the document is not UTF-8") from None
    except msgspec.ValidationError as error:
        raise untold(error) from None
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise Invalid("the document is not JSON that is read here") from None


# Numbers with a fraction or an exponent, long ones, and names that are not ASCII; or texts that look so.
_SUSPECT = re.compile(rb'[:\[,]-?[0-9]+[.eE]|[0-9]{16}|[\x80-\xff][^"]*":')


def _check_subset(value: Any, at: str = "") -> None:
    """Refuse what RFC 8785 writes in another way than we do. Raises Invalid."""
    if isinstance(value, float):
        raise Invalid("the schema has no floats", pointer=at)
    if isinstance(value, int) and not -SAFE_INTEGER <= value <= SAFE_INTEGER:
        raise Invalid(f"integers are within ±{SAFE_INTEGER}", pointer=at)
    if isinstance(value, dict):
        for name, inner in value.items():
            if not name.isascii():
                raise Invalid("names of members are ASCII", pointer=f"{at}/{_escape(name)}")
            _check_subset(inner, f"{at}/{_escape(name)}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _check_subset(inner, f"{at}/{index}")


def supersedes(new_revision: int, held_revision: int) -> bool:
    """Whether a revision takes the place of the one held. Only the origin writes, so the higher does."""
    return new_revision > held_revision


# Names


def check_id(origin: str, key: str) -> None:
    """Raises Invalid when these cannot name a record."""
    if not re.fullmatch(OPERATOR_PATTERN, origin):
        raise Invalid(f"{origin!r} is not an operator's id ({OPERATOR_PATTERN})")
    if not re.fullmatch(KEY_PATTERN, key):
        raise Invalid(f"{key!r} is not a key ({KEY_PATTERN})")


def is_type(name: str) -> bool:
    return re.fullmatch(TYPE_PATTERN, name) is not None


def mint_key() -> str:
    """A new key: UUIDv7 (RFC 9562, 5.7), so that keys minted later sort later."""
    milliseconds = time.time_ns() // 1_000_000
    number = milliseconds << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62)
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
