"""Bodies that nobody read, hosts that are none, and connections that end: as a proxy in front sees it."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from federation.server import bodies
from tests.api.http_client import on_the_wire
from tests.api.raw import connected

GET = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


def post(length: int | None, *headers: str) -> bytes:
    """The head of a write without a token, which is refused before its body is read."""
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    lines = ("POST /v1/solutions HTTP/1.1", "Host: x", "Content-Type: application/json", size, *headers)
    return "\r\n".join((*lines, "", "")).encode()


@pytest.mark.parametrize("length", [70_000, 262_144])
async def test_a_refused_body_is_read_and_the_connection_goes_on(dsn: str, length: int) -> None:
    """A proxy uses it again, for somebody else: that request must not fail."""
    async with on_the_wire(dsn) as (_, client), connected(client.base_url) as connection:
        for _ in range(3):
            answer = await connection.ask(post(length) + b"x" * length)
            assert answer.status == 401
            assert "connection" not in answer.headers
            assert (await connection.ask(GET)).status == 200


async def test_a_refused_body_in_chunks_is_read_and_the_connection_goes_on(dsn: str) -> None:
    chunks = b"1000\r\n" + b"x" * 0x1000 + b"\r\n"
    async with on_the_wire(dsn) as (_, client), connected(client.base_url) as connection:
        connection.send(post(None) + chunks)
        await asyncio.sleep(0.05)
        answer = await connection.ask(chunks * 3 + b"0\r\n\r\n")
        assert (answer.status, answer.headers.get("connection")) == (401, None)
        assert (await connection.ask(GET)).status == 200


async def test_a_path_that_is_not_there_reads_its_body_too(dsn: str) -> None:
    async with on_the_wire(dsn) as (_, client), connected(client.base_url) as connection:
        request = post(50_000).replace(b"/v1/solutions", b"/nowhere")
        assert (await connection.ask(request + b"x" * 50_000)).status == 404
        assert (await connection.ask(GET)).status == 200


@pytest.mark.parametrize("sent", [0, 300_000, 3_000_000])
async def test_a_body_that_is_too_long_ends_the_connection_and_the_answer_arrives(
    dsn: str, sent: int
) -> None:
    """Also to a caller that reads nothing until it has sent for a while."""
    async with on_the_wire(dsn) as (_, client), connected(client.base_url) as connection:
        token = f"Authorization: {client.headers['authorization']}"
        connection.send(post(100_000_000, token))
        for _ in range(sent // 100_000):
            connection.send(b"x" * 100_000)
        await connection.drain()
        answer = await connection.read_answer()
        assert answer.status == 413
        assert answer.headers["connection"] == "close"
        assert b"urn:federation:problem:too-large" in answer.body
        assert await connection.read_end() == b""


async def test_a_refused_body_that_does_not_come_ends_the_connection(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "DRAIN_SECONDS", 0.1)
    monkeypatch.setattr(bodies, "LINGER_SECONDS", 0.1)
    async with on_the_wire(dsn) as (_, client), connected(client.base_url) as connection:
        answer = await connection.ask(post(10) + b"x")
        assert (answer.status, answer.headers["connection"]) == (401, "close")
        assert await connection.read_end() == b""


async def test_a_caller_that_waits_for_100_continue_is_answered_and_sends_nothing(dsn: str) -> None:
    """RFC 9110, 10.1.1: a refusal takes the place of 100 Continue."""
    async with on_the_wire(dsn) as (_, client), connected(client.base_url) as connection:
        answer = await connection.ask(post(70_000, "Expect: 100-continue"))
        assert (answer.status, answer.headers["connection"]) == (401, "close")
        assert await connection.read_end() == b""


async def test_a_body_that_is_read_leaves_the_connection_open(dsn: str) -> None:
    async with on_the_wire(dsn) as (_, client), connected(client.base_url) as connection:
        token = f"Authorization: {client.headers['authorization']}"
        for body in (b"{}", b"[" * 100_000):
            answer = await connection.ask(post(len(body), token) + body)
            assert (answer.status, answer.headers.get("connection")) == (400, None)


# Hosts


NO_HOSTS = (
    "", "Host: \r\n", "Host: x\r\nHost: x\r\n", "Host: x\r\nHost: y\r\n", "Host: a b\r\n",
    "Host: x/y\r\n", "Host: u@x\r\n", "Host: x:80:81\r\n", "Host: x:eighty\r\n", "Host: [::1\r\n",
    "Host: x, y\r\n",
)  # fmt: skip
HOSTS = ("x", "x:", "x:8470", "node.example.org", "127.0.0.1:80", "[::1]", "[2001:db8::1]:8470", "a_b")


async def test_a_request_names_one_host(dsn: str) -> None:
    """RFC 9112, 3.2: whatever is asked for, and however often on one connection."""
    async with on_the_wire(dsn) as (_, client), connected(client.base_url) as connection:
        for path in ("/v1/solutions", "/health/live", "/nowhere"):
            for lines in NO_HOSTS:
                answer = await connection.ask(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
                assert answer.status == 400, lines
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.headers["x-content-type-options"] == "nosniff"
                assert b"one Host header" in answer.body
        for host in HOSTS:
            for path in ("/v1/solutions", "/health/live"):
                answer = await connection.ask(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                assert answer.status == 200, (host, answer)


async def test_http_1_0_needs_no_host(dsn: str) -> None:
    async with on_the_wire(dsn) as (_, client), connected(client.base_url) as connection:
        assert (await connection.ask(b"GET /health/live HTTP/1.0\r\n\r\n")).status == 200


# Challenges


async def test_the_challenge_is_in_the_scheme_that_was_used(
    anyone: httpx2.AsyncClient, own: httpx2.AsyncClient, peer: httpx2.AsyncClient
) -> None:
    """RFC 6750, 3; RFC 9449, 7.1."""

    async def challenge(client: httpx2.AsyncClient, status: int = 401, **headers: str) -> str:
        answer = await client.get("/v1/peers", headers=headers)
        assert answer.status_code == status, answer.text
        return answer.headers["www-authenticate"]

    bearer, bound = 'Bearer realm="http://arnia.test"', 'DPoP realm="http://arnia.test"'
    algorithms = 'algs="ES256"'
    assert await challenge(anyone) == f"{bearer}, {bound}, {algorithms}"
    wrong = await challenge(anyone, authorization="Bearer x")
    assert wrong == f'{bearer}, error="invalid_token", {bound}, {algorithms}'
    wrong = await challenge(anyone, authorization="DPoP x", dpop="x")
    assert wrong == f'{bound}, error="invalid_token", {algorithms}'
    token = peer.headers["authorization"].partition(" ")[2]
    without_binding = await challenge(anyone, authorization=f"Bearer {token}")
    assert without_binding == f'{bearer}, error="invalid_token", {bound}, {algorithms}'
    for proof in ("", "x", "a.b.c"):
        wrong = await challenge(anyone, authorization=f"DPoP {token}", dpop=proof)
        assert wrong == f'{bound}, error="invalid_dpop_proof", {algorithms}'
    assert await challenge(peer, 403) == f'{bound}, error="insufficient_scope", scope="peers.read"'


async def test_an_invitation_is_asked_for_as_a_bearer_token_alone(anyone: httpx2.AsyncClient) -> None:
    answer = await anyone.post("/v1/join", json={})
    assert answer.headers["www-authenticate"] == 'Bearer realm="http://arnia.test"'


async def test_an_oauth_error_has_the_characters_of_its_specification(anyone: httpx2.AsyncClient) -> None:
    """RFC 6749, 5.2; and a way to authenticate that is not offered is ``invalid_client``."""
    form = {"grant_type": "client_credentials", "client_id": "x", "client_secret": "y"}
    answer = await anyone.post("/oauth2/token", data=form)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"] == 'Basic realm="http://arnia.test"'
    answer = await anyone.post("/oauth2/token", data=form, auth=("x", "y"))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_characters_that_a_description_must_not_have_are_replaced() -> None:
    from federation.api.oauth_errors import _NOT_IN_DESCRIPTIONS

    every = "".join(map(chr, range(0x100)))
    kept = _NOT_IN_DESCRIPTIONS.sub("", every)
    assert kept == "".join(chr(n) for n in range(0x20, 0x7F) if chr(n) not in '"\\')
