"""Fifty kills with -9 lose nothing, double nothing, and leave every copy as its origin has it."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from tests.chaos.killing import KINDS, chaos

KILLS = 50
SEED = 2

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")


async def test_fifty_kills_of_nodes_and_databases_lose_and_double_nothing(tmp_path: Path) -> None:
    logging.disable(logging.CRITICAL)
    try:
        async with chaos(tmp_path, SEED) as found:
            for _ in range(KILLS):
                await found.one()
    finally:
        logging.disable(logging.NOTSET)
    assert found.counts.total() == KILLS
    assert found.counts.keys() == set(KINDS), "everything was killed in the midst of everything"
