"""The state of services in the form of the Statuspage API, version 2, which many programs read.

Its words say less than ours, and one says more than anybody knows (decision 0064):

    ours                          component               indicator of the page
    down, severity critical       major_outage            critical
    down                          partial_outage          major
    degraded                      degraded_performance    minor
    maintenance                   under_maintenance       maintenance
    no fault known                operational             none
    not known                     none: it is left out, and the description of the page counts it
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from federation.domain.content.incident import Incident
from federation.domain.messages import Language
from federation.domain.service_state import OperatorState, ServiceEvent
from federation.domain.values import instant

Indicator = Literal["none", "minor", "major", "critical", "maintenance"]
ComponentStatus = Literal[
    "operational", "degraded_performance", "partial_outage", "major_outage", "under_maintenance"
]
Impact = Literal["none", "minor", "major", "critical", "maintenance"]
MAX_UPDATES = 50
"""Updates of one incident, at most: the newest."""
NEVER = "1970-01-01T00:00:00Z"
"""The time of a change where nothing has ever changed."""
_IMPACTS: dict[str, Impact] = {
    "none": "none", "low": "minor", "medium": "minor", "high": "major", "critical": "critical",
}  # fmt: skip
_INDICATORS: dict[ComponentStatus, Indicator] = {
    "major_outage": "critical",
    "partial_outage": "major",
    "degraded_performance": "minor",
    "under_maintenance": "maintenance",
    "operational": "none",
}
"""The worst first."""
_DESCRIPTIONS: dict[Indicator, dict[Language, str]] = {
    "critical": {"en": "Major outage", "fr": "Panne majeure"},
    "major": {"en": "Outage", "fr": "Panne"},
    "minor": {"en": "Degraded service", "fr": "Service dégradé"},
    "maintenance": {"en": "Maintenance under way", "fr": "Maintenance en cours"},
    "none": {"en": "No fault known", "fr": "Aucune panne connue"},
}
_NOT_KNOWN: dict[Language, str] = {
    "en": "; operators whose state is not known: %d",
    "fr": " ; opérateurs dont l’état n’est pas connu : %d",
}


class StatusPage(msgspec.Struct, frozen=True):
    """The page that an answer is of."""

    id: str
    name: str
    url: str
    time_zone: str
    updated_at: str


class PageStatus(msgspec.Struct, frozen=True):
    """The state of all components together."""

    indicator: Indicator
    description: str


class StatusComponent(msgspec.Struct, frozen=True):
    """The services of an operator."""

    id: str
    name: str
    status: ComponentStatus
    created_at: str
    updated_at: str
    position: int
    page_id: str
    description: str | None = None
    showcase: bool = True
    start_date: str | None = None
    group_id: str | None = None
    group: bool = False
    only_show_if_degraded: bool = False


class StatusUpdate(msgspec.Struct, frozen=True):
    """A line of the timeline of an incident."""

    id: str
    status: str
    body: str
    incident_id: str
    created_at: str
    updated_at: str
    display_at: str
    affected_components: tuple[dict[str, str], ...] | None = None
    """Null here, like ``custom_tweet`` and ``tweet_id``. (Generators know no type that is null alone.)"""
    deliver_notifications: bool = False
    custom_tweet: str | None = None
    tweet_id: str | None = None


class StatusIncident(msgspec.Struct, frozen=True, kw_only=True):
    """An outage or a degraded service."""

    id: str
    name: str
    status: str
    created_at: str
    updated_at: str
    monitoring_at: str | None
    resolved_at: str | None
    impact: Impact
    shortlink: str
    started_at: str
    page_id: str
    incident_updates: tuple[StatusUpdate, ...]
    """The newest first."""
    components: tuple[StatusComponent, ...]


class StatusMaintenance(StatusIncident, frozen=True, kw_only=True):
    """A maintenance."""

    scheduled_for: str
    scheduled_until: str | None


class StatusSummary(msgspec.Struct, frozen=True):
    """The state of the services, the incidents that are not over, and maintenance to come or under way."""

    page: StatusPage
    status: PageStatus
    components: tuple[StatusComponent, ...]
    incidents: tuple[StatusIncident, ...]
    scheduled_maintenances: tuple[StatusMaintenance, ...]


class StatusIncidents(msgspec.Struct, frozen=True):
    """The incidents that changed last, those that are over among them."""

    page: StatusPage
    incidents: tuple[StatusIncident, ...]


class StatusMaintenances(msgspec.Struct, frozen=True):
    """The maintenance that changed last, what is over among it."""

    page: StatusPage
    scheduled_maintenances: tuple[StatusMaintenance, ...]


def status_page(
    operator: str, name: str, url: str, zone: str, changes: Iterable[str], language: Language
) -> StatusPage:
    """The page. ``changes``: the times of all that the answer is made of."""
    return StatusPage(
        operator, name, f"{url}/{language}/status", zone, max(changes, default=NEVER, key=instant)
    )


def components_of(
    states: Iterable[OperatorState], page: StatusPage, dates: Mapping[str, tuple[str, str]]
) -> tuple[StatusComponent, ...]:
    """A component for each operator whose state is known, by name.

    ``dates``: when the record of an operator was made, and when it was changed.
    """
    listed = sorted(
        (state for state in states if state.state != "unknown"),
        key=lambda state: (state.name.lower(), state.operator),
    )
    components = []
    for position, state in enumerate(listed, 1):
        made_at, changed_at = dates.get(state.operator, (NEVER, NEVER))
        changes = [changed_at, *(event.updated_at for event in state.events)]
        components.append(
            StatusComponent(
                id=state.operator,
                name=state.name,
                status=_component_status(state),
                created_at=made_at,
                updated_at=max(changes, key=instant),
                position=position,
                page_id=page.id,
            )
        )
    return tuple(components)


def _component_status(state: OperatorState) -> ComponentStatus:
    match state.state:
        case "down":
            outages = (event.content for event in state.events if event.content.kind == "outage")
            is_critical = any(content.severity == "critical" for content in outages)
            return "major_outage" if is_critical else "partial_outage"
        case "degraded":
            return "degraded_performance"
        case "maintenance":
            return "under_maintenance"
    return "operational"


def page_status(components: Sequence[StatusComponent], unknown: int, language: Language) -> PageStatus:
    """The worst state of all components. ``unknown``: the operators whose state is not known."""
    statuses = {component.status for component in components}
    indicators = (word for status, word in _INDICATORS.items() if status in statuses)
    indicator: Indicator = next(indicators, "none")
    description = _DESCRIPTIONS[indicator][language]
    return PageStatus(indicator, description + (_NOT_KNOWN[language] % unknown if unknown else ""))


def incident_of(
    event: ServiceEvent, page: StatusPage, components: Iterable[StatusComponent], language: Language
) -> StatusIncident:
    """An outage or a degraded service as an incident."""
    return StatusIncident(**_members(event, page, components, language, _IMPACTS[event.content.severity]))


def maintenance_of(
    event: ServiceEvent, page: StatusPage, components: Iterable[StatusComponent], language: Language
) -> StatusMaintenance:
    """A maintenance."""
    content = event.content
    return StatusMaintenance(
        **_members(event, page, components, language, "maintenance"),
        scheduled_for=content.scheduled_for or event.created_at,
        scheduled_until=content.scheduled_until,
    )


def _members(
    event: ServiceEvent,
    page: StatusPage,
    components: Iterable[StatusComponent],
    language: Language,
    impact: Impact,
) -> dict[str, Any]:
    content = event.content
    completed_at = _time_of(content, "completed") if content.status == "completed" else None
    return {
        "id": event.id,
        "name": _words(content.title, language),
        "status": content.status,
        "created_at": event.created_at,
        "updated_at": event.updated_at,
        "monitoring_at": _time_of(content, "monitoring"),
        "resolved_at": content.resolved_at or completed_at,
        "impact": impact,
        "shortlink": f"{page.url.removesuffix('/status')}/incidents/{event.id}",
        "started_at": event.since or event.created_at,
        "page_id": page.id,
        "incident_updates": _updates(event, language),
        "components": tuple(component for component in components if component.id in event.operators),
    }


def _updates(event: ServiceEvent, language: Language) -> tuple[StatusUpdate, ...]:
    """The timeline, the newest first; the summary where there is none yet: programs show the first line."""
    content = event.content
    lines = [
        (f"{event.id}-{number}", update.status, update.text, update.at)
        for number, update in enumerate(content.updates, 1)
    ] or [(f"{event.id}-0", content.status, content.summary, event.created_at)]
    lines.sort(key=lambda line: instant(line[3]), reverse=True)
    return tuple(
        StatusUpdate(id_, status, _words(text, language), event.id, at, at, at)
        for id_, status, text, at in lines[:MAX_UPDATES]
    )


def _time_of(content: Incident, status: str) -> str | None:
    """The time at which the timeline first has a status."""
    times = [update.at for update in content.updates if update.status == status]
    return min(times, key=instant) if times else None


def _words(texts: Mapping[str, str], language: Language) -> str:
    return texts.get(language) or texts.get("en") or next(iter(texts.values()), "")
