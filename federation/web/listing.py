"""Lists for people: filters in the URL, pages by key with a count, and the whole list as a file.

A page of a list and its files are a few lines each::

    FILTERS = (Filter("theme", t("Theme"), values=THEMES, kind="theme"), Filter("q", t("Words")))
    COLUMNS = (Column(t("Name"), lambda visit, entry: entry.content.name), …)

    @page("/solutions", act="page_solutions", right=READ)
    async def solutions(visit):
        listing = await read_listing(visit, Solution, Row, FILTERS)
        return list_answer(visit, "solutions.html", listing)

    @list_file("/solutions", act="page_solutions_file", right=READ)
    async def solutions_file(visit):
        return await listing_file(visit, Solution, Row, FILTERS, COLUMNS)

``Row`` is a struct with the members of the content that the list shows; the rest is skipped. A macro in
``templates/rows.html``, with the name of the type, makes a row of ``Entry[Row]``: ``entry.id``,
``entry.tlp``, ``entry.content.name``. In the template of the page ``listing.filters`` is the form of filters,
each with its fault beside it, and ``listing.rows_html`` the rows. After
``{% import "listing.html" as lists with context %}`` there are:

- ``lists.title(listing, _("Solutions"))`` for the title: with the filters and the number of the page;
- ``lists.count(listing)``, ``lists.empty(listing, text)`` in place of the table, ``lists.pager(listing)``
  below it: next page, first page, the files.

A filter with a bad value is shown beside its field, with status 400 and no rows: a list that ignored it would
show what was not asked for. Parameters that are no filters of the page are ignored, as links may carry some.
``narrowed`` adds pairs that the page decides itself (``("kind", "outage")``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import urlencode

from litestar.response.base import ASGIResponse
from markupsafe import Markup

from federation.domain.errors import Invalid
from federation.domain.query import MAX_TOTAL, Query, read_query
from federation.domain.record_content import Content
from federation.node import search
from federation.web.forms import Form
from federation.web.labels import LABELS
from federation.web.language import translate
from federation.web.list_rows import Row, RowsReader
from federation.web.rendered import RenderedParts
from federation.web.rendering import macro as macro_of
from federation.web.visit import Visit

R = TypeVar("R")
Pairs = list[tuple[str, str]]

PASSED_ON = ("updated_since", "updated_before", "sort")
"""Parameters of lists that have no field, and stay in the addresses of further pages."""
MAX_UNSORTED_VALUES = 12
"""Values of a filter that stand in the order of their enumeration; more are sorted by their words."""
MAX_PAGE_NUMBER = 99_999
"""The number of a page is for its title alone: pages begin after a key."""
MAX_FORMS_BYTES = 2 * 1_048_576
"""Bytes of forms of filters that a process stores, at most: some hundred."""


class Filter(NamedTuple):
    """A filter of a list, as a field of its form."""

    name: str
    """The parameter, as the API has it."""
    label: str
    """A text of the screen."""
    values: tuple[str, ...] = ()
    """The values to choose from; without any it is typed."""
    kind: str = ""
    """The enumeration whose words the values have (``web/labels.py``)."""
    hint: str = ""
    """A text of the screen: an example of what to type."""


class Field(NamedTuple):
    """A field of the form of filters, in the language of the visitor."""

    name: str
    label: str
    hint: str
    options: list[tuple[str, str]]


_forms: RenderedParts[Markup] = RenderedParts(MAX_FORMS_BYTES)


class Listing(NamedTuple, Generic[R]):
    """A page of a list."""

    path: str
    """The path of the page, without its language."""
    plural: str
    """The name of the type's lists."""
    filters: Markup
    """The form of filters, each with its fault beside it."""
    words: tuple[str, ...]
    """The filters that are set, in words: "Theme: education"."""
    form: Form
    """The values of the filters, and their faults."""
    rows: tuple[Row[R], ...]
    total: int
    """Up to ``MAX_TOTAL``; one more stands for more than that."""
    following: str
    """The query string of the next page; empty on the last one."""
    pairs: tuple[tuple[str, str], ...]
    """The filters that are set."""
    number: int
    """Number of this page."""
    not_understood: int
    suggestion: str | None
    alternate: str
    """The path at which programs read the same."""

    @property
    def status(self) -> int:
        return 400 if self.form.faults else 200

    @property
    def is_exact(self) -> bool:
        return self.total <= MAX_TOTAL

    @property
    def shown_total(self) -> int:
        return min(self.total, MAX_TOTAL)

    @property
    def rows_html(self) -> Markup:
        """The rows, as the table has them."""
        return Markup("".join([row.html for row in self.rows]))  # noqa: S704 - as the template made them

    @property
    def query(self) -> str:
        """The query string of the first page, with its question mark."""
        return f"?{urlencode(self.pairs)}" if self.pairs else ""

    def query_with(self, name: str, value: str) -> str:
        """The query string with another value of a filter."""
        return "?" + urlencode([*(pair for pair in self.pairs if pair[0] != name), (name, value)])


async def read_listing(
    visit: Visit,
    kind: type[Content],
    row: type[R],
    filters: Sequence[Filter],
    *,
    narrowed: Sequence[tuple[str, str]] = (),
    macro: str | None = None,
) -> Listing[R]:
    """A page of a list, as far as its visitor may see it. ``macro``: of its rows, if not that of the type."""
    pairs, form = _pairs_and_form(visit, filters)
    number = visit.parameter("page")
    query = _query(visit, kind, [*pairs, *narrowed], form, after=visit.parameter("after"))
    listing: Listing[R] = Listing(
        path=visit.path,
        plural=kind.plural,
        filters=_filter_form(visit, filters, pairs, form),
        words=tuple(_words(visit, filters, pairs)),
        form=form,
        rows=(),
        total=0,
        following="",
        pairs=tuple(pairs),
        number=min(int(number), MAX_PAGE_NUMBER) if re.fullmatch("[1-9][0-9]{0,4}", number) else 1,
        not_understood=0,
        suggestion=None,
        alternate=f"/v1/{kind.plural}?{urlencode([*pairs, *narrowed])}".removesuffix("?"),
    )
    if query is None:
        return listing
    reader = RowsReader(visit, row, macro or kind.type)
    found, visit.operator_names = await search.search_named(visit.node, query, reader.read, by=visit.caller)
    _, after, total, _, not_understood = found.listed
    following = urlencode([*pairs, ("after", str(after)), ("page", str(listing.number + 1))]) if after else ""
    return listing._replace(
        rows=reader.rows(),
        total=total or 0,
        following=following,
        not_understood=not_understood,
        suggestion=found.suggestion,
    )


def list_answer(visit: Visit, template: str, listing: Listing[Any], **view: Any) -> ASGIResponse:
    """The page of a list; with status 400 where a filter is at fault."""
    return visit.page(
        template,
        status=listing.status,
        alternate=listing.alternate,
        feed=listing.plural,
        listing=listing,
        **view,
    )


def read_filters(
    visit: Visit, kind: type[Content], filters: Sequence[Filter], narrowed: Sequence[tuple[str, str]] = ()
) -> Query:
    """The query of the filters that are set. Raises Invalid with all that is wrong."""
    pairs, _ = _pairs_and_form(visit, filters)
    return read_query(kind, [*pairs, *narrowed])


def _pairs_and_form(visit: Visit, filters: Sequence[Filter]) -> tuple[Pairs, Form]:
    names = {*(filter_.name for filter_ in filters), *PASSED_ON}
    pairs = [(name, value) for name, value in visit.pairs if name in names]
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return pairs, Form(fields)


def _query(visit: Visit, kind: type[Content], pairs: Pairs, form: Form, *, after: str) -> Query | None:
    """The query of a page; None where the form has noted what is wrong with it."""
    if after:
        pairs = [*pairs, ("after", after)]
    try:
        return read_query(kind, [*pairs, ("total", "true")])
    except Invalid as error:
        if not error.faults:
            form.refuse("", error.message.to_text(visit.language))
        for fault in error.faults:
            name = fault.pointer.removeprefix("?")
            form.refuse(name if name in form.fields else "", fault.message.to_text(visit.language))
        return None


def _words(visit: Visit, filters: Sequence[Filter], pairs: Pairs) -> Iterator[str]:
    by_name = {filter_.name: filter_ for filter_ in filters}
    for name, value in pairs:
        if (filter_ := by_name.get(name)) is not None:
            colon = "\N{NO-BREAK SPACE}: " if visit.language == "fr" else ": "
            yield f"{visit.text(filter_.label)}{colon}{value_words(visit, filter_.kind, value)}"


def value_words(visit: Visit, kind: str, value: str) -> str:
    """A value of an enumeration in words; the value itself where there are none."""
    english = LABELS.get(kind, {}).get(value)
    return value if english is None else translate(visit.language, english)


def _filter_form(visit: Visit, filters: Sequence[Filter], pairs: Pairs, form: Form) -> Markup:
    """The form of filters, rendered once for each choice of them; with faults each time."""
    source = (visit.language, visit.path, tuple(filters), tuple(pairs))
    if not form.faults and (stored := _forms.get(source)) is not None:
        return stored
    fields = [_field(visit, filter_) for filter_ in filters]
    hidden = [pair for pair in pairs if pair[0] in PASSED_ON]
    html = macro_of(visit.language, "filters.html", "form_of")(
        visit.url(visit.path), fields, form, pairs, hidden
    )
    if not form.faults:
        _forms.add(source, html, len(html) + sum(len(value) for _, value in pairs))
    return html


def _field(visit: Visit, filter_: Filter) -> Field:
    options = [(value, value_words(visit, filter_.kind, value)) for value in filter_.values]
    if len(options) > MAX_UNSORTED_VALUES:
        options.sort(key=lambda option: option[1].lower())
    hint = visit.text(filter_.hint) if filter_.hint else ""
    return Field(filter_.name, visit.text(filter_.label), hint, options)
