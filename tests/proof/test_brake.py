"""Many removals wait for an administrator, in a pull and in a repair."""

from __future__ import annotations

import pytest

from federation.domain.copy import needs_confirmation
from federation.domain.errors import NotFound
from federation.domain.feed import FeedName
from federation.node import checkpoints, copies, copy_views, epochs
from federation.node.node import Node
from tests.domain.builders import a_deployment, a_solution
from tests.nodes import publish
from tests.proof.in_process_peer import Near, acquainted, round_of, rows_of, sql, state_of
from tests.proof.test_digests import retract

PUBLIC = FeedName("arnia", "public")


@pytest.fixture
async def many(arnia: Node, megalis: Node) -> Node:
    """Arnia with 300 records, and megalis with its copy."""
    for n in range(300):
        await publish(arnia, "solution", f"k{n:03}", a_solution())
    await acquainted(arnia, megalis)
    await round_of(megalis, arnia)
    assert await state_of(megalis, arnia) == "verified"
    return arnia


async def live(node: Node) -> int:
    return sum(not row[5] for row in await rows_of(node, "arnia"))


async def test_many_removals_wait_for_an_administrator(many: Node, megalis: Node) -> None:
    for n in range(101):
        await retract(many, f"k{n:03}")
    await publish(many, "solution", "k299", a_solution(name="Revised"))
    await checkpoints.sign_checkpoints(many)
    source = Near(many, "megalis")
    await round_of(megalis, many, source)
    assert await live(megalis) == 300, "nothing is half done"
    copy = (await copy_views.copies(megalis))[PUBLIC]
    assert copy.paused == "101 of 300 records are to be removed"
    assert "101 of 300" in (copy.alarm or "")
    await round_of(megalis, many, source)
    assert await live(megalis) == 300, "it goes on waiting"
    await publish(many, "deployment", "d", a_deployment())
    await checkpoints.sign_checkpoints(many)
    await round_of(megalis, many, source)
    assert FeedName("arnia", "federation") in await copy_views.copies(megalis), "other feeds do not wait"
    assert await copies.confirm_removals(megalis, "arnia") == ("public",)
    await round_of(megalis, many, source)
    assert await live(megalis) == 200, "199 of the public ones, and the deployment"
    assert await state_of(megalis, many) == "verified"
    with pytest.raises(NotFound):
        await copies.confirm_removals(megalis, "arnia")
    for n in range(101, 202):
        await retract(many, f"k{n:03}")
    await checkpoints.sign_checkpoints(many)
    await round_of(megalis, many, source)
    assert (await copy_views.copies(megalis))[PUBLIC].paused == "101 of 199 records are to be removed", (
        "once is not for ever"
    )


async def test_as_many_as_are_usual_do_not_wait(many: Node, megalis: Node) -> None:
    for n in range(100):
        await retract(many, f"k{n:03}")
    await checkpoints.sign_checkpoints(many)
    await round_of(megalis, many)
    assert await live(megalis) == 200
    assert (await copy_views.copies(megalis))[PUBLIC].paused is None


async def test_a_repair_that_would_remove_much_waits_too(many: Node, megalis: Node) -> None:
    """An origin that lost half of its records in a restore, and signs what is left."""
    await sql(many, "DELETE FROM records WHERE key < 'k150'")
    await sql(many, "UPDATE feeds SET live = 150 WHERE audience = 'public'")
    await epochs.begin_epoch(many, "restored")
    await round_of(megalis, many)
    assert await live(megalis) == 300
    assert (await copy_views.copies(megalis))[PUBLIC].paused == "150 of 300 records are to be removed"
    await copies.confirm_removals(megalis, "arnia")
    await round_of(megalis, many)
    assert await live(megalis) == 150
    assert await state_of(megalis, many) == "verified"


async def test_retractions_in_a_repair_count_as_well(many: Node, megalis: Node) -> None:
    for n in range(150):
        await retract(many, f"k{n:03}")
    await epochs.begin_epoch(many, "for another reason")
    await round_of(megalis, many)
    assert await live(megalis) == 300
    assert (await copy_views.copies(megalis))[PUBLIC].paused == "150 of 300 records are to be removed"
    await copies.confirm_removals(megalis, "arnia")
    await round_of(megalis, many)
    assert await live(megalis) == 150
    assert await state_of(megalis, many) == "verified"


def test_what_is_much() -> None:
    assert not needs_confirmation(100, 100)
    assert needs_confirmation(101, 101)
    assert not needs_confirmation(200, 1_000)
    assert needs_confirmation(201, 1_000)
    assert not needs_confirmation(2_000, 10_000)
