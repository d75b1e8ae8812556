"""A copy that is not what its origin signed is repaired, and nothing else is fetched for it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from federation.domain.entry import FeedEntry, RejectedEntry
from federation.domain.errors import Forged
from federation.domain.feed import FeedName
from federation.node import checkpoints, copy_views, epochs, peer_views, receipts
from federation.node.node import Node
from tests.domain.builders import a_solution
from tests.nodes import publish
from tests.proof.in_process_peer import Near, acquainted, round_of, rows_of, sql, state_of
from tests.proof.test_digests import retract

PUBLIC = FeedName("arnia", "public")
MANY = 40


async def copied(arnia: Node, megalis: Node) -> None:
    """Arnia's records, tombstones among them, at megalis."""
    for n in range(MANY):
        await publish(arnia, "solution", f"k{n:02}", a_solution(name=f"Number {n}"))
    await retract(arnia, "k00")
    await retract(arnia, "k01")
    await acquainted(arnia, megalis)
    await round_of(megalis, arnia)
    assert await state_of(megalis, arnia) == "verified"
    assert await rows_of(megalis, "arnia") == await rows_of(arnia, "arnia")


TAMPERING = {
    "a body": "UPDATE records SET document = 'x', hash = sha256('x') WHERE key = 'k07'",
    "a revision": "UPDATE records SET revision = 9 WHERE key = 'k07'",
    "a number": "UPDATE records SET seq = 900 WHERE key = 'k07'",
    "two numbers": "UPDATE records SET seq = -seq WHERE key IN ('k07', 'k08')",
    "a record that is gone": "DELETE FROM records WHERE key = 'k07'",
    "ten records that are gone": "DELETE FROM records WHERE key BETWEEN 'k10' AND 'k19'",
    "a tombstone that is gone": "DELETE FROM records WHERE key = 'k00'",
    "a record of one's own making": "UPDATE records SET key = 'zzz' WHERE key = 'k07'",
    "a record that lives again": "UPDATE records SET retracted = false WHERE key = 'k00'",
}


@pytest.mark.parametrize("tampering", TAMPERING.values(), ids=TAMPERING)
async def test_a_copy_that_was_altered_is_repaired(arnia: Node, megalis: Node, tampering: str) -> None:
    await copied(arnia, megalis)
    await sql(megalis, tampering)
    await sql(megalis, "UPDATE digests SET marked = (SELECT array_agg(n) FROM generate_series(0, 255) n)")
    assert await rows_of(megalis, "arnia") != await rows_of(arnia, "arnia")
    source = Near(arnia, "megalis")
    taken = await round_of(megalis, arnia, source)
    if taken.rejected:
        # A revision that is higher here than there, in one epoch, is not for us to undo.
        assert dict(taken.rejected) in ({"regressing-revision": 1}, {"changed-at-same-revision": 1})
        assert await state_of(megalis, arnia) == "diverged"
        return
    assert await state_of(megalis, arnia) == "verified"
    assert await rows_of(megalis, "arnia") == await rows_of(arnia, "arnia")
    assert "changes" not in source.asked, "what is right already is not read again"
    assert taken.repaired <= 12
    async with megalis.store.read() as tx:
        place = await tx.feeds.find(PUBLIC)
    assert place
    assert place.live == MANY - 2


async def test_nothing_is_fetched_for_a_copy_that_is_right(arnia: Node, megalis: Node) -> None:
    await copied(arnia, megalis)
    source = Near(arnia, "megalis")
    await round_of(megalis, arnia, source)
    assert source.asked == []


async def test_an_entry_that_was_lost_on_its_way_is_noticed_and_fetched(arnia: Node, megalis: Node) -> None:
    await copied(arnia, megalis)

    class Loses(Near):
        async def changes(self, feed, after):  # type: ignore[no-untyped-def]
            async for page in super().changes(feed, after):
                yield msgspec.structs.replace(page, entries=tuple(e for e in page.entries if e.key != "lost"))

    await publish(arnia, "solution", "lost", a_solution())
    await publish(arnia, "solution", "kept", a_solution())
    await checkpoints.sign_checkpoints(arnia)
    taken = await round_of(megalis, arnia, Loses(arnia, "megalis"))
    assert (taken.entries, taken.repaired) == (1, 1)
    assert await rows_of(megalis, "arnia") == await rows_of(arnia, "arnia")


async def test_what_stays_different_is_diverged_and_not_tried_at_every_head(
    arnia: Node, megalis: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that cannot read a record: it is set aside, said so, and told to the origin."""
    await copied(arnia, megalis)

    class Newer(Near):
        """Sends what megalis's version does not understand."""

        async def changes(self, feed, after):  # type: ignore[no-untyped-def]
            async for page in super().changes(feed, after):
                yield msgspec.structs.replace(page, entries=tuple(map(unread, page.entries)))

        async def entries_at(
            self, feed: FeedName, numbers: Sequence[int]
        ) -> tuple[FeedEntry | RejectedEntry, ...]:
            return tuple(map(unread, await super().entries_at(feed, numbers)))

    def unread(entry: FeedEntry | RejectedEntry) -> FeedEntry | RejectedEntry:
        if entry.key != "new":
            return entry
        return RejectedEntry(seq=entry.seq, type=entry.type, key=entry.key, revision=entry.revision,
                        reason="unreadable", detail="of a newer version")  # fmt: skip

    await publish(arnia, "solution", "new", a_solution())
    await publish(arnia, "solution", "other", a_solution())
    await checkpoints.sign_checkpoints(arnia)
    source = Newer(arnia, "megalis")
    await round_of(megalis, arnia, source)
    copy = (await copy_views.copies(megalis))[PUBLIC]
    assert copy.state == "diverged"
    assert "unreadable" in (copy.alarm or "")
    told = await receipts.feedback(arnia)
    assert [(one.operator, one.key, one.reason) for one in told] == [("megalis", "new", "unreadable")]
    asked = len(source.asked)
    await round_of(megalis, arnia, source)
    assert source.asked[asked:] == [], "the same again would be found"
    await publish(arnia, "solution", "new", a_solution(name="Readable"))
    await checkpoints.sign_checkpoints(arnia)
    await round_of(megalis, arnia)
    assert await state_of(megalis, arnia) == "verified"
    assert (await peer_views.peers(megalis)).rejected == (), "a later good revision clears it"
    assert await receipts.feedback(arnia) == (), "and the origin knows that it was revised"


async def test_a_repair_that_failed_is_tried_again_at_once_in_a_new_epoch(arnia: Node, megalis: Node) -> None:
    """In the old one a revision that is higher here was not ours to undo; the roots are the same in both."""
    await copied(arnia, megalis)
    await sql(megalis, TAMPERING["a revision"])
    await sql(megalis, "UPDATE digests SET seq = -1")
    await publish(arnia, "solution", "new", a_solution())
    await checkpoints.sign_checkpoints(arnia)
    for _ in range(2):
        await round_of(megalis, arnia)
        assert await state_of(megalis, arnia) == "diverged"
    await epochs.begin_epoch(arnia, "it was restored")
    await checkpoints.sign_checkpoints(arnia)
    await round_of(megalis, arnia)
    assert await state_of(megalis, arnia) == "verified"
    assert await rows_of(megalis, "arnia") == await rows_of(arnia, "arnia")


async def test_an_origin_whose_signature_does_not_fit_what_it_shows_is_named(
    arnia: Node, megalis: Node
) -> None:
    await copied(arnia, megalis)

    class Lies(Near):
        async def digests(self, feed: FeedName):  # type: ignore[no-untyped-def]
            shown = await super().digests(feed)
            return msgspec.structs.replace(shown, buckets=(*shown.buckets[1:], shown.buckets[0]))

    await sql(megalis, "DELETE FROM records WHERE key = 'k07'")
    await sql(megalis, "UPDATE digests SET marked = (SELECT array_agg(n) FROM generate_series(0, 255) n)")
    with pytest.raises(Forged, match="arnia shows digests of arnia/public that do not fit"):
        await round_of(megalis, arnia, Lies(arnia, "megalis"))
    assert await state_of(megalis, arnia) == "diverged"
    await publish(arnia, "solution", "more", a_solution())
    await checkpoints.sign_checkpoints(arnia)
    await round_of(megalis, arnia)
    assert await state_of(megalis, arnia) == "verified"


async def test_a_repair_that_was_broken_off_is_ended_by_the_next(arnia: Node, megalis: Node) -> None:
    await copied(arnia, megalis)
    await sql(megalis, "DELETE FROM records WHERE key >= 'k05'")
    await sql(megalis, "UPDATE digests SET marked = (SELECT array_agg(n) FROM generate_series(0, 255) n)")
    await sql(megalis, "UPDATE feeds SET live = 0 WHERE origin = 'arnia'")

    class Dies(Near):
        left = 5

        async def entries_at(
            self, feed: FeedName, numbers: Sequence[int]
        ) -> tuple[FeedEntry | RejectedEntry, ...]:
            self.left -= 1
            if self.left < 0:
                raise ConnectionError("the line went dead")
            return await super().entries_at(feed, numbers)

    with pytest.raises(ConnectionError):
        await round_of(megalis, arnia, Dies(arnia, "megalis"))
    some = await rows_of(megalis, "arnia")
    assert 5 < len(some) < MANY
    assert await state_of(megalis, arnia) != "diverged"
    taken = await round_of(megalis, arnia)
    assert await rows_of(megalis, "arnia") == await rows_of(arnia, "arnia")
    assert taken.repaired == MANY - len(some)
    assert await state_of(megalis, arnia) == "verified"


async def test_what_is_held_at_the_number_of_another_record_makes_room_and_all_is_right(
    arnia: Node, megalis: Node
) -> None:
    """Numbers of a past that its origin has lost, left by a repair that broke off."""
    for key in ("a", "b"):
        await publish(arnia, "solution", key, a_solution())
    await acquainted(arnia, megalis)
    await round_of(megalis, arnia)
    await sql(megalis, "UPDATE records SET seq = seq + 2")
    await publish(arnia, "solution", "c", a_solution())
    await publish(arnia, "solution", "d", a_solution())
    await checkpoints.sign_checkpoints(arnia)
    await round_of(megalis, arnia)
    assert await rows_of(megalis, "arnia") == await rows_of(arnia, "arnia")
    assert await state_of(megalis, arnia) == "verified"


async def test_a_withdrawal_makes_room_for_the_record_that_has_its_number(arnia: Node, megalis: Node) -> None:
    for key in ("a", "b", "c"):
        await publish(arnia, "solution", key, a_solution())
    await acquainted(arnia, megalis)
    await round_of(megalis, arnia)
    await publish(arnia, "solution", "a", a_solution(), tlp="RED")
    await checkpoints.sign_checkpoints(arnia)
    await round_of(megalis, arnia)
    await sql(megalis, "UPDATE withdrawals SET seq = 5")  # as if it had come garbled
    await publish(arnia, "solution", "b", a_solution(), tlp="RED")
    await checkpoints.sign_checkpoints(arnia)
    await round_of(megalis, arnia)
    assert await rows_of(megalis, "arnia") == await rows_of(arnia, "arnia")
    assert await state_of(megalis, arnia) == "verified"
