"""Real nodes behind proxies that spoil what goes through: no wrong record is held, and all ends equal."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest

from federation.domain.content.solution import Solution
from federation.domain.draft import Draft, check_draft
from federation.domain.visibility import itself
from federation.node import copy_views, records
from federation.node.node import Node
from federation.sync import peer_follower, repair
from tests.conftest import Databases, emptied
from tests.domain.builders import a_group, a_solution
from tests.faults.proxy import FAULTS, Proxy, a_proxy
from tests.nodes import a_node, introduce, publish, served
from tests.proof.in_process_peer import rows_of, sql
from tests.waiting import until_while_moving

OPERATORS = ("arnia", "megalis", "recia")
SEED = 20_261_124
ENOUGH = 12
"""Faults of each kind, at least."""
MAX_FAULTS = 100 * ENOUGH
"""Faults of all kinds, at most: each kind is as likely as any other."""
TLPS = ("CLEAR", "CLEAR", "GREEN", "GREEN", "AMBER", "RED")


class Three:
    """Three nodes, each of which is reached through a proxy of its own."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.proxies: dict[str, Proxy] = {}
        self.published: set[tuple[str, str, int, bytes]] = set()

    @property
    def counts(self) -> Counter[str]:
        return sum((proxy.counts for proxy in self.proxies.values()), Counter())

    async def write(self, chance: random.Random) -> None:
        """One of the operators publishes, revises or moves some records."""
        node = self.nodes[chance.choice(OPERATORS)]
        shape: Any = Draft
        drafts = {}
        for _ in range(chance.randrange(1, 30)):
            tlp = chance.choice(TLPS)
            whom = {"audience": "close"} if tlp == "AMBER" else {}
            content = a_solution(name=f"word {chance.getrandbits(40)}")
            drafts[f"k{chance.randrange(60)}"] = check_draft(
                {"content": content, "tlp": tlp, **whom}, shape[Solution]
            )
        made = await records.upload(node, Solution, drafts, by=itself(node.operator))
        for key, one in made.items():
            if isinstance(one, Exception):
                raise one
            self.published.add((node.operator, key, one.revision, one.hash))

    async def nothing_wrong(self) -> None:
        """Every record that a node holds of another one is one that its origin has published."""
        for node in self.nodes.values():
            rows = await sql(
                node,
                "SELECT origin, key, revision, hash, document FROM records"
                " WHERE origin <> $1 AND type <> 'membership'",  # these the nodes publish themselves
                node.operator,
            )
            for origin, key, revision, hash_, document in rows:
                assert hashlib.sha256(document).digest() == hash_
                assert (origin, key, revision, hash_) in self.published, f"{origin}/{key} {revision}"

    async def progress(self) -> list[Any]:
        """How far each copy has come."""
        return [
            (reader.operator, str(name), copy.state, copy.verified_seq, copy.pulled)
            for reader in self.nodes.values()
            for name, copy in sorted((await copy_views.copies(reader)).items())
        ]

    async def settled(self) -> bool:
        """Whether every copy is verified, and is what its origin has."""
        for origin in self.nodes.values():
            there = await rows_of(origin, origin.operator)
            for reader in self.nodes.values():
                if reader is origin:
                    continue
                for name, copy in (await copy_views.copies(reader)).items():
                    if name.origin == origin.operator and copy.state != "verified":
                        return False
                if await rows_of(reader, origin.operator) != there:
                    return False
        return True


@pytest.fixture
async def three(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Three]:
    # (Waiting between attempts is tested elsewhere.)
    monkeypatch.setattr(peer_follower, "back_off", lambda *_, **__: timedelta(seconds=0.05))
    monkeypatch.setattr(repair, "RETRY_SECONDS", 0.1)
    found = Three()
    async with AsyncExitStack() as stack:
        for n, operator in enumerate(OPERATORS):
            dsn = await emptied(await databases(operator))
            proxy = await stack.enter_async_context(a_proxy(SEED + n))
            node = await stack.enter_async_context(a_node(operator, dsn, url=proxy.url))
            await publish(node, "group", "close", a_group(members=[x for x in OPERATORS if x != operator]))
            proxy.target = await stack.enter_async_context(
                served(operator, dsn, known_as=proxy.url, limits=False)
            )
            found.nodes[operator], found.proxies[operator] = node, proxy
        await introduce(*found.nodes.values())
        yield found


async def test_whatever_is_spoiled_on_its_way_no_wrong_record_is_held_and_all_copies_end_verified(
    three: Three,
) -> None:
    chance = random.Random(SEED)
    for proxy in three.proxies.values():
        proxy.spoiling = True

    async def enough() -> bool:
        await three.write(chance)
        await three.nothing_wrong()
        assert three.counts.total() < MAX_FAULTS, "a kind of fault does not come"
        return all(three.counts[kind] >= ENOUGH for kind in FAULTS)

    async def faults() -> int:
        return three.counts.total()

    await until_while_moving(enough, faults)
    for proxy in three.proxies.values():
        proxy.spoiling = False
    await until_while_moving(three.settled, three.progress)
    await three.nothing_wrong()
