"""The loop: whoever fails harms nobody else, says why, and is asked again; several processes share."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from federation.api import requests
from federation.domain.feed import FeedName
from federation.domain.peer import back_off as peer_back_off
from federation.node import peer_views
from federation.node.node import Node
from federation.node.peer_views import PeerView
from federation.outbound import http as outbound_http
from federation.sync import peer_client, peer_follower
from federation.sync.loop import Loop
from federation.sync.peer_client import PeerSource
from federation.telemetry import Metrics
from tests.conftest import Databases, emptied
from tests.domain.builders import a_document, a_solution
from tests.nodes import a_node, answers, free_port, introduce, peer_of, publish, served
from tests.store.stepwise_transactions import arrivals, counts_are_true, looking
from tests.sync.peers import (
    Tiny,
    a_head,
    an_entry,
    heads_of,
    held,
    known_as,
    line,
    reply,
    stream,
    tiny,
)
from tests.waiting import MAX_WAIT_SECONDS, is_within_a_second, until

PROJECT = Path(__file__).parents[2]


@asynccontextmanager
async def following(node: Node) -> AsyncIterator[None]:
    async with Loop(node, Metrics()).running():
        yield


async def befriend(node: Node, **urls: str) -> None:
    async with node.store.write() as tx:
        for operator, url in urls.items():
            await tx.peers.add(known_as(operator, url))


async def view(node: Node, operator: str) -> PeerView:
    (found,) = [peer for peer in (await peer_views.peers(node)).peers if peer.operator == operator]
    return found


async def failed(node: Node, operator: str, times: int = 1, *, reason: str = "") -> PeerView:
    """Wait until a peer has failed so often, the last time for this reason, and say how it is seen."""

    async def often() -> PeerView | None:
        seen = await view(node, operator)
        return seen if seen.failures >= times and reason in (seen.failure or "") else None

    found: PeerView = await until(often)
    return found


async def follows_within_a_second(node: Node, origin: Node) -> None:
    """Most of what is published is held within a second: a machine may be busy for a while."""
    prompt = 0
    for n in range(5):
        key = f"prompt-{n}"

        async def there(key: str = key) -> bool:
            return key in await held(node)

        await publish(origin, "solution", key, a_solution())
        prompt += await is_within_a_second(node, there)
        await until(there)
    assert prompt >= 3, f"{prompt} of 5"


async def has(node: Node, key: str) -> None:
    async def there() -> bool:
        return key in await held(node)

    await until(there)


@pytest.fixture
async def origin(databases: Databases) -> AsyncIterator[Node]:
    """Megalis behind a real HTTP server."""
    dsn = await emptied(await databases("megalis"))
    async with served("megalis", dsn, sync=False) as url, a_node("megalis", dsn, url=url) as node:
        yield node


async def test_a_publication_is_held_by_a_waiting_peer_within_a_second(arnia: Node, origin: Node) -> None:
    await introduce(arnia, origin)
    await publish(origin, "solution", "first", a_solution())
    async with following(arnia):
        await has(arnia, "first")
        await follows_within_a_second(arnia, origin)
    seen = await view(arnia, "megalis")
    assert (seen.failures, seen.failure, seen.lag) == (0, None, 0)
    assert seen.contacted_at


async def test_heads_that_are_waited_for_come_when_they_move_and_not_before(
    arnia: Node, origin: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait is one of an hour, here: what comes was woken."""
    monkeypatch.setattr(peer_client, "HEADS_WAIT_SECONDS", 3_600)
    monkeypatch.setattr(requests, "MAX_WAIT_SECONDS", 3_600)
    await introduce(arnia, origin)
    source = PeerSource("arnia", peer_of(origin), arnia.keyring)
    first = await source.heads(wait=True)
    waiting = asyncio.create_task(source.heads(wait=True))
    done, _ = await asyncio.wait([waiting], timeout=0.5)
    assert not done, "nothing has moved"
    await publish(origin, "solution", "glpi", a_solution())
    async with asyncio.timeout(MAX_WAIT_SECONDS):
        heads = await waiting
    assert first is not None
    assert heads is not None
    assert {h.audience: h.seq for h in heads} == {h.audience: h.seq for h in first} | {"public": 1}
    await source.close()


def garbage() -> bytes:
    return b"\x00\xff not HTTP at all\r\n\r\n"


async def hangs(writer: asyncio.StreamWriter, _: bytes) -> None:
    await asyncio.sleep(60)


def problem(**members: str) -> bytes:
    import msgspec

    return msgspec.json.encode(members)


FAILING: dict[str, tuple[dict[str, Any], str]] = {
    "internal": ({"feeds": reply(problem(type="x", detail="sorry"), status=500)}, "answered 500: sorry"),
    "unauthorised": ({"token": reply(b'{"error":"invalid_client"}', status=401)}, "gave no token"),
    "refusing": ({"feeds": reply(b"{}", status=401)}, "answered 401"),
    "garbling": ({"token": garbage()}, "cannot be reached"),
    "babbling": ({"feeds": reply(b"<html>")}, "cannot be read"),
    "slow": ({"token": hangs}, "cannot be reached"),
    "redirecting": ({"feeds": reply(status=302, location="http://127.0.0.1:9/")}, "answered 302"),
    "disordered": (
        {
            "feeds": heads_of(a_head(9, name=FeedName("disordered", "public"))),
            "changes": stream(line(an_entry(2)), line(an_entry(1))),
        },
        "not in order",
    ),
    "listing": ({"token": reply(b"[]")}, "token"),
}


async def test_peers_that_fail_harm_no_other_and_each_shows_its_reason(
    arnia: Node, origin: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound_http, "MAX_SILENT_SECONDS", 2.0)
    await introduce(arnia, origin)
    await publish(origin, "solution", "first", a_solution())
    async with AsyncExitStack() as stack:
        urls = {}
        for operator, (behaviour, _) in FAILING.items():
            urls[operator] = (await stack.enter_async_context(tiny(**behaviour))).url
        urls["down"] = f"http://127.0.0.1:{free_port()}"
        urls["plain"] = "http://node.example.org"
        await befriend(arnia, **urls)
        await stack.enter_async_context(following(arnia))
        await has(arnia, "first")
        reasons = {operator: reason for operator, (_, reason) in FAILING.items()}
        reasons |= {"down": "cannot be reached", "plain": "not https"}
        for operator, reason in reasons.items():
            seen = await failed(arnia, operator, reason=reason)
            assert seen.next_try_at
            assert seen.contacted_at is None
            assert seen.state == "active"
        await follows_within_a_second(arnia, origin)
    assert (await view(arnia, "megalis")).failures == 0


async def test_a_peer_that_fails_is_asked_less_and_less_often(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[timedelta] = []

    def back_off(failures: int, *, asked: float | None = None) -> timedelta:
        waits.append(real(failures, asked=asked))
        return timedelta(seconds=0.01)

    real: Callable[..., timedelta] = peer_back_off
    monkeypatch.setattr(peer_follower, "back_off", back_off)
    async with tiny(feeds=reply(status=500)) as peer:
        await befriend(arnia, failing=peer.url)
        async with following(arnia):
            await failed(arnia, "failing", times=12)
    longest = [max(1.0, 2.0 ** (n - 1)) for n in range(1, len(waits) + 1)]
    assert all(wait.total_seconds() <= min(300.0, most) for wait, most in zip(waits, longest, strict=True))
    assert max(waits[8:]) > timedelta(seconds=2)


async def test_a_peer_that_asks_for_time_is_given_it(arnia: Node) -> None:
    before = datetime.now(UTC)
    async with tiny(feeds=reply(status=503, retry_after="77")) as peer:
        await befriend(arnia, busy=peer.url)
        async with following(arnia):
            seen = await failed(arnia, "busy")
    assert seen.next_try_at
    asked = datetime.fromisoformat(seen.next_try_at) - timedelta(seconds=77)
    assert before < asked < datetime.now(UTC)


async def test_a_peer_that_comes_back_is_followed_again_and_its_failure_forgotten(arnia: Node) -> None:
    async with tiny(feeds=reply(status=500)) as peer:
        await befriend(arnia, megalis=peer.url)
        async with following(arnia):
            await failed(arnia, "megalis")
            peer.answers["/v1/feeds/"] = stream(line(an_entry(1)))
            peer.answers["/v1/feeds"] = heads_of(a_head(1))
            reorder(peer)
            await has(arnia, "k1")

            async def forgotten() -> bool:
                seen = await view(arnia, "megalis")
                return (seen.failures, seen.failure, seen.next_try_at) == (0, None, None)

            await until(forgotten)


def reorder(peer: Tiny) -> None:
    """The longest path first: the first that fits is answered."""
    peer.answers = dict(sorted(peer.answers.items(), key=lambda item: -len(item[0])))


async def test_feeds_of_others_and_of_nobody_are_not_taken_from_a_peer(arnia: Node, look: Any) -> None:
    """A peer speaks for itself alone, and RED is in no feed."""
    heads = [a_head(1, name=FeedName(*name)) for name in (
        ("recia", "public"), ("arnia", "public"), ("megalis", "private"), ("megalis", "public"),
    )]  # fmt: skip
    red = line(an_entry(1, a_document(key="red", tlp="RED")))

    async def by_path(writer: asyncio.StreamWriter, head: bytes) -> None:
        private = b"/private/" in head.split(b" ", 2)[1]
        writer.write(stream(red if private else line(an_entry(1))))

    async with tiny(feeds=heads_of(*heads), changes=by_path) as peer:
        await befriend(arnia, megalis=peer.url)
        async with following(arnia):
            await has(arnia, "k1")

            async def asked_again() -> bool:
                return peer.asked.count("/v1/feeds") > 1

            await until(asked_again)
        taken = {path.split("?")[0] for path in peer.asked if "/changes" in path}
    assert taken == {"/v1/feeds/megalis/public/changes"}
    assert await look.fetch("SELECT DISTINCT origin, key FROM records") == [("megalis", "k1")]


async def test_a_peer_that_is_removed_is_no_longer_followed(arnia: Node, origin: Node) -> None:
    await introduce(arnia, origin)
    await publish(origin, "solution", "first", a_solution())
    async with following(arnia):
        await has(arnia, "first")
        async with arnia.store.write() as tx:
            assert await tx.peers.remove("megalis")

        async def let_go() -> bool:
            return not [task for task in asyncio.all_tasks() if task.get_name() == "peer megalis"]

        await until(let_go)
        await publish(origin, "solution", "second", a_solution())
        assert (await held(arnia)).keys() == {"first"}


async def test_a_cursor_that_is_refused_is_an_alarm_and_nothing_is_lost(arnia: Node) -> None:
    refusal = reply(problem(type="x/cursor-in-future", detail="ahead"), status=400)

    async def by_cursor(writer: asyncio.StreamWriter, head: bytes) -> None:
        writer.write(refusal if b"after=" in head else stream(line(an_entry(1))))

    async with tiny(feeds=heads_of(a_head(4)), changes=by_cursor) as peer:
        await befriend(arnia, megalis=peer.url)
        async with following(arnia):
            seen = await failed(arnia, "megalis")
            assert "cursor-in-future: ahead" in (seen.failure or "")
            assert await held(arnia) == {"k1": 1}


async def test_a_peer_whose_reason_cannot_be_stored_is_asked_less_often_all_the_same(arnia: Node) -> None:
    async with tiny(feeds=reply(problem(type="x", detail="a\x00b"), status=500)) as peer:
        await befriend(arnia, failing=peer.url)
        async with following(arnia):
            seen = await failed(arnia, "failing")
    assert "answered 500" in (seen.failure or "")
    assert seen.next_try_at


async def test_a_peer_that_does_not_wait_is_not_asked_without_a_pause(arnia: Node) -> None:
    """It may ignore the preference, or be about to stop and end all waits at once."""
    answers = {"new": heads_of(a_head(1)), "old": reply(status=304)}

    async def at_once(writer: asyncio.StreamWriter, head: bytes) -> None:
        writer.write(answers["old" if b"if-none-match" in head.lower() else "new"])

    async with tiny(feeds=at_once, changes=stream(line(an_entry(1)))) as peer:
        await befriend(arnia, megalis=peer.url)
        async with following(arnia):
            await has(arnia, "k1")
            began, before = time.monotonic(), len(peer.asked)
            await asyncio.sleep(1.0)
            often = len(peer.asked) - before
            took = time.monotonic() - began
    assert often < 20 * took, f"it was asked {often} times in {took:.1f} s"


async def test_a_peer_with_a_new_head_and_no_entry_is_asked_at_once_but_not_without_end(arnia: Node) -> None:
    """A signature follows what it is of; who sends ever new ones is given a bound."""
    told = itertools.count(1)
    answered = 0

    async def ever_new(writer: asyncio.StreamWriter, head: bytes) -> None:
        nonlocal answered
        answered += 1
        writer.write(heads_of(msgspec.structs.replace(a_head(1), count=next(told))))

    async with tiny(feeds=ever_new, changes=stream(line(an_entry(1)))) as peer:
        await befriend(arnia, megalis=peer.url)
        async with following(arnia):
            await has(arnia, "k1")

            async def at_once() -> bool:
                return answered > peer_follower.CHECKPOINTS_PER_SECOND / 2

            await until(at_once)
            began, before = time.monotonic(), answered
            await asyncio.sleep(2.0)
            often = answered - before
            took = time.monotonic() - began
    assert often < peer_follower.CHECKPOINTS_PER_SECOND * (took + 1) + 5, (
        f"it was asked {often} times in {took:.1f} s"
    )


def test_a_rate_limit_allows_a_seconds_worth_at_once() -> None:
    limit = peer_follower.RateLimit(10)
    assert sum(limit.allows(100.0) for _ in range(50)) == 10
    assert not limit.allows(100.05)
    assert limit.allows(100.2)
    assert sum(limit.allows(200.0) for _ in range(50)) == 10


CLAIMED = """
    SELECT a.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'advisory' AND l.granted AND l.mode = 'ExclusiveLock'
        AND a.application_name = 'federation tasks'"""


async def test_two_processes_share_a_peer_without_doing_it_twice_and_one_takes_over_from_the_other(
    databases: Databases, origin: Node, tmp_path: Path
) -> None:
    dsn = await emptied(await databases("arnia"))
    async with a_node("arnia", dsn) as arnia, looking(dsn) as look:
        await introduce(arnia, origin)
        for n in range(5):
            await publish(origin, "solution", f"k{n}", a_solution())
        running: list[Any] = []

        async def serve() -> Any:
            port = free_port()
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "federation.cli", "serve",
                env={
                    **os.environ, "PYTHONPATH": str(PROJECT), "FEDERATION_OPERATOR": "arnia",
                    "FEDERATION_PORT": str(port), "FEDERATION_DATABASE_URL": dsn,
                },
                cwd=tmp_path, stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            running.append(process)
            await answers(f"http://127.0.0.1:{port}/health/ready")
            return process

        async def holders() -> list[int]:
            return [row[0] for row in await look.fetch(CLAIMED)]

        try:
            first = await serve()
            await has(arnia, "k4")
            holder = await until(holders)
            await serve()
            both = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'federation tasks'"

            async def two() -> bool:
                return bool(await look.fetchval(both) == 2)

            await until(two)
            await publish(origin, "solution", "shared", a_solution())
            await has(arnia, "shared")
            assert await holders() == holder, "one of the two follows the peer"
            async with looking(await databases("megalis")) as there:
                assert await there.fetchval("SELECT count(*) FROM assertions") == 1
            first.send_signal(signal.SIGKILL)
            await first.wait()

            async def taken_over() -> bool:
                now = await holders()
                return bool(now) and now != holder

            await until(taken_over)
            await publish(origin, "solution", "after", a_solution())
            await has(arnia, "after")
            numbers = await arrivals(look)
            assert len(numbers) >= 7
            assert numbers == list(range(1, len(numbers) + 1)), "everything came once"
            await counts_are_true(look)
        finally:
            for process in running:
                if process.returncode is None:
                    process.send_signal(signal.SIGTERM)
                    await process.wait()


async def test_the_loop_goes_on_when_the_connection_of_its_claims_is_killed(
    arnia: Node, origin: Node, look: Any
) -> None:
    await introduce(arnia, origin)
    await publish(origin, "solution", "first", a_solution())
    async with following(arnia):
        await has(arnia, "first")
        before = await look.fetchval(CLAIMED)
        assert await look.fetchval("SELECT pg_terminate_backend($1)", before)

        async def claimed_anew() -> bool:
            now = await look.fetchval(CLAIMED)
            return now is not None and now != before

        await until(claimed_anew)
        await publish(origin, "solution", "second", a_solution())
        await has(arnia, "second")


async def test_a_served_node_shows_its_peers(arnia: Node, databases: Databases) -> None:
    from tests.nodes import a_token

    async with tiny(feeds=reply(status=500)) as peer:
        await befriend(arnia, failing=peer.url)
        async with served("arnia", await databases("arnia")) as url:
            await failed(arnia, "failing")
            async with (
                a_node("arnia", await databases("arnia"), url=url) as node,
                httpx2.AsyncClient(base_url=url) as http,
            ):
                token = await a_token(node, http, "peers.read")
                shown = (await http.get("/v1/peers", headers=token)).json()["peers"]
    assert [(one["operator"], one["failure"]) for one in shown] == [("failing", "it answered 500")]
