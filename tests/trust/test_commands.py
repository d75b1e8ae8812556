"""Commands that cut off a peer say whom that reaches, and `peer invite` says what a newcomer will read."""

from __future__ import annotations

from federation.domain.feed import Cursor, FeedName
from federation.node.node import Node
from tests.attack.forged_tokens import Party
from tests.exposure.commands import ran, said, told


async def joined(node: Node, *operators: str) -> None:
    async with node.store.write() as tx:
        for operator in operators:
            await tx.peers.add(Party(operator).known("active"))


async def test_a_suspension_says_whom_it_reaches_and_what_stays_visible(arnia: Node, dsn: str) -> None:
    await joined(arnia, "megalis", "recia", "maximilien")
    async with arnia.store.write() as tx:
        await tx.peers.note_answers({"maximilien": None})
    text = await said(dsn, "peer", "suspend", "megalis")
    assert text.startswith("megalis is suspended\nThe exclusion is signed, for 2 members (1 did not answer")
    assert "withholds your GREEN records from megalis" in text
    assert "excluded from your GREEN records: megalis" in await said(dsn, "peer", "list")
    local = await told(dsn, "peer", "suspend", "megalis", "--local")
    assert local == {
        "operator": "megalis",
        "state": "suspended",
        "detail": "Other members go on showing it your GREEN records.",
    }
    assert (await told(dsn, "peer", "list"))["excluded"] == []


async def test_an_exclusion_outlasts_forgetting_and_is_lifted_by_a_command(arnia: Node, dsn: str) -> None:
    await joined(arnia, "megalis")
    assert (await ran(dsn, "peer", "exclude", "megalis"))[0] == 1, "it is active: it is suspended instead"
    await said(dsn, "peer", "suspend", "megalis", "--local")
    assert (await said(dsn, "peer", "exclude", "megalis")).startswith("megalis is excluded\n")
    await said(dsn, "peer", "leave", "megalis")
    await said(dsn, "peer", "forget", "megalis")
    assert (await told(dsn, "peer", "list"))["excluded"] == ["megalis"]
    assert await told(dsn, "peer", "exclude", "megalis", "--lift") == {
        "operator": "megalis",
        "excluded": False,
    }
    assert (await told(dsn, "peer", "list"))["excluded"] == []
    status, text = await ran(dsn, "peer", "exclude", "megalis", "--lift")
    assert (status, "megalis is not excluded" in text) == (1, True)


async def test_an_invitation_names_the_operators_whose_green_records_the_newcomer_will_read(
    arnia: Node, dsn: str
) -> None:
    async with arnia.store.write() as tx:
        for origin, audience in (
            ("megalis", "federation"),
            ("recia", "public"),
            ("maximilien", "federation"),
        ):
            feed = await tx.feeds.open(FeedName(origin, audience), None)
            if origin != "maximilien":
                await tx.feeds.advance(feed, Cursor("0" * 16, 1), delta=0)
    invited = await told(dsn, "peer", "invite", "for Nivernais")
    assert invited["green_records_of"] == ["arnia", "megalis"]


async def test_a_list_shows_whom_a_peer_excludes(arnia: Node, dsn: str) -> None:
    await joined(arnia, "megalis")
    async with arnia.store.write() as tx:
        feed = await tx.feeds.open(FeedName("megalis", "federation"), None)
        await tx.feeds.advance(feed, Cursor("0" * 16, 1), delta=0)
        await tx.copies.set_exclusions(feed.id, ["recia"], arnia.clock())
    assert "        withheld from recia\n" in await said(dsn, "peer", "list")
