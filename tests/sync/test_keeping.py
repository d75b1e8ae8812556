"""Slices of a feed that are stored while the next one is on its way to the database already."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from federation.domain.entry import FeedEntry
from federation.domain.errors import StaleCursor, Unreachable
from federation.domain.feed import Cursor, FeedName
from federation.node import copies
from federation.node.node import Node
from federation.store.pulled_records import Advance
from federation.sync.batches import BatchEvent, BatchPipeline
from federation.sync.pull import pull
from tests.domain.builders import a_document, a_solution
from tests.store.stepwise_transactions import arrivals, counts_are_true, waits
from tests.sync.peers import EPOCH, PUBLIC, Told, a_head, an_entry, held, reasons, take

FEDERATION = FeedName("megalis", "federation")
NOWHERE = Advance(0, 0, None, 0, EPOCH, 0)
"""In no feed there is."""


class Gated:
    """A store whose transactions of several statements end only when they are let.

    What is a transaction of its own comes when one of those is at its end: behind it, and not before it.
    """

    def __init__(self, store: Any, *, first: int) -> None:
        self._store, self._first, self._begun = store, first, 0
        self._ends = asyncio.Event()
        self.let = asyncio.Event()

    def read(self) -> Any:
        return self._store.read()

    @asynccontextmanager
    async def write(self, **how: Any) -> AsyncIterator[Any]:
        self._begun += 1
        gated = self._begun > self._first
        async with self._store.write(**how) as tx:
            yield tx
            if gated:
                self._ends.set()
                await self.let.wait()

    @asynccontextmanager
    async def autocommit(self, **how: Any) -> AsyncIterator[Any]:
        await self._ends.wait()
        async with self._store.autocommit(**how) as tx:
            yield tx


async def prepare(node: Node) -> None:
    """Prepare on two connections what keeps slices: one that has to do it later is too late to wait."""
    async with node.store.autocommit() as one, node.store.autocommit() as two:
        for tx in (one, two):
            await tx.pulled_records.upsert("megalis", NOWHERE, [])
            await tx.pulled_records.insert("megalis", NOWHERE, [])


async def revisions(look: Any) -> dict[str, int]:
    return dict(await look.fetch("SELECT key, revision FROM records"))


async def test_a_slice_waits_in_the_database_before_the_one_ahead_of_it_is_committed(
    arnia: Node, look: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [an_entry(n) for n in range(1, 31)]
    first = Told(*entries, slices=3)
    await pull(arnia, first.head, first)
    await prepare(arnia)
    in_turn: list[str] = []
    store_in_turn = BatchPipeline._store_in_turn

    async def noted(self: BatchPipeline, sending: Any, ahead: Any) -> BatchEvent:
        in_turn.append(sending.batch.names[0][1])
        return await store_in_turn(self, sending, ahead)

    monkeypatch.setattr(BatchPipeline, "_store_in_turn", noted)
    # (They are not in their first revision: the first slice has to be looked up before it is stored.)
    entries += [an_entry(n, a_document(key=f"k{n}", revision=2)) for n in range(31, 61)]
    source = Told(*entries, slices=3)
    arnia.store = gated = Gated(arnia.store, first=0)  # type: ignore[assignment]
    pulling = asyncio.create_task(pull(arnia, source.head, source))
    await waits(look)
    assert await look.fetchval("SELECT head FROM feeds WHERE origin = 'megalis'") == 30
    gated.let.set()
    await pulling
    assert "k34" not in in_turn, "it was kept from where it waited"
    assert await held(arnia) == {f"k{n}": 1 + (n > 30) for n in range(1, 61)}
    assert await arrivals(look) == list(range(1, 61))
    await counts_are_true(look)


class Late(Gated):
    """A store that commits a while later: what is made ready meanwhile finds the one ahead under way."""

    @asynccontextmanager
    async def write(self, **how: Any) -> AsyncIterator[Any]:
        async with self._store.write(**how) as tx:
            yield tx
            await asyncio.sleep(0.05)

    @asynccontextmanager
    async def autocommit(self, **how: Any) -> AsyncIterator[Any]:
        async with self._store.autocommit(**how) as tx:
            yield tx
            await asyncio.sleep(0.05)


async def test_a_slice_is_not_sent_before_its_time_when_it_has_a_record_of_the_one_ahead(
    arnia: Node, look: Any
) -> None:
    """What is held of it cannot be told before: it would be counted twice."""
    await take(arnia, an_entry(1))
    entries = []
    for n in range(2, 42, 2):  # of each slice one is held already, by the one ahead of it
        key, revision = ("k1", 2) if n == 2 else (f"k{n - 1}", 2)
        entries += [an_entry(n, a_document(key=key, revision=revision)), an_entry(n + 1)]
    source = Told(*entries, slices=2)
    arnia.store = Late(arnia.store, first=0)  # type: ignore[assignment]
    await pull(arnia, source.head, source)
    assert await revisions(look) == {"k41": 1} | {f"k{n}": 2 for n in range(1, 41, 2)}
    await counts_are_true(look)


@pytest.mark.parametrize(
    ("further", "expected"),
    [
        (an_entry(7, op="withdraw", key="k2", revision=2), {"k1": 1, "k3": 1}),
        (an_entry(7, hash="0" * 64), {"k1": 1, "k2": 1, "k3": 1}),
        (an_entry(7, a_document(key="k2", revision=2, content=None)), {"k1": 1, "k2": 2, "k3": 1}),
        (an_entry(7, a_document(key="k4", revision=2)), {"k1": 1, "k2": 1, "k3": 1, "k4": 2}),
        (an_entry(7, a_document(key="k8", revision=2)), {"k1": 1, "k2": 1, "k3": 1, "k8": 2}),
    ],
    ids=["withdrawn", "set aside", "retracted", "revised", "twice in a slice"],
)
async def test_what_comes_among_new_records_is_carried_out_as_anywhere(
    arnia: Node, look: Any, further: FeedEntry, expected: dict[str, int]
) -> None:
    entries = [*(an_entry(n) for n in range(1, 7)), further, an_entry(8), an_entry(9), an_entry(10)]
    if further.key == "k8":  # (It came first; the older revision is out of place.)
        entries.remove(entries[7])
        entries.insert(6, an_entry(6, a_document(key="k8")))
        entries.pop(5)
    source = Told(*entries, slices=3)
    arnia.store = Late(arnia.store, first=0)  # type: ignore[assignment]
    await pull(arnia, source.head, source)
    there = {e.key: 1 for e in entries if e.op == "upsert"} | expected
    if further.op == "withdraw":
        del there["k2"]
    if further.hash == "0" * 64:
        del there["k7"]
        assert await reasons(arnia) == {"k7": "bad-hash"}
    assert await revisions(look) == there
    assert await look.fetchval("SELECT head FROM feeds WHERE origin = 'megalis'") == 10
    await counts_are_true(look)


@pytest.mark.parametrize("revision", [1, 2])
async def test_what_was_given_up_meanwhile_is_not_taken_up_from_where_it_was(
    arnia: Node, look: Any, revision: int
) -> None:
    """What came before would be missing, and nobody would ask for it."""
    await take(arnia, an_entry(1), an_entry(2))
    before = await copies.read_copy(arnia, PUBLIC)
    await copies.purge(arnia, PUBLIC)
    entries = [an_entry(1), an_entry(2), an_entry(3, a_document(key="k3", revision=revision))]
    source = Told(*entries)
    with pytest.raises(StaleCursor):
        await pull(arnia, source.head, source, before)
    assert await revisions(look) == {}
    await pull(arnia, source.head, source)
    assert await revisions(look) == {"k1": 1, "k2": 1, "k3": revision}, "from the beginning it is taken"


async def test_a_first_revision_of_what_was_set_aside_clears_it(arnia: Node) -> None:
    await take(arnia, an_entry(1), an_entry(2, hash="0" * 64))
    assert await reasons(arnia) == {"k2": "bad-hash"}
    await take(arnia, an_entry(1), an_entry(2, hash="0" * 64), an_entry(3, a_document(key="k2")))
    assert (await held(arnia), await reasons(arnia)) == ({"k1": 1, "k2": 1}, {})


async def test_a_first_revision_of_what_was_withdrawn_since_is_not_kept(arnia: Node, look: Any) -> None:
    entries = [an_entry(1), an_entry(2), an_entry(3, op="withdraw", key="k2", revision=2)]
    await take(arnia, *entries[:2])
    await take(arnia, *entries)
    await take(arnia, *entries, an_entry(4, a_document(key="k2")))
    assert await held(arnia) == {"k1": 1}
    await take(arnia, *entries, an_entry(5, a_document(key="k2", revision=3)))
    assert await held(arnia) == {"k1": 1, "k2": 3}
    await counts_are_true(look)


async def test_an_origin_is_owed_word_of_what_was_dropped_or_not_taken_and_of_nothing_else(
    arnia: Node,
) -> None:
    async def owes() -> bool:
        async with arnia.store.read() as tx:
            return (await tx.copies.of("megalis"))[PUBLIC].has_unsent

    await take(arnia, an_entry(1), an_entry(2))
    assert not await owes()
    await take(arnia, an_entry(3, hash="0" * 64))
    assert await owes()
    async with arnia.store.write() as tx:
        ((feed, _), several) = next(iter((await tx.rejected.pending_reports("megalis", 10)).items()))
        await tx.rejected.note_report(feed, several)
    assert not await owes()
    await take(arnia, an_entry(4, op="withdraw", key="k1", revision=2))
    assert await owes()
    async with arnia.store.write() as tx:
        (one,) = await tx.copies.pending_receipts("megalis")
        await tx.copies.mark_receipt_sent(one.feed, one.epoch, one.seq, purged=one.purged)
    assert not await owes()


@pytest.mark.parametrize("size", [1, 2, 4])
async def test_records_that_another_feed_holds_move_in_whatever_slice_they_come(
    arnia: Node, look: Any, size: int
) -> None:
    await take(arnia, *(an_entry(n) for n in range(1, 9)))
    green = [
        an_entry(n, a_document(key=f"k{n}" if n > 4 else f"new{n}", revision=2, tlp="GREEN"))
        for n in range(1, 9)
    ]
    source = Told(*green, slices=size)
    await pull(arnia, a_head(8, name=FEDERATION), source)
    expected = {f"k{n}": 1 for n in range(1, 5)} | {e.key: 2 for e in green}
    assert await held(arnia) == expected
    assert await reasons(arnia) == {}
    await counts_are_true(look)


@pytest.mark.parametrize("size", [1, 2, 3])
async def test_retractions_and_withdrawals_in_later_slices_are_carried_out_and_counted(
    arnia: Node, look: Any, size: int
) -> None:
    entries = [an_entry(n) for n in range(1, 8)]
    entries += [
        an_entry(8, a_document(key="k1", revision=2, content=None)),
        an_entry(9, op="withdraw", key="k2", revision=2),
        an_entry(10, a_document(key="k3", revision=2, content=a_solution(name="anew"))),
        an_entry(11, a_document(key="gone", content=None)),
        an_entry(12),
    ]
    source = Told(*entries, slices=size)
    taken = await pull(arnia, source.head, source)
    assert taken.rejected == {}
    assert await revisions(look) == {
        "k1": 2, "k3": 2, "k4": 1, "k5": 1, "k6": 1, "k7": 1, "gone": 1, "k12": 1,
    }  # fmt: skip
    await counts_are_true(look)


async def test_when_the_one_ahead_is_not_kept_nothing_of_the_next_one_is(
    arnia: Node, look: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # (The first slice is looked up before it is stored: it is not of first revisions.)
    source = Told(*(an_entry(n, a_document(key=f"k{n}", revision=2)) for n in range(1, 10)), slices=3)
    sent: list[list[str]] = []
    add = BatchPipeline.add

    async def noted(self: BatchPipeline, ends: Any, entries: Any) -> None:
        sent.append([entry.key for entry in entries])
        await add(self, ends, entries)

    monkeypatch.setattr(BatchPipeline, "add", noted)

    class Overtaking(Gated):
        async def overtake(self) -> None:
            await waits(look)
            await look.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)"
                " WHERE relation = 'feeds'::regclass AND mode = 'RowExclusiveLock'"
                " AND state = 'idle in transaction'"
            )
            self.let.set()

    await prepare(arnia)
    arnia.store = gated = Overtaking(arnia.store, first=1)  # type: ignore[assignment]
    pulling = asyncio.create_task(pull(arnia, source.head, source))
    await gated.overtake()
    outcome = (await asyncio.gather(pulling, return_exceptions=True))[0]
    assert isinstance(outcome, Exception)
    assert not isinstance(outcome, StaleCursor)
    assert sent[:2] == [["k1", "k2", "k3"], ["k4", "k5", "k6"]]
    assert await held(arnia) == {}
    assert await look.fetchval("SELECT head FROM feeds WHERE origin = 'megalis'") == 0


@pytest.mark.parametrize("slices", [1, 2])
async def test_what_came_before_the_answer_broke_off_is_kept(arnia: Node, slices: int) -> None:
    class BreaksOff(Told):
        async def changes(self, feed: FeedName, after: Cursor | None) -> Any:
            number = 0
            async for page in super().changes(feed, after):
                yield page
                number += 1
                if number == slices:
                    raise Unreachable("the answer broke off")

    source = BreaksOff(*(an_entry(n) for n in range(1, 10)), slices=3)
    with pytest.raises(Unreachable):
        await pull(arnia, source.head, source)
    assert await held(arnia) == {f"k{n}": 1 for n in range(1, 3 * slices + 1)}
