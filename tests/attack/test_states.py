"""Peers that are no peers any more, and what only a peer may say: over two processes of one node."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from federation.domain.entry import FeedEntry
from federation.domain.feed import FeedName
from federation.domain.peer import PeerState
from federation.node import peers
from tests.attack.forged_tokens import Party
from tests.attack.target_node import Running, running
from tests.attack.test_tokens import denied, green, refused
from tests.domain.builders import a_document, a_solution
from tests.nodes import a_client, publish
from tests.sync.peers import a_head, an_entry, heads_of, held, line, stream, tiny
from tests.waiting import MAX_WAIT_SECONDS, within_a_second


async def refused_within_a_second(node: Running, party: Party, token: str) -> None:
    async def is_refused() -> bool:
        return (await node.ask("/v1/solutions", token, party)).status_code != 200

    await within_a_second(node.node, is_refused)


@pytest.mark.parametrize("state", ["suspended", "left"])
async def test_a_peer_that_is_cut_off_is_refused_within_a_second_at_every_process(
    target: Running, second: Running, megalis: Party, recia: Party, state: PeerState
) -> None:
    canary = await green(target.node)
    tokens = {party.operator: await target.token(party) for party in (megalis, recia)}
    for process in (target, second):  # and both remember the check
        for party in (megalis, recia):
            assert canary in (await process.ask("/v1/solutions", tokens[party.operator], party)).text
    if state == "suspended":
        await peers.suspend(target.node, "megalis")
    else:
        await peers.accept_disconnect(target.node, "megalis")
    await asyncio.gather(
        *(refused_within_a_second(process, megalis, tokens["megalis"]) for process in (target, second))
    )
    for process in (target, second):
        refused(await process.ask("/v1/solutions", tokens["megalis"], megalis))
        denied(await process.token_answer(megalis))
        assert canary in (await process.ask("/v1/solutions", tokens["recia"], recia)).text


async def test_a_peer_that_is_resumed_is_answered_again(
    target: Running, second: Running, megalis: Party
) -> None:
    await peers.suspend(target.node, "megalis")
    denied(await second.token_answer(megalis))
    await peers.resume(target.node, "megalis")
    assert (await second.ask("/v1/solutions", await second.token(megalis), megalis)).status_code == 200


@pytest.mark.parametrize("state", ["pending", "suspended", "left"])
async def test_only_an_active_peer_gets_a_token(target: Running, state: PeerState) -> None:
    unknown = await target.token_answer(Party("nobody"))
    party = await target.knows(Party("megalis"), state)
    answer = await target.token_answer(party)
    denied(answer)
    assert answer.content == unknown.content, "nor is it told whether it is known"
    await target.knows(party, "active")
    assert (await target.token_answer(party)).status_code == 200


async def test_a_peer_disconnects_itself_alone(target: Running, megalis: Party, recia: Party) -> None:
    own = await target.client_token(await a_client(target.node))
    refused(await target.ask("/v1/peers/self", method="DELETE"))
    refused(await target.ask("/v1/peers/self", own, method="DELETE"), 403)
    token = await target.token(recia)
    for body in ({"operator": "megalis"}, {}):
        refused(await target.ask("/v1/peers/self", token, recia, method="DELETE", json=body), 400)
    refused(await target.ask("/v1/peers/self?operator=megalis", token, megalis, method="DELETE"))
    assert await target.state_of("megalis") == await target.state_of("recia") == "active"
    refused(await target.ask("/v1/peers/self?operator=megalis", token, recia, method="DELETE"), 400)
    assert await target.state_of("recia") == "active"
    left = await target.ask("/v1/peers/self", token, recia, method="DELETE")
    assert left.status_code == 204
    assert (await target.state_of("megalis"), await target.state_of("recia")) == ("active", "left")


async def test_a_peer_may_not_decide_about_peers(target: Running, megalis: Party, recia: Party) -> None:
    token = await target.token(megalis)
    for act in ("suspend", "resume", "retry", "leave", "activate"):
        path = f"/v1/peers/recia/{act}"
        body: dict[str, Any] = {"json": {"code": "0000 0000 0000 0000"}} if act == "activate" else {}
        refused(await target.ask(path, token, megalis, method="POST", **body), 403)
        refused(await target.ask(path, method="POST", **body))
    assert await target.state_of("recia") == "active"
    admin = await target.client_token(await a_client(target.node, "node.admin"))
    assert (await target.ask("/v1/peers/recia/suspend", admin, method="POST")).status_code == 200


async def test_activation_by_a_wrong_code_activates_nobody(target: Running) -> None:
    await target.knows(Party("megalis"), "pending")
    admin = await target.client_token(await a_client(target.node, "node.admin"))
    for code in ("", "0000 0000 0000 0000", "x", "9" * 10_000):
        answer = await target.ask("/v1/peers/megalis/activate", admin, method="POST", json={"code": code})
        refused(answer, 409)
    assert await target.state_of("megalis") == "pending"
    right = await peers.code_shown(target.node, "megalis")
    # The right code is taken, and then the node at its URL is asked: here there is none.
    answer = await target.ask("/v1/peers/megalis/suspend", admin, method="POST")
    refused(answer, 409)
    assert right is not None


async def test_a_peer_does_not_write(target: Running, megalis: Party) -> None:
    token = await target.token(megalis)
    for origin in ("arnia", "megalis", "recia"):
        path = f"/v1/solutions/{origin}/one"
        refused(await target.ask(path, token, megalis, method="PUT", json={"content": a_solution()}), 403)
        refused(await target.ask(path, token, megalis, method="DELETE"), 403)
    own = await target.client_token(await a_client(target.node))
    body = {"content": a_solution()}
    assert (await target.ask("/v1/solutions/arnia/one", own, method="PUT", json=body)).status_code == 201
    refused(await target.ask("/v1/solutions/megalis/one", own, method="PUT", json=body), 403)


async def test_a_peer_that_serves_anothers_origin_is_not_believed(dsn: str) -> None:
    """Over the loop of a serving node: entries in recia's name come to nothing, its own are taken."""

    def entry(seq: int, origin: str, key: str) -> FeedEntry:
        return an_entry(seq, {**a_document(key=key), "origin": origin})

    async with (
        tiny(
            feeds=heads_of(a_head(2), a_head(1, name=FeedName("recia", "public"))),
            changes=stream(line(entry(1, "recia", "stolen")), line(entry(2, "megalis", "own"))),
        ) as server,
        running("arnia", dsn, sync=True) as node,
    ):
        await node.knows(Party("megalis", url=server.url))
        node.node.notifier.notify()
        async with asyncio.timeout(MAX_WAIT_SECONDS):
            while not await held(node.node):
                await asyncio.sleep(0.05)
        assert await held(node.node) == {"own": 1}
        assert await held(node.node, "recia") == {}
        assert not [path for path in server.asked if "recia" in path], "it is not even asked for"


async def test_what_a_peer_may_see_is_not_in_its_token(
    target: Running, second: Running, megalis: Party
) -> None:
    """A group that it is taken out of is closed to it at its next request, at every process."""
    await publish(target.node, "group", "close", {"name": "Close", "members": ["megalis"]})
    await publish(
        target.node, "solution", "one", a_solution(name="canary-amber"), tlp="AMBER", audience="close"
    )
    token = await target.token(megalis)
    for process in (target, second):
        assert "canary-amber" in (await process.ask("/v1/solutions", token, megalis)).text
    await publish(target.node, "group", "close", {"name": "Close", "members": []})
    for process in (target, second):
        assert "canary-amber" not in (await process.ask("/v1/solutions", token, megalis)).text
