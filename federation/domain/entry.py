"""Entries of a feed: read from a line, and verified against what they say of themselves."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from federation.domain.content.group import Group
from federation.domain.document import is_type
from federation.domain.errors import Invalid
from federation.domain.feed import Cursor, FeedName, printable
from federation.domain.record import Op, Record
from federation.domain.record_reading import read_record
from federation.domain.schema_faults import without_values
from federation.domain.values import END, KEY_PATTERN, SAFE_INTEGER, Count, Key, TypeName
from federation.domain.visibility import FEDERATION, PRIVATE, PUBLIC


class FeedEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change of a feed, as it goes over the wire."""

    seq: Annotated[int, Meta(ge=1, le=2**53 - 1)]
    op: Op
    type: TypeName
    key: Key
    revision: Annotated[int, Meta(ge=1, le=2**53 - 1)]
    hash: (
        Annotated[str, Meta(pattern=r"^[0-9a-f]{64}" + END, description="SHA-256 of the document's bytes.")]
        | None
    ) = None
    document: msgspec.Raw = msgspec.Raw()


class VerifiedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that was verified: a record, or the withdrawal of one."""

    seq: int
    type: str
    key: str
    revision: int
    record: Record | None
    """None for a withdrawal."""


class RejectedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that was not applied, with the reason. Its content is not stored."""

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
                "unreadable",
                "not-storable",
            ]
        ),
    ]
    detail: str


class EntryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some entries of a feed, in order, and where they end."""

    entries: tuple[FeedEntry | RejectedEntry, ...]
    """Lines that could not be read as an entry are rejected ones."""
    cursor: Cursor
    more: bool


class FeedSource(Protocol):
    """A source of feeds: a peer's node over HTTP, or a node in this process."""

    def changes(self, feed: FeedName, after: Cursor | None) -> AsyncIterator[EntryPage]:
        """The feed's entries after the cursor, page by page, to its head."""
        ...


_entry = msgspec.json.Decoder(FeedEntry)


class _Numbered(msgspec.Struct):
    """An entry of which only the number is needed, to go on after it."""

    seq: Annotated[int, Meta(ge=1, le=SAFE_INTEGER)]
    type: msgspec.Raw = msgspec.Raw()
    key: msgspec.Raw = msgspec.Raw()
    revision: msgspec.Raw = msgspec.Raw()


_numbered = msgspec.json.Decoder(_Numbered)

# Nodes write the number first: so an entry that is nested too deep to be decoded still shows it.
_FIRST = re.compile(rb'\{"seq":([1-9][0-9]{0,14}),')


def read_entry(line: bytes) -> FeedEntry:
    """The entry of a line. Raises Invalid, in words of the schema alone."""
    try:
        return _entry.decode(line)
    except msgspec.ValidationError as error:
        raise without_values(error) from None
    except RecursionError:
        raise Invalid("it is nested too deep") from None
    except UnicodeDecodeError:
        raise Invalid("it is not UTF-8") from None
    except (msgspec.DecodeError, ValueError):
        raise Invalid("it is not JSON that is read here") from None


def unreadable(line: bytes, reason: Invalid) -> RejectedEntry:
    """An entry that cannot be read but for its number, so that one can go on after it.

    Raises Invalid for a line that is no JSON object with a number.
    """
    try:
        numbered = _numbered.decode(line)
    except RecursionError:
        match = _FIRST.match(line)
        if match is None:
            raise Invalid(f"{reason.detail}, and it does not begin with its number") from None
        numbered = _Numbered(int(match[1]))
    except (msgspec.MsgspecError, ValueError):
        raise Invalid(f"{reason.detail}, and it has no number that can be") from None
    type_, key, revision = _plain(numbered.type), _plain(numbered.key), _plain(numbered.revision)
    if not (isinstance(type_, str) and is_type(type_)):
        type_ = "?"
    if not (isinstance(key, str) and re.fullmatch(KEY_PATTERN, key)):
        key = "?"
    if "?" in (type_, key):
        # It names no record: by its number it is told from others of its kind.
        key = f"{key.removesuffix('?')}?{numbered.seq}"
    if not (type(revision) is int and 0 < revision <= SAFE_INTEGER):
        revision = 0
    at = f" at {reason.pointer}" if reason.pointer else ""
    return RejectedEntry(
        seq=numbered.seq,
        type=type_,
        key=key,
        revision=revision,
        reason="unreadable",
        detail=f"{reason.detail}{at}",
    )


def _plain(raw: msgspec.Raw) -> object:
    try:
        return msgspec.json.decode(raw) if bytes(raw) else None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def verify(entry: FeedEntry, feed: FeedName) -> VerifiedEntry | RejectedEntry:
    """Verify an entry of a peer's feed against its own members and the feed.

    The hash is that of the bytes; the document is canonical and names this entry and this origin; its label
    belongs in this feed. A content that is not understood is no reason to reject it (``record_reading``).
    """

    def refuse(reason: str, detail: str) -> RejectedEntry:
        return RejectedEntry(
            seq=entry.seq,
            type=entry.type,
            key=entry.key,
            revision=entry.revision,
            reason=reason,
            detail=detail,
        )

    if entry.op == "withdraw":
        return VerifiedEntry(
            seq=entry.seq, type=entry.type, key=entry.key, revision=entry.revision, record=None
        )
    raw = bytes(entry.document)
    digest = hashlib.sha256(raw).digest()
    if digest.hex() != entry.hash:
        return refuse("bad-hash", "the document's bytes do not have the hash that the entry names")
    try:
        record = read_record(
            raw,
            type_name=entry.type,
            origin=feed.origin,
            key=entry.key,
            revision=entry.revision,
            digest=digest,
        )
    except Invalid as error:
        at = f" at {error.pointer}" if error.pointer else ""
        return refuse("bad-document", printable(f"{error.detail}{at}"))
    if record.type == Group.type:
        return refuse("wrong-audience", "a group is RED and never leaves its node")
    if record.audience != feed.audience or record.audience == PRIVATE:
        is_group = record.audience not in (PUBLIC, FEDERATION, PRIVATE)
        whom = record.audience if not is_group else "another group"  # the group's name is the document's
        return refuse("wrong-audience", f"a document for {whom} in the feed {feed}")
    if record.op != entry.op:
        return refuse("bad-document", f"the entry says {entry.op}, the document is one to {record.op}")
    return VerifiedEntry(
        seq=entry.seq, type=entry.type, key=entry.key, revision=entry.revision, record=record
    )


class Lines:
    """Cuts a body that comes in pieces into its lines, copying each byte once however small they are."""

    def __init__(self) -> None:
        self._begun: list[bytes] = []
        self._skipping = False
        self.rest = 0
        """Bytes of the line that has begun."""

    def cut(self, piece: bytes) -> list[bytes]:
        """The lines that end in this piece."""
        if self._skipping:
            _, end, piece = piece.partition(b"\n")
            if not end:
                return []
            self._skipping = False
        first, *following = piece.split(b"\n")
        self._begun.append(first)
        self.rest += len(first)
        if not following:
            return []
        lines = [self.end(), *following[:-1]]
        self._begun, self.rest = [following[-1]], len(following[-1])
        return lines

    def skip(self) -> None:
        """Give up the line that has begun: none of it is stored, neither now nor when more of it comes."""
        self._begun, self.rest, self._skipping = [], 0, True

    def end(self) -> bytes:
        """The text after the last line end."""
        return b"".join(self._begun)
