"""Advisories in: CVE, OSV and CSAF documents become incidents, once, and are revised when they change."""

from __future__ import annotations

import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from click.testing import CliRunner

from federation.cli import advisory_files, main
from federation.cli.advisories import import_
from federation.domain.content.incident import Incident
from federation.domain.errors import Invalid, NotFound, PreconditionFailed
from federation.domain.exposure.matching import range_problem
from federation.domain.formats.advisory import severity_of, text
from federation.domain.formats.cve import read_cve
from federation.domain.formats.readers import READERS
from federation.domain.visibility import itself
from federation.node import advisories, advisory_archives, advisory_incidents, records
from federation.node.advisories import ImportLine
from federation.node.advisory_archives import ArchiveImport, ImportTally
from federation.node.node import Node
from tests.api.http_client import JSON, NDJSON, fine, refused
from tests.domain.builders import a_group, a_solution, an_incident
from tests.nodes import a_token, browsing, publish

DATA = Path(__file__).parents[3] / "shared" / "data" / "advisories"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the shared advisories are not beside the project")

GLPI = {"packages": [{"cpe": "cpe:2.3:a:glpi-project:glpi:*:*:*:*:*:*:*:*"}]}


def a_cve(*versions: dict[str, Any], number: int = 24799, **cna: Any) -> bytes:
    """A CVE record about GLPI that names these versions."""
    affected = {"vendor": "glpi-project", "product": "glpi", "versions": list(versions)}
    if "defaultStatus" in cna:
        affected["defaultStatus"] = cna.pop("defaultStatus")
    return json.dumps(
        {
            "dataType": "CVE_RECORD",
            "cveMetadata": {
                "cveId": f"CVE-2025-{number}",
                "state": cna.pop("state", "PUBLISHED"),
                "datePublished": "2025-03-18T18:27:54.631Z",
                **({"dateUpdated": cna.pop("updated")} if "updated" in cna else {}),
            },
            "containers": {
                "cna": {
                    "title": "GLPI allows SQL injection",
                    "descriptions": [{"lang": "en", "value": "An injection."}],
                    "affected": [affected],
                    **cna,
                }
            },
        }
    ).encode()


async def take(node: Node, raw: bytes, form: str = "cve", **more: Any) -> list[ImportLine]:
    known = await advisories.catalogue(node)
    return await advisories.import_advisory(node, form, raw, known, source="test", by=itself("arnia"), **more)


async def content_of(node: Node, key: str) -> dict[str, Any]:
    stored = await records.find(node, Incident, "arnia", key, by=itself("arnia"))
    content: dict[str, Any] = json.loads(stored.document)["content"]
    return content


RANGES: list[tuple[tuple[dict[str, Any], ...], list[str], list[str]]] = [
    # As GitHub writes them: the range inside the version.
    (({"version": ">= 10.0.0, < 10.0.18"},), ["vers:generic/>=10.0.0|<10.0.18"], []),
    (
        ({"version": "< 9.5.14"}, {"version": ">= 10.0.0, < 10.0.18"}),
        ["vers:generic/<9.5.14|>=10.0.0|<10.0.18"],
        [],
    ),
    (({"version": "<= 9.5.14"},), ["vers:generic/<=9.5.14"], []),
    (({"version": "= 9.5.14"},), ["vers:generic/9.5.14"], []),
    # A single version without a default: its author says nothing of others.
    (({"version": "9.5.14"},), ["vers:generic/9.5.14"], ["other versions: the record does not say"]),
    (({"version": "*"},), ["vers:generic/*"], []),
    # As the schema means them.
    (
        ({"version": "10.0", "lessThan": "10.0.18", "versionType": "semver"},),
        ["vers:generic/>=10.0|<10.0.18"],
        [],
    ),
    (({"version": "0", "lessThan": "10.0.18"},), ["vers:generic/<10.0.18"], []),
    (({"version": "unspecified", "lessThanOrEqual": "10"},), ["vers:generic/<=10"], []),
    (({"version": "10", "lessThan": "*"},), ["vers:generic/>=10"], []),
    (
        ({"version": "10", "lessThan": "11", "changes": [{"at": "10.5", "status": "unaffected"}]},),
        ["vers:generic/>=10|<10.5"],
        [],
    ),
    # What cannot be told.
    (({"version": "n/a"},), [], ["n/a"]),
    (({"version": "before the patch of March"},), [], ["before the patch of March"]),
    (({"version": "abc", "lessThan": "def", "versionType": "git"},), [], ["abc before def (git)"]),
    (({"version": "10"}, {"version": "a word"}), ["vers:generic/10"], ["a word"]),
]


@pytest.mark.parametrize(("versions", "ranges", "texts"), RANGES, ids=lambda v: str(v)[:50])
def test_the_versions_of_a_cve_record_are_ranges_or_words(
    versions: tuple[dict[str, Any], ...], ranges: list[str], texts: list[str]
) -> None:
    (finding,) = read_cve(a_cve(*versions))
    (product,) = finding.products
    assert (list(product.ranges), list(product.texts)) == (ranges, texts)


def test_what_is_affected_by_default_is_all_but_what_is_named() -> None:
    def ranges(*versions: dict[str, Any]) -> tuple[str, ...]:
        (finding,) = read_cve(a_cve(*versions, defaultStatus="affected"))
        return finding.products[0].ranges

    assert ranges() == ("vers:generic/*",)
    assert ranges({"version": "2", "status": "unaffected", "lessThan": "*"}) == ("vers:generic/<2",)
    assert ranges({"version": "1.9", "status": "unaffected"}) == ("vers:generic/!=1.9",)


async def test_an_advisory_is_published_once_and_revised_when_it_changes(arnia: Node) -> None:
    await publish(arnia, "solution", "glpi", a_solution(**GLPI))
    raw = a_cve({"version": ">= 10.0.0, < 10.0.18"})
    (line,) = await take(arnia, raw, dry_run=True)
    assert line.outcome == "published"
    (line,) = await take(arnia, raw)
    assert (line.outcome, line.incident, line.id) == ("published", "arnia/CVE-2025-24799", "CVE-2025-24799")
    assert line.defaulted == ("severity: not told, taken as medium",)
    content = await content_of(arnia, "CVE-2025-24799")
    assert content["affects"] == [
        {
            "solution": "arnia/glpi",
            "range": "vers:generic/>=10.0.0|<10.0.18",
            "source_pointer": "/containers/cna/affected/0",
        }
    ]
    assert content["source"]["url"].endswith("CVE-2025-24799")
    assert len(content["source"]["sha256"]) == 64
    assert [one.outcome for one in await take(arnia, raw)] == ["unchanged"]
    # What the operator has done since stays, also when the advisory changes.
    await records.patch(
        arnia,
        Incident,
        {"content": {"status": "mitigated", "related_to": ["arnia/x"]}},
        "arnia",
        "CVE-2025-24799",
        by=itself("arnia"),
    )
    assert [one.outcome for one in await take(arnia, raw)] == ["unchanged"]
    newer = a_cve({"version": ">= 10.0.0, < 10.0.19"})
    assert [one.outcome for one in await take(arnia, newer)] == ["revised"]
    content = await content_of(arnia, "CVE-2025-24799")
    assert content["affects"][0]["range"] == "vers:generic/>=10.0.0|<10.0.19"
    assert (content["status"], content["related_to"]) == ("mitigated", ["arnia/x"])
    rejected = a_cve(state="REJECTED")
    assert [one.outcome for one in await take(arnia, rejected)] == ["revised"]
    assert (await content_of(arnia, "CVE-2025-24799"))["status"] == "withdrawn"
    await records.retract(arnia, Incident, "arnia", "CVE-2025-24799", by=itself("arnia"))
    (line,) = await take(arnia, raw)
    assert (line.outcome, line.detail) == ("skipped", "arnia/CVE-2025-24799 was retracted here")


def a_rejection(number: int = 24799) -> bytes:
    """A CVE record that was rejected: it names no product any more."""
    told = json.loads(a_cve(state="REJECTED", number=number, updated="2025-03-25T00:00:00Z"))
    told["containers"]["cna"] = {"affected": [], "descriptions": [{"lang": "en", "value": "Rejected."}]}
    return json.dumps(told).encode()


async def test_an_advisory_that_is_rejected_withdraws_its_incident_and_nothing_else_of_it(
    arnia: Node,
) -> None:
    (line,) = await take(arnia, a_rejection())
    assert (line.outcome, line.detail) == ("skipped", "no solution that is known here is named by it")
    await publish(arnia, "solution", "glpi", a_solution(**GLPI))
    raw = a_cve({"version": "< 10"})
    await take(arnia, raw)
    before = await content_of(arnia, "CVE-2025-24799")
    assert [one.outcome for one in await take(arnia, a_rejection())] == ["revised"]
    after = await content_of(arnia, "CVE-2025-24799")
    assert after["status"] == "withdrawn"
    assert [name for name in before if before[name] != after.get(name)] == ["source", "status"]
    assert [one.outcome for one in await take(arnia, a_rejection())] == ["unchanged"]
    # The copy from before the rejection changes nothing; in a newer one it is not rejected any more.
    assert [line.outcome for line in await take(arnia, raw)] == ["unchanged"]
    newer = a_cve({"version": "< 10"}, updated="2025-04-01T00:00:00Z")
    assert [line.outcome for line in await take(arnia, newer)] == ["revised"]
    again = await content_of(arnia, "CVE-2025-24799")
    assert {**again, "source": {}} == {**before, "source": {}}
    # One that speaks of something else now is nothing to us, and its incident is left.
    other = a_cve({"version": "< 10"}).replace(b"glpi-project", b"x").replace(b'"glpi"', b'"y"')
    assert [one.outcome for one in await take(arnia, other)] == ["skipped"]
    assert await content_of(arnia, "CVE-2025-24799") == again


async def test_importing_again_does_not_undo_what_the_operator_has_withdrawn(arnia: Node) -> None:
    await publish(arnia, "solution", "glpi", a_solution(**GLPI))
    raw = a_cve({"version": "< 10"})
    await take(arnia, raw)
    withdrawn = {"content": {"status": "withdrawn"}}
    await records.patch(arnia, Incident, withdrawn, "arnia", "CVE-2025-24799", by=itself("arnia"))
    assert [one.outcome for one in await take(arnia, raw)] == ["unchanged"]
    assert (await content_of(arnia, "CVE-2025-24799"))["status"] == "withdrawn"
    newer = a_cve({"version": "< 11"}, updated="2025-04-01T00:00:00Z")
    assert [one.outcome for one in await take(arnia, newer, dry_run=True)] == ["revised"]
    assert (await content_of(arnia, "CVE-2025-24799"))["status"] == "withdrawn", "a dry run"
    assert [one.outcome for one in await take(arnia, newer)] == ["revised"]
    assert (await content_of(arnia, "CVE-2025-24799"))["status"] == "open", "there is news of it"


async def test_what_cannot_be_published_is_refused_with_the_reason_and_left(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(arnia, "solution", "glpi", a_solution(**GLPI))
    raw = a_cve({"version": "< 10"})
    (line,) = await take(arnia, raw, tlp="AMBER")
    assert (line.outcome, line.id) == ("refused", "CVE-2025-24799")
    assert line.detail == "a record of TLP:AMBER needs an audience: the name of a group (at /audience)"
    await publish(arnia, "incident", "CVE-2025-24799", an_incident())
    (line,) = await take(arnia, raw)
    assert line.detail == "the incident of this key is of kind outage and not an advisory's"
    tried: list[str] = []

    async def raced(*_: Any, **__: Any) -> None:
        tried.append("")
        raise PreconditionFailed("somebody else was first")

    monkeypatch.setattr(records, "publish", raced)
    (line,) = await take(arnia, a_cve({"version": "< 10"}, number=10_000))
    assert (line.outcome, len(tried)) == ("refused", advisory_incidents.MAX_ATTEMPTS)
    assert "always written by others meanwhile" in (line.detail or "")


async def test_what_no_solution_here_is_is_skipped_and_a_name_alone_is_told(arnia: Node) -> None:
    raw = a_cve({"version": "< 10"})
    (line,) = await take(arnia, raw)
    assert (line.outcome, line.detail) == ("skipped", "no solution that is known here is glpi-project:glpi")
    await publish(arnia, "solution", "parc", a_solution(name="GLPI"))
    (line,) = await take(arnia, raw, dry_run=True)
    assert line.outcome == "published"
    assert "solution: arnia/parc was found by its name only" in line.defaulted
    known = await advisories.catalogue(arnia, ["arnia/other"])
    (line,) = await advisories.import_advisory(arnia, "cve", raw, known, source="x", by=itself("arnia"))
    assert (await content_of(arnia, "CVE-2025-24799"))["affects"][0]["solution"] == "arnia/other"


async def test_a_range_that_cannot_be_expressed_is_kept_as_text(arnia: Node) -> None:
    await publish(arnia, "solution", "glpi", a_solution(**GLPI))
    (line,) = await take(arnia, a_cve({"version": "every one before March"}))
    assert line.as_text == 1
    content = await content_of(arnia, "CVE-2025-24799")
    assert [entry["range_text"] for entry in content["affects"]] == ["every one before March"]


BAD: list[tuple[str, bytes, str]] = [
    ("cve", b"{", "it is not an advisory of this form"),
    ("cve", b"[]", "Expected `object`"),
    ("cve", b'{"cveMetadata": {"cveId": 1}, "containers": {}}', "at `$.cveMetadata.cveId`"),
    ("cve", a_cve().replace(b"CVE-2025-24799", b"CVE-x"), "is not a CVE id"),
    ("osv", b'{"id": "PYSEC-1", "affected": 1}', "at `$.affected`"),
    ("osv", b'{"id": "../x"}', "is not the id of an advisory"),
    ("csaf", b'{"document": {}}', "missing required field `category`"),
    ("csaf", b"\xff\xfe", "it is not an advisory of this form"),
    ("cve", b"[" * 100 + b"]" * 100, "nested deeper"),
]


@pytest.mark.parametrize(("form", "raw", "why"), BAD, ids=lambda v: str(v)[:30])
async def test_what_is_no_advisory_is_refused_with_the_member_at_fault(
    arnia: Node, form: str, raw: bytes, why: str
) -> None:
    (line,) = await take(arnia, raw, form)
    assert line.outcome == "refused"
    assert why in (line.detail or "")


def test_the_severity_of_a_vector_is_worked_out() -> None:
    assert severity_of("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H") == "critical"
    assert severity_of("CVSS:4.0/AV:L/AC:H/AT:P/PR:H/UI:A/VC:L/VI:N/VA:N/SC:N/SI:N/SA:N") == "low"
    assert severity_of("AV:N/AC:L/Au:N/C:P/I:P/A:P") == "high"
    assert severity_of("nonsense") is None


def test_texts_are_made_such_as_a_record_may_hold() -> None:
    assert text("a\u0301 \u202e b\u200b\r\n", 20) == "á  b"
    assert text("x" * 30, 10) == "x" * 9 + "…"
    assert text("\u200b", 10) == "-"


@needs_data
async def test_the_real_cve_records_are_understood(arnia: Node) -> None:
    for key, name in (
        ("glpi", "GLPI"),
        ("xwiki", "XWiki"),
        ("nextcloud", "Nextcloud"),
        ("postgresql", "PostgreSQL"),
    ):
        repository = {"xwiki": {"repository": "https://github.com/xwiki/xwiki-platform"}}.get(key, {})
        await publish(arnia, "solution", key, a_solution(name=name, **repository))
    lines = [
        line
        for file in sorted((DATA / "cve").glob("*.json"))
        for line in await take(arnia, file.read_bytes())
    ]
    assert [(line.outcome, line.id, line.as_text) for line in lines] == [
        ("published", "CVE-2023-28849", 0),
        ("published", "CVE-2024-37313", 0),
        ("published", "CVE-2025-1094", 0),
        ("published", "CVE-2025-24799", 0),
        ("published", "CVE-2025-24893", 0),
    ]
    # Its product is the list of the vendor's advisories: which product it is about is a question.
    assert all(entry["by_name_only"] for entry in (await content_of(arnia, "CVE-2024-37313"))["affects"])
    xwiki = await content_of(arnia, "CVE-2025-24893")
    assert (xwiki["exploitation"], xwiki["severity"]) == ("active", "critical")
    assert xwiki["affects"][0]["range"] == ("vers:generic/>=5.3-milestone-2|<15.10.11|>=16.0.0-rc-1|<16.4.1")
    postgresql = await content_of(arnia, "CVE-2025-1094")
    # lessThan is a bound, and not said to be a fix.
    assert "fixed_in" not in postgresql["affects"][0]
    assert postgresql["affects"][0]["range"] == (
        "vers:generic/<13.19|>=14|<14.16|>=15|<15.11|>=16|<16.7|>=17|<17.3"
    )
    assert "GHSA-jv89-g7f7-jwfg" in (await content_of(arnia, "CVE-2025-24799"))["aliases"]


@needs_data
def test_the_real_osv_advisories_are_understood() -> None:
    """Every one of 508, and nearly every range of theirs."""
    findings = [
        finding
        for line in (DATA / "osv-pysec-selected.jsonl").read_bytes().splitlines()
        for finding in READERS["osv"](line)
    ]
    assert len(findings) == 508
    ranges = [range_ for one in findings for product in one.products for range_ in product.ranges]
    texts = [said for one in findings for product in one.products for said in product.texts]
    assert all(range_problem(range_) is None for range_ in ranges)
    assert len(texts) <= 5, texts
    assert sum(one.withdrawn for one in findings) == 2
    assert all(one.published for one in findings)


@needs_data
def test_the_real_csaf_documents_are_understood() -> None:
    found: dict[str, int] = {}
    refusals: list[str] = []
    for file in sorted((DATA / "csaf" / "examples" / "csaf").rglob("*.json")):
        try:
            findings = READERS["csaf"](file.read_bytes())
        except Invalid as error:
            refusals.append(error.detail)
            continue
        for finding in findings:
            assert finding.key
            found[finding.key] = sum(len(product.ranges) for product in finding.products)
    assert len(found) > 20
    assert set(refusals) <= {"it names no vulnerability"}
    assert found["2022-EVD-UC-01-A-001~CVE-2021-44228"] == 1
    assert found["2022-EVD-UC-04-001~CVE-2021-44228"] >= 1
    assert found["BSI-2022-0001~CVE-2022-27193"] == 1
    assert sum(found.values()) > 15


@needs_data
async def test_real_advisories_are_published_and_found_unchanged(arnia: Node) -> None:
    await publish(
        arnia, "solution", "django", a_solution(name="Django", packages=[{"purl": "pkg:pypi/django"}])
    )
    await publish(arnia, "solution", "def", a_solution(name="DEF"))
    lines = [
        line for line in (DATA / "osv-pysec-selected.jsonl").read_bytes().splitlines()
        if b'"pkg:pypi/django"' in line
    ][:20]  # fmt: skip
    for expected in ("published", "unchanged"):
        outcomes = {one.outcome for line in lines for one in await take(arnia, line, "osv")}
        assert outcomes == {expected}
    vex = (DATA / "csaf/examples/csaf/csaf_vex/2022-evd-uc-01-a-001.json").read_bytes()
    (line,) = await take(arnia, vex, "csaf")
    assert (line.outcome, line.incident) == ("published", "arnia/2022-EVD-UC-01-A-001~CVE-2021-44228")


async def test_over_http_advisories_are_taken_and_reported_on(arnia: Node) -> None:
    await publish(arnia, "solution", "glpi", a_solution(**GLPI))
    async with browsing(arnia) as own:
        own.headers.update(await a_token(arnia, own))
        path = "/v1/advisories/cve"
        raw = a_cve({"version": ">= 10.0.0, < 10.0.18"})
        told = fine(await own.post(f"{path}?dry_run=true", content=raw, headers=JSON), 200)
        assert (told["dry_run"], told["summary"]["published"]) == (True, 1)
        assert told["advisories"][0]["source"] == "line 1"
        assert (await own.get("/v1/incidents/arnia/CVE-2025-24799")).status_code == 404
        lines = raw + b"\n" + a_cve({"version": "< 9"}, number=1_0000) + b"\n{}\n"
        told = fine(await own.post(path, content=lines, headers=NDJSON), 200)
        assert told["summary"] == {"published": 2, "revised": 0, "unchanged": 0, "skipped": 0, "refused": 1}
        assert told["advisories"][2]["source"] == "line 3"
        await _refuses(own, path, raw)


async def _refuses(own: httpx2.AsyncClient, path: str, raw: bytes) -> None:
    refused(await own.post("/v1/advisories/xml", content=raw, headers=JSON), 404, "not-found")
    refused(await own.post(f"{path}?x=1", content=raw, headers=JSON), 400, "invalid", pointer="?x")
    refused(
        await own.post(f"{path}?dry_run=1", content=raw, headers=JSON), 400, "invalid", pointer="?dry_run"
    )
    refused(
        await own.post(path, content=raw, headers={"content-type": "text/xml"}), 415, "unsupported-media-type"
    )
    refused(await own.post(f"{path}?solution=glpi", content=raw, headers=JSON), 400, "invalid")


async def test_an_upload_of_advisories_has_its_bounds(arnia: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("federation.api.advisories.MAX_LINES", 2)
    path = "/v1/advisories/cve?dry_run=true"
    async with browsing(arnia) as own:
        own.headers.update(await a_token(arnia, own))
        lines = [a_cve({"version": "< 9"}, number=10_000 + n) for n in range(3)]
        two, three = b"\n\n".join(lines[:2]), b"\n".join(lines)
        assert fine(await own.post(path, content=two, headers=NDJSON), 200)["summary"]["skipped"] == 2
        refused(await own.post(path, content=three, headers=NDJSON), 413, "too-large")
        refused(await own.post(path, content=b"[]", headers=JSON), 400, "invalid")
        named = "".join(f"&solution=arnia/s{n}" for n in range(50))
        assert fine(await own.post(f"{path}{named}", content=lines[0], headers=JSON), 200)
        more = await own.post(f"{path}{named}&solution=arnia/x", content=lines[0], headers=JSON)
        refused(more, 400, "invalid", pointer="?solution")


def test_a_report_counts_each_outcome() -> None:
    lines = [
        ImportLine("published", "a"),
        ImportLine("published", "b"),
        ImportLine("refused", "c", detail="why"),
    ]
    told = msgspec.to_builtins(advisories.report(lines, dry_run=False))
    assert told["summary"] == {"published": 2, "revised": 0, "unchanged": 0, "skipped": 0, "refused": 1}


@pytest.fixture
def here(arnia: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command finds the node of the test."""

    @asynccontextmanager
    async def node_here() -> AsyncIterator[Node]:
        yield arnia

    monkeypatch.setattr("federation.cli.advisories.node_here", node_here)


async def _said(form: str, *files: Path, **flags: Any) -> tuple[int, str]:
    callback: Any = import_.commands[form].callback
    chosen = {
        "dry_run": False,
        "solutions": (),
        "tlp": None,
        "audience": None,
        "verbose": False,
        "as_json": False,
    }
    with CliRunner().isolation() as (out, *_):
        try:
            await callback.__wrapped__(files=files, **{**chosen, **flags})
        except SystemExit as stop:
            return int(stop.code or 0), out.getvalue().decode()
        return 0, out.getvalue().decode()


async def test_the_command_reads_files_directories_and_lines(arnia: Node, here: None, tmp_path: Path) -> None:
    await publish(arnia, "solution", "glpi", a_solution(**GLPI))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "one.json").write_bytes(a_cve({"version": "< 9"}, number=10001))
    (tmp_path / "deep" / "notes.txt").write_text("no advisory")
    lines = [a_cve({"version": "< 9"}, number=10002), a_cve({"version": "every one"}, number=10003)]
    (tmp_path / "many.jsonl").write_bytes(b"\n".join(lines))
    status, text_ = await _said("cve", tmp_path, dry_run=True)
    assert (status, text_.splitlines()[-2]) == (
        0,
        "would be published 3, revised 0, unchanged 0, skipped 0, refused 0",
    )
    status, text_ = await _said("cve", tmp_path, tlp="CLEAR")
    assert "published  CVE-2025-10003  arnia/CVE-2025-10003  1 ranges kept as text" in text_
    stored = await records.find(arnia, Incident, "arnia", "CVE-2025-10001", by=itself("arnia"))
    assert json.loads(stored.document)["tlp"] == "CLEAR"
    (tmp_path / "bad.json").write_text("{}")
    status, text_ = await _said("cve", tmp_path, as_json=True)
    assert status == 1
    assert json.loads(text_)["summary"] == {
        "published": 0, "revised": 0, "unchanged": 3, "skipped": 0, "refused": 1,
    }  # fmt: skip


async def test_the_command_tells_each_line_by_its_number_and_goes_on_after_what_it_cannot_read(
    arnia: Node, here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advisory_files, "MAX_READ_BYTES", 2_000)
    monkeypatch.setattr("federation.domain.formats.advisory.MAX_ADVISORY_BYTES", 1_998)
    await publish(arnia, "solution", "glpi", a_solution(**GLPI))
    fine = [a_cve({"version": "< 9"}, number=10001 + n) for n in range(3)]
    (tmp_path / "a.json").write_bytes(b"\n\n" + fine[0] + b"\r\n\n" + fine[1] + b"\n")
    long = b'{"x": "' + b"y" * 5_000 + b'"}'
    (tmp_path / "b.jsonl").write_bytes(b"\n" + long + b"\n" + fine[2])
    (tmp_path / "c.json").write_bytes(b" " + long)
    gone = tmp_path / "gone.json"
    status, text_ = await _said("cve", tmp_path, gone, as_json=True)
    told = json.loads(text_)
    assert status == 1
    sources = {one["source"].removeprefix(f"{tmp_path}/"): one for one in told["advisories"]}
    assert {name: one["outcome"] for name, one in sources.items()} == {
        "a.json:3": "published", "a.json:5": "published", "b.jsonl:2": "refused", "b.jsonl:3": "published",
        "c.json": "refused", "gone.json": "refused",
    }  # fmt: skip
    assert sources["gone.json"]["detail"] == "it cannot be read: No such file or directory"
    for name in ("b.jsonl:2", "c.json"):
        assert sources[name]["detail"] == "the advisory is 2000 bytes long; 1998 are read"
    # What came as lines and what comes as a document of its own is the same advisory.
    (tmp_path / "d.json").write_bytes(fine[0])
    _, text_ = await _said("cve", tmp_path / "d.json", as_json=True)
    assert json.loads(text_)["summary"]["unchanged"] == 1


def test_the_command_explains_itself() -> None:
    for form in READERS:
        told = CliRunner().invoke(main, ["import", form, "--help"])
        assert told.exit_code == 0
        assert "--dry-run" in told.output
        assert "standard input" in " ".join(told.output.split())


def a_csaf(label: str | None, *, status: str = "final", title: str = "Injection SQL") -> bytes:
    """A CSAF document about GLPI with this label."""
    tracking = {"id": "ACME-1", "status": status, "initial_release_date": "2026-03-01T00:00:00Z"}
    document: dict[str, Any] = {
        "category": "csaf_security_advisory", "title": title, "tracking": tracking,
        "publisher": {"namespace": "https://psirt.example.org"},
    }  # fmt: skip
    if label is not None:
        document["distribution"] = {"tlp": {"label": label}}
    product = {
        "category": "product_name", "name": "glpi",
        "branches": [{
            "category": "product_version_range", "name": "vers:generic/<10.0.18",
            "product": {"product_id": "P1", "name": "GLPI"},
        }],
    }  # fmt: skip
    vulnerability = {
        "cve": "CVE-2025-24799", "title": title, "product_status": {"known_affected": ["P1"]}
    }  # fmt: skip
    return json.dumps(
        {"document": document, "product_tree": {"branches": [product]}, "vulnerabilities": [vulnerability]}
    ).encode()


async def label_of(node: Node) -> tuple[str, str | None]:
    stored = await records.find(node, Incident, "arnia", "ACME-1~CVE-2025-24799", by=itself("arnia"))
    document = json.loads(stored.document)
    return document["tlp"], document.get("audience")


LABELS: list[tuple[str | None, dict[str, str], tuple[str, str | None]]] = [
    (None, {}, ("GREEN", None)),
    ("WHITE", {}, ("GREEN", None)),
    ("CLEAR", {"tlp": "CLEAR"}, ("CLEAR", None)),
    ("GREEN", {}, ("GREEN", None)),
    ("GREEN", {"tlp": "RED"}, ("RED", None)),
    ("AMBER", {"audience": "rssi"}, ("AMBER", "rssi")),
    ("AMBER", {"tlp": "AMBER+STRICT", "audience": "rssi"}, ("AMBER+STRICT", "rssi")),
    ("AMBER+STRICT", {"tlp": "RED"}, ("RED", None)),
    ("RED", {}, ("RED", None)),
]


@pytest.mark.parametrize(("label", "options", "result"), LABELS, ids=lambda value: str(value)[:30])
async def test_an_incident_never_has_a_wider_label_than_its_advisory(
    arnia: Node, label: str | None, options: dict[str, str], result: tuple[str, str | None]
) -> None:
    await publish(arnia, "solution", "glpi", a_solution(**GLPI))
    await publish(arnia, "group", "rssi", a_group(name="rssi", members=["megalis"]))
    (line,) = await take(arnia, a_csaf(label), "csaf", **options)
    assert line.outcome == "published", line.detail
    assert await label_of(arnia) == result


WIDER: list[tuple[str, dict[str, str], str]] = [
    ("RED", {"tlp": "GREEN"}, "the advisory is TLP:RED; TLP:GREEN would show it to more readers (at /tlp)"),
    ("AMBER", {"tlp": "CLEAR"}, "the advisory is TLP:AMBER; TLP:CLEAR would show it to more readers"),
    (
        "AMBER+STRICT",
        {"tlp": "AMBER", "audience": "rssi"},
        "the advisory is TLP:AMBER+STRICT; TLP:AMBER would",
    ),
    ("AMBER", {}, "the advisory is TLP:AMBER: name the group that may see it as audience, or label it RED"),
    ("PURPLE", {}, "its label is 'PURPLE'; WHITE, CLEAR, GREEN, AMBER, AMBER+STRICT, RED are known"),
]


@pytest.mark.parametrize(("label", "options", "detail"), WIDER, ids=lambda value: str(value)[:30])
async def test_a_label_that_would_be_wider_or_is_unknown_is_refused_and_nothing_is_published(
    arnia: Node, label: str, options: dict[str, str], detail: str
) -> None:
    await publish(arnia, "solution", "glpi", a_solution(**GLPI))
    (line,) = await take(arnia, a_csaf(label), "csaf", **options)
    assert line.outcome == "refused"
    assert (line.detail or "").startswith(detail)
    with pytest.raises(NotFound):
        await label_of(arnia)


async def test_an_incident_is_narrowed_when_its_advisory_is(arnia: Node) -> None:
    await publish(arnia, "solution", "glpi", a_solution(**GLPI))
    await take(arnia, a_csaf(None), "csaf")
    assert await label_of(arnia) == ("GREEN", None)
    (line,) = await take(arnia, a_csaf("RED"), "csaf")
    assert line.outcome == "revised"
    assert await label_of(arnia) == ("RED", None)
    (line,) = await take(arnia, a_csaf("GREEN", title="Injection SQL, again"), "csaf")
    assert line.outcome == "revised"
    assert await label_of(arnia) == ("RED", None), "an operator's label stays where it is the narrower one"


async def test_an_incident_that_was_published_too_widely_is_narrowed_by_the_same_document(
    arnia: Node,
) -> None:
    """As an earlier program published it: the label of the document was not read."""
    await publish(arnia, "solution", "glpi", a_solution(**GLPI))
    raw = a_csaf("RED")
    await take(arnia, raw, "csaf")
    await records.patch(
        arnia, Incident, {"tlp": "GREEN"}, "arnia", "ACME-1~CVE-2025-24799", by=itself("arnia")
    )
    (line,) = await take(arnia, raw, "csaf")
    assert (line.outcome, await label_of(arnia)) == ("revised", ("RED", None))
    (line,) = await take(arnia, raw, "csaf")
    assert line.outcome == "unchanged"


async def test_a_draft_is_not_published(arnia: Node) -> None:
    await publish(arnia, "solution", "glpi", a_solution(**GLPI))
    (line,) = await take(arnia, a_csaf("GREEN", status="draft"), "csaf")
    assert (line.outcome, line.detail) == ("skipped", "its publisher calls it a draft")
    (line,) = await take(arnia, a_csaf("GREEN", status="interim"), "csaf")
    assert line.outcome == "published"


async def test_over_the_api_an_import_takes_a_label_and_an_audience(arnia: Node) -> None:
    await publish(arnia, "solution", "glpi", a_solution(**GLPI))
    await publish(arnia, "group", "rssi", a_group(name="rssi", members=["megalis"]))
    async with browsing(arnia) as client:
        headers = {**JSON, **await a_token(arnia, client, "incidents.write")}
        at = "/v1/advisories/csaf"
        report = fine(await client.post(at, content=a_csaf("AMBER"), headers=headers), 200)
        assert report["summary"]["refused"] == 1
        amber = await client.post(f"{at}?audience=rssi", content=a_csaf("AMBER"), headers=headers)
        assert fine(amber, 200)["summary"]["published"] == 1
        assert await label_of(arnia) == ("AMBER", "rssi")
        for query, pointer in (
            ("tlp=PINK", "?tlp"), ("tlp=RED&tlp=RED", "?tlp"),
            ("audience=A%20b", "?audience"), ("label=RED", "?label"),
        ):  # fmt: skip
            refused(
                await client.post(f"{at}?{query}", content=a_csaf("RED"), headers=headers),
                400, "invalid", pointer=pointer,
            )  # fmt: skip


async def _archive(node: Node, *raws: bytes, form: str = "cve", **options: Any) -> dict[str, int]:
    """The outcomes of an import of these advisories."""
    tally = ImportTally()
    archive = ArchiveImport(node, form, **options)
    await archive.begin()
    for raw in raws:
        for line, number in await archive.add("test", raw):
            tally.add(line, number)
    await archive.end()
    report = tally.report(dry_run=False)
    return {name: n for name, n in msgspec.to_builtins(report.summary).items() if n}


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The advisories that were decoded."""
    found: list[bytes] = []
    read = READERS["cve"]
    monkeypatch.setitem(READERS, "cve", lambda raw: found.append(raw) or read(raw))  # type: ignore[func-returns-value]
    return found


async def test_a_second_import_of_an_archive_reads_the_files_and_changes_nothing(
    arnia: Node, decoded: list[bytes]
) -> None:
    await publish(arnia, "solution", "glpi", a_solution(**GLPI))
    raws = [a_cve({"version": "< 9"}, number=10001 + n) for n in range(3)]
    other = a_cve({"version": "< 9"}, number=10010).replace(b"glpi", b"itop")
    broken = b'{"dataType": "CVE_RECORD"}'
    archive = (*raws, other, broken)
    assert await _archive(arnia, *archive, dry_run=True) == {"published": 3, "skipped": 1, "refused": 1}
    assert len(decoded) == 5
    assert await _archive(arnia, *archive) == {"published": 3, "skipped": 1, "refused": 1}
    assert len(decoded) == 10, "a dry run is not remembered"
    before = [(await records.find(arnia, Incident, "arnia", f"CVE-2025-{10001 + n}", by=itself("arnia"))).hash
              for n in range(3)]  # fmt: skip
    assert await _archive(arnia, *archive) == {"unchanged": 3, "skipped": 1, "refused": 1}
    assert decoded[10:] == [broken], "a reason is reported each time"
    after = [(await records.find(arnia, Incident, "arnia", f"CVE-2025-{10001 + n}", by=itself("arnia"))).hash
             for n in range(3)]  # fmt: skip
    assert before == after
    newer = a_cve({"version": "< 9.1"}, number=10001)
    assert await _archive(arnia, newer, *raws[1:], other) == {"revised": 1, "unchanged": 2, "skipped": 1}
    assert decoded[11:] == [newer]


async def test_an_advisory_is_read_anew_when_what_its_outcome_rests_on_has_changed(
    arnia: Node, decoded: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = a_cve({"version": "< 9"}, number=10001)
    assert await _archive(arnia, raw) == {"skipped": 1}
    assert await _archive(arnia, raw) == {"skipped": 1}
    assert len(decoded) == 1
    await publish(arnia, "solution", "glpi", a_solution(**GLPI))
    assert await _archive(arnia, raw) == {"published": 1}, "its solution is known by now"
    assert await _archive(arnia, raw) == {"unchanged": 1}
    assert len(decoded) == 2
    assert await _archive(arnia, raw, tlp="GREEN") == {"unchanged": 1}
    assert len(decoded) == 3, "other options"
    assert await _archive(arnia, raw, tlp="GREEN") == {"unchanged": 1}
    content = await content_of(arnia, "CVE-2025-10001")
    await publish(arnia, "incident", "CVE-2025-10001", {**content, "status": "mitigated"})
    assert await _archive(arnia, raw, tlp="GREEN") == {"unchanged": 1}
    assert len(decoded) == 4, "its incident is not as it was"
    await records.retract(arnia, Incident, "arnia", "CVE-2025-10001", by=itself("arnia"))
    assert await _archive(arnia, raw, tlp="GREEN") == {"skipped": 1}
    await publish(arnia, "incident", "CVE-2025-10001", an_incident())
    assert "skipped" not in await _archive(arnia, raw, tlp="GREEN"), "it is there again"
    seen = len(decoded)
    monkeypatch.setattr(advisory_archives, "_program_digest", lambda: b"another program")
    await _archive(arnia, raw, tlp="GREEN")
    assert len(decoded) == seen + 1, "another program may read it otherwise"


def test_a_tally_counts_all_and_lists_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advisory_archives, "MAX_LISTED", 2)
    monkeypatch.setattr(advisory_archives, "MAX_LISTED_UNCHANGED", 1)
    tally = ImportTally()
    for number in range(4):
        tally.add(ImportLine("skipped", f"s{number}"))
        tally.add(ImportLine("published", f"p{number}", defaulted=("severity: not told",)))
    report = tally.report(dry_run=False)
    assert [line.source for line in report.advisories] == ["s0", "p0", "p1"]
    assert (report.summary.published, report.summary.skipped, report.omitted) == (4, 4, 5)
    assert tally.defaults == {"severity": 4}


async def test_the_command_imports_a_zip_archive_and_goes_on_after_a_broken_member(
    arnia: Node,
    here: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("federation.cli.advisories.PROGRESS_ADVISORIES", 2)
    await publish(arnia, "solution", "glpi", a_solution(**GLPI))
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("a.json", a_cve({"version": "< 9"}, number=10001))
        archive.writestr("b.json", b"{")
        archive.writestr("c.json", a_cve({"version": "< 9"}, number=10003))
    status, text_ = await _said("cve", tmp_path / "all.zip", as_json=True)
    told = json.loads(text_)
    assert status == 1
    assert (told["summary"]["published"], told["summary"]["refused"], told["omitted"]) == (2, 1, 0)
    status, text_ = await _said("cve", tmp_path / "all.zip")
    assert text_.splitlines()[-1] == "published 0, revised 0, unchanged 2, skipped 0, refused 1"
    assert "refused  " in text_
    assert "all.zip:b.json" in text_
