"""The modules of pages whose handlers the application is made of, beside those of the API."""

from __future__ import annotations

from typing import Any

from federation.web import (
    answers,
    bodies,
    calendars,
    consultations,
    coverage,
    deadlines,
    deployments,
    duties,
    home,
    identity_provider,
    imports,
    incident_updates,
    incidents,
    login,
    meeting_forms,
    meetings,
    mine,
    operators,
    participations,
    passkeys,
    people,
    practices,
    purchases,
    search,
    solutions,
    status,
    subscriptions,
    writing,
)
from federation.web.admin import clients as admin_clients
from federation.web.admin import overview as admin_overview
from federation.web.admin import peers as admin_peers
from federation.web.admin import records as admin_records
from federation.web.admin import sources as admin_sources

PAGES: tuple[Any, ...] = (
    admin_clients,
    admin_overview,
    admin_peers,
    admin_records,
    admin_sources,
    answers,
    bodies,
    calendars,
    consultations,
    coverage,
    deadlines,
    deployments,
    duties,
    home,
    identity_provider,
    imports,
    incident_updates,
    incidents,
    login,
    meeting_forms,
    meetings,
    mine,
    operators,
    participations,
    passkeys,
    people,
    practices,
    purchases,
    search,
    solutions,
    status,
    subscriptions,
    writing,
)
