"""Follow a feed of advisories: read its indexes, then the documents that changed, and import them.

1. Read the indexes at the address of the feed (``advisory_indexes.py``). A file that is none has advisories,
   one or one a line.
2. Choose the documents that changed since the last run, oldest first, ``MAX_DOCUMENTS`` at most.
3. Read each, compare it with its hash where the index names one, and import it (``node/advisories``): what
   concerns no solution that is known here is skipped. Its label is never wider than that of the index.
4. A document whose server does not answer is asked for again in the next runs; after ``MAX_SILENT`` of them
   in a row the run ends. What was read is noted in the memory, whatever happens.
"""

from __future__ import annotations

import asyncio
import hashlib

import msgspec

from federation.domain.errors import Invalid, Refused, Unreachable
from federation.domain.feed import printable
from federation.domain.formats.advisory import MAX_ADVISORY_BYTES
from federation.domain.formats.catalogue import Catalogue
from federation.domain.formats.changes import DocumentRef, FeedMemory, due
from federation.domain.formats.csaf_provider import MAX_HASH_BYTES, document_label, read_hash
from federation.domain.formats.report import ImportLine
from federation.domain.formats.revision import Label
from federation.domain.messages import Message
from federation.domain.sources.reading import ReadingFault
from federation.domain.visibility import TLPS, Caller, Tlp, is_wider
from federation.node import advisories
from federation.node.advisory_indexes import IndexReading
from federation.node.node import Node
from federation.node.source_advisories import documents_of
from federation.outbound.documents import Documents

MAX_DOCUMENTS = 200
"""Documents of one run, at most."""
RUN_SECONDS = 600.0
"""Seconds after which a run reads no further document."""
MAX_SILENT = 3
"""Documents in a row whose server does not answer, after which a run ends."""


class AdvisoryFeed(msgspec.Struct, frozen=True, kw_only=True):
    """A source of advisories that is polled."""

    form: str
    """``csaf``, ``osv`` or ``cve``."""
    url: str
    private: bool = False
    """True where its host may be at an address that is not public."""
    label: Label = Label()
    """Label and audience of new incidents, where they are not wider than those of the feed."""
    solutions: tuple[str, ...] = ()
    """The solutions that its advisories are about, where they do not name them."""


class FeedRun(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a run."""

    memory: bytes
    """To be stored for the next run, also after an error."""
    lines: tuple[ImportLine, ...] = ()
    faults: tuple[ReadingFault, ...] = ()
    """Entries of an index that were not understood, and documents that are asked for again."""
    documents: int = 0
    """Documents that were read."""
    has_more: bool = False
    """True where documents are left for the next run: it may come at once."""
    error: Unreachable | None = None
    """The reason that the run ended early."""


async def follow(
    node: Node, feed: AdvisoryFeed, memory: bytes | None, *, by: Caller, dry_run: bool = False
) -> FeedRun:
    """Import what changed in a feed since the run that left ``memory``. Raises Refused for an unusable index.

    Without a solution that is known here, no document of an index is read.
    """
    state = _read_memory(memory)
    async with node.store.read() as tx:
        known = (await tx.read_advisories.catalogue_digest(node.operator)).hex()
    if known != state.solutions:
        state.etags, state.solutions = {}, known
    # After its hash: a solution that arrives in between makes the next run read anew.
    catalogue = await advisories.catalogue(node, feed.solutions)
    since = state.since
    async with Documents(feed.url, private=feed.private) as documents:
        reading = IndexReading(documents, feed.form, feed.url, state, node.clock())
        listed = await reading.read()
        run = _Run(node, feed, state, catalogue, documents, by, dry_run=dry_run)
        if reading.file is not None:
            await run.import_file(reading.file)
        wanted = await asyncio.to_thread(due, listed, state, node.clock(), MAX_DOCUMENTS + 1)
        if wanted and not catalogue.has_solutions:
            # Documents that were read now would not be read again when there are solutions.
            reason = Message("no solution is known here, so no advisory was read")
            run.faults.append(ReadingFault(printable(feed.url, 300), str(reason)))
        else:
            await run.import_all(wanted)
    error = run.error or reading.error
    if reading.is_incomplete:
        state.since = since  # else what that index lists would be too old when it is there again
    else:
        await asyncio.to_thread(state.forget_failed, listed)
    state.forget_recent()
    is_done = error is None and not run.has_more and not reading.is_incomplete and not state.failed
    # Without them all indexes are read again, for what is left of them.
    state.etags = reading.etags if is_done else {}
    return FeedRun(
        memory=msgspec.json.encode(state),
        lines=tuple(run.lines),
        faults=(*reading.faults, *run.faults),
        documents=run.read,
        has_more=run.has_more,
        error=error,
    )


def _read_memory(memory: bytes | None) -> FeedMemory:
    """The memory of the last run; a new one where an older program left it."""
    try:
        return msgspec.json.decode(memory, type=FeedMemory) if memory else FeedMemory()
    except msgspec.DecodeError:
        return FeedMemory()


class _Run:
    """The reading of the documents of one run."""

    def __init__(
        self,
        node: Node,
        feed: AdvisoryFeed,
        memory: FeedMemory,
        catalogue: Catalogue,
        documents: Documents,
        by: Caller,
        *,
        dry_run: bool,
    ) -> None:
        self._node = node
        self._feed = feed
        self._memory = memory
        self._catalogue = catalogue
        self._documents = documents
        self._by = by
        self._dry_run = dry_run
        self.lines: list[ImportLine] = []
        self.faults: list[ReadingFault] = []
        """Documents that are asked for again."""
        self.read = 0
        self.has_more = False
        self.error: Unreachable | None = None

    async def import_file(self, raw: bytes) -> None:
        """Import the advisories of a file: one, or one a line."""
        for place, document in documents_of(raw):
            self.lines += await self._import(document, place, None)
            self.read += 1

    async def import_all(self, wanted: list[DocumentRef]) -> None:
        """Read and import documents, as long as their servers answer."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + RUN_SECONDS
        silent = 0
        for number, document in enumerate(wanted):
            if number == MAX_DOCUMENTS or loop.time() > ends_at or self._node.stopping.is_set():
                self.has_more = True
                return
            place = printable(document.url, 300)
            try:
                raw = await self._read_document(document)
            except Unreachable as error:
                if not error.final and self._memory.has_failed(document):
                    self.faults.append(ReadingFault(place, error.detail))
                    silent += 1
                    if silent == MAX_SILENT:
                        self.error = error
                        return
                    continue
                self.lines.append(ImportLine("refused", place, detail=error.detail))
            except Refused as error:
                self.lines.append(ImportLine("refused", place, detail=error.detail))
            else:
                self.lines += await self._import(raw, place, document.label)
                self.read += 1
            silent = 0
            self._memory.has_read(document)

    async def _read_document(self, document: DocumentRef) -> bytes:
        """A document that is the one of its hash, where it has one. Raises Unreachable, Invalid."""
        raw = (await self._documents.get(document.url, max_bytes=MAX_ADVISORY_BYTES)).body or b""
        for url in document.hashes:
            try:
                answer = await self._documents.get(url, max_bytes=MAX_HASH_BYTES)
            except Unreachable as error:
                if error.final:
                    continue
                raise
            algorithm, expected = read_hash(answer.body or b"", url)
            if (await asyncio.to_thread(hashlib.new, algorithm, raw)).hexdigest() != expected:
                raise Invalid(
                    "the document is not the one that its hash {url} is of", url=printable(url, 300)
                )
            return raw
        if document.needs_hash:
            raise Invalid("the index names a hash of the document, and it is not there")
        return raw

    async def _import(self, raw: bytes, place: str, label: Tlp | None) -> list[ImportLine]:
        own = await asyncio.to_thread(document_label, raw) if self._feed.form == "csaf" else None
        wanted = label_of_document(self._feed.label, label, own)
        return await advisories.import_advisory(
            self._node,
            self._feed.form,
            raw,
            self._catalogue,
            source=place,
            by=self._by,
            tlp=wanted.tlp,
            audience=wanted.audience,
            dry_run=self._dry_run,
        )


def label_of_document(wanted: Label, index: Tlp | None, own: Tlp | None) -> Label:
    """The label to import a document with: never wider than its own and that of its index.

    ``wanted``: as the source asks for. AMBER needs a group of this node, so it becomes RED without one. No
    label leaves the incident to the label of its type, which is GREEN.
    """
    bound = max((label for label in (index, own) if label is not None), key=TLPS.index, default=None)
    if wanted.tlp is not None and (bound is None or not is_wider(wanted.tlp, bound)):
        return wanted
    if bound in (None, "CLEAR", "GREEN"):
        return Label()
    if bound == "RED" or wanted.audience is None:
        return Label("RED")
    return Label(bound, wanted.audience)
