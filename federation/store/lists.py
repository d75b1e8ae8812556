"""Lists: a page of what a question finds, and how many there are, without reading all that it finds.

There are two ways to a page. Where few records are found, all of them are read by the index of filters and
words, and put in order. Where many are, the table is walked in the order that is asked for until the page is
full. Each is ruinous in the other's place, and the planner takes one for the other: it takes filters for
independent of each other, and what they find for spread evenly. So each way is gone so far and no further,
the likelier one first, and only then is the choice the planner's: see
``docs/decisions/0009-bound-totals-at-1000.md``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any

from sqlalchemy import FromClause, Select, and_, func, literal_column, or_, select, true

from federation.domain.query import MOST_COUNTED, PageKey, Query
from federation.domain.visibility import Caller
from federation.store.list_filters import (
    READ_AS,
    Shape,
    asked_values,
    beside,
    beyond,
    found,
    of_type,
    ordered,
    page_values,
    sought,
    within,
)
from federation.store.pages import bounded
from federation.store.statements import Session, Statement, param
from federation.store.tables import records
from federation.store.visibility import arguments, viewer_of, visible_condition

READ = 5_000
"""So many found records are read at most. Each may be on another page of the disk: 5 to 20 ms."""
WALKED = 10_000
"""Records that are looked at in order. They lie side by side, mostly: 3 to 10 ms. Of a million records of
which more than ``READ`` are found, so many hold a page of 50, mostly."""
FURTHER = 30
"""And so many more for each record of a page, for there are pages of 500."""
GLANCED = 4
"""Records, for each of a page, that are looked at for words that very many have: half a millisecond. The
index would name all of those first."""
COUNTED = 40_000
"""Records that are looked at to count what is found among them: some 10 ms."""

Page = tuple[list[bytes], PageKey | None]


_AT: Any = literal_column("records.ctid").label("at")
"""Where a row lies. It holds for the time of one statement, in which it saves looking the key up again."""
_PLACE = ("updated_at", "origin", "key")


def _bounded(rows: Select[Any], shape: Shape) -> Select[Any]:
    return bounded(rows, *shape.order, backwards=shape.backwards)


@lru_cache(maxsize=512)
def in_one(shape: Shape) -> Statement:
    """A page, whatever it takes: the planner chooses the way."""
    c = records.c
    rows = (
        select(c.document, c.updated_at, c.origin, c.key)
        .where(of_type(records), ~c.retracted, visible_condition(records, shape.through))
        .where(*found(records, shape), *within(records, shape), *beyond(records, shape))
        .order_by(*ordered(records, shape))
        .limit(param("one_more"))
    )
    return Statement(_bounded(rows, shape))


@lru_cache(maxsize=512)
def _count_read(shape: Shape) -> Statement:
    """How many are found among the first ``few`` of the index, and whether it was ``cut`` there.

    Up to one more than ``up_to``.
    """
    hit = and_(
        of_type(records),
        visible_condition(records, shape.through),
        *within(records, shape),
        *beside(records, shape),
    )
    several = (
        select(hit.label("hit"), (func.row_number().over() > param("few")).label("last"))
        .where(~records.c.retracted, *sought(records, shape))
        .limit(param("few") + 1)
        .subquery("several")
    )
    counted = (
        select(several)
        .where(or_(several.c.hit, several.c.last))
        .limit(param("up_to") + 1)
        .subquery("counted")
    )
    return Statement(
        select(
            func.count().filter(and_(counted.c.hit, ~counted.c.last)).label("total"),
            func.coalesce(func.bool_or(counted.c.last), literal_column("false")).label("cut"),
        ).select_from(counted)
    )


@lru_cache(maxsize=512)
def _count(shape: Shape) -> Statement:
    """How many, up to one more than ``up_to``, in whatever order they come."""
    some = (
        select(records.c.key)
        .where(of_type(records), ~records.c.retracted, visible_condition(records, shape.through))
        .where(*found(records, shape), *within(records, shape))
        .limit(param("up_to") + 1)
    )
    return Statement(select(func.count()).select_from(some.subquery()))


def _walk(shape: Shape) -> Select[Any]:
    """What is found among the next ``walked`` records in order, and the last of these, if there are so many.

    With ``hit``: whether it is found, and ``last``: whether it is that last one. What the walk's index does
    not know is asked of what was walked, lest the walk go on for ever where little may be seen.
    """
    inner = [of_type(records), ~records.c.retracted, *beyond(records, shape)]
    hit: Any = and_(true(), *found(records, shape))
    if shape.sort == "id":
        hit = and_(hit, *within(records, shape))
    else:
        inner += within(records, shape)
    if shape.through == "anonymous" and shape.sort != "id":
        inner.append(visible_condition(records, shape.through))
    else:
        hit = and_(hit, visible_condition(records, shape.through))
    walked = (
        select(_AT, *(records.c[name] for name in _PLACE), hit.label("hit"))
        .where(*inner)
        .order_by(*ordered(records, shape))
        .limit(param("walked"))
        .subquery("walked")
    )
    numbered = select(*walked.c, func.row_number().over(order_by=ordered(walked, shape)).label("n")).subquery(
        "numbered"
    )
    last = numbered.c.n == param("walked")
    return (
        select(*numbered.c, last.label("last"))
        .where(or_(numbered.c.hit, last))
        .order_by(*ordered(numbered, shape))
    )


def _documents(chosen: FromClause, shape: Shape, *further: Any) -> Select[Any]:
    """The documents of the few that were chosen, so that no others are carried about."""
    return (
        select(records.c.document, *(chosen.c[name] for name in _PLACE), *further)
        .select_from(chosen.join(records, literal_column("records.ctid") == chosen.c.at))
        .order_by(*ordered(chosen, shape))
    )


@lru_cache(maxsize=512)
def _walked(shape: Shape) -> Statement:
    """A page of what is found on a walk. ``whole``: it is the page, and not only what the walk came to.

    ``n``: how far it had gone.
    """
    walk = _walk(shape).limit(param("one_more")).subquery("found")
    whole = func.bool_and(~walk.c.last).over().label("whole")
    chosen = select(*walk.c, whole).subquery("chosen")
    return Statement(_bounded(_documents(chosen, shape, chosen.c.whole, chosen.c.n), shape))


@lru_cache(maxsize=512)
def _count_walked(shape: Shape) -> Statement:
    """How many are found on a walk, up to one more than ``up_to``, and whether it was ``cut`` off."""
    walk = _walk(shape).limit(param("up_to") + 1).subquery("found")
    return Statement(
        select(
            func.count().filter(walk.c.hit).label("total"),
            func.coalesce(func.bool_or(walk.c.last), literal_column("false")).label("cut"),
        ).select_from(walk)
    )


@lru_cache(maxsize=512)
def _few(shape: Shape) -> Statement:
    """All that the index finds, if that is few: how many were ``read``, and a page.

    With the ``total`` of what is asked for. Where more are found there is no page. What is found is a
    statement of its own, lest the planner hope that so few come soon on some other way.
    """
    c = records.c
    hit = and_(true(), *beside(records, shape)).label("hit")
    all_found = (
        select(_AT, *(c[name] for name in _PLACE), c.type, c.audience, hit)
        .where(~c.retracted, *sought(records, shape))
        .cte("all_found")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    several = select(all_found).limit(param("few") + 1).cte("several")
    read = select(func.count()).select_from(several).scalar_subquery()
    demanded = [
        several.c.hit,
        of_type(several),
        visible_condition(several, shape.through),
        *within(several, shape),
    ]
    asked = select(several).where(*demanded).cte("asked")
    total = select(func.count()).select_from(asked).scalar_subquery()
    chosen = (
        select(asked)
        .where(read <= param("few"), *beyond(asked, shape))
        .order_by(*ordered(asked, shape))
        .limit(param("one_more"))
        .subquery("chosen")
    )
    page = _bounded(_documents(chosen, shape), shape).subquery("few")
    counts = select(read.label("read"), total.label("total")).subquery("counts")
    return Statement(
        select(*counts.c, *page.c).select_from(counts.outerjoin(page, true())).order_by(*ordered(page, shape))
    )


async def collect(
    session: Session, query: Query, *, visible_to: Caller
) -> tuple[list[bytes], PageKey | None, int | None]:
    """A page of documents, the place after which the next one begins, and the total if that was asked.

    The total may be one more than ``MOST_COUNTED``, or more than that: there are more then.
    """
    return await _Asking(session, query, visible_to).answer()


class _Asking:
    """A question, and what the ways that were gone have shown of its total."""

    def __init__(self, session: Session, query: Query, visible_to: Caller) -> None:
        self._session = session
        self._query = query
        self._shape = Shape.of(query, viewer_of(visible_to))
        self._asked = asked_values(query) | arguments(visible_to)
        self._paged = self._asked | page_values(query)
        self._narrow: tuple[Shape, dict[str, Any]] | None = None
        self._is_narrowed = False
        """Whether it is known what that is: most pages are full before it is asked for."""
        self._total: int | None = None
        self._often = False
        """Whether a walk has shown that it is found often: the index would name all before one is counted."""

    async def answer(self) -> tuple[list[bytes], PageKey | None, int | None]:
        documents, place = await self._page()
        if not self._query.total:
            return documents, place, None
        return documents, place, await self._count() if self._total is None else self._total

    async def _page(self) -> Page:
        for way in await self._ways():
            if page := await way():
                return page
        return await self._in_one()

    async def _ways(self) -> tuple[Callable[[], Awaitable[Page | None]], ...]:
        """What is tried, within bounds, before the choice is the planner's."""
        shape, facets = self._shape, self._query.facets
        if shape.beneficiaries:
            return self._few, self._walk
        if shape.words:
            return self._glance, self._few, self._walk
        # Of a single filter it knows how many records pass it; it errs when it multiplies.
        if not shape.is_found or (len(facets) == 1 and not (shape.either or shape.since or shape.before)):
            return ()
        return (self._few, self._walk) if await self._is_rare() else (self._walk, self._few)

    async def _is_rare(self) -> bool:
        """Whether statistics say that fewer records are found than a walk would look at for a page."""
        if (common := self._session.stats) is None:
            return False
        await common.look_up(self._session.connection)
        every = [[value] for value in self._asked.get("every", ())]
        either = [self._asked[f"either{index}"] for index in range(self._shape.either)]
        few = common.at_most(*every, *either)
        return few <= READ and few * few <= self._query.limit * common.records

    async def _glance(self) -> Page | None:
        """The page, if nearly every record belongs to it."""
        return await self._go(GLANCED * self._query.limit)

    async def _walk(self) -> Page | None:
        """The page, if a walk comes to its end."""
        return await self._go(WALKED + FURTHER * self._query.limit)

    async def _go(self, walked: int) -> Page | None:
        rows = await self._session.all(_walked(self._shape), **self._paged, walked=walked)
        if rows and not rows[0]["whole"]:
            return None
        # If the rest is like this page, a walk of three quarters of ``COUNTED`` counts enough.
        self._often = bool(rows) and 4 * rows[-1]["n"] * MOST_COUNTED < 3 * COUNTED * len(rows)
        return self._read(rows)

    async def _narrowed(self) -> tuple[Shape, dict[str, Any]] | None:
        """The same question, of which the index is asked only what is rare, and its values.

        None where nothing of it is common, or nothing else is left to find it by.
        """
        if not self._is_narrowed:
            self._narrow, self._is_narrowed = await self._without_common(), True
        return self._narrow

    async def _without_common(self) -> tuple[Shape, dict[str, Any]] | None:
        common, shape, values = self._session.stats, self._shape, dict(self._asked)
        if common is None or not shape.is_found:
            return None
        await common.look_up(self._session.connection)
        rare, usual = common.apart(values.pop("every", []))
        shape = shape._replace(every=bool(rare), common=bool(usual))
        values |= ({"every": rare} if rare else {}) | ({"common": usual} if usual else {})
        if shape.words and common.lexemes:
            read_as = await self._session.value(READ_AS, words=self._query.words)
            if words := common.rare(read_as or ""):
                shape, values["rare"] = shape._replace(rare=True), words
        return (shape, values) if (shape.common or shape.rare) and shape.is_found else None

    async def _few(self) -> Page | None:
        """The page, if few are found."""
        if narrowed := await self._narrowed():
            shape, values = narrowed
            page, often = await self._read_few(shape, values | page_values(self._query))
            if page is not None or often:
                return page
            self._narrow = None  # to count among the same records would tell no more
        return (await self._read_few(self._shape, self._paged))[0]

    async def _read_few(self, shape: Shape, values: dict[str, Any]) -> tuple[Page | None, bool]:
        """The page, if few are read for it; and whether more belong to it than are counted."""
        rows = await self._session.all(_few(shape), **values, few=READ)
        whole, often = rows[0]["read"] <= READ, rows[0]["total"] > MOST_COUNTED
        if whole or often:
            self._total = rows[0]["total"]
        page = self._read(rows if rows[0]["document"] is not None else []) if whole else None
        return page, often

    async def _in_one(self) -> Page:
        return self._read(await self._session.all(in_one(self._shape), **self._paged))

    async def _count(self) -> int:
        shape = self._shape.counted()
        if self._often:
            values = self._asked | {"walked": COUNTED, "up_to": MOST_COUNTED}
            (row,) = await self._session.all(_count_walked(shape), **values)
            if row["total"] > MOST_COUNTED or not row["cut"]:
                return int(row["total"])
        if narrowed := await self._narrowed():
            narrow, asked = narrowed
            values = asked | {"few": READ, "up_to": MOST_COUNTED}
            (row,) = await self._session.all(_count_read(narrow.counted()), **values)
            if row["total"] > MOST_COUNTED or not row["cut"]:
                return int(row["total"])
        return await self._session.value(_count(shape), **self._asked, up_to=MOST_COUNTED) or 0

    def _read(self, rows: list[Any]) -> Page:
        place = None
        if rows and rows[-1]["followed"]:
            last = rows[-1]
            place = PageKey(self._query.sort, last["updated_at"], last["origin"], last["key"])
        return [row["document"] for row in rows], place
