"""The page of one record: the record, or the page that says why there is none to show.

    entry = await open_record(visit, Solution, origin, key)
    if not isinstance(entry, Entry):
        return entry

``entry.content`` is the content as its type has it. The facts that each page of a record shows, its label,
origin, age and verification, are printed by ``{{ records.facts(entry, source) }}`` of ``record.html``, with
``source`` from :func:`source_of`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from litestar.response.base import ASGIResponse

from federation.domain.record_content import Content
from federation.domain.stored import StoredRecord
from federation.domain.visibility import audience_of
from federation.node import operator_names, records, replacements
from federation.node.copy_views import Provenance
from federation.web.entries import Entry, decoder
from federation.web.visit import Visit

GONE = 410
MAX_DECODED_INLINE_BYTES = 200_000
"""Bytes of a document that is decoded on the event loop; larger ones are in a thread."""


async def open_record(
    visit: Visit,
    kind: type[Content],
    origin: str,
    key: str,
    *,
    row: type | None = None,
    stored: StoredRecord | None = None,
) -> Entry[Any] | ASGIResponse:
    """The record; or the page of one that is retracted or not understood. Raises NotFound.

    ``row``: a struct with what the page shows of the content; without it the content as its type has it.
    ``stored``: the record, where it has been read.
    """
    if stored is None:
        stored = await records.find(visit.node, kind, origin, key, by=visit.caller)
    alternate = f"/v1/{kind.plural}/{origin}/{key}"
    if stored.retracted or stored.not_understood is not None:
        visit.operator_names = await operator_names.names_of(visit.node, (origin,), by=visit.caller)
    if stored.retracted:
        following = await replacements.of_record(visit.node, kind, origin, key, by=visit.caller)
        return visit.page(
            "retracted.html",
            status=GONE,
            kind=kind,
            id=f"{origin}/{key}",
            origin=origin,
            retracted_at=stored.updated_at,
            replacements=following,
        )
    if stored.not_understood is not None:
        return visit.page(
            "not_understood.html",
            alternate=alternate,
            kind=kind,
            id=f"{origin}/{key}",
            origin=origin,
            updated_at=stored.updated_at,
        )
    if len(stored.document) > MAX_DECODED_INLINE_BYTES:
        # A list of ten thousand bodies takes tens of milliseconds.
        return await asyncio.to_thread(decoder(row or kind).decode, stored.document)
    entry: Entry[Any] = decoder(row or kind).decode(stored.document)
    return entry


async def source_of(visit: Visit, entry: Entry[Any], *operators: str) -> Provenance | None:
    """The feed that a record is from, with its verification; None where nothing is known of it.

    The names of its operator and of other ``operators`` that the page shows are read along.
    """
    sources, names = await operator_names.sources_of(visit.node, entry.origin, operators, by=visit.caller)
    visit.operator_names = {**(visit.operator_names or {}), **names}
    return source_among(sources, entry)


def source_among(sources: Iterable[Provenance], entry: Entry[Any]) -> Provenance | None:
    """The feed that a record is from, of the feeds of its operator."""
    audience = audience_of(entry.tlp, entry.audience)
    return next((source for source in sources if source.audience == audience), None)
