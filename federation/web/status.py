"""Status: do the services work now, since when, and when is the next maintenance?

A page of status says "no fault known" and never "it works": an outage may be for members only, or not have
arrived yet.
"""

from __future__ import annotations

from litestar.response.base import ASGIResponse

from federation.domain.errors import NotFound
from federation.edge.operations import Right
from federation.node import service_status
from federation.web.pages import page
from federation.web.visit import Visit

READ = Right("incidents.read", open=True)


@page("/status", act="page_status", right=READ)
async def status(visit: Visit) -> ASGIResponse:
    """Show the state of every operator's services."""
    found = await service_status.of_all(visit.node, by=visit.caller)
    return visit.page("status.html", alternate="/v1/incidents", status_=found)


@page("/status/{operator:str}", act="page_operator_status", right=READ)
async def operator_status(visit: Visit, operator: str) -> ASGIResponse:
    """Show the state of one operator's services, and what was wrong with them lately."""
    found = await service_status.of_all(visit.node, by=visit.caller)
    state = next((state for state in found.operators if state.operator == operator), None)
    if state is None:
        raise NotFound("there is no such operator that you may see")
    visit.operator_names = {entry.operator: entry.name for entry in found.operators}
    past = await service_status.of_past(visit.node, operator, by=visit.caller)
    return visit.page(
        "operator_status.html",
        alternate=f"/v1/incidents?origin={operator}",
        state=state,
        past=past,
        not_understood=found.not_understood,
    )


HANDLERS = (status, operator_status)
