"""DPoP proofs are good once, also when many come at the same time and in several processes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from federation.domain.errors import Unavailable
from federation.node.node import Node
from federation.store.tokens import TokensWriter
from tests.nodes import a_node

LATER = datetime.now(UTC) + timedelta(minutes=2)


def proof(number: int) -> bytes:
    return number.to_bytes(32)


async def test_each_of_many_proofs_is_good_once(arnia: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    statements: list[int] = []
    use = TokensWriter.use_dpop_proofs

    async def counted(self: TokensWriter, proofs: Mapping[bytes, datetime]) -> frozenset[bytes]:
        statements.append(len(proofs))
        return await use(self, proofs)

    monkeypatch.setattr(TokensWriter, "use_dpop_proofs", counted)
    assert all(await asyncio.gather(*(arnia.used_proofs.use(proof(n), LATER) for n in range(200))))
    assert len(statements) == 1, "those that come at once are noted together"
    again = await asyncio.gather(*(arnia.used_proofs.use(proof(n), LATER) for n in range(199, 202)))
    assert again == [False, True, True]


async def test_one_proof_twice_at_the_same_time_is_good_for_one_of_the_two(arnia: Node) -> None:
    results = await asyncio.gather(*(arnia.used_proofs.use(proof(1), LATER) for _ in range(5)))
    assert sorted(results) == [False, False, False, False, True]


async def test_a_proof_is_good_once_for_all_processes(arnia: Node, dsn: str) -> None:
    async with a_node("arnia", dsn) as beside:
        both = [node.used_proofs.use(proof(n), LATER) for n in range(20) for node in (arnia, beside)]
        results = await asyncio.gather(*both)
    assert [sum(pair) for pair in zip(results[::2], results[1::2], strict=True)] == [1] * 20


async def test_without_a_database_no_proof_is_good(arnia: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any) -> frozenset[bytes]:
        raise Unavailable("the database cannot be reached")

    with monkeypatch.context() as broken:
        broken.setattr(TokensWriter, "use_dpop_proofs", refuse)
        results = await asyncio.gather(
            *(arnia.used_proofs.use(proof(n), LATER) for n in range(3)), return_exceptions=True
        )
    assert [type(result) for result in results] == [Unavailable] * 3
    assert await arnia.used_proofs.use(proof(0), LATER), "nothing is left of the failure"
