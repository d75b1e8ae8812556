"""Before a change: what would appear and disappear where, what a peer sees, what an answer rests on."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from federation.domain.feed import FeedName
from federation.domain.visibility import anonymous, itself
from federation.node import checkpoints, copy_views
from federation.node.node import Node
from federation.store.statements import Session, Statement
from tests.domain.builders import a_solution
from tests.nodes import a_token, browsing, introduce, publish
from tests.proof.in_process_peer import acquainted, round_of, rows_of, sql

JSON = {"content-type": "application/json"}
PATCH = {"content-type": "application/merge-patch+json"}


@pytest.fixture
async def federated(arnia: Node, megalis: Node, recia: Node) -> Node:
    """Arnia with two peers, of which megalis is in a group."""
    await introduce(arnia, megalis, recia)
    await publish(arnia, "group", "g", {"name": "g", "members": ["megalis", "absent"]})
    await publish(arnia, "solution", "s", a_solution())
    return arnia


async def previewed(client: httpx2.AsyncClient, method: str, path: str, **said: Any) -> Any:
    answer = await client.request(method, f"{path}?dry_run=true", **said)
    assert answer.status_code == 200, answer.text
    assert answer.json()["dry_run"] is True
    return answer.json()


async def test_a_dry_run_says_where_a_record_appears_and_disappears_and_changes_nothing(
    federated: Node,
) -> None:
    before = await sql(federated, "SELECT (SELECT arrival FROM node), (SELECT count(*) FROM feeds)")
    rows = await rows_of(federated, "arnia")
    async with browsing(federated) as client:
        headers = await a_token(federated, client)
        client.headers.update(headers)
        path = "/v1/solutions/arnia/s"
        cases: list[tuple[dict[str, Any], list[str], list[str]]] = [
            ({"tlp": "GREEN"}, [], ["*"]),
            ({"tlp": "AMBER", "audience": "g"}, [], ["*", "recia"]),
            ({"tlp": "RED"}, [], ["*", "megalis", "recia"]),
        ]
        for change, appears, disappears in cases:
            said = await previewed(client, "PATCH", path, json=change, headers=PATCH)
            assert said["records"] == 1
            assert said["effects"] == [
                {"type": "solution", "key": "s", "appears_at": appears, "disappears_from": disappears}
            ]
        said = await previewed(client, "PATCH", path, json={"content": {"name": "Other"}}, headers=PATCH)
        assert (said["effects"], said["records"]) == ([], 0), "everybody who has it keeps it"
        said = await previewed(client, "DELETE", path)
        assert said["effects"][0]["disappears_from"] == ["*", "megalis", "recia"]
        draft = {"content": a_solution(), "tlp": "AMBER", "audience": "g"}
        said = await previewed(client, "PUT", "/v1/solutions/arnia/new", json=draft)
        assert said["effects"][0]["appears_at"] == ["megalis"]
        said = await previewed(client, "POST", "/v1/solutions", json=draft)
        assert said["effects"][0]["appears_at"] == ["megalis"]
        said = await previewed(client, "PUT", path, json={"content": a_solution()})
        assert said == {"dry_run": True, "effects": [], "records": 0}
        refused = await client.put(f"{path}?dry_run=true", json={"content": {"name": 1}})
        assert refused.status_code == 400
        refused = await client.put(f"{path}?dry_run=perhaps", json={"content": a_solution()})
        assert refused.json()["errors"][0]["pointer"] == "?dry_run"
        missing = await client.delete("/v1/solutions/arnia/absent?dry_run=true")
        assert missing.status_code == 404
        done = await client.patch(f"{path}?dry_run=false", json={"tlp": "GREEN"}, headers=PATCH)
        assert done.json()["tlp"] == "GREEN"
        await client.patch(path, json={"tlp": "CLEAR"}, headers=PATCH)
    after = await sql(federated, "SELECT (SELECT arrival FROM node), (SELECT count(*) FROM feeds)")
    assert after[0][0] == before[0][0] + 4, "two moves, each an entry in both feeds"
    assert len(await rows_of(federated, "arnia")) == len(rows)


async def test_a_dry_run_of_a_group_names_the_records_that_its_members_get_and_lose(
    federated: Node,
) -> None:
    for n in range(3):
        await publish(federated, "solution", f"a{n}", a_solution(), tlp="AMBER", audience="g")
    async with browsing(federated) as client:
        client.headers.update(await a_token(federated, client))
        said = await previewed(
            client, "PUT", "/v1/groups/arnia/g", json={"content": {"name": "g", "members": ["recia"]}}
        )
    assert said["records"] == 3
    assert [(e["key"], e["appears_at"], e["disappears_from"]) for e in said["effects"]] == [
        (f"a{n}", ["recia"], ["megalis"]) for n in range(3)
    ]


async def test_an_administrator_sees_the_feeds_as_a_peer_does_and_nobody_else(federated: Node) -> None:
    await publish(federated, "solution", "a", a_solution(), tlp="AMBER", audience="g")
    async with browsing(federated) as client:
        admin = await a_token(federated, client, name="admin")
        for peer, audiences in (
            ("megalis", {"public", "federation", "g"}),
            ("recia", {"public", "federation"}),
        ):
            answer = await client.get(f"/v1/feeds?as={peer}", headers=admin)
            assert {feed["audience"] for feed in answer.json()["feeds"]} == audiences
        assert (await client.get("/v1/feeds?as=stranger", headers=admin)).status_code == 404
        assert (await client.get("/v1/feeds?as=NOBODY", headers=admin)).status_code == 400
        reader = await a_token(federated, client, "feeds.read", name="reader")
        assert (await client.get("/v1/feeds?as=megalis", headers=reader)).status_code == 403
        assert (await client.get("/v1/feeds?as=megalis")).status_code == 403
        assert (await client.get("/v1/feeds?what=megalis")).status_code == 400


async def test_an_answer_can_carry_what_it_rests_on(arnia: Node, megalis: Node) -> None:
    await publish(arnia, "solution", "s", a_solution())
    await publish(arnia, "group", "g", {"name": "g", "members": ["megalis"]})
    await publish(arnia, "solution", "a", a_solution(), tlp="AMBER", audience="g")
    await acquainted(arnia, megalis)
    await round_of(megalis, arnia)
    async with browsing(megalis) as client:
        plain = (await client.get("/v1/solutions")).json()
        assert "provenance" not in plain
        answer = await client.get("/v1/solutions?total=true", headers={"prefer": "wait=3, provenance"})
        assert answer.headers["preference-applied"] == "provenance"
        assert answer.json()["total"] == 1
        stated = {(one["operator"], one["audience"]): one for one in answer.json()["provenance"]}
        assert set(stated) == {("arnia", "public")}, "no feed that is not for it, or has nothing on the page"
        one = stated["arnia", "public"]
        assert (one["state"], one["seq"], one["checkpoint_seq"]) == ("verified", 1, 1)
        said = checkpoints.read_signed_checkpoint(
            one["checkpoint"], arnia.keyring.public(), FeedName("arnia", "public"), arnia.clock()
        )
        assert said.count == 1
        await publish(megalis, "solution", "t", a_solution())
        both = (await client.get("/v1/solutions", headers={"prefer": "provenance"})).json()["provenance"]
        assert [(c["operator"], c["state"]) for c in both] == [("arnia", "verified"), ("megalis", "own")]
        empty = await client.get("/v1/incidents", headers={"prefer": "provenance"})
        assert empty.json()["provenance"] == []
        own = await client.get(
            "/v1/solutions", headers={"prefer": "provenance", **await a_token(megalis, client)}
        )
        audiences = {(c["operator"], c["audience"]) for c in own.json()["provenance"]}
        assert ("arnia", "g") in audiences


async def test_provenance_is_one_query_however_many_feeds_there_are(
    arnia: Node, megalis: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(5):
        await publish(arnia, "group", f"g{n}", {"name": "g", "members": ["megalis"]})
        await publish(arnia, "solution", f"a{n}", a_solution(), tlp="AMBER", audience=f"g{n}")
    await publish(arnia, "solution", "s", a_solution())
    await acquainted(arnia, megalis)
    await round_of(megalis, arnia)
    queries: list[str] = []
    fetch = Session.all

    async def counted(self: Session, statement: Statement, /, **values: Any) -> list[Any]:
        queries.append(statement.text)
        return await fetch(self, statement, **values)

    monkeypatch.setattr(Session, "all", counted)
    for caller, feeds in ((itself("megalis"), 7), (anonymous("megalis"), 1)):
        queries.clear()
        assert len(await copy_views.provenance(megalis, {"arnia"}, by=caller)) == feeds
        assert len(queries) == 1
    assert await copy_views.provenance(megalis, set(), by=itself("megalis")) == ()
