"""Whichever way is gone, a list is the same: what was found, in order, and how many."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import product
from typing import Any

import msgspec
import pytest

from federation.domain.content.incident import Incident
from federation.domain.draft import Draft, check_draft
from federation.domain.query import Query, read_query
from federation.domain.visibility import Caller, anonymous, itself
from federation.node import records
from federation.node.node import Node
from federation.store import lists
from federation.store.column_stats import ColumnStats
from tests.conftest import Databases, emptied
from tests.domain.builders import a_group, an_incident
from tests.nodes import a_node, publish
from tests.store.stepwise_transactions import looking

MANY = 60
CALLERS = {
    "own": itself("recia"),
    "peer": Caller(node="recia", operator="arnia", groups=frozenset({"rssi"})),
    "peer in no group": Caller(node="recia", operator="arnia", groups=frozenset()),
    "anonymous": anonymous("recia"),
}
LABELS: tuple[dict[str, Any], ...] = (
    {"tlp": "CLEAR"},
    {"tlp": "GREEN"},
    {"tlp": "AMBER", "audience": "rssi"},
)


@pytest.fixture(scope="module")
async def full(databases: Databases) -> AsyncIterator[Node]:
    """Sixty incidents, in an order of time that is not that of their keys.

    A third is public, a third a group's. The older half is resolved, and of that none is critical.
    """
    dsn = await emptied(await databases("recia"))
    shape: Any = Draft
    async with a_node("recia", dsn) as node:
        await publish(node, "group", "rssi", a_group(members=["arnia"]))
        for n in range(MANY):
            content = an_incident(
                title={"fr": f"Panne {n % 4}"},
                status="resolved" if n < MANY // 2 else "investigating",
                severity="critical" if n >= MANY // 2 and n % 2 else "low",
            )
            draft = check_draft({"content": content, **LABELS[n % 3]}, shape[Incident])
            await records.publish(node, Incident, draft, "recia", f"i{n * 7 % MANY:02}", by=itself("recia"))
        for key in ("i07", "i14"):
            await records.retract(node, Incident, "recia", key, by=itself("recia"))
        async with looking(dsn) as look:
            await look.execute("ANALYZE records")
        yield node
    await emptied(dsn)


QUESTIONS: tuple[list[tuple[str, str]], ...] = (
    [],
    [("status", "resolved")],
    [("status", "investigating"), ("severity", "critical")],
    [("status", "resolved"), ("severity", "critical")],
    [("status", "resolved"), ("severity", "low")],
    [("status", "investigating"), ("severity", "low")],
    [("severity", "low"), ("q", "panne 3")],
    [("severity", "low"), ("origin", "recia")],
    [("status", "resolved"), ("status", "investigating"), ("severity", "low")],
    [("q", "panne 3")],
    [("q", "panne -3"), ("status", "investigating")],
    [("q", "panne 3"), ("status", "resolved"), ("severity", "low")],
    [("status", "resolved"), ("updated_since", "2020-01-01"), ("updated_before", "2199-01-01")],
    [("status", "resolved"), ("updated_since", "2199-01-01")],
)


EXPECTED: dict[tuple[Any, ...], list[str]] = {}
"""Keys to be found, by caller, question and sort: worked out once, since the records do not change."""


async def expected_keys(node: Node, query: Query, caller: Caller, asked: list[tuple[str, str]]) -> list[str]:
    at = (caller, *asked, query.sort)
    if at not in EXPECTED:
        EXPECTED[at] = names(await everything(node, query, caller))
    return EXPECTED[at]


async def everything(node: Node, query: Query, caller: Caller) -> list[dict[str, Any]]:
    """What is to be found, by looking at every document there is."""
    documents: list[dict[str, Any]] = []
    whole = msgspec.structs.replace(query, facets=(), words=None, limit=500, after=None, total=False)
    for document in (await records.collect(node, whole, by=caller))[0]:
        documents.append(msgspec.json.decode(document))

    def asked(document: dict[str, Any]) -> bool:
        content = document["content"]
        for name, values in query.facets:
            if (content | {"origin": document["origin"]})[name] not in values:
                return False
        for word in (query.words or "").split():
            if (word.removeprefix("-") in content["title"]["fr"].lower()) == word.startswith("-"):
                return False
        return True

    return [document for document in documents if asked(document)]


def names(documents: list[dict[str, Any]]) -> list[str]:
    return [document["key"] for document in documents]


BOUNDS = {
    "as they are": {},
    "not few": {"READ": 3},
    "few, and not at a glance": {"GLANCED": 1},
    "neither, and not at a glance": {"GLANCED": 1, "READ": 3},
    "nowhere near": {"WALKED": 9, "FURTHER": 0},
    "just not in reach": {"WALKED": MANY // 2, "FURTHER": 0},
    "neither": {"GLANCED": 1, "WALKED": 9, "FURTHER": 0, "READ": 3},
    "counted by a walk that is not long enough": {"COUNTED": 20, "READ": 3},
    "counted by a walk just as long as there are records": {"COUNTED": MANY - 2, "READ": 3},
    "counted after all by the planner's way": {"COUNTED": 0, "READ": 3},
}


KNOWN = {
    "nothing is common": ColumnStats(),
    "what is": ColumnStats(
        frozenset({"incident.severity=low", "incident.origin=recia"}), frozenset({"pann"})
    ),
    "all of it": ColumnStats(
        frozenset({"incident.severity=low", "incident.origin=recia", "incident.status=resolved"}),
        frozenset({"pann", "3"}),
    ),
}


def cases() -> Iterator[Any]:
    """All of them; of each three with the same bounds and caller, two are slow.

    So each two of caller, bounds and what is known as common meet in one that is not.
    """
    every = (enumerate(BOUNDS.items()), enumerate(CALLERS.items()), enumerate(KNOWN.items()))
    for (n, (bounds, limits)), (m, (name, caller)), (k, (common, known)) in product(*every):
        quick = k == (n + m) % len(KNOWN)
        yield pytest.param(
            caller, limits, known,
            id=f"{common}-{bounds}-{name}", marks=[] if quick else pytest.mark.slow,
        )  # fmt: skip


@pytest.mark.parametrize(("caller", "bounds", "known"), list(cases()))
async def test_a_list_is_the_same_whichever_way_it_is_found(
    full: Node, caller: Caller, bounds: dict[str, int], known: ColumnStats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(full.store._varied, "stats", known)
    monkeypatch.setattr(known, "_until", float("inf"))
    for name, value in bounds.items():
        monkeypatch.setattr(lists, name, value)
    for asked, sort, most in product(QUESTIONS, ("-updated_at", "updated_at", "id"), (5, 1_000)):
        monkeypatch.setattr(lists, "MOST_COUNTED", most)
        query = read_query(Incident, [*asked, ("sort", sort), ("limit", "7"), ("total", "true")])
        expected = await expected_keys(full, query, caller, asked)
        found: list[dict[str, Any]] = []
        while True:
            documents, place, total = await records.collect(full, query, by=caller)
            found += [msgspec.json.decode(document) for document in documents]
            assert total is not None
            assert min(total, most + 1) == min(len(expected), most + 1), (asked, sort, most)
            if place is None:
                break
            assert len(documents) == 7
            query = msgspec.structs.replace(query, after=place)
        assert names(found) == expected, (asked, sort)


def test_the_quick_cases_have_each_two_of_caller_bounds_and_what_is_common() -> None:
    quick = [case.values for case in cases() if not case.marks]
    assert len(quick) == 40
    sizes = (len(CALLERS), len(BOUNDS), len(KNOWN))
    for one, other in ((0, 1), (0, 2), (1, 2)):
        pairs = {(id(case[one]), id(case[other])) for case in quick}
        assert len(pairs) == sizes[one] * sizes[other]


async def test_what_is_expected_there_is_something_of(full: Node) -> None:
    """The control."""
    sizes = [len(await everything(full, read_query(Incident, a), itself("recia"))) for a in QUESTIONS]
    assert sizes[0] == MANY - 2
    assert sizes[3] == sizes[-1] == 0
    assert sum(size > 7 for size in sizes) > 5


async def test_a_total_is_counted_no_further_than_it_is_told(
    full: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "MOST_COUNTED", 5)
    several = [("status", "resolved"), ("severity", "low")]
    for counted, asked in ((0, several), (1_000, several), (0, several[:1]), (0, [])):
        monkeypatch.setattr(lists, "COUNTED", counted)
        query = read_query(Incident, [*asked, ("limit", "1"), ("total", "true")])
        assert (await records.collect(full, query, by=itself("recia")))[2] == 6


async def test_what_is_common_is_known_from_the_statistics(full: Node) -> None:
    asked = [("severity", "low"), ("status", "resolved")]
    await records.collect(full, read_query(Incident, asked), by=itself("recia"))
    known = full.store._varied.stats
    assert {"incident.severity=low", "incident.origin=recia", "incident.status=resolved"} <= known.facets
    assert "incident.tlp=AMBER" in known.facets, "a third has it"
    assert not [one for one in known.facets if one.startswith("group.")], "one of sixty"
    assert "pann" in known.lexemes
    low = known.at_most(["incident.severity=low"])
    assert known.records == MANY + 1
    assert known.at_most(["incident.severity=low"], ["incident.status=resolved"]) <= low < known.records
    assert known.at_most(["incident.severity=none of these"]) < known.records / 10


@pytest.mark.parametrize(
    ("share", "limit", "first"),
    [(0.004, 50, "_few"), (0.004, 10, "_walk"), (0.006, 500, "_walk"), (0.3, 50, "_walk")],
)
async def test_what_few_have_is_read_first_and_what_many_have_is_walked_to(
    full: Node, share: float, limit: int, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a million records, 4 000 are read sooner than 50 of them are walked to, and 10 of them are not; of
    6 000, more would be read than are at most."""
    known = ColumnStats()
    monkeypatch.setattr(full.store._varied, "stats", known)
    monkeypatch.setattr(known, "_until", float("inf"))
    known.records, known._shares = 1e6, {"incident.severity=low": share, "incident.status=resolved": 0.5}
    gone: list[str] = []
    for name in ("_few", "_walk"):
        way = getattr(lists._Asking, name)

        async def noted(self: Any, name: str = name, way: Any = way) -> Any:
            gone.append(name)
            return await way(self)

        monkeypatch.setattr(lists._Asking, name, noted)
    asked = [("severity", "low"), ("status", "resolved"), ("limit", str(limit))]
    await records.collect(full, read_query(Incident, asked), by=itself("recia"))
    assert gone[0] == first


async def test_statistics_are_looked_up_now_and_then(full: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(full.store._varied, "stats", known := ColumnStats())
    async with full.store.read() as tx:
        connection = tx.records._session.connection
        await known.look_up(connection)
        assert known.facets
        known.facets = frozenset()
        await known.look_up(connection)
        assert not known.facets, "the last look is of just now"
        monkeypatch.setattr(known, "_until", 0.0)
        await known.look_up(connection)
        assert known.facets


@pytest.mark.parametrize(
    ("words", "rare"),
    [
        ("'pann' & '3'", "'3'"),
        ("'3' & 'pann' & '4'", "'3' & '4'"),
        ("'o''pann' & 'pann'", "'o''pann'"),
        ("'d''ici' & '3'", "'3'"),
        ("'c:\\\\d' & '3'", "'3'"),
        ("'3' & '4'", None),
        ("'pann'", None),
        ("'pann' & 'd''ici'", None),
        ("'pann' | '3'", None),
        ("'pann' & !'3'", None),
        ("'pann' <-> '3'", None),
        ("'pann' & ( '3' | '4' )", None),
        ("", None),
    ],
)
def test_of_words_that_are_all_wanted_the_common_ones_are_left_out(words: str, rare: str | None) -> None:
    assert ColumnStats(lexemes=frozenset({"pann", "d'ici", "c:\\d"})).rare(words) == rare


async def test_no_list_may_read_the_table(full: Node) -> None:
    async with full.store.read() as tx:
        assert await tx.records._session.connection.fetchval("SHOW enable_seqscan") == "off"
