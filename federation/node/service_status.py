"""The state of all operators' services, as far as a caller may see."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from federation.domain.content.incident import Incident
from federation.domain.content.operator import Operator
from federation.domain.query import MAX_PAGE, Query
from federation.domain.service_state import (
    GOING_ON,
    OVER,
    SERVICE_KINDS,
    OperatorState,
    ServiceEvent,
    operator_state,
    worst_first,
)
from federation.domain.visibility import Caller
from federation.node.copy_ages import UNKNOWN_COPY, copy_ages
from federation.node.node import Node
from federation.store.together import Together

MAX_EVENTS = 200
"""Outages and maintenance that are not over and are read for one answer, at most: those changed last."""
MAX_PAST_EVENTS = 20
"""Those that are over and are shown of one operator, at most."""
PAST = timedelta(days=30)
"""Time for which they are shown."""


class ServiceStatus(msgspec.Struct, frozen=True):
    """The state of the services of operators, the worst first."""

    operators: tuple[OperatorState, ...]
    events: tuple[ServiceEvent, ...]
    more: bool
    """True where there are more events than were read: no operator is then without a fault for sure."""
    not_understood: int
    """Incidents that this version does not understand: each of them may be an outage of its operator's."""


class _Named(msgspec.Struct):
    name: str


class _OperatorRecord(msgspec.Struct):
    origin: str
    key: str
    content: _Named


_operator = msgspec.json.Decoder(_OperatorRecord)


async def of_all(node: Node, *, by: Caller) -> ServiceStatus:
    """The state of every operator that has a record or a copy here."""
    now = node.clock()
    operators = Query(kind=Operator, limit=MAX_PAGE, sort="id")
    async with node.store.read() as tx:
        async with Together(tx) as reads:
            listed_read = reads.start(reads.tx.records.search(_going_on(), visible_to=by))
            operators_read = reads.start(reads.tx.records.collect(operators, visible_to=by))
            ages_read = reads.start(copy_ages(node, reads.tx, by=by))
        listed, (documents, _, _), ages = listed_read.result(), operators_read.result(), ages_read.result()
        doubted, all_doubted = set[str](), listed.page_key is not None
        if listed.not_understood:
            unread, more = await tx.not_understood.newest(Incident.type, MAX_EVENTS, visible_to=by)
            doubted = {record.id.partition("/")[0] for record in unread}
            all_doubted |= more
    events = tuple(map(ServiceEvent.of, listed.documents))
    names = {name: name for name in ages} | {node.operator: node.name}
    for record in map(_operator.decode, documents):
        if record.origin == record.key:  # (an operator speaks for itself, under its own id)
            names[record.origin] = record.content.name
    states = [
        operator_state(operator, name, events, ages.get(operator, UNKNOWN_COPY), now)
        for operator, name in names.items()
    ]
    states = [
        msgspec.structs.replace(state, state="unknown")
        if state.state == "none-known" and (all_doubted or state.operator in doubted)
        else state
        for state in states
    ]
    return ServiceStatus(worst_first(states), events, listed.page_key is not None, listed.not_understood)


async def going_on(node: Node, *, by: Caller) -> tuple[tuple[ServiceEvent, ...], bool]:
    """Outages and maintenance that are not over, the last change first; True where there are more."""
    async with node.store.read() as tx:
        listed = await tx.records.search(_going_on(), visible_to=by)
    return tuple(map(ServiceEvent.of, listed.documents)), listed.page_key is not None


async def of_past(node: Node, operator: str, *, by: Caller) -> tuple[ServiceEvent, ...]:
    """What was wrong with an operator's services lately and is over, the last change first."""
    query = Query(
        kind=Incident,
        facets=(("kind", SERVICE_KINDS), ("status", OVER), ("origin", (operator,))),
        updated_since=node.clock() - PAST,
        limit=MAX_PAST_EVENTS,
    )
    async with node.store.read() as tx:
        documents, _, _ = await tx.records.collect(query, visible_to=by)
    return tuple(map(ServiceEvent.of, documents))


def _going_on() -> Query:
    return Query(kind=Incident, facets=(("kind", SERVICE_KINDS), ("status", GOING_ON)), limit=MAX_EVENTS)
