"""Records: a draft written as a document, and a peer's document verified and read."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, NoReturn

import msgspec
from msgspec import inspect

from federation.domain.canonical import SUSPECT, canonical, check_depth, check_subset, check_text
from federation.domain.document import MAX_DOCUMENT, SERVER_OWNED, Document, Envelope, Sealed
from federation.domain.draft import Draft, decoder_of, to_invalid
from federation.domain.errors import Invalid
from federation.domain.registry import known_type
from federation.domain.values import (
    Content,
    Projection,
    RuleBroken,
    as_instant,
    instant,
)
from federation.domain.visibility import audience_of

Op = Literal["upsert", "delete", "withdraw"]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A document in canonical bytes, with their hash and the values of its indexes."""

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


def to_record(
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
    before = msgspec.json.decode(stored, type=Envelope)
    envelope = msgspec.structs.replace(
        before, revision=before.revision + 1, updated_at=as_instant(updated_at), same_as=()
    )
    raw = canonical(envelope)
    return Record(
        type=before.type,
        origin=before.origin,
        key=before.key,
        revision=envelope.revision,
        tlp=before.tlp,
        audience=audience_of(before.tlp, before.audience),
        retracted=True,
        created_at=instant(before.created_at),
        updated_at=updated_at,
        document=raw,
        hash=hashlib.sha256(raw).digest(),
    )


def equals_stored(draft: Draft[Any], stored: bytes) -> bool:
    """Return True if publishing the draft would change only revision and time."""
    before = msgspec.json.decode(stored, type=Sealed)
    return (
        (draft.tlp or draft.content.default_tlp()) == before.tlp
        and draft.audience == before.audience
        and draft.same_as == before.same_as
        and canonical(draft.content) == bytes(before.content)
    )


def draft_of(stored: bytes) -> dict[str, Any]:
    """The members of a stored document that a writer may change, as plain values."""
    document: dict[str, Any] = msgspec.json.decode(stored)
    return {name: value for name, value in document.items() if name not in SERVER_OWNED}


def _project(content: Content, type_name: str, origin: str, tlp: str) -> Projection:
    projection = content.project()
    always = (f"{type_name}.origin={origin}", f"{type_name}.tlp={tlp}")
    return Projection(
        always + projection.facets, projection.beneficiaries, projection.french, projection.other
    )


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
        raise Invalid(error.detail, pointer=_known_part(error.pointer or "", known_type(type_name))) from None


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


def _known_part(pointer: str, kind: type[Content] | None) -> str:
    """A pointer as far as the schema names its members; beyond, names are the document's own."""
    shape: Any = Document
    types = _flat(_shape(shape[kind] if kind else Sealed))
    shown = ""
    for step in pointer.split("/")[1:]:
        types = [inner for type_ in types for inner in _member_types(type_, step)]
        if not types:
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


def _read_record(
    raw: bytes, type_name: str, origin: str, key: str, revision: int, digest: bytes | None
) -> Record:
    if len(raw) > MAX_DOCUMENT:
        raise Invalid(f"the document is {len(raw)} bytes long; {MAX_DOCUMENT} are allowed")
    kind = known_type(type_name)
    document: Any = _decode_if_canonical(raw, kind) or _decode_any(raw, kind)
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


def project_stored(raw: bytes, type_name: str, origin: str) -> Projection | None:
    """The index values of a stored document, as this program makes them.

    None for a tombstone, for a type that is not known here, and for a document that is not read any more.
    """
    kind = known_type(type_name)
    if kind is None:
        return None
    shape: Any = Document
    try:
        document = decoder_of(shape[kind]).decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    content = document.content
    return _project(content, type_name, origin, document.tlp) if isinstance(content, Content) else None


def _refuse_another(document: Any, type_name: str, origin: str, key: str, revision: int) -> NoReturn:
    for name, expected in (("type", type_name), ("origin", origin), ("key", key), ("revision", revision)):
        if getattr(document, name) != expected:
            raise Invalid(
                f"the entry is for {type_name} {origin}/{key} at revision {revision},"
                f" the document has another {name}",
                pointer=f"/{name}",
            )
    raise AssertionError("the entry and the document name the same record")


def _decode_if_canonical(raw: bytes, kind: Any) -> Any:
    """The document of a known type, if this program would have written down these very bytes; else None.

    Then they are canonical, of the subset, not too deep, and hold nothing that the schema does not know.
    """
    if kind is None:
        return None
    shape: Any = Document
    try:
        document = decoder_of(shape[kind]).decode(raw)
        return document if canonical(document) == raw else None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None  # why is found out slowly


def _decode_any(raw: bytes, kind: Any) -> Any:
    """The document, also of unknown type or with unknown members. Raises Invalid."""
    check_depth(raw)
    shape: Any = Document
    try:
        value = msgspec.json.decode(raw)
        if msgspec.json.encode(value, order="sorted") != raw:
            raise Invalid("the document is not canonical JSON")
        if SUSPECT.search(raw):
            check_subset(value)
        if isinstance(value, dict) and value.get("content", ...) is None:
            raise Invalid("content is null; a tombstone has none", pointer="/content")
        return decoder_of(shape[kind] if kind else Sealed).decode(raw)
    except UnicodeDecodeError:
        raise Invalid("the document is not UTF-8") from None
    except msgspec.ValidationError as error:
        raise without_values(error) from None
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise Invalid("the document is not JSON that is read here") from None


def supersedes(new_revision: int, held_revision: int) -> bool:
    """Return True if a revision replaces the stored one. Only the origin writes, so the higher one wins."""
    return new_revision > held_revision
