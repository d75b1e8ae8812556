"""Memberships: every member learns which operators another one has admitted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import pytest

from federation.domain.content.membership import Membership
from federation.domain.peer import Peer
from federation.domain.query import Query
from federation.domain.values import as_instant
from federation.domain.visibility import Caller, anonymous, itself
from federation.node import memberships, peers, records
from federation.node.keys import Keyring, mint_private_key
from federation.node.node import Node
from tests.exposure.commands import said, told
from tests.nodes import as_peer, introduce


def a_peer(operator: str, **members: object) -> Peer:
    key = mint_private_key()
    peer = Peer(
        operator=operator,
        url=f"https://{operator}.example.org",
        name=operator.upper(),
        state="active",
        keys=Keyring.of(key).public(),
        thumbprint=key["kid"],
        added_at=datetime(2026, 3, 2, 9, tzinfo=UTC),
    )
    return msgspec.structs.replace(peer, **members)


async def add(node: Node, *added: Peer) -> None:
    async with node.store.write() as tx:
        for peer in added:
            await tx.peers.add(peer)


async def seen(node: Node, by: Caller) -> list[str]:
    documents, _, _ = await records.collect(node, Query(kind=Membership, sort="id"), by=by)
    return [json.loads(document)["content"]["operator"] for document in documents]


async def test_each_peer_has_a_membership_that_members_see_and_nobody_else(arnia: Node) -> None:
    await add(arnia, a_peer("megalis"), a_peer("recia", state="suspended"), a_peer("later", state="pending"))
    assert await memberships.publish_memberships(arnia) == 2
    assert await seen(arnia, itself("arnia")) == ["megalis", "recia"]
    assert await seen(arnia, await as_peer(arnia, "megalis")) == ["megalis", "recia"]
    assert await seen(arnia, anonymous("arnia")) == []
    stored = await records.find(arnia, Membership, "arnia", "megalis", by=itself("arnia"))
    document = json.loads(stored.document)
    assert document["tlp"] == "GREEN"
    peer = await peer_of(arnia, "megalis")
    assert document["content"] == {
        "operator": "megalis",
        "name": "MEGALIS",
        "node": "https://megalis.example.org",
        "thumbprint": peer.thumbprint,
        "admitted_at": as_instant(peer.added_at),
    }


async def peer_of(node: Node, operator: str) -> Peer:
    async with node.store.read() as tx:
        peer = await tx.peers.find(operator)
    assert peer is not None
    return peer


async def test_a_second_run_writes_nothing_and_a_new_address_is_published(arnia: Node) -> None:
    await add(arnia, a_peer("megalis"))
    assert await memberships.publish_memberships(arnia) == 1
    assert await memberships.publish_memberships(arnia) == 0
    async with arnia.store.write() as tx:
        await tx.peers.remove("megalis")
        await tx.peers.add(a_peer("megalis", url="https://elsewhere.example.org"))
    assert await memberships.publish_memberships(arnia) == 1
    stored = await records.find(arnia, Membership, "arnia", "megalis", by=itself("arnia"))
    assert json.loads(stored.document)["content"]["node"] == "https://elsewhere.example.org"


async def test_the_membership_of_a_peer_that_leaves_is_retracted(arnia: Node) -> None:
    await add(arnia, a_peer("megalis"), a_peer("recia"))
    await memberships.publish_memberships(arnia)
    await peers.accept_disconnect(arnia, "megalis")
    assert await memberships.publish_memberships(arnia) == 1
    assert await seen(arnia, itself("arnia")) == ["recia"]


async def test_one_run_writes_a_bounded_number_and_the_next_one_the_rest(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memberships, "MAX_NOTICES", 2)
    await add(arnia, *map(a_peer, ("megalis", "recia", "maximilien")))
    runs: Sequence[int] = [await memberships.publish_memberships(arnia) for _ in range(3)]
    assert runs == [2, 1, 0]


async def test_a_name_that_no_record_can_have_is_replaced_by_the_id(arnia: Node) -> None:
    await add(arnia, a_peer("megalis", name="\u202eevil"), a_peer("recia"))
    assert await memberships.publish_memberships(arnia) == 2
    assert await memberships.publish_memberships(arnia) == 0, "the id is no other name"
    stored = await records.find(arnia, Membership, "arnia", "megalis", by=itself("arnia"))
    assert json.loads(stored.document)["content"]["name"] == "megalis"


async def test_members_learn_of_an_operator_that_is_no_peer_of_theirs(
    arnia: Node, megalis: Node, dsn: str
) -> None:
    await introduce(arnia, megalis)
    await add(arnia, a_peer("recia"))
    await memberships.publish_memberships(arnia)
    views = {view.operator: view for view in await memberships.list_memberships(arnia)}
    assert (views["recia"].admitted_by, views["recia"].state) == ("arnia", "active")
    listed = await told(dsn, "peer", "members")
    assert {view["operator"] for view in listed} == {"megalis", "recia"}
    assert "recia  RECIA  https://recia.example.org  admitted by arnia" in await said(dsn, "peer", "members")
