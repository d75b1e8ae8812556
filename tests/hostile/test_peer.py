"""The hostile peer, in small: each bound holds, and the honest peer is heard."""

from __future__ import annotations

import pytest

from tests.conftest import Databases, emptied
from tests.hostile.peer import Finding, Sizes, attack

pytestmark = pytest.mark.long

SMALL = Sizes(
    feeds=30, rejected=150, rejected_quota=100, incidents=40, alerts_an_hour=5, junk=1_200, records=400
)


async def test_a_hostile_peer_is_paused_told_of_and_harms_nobody(databases: Databases) -> None:
    said: list[str] = []
    arnia, recia = await emptied(await databases("arnia")), await emptied(await databases("recia"))
    findings = await attack(arnia, recia, SMALL, said.append)
    broken: list[Finding] = [finding for finding in findings if not finding.holds]
    assert not broken, "\n".join(said)
    assert len(findings) >= 12
