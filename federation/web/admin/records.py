"""The audit trail and the alerts in the console."""

from __future__ import annotations

from litestar.response.base import ASGIResponse

from federation.edge.operations import ADMINISTRATOR
from federation.node import alerts, audit
from federation.web.forms import whole_number
from federation.web.pages import page
from federation.web.visit import Visit

PAGE_ENTRIES = 50
"""Entries of the audit trail on a page."""
MAX_ENTRY = 999_999_999_999_999
"""The largest number of an entry that a page is asked for."""


@page("/admin/audit", act="page_admin_audit", right=ADMINISTRATOR)
async def list_audit(visit: Visit) -> ASGIResponse:
    """List the newest entries of the audit trail; ``before``: those before a number."""
    before = whole_number(visit.parameter("before"), MAX_ENTRY)
    entries = await audit.last_entries(visit.node, PAGE_ENTRIES, before=before)
    return visit.page("admin/audit.html", entries=entries, verdict=None, is_first=before is None)


@page("/admin/audit", act="page_admin_audit_verify", right=ADMINISTRATOR, method="POST")
async def verify_audit(visit: Visit) -> ASGIResponse:
    """Hold the whole trail against its hashes and checkpoints."""
    verdict = await audit.verify_audit_trail(visit.node)
    entries = await audit.last_entries(visit.node, PAGE_ENTRIES)
    return visit.page("admin/audit.html", entries=entries, verdict=verdict, is_first=True)


@page("/admin/alerts", act="page_admin_alerts", right=ADMINISTRATOR)
async def list_alerts(visit: Visit) -> ASGIResponse:
    """List the last alerts, first those that could not be delivered."""
    parked = await alerts.list_alerts(visit.node, by=visit.caller, parked=True)
    newest = await alerts.list_alerts(visit.node, by=visit.caller, parked=False)
    subscriptions = {
        subscription.id: subscription
        for subscription in await alerts.list_subscriptions(visit.node, by=visit.caller)
    }
    return visit.page("admin/alerts.html", parked=parked, newest=newest, subscriptions=subscriptions)


@page("/admin/alerts", act="page_admin_alerts_replay", right=ADMINISTRATOR, method="POST")
async def replay_alerts(visit: Visit) -> ASGIResponse:
    """Deliver again what could not be delivered."""
    await alerts.replay_parked(visit.node, by=visit.caller)
    return visit.to("/admin/alerts", notice="sent")


HANDLERS = (list_audit, verify_audit, list_alerts, replay_alerts)
