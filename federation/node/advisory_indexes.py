"""Read the indexes of a feed of advisories: the documents that they list.

The address of a feed is that of a CSAF provider's metadata, a ROLIE feed, the ``changes.csv`` of a directory,
OSV's ``modified_id.csv`` or the log of the list of CVE records; of a CSAF provider the host alone is enough.
Anything else is a file of advisories.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import urlsplit

from federation.domain.errors import Invalid, Unreachable
from federation.domain.feed import printable
from federation.domain.formats.changes import (
    FIRST_DAYS,
    MAX_INDEX_BYTES,
    OVERLAP,
    DocumentRef,
    FeedMemory,
    Index,
)
from federation.domain.formats.csaf_provider import (
    WELL_KNOWN,
    Feed,
    read_changes,
    read_index_json,
    read_provider,
    read_rolie,
)
from federation.domain.formats.cve_deltas import read_deltas
from federation.domain.formats.osv_changes import reaches, read_modified_ids
from federation.domain.messages import Message
from federation.domain.sources.reading import ReadingFault
from federation.outbound.documents import Documents, IsEnough


class IndexReading:
    """The reading of all indexes of one feed; what comes of it beside the documents."""

    def __init__(self, documents: Documents, form: str, url: str, memory: FeedMemory, now: datetime) -> None:
        self._documents = documents
        self._form = form
        self._url = url
        self._memory = memory
        self._now = now
        self.etags: dict[str, str] = {}
        self.faults: list[ReadingFault] = []
        self.file: bytes | None = None
        """The file at the address, where it is no index."""
        self.is_incomplete = False
        """True where an index could not be read, so that its documents are not known."""
        self.error: Unreachable | None = None
        """The reason of that, where it may be another one the next time."""

    async def read(self) -> list[DocumentRef]:
        """The documents of all indexes; none of those that have not changed. Raises Unreachable, Invalid."""
        form, url = self._form, self._url
        if form == "csaf":
            parts = urlsplit(url)
            if parts.path in ("", "/") and not parts.query:
                url = f"{url.rstrip('/')}{WELL_KNOWN}"
            elif url.endswith("/"):
                url = f"{url}changes.csv"
        if form == "osv" and url.endswith(".csv"):
            return await self._read_index(url, partial(read_modified_ids, url=url), self._end_of_changes())
        if form == "csaf" and url.endswith(".csv"):
            return await self._read_index(url, partial(read_changes, url=url, label=None))
        raw = await self._fetch(url)
        if raw is None:
            return []
        kind = await asyncio.to_thread(_kind_of, form, raw)
        if kind == "deltas":
            return self._note(await asyncio.to_thread(read_deltas, raw, url))
        if kind == "rolie":
            return self._note(await asyncio.to_thread(read_rolie, raw, None))
        if kind == "provider":
            provider = await asyncio.to_thread(read_provider, raw)
            return await self._read_feeds(provider.feeds, is_trusted=provider.is_trusted)
        self.file = raw
        return []

    def _end_of_changes(self) -> IsEnough | None:
        """The end of what is needed of a list whose newest changes come first.

        A document that was asked for in vain may be anywhere in it.
        """
        if self._memory.failed:
            return None
        since = self._memory.since - OVERLAP if self._memory.since else self._now - timedelta(days=FIRST_DAYS)
        return partial(reaches, since=since)

    async def _read_feeds(self, feeds: tuple[Feed, ...], *, is_trusted: bool) -> list[DocumentRef]:
        """The documents of the feeds of a provider. One that cannot be read is reported, the others read."""
        documents: list[DocumentRef] = []
        for feed in feeds:
            read: Callable[[bytes], Index] = partial(read_rolie, label=feed.label)
            if feed.is_directory:
                read = partial(read_changes, url=feed.url, label=feed.label, is_trusted=is_trusted)
            try:
                documents += await self._read_index(feed.url, read)
            except (Unreachable, Invalid) as error:
                self.is_incomplete = True
                if isinstance(error, Unreachable) and not error.final:
                    self.error = error
                self.faults.append(ReadingFault(printable(feed.url, 300), error.detail, error.pointer))
        return documents

    async def _read_index(
        self, url: str, read: Callable[[bytes], Index], is_enough: IsEnough | None = None
    ) -> list[DocumentRef]:
        raw = await self._fetch(url, is_enough)
        return [] if raw is None else self._note(await asyncio.to_thread(read, raw))

    def _note(self, index: Index) -> list[DocumentRef]:
        self.faults += index.faults
        since, begins_at = self._memory.since, index.begins_at
        if since is not None and begins_at is not None and begins_at > since:
            reason = Message(
                "the index begins after the last run: import an archive for what changed in between"
            )
            self.faults.append(ReadingFault(printable(self._url, 300), str(reason)))
        return list(index.documents)

    async def _fetch(self, url: str, is_enough: IsEnough | None = None) -> bytes | None:
        """An index; None where it has not changed."""
        etag = self._memory.etags.get(url)
        answer = await self._documents.get(url, max_bytes=MAX_INDEX_BYTES, etag=etag, is_enough=is_enough)
        if answer.etag:
            self.etags[url] = answer.etag
        return answer.body


_OF_PROVIDERS = {"canonical_url", "distributions", "metadata_version"}
"""Members of the metadata of a provider that advisories do not have."""


def _kind_of(form: str, raw: bytes) -> str:
    """The kind of a file by its members: the formats name none."""
    try:
        value = read_index_json(raw)
    except Invalid:
        return "file"
    if form == "cve" and (isinstance(value, list) or (isinstance(value, dict) and "fetchTime" in value)):
        return "deltas"
    if form == "csaf" and isinstance(value, dict):
        if "feed" in value:
            return "rolie"
        if _OF_PROVIDERS & value.keys():
            return "provider"
    return "file"
