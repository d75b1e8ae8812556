"""A third node, whose clock and the others' a test can move."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from federation.node.node import Node
from federation.sync import repair
from tests.conftest import Databases, emptied
from tests.nodes import a_node


@pytest.fixture
async def recia(databases: Databases) -> AsyncIterator[Node]:
    """The node of recia, over an empty database of its own."""
    async with a_node("recia", await emptied(await databases("recia"))) as node:
        yield node


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing moves of itself here: there is nothing to wait for before asking again."""
    monkeypatch.setattr(repair, "RETRY_SECONDS", 0.0)
