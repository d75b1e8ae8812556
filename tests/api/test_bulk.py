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

from federation.api import upload_lines, uploads
from federation.node.node import Node
from tests.api.http_client import (
    JSON,
    NDJSON,
    fine,
    left_behind,
    lines,
    ndjson,
    on_the_wire,
    refused,
    upload,
)
from tests.domain.builders import a_solution
from tests.store.stepwise_transactions import looking
from tests.waiting import MAX_WAIT_SECONDS, until


def a_line(key: str, **members: Any) -> dict[str, Any]:
    return {"key": key, "content": a_solution(**members)}


def pointer_of(line: dict[str, Any]) -> str | None:
    """The member at fault of a refused line."""
    pointers: list[str] = [fault["pointer"] for fault in line.get("errors", ())]
    return pointers[0] if pointers else None


def counts(**numbers: int) -> dict[str, int]:
    """A summary."""
    names = ("received", "created", "revised", "unchanged", "retracted", "refused")
    return dict.fromkeys(names, 0) | numbers


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
    assert sorted((line["line"], line.get("key"), pointer_of(line)) for line in told) == [
        (2, None, None), (4, "b", "/content/status"), (5, "c", "/revision"), (6, None, "/key"),
        (7, "d", "/audience"), (8, "e", "/content/name"), (9, None, ""), (10, "f", "/key"),
        (11, None, None),
    ]  # fmt: skip
    assert {(line["status"], line["code"]) for line in told} == {(400, "invalid")}
    assert all(line["title"] and line["detail"] for line in told)
    assert summary == counts(received=12, created=2, refused=9)
    found = fine(await own.get("/v1/solutions?sort=id"), 200)["items"]
    assert [item["key"] for item in found] == ["a", "z"]


async def test_an_upload_repeated_changes_nothing(own: httpx2.AsyncClient, arnia: Node) -> None:
    body = ndjson(*(a_line(f"s{n}") for n in range(20)))
    _, first = await upload(own, body)
    before = await left_behind(arnia)
    told, again = await upload(own, body)
    assert first == counts(received=20, created=20)
    assert again == counts(received=20, unchanged=20)
    assert told == []
    assert await left_behind(arnia) == before
    _, changed = await upload(own, ndjson(a_line("s0", status="beta"), a_line("new")))
    assert (changed["revised"], changed["created"]) == (1, 1)


async def test_a_key_is_in_an_upload_once(own: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    body = ndjson(a_line("a", name="first"), a_line("b"), a_line("a", name="second"))
    (told,), summary = await upload(own, body)
    assert (told["line"], told["key"], pointer_of(told)) == (3, "a", "/key")
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
    long = ndjson(a_line("long", name="x" * upload_lines.MAX_LINE_BYTES))
    body = ndjson(a_line("a")) + long + ndjson(a_line("z"))
    (told,), summary = await upload(own, body)
    assert (told["line"], told["status"]) == (2, 413)
    assert summary == counts(received=3, created=2, refused=1)


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
    monkeypatch.setattr(upload_lines, "MAX_LINES", 10)
    told, summary = await upload(own, ndjson(*(a_line(f"s{n}") for n in range(10))))
    assert (told, summary["created"]) == ([], 10)
    told, summary = await upload(own, ndjson(*(a_line(f"t{n}") for n in range(12))))
    assert (told[0]["line"], told[0]["status"]) == (11, 413)
    assert summary["created"] == 10
    assert await held(arnia) == 20


def test_an_upload_has_at_most_a_hundred_thousand_lines() -> None:
    assert upload_lines.MAX_LINES == 100_000


async def test_an_upload_is_not_read_beyond_its_bytes(
    own: httpx2.AsyncClient, arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = await own.post(
        "/v1/solutions/bulk", headers={**NDJSON, "content-length": str(upload_lines.MAX_UPLOAD_BYTES + 1)}
    )
    refused(answer, 413, "too-large")
    monkeypatch.setattr(upload_lines, "MAX_UPLOAD_BYTES", 2_000)
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
    answer = await own.post("/v1/solutions/bulk", content=b"{}", headers={"content-type": "text/plain"})
    refused(answer, 415, "unsupported-media-type")
    good = await own.post("/v1/solutions/bulk", content=ndjson(a_line("a")), headers=NDJSON)
    assert json.loads(good.content) == {"summary": lines(good)[-1]["summary"]}


# JSON


async def test_an_upload_can_be_an_array_and_its_report_an_object(
    own: httpx2.AsyncClient, arnia: Node
) -> None:
    body = [a_line("a"), a_line("b", status="great"), a_line("a"), a_line("c")]
    answer = await own.post("/v1/solutions/bulk", json=body, headers={"accept": "application/json"})
    report = fine(answer, 200)
    assert answer.headers["content-type"] == "application/json"
    assert [(line["line"], line["key"], pointer_of(line)) for line in report["refused"]] == [
        (2, "b", "/content/status"), (3, "a", "/key"),
    ]  # fmt: skip
    assert report["summary"] == counts(received=4, created=2, refused=2)
    assert report.keys() == {"refused", "summary"}


async def test_the_form_of_the_report_is_the_one_asked_for_whatever_was_sent(
    own: httpx2.AsyncClient,
) -> None:
    as_lines = await own.post(
        "/v1/solutions/bulk", json=[a_line("a")], headers={"accept": NDJSON["content-type"]}
    )
    assert lines(as_lines) == [{"summary": counts(received=1, created=1)}]
    headers = {**NDJSON, "accept": "application/json"}
    as_object = await own.post("/v1/solutions/bulk", content=ndjson(a_line("a")), headers=headers)
    assert fine(as_object, 200) == {"refused": [], "summary": counts(received=1, unchanged=1)}
    other = await own.post("/v1/solutions/bulk", json=[], headers={"accept": "text/csv"})
    refused(other, 406, "not-acceptable")


@pytest.mark.parametrize("body", [b"{}", b"3", b"[", b'[{"key":"a"', b"", b"null", b"[1,]"], ids=repr)
async def test_json_that_is_no_array_is_refused(own: httpx2.AsyncClient, body: bytes) -> None:
    answer = await own.post("/v1/solutions/bulk", content=body, headers=JSON)
    refused(answer, 400, "invalid")


async def test_an_array_is_bounded(
    own: httpx2.AsyncClient, arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as bounded:
        bounded.setattr(upload_lines, "MAX_JSON_RECORDS", 2)
        many = await own.post("/v1/solutions/bulk", json=[a_line(key) for key in "abc"])
        assert "NDJSON" in refused(many, 413, "too-large")["detail"]
        fine(await own.post("/v1/solutions/bulk", json=[a_line(key) for key in "ab"]), 200)
    with monkeypatch.context() as bounded:
        bounded.setattr(upload_lines, "MAX_JSON_BYTES", 100)
        refused(await own.post("/v1/solutions/bulk", json=[a_line("c")]), 413, "too-large")
    assert await held(arnia) == 2


# Lines that retract


async def test_a_line_can_retract(own: httpx2.AsyncClient, arnia: Node) -> None:
    await upload(own, ndjson(a_line("a"), a_line("b"), a_line("c")))
    told, summary = await upload(
        own,
        ndjson(
            {"key": "a", "retract": True},
            a_line("b", status="beta"),
            {"key": "none", "retract": True},
            {"key": "c", "retract": False},
            {"key": "c", "retract": True, "content": a_solution()},
            # A draft that only speaks of it.
            a_line("d", name='the "retract" member'),
        ),
    )
    assert sorted((line["line"], line["status"], line["key"]) for line in told) == [
        (3, 404, "none"), (4, 400, "c"), (5, 400, "c"),
    ]  # fmt: skip
    assert summary == counts(received=6, created=1, revised=1, retracted=1, refused=3)
    assert (await own.get("/v1/solutions/arnia/a")).status_code == 410
    assert (await own.get("/v1/solutions/arnia/c")).status_code == 200
    before = await left_behind(arnia)
    _, again = await upload(own, ndjson({"key": "a", "retract": True}))
    assert again == counts(received=1, unchanged=1)
    assert await left_behind(arnia) == before


# Dry runs


async def test_a_dry_run_says_what_would_be_and_writes_nothing(
    own: httpx2.AsyncClient, arnia: Node, dsn: str
) -> None:
    await upload(own, ndjson(a_line("a"), a_line("b"), a_line("c")))
    body = ndjson(
        a_line("a"), a_line("b", status="beta"), {"key": "c", "retract": True}, a_line("d"), "nonsense",
        {**a_line("e"), "tlp": "AMBER", "audience": "nobody"}, a_line("f", status="great"),
    )  # fmt: skip
    before = await everything(dsn)
    planned = await own.post("/v1/solutions/bulk?dry_run=true&set=all", content=body, headers=NDJSON)
    assert await everything(dsn) == before
    *told, end = lines(planned)
    actions = {line["key"]: line["action"] for line in told if "action" in line}
    assert actions == {"a": "unchanged", "b": "revised", "c": "retracted", "d": "created"}
    assert [(line["line"], line.get("key")) for line in told if "status" in line] == [
        (5, None), (7, "f"), (6, "e"),
    ]  # fmt: skip
    assert end["summary"] == counts(received=7, created=1, revised=1, unchanged=1, retracted=1, refused=3)
    assert end["removals"] == [{"audience": "public", "removed": 1, "live": 3, "pauses": False}]
    assert len(end["digest"]) == 64

    # It says the same as what is then done.
    _, done = await upload(own, body)
    assert done == end["summary"]
    assert await everything(dsn) != before


async def everything(dsn: str) -> list[Any]:
    """Every row of every table that a write changes."""
    tables = (
        "node",
        "feeds",
        "records",
        "withdrawals",
        "record_sets",
        "stored_answers",
        "audit",
        "departures",
    )
    async with looking(dsn) as connection:
        return [await connection.fetch(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]


async def test_a_dry_run_in_json_has_its_lines_in_the_object(own: httpx2.AsyncClient) -> None:
    answer = await own.post(
        "/v1/solutions/bulk?dry_run=true", json=[a_line("a"), {}], headers={"accept": "application/json"}
    )
    report = fine(answer, 200)
    assert report["lines"] == [{"line": 1, "key": "a", "action": "created"}]
    assert [line["line"] for line in report["refused"]] == [2]
    assert report["dry_run"] is True
    assert (await own.get("/v1/solutions/arnia/a")).status_code == 404


async def test_the_digest_is_that_of_what_would_be_done(own: httpx2.AsyncClient) -> None:
    async def digest(*uploaded: dict[str, Any], query: str = "") -> str:
        body = ndjson(*uploaded)
        planned = await own.post(f"/v1/solutions/bulk?dry_run=true{query}", content=body, headers=NDJSON)
        return str(lines(planned)[-1]["digest"])

    first = await digest(a_line("a"), a_line("b"))
    assert await digest(a_line("b"), a_line("a")) == first
    assert await digest(a_line("a"), a_line("b", status="beta")) != first
    assert await digest(a_line("a"), a_line("c")) != first
    assert await digest(a_line("a"), a_line("b"), query="&set=x") != first
    fine(await own.put("/v1/solutions/arnia/a", json={"content": a_solution(status="beta")}), 201)
    assert await digest(a_line("a"), a_line("b")) != first, "one of them is a revision by now"


async def test_a_dry_run_says_whether_peers_would_pause(own: httpx2.AsyncClient) -> None:
    await upload(own, ndjson(*(a_line(f"s{n}") for n in range(200))))
    for number, pauses in ((100, False), (101, True)):
        body = ndjson(*({"key": f"s{n}", "retract": True} for n in range(number)))
        planned = await own.post("/v1/solutions/bulk?dry_run=true", content=body, headers=NDJSON)
        assert lines(planned)[-1]["removals"] == [
            {"audience": "public", "removed": number, "live": 200, "pauses": pauses}
        ]


async def test_a_dry_run_is_bounded_as_an_upload_is(
    own: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_lines, "MAX_LINES", 2)
    body = ndjson(*(a_line(key) for key in "abc"))
    planned = await own.post("/v1/solutions/bulk?dry_run=true", content=body, headers=NDJSON)
    told, *_, end = lines(planned)
    assert (told["line"], told["status"]) == (3, 413)
    assert end["summary"] == counts(received=2, created=2, refused=1)


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("dry_run=yes", "?dry_run"),
        ("dry=true", "?dry"),
        ("dry_run=true&dry_run=false", "?dry_run"),
        ("set=", "?set"),
        ("set=Great", "?set"),
        (f"set={'x' * 65}", "?set"),
        ("replace=1&set=x", "?replace"),
        ("replace=true", "?set"),
        ("digest=00", "?digest"),
        ("set=x&replace=true&digest=00", "?digest"),
        (f"dry_run=true&set=x&replace=true&digest={'0' * 64}", "?digest"),
    ],
)
async def test_a_parameter_that_cannot_be_is_refused_and_nothing_is_published(
    own: httpx2.AsyncClient, query: str, pointer: str
) -> None:
    answer = await own.post(f"/v1/solutions/bulk?{query}", content=ndjson(a_line("a")), headers=NDJSON)
    refused(answer, 400, "invalid", pointer=pointer)
    assert (await own.get("/v1/solutions/arnia/a")).status_code == 404
