"""Webhooks of monitoring over HTTP: with the secret of a source, and a report of each event."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from federation.domain.content.incident import Incident
from federation.domain.query import Query
from federation.domain.sources.source import SourceChange, SourceSettings
from federation.domain.visibility import itself
from federation.node import records, source_deliveries, source_events, sources
from federation.node.node import Node
from tests.api.http_client import fine, refused
from tests.domain.builders import a_deployment, a_solution, nested
from tests.monitoring.webhooks import TEST_OF_UPTIME_KUMA, alertmanager, an_alert, grafana, uptime_kuma
from tests.nodes import browsing, publish

OWN = itself("arnia")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
JSON = {"content-type": "application/json"}


@pytest.fixture
async def node(arnia: Node) -> Node:
    arnia.clock = lambda: NOON
    await publish(arnia, "solution", "glpi", a_solution())
    await publish(arnia, "deployment", "glpi-dijon", a_deployment())
    return arnia


async def add(node: Node, kind: str, **options: Any) -> str:
    """The secret of a new source that is called as its kind."""
    added = await sources.add(node, SourceSettings(name=kind, kind=kind, options=options), by=OWN)
    assert added.secret
    return added.secret


async def outages(node: Node) -> list[dict[str, Any]]:
    documents, _, _ = await records.collect(node, Query(kind=Incident), by=OWN)
    return [json.loads(document)["content"] for document in documents]


@pytest.mark.parametrize(
    ("kind", "down", "up"),
    [
        ("uptime-kuma", uptime_kuma(), uptime_kuma(1, "2026-03-01 10:20:00")),
        *(
            (kind, write(an_alert()), write(an_alert(state="resolved", ends_at="2026-03-01T10:20:00Z")))
            for kind, write in (("alertmanager", alertmanager), ("grafana", grafana))
        ),
    ],
)
async def test_a_webhook_opens_and_resolves_an_outage(node: Node, kind: str, down: bytes, up: bytes) -> None:
    secret = await add(node, kind)
    bearer = {**JSON, "authorization": f"Bearer {secret}"}
    basic = {**JSON, "authorization": f"Basic {base64.b64encode(f'any:{secret}'.encode()).decode()}"}
    async with browsing(node) as client:
        path = f"/v1/sources/{kind}/events"
        opened = fine(await client.post(path, content=down, headers=bearer), 200)
        assert (opened["trigger"], opened["counts"]["created"]) == ("event", 1)
        again = fine(await client.post(path, content=down, headers=basic), 200)
        assert (again["counts"]["unchanged"], again["number"]) == (1, 0)
        resolved = fine(await client.post(path, content=up, headers=bearer), 200)
        assert resolved["counts"]["revised"] == 1
        (outage,) = fine(await client.get("/v1/incidents"), 200)["items"]  # without a token
    assert (outage["content"]["status"], outage["key"]) == ("resolved", opened["lines"][0]["key"])
    assert [run.counts.changed for run in await sources.runs(node, kind)] == [1, 1]


async def test_nothing_is_taken_without_the_secret_of_that_source(node: Node) -> None:
    secret = await add(node, "uptime-kuma")
    other = await add(node, "alertmanager")
    async with browsing(node) as client:

        async def post(authorization: str | None, source: str = "uptime-kuma") -> httpx2.Response:
            headers = JSON if authorization is None else {**JSON, "authorization": authorization}
            return await client.post(f"/v1/sources/{source}/events", content=uptime_kuma(), headers=headers)

        for wrong in (None, f"Bearer {other}", "Bearer ", "Basic x", "Digest x", "Basic /w=="):
            refused(await post(wrong), 401, "unauthenticated")
        refused(await post(f"Bearer {secret}", "nowhere"), 401, "unauthenticated")
        assert await outages(node) == []
        await sources.change(node, "uptime-kuma", SourceChange(state="paused"), by=OWN)
        refused(await post(f"Bearer {secret}"), 409, "conflict")
        await sources.change(node, "uptime-kuma", SourceChange(state="active"), by=OWN)
        changed = await sources.new_source_secret(node, "uptime-kuma", by=OWN)
        refused(await post(f"Bearer {secret}"), 401, "unauthenticated")
        fine(await post(f"Bearer {changed.secret}"), 200)


async def test_the_test_of_a_notification_is_accepted_and_a_body_at_fault_is_a_failure(node: Node) -> None:
    secret = await add(node, "uptime-kuma")
    headers = {**JSON, "authorization": f"Bearer {secret}"}
    async with browsing(node) as client:
        path = "/v1/sources/uptime-kuma/events"
        fine(await client.post(path, content=TEST_OF_UPTIME_KUMA, headers=headers), 200)
        source = await sources.find(node, "uptime-kuma")
        assert (source.last_success_at, source.failures) == (NOON, 0)
        refused(await client.post(path, content=b'{"custom": 1}', headers=headers), 400, "invalid")
        deep = refused(await client.post(path, content=nested(30_000), headers=headers), 400, "invalid")
        assert "nested deeper" in deep["detail"]
        failing = await sources.find(node, "uptime-kuma")
        assert failing.failures == 2
        french = "le JSON a plus de 32 niveaux d'imbrication"
        assert (failing.reason, failing.reason_fr) == (deep["detail"], french)
        unknown = uptime_kuma(deployment=None)
        report = fine(await client.post(path, content=unknown, headers=headers), 200)
    assert report["counts"]["rejected"] == 1
    assert "label deployment" in report["lines"][0]["reasons"][0]
    assert "étiquette deployment" in report["lines"][0]["reasons_fr"][0]


async def test_deliveries_at_once_open_one_outage(node: Node) -> None:
    await add(node, "alertmanager")
    source = await sources.find(node, "alertmanager")
    body = alertmanager(an_alert())
    reports = await asyncio.gather(*(source_deliveries.deliver(node, source, body) for _ in range(3)))
    assert sorted(report.counts.created for report in reports) == [0, 0, 1]
    assert len(await outages(node)) == 1


async def test_a_rule_with_a_fault_opens_a_bounded_number_of_outages(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_events, "MAX_OPEN", 2)
    await add(node, "alertmanager")
    source = await sources.find(node, "alertmanager")
    body = alertmanager(*(an_alert(fingerprint=name) for name in "abc"))
    report = await source_deliveries.deliver(node, source, body)
    assert (report.counts.created, report.counts.rejected) == (2, 1)


async def test_a_source_that_is_silent_is_an_alert_and_an_outage_where_it_says_so(node: Node) -> None:
    await add(node, "alertmanager", heartbeat_seconds=600, heartbeat_deployment="glpi-dijon")
    await add(node, "grafana", heartbeat_seconds=600)
    await add(node, "uptime-kuma")
    await source_deliveries.check_silence(node)
    assert await outages(node) == []
    created_at = (await sources.find(node, "grafana")).created_at
    node.clock = lambda: created_at + timedelta(minutes=11)
    await source_deliveries.check_silence(node)
    await source_deliveries.check_silence(node)
    failures = {source.name: source.failures for source in await sources.all(node)}
    assert failures == {"alertmanager": 3, "grafana": 3, "uptime-kuma": 0}
    for name in ("alertmanager", "grafana"):
        silent = await sources.find(node, name)
        assert (silent.reason or "").startswith("nothing was delivered (the last delivery: 20")
        assert (silent.reason_fr or "").startswith("rien n'a été envoyé (dernier envoi : 20")
    (outage,) = await outages(node)
    assert (outage["status"], outage["affects"]) == ("investigating", [{"deployments": ["arnia/glpi-dijon"]}])

    watchdog = alertmanager(an_alert(alertname="Watchdog", starts_at="2026-01-01T00:00:00Z"))
    await source_deliveries.deliver(node, await sources.find(node, "alertmanager"), watchdog)
    heard = await sources.find(node, "alertmanager")
    assert (heard.failures, heard.reason, heard.reason_fr) == (0, None, None)
    (outage,) = await outages(node)
    assert outage["status"] == "resolved"
