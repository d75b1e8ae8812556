"""A refusal is no outage: nobody else is asked for what a peer does not give us, and its reason is shown."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from email.utils import formatdate

import msgspec
import pytest

from federation.domain.errors import AccessRefused, Conflict, PeerDown, Refused, Unreachable
from federation.node import peers
from federation.node.node import Node
from federation.sync import peer_follower
from federation.sync.peer_client import PeerSource
from tests.hostile.members import Members, befriend, members
from tests.nodes import free_port
from tests.sync.peers import Answer, Tiny, heads_of, known_as, reply, tiny
from tests.sync.test_following import failed, following, view
from tests.waiting import until

REFUSALS: dict[str, dict[str, Answer]] = {
    "a token refused": {"token": reply(b'{"error":"invalid_client"}', status=401)},
    "a token forbidden": {"token": reply(b"{}", status=403)},
    "another error of the token endpoint": {"token": reply(b'{"error":"invalid_target"}', status=400)},
    "a token that does not hold": {"feeds": reply(b"{}", status=401)},
    "heads forbidden": {"feeds": reply(b"{}", status=403)},
}
NO_OUTAGES: dict[str, dict[str, Answer]] = {
    "an answer that cannot be read": {"feeds": reply(b"<html>")},
    "too many requests": {"feeds": reply(status=429)},
    "something that is not there": {"feeds": reply(status=404)},
}
OUTAGES: dict[str, dict[str, Answer]] = {
    "an error of the server": {"feeds": reply(status=500)},
    "a proxy without its node": {"token": reply(status=502)},
    "an answer that breaks off": {"feeds": b"HTTP/1.1 200 Said\r\ncontent-length: 9\r\n\r\n{"},
}


@pytest.fixture(autouse=True)
def quick_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_follower, "back_off", lambda *_, **__: timedelta(seconds=0.02))
    monkeypatch.setattr(peer_follower, "RELAY_SECONDS", 0.0)


@pytest.fixture
async def relay(arnia: Node) -> AsyncIterator[Members]:
    """One other member, which arnia follows: it can be asked for copies."""
    async with members() as crowd:
        await befriend(arnia, crowd.peers(1))
        async with following(arnia):

            async def answered() -> bool:
                return (await view(arnia, "m0")).contacted_at is not None

            await until(answered)
            yield crowd


@pytest.mark.parametrize("refusal", [*REFUSALS, *NO_OUTAGES])
async def test_nobody_is_asked_for_the_copies_of_a_peer_that_refuses(
    arnia: Node, relay: Members, refusal: str
) -> None:
    async with tiny(**{**REFUSALS, **NO_OUTAGES}[refusal]) as origin:
        await befriend(arnia, [known_as("megalis", origin.url)])
        seen = await failed(arnia, "megalis", peer_follower.RELAY_AFTER_FAILURES + 4)
    assert relay.relayed == []
    assert seen.failure


async def asks_for_copies(crowd: Members) -> None:
    async def asked() -> bool:
        return "m0" in crowd.relayed

    await until(asked)


@pytest.mark.parametrize("outage", [*OUTAGES, "nothing listens"])
async def test_others_are_asked_for_the_copies_of_a_peer_that_is_down(
    arnia: Node, relay: Members, outage: str
) -> None:
    async with tiny(**OUTAGES.get(outage, {})) as origin:
        url = origin.url if outage in OUTAGES else f"http://127.0.0.1:{free_port()}"
        await befriend(arnia, [known_as("megalis", url)])
        await asks_for_copies(relay)


async def test_an_outage_takes_no_refusal_back(arnia: Node, relay: Members) -> None:
    async with tiny(token=reply(b'{"error":"invalid_client"}', status=401)) as origin:
        await befriend(arnia, [known_as("megalis", origin.url)])
        await failed(arnia, "megalis", reason="gave no token")
        origin.answers["/oauth2/token"] = reply(status=503)
        seen = await failed(arnia, "megalis", reason="answered 503")
        await failed(arnia, "megalis", seen.failures + peer_follower.RELAY_AFTER_FAILURES + 2)
        assert relay.relayed == []
        # It answers, so the refusal is over; then it is down.
        for path, answer in (("/v1/feeds", heads_of()), ("/oauth2/token", Tiny().answers["/oauth2/token"])):
            origin.answers[path] = answer

        async def answers() -> bool:
            return (await view(arnia, "megalis")).failures == 0

        await until(answers)
        origin.answers["/v1/feeds"] = reply(status=500)
        await asks_for_copies(relay)


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        *((answers, AccessRefused) for answers in REFUSALS.values()),
        *((answers, Unreachable) for answers in NO_OUTAGES.values()),
        *((answers, PeerDown) for answers in OUTAGES.values()),
    ],
)
async def test_answers_of_a_peer_are_told_apart(
    arnia: Node, answers: dict[str, Answer], kind: type[Refused]
) -> None:
    async with tiny(**answers) as peer:
        source = PeerSource("arnia", known_as("megalis", peer.url), arnia.keyring)
        with pytest.raises(Refused) as refusal:
            await source.heads()
        await source.close()
    assert type(refusal.value) is kind


# Clocks


@pytest.mark.parametrize("ahead", [3_600, -3_600])
async def test_a_refusal_names_the_clocks_where_they_differ(arnia: Node, ahead: int) -> None:
    def refuses() -> bytes:
        date = formatdate(time.time() + ahead, usegmt=True)
        return reply(b'{"error":"invalid_client"}', status=401, date=date)

    async def refuse(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(refuses())

    async with tiny(token=refuse) as peer:
        await befriend(arnia, [known_as("megalis", peer.url)])
        async with following(arnia):
            seen = await failed(arnia, "megalis")
    assert (seen.failure or "").startswith("the clocks differ by 3")
    assert "it gave no token: invalid_client" in (seen.failure or "")
    assert seen.clock_difference is not None
    assert abs(seen.clock_difference - ahead) < 120


async def test_a_refusal_says_nothing_of_clocks_that_agree(arnia: Node) -> None:
    date = formatdate(time.time(), usegmt=True)
    async with tiny(token=reply(b'{"error":"invalid_client"}', status=401, date=date)) as peer:
        await befriend(arnia, [known_as("megalis", peer.url)])
        source = PeerSource("arnia", known_as("megalis", peer.url), arnia.keyring)
        with pytest.raises(AccessRefused, match=r"^it gave no token"):
            await source.heads()
        assert source.clock.difference is not None
        await source.close()


async def test_the_clock_of_a_peer_that_answers_is_listed_where_it_differs(arnia: Node) -> None:
    async def answer(writer: asyncio.StreamWriter, _: bytes) -> None:
        date = formatdate(time.time() - 45, usegmt=True)
        writer.write(reply(msgspec.json.encode({"feeds": []}), etag='"1"', date=date))

    async with tiny(feeds=answer) as peer:
        await befriend(arnia, [known_as("megalis", peer.url)])
        async with following(arnia):

            async def listed() -> bool:
                seen = await view(arnia, "megalis")
                return seen.clock_difference is not None and seen.failures == 0

            await until(listed)
    difference = (await view(arnia, "megalis")).clock_difference
    assert difference is not None
    assert -120 < difference < -30


# Asking now


async def test_a_peer_is_asked_at_once_when_an_administrator_wants_it(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_follower, "back_off", lambda *_, **__: timedelta(hours=1))
    async with tiny(feeds=reply(status=500)) as peer:
        await befriend(arnia, [known_as("megalis", peer.url)])
        async with following(arnia):
            seen = await failed(arnia, "megalis")
            assert seen.next_try_at
            await asyncio.sleep(0.3)
            assert peer.asked.count("/v1/feeds") == 1
            await peers.retry(arnia, "megalis")
            await failed(arnia, "megalis", 2)


async def test_a_peer_that_is_not_followed_is_not_asked(arnia: Node) -> None:
    await befriend(arnia, [known_as("megalis", "http://127.0.0.1:9")])
    await peers.suspend(arnia, "megalis")
    with pytest.raises(Conflict, match="suspended, not active"):
        await peers.retry(arnia, "megalis")
