"""The ways in which a batch is stored: declared, all of them used, and all with the same result."""

from __future__ import annotations

from typing import Any

import pytest

from federation.domain.entry import FeedEntry
from federation.node.node import Node
from federation.sync.batches import TRANSITIONS, BatchEvent, BatchPipeline, BatchState
from federation.sync.pull import pull
from tests.domain.builders import a_document
from tests.store.stepwise_transactions import counts_are_true
from tests.sync.peers import Told, an_entry

EVERYTHING = """
    SELECT r.type, r.key, r.revision, r.seq, r.arrived, r.retracted, r.document, f.head, f.live, f.epoch
    FROM records r JOIN feeds f ON f.id = r.feed ORDER BY r.key"""
NOTED = "SELECT key, seq, revision, reason FROM rejected_entries ORDER BY key"
STUBS = "SELECT key, seq, arrived, revision FROM withdrawals ORDER BY key"


def entries() -> list[FeedEntry]:
    """Three batches of new records, then revisions, a withdrawal, a rejected entry and a retraction."""
    return [
        *(an_entry(n) for n in range(1, 10)),
        *(an_entry(n, a_document(key=f"k{n - 9}", revision=2)) for n in range(10, 16)),
        an_entry(16, op="withdraw", key="k7", revision=2),
        an_entry(17, hash="0" * 64),
        an_entry(18, a_document(key="k8", revision=2, content=None)),
        an_entry(19, a_document(key="k1", revision=3)),
        an_entry(20, a_document(key="k1", revision=4)),
    ]


async def pulled(node: Node, look: Any) -> list[Any]:
    """All that is stored of the feed, pulled from the beginning."""
    await look.execute("TRUNCATE records, withdrawals, feeds, copies, digests, rejected_entries CASCADE")
    await look.execute("UPDATE node SET arrival = 0")
    source = Told(*entries(), slices=3)
    await pull(node, source.head, source)
    await counts_are_true(look)
    return [[tuple(row) for row in await look.fetch(query)] for query in (EVERYTHING, NOTED, STUBS)]


def watch(
    patch: pytest.MonkeyPatch, used: list[tuple[BatchState, BatchEvent]], *declined: BatchState
) -> None:
    """Note the event of every attempt; the attempts of ``declined`` states are not made at all."""
    names = {
        BatchState.NEW: "_store_new",
        BatchState.EARLY: "_store_early",
        BatchState.IN_TURN: "_store_in_turn",
        BatchState.RENUMBERED: "_renumber_and_store",
        BatchState.HALVED: "_store_halves",
    }

    def noting(state: BatchState, attempt: Any) -> Any:
        async def noted(self: BatchPipeline, sending: Any, ahead: Any) -> BatchEvent:
            event = BatchEvent.DECLINED if state in declined else await attempt(self, sending, ahead)
            used.append((state, event))
            return event

        return noted

    for state, name in names.items():
        patch.setattr(BatchPipeline, name, noting(state, getattr(BatchPipeline, name)))


async def test_every_way_stores_the_same(arnia: Node, look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    results, ways = [], []
    for declined in ((), (BatchState.NEW,), (BatchState.EARLY,), (BatchState.NEW, BatchState.EARLY)):
        used: list[tuple[BatchState, BatchEvent]] = []
        with monkeypatch.context() as patch:
            watch(patch, used, *declined)
            results.append(await pulled(arnia, look))
        ways.append(used)
    assert results[1:] == results[:1] * 3
    assert [row[1] for row in results[0][0]] == ["k1", "k2", "k3", "k4", "k5", "k6", "k8", "k9"]
    assert [len(part) for part in results[0][1:]] == [1, 1]
    assert (BatchState.NEW, BatchEvent.COMMITTED) in ways[0]
    assert (BatchState.EARLY, BatchEvent.COMMITTED) in ways[1]
    assert {state for state, event in ways[3] if event is BatchEvent.COMMITTED} == {BatchState.IN_TURN}


async def test_a_record_that_has_the_number_of_another_one_takes_it(
    arnia: Node, look: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By hand: a number beyond the cursor is taken, as after a garbled answer."""
    used: list[tuple[BatchState, BatchEvent]] = []
    first = Told(an_entry(1), an_entry(2))
    await pull(arnia, first.head, first)
    await look.execute("UPDATE records SET seq = 3 WHERE key = 'k2'")
    watch(monkeypatch, used)
    source = Told(an_entry(1), an_entry(2), an_entry(3), an_entry(4))
    await pull(arnia, source.head, source)
    assert used == [
        (BatchState.NEW, BatchEvent.FAILED),
        (BatchState.IN_TURN, BatchEvent.NUMBER_TAKEN),
        (BatchState.RENUMBERED, BatchEvent.COMMITTED),
    ]
    assert dict(await look.fetch("SELECT key, seq FROM records")) == {"k1": 1, "k2": None, "k3": 3, "k4": 4}


def test_each_transition_leads_on_and_every_state_ends_in_stored() -> None:
    order = list(BatchState)
    for (state, _), transition in TRANSITIONS.items():
        assert order.index(transition.to) > order.index(state), "no batch goes round in circles"
        assert transition.reason
    assert {state for state, _ in TRANSITIONS} == set(BatchState) - {BatchState.STORED}
