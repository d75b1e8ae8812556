"""Many peers: opened few at a time, shared by processes, and none at fault for what is short here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from federation.domain.errors import Unavailable
from federation.node import copies, peer_contacts
from federation.node.node import Node
from federation.store.database import open_store
from federation.store.pools import gives_way
from federation.sync import contact_notes, loop, openings
from federation.sync.contact_notes import ContactNotes
from federation.sync.loop import Loop
from federation.telemetry import Metrics
from tests.hostile.members import Members, befriend, members
from tests.nodes import a_node
from tests.sync.test_following import view
from tests.waiting import until

PEERS = 12


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "PEER_LIST_SECONDS", 0.05)


@pytest.fixture
async def crowd(arnia: Node) -> AsyncIterator[Members]:
    """Members that are peers of arnia."""
    async with members() as crowd:
        await befriend(arnia, crowd.peers(PEERS))
        yield crowd


@asynccontextmanager
async def following(node: Node) -> AsyncIterator[Loop]:
    followed = Loop(node, Metrics())
    async with followed.running():
        yield followed


async def all_followed(crowd: Members) -> None:
    async def waits() -> bool:
        return sum(crowd.waiting.values()) == PEERS

    await until(waits)


async def test_few_peers_are_opened_at_a_time(
    arnia: Node, crowd: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openings, "OPENING_SECONDS", 60.0)
    places = arnia.store.max_connections // 2
    held = asyncio.Event()

    async def hold(_: str) -> None:
        await held.wait()

    crowd.before_heads = hold
    async with following(arnia):

        async def full() -> bool:
            return sum(crowd.asked.values()) == places

        await until(full)
        await asyncio.sleep(0.5)  # time for one more, if there were room
        assert len(crowd.opening) == places < PEERS
        held.set()
        await all_followed(crowd)
    assert crowd.max_opening == places


async def test_a_peer_that_answers_nothing_keeps_no_place(
    arnia: Node, crowd: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openings, "OPENING_SECONDS", 0.2)
    silent = {f"m{n}" for n in range(PEERS - 1)}

    async def hold(member: str) -> None:
        if member in silent:
            await asyncio.sleep(3_600)

    crowd.before_heads = hold
    async with following(arnia):

        async def is_followed() -> bool:
            return crowd.waiting[f"m{PEERS - 1}"] == 1

        await until(is_followed)


async def test_two_processes_have_half_of_the_peers_each_and_one_has_all_when_the_other_goes(
    arnia: Node, crowd: Members, dsn: str
) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(following(arnia))
        await all_followed(crowd)
        assert len(first._locked) == PEERS
        async with a_node("arnia", dsn) as other, following(other) as second:

            async def halves() -> bool:
                return len(first._following) == len(second._following) == PEERS // 2

            await until(halves)
            assert not first._locked & second._locked
            await all_followed(crowd)

        async def all_again() -> bool:
            return len(first._following) == PEERS

        await until(all_again)
        await all_followed(crowd)


async def test_a_process_takes_what_another_leaves_lying(
    arnia: Node, crowd: Members, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one counts as a process, and follows nobody: it may be stuck."""
    monkeypatch.setattr(loop, "ORPHAN_SECONDS", 0.5)
    async with open_store(dsn) as store, store.task_locks(), following(arnia) as only:

        async def all_taken() -> bool:
            return len(only._following) == PEERS

        await until(all_taken)
        await all_followed(crowd)


async def test_a_look_at_the_peers_that_fails_cancels_nobody(
    arnia: Node, crowd: Members, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with following(arnia) as followed:
        await all_followed(crowd)
        before = {name: task for name, (_, task) in followed._following.items()}
        failed = 0

        async def fails(_: Node) -> frozenset[str]:
            nonlocal failed
            failed += 1
            raise Unavailable("no connection to the database was free in time; try again")

        with monkeypatch.context() as patch:
            patch.setattr(copies, "operators_with_confirmed_removals", fails)

            async def often() -> bool:
                return failed >= 3

            await until(often)
        assert {name: task for name, (_, task) in followed._following.items()} == before
        assert not any(task.done() for task in before.values())
    assert "the list of peers cannot be read now" in caplog.text


@pytest.mark.parametrize(
    "shortage", [Unavailable("no connection to the database was free in time; try again")]
)
async def test_what_is_short_here_is_no_failure_of_a_peer_and_no_reason_to_ask_others(
    arnia: Node, crowd: Members, monkeypatch: pytest.MonkeyPatch, shortage: Exception
) -> None:
    real: Callable[..., Any] = copies.followed_feeds
    short: dict[str, int] = {}
    gave_way: list[bool] = []

    async def followed_feeds(node: Node, operator: str) -> Any:
        short[operator] = short.get(operator, 0) + 1
        gave_way.append(gives_way.get())
        if short[operator] < 3:
            raise shortage
        return await real(node, operator)

    monkeypatch.setattr(copies, "followed_feeds", followed_feeds)
    async with following(arnia):
        await all_followed(crowd)
        for peer in crowd.peers(PEERS):
            seen = await view(arnia, peer.operator)
            assert (seen.failures, seen.failure, seen.next_try_at) == (0, None, None)
    assert crowd.relayed == []
    assert all(gave_way)
    assert not gives_way.get(), "callers do not give way"


async def test_tasks_that_give_way_leave_half_of_the_connections_to_callers(dsn: str) -> None:
    """They wait for theirs, however long; a caller has one at once, and does not even begin to wait."""
    holding = 0
    release = asyncio.Event()

    async with open_store(dsn, connections=8) as store:

        async def hold() -> None:
            nonlocal holding
            gives_way.set(True)
            async with store.read_by_key():
                holding += 1
                await release.wait()

        async with asyncio.TaskGroup() as group:
            for _ in range(9):
                group.create_task(hold())

            async def two() -> bool:
                return holding == 2

            await until(two)
            async with store.read_by_key() as one, store.read_by_key() as another:
                assert await one.peers.all() == await another.peers.all() == ()
            assert holding == 2
            release.set()
        assert holding == 9


async def test_peers_that_still_answer_are_noted_together_and_seldom(
    arnia: Node, crowd: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[dict[str, int | None]] = []
    real = peer_contacts.mark_answered

    async def mark_answered(node: Node, differences: dict[str, int | None]) -> None:
        stored.append(differences)
        await real(node, differences)

    monkeypatch.setattr(peer_contacts, "mark_answered", mark_answered)
    notes = ContactNotes(arnia)
    for n in range(PEERS):
        notes.note(f"m{n}", None, urgent=True)
    await notes.store()
    assert len(stored) == 1
    assert all([(await view(arnia, f"m{n}")).contacted_at for n in range(PEERS)])
    for n in range(PEERS):
        notes.note(f"m{n}", None, urgent=False)
    await notes.store()
    assert len(stored) == 1, "it is not a minute ago"
    monkeypatch.setattr(contact_notes, "NOTE_SECONDS", 0.0)
    await notes.store()
    assert [len(differences) for differences in stored] == [PEERS, PEERS]
    await notes.store()
    assert len(stored) == 2, "nobody has answered since"


async def test_a_peer_that_is_only_waited_at_costs_no_query_of_its_own(
    arnia: Node, crowd: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The looks go on; the database is asked as often for twelve peers as for none."""
    async with following(arnia):
        await all_followed(crowd)
        await asyncio.sleep(0.2)
        asked: list[str] = []
        for name in ("followed_feeds", "read_copy", "open_copy"):
            real: Callable[..., Any] = getattr(copies, name)

            def counted(*arguments: Any, _real: Callable[..., Any] = real, **options: Any) -> Any:
                asked.append(_real.__name__)
                return _real(*arguments, **options)

            monkeypatch.setattr(copies, name, counted)
        tokens = crowd.tokens.total()
        await asyncio.sleep(1.0)
        assert (asked, crowd.tokens.total()) == ([], tokens)
        assert crowd.waiting.total() == PEERS
