"""Feeds: the records of one origin for one audience, in the order they last changed.

Every write gives its record the feed's next number, ``seq``; a tombstone is a record without content;
a snapshot is the feed from zero. Whoever has read a feed to its head has every record of it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import AsyncIterator
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from federation.domain.document import Op, Record, read_record
from federation.domain.errors import Invalid
from federation.domain.values import GROUP_PATTERN, SAFE_INTEGER, Count, Key, Operator, TypeName
from federation.domain.visibility import PRIVATE

PAGE_ENTRIES = 1_000
"""Entries of a page, at most."""
PAGE_BYTES = 5 * 1_048_576
"""Bytes of a page at which no further entry is added to it; a page has at least one entry."""
LONGEST_WAIT = 30
"""Seconds that an answer can be waited for (``Prefer: wait``), at most."""


class FeedName(msgspec.Struct, frozen=True, order=True):
    """What names a feed: (origin, audience)."""

    origin: str
    audience: str

    def __str__(self) -> str:
        return f"{self.origin}/{self.audience}"


class Cursor(msgspec.Struct, frozen=True):
    """A place in a feed: everything up to and with ``seq`` has been read.

    Its text is ``epoch.seq``. To who pages it is opaque; who reads a stream builds the cursor of a line
    from the feed's epoch and the line's ``seq``, and so can resume after any line.
    """

    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Raises Invalid for what is no cursor."""
        if not re.fullmatch(r"[0-9a-f]{16}\.[0-9]{1,16}", text):
            raise Invalid(f"{text[:80]!r} is not a cursor; take one from an answer, or leave it out")
        epoch, seq = text.split(".")
        return cls(epoch, int(seq))


def mint_epoch() -> str:
    """A new epoch: 64 random bits."""
    return secrets.token_hex(8)


class Head(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a feed ends now."""

    origin: Operator
    audience: Annotated[str, Meta(pattern=GROUP_PATTERN, examples=["public", "federation", "security"])]
    epoch: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}$")]
    seq: Annotated[
        int, Meta(ge=0, le=SAFE_INTEGER, description="Number of the last entry; 0 in an empty feed.")
    ]
    retained_from: Annotated[
        int,
        Meta(
            ge=0,
            le=SAFE_INTEGER,
            description="Cursors before this number have missed tombstones: start from zero.",
        ),
    ]
    count: Annotated[int, Meta(ge=0, le=SAFE_INTEGER, description="Records held, tombstones not counted.")]

    @property
    def name(self) -> FeedName:
        return FeedName(self.origin, self.audience)


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change of a feed, as it goes over the wire."""

    seq: Annotated[int, Meta(ge=1, le=2**53 - 1)]
    op: Op
    type: TypeName
    key: Key
    revision: Annotated[int, Meta(ge=1, le=2**53 - 1)]
    hash: (
        Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the document's bytes.")] | None
    ) = None
    document: msgspec.Raw = msgspec.Raw()


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some entries of a feed, in order, and where they end."""

    entries: tuple[Entry, ...]
    cursor: Cursor
    more: bool


class Source(Protocol):
    """Where feeds can be read: a peer's node over HTTP, or a node in this process."""

    def changes(self, feed: FeedName, after: Cursor | None) -> AsyncIterator[Page]:
        """The feed's entries after the cursor, page by page, to its head."""
        ...


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that holds what it says: the record, or the withdrawal of one."""

    seq: int
    type: str
    key: str
    revision: int
    record: Record | None
    """None for a withdrawal."""


class SetAside(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that was not taken, and why. Its content is not kept."""

    seq: Count
    type: str
    key: str
    revision: int
    reason: Annotated[
        str,
        Meta(
            examples=[
                "bad-hash",
                "bad-document",
                "wrong-audience",
                "regressing-revision",
                "changed-at-same-revision",
            ]
        ),
    ]
    detail: str


def verify(entry: Entry, feed: FeedName) -> Verified | SetAside:
    """Hold an entry of a peer's feed against what it says of itself.

    The hash is that of the bytes that came; the document names this entry and this origin; its label
    puts it in this very feed; a known type keeps its schema.
    """

    def refuse(reason: str, detail: str) -> SetAside:
        return SetAside(
            seq=entry.seq,
            type=entry.type,
            key=entry.key,
            revision=entry.revision,
            reason=reason,
            detail=detail,
        )

    if entry.op == "withdraw":
        return Verified(seq=entry.seq, type=entry.type, key=entry.key, revision=entry.revision, record=None)
    raw = bytes(entry.document)
    if hashlib.sha256(raw).hexdigest() != entry.hash:
        return refuse("bad-hash", "the document's bytes do not have the hash that the entry names")
    try:
        record = read_record(
            raw, type_name=entry.type, origin=feed.origin, key=entry.key, revision=entry.revision
        )
    except Invalid as error:
        at = f" at {error.pointer}" if error.pointer else ""
        return refuse("bad-document", _told(f"{error.detail}{at}"))
    if record.audience != feed.audience or record.audience == PRIVATE:
        return refuse("wrong-audience", f"a document for {record.audience} in the feed {feed}")
    if record.op != entry.op:
        return refuse("bad-document", f"the entry says {entry.op}, the document is one to {record.op}")
    return Verified(seq=entry.seq, type=entry.type, key=entry.key, revision=entry.revision, record=record)


def _told(detail: str) -> str:
    """A reason without the values it quotes, which are content."""
    return printable(re.sub(r"'[^']*'|\"[^\"]*\"", "…", detail))


def printable(said: str, most: int = 500) -> str:
    """What a peer said, so that it can be stored, logged and shown."""
    return "".join(char if char.isprintable() else "\ufffd" for char in said[:most])


class Lines:
    """Cuts a body that comes in pieces into its lines, copying each byte once however small they are."""

    def __init__(self) -> None:
        self._begun: list[bytes] = []
        self.rest = 0
        """Bytes of the line that has begun."""

    def cut(self, piece: bytes) -> list[bytes]:
        """The lines that end in this piece."""
        first, *others = piece.split(b"\n")
        self._begun.append(first)
        self.rest += len(first)
        if not others:
            return []
        whole = [self.end(), *others[:-1]]
        self._begun, self.rest = [others[-1]], len(others[-1])
        return whole

    def end(self) -> bytes:
        """What came after the last line end."""
        return b"".join(self._begun)
