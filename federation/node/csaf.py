"""CSAF 2.0 documents of the operator's own incidents and statements, and the feeds that list them.

1. An incident that is a vulnerability becomes an advisory, and one of security an incident response. A
   statement on a vulnerability becomes a VEX document, where its readers may see the incident, too.
2. A document of a record that is CLEAR shows what everybody may see, whoever asks, so that it has one hash.
   That of any other record shows what the caller may see.
3. A feed lists every document of its label that the caller may see (CSAF 2.0, 7.1.15).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import msgspec

from federation.domain.content.incident import Incident
from federation.domain.content.solution import Solution
from federation.domain.content.statement import Statement
from federation.domain.document import check_id
from federation.domain.errors import NotFound, Retracted
from federation.domain.formats import csaf_advisory, csaf_lists, csaf_response, csaf_vex
from federation.domain.formats.csaf_envelope import (
    Issuer,
    LiveRecord,
    choose_language,
    file_name,
    newest,
    tracking_id,
    write,
)
from federation.domain.formats.csaf_lists import FEEDS, FeedLabel, Listed
from federation.domain.messages import LANGUAGES
from federation.domain.query import MAX_PAGE, PageKey, Query
from federation.domain.record_content import Content
from federation.domain.values import as_instant, instant
from federation.domain.visibility import PUBLIC, Caller, anonymous
from federation.node.csaf_signatures import find_signer
from federation.node.node import Node
from federation.store.database import Reading

MAX_DOCUMENTS = 10_000
"""Advisories, and VEX documents, that a feed lists at most, those changed last."""
FIRST_DAY = "1970-01-01T00:00:00Z"
"""The time of a feed without documents."""
KINDS: dict[str, type[Content]] = {kind.plural: kind for kind in (Incident, Statement)}
"""The types of records that documents are made of, by the name in their addresses."""

MADE_OF: dict[str, Callable[..., dict[str, Any]]] = {
    "vulnerability": csaf_advisory.advisory_of,
    "security": csaf_response.response_of,
}
"""The documents of incidents, by the kinds of which there are any."""

_incidents = msgspec.json.Decoder(LiveRecord[Incident])
_statements = msgspec.json.Decoder(LiveRecord[Statement])
_solutions = msgspec.json.Decoder(LiveRecord[Solution])
_DECODERS: dict[type[Content], msgspec.json.Decoder[Any]] = {
    Incident: _incidents, Statement: _statements, Solution: _solutions,
}  # fmt: skip


class CsafFile(NamedTuple):
    """A CSAF document, and the name of its file."""

    name: str
    body: bytes


class Feed(NamedTuple):
    """A feed, and the time of the newest document in it."""

    body: bytes
    updated: str


class _Named(NamedTuple):
    """A record that a document names: itself, where it is live and understood, and its time."""

    record: LiveRecord[Any] | None
    updated_at: str


class _Names:
    """The records that documents name, as far as a reader may see them; each is read once."""

    def __init__(self, tx: Reading, reader: Caller) -> None:
        self._tx = tx
        self._reader = reader
        self._found: dict[tuple[type[Content], str], _Named | None] = {}

    async def find(self, kind: type[Content], id_: str) -> _Named | None:
        if (kind, id_) not in self._found:
            self._found[kind, id_] = await self._read(kind, id_)
        return self._found[kind, id_]

    async def _read(self, kind: type[Content], id_: str) -> _Named | None:
        origin, _, key = id_.partition("/")
        stored = await self._tx.records.find(kind.type, origin, key, visible_to=self._reader)
        if stored is None:
            return None
        is_live = not stored.retracted and stored.not_understood is None
        record = _DECODERS[kind].decode(stored.document) if is_live else None
        return _Named(record, as_instant(stored.updated_at))

    async def solutions(self, incident: Incident) -> dict[str, _Named]:
        """The solutions that an incident names."""
        ids = dict.fromkeys(entry.solution for entry in incident.affects if entry.solution is not None)
        found = {id_: await self.find(Solution, id_) for id_ in ids}
        return {id_: named for id_, named in found.items() if named is not None}

    async def answered(self, statement: Statement) -> LiveRecord[Incident] | None:
        """The incident that a statement answers, where it is a vulnerability that the reader may see."""
        named = await self.find(Incident, statement.incident)
        record = named.record if named is not None else None
        return record if record is not None and record.content.kind == "vulnerability" else None


def issuer_of(node: Node) -> Issuer:
    """The operator of a node as the publisher of its documents."""
    return Issuer(node.operator, node.name, node.url, node.security_contact)


async def metadata(node: Node) -> bytes:
    """The provider metadata; its time is that of the newest public document, or of a newer key."""
    public = await feed(node, "white", by=anonymous(node.operator))
    async with node.store.read() as tx:
        keys = await tx.openpgp_keys.all()
        signer = await find_signer(tx)
    times = [public.updated, *(as_instant(key.revoked_at or key.created_at) for key in keys)]
    made = csaf_lists.metadata(
        issuer_of(node),
        node.url,
        updated=max(times, key=instant),
        fingerprints=[key.fingerprint for key in keys],
        is_signed=signer is not None,
    )
    return write(made)


def service(node: Node) -> bytes:
    """The service document, which names the feeds."""
    return write(csaf_lists.service(issuer_of(node), node.url))


# One document


async def document(node: Node, kind: type[Content], key: str, label: FeedLabel, *, by: Caller) -> CsafFile:
    """The document of an own record. Raises NotFound where there is none, and Retracted."""
    check_id(node.operator, key)
    reader = _reader_of(node, label, by)
    async with node.store.read() as tx:
        stored = await tx.records.find(kind.type, node.operator, key, visible_to=reader)
        if stored is not None and stored.retracted:
            raise Retracted("{name} has been retracted", name=f"{node.operator}/{key}")
        made = None
        if stored is not None and stored.not_understood is None:
            record = _DECODERS[kind].decode(stored.document)
            if record.tlp in FEEDS[label]:
                made = await _made_of(node, record, label, _Names(tx, reader))
    if made is None:
        raise NotFound("there is no such document that you may see")
    return CsafFile(file_name(made["document"]["tracking"]["id"]), await asyncio.to_thread(write, made))


def _reader_of(node: Node, label: FeedLabel, by: Caller) -> Caller:
    return anonymous(node.operator) if label == "white" else by


async def _made_of(
    node: Node, record: LiveRecord[Any], label: FeedLabel, names: _Names
) -> dict[str, Any] | None:
    issuer, url = issuer_of(node), url_of(node, label, record)
    if isinstance(record.content, Statement):
        incident = await names.answered(record.content)
        if incident is None:
            return None
        page = _page_of(node, incident)
        return csaf_vex.vex_of(record, issuer, url=url, page=page, incident=incident)
    if record.content.kind not in MADE_OF:
        return None
    solutions = await names.solutions(record.content)
    return MADE_OF[record.content.kind](
        record,
        issuer,
        url=url,
        page=_page_of(node, record),
        solutions={id_: named.record.content for id_, named in solutions.items() if named.record is not None},
        others=[named.updated_at for named in solutions.values()],
    )


def url_of(node: Node, label: FeedLabel, record: LiveRecord[Any]) -> str:
    """The address of the document of a record."""
    plural = next(plural for plural, kind in KINDS.items() if isinstance(record.content, kind))
    return f"{node.url}/csaf/{label}/{plural}/{record.key}/{file_name(tracking_id(record))}"


def _page_of(node: Node, incident: LiveRecord[Incident]) -> str:
    language = choose_language(incident.content.title)
    shown = language if language in LANGUAGES else LANGUAGES[0]
    return f"{node.url}/{shown}/incidents/{incident.origin}/{incident.key}"


# Feeds

_public: WeakKeyDictionary[Node, tuple[tuple[Any, ...], Feed]] = WeakKeyDictionary()
"""The feed of CLEAR documents of each node, and what it was made at: heads, and signed or not."""
_making: WeakKeyDictionary[Node, asyncio.Lock] = WeakKeyDictionary()


async def feed(node: Node, label: FeedLabel, *, by: Caller) -> Feed:
    """The feed of a label, of what the caller may see.

    That of CLEAR documents is made anew when a public record has changed.
    """
    if label != "white":
        return await _make_feed(node, label, by)
    async with _making.setdefault(node, asyncio.Lock()):
        async with node.store.read() as tx:
            feeds = await tx.feeds.all()
            is_signed = await find_signer(tx) is not None
        heads = (*((f.origin, f.epoch, f.head) for f in feeds if f.audience == PUBLIC), is_signed)
        stored = _public.get(node)
        if stored is None or stored[0] != heads:
            _public[node] = stored = heads, await _make_feed(node, label, anonymous(node.operator))
        return stored[1]


async def _make_feed(node: Node, label: FeedLabel, reader: Caller) -> Feed:
    entries = [entry async for entry in _entries(node, label, reader)]
    entries.sort(key=lambda entry: (instant(entry.updated), entry.id), reverse=True)
    updated = entries[0].updated if entries else FIRST_DAY
    async with node.store.read() as tx:
        is_signed = await find_signer(tx) is not None
    made = csaf_lists.feed(issuer_of(node), node.url, label, entries, updated=updated, is_signed=is_signed)
    return Feed(await asyncio.to_thread(write, made), updated)


async def _entries(node: Node, label: FeedLabel, reader: Caller) -> AsyncIterator[Listed]:
    issuer = issuer_of(node)
    async with node.store.read() as tx:
        names = _Names(tx, reader)
        async for record in _records(node, tx, Incident, label, reader):
            solutions = await names.solutions(record.content)
            is_withdrawn = record.content.status == "withdrawn"
            others = () if is_withdrawn else [named.updated_at for named in solutions.values()]
            yield _listed(node, label, record, csaf_advisory.title_of(record.content), newest(record, others))
        async for record in _records(node, tx, Statement, label, reader):
            incident = await names.answered(record.content)
            if incident is not None:
                title = csaf_vex.title_of(issuer, incident.content)
                yield _listed(node, label, record, title, newest(record, [incident.updated_at]))


async def _records(
    node: Node, tx: Reading, kind: type[Content], label: FeedLabel, reader: Caller
) -> AsyncIterator[LiveRecord[Any]]:
    """Own records of a label, those changed last first; of incidents those that documents are made of."""
    if reader.operator is not None and f"{kind.plural}.read" not in reader.scopes:
        return
    facets: tuple[tuple[str, tuple[str, ...]], ...] = (("origin", (node.operator,)), ("tlp", FEEDS[label]))
    if kind is Incident:
        facets = (*facets, ("kind", tuple(MADE_OF)))
    after: PageKey | None = None
    for _ in range(0, MAX_DOCUMENTS, MAX_PAGE):
        query = Query(kind=kind, facets=facets, limit=MAX_PAGE, after=after)
        documents, after, _ = await tx.records.collect(query, visible_to=reader)
        for record in await asyncio.to_thread(_understood, kind, documents):
            yield record
        if after is None:
            return


def _understood(kind: type[Content], documents: Iterable[bytes]) -> list[LiveRecord[Any]]:
    """The records of documents, without those that a newer version of the program has written."""
    records = []
    for document in documents:
        try:
            records.append(_DECODERS[kind].decode(document))
        except msgspec.ValidationError:
            continue
    return records


def _listed(node: Node, label: FeedLabel, record: LiveRecord[Any], title: str, updated: str) -> Listed:
    return Listed(tracking_id(record), title, record.created_at, updated, url_of(node, label, record))
