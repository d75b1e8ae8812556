"""Feeds of advisories are followed: what changed is read, compared with its hash, and imported once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from federation.domain.content.incident import Incident
from federation.domain.errors import Invalid, Unreachable
from federation.domain.formats.changes import FeedMemory
from federation.domain.formats.revision import Label
from federation.domain.query import Query
from federation.domain.visibility import itself
from federation.node import advisory_feeds, records
from federation.node.advisory_feeds import AdvisoryFeed, FeedRun, label_of_document
from federation.node.node import Node
from tests.domain.builders import a_group, a_solution
from tests.exposure.test_importing import GLPI, a_cve
from tests.nodes import publish
from tests.sources.advisory_site import Site, a_csaf, provider, rolie

OWN = itself("arnia")


@pytest.fixture
async def node(arnia: Node) -> Node:
    arnia.clock = lambda: datetime(2026, 3, 20, tzinfo=UTC)
    await publish(arnia, "solution", "glpi", a_solution(**GLPI))
    return arnia


async def run(node: Node, form: str, url: str, memory: bytes | None = None, **feed: Any) -> FeedRun:
    source = AdvisoryFeed(form=form, url=url, private=True, **feed)
    return await advisory_feeds.follow(node, source, memory, by=OWN)


def outcomes(run_: FeedRun) -> list[str]:
    return [line.outcome for line in run_.lines]


async def labels(node: Node) -> dict[str, str]:
    documents, _, _ = await records.collect(node, Query(kind=Incident), by=OWN)
    return {record["key"].partition("~")[0]: record["tlp"] for record in map(json.loads, documents)}


async def test_a_csaf_provider_is_followed_from_its_metadata(node: Node, site: Site) -> None:
    path = "/.well-known/csaf/provider-metadata.json"
    site.put(path, provider(site, white="WHITE", green="GREEN"))
    site.put("/white.json", rolie(site, "a", "other"))
    site.put("/green.json", rolie(site, "b"))
    site.put_hashed("/a.json", a_csaf("A-1", label="WHITE"))
    site.put_hashed("/other.json", a_csaf("A-2", name="nobody-runs-this"))
    site.put_hashed("/b.json", a_csaf("A-3", label=None))
    first = await run(node, "csaf", site.url)
    assert sorted(outcomes(first)) == ["published", "published", "skipped"]
    assert (first.documents, first.has_more, first.error, first.faults) == (3, False, None, ())
    before = await labels(node)
    assert set(before.values()) == {"GREEN"}

    site.asked.clear()
    again = await run(node, "csaf", site.url, first.memory)
    assert (again.lines, again.documents) == ((), 0)
    assert site.asked == [path]  # which has not changed

    site.put("/white.json", rolie(site, "a", "other", "c"))
    site.put(path, provider(site, white="WHITE", green="GREEN") | {"last_updated": "later"})
    site.put_hashed("/c.json", a_csaf("A-4", label="WHITE"))
    site.asked.clear()
    third = await run(node, "csaf", site.url, again.memory)
    assert outcomes(third) == ["published"]
    assert "/a.json" not in site.asked


async def test_a_document_that_its_hash_does_not_fit_is_not_imported(node: Node, site: Site) -> None:
    site.put("/feed.json", rolie(site, "forged", "bare", "good"))
    site.put_hashed("/good.json", a_csaf("A-1"))
    site.put_hashed("/forged.json", a_csaf("A-2"))
    site.put("/forged.json", a_csaf("A-666"))
    site.put("/bare.json", a_csaf("A-3"))  # its hash is named, and not there
    found = await run(node, "csaf", f"{site.url}/feed.json")
    assert sorted(outcomes(found)) == ["published", "refused", "refused"]
    assert list(await labels(node)) == ["A-1"]
    assert any("hash" in (line.detail or "") for line in found.lines)


async def test_nothing_of_a_feed_gets_a_wider_label_than_the_feed(node: Node, site: Site) -> None:
    await publish(node, "group", "rssi", a_group())
    site.put("/pm.json", provider(site, red="RED", amber="AMBER"))
    site.put("/red.json", rolie(site, "r", hashed=False))
    site.put("/amber.json", rolie(site, "a", "strict", hashed=False))
    site.put("/r.json", a_csaf("R-1", label=None))
    site.put("/a.json", a_csaf("A-1", label=None))
    site.put("/strict.json", a_csaf("S-1", label="RED"))
    await run(node, "csaf", f"{site.url}/pm.json", label=Label("CLEAR", None))
    assert await labels(node) == {"R-1": "RED", "A-1": "RED", "S-1": "RED"}


@pytest.mark.parametrize(
    ("wanted", "index", "own", "label"),
    [
        (Label(), None, None, Label()),
        (Label("CLEAR"), None, None, Label("CLEAR")),
        (Label("CLEAR"), "CLEAR", "CLEAR", Label("CLEAR")),
        (Label("CLEAR"), "GREEN", None, Label()),
        (Label("RED"), "CLEAR", None, Label("RED")),
        (Label(), "AMBER", None, Label("RED")),
        (Label("GREEN", "rssi"), "AMBER", None, Label("AMBER", "rssi")),
        (Label("AMBER", "rssi"), "AMBER", None, Label("AMBER", "rssi")),
        (Label("AMBER", "rssi"), "AMBER", "AMBER+STRICT", Label("AMBER+STRICT", "rssi")),
        (Label("AMBER", "rssi"), "CLEAR", "RED", Label("RED")),
    ],
)
def test_the_label_of_a_document(wanted: Label, index: Any, own: Any, label: Label) -> None:
    assert label_of_document(wanted, index, own) == label


async def test_a_directory_of_csaf_documents_is_followed(node: Node, site: Site) -> None:
    site.put(
        "/csaf/changes.csv", b'"2026/a-1.json","2026-03-01T00:00:00"\n"../x.json","2026-03-01T00:00:00"\n'
    )
    site.put("/csaf/2026/a-1.json", a_csaf("A-1"))
    found = await run(node, "csaf", f"{site.url}/csaf/")
    assert (outcomes(found), len(found.faults)) == (["published"], 1)
    assert "/x.json" not in site.asked


async def test_the_changes_of_an_ecosystem_of_osv_are_followed(node: Node, site: Site) -> None:
    osv = {
        "id": "PYSEC-2026-1", "modified": "2026-03-01T00:00:00Z", "summary": "x",
        "affected": [{"package": {"ecosystem": "PyPI", "name": "glpi"}, "versions": ["1.0"]}],
    }  # fmt: skip
    lines = b"2026-03-01T00:00:00Z,PYSEC-2026-1\n2020-01-01T00:00:00Z,PYSEC-2019-1\n"
    site.put("/PyPI/modified_id.csv", lines)
    site.put("/PyPI/PYSEC-2026-1.json", osv)
    found = await run(node, "osv", f"{site.url}/PyPI/modified_id.csv")
    assert outcomes(found) == ["published"]
    assert "/PyPI/PYSEC-2019-1.json" not in site.asked  # older than the first run reads


async def test_the_log_of_cve_records_is_followed_and_a_gap_is_reported(node: Node, site: Site) -> None:
    def delta(at: str, *ids: str) -> dict[str, Any]:
        return {"fetchTime": at, "new": [{"cveId": id_} for id_ in ids], "updated": []}

    site.put("/cves/2025/24xxx/CVE-2025-24799.json", a_cve({"version": "< 10.0.18"}))
    site.put("/cves/deltaLog.json", [delta("2026-03-01T00:00:00Z", "CVE-2025-24799")])
    url = f"{site.url}/cves/deltaLog.json"
    found = await run(node, "cve", url)
    assert (outcomes(found), found.faults) == (["published"], ())
    site.put("/cves/deltaLog.json", [delta("2026-03-19T00:00:00Z")])
    later = await run(node, "cve", url, found.memory)
    assert ["begins after the last run" in str(fault.reason) for fault in later.faults] == [True]


async def test_a_run_is_bounded_and_the_next_one_goes_on(
    node: Node, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advisory_feeds, "MAX_DOCUMENTS", 2)
    site.put("/feed.json", rolie(site, "a", "b", "c", hashed=False))
    for name in "abc":
        site.put(f"/{name}.json", a_csaf(name.upper()))
    first = await run(node, "csaf", f"{site.url}/feed.json")
    assert (first.documents, first.has_more) == (2, True)
    second = await run(node, "csaf", f"{site.url}/feed.json", first.memory)
    assert (second.documents, second.has_more) == (1, False)
    assert sorted(await labels(node)) == ["A", "B", "C"]


async def test_a_server_that_is_down_ends_the_run_and_is_asked_again(node: Node, site: Site) -> None:
    names = ("a", "b", "c", "d")
    site.put("/feed.json", rolie(site, *names, hashed=False))
    for name in names:
        site.put(f"/{name}.json", a_csaf(name.upper()))
        site.statuses[f"/{name}.json"] = 503
    first = await run(node, "csaf", f"{site.url}/feed.json")
    assert first.error is not None
    assert (first.documents, first.lines) == (0, ())
    assert "/d.json" not in site.asked
    site.statuses.clear()
    site.statuses["/b.json"] = 404
    second = await run(node, "csaf", f"{site.url}/feed.json", first.memory)
    assert (sorted(outcomes(second)), second.error) == (
        ["published", "published", "published", "refused"],
        None,
    )


async def test_a_feed_of_a_provider_that_is_down_does_not_lose_its_documents(node: Node, site: Site) -> None:
    site.put("/pm.json", provider(site, up="WHITE", down="WHITE"))
    site.put("/up.json", rolie(site, "a", hashed=False, at="2026-03-19T00:00:00Z"))
    site.put("/a.json", a_csaf("A"))
    site.put("/down.json", rolie(site, "b", hashed=False, at="2026-03-01T00:00:00Z"))
    site.put("/b.json", a_csaf("B"))
    site.statuses["/down.json"] = 500
    first = await run(node, "csaf", f"{site.url}/pm.json")
    assert (outcomes(first), first.error is not None, len(first.faults)) == (["published"], True, 1)
    site.statuses.clear()
    second = await run(node, "csaf", f"{site.url}/pm.json", first.memory)
    assert (outcomes(second), second.error) == (["published"], None)
    assert sorted(await labels(node)) == ["A", "B"]


async def test_without_a_known_solution_no_document_is_read(arnia: Node, site: Site) -> None:
    arnia.clock = lambda: datetime(2026, 3, 20, tzinfo=UTC)
    site.put("/feed.json", rolie(site, "a", hashed=False))
    site.put("/a.json", a_csaf("A-1"))
    found = await run(arnia, "csaf", f"{site.url}/feed.json")
    assert (found.documents, site.asked, len(found.faults)) == (0, ["/feed.json"], 1)
    await publish(arnia, "solution", "glpi", a_solution(**GLPI))
    assert outcomes(await run(arnia, "csaf", f"{site.url}/feed.json", found.memory)) == ["published"]


async def test_an_address_of_one_advisory_is_imported_as_that(node: Node, site: Site) -> None:
    site.put("/advisory.json", a_csaf("A-1"))
    first = await run(node, "csaf", f"{site.url}/advisory.json")
    assert outcomes(first) == ["published"]
    again = await run(node, "csaf", f"{site.url}/advisory.json", first.memory)
    assert again.lines == ()
    site.asked.clear()
    site.put("/advisory.json", a_csaf("A-1", name="nextcloud"))
    skipped = await run(node, "csaf", f"{site.url}/advisory.json", again.memory)
    assert outcomes(skipped) == ["skipped"]
    await publish(node, "solution", "nextcloud", a_solution(name="Nextcloud"))
    later = await run(node, "csaf", f"{site.url}/advisory.json", skipped.memory)
    assert len(later.lines) == 1


async def test_an_index_that_cannot_be_read_is_an_error(node: Node, site: Site) -> None:
    with pytest.raises(Unreachable) as gone:
        await run(node, "csaf", f"{site.url}/nowhere.json")
    assert gone.value.final
    site.put("/x.json", b"<html>")
    assert outcomes(await run(node, "csaf", f"{site.url}/x.json")) == ["refused"]
    site.put("/y.json", {"publisher": {}, "canonical_url": "x"})
    with pytest.raises(Invalid, match="neither a ROLIE feed nor a directory"):
        await run(node, "csaf", f"{site.url}/y.json")


async def test_documents_of_other_hosts_are_read_only_where_everybody_can(node: Node, site: Site) -> None:
    entry = {"updated": "2026-03-01T00:00:00Z", "content": {"src": "http://127.0.0.1:1/secret.json"}}
    inner = {"updated": "2026-03-01T00:00:00Z", "content": {"src": "https://10.0.0.7/secret.json"}}
    site.put("/feed.json", {"feed": {"entry": [entry, inner]}})
    found = await run(node, "csaf", f"{site.url}/feed.json")
    assert outcomes(found) == ["refused", "refused"]
    assert all("not public" in (line.detail or "") for line in found.lines)


def test_the_memory_of_another_program_is_left_aside() -> None:
    assert advisory_feeds._read_memory(b"{") == FeedMemory()
    assert advisory_feeds._read_memory(b'{"since": 7}') == FeedMemory()
