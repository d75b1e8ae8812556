"""Subscriptions, alerts and reporting deadlines: the operator's own, over HTTP."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Controller, Request, delete, get, post, put
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from federation.api.guard import body_of, caller_of
from federation.api.responses import JSON, NO_STORE, answer, encoded
from federation.domain.alert import NewSubscription
from federation.domain.audit import OPERATOR
from federation.domain.deadline import ReportingDeadline
from federation.domain.draft import read_draft
from federation.domain.errors import Forbidden, Invalid, MissingScope
from federation.domain.visibility import Caller
from federation.node import alerts as node_alerts
from federation.node import deadlines as node_deadlines
from federation.node import records
from federation.node.deadlines import DeadlineView
from federation.node.node import Node
from federation.store.alerts import AlertState

CALENDAR = "text/calendar"
TO_REACH_PRIVATE = "node.admin"
"""Scope of who may have webhooks called at addresses that are not public."""


class SubscriptionView(msgspec.Struct, frozen=True):
    """A subscription; its secret is not shown again."""

    id: str
    events: tuple[str, ...]
    webhook: str | None
    email: str | None
    unanswered_hours: int
    private: bool
    active: bool
    """False when its receiver answered 410: it is told of nothing more."""


class SubscriptionsView(msgspec.Struct, frozen=True):
    subscriptions: tuple[SubscriptionView, ...]


class AlertsView(msgspec.Struct, frozen=True):
    """The last alerts, newest first."""

    alerts: tuple[AlertState, ...]


class DeadlinesView(msgspec.Struct, frozen=True):
    """Every reporting deadline, the one due next first."""

    deadlines: tuple[DeadlineView, ...]


class Alerts(Controller):
    """Who is told of what."""

    @get("/v1/subscriptions", opt={"act": "subscriptions"})
    async def subscriptions(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """List who is told of what."""
        async with _node(request).store.read() as tx:
            found = await tx.alerts.subscriptions()
        shown = tuple(
            SubscriptionView(
                one.id, one.events, one.webhook, one.email, one.unanswered_hours, one.private, one.active
            )
            for one in found
        )
        return encoded(SubscriptionsView(shown), headers=NO_STORE)

    @post("/v1/subscriptions", opt={"act": "subscribe", "reads": (JSON,)}, status_code=201)
    async def subscribe(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """Have somebody told of events, by webhook (Standard Webhooks) or e-mail."""
        wanted = read_draft(await body_of(request), NewSubscription)
        caller = caller_of(request)
        if wanted.private and TO_REACH_PRIVATE not in caller.scopes:
            # Which hosts of the operator's own network answer, and how, is not for every IT system to try.
            raise MissingScope(f"private is for tokens with the scope {TO_REACH_PRIVATE}")
        made = await node_alerts.subscribe(_node(request), wanted, by=_client(caller))
        return encoded(made, status=201, headers=NO_STORE)

    @delete("/v1/subscriptions/{id:str}", opt={"act": "unsubscribe"}, status_code=200)
    async def unsubscribe(self, request: Request[Any, Any, Any], id: FromPath[str]) -> ASGIResponse:
        """Remove a subscription, and its alerts."""
        await node_alerts.unsubscribe(_node(request), id, by=_client(caller_of(request)))
        return answer(b"", status=204, headers=NO_STORE)

    @get("/v1/alerts", opt={"act": "alerts"})
    async def alerts(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """List the last alerts and what became of them; with parked=true those that were given up."""
        asked = list(request.query_params.multi_items())
        if any(pair not in (("parked", "true"), ("parked", "false")) for pair in asked):
            raise Invalid("parked=true or parked=false is what can be asked", pointer="?parked")
        async with _node(request).store.read() as tx:
            found = await tx.alerts.listed(parked=("parked", "true") in asked)
        return encoded(AlertsView(found), headers=NO_STORE)

    @post("/v1/alerts/{id:str}/replay", opt={"act": "replay", "reads": ()}, status_code=200)
    async def replay(self, request: Request[Any, Any, Any], id: FromPath[str]) -> ASGIResponse:
        """Deliver an alert again."""
        await node_alerts.replay(_node(request), id)
        return answer(b"", status=204, headers=NO_STORE)


class Deadlines(Controller):
    """By when an authority is to be told. Never part of a feed."""

    @get("/v1/deadlines", opt={"act": "deadlines"})
    async def deadlines(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """List the reporting deadlines, the one due next first."""
        return encoded(DeadlinesView(await node_deadlines.list_deadlines(_node(request))), headers=NO_STORE)

    @get("/v1/deadlines.ics", opt={"act": "calendar"})
    async def calendar(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """Download what is due as a calendar (RFC 5545)."""
        headers = {**NO_STORE, "content-disposition": 'attachment; filename="deadlines.ics"'}
        return answer(await node_deadlines.calendar(_node(request)), media_type=CALENDAR, headers=headers)

    @get("/v1/deadlines/{origin:str}/{key:str}", opt={"act": "deadline"})
    async def deadline(
        self, request: Request[Any, Any, Any], origin: FromPath[str], key: FromPath[str]
    ) -> ASGIResponse:
        """Get a reporting deadline and its steps."""
        return encoded(await node_deadlines.find(_node(request), origin, key), headers=NO_STORE)

    @put(
        "/v1/deadlines/{origin:str}/{key:str}", opt={"act": "set_deadline", "reads": (JSON,)}, status_code=200
    )
    async def set_deadline(
        self, request: Request[Any, Any, Any], origin: FromPath[str], key: FromPath[str]
    ) -> ASGIResponse:
        """Set a reporting deadline, or note what has been done: NIS2 24 h, 72 h and one month, GDPR 72 h."""
        node = _node(request)
        records.check_origin(node, origin, key)
        if not caller_of(request).own:
            raise Forbidden("the deadlines of an operator are its own")
        wanted = read_draft(await body_of(request), ReportingDeadline)
        return encoded(await node_deadlines.set_deadline(node, wanted, origin, key), headers=NO_STORE)

    @delete("/v1/deadlines/{origin:str}/{key:str}", opt={"act": "remove_deadline"}, status_code=200)
    async def remove_deadline(
        self, request: Request[Any, Any, Any], origin: FromPath[str], key: FromPath[str]
    ) -> ASGIResponse:
        """Remove a reporting deadline."""
        await node_deadlines.remove_deadline(_node(request), origin, key)
        return answer(b"", status=204, headers=NO_STORE)


def _client(caller: Caller) -> str:
    return caller.client or OPERATOR


def _node(request: Request[Any, Any, Any]) -> Node:
    node: Node = request.app.state.node
    return node
