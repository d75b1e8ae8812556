"""The solutions that a caller may see, as a catalogue of software (open-catalog-api 1.4) and as files.

Pages are in the order of ids, in which a revised record does not move. Solutions that such a catalogue cannot
hold (no repository, no licence of the SPDX list) are left out, so a page may have fewer entries than asked
for, or none, and still be followed by another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from federation.domain.content.operator import Operator
from federation.domain.content.solution import Solution
from federation.domain.document import Document
from federation.domain.errors import NotFound, Retracted
from federation.domain.formats import open_catalog_export as shapes
from federation.domain.formats.publiccode_export import Publication, write_publiccode
from federation.domain.query import MAX_PAGE, PageKey, Query
from federation.domain.values import instant
from federation.domain.visibility import Caller
from federation.node import records
from federation.node.node import Node
from federation.store.database import Reading

PAGE = 25
MAX_ENTRIES = 100
"""Entries of a page, at most, as in the catalogue's own API."""
MAX_SOLUTIONS = 100
"""Solutions of an operator that are read for the addresses of its repositories."""
ENDING = ".publiccode.yml"
"""After the key of a solution: its file."""


class _Created(Protocol):
    @property
    def created_at(self) -> str: ...


Entry = TypeVar("Entry", bound=_Created)

_solutions = msgspec.json.Decoder(Document[Solution])
_operators = msgspec.json.Decoder(Document[Operator])


class _Content(msgspec.Struct):
    repository: str | None = None


class _Solution(msgspec.Struct):
    origin: str
    content: _Content


_repositories = msgspec.json.Decoder(_Solution)


class Page(NamedTuple, Generic[Entry]):
    """Entries, and the key after which the next page begins."""

    entries: tuple[Entry, ...]
    after: PageKey | None


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """The page that is asked for."""

    limit: int = PAGE
    after: PageKey | None = None
    since: datetime | None = None
    """Entries that were created after this moment."""
    before: datetime | None = None


class _Home(NamedTuple):
    """An operator as its own record names it."""

    name: str
    node: str | None


async def publiccode(node: Node, origin: str, key: str, *, by: Caller) -> bytes:
    """The publiccode.yml of a solution. Raises NotFound, Retracted."""
    record = await records.find(node, Solution, origin, key, by=by)
    if record.retracted:
        raise Retracted(
            "{kind} {origin}/{key} has been retracted by {origin}", kind=Solution.type, origin=origin, key=key
        )
    async with node.store.read() as tx:
        homes = await _homes(tx, {origin}, by)
    return await asyncio.to_thread(_write, node, record.document, homes)


def _write(node: Node, raw: bytes, homes: dict[str, _Home]) -> bytes:
    document = _solutions.decode(raw)
    if document.content is None:
        raise NotFound("there is no such path here")
    name = homes[document.origin].name if document.origin in homes else document.origin
    return write_publiccode(Publication(document.content, name, _url(node, document))).encode()


def _url(node: Node, document: Document[Any]) -> str:
    return f"{node.url}/v1/{Solution.plural}/{document.origin}/{document.key}"


async def software(node: Node, slot: Slot, *, by: Caller) -> Page[shapes.CatalogSoftware]:
    """A page of solutions."""
    query = Query(kind=Solution, sort="id", limit=slot.limit, after=slot.after)
    async with node.store.read() as tx:
        documents, after, _ = await tx.records.collect(query, visible_to=by)
        origins = {_repositories.decode(document).origin for document in documents}
        homes = await _homes(tx, origins, by)
    made = await asyncio.to_thread(_software, node, documents, homes)
    return Page(_within(made, slot), after)


def _software(
    node: Node, documents: Sequence[bytes], homes: dict[str, _Home]
) -> list[shapes.CatalogSoftware]:
    entries = []
    for document in map(_solutions.decode, documents):
        home = homes.get(document.origin, _Home(document.origin, None))
        catalog = None
        if document.origin != node.operator:
            catalog = shapes.catalog_id(document.origin, home.node)
        url = _url(node, document)
        entry = shapes.software(document, operator=home.name, url=url, catalog=catalog)
        if entry is not None:
            entries.append(entry)
    return entries


async def publishers(node: Node, slot: Slot, *, by: Caller) -> Page[shapes.CatalogPublisher]:
    """A page of the operators that publish solutions with a repository."""
    query = Query(kind=Operator, sort="id", limit=slot.limit, after=slot.after)
    repositories: dict[str, list[bytes]] = {}
    async with node.store.read() as tx:
        documents, after, _ = await tx.records.collect(query, visible_to=by)
        operators = _own_records(documents)
        for operator in operators:
            of_operator = Query(
                kind=Solution, facets=(("origin", (operator.origin,)),), sort="id", limit=MAX_SOLUTIONS
            )
            repositories[operator.origin] = (await tx.records.collect(of_operator, visible_to=by))[0]
    made = await asyncio.to_thread(_publishers, node, operators, repositories)
    return Page(_within(made, slot), after)


def _publishers(
    node: Node, operators: Iterable[Document[Operator]], repositories: dict[str, list[bytes]]
) -> list[shapes.CatalogPublisher]:
    entries = []
    for operator in operators:
        solutions = map(_repositories.decode, repositories[operator.origin])
        urls = [solution.content.repository for solution in solutions if solution.content.repository]
        home = operator.content.node if operator.content else None
        catalog = None if operator.origin == node.operator else shapes.catalog_id(operator.origin, home)
        if (entry := shapes.publisher(operator, urls, catalog=catalog)) is not None:
            entries.append(entry)
    return entries


async def catalogs(node: Node, slot: Slot, *, by: Caller) -> Page[shapes.SoftwareCatalog]:
    """A page of the operators, each with the catalogue of its node; this node's own is the root."""
    query = Query(kind=Operator, sort="id", limit=slot.limit, after=slot.after)
    async with node.store.read() as tx:
        documents, after, _ = await tx.records.collect(query, visible_to=by)
    made = [
        entry
        for operator in _own_records(documents)
        if (entry := shapes.catalog(operator, is_root=operator.origin == node.operator)) is not None
    ]
    return Page(_within(made, slot), after)


def _own_records(documents: Iterable[bytes]) -> list[Document[Operator]]:
    """The records in which operators speak for themselves, under their own ids."""
    decoded = map(_operators.decode, documents)
    return [operator for operator in decoded if operator.origin == operator.key]


async def _homes(tx: Reading, origins: set[str], by: Caller) -> dict[str, _Home]:
    """Operators by id, as far as the caller may see their records."""
    if not origins:
        return {}
    query = Query(kind=Operator, facets=(("origin", tuple(sorted(origins))),), limit=MAX_PAGE)
    documents, _, _ = await tx.records.collect(query, visible_to=by)
    return {
        operator.origin: _Home(operator.content.name, operator.content.node)
        for operator in _own_records(documents)
        if operator.content is not None
    }


def _within(entries: Iterable[Entry], slot: Slot) -> tuple[Entry, ...]:
    """The entries that were created within the time that is asked for."""
    if slot.since is None and slot.before is None:
        return tuple(entries)
    return tuple(
        entry
        for entry in entries
        if (slot.since is None or instant(entry.created_at) > slot.since)
        and (slot.before is None or instant(entry.created_at) < slot.before)
    )
