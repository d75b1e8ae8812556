"""Runs of sources over a real database: what they store, what they leave to people, and how they fail."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from federation.domain.content.solution import Solution
from federation.domain.errors import (
    Conflict,
    Invalid,
    MissingScope,
    NotFound,
    PlanChanged,
    TooManyRequests,
)
from federation.domain.sources.report import MAX_RUNS, RunCounts, RunReport
from federation.domain.sources.source import SourceChange, SourceQuota, SourceSettings
from federation.domain.visibility import Caller, Ceiling, itself
from federation.node import imports, records, source_runs, sources
from federation.node.imports import FileImport
from federation.node.node import Node
from tests.api.http_client import executed
from tests.domain.builders import NOW, a_solution
from tests.nodes import a_node, publish
from tests.sources.web_server import WebServer, a_file, an_item

BY = itself("arnia")
GLPI = an_item("glpi", a_solution())
MATOMO = an_item("matomo", a_solution(name="Matomo"))


async def run(node: Node, name: str = "shelf", **how: Any) -> RunReport:
    report = await source_runs.run_now(node, name, by=BY, **how)
    assert report.outcome != "failed", report.reason
    return report


async def content(node: Node, key: str) -> Any:
    stored = await records.find(node, Solution, "arnia", key, by=BY)
    return None if stored.retracted else msgspec.json.decode(stored.document)


def counts(**numbers: int) -> RunCounts:
    return RunCounts(**numbers)


async def test_a_source_is_imported_once_and_importing_again_changes_nothing(
    arnia: Node, web: WebServer, source: str
) -> None:
    web.serve(GLPI, MATOMO)
    dry = await run(arnia, dry_run=True)
    assert (dry.counts, dry.number) == (counts(created=2), 0)
    with pytest.raises(NotFound):
        await content(arnia, "glpi")
    first = await run(arnia)
    assert (first.counts, first.number, first.digest) == (counts(created=2), 1, dry.digest)
    assert [(line.outcome, line.place, line.key) for line in first.lines] == [
        ("created", "items[0]", "glpi"),
        ("created", "items[1]", "matomo"),
    ]
    before = await content(arnia, "glpi")
    assert (await run(arnia)).outcome == "not-modified"
    web.serve(MATOMO, GLPI)
    again = await run(arnia)
    assert (again.outcome, again.counts, again.lines) == ("done", counts(unchanged=2), ())
    assert await content(arnia, "glpi") == before
    assert [report.number for report in await sources.runs(arnia, source)] == [3, 2, 1]
    stored = await sources.find(arnia, source)
    assert (stored.records, stored.failures, stored.reason) == (2, 0, None)


async def test_a_source_revises_what_it_gave_and_leaves_what_a_person_wrote(
    arnia: Node, web: WebServer, source: str
) -> None:
    web.serve(GLPI)
    await run(arnia)
    await publish(
        arnia, "solution", "glpi", a_solution(name="GLPI of ours", repository="https://git.example.org/g")
    )
    web.serve(an_item("glpi", a_solution(name="GLPI 11", status="beta")))
    report = await run(arnia)
    assert report.counts == counts(revised=1, person=1)
    assert [(line.key, line.person) for line in report.lines] == [("glpi", ("/content/name",))]
    now = (await content(arnia, "glpi"))["content"]
    assert (now["name"], now["status"], now["repository"]) == (
        "GLPI of ours",
        "beta",
        "https://git.example.org/g",
    )
    web.serve(an_item("glpi", a_solution(name="GLPI 12", status="beta")))
    report = await run(arnia)
    assert report.counts == counts(unchanged=1, person=1)
    assert report.lines[0].person == ("/content/name",)
    await publish(arnia, "solution", "glpi", {**now, "name": "GLPI 12"})
    web.serve(an_item("glpi", a_solution(name="GLPI 13", status="beta")))
    assert (await run(arnia)).counts == counts(revised=1), (
        "person and source had agreed: it is the source's again"
    )


async def test_a_record_that_was_there_is_completed_and_one_that_was_retracted_stays_so(
    arnia: Node, web: WebServer, source: str
) -> None:
    await publish(arnia, "solution", "glpi", a_solution(name="Ours"))
    web.serve(an_item("glpi", a_solution(repository="https://git.example.org/g")), MATOMO)
    assert (await run(arnia)).counts == counts(created=1, revised=1, person=1)
    now = (await content(arnia, "glpi"))["content"]
    assert (now["name"], now["repository"]) == ("Ours", "https://git.example.org/g")
    await records.retract(arnia, Solution, "arnia", "matomo", by=BY)
    web.serve(an_item("matomo", a_solution(name="New")), GLPI)
    report = await run(arnia)
    assert [line.reasons for line in report.lines if line.key == "matomo"] == [
        ("a person has retracted the record; it stays retracted",)
    ]
    assert await content(arnia, "matomo") is None


async def test_an_older_copy_never_overwrites_a_newer_one(arnia: Node, web: WebServer, source: str) -> None:
    web.serve(an_item("glpi", a_solution(name="Newer"), changed_at="2026-03-02T00:00:00+00:00"))
    await run(arnia)
    web.serve(an_item("glpi", a_solution(name="Older"), changed_at="2026-03-01T00:00:00+00:00"))
    report = await run(arnia)
    assert report.counts == counts(unchanged=1)
    assert report.lines[0].reasons[0].startswith("an older copy")
    web.serve(an_item("glpi", a_solution(name="Newest"), changed_at="2026-03-03T00:00:00+00:00"))
    assert (await run(arnia)).counts == counts(revised=1)


async def test_what_a_source_no_longer_gives_is_marked_and_stays(
    arnia: Node, web: WebServer, source: str
) -> None:
    web.serve(GLPI, MATOMO)
    await run(arnia)
    web.serve(GLPI, is_complete=False)
    assert (await run(arnia)).counts == counts(unchanged=1), "a partial answer says nothing of the rest"
    web.serve(GLPI, {"fault": "line not understood"})
    assert (await run(arnia)).counts == counts(unchanged=1, rejected=1), "it may be the one not understood"
    web.serve(GLPI)
    assert (await run(arnia)).counts == counts(unchanged=1, disappeared=1)
    assert (await run(arnia)).outcome == "not-modified"
    assert await content(arnia, "matomo") is not None
    assert [item.key for item in await sources.disappeared(arnia, source)] == ["matomo"]
    assert (await sources.find(arnia, source)).disappeared == 1
    web.serve(GLPI, MATOMO)
    assert (await run(arnia)).counts == counts(unchanged=2)
    assert (await sources.find(arnia, source)).disappeared == 0


async def test_a_replacement_retracts_only_what_its_dry_run_has_shown(arnia: Node, source: str) -> None:
    async def upload(raw: bytes, **how: Any) -> RunReport:
        return await imports.import_file(arnia, raw, FileImport(source=source, **how), by=BY)

    await upload(a_file(GLPI, MATOMO))
    with pytest.raises(PlanChanged):
        await upload(a_file(GLPI), replaces=True)
    dry = await upload(a_file(GLPI), replaces=True, dry_run=True)
    assert dry.counts == counts(unchanged=1, retracted=1)
    assert [(removal.removed, removal.live) for removal in dry.removals] == [(1, 2)]
    assert await content(arnia, "matomo") is not None
    await publish(arnia, "solution", "matomo", a_solution(name="Edited"))
    with pytest.raises(PlanChanged):
        await upload(a_file(GLPI), replaces=True, digest=dry.digest)
    dry = await upload(a_file(GLPI), replaces=True, dry_run=True)
    with pytest.raises(Invalid, match="1 records are rejected"):
        await upload(a_file(GLPI, {"fault": "x"}), replaces=True, digest=dry.digest)
    done = await upload(a_file(GLPI), replaces=True, digest=dry.digest)
    assert done.counts == counts(unchanged=1, retracted=1)
    assert await content(arnia, "matomo") is None
    assert (await upload(a_file(GLPI, MATOMO))).counts == counts(unchanged=1, created=1)


async def test_rejected_items_are_reported_with_place_and_reason_and_the_rest_is_stored(
    arnia: Node, web: WebServer, source: str
) -> None:
    web.serve(
        GLPI,
        GLPI,
        an_item("bad", a_solution(status="no such status", kind="nor kind")),
        an_item("a b", a_solution()),
        {"type": "groups", "key": "g", "members": {"content": {}}},
        {"fault": "line not understood"},
    )
    report = await run(arnia)
    assert report.counts == counts(created=1, rejected=5)
    lines = {line.place: line for line in report.lines}
    assert len(lines["items[2]"].reasons) == 2
    assert "/content/status" in " ".join(lines["items[2]"].reasons)
    assert lines["items[2]"].reasons != lines["items[2]"].reasons_fr
    assert "twice" in lines["items[1]"].reasons[0]
    assert lines["items[5]"].reasons == ("line not understood",)
    assert (await run(arnia)).outcome == "done", "a file with rejected items is read again"


async def test_no_record_is_wider_than_its_source(arnia: Node, web: WebServer) -> None:
    new = SourceSettings(name="narrow", kind="list", tlp="GREEN")
    await sources.add(arnia, new, by=BY)
    file = a_file(
        an_item("wide", a_solution(), tlp="CLEAR"),
        an_item("red", a_solution(), tlp="RED"),
        an_item("none", a_solution()),
    )
    await imports.import_file(arnia, file, FileImport(source="narrow"), by=BY)
    labels = {key: (await content(arnia, key))["tlp"] for key in ("wide", "red", "none")}
    assert labels == {"wide": "GREEN", "red": "RED", "none": "GREEN"}
    await publish(arnia, "solution", "none", a_solution(), tlp="CLEAR")
    await imports.import_file(arnia, file, FileImport(source="narrow"), by=BY)
    assert (await content(arnia, "none"))["tlp"] == "GREEN", "a person widened it beyond its source"
    await imports.import_file(
        arnia, a_file(an_item("x", a_solution()), label="RED"), FileImport(kind="list"), by=BY
    )
    assert (await content(arnia, "x"))["tlp"] == "RED"


async def test_a_record_belongs_to_one_source_and_a_quota_bounds_each(
    arnia: Node, web: WebServer, source: str
) -> None:
    web.serve(GLPI)
    await run(arnia)
    await sources.add(
        arnia, SourceSettings(name="other", kind="list", quota=SourceQuota(records=1, runs=2)), by=BY
    )
    other = FileImport(source="other")
    report = await imports.import_file(arnia, a_file(GLPI, MATOMO, an_item("c", a_solution())), other, by=BY)
    assert report.counts == counts(rejected=3)
    assert "belongs to the source shelf" in report.lines[-1].reasons[0]
    assert "quota" in report.lines[0].reasons[0]
    report = await imports.import_file(arnia, a_file(MATOMO, an_item("c", a_solution())), other, by=BY)
    assert report.counts == counts(created=1, rejected=1)
    with pytest.raises(TooManyRequests):
        await imports.import_file(arnia, a_file(), other, by=BY)


async def test_a_failing_source_backs_off_and_goes_on(arnia: Node, web: WebServer, source: str) -> None:
    moment = [NOW]
    arnia.clock = lambda: moment[0]
    web.status = 503
    web.headers = "retry-after: 4000\r\n"
    report = await source_runs.run_now(arnia, source, by=BY)
    assert (report.outcome, report.reason) == ("failed", "the source answered 503")
    assert report.reason_fr == "la source a répondu 503"
    stored = await sources.find(arnia, source)
    assert (stored.failures, stored.failing_since, stored.next_at) == (1, NOW, NOW + timedelta(seconds=4_000))
    web.status, web.headers, web.body = 200, "", b"no JSON"
    moment[0] += timedelta(hours=1)
    report = await source_runs.run_now(arnia, source, by=BY)
    assert report.reason is not None
    assert report.reason.startswith("it cannot be read")
    for status, reason in ((302, "has moved"), (404, "answered 404")):
        web.status = status
        assert reason in ((await source_runs.run_now(arnia, source, by=BY)).reason or "")
    stored = await sources.find(arnia, source)
    assert (stored.failures, stored.failing_since) == (4, NOW)
    assert (stored.reason, stored.reason_fr) == ("the source answered 404", "la source a répondu 404")
    web.status = 200
    web.serve(GLPI)
    assert (await run(arnia)).counts == counts(created=1)
    stored = await sources.find(arnia, source)
    assert (stored.failures, stored.failing_since) == (0, None)
    assert (stored.reason, stored.reason_fr) == (None, None)


async def test_an_answer_beyond_the_quota_is_not_read(arnia: Node, web: WebServer) -> None:
    quota = SourceQuota(mebibytes=1)
    new = SourceSettings(name="big", kind="list", url=web.url, every=600, private=True, quota=quota)
    await sources.add(arnia, new, by=BY)
    web.body = b" " * 1_048_577
    report = await source_runs.run_now(arnia, "big", by=BY)
    assert report.reason == "the source cannot be read: the answer is longer than 1048576 bytes"
    assert report.reason_fr == "la source ne peut pas être lue : la réponse dépasse 1048576 octets"
    web.body = a_file().ljust(1_048_576)
    assert (await run(arnia, "big")).outcome == "done"


async def test_two_processes_run_a_source_once(arnia: Node, dsn: str, web: WebServer, source: str) -> None:
    web.serve(GLPI)
    async with a_node("arnia", dsn) as other:
        done = await asyncio.gather(source_runs.run_due(arnia), source_runs.run_due(other))
        assert sum(done) == 1
        assert len(web.requests) == 1
        assert await source_runs.run_due(other) == 0, "it is not due any more"
        async with arnia.store.try_task(f"source {source}"):
            with pytest.raises(Conflict):
                await source_runs.run_now(other, source, by=BY)
    assert (await run(arnia)).outcome == "not-modified"


async def test_a_paused_source_is_not_polled_until_it_is_resumed(
    arnia: Node, web: WebServer, source: str
) -> None:
    await sources.change(arnia, source, SourceChange(state="paused"), by=BY)
    assert await source_runs.run_due(arnia) == 0
    web.serve(GLPI)
    assert (await sources.change(arnia, source, SourceChange(state="active"), by=BY)).next_at is not None
    assert await source_runs.run_due(arnia) == 1
    changed = await sources.change(arnia, source, SourceChange(every=3_600), by=BY)
    assert changed.every == 3_600


async def test_reports_are_bounded_in_number(arnia: Node, dsn: str, source: str) -> None:
    await executed(dsn, "UPDATE sources SET runs = 7")
    for _ in range(3):
        await imports.import_file(arnia, a_file(), FileImport(source=source), by=BY)
    assert [report.number for report in await sources.runs(arnia, source)] == [10, 9, 8]
    await executed(dsn, f"UPDATE sources SET runs = {8 + MAX_RUNS}")
    await imports.import_file(arnia, a_file(), FileImport(source=source), by=BY)
    assert [report.number for report in await sources.runs(arnia, source)] == [9 + MAX_RUNS, 10]


async def test_a_person_imports_what_they_may_write_and_see(arnia: Node) -> None:
    editor = Caller(
        node="arnia", operator="arnia", person="p", ceiling=Ceiling(), scopes=frozenset({"solutions.write"})
    )
    file = FileImport(kind="list")
    report = await imports.import_file(arnia, a_file(GLPI), file, by=editor)
    assert report.counts == counts(created=1)
    await publish(arnia, "solution", "secret", a_solution(name="Hidden"), tlp="RED")
    report = await imports.import_file(arnia, a_file(an_item("secret", a_solution())), file, by=editor)
    assert report.counts == counts(rejected=1)
    assert "Hidden" not in str(report)
    deployments = {"type": "deployments", "key": "d", "members": {}}
    with pytest.raises(MissingScope):
        await imports.import_file(arnia, a_file(deployments), file, by=editor)


async def test_removing_a_source_leaves_its_records(arnia: Node, web: WebServer, source: str) -> None:
    web.serve(GLPI)
    await run(arnia)
    await sources.remove(arnia, source, by=BY)
    assert await content(arnia, "glpi") is not None
    with pytest.raises(NotFound):
        await sources.find(arnia, source)
    async with arnia.store.read() as tx:
        events = [msgspec.json.decode(row.entry)["event"] for row in await tx.audit.page()]
    assert events[-2:] == ["source.added", "source.removed"]
