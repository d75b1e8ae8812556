"""What an administrator decides about peers, over the API."""

from __future__ import annotations

from typing import Any

import httpx2
import msgspec

from federation.node import peers
from federation.node.node import Node
from tests.api.http_client import NextDoor, fine, refused
from tests.audit.audit_trail import entries
from tests.nodes import peer_of


async def decide(client: httpx2.AsyncClient, verb: str, **body: str) -> dict[str, str]:
    said = {"json": body} if body else {}
    answer = await client.post(f"/v1/peers/megalis/{verb}", **said)  # type: ignore[arg-type]
    assert answer.headers["cache-control"] == "no-store"
    told: dict[str, str] = fine(answer, 200)
    return told


async def test_what_is_decided_is_answered_and_noted_with_the_client_that_asked(
    own: httpx2.AsyncClient, arnia: Node, megalis: Node
) -> None:
    arnia._outside = door = NextDoor(megalis, asking=own)
    async with arnia.store.write() as tx:
        await tx.peers.add(peer_of(megalis))
        await tx.peers.set_state("megalis", "pending")
    code = await peers.code_shown(arnia, "megalis") or ""
    refused(await own.post("/v1/peers/megalis/activate", json={"code": "1"}), 409, "conflict")
    wrong: list[Any] = [{}, {"code": code, "more": 1}, {"code": 5}, {"code": code, "private": 1}, []]
    for body in wrong:
        refused(await own.post("/v1/peers/megalis/activate", json=body), 400, "invalid")
    assert await decide(own, "activate", code=code) == {"operator": "megalis", "state": "active"}
    suspended = await decide(own, "suspend")
    assert "signed, for 0 members: each withholds your GREEN records from megalis, too" in suspended.pop(
        "detail"
    )
    assert suspended == {"operator": "megalis", "state": "suspended"}
    assert await decide(own, "resume") == {"operator": "megalis", "state": "active"}
    door.down = True
    assert await decide(own, "leave") == {
        "operator": "megalis",
        "state": "left",
        "detail": f"it could not be told: {megalis.url} does not answer",
    }
    assert await decide(own, "leave") == {"operator": "megalis", "state": "left"}
    assert [(one.event, one.actor) for one in await entries(arnia)] == [
        (event, "client-own")
        for event in ("peer.activated", "peer.suspended", "peer.resumed", "peer.left")
    ]  # fmt: skip
    refused(await own.post("/v1/peers/nobody/suspend"), 404, "not-found")


async def test_a_suspension_is_local_where_that_is_asked(
    own: httpx2.AsyncClient, arnia: Node, megalis: Node
) -> None:
    async with arnia.store.write() as tx:
        await tx.peers.add(peer_of(megalis))
    for query in ("local=1", "local=true&local=true", "other=true"):
        refused(await own.post(f"/v1/peers/megalis/suspend?{query}"), 400, "invalid")
    answer = fine(await own.post("/v1/peers/megalis/suspend?local=true"), 200)
    assert answer == {"operator": "megalis", "state": "suspended"}
    assert fine(await own.get("/v1/peers"))["excluded"] == []
    fine(await own.post("/v1/peers/megalis/suspend?local=false"), 200)
    assert fine(await own.get("/v1/peers"))["excluded"] == ["megalis"]
    fine(await own.post("/v1/peers/megalis/resume"), 200)
    assert fine(await own.get("/v1/peers"))["excluded"] == []


async def test_only_a_peer_disconnects(
    own: httpx2.AsyncClient, peer: httpx2.AsyncClient, arnia: Node
) -> None:
    refused(await own.delete("/v1/peers/self"), 403, "forbidden")
    answer = await peer.delete("/v1/peers/self")
    assert (answer.status_code, answer.content) == (204, b"")
    async with arnia.store.read() as tx:
        megalis = await tx.peers.find("megalis")
    assert megalis is not None
    assert megalis.state == "left"


async def test_an_administrator_allows_a_private_address_and_sees_look_alikes(
    own: httpx2.AsyncClient, arnia: Node, megalis: Node
) -> None:
    arnia._outside = NextDoor(megalis, asking=own)
    async with arnia.store.write() as tx:
        await tx.peers.add(msgspec.structs.replace(peer_of(megalis), name="ARNIA", private=False))
        await tx.peers.set_state("megalis", "pending")
    (view,) = fine(await own.get("/v1/peers"), 200)["peers"]
    assert view["look_alikes"] == [{"text": "ARNIA", "like": "arnia", "operator": "arnia"}]
    code = await peers.code_shown(arnia, "megalis")
    fine(await own.post("/v1/peers/megalis/activate", json={"code": code, "private": True}), 200)
    async with arnia.store.read() as tx:
        stored = await tx.peers.find("megalis")
    assert stored is not None
    assert stored.private
