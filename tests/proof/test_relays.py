"""Any member relays what others signed; what they did not sign is not believed, and who shows it is named."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec
import pytest

from federation.domain.checkpoint import CHECKPOINT, LIFETIME, MAX_LEAVES, Leaves
from federation.domain.entry import FeedEntry, RejectedEntry
from federation.domain.errors import Forged, Unreachable
from federation.domain.feed import FeedName, Head
from federation.node import checkpoints, copy_views
from federation.node.node import Node
from tests.domain.builders import a_deployment, a_solution
from tests.nodes import publish
from tests.proof.in_process_peer import Near, acquainted, relayed_round, round_of, rows_of, sql, state_of
from tests.proof.test_digests import retract

PUBLIC = FeedName("arnia", "public")


@pytest.fixture
async def relay(arnia: Node, megalis: Node, recia: Node) -> Node:
    """Megalis, which holds what arnia signed; recia has never asked arnia."""
    await publish(arnia, "group", "g", {"name": "g", "members": ["megalis", "recia"]})
    for n in range(30):
        await publish(arnia, "solution", f"k{n:02}", a_solution(name=f"Number {n}"))
        await publish(arnia, "deployment", f"d{n:02}", a_deployment())
    await publish(arnia, "solution", "amber", a_solution(), tlp="AMBER", audience="g")
    await retract(arnia, "k03")
    await acquainted(arnia, megalis, recia)
    await round_of(megalis, arnia)
    return megalis


async def test_a_newcomer_takes_everything_from_a_member_while_the_origin_is_down(
    arnia: Node, relay: Node, recia: Node
) -> None:
    taken = await relayed_round(recia, arnia, relay)
    assert taken.repaired == 60
    assert await state_of(recia, arnia) == "verified"
    assert await state_of(recia, arnia, "federation") == "verified"
    theirs = {row for row in await rows_of(arnia, "arnia") if row[4] in ("public", "federation")}
    assert await rows_of(recia, "arnia") == theirs
    assert FeedName("arnia", "g") not in await copy_views.copies(recia), "groups are their origin's own"
    assert (await copy_views.copies(recia))[PUBLIC].via == "megalis"
    # The origin is back: its own cursor goes on where the relay's ended.
    await publish(arnia, "solution", "new", a_solution())
    await checkpoints.sign_checkpoints(arnia)
    taken = await round_of(recia, arnia)
    assert (taken.entries, taken.repaired) == (2, 0)  # the new record, and the group's feed
    assert await rows_of(recia, "arnia") == await rows_of(arnia, "arnia")
    assert (await copy_views.copies(recia))[PUBLIC].via is None


async def test_a_relay_serves_the_same_bytes_numbers_and_signature(arnia: Node, relay: Node) -> None:
    own = {head.audience: head for head in await Near(arnia, "recia").heads()}
    theirs = {head.audience: head for head in await Near(relay, "recia").heads("arnia")}
    assert theirs == {name: own[name] for name in ("public", "federation")}
    pages = []
    for node in (arnia, relay):
        pages.append([page async for page in Near(node, "recia").changes(PUBLIC, None)])
    assert pages[0] == pages[1]
    assert await Near(relay, "recia").digests(PUBLIC) == await Near(arnia, "recia").digests(PUBLIC)


async def test_a_copy_is_brought_up_to_date_by_a_relay(arnia: Node, relay: Node, recia: Node) -> None:
    await round_of(recia, arnia)
    await publish(arnia, "solution", "k05", a_solution(name="Revised"))
    await retract(arnia, "k06")
    await publish(arnia, "solution", "k07", a_solution(), tlp="RED")
    await checkpoints.sign_checkpoints(arnia)
    await round_of(relay, arnia)
    assert "k07" in {row[1] for row in await rows_of(recia, "arnia")}
    await relayed_round(recia, arnia, relay)
    theirs = {row for row in await rows_of(arnia, "arnia") if row[4] == "public"}
    assert {row for row in await rows_of(recia, "arnia") if row[4] == "public"} == theirs
    assert await state_of(recia, arnia) == "verified"


async def test_an_old_state_takes_nothing_back(arnia: Node, relay: Node, recia: Node) -> None:
    await publish(arnia, "solution", "new", a_solution())
    await checkpoints.sign_checkpoints(arnia)
    await round_of(recia, arnia)
    before = await rows_of(recia, "arnia")
    taken = await relayed_round(recia, arnia, relay)
    assert taken.repaired == 0
    assert await rows_of(recia, "arnia") == before
    assert await state_of(recia, arnia) == "verified"


async def test_a_relay_that_replays_an_old_state_is_named_and_not_believed(
    arnia: Node, relay: Node, recia: Node
) -> None:
    now = recia.clock()
    arnia.clock = lambda: now + timedelta(seconds=10)
    await publish(arnia, "solution", "new", a_solution())
    await publish(arnia, "deployment", "new", a_deployment())
    await checkpoints.sign_checkpoints(arnia)
    await round_of(recia, arnia)
    before = await rows_of(recia, "arnia")
    recia.clock = lambda: now + timedelta(seconds=LIFETIME + 1)
    with pytest.raises(Forged, match="megalis relays an old state of arnia/federation, of 2"):
        await relayed_round(recia, arnia, relay)
    assert await rows_of(recia, "arnia") == before
    await round_of(relay, arnia)
    await relayed_round(recia, arnia, relay)
    assert await state_of(recia, arnia) == "verified"


async def test_what_an_origin_signed_long_ago_is_taken_by_a_newcomer_and_said_to_be_stale(
    arnia: Node, relay: Node, recia: Node
) -> None:
    now = recia.clock()
    recia.clock = lambda: now + timedelta(hours=5)
    await relayed_round(recia, arnia, relay)
    copy = (await copy_views.copies(recia))[PUBLIC]
    assert (copy.state, copy.via) == ("stale", "megalis")
    assert "300 minutes ago" in (copy.alarm or "")
    theirs = {row for row in await rows_of(arnia, "arnia") if row[4] == "public"}
    assert {row for row in await rows_of(recia, "arnia") if row[4] == "public"} == theirs


async def test_a_relay_that_alters_a_record_is_named_and_not_believed(
    arnia: Node, relay: Node, recia: Node
) -> None:
    class Alters(Near):
        async def entries_at(
            self, feed: FeedName, numbers: Sequence[int]
        ) -> tuple[FeedEntry | RejectedEntry, ...]:
            return tuple(map(altered, await super().entries_at(feed, numbers)))

    def altered(entry: FeedEntry | RejectedEntry) -> FeedEntry | RejectedEntry:
        if entry.key != "k08":
            return entry
        assert isinstance(entry, FeedEntry)
        raw = bytes(entry.document).replace(b"Number", b"Nmuber")
        return msgspec.structs.replace(entry, document=msgspec.Raw(raw))

    with pytest.raises(Forged, match="megalis shows entries of arnia/public that arnia did not sign"):
        await relayed_round(recia, arnia, relay, Alters(relay, "recia"))
    assert not [row for row in await rows_of(recia, "arnia") if b"Nmuber" in row[7]]
    assert await state_of(recia, arnia) != "verified"


async def test_a_relay_that_alters_a_record_and_its_hash_is_named_and_not_believed(
    arnia: Node, relay: Node, recia: Node
) -> None:
    await sql(
        relay,
        "UPDATE records SET document = replace(convert_from(document, 'UTF8'), 'Number', 'Nmuber')::bytea"
        " WHERE key = 'k08'",
    )
    await sql(relay, "UPDATE records SET hash = sha256(document) WHERE key = 'k08'")
    with pytest.raises(Forged, match="megalis shows leaves of arnia/public that arnia did not sign"):
        await relayed_round(recia, arnia, relay)
    assert not [row for row in await rows_of(recia, "arnia") if b"Nmuber" in row[7]]


async def test_a_relay_that_omits_a_record_is_named_and_not_believed(
    arnia: Node, relay: Node, recia: Node
) -> None:
    class Omits(Near):
        async def leaves(self, feed: FeedName, bucket: int, max_leaves: int = MAX_LEAVES) -> Leaves:
            listed = await super().leaves(feed, bucket)
            kept = tuple(line for line in listed.leaves if not line.startswith("solution/k08 "))
            return msgspec.structs.replace(listed, leaves=kept)

    with pytest.raises(Forged, match="megalis shows leaves of arnia/public that arnia did not sign"):
        await relayed_round(recia, arnia, relay, Omits(relay, "recia"))
    assert await state_of(recia, arnia) != "verified"

    class Withholds(Near):
        async def entries_at(
            self, feed: FeedName, numbers: Sequence[int]
        ) -> tuple[FeedEntry | RejectedEntry, ...]:
            return tuple(entry for entry in await super().entries_at(feed, numbers) if entry.key != "k08")

    with pytest.raises(Unreachable, match="megalis does not give what it lists of arnia/public"):
        await relayed_round(recia, arnia, relay, Withholds(relay, "recia"))
    assert await state_of(recia, arnia) != "verified"
    assert "k08" not in {row[1] for row in await rows_of(recia, "arnia")}


async def test_a_relay_that_reorders_is_named_and_not_believed(arnia: Node, relay: Node, recia: Node) -> None:
    await sql(relay, "UPDATE records SET seq = -seq WHERE key IN ('k08', 'k09')")
    await sql(
        relay,
        "UPDATE records AS r SET seq = -o.seq FROM records AS o"
        " WHERE r.key IN ('k08', 'k09') AND o.key IN ('k08', 'k09') AND o.key <> r.key",
    )
    with pytest.raises(Forged, match="megalis shows leaves of arnia/public that arnia did not sign"):
        await relayed_round(recia, arnia, relay)


async def test_a_relay_that_signs_for_the_origin_is_named_and_not_believed(
    arnia: Node, relay: Node, recia: Node
) -> None:
    class Signs(Near):
        async def heads(self, origin: str | None = None) -> tuple[Head, ...]:
            return tuple(
                msgspec.structs.replace(head, checkpoint=forged(head)) for head in await super().heads(origin)
            )

    def forged(head: Head) -> str:
        said = checkpoints.read_signed_checkpoint(
            head.checkpoint or "", arnia.keyring.public(), head.name, relay.clock()
        )
        return relay.keyring.sign({**msgspec.structs.asdict(said), "root": "0" * 64}, typ=CHECKPOINT)

    with pytest.raises(Forged, match="megalis shows a checkpoint of arnia/federation that does not hold"):
        await relayed_round(recia, arnia, relay, Signs(relay, "recia"))
    assert await rows_of(recia, "arnia") == set()


async def test_a_record_that_moved_to_a_group_does_not_come_back_by_a_relay_that_is_behind(
    arnia: Node, relay: Node, recia: Node
) -> None:
    await round_of(recia, arnia)
    await publish(arnia, "deployment", "d07", a_deployment(), tlp="AMBER", audience="g")
    await checkpoints.sign_checkpoints(arnia)
    await round_of(recia, arnia)
    held = {row[1]: row[4] for row in await rows_of(recia, "arnia")}
    assert held["d07"] == "g"
    # Recia lost its copy of the feed for all, and has only a member to ask, which has not heard of it.
    async with recia.store.write() as tx:
        place = await tx.feeds.find(FeedName("arnia", "federation"))
        assert place
        await tx.copies.purge(place)
    await relayed_round(recia, arnia, relay)
    held = {row[1]: row[4] for row in await rows_of(recia, "arnia")}
    assert held["d07"] == "g", "its audience was another one then"
    assert held["d08"] == "federation"


async def test_what_is_not_for_others_is_not_relayed(arnia: Node, relay: Node, recia: Node) -> None:
    heads = await Near(relay, "recia").heads("arnia")
    assert {head.audience for head in heads} == {"public", "federation"}
    near = Near(relay, "recia")
    for act in (near.digests, lambda feed: near.leaves(feed, 0), lambda feed: near.entries_at(feed, [1])):
        with pytest.raises(Exception, match="audience"):
            await act(FeedName("arnia", "g"))
    (head, *_) = heads
    with pytest.raises(Forged, match="not for it to relay"):
        await relayed_round(recia, arnia, relay, Pretends(relay, msgspec.structs.replace(head, audience="g")))


class Pretends(Near):
    """Shows a head that it was given."""

    def __init__(self, node: Node, *heads: Head) -> None:
        super().__init__(node, "recia")
        self.shown = heads

    async def heads(self, origin: str | None = None) -> tuple[Head, ...]:
        return self.shown
