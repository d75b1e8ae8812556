"""What is seen follows what is decided: groups at the next request, peers' states within a second.

And nothing that happens to a record moves an answer to somebody who may not know of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest

from federation.domain import registry
from federation.domain.errors import Unavailable
from federation.domain.visibility import itself
from federation.node import peers, records
from federation.node.node import Node
from tests.api.http_client import PATCH, NextDoor
from tests.domain.builders import a_group
from tests.matrix import rules
from tests.matrix.callers_and_records import (
    CLOSE,
    LABELS_OF,
    OPERATORS,
    Thing,
    World,
    a_world,
    ask_token,
    content_of,
    envelope_of,
    keys_of,
    told,
)
from tests.matrix.rules import HERE
from tests.nodes import publish
from tests.waiting import until, within_a_second


@pytest.fixture
async def world(arnia: Node) -> AsyncIterator[World]:
    async with a_world(arnia) as world:
        yield world


async def found_by(client: httpx2.AsyncClient, thing: Thing) -> dict[str, bool]:
    """Whether a record is found, by each way there is. (Groups are in no feed; this is of AMBER.)"""
    at = f"/v1/{thing.plural}/{thing.origin}/{thing.key}"
    got = await client.get(at)
    same = await client.get(at, headers={"if-none-match": thing.tag})
    listed = await client.get(f"/v1/{thing.plural}?total=true&q={thing.word}")
    feed = await client.get("/v1/feeds/arnia/close/changes")
    heads = await client.get("/v1/feeds")
    return {
        "get": got.status_code == (200 if thing.live else 410),
        "same": same.status_code == (304 if thing.live else 410),
        "list": thing.key in keys_of(listed) or not thing.live,
        "total": listed.json()["total"] == 1 or not thing.live,
        "feed": thing.key in feed.text,
        "heads": "close" in heads.text,
    }


async def test_a_member_is_one_from_the_next_request_on_and_not_a_request_longer(world: World) -> None:
    restricted = [t for t in world.things if t.origin == HERE and t.tlp.startswith("AMBER")]
    for_groups = [type_ for type_ in rules.TYPES if "AMBER" in LABELS_OF.get(type_, rules.TLPS)]
    assert len(restricted) == len(for_groups) * 4
    client, member = world.callers[rules.OUTSIDER], world.callers[rules.MEMBER]
    for thing in restricted:
        absent = told(await client.get(f"/v1/{thing.plural}/{HERE}/k999"), thing.absent)
        for members in ([*CLOSE, "maximilien"], CLOSE, ["maximilien"], []):
            await publish(world.node, "group", "close", a_group(members=members))
            for asking, operator in ((client, "maximilien"), (member, "nivernais")):
                ways = await found_by(asking, thing)
                inside = operator in members
                hidden = dict.fromkeys(ways, False) | ({} if thing.live else {"list": True, "total": True})
                assert ways == (dict.fromkeys(ways, True) if inside else hidden), (str(thing), members)
            if "maximilien" not in members:
                now = await client.get(f"/v1/{thing.plural}/{HERE}/{thing.key}")
                assert told(now, thing) == absent


async def test_a_group_that_is_retracted_has_no_members(world: World) -> None:
    thing = next(t for t in world.things if t.tlp == "AMBER" and t.origin == HERE and t.live)
    assert all((await found_by(world.callers[rules.MEMBER], thing)).values())
    await records.retract(world.node, registry.TYPES["group"], HERE, "close", by=itself(HERE))
    assert not any((await found_by(world.callers[rules.MEMBER], thing)).values())
    assert (await world.callers[rules.OWN].get(f"/v1/{thing.plural}/{HERE}/{thing.key}")).status_code == 200


CUTS: dict[str, Callable[[Node], Awaitable[Any]]] = {
    "suspended": lambda node: peers.suspend(node, "nivernais"),
    "left by itself": lambda node: peers.accept_disconnect(node, "nivernais"),
    "left by us": lambda node: peers.leave(node, "nivernais"),
}
ASKS = (
    "/v1/solutions",
    "/v1/solutions?q=x&total=true",
    "/v1/incidents/arnia/k001",
    "/v1/feeds",
    "/v1/feeds/arnia/public/changes",
    "/v1/feeds/arnia/close/changes",
)


@pytest.mark.parametrize("cut", CUTS)
async def test_who_is_cut_off_is_refused_within_a_second_whatever_it_asks(world: World, cut: str) -> None:
    member, others = world.callers[rules.MEMBER], world.callers[rules.ORIGIN]
    world.node._outside = NextDoor(asking=others)
    statuses = [(await member.get(ask)).status_code for ask in ASKS]
    assert 401 not in statuses
    await CUTS[cut](world.node)

    async def refused() -> bool:
        return (await member.get(ASKS[0])).status_code == 401

    await within_a_second(world.node, refused)
    for ask in ASKS:
        assert (await member.get(ask)).status_code == (await member.head(ask)).status_code == 401
    assert [(await others.get(ask)).status_code for ask in ASKS] == statuses
    ring = world.rings["nivernais"]
    assert (await ask_token("nivernais", ring, world.callers[rules.ANYONE], world.node)).status_code == 401


async def test_who_is_resumed_is_answered_as_before(world: World) -> None:
    member = world.callers[rules.MEMBER]
    ask = ASKS[-1]
    before = (await member.get(ask)).content
    await peers.suspend(world.node, "nivernais")
    await world.node.notifier.refresh()
    assert (await member.get(ask)).status_code == 401
    await peers.resume(world.node, "nivernais")
    await world.node.notifier.refresh()
    assert (await member.get(ask)).content == before


async def test_only_an_active_peer_gets_a_token_and_the_others_get_one_answer(world: World) -> None:
    answers: dict[str, tuple[int, bytes]] = {}
    anyone = world.callers[rules.ANYONE]
    for caller, operator in OPERATORS.items():
        got = await ask_token(operator, world.rings[operator], anyone, world.node)
        if caller in rules.PEERS:
            assert got.status_code == 200, caller
        else:
            answers[caller] = got.status_code, got.content
    assert len(answers) == 5
    assert len(set(answers.values())) == 1
    assert {status for status, _ in answers.values()} == {401}


async def test_a_look_that_fails_halfway_does_not_forget_who_was_cut_off(world: World) -> None:
    """The database answers that somebody was cut off, and fails at what has to be read next."""
    member = world.callers[rules.MEMBER]
    failed: list[bool] = []

    async def fail_once() -> None:
        if not failed:
            failed.append(True)
            raise Unavailable("the database cannot be reached")

    async def refused() -> bool:
        return (await member.get(ASKS[0])).status_code == 401

    assert not await refused()
    world.node.notifier._on_trust_change.insert(0, fail_once)
    await peers.suspend(world.node, "nivernais")
    await within_a_second(world.node, refused)

    async def sees_again() -> bool:
        return bool(failed) and not world.node.notifier.failing

    await until(sees_again)
    assert await refused()


WATCHERS = (rules.ANYONE, rules.OUTSIDER, rules.NEIGHBOUR, rules.MEMBER, rules.OWN)


async def answers(client: httpx2.AsyncClient, caller: str, type_name: str) -> list[tuple[Any, ...]]:
    """All that can be asked without knowing of a record, and what is asked of it by its name."""
    kind = registry.TYPES[type_name]
    at = f"/v1/{kind.plural}/{HERE}/arnia"
    gets: list[tuple[str, dict[str, str]]] = [
        (f"/v1/{kind.plural}?total=true", {}),
        (f"/v1/{kind.plural}?total=true&sort=id&limit=1", {}),
        (f"/v1/{kind.plural}?q=qxcanary&total=true&origin=arnia", {}),
        ("/v1/feeds", {}),
        ("/v1/feeds/arnia/public/changes", {}),
        ("/v1/feeds/arnia/close/changes", {}),
        ("/.well-known/federation", {}),
        (at, {}),
        (at, {"if-none-match": "*"}),
    ]
    found = [await client.get(path, headers=headers) for path, headers in gets]
    if caller != rules.OWN:
        found += [
            await client.put(at, json={}, headers={"if-none-match": "*"}),
            await client.delete(at, headers={"if-match": "*"}),
            await client.patch(at, content=b"{}", headers=PATCH),
        ]
    return [(one.status_code, one.content, sorted(one.headers.items())) for one in found]


@pytest.mark.parametrize("type_name", rules.TYPES)
async def test_nothing_that_happens_to_a_hidden_record_moves_an_answer(world: World, type_name: str) -> None:
    """Published, revised, retracted, published anew. (The key is the one the descriptor looks up, too.)"""
    kind, node = registry.TYPES[type_name], world.node
    held = 0
    for tlp in LABELS_OF.get(type_name, rules.TLPS):

        async def now() -> dict[str, list[tuple[Any, ...]]]:
            return {name: await answers(world.callers[name], name, type_name) for name in WATCHERS}

        async def put(tlp: str = tlp, **members: Any) -> None:
            content = content_of(type_name, "qxcanary", tlp)
            await publish(node, type_name, "arnia", content, **envelope_of(tlp), **members)

        steps: list[Callable[[], Awaitable[Any]]] = [
            put,
            lambda: put(same_as=["https://a.example/"]),
            lambda: records.retract(node, kind, HERE, "arnia", by=itself(HERE)),
            put,
        ]
        before = await now()
        for number, step in enumerate(steps):
            await step()
            after = await now()
            for watcher in WATCHERS:
                moved = after[watcher] != before[watcher]
                assert moved == rules.sees(watcher, type_name, HERE, tlp), (watcher, tlp, number)
                held += 1
            before = after
        # Out of everybody's sight, so that the next label begins with a record that is not there.
        await put(tlp="RED")
        await records.retract(node, kind, HERE, "arnia", by=itself(HERE))
    assert held == len(WATCHERS) * 4 * len(LABELS_OF.get(type_name, rules.TLPS))
