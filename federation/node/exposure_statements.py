"""The statements on incidents, read for an answer about exposure.

An operator may answer an advisory as another operator published it: statements on incidents that share an
alias of a public catalogue count for each other, as far as they speak of the same vulnerabilities. An answer
to one CVE does not clear an incident that is about a second one: it is cleared when all are answered.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

import msgspec

from federation.domain.content.incident import Incident
from federation.domain.content.statement import Statement
from federation.domain.document import Document
from federation.domain.exposure.buckets import StatementRecord, UnreadStatement
from federation.domain.exposure.incident_record import IncidentRecord
from federation.domain.exposure.partial import partial_aliases, partial_statement
from federation.domain.exposure.totals import CLEARING
from federation.domain.query import MAX_PAGE, PageKey, Query
from federation.domain.values import instant
from federation.domain.visibility import Caller
from federation.store.database import Reading
from federation.store.together import Together

MAX_STATEMENTS = 2_000
"""Statements that one round reads, the newest."""
MAX_ROUNDS = 8
"""Rounds, at most: in each after the first the operators without a statement so far are asked for by name."""
MAX_SHARED_INCIDENTS = 50
"""Incidents of one alias whose statements count together, at most."""
MAX_PARTIAL_INCIDENTS = 200
"""Incidents that are not understood whose statements may count for another one, at most."""


class StatementsRead(msgspec.Struct, frozen=True):
    """The statements on some incidents, as far as one round has read them."""

    shared: dict[str, dict[str, frozenset[str] | None]]
    """For each incident those whose statements count for it, with the vulnerabilities that they answer."""
    statements: list[StatementRecord]
    more: bool
    """True where there are more."""

    def of_incidents(self) -> dict[str, list[StatementRecord]]:
        """The statements that count for each incident, by its id."""
        return {
            id_: [
                msgspec.structs.replace(statement, vulnerabilities=together[statement.content.incident])
                for statement in self.statements
                if statement.content.incident in together
            ]
            for id_, together in self.shared.items()
        }


async def statements_on(
    tx: Reading, incidents: Sequence[IncidentRecord], *, only: str | None, by: Caller
) -> StatementsRead:
    """The newest statements on each incident: those that ``by`` may see, or of these those of ``only``."""
    own = tuple(sorted({incident.id for incident in incidents}))
    origins: tuple[str, ...] = () if only is None else (only,)
    if not own:
        return StatementsRead({}, [], more=False)
    async with Together(tx) as reads:
        shared_read = reads.start(_shared_incidents(reads.tx, incidents, by))
        newest_read = reads.start(_newest(reads.tx, own, origins, by))
    shared, (statements, more) = shared_read.result(), newest_read.result()
    others = {id_ for together in shared.values() for id_ in together}.difference(own)
    if others:
        newest, more_of_others = await _newest(tx, tuple(sorted(others)), origins, by)
        statements, more = [*statements, *newest], more or more_of_others
    return StatementsRead(shared, statements, more)


async def all_statements_on(
    tx: Reading, read: StatementsRead, operators: Set[str], *, by: Caller
) -> dict[str, list[StatementRecord]]:
    """The statements on each incident, by its id.

    Where there are more than one round reads, ``operators`` that have none among them are asked for by name:
    the flood of one operator must not hide that others have answered.
    """
    ids = tuple(sorted({id_ for together in read.shared.values() for id_ in together}))
    statements, more = list(read.statements), read.more
    for _ in range(MAX_ROUNDS - 1):
        origins = tuple(sorted(operators - {statement.origin for statement in statements}))
        if not more or not origins:
            break
        newest, more = await _newest(tx, ids, origins, by)
        statements += newest
    return StatementsRead(read.shared, statements, more).of_incidents()


async def unread_statements_on(
    tx: Reading,
    incidents: Sequence[IncidentRecord],
    *,
    only: str | None,
    by: Caller,
) -> dict[str, list[UnreadStatement]]:
    """The statements that are not understood and are on each incident, or may be, by the incident's id.

    Where there are more than are read each operator that has some counts as if it had one on every incident.
    A statement on an incident that is not understood is not understood for those of the same aliases, unless
    it clears: it may be on the same vulnerability.
    """
    async with Together(tx) as reads:
        newest_read = reads.start(
            reads.tx.not_understood.newest(Statement.type, MAX_STATEMENTS, visible_to=by)
        )
        partial_read = reads.start(_partial_aliases(reads.tx, incidents, by))
    (newest, more), partial = newest_read.result(), partial_read.result()
    if not newest and not partial:
        return {incident.id: [] for incident in incidents}
    any_incident: list[UnreadStatement] = []
    by_incident: dict[str, list[UnreadStatement]] = {}
    if more:
        origins = await tx.not_understood.origins(Statement.type, visible_to=by)
        any_incident = [UnreadStatement(origin, at) for origin, at in origins.items()]
    else:
        for record in newest:
            unread, on = UnreadStatement(record.origin, record.updated_at), partial_statement(record.document)
            (any_incident if on is None else by_incident.setdefault(on, [])).append(unread)
    if partial:
        origins_read = () if only is None else (only,)
        for statement in (await _newest(tx, tuple(sorted(partial)), origins_read, by))[0]:
            if statement.content.status not in CLEARING:
                on_it = by_incident.setdefault(statement.content.incident, [])
                on_it.append(UnreadStatement(statement.origin, statement.updated_at))
    shared = await _shared_incidents(tx, incidents, by) if by_incident else {}
    found = {
        incident.id: [
            *any_incident,
            *(
                msgspec.structs.replace(unread, vulnerabilities=vulnerabilities)
                for id_, vulnerabilities in shared.get(incident.id, {}).items()
                for unread in by_incident.get(id_, ())
            ),
            *(
                unread
                for id_, aliases in partial.items()
                if id_ != incident.id and incident.shared_aliases
                if aliases is None or not aliases.isdisjoint(incident.shared_aliases)
                for unread in by_incident.get(id_, ())
            ),
        ]
        for incident in incidents
    }
    if only is None:
        return found
    return {id_: [unread for unread in listed if unread.origin == only] for id_, listed in found.items()}


async def _partial_aliases(
    tx: Reading, incidents: Sequence[IncidentRecord], by: Caller
) -> dict[str, frozenset[str] | None]:
    """The aliases of incidents that are not understood, by id; None where they cannot be read."""
    if not any(incident.shared_aliases for incident in incidents):
        return {}
    newest, _ = await tx.not_understood.newest(Incident.type, MAX_PARTIAL_INCIDENTS, visible_to=by)
    return {record.id: partial_aliases(record.document) for record in newest}


async def _newest(
    tx: Reading, incidents: tuple[str, ...], origins: tuple[str, ...], by: Caller
) -> tuple[list[StatementRecord], bool]:
    """The newest on these incidents, of these operators or of all; True where there are more."""
    facets = (("incident", incidents), *((("origin", origins),) if origins else ()))
    statements: list[StatementRecord] = []
    after: PageKey | None = None
    while len(statements) < MAX_STATEMENTS:
        query = Query(kind=Statement, facets=facets, limit=MAX_PAGE, after=after)
        documents, after, _ = await tx.records.collect(query, visible_to=by)
        for document in documents:
            record = _statement.decode(document)
            assert record.content is not None  # noqa: S101 - no tombstone is listed
            id_ = f"{record.origin}/{record.key}"
            statements.append(StatementRecord(record.origin, id_, instant(record.updated_at), record.content))
        if after is None:
            break
    return statements, after is not None


async def _shared_incidents(
    tx: Reading, incidents: Sequence[IncidentRecord], by: Caller
) -> dict[str, dict[str, frozenset[str] | None]]:
    """For each incident those whose statements count for it, with the vulnerabilities that they answer.

    None for its own: they answer all of it.
    """
    aliases = {alias for incident in incidents for alias in incident.shared_aliases}
    by_alias: dict[str, dict[str, IncidentRecord]] = {}
    if aliases:
        query = Query(
            kind=Incident,
            facets=(("alias", tuple(sorted(aliases))),),
            limit=max(MAX_SHARED_INCIDENTS, len(incidents)),
        )
        documents, _, _ = await tx.records.collect(query, visible_to=by)
        for incident in map(IncidentRecord.of, documents):
            for alias in incident.shared_aliases:
                by_alias.setdefault(alias, {})[incident.id] = incident
    shared: dict[str, dict[str, frozenset[str] | None]] = {}
    for incident in incidents:
        others = {
            id_: incident.answered_by(other)
            for alias in incident.shared_aliases
            for id_, other in by_alias.get(alias, {}).items()
        }
        shared[incident.id] = {**{id_: part for id_, part in others.items() if part}, incident.id: None}
    return shared


_statement = msgspec.json.Decoder(Document[Statement])
