"""Everything the node holds, in order of arrival: JSON, NDJSON, server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from federation.api import change_log
from federation.domain.feed import mint_epoch
from federation.node.node import Node
from tests.api.http_client import fine, lines, on_the_wire, refused
from tests.domain.builders import a_solution
from tests.nodes import publish
from tests.waiting import MAX_WAIT_SECONDS, until

SSE = {"accept": "text/event-stream"}
NDJSON = {"accept": "application/x-ndjson"}


async def a_story(node: Node) -> None:
    await publish(node, "solution", "a", a_solution())
    await publish(node, "solution", "b", a_solution(), tlp="RED")
    await publish(node, "solution", "a", a_solution(status="beta"))


async def events(answer: httpx2.Response) -> AsyncIterator[dict[str, str]]:
    found: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if not line and found:
            yield found
            found = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            found[name] = value


async def test_changes_come_in_order_of_arrival_with_their_origin(
    own: httpx2.AsyncClient, arnia: Node
) -> None:
    await a_story(arnia)
    page = fine(await own.get("/v1/changes"), 200)
    assert [(e["origin"], e["key"], e["revision"], e["op"]) for e in page["entries"]] == [
        ("arnia", "b", 1, "upsert"), ("arnia", "a", 2, "upsert"),
    ]  # fmt: skip
    assert not page["more"]
    assert fine(await own.get(f"/v1/changes?after={page['cursor']}"), 200)["entries"] == []


async def test_pages_of_changes_lead_to_the_end(own: httpx2.AsyncClient, arnia: Node) -> None:
    for n in range(5):
        await publish(arnia, "solution", f"s{n}", a_solution())
    found, after, more = [], "", True
    while more:
        page = fine(await own.get(f"/v1/changes?limit=2&after={after}"), 200)
        found += [entry["key"] for entry in page["entries"]]
        after, more = page["cursor"], page["more"]
    assert found == [f"s{n}" for n in range(5)]


async def test_lines_of_changes_can_be_resumed_after_any(own: httpx2.AsyncClient, arnia: Node) -> None:
    for n in range(5):
        await publish(arnia, "solution", f"s{n}", a_solution())
    whole = lines(await own.get("/v1/changes?limit=2", headers=NDJSON))
    assert [entry["key"] for entry in whole] == [f"s{n}" for n in range(5)]
    for number, entry in enumerate(whole, 1):
        rest = await own.get(f"/v1/changes?limit=2&after={entry['cursor']}", headers=NDJSON)
        assert lines(rest) == whole[number:]


@pytest.mark.parametrize("form", ["application/json", "application/x-ndjson", "text/event-stream"])
async def test_cursors_of_changes_that_do_not_fit_are_refused(
    own: httpx2.AsyncClient, arnia: Node, form: str
) -> None:
    await a_story(arnia)
    accept, epoch = {"accept": form}, arnia.notifier.state.epoch
    refused(await own.get("/v1/changes?after=x", headers=accept), 400, "invalid")
    refused(await own.get(f"/v1/changes?after={epoch}.9", headers=accept), 400, "cursor-in-future")
    refused(await own.get(f"/v1/changes?after={mint_epoch()}.1", headers=accept), 409, "epoch-changed")
    if form == "text/event-stream":
        for wrong, code in (("x", "invalid"), (f"{epoch}.9", "cursor-in-future")):
            answer = await own.get("/v1/changes", headers={**accept, "last-event-id": wrong})
            refused(answer, 400, code)
    else:
        assert (await own.get(f"/v1/changes?after={epoch}.3", headers=accept)).status_code == 200


async def test_a_peer_does_not_follow_everything(peer: httpx2.AsyncClient, own: httpx2.AsyncClient) -> None:
    for form in ("application/json", "application/x-ndjson", "text/event-stream"):
        refused(await peer.get("/v1/changes", headers={"accept": form}), 403, "missing-scope")
    assert (await own.get("/v1/changes")).status_code == 200


async def test_events_come_as_they_happen_and_go_on_after_the_last_one_seen(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not when the stream looks up from its silence: that is after an hour, here."""
    monkeypatch.setattr(change_log, "HEARTBEAT_SECONDS", 3_600.0)
    async with on_the_wire(dsn) as (node, client), asyncio.timeout(MAX_WAIT_SECONDS):
        await a_story(node)
        async with client.stream("GET", "/v1/changes", headers=SSE) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["cache-control"] == "no-store"
            told = events(answer)
            first, second = await anext(told), await anext(told)
            await publish(node, "solution", "c", a_solution())
            third = await anext(told)
        keys = [json.loads(event["data"])["key"] for event in (first, second, third)]
        assert keys == ["b", "a", "c"]
        assert all(json.loads(event["data"])["cursor"] == event["id"] for event in (first, second, third))
        assert {event["event"] for event in (first, second, third)} == {"upsert"}
        again = {**SSE, "last-event-id": first["id"]}
        async with client.stream("GET", "/v1/changes", headers=again) as answer:
            told = events(answer)
            assert [await anext(told), await anext(told)] == [second, third]


async def test_events_end_with_the_token_they_were_asked_with(dsn: str) -> None:
    async with on_the_wire(dsn) as (node, client):
        received: list[Any] = []
        async with client.stream("GET", "/v1/changes", headers=SSE) as answer:
            told = events(answer)
            await publish(node, "solution", "a", a_solution())
            received.append(await anext(told))
            async with node.store.write() as tx:
                await tx.clients.revoke("erp")

            async def gone() -> bool:
                return (await client.get("/v1/changes")).status_code == 401

            await until(gone)
            await publish(node, "solution", "b", a_solution(), tlp="RED")
            async with asyncio.timeout(MAX_WAIT_SECONDS):
                received += [event async for event in told]
        assert [event["event"] for event in received] == ["upsert", "refused"]
        assert "RED" not in str(received), "a revoked client was told of a RED record"


async def test_streams_end_when_the_node_stops(dsn: str) -> None:
    async with asyncio.timeout(MAX_WAIT_SECONDS):
        async with on_the_wire(dsn) as (_, client):
            opened = client.stream("GET", "/v1/changes", headers=SSE)
            answer = await opened.__aenter__()
            assert answer.status_code == 200
        # `served` has drained for at most 5 seconds by now.
        await opened.__aexit__(None, None, None)
