"""The fields of the records that operators have exchanged from the start: what runs, and what breaks."""

from __future__ import annotations

from federation.web.fields import Field
from federation.web.language import screen_text as t

MAILBOX = t("A shared mailbox, not a person’s: contact@arnia.example.org")
SOLUTION_HINT = t("Operator and key of the solution: arnia/glpi")
TERRITORY_HINT = t("One on each line: FR-BFC for a region, 71 for a département.")

SOLUTION = (
    Field("name", "line", t("Name"), t("As its publisher writes it: GLPI"), required=True),
    Field("summary", "words", t("In one sentence"), t("What it is for: IT asset management"), required=True),
    Field("kind", "choice", t("Kind"), labels="solution_kind", required=True),
    Field("status", "choice", t("State of development"), labels="development", required=True),
    Field(
        "licence", "line", t("Licence"), t("SPDX: AGPL-3.0-or-later, LicenseRef-proprietary"), required=True
    ),
    Field("themes", "lines", t("Themes"), t("One on each line: it-asset-management"), required=True),
    Field("description", "prose", t("Description"), group=t("To know more")),
    Field("homepage", "line", t("Web site"), example="https://glpi-project.org"),
    Field(
        "documentation", "line", t("Documentation"), example="https://glpi-user-documentation.readthedocs.io"
    ),
    Field("repository", "line", t("Source code"), example="https://github.com/glpi-project/glpi"),
    Field("maintenance", "choice", t("Maintained by"), labels="maintenance"),
    Field(
        "packages",
        "rows",
        t("Package"),
        t("Advisories are matched by these names."),
        group=t("To be found by advisories"),
        rows=(
            Field("purl", "line", t("Package URL"), example="pkg:composer/glpi-project/glpi"),
            Field("cpe", "line", t("CPE"), example="cpe:2.3:a:glpi-project:glpi:*:*:*:*:*:*:*:*"),
        ),
    ),
    Field(
        "releases",
        "rows",
        t("Release"),
        rows=(
            Field("version", "line", t("Version"), example="10.0.18"),
            Field("released_at", "day", t("Released on")),
            Field("support", "choice", t("Support"), labels="support"),
            Field("eol_at", "day", t("End of support")),
        ),
    ),
    Field("based_on", "lines", t("Based on"), t("Solutions, one on each line: arnia/php"), group=t("Links")),
    Field("depends_on", "lines", t("Needs"), t("Solutions, one on each line: arnia/postgresql")),
    Field("alternatives", "lines", t("Alternatives"), t("Solutions, one on each line: arnia/itop")),
)

COVERAGE_GROUP = t("For whom")


def coverage(name: str, *, required: bool) -> tuple[Field, ...]:
    """The fields of a coverage: bodies by name, areas, or a number."""
    kind = f"{name}.kind"
    return (
        Field(
            kind,
            "choice",
            t("The bodies are given"),
            labels="coverage",
            required=required,
            group=COVERAGE_GROUP,
        ),
        Field(
            f"{name}.beneficiaries",
            "bodies",
            t("Bodies"),
            t("One SIREN, SIRET or INSEE code on each line: 217100767"),
            when=(kind, "list"),
        ),
        Field(f"{name}.territory", "lines", t("Territories"), TERRITORY_HINT, when=(kind, "territory")),
        Field(f"{name}.count", "number", t("Number of bodies"), example="412", when=(kind, "count")),
    )


DEPLOYMENT = (
    Field("solution", "line", t("Solution"), SOLUTION_HINT, required=True),
    Field("status", "choice", t("State"), labels="deployment_status", required=True),
    Field("tenancy", "choice", t("Shared or not"), labels="tenancy", required=True),
    Field("version", "line", t("Version"), t("As it shows itself: 10.0.17"), group=t("Version")),
    Field("version_state", "choice", t("How sure the version is"), labels="version_state"),
    Field("version_as_of", "moment", t("Version seen on")),
    Field("attestation", "choice", t("Known from"), labels="attestation"),
    Field("hosting.model", "choice", t("Hosted"), labels="hosting", required=True, group=t("Hosting")),
    Field("hosting.provider", "line", t("Provider"), t("The company or body that hosts it")),
    Field("hosting.country", "line", t("Country"), t("Two letters: FR")),
    *coverage("coverage", required=True),
    Field("environment", "choice", t("Purpose"), labels="environment", group=t("More")),
    Field("since", "day", t("In use since")),
    Field("until", "day", t("In use until")),
    Field("url", "line", t("Address"), example="https://glpi.arnia.example.org"),
    Field("support", "text", t("Help for users"), t("How the bodies served get help")),
)
INCIDENT = (
    Field("title", "words", t("Title"), t("Short: Sign-in to GLPI is down"), required=True),
    Field("summary", "prose", t("Summary"), t("What is seen, by whom, since when"), required=True),
    Field("kind", "choice", t("Kind"), labels="incident_kind", required=True),
    Field("status", "choice", t("State"), labels="incident_status", required=True),
    Field("severity", "choice", t("Severity"), labels="severity", required=True),
    Field(
        "affects",
        "rows",
        t("What is affected"),
        required=True,
        group=t("What is affected"),
        rows=(
            Field("solution", "line", t("Solution"), SOLUTION_HINT),
            Field("range", "line", t("Affected versions"), example="vers:generic/>=10.0.0|<10.0.18"),
            Field(
                "range_text",
                "line",
                t("Affected versions in words"),
                t("Only if they cannot be written as above"),
            ),
            Field("fixed_in", "lines", t("Fixed in versions"), t("One on each line: 10.0.18")),
            Field("deployments", "lines", t("Deployments"), t("Only these, one on each line: arnia/glpi-71")),
        ),
    ),
    Field("started_at", "moment", t("Began"), group=t("Times")),
    Field("detected_at", "moment", t("Found")),
    Field("resolved_at", "moment", t("Over since")),
    Field("scheduled_for", "moment", t("Announced for"), t("Only for maintenance")),
    Field("scheduled_until", "moment", t("Announced until"), t("Only for maintenance")),
    Field(
        "remediations",
        "rows",
        t("Remedy"),
        group=t("What to do"),
        rows=(
            Field("category", "choice", t("Kind of remedy"), labels="remediation"),
            Field("text", "prose", t("What to do")),
            Field("url", "line", t("Address")),
            Field("version", "line", t("Version")),
        ),
    ),
    Field("aliases", "lines", t("Also known as"), t("One on each line: CVE-2025-24799"), group=t("More")),
    Field("exploitation", "choice", t("Attacks"), labels="exploitation"),
    Field("duplicate_of", "line", t("The same as"), t("Another incident: arnia/CVE-2025-24799")),
)
UPDATE = (
    Field(
        "text",
        "prose",
        t("What is new"),
        t("The cause is found. Service is back at about 14:00."),
        required=True,
    ),
    Field(
        "status",
        "choice",
        t("State from now on"),
        t("Leave it empty if it stays as it is."),
        labels="incident_status",
    ),
)
OPERATOR = (
    Field("name", "line", t("Name"), t("As people know it: L’ARNia"), required=True),
    Field("country", "line", t("Country"), t("Two letters: FR"), required=True),
    Field("territory", "lines", t("Territory"), TERRITORY_HINT, required=True),
    Field("contact", "line", t("Mailbox"), MAILBOX, required=True, group=t("Whom to call")),
    Field(
        "security_contact",
        "line",
        t("Mailbox for security"),
        t("Read when a service is attacked: security@arnia.example.org"),
        required=True,
    ),
    Field("telephone", "line", t("Telephone"), t("Of the body, not of a person: +33 1 99 00 12 34")),
    Field(
        "security_telephone",
        "line",
        t("Telephone for security"),
        t("Answered when a service is down: +33 1 99 00 12 35"),
    ),
    Field("homepage", "line", t("Web site"), example="https://arnia.example.org", group=t("More")),
    Field("node", "line", t("Address of the node"), example="https://node.arnia.example.org"),
    Field(
        "identifiers",
        "rows",
        t("Number in a register"),
        rows=(
            Field("scheme", "line", t("Register"), t("0002 for SIREN, 0009 for SIRET")),
            Field("value", "line", t("Number"), example="130009186"),
        ),
    ),
)
GROUP = (
    Field("name", "line", t("Name"), t("Security officers"), required=True),
    Field("members", "lines", t("Members"), t("Operators, one on each line: megalis"), required=True),
    Field("purpose", "prose", t("Purpose")),
)
