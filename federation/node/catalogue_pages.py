"""Catalogues that are more than one file: pages that link to the next one, and lists of repositories.

The first file is there already; the others are fetched by a function of the caller, which knows the bounds of
the source. A file that cannot be fetched or read is a fault of the reading, and then the reading is not
complete: nothing that is missing has disappeared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from federation.domain.errors import Invalid, Refused
from federation.domain.formats.open_catalog import MAX_PAGE_BYTES, next_page
from federation.domain.formats.publiccode import read_publiccode
from federation.domain.formats.repository_list import FILE, ListedRepository, read_repository_list
from federation.domain.formats.software_catalogues import read_catalogue
from federation.domain.formats.solution_items import Readings
from federation.domain.formats.yaml_reading import MAX_YAML_BYTES
from federation.domain.sources.reading import Reading, ReadingFault

MAX_PAGES = 200
"""Pages of a catalogue that are read in one run: twenty thousand entries of an open-catalog-api."""
MAX_AT_ONCE = 4
"""Files of a list of repositories that are fetched at once: many are of one forge."""
Fetch = Callable[[str, int], Awaitable[bytes]]
"""Fetches an address, whose answer may have so many bytes. Raises Refused."""


async def read_following(kind: str, raw: bytes, url: str | None, fetch: Fetch) -> Reading:
    """The solutions of a file of a source, and of the files that it names. Raises Invalid.

    ``url``: its address; None for an uploaded file, which has no next page.
    """
    if kind == "publiccode":
        try:
            return await read_repositories(raw, fetch)
        except Invalid:
            return await asyncio.to_thread(read_publiccode, raw, place=url or FILE)
    if url is None:
        page = await asyncio.to_thread(read_catalogue, raw)
        return page.reading
    return await read_pages(raw, url, fetch)


async def read_pages(raw: bytes, url: str, fetch: Fetch) -> Reading:
    """The solutions of a catalogue, whose first page is ``raw``. Raises Invalid where that is none."""
    page = await asyncio.to_thread(read_catalogue, raw)
    readings = [page.reading]
    faults: list[ReadingFault] = []
    seen = {url}
    while page.following is not None:
        following = next_page(url, page.following)
        if following is None or following in seen or len(seen) >= MAX_PAGES:
            faults.append(ReadingFault(url, Invalid("the pages of the catalogue do not end").detail))
            break
        url = following
        seen.add(url)
        try:
            page = await asyncio.to_thread(read_catalogue, await fetch(url, MAX_PAGE_BYTES))
        except Refused as error:
            faults.append(ReadingFault(url, error.detail))
            break
        readings.append(page.reading)
    return _joined(readings, faults, is_complete=not faults)


async def read_repositories(raw: bytes, fetch: Fetch) -> Reading:
    """The solutions of a list of repositories: each has a publiccode.yml that is fetched.

    Raises Invalid where ``raw`` is no such list.
    """
    listed = await asyncio.to_thread(read_repository_list, raw)
    slots = asyncio.Semaphore(MAX_AT_ONCE)

    async def read(repository: ListedRepository) -> Reading | ReadingFault:
        async with slots:
            try:
                file = await fetch(repository.file, MAX_YAML_BYTES)
                return await asyncio.to_thread(
                    read_publiccode, file, place=repository.file, repository=repository.repository
                )
            except Refused as error:
                pointer = error.pointer or ""
                return ReadingFault(repository.file, error.detail, pointer.removeprefix("/content") or None)

    outcomes = await asyncio.gather(*map(read, listed.repositories))
    readings = [outcome for outcome in outcomes if isinstance(outcome, Reading)]
    faults = [outcome for outcome in outcomes if isinstance(outcome, ReadingFault)]
    return _joined(readings, (*listed.faults, *faults), is_complete=not faults)


def _joined(readings: Iterable[Reading], faults: Iterable[ReadingFault], *, is_complete: bool) -> Reading:
    """One reading of several: what two of them have is a fault of the second."""
    joined = Readings()
    for fault in faults:
        joined.add_fault(fault)
    for reading in readings:
        for fault in reading.faults:
            joined.add_fault(fault)
        for item in reading.items:
            joined.add(item)
    return joined.reading(is_complete=is_complete)
