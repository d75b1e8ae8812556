"""What the report of an upload says when part of it could not be kept: no record is lost in silence."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from federation.api import upload_lines, uploads
from federation.domain.draft import Draft
from federation.domain.entry import Lines
from federation.domain.errors import Conflict, Refused, Unavailable, WriteConflict
from federation.domain.record_content import Content
from federation.domain.visibility import Caller
from federation.edge import requests
from federation.node import records as node_records
from federation.node.edits import WriteResult
from federation.node.node import Node
from tests.api.http_client import NDJSON, lines, ndjson, on_the_wire, upload
from tests.domain.builders import a_solution, an_incident
from tests.nodes import publish
from tests.waiting import MAX_WAIT_SECONDS


def a_line(key: str, **members: Any) -> dict[str, Any]:
    return {"key": key, "content": a_solution(**members)}


def many(prefix: str, count: int) -> list[dict[str, Any]]:
    return [a_line(f"{prefix}{n}") for n in range(count)]


async def report(client: httpx2.AsyncClient, body: bytes | AsyncIterator[bytes]) -> list[dict[str, Any]]:
    """Every line of the report, the summary if there is one included."""
    answer = await client.post("/v1/solutions/bulk", content=body, headers=NDJSON)
    assert answer.status_code == 200, answer.text
    return lines(answer)


async def in_parts(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def failing(monkeypatch: pytest.MonkeyPatch, batch: int, error: Refused) -> None:
    """Let one batch of an upload fail, counted from 1."""
    keep, batches = node_records.upload, 0

    async def upload(
        node: Node, kind: type[Content], drafts: Mapping[str, Draft[Any]], *, by: Caller, **options: Any
    ) -> dict[str, WriteResult | Refused]:
        nonlocal batches
        batches += 1
        if batches == batch:
            raise error
        return await keep(node, kind, drafts, by=by, **options)

    monkeypatch.setattr(node_records, "upload", upload)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unavailable("the database went away"), 503),
        (WriteConflict(), 503),
        (Conflict("others were first"), 409),
    ],
    ids=["unavailable", "raced", "conflict"],
)
async def test_every_line_of_a_batch_that_failed_is_reported_and_there_is_no_summary(
    own: httpx2.AsyncClient, arnia: Node, monkeypatch: pytest.MonkeyPatch, error: Refused, status: int
) -> None:
    monkeypatch.setattr(uploads, "BATCH_LINES", 10)
    failing(monkeypatch, 2, error)
    told = await report(own, ndjson(*many("s", 25)))
    assert [(line["line"], line["key"]) for line in told] == [(n, f"s{n - 1}") for n in range(11, 21)]
    assert {(line["status"], line["detail"]) for line in told} == {(status, error.detail)}
    # Sent again as the documentation says, nothing is missing.
    _, summary = await upload(own, ndjson(*many("s", 25)))
    assert (summary["unchanged"], summary["created"], summary["refused"]) == (10, 15, 0)


async def test_the_last_batch_that_failed_is_reported_too(
    own: httpx2.AsyncClient, arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, 1, Unavailable("the database went away"))
    told = await report(own, ndjson(*many("s", 3)))
    assert [line["line"] for line in told] == [1, 2, 3]


async def test_what_fails_after_a_bound_was_reached_is_reported_and_there_is_no_summary(
    own: httpx2.AsyncClient, arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_lines, "MAX_LINES", 3)
    failing(monkeypatch, 1, Unavailable("the database went away"))
    told = await report(own, ndjson(*many("s", 5)))
    assert [(line["line"], line["status"]) for line in told] == [(1, 503), (2, 503), (3, 503)]


@pytest.mark.parametrize("piece", [1_000, 65_536, 400_000, 10_000_000])
async def test_a_line_that_is_too_long_takes_no_other_with_it(dsn: str, piece: int) -> None:
    """However the body is cut."""
    good = many("s", 99)
    body = ndjson(*good[:50]) + b"x" * 3_000_000 + b"\n" + ndjson(*good[50:])
    parts = in_parts(*(body[start : start + piece] for start in range(0, len(body), piece)))
    async with on_the_wire(dsn) as (_, client):
        (told,), summary = await upload(client, parts)
    assert (told["line"], told["status"]) == (51, 413)
    assert summary == {
        "received": 100, "created": 99, "revised": 0, "unchanged": 0, "retracted": 0, "refused": 1
    }  # fmt: skip


async def test_a_line_that_is_too_long_is_counted_once_wherever_it_stands(dsn: str) -> None:
    long = [b"x" * 400_000] * 4
    parts = [*long, b"\n", *long, b"\n", ndjson(a_line("a")), *long]
    async with on_the_wire(dsn) as (_, client):
        told, summary = await upload(client, in_parts(*parts))
    assert [(line["line"], line["status"]) for line in told] == [(1, 413), (2, 413), (4, 413)]
    assert (summary["received"], summary["created"]) == (4, 1)


def test_a_line_that_is_skipped_is_not_kept_in_memory() -> None:
    cut = Lines()
    assert cut.cut(b"a\nb") == [b"a"]
    cut.skip()
    for _ in range(1_000):
        assert cut.cut(b"x" * 1_000) == []
        assert (cut.rest, cut.end()) == (0, b"")
    assert cut.cut(b"y\nnext\nand") == [b"next"]
    assert (cut.rest, cut.end()) == (3, b"and")
    cut.skip()
    assert cut.cut(b"rest\n") == []
    assert cut.cut(b"z\n") == [b"z"]


async def test_an_upload_that_falls_silent_keeps_what_came_and_says_that_it_was_cut_short(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = ndjson(*many("s", 3)) + b'{"key":'
    async with on_the_wire(dsn) as (_, client), asyncio.timeout(MAX_WAIT_SECONDS):
        monkeypatch.setattr(requests, "MAX_SILENT_SECONDS", 1.0)
        url = urlsplit(str(client.base_url))
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        writer.write(
            f"POST /v1/solutions/bulk HTTP/1.1\r\nHost: {url.netloc}\r\n"
            "Content-Type: application/x-ndjson\r\n"
            f"Authorization: {client.headers['authorization']}\r\n"
            f"Content-Length: {len(body) + 1_000}\r\n\r\n".encode()
            + body
        )
        head, _, answered = (await reader.read()).partition(b"\r\n\r\n")  # and the connection ends
        writer.close()
        assert head.startswith(b"HTTP/1.1 200 ")
        told = json.loads(answered)
        assert (told["line"], told["status"]) == (4, 408)
        _, summary = await upload(client, ndjson(*many("s", 3)))
    assert summary["unchanged"] == 3


async def test_an_upload_may_last_longer_than_other_bodies(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        for line in many("s", 4):
            yield ndjson(line)
            await asyncio.sleep(0.1)

    async with on_the_wire(dsn) as (_, client):
        monkeypatch.setattr(requests, "MAX_SILENT_SECONDS", MAX_WAIT_SECONDS)
        monkeypatch.setattr(requests, "MAX_BODY_SECONDS", 0.1)
        _, summary = await upload(client, slowly())
    assert summary["created"] == 4


async def test_a_line_of_an_incident_keeps_its_timeline(own: httpx2.AsyncClient, arnia: Node) -> None:
    line = {"at": "2026-03-01T08:30:00Z", "status": "identified", "text": {"fr": "Cause trouvée"}}
    await publish(arnia, "incident", "i1", an_incident(updates=[line]))
    body = ndjson(
        {"key": "i1", "content": an_incident(severity="low")}, {"key": "i2", "content": an_incident()}
    )
    (told,), summary = await upload(own, body, "incidents")
    assert (told["line"], told["status"], told["errors"][0]["pointer"]) == (1, 400, "/content/updates")
    assert summary["created"] == 1
