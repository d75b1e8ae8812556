"""What is beyond the checkpoint is not verified: a checkpoint that does not come is an alarm, and says so."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from federation.cli.peer_table import show_peers
from federation.domain.copy import CopyFacts, CopyState
from federation.domain.feed import FeedName
from federation.domain.visibility import itself
from federation.node import checkpoints, copies, copy_ages, copy_views, peer_views
from federation.node.node import Node
from federation.sync import loop, unsigned_heads
from federation.sync.unsigned_heads import IDLE_SECONDS, WRITING_SECONDS, UnsignedHeads
from tests.conftest import Databases, emptied
from tests.domain.builders import a_solution
from tests.nodes import a_node, introduce, publish, served
from tests.proof.in_process_peer import acquainted, round_of
from tests.sync.peers import PUBLIC, a_head, an_entry, heads_of, line, stream, tiny
from tests.sync.test_following import befriend, following, has, view
from tests.waiting import until

ARNIA = FeedName("arnia", "public")


class Moment:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Moment:
    return Moment()


def test_a_head_that_is_signed_is_never_late(clock: Moment) -> None:
    heads = UnsignedHeads(clock)
    heads.observe(a_head(33), 33, clock())
    heads.begin_wait("megalis")
    clock.now += 3_600
    assert heads.late() == []


def test_a_checkpoint_is_late_when_the_origin_keeps_us_waiting_and_has_none(clock: Moment) -> None:
    heads = UnsignedHeads(clock)
    heads.observe(a_head(33), 31, clock())
    assert heads.late() == []
    clock.now += 3_600  # of which we were busy
    heads.begin_wait("megalis")
    clock.now += IDLE_SECONDS - 1
    assert heads.late() == []
    clock.now += 2
    ((name, seconds),) = heads.late()
    assert (name, seconds) == (PUBLIC, 3_600 + IDLE_SECONDS + 1)
    assert heads.late() == [], "it is reported once"


def test_a_checkpoint_is_late_when_the_origin_shows_the_same_head_again(clock: Moment) -> None:
    heads = UnsignedHeads(clock)
    heads.observe(a_head(33), 31, clock())
    clock.now += IDLE_SECONDS + 1
    heads.confirm("recia", clock())
    assert heads.late() == []
    heads.confirm("megalis", clock())
    assert heads.late()


def test_an_origin_that_writes_without_a_pause_and_signs_at_intervals_is_never_late(clock: Moment) -> None:
    heads = UnsignedHeads(clock)
    for seq in range(1, 1_000):
        heads.observe(a_head(seq), seq - seq % 50, clock())
        heads.begin_wait("megalis")
        clock.now += 1.0
        assert heads.late() == []
        heads.end_wait("megalis")


def test_an_origin_that_writes_without_a_pause_and_signs_nothing_is_late(clock: Moment) -> None:
    heads = UnsignedHeads(clock)
    for seq in range(1, int(WRITING_SECONDS) + 3):
        heads.observe(a_head(seq + 1), 1, clock())
        clock.now += 1.0
    assert heads.late()


def test_a_newer_checkpoint_and_a_failure_begin_anew(clock: Moment) -> None:
    heads = UnsignedHeads(clock)
    heads.observe(a_head(33), 31, clock())
    heads.begin_wait("megalis")
    clock.now += IDLE_SECONDS + 1
    assert heads.late()
    heads.observe(a_head(34), 33, clock())
    heads.begin_wait("megalis")
    assert heads.late() == []
    clock.now += IDLE_SECONDS + 1
    heads.forget_origin("megalis")
    assert heads.late() == []


@pytest.fixture
async def behind(arnia: Node, megalis: Node) -> Node:
    """Megalis, whose copy of arnia's feed is verified up to 3, and goes to 5."""
    for n in range(3):
        await publish(arnia, "solution", f"k{n}", a_solution())
    await acquainted(arnia, megalis)
    await round_of(megalis, arnia)
    for n in range(3, 5):
        await publish(arnia, "solution", f"k{n}", a_solution())
    await round_of(megalis, arnia)
    return megalis


async def shown(node: Node, capsys: pytest.CaptureFixture[str]) -> str:
    show_peers(await peer_views.peers(node))
    return capsys.readouterr().out


async def test_what_is_beyond_the_checkpoint_is_not_called_verified(
    arnia: Node, behind: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = (await copy_views.copies(behind))[ARNIA]
    assert (copy.state, copy.pulled, copy.verified_seq, copy.unverified) == ("verified", 5, 3, 2)
    assert copy.alarm is None
    assert "5 of 5 pulled, verified up to 3 of 5" in await shown(behind, capsys)
    await checkpoints.sign_checkpoints(arnia)
    await round_of(behind, arnia)
    copy = (await copy_views.copies(behind))[ARNIA]
    assert (copy.state, copy.verified_seq, copy.unverified) == ("verified", 5, 0)
    assert "5 of 5 pulled, verified, signed" in await shown(behind, capsys)


async def test_a_late_checkpoint_is_an_alarm_until_it_comes(
    arnia: Node, behind: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    await copies.mark_unsigned(behind, ARNIA, 12.0)
    copy = (await copy_views.copies(behind))[ARNIA]
    assert copy.state == "stale"
    assert copy.alarm is not None
    assert "no signature of that has come for 12 s: it is verified up to 3 of 5" in copy.alarm
    assert "stale up to 3 of 5" in await shown(behind, capsys)
    async with behind.store.read() as tx:
        assert (await copy_ages.copy_ages(behind, tx, by=itself("megalis")))["arnia"].state == "stale"
    await copies.mark_unsigned(behind, ARNIA, 1.0)
    assert "for 12 s" in ((await copy_views.copies(behind))[ARNIA].alarm or ""), "the first one counts"
    await checkpoints.sign_checkpoints(arnia)
    await round_of(behind, arnia)
    copy = (await copy_views.copies(behind))[ARNIA]
    assert (copy.state, copy.alarm) == ("verified", None)


async def test_a_front_that_withholds_the_signature_raises_an_alarm(
    arnia: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(unsigned_heads, "IDLE_SECONDS", 0.3)
    monkeypatch.setattr(loop, "PEER_LIST_SECONDS", 0.05)

    async def heads(writer: asyncio.StreamWriter, head: bytes) -> None:
        if b"if-none-match" in head.lower():
            await asyncio.sleep(30)
        writer.write(heads_of(a_head(1)))

    async with tiny(feeds=heads, changes=stream(line(an_entry(1)))) as peer:
        await befriend(arnia, megalis=peer.url)
        async with following(arnia):

            async def alarmed() -> bool:
                feeds = (await view(arnia, "megalis")).feeds
                return bool(feeds) and "no signature" in (feeds[0].alarm or "")

            await until(alarmed)
    assert "a checkpoint does not come" in caplog.text


async def test_an_honest_origin_raises_none(
    arnia: Node, databases: Databases, caplog: pytest.LogCaptureFixture
) -> None:
    """Its head is signed a moment after each record."""
    dsn = await emptied(await databases("megalis"))
    async with served("megalis", dsn, sync=False) as url, a_node("megalis", dsn, url=url) as origin:
        await introduce(arnia, origin)
        async with following(arnia):
            for n in range(10):
                await publish(origin, "solution", f"k{n}", a_solution())
                await has(arnia, f"k{n}")

            async def verified() -> bool:
                copy = (await copy_views.copies(arnia))[PUBLIC]
                return (copy.state, copy.verified_seq, copy.unverified) == ("verified", 10, 0)

            await until(verified)
    assert "a checkpoint does not come" not in caplog.text


# Clocks


async def test_a_signature_of_the_future_is_an_alarm_and_not_fresh_for_ever(
    arnia: Node, megalis: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    await publish(arnia, "solution", "k", a_solution())
    await acquainted(arnia, megalis)
    await round_of(megalis, arnia)
    real = megalis.clock
    for back, state in ((20, "verified"), (120, "verified"), (365 * 86_400, "stale")):
        megalis.clock = lambda back=back: real() - timedelta(seconds=back)  # type: ignore[misc]
        copy = (await copy_views.copies(megalis))[ARNIA]
        assert copy.state == state
        assert copy.age_seconds is not None
        if back == 20:
            assert copy.alarm is None
        else:
            assert "s in the future: this node's clock or that of arnia is wrong" in (copy.alarm or "")
            assert "s in the future" in await shown(megalis, capsys)
            async with megalis.store.read() as tx:
                age = (await copy_ages.copy_ages(megalis, tx, by=itself("megalis")))["arnia"]
            assert (age.state, age.age_seconds) == ("stale", 0)


def test_a_copy_is_fresh_only_while_its_signature_is_of_this_hour() -> None:
    now = datetime(2026, 11, 30, 12, tzinfo=UTC)
    facts = CopyFacts(compared="verified", verified_at=now, expires_at=now + timedelta(hours=1))
    assert facts.state(now) is CopyState.VERIFIED
    assert facts.state(now - timedelta(minutes=4)) is CopyState.VERIFIED
    assert facts.state(now - timedelta(minutes=6)) is CopyState.STALE
    late = msgspec.structs.replace(facts, unsigned_since=now)
    assert late.state(now) is CopyState.STALE
