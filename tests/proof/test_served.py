"""The same over HTTP, as the loop does it: signatures, receipts, feedback, relays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx2
import msgspec
import pytest

from federation.domain.canonical import canonical
from federation.domain.feed import FeedName
from federation.domain.record_reading import read_record
from federation.node import checkpoints, copy_views, peer_views, peers, receipts
from federation.node.node import Node
from tests.conftest import Databases, emptied
from tests.domain.builders import a_document, a_solution
from tests.nodes import a_node, a_token, browsing, free_port, introduce, peer_of, publish, served
from tests.proof.in_process_peer import acquainted, relayed_round, round_of, rows_of, sql
from tests.waiting import until

pytestmark = pytest.mark.long

PUBLIC = FeedName("arnia", "public")


class Three:
    """Arnia, megalis and recia; the last two are served, arnia as the test wants."""

    nodes: dict[str, Node]
    stack: AsyncExitStack


@pytest.fixture
async def three(databases: Databases) -> AsyncIterator[Three]:
    found = Three()
    found.nodes = {}
    async with AsyncExitStack() as stack:
        found.stack = stack
        for operator in ("megalis", "recia"):
            dsn = await emptied(await databases(operator))
            url = await stack.enter_async_context(served(operator, dsn))
            found.nodes[operator] = await stack.enter_async_context(a_node(operator, dsn, url=url))
        dsn = await emptied(await databases("arnia"))
        url = f"http://127.0.0.1:{free_port()}"
        found.nodes["arnia"] = await stack.enter_async_context(a_node("arnia", dsn, url=url))
        yield found


async def is_verified(node: Node, seq: int) -> bool:
    copy = (await copy_views.copies(node)).get(PUBLIC)
    return copy is not None and (copy.state, copy.verified_seq) == ("verified", seq)


async def test_a_newcomer_follows_an_origin_that_is_down_through_another_member(three: Three) -> None:
    arnia, megalis, recia = (three.nodes[name] for name in ("arnia", "megalis", "recia"))
    for n in range(12):
        await publish(arnia, "solution", f"k{n}", a_solution())
    await introduce(arnia, megalis)
    await checkpoints.sign_checkpoints(arnia)
    await round_of(megalis, arnia)  # before it went down
    for one, other in ((recia, arnia), (recia, megalis), (megalis, recia)):
        async with one.store.write() as tx:
            await tx.peers.add(peer_of(other))
    await until(lambda: is_verified(recia, 12))

    async def came_by_megalis() -> bool:
        return (await copy_views.copies(recia))[PUBLIC].via == "megalis"

    await until(came_by_megalis)
    assert await rows_of(recia, "arnia") == await rows_of(arnia, "arnia")
    view = {peer.operator: peer for peer in (await peer_views.peers(recia)).peers}
    assert view["arnia"].failures
    assert not view["megalis"].failures


async def test_a_node_whose_operator_is_excluded_gets_public_records_alone_through_another_member(
    three: Three,
) -> None:
    arnia, megalis, recia = (three.nodes[name] for name in ("arnia", "megalis", "recia"))
    await introduce(arnia, megalis)
    async with arnia.store.write() as tx:
        await tx.peers.add(peer_of(recia))
    await peers.suspend(arnia, "recia")
    await publish(arnia, "solution", "clear", a_solution())
    await publish(arnia, "solution", "green", a_solution(), tlp="GREEN")
    await checkpoints.sign_checkpoints(arnia)
    await round_of(megalis, arnia)
    for one, other in ((recia, arnia), (recia, megalis), (megalis, recia)):
        async with one.store.write() as tx:
            await tx.peers.add(peer_of(other))
    await until(lambda: is_verified(recia, 1))
    # (A relay's feeds are taken in their order, federation before public.)
    assert {row[1] for row in await rows_of(recia, "arnia")} == {"clear"}
    assert {row[1] for row in await rows_of(megalis, "arnia")} == {"clear", "green"}


async def test_receipts_and_feedback_arrive_by_themselves(three: Three) -> None:
    megalis, recia = three.nodes["megalis"], three.nodes["recia"]
    await publish(megalis, "solution", "s", a_solution())
    await introduce(megalis, recia)
    name = FeedName("megalis", "public")

    async def at(seq: int) -> bool:
        copy = (await copy_views.copies(recia)).get(name)
        return copy is not None and (copy.state, copy.verified_seq) == ("verified", seq)

    await until(lambda: at(1))
    await publish(megalis, "solution", "s", a_solution(), tlp="RED")

    async def confirmed() -> bool:
        return [one.confirmed for one in (await receipts.withdrawals(megalis)).withdrawals] == [("recia",)]

    await until(confirmed)
    # A record that recia holds at a higher revision than megalis sends: it must refuse it, and say so.
    await publish(megalis, "solution", "t", a_solution())
    await until(lambda: at(3))
    await sql(recia, "UPDATE records SET revision = 9 WHERE key = 't'")
    await publish(megalis, "solution", "t", a_solution(name="Other"))

    async def told() -> list[tuple[str, str, str]]:
        return [(one.operator, one.key, one.reason) for one in await receipts.feedback(megalis)]

    await until(told)
    assert await told() == [("recia", "t", "regressing-revision")]
    async with httpx2.AsyncClient(base_url=megalis.url, headers=await token_of(megalis)) as client:
        seen = (await client.get("/v1/feedback")).json()["refused"]
        assert [(one["operator"], one["key"]) for one in seen] == [("recia", "t")]
        seen = (await client.get("/v1/withdrawals")).json()
        assert seen["withdrawals"][0]["confirmed"] == ["recia"]
        assert (await client.post("/v1/receipts", json={"receipt": "x"})).status_code == 403
        entry = {"audience": "public", "entries": []}
        assert (await client.post("/v1/feedback", json=entry)).status_code == 400
        page = (await client.get("/metrics")).text
    assert 'federation_copy_state{audience="public",origin="recia",state="verified"} 1.0' in page

    async def diverged() -> bool:
        return (await copy_views.copies(recia))[name].state == "diverged"

    await until(diverged)  # it is compared when the signature comes, which may be later
    async with httpx2.AsyncClient(base_url=recia.url, headers=await token_of(recia)) as client:
        shown = (await client.get("/v1/peers")).json()["peers"]
        (feed,) = [f for f in shown[0]["feeds"] if f["audience"] == "public"]
        assert feed["state"] == "diverged"
        assert "regressing-revision" in feed["alarm"]
        page = (await client.get("/metrics")).text
    assert 'federation_copy_state{audience="public",origin="megalis",state="diverged"} 1.0' in page


async def token_of(node: Node) -> dict[str, str]:
    async with httpx2.AsyncClient(base_url=node.url) as client:
        return await a_token(node, client)


async def test_a_newer_versions_types_and_members_are_kept_served_and_relayed_byte_for_byte(
    arnia: Node, megalis: Node, recia: Node
) -> None:
    unknown = [
        a_document(key="new", type="recipe", content={"body": "Text", "novel": {"deep": [1, "é"]}}),
        a_document(key="s", content={**a_solution(), "novel": {"deep": [1, "é"]}}),
    ]
    for document in unknown:
        raw = canonical({**document, "origin": "arnia"})
        record = read_record(raw, type_name=document["type"], origin="arnia", key=document["key"], revision=1)
        async with arnia.store.write() as tx:
            place = await tx.feeds.open(FeedName("arnia", "public"), arnia.notifier.state.epoch)
            await tx.records.upsert("arnia", [(record, place.id, 1)])
    await acquainted(arnia, megalis, recia)
    await round_of(megalis, arnia)
    await relayed_round(recia, arnia, megalis)
    theirs = await rows_of(arnia, "arnia")
    assert {row[7] for row in theirs} == {canonical({**document, "origin": "arnia"}) for document in unknown}
    for reader in (megalis, recia):
        assert await rows_of(reader, "arnia") == theirs
        assert (await copy_views.copies(reader))[PUBLIC].state == "verified"
    async with browsing(recia) as client:
        lines = (
            await client.get("/v1/feeds/arnia/public/changes", headers={"accept": "application/x-ndjson"})
        ).content.splitlines()
        assert {bytes(msgspec.json.decode(line, type=Line).document) for line in lines} == {
            row[7] for row in theirs
        }


class Line(msgspec.Struct):
    document: msgspec.Raw
