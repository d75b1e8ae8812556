"""Records as a node answers them: the bytes as their operator wrote them, read as their type when asked."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from federation.client.errors import NotUnderstood, UnexpectedAnswer
from federation.client.names import query_value
from federation.domain.document import Document
from federation.domain.record_content import Content

C = TypeVar("C", bound=Content)


class ReadEnvelope(msgspec.Struct, frozen=True, kw_only=True):
    """The envelope of a document of any version: a label that is not known here is a text, too."""

    type: str
    origin: str
    key: str
    revision: int
    created_at: str
    updated_at: str
    tlp: str
    audience: str | None = None
    same_as: tuple[str, ...] = ()


_envelope = msgspec.json.Decoder(ReadEnvelope)


class RecordView(Generic[C]):
    """A record: its envelope, its content, and the ``ETag`` for a conditional write.

    ``raw`` is what was hashed and signed. The content is decoded when it is asked for, so that a record of
    a newer version can be listed, stored and compared by a program that does not understand it.
    """

    def __init__(self, raw: bytes, kind: type[C], *, created: bool = False) -> None:
        self.raw = raw
        self.created = created
        """True for the answer to the write that made the record."""
        self._kind = kind
        try:
            self.envelope = _envelope.decode(raw)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise UnexpectedAnswer(f"a record cannot be read: {error}") from error

    def __repr__(self) -> str:
        return f"<{self.envelope.type} {self.id}, revision {self.revision}>"

    @property
    def id(self) -> str:
        """``origin/key``: the name of the record in the federation."""
        return f"{self.envelope.origin}/{self.envelope.key}"

    @property
    def key(self) -> str:
        return self.envelope.key

    @property
    def revision(self) -> int:
        return self.envelope.revision

    @cached_property
    def etag(self) -> str:
        """The strong validator of this state, the same at every node: the SHA-256 of the bytes, quoted."""
        return f'"{hashlib.sha256(self.raw).hexdigest()}"'

    @cached_property
    def document(self) -> Document[C]:
        """The envelope and the content, in the types of this version. Raises NotUnderstood."""
        shape: Any = Document
        try:
            document: Document[C] = msgspec.json.decode(self.raw, type=shape[self._kind])
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise NotUnderstood(
                f"{self.envelope.type} {self.id} is not read by this version: {error}"
            ) from error
        return document

    @property
    def content(self) -> C:
        """The content. Raises NotUnderstood."""
        content = self.document.content
        if content is None:
            raise NotUnderstood(f"{self.envelope.type} {self.id} is a tombstone and has no content")
        return content

    @property
    def understood(self) -> bool:
        """True when the content can be read in the types of this version."""
        try:
            return self.document.content is not None
        except NotUnderstood:
            return False

    def to_builtins(self) -> dict[str, Any]:
        """The document as plain values, with all members that its writer set."""
        value: dict[str, Any] = msgspec.json.decode(self.raw)
        return value


class Page(NamedTuple, Generic[C]):
    """A page of a list."""

    items: tuple[RecordView[C], ...]
    after: str | None
    """The ``after`` of the next page; None on the last one."""
    total: int | None = None
    """Records that match, where ``total`` was asked for."""
    total_is_exact: bool = True
    """False when there are more than ``total``."""
    suggestion: str | None = None
    """Similar words that find something, where the words of a search find nothing."""
    not_understood: int = 0
    """Records that the node itself does not understand, where it says so: a filter may miss them."""


class _PageBody(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[msgspec.Raw, ...]
    next: str | None = None
    total: int | None = None
    total_is_exact: bool = True
    suggestion: str | None = None
    not_understood: int = 0


_page = msgspec.json.Decoder(_PageBody)


def read_page(body: bytes, kind: type[C]) -> Page[C]:
    """A page of its JSON. Raises UnexpectedAnswer."""
    try:
        page = _page.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UnexpectedAnswer(f"a page cannot be read: {error}") from error
    return Page(
        tuple(RecordView(bytes(item), kind) for item in page.items),
        query_value(page.next, "after"),
        page.total,
        page.total_is_exact,
        page.suggestion,
        page.not_understood,
    )
