"""Lists: a page of the records that a query asks for, and their number, within bounds.

1. ``choose`` takes a strategy by PostgreSQL's statistics. ``BY_ORDER`` scans the records in the order of the
   list until the page is full: quick where many match. ``BY_INDEX`` reads all matches by the index of filters
   and words, and sorts them: quick where few match.
2. The chosen strategy reads a bounded number of rows. Where that is not enough, the other one is tried.
3. Where neither was enough, both are tried again with ``BOUND_GROWTH`` times as many rows, and so on.
4. A total is known from the page where possible; else it is counted in the same way, up to ``MAX_TOTAL``.

Statistics decide how fast an answer comes, never what it is. Reasons and figures:
``docs/decisions/0023-read-lists-by-two-bounded-strategies.md``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from copy import copy
from enum import Enum
from math import inf
from typing import Any, NamedTuple, Self, TypeVar

import msgspec

from federation.domain.query import MAX_TOTAL, RELEVANCE, PageKey, Query, Sort
from federation.domain.visibility import Caller
from federation.store.list_filters import READ_WORDS_QUERY, Shape, filter_values, page_values
from federation.store.list_statements import count_by_index, count_by_order, page_by_index, page_by_order
from federation.store.statements import Session
from federation.store.visibility import arguments, viewer_of

MAX_ROWS_BY_INDEX = 5_000
"""Rows that ``BY_INDEX`` reads. Each may be on another page of the disk: 5 to 20 ms."""
MAX_ROWS_BY_ORDER = 10_000
"""Rows that ``BY_ORDER`` scans. They lie side by side, mostly: 3 to 10 ms."""
ROWS_BY_ORDER_PER_RESULT = 30
"""Rows that ``BY_ORDER`` scans besides, for each result wanted: 50 to 500, or ``MAX_TOTAL``."""
BOUND_GROWTH = 8
"""Factor of both bounds where neither strategy came to an end. The last attempts cost most of it all."""
MAX_RANKED = MAX_TOTAL
"""Matches that are put in the order of relevance: each is read, with its words. A list with more is in the
order of time, and says so."""
MAX_MATCHES_LOOKED_UP = 50_000
"""Matches of the rarest of several conditions, by statistics, above which it is not found out whether records
that pass all of them are more than ``MAX_RANKED``: the index reads 50 000 in some 10 ms."""
MATCHES_OF_BENEFICIARIES = 100
"""Records that some beneficiaries are taken to have: no statistics of them are read, and most have few."""
COUNT_COST = 0.1
"""Cost of a match that the index names and nobody reads, in rows read: counting ends after ``MAX_TOTAL``."""

Page = tuple[list[bytes], PageKey | None]
Result = TypeVar("Result")
Attempt = Callable[[int], Awaitable[Result | None]]
"""Runs a strategy with so many times its bound. None where that was not enough."""


class Strategy(Enum):
    """A way to find the rows of a list; both give the same list."""

    BY_ORDER = "by_order"
    BY_INDEX = "by_index"


def choose(matches: float, stored: float, results: int, *, counting: bool = False) -> Strategy:
    """The strategy that reads fewer rows, where ``matches`` of ``stored`` records pass the filters.

    If matches are spread evenly, ``BY_ORDER`` scans results · stored / matches rows. ``BY_INDEX`` reads all
    matches for a page; for a count it reads few, and the index. ``matches`` is infinite without statistics.
    """
    if matches == inf or (not counting and matches > MAX_ROWS_BY_INDEX):
        return Strategy.BY_ORDER
    cost = COUNT_COST * matches if counting else matches
    return Strategy.BY_INDEX if cost * matches <= results * stored else Strategy.BY_ORDER


class Listed(NamedTuple):
    """A page of a list."""

    documents: list[bytes]
    page_key: PageKey | None
    """The key after which the next page begins."""
    total: int | None
    """The total if the query asks for it. Above ``MAX_TOTAL`` it means that there are more than that."""
    sort: str
    """The order in which the list is: not that of relevance where too many records match."""
    not_understood: int
    """Records of the type that the caller may see and that are left out, since this version does not
    understand them; ``MAX_TOTAL`` stands for as many and more."""


class IndexQuery(NamedTuple):
    """A query as the index is asked: its conditions, and the values of their parameters."""

    shape: Shape
    values: dict[str, Any]


async def collect(session: Session, query: Query, *, visible_to: Caller) -> Listed:
    """A page of the documents that a query asks for."""
    reader = ListReader(session, query, visible_to)
    documents, page_key = await reader.page()
    total = await reader.total() if query.total else None
    return Listed(documents, page_key, total, reader.sort, reader.not_understood)


class ListReader:
    """One query: its page, then its total; it keeps what the page has shown of that."""

    def __init__(self, session: Session, query: Query, visible_to: Caller) -> None:
        self._session = session
        self._query = query
        self._shape = Shape.of(query, viewer_of(visible_to))
        self._values = filter_values(query) | arguments(visible_to)
        self._rare = IndexQuery(self._shape, self._values)
        """The query without its frequent values, where it has rare ones."""
        self._matches = inf
        """Records that pass the filters, at most, as far as is known."""
        self._stored = inf
        self._is_single_word = False
        """Whether one word is the only condition: the number of its records is known, and not a bound."""
        self._total: int | None = None
        self.not_understood = 0
        """Known after ``page``."""

    @property
    def sort(self) -> str:
        return self._query.sort

    def within(self, session: Session) -> Self:
        """Read the rest over another session."""
        reader = copy(self)
        reader._session = session
        return reader

    async def page(self) -> Page:
        await self._read_statistics()
        if self._shape.is_ranked:
            if (ranked := await self._page_by_rank()) is not None:
                return ranked
            self._give_up_ranking()
        chosen = choose(self._matches, self._stored, self._query.limit)
        page = await self._attempt(chosen, by_order=self._page_by_order, by_index=self._page_by_index)
        if page[1] is None and self._query.after is None:
            self._total = len(page[0])
        return page

    async def _page_by_rank(self) -> Page | None:
        """A page in the order of relevance; None where too many records match.

        Later pages are in the order that the first one was in, however many match by then.
        """
        after = self._query.after
        if after is not None and after.sort != RELEVANCE:
            return None
        certain = MAX_ROWS_BY_INDEX if self._is_single_word else MAX_MATCHES_LOOKED_UP
        if after is None and certain < self._matches < inf:
            return None
        is_short = after is None and self._matches <= MAX_ROWS_BY_INDEX
        if is_short and (page := await self._page_of_few()) is not None:
            return page
        bound = MAX_RANKED
        while True:
            queries = [IndexQuery(self._shape, self._values)]
            if self._matches <= bound and self._rare != queries[0]:
                queries.insert(0, self._rare)
            for index_query in queries:
                if (page := await self._read_by_index(index_query, bound)) is not None:
                    return page
            if after is None:
                return None
            bound *= BOUND_GROWTH

    async def _page_of_few(self) -> Page | None:
        """A page by one statement, where few records match: of all types, so that the index has least to do.

        It is in the order of relevance, or of time where more than ``MAX_RANKED`` match. None where records
        of other types have the words, and more do than the bound.
        """
        shape, values = self._rare
        values = {name: value for name, value in values.items() if name != "labels"}
        values |= page_values(self._query) | {"max_ranked": MAX_RANKED}
        statement = page_by_index(shape._replace(typed=False))
        rows = await self._session.all(statement, **values, rows=MAX_ROWS_BY_INDEX)
        if rows[0]["cut"]:
            return None
        if not rows[0]["ranked"]:
            self._give_up_ranking()
        self._total = rows[0]["total"]
        return self._page(rows)

    def _give_up_ranking(self) -> None:
        """Go on in the order of time."""
        sort: Sort = "-updated_at"
        self._query = msgspec.structs.replace(self._query, sort=sort)
        self._shape = self._shape._replace(sort=sort)
        self._rare = self._rare._replace(shape=self._rare.shape._replace(sort=sort))
        for values in (self._values, self._rare.values):
            values.pop("labels", None)

    async def total(self) -> int:
        """Call it after ``page``."""
        if self._total is not None:
            return self._total
        chosen = choose(self._matches, self._stored, MAX_TOTAL + 1, counting=True)
        return await self._attempt(chosen, by_order=self._count_by_order, by_index=self._count_by_index)

    async def _attempt(
        self, chosen: Strategy, *, by_order: Attempt[Result], by_index: Attempt[Result]
    ) -> Result:
        """The result of the first attempt that comes to an end within its bound."""
        attempts = [by_order]
        if self._shape.is_indexed:
            attempts.insert(chosen is Strategy.BY_ORDER, by_index)
        growth = 1
        while True:
            for attempt in attempts:
                if (result := await attempt(growth)) is not None:
                    return result
            attempts.sort(key=lambda attempt: attempt is not by_index)  # its bound is the smaller one
            growth *= BOUND_GROWTH

    async def _read_statistics(self) -> None:
        statistics = self._session.stats
        if statistics is None or not self._shape.is_indexed:
            return
        await statistics.look_up(self._session.direct)
        values = dict(self._values)
        alternatives = [values[f"alternatives{index}"] for index in range(self._shape.alternatives)]
        required = [[value] for value in values.get("required", ())]
        self._stored = statistics.records
        self._matches = statistics.at_most(*required, *alternatives)
        rare, frequent = statistics.apart(values.pop("required", []))
        shape = self._shape._replace(required=bool(rare), frequent_facets=bool(frequent))
        values |= ({"required": rare} if rare else {}) | ({"frequent_facets": frequent} if frequent else {})
        if shape.words:
            words_query = await self._session.value(READ_WORDS_QUERY, words=self._query.words) or ""
            self._matches = min(self._matches, statistics.at_most_of_words(words_query))
            filters = shape.required or shape.frequent_facets or shape.alternatives or shape.beneficiaries
            self._is_single_word = not filters and " " not in words_query
            if rare_words := statistics.rare(words_query):
                shape, values["rare_words"] = shape._replace(rare_words=True), rare_words
        if shape.beneficiaries:
            self._matches = min(self._matches, MATCHES_OF_BENEFICIARIES)
        if shape.is_indexed:
            self._rare = IndexQuery(shape, values)

    async def _page_by_order(self, growth: int) -> Page | None:
        values = self._values | page_values(self._query)
        rows = await self._session.all(
            page_by_order(self._shape), **values, rows=growth * _rows_by_order(self._query.limit)
        )
        return None if rows[-1]["cut"] else self._page(rows)

    async def _page_by_index(self, growth: int) -> Page | None:
        bound = growth * MAX_ROWS_BY_INDEX
        index_query = self._rare if self._matches <= bound else IndexQuery(self._shape, self._values)
        return await self._read_by_index(index_query, bound)

    async def _read_by_index(self, index_query: IndexQuery, bound: int) -> Page | None:
        """A page of what the index finds; None where that is more than the bound."""
        shape, values = index_query
        rows = await self._session.all(page_by_index(shape), **values, **page_values(self._query), rows=bound)
        state = rows[0]
        if not state["cut"] or state["total"] > MAX_TOTAL:
            self._total = state["total"]
        return None if state["cut"] else self._page(rows)

    async def _count_by_order(self, growth: int) -> int | None:
        rows = growth * _rows_by_order(MAX_TOTAL + 1)
        values = self._values | {"rows": rows, "max_total": MAX_TOTAL}
        return _total(await self._session.all(count_by_order(self._shape.without_page()), **values))

    async def _count_by_index(self, growth: int) -> int | None:
        # (Rare values alone even where they find much: a count ends early.)
        shape, values = self._rare
        bounds = {"rows": growth * MAX_ROWS_BY_INDEX, "max_total": MAX_TOTAL}
        return _total(await self._session.all(count_by_index(shape.without_page()), **values, **bounds))

    def _page(self, rows: list[Any]) -> Page:
        self.not_understood = rows[0]["not_understood"]
        if rows[0]["document"] is None:
            return [], None
        last = rows[-1]
        page_key = None
        if last["followed"]:
            rank = (last["rank"],) if self._shape.is_ranked else ()
            page_key = PageKey(self._query.sort, last["updated_at"], last["origin"], last["key"], *rank)
        return [row["document"] for row in rows], page_key


def _rows_by_order(results: int) -> int:
    return MAX_ROWS_BY_ORDER + ROWS_BY_ORDER_PER_RESULT * results


def _total(rows: list[Any]) -> int | None:
    total = int(rows[0]["total"])
    return total if total > MAX_TOTAL or not rows[0]["cut"] else None
