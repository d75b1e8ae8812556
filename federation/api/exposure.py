"""Exposure over HTTP: the effect of an incident, of those of a solution, and on one's own deployments."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Controller, Request, get
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from federation.api.guard import caller_of
from federation.api.responses import NO_STORE, encoded
from federation.domain.content.incident import Incident
from federation.domain.errors import Invalid
from federation.domain.exposure.answers import CurrentThrough
from federation.domain.query import read_query
from federation.domain.territories.bodies import Body
from federation.node import exposure
from federation.node.node import Node

HEADERS = {**NO_STORE, "vary": "authorization"}
ASKED_OF_OWN = ("mine", "limit", "after")


class ExposedBodies(msgspec.Struct, frozen=True):
    """Bodies of the register that an incident affects."""

    current_through: CurrentThrough
    bodies: tuple[Body, ...]


class Exposure(Controller):
    """The effect of incidents, as far as the caller may see."""

    @get("/v1/incidents/{origin:str}/{key:str}/exposure", opt={"act": "incident_exposure"})
    async def incident_exposure(
        self, request: Request[Any, Any, Any], origin: FromPath[str], key: FromPath[str]
    ) -> ASGIResponse:
        """Tell who is hit by an incident, who has answered, and whom that leaves."""
        _nothing_asked(request)
        return _told(await exposure.of_incident(_node(request), origin, key, by=caller_of(request)))

    @get("/v1/incidents/{origin:str}/{key:str}/exposure/bodies", opt={"act": "exposed_bodies"})
    async def exposed_bodies(
        self, request: Request[Any, Any, Any], origin: FromPath[str], key: FromPath[str]
    ) -> ASGIResponse:
        """List the communes and groupings that deployments hit by an incident serve: who must be told."""
        _nothing_asked(request)
        bodies, through = await exposure.bodies_of_incident(
            _node(request), origin, key, by=caller_of(request)
        )
        return _told(ExposedBodies(through, bodies))

    @get("/v1/solutions/{origin:str}/{key:str}/exposure", opt={"act": "solution_exposure"})
    async def solution_exposure(
        self, request: Request[Any, Any, Any], origin: FromPath[str], key: FromPath[str]
    ) -> ASGIResponse:
        """Tell who is hit by the open incidents of a solution."""
        _nothing_asked(request)
        return _told(await exposure.of_solution(_node(request), origin, key, by=caller_of(request)))

    @get("/v1/exposure", opt={"act": "own_exposure"})
    async def own_exposure(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """List the open incidents that hit your own deployments, or may hit them."""
        asked = list(request.query_params.multi_items())
        for name, _ in asked:
            if name not in ASKED_OF_OWN:
                raise Invalid(
                    f"{name[:80]!r} cannot be asked here; {', '.join(ASKED_OF_OWN)} can",
                    pointer=f"?{name[:80]}",
                )
        if ("mine", "true") not in asked:
            raise Invalid(
                "mine=true is what can be asked; of others: /v1/incidents/{origin}/{key}/exposure",
                pointer="?mine",
            )
        query = read_query(Incident, [pair for pair in asked if pair[0] != "mine"])
        node = _node(request)
        found, place = await exposure.of_own(
            node, by=caller_of(request), limit=query.limit, after=query.after
        )
        headers = dict(HEADERS)
        if place is not None:
            asked_next = {"mine": "true", "limit": query.limit, "after": str(place)}
            following = f"{node.url}/v1/exposure?{urlencode(asked_next)}"
            found = msgspec.structs.replace(found, next=following)
            headers["link"] = f'<{following}>; rel="next"'
        return encoded(found, headers=headers)


def _nothing_asked(request: Request[Any, Any, Any]) -> None:
    for name in request.query_params:
        raise Invalid(f"{name[:80]!r} cannot be asked of an exposure; nothing can", pointer=f"?{name[:80]}")


def _told(value: Any) -> ASGIResponse:
    return encoded(value, headers=HEADERS)


def _node(request: Request[Any, Any, Any]) -> Node:
    node: Node = request.app.state.node
    return node
