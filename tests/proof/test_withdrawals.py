"""What is taken back: the receiver drops it and signs that; the origin lists who has and who has not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from federation.domain.checkpoint import RECEIPT
from federation.domain.entry import EntryPage, FeedEntry, RejectedEntry
from federation.domain.errors import Forbidden, Invalid, Unreachable
from federation.domain.feed import Cursor, FeedName
from federation.domain.visibility import itself
from federation.node import checkpoints, copies, copy_views, feeds
from federation.node import receipts as node_receipts
from federation.node import records as node_records
from federation.node.node import Node
from tests.domain.builders import a_solution
from tests.nodes import as_peer, publish
from tests.proof.in_process_peer import Near, acquainted, round_of, rows_of
from tests.sync.test_four_nodes import everything_in


async def outstanding(node: Node) -> dict[tuple[str, str], tuple[str, ...]]:
    return {
        (one.audience, one.key): one.outstanding
        for one in (await node_receipts.withdrawals(node)).withdrawals
    }


async def test_a_receipt_says_who_has_dropped_what_was_withdrawn(
    arnia: Node, megalis: Node, recia: Node
) -> None:
    await publish(arnia, "group", "g", {"name": "g", "members": ["megalis"]})
    await publish(arnia, "solution", "s", a_solution(name="canary"))
    await acquainted(arnia, megalis, recia)
    for reader in (megalis, recia):
        await round_of(reader, arnia)
    await publish(arnia, "solution", "s", a_solution(name="canary"), tlp="AMBER", audience="g")
    await checkpoints.sign_checkpoints(arnia)
    assert await outstanding(arnia) == {("public", "s"): ("megalis", "recia")}
    await round_of(recia, arnia)
    assert await rows_of(recia, "arnia") == set()
    (one,) = (await node_receipts.withdrawals(arnia)).withdrawals
    assert (one.confirmed, one.outstanding) == (("recia",), ("megalis",))
    await round_of(megalis, arnia)
    assert await outstanding(arnia) == {("public", "s"): ()}
    assert len(await rows_of(megalis, "arnia")) == 1, "it is in the group, and holds it there"
    receipts = (await node_receipts.withdrawals(arnia)).receipts
    assert {(r.operator, r.audience) for r in receipts} == {("megalis", "public"), ("recia", "public")}


async def test_a_receipt_is_owed_until_the_origin_has_it(arnia: Node, megalis: Node) -> None:
    await publish(arnia, "solution", "s", a_solution())
    await acquainted(arnia, megalis)
    await round_of(megalis, arnia)
    await publish(arnia, "solution", "s", a_solution(), tlp="RED")
    await checkpoints.sign_checkpoints(arnia)

    class Deaf(Near):
        async def receipt(self, jws: str) -> None:
            raise ConnectionError("the line went dead")

    with pytest.raises(ConnectionError):
        await round_of(megalis, arnia, Deaf(arnia, "megalis"))
    assert await rows_of(megalis, "arnia") == set()
    assert await outstanding(arnia) == {("public", "s"): ("megalis",)}
    source = Near(arnia, "megalis")
    await round_of(megalis, arnia, source)
    assert source.asked == ["receipt"]
    assert await outstanding(arnia) == {("public", "s"): ()}
    source.asked.clear()
    await round_of(megalis, arnia, source)
    assert source.asked == []


class Disordered(Near):
    """Sends the withdrawals of a feed last, and is read as ``PeerSource`` reads such an answer."""

    async def changes(self, feed: FeedName, after: Cursor | None) -> AsyncIterator[EntryPage]:
        async for page in super().changes(feed, after):
            records = tuple(entry for entry in page.entries if getattr(entry, "op", "") != "withdraw")
            in_order = records == page.entries
            yield msgspec.structs.replace(page, entries=records, more=not in_order)
            if not in_order:
                raise Unreachable(f"the feed {feed} is not in order")


async def test_a_withdrawal_lost_on_its_way_is_confirmed_once_the_copy_is_verified(
    arnia: Node, megalis: Node
) -> None:
    await publish(arnia, "solution", "a", a_solution())
    await publish(arnia, "solution", "s", a_solution())
    await acquainted(arnia, megalis)
    await publish(arnia, "solution", "s", a_solution(), tlp="RED")
    await publish(arnia, "solution", "b", a_solution())
    with pytest.raises(Unreachable, match="not in order"):
        await round_of(megalis, arnia, Disordered(arnia, "megalis"))
    await publish(arnia, "solution", "c", a_solution())
    source = Near(arnia, "megalis")
    await round_of(megalis, arnia, source)
    assert await rows_of(megalis, "arnia") == {row for row in await rows_of(arnia, "arnia") if row[1] != "s"}
    assert source.asked == ["changes"], "what is not signed is not confirmed"
    assert await outstanding(arnia) == {("public", "s"): ("megalis",)}
    await checkpoints.sign_checkpoints(arnia)
    await round_of(megalis, arnia, source)
    assert source.asked == ["changes", "receipt"]
    assert await outstanding(arnia) == {("public", "s"): ()}
    await round_of(megalis, arnia, source)
    assert source.asked == ["changes", "receipt"]


async def test_a_withdrawal_that_cannot_be_read_is_confirmed_once_the_copy_is_verified(
    arnia: Node, megalis: Node
) -> None:
    class Garbled(Near):
        @staticmethod
        def entry(line: bytes) -> FeedEntry | RejectedEntry:
            return Near.entry(line.replace(b'"withdraw"', b'"withdrown"'))

    await publish(arnia, "solution", "s", a_solution())
    await acquainted(arnia, megalis)
    await publish(arnia, "solution", "s", a_solution(), tlp="RED")
    taken = await round_of(megalis, arnia, Garbled(arnia, "megalis"))
    assert taken.rejected == {"unreadable": 1}
    assert await outstanding(arnia) == {("public", "s"): ("megalis",)}
    await checkpoints.sign_checkpoints(arnia)
    await round_of(megalis, arnia)
    assert await outstanding(arnia) == {("public", "s"): ()}


async def test_nothing_is_confirmed_twice_nor_where_no_withdrawal_can_be(arnia: Node, megalis: Node) -> None:
    for key in "abs":
        await publish(arnia, "solution", key, a_solution())
    await acquainted(arnia, megalis)
    source = Near(arnia, "megalis")

    async def asked() -> list[str]:
        source.asked.clear()
        await round_of(megalis, arnia, source)
        return source.asked

    assert await asked() == ["changes", "changes"]
    await publish(arnia, "solution", "a", a_solution(name="revised"))
    await checkpoints.sign_checkpoints(arnia)
    assert await asked() == ["changes"]
    await publish(arnia, "solution", "s", a_solution(), tlp="RED")
    assert await asked() == ["changes", "receipt"]
    await checkpoints.sign_checkpoints(arnia)
    assert await asked() == []
    assert (await copy_views.copies(megalis))[FeedName("arnia", "public")].verified_seq == 5
    await publish(arnia, "solution", "b", a_solution(name="revised"))
    await checkpoints.sign_checkpoints(arnia)
    assert await asked() == ["changes"]


async def test_who_is_taken_out_of_a_group_confirms_that_it_dropped_everything(
    arnia: Node, megalis: Node, dsn: str
) -> None:
    await publish(arnia, "group", "g", {"name": "g", "members": ["megalis"]})
    await publish(arnia, "solution", "s", a_solution(name="canary-of-the-group"), tlp="AMBER", audience="g")
    await acquainted(arnia, megalis)
    await round_of(megalis, arnia)
    assert len(await rows_of(megalis, "arnia")) == 1
    await publish(arnia, "group", "g", {"name": "g", "members": []})
    (gone,) = (await node_receipts.withdrawals(arnia)).departures
    assert (gone.audience, gone.operator, gone.confirmed_at) == ("g", "megalis", None)
    await round_of(megalis, arnia)
    assert await rows_of(megalis, "arnia") == set()
    (gone,) = (await node_receipts.withdrawals(arnia)).departures
    assert gone.confirmed_at is not None
    await publish(arnia, "group", "g", {"name": "g", "members": ["megalis"]})
    assert (await node_receipts.withdrawals(arnia)).departures == ()
    await checkpoints.sign_checkpoints(arnia)
    await round_of(megalis, arnia)
    assert len(await rows_of(megalis, "arnia")) == 1, "who is let in again gets all of it"


async def test_nothing_of_a_withdrawn_record_is_left(arnia: Node, megalis: Node) -> None:
    await publish(arnia, "solution", "s", a_solution(name="canary-withdrawn"), tlp="GREEN")
    await acquainted(arnia, megalis)
    await round_of(megalis, arnia)
    dsn = megalis.store._dsn
    assert "canary-withdrawn" in await everything_in(dsn)
    assert (await node_records.find(megalis, kind("solution"), "arnia", "s", by=itself("megalis"))).document
    await publish(arnia, "solution", "s", a_solution(name="canary-withdrawn"), tlp="RED")
    await checkpoints.sign_checkpoints(arnia)
    await round_of(megalis, arnia)
    assert "canary-withdrawn" not in await everything_in(dsn)
    rows, _, _ = await feeds.change_log(megalis, None, by=itself("megalis"))
    assert [(row[1], row[4]) for row in rows] == [(None, "s")], "a stub tells the operator's own systems"


def kind(name: str):  # type: ignore[no-untyped-def]
    from federation.domain.registry import TYPES

    return TYPES[name]


async def test_only_the_peer_itself_confirms_for_itself(arnia: Node, megalis: Node, recia: Node) -> None:
    await publish(arnia, "solution", "s", a_solution())
    await acquainted(arnia, megalis, recia)
    await round_of(megalis, arnia)
    await publish(arnia, "solution", "s", a_solution(), tlp="RED")
    caller = await as_peer(arnia, "megalis")
    said: dict[str, Any] = {
        "iss": "megalis", "aud": "arnia", "feed": "arnia/public",
        "epoch": arnia.notifier.state.epoch, "seq": 2,
        "iat": int(arnia.clock().timestamp()), "purged": False,
    }  # fmt: skip
    sign = megalis.keyring.sign
    for wrong in (
        recia.keyring.sign(said, typ=RECEIPT),
        sign(said, typ="JWT"),
        sign({**said, "iss": "recia"}, typ=RECEIPT),
        sign({**said, "aud": "recia"}, typ=RECEIPT),
        sign({**said, "feed": "recia/public"}, typ=RECEIPT),
        sign({**said, "seq": "2"}, typ=RECEIPT),
        sign({**said, "iat": said["iat"] - 400}, typ=RECEIPT),
        "x" * 9_000,
        "",
    ):
        with pytest.raises(Invalid, match="receipt"):
            await node_receipts.accept_receipt(arnia, wrong, by=caller)
    with pytest.raises(Forbidden):
        await node_receipts.accept_receipt(arnia, sign(said, typ=RECEIPT), by=itself("arnia"))
    assert "megalis" in (await outstanding(arnia))["public", "s"]
    # Of a feed that there is not, nothing is kept, and nothing is told.
    await node_receipts.accept_receipt(arnia, sign({**said, "feed": "arnia/hidden"}, typ=RECEIPT), by=caller)
    assert "megalis" in (await outstanding(arnia))["public", "s"]
    await node_receipts.accept_receipt(arnia, sign(said, typ=RECEIPT), by=caller)
    assert "megalis" not in (await outstanding(arnia))["public", "s"]


async def test_a_withdrawal_is_carried_out_on_a_copy_that_waits_for_an_administrator(
    arnia: Node, megalis: Node
) -> None:
    for n in range(150):
        await publish(arnia, "solution", f"k{n:03}", a_solution())
    await acquainted(arnia, megalis)
    await round_of(megalis, arnia)
    from tests.proof.test_digests import retract

    for n in range(120):
        await retract(arnia, f"k{n:03}")
    await publish(arnia, "solution", "k149", a_solution(name="secret"), tlp="RED")
    await checkpoints.sign_checkpoints(arnia)
    await round_of(megalis, arnia)
    copy = (await copy_views.copies(megalis))[FeedName("arnia", "public")]
    assert copy.paused
    held = {row[1] for row in await rows_of(megalis, "arnia")}
    assert "k149" not in held
    assert "k000" in held
    assert await outstanding(arnia) == {("public", "k149"): ()}
    await copies.confirm_removals(megalis, "arnia")
    await round_of(megalis, arnia)
    assert await rows_of(megalis, "arnia") == await rows_of(arnia, "arnia")
    assert (await copy_views.copies(megalis))[FeedName("arnia", "public")].state == "verified"
