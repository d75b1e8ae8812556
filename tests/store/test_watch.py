"""What changed, whoever changed it: who waits is woken, and told of a record by the hand that wrote it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec
import pytest

from federation.domain.content.solution import Solution
from federation.domain.feed import Head
from federation.domain.node_state import NodeState
from federation.domain.visibility import Caller, itself
from federation.node import checkpoints, feeds, records
from federation.node.node import Node
from federation.node.notifier import ChangeNotifier, FeedDelta
from tests.domain.builders import a_document, a_draft, a_solution
from tests.nodes import a_node, as_peer, publish
from tests.store.stepwise_transactions import until
from tests.sync.peers import an_entry, take
from tests.waiting import MAX_WAIT_SECONDS

ROOM = 262_144
Told = tuple[tuple[Head, ...], tuple[FeedDelta, ...]]


async def test_how_a_write_of_this_process_left_the_nodes_row_is_as_good_as_a_look(arnia: Node) -> None:
    state = arnia.notifier.state
    watch = ChangeNotifier(arnia.store, state)  # nobody looks
    waiting = asyncio.create_task(watch.wait_for(state.arrival, MAX_WAIT_SECONDS))
    await asyncio.sleep(0)
    two, one = (msgspec.structs.replace(state, arrival=state.arrival + n) for n in (2, 1))
    watch.observe(two)
    assert await waiting
    watch.observe(one)
    assert watch.state == two, "what was heard of late is no news"


async def test_what_a_peer_sent_wakes_nobody_who_waits_for_what_is_published_here(arnia: Node) -> None:
    watch = arnia.notifier
    waits: dict[Literal["arrival", "published", "heads"], asyncio.Task[bool]] = {
        "arrival": asyncio.create_task(watch.wait_for(watch.state.arrival, MAX_WAIT_SECONDS)),
        "published": asyncio.create_task(
            watch.wait_for(watch.state.published, MAX_WAIT_SECONDS, of="published")
        ),
        "heads": asyncio.create_task(watch.wait_for(watch.state.heads, MAX_WAIT_SECONDS, of="heads")),
    }
    await asyncio.sleep(0)
    await take(arnia, an_entry(1), an_entry(2, a_document(key="k2", revision=2)))
    assert await waits["arrival"]
    await watch.refresh()
    await asyncio.sleep(0)
    assert not waits["published"].done()
    assert not waits["heads"].done()
    await publish(arnia, "solution", "glpi", a_solution())
    assert await waits["published"]
    assert await waits["heads"]
    signed = asyncio.create_task(watch.wait_for(watch.state.heads, MAX_WAIT_SECONDS, of="heads"))
    await asyncio.sleep(0)
    await checkpoints.sign_checkpoints(arnia)
    assert await signed, "a signature is news at the heads, too"
    await watch.refresh()  # two feeds were signed, one after the other
    waiting = asyncio.create_task(watch.wait_for(watch.state.heads, MAX_WAIT_SECONDS, of="heads"))
    await asyncio.sleep(0)
    async with arnia.store.write() as tx:
        await tx.clients.revoke("nobody")
    await watch.refresh()
    assert not await waiting, "who may be cut off looks again at once"


async def test_where_more_than_records_has_changed_it_is_looked_at(arnia: Node) -> None:
    state = arnia.notifier.state
    watch = ChangeNotifier(arnia.store, state)
    for other in ({"trust": state.trust + 1}, {"epoch": "f" * 16}):
        watch.observe(msgspec.structs.replace(state, arrival=state.arrival + 1, **other))
        assert watch.state == state, "who was cut off meanwhile is not woken before that is known"
        assert watch._refresh_due.is_set()
        watch._refresh_due.clear()


async def test_what_was_written_while_somebody_looks_is_looked_at_again(arnia: Node) -> None:
    """What the look has read may be older: it must not take the place of what is newer."""
    state = arnia.notifier.state
    watch = ChangeNotifier(arnia.store, state)
    async with watch._refreshing:
        watch.observe(msgspec.structs.replace(state, arrival=state.arrival + 1))
    assert watch.state == state
    assert watch._refresh_due.is_set()


async def test_what_another_process_writes_wakes_who_waits_here(arnia: Node, dsn: str) -> None:
    waiting = asyncio.create_task(arnia.notifier.wait_for(0, MAX_WAIT_SECONDS))
    async with a_node("arnia", dsn) as beside:
        await publish(beside, "solution", "glpi", a_solution())
        assert await waiting, "it was woken, and not told that the time is over"

    async def seen() -> bool:
        return arnia.notifier.state.arrival == 1

    await until(seen)
    assert not await arnia.notifier.wait_for(1, 0.05)


# News without a question


async def shown(arnia: Node, caller: Caller) -> tuple[tuple[Head, ...], NodeState]:
    """What somebody is shown, and the state of the node before that."""
    await arnia.notifier.refresh()
    return await feeds.heads(arnia, by=caller), arnia.notifier.state


async def asked(arnia: Node, before: tuple[Head, ...], caller: Caller) -> Told:
    """The same of the database."""
    heads, news = await feeds.deltas(arnia, before, by=caller, max_entries=100, max_bytes=ROOM)
    return heads, tuple(msgspec.structs.replace(one, rows=list(map(tuple, one.rows))) for one in news)


async def first_ones(arnia: Node) -> None:
    """A record for everybody, one for peers and one for nobody: the feeds are there then."""
    for key, tlp in (("one", "CLEAR"), ("two", "GREEN"), ("own", "RED")):
        await publish(arnia, "solution", key, a_solution(), tlp=tlp)


def publishing(key: str, name: str, tlp: str) -> Callable[[Node], Awaitable[Any]]:
    return lambda arnia: publish(arnia, "solution", key, a_solution(name=name), tlp=tlp)


def retracting(key: str) -> Callable[[Node], Awaitable[Any]]:
    return lambda arnia: records.retract(arnia, Solution, "arnia", key, by=itself("arnia"))


@pytest.mark.parametrize(
    ("act", "entries"),
    [
        (publishing("new", "New", "CLEAR"), 1),
        (publishing("one", "Revised", "CLEAR"), 1),
        (publishing("new", "For peers", "GREEN"), 1),
        (publishing("new", "For nobody", "RED"), 0),
        (retracting("two"), 1),
    ],
)
async def test_who_waits_is_told_of_one_record_what_the_database_would_tell(
    arnia: Node, act: Callable[[Node], Awaitable[Any]], entries: int
) -> None:
    await first_ones(arnia)
    callers = (await as_peer(arnia, "megalis"), itself("arnia"))
    views = [(caller, *await shown(arnia, caller)) for caller in callers]
    await act(arnia)
    for caller, before, since in views:
        told = arnia.notifier.deltas(before, since, arnia.notifier.state, ROOM)
        assert told == await asked(arnia, before, caller)
        assert sum(len(one.rows) for one in told[1]) == entries


async def test_one_record_after_another_is_told_without_a_question(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await first_ones(arnia)
    caller = await as_peer(arnia, "megalis")
    held, since = await shown(arnia, caller)
    for n in range(3):
        await publish(arnia, "solution", f"s{n}", a_solution())
        told = arnia.notifier.deltas(held, since, arnia.notifier.state, ROOM)
        assert told == await asked(arnia, held, caller)
        (held, _), since = told, arnia.notifier.state


async def two_records(arnia: Node) -> None:
    await publish(arnia, "solution", "s1", a_solution())
    await publish(arnia, "solution", "s2", a_solution())


async def several_at_once(arnia: Node) -> None:
    drafts = {key: a_draft(a_solution(name=key)) for key in ("s1", "s2")}
    await records.upload(arnia, Solution, drafts, by=itself("arnia"))


async def one_and_a_signature(arnia: Node) -> None:
    await publish(arnia, "solution", "s1", a_solution())
    await checkpoints.sign_checkpoints(arnia)


async def one_and_a_group(arnia: Node) -> None:
    await publish(arnia, "group", "close", {"name": "Close", "members": ["megalis"]}, tlp="RED")
    await publish(arnia, "solution", "s1", a_solution())


async def one_and_a_client(arnia: Node) -> None:
    await publish(arnia, "solution", "s1", a_solution())
    async with arnia.store.write() as tx:
        await tx.clients.revoke("nobody")


@pytest.mark.parametrize(
    "act", [two_records, several_at_once, one_and_a_signature, one_and_a_group, one_and_a_client]
)
async def test_where_more_has_changed_than_one_record_the_database_is_asked(
    arnia: Node, act: Callable[[Node], Awaitable[None]]
) -> None:
    await first_ones(arnia)
    before, since = await shown(arnia, caller := await as_peer(arnia, "megalis"))
    await act(arnia)
    await arnia.notifier.refresh()
    assert arnia.notifier.deltas(before, since, arnia.notifier.state, ROOM) is None
    heads, _ = await feeds.deltas(
        arnia, before, by=caller, max_entries=100, max_bytes=ROOM, since=(since, arnia.notifier.state)
    )
    assert heads == await feeds.heads(arnia, by=caller)


async def test_what_another_process_kept_is_asked_of_the_database(arnia: Node, dsn: str) -> None:
    await first_ones(arnia)
    await publish(arnia, "solution", "mine", a_solution())
    before, since = await shown(arnia, await as_peer(arnia, "megalis"))
    async with a_node("arnia", dsn) as beside:
        await publish(beside, "solution", "theirs", a_solution())
    await arnia.notifier.refresh()
    assert arnia.notifier.deltas(before, since, arnia.notifier.state, ROOM) is None


async def test_who_is_elsewhere_in_a_feed_or_was_not_shown_it_is_answered_by_the_database(
    arnia: Node,
) -> None:
    await first_ones(arnia)
    before, since = await shown(arnia, await as_peer(arnia, "megalis"))
    await publish(arnia, "solution", "s1", a_solution())
    now = arnia.notifier.state
    assert arnia.notifier.deltas(before, since, now, ROOM) is not None
    behind = tuple(msgspec.structs.replace(head, seq=head.seq - 1) for head in before)
    others = tuple(head for head in before if head.audience != "public")
    assert arnia.notifier.deltas(behind, since, now, ROOM) is None
    assert arnia.notifier.deltas(others, since, now, ROOM) is None
    assert arnia.notifier.deltas(before, since, now, 100) is None, "it has more bytes than are told"
    assert arnia.notifier.deltas(before, now, now, ROOM) is None, "nothing came in between"
