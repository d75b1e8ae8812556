"""Keep the catalogue of offers current: a process reads all offers when it starts, and then what changes.

1. A question reads the local sequence of the last change. Where the catalogue reaches it, that is all.
2. A few changes later, the change log names the offers that changed or left, and these are read again.
3. After many changes, or where tombstones were dropped meanwhile, the names of all offers are listed, and
   those are read that are new or have another local sequence.
4. Questions that come meanwhile wait for the same refresh, without a connection; after
   ``MAX_WAIT_SECONDS`` they end with Unavailable.
5. Mostly nothing is left to a question: the process looks for changes every few seconds.

The catalogue holds offers of every audience; each question sees what its caller may see.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import msgspec

from federation.domain.content.offer import Offer
from federation.domain.document import Document
from federation.domain.errors import Unavailable
from federation.domain.offers.catalogue import OfferCatalogue
from federation.store.database import Reading, Store

MAX_CHANGES = 20_000
"""Changes of the change log that are searched for offers; beyond, the names of all offers are listed."""
READ_OFFERS = 100
"""Offers that are read and decoded at once: some milliseconds."""
MAX_WAIT_SECONDS = 10.0
"""Seconds that a question waits for the catalogue, at most: reading 20 000 offers takes some three."""


class OfferIndex:
    """The catalogue of a process, and how far it reaches."""

    def __init__(self) -> None:
        self._catalogue = OfferCatalogue()
        self._sequences: dict[tuple[str, str], int] = {}
        """Local sequences of the offers in the catalogue, by origin and key."""
        self._through = 0
        self._refresh_task: asyncio.Task[None] | None = None

    async def current(self, store: Store) -> OfferCatalogue:
        """The catalogue with every change that has arrived by now.

        Raises Unavailable after ``MAX_WAIT_SECONDS``: nothing is missing from an answer unsaid.
        """
        async with store.read() as tx:
            target = (await tx.offers.newest()).arrival
        if target == self._through:
            return self._catalogue
        loop = asyncio.get_running_loop()
        deadline = loop.time() + MAX_WAIT_SECONDS
        while True:
            is_new = self._refresh_task is None
            task = self._begin(store)
            await asyncio.wait({task}, timeout=max(0.0, deadline - loop.time()))
            if not task.done() or task.cancelled():
                raise Unavailable("the offers are still being read; try again in a moment")
            task.result()
            if is_new or self._through >= target:
                return self._catalogue

    async def refresh(self, store: Store, arrival: int | None = None) -> None:
        """Read what has changed, before somebody asks.

        ``arrival``: the local sequence of the last change, where it is known: nothing is read twice.
        """
        if arrival is None or arrival != self._through:
            await asyncio.wait({self._begin(store)})

    def stop(self) -> None:
        """End a refresh that is under way: the process is to stop."""
        if self._refresh_task is not None:
            self._refresh_task.cancel()

    def _begin(self, store: Store) -> asyncio.Task[None]:
        """The refresh that is under way, or a new one; a question that goes away does not end it."""
        if self._refresh_task is None:
            self._refresh_task = asyncio.create_task(self._read_changes(store), name="offers")
            self._refresh_task.add_done_callback(self._end)
        return self._refresh_task

    def _end(self, task: asyncio.Task[None]) -> None:
        self._refresh_task = None
        if not task.cancelled():
            task.exception()  # (that of a refresh that nobody waits for any more)

    async def _read_changes(self, store: Store) -> None:
        async with store.read() as tx:
            await self._refresh(tx)

    async def _refresh(self, tx: Reading) -> None:
        newest = await tx.offers.newest()
        through = self._through
        if not 0 < newest.arrival - through <= MAX_CHANGES or through < newest.arrivals_from:
            stored = await tx.offers.all_names()
            changed = [name for name, arrived in stored.items() if self._sequences.get(name) != arrived]
            self._forget(self._sequences.keys() - stored.keys())
        else:
            changed = await tx.offers.changed(through, newest.arrival)
        for first in range(0, len(changed), READ_OFFERS):
            names = changed[first : first + READ_OFFERS]
            self._store(names, await tx.offers.read(names))
        # Last: a refresh that fails halfway is done again.
        self._through = newest.arrival

    def _store(self, names: Sequence[tuple[str, str]], rows: Iterable[Any]) -> None:
        missing = set(names)
        for origin, key, audience, arrived, understood, document in rows:
            missing.discard((origin, key))
            offer = decode_offer(document).content if understood else None
            self._sequences[origin, key] = arrived
            self._catalogue.store(f"{origin}/{key}", origin, audience, offer)
        self._forget(missing)

    def _forget(self, names: Iterable[tuple[str, str]]) -> None:
        for origin, key in list(names):
            self._sequences.pop((origin, key), None)
            self._catalogue.remove(f"{origin}/{key}")


def decode_offer(document: bytes) -> Document[Offer]:
    """A stored document of an offer that is understood."""
    return _decoder().decode(document)


@cache
def _decoder() -> msgspec.json.Decoder[Document[Offer]]:
    return msgspec.json.Decoder(Document[Offer])
