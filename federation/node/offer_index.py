"""Keep the catalogue of offers current: each question first reads what has changed since the last one.

1. The local sequence of the last change is read. Where the catalogue reaches it, nothing else is done.
2. A few changes later, the change log names the offers that changed or left, and these are read again.
3. After many changes, or where tombstones were dropped meanwhile, the names of all offers are listed, and
   those are read that are new or have another local sequence.
4. Questions that come meanwhile wait for the same refresh.

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
from federation.domain.offers.catalogue import OfferCatalogue
from federation.store.database import Reading, Store

MAX_CHANGES = 20_000
"""Changes of the change log that are searched for offers; beyond, the names of all offers are listed."""
READ_OFFERS = 100
"""Offers that are read and decoded at once: some milliseconds."""


class OfferIndex:
    """The catalogue of a process, and how far it reaches."""

    def __init__(self) -> None:
        self._catalogue = OfferCatalogue()
        self._sequences: dict[tuple[str, str], int] = {}
        """Local sequences of the offers in the catalogue, by origin and key."""
        self._through = 0
        self._refreshing = asyncio.Lock()

    async def current(self, store: Store) -> OfferCatalogue:
        """The catalogue with every change that has arrived by now."""
        async with store.read() as tx:
            newest = await tx.offers.newest()
            if newest.arrival == self._through:
                return self._catalogue
            async with self._refreshing:
                await self._refresh(tx)
        return self._catalogue

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
