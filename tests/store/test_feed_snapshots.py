"""Snapshots of the own feeds: read once for all that wait, and each caller gets the part it may see."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from federation.domain.content.solution import Solution
from federation.domain.errors import Unavailable
from federation.domain.feed import Head
from federation.domain.node_state import NodeState
from federation.domain.visibility import Caller, itself
from federation.node import checkpoints, feeds, records
from federation.node.feed_snapshots import FeedSnapshot, FeedSnapshots, FeedView
from federation.node.node import Node
from tests.domain.builders import a_draft, a_solution
from tests.nodes import a_node, as_peer, publish
from tests.waiting import MAX_WAIT_SECONDS


async def snapshot(node: Node) -> FeedSnapshot:
    await node.notifier.refresh()
    return await node.feed_snapshots.since(node.notifier.state)


async def with_records(node: Node) -> None:
    """A record for everybody, one for peers, one for a group and one for nobody: the feeds are there then."""
    await publish(node, "group", "close", {"name": "Close", "members": ["megalis"]}, tlp="RED")
    for key, tlp in (("one", "CLEAR"), ("two", "GREEN"), ("own", "RED")):
        await publish(node, "solution", key, a_solution(), tlp=tlp)
    await publish(node, "solution", "three", a_solution(), tlp="AMBER", audience="close")


def keys(view: FeedView) -> dict[str, list[str]]:
    """The keys of the entries of a view, by audience."""
    return {delta.feed.audience: [row[3] for row in delta.rows] for delta in view.deltas}


def publishing(key: str, name: str, tlp: str) -> Callable[[Node], Awaitable[Any]]:
    return lambda node: publish(node, "solution", key, a_solution(name=name), tlp=tlp)


def retracting(key: str) -> Callable[[Node], Awaitable[Any]]:
    return lambda node: records.retract(node, Solution, "arnia", key, by=itself("arnia"))


async def upload_several(node: Node) -> None:
    drafts = {key: a_draft(a_solution(name=key)) for key in ("s1", "s2")}
    await records.upload(node, Solution, drafts, by=itself("arnia"))


async def publish_and_sign(node: Node) -> None:
    await publish(node, "solution", "s1", a_solution())
    await checkpoints.sign_checkpoints(node)


@pytest.mark.parametrize(
    ("act", "entries"),
    [
        (publishing("new", "New", "CLEAR"), {"public": ["new"]}),
        (publishing("one", "Revised", "CLEAR"), {"public": ["one"]}),
        (publishing("new", "For peers", "GREEN"), {"federation": ["new"]}),
        (publishing("new", "For nobody", "RED"), {}),
        (retracting("two"), {"federation": ["two"]}),
        (upload_several, {"public": ["s1", "s2"]}),
        (publish_and_sign, {"public": ["s1"]}),
    ],
)
async def test_a_caller_gets_what_the_database_has_for_it(
    arnia: Node, act: Callable[[Node], Awaitable[Any]], entries: dict[str, list[str]]
) -> None:
    await with_records(arnia)
    before = await snapshot(arnia)
    await act(arnia)
    after = await snapshot(arnia)
    for caller in (await as_peer(arnia, "megalis"), await as_peer(arnia, "recia"), itself("arnia")):
        view = after.view(caller)
        assert view.before == before.view(caller).heads
        assert view.heads == await feeds.heads(arnia, by=caller)
        assert keys(view) == entries
        late = (await arnia.feed_snapshots.after(view.before)).view(caller)
        assert (late.heads, keys(late)) == (view.heads, keys(view))


async def test_a_record_for_a_group_is_in_the_view_of_its_members_alone(arnia: Node) -> None:
    await with_records(arnia)
    await snapshot(arnia)
    await publish(arnia, "solution", "more", a_solution(), tlp="AMBER", audience="close")
    after = await snapshot(arnia)
    member, other = await as_peer(arnia, "megalis"), await as_peer(arnia, "recia")
    assert keys(after.view(member)) == {"close": ["more"]}
    assert keys(after.view(other)) == {}
    assert {head.audience for head in after.view(other).heads} == {"public", "federation"}
    forged = Caller(node="arnia", operator="recia", client="recia", groups=frozenset({"close"}))
    assert keys(after.view(forged)) == {}, "the groups are those of the database"


async def test_a_member_that_is_removed_gets_nothing_that_came_after(arnia: Node) -> None:
    await with_records(arnia)
    await snapshot(arnia)
    await publish(arnia, "group", "close", {"name": "Close", "members": ["recia"]}, tlp="RED")
    await publish(arnia, "solution", "more", a_solution(), tlp="AMBER", audience="close")
    after = await snapshot(arnia)
    assert keys(after.view(await as_peer(arnia, "megalis"))) == {}
    joined = after.view(await as_peer(arnia, "recia"))
    assert "close" in {head.audience for head in joined.heads}, "a new member sees the feed"


async def test_members_are_read_after_the_entries(arnia: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """A removal between the two readings hides the entries that were read before it."""
    await with_records(arnia)
    await snapshot(arnia)
    await publish(arnia, "solution", "more", a_solution(), tlp="AMBER", audience="close")
    readers = type((await a_reader(arnia)).groups)
    by_member = readers.by_member

    async def remove_first(self: Any, *, node: str) -> dict[str, frozenset[str]]:
        await publish(arnia, "group", "close", {"name": "Close", "members": ["recia"]}, tlp="RED")
        found: dict[str, frozenset[str]] = await by_member(self, node=node)
        return found

    monkeypatch.setattr(readers, "by_member", remove_first)
    after = await arnia.feed_snapshots.since(arnia.notifier.state)
    assert keys(after.view(await as_peer(arnia, "megalis"))) == {}


async def a_reader(node: Node) -> Any:
    async with node.store.read() as tx:
        return tx


def count_readings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Head, ...]]:
    """The heads that snapshots begin at which are read from now on."""
    readings: list[tuple[Head, ...]] = []
    after = FeedSnapshots.after

    async def counted(self: FeedSnapshots, before: tuple[Head, ...]) -> FeedSnapshot:
        readings.append(before)
        return await after(self, before)

    monkeypatch.setattr(FeedSnapshots, "after", counted)
    return readings


async def waiting_after(
    node: Node, last: FeedSnapshot, many: int, seconds: float = MAX_WAIT_SECONDS
) -> list[asyncio.Task[FeedSnapshot | None]]:
    """Callers that wait for the next snapshot."""
    deadline = asyncio.get_running_loop().time() + seconds
    waiting = [asyncio.create_task(node.feed_snapshots.later_than(last, deadline)) for _ in range(many)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    return waiting


async def test_the_next_snapshot_is_read_once_and_handed_to_all_that_wait(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_records(arnia)
    last = await snapshot(arnia)
    readings = count_readings(monkeypatch)
    many = 3 * FeedSnapshots.HANDED_PER_TURN
    waiting = await waiting_after(arnia, last, many)
    order: list[int] = []
    for task in waiting:
        task.add_done_callback(lambda ended: order.append(waiting.index(ended)))
    await publish(arnia, "solution", "new", a_solution())
    between = False
    while len(order) < many:
        await asyncio.sleep(0)
        between |= 0 < len(order) < many
    found = {task.result() for task in waiting}
    assert len(readings) == len(found) == 1
    assert order == list(range(many)), "in the order in which they began to wait"
    assert between, "others have turns between"
    handed = found.pop()
    assert handed is not None
    assert keys(handed.view(itself("arnia"))) == {"public": ["new"]}
    late = arnia.feed_snapshots.later_than(last, deadline=0.0)
    assert await late is handed, "one that has missed it is not to wait"


async def test_a_wait_ends_with_its_time_and_with_the_process(arnia: Node) -> None:
    last = await snapshot(arnia)
    patient = await waiting_after(arnia, last, 2)
    (over,) = await waiting_after(arnia, last, 1, seconds=0.01)
    assert await over is None
    assert not any(task.done() for task in patient)
    arnia.stop()
    assert await asyncio.gather(*patient) == [None, None]


async def test_changes_of_trust_are_news_for_those_that_wait(arnia: Node) -> None:
    last = await snapshot(arnia)
    (waiting,) = await waiting_after(arnia, last, 1)
    async with arnia.store.write() as tx:
        await tx.clients.revoke("nobody")
    await arnia.notifier.refresh()
    handed = await waiting
    assert handed is not None
    assert handed.state.trust > last.state.trust


async def test_where_the_next_snapshot_cannot_be_read_each_that_waits_learns_why(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = await snapshot(arnia)
    waiting = await waiting_after(arnia, last, 3)

    async def fail(self: FeedSnapshots, before: tuple[Head, ...]) -> FeedSnapshot:
        raise Unavailable("the database is away")

    with monkeypatch.context() as context:
        context.setattr(FeedSnapshots, "after", fail)
        await publish(arnia, "solution", "new", a_solution())
        assert await asyncio.gather(*waiting) == [None] * 3
        await arnia.notifier.refresh()
        with pytest.raises(Unavailable):
            await arnia.feed_snapshots.since(arnia.notifier.state)
    found = await arnia.feed_snapshots.since(arnia.notifier.state)
    (waiting_again,) = await waiting_after(arnia, found, 1)
    await publish(arnia, "solution", "newer", a_solution())
    assert (handed := await waiting_again) is not None
    assert keys(handed.view(itself("arnia"))) == {"public": ["newer"]}


async def test_those_that_missed_the_same_snapshots_share_a_reading(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_records(arnia)
    caller = itself("arnia")
    one = (await snapshot(arnia)).view(caller).heads
    await publish(arnia, "solution", "new", a_solution())
    two = (await snapshot(arnia)).view(caller).heads
    await publish(arnia, "solution", "newer", a_solution())
    await snapshot(arnia)
    readings = count_readings(monkeypatch)
    snapshots, state = arnia.feed_snapshots, arnia.notifier.state
    found = await asyncio.gather(*(snapshots.missed(before, state) for before in (one, one, two, one)))
    assert readings == [one, two]
    assert found[0] is found[1] is found[3]
    assert keys(found[0].view(caller)) == {"public": ["new", "newer"]}
    assert keys(found[2].view(caller)) == {"public": ["newer"]}
    newer = msgspec.structs.replace(state, signed=state.signed + 1)
    assert await snapshots.missed(one, newer) is not found[0], "what is older than a change is read anew"
    for number in range(FeedSnapshots.MAX_MISSED):
        await snapshots.missed((msgspec.structs.replace(one[0], seq=number),), state)
    assert len(snapshots._missed) == FeedSnapshots.MAX_MISSED
    assert one not in snapshots._missed


async def test_all_that_wait_are_answered_by_one_reading(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_records(arnia)
    await snapshot(arnia)
    readings = count_readings(monkeypatch)
    await publish(arnia, "solution", "new", a_solution())
    await arnia.notifier.refresh()  # (a look at the database that was under way hides what was written)
    state = arnia.notifier.state
    found = await asyncio.gather(*(arnia.feed_snapshots.since(state) for _ in range(50)))
    assert len(readings) == 1
    assert len({id(one) for one in found}) == 1
    caller, same = await as_peer(arnia, "recia"), await as_peer(arnia, "sitiv")
    assert found[0].view(caller) is found[0].view(same), "one view for all in the same groups"
    await arnia.feed_snapshots.since(state)
    assert len(readings) == 1, "nothing has changed since"


async def test_a_change_during_a_reading_is_read_by_the_next_one(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_records(arnia)
    await snapshot(arnia)
    begun, go_on = asyncio.Event(), asyncio.Event()
    after = FeedSnapshots.after

    async def held_up(self: FeedSnapshots, before: tuple[Head, ...]) -> FeedSnapshot:
        found = await after(self, before)
        begun.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(FeedSnapshots, "after", held_up)
    await publish(arnia, "solution", "first", a_solution())
    await arnia.notifier.refresh()
    first = asyncio.create_task(arnia.feed_snapshots.since(arnia.notifier.state))
    await begun.wait()
    await publish(arnia, "solution", "second", a_solution())
    await arnia.notifier.refresh()
    second = asyncio.create_task(arnia.feed_snapshots.since(arnia.notifier.state))
    await asyncio.sleep(0)
    go_on.set()
    assert keys((await first).view(itself("arnia"))) == {"public": ["first"]}
    assert keys((await second).view(itself("arnia"))) == {"public": ["second"]}


async def test_a_caller_that_comes_when_a_reading_ends_begins_the_next_one(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the end of a reading and the wake-up of those that wait for it: it must not be found again."""
    await with_records(arnia)
    await snapshot(arnia)
    ended = asyncio.Event()
    after, is_older_than = FeedSnapshots.after, FeedSnapshot.is_older_than
    compared = 0

    async def ending(self: FeedSnapshots, before: tuple[Head, ...]) -> FeedSnapshot:
        found = await after(self, before)
        ended.set()  # whoever waits for it runs before the callbacks of this task
        return found

    def counted(self: FeedSnapshot, state: NodeState) -> bool:
        nonlocal compared
        compared += 1
        assert compared < 100, "it goes round without end"
        return is_older_than(self, state)

    async def late() -> FeedSnapshot:
        await ended.wait()
        state = arnia.notifier.state
        return await arnia.feed_snapshots.since(msgspec.structs.replace(state, signed=state.signed + 1))

    monkeypatch.setattr(FeedSnapshots, "after", ending)
    monkeypatch.setattr(FeedSnapshot, "is_older_than", counted)
    await publish(arnia, "solution", "new", a_solution())
    await arnia.notifier.refresh()
    waiting = asyncio.create_task(late())
    await asyncio.sleep(0)
    first = await arnia.feed_snapshots.since(arnia.notifier.state)
    assert await waiting is not first


async def test_a_caller_that_hangs_up_does_not_end_the_reading_of_the_others(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    after = FeedSnapshots.after

    async def held_up(self: FeedSnapshots, before: tuple[Head, ...]) -> FeedSnapshot:
        begun.set()
        await go_on.wait()
        return await after(self, before)

    monkeypatch.setattr(FeedSnapshots, "after", held_up)
    await publish(arnia, "solution", "new", a_solution())
    one, other = (asyncio.create_task(snapshot(arnia)) for _ in range(2))
    await begun.wait()
    one.cancel()
    await asyncio.gather(one, return_exceptions=True)
    go_on.set()
    heads = (await other).view(itself("arnia")).heads
    assert [head.seq for head in heads if head.audience == "public"] == [1]


async def test_a_write_of_another_process_is_in_the_next_snapshot(arnia: Node, dsn: str) -> None:
    await with_records(arnia)
    await snapshot(arnia)
    async with a_node("arnia", dsn) as beside:
        await publish(beside, "solution", "theirs", a_solution())
    assert keys((await snapshot(arnia)).view(itself("arnia"))) == {"public": ["theirs"]}
