"""A consultation with all that its page shows, read together."""

from __future__ import annotations

import asyncio

import msgspec

from federation.domain.content.consultation import Consultation
from federation.domain.content.purchase import Purchase
from federation.domain.document import Document, check_id
from federation.domain.purchasing.answers import ConsultationNeeds
from federation.domain.purchasing.needs import StoredConsultation
from federation.domain.stored import StoredRecord
from federation.domain.values import instant
from federation.domain.visibility import Caller
from federation.node import purchases, records
from federation.node.contributions import Contributions, read_beneath
from federation.node.copy_views import Provenance, read_provenance
from federation.node.node import Node
from federation.node.operator_names import read_names
from federation.store.together import Together

_consultations = msgspec.json.Decoder(Document[Consultation])


class ConsultationPage(msgspec.Struct, frozen=True):
    """A consultation, and what is known around it."""

    stored: StoredRecord
    sources: tuple[Provenance, ...]
    """The feeds of its operator."""
    needs: ConsultationNeeds | None = None
    """None for a record that is retracted or not understood."""
    vehicle: Purchase | None = None
    """What it is held with; None where that is not here, or not for the caller."""
    contributions: Contributions = Contributions()
    names: dict[str, str] = {}
    """Names of the operators that it shows."""


async def of_consultation(node: Node, origin: str, key: str, *, by: Caller) -> ConsultationPage:
    """The consultation. Hidden and absent are one answer: NotFound."""
    check_id(origin, key)
    id_ = f"{origin}/{key}"
    async with node.store.read() as tx:
        async with Together(tx) as reads:
            stored_read = reads.start(records.read(reads.tx, Consultation, origin, key, by=by))
            sources = reads.start(read_provenance(node, reads.tx, (origin,), by=by))
            taking_part = reads.start(purchases.read_participations(node, reads.tx, id_, by=by))
            beneath = reads.start(read_beneath(reads.tx, Consultation.type, id_, by=by))
        stored = stored_read.result()
        if stored.retracted or stored.not_understood is not None:
            return ConsultationPage(stored, sources.result())
        document = await asyncio.to_thread(_consultations.decode, stored.document)
        content = document.content
        assert content is not None  # noqa: S101 - it is no tombstone
        read, contributions = taking_part.result(), beneath.result()
        participations = await asyncio.to_thread(purchases.decode_participations, read.listed.documents)
        operators = {
            node.operator,
            origin,
            *(peer.operator for peer in read.peers),
            *(participation.origin for participation in participations),
            *(entry.origin for entry in contributions.entries),
        }
        async with Together(tx) as reads:
            vehicle = reads.start(purchases.read_purchase(reads.tx, content.purchase, by=by))
            identifiers = reads.start(purchases.read_identifiers(reads.tx, participations, by=by))
            names = reads.start(read_names(reads.tx, operators, by=by))
    asked = StoredConsultation(id_, instant(document.updated_at), content)
    needs = await purchases.add_up_read(node, asked, read, participations, identifiers.result(), by=by)
    return ConsultationPage(stored, sources.result(), needs, vehicle.result(), contributions, names.result())
