"""Who signs, takes, drops and leaves at the same moment: one waits for the other, and neither is refused.

Each has several rows to lock. Taken in two orders they would end in a deadlock, of which PostgreSQL refuses
one; looked at before they are locked, what is kept meanwhile would be missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest

from federation.domain.feed import FeedName
from federation.domain.visibility import FEDERATION, PUBLIC
from federation.node import checkpoints, copies, epochs, peers, retention
from federation.node.node import Node
from federation.store.pulled_records import Advance
from federation.sync.loop import Loop
from federation.sync.pull import carry_out_withdrawals, pull
from federation.telemetry import Metrics
from tests.domain.builders import a_document, a_record, a_solution
from tests.nodes import publish
from tests.proof.test_digests import by_hand, retract, signed
from tests.store.stepwise_transactions import (
    Step,
    arrivals,
    begun,
    counts_are_true,
    feed_id,
    looking,
    until,
    waits,
)
from tests.sync.peers import EPOCH, Told, a_head, an_entry, held, known_as, take

SHARED = FeedName("megalis", FEDERATION)
GREEN: dict[str, Any] = {"tlp": "GREEN"}
Act = Callable[[Node], Coroutine[Any, Any, None]]


@pytest.fixture
async def look(dsn: str) -> AsyncIterator[Any]:
    """A connection to arnia's database, of the test's own."""
    async with looking(dsn) as connection:
        yield connection


# Signing


class Signing:
    """Who signs a feed of the node's own, in the midst of it."""

    def __init__(self, node: Node, feed: int) -> None:
        self._node, self._feed = node, feed

    async def begin(self) -> None:
        """The digest is reckoned, the signature not kept."""
        self._step: Step = await begun(self._node.store)
        was = await self._step.tx.checkpoints.try_lock(self._feed)
        assert was is not None
        _, self._state = await self._step.tx.checkpoints.compute(was)

    async def end(self) -> None:
        now = self._node.clock()
        await self._step.tx.checkpoints.sign(self._feed, self._state, "a.b.c", now, now + timedelta(hours=1))
        await self._step.commit()


async def drop_tombstones(node: Node) -> None:
    async with node.store.write() as tx:
        await retention.drop_tombstones(tx, await feed_id(node), 2)


async def mint(node: Node) -> None:
    await epochs.begin_epoch(node, "an administrator asked for it")


async def recognise(node: Node) -> None:
    async with node.store.write() as tx:
        await tx.epochs.set_database("another/1", 1)
    assert await epochs.detect_restore(node)


@pytest.mark.parametrize("act", [drop_tombstones, mint, recognise])
@pytest.mark.parametrize("signed_before", [True, False])
async def test_who_changes_what_is_being_signed_waits_for_the_signature_and_voids_it(
    arnia: Node, look: Any, act: Act, signed_before: bool
) -> None:
    await publish(arnia, "solution", "glpi", a_solution())
    await retract(arnia, "glpi")
    await publish(arnia, "solution", "wazuh", a_solution())
    if signed_before:
        await checkpoints.sign_checkpoints(arnia)
    signing = Signing(arnia, await feed_id(arnia))
    await signing.begin()
    acting = asyncio.create_task(act(arnia))
    await waits(look)
    await signing.end()
    await acting
    await arnia.notifier.refresh()
    await checkpoints.sign_checkpoints(arnia)
    now = await signed(arnia)
    assert now.root == await by_hand(arnia)
    assert (now.epoch, now.retained_from) == (arnia.notifier.state.epoch, 2 if act is drop_tombstones else 0)


# Leaving


async def a_follower(node: Node) -> int:
    """A node that has begun to take what megalis has for its peers. Returns the feed."""
    async with node.store.write() as tx:
        await tx.peers.add(known_as("megalis", "http://megalis.test"))
    await take(node, an_entry(1, a_document(origin="megalis", key="first", **GREEN)), name=SHARED)
    await take(node, an_entry(1, a_document(origin="megalis", key="seen-by-all")))
    async with node.store.write() as tx:
        place = await tx.feeds.find(SHARED)
        assert place is not None
        await tx.checkpoints.lock(place.id)  # it was compared, too
    return place.id


async def leave(node: Node) -> None:
    await peers.accept_disconnect(node, "megalis")


async def be_shut_out(node: Node) -> None:
    await copies.purge(node, SHARED)


@pytest.mark.parametrize("act", [leave, be_shut_out])
@pytest.mark.parametrize("numbered", [False, True])
async def test_what_is_being_kept_when_a_feed_is_given_up_is_dropped_with_the_rest(
    arnia: Node, look: Any, act: Act, numbered: bool
) -> None:
    """``numbered``: the slice has the lock of numbering already when the other one begins."""
    feed = await a_follower(arnia)
    step = await begun(arnia.store)
    await step.tx.feeds.lock(feed)
    record = a_record(origin="megalis", key="second", **GREEN)
    advance = Advance(feed, 1, EPOCH, 2, EPOCH, 1)
    if numbered:
        assert await step.tx.pulled_records.upsert("megalis", advance, [(record, 2)])
    acting = asyncio.create_task(act(arnia))
    await waits(look)
    if not numbered:
        assert await step.tx.pulled_records.upsert("megalis", advance, [(record, 2)])
    await step.commit()
    await acting
    assert set(await held(arnia)) == {"seen-by-all"}
    await counts_are_true(look)
    assert len(await arrivals(look)) == 3, "one's own systems are told of both that they are gone"


async def move(node: Node) -> None:
    await take(node, an_entry(2, a_document(origin="megalis", key="first", revision=2)))


async def withdraw(node: Node) -> None:
    gone = an_entry(2, op="withdraw", key="first", revision=2)
    await carry_out_withdrawals(node, SHARED, Told(gone))


@pytest.mark.parametrize(("act", "kept"), [(move, {"seen-by-all", "first"}), (withdraw, {"seen-by-all"})])
async def test_who_takes_a_record_out_of_a_feed_that_is_given_up_waits_for_that(
    arnia: Node, look: Any, act: Act, kept: set[str]
) -> None:
    feed = await a_follower(arnia)
    step = await begun(arnia.store)
    assert await step.tx.checkpoints.try_lock(feed)  # as one who gives it up, or compares it, has it first
    acting = asyncio.create_task(act(arnia))
    await waits(look)
    await step.tx.copies.purge(*[place for place in await step.tx.feeds.all() if place.id == feed])
    await step.commit()
    await acting
    assert set(await held(arnia)) == kept
    await counts_are_true(look)


async def test_what_came_after_a_peer_had_left_is_dropped_when_nobody_follows_it_any_more(
    arnia: Node, look: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await a_follower(arnia)
    await leave(arnia)
    # Who follows it may not know yet, and have read what comes now before.
    for name, said in ((SHARED, GREEN), (FeedName("megalis", PUBLIC), {})):
        entry = an_entry(2, a_document(origin="megalis", key=f"late-{name.audience}", **said))
        await pull(arnia, a_head(2, name=name), Told(entry))
    assert set(await held(arnia)) == {"seen-by-all", "late-public", "late-federation"}
    async with Loop(arnia, Metrics()).running():

        async def told() -> bool:
            return "after they had left" in caplog.text

        await until(told)
    assert set(await held(arnia)) == {"seen-by-all", "late-public"}
    assert not [said for said in caplog.records if said.exc_info]
    await counts_are_true(look)
