"""Tokens, repetition and errors of the client, against answers that a node or a proxy may give."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import msgspec
import pytest

from federation.client import (
    AccessToken,
    Client,
    Conflict,
    ConnectionFailed,
    CursorExpired,
    Invalid,
    NotFound,
    PreconditionFailed,
    RequestRefused,
    Retracted,
    TokenRefused,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnexpectedAnswer,
)
from federation.client import sender as sender_module
from federation.client.errors import read_problem
from federation.client.sender import MAX_RETRY_AFTER_SECONDS, backoff, retry_after
from federation.client.tokens import TokenCache, basic_credentials
from federation.domain.alert import NewSubscription
from federation.domain.content.solution import Solution
from tests.domain.builders import a_document, a_solution

URL = "https://node.example.org"
Reply = Callable[[httpx2.Request], httpx2.Response]


class Waits:
    """Stands for the clock: notes the waits, and does not wait."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    noted = Waits()
    monkeypatch.setattr(sender_module, "asyncio", noted)
    return noted


class FakeNode:
    """Answers requests one after the other, and notes them."""

    def __init__(self, *replies: httpx2.Response | Exception, expires_in: float = 300) -> None:
        self.replies = list(replies)
        self.requests: list[httpx2.Request] = []
        self.token_requests: list[httpx2.Request] = []
        self.expires_in = expires_in
        self.revoked: set[str] = set()

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        await asyncio.sleep(0)
        if request.url.path == "/oauth2/token":
            self.token_requests.append(request)
            token = {"access_token": f"token-{len(self.token_requests)}", "expires_in": self.expires_in}
            return httpx2.Response(200, json={**token, "token_type": "Bearer"})
        self.requests.append(request)
        if request.headers.get("authorization") in self.revoked:
            return problem(401, "unauthenticated")
        if request.url.path == "/.well-known/federation":
            return httpx2.Response(200, json={"operator": "arnia", "name": "Arnia", "url": URL})
        reply = self.replies.pop(0) if self.replies else httpx2.Response(200, json={"items": []})
        if isinstance(reply, Exception):
            raise reply
        return reply


@asynccontextmanager
async def calling(node: FakeNode, **options: Any) -> AsyncIterator[Client]:
    options = {"client_id": "erp", "client_secret": "s", **options}
    async with Client(URL, transport=httpx2.MockTransport(node), trust_env=False, **options) as client:
        yield client


def problem(
    status: int, code: str, *, headers: dict[str, str] | None = None, **members: Any
) -> httpx2.Response:
    body = {"type": f"urn:x:problem:{code}", "title": "A title", "status": status, **members}
    return httpx2.Response(status, json=body, headers=headers)


# Tokens


async def test_callers_that_start_together_get_one_token() -> None:
    node = FakeNode()
    async with calling(node) as client:
        await asyncio.gather(*(client.solutions.list() for _ in range(5)))
        await client.solutions.list()
    assert len(node.token_requests) == 1
    assert {request.headers["authorization"] for request in node.requests} == {"Bearer token-1"}


async def test_a_token_that_ends_is_renewed_before() -> None:
    node = FakeNode(expires_in=0)
    async with calling(node) as client:
        await client.solutions.list()
        await client.solutions.list()
    assert [request.headers["authorization"] for request in node.requests] == [
        "Bearer token-1",
        "Bearer token-2",
    ]


async def test_a_refused_token_is_renewed_once_for_all_callers_and_the_request_repeated() -> None:
    node = FakeNode()
    async with calling(node) as client:
        await client.solutions.list()
        node.revoked.add("Bearer token-1")
        await asyncio.gather(*(client.solutions.list() for _ in range(3)))
    assert len(node.token_requests) == 2
    assert [r.headers["authorization"] for r in node.requests].count("Bearer token-2") == 3


async def test_a_token_that_is_refused_again_is_an_error() -> None:
    node = FakeNode(problem(401, "unauthenticated"), problem(401, "unauthenticated"))
    async with calling(node) as client:
        with pytest.raises(Unauthenticated):
            await client.solutions.list()
    assert len(node.requests) == 2


async def test_a_client_that_the_node_does_not_know_gets_no_token() -> None:
    async def refuse(request: httpx2.Request) -> httpx2.Response:
        assert request.url.path == "/oauth2/token"
        return httpx2.Response(401, json={"error": "invalid_client", "error_description": "no"})

    async with Client(URL, "erp", "s", transport=httpx2.MockTransport(refuse), trust_env=False) as client:
        with pytest.raises(TokenRefused, match="invalid_client: no") as caught:
            await client.solutions.list()
    assert caught.value.error == "invalid_client"


async def test_tokens_come_from_a_source_of_ones_own_and_are_renewed_there() -> None:
    asked = 0

    async def broker() -> AccessToken:
        nonlocal asked
        asked += 1
        return AccessToken(f"broker-{asked}", expires_in=300)

    node = FakeNode(problem(401, "unauthenticated"))
    async with calling(node, client_id=None, client_secret=None, token_source=broker) as client:
        await client.solutions.list()
    assert [r.headers["authorization"] for r in node.requests] == ["Bearer broker-1", "Bearer broker-2"]
    assert not node.token_requests


async def test_without_credentials_no_token_is_sent() -> None:
    node = FakeNode()
    async with calling(node, client_id=None, client_secret=None) as client:
        await client.solutions.list()
    assert "authorization" not in node.requests[0].headers


def test_credentials_are_form_encoded_before_they_are_joined() -> None:
    scheme, _, pair = basic_credentials("a:b", "é &").partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(pair) == b"a%3Ab:%C3%A9+%26"


@pytest.mark.parametrize(
    "url",
    [
        "http://node.example.org",
        "ftp://x",
        "https://user@node.example.org",
        "node.example.org",
        "https://x?a=1",
    ],
)
def test_a_secret_goes_to_no_address_that_others_can_listen_at(url: str) -> None:
    with pytest.raises(ValueError, match=r"https|address"):
        Client(url, "erp", "s")


@pytest.mark.parametrize(
    "url", ["https://node.example.org", "http://127.0.0.1:8470", "http://[::1]:8470", "http://localhost"]
)
async def test_https_and_this_machine_are_called(url: str) -> None:
    async with Client(url, "erp", "s", trust_env=False):
        pass
    async with Client("http://node:8470", "erp", "s", allow_http=True, trust_env=False):
        pass


async def test_the_program_and_its_language_are_named() -> None:
    node = FakeNode()
    async with calling(node, user_agent="catalogue/2", language="fr") as client:
        await client.solutions.list()
    headers = node.requests[0].headers
    assert headers["user-agent"].startswith("catalogue/2 federation-client/")
    assert headers["accept-language"] == "fr"


# Repetition


@pytest.mark.parametrize(
    "failure",
    [
        httpx2.ConnectError("refused"),
        httpx2.ReadTimeout("silent"),
        httpx2.RemoteProtocolError("closed"),
        problem(503, "unavailable"),
        problem(429, "too-many-requests"),
        httpx2.Response(502, text="<html>Bad gateway"),
        httpx2.Response(503, text="<html>no upstream"),
    ],
    ids=repr,
)
async def test_reading_is_repeated(failure: Any) -> None:
    node = FakeNode(failure, failure)
    async with calling(node) as client:
        assert (await client.solutions.list()).items == ()
    assert len(node.requests) == 3


async def test_attempts_are_bounded() -> None:
    node = FakeNode(*(problem(503, "unavailable") for _ in range(9)))
    async with calling(node, attempts=3) as client:
        with pytest.raises(Unavailable):
            await client.solutions.list()
    assert len(node.requests) == 3
    node = FakeNode(*(httpx2.ConnectError("refused") for _ in range(9)))
    async with calling(node, attempts=2) as client:
        with pytest.raises(
            ConnectionFailed, match=r"node\.example\.org did not answer: ConnectError: refused"
        ):
            await client.solutions.list()
    assert len(node.requests) == 2


async def test_the_wait_that_a_node_asks_for_is_waited(waits: Waits) -> None:
    node = FakeNode(problem(429, "too-many-requests", headers={"retry-after": "7"}))
    async with calling(node) as client:
        await client.solutions.list()
    assert waits.seconds == [7.0]


async def test_a_wait_that_is_too_long_is_for_the_caller(waits: Waits) -> None:
    asked = MAX_RETRY_AFTER_SECONDS + 1
    node = FakeNode(problem(429, "too-many-requests", headers={"retry-after": f"{asked:.0f}"}))
    async with calling(node) as client:
        with pytest.raises(TooManyRequests) as caught:
            await client.solutions.list()
    assert caught.value.retry_after == asked
    assert waits.seconds == []


def test_waits_grow_to_a_bound_and_differ_by_chance() -> None:
    assert 0.25 <= backoff(1) <= 0.5
    assert 15.0 <= backoff(100) <= 30.0
    assert len({backoff(9) for _ in range(20)}) > 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 0.0),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999999", None),
        ("٣", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": header}) == seconds


async def test_a_post_is_repeated_with_its_key_and_each_call_has_its_own() -> None:
    document = msgspec.json.encode(a_document(origin="arnia"))
    lost = httpx2.ReadError("reset")
    node = FakeNode(lost, httpx2.Response(201, content=document), httpx2.Response(201, content=document))
    content = msgspec.convert(a_solution(), Solution)
    async with calling(node) as client:
        await client.solutions.publish_new(content)
        await client.solutions.publish_new(content)
    first, second, other = [request.headers["idempotency-key"] for request in node.requests]
    assert first == second != other
    assert first.startswith('"')
    assert first.endswith('"')


@pytest.mark.parametrize(
    ("if_match", "at", "keys"), [(None, "2026-03-01T08:30:00Z", [False, False]), ("x", None, [True, True])]
)
async def test_a_post_that_leaves_the_same_twice_takes_no_key(
    if_match: str | None, at: str | None, keys: list[bool]
) -> None:
    """A node stores so many answers of a caller, and a probe notes versions all day."""
    document = msgspec.json.encode(a_document(origin="arnia"))
    lost = httpx2.ReadError("reset")
    node = FakeNode(*(reply for _ in range(2) for reply in (lost, httpx2.Response(200, content=document))))
    async with calling(node) as client:
        await client.deployments.set_version("arnia/ours", "10.0.18", if_match=if_match)
        await client.incidents.append_update("arnia/one", {"en": "Fixed."}, at=at)
    assert ["idempotency-key" in request.headers for request in node.requests[::2]] == keys
    assert len(node.requests) == 4, "each was repeated"


async def test_a_repeated_post_waits_for_its_first_attempt_and_learns_that_a_secret_is_lost() -> None:
    subscription = NewSubscription(events=("incident.affects-mine",), email="a@example.org")
    node = FakeNode(
        httpx2.ReadError("reset"), problem(409, "request-in-progress"), problem(409, "answer-not-stored")
    )
    async with calling(node) as client:
        with pytest.raises(Conflict) as caught:
            await client.alerts.subscribe(subscription)
    assert (caught.value.code, caught.value.repeated) == ("answer-not-stored", True)
    assert len({request.headers["idempotency-key"] for request in node.requests}) == 1


async def test_a_post_that_must_not_be_repeated_is_not() -> None:
    for failure in (httpx2.ReadError("reset"), problem(503, "unavailable")):
        node = FakeNode(failure)
        async with calling(node) as client:
            with pytest.raises((ConnectionFailed, Unavailable)):
                await client._sender.send("POST", "/v1/x", idempotent=False)
        assert len(node.requests) == 1
        assert "idempotency-key" not in node.requests[0].headers
    # Where no connection was made, nothing was sent.
    node = FakeNode(httpx2.ConnectError("refused"))
    async with calling(node) as client:
        await client._sender.send("POST", "/v1/x", idempotent=False)
    assert len(node.requests) == 2


@pytest.mark.parametrize("method", ["POST", "post"])
async def test_any_other_post_is_not_repeated_as_few_operations_take_a_key(method: str) -> None:
    """A second confirmation would confirm removals that came after the first one."""
    node = FakeNode(httpx2.ReadError("reset"))
    async with calling(node) as client:
        with pytest.raises(ConnectionFailed):
            await client.request(method, "/v1/peers/megalis/confirm")
        assert await client.request("get", "/v1/peers") == {"items": []}
    assert [request.method for request in node.requests] == ["POST", "GET"]
    node = FakeNode(httpx2.ReadError("reset"))
    async with calling(node) as client:
        await client.request("get", "/v1/peers")
    assert len(node.requests) == 2


async def test_a_write_whose_answer_was_lost_is_no_conflict_with_itself() -> None:
    stored = httpx2.Response(200, content=msgspec.json.encode(a_document(origin="arnia")))
    failed = problem(412, "precondition-failed")
    content = msgspec.convert(a_solution(), Solution)
    node = FakeNode(httpx2.ReadError("reset"), failed, stored)
    async with calling(node) as client:
        assert (await client.solutions.publish("glpi", content, only_new=True)).revision == 1
    # Somebody else's record is there, or no attempt before has been lost: a conflict.
    other = httpx2.Response(200, content=msgspec.json.encode(a_document(content=a_solution(name="Other"))))
    for replies in ([httpx2.ReadError("reset"), failed, other], [failed]):
        node = FakeNode(*replies)
        async with calling(node) as client:
            with pytest.raises(PreconditionFailed):
                await client.solutions.publish("glpi", content, only_new=True)


async def test_a_retraction_whose_answer_was_lost_is_done() -> None:
    failed = problem(412, "precondition-failed")
    node = FakeNode(httpx2.ReadError("reset"), failed, problem(410, "retracted"))
    async with calling(node) as client:
        await client.solutions.retract("arnia/glpi", if_match='"x"')
    there = httpx2.Response(200, content=msgspec.json.encode(a_document(origin="arnia")))
    for replies in ([httpx2.ReadError("reset"), failed, there], [failed]):
        async with calling(FakeNode(*replies)) as client:
            with pytest.raises(PreconditionFailed):
                await client.solutions.retract("arnia/glpi", if_match='"x"')


# Errors


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "not-found", NotFound),
        (410, "retracted", Retracted),
        (410, "cursor-expired", CursorExpired),
        (412, "precondition-failed", PreconditionFailed),
        (400, "later-code", Invalid),
        (418, "teapot", RequestRefused),
    ],
)
async def test_a_problem_becomes_its_error(status: int, code: str, kind: type[RequestRefused]) -> None:
    fault = {"pointer": "/content/licence", "detail": "not a licence", "code": "enum", "allowed": ["MIT"]}
    node = FakeNode(problem(status, code, detail="why", errors=[fault]))
    async with calling(node) as client:
        with pytest.raises(kind) as caught:
            await client.solutions.get("arnia/glpi")
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.code, error.title, error.detail) == (status, code, "A title", "why")
    assert error.errors[0].pointer == "/content/licence"
    assert error.errors[0].allowed == ("MIT",)
    assert "/content/licence" in str(error)


def test_problems_of_older_and_later_nodes_are_read() -> None:
    old = read_problem(404, b'{"type": "https://node.example.org/problems/not-found"}')
    assert isinstance(old, NotFound)
    assert old.code == "not-found"
    odd = read_problem(
        400, b'{"code": "invalid", "detail": 7, "errors": [3, {"pointer": 4, "allowed": "x"}], "new": {}}'
    )
    assert isinstance(odd, Invalid)
    assert [(fault.pointer, fault.allowed) for fault in odd.errors] == [("", ())]
    assert read_problem(500, b"<html>") is None
    assert read_problem(500, b"[]") is None


async def test_what_is_no_answer_of_a_node_is_told_apart() -> None:
    for reply in (
        httpx2.Response(404, text="<html>"),
        httpx2.Response(200, text="<html>"),
        httpx2.Response(302, headers={"location": "https://login.example.org"}),
    ):
        node = FakeNode(reply)
        async with calling(node) as client:
            with pytest.raises(UnexpectedAnswer):
                await client.solutions.list()
        assert len(node.requests) == 1


async def test_the_next_page_is_asked_for_at_the_node_and_nowhere_else() -> None:
    elsewhere = "https://elsewhere.example.org/v1/solutions?sort=id&after=abc"
    node = FakeNode(httpx2.Response(200, json={"items": [a_document(origin="arnia")], "next": elsewhere}))
    async with calling(node) as client:
        assert [record.id async for record in client.solutions.walk()] == ["arnia/glpi"]
    assert [request.url.host for request in node.requests] == ["node.example.org"] * 2
    assert dict(node.requests[1].url.params) == {"sort": "id", "limit": "500", "after": "abc"}


async def test_a_late_refusal_of_an_old_token_does_not_cost_the_new_one() -> None:
    number = 0

    async def source() -> AccessToken:
        nonlocal number
        number += 1
        return AccessToken(f"token-{number}")

    cache = TokenCache(source)
    old = await cache.current()
    cache.discard(old)
    new = await cache.current()
    cache.discard(old)
    assert (old, new, await cache.current()) == ("token-1", "token-2", "token-2")
