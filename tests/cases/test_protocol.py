"""Public cases: a clock that is off says so, and a list can be read to its end while records change."""

from __future__ import annotations

import json
import time
from email.utils import formatdate

import pytest

from federation.api.parameters import CONTROL_PARAMETERS
from federation.domain.content.solution import Solution
from federation.domain.errors import AccessRefused
from federation.domain.query import PageKey, Query, Sort
from federation.domain.visibility import itself
from federation.node import records
from federation.node.node import Node
from federation.sync.peer_client import PeerSource
from tests.domain.builders import a_solution
from tests.hostile.members import befriend
from tests.nodes import publish
from tests.sync.peers import known_as, reply, tiny


@pytest.mark.case("e01", "a token that is refused because of a clock names the clock")
@pytest.mark.parametrize("ahead", [180, 600, -180])
async def test_a_refused_token_names_the_clocks_that_differ(arnia: Node, ahead: int) -> None:
    date = formatdate(time.time() + ahead, usegmt=True)
    async with tiny(token=reply(b'{"error":"invalid_client"}', status=401, date=date)) as peer:
        await befriend(arnia, [known_as("megalis", peer.url)])
        source = PeerSource("arnia", known_as("megalis", peer.url), arnia.keyring)
        try:
            with pytest.raises(AccessRefused, match=r"^the clocks differ by \d+ .*invalid_client"):
                await source.heads()
        finally:
            await source.close()


@pytest.mark.case("e02", "a list that is walked by id or by time of revision loses no record that is revised")
@pytest.mark.parametrize("sort", ["id", "updated_at"])
async def test_a_walk_loses_no_record_that_is_revised_meanwhile(arnia: Node, sort: Sort) -> None:
    for number in range(9):
        await publish(arnia, "solution", f"s{number}", a_solution(name=f"Solution {number}"))
    seen: set[str] = set()
    after: PageKey | None = None
    revised = iter(("s8", "s0", "s4"))
    while True:
        query = Query(kind=Solution, sort=sort, limit=3, after=after)
        documents, after, _ = await records.collect(arnia, query, by=itself("arnia"))
        seen |= {json.loads(document)["key"] for document in documents}
        if after is None:
            break
        if (key := next(revised, None)) is not None:
            await publish(arnia, "solution", key, a_solution(name="Revised"))
    assert seen == {f"s{number}" for number in range(9)}


def test_the_parameter_says_which_order_is_for_walking() -> None:
    description = CONTROL_PARAMETERS["sort"].about["description"]
    assert "`id`" in description
    assert "to its end" in description
