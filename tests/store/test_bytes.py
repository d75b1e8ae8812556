"""A page is bounded in bytes as in records, and the database sends no more than the page."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from federation.api.entries import change_line, entry_line
from federation.domain.content.group import Group
from federation.domain.content.solution import Solution
from federation.domain.draft import Draft, check_draft
from federation.domain.feed import PAGE_BYTES, Cursor, FeedName
from federation.domain.query import read_query
from federation.domain.visibility import anonymous, itself
from federation.node import feeds, records
from federation.node.node import Node
from federation.store.statements import Session
from tests.domain.builders import a_solution

COUNT = 30
FEED = FeedName("arnia", "public")


def a_large_one(n: int) -> Draft[Any]:
    """600 kB and a little, as a record."""
    languages = [f"{a}{b}" for a in "abcdefghij" for b in "abc"]
    shape: Any = Draft
    draft: Draft[Any] = check_draft(
        {
            "content": a_solution(
                name=f"Solution {n}", description={language: "m" * 19_900 for language in languages}
            ),
            "tlp": "CLEAR",
        },
        shape[Solution],
    )
    return draft


@pytest.fixture
async def large(arnia: Node) -> Node:
    drafts = {f"s{n:02}": a_large_one(n) for n in range(COUNT)}
    await records.upload(arnia, Solution, drafts, by=itself("arnia"))
    return arnia


class Weighed:
    """A session that notes how many bytes of documents each answer of the database had."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bytes: list[int] = []
        fetch = Session.all

        async def weighing(session: Session, statement: Any, /, **values: Any) -> list[Any]:
            rows = await fetch(session, statement, **values)
            self.bytes.append(sum(len(v) for row in rows for v in row if isinstance(v, bytes)))
            return rows

        monkeypatch.setattr(Session, "all", weighing)


@pytest.fixture
def weighed(monkeypatch: pytest.MonkeyPatch) -> Weighed:
    return Weighed(monkeypatch)


def within(weighed: Weighed) -> None:
    assert weighed.bytes
    assert max(weighed.bytes) <= PAGE_BYTES


@pytest.mark.parametrize("sort", ["id", "updated_at", "-updated_at"])
async def test_a_list_is_cut_at_its_bytes_and_goes_on(large: Node, weighed: Weighed, sort: str) -> None:
    found: list[bytes] = []
    after: list[tuple[str, str]] = []
    pages = 0
    while True:
        query = read_query(Solution, [("limit", "500"), ("sort", sort), *after])
        documents, place, _ = await records.collect(large, query, by=anonymous("arnia"))
        assert 0 < sum(map(len, documents)) <= PAGE_BYTES
        found += documents
        pages += 1
        if place is None:
            break
        after = [("after", str(place))]
    within(weighed)
    keys = [msgspec.json.decode(document)["key"] for document in found]
    assert sorted(keys) == [f"s{n:02}" for n in range(COUNT)]
    assert keys == sorted(keys, reverse=sort.startswith("-"))
    assert pages >= COUNT * 600_000 // PAGE_BYTES


async def test_a_feed_is_cut_at_its_bytes_and_goes_on(large: Node, weighed: Weighed) -> None:
    found: list[int] = []
    cursor: Cursor | None = None
    more = True
    while more:
        page = await feeds.changes(large, FEED, cursor, by=anonymous("arnia"))
        assert 0 < len(b"".join(map(entry_line, page.rows))) <= PAGE_BYTES
        found += [row[0] for row in page.rows]
        cursor, more = page.cursor, page.more
    within(weighed)
    assert found == list(range(1, COUNT + 1))


async def test_arrivals_are_cut_at_their_bytes_and_go_on(large: Node, weighed: Weighed) -> None:
    found: list[int] = []
    cursor: Cursor | None = None
    more = True
    while more:
        rows, cursor, more = await feeds.change_log(large, cursor, by=itself("arnia"))
        assert 0 < len(b"".join(change_line(row, cursor.epoch) for row in rows)) <= PAGE_BYTES
        found += [row[0] for row in rows]
    within(weighed)
    assert found == list(range(1, COUNT + 1))


async def test_a_record_that_is_larger_than_a_page_is_a_page(
    large: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is none today (a document has 1 MiB at most), and a reader must not wait for one for ever."""
    from federation.node import feeds, records
    from federation.store import entries as entries_module
    from federation.store import list_filters as questions_module
    from federation.store import records as records_module

    monkeypatch.setattr(questions_module, "PAGE_BYTES", 1_000)
    monkeypatch.setattr(records_module, "PAGE_BYTES", 1_000)
    monkeypatch.setattr(entries_module, "PAGE_BYTES", 1_000)
    for asked in ([], [("origin", "arnia"), ("tlp", "CLEAR")], [("q", "solution")]):
        documents, place, _ = await records.collect(large, read_query(Solution, asked), by=anonymous("arnia"))
        assert len(documents) == 1
        assert place is not None
    page = await feeds.changes(large, FEED, None, by=anonymous("arnia"))
    assert ([row[0] for row in page.rows], page.more) == ([1], True)
    rows, cursor, more = await feeds.change_log(large, None, by=itself("arnia"))
    assert ([row[0] for row in rows], cursor.seq, more) == ([1], 1, True)


async def test_the_last_page_says_that_it_is_the_last(arnia: Node) -> None:
    shape: Any = Draft
    drafts = {f"s{n}": check_draft({"content": a_solution()}, shape[Solution]) for n in range(4)}
    await records.upload(arnia, Solution, drafts, by=itself("arnia"))
    for limit, more in ((3, True), (4, False), (5, False)):
        page = await feeds.changes(arnia, FEED, None, by=anonymous("arnia"), limit=limit)
        assert (len(page.rows), page.more) == (min(limit, 4), more)
        rows, _, told = await feeds.change_log(arnia, None, by=itself("arnia"), limit=limit)
        assert (len(rows), told) == (min(limit, 4), more)
        query = read_query(Solution, [("limit", str(limit))])
        documents, place, _ = await records.collect(arnia, query, by=itself("arnia"))
        assert (len(documents), place is not None) == (min(limit, 4), more)


async def test_withdrawals_and_tombstones_are_cut_like_records(large: Node) -> None:
    """An entry without a document weighs little, and is in its place all the same."""
    by = itself("arnia")
    for n in (1, 3):
        await records.retract(large, Solution, "arnia", f"s{n:02}", by=by)
    shape: Any = Draft
    group: Any = check_draft({"content": {"name": "Sécurité", "members": ["megalis"]}}, shape[Group])
    await records.publish(large, Group, group, "arnia", "security", by=by)
    for n in (5, 7):
        draft = msgspec.structs.replace(a_large_one(n), tlp="AMBER", audience="security")
        await records.publish(large, Solution, draft, "arnia", f"s{n:02}", by=by)
    seen: list[tuple[int, bool | None]] = []
    cursor: Cursor | None = None
    more = True
    while more:
        page = await feeds.changes(large, FEED, cursor, by=anonymous("arnia"))
        seen += [(row[0], row[1]) for row in page.rows]
        cursor, more = page.cursor, page.more
    assert [seq for seq, _ in seen] == sorted(seq for seq, _ in seen)
    assert [kind for _, kind in seen].count(True) == 2
    assert [kind for _, kind in seen].count(None) == 2
    assert len(seen) == COUNT
