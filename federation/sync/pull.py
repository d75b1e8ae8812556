"""Pull a feed: read its entries after the cursor, verify them, and store them batch by batch.

1. Nothing is asked where the cursor is at the head already.
2. Pages are read and verified ahead, while the batches before them are stored (``batches``).
3. The pull ends at the number of the head that began it: one garbled number cannot lead the cursor beyond.
4. A feed that may not be read any more is dropped. One whose removals exceed the guard is paused, and its
   withdrawals are carried out all the same. So are all feeds of a peer that would go beyond its quota.
5. Of a group's feed without entries nothing is stored.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TypeVar

from federation.domain.copy import CopyFacts, RemovalGuard
from federation.domain.entry import EntryPage, FeedEntry, FeedSource, RejectedEntry, VerifiedEntry, verify
from federation.domain.errors import AudienceRevoked, EpochChanged, StaleCursor
from federation.domain.feed import Cursor, FeedName, FeedState, Head
from federation.domain.quota import BeyondQuota
from federation.domain.visibility import FEDERATION, PUBLIC
from federation.node import copies, quotas
from federation.node.node import Node
from federation.sync.apply import PullResult, RemovalsPaused
from federation.sync.batches import BatchPipeline

log = logging.getLogger("federation.sync")

T = TypeVar("T")
VerifiedPage = tuple[EntryPage, list[VerifiedEntry | RejectedEntry]]

MAX_PAGES_AHEAD = 2
"""Pages that are verified before they can be stored."""
ENTRIES_PER_TURN = 20
"""Entries verified before other tasks have a turn: half a millisecond."""
LONG_DOCUMENT_BYTES = 16_384
"""Bytes from which on a document is verified in a thread: 5 ms, where it is made to take long. And bytes of
shorter ones that are verified before other tasks have a turn."""
LONG_PULL_ENTRIES = 1_000
"""Entries from which on the head is noted before they come, so that the lag shows meanwhile."""


async def pull(
    node: Node, head: Head, source: FeedSource, stored: tuple[FeedState | None, CopyFacts] | None = None
) -> PullResult:
    """Bring the copy of a feed to a head of the same epoch. ``stored``: the copy, where it was just read.

    Raises StaleCursor where another process goes on with the feed, CursorRefused, and Unreachable.
    """
    name = head.name
    result = PullResult()
    feed, copy = stored or await copies.read_copy(node, name)
    result.live_before, result.confirmed = feed.live if feed else 0, copy.confirmed
    if feed is not None and feed.epoch == head.epoch and feed.head == head.seq:
        return result
    if feed is not None and feed.epoch not in (None, head.epoch):
        # Only a repair leads to another epoch: revisions may have gone back, and the signature alone tells.
        raise StaleCursor
    verified = pages = verify_ahead(source.changes(name, feed.cursor if feed else None), name)
    try:
        if feed is None and is_of_group(name):
            if (first := await _first_with_entries(pages, head.seq)) is None:
                # Else a peer could leave a row here for each name that it makes up.
                result.verified = True  # it is asked again when its head moves
                return result
            pages = _beginning_with(first, pages)
        if feed is None or head.seq - feed.head >= LONG_PULL_ENTRIES:
            feed = await copies.open_copy(node, name, head.seq)
        allowance = await quotas.read_allowance(node, name.origin)
        async with BatchPipeline(node, feed, result, allowance) as batches:
            async for page, entries in pages:
                if page.cursor.epoch != head.epoch:
                    raise EpochChanged(f"the feed {name} came in epoch {page.cursor.epoch}, not {head.epoch}")
                cursor, entries = _cut(head.seq, page.cursor, entries)
                if entries or feed.epoch is None:  # an empty feed has a cursor, too
                    await batches.add(cursor, entries)
        if copy.guard is not RemovalGuard.OPEN:
            await copies.clear_confirmation(node, feed.id)
    except AudienceRevoked:
        result.purged = await copies.purge(node, name)
    except RemovalsPaused as error:
        await copies.pause_removals(node, name, str(error))
        await carry_out_withdrawals(node, name, source)
    except BeyondQuota as error:
        await quotas.pause(node, name.origin, error)
        await carry_out_withdrawals(node, name, source)
        result.paused = True
    except EpochChanged:
        # It changed between the head and the first page; the next head has the new epoch.
        log.warning("the feed was minted anew", extra={"feed": str(name)})
    finally:
        await verified.aclose()
    return result


def is_of_group(name: FeedName) -> bool:
    """True for the feed of a group: an origin has as many as it likes, and two others."""
    return name.audience not in (PUBLIC, FEDERATION)


async def _first_with_entries(pages: AsyncGenerator[VerifiedPage], seq: int) -> VerifiedPage | None:
    """The first page that has an entry up to a number; None where there is none."""
    async for page, entries in pages:
        if _cut(seq, page.cursor, entries)[1]:
            return page, entries
    return None


async def _beginning_with(
    first: VerifiedPage, pages: AsyncGenerator[VerifiedPage]
) -> AsyncGenerator[VerifiedPage]:
    yield first
    async for page in pages:
        yield page


async def carry_out_withdrawals(node: Node, name: FeedName, source: FeedSource) -> int:
    """Carry out the withdrawals of a paused feed, and nothing else. Returns how many records were dropped.

    A record that may not be seen any more must go, whatever is to be confirmed. The cursor stays: all is read
    again when the feed goes on.
    """
    feed, _ = await copies.read_copy(node, name)
    dropped = 0
    if feed is None or feed.epoch is None:
        return dropped
    allowance = node.allowances[name.origin]
    done = allowance.withdrawals_read
    # From where the last time ended: a peer beyond its quota may have entries without end.
    before = done.get(name.audience)
    after = before if before and before.epoch == feed.epoch and before.seq > feed.head else feed.cursor
    if not allowance.may_search(0, node.clock()):
        return dropped
    async with aclosing(verify_ahead(source.changes(name, after), name)) as pages:
        async for page, entries in pages:
            withdrawals = [e for e in entries if isinstance(e, VerifiedEntry) and e.record is None]
            if withdrawals:
                dropped += await copies.store_withdrawals(node, feed, page.cursor.epoch, withdrawals)
            done[name.audience] = page.cursor
            if not allowance.may_search(len(entries), node.clock()):
                break  # the next hour goes on from here
    return dropped


def _cut(
    seq: int, cursor: Cursor, entries: list[VerifiedEntry | RejectedEntry]
) -> tuple[Cursor, list[VerifiedEntry | RejectedEntry]]:
    """The entries up to a number, and the cursor after them."""
    if cursor.seq <= seq:
        return cursor, entries
    return Cursor(cursor.epoch, seq), [entry for entry in entries if entry.seq <= seq]


async def verify_ahead(pages: AsyncIterator[EntryPage], name: FeedName) -> AsyncGenerator[VerifiedPage]:
    """Pages with their entries verified, while the ones before them are being stored.

    ``MAX_PAGES_AHEAD`` wait, and one more is read meanwhile, so that the sender never has to pause. A single
    page is verified without a task of its own.
    """
    try:
        async for page in pages:
            yield page, await _verify_page(page, name)
            if page.more:
                break
        else:
            return
        read = _prefetch(pages, 1)
        verified = _prefetch(_verify_pages(read, name), MAX_PAGES_AHEAD)
        async with aclosing(read), aclosing(verified):
            async for verified_page in verified:
                yield verified_page
    finally:
        await _close(pages)


async def _verify_pages(pages: AsyncIterator[EntryPage], name: FeedName) -> AsyncIterator[VerifiedPage]:
    async for page in pages:
        yield page, await _verify_page(page, name)


async def _verify_page(page: EntryPage, name: FeedName) -> list[VerifiedEntry | RejectedEntry]:
    verified: list[VerifiedEntry | RejectedEntry] = []
    entries = size = 0
    for entry in page.entries:
        if entries == ENTRIES_PER_TURN or size >= LONG_DOCUMENT_BYTES:
            await asyncio.sleep(0)  # answers of the database are not to wait for a whole page
            entries = size = 0
        verified.append(await verify_entry(entry, name))
        entries, size = entries + 1, size + _size(entry)
    return verified


async def verify_entry(entry: FeedEntry | RejectedEntry, name: FeedName) -> VerifiedEntry | RejectedEntry:
    """Verify an entry; a long one in a thread, which gives way to this one every few milliseconds."""
    if isinstance(entry, RejectedEntry):
        return entry
    if _size(entry) <= LONG_DOCUMENT_BYTES:
        return verify(entry, name)
    return await asyncio.to_thread(verify, entry, name)


def _size(entry: FeedEntry | RejectedEntry) -> int:
    return 0 if isinstance(entry, RejectedEntry) else memoryview(entry.document).nbytes


async def _prefetch(items: AsyncIterator[T], max_items: int) -> AsyncGenerator[T]:
    """Items, made ready before they are asked for, up to a number."""
    ready: asyncio.Queue[tuple[T] | None] = asyncio.Queue()
    room = asyncio.Semaphore(max_items)

    async def read() -> None:
        async for item in items:
            await room.acquire()
            ready.put_nowait((item,))

    reading = asyncio.ensure_future(read())
    reading.add_done_callback(lambda _: ready.put_nowait(None))
    try:
        while (box := await ready.get()) is not None:
            room.release()
            yield box[0]
        await reading
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await _close(items)


async def _close(items: AsyncIterator[T]) -> None:
    if close := getattr(items, "aclose", None):
        await close()
