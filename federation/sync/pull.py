"""One step of following a peer: take what a feed has after the cursor.

Records and cursor are kept in one transaction, slice by slice: after a crash we ask for the same slice
again, and nothing is lost or kept twice. The network is never inside a transaction. While one slice is
being stored the next one is read and verified.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator

import msgspec

from federation.domain.document import Record, supersedes
from federation.domain.errors import AudienceRevoked, EpochChanged, Invalid
from federation.domain.feed import Cursor, FeedName, Head, Page, SetAside, Source, Verified, verify
from federation.domain.proof import brakes, bucket_of
from federation.node import MANY, Node
from federation.store.database import Writing
from federation.store.digests import Copy
from federation.store.feeds import Place, Standing
from federation.store.records import Advance, Held, Occupied

log = logging.getLogger("federation.sync")


AHEAD = 2
"""Pages that are verified before they can be stored, at most."""
AT_ONCE = 20
"""Entries verified before others have a turn: half a millisecond."""


class Taken(msgspec.Struct):
    """What a pull brought."""

    entries: int = 0
    set_aside: Counter[str] = msgspec.field(default_factory=Counter)
    purged: int = 0
    removed: int = 0
    """Live records that were retracted."""
    held: int = 0
    """Live records of the feed before it."""
    confirmed: bool = False
    """Whether an administrator has confirmed what is to be removed."""
    verified: bool = False
    """Whether the copy was found to be at that head and what its origin signed."""
    repaired: int = 0
    """Records that were taken, moved or dropped since the copy was not what the origin had signed."""


class Braked(Exception):
    """More is to be removed than happens without being asked; the message says how much."""


class Overtaken(Exception):
    """Another process has advanced the feed meanwhile; whoever it is goes on with it."""


async def pull(
    node: Node, head: Head, source: Source, held: tuple[Place | None, Copy] | None = None
) -> Taken:
    """Take a peer's feed to its head. ``held``: what is known of our copy, where that was just read.

    Nothing is asked of the network when we are there already. A feed of a new epoch is taken from zero:
    what we hold and what comes are compared by revision and hash, record by record. A feed we may no
    longer read is purged.
    """
    name = head.name
    taken = Taken()
    place, copy = held or await copy_of(node, name)
    taken.held, taken.confirmed = place.live if place else 0, copy.confirmed
    if place is None or head.seq - place.head >= MANY:
        # A long pull: the lag is to be seen while it lasts. Short ones note the head with their records.
        async with node.store.write() as tx:
            place = await tx.feeds.open(name, None)
            await tx.feeds.told(place, head.seq)
    if place.epoch == head.epoch and place.head == head.seq:
        return taken
    if place.epoch is not None and place.epoch != head.epoch:
        place = await begin_epoch(node, place, head.epoch)
    try:
        async for page, checked in ahead(source.changes(name, place.cursor), name):
            if page.cursor.epoch != head.epoch:
                raise EpochChanged(f"the feed {name} came in epoch {page.cursor.epoch}, not {head.epoch}")
            page, checked = _up_to(head.seq, page, checked)
            if checked or place.epoch is None:  # an empty feed has a place, too
                await keep(node, name, page.cursor, checked, taken)
        if copy.confirmed or copy.braked:
            async with node.store.write() as tx:
                await tx.digests.done(place.id)
    except AudienceRevoked:
        taken.purged = await purge(node, name)
    except Braked as error:
        await brake(node, name, str(error))
        await withdraw_only(node, name, source)
    except EpochChanged:
        # It changed between the head and the first page; the next head says to what.
        log.warning("the feed was minted anew", extra={"feed": str(name)})
    return taken


async def copy_of(node: Node, name: FeedName) -> tuple[Place | None, Copy]:
    """What is held of a feed, and what is known of that copy."""
    async with node.store.read() as tx:
        place = await tx.feeds.find(name)
        return place, await tx.digests.copy(place.id) if place else Copy()


def _up_to(
    seq: int, page: Page, checked: list[Verified | SetAside]
) -> tuple[Page, list[Verified | SetAside]]:
    """What of a page is not beyond a number.

    What came since the head was told is left to the next head, so that no entry alone, garbled on its way,
    leads the cursor to where its origin has never been.
    """
    if page.cursor.seq <= seq:
        return page, checked
    cut = Page(
        entries=tuple(one for one in page.entries if one.seq <= seq),
        cursor=Cursor(page.cursor.epoch, seq),
        more=page.more,
    )
    return cut, [one for one in checked if one.seq <= seq]


async def ahead(
    pages: AsyncIterator[Page], name: FeedName
) -> AsyncIterator[tuple[Page, list[Verified | SetAside]]]:
    """Pages with their entries verified, while the one before them is being stored.

    ``AHEAD`` pages wait at most. Verification gives way often: the database's answers to whoever stores
    are not to wait for a page of it.
    """
    ready: asyncio.Queue[tuple[Page, list[Verified | SetAside]] | None] = asyncio.Queue()
    room = asyncio.Semaphore(AHEAD)

    async def read() -> None:
        async for page in pages:
            checked: list[Verified | SetAside] = []
            for start in range(0, len(page.entries), AT_ONCE):
                checked += [
                    entry if isinstance(entry, SetAside) else verify(entry, name)
                    for entry in page.entries[start : start + AT_ONCE]
                ]
                await asyncio.sleep(0)
            await room.acquire()
            ready.put_nowait((page, checked))

    reading = asyncio.ensure_future(read())
    reading.add_done_callback(lambda _: ready.put_nowait(None))
    try:
        while (now := await ready.get()) is not None:
            yield now
            room.release()
        await reading
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        if closing := getattr(pages, "aclose", None):
            await closing()


async def begin_epoch(node: Node, place: Place, epoch: str) -> Place:
    """Start a feed anew in another epoch: the numbers of the old one mean nothing, the records stay."""
    log.warning(
        "the feed has a new epoch and is taken from zero",
        extra={"feed": str(place.name), "was": place.epoch, "now": epoch},
    )
    async with node.store.write() as tx:
        await tx.feeds.forget_numbers(place)
        await tx.digests.forget(place.id)
        if not await tx.feeds.advance(place, Cursor(epoch, 0), delta=0):
            raise Overtaken
        fresh = await tx.feeds.find(place.name)
    assert fresh is not None  # noqa: S101 - it was advanced in this transaction
    return fresh


async def keep(
    node: Node, name: FeedName, cursor: Cursor, checked: list[Verified | SetAside], taken: Taken
) -> None:
    """Store one slice and the cursor after it, in one transaction.

    Where the database does not take a record, the slice is halved until that one is alone; it is set
    aside, and the rest is kept. What is held at the numbers of others loses its own.
    """
    try:
        try:
            await _keep(node, name, cursor, checked, taken)
        except Occupied:
            await _vacate(node, name, [one.seq for one in checked])
            await _keep(node, name, cursor, checked, taken)
    except Invalid as error:
        if len(checked) > 1:
            half = len(checked) // 2
            await keep(node, name, Cursor(cursor.epoch, checked[half - 1].seq), checked[:half], taken)
            await keep(node, name, cursor, checked[half:], taken)
        elif isinstance(one := checked[0], Verified):
            await _keep(node, name, cursor, [aside(one, "not-storable", error.detail)], taken)
        else:
            raise


async def _vacate(node: Node, name: FeedName, numbers: list[int]) -> None:
    """What is at these numbers is not what its origin has there: the next comparison looks at all of it."""
    log.warning("numbers of a feed are taken anew", extra={"feed": str(name)})
    async with node.store.write() as tx:
        if place := await tx.feeds.find(name):
            await tx.feeds.unseat(place.id, numbers)
            await tx.digests.forget(place.id)


async def _keep(
    node: Node, name: FeedName, cursor: Cursor, checked: list[Verified | SetAside], taken: Taken
) -> None:
    async with node.store.write(many=len(checked) >= MANY) as tx:
        names = [(one.type, one.key) for one in checked]
        standing = await tx.feeds.standing(name, names)
        if standing is None:
            raise Overtaken
        place = standing.place
        withdrawn = await tx.feeds.withdrawn(place, [key for _, key in names]) if standing.withdrew else {}
        decided = Decided(place.id, standing.held, withdrawn)
        for one in checked:
            decided.add(one)
        removed = decided.removed()
        if not taken.confirmed and brakes(taken.removed + removed, taken.held):
            raise Braked(_much(taken.removed + removed, taken.held))
        noted = await _store(tx, standing, decided, cursor)
    node.watch.nudge()
    taken.entries += len(checked)
    taken.removed += removed
    for aside in decided.aside:
        taken.set_aside[aside.reason] += 1
        if aside.seq not in noted:
            continue
        log.warning(
            "an entry was set aside",
            extra={
                "feed": str(name),
                "record": f"{aside.type} {name.origin}/{aside.key}",
                "revision": aside.revision,
                "reason": aside.reason,
                "detail": aside.detail,
            },
        )
    if unnoted := len(decided.aside) - len(noted):
        log.warning(
            "entries were set aside that are not noted one by one",
            extra={"feed": str(name), "entries": unnoted},
        )


async def _store(tx: Writing, standing: Standing, decided: Decided, cursor: Cursor) -> frozenset[int]:
    """Returns the numbers of the entries that are noted as set aside."""
    place, epoch = standing.place, cursor.epoch
    kept = [(one.record, one.seq) for one in decided.last.values() if one.record is not None]
    gone = [(one.type, one.key, one.seq, one.revision) for one in decided.last.values() if one.record is None]
    if standing.set_aside and decided.last:
        await tx.feeds.cleared(place, list(decided.last))
    if gone:  # before the lock of numbering, as whoever signs or compares takes them
        await tx.digests.withdrew(place.id, epoch, max(seq for _, _, seq, _ in gone))
    if kept:
        if decided.withdrawn:
            await tx.feeds.returned(place, [(record.type, record.key) for record, _ in kept])
        advance = Advance(place.id, place.head, place.epoch, cursor.seq, epoch, decided.delta())
        moved = await tx.records.take_on(place.origin, advance, kept)
    else:
        moved = await tx.feeds.advance(place, cursor, delta=decided.delta())
    if not moved:
        raise Overtaken
    # Of what was never held there is nothing to tell, and a peer could name records without end.
    if told := [one for one in gone if decided.was_held(one[0], one[1])]:
        await tx.records.purge(place.id, told)
    for feed, lost in decided.losses().items():
        await tx.feeds.loses(feed, sum(not was.retracted for was in lost))
        # (What is withdrawn there later may be gone from here by then, and leave no number.)
        await tx.digests.mark(feed, [bucket_of(was.type, was.key) for was in lost])
    left = [
        aside
        for aside in decided.aside
        if (good := decided.last.get((aside.type, aside.key))) is None or good.seq < aside.seq
    ]
    return await tx.feeds.put_aside(place, left) if left else frozenset()


class Decided:
    """What a slice does to what is held: the last good entry of each record, and what is set aside."""

    def __init__(
        self, feed: int, held: dict[tuple[str, str], Held], withdrawn: dict[tuple[str, str], int]
    ) -> None:
        self._feed = feed
        self._held = held
        self.withdrawn = withdrawn
        self.last: dict[tuple[str, str], Verified] = {}
        self.aside: list[SetAside] = []

    def add(self, one: Verified | SetAside) -> None:
        """Decide on the next entry of the feed."""
        if isinstance(one, SetAside):
            self.aside.append(one)
            return
        name = (one.type, one.key)
        revision, hash_, here = self._known(name)
        if one.record is None:
            if here and supersedes(revision, one.revision):
                self._refuse(
                    one, "regressing-revision", f"revision {revision} is held, {one.revision} is withdrawn"
                )
            else:
                self.last[name] = one
            return
        if supersedes(one.revision, revision) or (hash_ is None and one.revision == revision and here):
            # (The same revision again after a withdrawal: we were let into the audience anew.)
            self.last[name] = one
        elif one.revision == revision and hash_ is not None:
            if hash_ != one.record.hash:
                self._refuse(
                    one, "changed-at-same-revision", f"revision {revision} is held with another hash"
                )
            elif not self._in_place(name, one.seq):
                self.last[name] = one
        elif here:
            self._refuse(one, "regressing-revision", f"revision {revision} is held, {one.revision} came")
        # Else the record has moved on to another feed since this entry was read: that one holds.

    def _known(self, name: tuple[str, str]) -> tuple[int, bytes | None, bool]:
        """Revision and hash known of a record, and whether that is of this feed."""
        if pending := self.last.get(name):
            return pending.revision, pending.record.hash if pending.record else None, True
        gone = self.withdrawn.get(name, 0)
        was = self._held.get(name)
        if was is not None and was.revision >= gone:
            return was.revision, was.hash, was.feed == self._feed
        return gone, None, True

    def _in_place(self, name: tuple[str, str], seq: int) -> bool:
        was = self._held.get(name)
        return name not in self.last and was is not None and was.feed == self._feed and was.seq == seq

    def was_held(self, type_name: str, key: str) -> bool:
        """Whether the record was ever held here, as far as can be told: it is, or it left this feed."""
        return (type_name, key) in self._held or (type_name, key) in self.withdrawn

    def _refuse(self, one: Verified, reason: str, detail: str) -> None:
        self.aside.append(aside(one, reason, detail))

    def delta(self) -> int:
        """By how much the number of live records of this feed changes."""
        change = 0
        for name, one in self.last.items():
            was = self._held.get(name)
            was_live = was is not None and was.feed == self._feed and not was.retracted
            change += _live(one.record) - was_live
        return change

    def removed(self) -> int:
        """How many live records of this feed are retracted. (What is withdrawn must go in any case.)"""
        return sum(
            1
            for name, one in self.last.items()
            if one.record is not None
            and one.record.retracted
            and (was := self._held.get(name)) is not None
            and was.feed == self._feed
            and not was.retracted
        )

    def losses(self) -> dict[int, list[Held]]:
        """The records that other feeds lose to this one."""
        lost: dict[int, list[Held]] = {}
        for name, one in self.last.items():
            was = self._held.get(name)
            if one.record and was and was.feed not in (None, self._feed):
                lost.setdefault(was.feed or 0, []).append(was)
        return lost


def aside(one: Verified, reason: str, detail: str) -> SetAside:
    """An entry that is set aside, for that reason."""
    return SetAside(
        seq=one.seq, type=one.type, key=one.key, revision=one.revision, reason=reason, detail=detail
    )


def _live(record: Record | None) -> bool:
    return record is not None and not record.retracted


def _much(removed: int, held: int) -> str:
    return f"{removed} of {held} records are to be removed"


async def brake(node: Node, name: FeedName, why: str) -> None:
    """Take nothing more of a feed until an administrator confirms."""
    log.error("many records are to be removed: confirm it", extra={"feed": str(name), "reason": why})
    async with node.store.write() as tx:
        if place := await tx.feeds.find(name):
            await tx.digests.brake(place.id, why)


async def withdraw_only(node: Node, name: FeedName, source: Source) -> int:
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
        gone = [one for one in checked if isinstance(one, Verified) and one.record is None]
        if not gone:
            continue
        async with node.store.write() as tx:
            held = await tx.records.held_of(name.origin, [(one.type, one.key) for one in gone])
            told = [
                (one.type, one.key, one.seq, one.revision)
                for one in gone
                if (was := held.get((one.type, one.key))) is not None
                and was.feed == place.id
                and not supersedes(was.revision, one.revision)
            ]
            if told:
                await tx.feeds.unseat(place.id, [seq for _, _, seq, _ in told])
                lost = await tx.records.purge(place.id, told)
                await tx.feeds.loses(place.id, lost)
                await tx.digests.mark(place.id, [bucket_of(type_, key) for type_, key, _, _ in told])
                await tx.digests.withdrew(place.id, page.cursor.epoch, max(seq for _, _, seq, _ in told))
                dropped += len(told)
    if dropped:
        node.watch.nudge()
    return dropped


async def purge(node: Node, name: FeedName) -> int:
    """Drop every copy of a feed that we may no longer read. The origin is owed a receipt."""
    async with node.store.write() as tx:
        place = await tx.feeds.find(name)
        dropped = 0
        if place is not None:
            if place.epoch is not None:
                await tx.digests.withdrew(place.id, place.epoch, place.head, purged=True)
            dropped = await tx.feeds.purge(place)
    log.warning(
        "a feed may no longer be read; its copies were dropped", extra={"feed": str(name), "records": dropped}
    )
    node.watch.nudge()
    return dropped
