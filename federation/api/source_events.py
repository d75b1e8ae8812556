"""Events of monitoring over HTTP: a webhook with the secret of its source."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.examples import EVENTS
from federation.api.handlers import handles
from federation.domain.errors import Conflict, Invalid, Unauthenticated
from federation.domain.formats.monitoring.event import MAX_DELIVERY_BYTES
from federation.domain.sources.report import RunReport
from federation.edge.answers import JSON, NO_STORE, json_answer
from federation.edge.limits import Limits
from federation.edge.operations import CREDENTIALS, Answer, Body, Operation
from federation.edge.requests import body_of, node_of
from federation.node import source_deliveries
from federation.node import sources as node_sources


@handles(
    Operation(
        act="receive_events",
        id="receiveEvents",
        method="POST",
        path="/v1/sources/{source:str}/events",
        right=CREDENTIALS,
        credentials=("source", "sourceByPassword"),
        tag="sources",
        bodies=(Body(JSON, {"type": "object"}, EVENTS),),
        max_bytes=MAX_DELIVERY_BYTES,
        answers=(Answer(200, "What became of each event", {JSON: RunReport}),),
        errors=(Invalid, Unauthenticated, Conflict),
    )
)
async def receive_events(request: Request[Any, Any, Any], source: str) -> ASGIResponse:
    """Receive a webhook of Alertmanager, Grafana or Uptime Kuma, as the kind of the source says.

    Outages of deployments are opened, extended and resolved. The secret of the source is the bearer token, or
    the password of a user of any name.
    """
    authorization = request.headers.get("authorization", "")
    secret = _secret(authorization)
    if not secret:
        raise Unauthenticated("the secret of the source is needed", presented=bool(authorization))
    limits: Limits = request.app.state.limits
    try:
        found = await node_sources.pushing_source(node_of(request), source, secret)
    except Unauthenticated:
        limits.count_failure(authorization, f"source {source}", request.scope)
        raise
    limits.remember_login(authorization, request.scope)
    report = await source_deliveries.deliver(
        node_of(request), found, await body_of(request, MAX_DELIVERY_BYTES)
    )
    return json_answer(report, headers=NO_STORE)


def _secret(authorization: str) -> str:
    """The secret of an ``Authorization`` header: Bearer (RFC 6750), or the password of Basic (RFC 7617)."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


HANDLERS = (receive_events,)
