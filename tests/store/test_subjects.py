"""A contribution is visible to those who may see it and the record that it is about."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import msgspec
import pytest

from federation.domain.content.contribution import Contribution
from federation.domain.errors import NotFound
from federation.domain.feed import FeedName
from federation.domain.query import read_query
from federation.domain.visibility import PUBLIC, Caller, itself, may_see
from federation.node import contributions, records
from federation.node.node import Node
from tests.domain.builders import a_contribution, a_group, a_record, a_solution
from tests.nodes import publish
from tests.store.test_seeing import CALLERS, ENVELOPES, ORIGINS

LABELS = {"public": "CLEAR", "federation": "GREEN", "private": "RED"}
ABSENT = "absent"


class Cell(NamedTuple):
    """A contribution by its origin and audience, and the origin and audience of its subject."""

    origin: str
    audience: str
    of: str
    subject: str

    @property
    def key(self) -> str:
        return "-".join(self)

    def is_visible(self, caller: Caller) -> bool:
        if caller.sees_all:
            return True
        return (
            may_see(self.origin, self.audience, caller)
            and self.subject != ABSENT
            and may_see(self.of, self.subject, caller)
        )


CELLS = [Cell(*cell) for cell in product(ORIGINS, LABELS, ORIGINS, (*ENVELOPES, ABSENT))]


@pytest.fixture
async def full(arnia: Node) -> Node:
    """Contributions of every label to records of every audience, most of which became narrower later."""
    for number, cell in enumerate(CELLS, 1):
        about = {"type": "solution", "id": f"{cell.of}/{cell.subject}"}
        content = a_contribution(about=about)
        if cell.origin == "arnia":
            await publish(arnia, "contribution", cell.key, content, tlp=LABELS[cell.audience])
            continue
        async with arnia.store.write() as tx:
            feed = await tx.feeds.open(FeedName("megalis", cell.audience), "0" * 16)
            record = a_record(
                content, Contribution, origin="megalis", key=cell.key, tlp=LABELS[cell.audience]
            )
            await tx.pulled_records.upsert_in_place("megalis", feed.id, [(record, number)])
    for group in ("rssi", "buyers"):
        await publish(arnia, "group", group, a_group(members=["recia"]))
    for number, (audience, envelope) in enumerate(ENVELOPES.items(), 1_000):
        await publish(arnia, "solution", audience, a_solution(), **envelope)
        async with arnia.store.write() as tx:
            feed = await tx.feeds.open(FeedName("megalis", audience), "0" * 16)
            subject = a_record(origin="megalis", key=audience, **envelope)  # type: ignore[arg-type]
            await tx.pulled_records.upsert_in_place("megalis", feed.id, [(subject, number)])
    return arnia


async def test_everywhere_the_subject_decides_too(full: Node) -> None:
    sizes = {}
    for name, caller in CALLERS.items():
        expected = {cell.key for cell in CELLS if cell.is_visible(caller)}
        sizes[name] = len(expected)
        found = set()
        async with full.store.read() as tx:
            for cell in CELLS:
                if await tx.records.find("contribution", cell.origin, cell.key, visible_to=caller):
                    found.add(cell.key)
            ids = [f"{cell.origin}/{cell.key}" for cell in CELLS]
            named = await tx.records.visible_ids("contribution", ids, visible_to=caller)
        assert found == expected, name
        assert {id_.partition("/")[2] for id_ in named} == expected, name
        for asked in (
            [],
            [("sort", "id")],
            [("q", "utile")],
            [("kind", "comment")],
            [("sort", "updated_at")],
        ):
            query = read_query(Contribution, [*asked, ("total", "true"), ("limit", "500")])
            documents, _, total = await records.collect(full, query, by=caller)
            listed = {msgspec.json.decode(document)["key"] for document in documents}
            assert (listed, total) == (expected, len(expected)), (name, asked)
    assert sizes["own"] == len(CELLS)
    assert 0 < sizes["anonymous"] < sizes["in no group"] < sizes["in one group"] < len(CELLS)


async def test_a_tombstone_says_nothing_of_its_subject(full: Node) -> None:
    key = Cell("arnia", PUBLIC, "arnia", "private").key
    await records.retract(full, Contribution, "arnia", key, by=itself("arnia"))
    found = await records.find(full, Contribution, "arnia", key, by=CALLERS["anonymous"])
    assert found.retracted


@pytest.mark.parametrize("caller", ["anonymous", "in no group", "own"])
async def test_beneath_a_record_they_are_in_the_order_of_creation(full: Node, caller: str) -> None:
    by = CALLERS[caller]
    for subject in ("arnia/public", "arnia/rssi"):
        of, _, audience = subject.partition("/")
        expected = {
            cell.key for cell in CELLS if (cell.of, cell.subject) == (of, audience) and cell.is_visible(by)
        }
        if not may_see(of, audience, by):
            with pytest.raises(NotFound):
                await contributions.beneath(full, "solution", subject, by=by)
            continue
        found = await contributions.beneath(full, "solution", subject, by=by)
        assert {entry.key for entry in found.entries} == expected
        moments = [entry.created_at for entry in found.entries]
        assert moments == sorted(moments)
        assert not found.more
    with pytest.raises(NotFound):
        await contributions.beneath(full, "solution", "arnia/absent", by=by)
