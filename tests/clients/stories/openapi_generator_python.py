"""The story with OpenAPI Generator's python; its steps are those of ``tests/clients/__init__.py``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import node_client as api

NODE, OPERATOR, PREFIX = os.environ["NODE_URL"], os.environ["OPERATOR"], os.environ["PREFIX"]
SOLUTION, DEPLOYMENT = f"{PREFIX}-glpi", f"{PREFIX}-glpi-shared"
INCIDENT = f"{PREFIX}-2026-0042"
PARIS = timezone(timedelta(hours=2))


class Answer(Protocol):
    """What the generated methods ``…_with_http_info`` return."""

    status_code: int
    headers: Mapping[str, str] | None


def created(answer: Answer) -> str:
    """The ETag of a record that was created."""
    assert answer.status_code == 201
    assert answer.headers is not None
    return answer.headers["etag"]


# docs: begin
def connect() -> api.ApiClient:
    """A client with an access token, which is good for five minutes."""
    basic = api.Configuration(
        host=NODE, username=os.environ["CLIENT_ID"], password=os.environ["CLIENT_SECRET"]
    )
    with api.ApiClient(basic) as client:
        token = api.NodeApi(client).get_token(grant_type="client_credentials")
    return api.ApiClient(api.Configuration(host=NODE, access_token=token.access_token))


def all_solutions(client: api.ApiClient) -> list[str]:
    """The keys of all solutions, page by page, in an order in which a revision loses nothing."""
    keys: list[str] = []
    after: str | None = None
    while True:
        page = api.SolutionsApi(client).list_solutions(sort="id", limit=3, after=after)
        keys += [document.key for document in page.items]
        if page.next is None:
            return keys
        after = parse_qs(urlsplit(page.next).query)["after"][0]


# docs: end


def a_solution(name: str) -> api.SolutionInput:
    return api.SolutionInput(
        name=name,
        summary={"fr": "Gestion de parc", "en": "Asset management"},
        kind=api.SolutionKindInput.SOFTWARE,
        status=api.DevelopmentStatusInput.STABLE,
        licence="GPL-3.0-or-later",
        themes=[api.ThemeInput.IT_MINUS_ASSET_MINUS_MANAGEMENT],
        version_scheme="generic",
    )


def publish(client: api.ApiClient) -> str:
    """Publish one record of each type but the statement; the ETag of the incident."""
    created(
        api.SolutionsApi(client).publish_solution_with_http_info(
            OPERATOR, SOLUTION, api.SolutionDraft(content=a_solution("GLPI"), tlp=api.Tlp.CLEAR)
        )
    )
    chalon = api.OrganisationInput(
        identifiers=[api.IdentifierInput(scheme="0002", value="217100767")], name="Chalon-sur-Saône"
    )
    deployment = api.DeploymentInput(
        solution=f"{OPERATOR}/{SOLUTION}",
        status=api.DeploymentStatusInput.PRODUCTION,
        tenancy=api.TenancyInput.SHARED,
        hosting=api.HostingInput(model=api.HostingModelInput.OPERATOR, country="FR"),
        coverage=api.CoverageInput(api.ListedBodiesInput(kind="list", beneficiaries=[chalon])),
        version="10.0.17",
        version_state=api.VersionStateInput.EXACT,
        version_as_of=datetime(2026, 2, 1, 8, tzinfo=UTC),
        since=date(2024, 9, 1),
    )
    created(
        api.DeploymentsApi(client).publish_deployment_with_http_info(
            OPERATOR, DEPLOYMENT, api.DeploymentDraft(content=deployment)
        )
    )
    operator = api.OperatorInput(
        name="L'ARNia",
        country="FR",
        territory=["FR-BFC"],
        contact="contact@arnia.example.org",
        security_contact="security@arnia.example.org",
    )
    created(
        api.OperatorsApi(client).publish_operator_with_http_info(
            OPERATOR, f"{PREFIX}-operator", api.OperatorDraft(content=operator)
        )
    )
    group = api.GroupInput(name="Cellule sécurité", members=["megalis", "recia"])
    created(
        api.GroupsApi(client).publish_group_with_http_info(
            OPERATOR, f"{PREFIX}-security", api.GroupDraft(content=group)
        )
    )
    membership = api.MembershipInput(
        operator="megalis",
        name="Mégalis Bretagne",
        node="https://megalis.example.org",
        thumbprint="NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
        admitted_at=datetime(2026, 2, 1, 8, tzinfo=UTC),
    )
    created(
        api.MembershipsApi(client).publish_membership_with_http_info(
            OPERATOR, f"{PREFIX}-megalis", api.MembershipDraft(content=membership)
        )
    )
    incident = api.IncidentInput(
        title={"fr": "GLPI : injection SQL", "en": "GLPI: SQL injection"},
        summary={"fr": "Corrigé en 10.0.18.", "en": "Fixed in 10.0.18."},
        kind=api.IncidentKindInput.VULNERABILITY,
        status=api.IncidentStatusInput.OPEN,
        severity=api.SeverityInput.HIGH,
        detected_at=datetime(2026, 3, 1, 10, tzinfo=PARIS),
        affects=[
            api.AffectedInput(
                solution=f"{OPERATOR}/{SOLUTION}",
                range="vers:generic/>=10.0.0|<10.0.18",
                fixed_in=["10.0.18"],
            )
        ],
    )
    return created(
        api.IncidentsApi(client).publish_incident_with_http_info(
            OPERATOR, INCIDENT, api.IncidentDraft(content=incident)
        )
    )


def bulk(client: api.ApiClient) -> int:
    lines = [
        api.UploadSolutionsRequestInner(
            api.SolutionKeyedDraft(key=f"{PREFIX}-bulk-{number}", content=a_solution(f"Solution {number}"))
        )
        for number in range(1, 6)
    ]
    report = api.SolutionsApi(client).upload_solutions(lines)
    assert report.summary is not None, report.refused
    return report.summary.created


def changed_keys(client: api.ApiClient) -> list[str]:
    keys: list[str] = []
    after: str | None = None
    while True:
        page = api.FeedsApi(client).follow_changes(after=after, limit=10)
        keys += [entry.key for entry in page.entries]
        if not page.more:
            return keys
        after = page.cursor


def exposure(client: api.ApiClient) -> api.Total:
    return api.ExposureApi(client).get_incident_exposure(OPERATOR, INCIDENT).total


def revision_of(answer: Any) -> int:
    document = answer.actual_instance
    assert isinstance(document, api.IncidentDocument), document
    return document.revision


def refused_title(incidents: api.IncidentsApi, patch: api.IncidentDraftPatch, etag: str) -> str:
    """The title of the problem that a patch of a former state is refused with."""
    try:
        incidents.patch_incident(OPERATOR, INCIDENT, patch, if_match=etag)
    except api.ApiException as error:
        if error.status == 412 and isinstance(error.data, api.Problem):
            return error.data.title
        raise
    raise AssertionError("the second patch was not refused")


def main() -> None:
    client = connect()
    print("token: got")
    etag = publish(client)
    print("publish: 6 records")
    assert bulk(client) == 5
    print("bulk: 5 created")
    mine = {key for key in all_solutions(client) if key.startswith(f"{PREFIX}-")}
    assert len(mine) == 6, mine
    print("list: 6 of mine")
    incidents = api.IncidentsApi(client)
    patch = api.IncidentDraftPatch(content=api.IncidentPatch(severity=api.SeverityInput.CRITICAL))
    assert revision_of(incidents.patch_incident(OPERATOR, INCIDENT, patch, if_match=etag)) == 2
    print("patch: revision 2")
    print(f"412: {refused_title(incidents, patch, etag)}")
    update = api.UpdateDraft(
        text={"fr": "Accès coupé.", "en": "Access was cut."}, at=datetime(2026, 3, 1, 10, 15, tzinfo=UTC)
    )
    assert revision_of(incidents.append_incident_update(OPERATOR, INCIDENT, update)) == 3
    print("update: revision 3")
    assert mine | {DEPLOYMENT, INCIDENT} <= set(changed_keys(client))
    print("changes: all of mine")
    total = exposure(client)
    assert (total.affected.deployments, total.answered) == (1, 0), total
    print("exposure: 1 deployment, 0 answers")
    statement = api.StatementInput(
        incident=f"{OPERATOR}/{INCIDENT}",
        status=api.StatementStatusInput.KNOWN_AFFECTED,
        deployments=[f"{OPERATOR}/{DEPLOYMENT}"],
        planned_at=datetime(2026, 3, 2, 23, 30, tzinfo=PARIS),
    )
    created(
        api.StatementsApi(client).publish_statement_with_http_info(
            OPERATOR, INCIDENT, api.StatementDraft(content=statement)
        )
    )
    assert exposure(client).answered == 1
    print("statement: answered")


if __name__ == "__main__":
    main()
