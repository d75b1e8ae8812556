"""Kills with -9 lose nothing, double nothing, and leave every copy as its origin has it."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from tests.chaos.kills import KINDS, chaos

KILLS = 50
SEED = 2

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
]


@pytest.mark.parametrize("kinds", [KINDS, pytest.param((None,) * KILLS, marks=pytest.mark.slow)])
async def test_kills_of_nodes_and_databases_lose_and_double_nothing(
    tmp_path: Path, kinds: tuple[str | None, ...]
) -> None:
    """Each kind once; or, when it may take minutes, fifty drawn as often as each matters."""
    logging.disable(logging.CRITICAL)
    try:
        async with chaos(tmp_path, SEED) as found:
            for kind in kinds:
                await found.one(kind)
    finally:
        logging.disable(logging.NOTSET)
    assert found.counts.total() == len(kinds)
    assert found.counts.keys() == set(KINDS), "everything was killed in the midst of everything"
