"""``may_see`` in Python and its twin in SQL say the same of every origin, audience and caller."""

from __future__ import annotations

from itertools import product

import msgspec
import pytest

from federation.domain.content.solution import Solution
from federation.domain.feed import FeedName
from federation.domain.query import read_query
from federation.domain.visibility import Caller, Ceiling, anonymous, itself, may_see
from federation.node import feeds, records
from federation.node.node import Node
from federation.store.records import RecordsReader
from tests.domain.builders import a_group, a_record, a_solution
from tests.nodes import as_peer, publish

ORIGINS = ("arnia", "megalis")
ENVELOPES: dict[str, dict[str, str]] = {
    "public": {"tlp": "CLEAR"},
    "federation": {"tlp": "GREEN"},
    "rssi": {"tlp": "AMBER", "audience": "rssi"},
    "buyers": {"tlp": "AMBER+STRICT", "audience": "buyers"},
    "private": {"tlp": "RED"},
}


def peer(operator: str, *groups: str, excluded_by: tuple[str, ...] = ()) -> Caller:
    return Caller(
        node="arnia",
        operator=operator,
        client=operator,
        groups=frozenset(groups),
        excluded_by=frozenset(excluded_by),
    )


def person(*groups: str, label: str | None = None) -> Caller:
    named = label or ("AMBER" if groups else "GREEN")
    ceiling = msgspec.convert({"label": named, "groups": groups}, Ceiling)
    return Caller(node="arnia", operator="arnia", person="person-1", ceiling=ceiling)


CALLERS = {
    "anonymous": anonymous("arnia"),
    "anonymous that claims groups": Caller(node="arnia", groups=frozenset({"rssi", "buyers", "private"})),
    "own": itself("arnia"),
    "in no group": peer("recia"),
    "in one group": peer("recia", "rssi"),
    "in both groups": peer("recia", "rssi", "buyers"),
    "in a group of another name": peer("recia", "public", "nobody"),
    "the other origin, in no group": peer("megalis"),
    "the other origin, in one group": peer("megalis", "rssi"),
    "excluded by the other origin": peer("recia", excluded_by=("megalis",)),
    "excluded by the other origin, in one group": peer(
        "recia", "rssi", excluded_by=("maximilien", "megalis")
    ),
    "excluded by both origins": peer("recia", "rssi", excluded_by=("arnia", "megalis")),
    "excluded by another origin": peer("recia", "rssi", excluded_by=("maximilien",)),
    "own, and excluded": Caller(node="arnia", operator="arnia", excluded_by=frozenset({"megalis"})),
    "person below GREEN": person(),
    "person below AMBER of a group here": person("arnia/rssi"),
    "person below AMBER of a group elsewhere": person("megalis/rssi"),
    "person below AMBER of groups here and elsewhere": person("arnia/buyers", "megalis/rssi"),
    "person below AMBER of a group that is nowhere": person("recia/rssi"),
    "person below RED": person(label="RED"),
    "anonymous, and excluded": Caller(node="arnia", excluded_by=frozenset({"megalis"})),
}


@pytest.fixture
async def full(arnia: Node) -> Node:
    """Arnia with a record of every origin and audience; live ones and tombstones."""
    for group in ("rssi", "buyers"):
        await publish(arnia, "group", group, a_group(members=["recia"]))
    for audience, envelope in ENVELOPES.items():
        await publish(arnia, "solution", f"arnia-{audience}", a_solution(), **envelope)
    for seq, (audience, envelope) in enumerate(ENVELOPES.items(), 1):
        async with arnia.store.write() as tx:
            place = await tx.feeds.open(FeedName("megalis", audience), "0" * 16)
            record = a_record(origin="megalis", key=f"megalis-{audience}", **envelope)  # type: ignore[arg-type]
            await tx.pulled_records.upsert_in_place("megalis", place.id, [(record, seq)])
    return arnia


def expected(caller: Caller) -> set[str]:
    return {f"{o}-{a}" for o, a in product(ORIGINS, ENVELOPES) if may_see(o, a, caller)}


@pytest.mark.parametrize("caller", CALLERS.values(), ids=CALLERS)
async def test_sql_and_python_see_the_same(full: Node, caller: Caller) -> None:
    found = set()
    for origin, audience in product(ORIGINS, ENVELOPES):
        async with full.store.read() as tx:
            if await tx.records.find("solution", origin, f"{origin}-{audience}", visible_to=caller):
                found.add(f"{origin}-{audience}")
    assert found == expected(caller)


@pytest.mark.parametrize("caller", CALLERS.values(), ids=CALLERS)
@pytest.mark.parametrize(
    "asked",
    [
        [],
        [("sort", "id")],
        [("q", "parc")],
        [("kind", "software")],
        [("status", "stable"), ("status", "beta")],
        [("updated_since", "2026-01-01")],
    ],
    ids=str,
)
async def test_lists_and_totals_show_what_may_be_seen(
    full: Node, caller: Caller, asked: list[tuple[str, str]]
) -> None:
    query = read_query(Solution, [*asked, ("total", "true")])
    documents, _, total = await records.collect(full, query, by=caller)
    assert {msgspec.json.decode(document)["key"] for document in documents} == expected(caller)
    assert total == len(expected(caller))


async def test_the_matrix_holds_both_answers_for_every_caller_but_the_operator() -> None:
    everything = len(ORIGINS) * len(ENVELOPES)
    sizes = {name: len(expected(caller)) for name, caller in CALLERS.items()}
    assert sizes["own"] == sizes["own, and excluded"] == everything
    assert (
        sizes["anonymous"] == sizes["anonymous that claims groups"] == sizes["anonymous, and excluded"] == 2
    )
    assert sizes["person below RED"] == everything
    assert sizes["person below GREEN"] == sizes["person below AMBER of a group that is nowhere"] == 4
    assert sizes["person below AMBER of a group here"] == 5
    assert sizes["person below AMBER of groups here and elsewhere"] == 6
    everything_seen = ("own", "own, and excluded", "person below RED")
    assert all(0 < size < everything for name, size in sizes.items() if name not in everything_seen)
    assert sizes["excluded by the other origin"] == sizes["in no group"] - 1
    assert sizes["excluded by another origin"] == sizes["in one group"]


async def test_who_reads_records_says_for_whom() -> None:
    """A reader that forgets it does not run."""
    reader = RecordsReader(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="visible_to"):
        await reader.find("solution", "arnia", "glpi")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="visible_to"):
        await reader.collect(read_query(Solution, []))  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="visible_to"):
        await reader.change_log(0, 1, 1)  # type: ignore[call-arg]


@pytest.mark.parametrize("caller", CALLERS.values(), ids=CALLERS)
async def test_heads_are_shown_of_the_feeds_that_may_be_read(full: Node, caller: Caller) -> None:
    heads = {(head.origin, head.audience) for head in await feeds.heads(full, by=caller)}
    readable = {a for a in ENVELOPES if a != "private" and may_see("arnia", a, caller)}
    assert heads == {("arnia", audience) for audience in readable}


async def test_membership_is_that_of_now(full: Node) -> None:
    assert (await as_peer(full, "recia")).groups == {"rssi", "buyers"}
    assert (await as_peer(full, "megalis")).groups == set()
    await publish(full, "group", "rssi", a_group(members=["megalis"]))
    assert (await as_peer(full, "recia")).groups == {"buyers"}
    assert (await as_peer(full, "megalis")).groups == {"rssi"}


async def test_a_group_of_another_operator_is_no_group_here(full: Node) -> None:
    from federation.domain.content.group import Group

    async with full.store.write() as tx:
        place = await tx.feeds.open(FeedName("megalis", "public"), "0" * 16)
        theirs = a_record(a_group(members=["recia"]), Group, origin="megalis", key="theirs", tlp="RED")
        await tx.pulled_records.upsert_in_place("megalis", place.id, [(theirs, 99)])
    assert (await as_peer(full, "recia")).groups == {"rssi", "buyers"}
    async with full.store.read() as tx:
        assert not await tx.groups.exists("theirs", node="arnia")
        assert await tx.groups.exists("rssi", node="arnia")
