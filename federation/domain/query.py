"""Queries of a collection: their parameters, and their pages."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, inspect

from federation.domain.addresses import types_of
from federation.domain.errors import Invalid
from federation.domain.fault_search import FaultSearch
from federation.domain.moments import MomentError, in_utc
from federation.domain.record_content import Content
from federation.domain.territories.areas import area_of, departements_of, overlapping
from federation.domain.territories.identity import names_of_body
from federation.domain.unsound import UNSOUND
from federation.domain.values import EVERYWHERE, PART_OF, Operator, instant
from federation.domain.visibility import Tlp
from federation.domain.words import search_words

Sort = Literal["-updated_at", "updated_at", "id"]
SORTS: tuple[str, ...] = get_args(Sort)
RELEVANCE: Literal["relevance"] = "relevance"
"""The order of a search where no other one is asked for: by rank, and newest first of equal rank."""
_ALL_SORTS = (*SORTS, RELEVANCE)
MAX_RANK = 2**31 - 1

PAGE = 50
MAX_PAGE = 500
MAX_TOTAL = 1_000
"""Totals are exact up to this number; beyond it they are reported as "at least"."""
MAX_WORDS_CHARACTERS = 200
MAX_FILTER_VALUES = 50
"""Values of all filters together, at most."""

_COMMON_TYPES: dict[str, Any] = {"origin": Operator, "tlp": Tlp}
COMMON_FILTERS = tuple(_COMMON_TYPES)
"""Filters that every type has."""
BODY_PATTERN = r"^([0-9]{9}|[0-9]{14}|[0-9][0-9AB][0-9]{3}|([0-9]{4}|cog):[A-Za-z0-9][A-Za-z0-9:._-]{0,63})$"
"""A body: its SIREN, its SIRET, its INSEE code, or the scheme and the value of an identifier."""
BOOLEANS = ("true", "false")
MAX_DIGITS = 12
"""Digits of a number in the query string, at most."""
_TIMES = ("updated_since", "updated_before")
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


@cache
def filter_type(kind: type[Content], name: str) -> inspect.Type:
    """The type of the values that a filter can have."""
    if name in _COMMON_TYPES:
        return inspect.type_info(_COMMON_TYPES[name])
    if name in kind.filter_types:
        return inspect.type_info(kind.filter_types[name])
    info: Any = inspect.type_info(kind)
    (member,) = (field.type for field in info.fields if field.encode_name == name)
    (type_,) = (type_ for type_ in types_of(member) if not isinstance(type_, inspect.NoneType))
    return type_


def read_query(kind: type[Content], parameters: list[tuple[str, str]]) -> Query:
    """Read the parameters of a list. Raises Invalid that names all that are at fault, and what is allowed."""
    search = FaultSearch()
    filters: dict[str, list[str]] = {}
    controls: dict[str, str] = {}
    names = filters_of(kind)
    for name, value in parameters:
        if "\x00" in value:
            search.refuse(f"?{name[:80]}", "text", "NUL is not allowed")
        elif name in CONTROLS:
            if name in controls:
                search.refuse(f"?{name}", "duplicate-parameter", "{name} is there twice", name=name)
            controls[name] = value
        elif name in names:
            filters.setdefault(name, []).append(value)
        else:
            search.refuse(
                f"?{name[:80]}",
                "unknown-parameter",
                "{name!r} cannot be asked of {plural}; {names} can",
                allowed=names + CONTROLS,
                name=name[:80],
                plural=kind.plural,
                names=", ".join(names + CONTROLS),
            )
    if sum(map(len, filters.values())) > MAX_FILTER_VALUES:
        longest = max(filters, key=lambda name: len(filters[name]))
        raise Invalid(
            "more than {maximum} values are asked for",
            pointer=f"?{longest}",
            fault="too-many",
            maximum=MAX_FILTER_VALUES,
        )
    for name, values in filters.items():
        for value in values:
            _check_filter(search, kind, name, value)
    words = controls.get("q")
    if words is not None and not 1 <= len(words) <= MAX_WORDS_CHARACTERS:
        template = "q is a text of 1 to {maximum} characters"
        search.refuse("?q", "too-long" if words else "too-short", template, maximum=MAX_WORDS_CHARACTERS)
    sort = _read_sort(search, controls)
    times = {name: read_time(search, name, controls[name]) for name in _TIMES if name in controls}
    query = Query(
        kind=kind,
        updated_since=times.get("updated_since"),
        updated_before=times.get("updated_before"),
        sort=sort,
        limit=read_number(search, "limit", controls["limit"], MAX_PAGE) if "limit" in controls else PAGE,
        after=_read_page_key(search, controls, sort),
        total=_read_boolean(search, controls, "total"),
    )
    if search.faults:
        raise Invalid.of(search.faults, search.more)
    return msgspec.structs.replace(
        query,
        facets=tuple(
            (name, _values(kind, name, values)) for name, values in filters.items() if name != "beneficiary"
        ),
        beneficiaries=tuple(
            name
            for value in filters.get("beneficiary", ())
            for name in names_of_body(_scheme_and_value(value))
        ),
        words=None if words is None else search_words(words),
    )


def _check_filter(search: FaultSearch, kind: type[Content], name: str, value: str) -> None:
    """Note a value that the filter cannot have: no record is ever found by it."""
    pointer = f"?{name}"
    if name == "beneficiary":
        if not re.fullmatch(BODY_PATTERN, value):
            search.refuse(
                pointer,
                "pattern",
                "beneficiary is a SIREN (9 digits), a SIRET (14 digits), an INSEE code (5 characters) or"
                " scheme:value",
            )
    elif search.look_by_type(value, filter_type(kind, name), pointer) is not UNSOUND and name == "territory":
        is_french = value[0].isdigit() or value.startswith("FR-")
        if is_french and area_of(value) is None:
            template = "the register of territories has no {territory}"
            search.refuse(pointer, "not-allowed", template, territory=value)


_SCHEMES = {9: "0002", 14: "0009", 5: "cog"}
"""Schemes of identifiers that are known by their length."""


def _scheme_and_value(value: str) -> str:
    """``217100767`` is a SIREN, ``71076`` an INSEE code; anything else is written ``scheme:value``."""
    return value if ":" in value else f"{_SCHEMES[len(value)]}:{value}"


def _values(kind: type[Content], name: str, values: list[str]) -> tuple[str, ...]:
    """The stored values that a filter with these values finds."""
    if name == "territory":
        return (*_overlapping_territories(values), EVERYWHERE)
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


def _read_sort(search: FaultSearch, controls: dict[str, str]) -> Sort | Literal["relevance"]:
    default = RELEVANCE if "q" in controls else "-updated_at"
    sort = controls.get("sort", default)
    if sort not in _ALL_SORTS:
        values = {"values": ", ".join(_ALL_SORTS)}
        search.refuse("?sort", "not-allowed", "sort is one of {values}", allowed=_ALL_SORTS, **values)
        return "-updated_at"
    if sort == RELEVANCE and "q" not in controls:
        search.refuse("?sort", "not-allowed", "sort by relevance needs words: q", allowed=SORTS)
    return sort  # type: ignore[return-value] # one of the list


def _read_page_key(search: FaultSearch, controls: dict[str, str], sort: str) -> PageKey | None:
    if "after" not in controls:
        return None
    try:
        return PageKey.parse(controls["after"], sort)
    except Invalid as error:
        for fault in error.faults:
            search.add(fault)
        return None


def read_moment(text: str) -> datetime:
    """The moment that a filter names, a date or a date-time with an offset. Raises MomentError.

    A ``+`` that is not percent-encoded comes as a space.
    """
    if len(text) == 10:
        text += "T00:00:00Z"
    elif len(text) > 19 and text[-6] == " ":
        text = f"{text[:-6]}+{text[-5:]}"
    return instant(in_utc(text))


def read_time(search: FaultSearch, name: str, text: str) -> datetime | None:
    """The moment that a parameter names, and None where the search notes a fault."""
    try:
        return read_moment(text)
    except MomentError as error:
        template = "{name} is a moment such as 2026-03-01T08:30:00Z, or a date: {reason}"
        search.refuse(f"?{name}", error.code, template, name=name, reason=error.message)
        return None


def read_number(search: FaultSearch, name: str, text: str, maximum: int, minimum: int = 1) -> int:
    """The number that a parameter has; the minimum where the search notes a fault."""
    if not (
        text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS and minimum <= int(text) <= maximum
    ):
        template = "{name} is a number from {minimum} to {maximum}"
        search.refuse(f"?{name}", "out-of-range", template, name=name, minimum=minimum, maximum=maximum)
        return minimum
    return int(text)


def _read_boolean(search: FaultSearch, controls: dict[str, str], name: str) -> bool:
    text = controls.get(name, "false")
    if text not in BOOLEANS:
        template = "{name} is true or false"
        search.refuse(f"?{name}", "not-allowed", template, allowed=BOOLEANS, name=name)
    return text == "true"
