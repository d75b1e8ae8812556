"""An incident with all that its page shows, read together: eight statements to the database at most."""

from __future__ import annotations

import msgspec

from federation.domain.content.incident import Incident
from federation.domain.content.statement import Statement
from federation.domain.document import check_id
from federation.domain.exposure.answers import IncidentExposure
from federation.domain.query import Query
from federation.domain.stored import StoredRecord
from federation.domain.visibility import Caller
from federation.node import exposure_index, records
from federation.node.answers import OwnStatements, read_own_statements
from federation.node.audiences import read_own_groups
from federation.node.contacts import Contact, read_contacts
from federation.node.copy_views import Provenance, read_provenance
from federation.node.deadlines import DeadlineView, read_deadlines
from federation.node.exposed_incident import ExposedIncident, read_incident
from federation.node.exposure_index import IndexCheck
from federation.node.node import Node
from federation.store.database import Reading
from federation.store.together import Together

MAX_STATEMENTS = 200
"""Statements whose texts are read, the newest."""


class IncidentPage(msgspec.Struct, frozen=True):
    """An incident, and what is known around it."""

    stored: StoredRecord
    contacts: dict[str, Contact]
    """Of its operator, and of those that it affects or that have answered."""
    sources: tuple[Provenance, ...]
    """The feeds of its operator."""
    exposure: IncidentExposure | None = None
    statements: tuple[bytes, ...] = ()
    """Documents of the statements on it."""
    deadlines: tuple[DeadlineView, ...] = ()
    """The reports that are due for it."""


async def public(node: Node, origin: str, key: str, *, by: Caller) -> IncidentPage:
    """The incident without its exposure. Hidden and absent are one answer: NotFound."""
    check_id(origin, key)
    async with node.store.read() as tx, Together(tx) as reads:
        stored = reads.start(records.read(reads.tx, Incident, origin, key, by=by))
        contacts = reads.start(read_contacts(reads.tx, (origin,), by=by))
        sources = reads.start(read_provenance(node, reads.tx, (origin,), by=by))
    return IncidentPage(stored.result(), contacts.result(), sources.result())


async def exposed(
    node: Node, origin: str, key: str, *, by: Caller, with_deadlines: bool = False
) -> IncidentPage:
    """The incident with its exposure and the answers to it. Raises NotFound, Retracted."""
    check_id(origin, key)
    query = Query(kind=Statement, facets=(("incident", (f"{origin}/{key}",)),), limit=MAX_STATEMENTS)

    async def read(tx: Reading, check: IndexCheck) -> IncidentPage:
        async with Together(tx) as reads:
            incident_read = reads.start(
                read_incident(node, reads.tx, check, origin, key, by=by, with_contacts=True)
            )
            sources = reads.start(read_provenance(node, reads.tx, (origin,), by=by))
            statements = reads.start(reads.tx.records.collect(query, visible_to=by))
            due = reads.start(read_deadlines(node, reads.tx, by=by)) if with_deadlines else None
        incident = incident_read.result()
        return IncidentPage(
            incident.stored,
            incident.contacts,
            sources.result(),
            incident.exposure,
            tuple(statements.result()[0]),
            tuple(
                view
                for view in (due.result() if due is not None else ())
                if view.deadline.incident == f"{origin}/{key}"
            ),
        )

    return await exposure_index.ask(node, read)


class AnswerForm(msgspec.Struct, frozen=True):
    """An incident, and what the form of an answer to it is made from."""

    incident: ExposedIncident
    before: OwnStatements
    """The statements of this operator on it."""
    groups: tuple[str, ...]
    """Groups that an answer can be for."""


async def answer_form(node: Node, origin: str, key: str, *, by: Caller) -> AnswerForm:
    """The incident with its exposure, for the form of an answer. Raises NotFound, Retracted."""
    check_id(origin, key)

    async def read(tx: Reading, check: IndexCheck) -> AnswerForm:
        async with Together(tx) as reads:
            incident = reads.start(
                read_incident(node, reads.tx, check, origin, key, by=by, with_contacts=True)
            )
            before = reads.start(read_own_statements(node, reads.tx, f"{origin}/{key}", by=by))
            groups = reads.start(read_own_groups(node, reads.tx, by=by))
        return AnswerForm(incident.result(), before.result(), groups.result())

    return await exposure_index.ask(node, read)
