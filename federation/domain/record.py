"""Records: a draft written as a document, a tombstone, and the comparison with the stored revision.

A peer's document becomes a record in ``record_reading``.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, Literal

import msgspec

from federation.domain.canonical import canonical, check_text
from federation.domain.document import MAX_DOCUMENT, SERVER_OWNED, Document, Envelope, Sealed
from federation.domain.draft import Draft
from federation.domain.errors import Invalid
from federation.domain.projection import Projection
from federation.domain.record_content import Content
from federation.domain.values import as_instant, instant
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
    not_understood: str | None = None
    """The reason that this version does not understand the content, in words of the schema; None if it does.

    Only a peer's record has one. A tombstone has no content, and so none.
    """

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
        projection=project(draft.content, kind.type, origin, tlp),
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


def project(content: Content, type_name: str, origin: str, tlp: str) -> Projection:
    """The index values of a content, and of the envelope around it."""
    projection = content.project()
    always = (f"{type_name}.origin={origin}", f"{type_name}.tlp={tlp}")
    return Projection(
        always + projection.facets, projection.beneficiaries, projection.french, projection.other
    )


def supersedes(new_revision: int, held_revision: int) -> bool:
    """Return True if a revision replaces the stored one. Only the origin writes, so the higher one wins."""
    return new_revision > held_revision
