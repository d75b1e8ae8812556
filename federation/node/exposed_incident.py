"""One incident with its exposure, by reads that go together with others of one answer."""

from __future__ import annotations

import msgspec

from federation.domain.content.incident import Incident
from federation.domain.errors import Retracted
from federation.domain.exposure.answers import IncidentExposure
from federation.domain.exposure.incident_record import IncidentRecord
from federation.domain.exposure.totals import summary, total
from federation.domain.stored import StoredRecord
from federation.domain.values import as_instant
from federation.domain.visibility import Caller
from federation.node import records
from federation.node.contacts import Contact, read_contacts
from federation.node.copy_ages import copy_ages
from federation.node.exposure_index import IndexCheck
from federation.node.exposure_query import ExposureQuery
from federation.node.node import Node
from federation.store.database import Reading
from federation.store.together import Together


class ExposedIncident(msgspec.Struct, frozen=True):
    """An incident with its exposure, and whom to call at the operators of that."""

    stored: StoredRecord
    exposure: IncidentExposure
    contacts: dict[str, Contact]


async def read_incident(
    node: Node, tx: Reading, check: IndexCheck, origin: str, key: str, *, by: Caller, with_contacts: bool
) -> ExposedIncident:
    """The effect of an incident, with others of one answer. Raises NotFound, Retracted."""
    async with Together(tx) as reads:
        reads.start(check.begin(reads.tx))
        stored = reads.start(records.read(reads.tx, Incident, origin, key, by=by))
        ages = reads.start(copy_ages(node, reads.tx, by=by))
    incident = incident_of(stored.result(), origin, key)
    query = ExposureQuery(node, tx, by, ages.result())
    async with Together(tx) as reads:
        answers_read = reads.start(query.within(reads.tx).answers([incident]))
        groups_read = reads.start(query.within(reads.tx).linked_groups(incident))
    (groups, links), answers = groups_read.result(), answers_read.result()
    (totals,) = await query.totals([incident], groups, answers, links)
    concerned = query.operators(totals)
    called = {origin, *(entry.operator for entry in concerned)} if with_contacts else set()
    async with Together(tx) as reads:
        own_read = reads.start(
            query.within(reads.tx).own_deployments(incident, totals.get(by.operator or ""))
        )
        contacts = reads.start(read_contacts(reads.tx, called, by=by))
        reads.start(check.end(reads.tx))
    own = own_read.result()
    total_ = total(totals.values())
    now = node.clock()
    exposure = IncidentExposure(
        incident=incident.to_view(now),
        as_of=as_instant(now),
        current_through=check.through,
        open=incident.is_open(now),
        summary=summary(total_, understood=incident.understood),
        total=total_,
        operators=tuple(
            query.to_view(incident, entry, own if entry.operator == by.operator else ())
            for entry in concerned
        ),
        not_here=query.missing(incident, answers),
        linked_solutions=links.to_view(query.linked[incident.id]),
        more_linked_solutions=links.more,
    )
    return ExposedIncident(stored.result(), exposure, contacts.result())


def incident_of(stored: StoredRecord, origin: str, key: str) -> IncidentRecord:
    """The incident of a record. Raises Retracted."""
    if stored.retracted:
        raise Retracted("incident {origin}/{key} has been retracted by {origin}", origin=origin, key=key)
    if stored.not_understood is not None:
        return IncidentRecord.partial(f"{origin}/{key}", stored.updated_at, stored.document)
    return IncidentRecord.of(stored.document)
