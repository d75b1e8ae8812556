"""The contents of each type: what is taken, and what is refused with its member."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from federation.domain.content.consultation import Consultation
from federation.domain.content.contribution import Contribution
from federation.domain.content.deployment import Deployment
from federation.domain.content.group import Group, is_group_name
from federation.domain.content.incident import STATUSES, Incident
from federation.domain.content.meeting import Meeting
from federation.domain.content.membership import Membership
from federation.domain.content.offer import Offer
from federation.domain.content.operator import Operator
from federation.domain.content.participation import Participation
from federation.domain.content.practice import Practice
from federation.domain.content.purchase import Purchase
from federation.domain.content.solution import THEMES, Solution
from federation.domain.content.statement import Statement
from federation.domain.formats.spdx import licence_problem
from federation.domain.record_content import Content
from federation.domain.registry import TYPES, known_type
from federation.domain.scopes import PEER_SCOPES, SCOPES
from tests.domain.builders import (
    COMMUNE,
    a_consultation,
    a_contribution,
    a_deployment,
    a_draft,
    a_group,
    a_meeting,
    a_membership,
    a_participation,
    a_practice,
    a_purchase,
    a_record,
    a_solution,
    a_statement,
    an_incident,
    an_offer,
    an_operator,
    refused_draft,
    without,
)

DATA = Path(__file__).parents[3] / "shared" / "data"
OF_TYPE = {
    Solution: a_solution,
    Deployment: a_deployment,
    Incident: an_incident,
    Statement: a_statement,
    Operator: an_operator,
    Group: a_group,
    Membership: a_membership,
    Offer: an_offer,
    Practice: a_practice,
    Meeting: a_meeting,
    Contribution: a_contribution,
    Purchase: a_purchase,
    Consultation: a_consultation,
    Participation: a_participation,
}

DAY, MOMENT = "2026-03-01", "2026-03-01T08:30:00Z"
BAND = {"amount_cents": 0, "currency": "EUR", "per": "year", "unit": "body"}
FIXED = {"category": "vendor_fix"}
LINE = {"at": MOMENT, "status": "identified", "text": {"fr": "x"}}
HASH = "0" * 64

TAKEN: list[tuple[type[Content], str, list[Any]]] = [
    (Solution, "kind", ["software", "service", "ai-model", "configuration", "dataset"]),
    (Solution, "status", ["concept", "development", "beta", "stable", "obsolete"]),
    (Solution, "maintenance", ["internal", "contract", "community", "none"]),
    (Solution, "licence", ["AGPL-3.0-or-later", "LicenseRef-proprietary", "LicenseRef-unknown"]),
    (Solution, "themes", [["ai"], ["cybersecurity", "it-security"], sorted(THEMES)[:20]]),
    (
        Solution,
        "steward",
        ["DINUM", {"identifiers": [COMMUNE]}, {"identifiers": [COMMUNE], "name": "x", "type": "commune"}],
    ),
    (Solution, "based_on", [[], ["arnia/a", "megalis/b"]]),
    (
        Solution,
        "packages",
        [
            [{"purl": "pkg:pypi/django"}],
            [{"cpe": "cpe:2.3:a:glpi-project:glpi:*"}],
            [{"purl": "pkg:deb/debian/a@1?arch=b", "cpe": "cpe:/a:b:c"}],
        ],
    ),
    (
        Solution,
        "releases",
        [
            [{"version": "10.0.17"}],
            [{"version": "10.0.17", "released_at": DAY, "support": "lts", "eol_at": DAY}],
        ],
    ),
    (Solution, "version_scheme", ["generic", "pypi"]),
    (
        Solution,
        "ai",
        [
            {},
            {
                "risk_class": "prohibited",
                "base_models": ["Mistral Small"],
                "inference_country": "FR",
                "trains_on_user_data": False,
                "personal_data": True,
                "register_url": "https://example.org",
            },
        ],
    ),
    (Solution, "assurances", [[{"scheme": "secnumcloud"}], [{"scheme": "iso27001", "valid_until": DAY}]]),
    (Solution, "accessibility", [{"standard": "RGAA 4.1", "level": "partial", "audited_at": DAY}]),
    (Deployment, "status", ["planned", "pilot", "production", "suspended", "retired"]),
    (Deployment, "tenancy", ["shared", "dedicated"]),
    (
        Deployment,
        "hosting",
        [
            {"model": model}
            for model in (
                "operator",
                "on-premises",
                "public-sector-cloud",
                "private-cloud",
                "public-cloud",
                "vendor-saas",
            )
        ],
    ),
    (Deployment, "environment", ["production", "acceptance", "test", "demonstration"]),
    (Deployment, "attestation", ["declared", "confirmed-by-beneficiary", "probed"]),
    (Deployment, "version", ["10.0.17", "Distribution", "Dernière stable"]),
    (Deployment, "version_state", ["rolling", "unknown"]),
    (Deployment, "version_as_of", [MOMENT]),
    (
        Deployment,
        "coverage",
        [
            {"kind": "list", "beneficiaries": [{"identifiers": [COMMUNE]}]},
            {
                "kind": "list",
                "beneficiaries": [
                    {"identifiers": [COMMUNE, {"scheme": "cog", "value": "71076"}], "name": "x"}
                ],
            },
            {"kind": "territory", "territory": ["71", "2A", "974", "FR", "FR-BFC"]},
            {"kind": "count", "count": 0},
            {"kind": "count", "count": 412, "as_of": DAY},
        ],
    ),
    (
        Deployment,
        "offer",
        [
            {"open": False},
            {"open": True, "eligibility": {"fr": "x"}, "join_url": "https://example.org"},
            {"open": True, "price_bands": [{**BAND, "max_population": 3_500}, BAND]},
        ],
    ),
    (Incident, "severity", ["none", "low", "medium", "high", "critical"]),
    (Incident, "exploitation", ["none", "poc", "active", "unknown"]),
    (
        Incident,
        "affects",
        [
            [{"solution": "arnia/glpi"}],
            [{"deployments": ["arnia/1"]}],
            [{"solution": "arnia/glpi", "range": "vers:generic/>=10.0.0|<10.0.18", "fixed_in": ["10.0.18"]}],
        ],
    ),
    (
        Incident,
        "aliases",
        [["CVE-2025-24799", "GHSA-jv89-g7f7-jwfg", "CERTFR-2025-AVI-0151", "EUVD-2025-7013"]],
    ),
    (
        Incident,
        "cvss",
        [
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N",
            "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H",
            "AV:N/AC:L/Au:N/C:P/I:P/A:P",
            "AV:N/AC:L/Au:N/C:P/I:P/A:P/E:POC/RL:OF/RC:C",
            "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/U:Amber",
        ],
    ),
    (
        Incident,
        "remediations",
        [
            [{"category": category}]
            for category in ("mitigation", "no_fix_planned", "none_available", "vendor_fix", "workaround")
        ],
    ),
    (Incident, "updates", [[LINE], [LINE, LINE]]),
    (Incident, "source", [{"url": "https://example.org"}, {"url": "https://example.org", "sha256": HASH}]),
    (Incident, "duplicate_of", ["arnia/1"]),
    (Incident, "related_to", [["arnia/1", "https://example.org", "urn:x:y"]]),
    (Incident, "affects", [[{"solution": "arnia/glpi", "range_text": "before the patch of March"}]]),
    (Statement, "status", ["under_investigation", "known_affected", "fixed"]),
    (Statement, "deployments", [[], ["arnia/1", "arnia/2"]]),
    (Statement, "action", [{"fr": "Mise à jour"}]),
    (Statement, "planned_at", [MOMENT]),
    (Operator, "country", ["FR", "BE"]),
    (Operator, "territory", [["FR-BFC"], ["71"], ["2B"], ["FR"]]),
    (Operator, "contact", ["contact@arnia.example.org", "a+b@example.org"]),
    (Operator, "node", ["https://node.example.org", "http://localhost:8000"]),
    (Group, "members", [[], ["arnia"], ["megalis.bretagne.bzh"]]),
    (Group, "purpose", [{"fr": "x"}]),
]

REFUSED: list[tuple[type[Content], str, list[tuple[Any, str]]]] = [
    (Solution, "kind", [("Software", ""), ("standalone/web", ""), ("", "")]),
    (Solution, "status", [("production", ""), ("", "")]),
    (Solution, "maintenance", [("yes", "")]),
    (
        Solution,
        "licence",
        [("", ""), ("N/A", ""), ("GPL-2.0-only, MIT", ""), ("MIT;", ""), ("é" * 3, ""), ("M" * 301, "")],
    ),
    (Solution, "themes", [([], ""), (["AI"], "/0"), (["ai", ""], "/1"), (["ai"] * 21, "")]),
    (
        Solution,
        "steward",
        [
            ("", ""),
            ({}, "/identifiers"),
            ({"name": "x"}, "/identifiers"),
            ({"identifiers": []}, "/identifiers"),
            (1, ""),
            ({"identifiers": [COMMUNE], "type": "Commune"}, "/type"),
            ({"identifiers": [COMMUNE] * 9}, "/identifiers"),
        ],
    ),
    (Solution, "based_on", [(["glpi"], "/0"), (["a/b"] * 51, "")]),
    (
        Solution,
        "packages",
        [
            ([{}], "/0"),
            ([{"purl": "pypi/a"}], "/0/purl"),
            ([{"cpe": "a:b"}], "/0/cpe"),
            ([{"purl": "pkg:pypi/a b"}], "/0/purl"),
        ],
    ),
    (
        Solution,
        "releases",
        [
            ([{}], "/0/version"),
            ([{"version": ""}], "/0/version"),
            ([{"version": "1" * 101}], "/0/version"),
            ([{"version": "1"}, {"version": "1", "released_at": "2026-02-30"}], "/1/released_at"),
            ([{"version": "1", "eol_at": "2026-02-30"}], "/0/eol_at"),
            ([{"version": "1", "support": "yes"}], "/0/support"),
        ],
    ),
    (Solution, "version_scheme", [("Generic", ""), ("a", "")]),
    (
        Solution,
        "ai",
        [
            ({"risk_class": "none"}, "/risk_class"),
            ({"inference_country": "fr"}, "/inference_country"),
            ({"base_models": [""]}, "/base_models/0"),
            ({"register_url": "x"}, "/register_url"),
        ],
    ),
    (
        Solution,
        "assurances",
        [
            ([{"scheme": "SecNumCloud"}], "/0/scheme"),
            ([{}], "/0/scheme"),
            ([{"scheme": "hds", "valid_until": "2026-02-30"}], "/0/valid_until"),
        ],
    ),
    (
        Solution,
        "accessibility",
        [
            ({"standard": "RGAA 4.1", "level": "half"}, "/level"),
            ({"level": "full"}, "/standard"),
            ({"standard": "RGAA", "level": "full", "audited_at": "2026-02-30"}, "/audited_at"),
        ],
    ),
    (Deployment, "status", [("stable", ""), ("", "")]),
    (Deployment, "tenancy", [("public", "")]),
    (
        Deployment,
        "hosting",
        [
            ({}, "/model"),
            ({"model": "cloud"}, "/model"),
            ({"model": "operator", "country": "France"}, "/country"),
            ({"model": "operator", "provider": ""}, "/provider"),
        ],
    ),
    (Deployment, "environment", [("staging", "")]),
    (Deployment, "attestation", [("sworn", "")]),
    (Deployment, "version", [("", ""), ("1" * 101, ""), (10, "")]),
    (Deployment, "version_state", [("Exact", "")]),
    (Deployment, "version_as_of", [(DAY, "")]),
    (
        Deployment,
        "coverage",
        [
            ({"kind": "list"}, "/beneficiaries"),
            ({"kind": "list", "beneficiaries": []}, "/beneficiaries"),
            ({"kind": "list", "beneficiaries": [{"name": "Chalon"}]}, "/beneficiaries/0/identifiers"),
            (
                {"kind": "list", "beneficiaries": [{"identifiers": [COMMUNE]}, {"identifiers": []}]},
                "/beneficiaries/1/identifiers",
            ),
            ({"kind": "territory"}, "/territory"),
            ({"kind": "territory", "territory": []}, "/territory"),
            ({"kind": "territory", "territory": ["FR-BFC", "2C"]}, "/territory/1"),
            ({"kind": "territory", "territory": ["Bourgogne"]}, "/territory/0"),
            ({"kind": "territory", "territory": ["7"]}, "/territory/0"),
            ({"kind": "count"}, "/count"),
            ({"kind": "count", "count": -1}, "/count"),
            ({"kind": "count", "count": 1, "as_of": "2026-02-30"}, "/as_of"),
            ({"kind": "count", "count": 1, "as_of": MOMENT}, "/as_of"),
            ({"count": 1}, "/kind"),
            (412, ""),
        ],
    ),
    (
        Deployment,
        "offer",
        [
            ({}, "/open"),
            ({"open": True, "price_bands": [without(BAND, "unit")]}, "/price_bands/0/unit"),
            ({"open": True, "price_bands": [{**BAND, "currency": "€"}]}, "/price_bands/0/currency"),
            ({"open": True, "price_bands": [{**BAND, "amount_cents": -1}]}, "/price_bands/0/amount_cents"),
            ({"open": True, "price_bands": [{**BAND, "amount_cents": 9.9}]}, "/price_bands/0/amount_cents"),
            ({"open": True, "price_bands": [{**BAND, "amount_cents": 2**53}]}, "/price_bands/0/amount_cents"),
            ({"open": True, "price_bands": [{**BAND, "per": "day"}]}, "/price_bands/0/per"),
            ({"open": True, "price_bands": [{**BAND, "unit": "user"}]}, "/price_bands/0/unit"),
        ],
    ),
    (Incident, "severity", [("High", ""), ("9.8", ""), (9, "")]),
    (Incident, "exploitation", [("yes", "")]),
    (Incident, "kind", [("breakdown", "")]),
    (
        Incident,
        "affects",
        [
            ([], ""),
            ([{}], "/0"),
            ([{"range": "vers:generic/1"}], "/0"),
            ([{"solution": "glpi"}], "/0/solution"),
            ([{"solution": "arnia/glpi", "range": ">= 10.0.0, < 10.0.18"}], "/0/range"),
            ([{"solution": "arnia/glpi", "range": "vers:generic/>= 1"}], "/0/range"),
            ([{"deployments": []}], "/0"),
            ([{"deployments": ["x"]}], "/0/deployments/0"),
        ],
    ),
    (Incident, "aliases", [(["C"], "/0"), (["CVE 2025"], "/0"), (["CVE-1"] * 51, "")]),
    (Incident, "cvss", [("9.8", ""), ("CVSS:3.1", ""), ("CVSS:3.1/av:n/ac:l", "")]),
    (Incident, "remediations", [([{}], "/0/category"), ([{"category": "patch"}], "/0/category")]),
    (
        Incident,
        "updates",
        [
            ([without(LINE, "at")], "/0/at"),
            ([{**LINE, "at": "2026-02-30T00:00:00Z"}], "/0/at"),
            ([{**LINE, "status": "done"}], "/0/status"),
            ([{**LINE, "text": {}}], "/0/text"),
        ],
    ),
    (
        Incident,
        "source",
        [
            ({"sha256": HASH}, "/url"),
            ({"url": "x"}, "/url"),
            ({"url": "https://example.org", "sha256": "F" * 64}, "/sha256"),
            ({"url": "https://example.org", "sha256": "f" * 63}, "/sha256"),
        ],
    ),
    (Incident, "duplicate_of", [("1", "")]),
    (Incident, "related_to", [(["no reference"], "/0")]),
    (Statement, "status", [("affected", ""), ("", "")]),
    (Statement, "deployments", [(["x"], "/0"), (["arnia/1"] * 1_001, "")]),
    (Statement, "planned_at", [(DAY, "")]),
    (Operator, "country", [("fr", ""), ("FRA", ""), ("France", "")]),
    (Operator, "territory", [([], ""), (["FR-BFCX"], "/0"), (["fr-bfc"], "/0")]),
    (
        Operator,
        "contact",
        [
            ("contact", ""),
            ("a@b@c", ""),
            ("a b@example.org", ""),
            ("Contact <a@example.org>", ""),
            ("a@-example.org", ""),
            ("@example.org", ""),
            ("a@", ""),
        ],
    ),
    (Operator, "security_contact", [("https://example.org", "")]),
    (Operator, "node", [("node.example.org", ""), ("javascript:x", "")]),
    (Group, "members", [(["Arnia"], "/0"), (["a"] * 1_001, ""), ("arnia", "")]),
    (Group, "name", [("", "")]),
]


@pytest.mark.parametrize(
    ("kind", "name", "value"), [(kind, name, value) for kind, name, values in TAKEN for value in values]
)
def test_a_member_takes_what_it_is_for(kind: type[Content], name: str, value: Any) -> None:
    record = a_record(OF_TYPE[kind](**{name: value}), kind, tlp="RED")
    written = json.loads(record.document)["content"].get(name)
    (field,) = (field for field in msgspec.structs.fields(kind) if field.name == name)
    optional = not field.required
    assert written == (None if value == [] and optional else value), "an empty list is left out"


@pytest.mark.parametrize(
    ("kind", "name", "value", "rest"),
    [(kind, name, value, rest) for kind, name, values in REFUSED for value, rest in values],
)
def test_a_member_refuses_what_it_is_not_for(kind: type[Content], name: str, value: Any, rest: str) -> None:
    assert refused_draft(OF_TYPE[kind](**{name: value}), kind, tlp="RED").pointer == f"/content/{name}{rest}"


# Solutions


@pytest.mark.parametrize(
    "expression",
    [
        "MIT", "0BSD", "AGPL-3.0-or-later", "GPL-2.0+", "GPL-2.0", "EUPL-1.2", "CECILL-2.1", "etalab-2.0",
        "GPL-2.0-only OR MIT", "(MIT)", "(MIT OR Apache-2.0) AND (EUPL-1.2)", "((MIT))",
        "GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0 OR MIT",
        "LicenseRef-proprietary", "LicenseRef-unknown", "LicenseRef-my.own-1",
        "MIT AND LicenseRef-proprietary",
        "(LicenseRef-a OR LicenseRef-b)", "Apache-2.0+",
    ],
)  # fmt: skip
def test_an_spdx_expression_is_a_licence(expression: str) -> None:
    assert licence_problem(expression) is None
    assert a_draft(a_solution(licence=expression))


@pytest.mark.parametrize(
    "expression",
    [
        "N/A", "n/a", "NA", "NONE", "NOASSERTION", "other", "GPL", "GPL2", "GPLv3", "BSD", "CeCILL",
        "proprietary",
        "MIT, GPL-2.0-only", "MIT,GPL-2.0-only", "MIT; GPL-2.0-only", "MIT/GPL-2.0-only", "MIT GPL-2.0-only",
        "MIT and GPL-2.0-only", "MIT or later", "MIT OR", "OR MIT", "MIT OR OR MIT", "MIT AND",
        "MIT WITH", "AND", "WITH",
        "(MIT", "MIT)", ")MIT(", "()", "( MIT )", "", " ", "MIT ", " MIT", "MIT\n", "MIT\tOR MIT",
        "MIT  OR  MIT",
        "LicenseRef-", "LicenseRef", "licenseref-x", "LicenseRef-a_b", "X-LicenseRef-a", "https://example.org/licence",
        "+", "-", ":", ".", "Licence Ouverte 2.0", "é", "(" * 200 + "MIT", "MIT" + ")" * 200,
    ],
)  # fmt: skip
def test_what_is_no_spdx_expression_is_refused_with_a_reason(expression: str) -> None:
    assert licence_problem(expression)
    assert refused_draft(a_solution(licence=expression))


@pytest.mark.parametrize(
    "expression",
    [
        "MIT WITH MIT",
        "MIT WITH Apache-2.0",
        "Classpath-exception-2.0",
        "MIT OR Classpath-exception-2.0",
        "MIT WITH LicenseRef-x",
    ],
)
def test_a_licence_is_no_exception_and_an_exception_is_no_licence(expression: str) -> None:
    assert licence_problem(expression)


def test_a_writer_is_told_which_member_a_list_that_grows_refused() -> None:
    assert refused_draft(a_solution(licence="GPL-99")).pointer == "/content/licence"
    assert refused_draft(a_solution(themes=["ai", "quantum"])).pointer == "/content/themes/1"


def test_a_theme_is_one_of_the_list() -> None:
    assert {"ai", "cybersecurity", "sovereign-workplace", "it-asset-management"} <= THEMES
    for theme in THEMES:
        assert a_draft(a_solution(themes=[theme]))
    assert "quantum is not a theme" in refused_draft(a_solution(themes=["quantum"])).detail


def licences_of_sill() -> Iterator[str]:
    for path in sorted((DATA / "sill").glob("*.json")):
        rows = json.loads(path.read_text(encoding="utf-8"))
        yield from (row["l"] for row in rows if isinstance(row, dict) and isinstance(row.get("l"), str))
    for path in sorted((DATA / "sill").glob("sill-*.csv")):
        with path.open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                yield row.get("licence") or row.get("LICENCE") or ""


def licences_of_publiccode() -> Iterator[str]:
    # By hand and not as YAML: one of the files has a tab and is none.
    for path in sorted((DATA / "publiccode").rglob("*.yml")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if found := re.match(r"\s*licen[sc]e:(.*)", line):
                yield found[1]
                yield found[1].strip().strip("'\"")


@pytest.mark.parametrize(("source", "enough"), [(licences_of_sill, 400), (licences_of_publiccode, 100)])
def test_every_licence_that_was_written_somewhere_real_gets_an_answer(source: Any, enough: int) -> None:
    if not (DATA / "sill").exists() or not (DATA / "publiccode").exists():
        pytest.skip(f"the real licences are not there: {DATA}")
    answers = [licence_problem(expression) for expression in source()]
    assert len(answers) >= enough
    assert any(answer is None for answer in answers)
    assert all(answer is None or answer for answer in answers)


# Deployments


def test_an_exact_version_is_named() -> None:
    assert a_draft(a_deployment(version_state="exact", version="10.0.17"), Deployment)
    refusal = refused_draft(a_deployment(version_state="exact"), Deployment)
    assert refusal.detail == "version_state is exact, so version is needed"
    for content in (
        a_deployment(version_state="rolling"),
        a_deployment(version_state="unknown"),
        a_deployment(version_state="unknown", version="Distribution"),
        a_deployment(version="10.0.17"),
    ):
        assert a_draft(content, Deployment)


def test_a_deployment_ends_when_it_has_begun() -> None:
    assert a_draft(a_deployment(since="2026-03-01", until="2026-03-01"), Deployment)
    assert a_draft(a_deployment(since="2026-03-01", until="2027-01-01"), Deployment)
    assert a_draft(a_deployment(until="2020-01-01"), Deployment)
    refusal = refused_draft(a_deployment(since="2026-03-01", until="2026-02-28"), Deployment)
    assert refusal.detail == "until (2026-02-28) is before since (2026-03-01)"
    assert refused_draft(a_deployment(until="2026-02-30"), Deployment)


def test_a_deployment_is_found_by_whom_it_serves_and_where() -> None:
    bodies = [{"identifiers": [COMMUNE, {"scheme": "cog", "value": "71076"}]}, {"identifiers": [COMMUNE]}]
    served = a_draft(
        a_deployment(coverage={"kind": "list", "beneficiaries": bodies}), Deployment
    ).content.project()
    assert served.beneficiaries == ("0002:217100767", "cog:71076")
    area = a_draft(a_deployment(coverage={"kind": "territory", "territory": ["71", "FR-BFC"]}), Deployment)
    assert {"deployment.territory=71", "deployment.territory=FR-BFC"} <= set(area.content.project().facets)
    assert area.content.project().beneficiaries == ()


@pytest.mark.parametrize(
    ("members", "facet"),
    [
        ({}, "solution=arnia/glpi"), ({}, "status=production"), ({}, "tenancy=shared"), ({},
            "hosting=operator"),
        ({"hosting": {"model": "operator", "country": "FR"}}, "country=FR"), ({"environment": "test"},
            "environment=test"),
        ({"version": "10.0.17"}, "version=10.0.17"), ({"offer": {"open": True}}, "open=true"),
        ({"offer": {"open": False}}, "open=false"),
    ],
)  # fmt: skip
def test_a_deployment_is_found_by_its_filters(members: dict[str, Any], facet: str) -> None:
    facets = a_draft(a_deployment(**members), Deployment).content.project().facets
    assert f"deployment.{facet}" in facets


# Incidents


KINDS_AND_STATUSES = [
    (kind, status)
    for kind in ("outage", "degradation", "security", "maintenance", "vulnerability")
    for status in (
        "investigating", "identified", "monitoring", "resolved", "scheduled", "in_progress", "verifying",
        "completed",
        "open", "mitigated", "fixed", "withdrawn",
    )
]  # fmt: skip
GO_TOGETHER = {
    "outage": {"investigating", "identified", "monitoring", "resolved", "withdrawn"},
    "degradation": {"investigating", "identified", "monitoring", "resolved", "withdrawn"},
    "security": {"investigating", "identified", "monitoring", "resolved", "withdrawn"},
    "maintenance": {"scheduled", "in_progress", "verifying", "completed", "withdrawn"},
    "vulnerability": {"open", "mitigated", "fixed", "withdrawn"},
}


@pytest.mark.parametrize(("kind", "status"), KINDS_AND_STATUSES)
def test_each_kind_of_incident_has_its_statuses(kind: str, status: str) -> None:
    content = an_incident(kind=kind, status=status)
    if status in GO_TOGETHER[kind]:
        draft = a_draft(content, Incident, tlp="GREEN")
        assert (draft.content.kind, draft.content.status) == (kind, status)
    else:
        refusal = refused_draft(content, Incident, tlp="GREEN")
        assert refusal.pointer == "/content/status"
        assert refusal.detail == f"{status} is not a status of {kind}: {', '.join(STATUSES[kind])} are"


@pytest.mark.parametrize("kind", ["outage", "degradation", "security", "vulnerability"])
def test_an_incident_has_begun_or_was_found(kind: str) -> None:
    bare = without(an_incident(kind=kind), "started_at")
    for when in ("started_at", "detected_at"):
        assert a_draft({**bare, when: MOMENT}, Incident, tlp="GREEN")
    for content in (bare, {**bare, "scheduled_for": MOMENT}):
        assert (
            refused_draft(content, Incident, tlp="GREEN").detail
            == "an incident needs started_at or detected_at"
        )


def test_a_maintenance_is_scheduled() -> None:
    assert a_draft(an_incident(kind="maintenance"), Incident)
    bare = without(an_incident(kind="maintenance"), "scheduled_for")
    assert (
        refused_draft({**bare, "started_at": MOMENT}, Incident).detail == "a maintenance needs scheduled_for"
    )


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        ("outage", "started_at", "resolved_at"),
        ("outage", "detected_at", "resolved_at"),
        ("maintenance", "scheduled_for", "scheduled_until"),
    ],
)
def test_what_comes_second_is_not_before_what_comes_first(kind: str, first: str, second: str) -> None:
    early, late = "2026-03-01T08:30:00Z", "2026-03-01T08:30:01Z"
    for one, two in ((early, late), (early, early), (early, "2026-03-01T08:30:00.5Z")):
        assert a_draft(an_incident(kind=kind, **{"started_at": early, first: one, second: two}), Incident)
    refusal = refused_draft(
        an_incident(kind=kind, **{"started_at": early, first: late, second: early}), Incident
    )
    assert refusal.detail == f"{second} ({early}) is before {first} ({late})"


def test_what_comes_second_is_not_a_fraction_before_what_comes_first() -> None:
    content = an_incident(started_at="2026-03-01T08:30:00.9Z", status="resolved")
    assert a_draft({**content, "resolved_at": "2026-03-01T08:30:00.95Z"}, Incident)
    for second in ("2026-03-01T08:30:00.1Z", "2026-03-01T08:30:00Z"):
        assert refused_draft({**content, "resolved_at": second}, Incident).pointer == "/content/resolved_at"


@pytest.mark.parametrize(
    ("kind", "when"),
    [
        ("outage", "started_at"), ("outage", "detected_at"), ("outage", "resolved_at"),
        ("maintenance", "scheduled_for"), ("maintenance", "scheduled_until"),
    ],
)  # fmt: skip
def test_every_moment_of_an_incident_is_one_of_the_calendar(kind: str, when: str) -> None:
    assert a_draft(an_incident(kind=kind, **{when: "2026-03-31T00:00:00Z"}), Incident)
    detail = refused_draft(an_incident(kind=kind, **{when: "2026-02-30T00:00:00Z"}), Incident).detail
    assert detail == "2026-02-30T00:00:00Z is not a moment of the calendar"


def test_an_incident_is_found_by_what_it_hits_and_what_others_call_it() -> None:
    content = an_incident(
        exploitation="active", aliases=["CVE-2025-24799"],
        affects=[{"solution": "arnia/glpi", "deployments": ["arnia/1"]}, {"deployments": ["arnia/2"]}],
    )  # fmt: skip
    assert set(a_draft(content, Incident).content.project().facets) == {
        "incident.kind=outage", "incident.status=investigating", "incident.severity=high",
        "incident.exploitation=active",
        "incident.alias=CVE-2025-24799", "incident.solution=arnia/glpi", "incident.deployment=arnia/1",
        "incident.operator=arnia",
        "incident.deployment=arnia/2",
    }  # fmt: skip


# Operators and groups


def test_an_operator_is_found_by_where_it_works() -> None:
    facets = a_draft(an_operator(territory=["FR-BFC", "71"]), Operator).content.project().facets
    assert facets == ("operator.country=FR", "operator.territory=FR-BFC", "operator.territory=71")


def test_a_group_is_always_red() -> None:
    assert a_record(a_group(), Group).audience == "private"
    assert a_record(a_group(), Group, tlp="RED").audience == "private"
    for label in ({"tlp": "CLEAR"}, {"tlp": "GREEN"}, {"tlp": "AMBER", "audience": "rssi"}):
        assert "a group is always RED" in refused_draft(a_group(), Group, **label).detail


def test_a_group_is_found_by_its_members() -> None:
    assert a_draft(a_group(members=["recia", "megalis"]), Group).content.project().facets == (
        "group.member=recia", "group.member=megalis",
    )  # fmt: skip


@pytest.mark.parametrize("name", ["rssi", "a", "a-b", "0", "a" * 63])
def test_a_group_has_a_name_of_its_own(name: str) -> None:
    assert is_group_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "public",
        "federation",
        "private",
        "",
        "RSSI",
        "-a",
        "a-",
        "a.b",
        "a_b",
        "a b",
        "a/b",
        "rssi\n",
        "a" * 64,
    ],
)
def test_what_cannot_name_a_group_does_not(name: str) -> None:
    assert not is_group_name(name)


# Default labels


@pytest.mark.parametrize(
    ("kind", "content", "label", "audience"),
    [
        (Solution, a_solution(), "CLEAR", "public"),
        (Operator, an_operator(), "CLEAR", "public"),
        (Deployment, a_deployment(), "GREEN", "federation"),
        (Incident, an_incident(kind="outage"), "GREEN", "federation"),
        (Incident, an_incident(kind="degradation"), "GREEN", "federation"),
        (Incident, an_incident(kind="maintenance"), "GREEN", "federation"),
        (Incident, an_incident(kind="vulnerability"), "GREEN", "federation"),
        (Statement, a_statement(), "GREEN", "federation"),
        (Group, a_group(), "RED", "private"),
    ],
)
def test_a_record_whose_writer_named_no_label_gets_that_of_its_type(
    kind: type[Content], content: dict[str, Any], label: str, audience: str
) -> None:
    record = a_record(content, kind)
    assert (record.tlp, record.audience) == (label, audience)
    assert json.loads(record.document)["tlp"] == label


def test_a_security_incident_is_amber_and_so_needs_a_group() -> None:
    record = a_record(an_incident(kind="security"), Incident, audience="rssi")
    assert (record.tlp, record.audience) == ("AMBER", "rssi")
    assert refused_draft(an_incident(kind="security"), Incident).pointer == "/audience"


def test_a_label_that_the_writer_names_wins_over_the_default() -> None:
    assert a_record(a_deployment(), Deployment, tlp="RED").audience == "private"
    assert a_record(an_incident(kind="security"), Incident, tlp="GREEN").audience == "federation"


# Statements


JUSTIFIED = "vulnerable_code_not_present"


def test_who_says_not_affected_says_why_and_nobody_else_does() -> None:
    said = a_statement(status="known_not_affected", justification=JUSTIFIED)
    assert a_record(said, Statement).op == "upsert"
    refusal = refused_draft(a_statement(status="known_not_affected"), Statement)
    assert refusal.detail == "known_not_affected needs a justification"
    for status in ("fixed", "known_affected", "under_investigation"):
        refusal = refused_draft(a_statement(status=status, justification=JUSTIFIED), Statement)
        assert refusal.detail == (
            f"a justification says why something is not affected, and the status is {status}"
        )
    unheard = a_statement(status="known_not_affected", justification="we are careful")
    assert refused_draft(unheard, Statement).pointer == "/content/justification"


# The registry


def test_the_types_are_known_by_their_names() -> None:
    assert {name: kind.plural for name, kind in TYPES.items()} == {
        "solution": "solutions",
        "deployment": "deployments",
        "incident": "incidents",
        "statement": "statements",
        "operator": "operators",
        "group": "groups",
        "membership": "memberships",
        "offer": "offers",
        "practice": "practices",
        "meeting": "meetings",
        "contribution": "contributions",
        "purchase": "purchases",
        "consultation": "consultations",
        "participation": "participations",
    }
    assert known_type("incident") is Incident
    assert known_type("recipe") is None


def test_every_filter_but_the_beneficiary_is_something_its_type_is_found_by() -> None:
    full: dict[type[Content], list[dict[str, Any]]] = {
        Solution: [a_solution()],
        Deployment: [
            a_deployment(hosting={"model": "operator", "country": "FR"}, environment="test", version="1",
                offer={"open": True},
                         coverage={"kind": "territory", "territory": ["71"]}),
        ],
        Incident: [an_incident(exploitation="poc", aliases=["CVE-1"], affects=[{"solution": "a/b",
            "deployments": ["a/c"]}])],
        Statement: [a_statement(deployments=["arnia/1"])],
        Operator: [an_operator()],
        Group: [a_group()],
        Membership: [a_membership()],
        Offer: [an_offer(deployments=["a/b"], consultation="a/c")],
        Practice: [a_practice(themes=["ai"], solutions=["a/b"], audience_kinds=["school"])],
        Meeting: [a_meeting(series="a", attending=["b"], tasks=[{"key": "a", "text": {"fr": "x"},
            "owner": "b"}])],
        Contribution: [a_contribution(task="a")],
        Purchase: [a_purchase(kind="centrale-d-achat", mode="wholesaler", status="open")],
        Consultation: [a_consultation(solutions=["a/b"], themes=["ai"], cpv=["48000000"])],
        Participation: [a_participation(bodies={"kind": "territory", "territory": ["71"]})],
    }  # fmt: skip
    for kind, contents in full.items():
        found = {name for content in contents for name, _ in a_draft(content, kind).content.found_by()}
        assert found == set(kind.filters) - {"beneficiary"}


def test_each_type_has_a_scope_to_read_and_one_to_write_and_peers_write_nothing() -> None:
    for kind in TYPES.values():
        assert {f"{kind.plural}.read", f"{kind.plural}.write"} <= set(SCOPES)
    assert set(SCOPES) >= PEER_SCOPES
    assert {scope.split(".")[1] for scope in PEER_SCOPES} == {"read"}
    assert "feeds.read" in PEER_SCOPES
    assert PEER_SCOPES.isdisjoint({"groups.read", "changes.read", "peers.read", "node.admin"})
