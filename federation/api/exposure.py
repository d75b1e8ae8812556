"""Exposure over HTTP: of an incident, of a solution, and of the operator's own deployments."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.handlers import handles
from federation.api.parameters import CONTROL_PARAMETERS
from federation.domain.content.incident import Incident
from federation.domain.errors import Invalid, NotFound, Retracted
from federation.domain.exposure.answers import (
    CurrentThrough,
    IncidentExposure,
    OwnExposure,
    SolutionExposure,
)
from federation.domain.query import read_query
from federation.domain.territories.bodies import Body
from federation.edge.answers import JSON, NO_STORE, json_answer
from federation.edge.operations import Answer, Operation, Parameter, Right
from federation.edge.query_parameters import is_true, pairs_of
from federation.edge.requests import caller_of, node_of
from federation.node import exposure

HEADERS = {**NO_STORE, "vary": "authorization"}
READER = Right("exposure.read", open=True)


class ExposedBodies(msgspec.Struct, frozen=True):
    """Bodies of the register that an incident affects."""

    current_through: CurrentThrough
    bodies: tuple[Body, ...]


@handles(
    Operation(
        act="incident_exposure",
        id="getIncidentExposure",
        method="GET",
        path="/v1/incidents/{origin:str}/{key:str}/exposure",
        right=READER,
        tag="exposure",
        answers=(Answer(200, "Who is affected, as far as the caller may see", {JSON: IncidentExposure}),),
        errors=(NotFound, Retracted),
    )
)
async def incident_exposure(request: Request[Any, Any, Any], origin: str, key: str) -> ASGIResponse:
    """Show who is affected by an incident, who has answered, and whom that leaves."""
    view = await exposure.of_incident(node_of(request), origin, key, by=caller_of(request))
    return json_answer(view, headers=HEADERS)


@handles(
    Operation(
        act="exposed_bodies",
        id="listExposedBodies",
        method="GET",
        path="/v1/incidents/{origin:str}/{key:str}/exposure/bodies",
        right=READER,
        tag="exposure",
        answers=(Answer(200, "The bodies, in the order of the register", {JSON: ExposedBodies}),),
        errors=(NotFound, Retracted),
    )
)
async def exposed_bodies(request: Request[Any, Any, Any], origin: str, key: str) -> ASGIResponse:
    """List the communes and groupings that deployments affected by an incident serve: whom to call."""
    bodies, through = await exposure.bodies_of_incident(node_of(request), origin, key, by=caller_of(request))
    return json_answer(ExposedBodies(through, bodies), headers=HEADERS)


@handles(
    Operation(
        act="solution_exposure",
        id="getSolutionExposure",
        method="GET",
        path="/v1/solutions/{origin:str}/{key:str}/exposure",
        right=READER,
        tag="exposure",
        answers=(Answer(200, "The open incidents and who is affected", {JSON: SolutionExposure}),),
        errors=(NotFound,),
    )
)
async def solution_exposure(request: Request[Any, Any, Any], origin: str, key: str) -> ASGIResponse:
    """Show who is affected by the open incidents of a solution."""
    view = await exposure.of_solution(node_of(request), origin, key, by=caller_of(request))
    return json_answer(view, headers=HEADERS)


@handles(
    Operation(
        act="own_exposure",
        id="getOwnExposure",
        method="GET",
        path="/v1/exposure",
        right=Right("exposure.read"),
        tag="exposure",
        parameters=(
            Parameter("mine", {"required": True, "schema": {"const": "true"}}),
            CONTROL_PARAMETERS["limit"],
            CONTROL_PARAMETERS["after"],
        ),
        answers=(Answer(200, "A page", {JSON: OwnExposure}),),
    )
)
async def own_exposure(request: Request[Any, Any, Any]) -> ASGIResponse:
    """List the open incidents that affect your own deployments, or may affect them."""
    pairs = pairs_of(request)
    if not is_true(request, "mine"):
        raise Invalid(
            "mine=true is what can be asked; of others: /v1/incidents/ORIGIN/KEY/exposure",
            pointer="?mine",
            fault="missing",
            allowed=("true",),
        )
    query = read_query(Incident, [pair for pair in pairs if pair[0] != "mine"])
    node = node_of(request)
    view, after = await exposure.of_own(node, by=caller_of(request), limit=query.limit, after=query.after)
    headers = dict(HEADERS)
    if after is not None:
        parameters = {"mine": "true", "limit": query.limit, "after": str(after)}
        following = f"{node.url}/v1/exposure?{urlencode(parameters)}"
        view = msgspec.structs.replace(view, next=following)
        headers["link"] = f'<{following}>; rel="next"'
    return json_answer(view, headers=headers)


HANDLERS = (incident_exposure, exposed_bodies, solution_exposure, own_exposure)
