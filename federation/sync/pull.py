"""One step of following a peer: take what a feed has after the cursor.

While one slice is being stored (``keeping.py``) the next ones are read and verified.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TypeVar

from federation.domain.checkpoint import bucket_of
from federation.domain.errors import AudienceRevoked, EpochChanged
from federation.domain.feed import (
    Cursor,
    EntryPage,
    FeedName,
    FeedSource,
    Head,
    RejectedEntry,
    VerifiedEntry,
    verify,
)
from federation.domain.record import supersedes
from federation.node.node import Node
from federation.store.copies import CopyRow
from federation.store.database import VACUUM_RECORDS
from federation.store.feeds import FeedState
from federation.sync.apply import BatchPipeline, PullResult, RemovalsPaused, StaleCursor

log = logging.getLogger("federation.sync")

T = TypeVar("T")

AHEAD = 2
"""Pages that are verified before they can be stored, at most."""
AT_ONCE = 20
"""Entries verified before others have a turn: half a millisecond."""


async def pull(
    node: Node, head: Head, source: FeedSource, held: tuple[FeedState | None, CopyRow] | None = None
) -> PullResult:
    """Take a peer's feed to its head. ``held``: what is known of our copy, where that was just read.

    Nothing is asked of the network when we are there already. A feed of a new epoch is taken from zero:
    what we hold and what comes are compared by revision and hash, record by record. A feed we may no
    longer read is purged.
    """
    name = head.name
    taken = PullResult()
    place, copy = held or await copy_of(node, name)
    taken.held, taken.confirmed = place.live if place else 0, copy.confirmed
    if place is None or head.seq - place.head >= VACUUM_RECORDS:
        # A long pull: the lag is to be seen while it lasts. Short ones note the head with their records.
        async with node.store.write() as tx:
            place = await tx.feeds.open(name, None)
            await tx.feeds.set_remote_head(place, head.seq)
    if place.epoch == head.epoch and place.head == head.seq:
        return taken
    if place.epoch is not None and place.epoch != head.epoch:
        # Only a repair leads to another epoch: revisions may have gone back, and the signature alone tells.
        raise StaleCursor
    try:
        async with BatchPipeline(node, place, taken) as keeping:
            async for page, checked in ahead(source.changes(name, place.cursor), name):
                if page.cursor.epoch != head.epoch:
                    raise EpochChanged(f"the feed {name} came in epoch {page.cursor.epoch}, not {head.epoch}")
                page, checked = _up_to(head.seq, page, checked)
                if checked or place.epoch is None:  # an empty feed has a place, too
                    await keeping.add(page.cursor, checked)
        if copy.confirmed or copy.paused:
            async with node.store.write() as tx:
                await tx.copies.clear_confirmation(place.id)
    except AudienceRevoked:
        taken.purged = await purge(node, name)
    except RemovalsPaused as error:
        await pause_removals(node, name, str(error))
        await withdraw_only(node, name, source)
    except EpochChanged:
        # It changed between the head and the first page; the next head says to what.
        log.warning("the feed was minted anew", extra={"feed": str(name)})
    return taken


async def copy_of(node: Node, name: FeedName) -> tuple[FeedState | None, CopyRow]:
    """What is held of a feed, and what is known of that copy."""
    async with node.store.read() as tx:
        place = await tx.feeds.find(name)
        return place, await tx.copies.find(place.id) if place else CopyRow()


def _up_to(
    seq: int, page: EntryPage, checked: list[VerifiedEntry | RejectedEntry]
) -> tuple[EntryPage, list[VerifiedEntry | RejectedEntry]]:
    """What of a page is not beyond a number.

    What came since the head was told is left to the next head, so that no entry alone, garbled on its way,
    leads the cursor to where its origin has never been.
    """
    if page.cursor.seq <= seq:
        return page, checked
    cut = EntryPage(
        entries=tuple(one for one in page.entries if one.seq <= seq),
        cursor=Cursor(page.cursor.epoch, seq),
        more=page.more,
    )
    return cut, [one for one in checked if one.seq <= seq]


async def ahead(
    pages: AsyncIterator[EntryPage], name: FeedName
) -> AsyncGenerator[tuple[EntryPage, list[VerifiedEntry | RejectedEntry]]]:
    """Pages with their entries verified, while the one before them is being stored.

    ``AHEAD`` pages wait at most, and one more is read meanwhile: whoever sends has always something to do.
    Of a single page there is nothing to read beforehand.
    """
    try:
        async for page in pages:
            yield page, await _checked(page, name)
            if page.more:
                break
        else:
            return
        read = _beforehand(pages, 1)
        checked = _beforehand(_all_checked(read, name), AHEAD)
        async with aclosing(read), aclosing(checked):
            async for one in checked:
                yield one
    finally:
        await _closed(pages)


async def _all_checked(
    pages: AsyncIterator[EntryPage], name: FeedName
) -> AsyncIterator[tuple[EntryPage, list[VerifiedEntry | RejectedEntry]]]:
    async for page in pages:
        yield page, await _checked(page, name)


async def _checked(page: EntryPage, name: FeedName) -> list[VerifiedEntry | RejectedEntry]:
    """Verification gives way often: answers of the database are not to wait for a page of it."""
    checked: list[VerifiedEntry | RejectedEntry] = []
    for start in range(0, len(page.entries), AT_ONCE):
        if start:
            await asyncio.sleep(0)
        checked += [
            entry if isinstance(entry, RejectedEntry) else verify(entry, name)
            for entry in page.entries[start : start + AT_ONCE]
        ]
    return checked


async def _beforehand(items: AsyncIterator[T], most: int) -> AsyncGenerator[T]:
    """The same, got ready before they are asked for, so many of them at most."""
    ready: asyncio.Queue[tuple[T] | None] = asyncio.Queue()
    room = asyncio.Semaphore(most)

    async def read() -> None:
        async for item in items:
            await room.acquire()
            ready.put_nowait((item,))

    reading = asyncio.ensure_future(read())
    reading.add_done_callback(lambda _: ready.put_nowait(None))
    try:
        while (now := await ready.get()) is not None:
            room.release()
            yield now[0]
        await reading
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await _closed(items)


async def _closed(items: AsyncIterator[T]) -> None:
    if closing := getattr(items, "aclose", None):
        await closing()


async def pause_removals(node: Node, name: FeedName, why: str) -> None:
    """Take nothing more of a feed until an administrator confirms."""
    log.error("removals await confirmation", extra={"feed": str(name), "reason": why})
    async with node.store.write() as tx:
        if place := await tx.feeds.find(name):
            await tx.copies.pause(place.id, why)


async def withdraw_only(node: Node, name: FeedName, source: FeedSource) -> int:
    """Carry out the withdrawals of a feed that waits for an administrator, and nothing else of it.

    What may not be seen any more must go, whatever else is to be confirmed. The cursor stays: all of it is
    read again when the feed goes on. Returns how many records were dropped.
    """
    async with node.store.read() as reading:
        place = await reading.feeds.find(name)
    dropped = 0
    if place is None or place.epoch is None:
        return dropped
    async for page, checked in ahead(source.changes(name, place.cursor), name):
        gone = [one for one in checked if isinstance(one, VerifiedEntry) and one.record is None]
        if not gone:
            continue
        async with node.store.write() as tx:
            held = await tx.pulled_records.stored_revisions(
                name.origin, [(one.type, one.key) for one in gone]
            )
            told = [
                (one.type, one.key, one.seq, one.revision)
                for one in gone
                if (was := held.get((one.type, one.key))) is not None
                and was.feed == place.id
                and not supersedes(was.revision, one.revision)
            ]
            if told:
                await tx.checkpoints.mark(place.id, [bucket_of(type_, key) for type_, key, _, _ in told])
                await tx.copies.note_withdrawal(
                    place.id, page.cursor.epoch, max(seq for _, _, seq, _ in told)
                )
                await tx.feeds.lock(place.id)
                await tx.repairs.clear_seq(place.id, [seq for _, _, seq, _ in told])
                lost = await tx.pulled_records.purge(place.id, told)
                await tx.feeds.subtract_records(place.id, lost)
                dropped += len(told)
    if dropped:
        node.notifier.notify()
    return dropped


async def purge(node: Node, name: FeedName) -> int:
    """Drop every copy of a feed that we may no longer read. The origin is owed a receipt."""
    async with node.store.write() as tx:
        place = await tx.feeds.find(name)
        dropped = 0
        if place is not None:
            dropped = await tx.copies.purge(place)
            if place.epoch is not None:
                await tx.copies.note_withdrawal(place.id, place.epoch, place.head, purged=True)
    log.warning(
        "a feed may no longer be read; its copies were dropped", extra={"feed": str(name), "records": dropped}
    )
    node.notifier.notify()
    return dropped
