"""A polled source of advisories follows its feed, and goes on where its last run ended."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from federation.domain.sources.source import SourceSettings
from federation.domain.visibility import itself
from federation.node import advisory_feeds, source_runs, sources
from federation.node.node import Node
from tests.domain.builders import a_solution
from tests.exposure.test_importing import GLPI
from tests.nodes import publish
from tests.sources.advisory_site import Site, a_csaf, rolie

OWN = itself("arnia")


async def add(node: Node, url: str) -> None:
    new = SourceSettings(name="psirt", kind="csaf", url=url, every=600, private=True)
    await sources.add(node, new, by=OWN)


async def test_a_source_of_advisories_follows_its_feed(
    arnia: Node,
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(advisory_feeds, "MAX_DOCUMENTS", 1)
    arnia.clock = lambda: datetime(2026, 3, 20, tzinfo=UTC)
    site.put("/feed.json", rolie(site, "a", "b", hashed=False))
    site.put("/a.json", a_csaf("A-1"))
    site.put("/b.json", a_csaf("A-2"))
    await add(arnia, f"{site.url}/feed.json")

    report = await source_runs.run_now(arnia, "psirt", by=OWN)
    assert "no solution is known here" in report.lines[0].reasons[0]
    await publish(arnia, "solution", "glpi", a_solution(**GLPI))
    dry = await source_runs.run_now(arnia, "psirt", by=OWN, dry_run=True)
    assert dry.counts.created == 1
    report = await source_runs.run_now(arnia, "psirt", by=OWN)
    assert report.counts.created == 1
    assert (await sources.find(arnia, "psirt")).next_at == arnia.clock()  # there is more
    assert await source_runs.run_due(arnia) == 1
    runs = await sources.runs(arnia, "psirt")
    assert [run.counts.created for run in runs] == [1, 1, 0]
    report = await source_runs.run_now(arnia, "psirt", by=OWN)
    assert (report.outcome, report.lines) == ("not-modified", ())

    site.put("/feed.json", rolie(site, "a", "b", "c", hashed=False))
    site.statuses["/c.json"] = 503
    report = await source_runs.run_now(arnia, "psirt", by=OWN)
    assert (report.outcome, report.counts.rejected) == ("done", 1)
    site.statuses["/feed.json"] = 500
    report = await source_runs.run_now(arnia, "psirt", by=OWN)
    assert report.outcome == "failed"
    assert "500" in (report.reason or "")
    assert json.dumps(site.asked).count("/a.json") == 2  # by the dry run, and once
