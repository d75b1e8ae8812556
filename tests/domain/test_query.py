"""What can be asked of a collection."""

import base64
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from federation.domain.content.deployment import Deployment
from federation.domain.content.incident import Incident
from federation.domain.content.solution import THEMES, Solution
from federation.domain.errors import Invalid
from federation.domain.query import CONTROLS, SORTS, PageKey, Query, filter_type, filters_of, read_query
from federation.domain.record_content import Content
from federation.domain.registry import TYPES
from tests.domain.builders import NOW


def asked(*pairs: tuple[str, str], of: type[Content] = Solution) -> Query:
    return read_query(of, list(pairs))


def refused(*pairs: tuple[str, str], of: type[Content] = Solution) -> Invalid:
    with pytest.raises(Invalid) as refusal:
        read_query(of, list(pairs))
    return refusal.value


def test_nothing_asked_is_everything_newest_first() -> None:
    assert asked() == Query(kind=Solution, sort="-updated_at", limit=50, total=False)


def test_values_of_one_filter_are_alternatives_and_filters_are_all_demanded() -> None:
    query = asked(
        ("theme", "ai"), ("status", "stable"), ("theme", "crm"), ("origin", "arnia"), ("tlp", "CLEAR")
    )
    assert query.facets == (
        ("theme", ("ai", "crm")),
        ("status", ("stable",)),
        ("origin", ("arnia",)),
        ("tlp", ("CLEAR",)),
    )


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in TYPES.values() for name in filters_of(kind)]
)
def test_every_filter_of_a_type_can_be_asked(kind: type[Content], name: str) -> None:
    type_ = filter_type(kind, name)
    values = type_.values if isinstance(type_, inspect.LiteralType) else (VALUES.get(name, "217100767"),)
    for value in values:
        query = asked((name, str(value)), of=kind)
        if name == "beneficiary":
            assert (query.beneficiaries[0], query.facets) == ("0002:217100767", ())
        else:
            assert query.facets[0][0] == name
            assert value in query.facets[0][1]


VALUES = {
    "country": "FR",
    "territory": "71",
    "solution": "arnia/glpi",
    "deployment": "arnia/cmonia",
    "incident": "arnia/2026-0042",
    "consultation": "arnia/postes-2026",
    "purchase": "arnia/postes",
    "about": "arnia/2026-04",
    "about_type": "meeting",
    "cpv": "48000000-8",
}
"""A value of filters that do not take any text."""


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in TYPES.values() for name in filters_of(kind)]
)
def test_a_value_that_a_filter_cannot_have_is_refused_with_those_there_are(
    kind: type[Content], name: str
) -> None:
    if name in ("version", "beneficiary"):
        return  # any text is one, or any `scheme:value`
    refusal = refused((name, "Öpen/"), of=kind)
    assert refusal.pointer == f"?{name}"
    type_ = filter_type(kind, name)
    if isinstance(type_, inspect.LiteralType):
        assert (refusal.faults[0].code, refusal.faults[0].allowed) == ("not-allowed", type_.values)
        assert str(type_.values[0]) in refusal.detail


def test_a_territory_that_there_is_not_is_refused() -> None:
    for code in ("71", "2A", "974", "FR", "FR-BFC", "FR-69M", "RE", "BE-WAL", "BE"):
        assert asked(("territory", code), of=Deployment).facets
    for code in ("99", "96", "FR-ZZZ", "FR-99", "fr-bfc", "Bourgogne", "", "7"):
        assert refused(("territory", code), of=Deployment).pointer == "?territory"


def test_a_territory_is_found_by_what_is_in_it_and_around_it() -> None:
    ((_, values),) = asked(("territory", "71"), of=Deployment).facets
    assert {"71", "FR-71", "FR-BFC", "FR", "part-of:71"} <= set(values)
    assert not {"FR-BRE", "21", "part-of:21"} & set(values)


def test_all_that_is_wrong_with_a_query_is_refused_at_once() -> None:
    refusal = refused(("kind", "x"), ("colour", "x"), ("limit", "0"), ("sort", "name"), ("total", "yes"))
    assert {(fault.pointer, fault.code) for fault in refusal.faults} == {
        ("?kind", "not-allowed"), ("?colour", "unknown-parameter"), ("?limit", "out-of-range"),
        ("?sort", "not-allowed"), ("?total", "not-allowed"),
    }  # fmt: skip


@pytest.mark.parametrize("kind", TYPES.values())
def test_an_unknown_filter_is_refused_with_those_there_are(kind: type[Content]) -> None:
    refusal = refused(("colour", "red"), of=kind)
    assert refusal.pointer == "?colour"
    assert refusal.detail.startswith(f"'colour' cannot be asked of {kind.plural}; ")
    for name in (*filters_of(kind), *CONTROLS):
        assert name in refusal.detail


@pytest.mark.parametrize(
    "name", ["", "Theme", "theme ", "theme[]", "theme\n", "alias", "beneficiary", "x" * 100_000, "\x00"]
)
def test_garbage_for_a_name_is_refused_shortly(name: str) -> None:
    refusal = refused((name, "x"))
    assert len(refusal.detail) < 400
    assert len(refusal.pointer or "") <= 81


def test_nul_is_refused_in_every_value() -> None:
    for name in ("theme", "q", "after", "sort", "colour"):
        assert refused((name, "a\x00b"))
    assert refused(("theme", "a\x00b")).detail == "NUL is not allowed"


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_that_is_there_twice_is_refused(name: str) -> None:
    good = {
        "q": "parc", "updated_since": "2026-03-01", "updated_before": "2026-03-01", "sort": "id",
        "limit": "10",
        "after": str(PageKey("-updated_at", NOW, "arnia", "glpi")), "total": "true",
    }  # fmt: skip
    assert asked((name, good[name]))
    refusal = refused((name, good[name]), (name, good[name]))
    assert (refusal.detail, refusal.pointer) == (f"{name} is there twice", f"?{name}")


def test_fifty_values_can_be_asked_for_and_no_more() -> None:
    themes = sorted(THEMES)
    assert len(asked(*[("theme", theme) for theme in themes[:50]]).facets[0][1]) == 50
    assert "more than 50 values" in refused(*[("theme", theme) for theme in themes[:51]]).detail
    assert refused(*[("theme", "x")] * 25, *[("status", "x")] * 26)


@pytest.mark.parametrize(("text", "limit"), [("1", 1), ("50", 50), ("500", 500), ("007", 7)])
def test_a_page_has_a_limit(text: str, limit: int) -> None:
    assert asked(("limit", text)).limit == limit


@pytest.mark.parametrize(
    "text",
    ["0", "501", "-1", "+1", "1.0", "1e2", " 1", "1 ", "", "ten", "٣", "²", "1_0", "0x1", "9" * 10_000],
)
def test_what_is_no_limit_is_refused(text: str) -> None:
    refusal = refused(("limit", text))
    assert (refusal.detail, refusal.pointer) == ("limit is a number from 1 to 500", "?limit")


@pytest.mark.parametrize("sort", SORTS)
def test_a_list_is_sorted_in_one_of_three_ways(sort: str) -> None:
    assert asked(("sort", sort)).sort == sort


@pytest.mark.parametrize("sort", ["", "name", "-id", "updated_at,id", "ID"])
def test_another_sort_order_is_refused_with_those_there_are(sort: str) -> None:
    refusal = refused(("sort", sort))
    assert (refusal.detail, refusal.pointer) == (
        "sort is one of -updated_at, updated_at, id, relevance",
        "?sort",
    )


def test_words_have_one_to_two_hundred_characters() -> None:
    assert asked(("q", "é" * 200)).words == "é" * 200
    assert asked(("q", "x")).words == "x"
    for words in ("", "x" * 201):
        assert refused(("q", words)).pointer == "?q"


@pytest.mark.parametrize(("text", "total"), [("true", True), ("false", False)])
def test_a_total_is_asked_for_or_not(text: str, total: bool) -> None:
    assert asked(("total", text)).total is total


@pytest.mark.parametrize("text", ["", "1", "True", "yes", "TRUE", "true "])
def test_what_is_not_true_or_false_is_refused(text: str) -> None:
    assert refused(("total", text)).pointer == "?total"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T08:30:00Z", NOW),
        ("2026-03-01T08:30:00.000001Z", NOW.replace(microsecond=1)),
        ("2026-03-01T10:30:00+02:00", NOW),
        ("2026-03-01T10:30:00 02:00", NOW),  # a plus that was not percent-encoded
        ("2026-03-01T07:30:00-01:00", NOW),
        ("2026-03-01T08:30:00+00:00", NOW),
        ("2026-03-01t08:30:00z", NOW),
        ("2026-03-01 08:30:00Z", NOW),
        ("2026-03-01T08:30:00.123456789Z", NOW.replace(microsecond=123456)),
        ("1970-01-01", datetime(1970, 1, 1, tzinfo=UTC)),
        ("2200-12-31T23:59:59Z", datetime(2200, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
@pytest.mark.parametrize("name", ["updated_since", "updated_before"])
def test_a_moment_is_asked_for_in_utc_or_as_a_date(name: str, text: str, moment: datetime) -> None:
    assert getattr(asked((name, text)), name) == moment


@pytest.mark.parametrize(
    "text",
    [
        "", "yesterday", "2026", "2026-02-30", "2026-02-30T00:00:00Z", "2026-03-01T08:30:00",
        "2026-03-01T08:30:00+2", "1970-01-01T00:00:00+01:00",
        "2026-03-01T08:30:00+0000", "1969-12-31", "2201-01-01", "0001-01-01",
        "9999-12-31T23:59:59Z",
        "2026-03-01T25:00:00Z", "٢٠٢٦-٠٣-٠١", "Z", "2026-03-01\n",
        "1" * 100_000,
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["updated_since", "updated_before"])
def test_what_is_no_moment_is_refused(name: str, text: str) -> None:
    assert refused((name, text)).pointer == f"?{name}"


@pytest.mark.parametrize(
    ("text", "beneficiary"),
    [
        ("217100767", "0002:217100767"),
        ("21710076700011", "0009:21710076700011"),
        ("71076", "cog:71076"),
        ("2A004", "cog:2A004"),
        ("0208:0428759497", "0208:0428759497"),
        ("0002:217100767", "0002:217100767"),
    ],
)
def test_a_body_is_asked_for_by_its_number(text: str, beneficiary: str) -> None:
    assert asked(("beneficiary", text), of=Deployment).beneficiaries[0] == beneficiary


@pytest.mark.parametrize("text", ["", "1", "7107", "Chalon-sur-Saône", "217100767000110"])
def test_a_body_without_a_number_is_refused(text: str) -> None:
    assert refused(("beneficiary", text), of=Deployment).pointer == "?beneficiary"


# Places


@pytest.mark.parametrize("sort", SORTS)
def test_a_place_is_read_back_as_it_was_written(sort: Any) -> None:
    place = PageKey(sort, NOW.replace(microsecond=123_456), "megalis.bretagne.bzh", "A_b~c.d-e")
    assert PageKey.parse(str(place), sort) == place
    assert asked(("sort", sort), ("after", str(place))).after == place
    assert str(place).isascii()
    assert not set(str(place)) & set("+/=&?# ")


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("other", SORTS)
def test_a_place_of_another_sort_order_is_refused(sort: Any, other: str) -> None:
    place = str(PageKey(sort, NOW, "arnia", "glpi"))
    if sort == other:
        assert asked(("sort", other), ("after", place)).after
    else:
        refusal = refused(("sort", other), ("after", place))
        assert (refusal.pointer, "another sort order" in refusal.detail) == ("?after", True)


def packed(value: Any) -> str:
    raw = value if isinstance(value, bytes) else msgspec.msgpack.encode(value)
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "!!!!", "====", "é", "\ud800", "A" * 1_000, "AAAA", packed(b""), packed(b"\xc1"),
        packed(None), packed(1),
        packed("-updated_at"), packed([]), packed({}), packed(["-updated_at"]), packed(["-updated_at",
        NOW, "arnia"]),
        packed(["-updated_at", 1, "arnia", "glpi"]), packed(["-updated_at", NOW, 1, "glpi"]),
        packed(["-updated_at", NOW, "arnia", None]), packed(["name", NOW, "arnia", "glpi"]),
        packed(["-updated_at", NOW, "arnia\x00", "glpi"]), packed(["-updated_at", NOW, "arnia", "gl\x00pi"]),
        packed(msgspec.msgpack.encode(["-updated_at", NOW, "arnia", "glpi"]) + b"x"),
        packed(msgspec.msgpack.encode(["-updated_at", NOW, "arnia", "glpi"])[:-1]),
        packed(b"\x94\xabsupdated_at\xc0\xc0\xc0"), packed(b"\xdd\xff\xff\xff\xff"),
        packed(b"\xa5\xff\xff\xff\xff\xff"),
    ],
)  # fmt: skip
def test_garbage_for_a_place_is_refused(text: str) -> None:
    assert refused(("after", text)).pointer == "?after"


@pytest.mark.parametrize(
    "moment",
    [
        "2026-03-01T08:30:00",
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-12))),
    ],
)
def test_a_place_at_a_moment_that_no_record_has_is_refused(moment: Any) -> None:
    # A moment without a zone, or one that leaves the calendar in UTC, cannot be compared by the database.
    text = moment if isinstance(moment, str) else moment.isoformat()
    assert asked(("after", packed(["-updated_at", "2026-03-01T08:30:00Z", "arnia", "glpi"]))).after
    assert refused(("after", packed(["-updated_at", text, "arnia", "glpi"]))).pointer == "?after"


def test_a_place_with_a_thousand_arrays_behind_it_is_refused() -> None:
    good = msgspec.msgpack.encode(["-updated_at", NOW, "arnia", "glpi"])
    assert good[:1] == b"\x94"
    deep = b"\x95" + good[1:] + b"\x91" * 3_000 + b"\xc0"
    assert refused(("after", packed(deep))).pointer == "?after"


def test_incidents_can_be_asked_by_alias() -> None:
    assert asked(("alias", "CVE-2025-24799"), of=Incident).facets == (("alias", ("CVE-2025-24799",)),)


def test_a_search_is_in_the_order_of_relevance_if_no_other_one_is_asked_for() -> None:
    assert asked(("q", "parc")).sort == "relevance"
    assert asked(("q", "parc"), ("sort", "relevance")).sort == "relevance"
    assert asked(("q", "parc"), ("sort", "id")).sort == "id"
    assert refused(("sort", "relevance")).pointer == "?sort"


def test_a_page_key_of_a_search_has_the_rank_and_goes_on_in_the_order_it_was_given_in() -> None:
    ranked = PageKey("relevance", NOW, "arnia", "glpi", 60_793)
    assert PageKey.parse(str(ranked), "relevance") == ranked
    by_time = PageKey("-updated_at", NOW, "arnia", "glpi")
    assert PageKey.parse(str(by_time), "relevance") == by_time
    for sort in SORTS:
        with pytest.raises(Invalid, match="another sort order"):
            PageKey.parse(str(ranked), sort)
    for rank in (-1, 2**31, 2**70):
        with pytest.raises((Invalid, OverflowError)):
            PageKey.parse(str(msgspec.structs.replace(ranked, rank=rank)), "relevance")


def test_a_page_key_without_a_rank_is_read_as_before() -> None:
    raw = msgspec.msgpack.encode(["-updated_at", NOW, "arnia", "glpi"])
    text = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    assert PageKey.parse(text, "-updated_at") == PageKey("-updated_at", NOW, "arnia", "glpi")
