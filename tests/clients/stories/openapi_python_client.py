"""The story with openapi-python-client; its steps are those of ``tests/clients/__init__.py``."""

from __future__ import annotations

import os
from base64 import b64encode
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

from node_client import AuthenticatedClient, models
from node_client.api.deployments import publish_deployment
from node_client.api.exposure import get_incident_exposure
from node_client.api.feeds import follow_changes
from node_client.api.groups import publish_group
from node_client.api.incidents import append_incident_update, patch_incident, publish_incident
from node_client.api.memberships import publish_membership
from node_client.api.node import get_token
from node_client.api.operators import publish_operator
from node_client.api.solutions import list_solutions, publish_solution, upload_solutions
from node_client.api.statements import publish_statement
from node_client.types import UNSET, Response, Unset

NODE, OPERATOR, PREFIX = os.environ["NODE_URL"], os.environ["OPERATOR"], os.environ["PREFIX"]
SOLUTION, DEPLOYMENT = f"{PREFIX}-glpi", f"{PREFIX}-glpi-shared"
INCIDENT = f"{PREFIX}-2026-0042"
PARIS = timezone(timedelta(hours=2))


def texts(**languages: str) -> models.LanguageMap:
    """A text by language."""
    return models.LanguageMap.from_dict(languages)


def created(answer: Response[Any]) -> str:
    """The ETag of a record that was created."""
    assert answer.status_code == 201, answer.content
    return answer.headers["etag"]


# docs: begin
def connect() -> AuthenticatedClient:
    """A client with an access token, which is good for five minutes."""
    credentials = b64encode(f"{os.environ['CLIENT_ID']}:{os.environ['CLIENT_SECRET']}".encode()).decode()
    with AuthenticatedClient(base_url=NODE, token=credentials, prefix="Basic") as client:
        body = models.GetTokenBody(grant_type="client_credentials")
        token = get_token.sync(client=client, body=body)
    assert isinstance(token, models.TokenAnswer), token
    return AuthenticatedClient(base_url=NODE, token=token.access_token)


def all_solutions(client: AuthenticatedClient) -> list[str]:
    """The keys of all solutions, page by page, in an order in which a revision loses nothing."""
    keys: list[str] = []
    after: str | Unset = UNSET
    while True:
        page = list_solutions.sync(client=client, sort=models.ListSolutionsSort.ID, limit=3, after=after)
        assert isinstance(page, models.SolutionPage), page
        keys += [document.key for document in page.items]
        if isinstance(page.next_, Unset):
            return keys
        after = parse_qs(urlsplit(page.next_).query)["after"][0]


# docs: end


def a_solution(name: str) -> models.SolutionInput:
    return models.SolutionInput(
        name=name,
        summary=texts(fr="Gestion de parc", en="Asset management"),
        kind=models.SolutionKindInput.SOFTWARE,
        status=models.DevelopmentStatusInput.STABLE,
        licence="GPL-3.0-or-later",
        themes=[models.ThemeInput.IT_ASSET_MANAGEMENT],
        version_scheme="generic",
    )


def publish(client: AuthenticatedClient) -> str:
    """Publish one record of each type but the statement; the ETag of the incident."""
    created(
        publish_solution.sync_detailed(
            OPERATOR,
            SOLUTION,
            client=client,
            body=models.SolutionDraft(content=a_solution("GLPI"), tlp=models.Tlp.CLEAR),
        )
    )
    chalon = models.OrganisationInput(
        identifiers=[models.IdentifierInput(scheme="0002", value="217100767")], name="Chalon-sur-Saône"
    )
    deployment = models.DeploymentInput(
        solution=f"{OPERATOR}/{SOLUTION}",
        status=models.DeploymentStatusInput.PRODUCTION,
        tenancy=models.TenancyInput.SHARED,
        hosting=models.HostingInput(model=models.HostingModelInput.OPERATOR, country="FR"),
        coverage=models.ListedBodiesInput(kind="list", beneficiaries=[chalon]),
        version="10.0.17",
        version_state=models.VersionStateInput.EXACT,
        version_as_of=datetime(2026, 2, 1, 8, tzinfo=UTC),
        since=date(2024, 9, 1),
    )
    created(
        publish_deployment.sync_detailed(
            OPERATOR, DEPLOYMENT, client=client, body=models.DeploymentDraft(content=deployment)
        )
    )
    operator = models.OperatorInput(
        name="L'ARNia",
        country="FR",
        territory=["FR-BFC"],
        contact="contact@arnia.example.org",
        security_contact="security@arnia.example.org",
    )
    created(
        publish_operator.sync_detailed(
            OPERATOR, f"{PREFIX}-operator", client=client, body=models.OperatorDraft(content=operator)
        )
    )
    group = models.GroupInput(name="Cellule sécurité", members=["megalis", "recia"])
    created(
        publish_group.sync_detailed(
            OPERATOR, f"{PREFIX}-security", client=client, body=models.GroupDraft(content=group)
        )
    )
    membership = models.MembershipInput(
        operator="megalis",
        name="Mégalis Bretagne",
        node="https://megalis.example.org",
        thumbprint="NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
        admitted_at=datetime(2026, 2, 1, 8, tzinfo=UTC),
    )
    created(
        publish_membership.sync_detailed(
            OPERATOR, f"{PREFIX}-megalis", client=client, body=models.MembershipDraft(content=membership)
        )
    )
    incident = models.IncidentInput(
        title=texts(fr="GLPI : injection SQL", en="GLPI: SQL injection"),
        summary=texts(fr="Corrigé en 10.0.18.", en="Fixed in 10.0.18."),
        kind=models.IncidentKindInput.VULNERABILITY,
        status=models.IncidentStatusInput.OPEN,
        severity=models.SeverityInput.HIGH,
        detected_at=datetime(2026, 3, 1, 10, tzinfo=PARIS),
        affects=[
            models.AffectedInput(
                solution=f"{OPERATOR}/{SOLUTION}",
                range_="vers:generic/>=10.0.0|<10.0.18",
                fixed_in=["10.0.18"],
            )
        ],
    )
    return created(
        publish_incident.sync_detailed(
            OPERATOR, INCIDENT, client=client, body=models.IncidentDraft(content=incident)
        )
    )


def bulk(client: AuthenticatedClient) -> int:
    drafts: list[models.SolutionKeyedDraft | models.RetractedLine | models.Declaration] = [
        models.SolutionKeyedDraft(key=f"{PREFIX}-bulk-{number}", content=a_solution(f"Solution {number}"))
        for number in range(1, 6)
    ]
    report = upload_solutions.sync(client=client, body=drafts)
    assert isinstance(report, models.UploadReport), report
    assert isinstance(report.summary, models.UploadSummary), report.refused
    return report.summary.created


def changed_keys(client: AuthenticatedClient) -> list[str]:
    keys: list[str] = []
    after: str | Unset = UNSET
    while True:
        page = follow_changes.sync(client=client, after=after, limit=10)
        assert isinstance(page, models.ChangePage), page
        keys += [entry.key for entry in page.entries]
        if not page.more:
            return keys
        after = page.cursor


def exposure(client: AuthenticatedClient) -> models.Total:
    found = get_incident_exposure.sync(OPERATOR, INCIDENT, client=client)
    assert isinstance(found, models.IncidentExposure), found
    return found.total


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
    patch = models.IncidentDraftPatch(content=models.IncidentPatch(severity=models.SeverityInput.CRITICAL))
    revised = patch_incident.sync_detailed(OPERATOR, INCIDENT, client=client, body=patch, if_match=etag)
    assert isinstance(revised.parsed, models.IncidentDocument), revised.content
    assert revised.parsed.revision == 2
    print("patch: revision 2")
    refused = patch_incident.sync_detailed(OPERATOR, INCIDENT, client=client, body=patch, if_match=etag)
    assert refused.status_code == 412, refused.content
    assert isinstance(refused.parsed, models.Problem)
    print(f"412: {refused.parsed.title}")
    update = models.UpdateDraft(
        text=texts(fr="Accès coupé.", en="Access was cut."), at=datetime(2026, 3, 1, 10, 15, tzinfo=UTC)
    )
    appended = append_incident_update.sync(OPERATOR, INCIDENT, client=client, body=update)
    assert isinstance(appended, models.IncidentDocument), appended
    assert appended.revision == 3
    print("update: revision 3")
    assert mine | {DEPLOYMENT, INCIDENT} <= set(changed_keys(client))
    print("changes: all of mine")
    total = exposure(client)
    assert (total.affected.deployments, total.answered) == (1, 0), total
    print("exposure: 1 deployment, 0 answers")
    statement = models.StatementInput(
        incident=f"{OPERATOR}/{INCIDENT}",
        status=models.StatementStatusInput.KNOWN_AFFECTED,
        deployments=[f"{OPERATOR}/{DEPLOYMENT}"],
        planned_at=datetime(2026, 3, 2, 23, 30, tzinfo=PARIS),
    )
    created(
        publish_statement.sync_detailed(
            OPERATOR, INCIDENT, client=client, body=models.StatementDraft(content=statement)
        )
    )
    assert exposure(client).answered == 1
    print("statement: answered")


if __name__ == "__main__":
    main()
