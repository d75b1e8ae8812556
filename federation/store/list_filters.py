"""What a question demands of the table of records, in parts that statements put together, and its values."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import FromClause, Text, case, cast, func, literal_column, select, true, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY

from federation.domain.feed import PAGE_BYTES
from federation.domain.query import Query
from federation.store.statements import Statement, param
from federation.store.tables import records
from federation.store.visibility import Viewer


class Shape(NamedTuple):
    """What is asked by, without the values: there is one statement for each shape."""

    through: Viewer
    sort: str
    every: bool
    """Whether there are filters with one value, all of them demanded; and found by the index."""
    either: int
    """How many filters have alternatives."""
    beneficiaries: bool
    words: bool
    since: bool
    before: bool
    after: bool
    common: bool = False
    """Whether some of those filters are looked for on the records that are found (``column_stats.py``)."""
    rare: bool = False
    """Whether only some of the words are found, and the others looked for on the records."""

    @classmethod
    def of(cls, query: Query, through: Viewer) -> Shape:
        return cls(
            through,
            query.sort,
            every=any(len(values) == 1 for _, values in query.facets),
            either=sum(len(values) > 1 for _, values in query.facets) + bool(query.either),
            beneficiaries=bool(query.beneficiaries),
            words=query.words is not None,
            since=query.updated_since is not None,
            before=query.updated_before is not None,
            after=query.after is not None,
        )

    @property
    def order(self) -> tuple[str, ...]:
        return ("origin", "key") if self.sort == "id" else ("updated_at", "origin", "key")

    @property
    def backwards(self) -> bool:
        return self.sort == "-updated_at"

    @property
    def is_found(self) -> bool:
        """Whether the index of filters and words knows anything of it."""
        return self.every or self.either > 0 or self.beneficiaries or self.words

    def counted(self) -> Shape:
        """The same for a total, which is of all pages, in whatever order."""
        return self._replace(sort="-updated_at", after=False)


def endings(text: Any) -> Any:
    """French as it is indexed and asked for.

    The stemmer would take *usager* and *usagers*, *gérée* and *géré* for different words: it knows such
    endings by their accents, which are gone before it looks.
    """
    for ending, plain in (("ers", "er"), ("[eé](e|s|es)", "e")):
        fixed = (literal_column(one, Text) for one in (f"'{ending}\\M'", f"'{plain}'", "'gi'"))
        text = func.regexp_replace(text, *fixed)
    return text


_words = param("words", Text)
_french = func.websearch_to_tsquery(literal_column("'federation_french'"), endings(_words))
# Every text is indexed by its French stems, so one question reaches all words of a record, whatever text
# they are of, and what is left out (-word) is left out. Only a question of words that French does not
# count ("ai", "sur") is asked as it stands.
_ASKED = case(
    (func.numnode(_french) > 0, _french),
    else_=func.websearch_to_tsquery(literal_column("'federation_simple'"), _words),
)

READ_AS = Statement(select(cast(_ASKED, Text)))
"""What the words asked for are read as."""


def of_type(table: FromClause) -> Any:
    return table.c.type == param("type", Text)


def found(table: FromClause, shape: Shape) -> list[Any]:
    """Filters and words."""
    return sought(table, shape) + beside(table, shape)


def sought(table: FromClause, shape: Shape) -> list[Any]:
    """What of filters and words the index finds."""
    c = table.c
    demanded: list[Any] = []
    if shape.every:
        demanded.append(c.facets.contains(param("every", ARRAY(Text))))
    for index in range(shape.either):
        demanded.append(c.facets.overlap(param(f"either{index}", ARRAY(Text))))
    if shape.beneficiaries:
        demanded.append(c.beneficiaries.overlap(param("beneficiaries", ARRAY(Text))))
    if shape.words:
        query = cast(param("rare", Text), TSQUERY) if shape.rare else _ASKED
        demanded.append(c.search.bool_op("@@")(query))
    return demanded


def beside(table: FromClause, shape: Shape) -> list[Any]:
    """What of filters and words is looked for on the records that were found."""
    demanded: list[Any] = []
    # (Said in a way that no index knows.)
    if shape.common:
        demanded.append(table.c.facets.contains(param("common", ARRAY(Text))).is_(true()))
    if shape.rare:
        demanded.append(table.c.search.bool_op("@@")(_ASKED).is_(true()))
    return demanded


def within(table: FromClause, shape: Shape) -> list[Any]:
    """Between the moments asked for."""
    moment = records.c.updated_at.type
    demanded: list[Any] = []
    if shape.since:
        demanded.append(table.c.updated_at >= param("since", moment))
    if shape.before:
        demanded.append(table.c.updated_at < param("before", moment))
    return demanded


def beyond(table: FromClause, shape: Shape) -> list[Any]:
    """After the last page."""
    if not shape.after:
        return []
    place: list[Any] = [param("at_origin", Text), param("at_key", Text)]
    if shape.sort != "id":
        place.insert(0, param("at", records.c.updated_at.type))
    here = tuple_(*(table.c[name] for name in shape.order))
    return [here < tuple_(*place) if shape.backwards else here > tuple_(*place)]


def ordered(table: FromClause, shape: Shape) -> list[Any]:
    columns = [table.c[name] for name in shape.order]
    return [column.desc() for column in columns] if shape.backwards else columns


def page_values(query: Query) -> dict[str, Any]:
    """The values of a statement that say which page."""
    values: dict[str, Any] = {"limit": query.limit, "one_more": query.limit + 1, "most": PAGE_BYTES}
    if query.after:
        values |= {"at_origin": query.after.origin, "at_key": query.after.key}
        if query.sort != "id":
            values["at"] = query.after.updated_at
    return values


def asked_values(query: Query) -> dict[str, Any]:
    """The values of a statement that say what is to be found."""
    values: dict[str, Any] = {"type": query.kind.type}
    facets = [[f"{query.kind.type}.{name}={value}" for value in several] for name, several in query.facets]
    if every := [several[0] for several in facets if len(several) == 1]:
        values["every"] = every
    if query.either:
        facets.append([f"{query.kind.type}.{name}={value}" for name, value in query.either] * 2)
    for index, several in enumerate(several for several in facets if len(several) > 1):
        values[f"either{index}"] = several
    if query.beneficiaries:
        values["beneficiaries"] = list(query.beneficiaries)
    if query.words is not None:
        values["words"] = query.words
    if query.updated_since:
        values["since"] = query.updated_since
    if query.updated_before:
        values["before"] = query.updated_before
    return values
