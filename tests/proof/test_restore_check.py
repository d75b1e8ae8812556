"""The check after a restore begins a new epoch where a peer knows better, and never calls unclear clear."""

from __future__ import annotations

import json

from federation.node import checkpoints, copy_views, epochs
from federation.node.node import Node
from tests.domain.builders import a_solution
from tests.exposure.commands import ran
from tests.nodes import publish
from tests.proof.in_process_peer import Near, acquainted, round_of, rows_of, sql, state_of
from tests.proof.test_epochs import PUBLIC, Held, restored, saved


async def gone_back(origin: Node, reader: Node) -> None:
    """Save, write 60, restore, write 100, 30 of them under keys that were lost; the reader follows it all."""
    for n in range(20):
        await publish(origin, "solution", f"k{n}", a_solution())
    await acquainted(origin, reader)
    await round_of(reader, origin)
    await saved(origin)
    for n in range(60):
        await publish(origin, "solution", f"lost{n}", a_solution(name="Before"))
    await checkpoints.sign_checkpoints(origin)
    await round_of(reader, origin)
    await restored(origin)
    for n in range(30):
        await publish(origin, "solution", f"lost{n}", a_solution(name="After"))
    for n in range(70):
        await publish(origin, "solution", f"new{n}", a_solution())
    await checkpoints.sign_checkpoints(origin)
    await round_of(reader, origin)
    origin._outside = Held(reader, origin)


async def test_a_feed_that_has_overtaken_the_copies_is_known_by_what_peers_rejected(
    arnia: Node, megalis: Node
) -> None:
    await gone_back(arnia, megalis)
    copy = (await copy_views.copies(megalis))[PUBLIC]
    assert copy.state == "diverged"
    heads = {head.audience: head for head in await Near(megalis, "arnia").heads("arnia")}
    assert heads["public"].checkpoint is None, "it shows no signature that would prove anything"
    result = await epochs.restore_check(arnia)
    assert result.minted
    assert result.behind == ()
    assert [(c.peer, c.audience, c.entries, c.reasons) for c in result.contradictions] == [
        ("megalis", "public", 30, ("changed-at-same-revision",))
    ]
    await publish(arnia, "solution", "later", a_solution())
    await checkpoints.sign_checkpoints(arnia)
    await round_of(megalis, arnia)
    assert await rows_of(megalis, "arnia") == await rows_of(arnia, "arnia")
    assert await state_of(megalis, arnia) == "verified"
    again = await epochs.restore_check(arnia)
    assert (again.minted, again.contradictions) == (False, ()), "once is enough"
    assert again.is_clear


async def test_a_copy_that_is_equal_to_nothing_signed_is_unclear(arnia: Node, megalis: Node) -> None:
    await gone_back(arnia, megalis)
    await sql(arnia, "DELETE FROM feedback")
    result = await epochs.restore_check(arnia)
    assert (result.asked, result.minted, result.is_clear) == (("megalis",), False, False)
    ((peer, audience, detail),) = [(copy.peer, copy.audience, copy.detail) for copy in result.unclear]
    assert (peer, audience) == ("megalis", "public")
    assert "not equal to a state that we signed" in detail
    forced = await epochs.restore_check(arnia, force=True)
    assert forced.minted


async def test_reports_of_peers_that_are_suspended_prove_nothing(arnia: Node, megalis: Node) -> None:
    await gone_back(arnia, megalis)
    await sql(arnia, "UPDATE peers SET state = 'suspended'")
    assert (await epochs.restore_check(arnia)).contradictions == ()


async def test_a_copy_that_is_behind_is_unclear_and_an_equal_one_is_clear(arnia: Node, megalis: Node) -> None:
    await publish(arnia, "solution", "first", a_solution())
    await acquainted(arnia, megalis)
    await round_of(megalis, arnia)
    arnia._outside = Held(megalis, arnia)
    assert (await epochs.restore_check(arnia)).is_clear
    await publish(arnia, "solution", "second", a_solution())
    result = await epochs.restore_check(arnia)
    assert (result.minted, result.is_clear) == (False, False)
    assert "at number 1, compared up to 1; we are at 2" in result.unclear[0].detail
    await round_of(megalis, arnia)
    result = await epochs.restore_check(arnia)
    assert (result.minted, result.is_clear) == (False, True)


async def test_entries_that_a_peer_has_beyond_its_last_comparison_are_unclear(
    arnia: Node, megalis: Node
) -> None:
    await publish(arnia, "solution", "first", a_solution())
    await acquainted(arnia, megalis)
    await round_of(megalis, arnia)
    await saved(arnia)
    await publish(arnia, "solution", "lost", a_solution())
    await round_of(megalis, arnia)  # which is not signed yet
    await restored(arnia)
    arnia._outside = Held(megalis, arnia)
    result = await epochs.restore_check(arnia)
    assert (result.minted, result.is_clear) == (False, False)


async def test_the_command_exits_2_when_it_is_unclear(arnia: Node, megalis: Node, dsn: str) -> None:
    await publish(arnia, "solution", "first", a_solution())
    await acquainted(arnia, megalis)
    status, text = await ran(dsn, "restore-check")
    assert status == 2
    assert "megalis could not be asked" in text
    assert "unclear: no peer could be asked; begin a new epoch with --force" in text
    status, text = await ran(dsn, "restore-check", "--force", "--json")
    assert (status, json.loads(text)["minted"]) == (0, True)
