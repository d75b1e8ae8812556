"""Changes of the database, made by any process, wake the tasks that wait for them."""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec

from federation.node import checkpoints
from federation.node.node import Node
from federation.node.notifier import ChangeNotifier
from tests.domain.builders import a_document, a_solution
from tests.nodes import a_node, publish
from tests.store.stepwise_transactions import until
from tests.sync.peers import an_entry, take
from tests.waiting import MAX_WAIT_SECONDS


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


async def test_tasks_are_woken_in_the_order_in_which_they_wait_and_others_have_turns_between(
    arnia: Node,
) -> None:
    notifier = ChangeNotifier(arnia.store, arnia.notifier.state)
    woken: list[int | str] = []

    async def wait(number: int) -> None:
        await notifier.wait_for(notifier.state.arrival, MAX_WAIT_SECONDS)
        woken.append(number)

    many = 3 * notifier.WAKINGS_PER_TURN
    waiting = [asyncio.create_task(wait(number)) for number in range(many)]
    await asyncio.sleep(0)
    state = notifier.state
    notifier.observe(msgspec.structs.replace(state, arrival=state.arrival + 1))
    while len(woken) < many + 1:
        await asyncio.sleep(0)
        if "between" not in woken and 0 < len(woken) < many:
            woken.append("between")
    await asyncio.gather(*waiting)
    assert [entry for entry in woken if entry != "between"] == list(range(many))
    assert 0 < woken.index("between") < many
