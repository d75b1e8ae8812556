"""Every kind of bad input gets a 4xx and leaves nothing behind (security.md, Input)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from federation.domain.canonical import MAX_DEPTH
from federation.domain.document import MAX_DOCUMENT
from federation.node.node import Node
from tests.api.http_client import JSON, NDJSON, PATCH, Stopwatch, fine, left_behind, on_the_wire, put, refused
from tests.domain.builders import a_body, a_deployment, a_solution, an_incident, nested

GOOD = a_body(a_solution(name="Good"))


def changed(old: bytes, new: bytes, body: bytes = GOOD) -> bytes:
    assert old in body
    return body.replace(old, new, 1)


BODIES: dict[str, bytes] = {
    "no body": b"",
    "white space": b" \n",
    "cut": GOOD[:-1],
    "more than one": GOOD + GOOD,
    "text behind": GOOD + b"x",
    "null": b"null",
    "an array": b"[]",
    "a number": b"1",
    "a text": b'"x"',
    "NaN": changed(b'"Good"', b"NaN"),
    "a comment": b"/* */" + GOOD,
    "single quotes": b"{'content':{}}",
    "a trailing comma": GOOD[:-1] + b",}",
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "UTF-32": GOOD.decode().encode("utf-32-le"),
    "Latin-1": changed(b"Gestion", b"G\xe9stion"),
    "overlong UTF-8": changed(b"Good", b"\xc0\xaf"),
    "a surrogate in UTF-8": changed(b"Good", b"\xed\xa0\x80"),
    "a lone surrogate": changed(b"Good", b"\\ud800"),
    "surrogates the wrong way round": changed(b"Good", b"\\udc00\\ud800"),
    "NUL": changed(b"Good", b"a\\u0000b"),
    "NUL as it is": changed(b"Good", b"a\x00b"),
    "NUL in a name": changed(b'"fr"', b'"f\\u0000"'),
    "a control character": changed(b"Good", b"a\\u0007b"),
    "a carriage return": changed(b"Good", b"a\\rb"),
    "DEL": changed(b"Good", b"a\x7fb"),
    "bidirectional override": changed(b"Good", "a\u202eb".encode()),
    "bidirectional isolate": changed(b"Good", b"a\\u2066b"),
    "zero width": changed(b"Good", "a\u200bb".encode()),
    "zero width in a name": changed(b'"fr"', '"f\u200br"'.encode()),
    "a soft byte order mark": changed(b"Good", "a\ufeffb".encode()),
    "not NFC": changed(b"Good", "e\u0301".encode()),
    "a member twice": changed(b'{"content"', b'{"tlp":"RED","tlp":"RED","content"'),
    "a member twice, escaped": changed(b'{"content"', b'{"tlp":"RED","\\u0074lp":"CLEAR","content"'),
    "a member twice, inside": changed(b'"name"', b'"name":"Other","name"'),
    "a member twice, in a map": changed(b'"fr"', b'"fr":"x","fr"'),
    "an unknown member": changed(b'{"content"', b'{"colour":1,"content"'),
    "an unknown member, inside": changed(b'"name"', b'"colour":1,"name"'),
    **{
        f"{name} of the node's own": changed(b'{"content"', b'{"%s":%s,"content"' % (name.encode(), value))
        for name, value in {
            "type": b'"solution"', "origin": b'"arnia"', "key": b'"one"', "revision": b"1",
            "created_at": b'"2026-01-01T00:00:00Z"', "updated_at": b'"2026-01-01T00:00:00Z"',
        }.items()
    },
    "a number for a text": changed(b'"Good"', b"1"),
    "null for a text": changed(b'"Good"', b"null"),
    "an object for a text": changed(b'"Good"', b"{}"),
    "a text too long": changed(b"Good", b"x" * 201),
    "a text too short": changed(b"Good", b""),
    "TLP nobody knows": changed(b'{"content"', b'{"tlp":"WHITE","content"'),
    "an audience where none is": changed(b'{"content"', b'{"audience":"close","content"'),
    "a script for a link": changed(b'"name"', b'"homepage":"javascript:alert(1)","name"'),
    "a licence nobody knows": changed(b"GPL-3.0-or-later", b"MINE-1.0"),
    "depth one too many": changed(b'"Good"', nested(MAX_DEPTH)),
    "depth 100 000": nested(100_000),
    "depth 100 000 of objects": b'{"a":' * 100_000,
    "depth 100 000 inside": changed(b'"Good"', nested(100_000)),
}  # fmt: skip


@pytest.fixture(scope="module")
def verbs() -> dict[str, tuple[str, str, dict[str, str]]]:
    return {
        "publish": ("PUT", "/v1/solutions/arnia/one", JSON),
        "publish new": ("POST", "/v1/solutions", JSON),
        "patch": ("PATCH", "/v1/solutions/arnia/there", PATCH),
    }


@pytest.mark.parametrize("what", BODIES)
async def test_a_body_that_is_wrong_is_refused_and_leaves_nothing(
    own: httpx2.AsyncClient, arnia: Node, verbs: dict[str, Any], what: str
) -> None:
    await put(own, "solutions/there", a_solution())
    before = await left_behind(arnia)
    for verb, (method, path, headers) in verbs.items():
        answer = await own.request(method, path, content=BODIES[what], headers=headers)
        assert answer.status_code == 400, (verb, answer.status_code, answer.text[:300])
        refused(answer, 400, "invalid")
        assert "Traceback" not in answer.text
    if b"\n" not in BODIES[what]:
        line = BODIES[what].replace(b"{", b'{"key":"one",', 1)
        answer = await own.post("/v1/solutions/bulk", content=line, headers=NDJSON)
        assert fine_or_refused(answer)
    assert await left_behind(arnia) == before


def fine_or_refused(answer: httpx2.Response) -> bool:
    """Whether no line of an upload was kept."""
    summary = json.loads(answer.text.splitlines()[-1])["summary"]
    return answer.status_code == 200 and summary["created"] == summary["revised"] == 0


async def test_the_same_body_without_the_fault_is_taken(
    own: httpx2.AsyncClient, verbs: dict[str, Any]
) -> None:
    await put(own, "solutions/there", a_solution())
    odd = [
        GOOD, b" \r\n\t" + GOOD + b"\n", changed(b"Good", b"a\\nb"),
        changed(b"Good", b"\\u00e9\\ud83d\\ude00"),
        changed(b'"name"', b'"homepage":"https://a.example","name"'), changed(b"Good", b'\\"[{\\\\'),
        changed(b"Good", b"[" * 150),
    ]  # fmt: skip
    for method, path, headers in verbs.values():
        for body in odd:
            answer = await own.request(method, path, content=body, headers=headers)
            assert answer.status_code in (200, 201), answer.text


@pytest.mark.parametrize(
    "number",
    ["9223372036854775808", "9007199254740992", "-1", "1" + "0" * 400, "1e400", "1.5", "1e16", "true"],
)
async def test_numbers_that_not_everybody_can_keep_are_refused(
    own: httpx2.AsyncClient, arnia: Node, number: str
) -> None:
    before = await left_behind(arnia)
    body = a_body(a_deployment(coverage={"kind": "count", "count": 412})).replace(b"412", number.encode())
    refused(await own.put("/v1/deployments/arnia/one", content=body, headers=JSON), 400, "invalid")
    assert await left_behind(arnia) == before
    most = body.replace(number.encode(), b"9007199254740991")
    assert (await own.put("/v1/deployments/arnia/one", content=most, headers=JSON)).status_code == 201


@pytest.mark.parametrize(
    "moment",
    [
        "0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2201-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
        "10000-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-02-29T00:00:00Z", "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:60Z", "2026-01-01T00:00:00", "1970-01-01T00:00:00+01:00", "2026-01-01", "now",
        "2026-01-01T00:00:00Z\n", "٢٠٢٦-01-01T00:00:00Z",
    ],
)  # fmt: skip
async def test_moments_that_are_none_or_too_far_are_refused(
    own: httpx2.AsyncClient, arnia: Node, moment: str
) -> None:
    before = await left_behind(arnia)
    refused(await put(own, "incidents/one", an_incident(started_at=moment)), 400, "invalid")
    assert await left_behind(arnia) == before


async def test_the_last_moments_that_are_allowed_are_kept(own: httpx2.AsyncClient) -> None:
    for number, moment in enumerate(("1970-01-01T00:00:00Z", "2200-12-31T23:59:59.999999Z")):
        assert (await put(own, f"incidents/i{number}", an_incident(started_at=moment))).status_code == 201


# Size, form


def of_size(size: int) -> bytes:
    body = a_body(a_solution(description={"fr": ""}))
    return body + b" " * (size - len(body)) if size > len(body) else body


async def test_a_body_is_at_most_a_mebibyte(own: httpx2.AsyncClient, arnia: Node) -> None:
    before = await left_behind(arnia)
    at = "/v1/solutions/arnia/one"

    async def without_length(body: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    big = of_size(MAX_DOCUMENT + 1).replace(b'"fr": ""', b'"fr":"x"')
    refused(await own.put(at, content=big, headers=JSON), 413, "too-large")
    refused(await own.put(at, content=without_length(big), headers=JSON), 413, "too-large")
    refused(await own.patch(at, content=big, headers=PATCH), 413, "too-large")
    refused(await own.put(at, content=b"{}", headers={**JSON, "content-length": "9" * 20}), 413, "too-large")
    assert await left_behind(arnia) == before
    most = a_body(a_solution())
    most += b" " * (MAX_DOCUMENT - len(most))
    assert (await own.put(at, content=without_length(most), headers=JSON)).status_code == 201


async def test_a_document_does_not_grow_beyond_a_mebibyte_by_patches(
    own: httpx2.AsyncClient, arnia: Node
) -> None:
    await put(own, "solutions/one", a_solution())
    text = "x" * 20_000
    for turn, tag in enumerate(("aa", "ab", "ac", "ad")):
        languages = {f"{tag}-{n:02d}xx": text for n in range(7)}
        answer = await own.patch(
            "/v1/solutions/arnia/one",
            content=json.dumps({"content": {"description": languages, "summary": languages}}).encode(),
            headers=PATCH,
        )
        assert answer.status_code in (200, 400), turn


@pytest.mark.parametrize(
    "form",
    [
        None, "", "text/plain", "application/xml", "application/jsonx", "application/x-www-form-urlencoded",
        "application/merge-patch+json", "application/x-ndjson", "application/problem+json",
        "application/json; charset=iso-8859-1", "application/json; charset=utf-16",
        "application/json; profile=x; charset=utf-16", "application/json;Charset=latin1",
        "multipart/form-data; boundary=x", "application/json, text/plain",
    ],
)  # fmt: skip
async def test_a_body_of_another_form_is_not_read(
    own: httpx2.AsyncClient, arnia: Node, form: str | None
) -> None:
    before = await left_behind(arnia)
    headers = {} if form is None else {"content-type": form}
    answer = await own.put("/v1/solutions/arnia/one", content=GOOD, headers=headers)
    refused(answer, 415, "unsupported-media-type")
    assert await left_behind(arnia) == before


async def test_a_body_of_the_right_form_is_read_however_it_is_written(own: httpx2.AsyncClient) -> None:
    for form in ("application/json", "Application/JSON", "application/json; charset=utf-8",
                 'application/json;charset="UTF-8"', "application/json ; charset=UTF-8"):  # fmt: skip
        answer = await own.put("/v1/solutions/arnia/one", content=GOOD, headers={"content-type": form})
        assert answer.status_code in (200, 201), form


async def test_a_compressed_body_is_not_read(own: httpx2.AsyncClient, arnia: Node) -> None:
    before = await left_behind(arnia)
    for encoding in ("gzip", "br", "deflate", "gzip, identity", "zstd"):
        answer = await own.put(
            "/v1/solutions/arnia/one", content=GOOD, headers={**JSON, "content-encoding": encoding}
        )
        refused(answer, 415, "unsupported-media-type")
    assert await left_behind(arnia) == before
    plain = {**JSON, "content-encoding": "identity"}
    assert (await own.put("/v1/solutions/arnia/one", content=GOOD, headers=plain)).status_code == 201


async def test_depth_is_looked_at_in_a_time_that_grows_with_the_body(own: httpx2.AsyncClient) -> None:
    """A text that does not end, made of escapes: 40 kB must not hold the process for seconds."""
    for start in (b"[" + b"[]," * 40, b'{"a":[' + b"{}," * 40):
        with Stopwatch() as watch:
            answer = await own.put(
                "/v1/solutions/arnia/one", content=start + b'"' + b'\\"' * 20_000, headers=JSON
            )
        refused(answer, 400, "invalid")
        assert watch.worked < 1


async def test_bad_input_over_a_real_connection_is_refused_alike(dsn: str) -> None:
    async with on_the_wire(dsn) as (node, client):
        before = await left_behind(node)
        for path in (
            "/v1/solutions/arnia/%FF", "/v1/solutions/arnia/%00", "/v1/solutions?q=%FF",
            "/v1/solutions?q=%00",
            "/v1/solutions/%2e%2e/x", "/v1/changes?after=%FF", "/v1/feeds/arnia/%C3%A9/changes",
        ):  # fmt: skip
            answer = await client.get(path)
            assert 400 <= answer.status_code < 500, (path, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
        for body in (BODIES["depth 100 000"], BODIES["NUL"], BODIES["Latin-1"], b"x" * (MAX_DOCUMENT + 1)):
            answer = await client.put("/v1/solutions/arnia/one", content=body, headers=JSON)
            assert answer.status_code in (400, 413)
        assert await left_behind(node) == before
        assert fine(await client.put("/v1/solutions/arnia/one", content=GOOD, headers=JSON), 201)
