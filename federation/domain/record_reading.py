"""Read a peer's document: verify that its bytes are the record, and understand its content if possible.

1. A known type is decoded by its schema, and written again: equal bytes are canonical, of the subset, not too
   deep, and have no member that the schema does not know. Nearly every document ends here.
2. Of any other document the **form** is verified: size, depth, canonical JSON, and an envelope that fits the
   entry. Bytes that fail are no state of this record, and are refused (``Invalid``).
3. Then the **content** is read. What this version does not understand in it (a type, a value of an
   enumeration, a rule or a text of a later version) is the reason in ``Record.not_understood``. The record is
   stored, served and verified like any other.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, NoReturn

import msgspec
from msgspec import Meta

from federation.domain.canonical import (
    SUSPECT,
    canonical,
    check_depth,
    check_subset,
    check_text,
    has_plain_text,
)
from federation.domain.document import MAX_DOCUMENT, Document
from federation.domain.errors import Invalid
from federation.domain.projection import Projection
from federation.domain.record import Record, project
from federation.domain.record_content import Content
from federation.domain.registry import known_type
from federation.domain.schema_faults import document_types, null_member, pointing_into_schema, without_values
from federation.domain.values import Group, instant
from federation.domain.visibility import Tlp, audience_of

UNKNOWN_TYPE = "its type is not known to this version"
"""The reason of a record whose type is not in the registry."""
MAX_REASON_CHARACTERS = 300
"""Characters of a reason that are stored."""


class _Names(msgspec.Struct):
    """The members of an envelope that feeds, sync and storage rest on: they are the same in all of v1."""

    type: str
    origin: str
    key: str
    revision: int
    tlp: Tlp
    created_at: Annotated[datetime, Meta(tz=True)]
    updated_at: Annotated[datetime, Meta(tz=True)]
    audience: Group | None = None
    content: msgspec.Raw = msgspec.Raw()


_names = msgspec.json.Decoder(_Names)
_OFFSET = re.compile(r"(?:[Zz]|:[0-9]{2})\Z")
"""The end of a time of RFC 3339; the decoder also takes offsets without their colon."""


def read_record(
    raw: bytes, *, type_name: str, origin: str, key: str, revision: int, digest: bytes | None = None
) -> Record:
    """Verify the form of a document in a peer's feed, and read its content.

    ``digest``: its SHA-256, where that has been computed already.

    Raises Invalid for bytes whose form is wrong. Its message is noted with the rejected entry, and the reason
    of a content that is not understood with the record: both are made of the schema's words and of numbers,
    and hold nothing of the document.
    """
    kind = known_type(type_name)
    try:
        if len(raw) > MAX_DOCUMENT:
            raise Invalid(f"the document is {len(raw)} bytes long; {MAX_DOCUMENT} are allowed")
        document = _decode_if_canonical(raw, kind)
        if document is None or not has_plain_text(raw):
            return _read_by_parts(raw, kind, type_name, origin, key, revision, digest)
        if (document.type, document.origin, document.key, document.revision) != (
            type_name,
            origin,
            key,
            revision,
        ):
            _refuse_another(document, type_name, origin, key, revision)
        content = document.content
        return Record(
            type=type_name,
            origin=origin,
            key=key,
            revision=revision,
            tlp=document.tlp,
            audience=_audience(document),
            retracted=content is None,
            created_at=instant(document.created_at),
            updated_at=instant(document.updated_at),
            document=raw,
            hash=digest or hashlib.sha256(raw).digest(),
            projection=(
                project(content, type_name, origin, document.tlp)
                if content is not None
                else _envelope_projection(type_name, origin, document.tlp)
            ),
        )
    except Invalid as error:
        raise pointing_into_schema(error, kind) from None


def project_stored(raw: bytes, type_name: str, origin: str) -> Projection | None:
    """The index values of a stored document, as this program makes them.

    None for a tombstone, for a type that is not known here, and for a document that is not read any more.
    """
    kind = known_type(type_name)
    if kind is None:
        return None
    try:
        document = _document_decoder(kind).decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    content = document.content
    return project(content, type_name, origin, document.tlp) if isinstance(content, Content) else None


@lru_cache
def _document_decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """The decoder of documents of a type; remembered by the type, whose generic form is slow to make."""
    shape: Any = Document
    return msgspec.json.Decoder(shape[kind])


# Form


def _decode_if_canonical(raw: bytes, kind: Any) -> Any:
    """The document of a known type, if this program would have written down these very bytes; else None."""
    if kind is None:
        return None
    try:
        document = _document_decoder(kind).decode(raw)
        return document if canonical(document) == raw else None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None  # why is found out slowly


def _read_by_parts(
    raw: bytes, kind: Any, type_name: str, origin: str, key: str, revision: int, digest: bytes | None
) -> Record:
    """The record of a document that is not just as this program would write it: form first, then content."""
    names = _read_names(raw)
    if (names.type, names.origin, names.key, names.revision) != (type_name, origin, key, revision):
        _refuse_another(names, type_name, origin, key, revision)
    retracted = not names.content
    reason, projection = None, _envelope_projection(type_name, origin, names.tlp)
    if not retracted and kind is None:
        reason = UNKNOWN_TYPE
    elif not retracted:
        try:
            projection = _read_content(raw, kind, type_name, origin)
        except Invalid as error:
            error = pointing_into_schema(error, kind)
            at = f" at {error.pointer}" if error.pointer else ""
            reason, projection = f"{error.detail}{at}"[:MAX_REASON_CHARACTERS], Projection()
    return Record(
        type=type_name,
        origin=origin,
        key=key,
        revision=revision,
        tlp=names.tlp,
        audience=_audience(names),
        retracted=retracted,
        created_at=_moment(names.created_at, "created_at"),
        updated_at=_moment(names.updated_at, "updated_at"),
        document=raw,
        hash=digest or hashlib.sha256(raw).digest(),
        projection=projection,
        not_understood=reason,
    )


def _read_names(raw: bytes) -> _Names:
    """The envelope of a document in canonical form. Raises Invalid."""
    check_depth(raw)
    try:
        value = msgspec.json.decode(raw)
        if msgspec.json.encode(value, order="sorted") != raw:
            raise Invalid("the document is not canonical JSON")
        if SUSPECT.search(raw):
            check_subset(value)
        if isinstance(value, dict) and value.get("content", ...) is None:
            raise Invalid("content is null; a tombstone has none", pointer="/content")
        names = _names.decode(raw)
        for member in ("created_at", "updated_at"):
            if not _OFFSET.search(value[member]):
                raise Invalid("the time is none of RFC 3339", pointer=f"/{member}")
        return names
    except UnicodeDecodeError:
        raise Invalid("the document is not UTF-8") from None
    except msgspec.ValidationError as error:
        raise without_values(error) from None
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise Invalid("the document is not JSON that is read here") from None


def _moment(time: datetime, member: str) -> datetime:
    """A time of the envelope in UTC. Raises Invalid for one outside the years that the schema has."""
    # (The years first: the first and the last one of the calendar cannot be converted.)
    if not 1970 <= time.year <= 2200:
        raise Invalid("the time is not of the years 1970 to 2200", pointer=f"/{member}")
    return time.astimezone(UTC)


def _audience(envelope: Any) -> str:
    try:
        return audience_of(envelope.tlp, envelope.audience)
    except Invalid:
        raise Invalid("the label and the audience do not go together", pointer="/audience") from None


def _refuse_another(envelope: Any, type_name: str, origin: str, key: str, revision: int) -> NoReturn:
    for name, expected in (("type", type_name), ("origin", origin), ("key", key), ("revision", revision)):
        if getattr(envelope, name) != expected:
            raise Invalid(
                f"the entry is for {type_name} {origin}/{key} at revision {revision},"
                f" the document has another {name}",
                pointer=f"/{name}",
            )
    raise AssertionError("the entry and the document name the same record")


# Content


def _read_content(raw: bytes, kind: Any, type_name: str, origin: str) -> Projection:
    """The index values of a content of a known type. Raises Invalid where it is not understood."""
    try:
        document = _document_decoder(kind).decode(raw)
    except msgspec.ValidationError as error:
        raise without_values(error) from None
    if b"null" in raw and (pointer := null_member(msgspec.json.decode(raw), document_types(kind))):
        raise Invalid("a member without a value is left out, and never null", pointer=pointer)
    check_text(raw)
    return project(document.content, type_name, origin, document.tlp)


def _envelope_projection(type_name: str, origin: str, tlp: str) -> Projection:
    return Projection(facets=(f"{type_name}.origin={origin}", f"{type_name}.tlp={tlp}"))
