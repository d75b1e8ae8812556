"""What the indexes of advisory feeds list: documents, each with the time of its last change.

``due`` chooses the documents of the next run, oldest first and a bounded number, so that each run goes on
where the last one ended. The times of an index may be days only, and a document may be listed a while after
its time: what changed within ``OVERLAP`` before the newest document that was read is compared with what was
read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from federation.domain.messages import Message
from federation.domain.sources.reading import ReadingFault
from federation.domain.values import as_instant
from federation.domain.visibility import Tlp

MAX_INDEX_BYTES = 32 * 1_048_576
"""Bytes of an index, at most."""
MAX_ENTRIES = 200_000
"""Documents of an index that are read, newest first."""
MAX_INDEX_FAULTS = 100
"""Faulty entries of an index that are listed."""
OVERLAP = timedelta(days=2)
MAX_RECENT = 20_000
"""Documents that are remembered as read."""
FIRST_DAYS = 90
"""Days of changes that the first run reads. What is older comes from an archive."""
MAX_TRIES = 5
"""Runs in which a document is asked for whose server does not answer."""
MAX_FAILED = 100
"""Documents that are remembered to be asked for again."""


class DocumentRef(msgspec.Struct, frozen=True):
    """A document that an index lists."""

    url: str
    changed_at: datetime
    hashes: tuple[str, ...] = ()
    """Addresses of its hash: the first one that is there holds."""
    needs_hash: bool = False
    """True where the index names them: without one the document is not read."""
    label: Tlp | None = None
    """The label of the index."""

    @property
    def name(self) -> str:
        """A short name of the document for the memory."""
        return hashlib.sha256(self.url.encode(errors="surrogatepass")).hexdigest()[:16]


class Index(msgspec.Struct, frozen=True):
    """The documents of one index."""

    documents: tuple[DocumentRef, ...]
    faults: tuple[ReadingFault, ...] = ()
    begins_at: datetime | None = None
    """The time since which it lists all changes; None where it lists every document."""


class FeedMemory(msgspec.Struct, omit_defaults=True):
    """The state of a feed after a run: the next one begins with it."""

    since: datetime | None = None
    """The change of the newest document that was read."""
    recent: dict[str, str] = {}
    """Documents that changed within ``OVERLAP`` before it, and the changes that were read."""
    failed: dict[str, int] = {}
    """Documents whose server did not answer, and the number of tries."""
    solutions: str = ""
    """A hash of the solutions that were known: a file of advisories is read again for other ones."""
    etags: dict[str, str] = {}
    """ETags of the indexes that were read to their end, by address."""

    def has_read(self, document: DocumentRef) -> None:
        """Note that a document was read, or refused for good."""
        self.since = max(self.since or document.changed_at, document.changed_at)
        self.recent[document.name] = as_instant(document.changed_at)
        self.failed.pop(document.name, None)

    def has_failed(self, document: DocumentRef) -> bool:
        """Note that the server of a document did not answer. Returns True while it is asked again."""
        tries = self.failed.get(document.name, 0) + 1
        if tries >= MAX_TRIES or (document.name not in self.failed and len(self.failed) >= MAX_FAILED):
            self.has_read(document)
            return False
        self.failed[document.name] = tries
        return True

    def forget_failed(self, listed: Iterable[DocumentRef]) -> None:
        """Leave out failed documents that no index lists any more."""
        names = {document.name for document in listed} if self.failed else set()
        self.failed = {name: tries for name, tries in self.failed.items() if name in names}

    def forget_recent(self) -> None:
        """Leave out what the next run does not compare."""
        first = as_instant(self.since - OVERLAP) if self.since else ""
        newest = sorted((at, name) for name, at in self.recent.items() if at > first)[-MAX_RECENT:]
        self.recent = {name: at for at, name in newest}


def due(
    documents: Iterable[DocumentRef], memory: FeedMemory, now: datetime, number: int
) -> list[DocumentRef]:
    """The next documents to read, oldest first; one that an index lists several times is read once."""
    since = memory.since - OVERLAP if memory.since else now - timedelta(days=FIRST_DAYS)
    newest: dict[str, DocumentRef] = {}
    for document in documents:
        stored = newest.get(document.url)
        if stored is None or document.changed_at > stored.changed_at:
            newest[document.url] = document
    wanted = [
        document
        for document in newest.values()
        if (memory.failed and document.name in memory.failed)
        or (
            document.changed_at > since
            and memory.recent.get(document.name) != as_instant(document.changed_at)
        )
    ]
    wanted.sort(key=lambda document: (document.changed_at, document.url))
    return wanted[:number]


class Faults:
    """Collects faulty entries of an index, a bounded number."""

    def __init__(self) -> None:
        self._faults: list[ReadingFault] = []

    def add(self, place: str, reason: Message, member: str | None = None) -> None:
        if len(self._faults) < MAX_INDEX_FAULTS:
            self._faults.append(ReadingFault(place, str(reason), member))

    @property
    def all(self) -> tuple[ReadingFault, ...]:
        return tuple(self._faults)
