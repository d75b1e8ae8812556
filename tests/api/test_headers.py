"""Every answer, of whatever kind, tells browsers and caches to expect no more of it than it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest
from litestar import Litestar, Request
from litestar.response.base import ASGIResponse

from federation.api.handlers import handles
from federation.edge.limits import Limits
from federation.edge.operations import ANYONE, Operation
from federation.node.node import Node
from federation.server.app import api, attach
from federation.server.observed import ONLY_HTTPS, SECURITY_HEADERS, ObservedApplication
from federation.telemetry import Metrics
from tests.api.http_client import FORM, on_the_wire, put, refused
from tests.domain.builders import a_solution
from tests.nodes import publish
from tests.waiting import wait_for_waiter

EXPECTED = {name.decode(): value.decode() for name, value in SECURITY_HEADERS}
HTML_POLICY = "script-src 'self'"


def held(answer: httpx2.Response, *, public: bool = True) -> None:
    """Every header is there, once, with its value; other origins may read what is public."""
    names = [name.lower() for name, _ in answer.headers.multi_items()]
    for name, value in EXPECTED.items():
        assert names.count(name) == 1, (name, names)
        if name != "content-security-policy" or "text/html" not in answer.headers.get("content-type", ""):
            assert answer.headers[name] == value
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    for_others = {name for name in names if name.startswith("access-control-")}
    readable = {"access-control-allow-origin", "access-control-expose-headers"}
    assert for_others <= (readable if public else set())


Asked = Callable[[httpx2.AsyncClient], Awaitable[httpx2.Response]]

KINDS: dict[str, tuple[int, Asked]] = {
    "JSON": (200, lambda own: own.get("/.well-known/federation")),
    "a list": (200, lambda own: own.get("/v1/solutions")),
    "a record": (200, lambda own: own.get("/v1/solutions/arnia/one")),
    "HEAD": (200, lambda own: own.head("/v1/solutions/arnia/one")),
    "unchanged": (304, lambda own: own.get("/v1/solutions/arnia/one", headers={"if-none-match": "*"})),
    "published": (201, lambda own: put(own, "solutions/two", a_solution())),
    "retracted": (204, lambda own: own.delete("/v1/solutions/arnia/one")),
    "an upload": (
        200,
        lambda own: own.post(
            "/v1/solutions/bulk", content=b"{}\n", headers={"content-type": "application/x-ndjson"}
        ),
    ),
    "a stream": (200, lambda own: own.get("/v1/changes", headers={"accept": "application/x-ndjson"})),
    "a page": (200, lambda own: own.get("/docs")),
    "a problem's page": (200, lambda own: own.get("/problems/invalid")),
    "a script": (200, lambda own: own.get("/assets/docs.js")),
    "metrics": (200, lambda own: own.get("/metrics")),
    "health": (200, lambda own: own.get("/health/live")),
    "OPTIONS of ours": (204, lambda own: own.options("/v1/solutions")),
    "OPTIONS of the framework's": (204, lambda own: own.options("/v1/peers")),
    "a preflight": (
        204,
        lambda own: own.options(
            "/v1/solutions",
            headers={"origin": "https://evil.example", "access-control-request-method": "PUT"},
        ),
    ),
    "to another origin": (
        200,
        lambda own: own.get("/v1/solutions", headers={"origin": "https://evil.example"}),
    ),
    "a problem": (404, lambda own: own.get("/v1/solutions/arnia/none")),
    "a path that is not there": (404, lambda own: own.get("/nowhere")),
    "a method that is not there": (405, lambda own: own.request("TRACE", "/v1/solutions")),
    "a body that is wrong": (400, lambda own: own.put("/v1/solutions/arnia/one", json=[])),
    "a host that is none": (400, lambda own: own.get("/v1/solutions", headers={"host": "a b"})),
    "no token": (401, lambda own: own.get("/v1/changes", headers={"authorization": "Bearer x"})),
    "a client that is wrong": (
        401,
        lambda own: own.post(
            "/oauth2/token",
            content=b"grant_type=client_credentials",
            headers={**FORM, "authorization": "Basic eDp5"},
        ),
    ),
    "a bug": (500, lambda own: own.get("/boom")),
}  # fmt: skip


PUBLIC = ("JSON", "a page", "a problem's page", "a script", "health", "a bug")
"""Kinds of answers that are the same for everybody; the others are given to a client with a token."""


@handles(Operation(act="boom", id="", method="GET", path="/boom", right=ANYONE, tag="node"))
async def boom(request: Request[Any, Any, Any]) -> ASGIResponse:
    raise RuntimeError("a bug")


@pytest.fixture(scope="module")
def with_bug() -> Litestar:
    """An application that has a bug at /boom, made once: each test gives it its node."""
    app = api()
    app.register(boom)
    return app


@pytest.fixture
async def breakable(
    own: httpx2.AsyncClient, arnia: Node, with_bug: Litestar
) -> AsyncIterator[httpx2.AsyncClient]:
    """The operator's own system, at the application with a bug."""
    attach(with_bug, arnia)
    transport = httpx2.ASGITransport(app=ObservedApplication(with_bug, Metrics()), raise_app_exceptions=False)
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://arnia.test", headers=own.headers
    ) as client:
        yield client


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_of_answer_has_the_security_headers(
    breakable: httpx2.AsyncClient, arnia: Node, kind: str
) -> None:
    await publish(arnia, "solution", "one", a_solution())
    status, asked = KINDS[kind]
    answer = await asked(breakable)
    assert answer.status_code == status, answer.text
    held(answer, public=kind in PUBLIC)


async def test_a_refusal_for_asking_too_often_has_them_too(app: Litestar, anyone: httpx2.AsyncClient) -> None:
    app.state.limits = Limits(anonymous=1, clock=lambda: 0.0)
    try:
        answers = [await anyone.get("/v1/solutions") for _ in range(3)]
    finally:
        app.state.limits = Limits()
    refused(answers[-1], 429, "too-many-requests")
    for answer in answers:
        held(answer)


async def test_a_page_keeps_the_policy_it_says_itself(anyone: httpx2.AsyncClient) -> None:
    for page in ("/docs", "/problems/invalid"):
        policy = (await anyone.get(page)).headers["content-security-policy"]
        assert HTML_POLICY in policy
    for other in ("/health/live", "/assets/docs.js", "/nowhere"):
        policy = (await anyone.get(other)).headers["content-security-policy"]
        assert policy == EXPECTED["content-security-policy"]


async def test_an_answer_keeps_its_own_headers(own: httpx2.AsyncClient) -> None:
    await put(own, "solutions/one", a_solution())
    answer = await own.get("/v1/solutions/arnia/one")
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["vary"] == "authorization"
    assert answer.headers["content-type"] == "application/json"
    assert "etag" in answer.headers


async def test_https_is_demanded_by_a_node_whose_url_is_https(app: Litestar) -> None:
    name, value = (part.decode() for part in ONLY_HTTPS)
    for https in (True, False):
        transport = httpx2.ASGITransport(app=ObservedApplication(app, Metrics(), https=https))
        async with httpx2.AsyncClient(transport=transport, base_url="http://arnia.test") as client:
            for path in ("/health/live", "/docs", "/nowhere"):
                answer = await client.get(path)
                held(answer)
                assert answer.headers.get(name) == (value if https else None)


async def test_an_answer_that_was_waited_for_has_the_headers_of_any_other(
    own: httpx2.AsyncClient, arnia: Node
) -> None:
    """All that waited get the same answer; the rate is the one of when each of them came."""
    app = api(arnia)
    app.state.limits = Limits(rate=10, clock=lambda: 0.0)
    transport = httpx2.ASGITransport(app=ObservedApplication(app, Metrics()))
    lines = {**own.headers, "accept": "application/x-ndjson"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://arnia.test", headers=lines) as client:
        before = await client.get("/v1/feeds")
        waits = {"if-none-match": before.headers["etag"], "prefer": "wait=25"}
        waiting = [asyncio.ensure_future(client.get("/v1/feeds", headers=waits)) for _ in range(3)]
        await wait_for_waiter(arnia, 3)
        await publish(arnia, "solution", "one", a_solution())
        answers = await asyncio.gather(*waiting)
    assert len({answer.content for answer in answers}) == 1
    for answer in answers:
        held(answer, public=False)
        assert set(answer.headers) == {*before.headers, "preference-applied"}
    assert [answer.headers["ratelimit"] for answer in (before, *answers)] == [
        f'"requests";r={left};t=1' for left in (19, 18, 17, 16)
    ]


async def test_over_a_real_connection_the_server_does_not_tell_what_it_is_made_of(dsn: str) -> None:
    async with on_the_wire(dsn) as (_, client):
        for path in ("/health/live", "/nowhere", "/docs", "/v1/changes"):
            answer = await client.get(path, headers={"accept": "application/x-ndjson"})
            held(answer)
            assert answer.headers["server"] == "federation"
            assert "granian" not in str(answer.headers).lower()
