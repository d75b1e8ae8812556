"""Incidents: the list, and the page of one with who is affected, what to do and whom to call.

An incident that is CLEAR is for everybody; who is affected by it is for members.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from litestar.response.base import ASGIResponse

from federation.domain.content.incident import STATUSES, Incident
from federation.domain.errors import Retracted
from federation.edge.operations import Right
from federation.node import incident_page
from federation.web.entries import Entry, decoder
from federation.web.exposure_views import view_of
from federation.web.language import screen_text as t
from federation.web.list_files import Column, list_file, listing_file
from federation.web.listing import Filter, list_answer, read_listing, value_words
from federation.web.pages import page
from federation.web.records import open_record, source_among
from federation.web.rendering import in_language
from federation.web.visit import Visit


class Row(msgspec.Struct):
    """The part of an incident that the list shows."""

    title: dict[str, str]
    kind: str
    status: str
    severity: str
    started_at: str | None = None
    scheduled_for: str | None = None


class AffectedView(msgspec.Struct):
    """An entry of what is affected."""

    solution: str | None = None
    range: str | None = None
    range_text: str | None = None
    fixed_in: tuple[str, ...] = ()
    deployments: tuple[str, ...] = ()


class RemediationView(msgspec.Struct):
    """A remedy."""

    category: str
    text: dict[str, str] | None = None
    url: str | None = None
    version: str | None = None


class UpdateView(msgspec.Struct):
    """A line of the timeline."""

    at: str
    status: str
    text: dict[str, str]


class SourceView(msgspec.Struct):
    """The advisory that it was made from."""

    url: str
    publisher: str | None = None


class IncidentView(msgspec.Struct):
    """An incident as the page shows it: values that this version does not know are shown as they are."""

    title: dict[str, str] = msgspec.field(default_factory=dict)
    summary: dict[str, str] = msgspec.field(default_factory=dict)
    kind: str = ""
    status: str = ""
    severity: str = ""
    affects: tuple[AffectedView, ...] = ()
    started_at: str | None = None
    detected_at: str | None = None
    resolved_at: str | None = None
    scheduled_for: str | None = None
    scheduled_until: str | None = None
    aliases: tuple[str, ...] = ()
    exploitation: str | None = None
    remediations: tuple[RemediationView, ...] = ()
    updates: tuple[UpdateView, ...] = ()
    source: SourceView | None = None
    duplicate_of: str | None = None


class _StatementContent(msgspec.Struct):
    action: dict[str, str] | None = None


class _StatementRecord(msgspec.Struct):
    origin: str
    key: str
    tlp: str
    content: _StatementContent
    audience: str | None = None


_statement = msgspec.json.Decoder(_StatementRecord)

FILTERS = (
    Filter("kind", t("Kind"), values=tuple(STATUSES), kind="incident_kind"),
    Filter(
        "status",
        t("State"),
        values=tuple(dict.fromkeys(status for statuses in STATUSES.values() for status in statuses)),
        kind="incident_status",
    ),
    Filter("severity", t("Severity"), values=("critical", "high", "medium", "low", "none"), kind="severity"),
    Filter("solution", t("Solution"), hint=t("For example arnia/glpi")),
    Filter("origin", t("Operator"), hint=t("For example arnia")),
    Filter("q", t("Words")),
)
COLUMNS = (
    Column(t("Incident"), lambda visit, entry: entry.id),
    Column(t("Title"), lambda visit, entry: in_language(visit.language, entry.content.title)[0]),
    Column(t("Kind"), lambda visit, entry: value_words(visit, "incident_kind", entry.content.kind)),
    Column(t("State"), lambda visit, entry: value_words(visit, "incident_status", entry.content.status)),
    Column(t("Severity"), lambda visit, entry: value_words(visit, "severity", entry.content.severity)),
    Column(t("Operator"), lambda visit, entry: entry.origin),
    Column(t("Changed"), lambda visit, entry: entry.updated_at),
    Column(t("Label"), lambda visit, entry: f"TLP:{entry.tlp}"),
)
READ = Right("incidents.read", open=True)


@page("/incidents", act="page_incidents", right=READ)
async def incidents(visit: Visit) -> ASGIResponse:
    """List the incidents, those changed last first."""
    return list_answer(visit, "incidents.html", await read_listing(visit, Incident, Row, FILTERS))


@list_file("/incidents", act="page_incidents_file", right=READ)
async def incidents_file(visit: Visit) -> ASGIResponse:
    """Download the list."""
    return await listing_file(visit, Incident, Row, FILTERS, COLUMNS)


@page("/incidents/{origin:str}/{key:str}", act="page_incident", right=READ)
async def incident(visit: Visit, origin: str, key: str) -> ASGIResponse:
    """Show an incident and, to members, who is affected and whom to call."""
    id_ = f"{origin}/{key}"
    try:
        read = (
            await incident_page.exposed(
                visit.node, origin, key, by=visit.caller, with_deadlines=visit.may("deadlines.read")
            )
            if visit.is_member and visit.may("exposure.read")
            else await incident_page.public(visit.node, origin, key, by=visit.caller)
        )
    except Retracted:
        read = None
    if read is None or read.stored.retracted:
        gone = await open_record(visit, Incident, origin, key)
        if isinstance(gone, Entry):  # published again in this moment
            return visit.to(visit.path)
        return gone
    entry: Entry[Any] = decoder(msgspec.Raw).decode(read.stored.document)
    visit.operator_names = {operator: contact.name for operator, contact in read.contacts.items()}
    try:
        content = msgspec.json.decode(entry.content, type=IncidentView)
    except msgspec.ValidationError:
        content = IncidentView()
    return visit.page(
        "incident.html",
        alternate=f"/v1/incidents/{id_}",
        id=id_,
        origin=origin,
        key=key,
        entry=entry,
        source=source_among(read.sources, entry),
        incident=content,
        is_understood=read.stored.not_understood is None,
        exposure=view_of(visit, read.exposure, read.contacts) if read.exposure is not None else None,
        contact=read.contacts.get(origin),
        actions=_actions(read.statements),
        deadlines=read.deadlines,
        is_own=origin == visit.node.operator,
    )


def _actions(documents: Iterable[bytes]) -> dict[str, dict[str, str]]:
    """The words of the statements on an incident, by id."""
    statements: Any = map(_statement.decode, documents)
    return {
        f"{statement.origin}/{statement.key}": statement.content.action
        for statement in statements
        if statement.content.action
    }


HANDLERS = (incidents, incidents_file, incident)
