"""The catalogue of the operator's own solutions, page by page, in two forms of RDF.

Own solutions only: each node has a catalogue of its own, and a harvester that reads several finds none twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from federation.domain.content.solution import Solution
from federation.domain.formats.dcat import PREFIXES, LiveSolution, Pages, Publisher, catalogue
from federation.domain.formats.rdf import json_ld, turtle
from federation.domain.query import PageKey, Query
from federation.domain.visibility import Caller
from federation.node import status
from federation.node.node import Node

PAGE_SOLUTIONS = 100
"""Solutions on a page."""
Form = Literal["jsonld", "ttl"]
_WRITERS = {"jsonld": json_ld, "ttl": turtle}
_solution = msgspec.json.Decoder(LiveSolution)


class CataloguePage(NamedTuple):
    """A page, and the address of the next one."""

    body: bytes
    following: str | None


async def page(node: Node, form: Form, after: str | None, *, by: Caller) -> CataloguePage:
    """A page of the catalogue, as far as the caller may see it. Raises Invalid for a key of no page."""
    own = Query(kind=Solution, facets=(("origin", (node.operator,)),))
    newest = msgspec.structs.replace(own, limit=1)
    key = PageKey.parse(after, "id") if after is not None else None
    query = msgspec.structs.replace(own, sort="id", limit=PAGE_SOLUTIONS, after=key)
    async with node.store.read() as tx:
        latest = (await tx.records.collect(newest, visible_to=by))[0]
        documents, following, _ = await tx.records.collect(query, visible_to=by)
    contact, _ = await status.public_contacts(node)
    publisher = Publisher(node.url, node.operator, node.name, contact)
    pages = Pages(
        this=_address(node, form, after),
        first=_address(node, form, None),
        following=_address(node, form, str(following)) if following is not None else None,
        items=PAGE_SOLUTIONS,
    )
    return CataloguePage(
        await asyncio.to_thread(_write, form, publisher, latest, documents, pages), pages.following
    )


def _address(node: Node, form: Form, after: str | None) -> str:
    return f"{node.url}/catalog.{form}" + (f"?after={after}" if after is not None else "")


def _write(
    form: Form, publisher: Publisher, latest: Sequence[bytes], documents: Sequence[bytes], pages: Pages
) -> bytes:
    changed_at = [solution.updated_at for solution in _understood(latest)]
    graph = catalogue(
        publisher, _understood(documents), pages, modified=changed_at[0] if changed_at else None
    )
    return _WRITERS[form](graph, PREFIXES)


def _understood(documents: Sequence[bytes]) -> list[LiveSolution]:
    """The solutions of documents, without those that a newer version of the program has written."""
    solutions = []
    for document in documents:
        try:
            solutions.append(_solution.decode(document))
        except msgspec.ValidationError:
            continue
    return solutions
