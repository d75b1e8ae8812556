"""Advisories and files of an export for the fuzz of readers: real files where they are beside the project."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from federation.api.examples import DRAFTS
from federation.domain.content.incident import Incident
from federation.domain.draft import Draft, check_draft
from federation.domain.formats.advisory import Finding
from federation.domain.formats.catalogue import Catalogue
from federation.domain.formats.csaf_provider import document_label, read_hash
from federation.domain.formats.incident import incident_of
from federation.domain.formats.osv_changes import reaches
from federation.domain.formats.readers import READERS as ADVISORY_READERS
from federation.domain.formats.revision import Label, first_draft
from federation.domain.record_files import Renaming, read_manifest
from federation.domain.registry import TYPES
from federation.domain.values import KEY_PATTERN
from federation.node.own_records import read_copy
from federation.node.source_advisories import documents_of
from tests.cases import csaf_documents
from tests.domain import test_advisory_indexes as indexes
from tests.domain.builders import NOW, a_document
from tests.exposure.test_importing import a_csaf, a_cve, a_rejection
from tests.fuzz.reader_inputs import Reader

DATA = Path(__file__).parents[3] / "shared" / "data" / "advisories"
EVERYTHING = Catalogue([], always=("arnia/glpi",))
"""A catalogue with a solution that every product of an advisory is: each finding becomes an incident."""
MAX_EXAMPLE_BYTES = 100_000
DRAFT: Any = Draft[Incident]


def _incidents(read: Callable[[bytes], Sequence[Finding]], raw: bytes) -> object:
    """The findings of an advisory, each as the incident that it is published as, or refused."""
    findings = read(raw)
    for finding in findings:
        if not re.fullmatch(KEY_PATTERN, finding.key):
            raise AssertionError(f"{finding.key!r} is no key")
        incident = incident_of(finding, EVERYTHING.find, raw)
        if incident is not None:
            check_draft(first_draft(incident, finding, Label("RED")), DRAFT)
    document_label(raw)
    return findings


def _small(pattern: str) -> list[bytes]:
    files = [path.read_bytes() for path in sorted(DATA.glob(pattern))]
    return [raw for raw in files if len(raw) <= MAX_EXAMPLE_BYTES]


def _cve() -> Sequence[bytes]:
    versions = {"version": "10.0.0", "lessThan": "10.0.18", "status": "affected", "versionType": "semver"}
    return [*_small("cve/*.json"), a_cve(versions), a_rejection()]


def _osv() -> Sequence[bytes]:
    made = {
        "id": "GHSA-aaaa-0000-0001", "modified": "2026-01-02T00:00:00Z", "published": "2026-01-01T00:00:00Z",
        "summary": "s", "details": "d", "aliases": ["CVE-2099-10001"],
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
        "affected": [{
            "package": {"ecosystem": "PyPI", "name": "x", "purl": "pkg:pypi/x"}, "versions": ["1.0"],
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.1"}]}],
        }],
    }  # fmt: skip
    real = [line for raw in map(Path.read_bytes, DATA.glob("osv-*.jsonl")) for line in raw.splitlines()]
    return [*real[::20], json.dumps(made).encode()]


def _csaf() -> Sequence[bytes]:
    tree = csaf_documents.product(
        csaf_documents.leaf("product_version_range", "vers:semver/<10.0.18", "P1"),
        csaf_documents.leaf("product_version", "10.0.18", "P2", purl="pkg:github/glpi-project/glpi@10.0.18"),
    )
    flaw = csaf_documents.vulnerability(known_affected=["P1"], fixed=["P2"])
    return [*_small("csaf/examples/csaf/**/*.json"), a_csaf("GREEN"), csaf_documents.document(tree, flaw)]


EXAMPLES = {"cve": _cve, "osv": _osv, "csaf": _csaf}


def _lines() -> Sequence[bytes]:
    """Files of several advisories, one a line."""
    return [b"\n".join(raw.replace(b"\n", b" ") for raw in [*_osv()[:3], *_cve()[-2:]])]


def _manifest() -> Sequence[bytes]:
    file = {"name": "solutions.ndjson", "type": "solution", "records": 1, "bytes": 10, "sha256": "0" * 64}
    manifest = {
        "format": "federation-records-1", "operator": "arnia", "name": "ARNia", "url": "https://arnia.test",
        "program": "1", "began_at": "2026-03-01T08:30:00Z", "ended_at": "2026-03-01T08:31:00Z",
        "files": [file],
    }  # fmt: skip
    return [json.dumps(manifest).encode()]


def _copies() -> Sequence[bytes]:
    documents = [a_document(type=name, content=draft["content"]) for name, draft in DRAFTS.items()]
    return [json.dumps(document).encode() for document in documents]


def _copy(raw: bytes) -> object:
    """A line of an export, under another operator, as the draft that is published."""
    renaming = Renaming("megalis", "arnia", frozenset({"glpi"}))
    try:
        name = str(json.loads(raw)["type"])
    except (ValueError, KeyError, TypeError, RecursionError):
        name = "solution"
    kind = TYPES.get(name, TYPES["solution"])
    shape: Any = Draft
    return check_draft(read_copy(raw, kind, "megalis", renaming).draft, shape[kind])


READERS = (
    *(
        Reader(form, partial(_incidents, read), EXAMPLES[form])
        for form, read in sorted(ADVISORY_READERS.items())
    ),
    Reader("advisory-lines", documents_of, _lines),
    Reader(
        "csaf-hash",
        lambda raw: read_hash(raw, "https://example.org/a.json.sha256"),
        lambda: [b"0" * 64 + b"  a.json\n", b"f" * 64],
    ),
    Reader("osv-progress", lambda raw: reaches(raw, NOW), lambda: [indexes.MODIFIED]),
    Reader("export-manifest", read_manifest, _manifest),
    Reader("export-record", _copy, _copies),
)
