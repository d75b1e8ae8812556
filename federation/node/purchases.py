"""Purchases and their consultations: the needs added up for a caller, and the contract after the award."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from federation.domain.content.consultation import Consultation
from federation.domain.content.operator import Operator
from federation.domain.content.participation import Participation
from federation.domain.content.purchase import Purchase
from federation.domain.document import Document, check_id
from federation.domain.errors import Conflict, NotFound, Retracted
from federation.domain.exposure.answers import CopyAge
from federation.domain.organisation import Identifier
from federation.domain.peer import PeerContact
from federation.domain.purchasing.answers import ConsultationNeeds, Reach
from federation.domain.purchasing.decp import decp_of
from federation.domain.purchasing.needs import (
    MAX_PARTICIPATIONS,
    StoredConsultation,
    StoredParticipation,
    Surroundings,
    add_up,
)
from federation.domain.query import Query
from federation.domain.values import instant
from federation.domain.visibility import FEDERATION, PRIVATE, Caller, may_see
from federation.node.copy_ages import copy_ages
from federation.node.node import Node
from federation.store.database import Reading
from federation.store.lists import Listed
from federation.store.together import Together

MAX_OPERATORS = 500
"""Records of operators that are looked at for register numbers."""
_consultations = msgspec.json.Decoder(Document[Consultation])
_participations = msgspec.json.Decoder(Document[Participation])
_operators = msgspec.json.Decoder(Document[Operator])
_purchases = msgspec.json.Decoder(Document[Purchase])


async def needs_of(node: Node, origin: str, key: str, *, by: Caller) -> ConsultationNeeds:
    """The needs of a consultation, as far as the caller may see them. Hidden and absent are one answer.

    Raises NotFound, Retracted, and Conflict for a record that this version does not understand.
    """
    check_id(origin, key)
    async with node.store.read() as tx:
        document = await _live(tx, Consultation.type, origin, key, by=by)
    decoded = _consultations.decode(document)
    assert decoded.content is not None  # noqa: S101 - it is no tombstone
    asked = StoredConsultation(f"{origin}/{key}", instant(decoded.updated_at), decoded.content)
    return await needs_of_stored(node, asked, by=by)


async def needs_of_stored(node: Node, consultation: StoredConsultation, *, by: Caller) -> ConsultationNeeds:
    """The needs of a consultation that the caller has read."""
    async with node.store.read() as tx:
        read = await read_participations(node, tx, consultation.id, by=by)
        participations = await asyncio.to_thread(decode_participations, read.listed.documents)
        identifiers = await read_identifiers(tx, participations, by=by)
    return await add_up_read(node, consultation, read, participations, identifiers, by=by)


class ParticipationsRead(NamedTuple):
    """The participations in a consultation as they are stored, and the operators that may take part."""

    listed: Listed
    peers: tuple[PeerContact, ...]
    copies: dict[str, CopyAge]


async def read_participations(
    node: Node, tx: Reading, consultation_id: str, *, by: Caller
) -> ParticipationsRead:
    """The participations in a consultation that the caller may see, with others of one answer."""
    query = Query(
        kind=Participation, facets=(("consultation", (consultation_id,)),), limit=MAX_PARTICIPATIONS
    )
    async with Together(tx) as reads:
        listed = reads.start(reads.tx.records.search(query, visible_to=by))
        peers = reads.start(reads.tx.peers.contacts())
        copies = reads.start(copy_ages(node, reads.tx, by=by))
    return ParticipationsRead(listed.result(), peers.result(), copies.result())


async def add_up_read(
    node: Node,
    consultation: StoredConsultation,
    read: ParticipationsRead,
    participations: Sequence[StoredParticipation],
    identifiers: Mapping[str, tuple[Identifier, ...]],
    *,
    by: Caller,
) -> ConsultationNeeds:
    """The needs that participations come to; beside the event loop, since they may name very many bodies."""
    around = Surroundings(
        now=node.clock(),
        rests_on=_reach(node, by),
        members=_members(node, read.peers, read.copies) if may_see(node.operator, FEDERATION, by) else None,
        copies=read.copies,
        identifiers=identifiers,
        more=read.listed.page_key is not None,
        not_understood=read.listed.not_understood,
    )
    return await asyncio.to_thread(add_up, consultation, participations, around)


def decode_participations(documents: Sequence[bytes]) -> list[StoredParticipation]:
    """The participations of documents: ten thousand bodies each, so not on the event loop."""
    return [entry for entry in map(_participation, documents) if entry is not None]


def _participation(document: bytes) -> StoredParticipation | None:
    decoded = _participations.decode(document)
    if decoded.content is None:
        return None
    return StoredParticipation(
        decoded.origin, f"{decoded.origin}/{decoded.key}", instant(decoded.updated_at), decoded.content
    )


async def read_identifiers(
    tx: Reading, participations: Sequence[StoredParticipation], *, by: Caller
) -> Mapping[str, tuple[Identifier, ...]]:
    """Register numbers of the operators that take part for themselves, from their own records."""
    found: dict[str, tuple[Identifier, ...]] = {}
    if all(entry.content.coverage is not None for entry in participations):
        return found
    query = Query(kind=Operator, limit=MAX_OPERATORS)
    documents, _, _ = await tx.records.collect(query, visible_to=by)
    for document in documents:
        decoded = _operators.decode(document)
        if decoded.content is not None and decoded.content.identifiers:
            found.setdefault(decoded.origin, decoded.content.identifiers)
    return found


def _reach(node: Node, by: Caller) -> Reach:
    if may_see(node.operator, PRIVATE, by):
        return "all"
    return "federation" if may_see(node.operator, FEDERATION, by) else "public"


def _members(node: Node, peers: Sequence[PeerContact], copies: Mapping[str, Any]) -> set[str]:
    """Operators that answer in this federation, as far as the caller may know of them."""
    return {node.operator} | {
        peer.operator for peer in peers if peer.state == "active" and peer.operator in copies
    }


async def _live(tx: Reading, type_name: str, origin: str, key: str, *, by: Caller) -> bytes:
    """The document of a record. Raises NotFound, Retracted, Conflict."""
    stored = await tx.records.find(type_name, origin, key, visible_to=by)
    if stored is None:
        raise NotFound(
            "there is no {kind} {origin}/{key} that you may see", kind=type_name, origin=origin, key=key
        )
    if stored.retracted:
        raise Retracted("{name} has been retracted", name=f"{origin}/{key}")
    if stored.not_understood is not None:
        raise Conflict(
            "this version of the node does not understand {name}: upgrade the node", name=f"{origin}/{key}"
        )
    return stored.document


# The contract


class AwardedData(msgspec.Struct, frozen=True):
    """The contract of a consultation as DECP has it, and when its record was last revised."""

    document: dict[str, Any]
    updated_at: datetime


async def decp(node: Node, origin: str, key: str, *, by: Caller) -> AwardedData:
    """The essential data of the contract. Raises NotFound, Retracted, and Conflict before the award."""
    check_id(origin, key)
    async with node.store.read() as tx:
        consultation = _consultations.decode(await _live(tx, Consultation.type, origin, key, by=by))
        assert consultation.content is not None  # noqa: S101 - it is no tombstone
        purchase = await read_purchase(tx, consultation.content.purchase, by=by)
    document = decp_of(consultation.content, purchase, name=f"{origin}/{key}")
    return AwardedData(document, instant(consultation.updated_at))


async def read_purchase(tx: Reading, name: str, *, by: Caller) -> Purchase | None:
    """The vehicle of a consultation; None where it is not here, or not for the caller."""
    origin, _, key = name.partition("/")
    stored = await tx.records.find(Purchase.type, origin, key, visible_to=by)
    if stored is None or stored.retracted or stored.not_understood is not None:
        return None
    return _purchases.decode(stored.document).content
