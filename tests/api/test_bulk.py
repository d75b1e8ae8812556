"""Bulk uploads."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from federation.api import uploads
from federation.node.node import Node
from tests.api.http_client import NDJSON, fine, left_behind, lines, ndjson, on_the_wire, refused, upload
from tests.domain.builders import a_solution
from tests.waiting import MAX_WAIT_SECONDS, until


def a_line(key: str, **members: Any) -> dict[str, Any]:
    return {"key": key, "content": a_solution(**members)}


async def held(node: Node) -> int:
    async with node.store.read() as tx:
        found: int = await tx.records._session.connection.fetchval("SELECT count(*) FROM records")
        return found


async def test_good_lines_are_kept_and_bad_ones_reported_with_their_number(
    own: httpx2.AsyncClient, arnia: Node
) -> None:
    body = b"\n".join(
        [
            ndjson(a_line("a")).strip(),
            b"nonsense",
            b"",
            ndjson(a_line("b", status="great")).strip(),
            ndjson({**a_line("c"), "revision": 3}).strip(),
            ndjson({"content": a_solution()}).strip(),
            ndjson({**a_line("d"), "tlp": "AMBER", "audience": "nobody"}).strip(),
            ndjson(a_line("e", name="a\u202eb")).strip(),
            b"[]",
            b'{"key":"f","key":"f","content":{}}',
            b"\xff",
            ndjson(a_line("z")).strip(),
        ]
    )
    told, summary = await upload(own, body)
    assert sorted((line["line"], line.get("key"), line.get("pointer")) for line in told) == [
        (2, None, None), (4, None, "/content/status"), (5, None, "/revision"), (6, None, "/key"),
        (7, "d", "/audience"), (8, "e", "/content/name"), (9, None, ""), (10, None, "/key"),
        (11, None, None),
    ]  # fmt: skip
    assert {line["status"] for line in told} == {400}
    assert all(line["title"] and line["detail"] for line in told)
    assert summary == {"received": 12, "created": 2, "revised": 0, "unchanged": 0, "refused": 9}
    found = fine(await own.get("/v1/solutions?sort=id"), 200)["items"]
    assert [item["key"] for item in found] == ["a", "z"]


async def test_an_upload_repeated_changes_nothing(own: httpx2.AsyncClient, arnia: Node) -> None:
    body = ndjson(*(a_line(f"s{n}") for n in range(20)))
    _, first = await upload(own, body)
    before = await left_behind(arnia)
    told, again = await upload(own, body)
    assert first == {"received": 20, "created": 20, "revised": 0, "unchanged": 0, "refused": 0}
    assert again == {"received": 20, "created": 0, "revised": 0, "unchanged": 20, "refused": 0}
    assert told == []
    assert await left_behind(arnia) == before
    _, changed = await upload(own, ndjson(a_line("s0", status="beta"), a_line("new")))
    assert (changed["revised"], changed["created"]) == (1, 1)


async def test_a_key_is_in_an_upload_once(own: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    body = ndjson(a_line("a", name="first"), a_line("b"), a_line("a", name="second"))
    (told,), summary = await upload(own, body)
    assert (told["line"], told["key"], told["pointer"]) == (3, "a", "/key")
    assert "line 1" in told["detail"]
    assert summary["created"] == 2
    assert (await own.get("/v1/solutions/arnia/a")).json()["content"]["name"] == "first"


async def test_a_key_is_in_an_upload_once_however_far_apart(own: httpx2.AsyncClient, arnia: Node) -> None:
    """Else an upload that is repeated would revise the record twice each time."""
    others = [a_line(f"s{n}") for n in range(uploads.BATCH_LINES)]
    body = ndjson(a_line("a", name="first"), *others, a_line("a", name="second"))
    told, _ = await upload(own, body)
    assert [(line["line"], line["key"]) for line in told] == [(uploads.BATCH_LINES + 2, "a")]
    before = await left_behind(arnia)
    await upload(own, body)
    assert await left_behind(arnia) == before


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\n\n", b"\n \t\n"])
async def test_lines_end_in_any_way(own: httpx2.AsyncClient, ending: bytes) -> None:
    one, two = ndjson(a_line("a")).strip(), ndjson(a_line("b")).strip()
    for body in (one + ending + two, one + ending + two + ending):
        told, summary = await upload(own, body)
        assert told == []
        assert summary["created"] + summary["unchanged"] == 2


async def test_lines_are_whole_however_they_are_cut(own: httpx2.AsyncClient) -> None:
    body = ndjson(*(a_line(f"é{n}".replace("é", "e"), name="réseau") for n in range(5)))

    async def crumbs() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 7):
            yield body[start : start + 7]

    _, summary = await upload(own, crumbs())
    assert summary["created"] == 5


async def test_an_empty_upload_keeps_nothing(own: httpx2.AsyncClient, arnia: Node) -> None:
    before = await left_behind(arnia)
    for body in (b"", b"\n", b"\n\r\n"):
        told, summary = await upload(own, body)
        assert (told, summary["created"]) == ([], 0)
    assert await left_behind(arnia) == before


async def in_parts(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_a_line_that_is_too_long_is_refused_and_the_good_ones_kept(own: httpx2.AsyncClient) -> None:
    long = ndjson(a_line("long", name="x" * uploads.MAX_LINE_BYTES))
    body = ndjson(a_line("a")) + long + ndjson(a_line("z"))
    (told,), summary = await upload(own, body)
    assert (told["line"], told["status"]) == (2, 413)
    assert summary == {"received": 3, "created": 2, "revised": 0, "unchanged": 0, "refused": 1}


async def test_what_came_before_a_line_without_an_end_is_kept(own: httpx2.AsyncClient, arnia: Node) -> None:
    """The line never ends, so the upload is given up there; what was good before it is kept."""
    endless = in_parts(ndjson(a_line("a"), a_line("b")), *[b"x" * 300_000] * 5)
    (told,), summary = await upload(own, endless)
    assert (told["line"], told["status"]) == (3, 413)
    assert summary["created"] == 2
    assert await held(arnia) == 2


async def test_what_came_before_the_last_line_allowed_is_kept(
    own: httpx2.AsyncClient, arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_LINES", 10)
    told, summary = await upload(own, ndjson(*(a_line(f"s{n}") for n in range(10))))
    assert (told, summary["created"]) == ([], 10)
    told, summary = await upload(own, ndjson(*(a_line(f"t{n}") for n in range(12))))
    assert (told[0]["line"], told[0]["status"]) == (11, 413)
    assert summary["created"] == 10
    assert await held(arnia) == 20


def test_an_upload_has_at_most_a_hundred_thousand_lines() -> None:
    assert uploads.MAX_LINES == 100_000


async def test_an_upload_is_not_read_beyond_its_bytes(
    own: httpx2.AsyncClient, arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = await own.post(
        "/v1/solutions/bulk", headers={**NDJSON, "content-length": str(uploads.MAX_UPLOAD_BYTES + 1)}
    )
    refused(answer, 413, "too-large")
    monkeypatch.setattr(uploads, "MAX_UPLOAD_BYTES", 2_000)
    parts = [ndjson(a_line(f"s{n}")) for n in range(20)]
    told, summary = await upload(own, in_parts(*parts))
    assert told[-1]["status"] == 413
    assert summary["created"] == summary["received"] > 0
    assert await held(arnia) == summary["created"]


async def test_an_upload_of_several_batches_is_kept(dsn: str) -> None:
    async with on_the_wire(dsn) as (_, client):
        body = ndjson(*(a_line(f"s{n}") for n in range(2_500)))
        _, summary = await upload(client, body)
        assert summary["created"] == 2_500
        _, again = await upload(client, body)
        assert again["unchanged"] == 2_500


async def test_a_broken_connection_keeps_whole_batches(dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    async with on_the_wire(dsn) as (node, client):
        body = ndjson(*(a_line(f"s{n}") for n in range(2_500)))
        url = urlsplit(str(client.base_url))
        _, writer = await asyncio.open_connection(url.hostname, url.port)
        head = (
            f"POST /v1/solutions/bulk HTTP/1.1\r\nHost: {url.netloc}\r\n"
            "Content-Type: application/x-ndjson\r\n"
            f"Authorization: {client.headers['authorization']}\r\nContent-Length: {len(body) + 1000}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()

        async def two_batches() -> bool:
            return await held(node) >= 2_000

        await until(two_batches)
        writer.transport.abort()
        await asyncio.sleep(0.5)
        assert await held(node) == 2_000
        _, summary = await upload(client, body)
        assert (summary["unchanged"], summary["created"]) == (2_000, 500)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_client_may_send_everything_before_it_reads(dsn: str) -> None:
    """Thousands of refusals: the report must not fill the pipe while the client still sends."""
    async with on_the_wire(dsn) as (_, client), asyncio.timeout(MAX_WAIT_SECONDS):
        bad = b"nonsense\n" * 20_000
        told, summary = await upload(client, bad)
        assert len(told) == summary["refused"] == 20_000


async def test_uploads_at_the_same_time_do_not_wait_for_each_other_for_ever(own: httpx2.AsyncClient) -> None:
    names = [f"s{n}" for n in range(200)]
    async with asyncio.timeout(MAX_WAIT_SECONDS):
        await asyncio.gather(
            upload(own, ndjson(*(a_line(name, name="one") for name in names))),
            upload(own, ndjson(*(a_line(name, name="two") for name in reversed(names)))),
        )
    page = fine(await own.get("/v1/solutions?limit=500"), 200)
    assert len(page["items"]) == 200


async def test_each_type_can_be_uploaded(own: httpx2.AsyncClient) -> None:
    from federation.api.examples import DRAFTS, KEYS
    from federation.domain.registry import TYPES

    for kind in TYPES.values():
        body = ndjson({"key": KEYS[kind.type], **DRAFTS[kind.type]})
        told, summary = await upload(own, body, kind.plural)
        assert (told, summary["created"]) == ([], 1)


async def test_the_form_of_an_upload_is_checked_first(own: httpx2.AsyncClient) -> None:
    answer = await own.post("/v1/solutions/bulk", content=b"{}", headers={"content-type": "application/json"})
    refused(answer, 415, "unsupported-media-type")
    good = await own.post("/v1/solutions/bulk", content=ndjson(a_line("a")), headers=NDJSON)
    assert json.loads(good.content) == {"summary": lines(good)[-1]["summary"]}


async def test_an_upload_that_asks_for_a_dry_run_is_refused_and_publishes_nothing(
    own: httpx2.AsyncClient,
) -> None:
    body = ndjson({"key": "glpi", "content": a_solution()})
    for query in ("dry_run=true", "dry_run=false", "set=mine"):
        answer = await own.post(f"/v1/solutions/bulk?{query}", content=body, headers=NDJSON)
        refused(answer, 400, "invalid", pointer=f"?{query.split('=')[0]}")
    assert (await own.get("/v1/solutions/arnia/glpi")).status_code == 404
    assert (await own.post("/v1/solutions/bulk", content=body, headers=NDJSON)).status_code == 200
    assert (await own.get("/v1/solutions/arnia/glpi")).status_code == 200
