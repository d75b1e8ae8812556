"""Requests under way have bounds, of a caller and in all; some slots stay free, and half-sent ones yield."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from litestar import Litestar

from federation.api import openapi
from federation.domain.errors import CommandFailed, TooManyRequests, Unavailable
from federation.domain.visibility import anonymous
from federation.edge import requests
from federation.edge.limits import Limits
from federation.edge.operations import CREDENTIALS, Operation, table
from federation.edge.shares import AWAITED, SLOT, Bounds, Shares, Slot, enter, while_connected
from federation.node.node import Node
from federation.server.app import api
from federation.settings.environment import read
from federation.settings.settings import RESERVED_SOCKETS
from federation.telemetry import Metrics
from tests.api.http_client import refused
from tests.api.raw import RawConnection, connected
from tests.domain.builders import a_solution
from tests.hostile.greedy import Numbers, attack
from tests.nodes import Proving, a_client, a_node, a_token, another_token, publish, served
from tests.waiting import MAX_WAIT_SECONDS, until, wait_for_waiter

WAIT = {"prefer": "wait=30"}


# The shares themselves


def test_a_caller_has_its_share_and_the_others_have_theirs() -> None:
    shares = Shares(Bounds(requests_per_caller=2))
    first = shares.enter("a", reserved=False)
    shares.enter("a", reserved=True)
    with pytest.raises(TooManyRequests, match="more than 2 requests at once") as refusal:
        shares.enter("a", reserved=True)
    assert refusal.value.retry_after == 1
    shares.enter("b", reserved=False)
    first.release()
    first.release()
    shares.enter("a", reserved=False)
    assert shares.requests.count == 3


def test_a_wait_gives_the_slot_of_a_request_back() -> None:
    shares = Shares(Bounds(requests_per_caller=1, waits_per_caller=2))
    slots = [shares.enter("a", reserved=False) for _ in range(1)]
    slots[0].wait()
    slots[0].wait()
    shares.enter("a", reserved=False).wait()
    third = shares.enter("a", reserved=False)
    with pytest.raises(TooManyRequests, match="more than 2 waits at once") as refusal:
        third.wait()
    assert refusal.value.retry_after == 15
    assert (shares.requests.count, shares.waits.count) == (0, 2), "what is refused has no slot"
    slots[0].release()
    shares.enter("a", reserved=False).wait()


def test_the_bound_in_all_leaves_out_the_reserved() -> None:
    metrics = Metrics()
    shares = Shares(Bounds(requests=2, waits=1), metrics)
    for caller in ("a", "b"):
        shares.enter(caller, reserved=False)
    with pytest.raises(Unavailable):
        shares.enter("c", reserved=False)
    administrator = shares.enter("d", reserved=True)
    administrator.wait()
    shares.enter("e", reserved=True)
    page = metrics.exposition().decode()
    assert 'federation_under_way{kind="requests"} 3.0' in page
    assert 'federation_under_way{kind="waits"} 1.0' in page
    assert 'federation_shares_refused_total{bound="all",kind="requests"} 1.0' in page


def test_without_bounds_nothing_is_refused_and_nothing_left_behind() -> None:
    shares = Shares()
    slots = [shares.enter("a", reserved=False) for _ in range(1_000)]
    for slot in slots:
        slot.wait()
    for slot in slots:
        slot.release()
    assert (shares.waits.count, shares.waits.of("a"), shares.waits._slots) == (0, 0, {})


async def test_the_oldest_half_sent_request_gives_way() -> None:
    shares = Shares(Bounds(requests_per_caller=3, requests=3))
    working = shares.enter("a", reserved=False)
    ended = []

    async def awaiting(name: str, caller: str = "a") -> None:
        slot = shares.enter(caller, reserved=False)
        try:
            async with asyncio.timeout(MAX_WAIT_SECONDS) as slot.body:
                await asyncio.Event().wait()
        except TimeoutError:
            ended.append(name)

    async def half_sent(name: str, caller: str = "a") -> asyncio.Task[None]:
        task = asyncio.create_task(awaiting(name, caller))
        await asyncio.sleep(0)
        return task

    first, second = await half_sent("first"), await half_sent("second")
    shares.enter("a", reserved=False)
    await first
    assert ended == ["first"], "the oldest, and no request that is worked on"
    shares.enter("b", reserved=False)
    await second  # the bound in all: of the caller with most
    assert ended == ["first", "second"]
    for caller in ("a", "b", "c"):
        with pytest.raises(Unavailable):
            shares.enter(caller, reserved=False)
    assert not working.released


# Over HTTP


@pytest.fixture
def bounded(app: Litestar) -> Iterator[Litestar]:
    """Arnia's application with small shares."""
    app.state.shares = Shares(Bounds(4, 2, 3, 2))
    yield app
    app.state.shares = Shares()


@asynccontextmanager
async def waits(client: httpx2.AsyncClient, shares: Shares, number: int) -> AsyncIterator[None]:
    """So many waits of a client while the block lasts."""
    before = shares.waits.count
    tag = (await client.get("/v1/feeds")).headers["etag"]
    headers = {"if-none-match": tag, **WAIT}
    tasks = [asyncio.create_task(client.get("/v1/feeds", headers=headers)) for _ in range(number)]

    async def all_wait() -> bool:
        return shares.waits.count == before + number

    try:
        await until(all_wait)
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_waits_beyond_a_share_are_refused_at_once_and_others_are_served(
    bounded: Litestar, own: httpx2.AsyncClient, peer: httpx2.AsyncClient, arnia: Node
) -> None:
    shares = bounded.state.shares
    async with waits(peer, shares, 2):
        answer = await peer.get("/v1/feeds", headers=WAIT)
        refused(answer, 429, "too-many-requests")
        assert answer.headers["retry-after"] == "15"
        assert (await peer.get("/v1/feeds")).status_code == 200, "what does not wait is no wait"
        async with waits(own, shares, 2):
            refused(await own.get("/v1/feeds", headers=WAIT), 429, "too-many-requests")
    assert shares.waits.count == 0
    assert (await peer.get("/v1/feeds", headers=WAIT)).status_code == 200


async def test_all_waits_together_leave_slots_for_administration_and_health(
    bounded: Litestar, peer: httpx2.AsyncClient, own: httpx2.AsyncClient, arnia: Node
) -> None:
    shares = bounded.state.shares
    other = await a_token(arnia, own, "feeds.read", name="other")
    third = await a_token(arnia, own, "feeds.read", name="third")
    transport = own._transport
    async with (
        httpx2.AsyncClient(transport=transport, base_url=arnia.url, headers=other) as reading,
        httpx2.AsyncClient(transport=transport, base_url=arnia.url, headers=third) as late,
        waits(peer, shares, 2),
        waits(reading, shares, 1),
    ):
        answer = await late.get("/v1/feeds", headers=WAIT)
        refused(answer, 503, "unavailable")
        assert answer.headers["retry-after"] == "2"
        assert (await late.get("/v1/feeds")).status_code == 200
        async with waits(own, shares, 1):
            assert (await own.get("/metrics")).status_code == 200
        assert (await late.get("/health/ready")).status_code == 200


@pytest.mark.parametrize("path", ["/v1/solutions", "/v1/deadlines"])
async def test_requests_under_way_have_a_bound(
    bounded: Litestar, own: httpx2.AsyncClient, anyone: httpx2.AsyncClient, path: str
) -> None:
    shares: Shares = bounded.state.shares
    slots = [shares.enter("client client-own", reserved=True) for _ in range(2)]
    answer = await own.get(path)
    refused(answer, 429, "too-many-requests")
    assert answer.headers["retry-after"] == "1"
    assert (await own.get("/health/live")).status_code == 200
    slots.pop().release()
    for _ in range(5):
        assert (await own.get(path)).status_code == 200
        assert (await own.get(f"{path}/none/none")).status_code in (403, 404)
    assert shares.requests.count == 1
    others = [shares.enter(name, reserved=False) for name in ("a", "a", "b", "b")]
    refused(await anyone.get("/docs"), 503, "unavailable")
    assert (await own.get(path)).status_code == 200, "an administrator's slots are reserved"
    for slot in (*slots, *others):
        slot.release()
    assert (await anyone.get("/docs")).status_code == 200


def test_every_operation_that_can_be_refused_for_its_share_says_so() -> None:
    counted = {operation.id for operation in table(api()) if operation.right.counted != "not"}
    seen = 0
    for methods in openapi.document(api(), "https://node.example.org")["paths"].values():
        for operation in methods.values():
            seen += operation["operationId"] in counted
            assert (operation["operationId"] in counted) <= ({"429", "503"} <= operation["responses"].keys())
    assert seen > 60


def test_credentials_that_were_right_before_have_a_share_of_their_own() -> None:
    """The others of their address cannot keep them out."""
    limits, shares = Limits(anonymous=10), Shares(Bounds(requests=1, requests_per_caller=1))
    operation = Operation(act="x", id="", method="POST", path="/x", right=CREDENTIALS, tag="node")

    def entered(authorization: str | None) -> Slot:
        headers = {} if authorization is None else {"authorization": authorization}
        scope: dict[str, Any] = {"client": ("192.0.2.1", 1), "headers": []}
        state = SimpleNamespace(limits=limits, shares=shares)
        request: Any = SimpleNamespace(app=SimpleNamespace(state=state), scope=scope, headers=headers)
        slot = enter(operation, request, anonymous("arnia"))
        assert slot is not None
        assert SLOT in scope
        return slot

    first = entered(None)
    assert not first.reserved
    with pytest.raises(TooManyRequests):
        entered("Basic eDp5")
    limits.remember_login("Basic eDp5", {"client": ("192.0.2.1", 1), "headers": []})
    known = entered("Basic eDp5")
    assert known.reserved
    assert known.caller != first.caller
    with pytest.raises(TooManyRequests):
        entered("Basic eDp5")


# Over a real connection


HALF_FORM = (
    b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: 1000\r\n\r\ngrant"
)


@asynccontextmanager
async def small_node(dsn: str, **changes: Any) -> AsyncIterator[tuple[Node, httpx2.AsyncClient]]:
    """Arnia behind a real server with small shares, and a client of its operator."""
    async with (
        served("arnia", dsn, sync=False, limits=False, **changes) as url,
        a_node("arnia", dsn, url=url) as node,
        httpx2.AsyncClient(base_url=url, trust_env=False, timeout=MAX_WAIT_SECONDS, auth=Proving()) as client,
    ):
        client.headers.update(await a_token(node, client, name="own"))
        yield node, client


async def test_streams_have_the_share_of_waits_and_give_it_back_when_they_end(dsn: str) -> None:
    async with small_node(dsn, waits_per_caller=2) as (node, client):
        other = await a_token(node, client, name="other")
        request = (
            b"GET /v1/changes HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nAuthorization: "
            + client.headers["authorization"].encode()
            + b"\r\n\r\n"
        )
        async with connected(client.base_url) as first, connected(client.base_url) as second:
            for stream in (first, second):
                assert (await stream.ask(request)).status == 200
            answer = await client.get("/v1/changes", headers={"accept": "text/event-stream"})
            refused(answer, 429, "too-many-requests")
            assert answer.headers["retry-after"] == "15"
            async with client.stream(
                "GET", "/v1/changes", headers={**other, "accept": "text/event-stream"}
            ) as stream_of_other:
                assert stream_of_other.status_code == 200
            second.close()

            async def is_free() -> bool:
                async with connected(client.base_url) as third:
                    return (await third.ask(request)).status == 200

            await until(is_free)


async def test_a_wait_whose_connection_has_ended_gives_its_slot_back(dsn: str) -> None:
    async with small_node(dsn, waits_per_caller=2) as (_, client):
        gone = []

        async def status() -> int:
            return (await client.get("/v1/feeds", headers={"prefer": "wait=1"})).status_code

        async def is_full() -> bool:
            if await status() == 429:
                return True
            # (A signature between the two requests answers the second one at once: then once more.)
            answer = await client.get("/v1/feeds")
            connection = await RawConnection.open(client.base_url)
            gone.append(connection)
            connection.send(
                "GET /v1/feeds HTTP/1.1\r\nHost: x\r\nPrefer: wait=30\r\n"
                f"If-None-Match: {answer.headers['etag']}\r\n"
                f"Authorization: {client.headers['authorization']}\r\n\r\n".encode()
            )
            return False

        async def is_free() -> bool:
            return await status() == 200

        await until(is_full)
        for connection in gone:
            connection.close()
        await until(is_free)


async def test_a_connection_that_ends_just_after_its_answer_stops_nothing() -> None:
    """The request goes on in the same task: a cancellation that comes late would hit it there."""
    loop = asyncio.get_running_loop()
    ended, answered = loop.create_future(), loop.create_future()
    connection: Any = SimpleNamespace(receive=lambda: ended)

    async def respond() -> Any:
        response = await while_connected(answered, connection)
        await asyncio.sleep(0)
        return response

    responding = asyncio.create_task(respond())
    await asyncio.sleep(0)
    answered.set_result("the answer")
    ended.set_result({"type": "http.disconnect"})
    assert await responding == "the answer"


@pytest.mark.parametrize("outside", [True, False])
async def test_a_request_that_waits_is_answered_after_the_framework_has_returned(
    app: Litestar, own: httpx2.AsyncClient, arnia: Node, outside: bool
) -> None:
    """Of hundreds that wait the framework is in the middle of none. Where nobody takes over, it answers."""
    answer = await own.get("/v1/feeds")
    headers = {**WAIT, "if-none-match": answer.headers["etag"], "authorization": own.headers["authorization"]}
    scope: Any = {
        "type": "http", "method": "GET", "path": "/v1/feeds", "query_string": b"", "http_version": "1.1",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    if outside:
        scope[AWAITED] = None
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return await asyncio.get_running_loop().create_future()

    handling = asyncio.create_task(app(scope, receive, send))
    if outside:
        await handling
        assert sent == []
        handling = asyncio.create_task(scope[AWAITED].send(scope, receive, send))
    await wait_for_waiter(arnia)
    assert not handling.done()
    assert app.state.shares.waits.count == 1
    await publish(arnia, "solution", "one", a_solution())
    async with asyncio.timeout(MAX_WAIT_SECONDS):
        await handling
    assert [message.get("status") for message in sent] == [200, None]
    assert app.state.shares.waits.count == app.state.shares.requests.count == 0


async def until_done(tasks: Sequence[asyncio.Future[Any]], number: int) -> None:
    """Wait until so many of these tasks are done; no more than that may be."""

    async def are_done() -> bool:
        return sum(task.done() for task in tasks) >= number

    await until(are_done)
    assert sum(task.done() for task in tasks) == number


async def test_half_sent_bodies_of_an_address_do_not_keep_its_clients_out(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest of them gives way to each newer request, and is told so."""
    monkeypatch.setattr(requests, "MAX_SILENT_SECONDS", MAX_WAIT_SECONDS)
    async with small_node(dsn, requests_per_caller=4) as (node, client), AsyncExitStack() as stack:
        credentials = await a_client(node, name="erp")
        reading = []
        for _ in range(6):
            connection = await RawConnection.open(client.base_url)
            stack.callback(connection.close)
            connection.send(HALF_FORM)
            reading.append(asyncio.ensure_future(connection.read_answer()))
            stack.callback(reading[-1].cancel)
        # (The server may read them in another order than that in which they were sent.)
        await until_done(reading, 2)
        assert await another_token(client, credentials)
        await until_done(reading, 3)
        for answer in [task.result() for task in reading if task.done()]:
            assert answer.status == 408
            assert answer.headers["connection"] == "close"
            assert b"newer requests" in answer.body


async def test_a_small_greedy_client_harms_nobody(dsn: str) -> None:
    """Tens of waits, streams and idle connections; ``python -m tests.hostile greedy`` has thousands."""
    async with small_node(dsn, waits_per_caller=8) as (node, client):
        await publish(node, "solution", "one", a_solution(), tlp="CLEAR")
        greedy = await a_token(node, client, name="greedy")
        other = await a_token(node, client, "solutions.read", name="other")
        outcome = await attack(
            str(client.base_url),
            lambda _: {**greedy, **WAIT},
            lambda _: {**greedy, "accept": "text/event-stream"},
            other["authorization"],
            Numbers(waits=20, streams=20, idle=30, requests=20),
        )
        assert outcome.failures == []
        assert outcome.refused >= 20, "of forty, eight have a share"


# Settings


def test_the_bounds_are_read_and_leave_room() -> None:
    base = {"FEDERATION_OPERATOR": "arnia"}
    settings = read(base)
    assert (settings.requests, settings.requests_per_caller) == (384, 128)
    assert (settings.waits, settings.waits_per_caller) == (512, 32)
    assert (settings.sockets, settings.sockets_per_address, settings.drain_seconds) == (1_024, 256, 5)
    changed = {
        "REQUESTS": "100", "REQUESTS_PER_CALLER": "10", "WAITS": "200", "WAITS_PER_CALLER": "5",
        "SOCKETS": str(300 + RESERVED_SOCKETS), "SOCKETS_PER_ADDRESS": "7", "DRAIN_SECONDS": "0",
    }  # fmt: skip
    settings = read(base | {f"FEDERATION_{name}": value for name, value in changed.items()})
    assert {name: str(getattr(settings, name.lower())) for name in changed} == changed
    with pytest.raises(CommandFailed, match=f"FEDERATION_SOCKETS is 363; .*{300 + RESERVED_SOCKETS}"):
        read(base | {"FEDERATION_REQUESTS": "100", "FEDERATION_WAITS": "200", "FEDERATION_SOCKETS": "363"})
    for name in changed:
        for value in ("-1", "x", "60001" if name != "DRAIN_SECONDS" else "601"):
            with pytest.raises(CommandFailed, match=f"FEDERATION_{name} is"):
                read(base | {f"FEDERATION_{name}": value})
