"""The conditions of a list on the table of records, and the values of their parameters.

Statements put them together (``list_statements.py``). ``Shape`` says which conditions a query has, without
their values, so that one statement serves all queries of a shape.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import FromClause, Integer, Text, case, cast, func, literal_column, select, true, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY

from federation.domain.feed import PAGE_BYTES
from federation.domain.query import RELEVANCE, Query
from federation.domain.visibility import LABELS
from federation.store.statements import Statement, param
from federation.store.tables import records
from federation.store.visibility import Viewer


class Shape(NamedTuple):
    """Which conditions a query has: there is one statement for each shape."""

    viewer: Viewer
    sort: str
    required: bool
    """Whether there are filters of one value each that the index is asked for; a record must pass all."""
    alternatives: int
    """Number of filters with several values each; a record must have one of them."""
    beneficiaries: bool
    words: bool
    since: bool
    before: bool
    after: bool
    frequent_facets: bool = False
    """Whether filters of frequent values are checked on the rows, and not asked of the index."""
    rare_words: bool = False
    """Whether the index is asked for the rare words alone, and all words are checked on the rows."""
    has_subject: bool = False
    """Whether the viewer must see the subject of a record, too."""
    typed: bool = True
    """Whether the index is asked for the type as well, in the order of relevance."""

    @classmethod
    def of(cls, query: Query, viewer: Viewer) -> Shape:
        return cls(
            viewer,
            query.sort,
            required=any(len(values) == 1 for _, values in query.facets),
            alternatives=sum(len(values) > 1 for _, values in query.facets) + bool(query.either),
            beneficiaries=bool(query.beneficiaries),
            words=query.words is not None,
            since=query.updated_since is not None,
            before=query.updated_before is not None,
            after=query.after is not None,
            has_subject=query.kind.has_subject and viewer != "own",
        )

    @property
    def order(self) -> tuple[str, ...]:
        if self.sort == "id":
            return ("origin", "key")
        return (*(("rank",) if self.is_ranked else ()), "updated_at", "origin", "key")

    @property
    def is_ranked(self) -> bool:
        return self.sort == RELEVANCE

    @property
    def descending(self) -> bool:
        return self.sort == "-updated_at" or self.is_ranked

    @property
    def is_indexed(self) -> bool:
        """True when the index of filters and words can be asked for a condition."""
        return self.required or self.alternatives > 0 or self.beneficiaries or self.words

    def without_page(self) -> Shape:
        """The shape of the whole list, for a total: of all pages, in the default order."""
        return self._replace(sort="-updated_at", after=False)


def endings(text: Any) -> Any:
    """French text with plain endings, for the index and for searches.

    The stemmer would take *usager* and *usagers*, *gérée* and *géré* for different words: it knows such
    endings by their accents, which are removed before it reads them.
    """
    for pattern, ending in (("ers", "er"), ("[eé](e|s|es)", "e")):
        arguments = (literal_column(part, Text) for part in (f"'{pattern}\\M'", f"'{ending}'", "'gi'"))
        text = func.regexp_replace(text, *arguments)
    return text


_words = param("words", Text)
_french = func.websearch_to_tsquery(literal_column("'federation_french'"), endings(_words))
# Every text is indexed by its French stems, so one query reaches all words of a record, in any of its texts,
# and excludes what is excluded (-word). A query of French stop words alone ("ai", "sur") is asked as written.
_WORDS_QUERY = case(
    (func.numnode(_french) > 0, _french),
    else_=func.websearch_to_tsquery(literal_column("'federation_simple'"), _words),
)

_TITLE: Any = literal_column("""'{a}'::"char"[]""")
"""The weight of the words of names and titles (see ``record_writes``)."""
_PER_WORD: Any = literal_column("2")
"""Divide a rank by the number of words (PostgreSQL, 12.3.3)."""
_PER_LENGTH: Any = literal_column("1")
"""Divide a rank by 1 + the logarithm of the number of words."""
_TITLE_FACTOR: Any = literal_column("2")
_RANK_UNIT: Any = literal_column("1000000")
MAX_INTEGER = 2**31 - 1


def rank(table: FromClause) -> Any:
    """How well a row answers the words: a whole number, so that a page key has it exactly.

    First the share of the title that the words are, then the places where they are: those in the title count
    ten times as much as others, and those in a short text more than those in a long one.
    """
    title = func.ts_rank(func.ts_filter(table.c.search, _TITLE), _WORDS_QUERY, _PER_WORD)
    places = func.ts_rank(table.c.search, _WORDS_QUERY, _PER_LENGTH)
    return cast((title * _TITLE_FACTOR + places) * _RANK_UNIT, Integer)


READ_WORDS_QUERY = Statement(select(cast(_WORDS_QUERY, Text)))
"""The text search query (``tsquery``) that PostgreSQL makes of the words of a search."""


def of_type(table: FromClause) -> Any:
    return table.c.type == param("type", Text)


def index_filters(table: FromClause, shape: Shape) -> list[Any]:
    """Conditions on filters and words that the index (``ix_records_found``) is asked for."""
    c = table.c
    conditions: list[Any] = []
    if shape.required:
        conditions.append(c.facets.contains(param("required", ARRAY(Text))))
    for index in range(shape.alternatives):
        conditions.append(c.facets.overlap(param(f"alternatives{index}", ARRAY(Text))))
    if shape.beneficiaries:
        conditions.append(c.beneficiaries.overlap(param("beneficiaries", ARRAY(Text))))
    if shape.is_ranked and shape.typed:
        # The words of other types are not counted, where the number of matches decides.
        conditions.append(c.facets.overlap(param("labels", ARRAY(Text))))
    if shape.words:
        query = cast(param("rare_words", Text), TSQUERY) if shape.rare_words else _WORDS_QUERY
        conditions.append(c.search.bool_op("@@")(query))
    return conditions


def residual_filters(table: FromClause, shape: Shape) -> list[Any]:
    """Conditions on filters and words that are checked on each row the index has found.

    ``IS TRUE`` keeps the planner from asking the index for them.
    """
    conditions: list[Any] = []
    if shape.frequent_facets:
        conditions.append(table.c.facets.contains(param("frequent_facets", ARRAY(Text))).is_(true()))
    if shape.rare_words:
        conditions.append(table.c.search.bool_op("@@")(_WORDS_QUERY).is_(true()))
    return conditions


def time_range(table: FromClause, shape: Shape) -> list[Any]:
    """``updated_since`` (inclusive) and ``updated_before`` (exclusive)."""
    moment = records.c.updated_at.type
    conditions: list[Any] = []
    if shape.since:
        conditions.append(table.c.updated_at >= param("since", moment))
    if shape.before:
        conditions.append(table.c.updated_at < param("before", moment))
    return conditions


def after_page(table: FromClause, shape: Shape) -> list[Any]:
    """Rows after the last one of the page before, in the order of the list."""
    if not shape.after:
        return []
    last: list[Any] = [param("at_origin", Text), param("at_key", Text)]
    if shape.sort != "id":
        last.insert(0, param("at", records.c.updated_at.type))
    if shape.is_ranked:
        last.insert(0, param("at_rank", Integer))
    row = tuple_(*(table.c[name] for name in shape.order))
    return [row < tuple_(*last) if shape.descending else row > tuple_(*last)]


def sort_order(table: FromClause, shape: Shape) -> list[Any]:
    columns = [table.c[name] for name in shape.order]
    return [column.desc() for column in columns] if shape.descending else columns


def page_values(query: Query) -> dict[str, Any]:
    """Parameters that select a page of the list: its size in rows and bytes, and where it begins."""
    values: dict[str, Any] = {"limit": query.limit, "one_more": query.limit + 1, "max_bytes": PAGE_BYTES}
    if query.after:
        values |= {"at_origin": query.after.origin, "at_key": query.after.key}
        if query.sort != "id":
            values["at"] = query.after.updated_at
        if query.sort == RELEVANCE:
            values["at_rank"] = query.after.rank
    if query.sort == RELEVANCE:
        values["max_ranked"] = MAX_INTEGER
    return values


def filter_values(query: Query) -> dict[str, Any]:
    """Parameters that select the records of the list."""
    values: dict[str, Any] = {"type": query.kind.type}
    facets = [[f"{query.kind.type}.{name}={value}" for value in options] for name, options in query.facets]
    if required := [options[0] for options in facets if len(options) == 1]:
        values["required"] = required
    if query.either:
        facets.append([f"{query.kind.type}.{name}={value}" for name, value in query.either] * 2)
    for index, options in enumerate(options for options in facets if len(options) > 1):
        values[f"alternatives{index}"] = options
    if query.beneficiaries:
        values["beneficiaries"] = list(query.beneficiaries)
    if query.words is not None:
        values["words"] = query.words
    if query.sort == RELEVANCE:
        values["labels"] = [f"{query.kind.type}.tlp={label}" for label in LABELS]
    if query.updated_since:
        values["since"] = query.updated_since
    if query.updated_before:
        values["before"] = query.updated_before
    return values
