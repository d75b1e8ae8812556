"""One step of following a peer, in memory and over HTTP, across moves, epochs and revocations."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from federation.domain.content.solution import Solution
from federation.domain.errors import StaleCursor
from federation.domain.feed import Cursor, FeedName
from federation.domain.visibility import itself
from federation.node import feeds, memberships, records
from federation.node.node import Node
from federation.sync.peer_client import PeerSource
from federation.sync.pull import pull
from tests.conftest import Databases
from tests.domain.builders import a_deployment, a_document, a_group, a_solution
from tests.nodes import InMemory, a_node, as_peer, introduce, publish, served
from tests.store.stepwise_transactions import arrivals, begun, counts_are_true, feed_id, until, waits
from tests.sync.peers import EPOCH, PUBLIC, Told, a_head, an_entry, held, known_as, reasons, take

CLEAR: dict[str, Any] = {"tlp": "CLEAR"}
GREEN: dict[str, Any] = {"tlp": "GREEN"}
AMBER: dict[str, Any] = {"tlp": "AMBER", "audience": "rssi"}
RED: dict[str, Any] = {"tlp": "RED"}


async def some_records(node: Node) -> None:
    """Records of every audience, moved, revised and retracted."""
    await publish(node, "group", "rssi", a_group(members=["arnia"]))
    await publish(node, "group", "others", a_group(members=["recia"]))
    for n in range(12):
        await publish(node, "solution", f"s{n}", a_solution(name=f"Solution {n}"))
        await publish(node, "deployment", f"d{n}", a_deployment())
        await publish(node, "solution", f"a{n}", a_solution(), **AMBER)
    await publish(node, "solution", "secret", a_solution(), tlp="AMBER", audience="others")
    await publish(node, "solution", "red", a_solution(), **RED)
    await publish(node, "solution", "s1", a_solution(name="revised"))
    await publish(node, "solution", "s2", a_solution(), **GREEN)
    await publish(node, "solution", "s3", a_solution(), **RED)
    await publish(node, "solution", "a4", a_solution(), **CLEAR)
    await records.retract(node, Solution, node.operator, "s5", by=itself(node.operator))
    await records.retract(node, Solution, node.operator, "a6", by=itself(node.operator))


EVERYTHING = """
    SELECT r.type, r.key, r.revision, encode(r.hash, 'hex'), r.document, r.retracted, r.seq, r.audience,
           r.facets, r.beneficiaries, r.search::text, f.audience AS feed, f.head, f.live
    FROM records r JOIN feeds f ON f.id = r.feed WHERE r.origin = 'megalis' ORDER BY r.type, r.key"""


async def test_pulling_in_memory_and_over_http_gives_the_same(
    arnia: Node, megalis: Node, databases: Databases
) -> None:
    await some_records(megalis)
    await introduce(arnia, megalis)
    await memberships.publish_memberships(megalis)  # as its process does when it is served
    caller = await as_peer(megalis, "arnia")
    heads = await feeds.heads(megalis, by=caller)
    assert {head.audience for head in heads} == {"public", "federation", "rssi"}
    for head in heads:
        await pull(arnia, head, InMemory(megalis, "arnia", limit=7))
    async with arnia.store.read() as tx:
        in_memory = [tuple(r) for r in await tx.feeds._session.connection.fetch(EVERYTHING)]
    async with arnia.store.write() as tx:
        for place in await tx.feeds.all():
            if place.origin == "megalis":
                await tx.copies.purge(place)
    assert await held(arnia) == {}
    async with served("megalis", await databases("megalis"), sync=False) as url:
        source = PeerSource("arnia", known_as("megalis", url), arnia.keyring)
        told = await source.heads()
        assert told is not None
        assert {h.name for h in told} == {h.name for h in heads}
        for head in told:
            await pull(arnia, head, source)
        assert source._client.token
        await source.close()
    async with arnia.store.read() as tx:
        over_http = [tuple(r) for r in await tx.feeds._session.connection.fetch(EVERYTHING)]
    assert over_http == in_memory
    assert len(in_memory) == 12 * 3
    assert not {"secret", "red", "s3"} & (await held(arnia)).keys()


@pytest.mark.parametrize("size", [1, 2, 500])
async def test_a_record_that_moves_is_held_once_in_whatever_order_its_feeds_are_read(
    arnia: Node, megalis: Node, look: Any, size: int
) -> None:
    await publish(megalis, "group", "rssi", a_group(members=["arnia"]))

    async def pulled(*audiences: str) -> None:
        caller = await as_peer(megalis, "arnia")
        heads = {head.audience: head for head in await feeds.heads(megalis, by=caller)}
        for audience in audiences:
            if audience in heads:
                await pull(arnia, heads[audience], InMemory(megalis, "arnia", limit=size))
                await counts_are_true(look)

    orders = [("public", "federation", "rssi"), ("rssi", "federation", "public")]
    envelopes = [CLEAR, GREEN, CLEAR, AMBER, GREEN, AMBER, CLEAR, RED, CLEAR]
    revision = 0
    for order in orders:
        for envelope in envelopes:
            await publish(megalis, "solution", "glpi", a_solution(name=f"{order}{revision}"), **envelope)
            revision += 1
            await pulled(*order)
            expected = {} if envelope == RED else {"glpi": revision}
            assert await held(arnia) == expected
            assert await reasons(arnia) == {}


async def test_a_record_that_moved_while_its_old_feed_was_not_read_ends_where_it_is(
    arnia: Node, megalis: Node, look: Any
) -> None:
    await publish(megalis, "solution", "glpi", a_solution())
    await take_all(arnia, megalis)
    await publish(megalis, "solution", "glpi", a_solution(), **GREEN)
    await publish(megalis, "solution", "glpi", a_solution(), **CLEAR)
    await publish(megalis, "solution", "glpi", a_solution(), **RED)
    await take_all(arnia, megalis)
    assert await held(arnia) == {}
    await counts_are_true(look)
    await publish(megalis, "solution", "glpi", a_solution(), **CLEAR)
    await take_all(arnia, megalis)
    assert await held(arnia) == {"glpi": 5}
    await counts_are_true(look)


async def take_all(node: Node, origin: Node, *, limit: int = 1_000) -> None:
    for head in await feeds.heads(origin, by=await as_peer(origin, node.operator)):
        await pull(node, head, InMemory(origin, node.operator, limit=limit))


async def test_an_audience_that_is_revoked_is_purged(arnia: Node, megalis: Node, look: Any) -> None:
    await some_records(megalis)
    await take_all(arnia, megalis)
    caller = await as_peer(megalis, "arnia")
    (head,) = [head for head in await feeds.heads(megalis, by=caller) if head.audience == "rssi"]
    held_before = set(await held(arnia))
    assert {"a0", "a1"} <= held_before
    await publish(megalis, "group", "rssi", a_group(members=["recia"]))
    await publish(megalis, "solution", "a99", a_solution(), **AMBER)
    told = a_head(head.seq + 1, name=head.name, epoch=head.epoch)
    taken = await pull(arnia, told, InMemory(megalis, "arnia"))
    assert taken.purged == 11, "the tombstone among them"
    assert not {key for key in await held(arnia) if key.startswith("a")} - {"a4"}
    place = await look.fetchrow("SELECT epoch, head, live FROM feeds WHERE audience = 'rssi'")
    assert tuple(place) == (None, 0, 0), "as if it had never been taken"
    assert {key for key in held_before if not key.startswith("a")} <= set(await held(arnia))
    await counts_are_true(look)
    await publish(megalis, "group", "rssi", a_group(members=["arnia"]))
    await take_all(arnia, megalis)
    assert set(await held(arnia)) == held_before | {"a99"}


async def test_those_who_follow_arrivals_learn_that_an_audience_was_revoked(
    arnia: Node, megalis: Node
) -> None:
    """The operator's own systems must drop their copies, too: they are told as of any withdrawal."""
    await some_records(megalis)
    await take_all(arnia, megalis)
    _, cursor, _ = await feeds.change_log(arnia, None, by=itself("arnia"))
    await publish(megalis, "group", "rssi", a_group(members=["recia"]))
    name = FeedName("megalis", "rssi")
    await pull(arnia, a_head(99, name=name, epoch=megalis.notifier.state.epoch), InMemory(megalis, "arnia"))
    rows, _, _ = await feeds.change_log(arnia, cursor, by=itself("arnia"))
    assert {row[4] for row in rows if row[1] is None} >= {f"a{n}" for n in range(12) if n not in (4, 6)}


async def gone(look: Any, pid: int) -> bool:
    return not await look.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid)


class Between:
    """A node whose transactions can be ended from outside, between what they do."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.pid = 0
        self.at: Any = None

    def read(self) -> Any:
        return self._store.read()

    def write(self, **how: Any) -> Any:
        return _Between(self, self._store.write(**how))


class _Between:
    def __init__(self, between: Between, block: Any) -> None:
        self._between, self._block = between, block

    async def __aenter__(self) -> Any:
        tx = await self._block.__aenter__()
        between = self._between

        def then(taking: Any) -> Any:
            async def take_then(*arguments: Any) -> bool:
                taken: bool = await taking(*arguments)
                # (A slice that came before the one ahead of it is not stored, and comes again.)
                if taken and between.at is not None:
                    await between.at(await tx.feeds._session.connection.fetchval("SELECT pg_backend_pid()"))
                return taken

            return take_then

        tx.pulled_records.upsert = then(tx.pulled_records.upsert)
        return tx

    async def __aexit__(self, *error: Any) -> Any:
        return await self._block.__aexit__(*error)


@pytest.mark.parametrize("how", ["the connection is killed", "the program fails"])
async def test_cursor_and_records_are_kept_together_or_not_at_all(arnia: Node, look: Any, how: str) -> None:
    await take(arnia, *(an_entry(n) for n in range(1, 10)))
    source = Told(*(an_entry(n + 9, a_document(key=f"k{n}", revision=2)) for n in range(1, 10)), slices=3)
    between = Between(arnia.store)
    arnia.store = between  # type: ignore[assignment]
    slices = 0

    async def fall(pid: int) -> None:
        nonlocal slices
        slices += 1
        if slices >= 2:
            if how == "the program fails":
                raise RuntimeError("fallen")
            await look.fetchval("SELECT pg_terminate_backend($1)", pid)
            await until(lambda: gone(look, pid))

    between.at = fall
    outcome = (await asyncio.gather(pull(arnia, source.head, source), return_exceptions=True))[0]
    assert isinstance(outcome, Exception)
    assert await held(arnia) == {f"k{n}": 1 + (n <= 3) for n in range(1, 10)}
    assert await look.fetchval("SELECT head FROM feeds WHERE origin = 'megalis'") == 12
    await counts_are_true(look)
    between.at = None
    await pull(arnia, source.head, source)
    assert source.asked == [Cursor(EPOCH, 9), Cursor(EPOCH, 12)]
    assert await held(arnia) == {f"k{n}": 2 for n in range(1, 10)}
    assert await arrivals(look) == list(range(10, 19))
    await counts_are_true(look)


async def test_what_one_statement_keeps_is_kept_whole_or_not_at_all(arnia: Node, look: Any) -> None:
    """It has moved the feed on and waits for the lock of numbering when its connection is killed."""
    await take(arnia, an_entry(1))
    source = Told(an_entry(1), an_entry(2), an_entry(3))
    async with look.transaction():
        await look.execute("SELECT FROM node FOR UPDATE")
        pulling = asyncio.create_task(pull(arnia, source.head, source))
        await waits(look)
        [[pid]] = await look.fetch(
            "SELECT pid FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND ltrim(query, E'\\n') LIKE 'WITH incoming%'"
        )
        await look.execute("SELECT pg_terminate_backend($1)", pid)
        # (It is then tried once more, looked up first, and waits again.)
        await waits(look)
        assert await look.fetchval("SELECT head FROM feeds WHERE origin = 'megalis'") == 1
    await pulling
    assert await held(arnia) == {"k1": 1, "k2": 1, "k3": 1}
    assert await look.fetchval("SELECT head FROM feeds WHERE origin = 'megalis'") == 3
    await counts_are_true(look)


async def test_who_is_overtaken_by_another_process_keeps_nothing_of_its_slice(
    arnia: Node, dsn: str, look: Any
) -> None:
    """By hand: both have read the same cursor and the same slice; one is quicker."""
    entries = [an_entry(n) for n in range(1, 4)]
    gate = asyncio.Event()

    class Slow(Told):
        async def changes(self, feed: FeedName, after: Cursor | None) -> Any:
            async for page in super().changes(feed, after):
                await gate.wait()
                yield page

    await take(arnia, an_entry(1))
    slow = Slow(*entries)
    async with a_node("arnia", dsn) as beside:
        late = asyncio.create_task(pull(beside, slow.head, slow))

        async def has_asked() -> bool:
            return bool(slow.asked)

        await until(has_asked)
        await take(arnia, *entries)
        before = await look.fetch("SELECT r::text FROM records r ORDER BY 1")
        gate.set()
        outcome = (await asyncio.gather(late, return_exceptions=True))[0]
    assert isinstance(outcome, StaleCursor)
    assert await look.fetch("SELECT r::text FROM records r ORDER BY 1") == before
    assert await look.fetchval("SELECT head FROM feeds WHERE origin = 'megalis'") == 3
    assert await arrivals(look) == [1, 2, 3]
    await counts_are_true(look)


async def test_of_two_who_advance_the_same_cursor_one_is_told_so(arnia: Node, look: Any) -> None:
    await take(arnia, an_entry(1))
    one, two = await begun(arnia.store), await begun(arnia.store)
    places = [await step.tx.feeds.find(PUBLIC) for step in (one, two)]
    assert places[0]
    assert places[1]
    assert await one.tx.feeds.advance(places[0], Cursor(EPOCH, 2), delta=1)
    coming = asyncio.create_task(two.tx.feeds.advance(places[1], Cursor(EPOCH, 3), delta=1))
    await waits(look)
    await one.commit()
    assert await coming is False
    await two.roll_back()
    assert await look.fetchval("SELECT head FROM feeds WHERE origin = 'megalis'") == 2


async def test_own_writes_and_a_pull_at_once_do_not_disturb_each_other(
    arnia: Node, megalis: Node, look: Any
) -> None:
    for n in range(60):
        await publish(megalis, "solution", f"k{n}", a_solution())
    writing = [publish(arnia, "solution", f"own{n}", a_solution()) for n in range(30)]
    await asyncio.gather(take_all(arnia, megalis, limit=5), *writing)
    assert len(await held(arnia)) == 60
    assert await arrivals(look) == list(range(1, 91))
    own = await feed_id(arnia)
    assert await look.fetchval("SELECT count(DISTINCT seq) FROM records WHERE feed = $1", own) == 30
    await counts_are_true(look)
