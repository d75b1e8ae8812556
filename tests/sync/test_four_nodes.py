"""Four nodes with real HTTP servers: the same bytes everywhere, and nothing where it must not be."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import httpx2
import pytest

from federation.api.examples import DRAFTS
from federation.node.node import Node
from tests.conftest import OPERATORS, Databases, emptied
from tests.domain.builders import a_solution
from tests.nodes import a_node, a_token, as_peer, introduce, publish, served
from tests.waiting import MAX_WAIT_SECONDS

pytestmark = pytest.mark.long


class Federation:
    """Four nodes that are peers of one another."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.dsns: dict[str, str] = {}

    async def converged(self) -> None:
        """Wait until every node has taken what it may read of every other."""
        async with asyncio.timeout(MAX_WAIT_SECONDS):
            while not await self._is_converged():
                await asyncio.sleep(0.05)

    async def _is_converged(self) -> bool:
        for origin in self.nodes.values():
            async with origin.store.read() as tx:
                own = [place for place in await tx.feeds.all() if place.origin == origin.operator]
            for reader in self.nodes.values():
                if reader is origin:
                    continue
                groups = (await as_peer(origin, reader.operator)).groups
                async with reader.store.read() as tx:
                    taken = {p.audience: p.head for p in await tx.feeds.all() if p.origin == origin.operator}
                for place in own:
                    may = place.audience in ("public", "federation") or place.audience in groups
                    if may and taken.get(place.audience) != place.head:
                        return False
                    if not may and taken.get(place.audience, 0):
                        return False
        return True


@pytest.fixture
async def federation(databases: Databases) -> AsyncIterator[Federation]:
    four = Federation()
    async with AsyncExitStack() as stack:
        for operator in OPERATORS:
            four.dsns[operator] = await emptied(await databases(operator))
        for operator, dsn in four.dsns.items():
            url = await stack.enter_async_context(served(operator, dsn))
            four.nodes[operator] = await stack.enter_async_context(a_node(operator, dsn, url=url))
        await introduce(*four.nodes.values())
        yield four


async def test_a_record_has_the_same_bytes_hash_and_etag_at_all_four_nodes(federation: Federation) -> None:
    arnia = federation.nodes["arnia"]
    outcome = await publish(arnia, "solution", "glpi", DRAFTS["solution"]["content"])
    await publish(arnia, "solution", "other", a_solution())
    await federation.converged()
    answers = []
    for node in federation.nodes.values():
        async with httpx2.AsyncClient(base_url=node.url) as client:
            answers.append(await client.get("/v1/solutions/arnia/glpi"))
    assert {answer.content for answer in answers} == {outcome.document}
    assert {answer.headers["etag"] for answer in answers} == {f'"{outcome.hash.hex()}"'}


async def everything_in(dsn: str) -> str:
    """All that a database holds, as text: every column of every table."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        found = []
        for (table,) in tables:
            for row in await connection.fetch(f'SELECT * FROM "{table}"'):
                found += [
                    v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in row.values()
                ]
        return "\n".join(found)
    finally:
        await connection.close()


async def test_no_canary_is_ever_found_outside_its_audience(
    federation: Federation, caplog: pytest.LogCaptureFixture
) -> None:
    """Each record carries a word of its own; databases, answers and logs are searched for it."""
    caplog.set_level(logging.DEBUG, logger="federation")
    arnia, megalis = federation.nodes["arnia"], federation.nodes["megalis"]
    everybody = set(OPERATORS)
    entitled: dict[str, set[str]] = {}

    async def say(node: Node, key: str, canary: str, may: set[str], **envelope: Any) -> None:
        entitled[canary] = may
        await publish(node, "solution", key, a_solution(name=canary), **envelope)

    await publish(arnia, "group", "g", {"name": "g", "members": ["megalis", "recia"]})
    await publish(megalis, "group", "g", {"name": "g", "members": ["maximilien"]})
    await say(arnia, "clear", "canary-clear", everybody)
    await say(arnia, "green", "canary-green", everybody, tlp="GREEN")
    await say(arnia, "amber", "canary-amber", {"arnia", "megalis", "recia"}, tlp="AMBER", audience="g")
    await say(
        arnia, "strict", "canary-strict", {"arnia", "megalis", "recia"}, tlp="AMBER+STRICT", audience="g"
    )
    await say(arnia, "red", "canary-red", {"arnia"}, tlp="RED")
    await say(megalis, "amber", "canary-of-megalis", {"megalis", "maximilien"}, tlp="AMBER", audience="g")
    await federation.converged()
    # Revised and retracted within the audience; narrowed from everybody to the group.
    await say(arnia, "amber", "canary-revised", {"arnia", "megalis", "recia"}, tlp="AMBER", audience="g")
    await say(arnia, "green", "canary-narrowed", {"arnia", "megalis", "recia"}, tlp="AMBER", audience="g")
    await say(arnia, "clear", "canary-hidden", {"arnia"}, tlp="RED")
    await federation.converged()
    held = {operator: await everything_in(dsn) for operator, dsn in federation.dsns.items()}
    for canary in ("canary-amber", "canary-green", "canary-clear"):
        assert not [operator for operator, text in held.items() if canary in text], f"{canary} is outlived"
    for canary in ("canary-strict", "canary-red", "canary-of-megalis", "canary-revised", "canary-narrowed",
                   "canary-hidden"):  # fmt: skip
        found = {operator for operator, text in held.items() if canary in text}
        assert found == entitled[canary], canary
    assert "canary" not in caplog.text
    for operator, node in federation.nodes.items():
        async with httpx2.AsyncClient(base_url=node.url) as client:
            token = await a_token(node, client)
            own = (await client.get("/v1/solutions?limit=500", headers=token)).text
            nobody = (await client.get("/v1/solutions?limit=500")).text
        seen = {canary for canary in entitled if canary in own}
        assert seen == {c for c, may in entitled.items() if operator in may} - {
            "canary-amber", "canary-green", "canary-clear"
        }  # fmt: skip
        assert "canary" not in nobody


async def test_leaving_a_group_takes_the_copies_away(federation: Federation) -> None:
    arnia = federation.nodes["arnia"]
    await publish(arnia, "group", "g", {"name": "g", "members": ["megalis", "recia"]})
    await publish(arnia, "solution", "s", a_solution(name="canary-left"), tlp="AMBER", audience="g")
    await federation.converged()
    assert "canary-left" in await everything_in(federation.dsns["recia"])
    await publish(arnia, "group", "g", {"name": "g", "members": ["megalis"]})
    await federation.converged()
    assert "canary-left" not in await everything_in(federation.dsns["recia"])
    assert "canary-left" in await everything_in(federation.dsns["megalis"])
    await publish(arnia, "group", "g", {"name": "g", "members": ["megalis", "recia"]})
    await federation.converged()
    assert "canary-left" in await everything_in(federation.dsns["recia"])
