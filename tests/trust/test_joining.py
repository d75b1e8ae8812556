"""Joining: from an invitation to two nodes that exchange records, and nothing before both activate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
import pytest

from federation.domain.errors import Conflict, Invalid, NotFound, Unauthenticated, Unreachable
from federation.domain.invitation import Invitation, code
from federation.domain.peer import OwnKey, Peer
from federation.node import invitations, peer_views, peers
from federation.node.keys import Keyring, mint_private_key
from federation.node.node import Node
from tests.conftest import Databases, emptied
from tests.domain.builders import a_solution
from tests.nodes import a_node, publish, served
from tests.store.stepwise_transactions import until

pytestmark = pytest.mark.long


class Two:
    """Two nodes behind real HTTP servers; ``arnia`` and ``megalis`` stand beside the servers."""

    arnia: Node
    megalis: Node

    async def joined(self) -> tuple[Peer, str]:
        """Megalis has joined with an invitation of arnia's; arnia as megalis knows it, and the code."""
        invitation = await invitations.invite(self.arnia, "megalis", private=True)
        found = await invitations.join(self.megalis, invitation, private=True)
        return found, peers.code_of(self.megalis, found)

    async def active(self) -> None:
        _, code = await self.joined()
        await peers.activate(self.arnia, "megalis", code=code)
        await peers.activate(self.megalis, "arnia", code=code)


@pytest.fixture
async def two(databases: Databases) -> AsyncIterator[Two]:
    found = Two()
    async with AsyncExitStack() as stack:
        for operator in ("arnia", "megalis"):
            dsn = await emptied(await databases(operator))
            url = await stack.enter_async_context(served(operator, dsn))
            setattr(found, operator, await stack.enter_async_context(a_node(operator, dsn, url=url)))
        yield found


async def known(node: Node, operator: str) -> Peer | None:
    async with node.store.read() as tx:
        return await tx.peers.find(operator)


async def state(node: Node, operator: str) -> str | None:
    peer = await known(node, operator)
    return peer.state if peer else None


async def holds(node: Node, key: str) -> bool:
    async with node.store.read() as tx:
        return bool(
            await tx.records._session.connection.fetchval("SELECT count(*) FROM records WHERE key = $1", key)
        )


async def test_two_nodes_are_federated_with_an_invitation_and_an_activation_each(two: Two) -> None:
    await publish(two.arnia, "solution", "from-arnia", a_solution(), tlp="GREEN")
    await publish(two.megalis, "solution", "from-megalis", a_solution(), tlp="GREEN")
    found, code = await two.joined()
    assert (found.operator, found.url, found.state) == ("arnia", two.arnia.url, "pending")
    (seen,) = (await peer_views.peers(two.arnia)).peers
    assert (seen.operator, seen.state, seen.code) == ("megalis", "pending", code)
    await peers.activate(two.arnia, "megalis", code=code)
    await peers.activate(two.megalis, "arnia", code=code)
    await until(lambda: holds(two.arnia, "from-megalis"))
    await until(lambda: holds(two.megalis, "from-arnia"))


async def test_nothing_is_exchanged_until_both_have_activated(two: Two) -> None:
    await publish(two.arnia, "solution", "from-arnia", a_solution(), tlp="GREEN")
    _, code = await two.joined()
    await asyncio.sleep(1.5)
    assert not await holds(two.megalis, "from-arnia")
    await peers.activate(two.megalis, "arnia", code=code)  # one side only: arnia still refuses
    await asyncio.sleep(1.5)
    assert not await holds(two.megalis, "from-arnia")
    await peers.activate(two.arnia, "megalis", code=code)
    await until(lambda: holds(two.megalis, "from-arnia"))


async def test_the_code_alone_does_not_activate_and_a_wrong_one_never_does(two: Two) -> None:
    _, code = await two.joined()
    assert await state(two.arnia, "megalis") == "pending"
    with pytest.raises(Conflict, match="the codes differ"):
        await peers.activate(two.arnia, "megalis", code="0000 0000 0000 0000")
    assert await state(two.arnia, "megalis") == "pending"
    await peers.activate(two.arnia, "megalis", code=code.replace(" ", "-"))
    assert await state(two.arnia, "megalis") == "active"


async def test_an_invitation_is_for_one_use(two: Two) -> None:
    invitation = await invitations.invite(two.arnia, "", private=True)
    assert [one.note for one in (await peer_views.peers(two.arnia)).invitations] == [""]
    await invitations.join(two.megalis, invitation, private=True)
    assert (await peer_views.peers(two.arnia)).invitations == ()
    async with two.arnia.store.write() as tx:
        await tx.peers.remove("megalis")
    async with two.megalis.store.write() as tx:
        await tx.peers.remove("arnia")
    with pytest.raises(Unreachable, match="the invitation does not hold"):
        await invitations.join(two.megalis, invitation, private=True)
    assert await state(two.arnia, "megalis") is None
    assert await state(two.megalis, "arnia") is None


async def test_an_invitation_of_seventy_two_hours_ago_does_not_hold(two: Two) -> None:
    now = two.arnia.clock
    two.arnia.clock = lambda: now() - timedelta(hours=72, seconds=5)
    old = await invitations.invite(two.arnia, "", private=True)
    with pytest.raises(Unreachable, match="the invitation does not hold"):
        await invitations.join(two.megalis, old, private=True)
    two.arnia.clock = lambda: now() - timedelta(hours=72) + timedelta(seconds=60)
    await invitations.join(two.megalis, await invitations.invite(two.arnia, "", private=True), private=True)


async def test_who_does_not_have_the_key_of_the_invitation_is_not_joined(two: Two) -> None:
    invitation = await invitations.invite(two.arnia, "", private=True)
    other = Invitation(invitation.url, mint_private_key()["kid"], invitation.secret)
    with pytest.raises(Unreachable, match="does not have the key that the invitation names"):
        await invitations.join(two.megalis, other, private=True)
    assert await state(two.arnia, "megalis") is None
    await invitations.join(two.megalis, invitation, private=True)


async def test_an_operator_s_id_is_bound_to_the_key_it_joined_with(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two.active()
    stranger = Keyring.of(mint_private_key())
    monkeypatch.setattr(
        stranger, "reload", lambda keys: None
    )  # whenever a key was changed, they are read anew
    for left in (False, True):
        invitation = await invitations.invite(two.arnia, "", private=True)
        two.megalis.keyring, mine = stranger, two.megalis.keyring
        try:
            async with two.megalis.store.write() as tx:
                await tx.peers.remove("arnia")
            with pytest.raises(Unreachable, match="bound to another key"):
                await invitations.join(two.megalis, invitation, private=True)
        finally:
            two.megalis.keyring = mine
        peer = await known(two.arnia, "megalis")
        assert peer is not None
        assert peer.kids == {mine.kid}
        assert peer.state == ("left" if left else "active")
        if not left:
            await peers.accept_disconnect(two.arnia, "megalis")
    found = await invitations.join(two.megalis, invitation, private=True)  # (the invitation was not used up)
    assert found.operator == "arnia"
    assert await state(two.arnia, "megalis") == "pending"


async def test_a_key_that_was_lost_is_forgotten_by_an_administrator_only_after_leaving(two: Two) -> None:
    await two.active()
    with pytest.raises(Conflict, match="first: federation peer leave megalis"):
        await peers.forget(two.arnia, "megalis")
    await peers.leave(two.arnia, "megalis")
    await peers.forget(two.arnia, "megalis")
    assert await state(two.arnia, "megalis") is None
    with pytest.raises(NotFound):
        await peers.forget(two.arnia, "megalis")


async def test_nobody_joins_itself_or_a_peer_it_has(two: Two) -> None:
    invitation = await invitations.invite(two.arnia, "", private=True)
    with pytest.raises(Conflict, match="operator of this node"):
        await invitations.join(two.arnia, invitation, private=True)
    await two.active()
    with pytest.raises(Conflict, match="arnia is a peer already"):
        await invitations.join(two.megalis, invitation, private=True)


async def test_an_address_that_is_not_public_needs_to_be_allowed_on_both_sides(two: Two) -> None:
    invitation = await invitations.invite(two.arnia, "", private=True)
    with pytest.raises(Unreachable, match="not public"):
        await invitations.join(two.megalis, invitation, private=False)
    closed = await invitations.invite(two.arnia, "", private=False)
    with pytest.raises(Unreachable, match="not public"):
        await invitations.join(two.megalis, closed, private=True)
    assert await state(two.arnia, "megalis") is None
    await invitations.join(two.megalis, invitation, private=True)


async def test_leaving_is_told_and_drops_what_was_not_public_on_both_sides(two: Two) -> None:
    await two.active()
    for node, other in ((two.arnia, "megalis"), (two.megalis, "arnia")):
        await publish(node, "group", "rssi", {"name": "rssi", "members": [other]})
        for tlp, audience in (("CLEAR", None), ("GREEN", None), ("AMBER", "rssi")):
            key = f"{node.operator}-{tlp.lower()}"
            await publish(
                node, "solution", key, a_solution(), tlp=tlp, **({"audience": audience} if audience else {})
            )
    for node, other in ((two.arnia, "megalis"), (two.megalis, "arnia")):
        for tlp in ("clear", "green", "amber"):
            await until(partial(holds, node, f"{other}-{tlp}"))
    peer, why = await peers.leave(two.megalis, "arnia")
    assert (peer.state, why) == ("left", None)
    assert await state(two.arnia, "megalis") == "left"
    for node, other in ((two.arnia, "megalis"), (two.megalis, "arnia")):
        assert [await holds(node, f"{other}-{tlp}") for tlp in ("clear", "green", "amber")] == [
            True,
            False,
            False,
        ]
        assert await holds(node, f"{node.operator}-amber"), "its own stay"


async def test_who_cannot_be_told_is_left_all_the_same(two: Two) -> None:
    await two.active()
    async with two.megalis.store.write() as tx:
        arnia = await tx.peers.find("arnia")
        assert arnia is not None
        await tx.peers.add(msgspec.structs.replace(arnia, url="http://127.0.0.1:9"))
    peer, why = await peers.leave(two.megalis, "arnia")
    assert peer.state == "left"
    assert why is not None
    assert "127.0.0.1" in why


async def test_an_activation_asks_the_node_itself(two: Two) -> None:
    _, code = await two.joined()
    async with two.arnia.store.write() as tx:
        megalis = await tx.peers.find("megalis")
        assert megalis is not None
        await tx.peers.add(msgspec.structs.replace(megalis, keys=Keyring.of(mint_private_key()).public()))
    with pytest.raises(Unreachable, match="does not have the key"):
        await peers.activate(two.arnia, "megalis")
    async with two.arnia.store.write() as tx:
        await tx.peers.add(megalis)
    await peers.activate(two.arnia, "megalis", code=code)


async def test_an_invitation_is_read_as_it_was_written_and_not_in_part() -> None:
    written = Invitation("https://node.example.org", mint_private_key()["kid"], "x" * 43)
    assert Invitation.parse(str(written)) == written
    text = str(written)
    assert Invitation.parse(f"  {text[:40]}\n {text[40:]}\n") == written
    for wrong in ("", "x", text[:-3], text.replace("1.", "2.", 1), "federation-invitation-1.W10", f"{text}é"):
        with pytest.raises(Invalid):
            Invitation.parse(wrong)


def test_the_code_is_the_same_from_both_sides_and_another_for_every_other_key() -> None:
    keys = [mint_private_key()["kid"] for _ in range(4)]
    assert code(keys[0], keys[1]) == code(keys[1], keys[0])
    codes = {code(one, other) for one in keys for other in keys if one < other}
    assert len(codes) == 6
    assert all(len(found) == 19 for found in codes)


async def test_a_registration_says_what_is_wrong_with_it(two: Two) -> None:
    from federation.domain.invitation import Registration

    good: dict[str, Any] = {
        "operator": "recia", "client_name": "Recia", "client_uri": "http://127.0.0.1:9", "jwks": {"keys": []},
        "software_statement": "x",
    }  # fmt: skip
    for member, wrong in (("operator", "Not an id"), ("client_name", "a\x07b"), ("client_name", "")):
        with pytest.raises(Invalid) as refused:
            await invitations.register(two.arnia, Registration(**{**good, member: wrong}), "secret")
        assert refused.value.pointer == f"/{member}"
    with pytest.raises(Unauthenticated, match="does not prove"):
        await invitations.register(two.arnia, Registration(**good), "secret")


def test_a_key_of_its_own_signs_from_its_time_on_and_not_before() -> None:
    from datetime import UTC, datetime

    now = datetime(2026, 1, 1, tzinfo=UTC)
    first, second = mint_private_key(), mint_private_key()
    ring = Keyring([OwnKey(jwk=second, use_from=now), OwnKey(jwk=first)], lambda: now - timedelta(seconds=1))
    assert ring.kid == first["kid"]
    assert {key["kid"] for key in ring.public()["keys"]} == {first["kid"], second["kid"]}
    ring = Keyring([OwnKey(jwk=second, use_from=now), OwnKey(jwk=first)], lambda: now)
    assert ring.kid == second["kid"]
