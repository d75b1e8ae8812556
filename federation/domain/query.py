"""Queries of a collection: their parameters, and their pages."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from federation.domain.errors import Invalid
from federation.domain.territories.areas import area_of, departements_of, overlapping
from federation.domain.territories.identity import names_of_body
from federation.domain.values import PART_OF, Content, instant
from federation.domain.words import search_words

Sort = Literal["-updated_at", "updated_at", "id"]
SORTS: tuple[str, ...] = get_args(Sort)
RELEVANCE: Literal["relevance"] = "relevance"
"""The order of a search where no other one is asked for: by rank, and newest first of equal rank."""
MAX_RANK = 2**31 - 1

PAGE = 50
MAX_PAGE = 500
MAX_TOTAL = 1_000
"""Totals are exact up to this number; beyond it they are reported as "at least"."""
MAX_WORDS_CHARACTERS = 200
MAX_FILTER_VALUES = 50
"""Values of all filters together, at most."""

COMMON_FILTERS = ("origin", "tlp")
"""Filters that every type has."""
CONTROLS = ("q", "updated_since", "updated_before", "sort", "limit", "after", "total")


class PageKey(msgspec.Struct, frozen=True, array_like=True):
    """Sort key of the last record of a page: the next page begins after it."""

    sort: Sort | Literal["relevance"]
    updated_at: datetime
    origin: str
    key: str
    rank: Annotated[int, Meta(ge=0, le=MAX_RANK)] = 0
    """In the order of relevance."""

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(msgspec.msgpack.encode(self)).rstrip(b"=").decode()

    @classmethod
    def parse(cls, text: str, sort: str) -> PageKey:
        """Raises Invalid for a text that is no page key of this sort order."""
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            page_key = msgspec.msgpack.decode(raw, type=cls)
        except (binascii.Error, ValueError, RecursionError, msgspec.MsgspecError):
            raise Invalid("after is not a place that an answer has given", pointer="?after") from None
        if page_key.updated_at.tzinfo is None or not 1970 <= page_key.updated_at.year <= 2200:
            raise Invalid("after is not a place that an answer has given", pointer="?after")
        # A search with more matches than are ranked goes on in the order of time.
        sorts = (RELEVANCE, "-updated_at") if sort == RELEVANCE else (sort,)
        if page_key.sort not in sorts or "\x00" in page_key.origin + page_key.key:
            raise Invalid("after was given by an answer with another sort order", pointer="?after")
        return page_key


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A query of a collection. A record must pass all filters, with one of the values of each."""

    kind: type[Content]
    facets: tuple[tuple[str, tuple[str, ...]], ...] = ()
    either: tuple[tuple[str, str], ...] = ()
    """Pairs of filter and value: a record must have one of them."""
    beneficiaries: tuple[str, ...] = ()
    words: str | None = None
    """As ``search_words`` has read them."""
    updated_since: datetime | None = None
    updated_before: datetime | None = None
    sort: Sort | Literal["relevance"] = "-updated_at"
    limit: int = PAGE
    after: PageKey | None = None
    total: bool = False


def filters_of(kind: type[Content]) -> tuple[str, ...]:
    """Names of the filters of a type."""
    return (*COMMON_FILTERS, *kind.filters)


def read_query(kind: type[Content], parameters: list[tuple[str, str]]) -> Query:
    """Read the parameters of a list. Raises Invalid that names the allowed ones."""
    filters: dict[str, list[str]] = {}
    controls: dict[str, str] = {}
    names = filters_of(kind)
    for name, value in parameters:
        if "\x00" in value:
            raise Invalid("NUL is not allowed", pointer=f"?{name}")
        if name in CONTROLS:
            if name in controls:
                raise Invalid(f"{name} is there twice", pointer=f"?{name}")
            controls[name] = value
        elif name in names:
            filters.setdefault(name, []).append(value)
        else:
            raise Invalid(
                f"{name[:80]!r} cannot be asked of {kind.plural}; {', '.join(names + CONTROLS)} can",
                pointer=f"?{name[:80]}",
            )
    if sum(map(len, filters.values())) > MAX_FILTER_VALUES:
        raise Invalid(f"more than {MAX_FILTER_VALUES} values are asked for")
    words = controls.get("q")
    sort = controls.get("sort", "-updated_at" if words is None else RELEVANCE)
    if sort not in (*SORTS, RELEVANCE):
        raise Invalid(f"sort is one of {', '.join((*SORTS, RELEVANCE))}", pointer="?sort")
    if sort == RELEVANCE and words is None:
        raise Invalid("sort by relevance needs words: q", pointer="?sort")
    if words is not None and not 1 <= len(words) <= MAX_WORDS_CHARACTERS:
        raise Invalid(f"q is a text of 1 to {MAX_WORDS_CHARACTERS} characters", pointer="?q")
    return Query(
        kind=kind,
        facets=tuple(
            (name, _values(kind, name, values)) for name, values in filters.items() if name != "beneficiary"
        ),
        beneficiaries=tuple(
            name
            for value in filters.get("beneficiary", ())
            for name in names_of_body(_read_beneficiary(value))
        ),
        words=None if words is None else search_words(words),
        updated_since=_read_time(controls, "updated_since"),
        updated_before=_read_time(controls, "updated_before"),
        sort=sort,  # type: ignore[arg-type]
        limit=_read_number(controls, "limit", PAGE, MAX_PAGE),
        after=PageKey.parse(controls["after"], sort) if "after" in controls else None,
        total=_read_boolean(controls, "total"),
    )


def _read_beneficiary(value: str) -> str:
    """``217100767`` is a SIREN, ``71076`` an INSEE code; anything else is written ``scheme:value``."""
    if ":" in value:
        return value
    match len(value):
        case 9:
            return f"0002:{value}"
        case 14:
            return f"0009:{value}"
        case 5:
            return f"cog:{value}"
    raise Invalid(
        "beneficiary is a SIREN (9 digits), an INSEE code (5 characters) or scheme:value",
        pointer="?beneficiary",
    )


def _values(kind: type[Content], name: str, values: list[str]) -> tuple[str, ...]:
    """The stored values that a filter with these values finds."""
    if name == "territory":
        return _overlapping_territories(values)
    return tuple(stored for value in values for stored in kind.filter_values(name, value))


def _overlapping_territories(codes: list[str]) -> tuple[str, ...]:
    """The values of the filter that stand for these territories, a part of them, or one around them.

    A list of communes is found by the territories that they are in: a deployment has the départements of its
    communes among the values.
    """
    values: dict[str, None] = {}
    for code in codes:
        values |= dict.fromkeys(overlapping(code))
        if area := area_of(code):
            values |= dict.fromkeys(f"{PART_OF}{number}" for number in sorted(departements_of(area)))
    return tuple(values)


def _read_time(controls: dict[str, str], name: str) -> datetime | None:
    text = controls.get(name)
    if text is None:
        return None
    if len(text) == 10:
        text += "T00:00:00Z"
    try:
        moment = instant(text) if text.endswith("Z") and len(text) <= 27 else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not 1970 <= moment.year <= 2200:
        raise Invalid(
            f"{name} is a moment in UTC such as 2026-03-01T08:30:00Z, or a date", pointer=f"?{name}"
        )
    return moment


def _read_number(controls: dict[str, str], name: str, default: int, maximum: int) -> int:
    text = controls.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= maximum):
        raise Invalid(f"{name} is a number from 1 to {maximum}", pointer=f"?{name}")
    return int(text)


def _read_boolean(controls: dict[str, str], name: str) -> bool:
    match controls.get(name, "false"):
        case "true":
            return True
        case "false":
            return False
    raise Invalid(f"{name} is true or false", pointer=f"?{name}")
