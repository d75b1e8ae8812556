"""Bodies that are bombs, that never end, or that hardly begin: the node answers, and goes on answering."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from federation.edge import requests
from tests.attack.conftest import Secrets
from tests.attack.forged_tokens import Party
from tests.attack.target_node import GRANT, Running
from tests.attack.test_joining import invited
from tests.domain.builders import a_solution, nested
from tests.nodes import a_client
from tests.waiting import MAX_WAIT_SECONDS

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
SOCKETS = 1_024
"""As many connections as a node takes, unless its settings say otherwise."""


async def raw(node: Running, *parts: bytes, seconds: float = MAX_WAIT_SECONDS, pause: float = 0) -> bytes:
    """What is answered to these bytes; empty when nothing is in so many seconds."""
    where = urlsplit(node.at)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        for part in parts:
            with suppress(ConnectionError):
                writer.write(part)
                await writer.drain()
            await asyncio.sleep(pause)
        try:
            async with asyncio.timeout(seconds):
                return await reader.read(65_536)
        except (TimeoutError, ConnectionError):
            return b""
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


async def still_serves(node: Running, credentials: tuple[str, str]) -> None:
    async with asyncio.timeout(MAX_WAIT_SECONDS):
        answer = await node.client.post("/oauth2/token", data=GRANT, auth=credentials)
    assert answer.status_code == 200


async def test_a_compressed_body_is_not_unpacked(target: Running, secrets_shown: Secrets) -> None:
    credentials = await a_client(target.node)
    bomb = gzip.compress(b" " * 50_000_000, 9)
    assert len(bomb) < 60_000
    token = await target.client_token(credentials)
    for path, form in (("/oauth2/token", FORM), ("/v1/join", JSON), ("/v1/solutions", JSON)):
        for encoding in ("gzip", "x-gzip", "deflate", "br", "zstd", "identity, gzip", "GZIP"):
            headers = {**form, "content-encoding": encoding, "authorization": f"Bearer {token}"}
            answer = await target.client.post(path, content=bomb[:10_000], headers=headers)
            assert answer.status_code == 415, (path, encoding, answer.text)
    secret = await invited(target, secrets_shown)
    party = Party("megalis")
    body = json.dumps(party.registration(target.url, secret)).encode()
    headers = {**JSON, "authorization": f"Bearer {secret}"}
    packed = await target.client.post(
        "/v1/join", content=gzip.compress(body), headers={**headers, "content-encoding": "gzip"}
    )
    assert packed.status_code == 415
    assert (await target.client.post("/v1/join", content=body, headers=headers)).status_code == 201


async def test_depth_is_no_lever_anywhere(target: Running, secrets_shown: Secrets) -> None:
    secret = await invited(target, secrets_shown)
    party = Party("megalis")
    good = party.registration(target.url, secret)
    deep = [nested(30_000), b'{"a":' * 10_000, b'{"jwks":' + nested(30_000) + b"}"]
    deep.append(json.dumps({**good, "jwks": "HERE"}).encode().replace(b'"HERE"', nested(20_000)))
    for body in deep:
        began = time.process_time()  # what the node has worked, whoever else is at work
        answer = await target.client.post(
            "/v1/join", content=body, headers={**JSON, "authorization": f"Bearer {secret}"}
        )
        assert answer.status_code == 400, answer.text
        assert time.process_time() - began < 1
    assert (await target.join(good, secret)).status_code == 201


async def test_a_body_without_end_is_cut_at_its_bound(target: Running) -> None:
    credentials = await a_client(target.node)
    token = await target.client_token(credentials)
    for path, form, bound in (
        ("/oauth2/token", FORM, 16_384),
        ("/v1/join", JSON, 65_536),
        ("/v1/solutions", JSON, 1_048_576),
    ):
        sent = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal sent
            while sent < 64 * 1_048_576:
                yield b"a=" + b"x" * 65_534
                sent += 65_536

        headers = {**form, "authorization": f"Bearer {token}"}
        status = 413
        with suppress(Exception):  # it may close before we have done
            status = (await target.client.post(path, content=endless(), headers=headers)).status_code
        assert status == 413
        assert sent < bound + 16 * 1_048_576
        await still_serves(target, credentials)
    said = b"POST /oauth2/token HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n"
    for length in (b"16385", b"99999999999", b"9" * 18):
        assert status_of(await raw(target, said + b"content-length: " + length + b"\r\n\r\n")) == 413
    for length in (b"9" * 40, b"-1", b"x", b"1e3", b"1, 2"):
        assert 400 <= status_of(await raw(target, said + b"content-length: " + length + b"\r\n\r\n")) < 500
    twice = b"content-length: 1\r\ncontent-length: 2\r\n\r\na"
    assert 400 <= status_of(await raw(target, said + twice)) < 500
    both = b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    assert 400 <= status_of(await raw(target, said + both)) < 500
    await still_serves(target, credentials)


async def test_bodies_that_hardly_begin_do_not_hold_up_the_others(
    target: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hundred send a byte and then nothing. None is given up for an hour, and others are answered."""
    for bound in ("MAX_SILENT_SECONDS", "MAX_BODY_SECONDS"):
        monkeypatch.setattr(requests, bound, 3_600.0)
    credentials = await a_client(target.node)
    where = urlsplit(target.at)
    head = (
        b"POST /oauth2/token HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n"
        b"content-length: 100\r\n\r\ng"
    )
    opened = await asyncio.gather(*(asyncio.open_connection(where.hostname, where.port) for _ in range(200)))
    try:
        for _, writer in opened:
            writer.write(head)
            await writer.drain()
        await asyncio.sleep(0.2)
        for _ in range(3):
            await still_serves(target, credentials)
    finally:
        for _, writer in opened:
            writer.close()
    await asyncio.sleep(0.2)
    await still_serves(target, credentials)


async def test_more_silent_bodies_than_there_are_places_are_given_up(
    target: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They hold every place for requests, until they have been silent for too long."""
    monkeypatch.setattr(requests, "MAX_SILENT_SECONDS", 1.0)
    credentials = await a_client(target.node)
    head = b"POST /oauth2/token HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n"
    half = head + b"content-length: 100\r\n\r\ng"
    asked = asyncio.gather(*(raw(target, half) for _ in range(SOCKETS)))
    await asyncio.sleep(0.5)
    async with asyncio.timeout(MAX_WAIT_SECONDS):
        answer = await target.client.post("/oauth2/token", data=GRANT, auth=credentials)
    assert answer.status_code == 200
    assert {status_of(answer) for answer in await asked} == {408}


async def test_a_body_that_drips_is_given_up(target: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MAX_BODY_SECONDS", 2.0)
    credentials = await a_client(target.node)
    pair = base64.b64encode(":".join(credentials).encode())
    head = b"POST /oauth2/token HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n"
    head += b"authorization: Basic " + pair + b"\r\ncontent-length: 29\r\n\r\n"
    form = [bytes([byte]) for byte in b"grant_type=client_credentials"]
    assert status_of(await raw(target, head, *form[:9], pause=0.2)) == 408
    monkeypatch.setattr(requests, "MAX_BODY_SECONDS", MAX_WAIT_SECONDS)
    assert status_of(await raw(target, head, *form, pause=0.002)) == 200


async def test_many_small_fields_cost_nothing(target: Running) -> None:
    credentials = await a_client(target.node)
    for body in (b"&".join(b"a%d=" % n for n in range(2_000)), b"=&" * 8_000, b"%" * 16_000, b"%41" * 5_000):
        began = time.process_time()
        answer = await target.client.post("/oauth2/token", content=body, headers=FORM, auth=credentials)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        assert time.process_time() - began < 0.5
    headers = [("authorization", "Bearer x"), *(("dpop", "x" * 100) for _ in range(50))]
    assert (await target.client.get("/v1/solutions", headers=headers)).status_code == 401
    assert (await target.client.get("/v1/solutions", params={"q": "x" * 9_000})).status_code == 413
    await still_serves(target, credentials)


async def test_what_is_published_is_bounded_too(target: Running) -> None:
    token = await target.client_token(await a_client(target.node))
    path = "/v1/solutions/arnia/one"
    head = f"PUT {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n"
    head += "content-type: application/json\r\n"
    for length, status in ((1_048_577, 413), (2, 400)):
        said = f"{head}content-length: {length}\r\n\r\n{{}}".encode()
        assert status_of(await raw(target, said)) == status
    assert (await target.ask(path, token, method="PUT", json={"content": a_solution()})).status_code == 201
