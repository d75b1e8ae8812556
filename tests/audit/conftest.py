"""A connection beside the node's, to look at what it does and to alter what it noted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.store.stepwise_transactions import looking


@pytest.fixture
async def look(dsn: str) -> AsyncIterator[Any]:
    """A connection to arnia's database, of the test's own."""
    async with looking(dsn) as connection:
        yield connection
