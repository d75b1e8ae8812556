"""The state of services for programs that read the Statuspage API, version 2: what is public, in CLEAR."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.handlers import handles
from federation.api.public_answers import LANGUAGE, PUBLIC_ETAG, asked_language, public_answer
from federation.domain.formats.statuspage import StatusIncidents, StatusMaintenances, StatusSummary
from federation.edge.answers import JSON
from federation.edge.operations import ANYONE, Answer, Operation
from federation.edge.requests import node_of
from federation.node import statuspage

BASE = "/status/api/v2"
MAX_AGE_SECONDS = 30


def _operation(act: str, id_: str, file: str, shape: type) -> Operation:
    return Operation(
        act=act,
        id=id_,
        method="GET",
        path=f"{BASE}/{file}.json",
        right=ANYONE,
        tag="node",
        parameters=(LANGUAGE,),
        answers=(
            Answer(200, "The answer as Statuspage gives it", {JSON: shape}, PUBLIC_ETAG),
            Answer(304, "You have it", {}, PUBLIC_ETAG),
        ),
    )


@handles(_operation("status_summary", "getStatusSummary", "summary", StatusSummary))
async def status_summary(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Read the state of the services, as status widgets read it: what is wrong now, and what is planned."""
    body = await statuspage.summary(node_of(request), asked_language(request))
    return public_answer(request, msgspec.json.encode(body), JSON, MAX_AGE_SECONDS)


@handles(_operation("status_incidents", "listStatusIncidents", "incidents", StatusIncidents))
async def status_incidents(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Read the 50 outages and degraded services that changed last, as status widgets read them."""
    body = await statuspage.incidents(node_of(request), asked_language(request))
    return public_answer(request, msgspec.json.encode(body), JSON, MAX_AGE_SECONDS)


@handles(
    _operation("status_maintenances", "listStatusMaintenances", "scheduled-maintenances", StatusMaintenances)
)
async def status_maintenances(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Read the 50 maintenance windows that changed last, as status widgets read them."""
    body = await statuspage.maintenances(node_of(request), asked_language(request))
    return public_answer(request, msgspec.json.encode(body), JSON, MAX_AGE_SECONDS)


HANDLERS = (status_summary, status_incidents, status_maintenances)
