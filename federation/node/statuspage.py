"""The state of services as Statuspage has it: what is public, for widgets and programs of anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import msgspec

from federation.domain.content.incident import Incident
from federation.domain.content.operator import Operator
from federation.domain.formats.statuspage import (
    StatusComponent,
    StatusIncidents,
    StatusMaintenances,
    StatusPage,
    StatusSummary,
    components_of,
    incident_of,
    maintenance_of,
    page_status,
    status_page,
)
from federation.domain.messages import Language
from federation.domain.query import MAX_PAGE, Query
from federation.domain.service_state import GOING_ON, OVER, ServiceEvent, ServiceKind
from federation.domain.visibility import anonymous
from federation.node import records, service_status
from federation.node.node import Node

MAX_RECENT = 50
"""Incidents, or maintenance, of one answer at most, as Statuspage gives them: those changed last."""


class _Dates(msgspec.Struct):
    origin: str
    key: str
    created_at: str
    updated_at: str


_dates = msgspec.json.Decoder(_Dates)


async def summary(node: Node, language: Language) -> StatusSummary:
    """The state of the services, what is not over, and what is planned."""
    by = anonymous(node.operator)
    status = await service_status.of_all(node, by=by)
    documents, _, _ = await records.collect(node, Query(kind=Operator, limit=MAX_PAGE, sort="id"), by=by)
    dates = {
        record.origin: (record.created_at, record.updated_at)
        for record in map(_dates.decode, documents)
        if record.origin == record.key
    }
    changes = [*(event.updated_at for event in status.events), *(changed for _, changed in dates.values())]
    page = _page(node, changes, language)
    components = components_of(status.operators, page, dates)
    unknown = sum(state.state == "unknown" for state in status.operators)
    return await asyncio.to_thread(
        lambda: StatusSummary(
            page,
            page_status(components, unknown, language),
            components,
            tuple(
                incident_of(event, page, components, language)
                for event in status.events
                if event.content.kind != "maintenance"
            ),
            tuple(
                maintenance_of(event, page, components, language)
                for event in status.events
                if event.content.kind == "maintenance"
            ),
        )
    )


async def incidents(node: Node, language: Language) -> StatusIncidents:
    """The outages and degraded services that changed last."""
    events, page, components = await _recent(node, ("outage", "degradation"), language)
    listed = await asyncio.to_thread(
        lambda: tuple(incident_of(event, page, components, language) for event in events)
    )
    return StatusIncidents(page, listed)


async def maintenances(node: Node, language: Language) -> StatusMaintenances:
    """The maintenance that changed last."""
    events, page, components = await _recent(node, ("maintenance",), language)
    listed = await asyncio.to_thread(
        lambda: tuple(maintenance_of(event, page, components, language) for event in events)
    )
    return StatusMaintenances(page, listed)


async def _recent(
    node: Node, kinds: tuple[ServiceKind, ...], language: Language
) -> tuple[tuple[ServiceEvent, ...], StatusPage, tuple[StatusComponent, ...]]:
    current = await summary(node, language)
    query = Query(kind=Incident, facets=(("kind", kinds), ("status", (*GOING_ON, *OVER))), limit=MAX_RECENT)
    documents, _, _ = await records.collect(node, query, by=anonymous(node.operator))
    events = tuple(map(ServiceEvent.of, documents))
    changes = [current.page.updated_at, *(event.updated_at for event in events)]
    return events, _page(node, changes, language), current.components


def _page(node: Node, changes: Iterable[str], language: Language) -> StatusPage:
    zone = getattr(node.time_zone, "key", None) or "Etc/UTC"
    return status_page(node.operator, node.name, node.url, zone, changes, language)
