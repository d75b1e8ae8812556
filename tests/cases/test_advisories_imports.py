"""Public cases about imports: what a second document does to the incidents of the first."""

from __future__ import annotations

import json
from typing import Any

import pytest

from federation.domain.content.incident import Incident
from federation.domain.visibility import itself
from federation.node import advisories, records
from federation.node.node import Node
from tests.api.http_client import JSON, fine
from tests.cases.csaf_documents import Json, branch, document, leaf, product, vulnerability
from tests.domain.builders import a_group, a_solution, a_statement
from tests.nodes import a_token, browsing, publish

A11 = "a vulnerability has one key, however many its document has; what is no longer listed is withdrawn"
TREE = product(leaf("product_version", "1.0", "A"), leaf("product_version", "1.1", "B"))


def flaw(number: int, **members: Any) -> Json:
    return vulnerability(**{"cve": f"CVE-2099-700{number}", "known_affected": ["A"], **members})


async def take(node: Node, raw: bytes, form: str = "csaf", **more: Any) -> dict[str, str]:
    """The outcome of each incident, or of each vulnerability that has none."""
    known = await advisories.catalogue(node)
    lines = await advisories.import_advisory(node, form, raw, known, source="t", by=itself("arnia"), **more)
    return {line.incident or line.id or "": line.outcome for line in lines}


async def content_of(node: Node, key: str) -> dict[str, Any]:
    stored = await records.find(node, Incident, "arnia", key, by=itself("arnia"))
    content: dict[str, Any] = json.loads(stored.document)["content"]
    return content


async def status_of(node: Node, key: str) -> str:
    return str((await content_of(node, key))["status"])


@pytest.fixture
async def glpi(arnia: Node) -> Node:
    """The node of arnia, which knows a solution of this name."""
    await publish(arnia, "solution", "glpi", a_solution())
    return arnia


@pytest.mark.case("a11", A11)
async def test_what_a_newer_document_no_longer_lists_is_withdrawn_and_opened_when_it_is_listed_again(
    glpi: Node,
) -> None:
    assert await take(glpi, document(TREE, flaw(1))) == {"arnia/t-1~CVE-2099-7001": "published"}
    second = document(TREE, flaw(1), flaw(2), version="2")
    assert await take(glpi, second, dry_run=True) == {
        "arnia/t-1~CVE-2099-7001": "revised", "arnia/t-1~CVE-2099-7002": "published",
    }  # fmt: skip
    await take(glpi, second)
    third = document(TREE, flaw(2), version="3")
    assert await take(glpi, third, dry_run=True) == {
        "arnia/t-1~CVE-2099-7002": "revised", "arnia/t-1~CVE-2099-7001": "revised",
    }  # fmt: skip
    assert await status_of(glpi, "t-1~CVE-2099-7001") == "open"
    await take(glpi, third)
    assert await status_of(glpi, "t-1~CVE-2099-7001") == "withdrawn"
    assert set((await take(glpi, third)).values()) == {"unchanged"}
    # An older copy, which lists it, opens nothing.
    assert set((await take(glpi, second)).values()) == {"unchanged"}
    assert await status_of(glpi, "t-1~CVE-2099-7001") == "withdrawn"
    await take(glpi, document(TREE, flaw(1), version="4"))
    assert await status_of(glpi, "t-1~CVE-2099-7001") == "open"
    assert await status_of(glpi, "t-1~CVE-2099-7002") == "withdrawn"


@pytest.mark.case("a11", A11)
async def test_an_incident_of_an_earlier_program_keeps_its_key_and_its_answers(glpi: Node) -> None:
    raw = document(TREE, flaw(1))
    await take(glpi, raw)
    old = await content_of(glpi, "t-1~CVE-2099-7001")
    source = {name: old["source"][name] for name in ("url", "sha256")}
    await records.retract(glpi, Incident, "arnia", "t-1~CVE-2099-7001", by=itself("arnia"))
    await publish(glpi, "incident", "t-1", {**old, "source": source})
    newer = document(TREE, flaw(1), flaw(2), version="2")
    assert await take(glpi, newer) == {"arnia/t-1": "revised", "arnia/t-1~CVE-2099-7002": "published"}
    assert (await content_of(glpi, "t-1"))["source"]["document"] == "t-1"
    assert await take(glpi, document(TREE, flaw(2), version="3")) == {
        "arnia/t-1~CVE-2099-7002": "revised", "arnia/t-1": "revised",
    }  # fmt: skip
    assert await status_of(glpi, "t-1") == "withdrawn"


@pytest.mark.case(
    "a08", "a vulnerability without a CVE is named by its ids, or its title, never by its place"
)
async def test_an_answer_for_one_vulnerability_is_none_for_the_one_that_takes_its_place(glpi: Node) -> None:
    first, second = (
        flaw(0, cve=None, title=f"Flaw {name}", ids=[{"system_name": "T", "text": f"BUG-{number}"}])
        for number, name in ((1, "X"), (2, "Y"))
    )
    await take(glpi, document(TREE, first, second, id_="adv-72"))
    stated = a_statement(incident="arnia/adv-72~BUG-1", status="under_investigation")
    await publish(glpi, "statement", "s", stated)
    await take(glpi, document(TREE, second, first, id_="adv-72", version="2"))
    assert (await content_of(glpi, "adv-72~BUG-1"))["title"] == {"en": "Flaw X"}
    assert (await content_of(glpi, "adv-72~BUG-2"))["title"] == {"en": "Flaw Y"}


async def test_documents_of_two_publishers_with_one_id_are_two(glpi: Node) -> None:
    ours = document(TREE, flaw(1))
    theirs = document(TREE, flaw(1), namespace="https://other.example", version="9")
    assert await take(glpi, ours) == {"arnia/t-1~CVE-2099-7001": "published"}
    (published,) = (await take(glpi, theirs)).items()
    assert published[1] == "published"
    assert published[0].startswith("arnia/t-1~CVE-2099-7001~")
    assert await take(glpi, ours) == {"arnia/t-1~CVE-2099-7001": "unchanged"}
    assert await take(glpi, theirs) == {published[0]: "unchanged"}
    withdrawn = document(category="csaf_withdrawn", namespace="https://other.example", version="10")
    assert await take(glpi, withdrawn) == {published[0]: "revised"}
    assert await status_of(glpi, "t-1~CVE-2099-7001") == "open"


@pytest.mark.case("a17", "a document that is withdrawn or superseded withdraws its incidents")
@pytest.mark.parametrize("category", ["csaf_withdrawn", "csaf_superseded"])
async def test_a_withdrawn_document_withdraws_its_incidents(glpi: Node, category: str) -> None:
    await take(glpi, document(TREE, flaw(1), flaw(2), id_="t-64"))
    withdrawn = document(id_="t-64", category=category, version="2", csaf_version="2.1")
    assert set((await take(glpi, withdrawn)).values()) == {"revised"}
    for number in (1, 2):
        content = await content_of(glpi, f"t-64~CVE-2099-700{number}")
        assert (content["status"], content["source"]["version"]) == ("withdrawn", "2")
        assert content["affects"][0]["range"] == "vers:generic/1.0"
    assert set((await take(glpi, withdrawn)).values()) == {"unchanged"}
    assert set((await take(glpi, document(TREE, flaw(1), id_="t-64"))).values()) == {"unchanged"}
    assert await status_of(glpi, "t-64~CVE-2099-7001") == "withdrawn"
    draft = document(id_="t-1", category=category, status="draft")
    assert await take(glpi, draft) == {"t-1": "skipped"}
    assert await take(glpi, document(id_="never", category=category)) == {"never": "skipped"}


async def test_what_is_listed_as_not_affected_now_is_withdrawn_and_what_is_only_not_found_stays(
    glpi: Node,
) -> None:
    key = "t-1~CVE-2099-7001"
    await take(glpi, document(TREE, flaw(1)))
    other = {"branches": [branch("product_name", "unheard", leaf("product_version", "1", "A"))]}
    assert await take(glpi, document(other, flaw(1), version="2")) == {key: "skipped"}
    assert await status_of(glpi, key) == "open"
    cleared = vulnerability(cve="CVE-2099-7001", known_not_affected=["A"])
    assert await take(glpi, document(TREE, cleared, version="2")) == {f"arnia/{key}": "revised"}
    assert await status_of(glpi, key) == "withdrawn"


@pytest.mark.case("a20", "an older copy of an advisory changes nothing")
async def test_an_older_copy_of_an_osv_advisory_changes_nothing(glpi: Node) -> None:
    def osv(month: int, fixed: str, **members: Any) -> bytes:
        events = [{"introduced": "0"}, {"fixed": fixed}]
        affected = {
            "package": {"ecosystem": "npm", "name": "glpi"},
            "ranges": [{"type": "SEMVER", "events": events}],
        }
        return json.dumps(
            {
                "id": "GHSA-aaaa-0000-0001", "modified": f"2026-{month:02}-02T00:00:00Z",
                "published": "2026-01-01T00:00:00Z", "summary": "s", "details": "d", "affected": [affected],
                **members,
            }
        ).encode()  # fmt: skip

    key = "arnia/GHSA-aaaa-0000-0001"
    assert await take(glpi, osv(6, "2.0.0"), "osv") == {key: "published"}
    before = await content_of(glpi, "GHSA-aaaa-0000-0001")
    assert await take(glpi, osv(1, "1.0.0"), "osv") == {key: "unchanged"}
    assert await content_of(glpi, "GHSA-aaaa-0000-0001") == before
    withdrawn = osv(7, "2.0.0", withdrawn="2026-07-02T00:00:00Z")
    assert await take(glpi, withdrawn, "osv") == {key: "revised"}
    assert await take(glpi, osv(6, "2.0.0"), "osv") == {key: "unchanged"}
    assert await status_of(glpi, "GHSA-aaaa-0000-0001") == "withdrawn"
    assert await take(glpi, osv(8, "2.0.0"), "osv") == {key: "revised"}
    assert await status_of(glpi, "GHSA-aaaa-0000-0001") == "open"


@pytest.mark.case("a20", "an older copy of an advisory changes nothing")
async def test_an_older_copy_of_a_cve_record_changes_nothing(glpi: Node) -> None:
    def cve(month: int, end: str, state: str = "PUBLISHED") -> bytes:
        versions = [{"version": "0", "lessThan": end, "status": "affected", "versionType": "semver"}]
        cna = {"title": "t", "descriptions": [{"lang": "en", "value": "d"}],
               "affected": [{"vendor": "v", "product": "glpi", "versions": versions}]}  # fmt: skip
        metadata = {"cveId": "CVE-2099-10001", "state": state, "datePublished": "2026-01-01T00:00:00Z",
                    "dateUpdated": f"2026-{month:02}-02T00:00:00Z"}  # fmt: skip
        return json.dumps(
            {"dataType": "CVE_RECORD", "cveMetadata": metadata, "containers": {"cna": cna}}
        ).encode()

    key = "arnia/CVE-2099-10001"
    assert await take(glpi, cve(6, "2.0.0"), "cve") == {key: "published"}
    assert await take(glpi, cve(1, "1.0.0"), "cve") == {key: "unchanged"}
    assert await take(glpi, cve(7, "2.0.0", "REJECTED"), "cve") == {key: "revised"}
    assert await take(glpi, cve(6, "2.0.0"), "cve") == {key: "unchanged"}
    assert await status_of(glpi, "CVE-2099-10001") == "withdrawn"


@pytest.mark.case("a19", "the language of a document is that of its texts")
@pytest.mark.case("a01", "an incident never has a wider label than its advisory")
async def test_over_http_language_label_and_source_of_a_document_are_those_of_its_incident(
    glpi: Node,
) -> None:
    await publish(glpi, "group", "rssi", a_group(name="rssi", members=["megalis"]))
    amber = document(
        TREE, flaw(1, title="Vulnérabilité dans GLPI"), lang="fr", distribution={"tlp": {"label": "AMBER"}}
    )
    async with browsing(glpi) as client:
        headers = {**JSON, **await a_token(glpi, client, "incidents.write", "incidents.read")}
        report = fine(await client.post("/v1/advisories/csaf", content=amber, headers=headers), 200)
        assert report["summary"]["refused"] == 1
        imported = await client.post("/v1/advisories/csaf?audience=rssi", content=amber, headers=headers)
        assert fine(imported, 200)["summary"]["published"] == 1
        older = document(TREE, flaw(1), version="0", distribution={"tlp": {"label": "AMBER"}})
        report = fine(
            await client.post("/v1/advisories/csaf?audience=rssi", content=older, headers=headers), 200
        )
        assert "an older copy" in report["advisories"][0]["detail"]
        found = await client.get("/v1/incidents/arnia/t-1~CVE-2099-7001", headers=headers)
    record = fine(found, 200)
    assert (record["tlp"], record["audience"]) == ("AMBER", "rssi")
    assert record["content"]["title"] == {"fr": "Vulnérabilité dans GLPI"}
    assert record["content"]["affects"] == [
        {
            "solution": "arnia/glpi", "range": "vers:generic/1.0", "by_name_only": True,
            "source_pointer": "/vulnerabilities/0/product_status/known_affected",
        }
    ]  # fmt: skip
    source = record["content"]["source"]
    assert (source["publisher"], source["document"], source["version"]) == ("https://example.org", "t-1", "1")


async def test_a_document_of_which_a_part_is_refused_withdraws_nothing(glpi: Node) -> None:
    await take(glpi, document(TREE, flaw(1), flaw(2)))
    amber = document(TREE, flaw(2), version="2", distribution={"tlp": {"label": "AMBER"}})
    assert set((await take(glpi, amber)).values()) == {"refused"}
    assert await status_of(glpi, "t-1~CVE-2099-7001") == "open"
