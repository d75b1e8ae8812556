"""How often one may ask, who is counted as whom, and what is refused before anything of a body is read."""

from __future__ import annotations

import ast
import asyncio
import base64
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from litestar import Litestar, Request, post
from litestar.params import JSONBody, RawBody
from litestar.response.base import ASGIResponse

import federation.api
import federation.node
from federation.api import openapi
from federation.api.handlers import handles, with_options
from federation.domain.canonical import MAX_DEPTH
from federation.domain.errors import CommandFailed, TooManyRequests
from federation.domain.visibility import Caller, anonymous
from federation.edge import limits as limits_module
from federation.edge.answers import JSON, MERGE_PATCH, PROBLEM, answer
from federation.edge.limits import FAILURES, MAX_HOPS, TOKENS, Limits, Proxies, address_of, claimed_client
from federation.edge.operations import ANYONE, Body, Operation, Right, check, table
from federation.edge.token_buckets import MAX_REMEMBERED, Rate, TokenBucket, TokenBuckets
from federation.node.node import Node
from federation.server.app import api
from federation.server.observed import ObservedApplication
from federation.settings.environment import read
from federation.telemetry import Metrics
from tests.api.http_client import Case, on_the_wire, operations, refused, resolved
from tests.attack.forged_tokens import Party
from tests.domain.builders import a_solution, nested
from tests.nodes import a_client, publish
from tests.waiting import until

GRANT = {"grant_type": "client_credentials"}


class Clock:
    """Seconds that pass when the test says so."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limited(app: Litestar, clock: Clock) -> Iterator[Litestar]:
    """Arnia's application, where everybody may ask once a second, and twice at once."""
    app.state.limits = Limits(rate=1, anonymous=1, clock=clock)
    yield app
    app.state.limits = Limits()


def asking_from(app: Litestar, address: str) -> httpx2.AsyncClient:
    """A client at another address."""
    transport = httpx2.ASGITransport(
        app=ObservedApplication(app, Metrics()), raise_app_exceptions=False, client=(address, 40_000)
    )
    return httpx2.AsyncClient(transport=transport, base_url="http://arnia.test")


def too_many(answer: httpx2.Response, *, after: int) -> None:
    if answer.request.url.path.startswith("/oauth2/") and answer.request.method == "POST":
        assert (answer.status_code, answer.json()["error"]) == (429, "temporarily_unavailable")
    else:
        refused(answer, 429, "too-many-requests")
    assert answer.headers["retry-after"] == str(after)
    assert answer.headers["cache-control"] == "no-store"


# Buckets


def taken(bucket: TokenBucket, now: float, most: int = 100) -> int:
    """How many there are to take at a moment."""
    number = 0
    while number < most and not bucket.take(now):
        number += 1
    return number


def test_a_bucket_holds_a_burst_and_fills_at_its_rate() -> None:
    bucket = TokenBucket(Rate(10, 20), 0.0)
    assert taken(bucket, 0.0) == 20
    assert taken(bucket, 0.05) == 0
    assert taken(bucket, 0.5) == 5
    assert taken(bucket, 3_600.0) == 20, "silence earns no more than a burst"


def test_what_is_refused_costs_nothing_and_says_how_long_to_wait() -> None:
    bucket = TokenBucket(Rate(2, 1), 0.0)
    assert bucket.take(0.0) == 0.0
    assert [bucket.take(0.0) for _ in range(50)] == [0.5] * 50
    assert bucket.wait(0.25) == pytest.approx(0.25)
    assert bucket.take(0.499) > 0
    assert bucket.take(0.5) == 0.0


def test_a_debt_is_paid_before_there_is_one_again_and_has_a_bound() -> None:
    bucket = TokenBucket(Rate(1, 3), 0.0)
    for _ in range(3):
        assert bucket.wait(0.0) == 0.0
        bucket.owe(0.0)
    assert bucket.wait(0.0) == 1.0
    bucket.owe(0.0)
    assert bucket.wait(0.0) == 2.0
    for _ in range(1_000):
        bucket.owe(0.0)
    assert bucket.wait(0.0) == 4.0
    assert bucket.wait(4.0) == 0.0


def test_those_who_asked_longest_ago_are_forgotten_first(clock: Clock) -> None:
    buckets = TokenBuckets(Rate(1, 1), clock, size=3)
    for who in ("a", "b", "c"):
        buckets.take(who)
    with pytest.raises(TooManyRequests):
        buckets.take("a")  # a refusal is asking, too: who insists is not forgotten
    buckets.take("d")
    assert len(buckets) == 3
    for who in ("a", "c", "d"):
        with pytest.raises(TooManyRequests):
            buckets.take(who)
    buckets.take("b")


def test_the_memory_for_callers_has_a_bound(clock: Clock) -> None:
    limits = Limits(rate=1, anonymous=1, clock=clock)
    for number in range(MAX_REMEMBERED + 100):
        here = {"client": (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 1), "headers": []}
        limits.count(anonymous("arnia"), here)
        limits.count_credentials(None, here)
        limits.failed(str(number))
        limits.may_try(f"x{number}")
        limits.remember_login("Basic x", here)
        limits.count_failure(None, str(number), here)
    buckets = (
        limits._anonymous, limits._tokens, limits._tokens_of_address, limits._invitations, limits._logins,
        limits._failures, limits._failures_of_address,
    )  # fmt: skip
    assert [len(bucket) for bucket in buckets] == [MAX_REMEMBERED] * 7


def let_through(times: int, count: Callable[[], None]) -> int:
    """How many of so many requests at one moment are let through."""
    number = 0
    for _ in range(times):
        with suppress(TooManyRequests):
            count()
            number += 1
    return number


def test_zero_is_no_limit(clock: Clock) -> None:
    def each(limits: Limits) -> list[int]:
        """How many of a thousand requests of each kind are let through."""

        def fails() -> None:
            limits.may_try("192.0.2.1")
            limits.failed("192.0.2.1")

        callers = (
            anonymous("arnia"),
            Caller(node="arnia", operator="arnia", client="x"),
            Caller(node="arnia", operator="megalis", client="megalis"),
        )
        asked: list[Callable[[], None]] = [partial(limits.count, caller, SCOPE) for caller in callers]
        asked += [partial(limits.count_credentials, None, SCOPE), fails]
        asked.append(partial(limits.count_failure, None, "x", SCOPE))
        return [let_through(1_000, count) for count in asked]

    for limits in (Limits(), Limits(rate=0, anonymous=0, clock=clock)):
        assert each(limits) == [1_000] * 6
    limited = Limits(rate=1, anonymous=1, clock=clock)
    assert each(limited) == [2, 2, 2, TOKENS.burst, FAILURES.burst, FAILURES.burst]


SCOPE: dict[str, Any] = {"client": ("192.0.2.1", 1), "headers": []}


def test_a_client_a_peer_and_an_address_of_one_name_are_three(clock: Clock) -> None:
    limits = Limits(rate=1, anonymous=1, clock=clock)
    here = {"client": ("megalis", 1), "headers": []}
    callers = [
        Caller(node="arnia", operator="arnia", client="megalis"),
        Caller(node="arnia", operator="megalis", client="megalis"),
        anonymous("arnia"),
    ]
    for caller in callers:
        limits.count(caller, here)
        limits.count(caller, here)
    for caller in callers:
        with pytest.raises(TooManyRequests):
            limits.count(caller, here)


# Addresses

PROXIES = Proxies((ip_network("10.0.0.0/8"), ip_network("fd00::/8"), ip_network("127.0.0.1/32")))


def came(client: Any, *forwarded: str, proxies: Proxies = PROXIES) -> str:
    headers = [(b"x-forwarded-for", line.encode("latin-1")) for line in forwarded]
    return address_of({"client": client, "headers": [(b"host", b"x"), *headers]}, proxies)


@pytest.mark.parametrize(
    ("client", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_an_ipv6_address_counts_as_the_64_around_it(client: str, counted: str) -> None:
    assert came((client, 1)) == counted


def test_what_is_no_network_has_one_limit_together() -> None:
    assert came(None) == came(("/run/node.sock", 0)) == ""


@pytest.mark.parametrize(
    ("forwarded", "counted"),
    [
        (["203.0.113.9"], "203.0.113.9"),
        ([" 203.0.113.9\t"], "203.0.113.9"),
        (["198.51.100.1, 203.0.113.9"], "203.0.113.9"),  # the left end is whatever the client wrote
        (["nonsense, 203.0.113.9"], "203.0.113.9"),
        (["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9, 10.1.2.3"], "203.0.113.9"),
        (["203.0.113.9", "10.1.2.3, fd00::5"], "203.0.113.9"),
        (["2001:db8::9"], "2001:db8::/64"),
        (["::ffff:10.9.9.9, ::ffff:10.1.1.1"], "10.9.9.9"),  # proxies only: the one furthest away
        ([], "10.0.0.1"),
        ([""], "10.0.0.1"),
        (["nonsense"], "10.0.0.1"),
        (["203.0.113.9, nonsense"], "10.0.0.1"),
        (["203.0.113.9,"], "10.0.0.1"),
        (["203.0.113.9, nonsense, 10.1.2.3"], "10.0.0.1"),
        (["203.0.113.9:4711"], "10.0.0.1"),
        (["[2001:db8::9]"], "10.0.0.1"),
        (["256.1.1.1"], "10.0.0.1"),
        (["203.0.113.09"], "10.0.0.1"),
        (["\xb2.0.0.1"], "10.0.0.1"),
        (["1" * 100_000], "10.0.0.1"),
        (["203.0.113.9" + ", 10.1.2.3" * (MAX_HOPS + 1)], "10.0.0.1"),
    ],
)
def test_only_what_a_proxy_wrote_is_believed_of_where_a_request_came_from(
    forwarded: list[str], counted: str
) -> None:
    assert came(("10.0.0.1", 1), *forwarded) == counted


def test_what_is_too_long_for_an_address_is_not_remembered() -> None:
    proxies = Proxies((ip_network("10.0.0.1"),))
    for length in range(1, 200):
        came(("10.0.0.1", 1), "1" * length, proxies=proxies)
    assert proxies.locate.cache_info().currsize < 50


def test_nobody_but_a_proxy_is_believed() -> None:
    assert came(("192.0.2.7", 1), "203.0.113.9") == "192.0.2.7"
    assert came(("11.0.0.1", 1), "203.0.113.9") == "11.0.0.1"
    assert came(("10.0.0.1", 1), "203.0.113.9", proxies=Proxies()) == "10.0.0.1"
    assert came(("::ffff:10.0.0.1", 1), "203.0.113.9") == "203.0.113.9"


def test_a_proxy_that_the_settings_do_not_name_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    scope = {"client": ("10.0.0.1", 1), "headers": [(b"x-forwarded-for", b"203.0.113.9")]}
    limits, told = Limits(), Limits(proxies=(ip_network("10.0.0.1"),))
    with caplog.at_level(logging.WARNING):
        assert limits.address_of(SCOPE) == "192.0.2.1"
        assert told.address_of(scope) == "203.0.113.9"
        assert caplog.messages == []
        assert [limits.address_of(scope) for _ in range(3)] == ["10.0.0.1"] * 3
    assert len(caplog.messages) == 1
    assert "FEDERATION_PROXIES" in caplog.messages[0]


@pytest.mark.parametrize(
    ("authorization", "client"),
    [
        (f"Basic {base64.b64encode(b'client-erp:s:e').decode()}", "client-erp"),
        (f"basic {base64.b64encode(b'client-erp').decode()}", "client-erp"),
        (f"Basic {base64.b64encode(b'x' * 700).decode()}", "x" * 128),
        (f"Basic {base64.b64encode(bytes((128, 129))).decode()}", "\x80\x81"),
        (f"Bearer {base64.b64encode(b'client-erp:s').decode()}", ""),
        ("Basic !", ""),
        ("Basic é", ""),
        (f"Basic {'A' * 5_000}", ""),
        ("Basic", ""),
        ("", ""),
        (None, ""),
    ],
)  # fmt: skip
def test_whom_credentials_claim_to_be_is_read_and_not_believed(authorization: str, client: str) -> None:
    assert claimed_client(authorization) == client


# Requests


async def test_who_asks_too_often_is_refused_until_it_has_waited(limited: Litestar, clock: Clock) -> None:
    async with asking_from(limited, "192.0.2.1") as nobody:
        for _ in range(2):
            assert (await nobody.get("/v1/solutions")).status_code == 200
        too_many(await nobody.get("/v1/solutions"), after=1)
        clock.now += 0.9
        too_many(await nobody.get("/v1/solutions"), after=1)
        clock.now += 0.1
        assert (await nobody.get("/v1/solutions")).status_code == 200
        too_many(await nobody.get("/docs"), after=1)


async def test_one_caller_takes_nothing_from_another(
    limited: Litestar, own: httpx2.AsyncClient, anyone: httpx2.AsyncClient, arnia: Node
) -> None:
    credentials = await a_client(arnia, name="other")
    got = await anyone.post("/oauth2/token", data=GRANT, auth=credentials)
    other = {"authorization": f"Bearer {got.json()['access_token']}"}
    for _ in range(2):
        assert (await own.get("/v1/solutions")).status_code == 200
    too_many(await own.get("/v1/solutions"), after=1)
    # Another client, at the same address; somebody there without a token; somebody elsewhere.
    assert (await anyone.get("/v1/solutions", headers=other)).status_code == 200
    for address in ("127.0.0.1", "192.0.2.1", "2001:db8:1::1", "2001:db8:2::1"):
        async with asking_from(limited, address) as nobody:
            for _ in range(2):
                assert (await nobody.get("/v1/solutions")).status_code == 200
            too_many(await nobody.get("/v1/solutions"), after=1)
    async with asking_from(limited, "2001:db8:1::2") as neighbour:
        too_many(await neighbour.get("/v1/solutions"), after=1)


async def test_a_client_is_the_same_from_every_address(limited: Litestar, own: httpx2.AsyncClient) -> None:
    for address in ("192.0.2.1", "192.0.2.2"):
        async with asking_from(limited, address) as client:
            assert (await client.get("/v1/solutions", headers=own.headers)).status_code == 200
    too_many(await own.get("/v1/solutions"), after=1)


async def test_a_token_that_does_not_hold_counts_as_none(limited: Litestar, own: httpx2.AsyncClient) -> None:
    async with asking_from(limited, "192.0.2.1") as nobody:
        for number in range(2):
            wrong = {"authorization": f"Bearer {number}"}
            refused(await nobody.get("/v1/solutions", headers=wrong), 401, "unauthenticated")
        too_many(await nobody.get("/v1/solutions", headers={"authorization": "Bearer x"}), after=1)
        too_many(await nobody.get("/v1/solutions"), after=1)
    assert (await own.get("/v1/solutions")).status_code == 200


async def test_a_request_that_waits_for_news_counts_once(
    limited: Litestar, own: httpx2.AsyncClient, arnia: Node
) -> None:
    limits: Limits = limited.state.limits
    tag = (await own.get("/v1/feeds")).headers["etag"]
    waiting = asyncio.ensure_future(own.get("/v1/feeds", headers={"if-none-match": tag, "prefer": "wait=30"}))

    async def counted() -> bool:
        return limits._clients._bucket("client-own")._tokens < 1

    await until(counted)
    await publish(arnia, "solution", "one", a_solution())
    assert (await waiting).status_code == 200
    too_many(await own.get("/v1/feeds"), after=1)


@pytest.mark.parametrize("operation", operations(), ids=repr)
async def test_every_operation_is_limited_but_health(
    limited: Litestar, clock: Clock, operation: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything of the request is looked at: no body, no right, and still it counts."""
    monkeypatch.setattr(limits_module, "TOKENS", Rate(1, 2))
    limited.state.limits = Limits(rate=1, anonymous=1, clock=clock)
    async with asking_from(limited, "192.0.2.1") as nobody:
        answers = [await nobody.request(operation.method, operation.path) for _ in range(3)]
    assert all(answer.status_code != 429 for answer in answers[:2])
    if operation.act in ("live", "ready"):
        assert answers[2].status_code == 200
    else:
        too_many(answers[2], after=1)


async def test_the_frameworks_own_answers_are_limited(limited: Litestar) -> None:
    async with asking_from(limited, "192.0.2.1") as nobody:
        for _ in range(2):
            assert (await nobody.options("/v1/peers")).status_code == 204
        too_many(await nobody.options("/v1/peers"), after=1)


def test_every_operation_that_is_limited_says_so() -> None:
    counted = {operation.id: operation.right.counted for operation in table(api())}
    seen = 0
    document = openapi.document(api(), "https://node.example.org")
    for path, methods in document["paths"].items():
        form = JSON if path.startswith("/oauth2/") else PROBLEM
        for operation in methods.values():
            seen += 1
            limited = operation["responses"].get("429")
            assert (limited is not None) == (counted[operation["operationId"]] != "not"), operation
            assert limited is None or form in resolved(document, limited)["content"]
            assert limited is None or "Retry-After" in resolved(document, limited)["headers"]
    assert seen > 60


# Tokens


async def test_token_requests_count_by_address_and_the_client_they_claim(
    limited: Litestar, clock: Clock, arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else, wherever they are, can use up a client's share."""
    monkeypatch.setattr(limits_module, "TOKENS", Rate(1, 3))
    limited.state.limits = Limits(rate=1, anonymous=1, clock=clock)
    client_id, secret = await a_client(arnia)

    async def asked(where: httpx2.AsyncClient, name: str, word: str) -> int:
        return (await where.post("/oauth2/token", data=GRANT, auth=(name, word))).status_code

    async with asking_from(limited, "192.0.2.66") as attacker, asking_from(limited, "192.0.2.1") as client:
        assert [await asked(attacker, client_id, "wrong") for _ in range(5)] == [401, 401, 401, 429, 429]
        assert [await asked(client, "another", "wrong") for _ in range(4)] == [401, 401, 401, 429]
        assert [await asked(client, client_id, secret) for _ in range(4)] == [200, 200, 200, 429]
        clock.now += 1
        assert [await asked(client, client_id, secret) for _ in range(2)] == [200, 429]


async def test_a_new_name_for_each_token_request_is_no_way_around(
    limited: Litestar, clock: Clock, arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits_module, "TOKENS", Rate(1, 3))
    monkeypatch.setattr(limits_module, "TOKENS_OF_ADDRESS", Rate(1, 5))
    limited.state.limits = Limits(rate=1, anonymous=1, clock=clock)
    credentials = await a_client(arnia)
    async with asking_from(limited, "192.0.2.66") as attacker, asking_from(limited, "192.0.2.1") as client:
        for number in range(6):
            answer = await attacker.post("/oauth2/token", data=GRANT, auth=(f"x{number}", "y"))
        too_many(answer, after=1)
        assert (await client.post("/oauth2/token", data=GRANT, auth=credentials)).status_code == 200


def test_one_clients_excess_takes_nothing_from_the_others_of_its_address(clock: Clock) -> None:
    limits = Limits(rate=1, anonymous=1, clock=clock)
    loud, quiet = (f"Basic {base64.b64encode(name).decode()}" for name in (b"loud:x", b"quiet:x"))
    assert let_through(10_000, partial(limits.count_credentials, loud, SCOPE)) == TOKENS.burst
    assert let_through(10_000, partial(limits.count_credentials, quiet, SCOPE)) == TOKENS.burst


def test_an_address_whose_invitations_were_wrong_too_often_has_to_wait(clock: Clock) -> None:
    limits = Limits(rate=1, anonymous=1, clock=clock)
    for _ in range(FAILURES.burst):
        limits.may_try("192.0.2.1")
        limits.failed("192.0.2.1")
    with pytest.raises(TooManyRequests) as raised:
        limits.may_try("192.0.2.1")
    assert raised.value.retry_after == 1
    limits.may_try("192.0.2.2")
    clock.now += 1
    for _ in range(100):
        limits.may_try("192.0.2.1")  # to ask is not to fail


DOORS = ("/oauth2/token", "/oauth2/revoke", "/oauth2/introspect")


@pytest.mark.parametrize("door", DOORS)
async def test_a_client_that_fails_too_often_at_one_door_has_to_wait_at_each(
    limited: Litestar, clock: Clock, arnia: Node, monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    """And the client with the right secret, behind the same address, is let in all the time."""
    monkeypatch.setattr(limits_module, "FAILURES", Rate(1, 3))
    limited.state.limits = Limits(rate=1_000, anonymous=1_000, clock=clock)
    right = await a_client(arnia)

    async def ask(client: httpx2.AsyncClient, at: str, name: str = right[0]) -> int:
        """The status of an attempt that fails."""
        return (await client.post(at, data={**GRANT, "token": "x"}, auth=(name, "wrong"))).status_code

    async with asking_from(limited, "192.0.2.66") as guessing, asking_from(limited, "192.0.2.1") as other:
        assert [await ask(guessing, door) for _ in range(4)] == [401, 401, 401, 429]
        assert [await ask(guessing, at) for at in DOORS] == [429] * 3
        assert await ask(guessing, door, "another") == 401
        for _ in range(3):
            assert (await guessing.post("/oauth2/token", data=GRANT, auth=right)).status_code == 200
        assert await ask(other, door) == 401
        clock.now += 10
        assert await ask(guessing, door) == 401


async def test_wrong_invitations_are_counted_by_themselves(
    limited: Litestar, clock: Clock, arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits_module, "FAILURES", Rate(1, 3))
    limited.state.limits = Limits(rate=1_000, anonymous=1_000, clock=clock)
    right = await a_client(arnia)
    registration = Party("megalis").registration(arnia.url, "never given")
    async with asking_from(limited, "192.0.2.66") as guessing:
        headers = {"authorization": "Bearer never given"}
        answers = [await guessing.post("/v1/join", json=registration, headers=headers) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
        assert (await guessing.post("/oauth2/token", data=GRANT, auth=right)).status_code == 200


async def test_an_address_that_fails_under_ever_new_names_is_refused_and_its_clients_are_not(
    limited: Litestar, clock: Clock, arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the names are: those of clients that exist are answered as those that do not."""
    monkeypatch.setattr(limits_module, "FAILURES_OF_ADDRESS", Rate(1, 5))
    limited.state.limits = Limits(rate=1_000, anonymous=1_000, clock=clock)
    right = await a_client(arnia)
    async with asking_from(limited, "192.0.2.66") as shared:

        async def ask(name: str) -> int:
            return (await shared.post("/oauth2/token", data=GRANT, auth=(name, "wrong"))).status_code

        assert [await ask(f"made-up-{n}") for n in range(6)] == [401] * 5 + [429]
        assert await ask(right[0]) == await ask("made-up") == 429
        assert (await shared.post("/oauth2/token", data=GRANT, auth=right)).status_code == 200


async def test_credentials_that_were_right_are_not_refused_for_the_attempts_of_others(
    limited: Litestar, clock: Clock, arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The share of the address is used up, and that of the client's name: its secret is known by no other."""
    monkeypatch.setattr(limits_module, "TOKENS", Rate(1, 3))
    monkeypatch.setattr(limits_module, "TOKENS_OF_ADDRESS", Rate(1, 5))
    limited.state.limits = Limits(rate=1, anonymous=1, clock=clock)
    right = await a_client(arnia)
    async with asking_from(limited, "192.0.2.66") as shared:

        async def ask(name: str, secret: str) -> int:
            return (await shared.post("/oauth2/token", data=GRANT, auth=(name, secret))).status_code

        assert await ask(*right) == 200
        for n in range(9):
            await ask(right[0], "wrong")
            await ask(f"made-up-{n}", "wrong")
        assert await ask("made-up", "wrong") == await ask(right[0], "wrong") == 429
        assert [await ask(*right) for _ in range(3)] == [200, 200, 429], "its own share has a bound as well"
        async with arnia.store.write() as tx:
            await tx.clients.revoke("erp")
        clock.now += 1
        assert await ask(*right) == 401
        assert len(limited.state.limits._logins) == 0


def test_what_was_tried_at_once_before_it_failed_is_paid_for(clock: Clock) -> None:
    limits = Limits(rate=1, anonymous=1, clock=clock)
    for _ in range(FAILURES.burst + 20):
        limits.may_try("192.0.2.1")
    for _ in range(FAILURES.burst + 20):
        limits.failed("192.0.2.1")
    with pytest.raises(TooManyRequests) as raised:
        limits.may_try("192.0.2.1")
    assert raised.value.retry_after == 21
    clock.now += 19.5
    with pytest.raises(TooManyRequests) as raised:
        limits.may_try("192.0.2.1")
    assert raised.value.retry_after == 2, "whole seconds, and never too few"
    clock.now += 1.5
    limits.may_try("192.0.2.1")


# Settings


def test_the_settings_are_read() -> None:
    base = {"FEDERATION_OPERATOR": "arnia"}
    found = read(base)
    assert (found.rate, found.rate_anonymous, found.proxies) == (200, 50, ())
    found = read(
        {**base, "FEDERATION_RATE": "0", "FEDERATION_RATE_ANONYMOUS": "7",
         "FEDERATION_PROXIES": "10.0.0.1, 172.16.0.0/12,fd00::/8"}
    )  # fmt: skip
    assert (found.rate, found.rate_anonymous) == (0, 7)
    assert found.proxies == tuple(map(ip_network, ("10.0.0.1/32", "172.16.0.0/12", "fd00::/8")))


@pytest.mark.parametrize(
    ("name", "value"),
    [("RATE", "-1"), ("RATE", "many"), ("RATE_ANONYMOUS", "1.5"), ("PROXIES", "proxy"),
     ("PROXIES", "10.0.0.1/8"), ("PROXIES", "10.0.0.1,"), ("PROXIES", "0.0.0.0/0"),
     ("PROXIES", "10.0.0.1,::/0")],
)  # fmt: skip
def test_a_setting_that_cannot_be_right_is_named(name: str, value: str) -> None:
    with pytest.raises(CommandFailed, match=f"FEDERATION_{name}"):
        read({"FEDERATION_OPERATOR": "arnia", f"FEDERATION_{name}": value})


def test_without_settings_the_application_has_no_limits() -> None:
    limits: Limits = api().state.limits
    assert let_through(10_000, partial(limits.count, anonymous("arnia"), SCOPE)) == 10_000
    limited = Limits(anonymous=1, clock=lambda: 0.0)
    assert let_through(10_000, partial(limited.count, anonymous("arnia"), SCOPE)) == 2


async def test_a_served_node_has_the_limits_of_its_settings(dsn: str) -> None:
    """And what is asked in a burst over a real connection is refused beyond it."""
    async with on_the_wire(dsn) as (_, client):
        client.headers.pop("authorization")
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(client.get("/docs")) for _ in range(200)]
        answers = [task.result() for task in asked]
        assert {answer.status_code for answer in answers} == {200, 429}
        assert all(answer.headers["retry-after"] == "1" for answer in answers if answer.status_code == 429)
        assert (await client.get("/health/live")).status_code == 200


# Bodies


@pytest.mark.parametrize(
    "operation", [op for op in operations() if not op.reads], ids=repr
)  # fmt: skip
async def test_a_body_where_none_is_read_is_refused(own: httpx2.AsyncClient, operation: Case) -> None:
    for headers in ({"content-length": "1"}, {"content-length": "x"}, {"transfer-encoding": "chunked"}):
        answer = await own.request(operation.method, operation.path, content=b"x", headers=headers)
        refused(answer, 400, "invalid")
        assert "no body" in answer.json()["detail"]
    for headers in ({}, {"content-length": "0"}):
        answer = await own.request(operation.method, operation.path, headers=headers)
        assert "no body" not in answer.text


async def test_a_body_where_none_is_read_is_refused_for_head_and_options_too(own: httpx2.AsyncClient) -> None:
    for method, path in (("HEAD", "/v1/solutions"), ("OPTIONS", "/v1/solutions"), ("OPTIONS", "/v1/peers")):
        assert (await own.request(method, path, content=b"x")).status_code == 400
        assert (await own.request(method, path)).status_code in (200, 204)


async def test_a_body_where_none_is_read_does_not_become_the_next_request(dsn: str) -> None:
    async with on_the_wire(dsn) as (_, client):
        hidden = b"GET /v1/peers HTTP/1.1\r\nHost: x\r\n\r\n"
        refused(await client.request("GET", "/v1/solutions", content=hidden), 400, "invalid")
        assert "items" in (await client.get("/v1/solutions")).json()


def test_every_operation_without_a_body_says_that_it_refuses_one() -> None:
    document = openapi.document(api(), "https://node.example.org")
    found = [
        operation
        for methods in document["paths"].values()
        for operation in methods.values()
        if "requestBody" not in operation
    ]
    assert len(found) > 20
    for operation in found:
        described = resolved(document, operation["responses"]["400"])
        assert PROBLEM in described["content"], operation["operationId"]


async def nothing(request: Request[Any, Any, Any]) -> ASGIResponse:
    return answer(b"", status=204)


ONE = Operation(act="one", id="getOne", method="POST", path="/one", right=ANYONE, tag="node")


def test_an_operation_that_contradicts_itself_is_refused_at_the_start() -> None:
    read = (Body(JSON, {"type": "object"}),)

    def changed(**changes: Any) -> Operation:
        return msgspec.structs.replace(ONE, **changes)

    for sound in (
        ONE,
        changed(bodies=read),
        changed(method="GET"),
        changed(right=Right("x.read", open=True)),
    ):
        check(Litestar(with_options([handles(sound)(nothing)]), openapi_config=None))
    for wrong, why in (
        ((changed(method="GET", bodies=read),), "have none"),
        ((changed(right=Right(open=True)),), "names none"),
        ((ONE, changed(path="/two")), "has the id getOne of /one"),
    ):
        with pytest.raises(CommandFailed, match=why):
            check(Litestar(with_options(handles(one)(nothing) for one in wrong), openapi_config=None))


def test_the_framework_decodes_no_body() -> None:
    """A handler of its own, which could ask for a decoded body, is no operation."""

    @post("/one")
    async def decoded(data: JSONBody[dict[str, str]]) -> None: ...

    @post("/one")
    async def whole(body: RawBody) -> None: ...

    for handler in (decoded, whole):
        with pytest.raises(CommandFailed, match="/one has no operation"):
            check(Litestar([handler], openapi_config=None))


@pytest.mark.parametrize(
    "operation",
    [
        op
        for op in operations()
        if {JSON, MERGE_PATCH} & {*op.reads} and op.act not in ("upload", "receive_events")
    ],
    ids=repr,
)
async def test_json_is_looked_at_for_its_depth_before_it_is_decoded(
    own: httpx2.AsyncClient, operation: Case
) -> None:
    async def told(body: bytes) -> str:
        headers = {"content-type": operation.reads[0]}
        answer = await own.request(operation.method, operation.path, content=body, headers=headers)
        return str(refused(answer, 400, "invalid")["detail"])

    for body in (nested(MAX_DEPTH + 1), nested(30_000), b'{"a":' * 10_000, nested(MAX_DEPTH + 1)[:-1]):
        assert "nested deeper" in await told(body)
    assert "nested deeper" not in await told(nested(MAX_DEPTH))


async def test_the_records_of_an_upload_are_looked_at_one_by_one(own: httpx2.AsyncClient) -> None:
    async def asked(body: bytes) -> httpx2.Response:
        return await own.post("/v1/solutions/bulk", content=body, headers={"content-type": JSON})

    refused(await asked(nested(30_000)), 400, "invalid")
    for body in (nested(MAX_DEPTH + 2), b'[{"key":"a","content":' + nested(MAX_DEPTH) + b"}]"):
        (line,) = (await asked(body)).json()["refused"]
        assert "nested deeper" in line["detail"]


async def test_what_is_signed_is_not_decoded_without_a_bound(anyone: httpx2.AsyncClient) -> None:
    """A token and an assertion hold JSON, too."""
    deep = base64.urlsafe_b64encode(b"[" * 5_000).rstrip(b"=").decode()
    head = base64.urlsafe_b64encode(json.dumps({"alg": "ES256"}).encode()).rstrip(b"=").decode()
    for token in (f"{head}.{deep}.x", f"{deep}.{deep}.x"):
        answer = await anyone.get("/v1/solutions", headers={"authorization": f"Bearer {token}"})
        refused(answer, 401, "unauthenticated")
        form = {
            **GRANT,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": token,
        }
        assert (await anyone.post("/oauth2/token", data=form)).status_code in (400, 401)


DECODES = {"decode", "loads", "json", "form", "body", "msgpack"}
BOUNDED = {
    ("planned_uploads.py", "_problem"),  # a refusal of ours
    ("shared_parts.py", "components"),  # the document of OpenAPI, as it is made
    ("status.py", "public_contacts"),  # a document of ours, from the store
    ("tokens.py", "claimed_issuer"),  # of a form of 16 KiB, and what is too deep is caught
    ("upload_lines.py", "_has_member"),  # a line of 1 MiB, and what is too deep is caught
    (
        "upload_lines.py",
        "_json_lines",
    ),  # 4 MiB, and what is too deep is caught; each record goes by read_draft
    ("upload_lines.py", "key_in"),  # a line of 1 MiB, and what is too deep is caught
}


def test_nothing_at_the_edge_decodes_but_what_looks_at_the_depth() -> None:
    """A new place that decodes is either made to go by ``decode_json`` or ``read_draft``, or named above."""
    found = set()
    node = Path(federation.node.__file__).parent
    for path in (*Path(federation.api.__file__).parent.glob("*.py"), node / "status.py", node / "tokens.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for call in ast.walk(function):
                    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
                        of = ast.unparse(call.func.value)
                        if (
                            call.func.attr in DECODES
                            and (of.endswith("json") or of in ("json", "request"))
                        ):  # fmt: skip
                            found.add((path.name, function.name))
    assert found == BOUNDED
