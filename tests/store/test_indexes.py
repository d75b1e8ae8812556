"""With 20 000 records, every question to them finds its answer by an index."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from federation.domain.content.deployment import Deployment
from federation.domain.draft import Draft, check_draft
from federation.domain.exposure.linkage import MAX_LINKS_PER_SOLUTION
from federation.domain.feed import Cursor, FeedName
from federation.domain.query import SORTS, read_query
from federation.domain.visibility import Caller, anonymous, itself
from federation.node import exposure_index, records
from federation.store import checkpoints as store_digests
from federation.store import entries, lists, pools, pulled_records, record_writes
from federation.store import feeds as store_feeds
from federation.store import records as store_records
from federation.store.column_stats import ColumnStats
from federation.store.entries import EntriesReader
from federation.store.exclusions import ExclusionsReader
from federation.store.exposure_index import ExposureWriter
from federation.store.feeds import FeedsReader
from federation.store.groups import GroupsReader
from federation.store.linkage import LinkageReader, identifiers_around
from federation.store.list_filters import Shape, filter_values, page_values
from federation.store.list_statements import count_by_index, count_by_order, page_by_index, page_by_order
from federation.store.pulled_records import PulledRecordsWriter
from federation.store.record_writes import RecordsWriter
from federation.store.records import RecordsReader
from federation.store.statements import Session, Statement
from tests.conftest import Databases, emptied
from tests.domain.builders import a_deployment, a_solution
from tests.nodes import a_node, publish
from tests.store.stepwise_transactions import looking

pytestmark = pytest.mark.long

MANY = 20_000
CALLERS = {
    "own": itself("recia"),
    "peer": Caller(node="recia", operator="arnia", groups=frozenset({"rssi"})),
    "anonymous": anonymous("recia"),
}


class Explaining:
    """A connection that notes the plan of everything it is asked before it answers."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.plans: list[str] = []

    async def _explain(self, statement: str, *arguments: Any) -> None:
        rows = await self._connection.fetch(f"EXPLAIN {statement}", *arguments)
        self.plans.append("\n".join(row[0] for row in rows))

    async def fetch(self, statement: str, *arguments: Any) -> Any:
        await self._explain(statement, *arguments)
        return await self._connection.fetch(statement, *arguments)

    async def fetchrow(self, statement: str, *arguments: Any) -> Any:
        await self._explain(statement, *arguments)
        return await self._connection.fetchrow(statement, *arguments)

    async def fetchval(self, statement: str, *arguments: Any) -> Any:
        await self._explain(statement, *arguments)
        return await self._connection.fetchval(statement, *arguments)

    async def execute(self, statement: str, *arguments: Any) -> Any:
        await self._explain(statement, *arguments)
        return await self._connection.execute(statement, *arguments)

    def found_by_index(self) -> None:
        assert self.plans
        for plan in self.plans:
            assert "Seq Scan on records" not in plan, plan
            assert "Seq Scan on deployed " not in plan, plan
            assert "Seq Scan on solution_identifiers" not in plan, plan


@pytest.fixture(scope="module")
async def full(databases: Databases) -> AsyncIterator[str]:
    """A database of 20 000 deployments, one in ten of them public."""
    dsn = await emptied(await databases("recia"))
    shape: Any = Draft

    def draft(n: int) -> Draft[Any]:
        body = {"identifiers": [{"scheme": "0060", "value": f"{n:09}"}]}
        content = a_deployment(
            coverage={"kind": "list", "beneficiaries": [body]},
            hosting={"model": "operator", "provider": f"Hébergeur {n % 700}"},
            version=f"10.{n % 400}",
        )
        draft: Draft[Any] = check_draft(
            {"content": content, "tlp": "GREEN" if n % 10 else "CLEAR"}, shape[Deployment]
        )
        return draft

    async with a_node("recia", dsn) as node:
        for start in range(0, MANY, 5_000):
            drafts = {f"d{n:05}": draft(n) for n in range(start, start + 5_000)}
            await records.upload(node, Deployment, drafts, by=itself("recia"))
    async with looking(dsn) as look:
        await look.execute("VACUUM ANALYZE")
    yield dsn
    await emptied(dsn)


@pytest.fixture
async def explaining(full: str) -> AsyncIterator[Explaining]:
    async with looking(full) as connection:
        # As in store/database.py.
        await connection.execute("SET jit = off; SET enable_seqscan = off")
        yield Explaining(connection)


@pytest.mark.parametrize("caller", CALLERS.values(), ids=CALLERS)
async def test_a_record_is_found_by_its_key(explaining: Explaining, caller: Caller) -> None:
    reader = RecordsReader(Session(explaining))
    assert await reader.find("deployment", "recia", "d00010", visible_to=caller)
    explaining.found_by_index()


QUESTIONS: dict[str, tuple[list[tuple[str, str]], int]] = {
    "everything": ([], 50),
    "in order of age": ([("sort", "updated_at")], 50),
    "by id": ([("sort", "id")], 50),
    "a version": ([("version", "10.20")], 50),
    "one of two versions": ([("version", "10.20"), ("version", "10.30")], 50),
    "a version and a status": ([("version", "10.20"), ("status", "production")], 50),
    "a filter that finds nothing": ([("status", "planned")], 0),
    "a beneficiary": ([("beneficiary", "0060:000000010")], 1),
    "a search": ([("q", "hebergeur 210")], 20),
    "a search that finds nothing": ([("q", "introuvable")], 0),
    "a search for either of two": ([("q", "hebergeurs 210 or 211")], 20),
    "a search of words French does not count": ([("q", "avec")], 0),
    "what is new": ([("updated_since", "2199-01-01")], 0),
}


@pytest.mark.parametrize("caller", CALLERS.values(), ids=CALLERS)
@pytest.mark.parametrize(("asked", "least"), QUESTIONS.values(), ids=QUESTIONS)
async def test_a_list_is_found_by_an_index(
    explaining: Explaining, caller: Caller, asked: list[tuple[str, str]], least: int
) -> None:
    reader = RecordsReader(Session(explaining))
    documents, place, _ = await reader.collect(read_query(Deployment, asked), visible_to=caller)
    explaining.found_by_index()
    assert len(documents) >= (min(least, 1) if caller.operator is None else least)
    if place is not None:
        following = read_query(Deployment, [*asked, ("after", str(place))])
        more, _, _ = await reader.collect(following, visible_to=caller)
        explaining.found_by_index()
        assert not set(more) & set(documents)


@pytest.mark.parametrize(
    "asked",
    [[("version", "10.20")], [("q", "hebergeur 210")], [("beneficiary", "0060:000000010")]],
    ids=str,
)
async def test_a_total_is_counted_by_an_index(explaining: Explaining, asked: list[tuple[str, str]]) -> None:
    reader = RecordsReader(Session(explaining))
    query = read_query(Deployment, [*asked, ("total", "true")])
    _, _, total = await reader.collect(query, visible_to=itself("recia"))
    assert total
    explaining.found_by_index()


BOUNDS = {
    "as they are": {},
    "a scan ends early": {"MAX_ROWS_BY_ORDER": 3, "ROWS_BY_ORDER_PER_RESULT": 0},
    "the index finds too many": {"MAX_ROWS_BY_INDEX": 3},
    "neither suffices at first": {
        "MAX_ROWS_BY_INDEX": 3, "MAX_ROWS_BY_ORDER": 3, "ROWS_BY_ORDER_PER_RESULT": 0,
    },
}  # fmt: skip


@pytest.mark.parametrize("bounds", BOUNDS.values(), ids=BOUNDS)
@pytest.mark.parametrize("sort", SORTS)
async def test_every_strategy_finds_a_list_by_an_index(
    explaining: Explaining, bounds: dict[str, int], sort: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (bounds | {"MAX_TOTAL": 20}).items():
        monkeypatch.setattr(lists, name, value)
    for known in (None, ColumnStats()):
        reader = RecordsReader(Session(explaining, known))
        for caller in CALLERS.values():
            for asked, _ in QUESTIONS.values():
                question = [pair for pair in asked if pair[0] != "sort"] + [("sort", sort), ("total", "true")]
                await reader.collect(read_query(Deployment, question), visible_to=caller)
    explaining.found_by_index()
    assert known is not None
    assert "hebergeur" in known.lexemes


def read_of_records(plan: dict[str, Any]) -> int:
    """Rows that a plan has read of the table, those that it then left out as well."""
    own = 0
    if plan.get("Relation Name") == "records":
        own = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
    return int(own * plan["Actual Loops"]) + sum(map(read_of_records, plan.get("Plans", ())))


def name_of(statement: str) -> str:
    """Which statement of ``list_statements.py`` this is."""
    for name in ("page_by_order", "page_by_index", "count_by_order", "count_by_index"):
        if f"/* {name} */" in statement:
            return name
    return "another"


@pytest.mark.parametrize(
    ("build", "expected"),
    [(page_by_order, 401), (count_by_order, 401), (page_by_index, 201), (count_by_index, 201)],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
async def test_each_statement_reads_no_more_rows_than_its_bound(
    explaining: Explaining, build: Callable[[Shape], Statement], expected: int
) -> None:
    """All records have the filter, and one in ten of them may be seen.

    A scan of 200 rows that is cut looks for one more, by the entries of the index: 201.
    """
    query = read_query(Deployment, [("hosting", "operator"), ("sort", "id")])
    bounds = {"max_total": 1_000} if build in (count_by_order, count_by_index) else page_values(query)
    statement = build(Shape.of(query, "anonymous"))
    arguments = statement.arguments(filter_values(query) | bounds | {"rows": 200})
    (row,) = await explaining._connection.fetch(
        f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.text}", *arguments
    )
    assert read_of_records(msgspec.json.decode(row[0])[0]["Plan"]) == expected


@pytest.mark.parametrize(
    ("asked", "strategies"),
    [
        ([], ["page_by_order"]),
        ([("updated_since", "2020-01-01")], ["page_by_order"]),
        ([("version", "10.20")], ["page_by_index"]),
        ([("version", "10.20"), ("sort", "id")], ["page_by_index"]),
        ([("version", "10.20"), ("status", "production")], ["page_by_index"]),
        ([("version", "10.20"), ("limit", "1"), ("status", "production")], ["page_by_index"]),
        ([("status", "production"), ("hosting", "operator")], ["page_by_order"]),
        ([("beneficiary", "0060:000000010")], ["page_by_index"]),
        ([("beneficiary", "0060:000000010"), ("q", "hebergeur")], ["page_by_index"]),
        ([("version", "10.20"), ("q", "hebergeur")], ["page_by_index"]),
        ([("q", "hebergeur 210")], ["page_by_index"]),
        ([("q", "hebergeur"), ("sort", "-updated_at")], ["page_by_order"]),
        ([("q", "hebergeur")], ["page_by_order"]),
        ([("status", "planned"), ("hosting", "operator")], ["page_by_index"]),
    ],
    ids=str,
)
async def test_statistics_choose_the_strategy(
    explaining: Explaining, asked: list[tuple[str, str]], strategies: list[str]
) -> None:
    run: list[str] = []
    plain = explaining._connection

    class Noting(Explaining):
        async def _explain(self, statement: str, *arguments: Any) -> None:
            run.append(name_of(statement))

    known = ColumnStats()
    await RecordsReader(Session(Noting(plain), known)).collect(
        read_query(Deployment, asked), visible_to=itself("recia")
    )
    assert [name for name in run if name != "another"] == strategies


@pytest.mark.parametrize("indexed_first", [False, True])
async def test_the_other_strategy_is_tried_next_and_then_both_with_a_larger_bound(
    explaining: Explaining, indexed_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds = {"MAX_ROWS_BY_ORDER": 3, "ROWS_BY_ORDER_PER_RESULT": 0, "MAX_ROWS_BY_INDEX": 3}
    for name, value in bounds.items():
        monkeypatch.setattr(lists, name, value)
    order = [lists.Strategy.BY_ORDER, lists.Strategy.BY_INDEX]
    monkeypatch.setattr(lists, "choose", lambda *_, **__: order[indexed_first])
    run: list[str] = []
    plain = explaining._connection

    class Noting(Explaining):
        async def _explain(self, statement: str, *arguments: Any) -> None:
            run.append(name_of(statement))

    # Fifty records have the version, one in four hundred: 3 · 8 · 8 rows of the index hold them all.
    query = read_query(Deployment, [("version", "10.20"), ("limit", "1")])
    await RecordsReader(Session(Noting(plain))).collect(query, visible_to=itself("recia"))
    names = ["page_by_index", "page_by_order"]
    assert run == [*(names if indexed_first else names[::-1]), *names, "page_by_index"]


@pytest.mark.parametrize("after", [0, 9_000, 17_900])
async def test_a_page_of_a_feed_is_found_by_an_index(explaining: Explaining, after: int) -> None:
    reader = FeedsReader(Session(explaining._connection))
    place = await reader.find(FeedName("recia", "federation"))
    assert place
    assert place.epoch
    rows, _ = await EntriesReader(Session(explaining)).page(place, Cursor(place.epoch, after), 1_000)
    assert [row[0] for row in rows] == list(range(after + 1, min(after + 1_000, 18_000) + 1))
    explaining.found_by_index()


@pytest.mark.parametrize("after", [0, 10_000, 19_990])
async def test_a_page_of_arrivals_is_found_by_an_index(explaining: Explaining, after: int) -> None:
    reader = RecordsReader(Session(explaining))
    rows, _ = await reader.change_log(after, MANY, 1_000, visible_to=itself("recia"))
    assert [row[0] for row in rows] == list(range(after + 1, min(after + 1_000, MANY) + 1))
    explaining.found_by_index()


async def test_groups_are_found_by_an_index(explaining: Explaining) -> None:
    """Asked at every request of a peer's."""
    session = Session(explaining)
    assert await ExclusionsReader(session).viewer("arnia", node="recia") == (frozenset(), frozenset())
    assert not await GroupsReader(session).exists("rssi", node="recia")
    explaining.found_by_index()


@pytest.mark.parametrize("many", [1, 500])
async def test_documents_are_found_by_their_ids(explaining: Explaining, many: int) -> None:
    ids = [f"recia/d{n:05}" for n in range(many)]
    for caller in CALLERS.values():
        documents = await RecordsReader(Session(explaining)).documents("deployment", ids, visible_to=caller)
        assert len(documents) <= many
    explaining.found_by_index()


@pytest.mark.parametrize("many", [1, 500])
async def test_what_is_held_is_found_by_an_index(explaining: Explaining, many: int) -> None:
    keys = [f"d{n:05}" for n in range(many)]
    own, pulled = RecordsWriter(Session(explaining)), PulledRecordsWriter(Session(explaining))
    assert len(await own.stored_revisions("deployment", "recia", keys)) == many
    assert len(await pulled.stored_revisions("recia", [("deployment", key) for key in keys])) == many
    explaining.found_by_index()


async def test_exposure_reads_groups_and_what_has_arrived_and_no_table_of_records(
    full: str, explaining: Explaining
) -> None:
    async with a_node("recia", full) as node:
        await exposure_index.refresh(node)
        async with looking(full) as look:
            await look.execute("ANALYZE deployed, deployed_groups")
        await publish(node, "deployment", "d00010", a_deployment(version="10.10"), tlp="CLEAR")
    writer = ExposureWriter(Session(explaining))
    assert await writer.refresh() == 0
    for caller in CALLERS.values():
        groups = await writer.of_solutions(["arnia/glpi"], visible_to=caller)
        assert sum(group.deployments for group in groups) in (MANY, MANY // 10)
        await writer.of_operator("recia", visible_to=caller)
        await writer.covering([group.id for group in groups], visible_to=caller)
        singles = await writer.singles(["recia/d00010", "recia/d00020"], visible_to=caller)
        await writer.counts(singles, visible_to=caller)
        await writer.list_deployments([group.id for group in groups[:5]], 100, visible_to=caller)
    explaining.found_by_index()


async def test_the_same_software_is_found_by_what_records_name_whatever_there_is(
    full: str, explaining: Explaining
) -> None:
    async with a_node("recia", full) as node, looking(full) as look:
        await exposure_index.refresh(node)
        await look.execute(
            "INSERT INTO solution_identifiers (origin, key, identifier, audience)"
            " SELECT 'op' || n % 3, 's' || n, 'https://github.com/o/' || n % 7, 'public'"
            " FROM generate_series(1, 20000) AS n"
        )
        await look.execute("ANALYZE solution_identifiers")
        try:
            await publish(node, "solution", "glpi", a_solution(repository="https://github.com/o/1"))
            assert await ExposureWriter(Session(explaining)).refresh() == 0
            linkage = LinkageReader(Session(explaining))
            for caller in CALLERS.values():
                said = await linkage.identifiers_of(["recia/glpi", "op1/s1"], visible_to=caller)
                assert said == {
                    "recia/glpi": ("https://github.com/o/1",),
                    "op1/s1": ("https://github.com/o/1",),
                }
                found = await linkage.solutions_naming(
                    ["https://github.com/o/1", "recia/glpi"], visible_to=caller
                )
                assert len(found["https://github.com/o/1"]) == 3 * (MAX_LINKS_PER_SOLUTION + 1) + 1
                around = identifiers_around(["recia/glpi"], said["recia/glpi"])
                assert await linkage.solutions_naming_around(
                    ["recia/glpi"], 100, visible_to=caller
                ) == await linkage.solutions_naming(around, visible_to=caller)
            explaining.found_by_index()
        finally:
            await look.execute("TRUNCATE solution_identifiers")


PLANNED_ONCE = "BEGIN;" + ";".join(f"SET LOCAL {n} = '{value}'" for n, value in pools.FIXED.items())
WRITES = {
    "upsert": record_writes.UPSERT,
    "upsert one": record_writes.UPSERT_ONE,
    "current state": store_records.CURRENT_STATE,
    "own revisions": record_writes.LOCK_REVISIONS,
    "upsert pulled": pulled_records.UPSERT,
    "insert pulled": pulled_records.INSERT,
    "pulled revisions": pulled_records.STORED_REVISIONS,
    "feed with records": store_feeds.FIND_WITH_RECORDS,
    "purge": pulled_records.PURGE,
}


@pytest.mark.parametrize("statement", WRITES.values(), ids=WRITES)
async def test_a_write_is_planned_once_and_finds_by_whole_keys(full: str, statement: str) -> None:
    """Who writes plans for any value, see ``store/database.py``.

    An index of which only the type or the origin is asked is read as the table would be.
    """
    many = max(int(number) for number in re.findall(r"\$([0-9]+)", statement))
    async with looking(full) as look:
        for emptied in (False, True):
            await look.execute(PLANNED_ONCE)
            if emptied:
                await look.execute("TRUNCATE records")
            await look.execute(f"PREPARE written AS {statement}")
            rows = await look.fetch(f"EXPLAIN EXECUTE written ({', '.join(['NULL'] * many)})")
            await look.execute("ROLLBACK; DEALLOCATE written")
            plan = "\n".join(row[0] for row in rows)
            assert "records" in plan
            assert "Seq Scan on records" not in plan
            assert "Seq Scan on withdrawals" not in plan
            for found in re.findall(r"Scan .*on (?:pk_)?records.*\n.*Cond: (.*)", plan):
                assert "key = " in found, plan


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        (store_digests.COMPUTE_CHANGED_BUCKETS, "(1, 17999, '{7}')"),
        (store_digests.LIST_LEAVES, "(1, 7)"),
        (store_digests.STORED_LEAVES.text, "(1, 7::smallint)"),
    ],
    ids=["digests", "leaves", "leaves that are held"],
)
async def test_the_leaves_of_a_bucket_are_read_in_their_index_alone(
    full: str, statement: str, values: str
) -> None:
    """Each in its row would be a page of the table for each of them."""
    async with looking(full) as look:
        await look.execute("VACUUM records")
        await look.execute(PLANNED_ONCE)
        await look.execute(f"PREPARE leaves AS {statement}")
        rows = await look.fetch(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE leaves {values}")
        await look.execute("ROLLBACK; DEALLOCATE leaves")
    (read,) = [
        node
        for node in _nodes(msgspec.json.decode(rows[0][0])[0]["Plan"])
        if node.get("Index Name") == "ix_records_bucket"
    ]
    assert read["Node Type"] == "Index Only Scan"
    assert read["Actual Rows"] > 0
    assert read["Heap Fetches"] == 0


async def test_news_are_looked_up_by_a_plan_for_any_value(full: str) -> None:
    async with looking(full) as look:
        await look.execute(PLANNED_ONCE)
        await look.execute(f"PREPARE news AS {entries.LIST_OWN_DELTAS}")
        rows = await look.fetch("EXPLAIN EXECUTE news ('a', '{federation}', '{e}', '{17999}', 100, 262144)")
        await look.execute("ROLLBACK; DEALLOCATE news")
    plan = "\n".join(row[0] for row in rows)
    assert "Seq Scan" not in plan
    found = r"Scan using uq_records_feed_seq on records.*\n.*Cond: .*feed = .* seq > .* seq <= "
    assert re.search(found, plan.replace("(", "")), plan


async def test_what_has_changed_of_a_feed_is_not_taken_for_a_third_of_it(full: str) -> None:
    """Else whichever index is the smallest is read, all of the feed, for every signature and comparison."""
    async with looking(full) as look:
        await look.execute(PLANNED_ONCE)
        await look.execute(f"PREPARE digest AS {store_digests.COMPUTE_CHANGED_BUCKETS}")
        rows = await look.fetch("EXPLAIN (FORMAT JSON) EXECUTE digest (1, 17999, '{}')")
        await look.execute("ROLLBACK; DEALLOCATE digest")
    (changed,) = [
        node
        for node in _nodes(msgspec.json.decode(rows[0][0])[0]["Plan"])
        if node.get("Relation Name") == "records" and "(seq > $2)" in str(node)
    ]
    assert "(seq > $2)" not in changed.get("Filter", "")
    assert changed["Plan Rows"] < MANY / 50


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    inner = [node for one in plan.get("Plans", ()) for node in _nodes(one)]
    return [{name: value for name, value in plan.items() if name != "Plans"}, *inner]


async def test_a_plan_that_reads_the_whole_table_would_be_noticed(explaining: Explaining) -> None:
    """The control."""
    await explaining.fetch("SELECT key FROM records WHERE document = $1", b"")
    with pytest.raises(AssertionError):
        explaining.found_by_index()


async def test_a_prepared_statement_stays_quick_when_it_has_been_run_often(full: str) -> None:
    """After five runs PostgreSQL may choose a plan for any value; it must not be a bad one."""
    async with a_node("recia", full) as node:
        for asked in ([("version", "10.20")], [("q", "hebergeur 210")], [("beneficiary", "0060:000000010")]):
            query = read_query(Deployment, asked)
            for _ in range(8):
                await records.collect(node, query, by=itself("recia"))
            took = []
            for _ in range(8):
                began = time.perf_counter()
                await records.collect(node, query, by=itself("recia"))
                took.append(time.perf_counter() - began)
            assert min(took) < 0.1  # the machine may be slow at once, a bad plan is slow each time
