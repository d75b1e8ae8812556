"""Indexes of advisories: the documents that they list, and those that the next run reads."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from federation.domain.errors import Invalid
from federation.domain.formats.changes import (
    FIRST_DAYS,
    MAX_TRIES,
    OVERLAP,
    DocumentRef,
    FeedMemory,
    Index,
    due,
)
from federation.domain.formats.csaf_provider import (
    Provider,
    document_label,
    read_changes,
    read_hash,
    read_label,
    read_provider,
    read_rolie,
)
from federation.domain.formats.cve_deltas import read_deltas
from federation.domain.formats.osv_changes import reaches, read_modified_ids

EXAMPLES = Path(__file__).parents[3] / "shared" / "data" / "advisories" / "csaf" / "examples"
needs_data = pytest.mark.skipif(
    not EXAMPLES.exists(), reason="the shared advisories are not beside the project"
)

CHANGES = b"""\
"2026/cpansa-dancer2-2026-93712.json","2026-09-22T00:00:00"
"2026/cpansa-dbi-2026-78030.json","2026-09-19T00:00:00"
"""
MODIFIED = b"""\
2026-09-22T10:00:00.5Z,PYSEC-2021-98
2026-09-21T10:00:00Z,GHSA-2m57-hf25-phgg
2026-09-20T10:00:00Z,openSUSE-SU-2020:0001-1
"""
DELTAS = json.dumps(
    [
        {
            "fetchTime": "2025-09-04T20:30:36.562Z",
            "numberOfChanges": 2,
            "new": [{"cveId": "CVE-2025-5915", "githubLink": "https://elsewhere.example/x.json"}],
            "updated": [{"cveId": "CVE-2025-26429", "dateUpdated": "2025-09-04T20:29:27.190Z"}],
            "error": [],
        },
        {
            "fetchTime": "2025-09-04T20:21:03.665Z",
            "numberOfChanges": 2,
            "new": [],
            "updated": [{"cveId": "CVE-2025-26429"}, {"cveId": "CVE-2025-1"}],
            "error": [],
        },
    ]
).encode()


@needs_data
def test_the_examples_of_the_standard_are_read() -> None:
    provider = read_provider((EXAMPLES / "provider-metadata/example-01-provider-metadata.json").read_bytes())
    (feed,) = provider.feeds
    assert (feed.url, feed.label) == ("https://www.example.com/.well-known/csaf/feed-tlp-white.json", "CLEAR")
    assert provider.is_trusted
    index = read_rolie((EXAMPLES / "ROLIE/example-01-feed-tlp-white.json").read_bytes(), "CLEAR")
    (document,) = index.documents
    assert document.url == "https://psirt.domain.tld/advisories/csaf/2020/2020-ESA-001.json"
    assert document.changed_at == datetime(2021, 1, 1, 12, tzinfo=UTC)
    assert document.hashes == ("https://psirt.domain.tld/advisories/csaf/2020/2020-ESA-001.json.sha512",)
    assert document.needs_hash


def test_directories_are_read_where_a_provider_has_no_feed() -> None:
    def provider(*distributions: dict[str, Any]) -> Provider:
        return read_provider(json.dumps({"publisher": {}, "distributions": distributions}).encode())

    directory = {"directory_url": "https://psirt.example/csaf/"}
    newer = {"directory": {"url": "https://psirt.example/green", "tlp_label": "GREEN"}}
    feed = {"rolie": {"feeds": [{"tlp_label": "AMBER", "url": "https://psirt.example/amber.json"}]}}
    assert [(feed.url, feed.label) for feed in provider(directory, newer).feeds] == [
        ("https://psirt.example/csaf/changes.csv", None),
        ("https://psirt.example/green/changes.csv", "GREEN"),
    ]
    assert [(feed.url, feed.label) for feed in provider(directory, feed).feeds] == [
        ("https://psirt.example/amber.json", "AMBER")
    ]
    with pytest.raises(Invalid, match="neither a ROLIE feed nor a directory"):
        provider({"directory_url": "file:///etc/passwd"})


def test_a_directory_lists_its_own_documents_alone() -> None:
    url = "https://psirt.example/csaf/white/changes.csv"
    index = read_changes(CHANGES, url, None, is_trusted=True)
    first = index.documents[0]
    assert first.url == "https://psirt.example/csaf/white/2026/cpansa-dancer2-2026-93712.json"
    assert first.changed_at == datetime(2026, 9, 22, tzinfo=UTC)
    assert first.hashes == (f"{first.url}.sha512", f"{first.url}.sha256")
    assert not first.needs_hash
    outside = b'"../red/x.json","2026-09-22"\n"//evil.example/x.json","2026-09-22"\n"https://evil.example/x","2026-09-22"\n"/etc","2026-09-22"\n"a.json","soon"\n"a.json"\n'
    index = read_changes(outside, url, None)
    assert index.documents == ()
    assert [fault.place for fault in index.faults] == [f"line {number}" for number in range(1, 7)]


def test_ids_of_osv_are_addresses_beside_their_list() -> None:
    index = read_modified_ids(MODIFIED, "https://osv.example/PyPI/modified_id.csv")
    assert [document.url for document in index.documents] == [
        "https://osv.example/PyPI/PYSEC-2021-98.json",
        "https://osv.example/PyPI/GHSA-2m57-hf25-phgg.json",
        "https://osv.example/PyPI/openSUSE-SU-2020:0001-1.json",
    ]
    all_ecosystems = read_modified_ids(
        b"2026-09-22T10:00:00Z,PyPI/PYSEC-2021-98\n", "https://osv.example/modified_id.csv"
    )
    assert all_ecosystems.documents == (
        DocumentRef(index.documents[0].url, datetime(2026, 9, 22, 10, tzinfo=UTC)),
    )
    faulty = read_modified_ids(
        b"2026-09-22T10:00:00Z,../../x\nnever,PYSEC-1\n2026-09-22T10:00:00Z\n", "https://o/m.csv"
    )
    assert len(faulty.faults) == 3


def test_the_list_of_osv_is_read_until_a_line_is_old_enough() -> None:
    since = datetime(2026, 9, 21, 12, tzinfo=UTC)
    lines = MODIFIED.splitlines(keepends=True)
    assert not reaches(lines[0], since)
    assert not reaches(lines[0] + lines[1][:-1], since)  # a line that is not whole
    assert reaches(lines[0] + lines[1], since)
    assert not reaches(b"\xff\n", since)


def test_records_of_the_cve_list_lie_beside_its_log_whatever_their_links_are() -> None:
    index = read_deltas(DELTAS, "https://cve.example/cves/deltaLog.json")
    fetched_at = datetime(2025, 9, 4, 20, 30, 36, 562_000, UTC)
    assert index.documents == (
        DocumentRef("https://cve.example/cves/2025/5xxx/CVE-2025-5915.json", fetched_at),
        DocumentRef("https://cve.example/cves/2025/26xxx/CVE-2025-26429.json", fetched_at),
    )
    assert index.begins_at == datetime(2025, 9, 4, 20, 21, 3, 665_000, UTC)
    assert [fault.place for fault in index.faults] == ["[1].updated[1]"]
    one = read_deltas(json.dumps(json.loads(DELTAS)[0]).encode(), "https://cve.example/cves/delta.json")
    assert one.documents == index.documents


def test_hashes_are_those_of_their_algorithm() -> None:
    digest = "A" * 64
    assert read_hash(f"{digest}  x.json\n".encode(), "https://x/x.json.sha256") == ("sha256", digest.lower())
    for raw, url in ((digest, "x.sha512"), ("z" * 64, "x.sha256"), ("", "x.sha256"), (digest, "x.md5")):
        with pytest.raises(Invalid):
            read_hash(raw.encode(), f"https://x/{url}")


def test_an_unknown_label_is_the_narrowest() -> None:
    labels = (None, "UNLABELED", "WHITE", "CLEAR", "AMBER+STRICT", "PURPLE", 7, ["GREEN"])
    assert [read_label(label) for label in labels] == [
        None, None, "CLEAR", "CLEAR", "AMBER+STRICT", "RED", "RED", "RED"
    ]  # fmt: skip
    assert document_label(b'{"document": {"distribution": {"tlp": {"label": "AMBER"}}}}') == "AMBER"
    assert document_label(b'{"document": {"distribution": {}}}') is None


NOW = datetime(2026, 9, 23, tzinfo=UTC)


def a_document(name: str, **ago: float) -> DocumentRef:
    return DocumentRef(f"https://x/{name}.json", NOW - timedelta(**ago))


def test_each_run_reads_the_next_documents_and_none_twice() -> None:
    listed = [
        a_document("d", days=1),
        a_document("c", days=2),
        a_document("b", days=2),
        a_document("old", days=FIRST_DAYS + 1),
    ]
    memory = FeedMemory()
    first = due(listed, memory, NOW, 2)
    assert [document.url[-6] for document in first] == ["b", "c"]
    for document in first:
        memory.has_read(document)
    memory.forget_recent()
    assert due(listed, memory, NOW, 2) == [listed[0]]
    memory.has_read(listed[0])
    assert due(listed, memory, NOW, 2) == []
    # One that is listed later with a time that was read already; and one that changed again.
    late, again = a_document("late", days=2), a_document("d", hours=1)
    assert due([*listed, late, again], memory, NOW, 9) == [late, again]
    assert due([a_document("too-late", days=1, hours=48.1)], memory, NOW, 9) == []
    assert timedelta(hours=48) == OVERLAP


def test_a_document_whose_server_is_silent_is_asked_again_some_times() -> None:
    document = a_document("a", days=1)
    memory = FeedMemory()
    for _ in range(MAX_TRIES - 1):
        assert memory.has_failed(document)
        memory.has_read(a_document("newer", hours=1))
        assert due([document], memory, NOW, 9) == [document]
    assert not memory.has_failed(document)
    assert due([document], memory, NOW, 9) == []
    memory.has_failed(a_document("gone", days=1))
    memory.forget_failed([document])
    assert memory.failed == {}


URL = "https://x.example/csaf/changes.csv"
PROVIDER = b"""{"publisher": {}, "metadata_version": "2.0", "role": "csaf_trusted_provider",
"distributions": [
    {"directory_url": "https://x.example/csaf/"},
    {"rolie": {"feeds": [{"url": "https://x.example/feed.json", "tlp_label": "WHITE"}]}}
]}"""
ROLIE = b"""{"feed": {"entry": [{
    "updated": "2026-01-01T00:00:00Z",
    "link": [{"rel": "hash", "href": "https://x.example/a.json.sha256"}],
    "content": {"src": "https://x.example/a.json"}
}]}}"""
READERS: tuple[tuple[Callable[[bytes], Index | Provider], bytes], ...] = (
    (lambda raw: read_changes(raw, URL, None), CHANGES),
    (lambda raw: read_modified_ids(raw, URL), MODIFIED),
    (lambda raw: read_deltas(raw, URL), DELTAS),
    (read_provider, PROVIDER),
    (lambda raw: read_rolie(raw, None), ROLIE),
)


def test_a_broken_index_is_refused_or_read_and_nothing_else() -> None:
    chance = random.Random(20)
    for _ in range(300):
        read, body = chance.choice(READERS)
        broken = bytearray(body)
        for _ in range(chance.randint(1, 8)):
            at = chance.randrange(len(broken))
            broken[at : at + chance.randint(0, 3)] = chance.choice(
                [b"\0", b"[", b'"', b"9", b"\xff", b"null", b"\r", b"//"]
            )
        try:
            read(bytes(broken))
        except Invalid:
            continue
