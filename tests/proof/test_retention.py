"""Tombstones are kept for as long as is said, then dropped everywhere alike."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from federation.domain.errors import CursorExpired
from federation.domain.feed import Cursor, FeedName
from federation.domain.visibility import itself
from federation.node import checkpoints, feeds, peer_views, retention
from federation.node.node import Node
from tests.domain.builders import a_solution
from tests.nodes import as_peer, publish
from tests.proof.in_process_peer import Near, acquainted, round_of, rows_of, state_of
from tests.proof.test_digests import by_hand, retract, signed

PUBLIC = FeedName("arnia", "public")


def days(node: Node, number: float) -> None:
    """Move a node's clock."""
    now: Callable[[], datetime] = node.clock
    then = now() + timedelta(days=number)
    node.clock = lambda: then


@pytest.fixture
async def old(arnia: Node, megalis: Node, recia: Node) -> Node:
    """Arnia, which retracted and withdrew 100 days ago; megalis has seen it, recia was away since before."""
    for n in range(6):
        await publish(arnia, "solution", f"k{n}", a_solution())
    await acquainted(arnia, megalis, recia)
    await round_of(recia, arnia)
    await retract(arnia, "k0")
    await publish(arnia, "solution", "k1", a_solution(), tlp="RED")
    await publish(arnia, "solution", "k2", a_solution(name="Revised"))
    await checkpoints.sign_checkpoints(arnia)
    await round_of(megalis, arnia)
    for node in (arnia, megalis, recia):
        days(node, 100)
    return arnia


async def test_what_was_kept_for_long_enough_is_dropped_and_the_rest_is_not(old: Node) -> None:
    await retract(old, "k3")
    assert {row[1] for row in await rows_of(old, "arnia") if row[5]} == {"k0", "k3"}
    # The withdrawal is noted by the database's own clock.
    async with old.store.write() as tx:
        await tx.feeds._session.connection.execute("UPDATE withdrawals SET at = at - interval '100 days'")
    assert await retention.drop_expired_tombstones(old) == 1
    assert {row[1] for row in await rows_of(old, "arnia") if row[5]} == {"k3"}
    now = await signed(old)
    assert (now.retained_from, now.root) == (8, await by_hand(old))
    assert await retention.drop_expired_tombstones(old) == 0
    caller = await as_peer(old, "recia")
    epoch = old.notifier.state.epoch
    for seq in (1, 6, 7):
        with pytest.raises(CursorExpired, match="kept from 8 on"):
            await feeds.changes(old, PUBLIC, Cursor(epoch, seq), by=caller)
    page = await feeds.changes(old, PUBLIC, Cursor(epoch, 8), by=caller)
    assert [row[3] for row in page.rows] == ["k2", "k3"]
    page = await feeds.changes(old, PUBLIC, None, by=caller)
    assert [row[3] for row in page.rows] == ["k4", "k5", "k2", "k3"]


async def test_a_copy_drops_them_with_its_origin_and_stays_verified(old: Node, megalis: Node) -> None:
    await retention.drop_expired_tombstones(old)
    source = Near(old, "megalis")
    await round_of(megalis, old, source)
    assert source.asked == [], "the signature says from where on they are kept"
    assert await state_of(megalis, old) == "verified"
    assert await rows_of(megalis, "arnia") == {r for r in await rows_of(old, "arnia") if r[4] == "public"}


async def test_who_was_away_for_too_long_compares_and_is_right_again(old: Node, recia: Node) -> None:
    await retract(old, "k3")
    await retention.drop_expired_tombstones(old)
    source = Near(old, "recia")
    await round_of(recia, old, source)
    assert "changes" not in source.asked, "entries would not tell it what was dropped"
    assert await rows_of(recia, "arnia") == await rows_of(old, "arnia")
    assert await state_of(recia, old) == "verified"
    held = {row[1] for row in await rows_of(recia, "arnia") if not row[5]}
    assert held == {"k2", "k4", "k5"}, "what was retracted and what was withdrawn meanwhile is gone"


async def test_a_key_that_was_dropped_can_be_used_again(old: Node, megalis: Node, recia: Node) -> None:
    await retention.drop_expired_tombstones(old)
    outcome = await publish(old, "solution", "k0", a_solution(name="Again"))
    assert outcome.revision == 1
    await checkpoints.sign_checkpoints(old)
    for reader in (megalis, recia):
        await round_of(reader, old)
        assert await state_of(reader, old) == "verified"
        assert await rows_of(reader, "arnia") == await rows_of(old, "arnia")
        assert (await peer_views.peers(reader)).rejected == ()


async def test_ones_own_systems_are_told_that_their_cursor_is_too_old(old: Node) -> None:
    _, cursor, _ = await feeds.change_log(old, None, by=itself("arnia"))
    early = Cursor(cursor.epoch, 2)
    await feeds.change_log(old, early, by=itself("arnia"))
    await retention.drop_expired_tombstones(old)
    await old.notifier.refresh()
    with pytest.raises(CursorExpired, match="begin without a cursor"):
        await feeds.change_log(old, early, by=itself("arnia"))
    rows, _, _ = await feeds.change_log(old, cursor, by=itself("arnia"))
    assert rows == []
    rows, _, _ = await feeds.change_log(old, None, by=itself("arnia"))
    assert {row[4] for row in rows if not row[1]} >= {"k2", "k4"}
