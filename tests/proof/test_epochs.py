"""A node that was restored is noticed: it mints an epoch, and its peers compare and repair."""

from __future__ import annotations

import pytest

from federation.domain.errors import EpochChanged
from federation.domain.feed import Cursor, FeedName
from federation.domain.visibility import itself
from federation.node import checkpoints, copy_views, epochs, feeds, peer_views
from federation.node.node import Node
from tests.api.http_client import NextDoor
from tests.domain.builders import a_solution
from tests.nodes import publish
from tests.proof.in_process_peer import Near, acquainted, relayed_round, round_of, rows_of, sql, state_of

PUBLIC = FeedName("arnia", "public")


async def saved(node: Node) -> None:
    """What a backup would hold, kept beside the tables."""
    for table in ("records", "withdrawals", "feeds"):
        await sql(node, f"DROP TABLE IF EXISTS saved_{table}")
        await sql(node, f"CREATE TABLE saved_{table} AS SELECT * FROM {table}")
    await sql(node, "DROP TABLE IF EXISTS saved_node")
    await sql(node, "CREATE TABLE saved_node AS SELECT * FROM node")


async def restored(node: Node) -> None:
    """The tables as they were saved, in a database that PostgreSQL calls the same."""
    columns = await sql(
        node,
        "SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name = 'records' AND column_name <> 'bucket'",
    )
    names = columns[0][0]
    await sql(node, "DELETE FROM records")
    await sql(node, f"INSERT INTO records ({names}) SELECT {names} FROM saved_records")
    await sql(node, "DELETE FROM withdrawals")
    await sql(node, "INSERT INTO withdrawals SELECT * FROM saved_withdrawals")
    await sql(
        node,
        "UPDATE feeds SET head = s.head, live = s.live, epoch = s.epoch FROM saved_feeds AS s"
        " WHERE s.id = feeds.id",
    )
    await sql(node, "UPDATE node SET arrival = s.arrival, epoch = s.epoch FROM saved_node s")
    await sql(node, "DELETE FROM digests")
    for table in ("records", "withdrawals", "feeds", "node"):
        await sql(node, f"DROP TABLE saved_{table}")
    await node.notifier.refresh()


async def test_a_database_that_is_another_one_is_noticed_at_the_start(arnia: Node) -> None:
    await epochs.detect_restore(arnia)
    before = arnia.notifier.state.epoch
    assert not await epochs.detect_restore(arnia)
    assert arnia.notifier.state.epoch == before
    for change in ("system_id = '1/2'", "timeline = timeline + 1"):
        await sql(arnia, f"UPDATE node SET {change}")
        assert await epochs.detect_restore(arnia)
        assert arnia.notifier.state.epoch != before
        before = arnia.notifier.state.epoch
        heads = await feeds.heads(arnia, by=itself("arnia"))
        assert {head.epoch for head in heads} == {before}
        assert {head.checkpoint for head in heads} == {None}, "what was signed holds no longer"
        assert not await epochs.detect_restore(arnia)
    with pytest.raises(EpochChanged):
        await feeds.change_log(arnia, Cursor("0" * 16, 1), by=itself("arnia"))


async def test_a_new_epoch_of_the_same_content_is_taken_over_without_fetching_anything(
    arnia: Node, megalis: Node
) -> None:
    for n in range(5):
        await publish(arnia, "solution", f"k{n}", a_solution())
    await acquainted(arnia, megalis)
    await round_of(megalis, arnia)
    epoch = await epochs.begin_epoch(arnia, "promoted")
    source = Near(arnia, "megalis")
    taken = await round_of(megalis, arnia, source)
    assert (taken.repaired, taken.entries) == (0, 0)
    # (Receipts of the epoch before prove nothing any more.)
    assert set(source.asked) == {"receipt"}
    assert await state_of(megalis, arnia) == "verified"
    source.asked.clear()
    await publish(arnia, "solution", "new", a_solution())
    await checkpoints.sign_checkpoints(arnia)
    taken = await round_of(megalis, arnia, source)
    assert (taken.entries, source.asked) == (1, ["changes"])
    async with megalis.store.read() as tx:
        place = await tx.feeds.find(PUBLIC)
    assert place
    assert place.cursor == Cursor(epoch, 6)


async def test_a_restored_origin_is_compared_and_repaired(arnia: Node, megalis: Node) -> None:
    for n in range(9):
        await publish(arnia, "solution", f"k{n}", a_solution(name="First"))
    await acquainted(arnia, megalis)
    await round_of(megalis, arnia)
    await saved(arnia)
    await publish(arnia, "solution", "k1", a_solution(name="Lost revision"))
    await publish(arnia, "solution", "lost", a_solution(name="Lost record"))
    await publish(arnia, "solution", "k2", a_solution(name="Lost move"), tlp="GREEN")
    await checkpoints.sign_checkpoints(arnia)
    await round_of(megalis, arnia)
    await restored(arnia)
    # The numbers are given again, to other records.
    await publish(arnia, "solution", "k1", a_solution(name="Another revision"))
    await publish(arnia, "solution", "k3", a_solution(name="Another revision"))
    await epochs.begin_epoch(arnia, "restored")
    source = Near(arnia, "megalis")
    await round_of(megalis, arnia, source)
    assert await rows_of(megalis, "arnia") == await rows_of(arnia, "arnia")
    for audience in ("public", "federation"):
        assert await state_of(megalis, arnia, audience) == "verified", audience
    assert "changes" not in source.asked
    assert (await peer_views.peers(megalis)).rejected == (), (
        "what was lost at the origin is no fault of what it has"
    )


async def test_an_origin_that_goes_back_in_one_epoch_is_an_alarm_and_nothing_is_reset(
    arnia: Node, megalis: Node
) -> None:
    for n in range(3):
        await publish(arnia, "solution", f"k{n}", a_solution())
    await acquainted(arnia, megalis)
    await round_of(megalis, arnia)
    await saved(arnia)
    await publish(arnia, "solution", "lost", a_solution())
    await checkpoints.sign_checkpoints(arnia)
    await round_of(megalis, arnia)
    await restored(arnia)
    await checkpoints.sign_checkpoints(arnia)
    before = await rows_of(megalis, "arnia")
    await round_of(megalis, arnia)
    copy = (await copy_views.copies(megalis))[PUBLIC]
    assert copy.state == "diverged"
    assert "cursor-in-future" in (copy.alarm or "")
    assert await rows_of(megalis, "arnia") == before
    # Its administrator has it ask.
    arnia._outside = Held(megalis, arnia)
    found = await epochs.restore_check(arnia)
    assert found.minted
    assert [(one.peer, one.audience, one.theirs, one.ours) for one in found.behind] == [
        ("megalis", "public", 4, 3)
    ]
    await round_of(megalis, arnia)
    assert await rows_of(megalis, "arnia") == await rows_of(arnia, "arnia")
    assert await state_of(megalis, arnia) == "verified"
    assert not (await epochs.restore_check(arnia)).minted, "once is enough"
    assert (await epochs.restore_check(arnia, force=True)).minted


class Held(NextDoor):
    """The network of a node whose only peer is in this process."""

    def __init__(self, peer: Node, asking: Node) -> None:
        self.peer, self.asked_by = peer, asking

    async def heads_at(self, peer, origin):  # type: ignore[no-untyped-def]
        return await Near(self.peer, self.asked_by.operator).heads(origin)


async def test_the_check_after_a_restore_says_who_could_not_be_asked(arnia: Node, megalis: Node) -> None:
    await acquainted(arnia, megalis)
    found = await epochs.restore_check(arnia)
    assert (found.asked, found.minted) == ((), False)
    assert list(found.unreachable) == ["megalis"]


async def test_a_relay_of_the_epoch_before_takes_nothing_back(
    arnia: Node, megalis: Node, recia: Node
) -> None:
    await publish(arnia, "solution", "k", a_solution())
    await acquainted(arnia, megalis, recia)
    await round_of(megalis, arnia)
    now = arnia.clock()
    arnia.clock = lambda: now.replace(microsecond=0)
    later = now.timestamp() + 5
    arnia.clock = lambda: checkpoints.moment(int(later))
    await epochs.begin_epoch(arnia, "restored")
    await publish(arnia, "solution", "k", a_solution(name="Other"))
    await checkpoints.sign_checkpoints(arnia)
    await round_of(recia, arnia)
    before = await rows_of(recia, "arnia")
    taken = await relayed_round(recia, arnia, megalis)
    assert taken.repaired == 0
    assert await rows_of(recia, "arnia") == before
