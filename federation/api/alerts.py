"""Subscriptions and alerts: the operator's own, over HTTP."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.answer_links import links
from federation.api.examples import SUBSCRIPTION
from federation.api.handlers import handles
from federation.api.idempotency import keyed_request
from federation.domain.alert import AlertState, NewSubscription
from federation.domain.draft import read_draft
from federation.domain.errors import Invalid, MissingScope, NotFound
from federation.domain.messages import Message
from federation.domain.values import OPERATOR_PATTERN
from federation.edge.answers import JSON, NO_STORE, answer, json_answer
from federation.edge.operations import Answer, Body, Operation, Parameter, Right
from federation.edge.query_parameters import is_true, parameters_of
from federation.edge.requests import body_of, caller_of, node_of
from federation.node import alerts as node_alerts
from federation.node.alerts import Subscribed

READER, WRITER = Right("subscriptions.read"), Right("subscriptions.write")
PRIVATE_SCOPE = "node.admin"
"""Scope that a webhook at an address that is not public needs."""


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


@handles(
    Operation(
        act="subscriptions",
        id="listSubscriptions",
        method="GET",
        path="/v1/subscriptions",
        right=READER,
        tag="alerts",
        answers=(Answer(200, "Who is told of what", {JSON: SubscriptionsView}),),
    )
)
async def list_subscriptions(request: Request[Any, Any, Any]) -> ASGIResponse:
    """List who is told of what."""
    views = tuple(
        SubscriptionView(**{name: getattr(stored, name) for name in SubscriptionView.__struct_fields__})
        for stored in await node_alerts.list_subscriptions(node_of(request), by=caller_of(request))
    )
    return json_answer(SubscriptionsView(views), headers=NO_STORE)


@handles(
    Operation(
        act="subscribe",
        id="addSubscription",
        method="POST",
        path="/v1/subscriptions",
        right=WRITER,
        tag="alerts",
        bodies=(Body(JSON, NewSubscription, SUBSCRIPTION),),
        answers=(
            Answer(
                201,
                "Subscribed",
                {JSON: Subscribed},
                links=links({"id": "$response.body#/id"}, remove="removeSubscription"),
            ),
        ),
        errors=(Invalid,),
        takes_key=True,
        unstored_advice=Message(
            "find the subscription with GET /v1/subscriptions, remove it, and subscribe with a new key"
        ),
    )
)
async def subscribe(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Have somebody told of events, by webhook (Standard Webhooks) or e-mail."""
    subscription = read_draft(await body_of(request), NewSubscription)
    caller = caller_of(request)
    if subscription.private and PRIVATE_SCOPE not in caller.scopes:
        # Which hosts of the operator's own network answer, and how, is not for every IT system to try.
        raise MissingScope("private is for tokens with the scope {scope}", scope=PRIVATE_SCOPE)
    keyed = keyed_request(request, _subscribed_answer)
    subscribed = await node_alerts.subscribe(node_of(request), subscription, by=caller, keyed=keyed)
    return _subscribed_answer(subscribed)


def _subscribed_answer(subscribed: Subscribed) -> ASGIResponse:
    return json_answer(subscribed, status=201, headers=NO_STORE)


@handles(
    Operation(
        act="unsubscribe",
        id="removeSubscription",
        method="DELETE",
        path="/v1/subscriptions/{id:str}",
        right=WRITER,
        tag="alerts",
        answers=(Answer(204, "Removed"),),
        errors=(NotFound,),
    )
)
async def unsubscribe(request: Request[Any, Any, Any], id: str) -> ASGIResponse:
    """Remove a subscription, and its alerts."""
    await node_alerts.unsubscribe(node_of(request), id, by=caller_of(request))
    return answer(b"", status=204, headers=NO_STORE)


@handles(
    Operation(
        act="alerts",
        id="listAlerts",
        method="GET",
        path="/v1/alerts",
        right=READER,
        tag="alerts",
        parameters=(
            Parameter("parked", {"schema": {"type": "boolean"}}),
            Parameter("withheld", {"schema": {"type": "boolean"}}),
            Parameter("origin", {"schema": {"type": "string", "pattern": OPERATOR_PATTERN}}),
        ),
        answers=(Answer(200, "The last alerts", {JSON: AlertsView}),),
    )
)
async def list_alerts(request: Request[Any, Any, Any]) -> ASGIResponse:
    """List the last alerts; only those given up (parked), left to a digest (withheld), or of one origin."""
    origin = parameters_of(request).get("origin")
    if origin is not None and not re.fullmatch(OPERATOR_PATTERN, origin):
        raise Invalid("origin is the id of an operator", pointer="?origin", fault="pattern")
    states = await node_alerts.list_alerts(
        node_of(request),
        by=caller_of(request),
        parked=is_true(request, "parked"),
        withheld=is_true(request, "withheld"),
        origin=origin,
    )
    return json_answer(AlertsView(states), headers=NO_STORE)


@handles(
    Operation(
        act="replay",
        id="replayAlert",
        method="POST",
        path="/v1/alerts/{id:str}/replay",
        right=WRITER,
        tag="alerts",
        answers=(Answer(204, "It will be delivered again"),),
        errors=(NotFound,),
    )
)
async def replay(request: Request[Any, Any, Any], id: str) -> ASGIResponse:
    """Deliver an alert again."""
    await node_alerts.replay(node_of(request), id, by=caller_of(request))
    return answer(b"", status=204, headers=NO_STORE)


HANDLERS = (list_subscriptions, subscribe, unsubscribe, list_alerts, replay)
