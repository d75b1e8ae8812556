"""The operator as a CSAF 2.0 provider: its lists, the claims of its documents, and their readers."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx2
import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from federation.domain.content.incident import Incident
from federation.domain.formats.csaf import read_csaf
from federation.domain.visibility import itself
from federation.node import advisories, records
from federation.node.node import Node
from tests.api.http_client import fine, refused
from tests.domain.builders import a_group, a_solution, a_statement, an_incident
from tests.nodes import publish

SCHEMAS = Path(__file__).parents[3] / "shared" / "data" / "advisories" / "csaf" / "json_schema"
needs_schemas = pytest.mark.skipif(
    not SCHEMAS.exists(), reason="the shared schemas are not beside the project"
)
VALIDATOR = Path(__file__).parents[2] / "build" / "node" / "csaf"
SCRIPT = Path(__file__).parents[1] / "contract" / "csaf" / "validate.mjs"
CVE = "CVE-2025-24799"
GLPI = [
    {"purl": "pkg:github/glpi-project/glpi@10.0.1", "cpe": "cpe:2.3:a:glpi-project:glpi:10.0.1:*:*:*:*:*:*:*"}
]
RANGE = "vers:generic/>=10.0.0|<10.0.18"
FEED = "/csaf/white/feed-tlp-white.json"


def a_flaw(**members: Any) -> dict[str, Any]:
    members = {"aliases": [CVE], "affects": [{"solution": "arnia/glpi", "range": RANGE}], **members}
    return an_incident(kind="vulnerability", **members)


async def publish_flaw(node: Node, key: str = CVE, *, tlp: str = "CLEAR", **members: Any) -> None:
    await publish(node, "incident", key, a_flaw(**members), tlp=tlp)


async def entries_of(client: httpx2.AsyncClient, label: str = "white") -> list[dict[str, Any]]:
    feed = fine(await client.get(f"/csaf/{label}/feed-tlp-{label}.json"))["feed"]
    entries: list[dict[str, Any]] = feed["entry"]
    return entries


async def documents_of(client: httpx2.AsyncClient, label: str = "white") -> dict[str, dict[str, Any]]:
    """The documents that a feed lists, by their ids."""
    entries = await entries_of(client, label)
    return {entry["id"]: fine(await client.get(entry["content"]["src"])) for entry in entries}


def statuses(document: dict[str, Any], number: int = 0) -> dict[str, list[str]]:
    """The names of the products of a vulnerability by status."""
    names: dict[str, str] = {
        p["product_id"]: p["name"] for p in document["product_tree"].get("full_product_names", ())
    }
    for branch in document["product_tree"].get("branches", ()):
        names |= {leaf["product"]["product_id"]: leaf["product"]["name"] for leaf in branch["branches"]}
    listed = document["vulnerabilities"][number]["product_status"]
    return {status: [names[id_] for id_ in ids] for status, ids in listed.items()}


# Lists


@needs_schemas
async def test_the_metadata_is_valid_and_leads_to_the_feeds(anyone: httpx2.AsyncClient, arnia: Node) -> None:
    arnia.url = "https://arnia.test"
    answer = await anyone.get("/.well-known/csaf/provider-metadata.json")
    metadata = fine(answer)
    check(metadata, "provider_json_schema.json")
    assert metadata["role"] == "csaf_provider"
    assert metadata["publisher"]["namespace"] == "https://arnia.test"
    (distribution,) = metadata["distributions"]
    feeds = {feed["tlp_label"]: feed["url"] for feed in distribution["rolie"]["feeds"]}
    assert feeds == {
        label.upper(): f"https://arnia.test/csaf/{label}/feed-tlp-{label}.json"
        for label in ("white", "green", "amber")
    }
    assert fine(await anyone.get(FEED))["feed"]["link"][0] == {"rel": "self", "href": feeds["WHITE"]}
    (workspace,) = fine(await anyone.get("/.well-known/csaf/service.json"))["service"]["workspace"]
    assert [collection["href"] for collection in workspace["collection"]] == list(feeds.values())
    again = await anyone.get(FEED, headers={"if-none-match": (await anyone.get(FEED)).headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_a_node_without_tls_is_no_provider_and_stands_in_no_security_txt(
    anyone: httpx2.AsyncClient, arnia: Node
) -> None:
    arnia.security_contact = "mailto:security@arnia.example.org"
    metadata = fine(await anyone.get("/.well-known/csaf/provider-metadata.json"))
    assert metadata["role"] == "csaf_publisher"
    assert "CSAF:" not in (await anyone.get("/.well-known/security.txt")).text
    arnia.url = "https://arnia.test"
    text = (await anyone.get("/.well-known/security.txt")).text
    assert "\nCSAF: https://arnia.test/.well-known/csaf/provider-metadata.json\n" in text


async def test_a_feed_lists_each_document_with_its_hashes(anyone: httpx2.AsyncClient, arnia: Node) -> None:
    assert await entries_of(anyone) == []
    await publish(arnia, "solution", "glpi", a_solution(packages=GLPI), tlp="CLEAR")
    await publish_flaw(arnia)
    await publish(arnia, "incident", "down", an_incident(), tlp="CLEAR")
    await publish(arnia, "statement", "s1", a_statement(incident=f"arnia/{CVE}"), tlp="CLEAR")
    entries = await entries_of(anyone)
    assert [entry["id"] for entry in entries] == ["arnia-statement-s1", f"arnia-incident-{CVE}"]
    for entry in entries:
        links = {(link["rel"], link["href"].rpartition(".")[2]): link["href"] for link in entry["link"]}
        url = links["self", "json"]
        assert url.rpartition("/")[2] == f"{entry['id'].lower()}.json"
        answer = await anyone.get(url)
        tracking = fine(answer)["document"]["tracking"]
        assert (tracking["id"], tracking["current_release_date"]) == (entry["id"], entry["updated"])
        for algorithm in ("sha256", "sha512"):
            text = (await anyone.get(links["hash", algorithm])).text
            assert text.split() == [
                hashlib.new(algorithm, answer.content).hexdigest(),
                url.rpartition("/")[2],
            ]
        refused(await anyone.get(f"{url}.md5"), 404, "not-found")
        refused(await anyone.get(url.replace("/white/", "/green/")), 404, "not-found")


async def test_a_document_is_newer_when_what_it_names_has_changed(
    anyone: httpx2.AsyncClient, arnia: Node
) -> None:
    await publish(arnia, "solution", "glpi", a_solution(), tlp="CLEAR")
    await publish_flaw(arnia)
    (first,) = (await documents_of(anyone)).values()
    assert first["document"]["tracking"]["version"] == "1.0.0"
    later = arnia.clock
    arnia.clock = lambda: later().replace(year=later().year + 1)
    await publish(arnia, "solution", "glpi", a_solution(packages=GLPI), tlp="CLEAR")
    (second,) = (await documents_of(anyone)).values()
    tracking = second["document"]["tracking"]
    assert tracking["version"].startswith("1.0.")
    assert tracking["version"] != "1.0.0"
    assert [line["number"] for line in tracking["revision_history"]] == ["1.0.0", tracking["version"]]
    assert tracking["current_release_date"] > first["document"]["tracking"]["current_release_date"]
    await publish_flaw(arnia, severity="low")
    (third,) = (await documents_of(anyone)).values()
    assert third["document"]["tracking"]["version"] == "1.1.0"


# What documents claim


async def test_an_advisory_claims_no_more_than_the_incident(anyone: httpx2.AsyncClient, arnia: Node) -> None:
    await publish(arnia, "solution", "glpi", a_solution(packages=GLPI), tlp="CLEAR")
    await publish_flaw(
        arnia,
        affects=[
            {"solution": "arnia/glpi", "range": RANGE, "fixed_in": ["10.0.18", "10.0.17"]},
            {"solution": "arnia/glpi", "range_text": ">= 9.1, < 9.5"},
            {"solution": "recia/nothing"},
            {"solution": "recia/named", "range": "vers:generic/<3", "by_name_only": True, "fixed_in": ["3"]},
            {"solution": "recia/deb", "range": "vers:deb/<3", "releases": ["Debian:12"], "fixed_in": ["3"]},
            {"deployments": ["arnia/glpi-dijon"]},
        ],
    )  # fmt: skip
    (document,) = (await documents_of(anyone)).values()
    assert statuses(document) == {
        "known_affected": [f"GLPI {RANGE}", "deployment arnia/glpi-dijon, operated by arnia"],
        "fixed": ["GLPI 10.0.18"],
        "under_investigation": [
            "GLPI >= 9.1, < 9.5",
            "recia/nothing vers:all/*",
            "recia/named vers:generic/<3",
            "recia/deb vers:deb/<3",
        ],
    }
    glpi = document["product_tree"]["branches"][0]["branches"][0]["product"]["product_identification_helper"]
    assert glpi == {
        "purl": "pkg:github/glpi-project/glpi",
        "cpe": "cpe:2.3:a:glpi-project:glpi:*:*:*:*:*:*:*:*",
    }


async def test_an_incident_of_security_is_a_response_without_products(
    anyone: httpx2.AsyncClient, arnia: Node
) -> None:
    await publish(arnia, "solution", "glpi", a_solution(name="GLPI"), tlp="CLEAR")
    await publish(arnia, "solution", "hidden", a_solution(name="canary"), tlp="GREEN")
    line = {"at": "2026-03-01T09:00:00Z", "status": "identified", "text": {"fr": "Compte fermé"}}
    attack = {
        "kind": "security",
        "affects": [{"solution": "arnia/glpi"}, {"solution": "arnia/hidden", "deployments": ["arnia/a"]}],
    }
    content = an_incident(status="identified", updates=[line], **attack)
    await publish(arnia, "incident", "attack", content, tlp="CLEAR")
    await publish(arnia, "incident", "unseen", an_incident(**attack), tlp="GREEN")
    await publish(arnia, "statement", "s1", a_statement(incident="arnia/attack"), tlp="CLEAR")
    documents = await documents_of(anyone)
    assert list(documents) == ["arnia-incident-attack"]  # a VEX document is about a vulnerability
    assert list(documents["arnia-incident-attack"]) == ["document"]
    document = documents["arnia-incident-attack"]["document"]
    assert document["category"] == "csaf_security_incident_response"
    assert document["tracking"]["status"] == "interim"
    assert [reference["category"] for reference in document["references"]] == ["self", "external"]
    assert [(note["category"], note.get("title"), note["text"]) for note in document["notes"]] == [
        ("description", None, "Le service ne répond plus"),
        ("general", "Status of the incident", "identified"),
        ("details", "Concerned", "GLPI (arnia/glpi)\narnia/hidden\ndeployment arnia/a"),
        ("general", "Started", "2026-03-01T08:00:00Z"),
        ("details", "2026-03-01T09:00:00Z: identified", "Compte fermé"),
    ]
    await publish(arnia, "incident", "attack", {**content, "status": "resolved"}, tlp="CLEAR")
    (resolved,) = (await documents_of(anyone)).values()
    assert resolved["document"]["tracking"]["status"] == "final"


async def test_a_statement_speaks_of_deployments_and_never_of_the_software(
    anyone: httpx2.AsyncClient, arnia: Node
) -> None:
    await publish(arnia, "solution", "glpi", a_solution(packages=GLPI), tlp="CLEAR")
    await publish_flaw(arnia)
    about: dict[str, dict[str, Any]] = {
        "known_affected": {},
        "known_not_affected": {
            "justification": "component_not_present",
            "deployments": ["arnia/a", "arnia/b"],
        },
        "fixed": {"deployments": ["arnia/a"]},
        "under_investigation": {},
    }
    for status, members in about.items():
        content = a_statement(incident=f"arnia/{CVE}", status=status, **members)
        await publish(arnia, "statement", status.replace("_", "-"), content, tlp="CLEAR")
    documents = await documents_of(anyone)
    every = "deployment arnia (each one that the incident concerns), operated by Arnia"
    for status, members in about.items():
        document = documents[f"arnia-statement-{status.replace('_', '-')}"]
        names = [f"deployment {id_}, operated by Arnia" for id_ in members.get("deployments", ())]
        assert statuses(document) == {status: names or [every]}
        assert "branches" not in document["product_tree"]
        assert "product_identification_helper" not in json.dumps(document)
        is_unknown = status == "under_investigation"
        assert document["document"]["tracking"]["status"] == ("interim" if is_unknown else "final")
        flags = document["vulnerabilities"][0].get("flags", [])
        assert [flag["label"] for flag in flags] == [
            members[name] for name in members if name == "justification"
        ]


async def test_a_withdrawn_incident_and_a_retracted_one_are_no_advisories_any_more(
    anyone: httpx2.AsyncClient, arnia: Node
) -> None:
    await publish_flaw(arnia)
    (entry,) = await entries_of(anyone)
    await publish_flaw(arnia, status="withdrawn")
    (document,) = (await documents_of(anyone)).values()
    assert document["document"]["category"] == "withdrawn"
    assert "vulnerabilities" not in document
    (finding,) = read_csaf(json.dumps(document).encode())
    assert (finding.withdrawn, finding.entire) == (True, True)
    await records.retract(arnia, Incident, "arnia", CVE, by=itself("arnia"))
    assert await entries_of(anyone) == []
    refused(await anyone.get(entry["content"]["src"]), 410, "retracted")


# Labels


async def test_nobody_reads_of_a_label_that_is_not_for_them(
    anyone: httpx2.AsyncClient, own: httpx2.AsyncClient, peer: httpx2.AsyncClient, arnia: Node
) -> None:
    await publish(arnia, "group", "security", a_group(members=["recia"]), tlp="RED")
    labels: dict[str, dict[str, str]] = {
        "clear": {"tlp": "CLEAR"},
        "green": {"tlp": "GREEN"},
        "amber": {"tlp": "AMBER", "audience": "security"},
        "strict": {"tlp": "AMBER+STRICT", "audience": "security"},
        "red": {"tlp": "RED"},
    }
    for name, envelope in labels.items():
        title = {"fr": f"canary-{name}"}
        await publish(arnia, "solution", name, a_solution(name=f"canary-{name}"), **envelope)
        affects = [{"solution": f"arnia/{other}", "range": RANGE} for other in labels]
        await publish(arnia, "incident", f"on-{name}", a_flaw(title=title, affects=affects), **envelope)
        attack = an_incident(kind="security", title=title, affects=affects)
        await publish(arnia, "incident", f"attack-{name}", attack, **envelope)
        for other in labels:
            content = a_statement(incident=f"arnia/on-{name}", action={"fr": f"canary-{other}"})
            await publish(arnia, "statement", f"{other}-on-{name}", content, **labels[other])
    visible = {
        anyone: {"white": {"clear"}},
        peer: {"white": {"clear"}, "green": {"clear", "green"}},
        own: {"white": {"clear"}, "green": set(labels), "amber": set(labels)},
    }
    for client, by_label in visible.items():
        for label in ("white", "green", "amber"):
            feed = (await client.get(f"/csaf/{label}/feed-tlp-{label}.json")).text
            bodies = [
                (await client.get(entry["content"]["src"])).text for entry in await entries_of(client, label)
            ]
            assert bool(bodies) == (label in by_label), (label, by_label)
            for name in labels:
                shown = any(f"canary-{name}" in text for text in (feed, *bodies))
                assert shown == (name in by_label.get(label, set())), (label, name, by_label)
    assert set(await documents_of(anyone)) == {
        "arnia-incident-on-clear", "arnia-incident-attack-clear", "arnia-statement-clear-on-clear",
    }  # fmt: skip
    for path in (
        "incidents/on-red/arnia-incident-on-red.json",
        "incidents/on-green/arnia-incident-on-green.json",
    ):
        for label in ("white", "green", "amber"):
            refused(await anyone.get(f"/csaf/{label}/{path}"), 404, "not-found")
    fine(await own.get("/csaf/green/incidents/on-green/arnia-incident-on-green.json"))


# Round trip


async def test_another_node_reads_the_same_meaning(
    anyone: httpx2.AsyncClient, arnia: Node, megalis: Node
) -> None:
    await publish(arnia, "solution", "glpi", a_solution(packages=GLPI), tlp="CLEAR")
    await publish(arnia, "solution", "tool", a_solution(name="Tool"), tlp="CLEAR")
    await publish(megalis, "solution", "parc", a_solution(name="Parc", packages=GLPI))
    await publish(megalis, "solution", "tool", a_solution(name="Tool"))
    await publish_flaw(
        arnia,
        cvss="CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:N",
        severity="critical",
        exploitation="active",
        affects=[
            {"solution": "arnia/glpi", "range": RANGE, "fixed_in": ["10.0.18"]},
            {"solution": "arnia/glpi", "range_text": ">= 9.1, < 9.5"},
            {"solution": "arnia/tool"},
        ],
    )
    statement = a_statement(
        incident=f"arnia/{CVE}", status="known_not_affected", justification="component_not_present"
    )
    await publish(arnia, "statement", "s1", statement, tlp="CLEAR")
    by_id = {entry["id"]: entry["content"]["src"] for entry in await entries_of(anyone)}

    async def import_(id_: str) -> list[str]:
        raw = (await anyone.get(by_id[id_])).content
        known = await advisories.catalogue(megalis)
        lines = await advisories.import_advisory(
            megalis, "csaf", raw, known, source="t", by=itself("megalis")
        )
        return [line.outcome for line in lines]

    advisory, vex = f"arnia-incident-{CVE}", "arnia-statement-s1"
    assert await import_(vex) == ["skipped"]
    assert await import_(advisory) == ["published"]
    assert await import_(advisory) == ["unchanged"]
    incident = await incident_at(megalis, f"{advisory}~{CVE}")
    affects = {
        (a["solution"], a.get("range"), a.get("range_text"), a.get("by_name_only", False))
        for a in incident["affects"]
    }
    assert affects == {
        ("megalis/parc", RANGE, None, False),
        ("megalis/parc", None, "under investigation: >= 9.1, < 9.5", False),
        ("megalis/tool", None, "under investigation: vers:all/*", True),
    }
    assert [a["fixed_in"] for a in incident["affects"] if "range" in a] == [["10.0.18"]]
    assert (incident["severity"], incident["exploitation"]) == ("critical", "active")
    assert CVE in incident["aliases"]
    assert await import_(vex) == ["skipped"]
    await publish_flaw(arnia, status="withdrawn")
    assert await import_(advisory) == ["revised"]
    assert (await incident_at(megalis, f"{advisory}~{CVE}"))["status"] == "withdrawn"


async def incident_at(node: Node, key: str) -> dict[str, Any]:
    stored = await records.find(node, Incident, node.operator, key, by=itself(node.operator))
    content: dict[str, Any] = json.loads(stored.document)["content"]
    return content


# Validity


def check(document: dict[str, Any], name: str) -> None:
    """Check a document by an official schema; of scores the version alone."""
    csaf = json.loads((SCHEMAS / "csaf_json_schema.json").read_text())
    known = [(csaf["$id"], Resource.from_contents(csaf))]
    for version in ("2.0", "3.0", "3.1"):
        scores = {"properties": {"version": {"const": version}}, "required": ["version", "baseScore"]}
        resource = Resource.from_contents(scores, default_specification=DRAFT202012)
        known.append((f"https://www.first.org/cvss/cvss-v{version}.json", resource))
    schema = json.loads((SCHEMAS / name).read_text())
    validator = Draft202012Validator(schema, registry=Registry().with_resources(known))
    assert [error.message for error in validator.iter_errors(document)] == []


async def every_document(anyone: httpx2.AsyncClient, arnia: Node) -> dict[str, dict[str, Any]]:
    """One document of each kind and status, with every member that a record can have."""
    await publish(arnia, "solution", "glpi", a_solution(packages=GLPI), tlp="CLEAR")
    remedies = [
        {"category": "vendor_fix", "version": "10.0.18", "url": "https://glpi-project.org/"},
        {"category": "workaround", "text": {"fr": "Couper le service", "en": "Switch it off"}},
    ]
    affects: list[dict[str, Any]] = [
        {"solution": "arnia/glpi", "range": RANGE, "fixed_in": ["10.0.18", "all later ones"]},
        {"solution": "arnia/glpi", "range_text": "9.x"},
        {"solution": "arnia/glpi", "range": "vers:generic/*", "fixed_in": ["11"]},
        {"deployments": ["arnia/glpi-dijon"]},
    ]
    whole: dict[str, Any] = {
        "aliases": [CVE, "CVE-2025-24800", "GHSA-abcd-efgh-ijkl"],
        "affects": affects,
        "remediations": remedies,
        "exploitation": "poc",
        "source": {"url": "https://example.org/advisory"},
        "detected_at": "2026-03-01T07:00:00Z",
        "title": {"fr": "Injection", "en": "Injection"},
    }
    await publish_flaw(arnia, "v31", cvss="CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:N", **whole)
    await publish_flaw(arnia, "V2", cvss="AV:N/AC:L/Au:N/C:P/I:P/A:P", **whole)
    await publish_flaw(
        arnia, "v4", cvss="CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", aliases=[]
    )
    await publish_flaw(arnia, "only-a-question", affects=[{"solution": "recia/glpi"}])
    await publish_flaw(arnia, "gone", status="withdrawn")
    attack = {"kind": "security", "source": whole["source"], "title": whole["title"]}
    await publish(arnia, "incident", "attack", an_incident(**attack), tlp="CLEAR")
    await publish(arnia, "incident", "no-attack", an_incident(**attack, status="withdrawn"), tlp="CLEAR")
    for status in ("known_affected", "known_not_affected", "fixed", "under_investigation"):
        reason = {"justification": "component_not_present"} if status == "known_not_affected" else {}
        for number, more in enumerate(
            ({}, {"action": {"fr": "Mise à jour"}, "planned_at": "2026-03-09T08:00:00Z"})
        ):
            content = a_statement(incident="arnia/v31", status=status, **reason, **more)
            await publish(arnia, "statement", f"{status}-{number}", content, tlp="CLEAR")
    await publish_flaw(arnia, severity="low")
    await publish_flaw(arnia, severity="high")
    documents = await documents_of(anyone)
    assert len(documents) == 16
    return documents


@needs_schemas
async def test_every_document_is_valid_by_the_official_schema(
    anyone: httpx2.AsyncClient, arnia: Node
) -> None:
    documents = await every_document(anyone, arnia)
    for document in documents.values():
        check(document, "csaf_json_schema.json")
    broken = {**next(iter(documents.values())), "vulnerabilities": [{"product_status": {}}]}
    with pytest.raises(AssertionError):
        check(broken, "csaf_json_schema.json")


@pytest.mark.long
@pytest.mark.skipif(
    not (VALIDATOR / "installed").exists() or shutil.which("node") is None,
    reason="the validator of CSAF is not installed: make contract",
)
async def test_every_document_passes_the_mandatory_tests(
    anyone: httpx2.AsyncClient, arnia: Node, tmp_path: Path
) -> None:
    documents = await every_document(anyone, arnia)
    broken = json.loads(json.dumps(documents["arnia-incident-v31"]))
    status = broken["vulnerabilities"][0]["product_status"]
    status["fixed"] = status["known_affected"]
    response = json.loads(json.dumps(documents["arnia-incident-attack"]))
    response["document"]["notes"] = [{"category": "legal_disclaimer", "text": "x"}]
    faults = failing_tests({**documents, "broken": broken, "broken-response": response}, tmp_path)
    assert faults.pop("broken") == ["mandatoryTest_6_1_6"]
    assert faults.pop("broken-response") == ["mandatoryTest_6_1_27_1"]
    assert faults == {id_: [] for id_ in documents}


def failing_tests(documents: dict[str, dict[str, Any]], directory: Path) -> dict[str, list[str]]:
    """The mandatory tests that each document fails, by the validator of Secvisogram (BSI)."""
    for id_, document in documents.items():
        (directory / f"{id_}.json").write_text(json.dumps(document))
    script = shutil.copy(SCRIPT, VALIDATOR)
    node = shutil.which("node") or "node"
    command = [node, script, *sorted(map(str, directory.iterdir()))]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    verdicts = [json.loads(line) for line in result.stdout.splitlines()]
    assert all(verdict["tests"] > 40 for verdict in verdicts)
    return {Path(verdict["file"]).stem: [name for name, _ in verdict["faults"]] for verdict in verdicts}
