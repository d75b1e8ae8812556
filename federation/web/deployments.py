"""Deployments: the list, and the page of one. GREEN as a rule, so that most are for members only."""

from __future__ import annotations

import msgspec
from litestar.response.base import ASGIResponse

from federation.domain.content.deployment import Deployment
from federation.domain.organisation import Organisation
from federation.domain.territories.bodies import bodies as registered_bodies
from federation.domain.territories.identity import name_of, number_of
from federation.edge.operations import Right
from federation.web.entries import Entry
from federation.web.labels import LABELS
from federation.web.language import screen_text as t
from federation.web.list_files import Column, list_file, listing_file
from federation.web.listing import Filter, list_answer, read_listing, value_words
from federation.web.pages import page
from federation.web.records import open_record, source_of
from federation.web.visit import Visit

READ = Right("deployments.read", open=True)
MAX_BODIES = 200
"""Bodies that the page of a deployment names, at most."""


class DeploymentRow(msgspec.Struct, frozen=True):
    """The members of a deployment that the list shows."""

    solution: str
    status: str
    tenancy: str
    version: str | None = None
    version_state: str | None = None


FILTERS = (
    Filter("solution", t("Solution"), hint=t("For example arnia/glpi")),
    Filter("origin", t("Operator"), hint=t("For example arnia")),
    Filter("status", t("State"), values=tuple(LABELS["deployment_status"]), kind="deployment_status"),
    Filter("version", t("Version"), hint=t("For example 10.0.17")),
    Filter("beneficiary", t("Body served"), hint=t("SIREN, SIRET or INSEE code: 217100767")),
    Filter("q", t("Words")),
)
COLUMNS = (
    Column(t("Deployment"), lambda visit, entry: entry.id),
    Column(t("Solution"), lambda visit, entry: entry.content.solution),
    Column(t("Version"), lambda visit, entry: entry.content.version),
    Column(t("State"), lambda visit, entry: value_words(visit, "deployment_status", entry.content.status)),
    Column(t("Shared or not"), lambda visit, entry: value_words(visit, "tenancy", entry.content.tenancy)),
    Column(t("Operator"), lambda visit, entry: entry.origin),
    Column(t("Updated"), lambda visit, entry: entry.updated_at),
    Column(t("Label"), lambda visit, entry: f"TLP:{entry.tlp}"),
)


@page("/deployments", act="page_deployments", right=READ)
async def deployments(visit: Visit) -> ASGIResponse:
    """List deployments."""
    listing = await read_listing(visit, Deployment, DeploymentRow, FILTERS)
    return list_answer(visit, "deployments.html", listing)


@list_file("/deployments", act="page_deployments_file", right=READ)
async def deployments_file(visit: Visit) -> ASGIResponse:
    """The list of deployments as a file."""
    return await listing_file(visit, Deployment, DeploymentRow, FILTERS, COLUMNS)


@page("/deployments/{origin:str}/{key:str}", act="page_deployment", right=READ)
async def deployment(visit: Visit, origin: str, key: str) -> ASGIResponse:
    """Show what a deployment is, which version it runs and for whom."""
    entry = await open_record(visit, Deployment, origin, key)
    if not isinstance(entry, Entry):
        return entry
    served = tuple(getattr(entry.content.coverage, "beneficiaries", ()))
    return visit.page(
        "deployment.html",
        alternate=f"/v1/deployments/{origin}/{key}",
        entry=entry,
        source=await source_of(visit, entry),
        served=[_name(body) for body in served[:MAX_BODIES]],
        more=len(served) - MAX_BODIES,
    )


def _name(body: Organisation) -> tuple[str, str]:
    """The name of a body, as its record or the register has it, and its number."""
    numbers = [
        found for identifier in body.identifiers if (found := number_of(name_of(identifier))) is not None
    ]
    name = body.name or (registered_bodies()[numbers[0]].name if numbers else "")
    return name, body.identifiers[0].value


HANDLERS = (deployments, deployments_file, deployment)
