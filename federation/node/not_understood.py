"""Read the records again that an earlier version did not understand, when a node starts.

1. The names of the next records with the mark are read, by type, operator and key.
2. For each of their feeds, one transaction: the feed is locked, so that nobody moves it on; the documents are
   read as ``record_reading`` reads those of a peer; those that are understood now are stored again, by the
   same statement as a batch. They get a local sequence each, so the change log, exposure and alerts learn of
   them as of any other change.
3. Then the process rests for as long as the step took, and goes on after the last name. A node that stops
   begins anew: what it has read has no mark any more.

All of them are read at each start: the upgrade of a program is not noted anywhere, and cannot be forgotten.
"""

from __future__ import annotations

import asyncio
import logging
from itertools import groupby
from time import monotonic

from federation.domain.errors import Invalid, Refused
from federation.domain.record import Record
from federation.domain.record_reading import read_record
from federation.node.node import Node
from federation.store.not_understood import MarkedName, MarkedRecord, RecordKey

log = logging.getLogger("federation.sync")

STEP_RECORDS = 100
"""Records that one step reads, at most."""
STEP_BYTES = 4 * 1_048_576
"""Bytes of their documents, at most, or a single document of more."""
REST_RATIO = 1
"""Time of the rest after a step, as a multiple of the step's own."""
RETRY_SECONDS = 5.0
"""Seconds after which a step is tried again that could not be done."""


async def run(node: Node) -> None:
    """Read all of them again, once."""
    while True:
        try:
            await read_again(node)
        except Refused as error:
            log.warning("reading records again has to wait", extra={"reason": str(error)})
        except Exception:
            log.exception("records could not be read again")
        else:
            return
        await asyncio.sleep(RETRY_SECONDS)


async def read_again(node: Node) -> int:
    """Read all of them again. Returns how many are understood now."""
    after: RecordKey = ("", "", "")
    read = understood = 0
    while True:
        began = monotonic()
        async with node.store.read() as tx:
            names = _within_bytes(await tx.not_understood.names_after(after, STEP_RECORDS))
        if not names:
            break
        for feed, part in groupby(sorted(names, key=lambda name: name.feed), key=lambda name: name.feed):
            understood += await _read_feed(node, feed, [name[:3] for name in part])
        read += len(names)
        after = names[-1][:3]
        await asyncio.sleep(REST_RATIO * (monotonic() - began))
    if read:
        log.info("records read again", extra={"records": read, "understood": understood})
    return understood


def _within_bytes(names: list[MarkedName]) -> list[MarkedName]:
    """The first names whose documents are of ``STEP_BYTES`` together."""
    size = 0
    for number, name in enumerate(names):
        size += name.size
        if number and size > STEP_BYTES:
            return names[:number]
    return names


async def _read_feed(node: Node, feed: int, names: list[RecordKey]) -> int:
    """Read records of one feed again, and store those whose reading has changed; returns how many."""
    try:
        understood = await _store_feed(node, feed, names)
    except Invalid as error:
        if len(names) > 1:
            return sum([await _read_feed(node, feed, [name]) for name in names])
        log.warning("a record cannot be stored again", extra={"record": names[0], "reason": error.detail})
        return 0
    node.notifier.notify()
    return understood


async def _store_feed(node: Node, feed: int, names: list[RecordKey]) -> int:
    """The same in one transaction. Raises Invalid when the database refuses one of the records."""
    async with node.store.write(records=len(names)) as tx:
        # Before the rows of the records: a batch of the feed takes them in this order.
        await tx.feeds.lock(feed)
        changed: list[tuple[Record, int]] = []
        for marked in await tx.not_understood.documents(feed, names):
            await asyncio.sleep(0)  # a document may be a mebibyte long: others have their turn
            record = _read(marked)
            if (
                record is not None
                and marked.seq is not None
                and record.not_understood != marked.not_understood
            ):
                changed.append((record, marked.seq))
        if changed:
            await tx.pulled_records.upsert_in_place(changed[0][0].origin, feed, changed)
            await tx.affecting_incidents.note_revisions((record for record, _ in changed), node.clock())
    return sum(record.not_understood is None for record, _ in changed)


def _read(marked: MarkedRecord) -> Record | None:
    try:
        return read_record(
            marked.document,
            type_name=marked.type,
            origin=marked.origin,
            key=marked.key,
            revision=marked.revision,
            digest=marked.hash,
        )
    except Invalid:
        return None  # its form was verified when it came: it stays as it is
