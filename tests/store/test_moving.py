"""A record is in one feed at a time; leaving one and entering the other is one act."""

from __future__ import annotations

from typing import Any

import pytest

from federation.domain.content.solution import Solution
from federation.domain.draft import Draft
from federation.domain.errors import AudienceRevoked, CursorExpired, CursorInFuture, EpochChanged, NotFound
from federation.domain.feed import Cursor, FeedName
from federation.domain.visibility import anonymous, itself
from federation.node import feeds, records
from federation.node.node import Node
from tests.domain.builders import a_draft, a_group, a_record, a_solution
from tests.nodes import as_peer, publish
from tests.store.stepwise_transactions import arrivals, begun, counts, counts_are_true, feed_id

GREEN: dict[str, Any] = {"tlp": "GREEN"}
AMBER: dict[str, Any] = {"tlp": "AMBER", "audience": "rssi"}
RED: dict[str, Any] = {"tlp": "RED"}


@pytest.fixture
async def group(arnia: Node) -> str:
    await publish(arnia, "group", "rssi", a_group(members=["megalis"]))
    return "rssi"


async def feed(node: Node, audience: str) -> list[tuple[int, str, str, int]]:
    """The entries of an own feed: number, what, key, revision."""
    page = await feeds.changes(node, FeedName(node.operator, audience), None, by=itself(node.operator))
    what = {None: "withdraw", True: "delete", False: "upsert"}
    return [(row[0], what[row[1]], row[3], row[4]) for row in page.rows]


async def put(node: Node, key: str = "glpi", **envelope: Any) -> None:
    """Publish it anew: CLEAR, unless its label is named."""
    await publish(node, "solution", key, a_solution(), **{"tlp": "CLEAR", **envelope})


async def retract(node: Node, key: str = "glpi") -> None:
    await records.retract(node, Solution, node.operator, key, by=itself(node.operator))


@pytest.mark.usefixtures("group")
async def test_moving_a_record_withdraws_it_where_it_was(arnia: Node, look: Any) -> None:
    await put(arnia)
    await put(arnia, **GREEN)
    assert await feed(arnia, "public") == [(2, "withdraw", "glpi", 2)]
    assert await feed(arnia, "federation") == [(1, "upsert", "glpi", 2)]
    await put(arnia, **AMBER)
    assert await feed(arnia, "public") == [(2, "withdraw", "glpi", 2)]
    assert await feed(arnia, "federation") == [(2, "withdraw", "glpi", 3)]
    assert await feed(arnia, "rssi") == [(1, "upsert", "glpi", 3)]
    await counts_are_true(look)


async def test_moving_it_back_takes_the_withdrawal_away(arnia: Node, look: Any) -> None:
    await put(arnia)
    await put(arnia, **GREEN)
    await put(arnia)
    assert await feed(arnia, "public") == [(3, "upsert", "glpi", 3)]
    assert await feed(arnia, "federation") == [(2, "withdraw", "glpi", 3)]
    assert await look.fetchval("SELECT count(*) FROM withdrawals") == 1
    await counts_are_true(look)


async def test_a_move_is_seen_whole_or_not_at_all(arnia: Node, look: Any) -> None:
    await put(arnia)
    public, federation = await feed_id(arnia), await feed_id(arnia, "federation")
    step = await begun(arnia.store)
    held = (await step.tx.records.stored_revisions("solution", "arnia", ["glpi"]))["glpi"]
    assert held.feed == public
    from federation.store.record_writes import LeavingRecord

    await step.tx.records.upsert(
        "arnia",
        [(a_record(revision=2, tlp="GREEN"), federation, 1)],
        [LeavingRecord("solution", "glpi", public, 2, True)],
    )
    assert await feed(arnia, "public") == [(1, "upsert", "glpi", 1)]
    assert await feed(arnia, "federation") == []
    await step.roll_back()
    assert await feed(arnia, "public") == [(1, "upsert", "glpi", 1)]
    await put(arnia, **GREEN)
    assert await feed(arnia, "public") == [(2, "withdraw", "glpi", 2)]
    assert await feed(arnia, "federation") == [(1, "upsert", "glpi", 2)]
    assert len(await arrivals(look)) == 2
    await counts_are_true(look)


@pytest.mark.usefixtures("group")
@pytest.mark.parametrize("before", [{}, GREEN, AMBER])
async def test_red_leaves_all_feeds(arnia: Node, look: Any, before: dict[str, Any]) -> None:
    await put(arnia, **before)
    await put(arnia, **RED)
    entries = [entry for audience in ("public", "federation") for entry in await feed(arnia, audience)]
    if before == AMBER:
        entries += await feed(arnia, "rssi")
    assert entries == [(2, "withdraw", "glpi", 2)]
    assert await look.fetchval("SELECT feed FROM records WHERE type = 'solution'") is None
    found = await records.find(arnia, Solution, "arnia", "glpi", by=itself("arnia"))
    assert found.hash
    for caller in (anonymous("arnia"), await as_peer(arnia, "megalis")):
        with pytest.raises(NotFound):
            await records.find(arnia, Solution, "arnia", "glpi", by=caller)
    await counts_are_true(look)


async def test_what_was_red_from_the_start_was_never_in_a_feed_and_enters_one_when_it_is_told(
    arnia: Node, look: Any
) -> None:
    await put(arnia, **RED)
    assert await feed(arnia, "public") == await feed(arnia, "federation") == []
    assert await look.fetchval("SELECT sum(head) FROM feeds") == 0
    await put(arnia)
    assert await feed(arnia, "public") == [(1, "upsert", "glpi", 2)]
    await counts_are_true(look)


async def test_there_is_no_feed_of_red_records_even_for_the_operator(arnia: Node) -> None:
    await put(arnia, **RED)
    with pytest.raises(AudienceRevoked):
        await feeds.changes(arnia, FeedName("arnia", "private"), None, by=itself("arnia"))
    assert (await feeds.changes(arnia, FeedName("arnia", "public"), None, by=itself("arnia"))).rows == []
    assert {head.audience for head in await feeds.heads(arnia, by=itself("arnia"))} == {
        "public",
        "federation",
    }


@pytest.mark.usefixtures("group")
async def test_counts_are_the_true_ones_whatever_happens_to_the_records(arnia: Node, look: Any) -> None:
    acts: list[tuple[str, dict[str, Any] | None]] = [
        ("a", {}), ("b", {}), ("c", GREEN), ("d", AMBER), ("e", RED),
        ("a", None), ("a", None), ("a", {}), ("a", GREEN), ("a", None), ("a", AMBER),
        ("b", RED), ("b", {}), ("c", AMBER), ("c", {}), ("d", RED), ("d", None), ("d", GREEN),
        ("e", AMBER), ("e", None), ("e", {}),
    ]  # fmt: skip
    expected: dict[str, str | None] = {}
    audiences = {"": "public", "GREEN": "federation", "AMBER": "rssi", "RED": "private"}
    for key, envelope in acts:
        if envelope is None:
            await retract(arnia, key)
            expected[key] = None
        else:
            await put(arnia, key, **envelope)
            expected[key] = audiences[envelope.get("tlp", "")]
        await counts_are_true(look)
        kept = {name.partition("/")[2]: live for name, ((live, *_), _) in (await counts(look)).items()}
        wanted = {name: list(expected.values()).count(name) for name in kept}
        assert kept == wanted


@pytest.mark.usefixtures("group")
async def test_a_bulk_upload_that_moves_many_records_leaves_true_counts(arnia: Node, look: Any) -> None:
    def drafts(**envelope: Any) -> dict[str, Draft[Any]]:
        return {f"k{n}": a_draft(a_solution(), **envelope) for n in range(20)}

    for envelope in ({}, GREEN, AMBER, {"tlp": "CLEAR"}):
        await records.upload(arnia, Solution, drafts(**envelope), by=itself("arnia"))
        await counts_are_true(look)
    assert [entry[1] for entry in await feed(arnia, "public")] == ["upsert"] * 20
    assert [entry[0] for entry in await feed(arnia, "public")] == list(range(41, 61))
    assert [entry[0] for entry in await feed(arnia, "federation")] == list(range(21, 41))
    assert [entry[1] for entry in await feed(arnia, "rssi")] == ["withdraw"] * 20


@pytest.mark.usefixtures("group")
async def test_a_record_can_be_retracted_after_its_group_was(arnia: Node, look: Any) -> None:
    """Who publishes must be able to take back, whatever has become of the audience."""
    from federation.domain.content.group import Group

    await put(arnia, **AMBER)
    await records.retract(arnia, Group, "arnia", "rssi", by=itself("arnia"))
    await retract(arnia)
    assert await look.fetchval("SELECT retracted FROM records WHERE type = 'solution'")
    await counts_are_true(look)


@pytest.mark.usefixtures("group")
async def test_a_record_can_leave_a_group_that_was_retracted(arnia: Node, look: Any) -> None:
    from federation.domain.content.group import Group

    await put(arnia, **AMBER)
    await records.retract(arnia, Group, "arnia", "rssi", by=itself("arnia"))
    await put(arnia)
    assert await feed(arnia, "public") == [(1, "upsert", "glpi", 2)]
    await counts_are_true(look)


async def test_a_cursor_of_another_epoch_is_refused(arnia: Node) -> None:
    await put(arnia)
    peer = await as_peer(arnia, "megalis")
    public = FeedName("arnia", "public")
    epoch = arnia.notifier.state.epoch
    with pytest.raises(EpochChanged):
        await feeds.changes(arnia, public, Cursor("0" * 16, 0), by=peer)
    with pytest.raises(EpochChanged):
        await feeds.change_log(arnia, Cursor("0" * 16, 0), by=itself("arnia"))
    assert (await feeds.changes(arnia, public, Cursor(epoch, 0), by=peer)).rows
    assert (await feeds.change_log(arnia, Cursor(epoch, 0), by=itself("arnia")))[0]


async def test_a_cursor_beyond_the_head_is_refused_and_one_at_the_head_is_not(arnia: Node) -> None:
    await put(arnia)
    peer = await as_peer(arnia, "megalis")
    public = FeedName("arnia", "public")
    epoch = arnia.notifier.state.epoch
    with pytest.raises(CursorInFuture):
        await feeds.changes(arnia, public, Cursor(epoch, 2), by=peer)
    with pytest.raises(CursorInFuture):
        await feeds.change_log(arnia, Cursor(epoch, 2), by=itself("arnia"))
    page = await feeds.changes(arnia, public, Cursor(epoch, 1), by=peer)
    assert (page.rows, page.more, page.cursor) == ([], False, Cursor(epoch, 1))
    assert (await feeds.change_log(arnia, Cursor(epoch, 1), by=itself("arnia")))[0] == []


async def test_a_cursor_from_before_what_is_kept_has_expired_and_zero_has_not(arnia: Node, look: Any) -> None:
    for n in range(5):
        await put(arnia, f"k{n}")
    await look.execute("UPDATE feeds SET retained_from = 3 WHERE audience = 'public'")
    peer = await as_peer(arnia, "megalis")
    public = FeedName("arnia", "public")
    epoch = arnia.notifier.state.epoch
    for expired in (1, 2):
        with pytest.raises(CursorExpired):
            await feeds.changes(arnia, public, Cursor(epoch, expired), by=peer)
    for good, left in ((0, 5), (3, 2), (5, 0)):
        assert len((await feeds.changes(arnia, public, Cursor(epoch, good), by=peer)).rows) == left


async def test_pages_of_a_feed_end_where_they_say(arnia: Node) -> None:
    for n in range(5):
        await put(arnia, f"k{n}")
    await put(arnia, "k1", **GREEN)
    peer = await as_peer(arnia, "megalis")
    public = FeedName("arnia", "public")
    got, cursor, more = [], None, True
    while more:
        page = await feeds.changes(arnia, public, cursor, by=peer, limit=2)
        got += [row[0] for row in page.rows]
        cursor, more = page.cursor, page.more
    assert got == [1, 3, 4, 5, 6]
    assert cursor == Cursor(arnia.notifier.state.epoch, 6)
