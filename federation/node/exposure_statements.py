"""The statements on incidents, read for an answer about exposure.

An operator may answer an advisory as another operator published it: statements on all incidents that share an
alias of a public catalogue count for each of them.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

import msgspec

from federation.domain.content.incident import Incident
from federation.domain.content.statement import Statement
from federation.domain.document import Document
from federation.domain.exposure.incident_record import IncidentRecord
from federation.domain.exposure.totals import StatementRecord
from federation.domain.query import MAX_PAGE, PageKey, Query
from federation.domain.values import instant
from federation.domain.visibility import Caller
from federation.store.database import Reading

MAX_STATEMENTS = 2_000
"""Statements that one round reads, the newest."""
MAX_ROUNDS = 8
"""Rounds, at most: in each after the first the operators without a statement so far are asked for by name."""
MAX_SHARED_INCIDENTS = 50
"""Incidents of one alias whose statements count together, at most."""


async def statements_on(
    tx: Reading, incidents: Sequence[IncidentRecord], operators: Set[str], *, only: str | None, by: Caller
) -> dict[str, list[StatementRecord]]:
    """The statements on each incident, by its id: all that ``by`` may see, or those of ``only``.

    Where there are more than one round reads, ``operators`` that have none among them are asked for by name:
    the flood of one operator must not hide that others have answered.
    """
    shared = await _shared_incidents(tx, incidents, by)
    ids = tuple(sorted(set().union(*shared.values())))
    statements: list[StatementRecord] = []
    origins: tuple[str, ...] = () if only is None else (only,)
    for _ in range(MAX_ROUNDS if ids else 0):
        newest, more = await _newest(tx, ids, origins, by)
        statements += newest
        origins = tuple(sorted(operators - {statement.origin for statement in statements}))
        if not more or only is not None or not origins:
            break
    return {
        id_: [statement for statement in statements if statement.content.incident in together]
        for id_, together in shared.items()
    }


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
) -> dict[str, frozenset[str]]:
    """For each incident the ids of all that share an alias with it, its own among them."""
    aliases = {alias for incident in incidents for alias in incident.shared_aliases}
    by_alias: dict[str, set[str]] = {}
    if aliases:
        query = Query(
            kind=Incident,
            facets=(("alias", tuple(sorted(aliases))),),
            limit=max(MAX_SHARED_INCIDENTS, len(incidents)),
        )
        documents, _, _ = await tx.records.collect(query, visible_to=by)
        for incident in map(IncidentRecord.of, documents):
            for alias in incident.shared_aliases:
                by_alias.setdefault(alias, set()).add(incident.id)
    return {
        incident.id: frozenset(
            {incident.id}.union(*(by_alias.get(alias, ()) for alias in incident.shared_aliases))
        )
        for incident in incidents
    }


_statement = msgspec.json.Decoder(Document[Statement])
