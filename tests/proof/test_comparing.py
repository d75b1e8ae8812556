"""Comparisons that go on while news are waited for and taken, and signatures of several records."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from federation import housekeeping, notary
from federation.domain.errors import Unavailable
from federation.domain.feed import FeedName, Head, SetAside
from federation.domain.proof import EMPTY, State, checkpoint_of
from federation.node import Node
from federation.store.digests import DigestsWriter
from federation.sync import comparing
from federation.sync.comparing import Comparing
from federation.sync.follow import Comparison, compare_beside, follow
from federation.sync.pull import pull
from federation.sync.repair import Proof, Sender
from tests.domain.builders import a_solution
from tests.nodes import peer_of, publish
from tests.proof.near import Near, acquainted, round_of, sql, state_of
from tests.waiting import until

PUBLIC = FeedName("arnia", "public")


async def head_of(source: Near) -> Head:
    (head,) = [head for head in await source.heads() if head.audience == "public"]
    return head


async def wanted_of(reader: Node, origin: Node, source: Near) -> Comparison:
    """The comparison that is left when a feed was followed."""
    later: list[Comparison] = []
    await follow(reader, peer_of(origin), await head_of(source), source, later=later)
    (one,) = later
    return one


async def test_an_entry_that_comes_while_a_copy_is_compared_makes_no_difference(
    arnia: Node, megalis: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(arnia, "solution", "k1", a_solution())
    await acquainted(arnia, megalis)
    source = Near(arnia, "megalis")
    await round_of(megalis, arnia, source)
    await publish(arnia, "solution", "k2", a_solution())
    await notary.prove(arnia)
    wanted = await wanted_of(megalis, arnia, source)
    await publish(arnia, "solution", "k3", a_solution())
    really = DigestsWriter.bring_up

    async def late(self: DigestsWriter, was: Any) -> Any:
        """The place was looked at, and the buckets are yet to be."""
        monkeypatch.setattr(DigestsWriter, "bring_up", really)
        await pull(megalis, await head_of(source), source)
        return await really(self, was)

    monkeypatch.setattr(DigestsWriter, "bring_up", late)
    assert await compare_beside(megalis, wanted) == "moved"
    assert await compare_beside(megalis, wanted) == "moved"
    assert await state_of(megalis, arnia) == "verified"  # as it was before
    await notary.prove(arnia)
    assert await compare_beside(megalis, await wanted_of(megalis, arnia, source)) == "equal"


async def test_a_copy_that_was_altered_differs_and_is_repaired_by_following_it_once_more(
    arnia: Node, megalis: Node
) -> None:
    await publish(arnia, "solution", "k1", a_solution())
    await publish(arnia, "solution", "k2", a_solution())
    await acquainted(arnia, megalis)
    source = Near(arnia, "megalis")
    await round_of(megalis, arnia, source)
    await sql(megalis, "DELETE FROM records WHERE key = 'k1'")
    await publish(arnia, "solution", "k3", a_solution())
    await notary.prove(arnia)
    await sql(megalis, "UPDATE digests SET marked = ARRAY(SELECT generate_series(0, 255))")
    wanted = await wanted_of(megalis, arnia, source)
    assert await compare_beside(megalis, wanted) == "differs"
    taken = await follow(megalis, peer_of(arnia), wanted.told, source)
    assert taken.repaired == 1
    assert await state_of(megalis, arnia) == "verified"


async def test_a_proof_says_nothing_of_what_was_set_aside_after_it(arnia: Node, megalis: Node) -> None:
    await publish(arnia, "solution", "k1", a_solution())
    await acquainted(arnia, megalis)
    await round_of(megalis, arnia)
    async with megalis.store.write() as tx:
        place = await tx.feeds.find(PUBLIC)
        assert place is not None
        late = SetAside(
            seq=place.head, type="solution", key="k2", revision=1, reason="unreadable", detail="so"
        )
        await tx.feeds.put_aside(place, [late])
        assert await tx.feeds.proved(place.id, place.head - 1) == 0
        assert await tx.feeds.proved(place.id, place.head) == 1


# What is waited for


def a_comparison(seq: int, *, signed: int | None = None) -> Comparison:
    """One of a feed whose head is at a number, and was signed at that or another one."""
    said = checkpoint_of(
        PUBLIC, "e", State(seq=signed or seq, retained_from=0, count=0, buckets=EMPTY * 256), 0
    )
    told = Head(
        origin="arnia", audience="public", epoch="e", seq=seq, retained_from=0, count=0, checkpoint="jws"
    )
    nobody: Any = None
    return Comparison(told, Proof(said, f"jws {said.seq}"), Sender(nobody, nobody), False)


class Bench:
    """A ``Comparing`` whose comparisons end as a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.settled: dict[FeedName, Head] = {}
        self.made: list[int] = []
        self.repaired = asyncio.Event()
        self.go_on = asyncio.Event()
        self.rounds = 0
        self.finds: str | Exception = "equal"
        monkeypatch.setattr(comparing, "compare_beside", self._compare)
        nobody: Any = None
        self.comparing = Comparing(nobody, self.settled, differs=self._differs, then=self._then)

    async def _compare(self, _: Node, one: Comparison) -> str:
        self.made.append(one.proof.said.seq)
        await self.go_on.wait()
        if isinstance(self.finds, Exception):
            raise self.finds
        return self.finds

    async def _differs(self, head: Head) -> None:
        self.repaired.set()

    async def _then(self) -> None:
        self.rounds += 1


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


async def news() -> str:
    return "news"


async def test_news_are_handed_on_while_a_comparison_lasts(bench: Bench) -> None:
    bench.comparing.add([a_comparison(7)])
    async with asyncio.timeout(10):
        assert await bench.comparing.beside(news()) == "news"
        assert not bench.settled
        bench.go_on.set()
        await bench.comparing.finish()
    assert [head.seq for head in bench.settled.values()] == [7]
    assert bench.rounds == 1


async def test_a_difference_is_seen_to_while_news_are_waited_for(bench: Bench) -> None:
    bench.finds = "differs"
    bench.go_on.set()
    bench.comparing.add([a_comparison(7)])
    async with asyncio.timeout(10):
        assert await bench.comparing.beside(bench.repaired.wait())
    assert not bench.settled


async def test_what_a_comparison_raises_ends_the_wait(bench: Bench) -> None:
    bench.finds = Unavailable("the database went away")
    bench.go_on.set()
    bench.comparing.add([a_comparison(7)])
    for_ever = asyncio.Event()
    async with asyncio.timeout(10):
        with pytest.raises(Unavailable):
            await bench.comparing.beside(for_ever.wait())


async def test_what_comes_meanwhile_is_compared_next_the_newest_of_each_feed(bench: Bench) -> None:
    bench.comparing.add([a_comparison(7)])
    await until(lambda: _true(bool(bench.made)))
    bench.comparing.add([a_comparison(8)])
    bench.comparing.add([a_comparison(9)])
    bench.go_on.set()
    async with asyncio.timeout(10):
        await bench.comparing.finish()
    assert bench.made == [7, 9]
    assert [head.seq for head in bench.settled.values()] == [9]


async def test_a_checkpoint_that_the_copy_has_gone_beyond_is_compared_once(bench: Bench) -> None:
    bench.go_on.set()
    async with asyncio.timeout(10):
        for seq in (8, 9, 10):
            bench.comparing.add([a_comparison(seq, signed=7)])
            await bench.comparing.finish()
    assert bench.made == [7]
    assert not bench.settled
    assert bench.rounds == 3, "what could not be taken is told each time"


async def test_a_feed_that_is_shown_no_more_is_not_settled(bench: Bench) -> None:
    bench.comparing.add([a_comparison(7)])
    await until(lambda: _true(bool(bench.made)))
    bench.comparing.shown(())
    bench.go_on.set()
    async with asyncio.timeout(10):
        await bench.comparing.finish()
    assert not bench.settled


async def _true(value: bool) -> bool:
    return value


# Signing


class Arriving:
    """A node at which something arrives as often as a test says."""

    def __init__(self, *arrives: bool) -> None:
        self.watch = self
        self.state = msgspec.defstruct("State", [("arrival", int)])(0)
        self._arrives = iter(arrives)

    async def beyond(self, arrival: int, seconds: float, *, patient: bool = False) -> bool:
        try:
            return next(self._arrives)
        except StopIteration:
            raise asyncio.CancelledError from None


async def signatures(node: Any, monkeypatch: pytest.MonkeyPatch) -> int:
    """How often a node signs until nothing more is known of it."""
    signed = 0

    async def prove(_: Node) -> int:
        nonlocal signed
        signed += 1
        return 1

    monkeypatch.setattr(notary, "prove", prove)
    with pytest.raises(asyncio.CancelledError):
        await housekeeping.prove_for_ever(node)
    return signed


async def test_records_that_come_one_after_the_other_are_signed_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(housekeeping, "PROVE_SECONDS", 60.0)
    assert await signatures(Arriving(True, True, True, True, False), monkeypatch) == 2


async def test_a_signature_is_not_put_off_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "PROVE_SECONDS", 0.0)
    assert await signatures(Arriving(True, True, True), monkeypatch) == 4
