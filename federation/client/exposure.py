"""Exposure: the operators and bodies that an incident affects, as far as the caller may see."""

from __future__ import annotations

from collections.abc import AsyncIterator

from federation.client.answers import ExposedBodies
from federation.client.names import OwnOperator, query_value, record_path
from federation.client.sender import Sender
from federation.domain.exposure.answers import (
    IncidentExposure,
    OwnExposure,
    OwnLine,
    SolutionExposure,
)

OWN_LINES = 100
"""Incidents on a page of the own exposure."""


class ExposureReader:
    """Questions about exposure."""

    def __init__(self, sender: Sender, own_operator: OwnOperator) -> None:
        self._sender = sender
        self._own_operator = own_operator

    async def of_incident(self, key: str) -> IncidentExposure:
        """The effect of an incident. Raises NotFound, Retracted."""
        path = f"/v1/incidents/{await record_path(key, self._own_operator)}/exposure"
        return await self._sender.decoded(IncidentExposure, "GET", path)

    async def bodies_of_incident(self, key: str) -> ExposedBodies:
        """The communes and groupings that an incident affects: whom to call."""
        path = f"/v1/incidents/{await record_path(key, self._own_operator)}/exposure/bodies"
        return await self._sender.decoded(ExposedBodies, "GET", path)

    async def of_solution(self, key: str) -> SolutionExposure:
        """The effect of the open incidents of a solution."""
        path = f"/v1/solutions/{await record_path(key, self._own_operator)}/exposure"
        return await self._sender.decoded(SolutionExposure, "GET", path)

    async def own(self) -> AsyncIterator[OwnLine]:
        """The open incidents that affect, or may affect, the operator's own deployments; all pages."""
        after: str | None = None
        while True:
            parameters = (
                ("mine", "true"),
                ("limit", str(OWN_LINES)),
                *((("after", after),) if after else ()),
            )
            page = await self._sender.decoded(OwnExposure, "GET", "/v1/exposure", parameters=parameters)
            for line in page.incidents:
                yield line
            after = query_value(page.next, "after")
            if after is None:
                return
