"""Numbers are given so that whoever has read 8 has read 7, and none is lost, doubled or skipped."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec
import pytest
from sqlalchemy import literal_column

from federation.domain.content.solution import Solution
from federation.domain.draft import Draft
from federation.domain.errors import Conflict, PreconditionFailed, WriteConflict
from federation.domain.feed import Cursor, FeedName
from federation.domain.node_state import NodeState
from federation.domain.record import Record
from federation.domain.visibility import itself
from federation.node import feeds, records
from federation.node.edits import MAX_ATTEMPTS, WriteResult
from federation.node.node import Node
from federation.node.records import Preconditions
from federation.store import pulled_records, record_writes, search_index
from federation.store.database import Writing
from federation.store.list_filters import endings
from federation.store.record_writes import RecordsWriter, locks_of
from tests.domain.builders import a_draft, a_record, a_solution
from tests.nodes import a_node, as_peer, publish
from tests.store.stepwise_transactions import (
    Step,
    arrivals,
    begun,
    counts_are_true,
    feed_id,
    looking,
    numbers,
    waits,
)
from tests.waiting import MAX_WAIT_SECONDS

PUBLIC = FeedName("arnia", "public")


class Writer(Protocol):
    """Somebody who writes one key in a transaction of their own."""

    async def write(self, key: str) -> None: ...
    async def commit(self) -> None: ...


Reader = Callable[[int], Awaitable[list[tuple[int, str]]]]


async def two_writers_and_a_reader(look: Any, first: Writer, second: Writer, read: Reader) -> list[str]:
    """The second commits as soon as it can, the first last. The keys that the reader, following, has got."""
    got: list[str] = []
    at = 0

    async def follow() -> None:
        nonlocal at
        for seq, key in await read(at):
            got.append(key)
            at = seq

    await first.write("one")
    await follow()
    coming = asyncio.create_task(second.write("two"))
    held_up = asyncio.create_task(waits(look))
    await asyncio.wait((coming, held_up), return_when=asyncio.FIRST_COMPLETED)
    overtook = coming.done()
    held_up.cancel()
    await asyncio.gather(held_up, return_exceptions=True)
    if overtook:
        await second.commit()
    await follow()
    await first.commit()
    await follow()
    await coming
    if not overtook:
        await second.commit()
    await follow()
    return got


class Keeping:
    """Writes as the node does."""

    def __init__(self, step: Step, feed: int) -> None:
        self._step, self._feed = step, feed
        self.commit = step.commit

    async def write(self, key: str) -> None:
        await self._step.tx.records.upsert("arnia", [(a_record(key=key), self._feed, 1)])


class Serial:
    """Writes as one would without thinking: numbered by a sequence, at once."""

    def __init__(self, connection: Any) -> None:
        self._connection, self._transaction = connection, connection.transaction()

    async def write(self, key: str) -> None:
        await self._transaction.start()
        await self._connection.execute("INSERT INTO serial (key) VALUES ($1)", key)

    async def commit(self) -> None:
        await self._transaction.commit()


async def test_a_reader_misses_nothing_when_the_later_writer_is_ready_first(arnia: Node, look: Any) -> None:
    feed = await feed_id(arnia)
    peer = await as_peer(arnia, "megalis")
    epoch = arnia.notifier.state.epoch

    async def read(after: int) -> list[tuple[int, str]]:
        page = await feeds.changes(arnia, PUBLIC, Cursor(epoch, after), by=peer)
        return [(row[0], row[3]) for row in page.rows]

    writers = [Keeping(await begun(arnia.store), feed) for _ in range(2)]
    assert await two_writers_and_a_reader(look, writers[0], writers[1], read) == ["one", "two"]


async def test_a_reader_of_arrivals_misses_nothing_when_the_later_writer_is_ready_first(
    arnia: Node, look: Any
) -> None:
    feed = await feed_id(arnia)
    epoch = arnia.notifier.state.epoch

    async def read(after: int) -> list[tuple[int, str]]:
        rows, _, _ = await feeds.change_log(arnia, Cursor(epoch, after), by=itself("arnia"))
        return [(row[0], row[4]) for row in rows]

    writers = [Keeping(await begun(arnia.store), feed) for _ in range(2)]
    assert await two_writers_and_a_reader(look, writers[0], writers[1], read) == ["one", "two"]


async def test_with_numbers_of_a_sequence_the_same_reader_misses_one(dsn: str, look: Any) -> None:
    """The control: it shows that the interleaving above would find numbers that are taken early."""
    await look.execute("CREATE TABLE serial (seq bigserial, key text)")
    try:

        async def read(after: int) -> list[tuple[int, str]]:
            rows = await look.fetch("SELECT seq, key FROM serial WHERE seq > $1 ORDER BY seq", after)
            return [tuple(row) for row in rows]

        async with looking(dsn) as one, looking(dsn) as two:
            assert await two_writers_and_a_reader(look, Serial(one), Serial(two), read) == ["two"]
    finally:
        await look.execute("DROP TABLE serial")


async def test_slow_work_of_one_writer_does_not_hold_up_another(arnia: Node) -> None:
    """The lock of numbering is taken by the last statement and nowhere earlier."""
    feed = await feed_id(arnia)
    slow = await begun(arnia.store)
    await slow.tx.records.stored_revisions("solution", "arnia", ["slow"])
    await slow.tx.feeds.open(PUBLIC, None)
    async with asyncio.timeout(MAX_WAIT_SECONDS):
        await publish(arnia, "solution", "quick", a_solution())
    await slow.tx.records.upsert("arnia", [(a_record(key="slow"), feed, 1)])
    await slow.commit()
    page = await feeds.changes(arnia, PUBLIC, None, by=await as_peer(arnia, "megalis"))
    assert [(row[0], row[3]) for row in page.rows] == [(1, "quick"), (2, "slow")]


async def test_a_transaction_rolled_back_leaves_no_hole(arnia: Node, look: Any) -> None:
    feed = await feed_id(arnia)
    await publish(arnia, "solution", "a", a_solution())
    lost = await begun(arnia.store)
    await lost.tx.records.upsert("arnia", [(a_record(key=key), feed, 1) for key in "bcd"])
    await lost.roll_back()
    await publish(arnia, "solution", "e", a_solution())
    assert await numbers(look, feed) == [1, 2]
    assert await arrivals(look) == [1, 2]
    await counts_are_true(look)


async def test_of_two_creators_of_one_key_the_second_waits_and_finds_what_the_first_has_made(
    arnia: Node, look: Any
) -> None:
    feed = await feed_id(arnia)
    locks = locks_of("solution", ["glpi"])
    one = await begun(arnia.store, locks=locks)
    assert await one.tx.records.stored_revisions("solution", "arnia", ["glpi"]) == {}
    second = asyncio.create_task(begun(arnia.store, locks=locks))
    await waits(look)
    await one.tx.records.upsert("arnia", [(a_record(), feed, 1)])
    await one.commit()
    two = await second
    assert (await two.tx.records.stored_revisions("solution", "arnia", ["glpi"]))["glpi"].revision == 1
    await two.roll_back()
    assert await numbers(look, feed) == [1]
    assert await arrivals(look) == [1]
    await counts_are_true(look)


async def test_creators_of_several_keys_in_opposite_order_do_not_wait_for_each_other(
    arnia: Node, look: Any
) -> None:
    keys = [f"new{n:02}" for n in range(30)]
    gate = await begun(arnia.store, locks=locks_of("solution", keys[:1]))

    def upload(order: list[str]) -> asyncio.Task[Any]:
        drafts = {key: a_draft(a_solution()) for key in order}
        return asyncio.create_task(records.upload(arnia, Solution, drafts, by=itself("arnia")))

    both = [upload(keys), upload(keys[::-1])]
    await waits(look, writers=2)
    await gate.commit()
    async with asyncio.timeout(MAX_WAIT_SECONDS):
        outcomes = await asyncio.gather(*both)
    made = [outcome.created for of_one in outcomes for outcome in of_one.values()]
    assert sorted(made) == [False] * 30 + [True] * 30
    await counts_are_true(look)


async def test_who_gives_up_waiting_for_a_key_leaves_its_connection_as_it_was(arnia: Node, look: Any) -> None:
    locks = locks_of("solution", ["glpi"])
    gate = await begun(arnia.store, locks=locks)
    waiting = [asyncio.create_task(begun(arnia.store, locks=locks)) for _ in range(3)]
    await waits(look, writers=3)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await gate.commit()
    for number in range(12):  # on every connection of the pool
        await publish(arnia, "solution", f"s{number}", a_solution())
    assert await look.fetchval("SELECT count(*) FROM records") == 12


async def test_a_writer_who_did_not_look_is_refused_and_leaves_no_hole(arnia: Node, look: Any) -> None:
    feed = await feed_id(arnia)
    await publish(arnia, "solution", "glpi", a_solution())
    blind = await begun(arnia.store)
    with pytest.raises(WriteConflict):
        await blind.tx.records.upsert("arnia", [(a_record(a_solution(name="Other")), feed, 1)])
    await blind.roll_back()
    assert await numbers(look, feed) == [1]
    await counts_are_true(look)


@pytest.mark.parametrize("revision", [1, 2])
async def test_of_two_who_store_one_record_at_once_the_later_one_conflicts_and_nothing_is_numbered(
    arnia: Node, look: Any, revision: int
) -> None:
    """Each by one statement, which has begun before the other one's was committed."""
    feed = await feed_id(arnia)
    if revision == 2:
        await publish(arnia, "solution", "glpi", a_solution())
    ours, theirs = (a_record(a_solution(name=name), revision=revision) for name in ("Ours", "Theirs"))
    first = await begun(arnia.store)
    state, number = await first.tx.records.upsert_one("arnia", ours, feed, int(revision == 1))

    async def store_theirs() -> None:
        async with arnia.store.autocommit() as tx:
            await tx.records.upsert_one("arnia", theirs, feed, int(revision == 1))

    coming = asyncio.create_task(store_theirs())
    await waits(look)
    await first.commit()
    with pytest.raises(WriteConflict):
        await coming
    assert (number, await numbers(look, feed)) == (revision, [revision])
    assert state == await look_at_the_node(arnia)
    assert await look.fetchval("SELECT document FROM records") == ours.document
    await counts_are_true(look)
    async with arnia.store.autocommit() as tx:
        next_one = a_record(a_solution(name="Theirs"), revision=revision + 1)
        assert (await tx.records.upsert_one("arnia", next_one, feed, 0))[1] == revision + 1
    await counts_are_true(look)


async def look_at_the_node(node: Node) -> NodeState:
    async with node.store.read() as tx:
        return await tx.feeds.state()


async def test_a_record_without_a_feed_is_stored_by_one_statement_without_a_number(
    arnia: Node, look: Any
) -> None:
    async with arnia.store.autocommit() as tx:
        state, number = await tx.records.upsert_one("arnia", a_record(a_solution(), tlp="RED"), None, 1)
    assert number is None
    assert state == await look_at_the_node(arnia)
    assert await look.fetchval("SELECT sum(head) FROM feeds") == 0
    assert await look.fetchval("SELECT arrived FROM records WHERE feed IS NULL AND seq IS NULL") == 1


def test_words_are_stored_as_they_are_asked_for() -> None:
    """The endings of French words are in the statements, and in what is searched for."""
    for name, statements in {
        "text": (record_writes.UPSERT, pulled_records.UPSERT, pulled_records.INSERT),
        **dict.fromkeys(
            (r"split_part(i.other, E'\x1f', 1)", r"split_part(i.other, E'\x1f', 2)"),
            (record_writes.UPSERT, pulled_records.UPSERT, pulled_records.INSERT, search_index.UPDATE),
        ),
        r"split_part($13::text, E'\x1f', 1)": (record_writes.UPSERT_ONE,),
        r"split_part($13::text, E'\x1f', 2)": (record_writes.UPSERT_ONE,),
        "$14::text": (record_writes.UPSERT_ONE,),
        "i.french": (search_index.UPDATE,),
    }.items():
        rendered = re.sub(r"\s+", "", str(endings(literal_column(name))))
        for statement in statements:
            assert rendered in re.sub(r"\s+", "", statement)


@pytest.mark.parametrize("first", [MAX_ATTEMPTS, MAX_ATTEMPTS + 1])
async def test_who_is_forestalled_tries_again_and_at_last_is_told(
    arnia: Node, look: Any, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``first``: how often others are. (The first time is that of the way for a single record.)"""
    tried = 0

    def forestalled(keeps: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def keep(*said: Any) -> Any:
            nonlocal tried
            tried += 1
            if tried <= first:
                raise WriteConflict
            return await keeps(*said)

        return keep

    for name in ("upsert", "upsert_one"):
        monkeypatch.setattr(RecordsWriter, name, forestalled(getattr(RecordsWriter, name)))
    if first > MAX_ATTEMPTS:
        with pytest.raises(Conflict, match="other writers were always first"):
            await publish(arnia, "solution", "glpi", a_solution())
    else:
        assert (await publish(arnia, "solution", "glpi", a_solution())).created
    assert tried == MAX_ATTEMPTS + 1
    assert await numbers(look, await feed_id(arnia)) == ([] if first > MAX_ATTEMPTS else [1])


async def test_two_clients_who_create_one_key_make_revisions_one_and_two(arnia: Node, look: Any) -> None:
    """The one who came second begins again, and revises what the first has made."""
    gate = await begun(arnia.store)
    feed = await feed_id(arnia)
    await gate.tx.records.upsert("arnia", [(a_record(key="gate"), feed, 1)])
    both = [
        asyncio.create_task(publish(arnia, "solution", "glpi", a_solution(name=name))) for name in ("A", "B")
    ]
    await waits(look, writers=2)
    await gate.commit()
    outcomes = await asyncio.gather(*both)
    assert sorted((o.revision, o.created) for o in outcomes) == [(1, True), (2, False)]
    assert await numbers(look, feed) == [1, 3]
    assert await look.fetchval("SELECT head FROM feeds WHERE id = $1", feed) == 3
    await counts_are_true(look)


async def test_a_lost_update_between_two_clients_is_refused_to_one(arnia: Node, look: Any) -> None:
    first = await publish(arnia, "solution", "glpi", a_solution())
    gate = await begun(arnia.store)
    await gate.tx.records.stored_revisions("solution", "arnia", ["glpi"])

    def revise(name: str) -> asyncio.Task[Any]:
        return asyncio.create_task(
            records.publish(
                arnia,
                Solution,
                a_draft(a_solution(name=name)),
                "arnia",
                "glpi",
                by=itself("arnia"),
                preconditions=Preconditions(match=frozenset({first.hash.hex()})),
            )
        )

    both = [revise("A"), revise("B")]
    await waits(look, writers=2)
    await gate.commit()
    outcomes = await asyncio.gather(*both, return_exceptions=True)
    assert sum(isinstance(outcome, PreconditionFailed) for outcome in outcomes) == 1
    assert [o.revision for o in outcomes if not isinstance(o, BaseException)] == [2]


async def test_numbers_stay_dense_and_unique_among_many_writers_races_and_rollbacks(
    arnia: Node, look: Any
) -> None:
    feed = await feed_id(arnia)
    chance = random.Random(2026)
    made = 0

    async def writer(name: int) -> None:
        nonlocal made
        for turn in range(12):
            match chance.randrange(4):
                case 0:  # everybody wants this key: races
                    outcome = await publish(
                        arnia, "solution", f"shared-{turn % 3}", a_solution(name=f"{name}.{turn}")
                    )
                    made += outcome.changed
                case 1:
                    step = await begun(arnia.store)
                    await step.tx.records.upsert("arnia", [(a_record(key=f"lost-{name}-{turn}"), feed, 1)])
                    await step.roll_back()
                case _:
                    outcome = await publish(arnia, "solution", f"own-{name}-{turn}", a_solution())
                    made += outcome.changed

    await asyncio.gather(*(writer(name) for name in range(8)))
    assert made > 40
    head = await look.fetchval("SELECT head FROM feeds WHERE id = $1", feed)
    assert head == made, "every write has one number, and every number one write"
    held = await numbers(look, feed)
    assert len(set(held)) == len(held)
    assert held[-1] == head
    assert await look.fetchval("SELECT arrival FROM node") == made
    assert await look.fetchval("SELECT count(*) FROM records WHERE key LIKE 'lost%'") == 0
    await counts_are_true(look)


async def test_keys_that_nobody_revises_have_the_numbers_one_to_n(arnia: Node, look: Any) -> None:
    feed = await feed_id(arnia)
    await asyncio.gather(*(publish(arnia, "solution", f"k{n}", a_solution()) for n in range(40)))
    assert await numbers(look, feed) == list(range(1, 41))
    assert await arrivals(look) == list(range(1, 41))


async def test_the_same_content_again_takes_no_number(arnia: Node, look: Any) -> None:
    feed = await feed_id(arnia)
    first = await publish(arnia, "solution", "glpi", a_solution())
    again = await publish(arnia, "solution", "glpi", a_solution())
    assert (again.changed, again.hash, again.revision) == (False, first.hash, 1)
    assert await look.fetchval("SELECT head FROM feeds WHERE id = $1", feed) == 1
    revised = await publish(arnia, "solution", "glpi", a_solution(name="GLPI 11"))
    assert (revised.changed, revised.revision) == (True, 2)
    assert await numbers(look, feed) == [2]


async def test_bulk_uploads_of_the_same_keys_in_opposite_order_do_not_wait_for_each_other(
    arnia: Node, look: Any
) -> None:
    keys = [f"k{n:02}" for n in range(30)]
    for key in keys:
        await publish(arnia, "solution", key, a_solution())
    gate = await begun(arnia.store)
    await gate.tx.records.stored_revisions("solution", "arnia", keys[:1])

    def drafts(name: str, order: list[str]) -> dict[str, Draft[Any]]:
        return {key: a_draft(a_solution(name=name)) for key in order}

    forwards = asyncio.create_task(records.upload(arnia, Solution, drafts("A", keys), by=itself("arnia")))
    backwards = asyncio.create_task(
        records.upload(arnia, Solution, drafts("B", keys[::-1]), by=itself("arnia"))
    )
    single = asyncio.create_task(publish(arnia, "solution", keys[-1], a_solution(name="C")))
    await waits(look, writers=2)
    await gate.commit()
    async with asyncio.timeout(MAX_WAIT_SECONDS):
        await asyncio.gather(forwards, backwards, single)
    revisions = await look.fetch("SELECT key, revision FROM records")
    assert {row["key"]: row["revision"] for row in revisions} == {
        key: 4 if key == keys[-1] else 3 for key in keys
    }
    await counts_are_true(look)


async def test_locks_are_taken_in_one_order_whatever_order_the_keys_are_named_in(
    arnia: Node, look: Any
) -> None:
    """By hand: if the second locked from the end, each would have what the other waits for."""
    for key in ("a", "b", "c"):
        await publish(arnia, "solution", key, a_solution())
    gate = await begun(arnia.store)
    await gate.tx.records.stored_revisions("solution", "arnia", ["a"])
    one, two = await begun(arnia.store), await begun(arnia.store)
    tasks = [
        asyncio.create_task(step.tx.records.stored_revisions("solution", "arnia", keys))
        for step, keys in ((one, ["a", "b", "c"]), (two, ["c", "b", "a"]))
    ]
    await waits(look, writers=2)
    free = await look.fetch("SELECT key FROM records WHERE key <> 'a' ORDER BY key FOR UPDATE SKIP LOCKED")
    assert [row["key"] for row in free] == ["b", "c"], "nobody holds what comes after what they wait for"
    await gate.commit()
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED, timeout=MAX_WAIT_SECONDS)
    first = one if tasks[0] in done else two
    assert len(done) == 1
    await first.commit()
    await asyncio.gather(*tasks)
    await (two if first is one else one).commit()


class Paused:
    """A store whose writers stop after they have looked at what is held, until they are let go."""

    def __init__(self, node: Node) -> None:
        self._store = node.store
        self.looked, self.go = asyncio.Event(), asyncio.Event()

    def write(self, **how: Any) -> Any:
        return _PausedWrite(self, self._store.write(**how), "stored_revisions")

    def autocommit(self, **how: Any) -> Any:
        return _PausedWrite(self, self._store.autocommit(**how), "current_state")

    def read(self) -> Any:
        return self._store.read()


class _PausedWrite:
    def __init__(self, pause: Paused, block: Any, look: str) -> None:
        self._pause, self._block, self._look = pause, block, look

    async def __aenter__(self) -> Writing:
        tx: Writing = await self._block.__aenter__()
        look = getattr(tx.records, self._look)

        async def then_stop(*asked: Any) -> Any:
            found = await look(*asked)
            self._pause.looked.set()
            await self._pause.go.wait()
            return found

        setattr(tx.records, self._look, then_stop)
        return tx

    async def __aexit__(self, *error: Any) -> Any:
        return await self._block.__aexit__(*error)


async def test_a_creator_and_a_reviser_of_one_key_do_not_end_in_a_deadlock(
    arnia: Node, dsn: str, look: Any
) -> None:
    """Who comes while a record is being made waits before it has any lock, and then revises it."""
    async with a_node("arnia", dsn) as beside:
        beside.store = Paused(beside)  # type: ignore[assignment]
        pause: Any = beside.store
        drafts = {"glpi": a_draft(a_solution(name="first"))}
        creating = asyncio.create_task(records.upload(beside, Solution, drafts, by=itself("arnia")))
        await pause.looked.wait()
        revising = asyncio.create_task(publish(arnia, "solution", "glpi", a_solution(name="second")))
        await waits(look)
        pause.go.set()
        made = (await creating)["glpi"]
        assert isinstance(made, WriteResult)
        assert (made.revision, (await revising).revision) == (1, 2)
    await counts_are_true(look)


@pytest.mark.parametrize("there", [False, True])
async def test_who_was_overtaken_after_it_looked_begins_again_and_takes_no_number_for_it(
    arnia: Node, dsn: str, look: Any, there: bool
) -> None:
    if there:
        await publish(arnia, "solution", "glpi", a_solution())
    async with a_node("arnia", dsn) as beside:
        beside.store = Paused(beside)  # type: ignore[assignment]
        pause: Any = beside.store
        late = asyncio.create_task(publish(beside, "solution", "glpi", a_solution(name="late")))
        await pause.looked.wait()
        assert (await publish(arnia, "solution", "glpi", a_solution(name="first"))).revision == 1 + there
        pause.go.set()
        assert (await late).revision == 2 + there
    assert await arrivals(look) == [2 + there]
    assert await look.fetchval("SELECT arrival FROM node") == 2 + there
    assert await look.fetchval("SELECT head FROM feeds WHERE id = $1", await feed_id(arnia)) == 2 + there
    await counts_are_true(look)


async def test_uploads_that_look_for_a_key_before_and_after_it_was_made_are_both_kept(
    arnia: Node, look: Any
) -> None:
    """By hand: who came early has the turn for b and waits for that of a, which is made meanwhile."""
    feed = await feed_id(arnia)
    by_bucket = {min(locks_of("solution", [f"k{n}"])): f"k{n}" for n in range(20)}
    b, a = by_bucket[min(by_bucket)], by_bucket[max(by_bucket)]
    await look.execute("SELECT pg_advisory_lock(20261124, $1)", max(by_bucket))

    def upload(name: str) -> asyncio.Task[Any]:
        drafts = {key: a_draft(a_solution(name=name)) for key in (a, b)}
        return asyncio.create_task(records.upload(arnia, Solution, drafts, by=itself("arnia")))

    early = upload("early")
    await waits(look)
    async with arnia.store.write() as tx:
        await tx.records.upsert("arnia", [(a_record(key=a), feed, 1)])
    late = upload("late")
    await waits(look, writers=2)
    await look.execute("SELECT pg_advisory_unlock(20261124, $1)", max(by_bucket))
    outcomes = await asyncio.gather(early, late, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [dict, dict], outcomes
    rows = await look.fetch("SELECT key, revision FROM records")
    assert {row["key"]: row["revision"] for row in rows} == {a: 3, b: 2}
    await counts_are_true(look)


async def test_two_uploads_that_open_the_same_feeds_in_opposite_order_are_both_kept(
    arnia: Node, dsn: str, look: Any
) -> None:
    for group in ("g1", "g2"):
        await publish(arnia, "group", group, {"name": group, "members": ["megalis"]})
    gate = await begun(arnia.store)
    await gate.tx.feeds.open(FeedName("arnia", "g1"), arnia.notifier.state.epoch)

    def drafts(name: str, *groups: str) -> dict[str, Draft[Any]]:
        return {
            f"{name}{n}": a_draft(a_solution(), tlp="AMBER", audience=group) for n, group in enumerate(groups)
        }

    # Both wait for g1; the one that then gets it wants g2, which the other has opened.
    one = asyncio.create_task(records.upload(arnia, Solution, drafts("a", "g1", "g2"), by=itself("arnia")))
    two = asyncio.create_task(records.upload(arnia, Solution, drafts("b", "g2", "g1"), by=itself("arnia")))
    await waits(look, writers=2)
    await gate.roll_back()
    outcomes = await asyncio.gather(one, two, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [dict, dict]
    assert await look.fetchval("SELECT count(*) FROM records WHERE type = 'solution'") == 4
    await counts_are_true(look)


async def test_arrivals_of_one_s_own_and_of_others_are_in_one_order_without_a_gap(
    arnia: Node, look: Any
) -> None:
    feed = await feed_id(arnia)
    async with arnia.store.write() as tx:
        others = (await tx.feeds.open(FeedName("megalis", "public"), "0" * 16)).id

    def theirs(key: str) -> Record:
        return a_record(key=key, origin="megalis")

    own, taken = await begun(arnia.store), await begun(arnia.store)
    await own.tx.records.upsert("arnia", [(a_record(key=key), feed, 1) for key in "ab"])
    coming = asyncio.create_task(
        taken.tx.pulled_records.upsert_in_place("megalis", others, [(theirs("x"), 7), (theirs("y"), 9)])
    )
    await waits(look)
    rows, cursor, _ = await feeds.change_log(arnia, None, by=itself("arnia"))
    assert rows == []
    await own.commit()
    await coming
    await taken.commit()
    rows, cursor, _ = await feeds.change_log(arnia, cursor, by=itself("arnia"))
    assert [(row[0], row[2], row[4]) for row in rows] == [
        (1, "arnia", "a"), (2, "arnia", "b"), (3, "megalis", "x"), (4, "megalis", "y"),
    ]  # fmt: skip
    async with arnia.store.write() as tx:
        await tx.pulled_records.purge(others, [("solution", "x", 10, 2)])
    rows, _, _ = await feeds.change_log(arnia, cursor, by=itself("arnia"))
    assert [(row[0], row[1], row[4]) for row in rows] == [(5, None, "x")]
    assert await arrivals(look) == [1, 2, 4, 5]


async def test_pages_of_arrivals_are_complete_while_records_are_revised_between_them(arnia: Node) -> None:
    for n in range(6):
        await publish(arnia, "solution", f"k{n}", a_solution())
    rows, cursor, more = await feeds.change_log(arnia, None, by=itself("arnia"), limit=3)
    assert ([row[4] for row in rows], more) == (["k0", "k1", "k2"], True)
    await publish(arnia, "solution", "k4", a_solution(name="again"))
    await publish(arnia, "solution", "k0", a_solution(name="again"))
    got = []
    while more:
        rows, cursor, more = await feeds.change_log(arnia, cursor, by=itself("arnia"), limit=3)
        got += [(row[4], row[5]) for row in rows]
    assert got == [("k3", 1), ("k5", 1), ("k4", 2), ("k0", 2)]


async def test_nobody_but_the_operator_follows_arrivals(arnia: Node) -> None:
    await publish(arnia, "solution", "glpi", a_solution())
    rows, _, _ = await feeds.change_log(arnia, None, by=await as_peer(arnia, "megalis"))
    assert rows == []
    rows, _, _ = await feeds.change_log(arnia, None, by=itself("arnia"))
    assert len(rows) == 1


async def test_many_writers_of_one_key_are_all_served(arnia: Node) -> None:
    await publish(arnia, "solution", "one", a_solution())
    names = [f"Name {n}" for n in range(60)]
    outcomes = await asyncio.gather(*(publish(arnia, "solution", "one", a_solution(name=n)) for n in names))
    assert len({outcome.hash for outcome in outcomes}) == 60
    held = await records.find(arnia, Solution, "arnia", "one", by=itself("arnia"))
    assert msgspec.json.decode(held.document)["revision"] == 61
