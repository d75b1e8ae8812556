"""Nodes of two versions live together: copies are verified, no alarm is raised, unknown is no "no"."""

from __future__ import annotations

from typing import Any

import pytest

from federation.cli.peer_table import show_peers
from federation.domain.content.deployment import Deployment
from federation.domain.content.solution import Solution
from federation.domain.content.statement import Statement
from federation.domain.query import read_query
from federation.domain.record_reading import UNKNOWN_TYPE
from federation.domain.visibility import anonymous, itself
from federation.node import (
    checkpoints,
    copy_views,
    exposure,
    not_understood,
    peer_views,
    records,
    search,
    status,
)
from federation.node.node import Node
from federation.telemetry import Metrics
from tests.domain.builders import a_deployment, a_solution, a_statement, an_incident
from tests.next_version import a_contract, later_version
from tests.nodes import as_peer, browsing, publish
from tests.proof.in_process_peer import acquainted, round_of, rows_of, sql, state_of

REASONS = {
    ("solution", "appliance"): "Invalid enum value at /content/kind",
    ("deployment", "migrating"): "Invalid enum value at /content/status",
    ("incident", "worst"): "Invalid enum value at /content/severity",
    ("statement", "unjustified"): "known_not_affected needs a justification at /content",
    ("contract", "support"): UNKNOWN_TYPE,
}
"""The records of the later version that this one does not understand, and why."""


async def publish_all(node: Node) -> None:
    """A record with each novelty, and records that every version understands."""
    await publish(node, "solution", "glpi", a_solution())
    await publish(node, "solution", "newer", a_solution(retired_on="2030"))
    await publish(node, "solution", "appliance", a_solution(kind="appliance"))
    await publish(node, "deployment", "known", a_deployment())
    await publish(node, "deployment", "migrating", a_deployment(status="migrating"))
    await publish(node, "incident", "worst", an_incident(severity="catastrophic"), tlp="GREEN")
    await publish(
        node, "statement", "unjustified", a_statement(incident="arnia/worst", status="known_not_affected")
    )
    await publish(node, "contract", "support", a_contract())
    await checkpoints.sign_checkpoints(node)


async def marks(node: Node) -> dict[tuple[str, str], str]:
    rows = await sql(node, "SELECT type, key, not_understood FROM records WHERE not_understood IS NOT NULL")
    return {(row["type"], row["key"]): row["not_understood"] for row in rows}


async def listed(node: Node, kind: Any, by: Any = None) -> tuple[int, int]:
    """The records of a list, and those that it leaves out."""
    query = read_query(kind, [("total", "true")])
    found = (await search.search(node, query, by=by or itself(node.operator))).listed
    assert found.total == len(found.documents)
    return len(found.documents), found.not_understood


@pytest.fixture
async def followed(arnia: Node, megalis: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Megalis has followed arnia, whose node is of the later version."""
    with later_version(monkeypatch):
        await acquainted(arnia, megalis)
        await publish_all(arnia)
    taken = await round_of(megalis, arnia)
    assert taken.rejected == {}


@pytest.mark.usefixtures("followed")
async def test_records_of_a_later_version_are_copied_verified_and_raise_no_alarm(
    arnia: Node, megalis: Node
) -> None:
    assert await marks(megalis) == REASONS
    assert await rows_of(megalis, "arnia") == await rows_of(arnia, "arnia")
    for audience in ("public", "federation"):
        assert await state_of(megalis, arnia, audience) == "verified"
    assert [copy.alarm for copy in (await copy_views.copies(megalis)).values() if copy.alarm] == []
    again = await round_of(megalis, arnia)
    assert (again.entries, again.repaired) == (0, 0)
    view = await peer_views.peers(megalis)
    assert view.rejected == ()


@pytest.mark.usefixtures("followed")
async def test_lists_count_what_they_leave_out_for_those_that_may_see_it(arnia: Node, megalis: Node) -> None:
    assert await listed(megalis, Solution) == (2, 1)
    assert await listed(megalis, Deployment) == (1, 1)
    assert await listed(megalis, Statement) == (0, 1)
    assert await listed(megalis, Solution, anonymous("megalis")) == (2, 1)
    assert await listed(megalis, Deployment, anonymous("megalis")) == (0, 0)
    assert await listed(megalis, Deployment, await as_peer(megalis, "recia")) == (1, 1)
    assert await listed(arnia, Solution) == (3, 0), "its origin lists it"
    async with browsing(megalis) as client:
        page = (await client.get("/v1/solutions?status=stable")).json()
        assert (len(page["items"]), page["not_understood"]) == (2, 1)
        assert "not_understood" not in (await client.get("/v1/deployments")).json()
        whole = await client.get("/v1/solutions/arnia/appliance")
        assert whole.json()["content"]["kind"] == "appliance"


@pytest.mark.usefixtures("followed")
async def test_an_administrator_sees_how_many_of_which_peer_are_not_understood_and_what_to_do(
    megalis: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    view = await peer_views.peers(megalis)
    (peer,) = view.peers
    assert {
        (part.type, reason): number for part in peer.not_understood for reason, number in part.reasons.items()
    } == {(type_, reason): 1 for (type_, _), reason in REASONS.items()}
    show_peers(view)
    printed = capsys.readouterr().out
    assert (
        "    not understood: 1 records of the type solution: Invalid enum value at /content/kind;"
        " a newer version of this program may understand them" in printed.splitlines()
    )
    assert "look at this" not in printed
    page = (await status.metrics_page(megalis, Metrics())).decode()
    assert 'federation_not_understood_records{origin="arnia",type="solution"} 1.0' in page


@pytest.mark.usefixtures("followed")
async def test_after_an_upgrade_they_are_read_again_and_count(
    arnia: Node, megalis: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await not_understood.read_again(megalis) == 0, "by the same version nothing changes"
    before = await sql(megalis, "SELECT key, arrived FROM records ORDER BY key")
    assert await marks(megalis) == REASONS
    with later_version(monkeypatch):
        assert await not_understood.read_again(megalis) == len(REASONS)
        assert await marks(megalis) == {}
    assert await rows_of(megalis, "arnia") == await rows_of(arnia, "arnia")
    assert await listed(megalis, Solution) == (3, 0)
    assert await listed(megalis, Deployment) == (2, 0)
    async with browsing(megalis) as client:
        found = (await client.get("/v1/solutions", params={"q": "parc", "status": "stable"})).json()
    keys = {item["key"] for item in found["items"]}
    assert keys == {"appliance", "glpi", "newer"}, "all are found by filters and words"
    changed = {
        row["key"]
        for row in await sql(megalis, "SELECT key, arrived FROM records ORDER BY key")
        if row not in before
    }
    assert changed == {key for _, key in REASONS}, "the change log reports them, and no other"
    again = await round_of(megalis, arnia)
    assert (again.entries, again.repaired) == (0, 0)
    assert await state_of(megalis, arnia) == "verified"


@pytest.mark.usefixtures("followed")
async def test_a_revision_that_is_understood_takes_the_place_of_one_that_is_not(
    arnia: Node, megalis: Node
) -> None:
    await publish(arnia, "solution", "appliance", a_solution())
    await checkpoints.sign_checkpoints(arnia)
    await round_of(megalis, arnia)
    assert ("solution", "appliance") not in await marks(megalis)
    assert await listed(megalis, Solution) == (3, 0)


@pytest.mark.usefixtures("followed")
async def test_a_revision_that_is_not_understood_takes_the_place_of_one_that_is(
    arnia: Node, megalis: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    with later_version(monkeypatch):
        await publish(arnia, "solution", "glpi", a_solution(kind="appliance"))
        await checkpoints.sign_checkpoints(arnia)
    await round_of(megalis, arnia)
    assert await listed(megalis, Solution) == (1, 2)
    found = await records.find(megalis, Solution, "arnia", "glpi", by=itself("megalis"))
    assert b"appliance" in found.document
    assert await state_of(megalis, arnia) == "verified"


async def test_a_node_of_the_later_version_understands_all_of_this_one(
    arnia: Node, megalis: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await acquainted(arnia, megalis)
    await publish(arnia, "solution", "glpi", a_solution())
    await publish(arnia, "deployment", "known", a_deployment())
    await checkpoints.sign_checkpoints(arnia)
    with later_version(monkeypatch):
        taken = await round_of(megalis, arnia)
    assert (taken.rejected, await marks(megalis)) == ({}, {})
    assert await rows_of(megalis, "arnia") == await rows_of(arnia, "arnia")
    assert await state_of(megalis, arnia) == "verified"


@pytest.mark.usefixtures("followed")
async def test_exposure_answers_unknown_and_after_the_upgrade_it_answers(
    arnia: Node, megalis: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(megalis, "incident", "down", an_incident(kind="vulnerability"), tlp="GREEN")
    answer = await exposure.of_incident(megalis, "megalis", "down", by=itself("megalis"))
    (of_arnia,) = [entry for entry in answer.operators if entry.operator == "arnia"]
    assert of_arnia.unknown.reasons == {"no-range": 1, "not-understood": 1}
    with later_version(monkeypatch):
        await not_understood.read_again(megalis)
    await publish(megalis, "deployment", "own", a_deployment(solution="arnia/glpi"))
    answer = await exposure.of_incident(megalis, "megalis", "down", by=itself("megalis"))
    (of_arnia,) = [entry for entry in answer.operators if entry.operator == "arnia"]
    assert "not-understood" not in of_arnia.unknown.reasons
