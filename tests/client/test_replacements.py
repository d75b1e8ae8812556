"""Replacing a set of records by an inventory: planned, looked at, carried out."""

from __future__ import annotations

import msgspec
import pytest

from federation.client import Client, Conflict, Invalid
from federation.domain.content.solution import Solution
from tests.domain.builders import a_solution

GLPI = msgspec.convert(a_solution(), Solution)


def named(name: str) -> Solution:
    return msgspec.structs.replace(GLPI, name=name)


async def test_an_inventory_retracts_what_is_no_longer_in_it(client: Client) -> None:
    report = await client.solutions.upload([("one", GLPI), ("two", GLPI)], set_name="inventory")
    assert report.created == 2
    await client.solutions.publish("by-hand", GLPI)
    plan = await client.solutions.plan_replacement("inventory", 2, [("one", named("One")), ("three", GLPI)])
    assert (plan.summary.revised, plan.summary.created, plan.summary.retracted) == (1, 1, 1)
    assert plan.retracts == ("two",)
    assert not plan.pauses_peers
    assert {record.key async for record in client.solutions.walk()} == {"by-hand", "one", "two"}
    done = await plan.carry_out()
    assert (done.revised, done.created, done.retracted, done.refused) == (1, 1, 1, 0)
    assert {record.key async for record in client.solutions.walk()} == {"by-hand", "one", "three"}


async def test_nothing_is_retracted_after_a_change_a_refused_line_or_a_cut_file(client: Client) -> None:
    await client.solutions.upload([("one", GLPI), ("two", GLPI)], set_name="inventory")
    plan = await client.solutions.plan_replacement("inventory", 1, [("one", GLPI)])
    await client.solutions.publish("two", named("Changed meanwhile"))
    with pytest.raises(Conflict) as caught:
        await plan.carry_out()
    assert caught.value.code == "plan-changed"
    bad = {"key": "three", "content": {**a_solution(), "licence": "none of these"}}
    plan = await client.solutions.plan_replacement("inventory", 2, [("one", GLPI), bad])
    assert [refusal.key for refusal in plan.refusals] == ["three"]
    with pytest.raises(ValueError, match="refused"):
        await plan.carry_out()
    plan_of_cut_file = client.solutions.plan_replacement("inventory", 2, [("one", GLPI)])
    try:
        cut = await plan_of_cut_file
    except Invalid:
        pass
    else:
        assert cut.digest is None
    assert {record.key async for record in client.solutions.walk()} == {"one", "two"}
