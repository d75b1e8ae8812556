"""Answers are compressed for callers that ask for it, and are the same answers."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import httpx2
import pytest

from federation.node.node import Node
from federation.server import compression
from federation.server.compression import LOOP_BYTES, MIN_BYTES, CompressedAnswer, coding_of
from tests.api.http_client import put, refused
from tests.domain.builders import a_solution
from tests.nodes import publish

NONE = {"accept-encoding": "identity"}


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("zstd", "zstd"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("GZip;q=1.0, zstd;q=0.5", "gzip"),
        ("gzip; q=0.1", "gzip"),
        ("gzip;q=0", None),
        ("gzip;q=much, zstd;q=0.000", None),
        ("br", None),
        ("identity", None),
        ("*", None),
        ("", None),
    ],
)
def test_the_coding_is_the_one_that_the_caller_prefers(accepted: str, coding: str | None) -> None:
    assert coding_of(accepted.encode()) == coding


async def test_a_list_is_the_same_in_every_coding(own: httpx2.AsyncClient, arnia: Node) -> None:
    for number in range(5):
        await publish(arnia, "solution", f"s{number}", a_solution())
    plain = await own.get("/v1/solutions", headers=NONE)
    assert "content-encoding" not in plain.headers
    assert len(plain.content) >= MIN_BYTES
    for coding in ("gzip", "zstd"):
        async with own.stream("GET", "/v1/solutions", headers={"accept-encoding": coding}) as answer:
            raw = b"".join([piece async for piece in answer.aiter_raw()])
        assert answer.headers["content-encoding"] == coding
        assert int(answer.headers["content-length"]) == len(raw) < len(plain.content)
        assert (
            gzip.decompress(raw) if coding == "gzip" else compression.zstd.decompress(raw)
        ) == plain.content
        assert "accept-encoding" in answer.headers["vary"]
        assert "authorization" in answer.headers["vary"]
        head = await own.head("/v1/solutions", headers={"accept-encoding": coding})
        assert (head.headers["content-length"], head.content) == (answer.headers["content-length"], b"")


async def test_a_record_is_the_bytes_that_its_etag_names(own: httpx2.AsyncClient) -> None:
    long = {"fr": "Gestion de parc. " * 200}
    assert (await put(own, "solutions/one", a_solution(summary=long))).status_code == 201
    for coding in ("gzip, zstd", "identity"):
        answer = await own.get("/v1/solutions/arnia/one", headers={"accept-encoding": coding})
        assert "content-encoding" not in answer.headers
        assert len(answer.content) > MIN_BYTES
        assert answer.headers["etag"].strip('"') == (await own.head("/v1/solutions/arnia/one")).headers[
            "etag"
        ].strip('"')


async def test_short_answers_and_refusals_are_sent_as_they_are(own: httpx2.AsyncClient) -> None:
    for path in ("/health/live", "/v1/solutions/arnia/none"):
        answer = await own.get(path, headers={"accept-encoding": "gzip"})
        assert "content-encoding" not in answer.headers
    refused(await own.get("/v1/solutions/arnia/none", headers={"accept-encoding": "gzip"}), 404, "not-found")


async def test_a_stream_of_lines_can_be_read_piece_by_piece(own: httpx2.AsyncClient, arnia: Node) -> None:
    for number in range(20):
        await publish(arnia, "solution", f"s{number}", a_solution())
    headers = {"accept": "application/x-ndjson"}
    plain = await own.get("/v1/changes?limit=3", headers={**headers, **NONE})
    for coding in ("gzip", "zstd"):
        answer = await own.get("/v1/changes?limit=3", headers={**headers, "accept-encoding": coding})
        assert answer.headers["content-encoding"] == coding
        assert answer.content == plain.content  # the client has decompressed it
    events = await own.get("/v1/changes", headers={"accept": "application/json", "accept-encoding": "gzip"})
    assert len(json.loads(events.content)["entries"]) == 20


async def sent(coding: str, *messages: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages that a compressed answer sends."""
    out: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        out.append(message)

    answer = CompressedAnswer(coding, send)
    for message in messages:
        await answer(message)
    return out


def start(media_type: bytes, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-type", media_type), *headers],
    }


def piece(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def test_each_piece_of_a_stream_is_complete_for_its_reader() -> None:
    pieces = [b'{"line":1}\n' * 500, b"", b'{"line":2}\n', b'{"line":3}\n' * (LOOP_BYTES // 5)]
    for coding in ("gzip", "zstd"):
        out = await sent(
            coding,
            start(b"application/x-ndjson"),
            *(piece(body, more=True) for body in pieces),
            piece(b"", more=False),
        )
        assert [message["type"] for message in out] == ["http.response.start"] + ["http.response.body"] * 4
        assert not any(name == b"content-length" for name, _ in out[0]["headers"])
        reader: Any = zlib.decompressobj(31) if coding == "gzip" else compression.zstd.ZstdDecompressor()
        read = [reader.decompress(message["body"]) for message in out[1:]]
        assert read[:3] == [pieces[0], pieces[2], pieces[3]]
        assert b"".join(read) == b"".join(pieces)
        assert out[-1]["more_body"] is False


async def test_what_is_not_compressed_passes_unchanged() -> None:
    long = b"x" * 5_000
    for beginning in (
        start(b"text/event-stream"),
        start(b"image/png"),
        start(b"application/json", (b"etag", b'"a"')),
        start(b"application/json", (b"content-encoding", b"br")),
    ):
        messages = [beginning, piece(long, more=False)]
        assert await sent("gzip", *messages) == messages
    # The positive twin: the same answer without what keeps it from being compressed.
    out = await sent("gzip", start(b"application/json"), piece(long, more=False))
    assert gzip.decompress(out[1]["body"]) == long
