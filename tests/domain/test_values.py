"""The small values: identifiers, dates, references, texts."""

import csv
import importlib
import pkgutil
import random
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import inspect
from stdnum.fr import siren

from federation import domain
from federation.domain import organisation
from federation.domain.content.deployment import Deployment
from federation.domain.content.incident import Incident
from federation.domain.content.operator import Operator
from federation.domain.content.solution import Solution
from federation.domain.organisation import Identifier
from federation.domain.part import Dated, Part
from federation.domain.projection import MAX_SEARCHED_BYTES
from federation.domain.record_content import Content
from federation.domain.values import END, as_instant, day, instant
from tests.domain.builders import (
    NOW,
    a_deployment,
    a_draft,
    a_solution,
    an_incident,
    an_operator,
    refused_draft,
)

COMMUNES = Path(__file__).parents[3] / "shared" / "data" / "communes" / "communes-france.csv"

IDENTIFIERS = [
    ("0002", "217100767", True),
    ("0002", "217100768", False),  # Luhn
    ("0002", "127100767", False),  # two digits exchanged
    ("0002", "21710076", False),
    ("0002", "2171007670", False),
    ("0002", "21710076A", False),
    ("0002", "FR217100767", False),
    ("0009", "21710076700011", True),
    ("0009", "21710076700012", False),
    ("0009", "21710076800010", False),
    ("0009", "217100767", False),
    ("0009", "2171007670001", False),
    ("0009", "35600000000048", True),  # La Poste, head office: Luhn holds
    ("0009", "35600000049837", True),  # La Poste, an office: the sum of its digits is a multiple of five
    ("0009", "35600000049838", False),
    ("0208", "0428759497", True),
    ("0208", "0428759498", False),
    ("0208", "428759497", False),
    ("cog", "71076", True),
    ("cog", "01001", True),
    ("cog", "2A004", True),
    ("cog", "2B033", True),
    ("cog", "97411", True),
    ("cog", "2C004", False),
    ("cog", "2a004", False),
    ("cog", "7107", False),
    ("cog", "710760", False),
    ("cog", "7107A", False),
    ("0190", "00000001003214345000", True),  # its check digits are not known here
    ("0204", "991-01234-56", True),
    ("9999", "anything", True),
]


@pytest.mark.parametrize(("scheme", "value", "holds"), IDENTIFIERS)
def test_an_identifier_is_one_of_its_register(scheme: str, value: str, holds: bool) -> None:
    content = an_operator(identifiers=[{"scheme": scheme, "value": value}])
    if holds:
        assert a_draft(content, Operator).content.identifiers == (Identifier(scheme=scheme, value=value),)
    else:
        refusal = refused_draft(content, Operator)
        assert refusal.pointer == "/content/identifiers/0/value"
        assert value in refusal.detail


@pytest.mark.parametrize(
    ("identifier", "pointer"),
    [
        ({"scheme": "siren", "value": "217100767"}, "/scheme"),
        ({"scheme": "COG", "value": "71076"}, "/scheme"),
        ({"scheme": "2", "value": "217100767"}, "/scheme"),
        ({"scheme": "00020", "value": "217100767"}, "/scheme"),
        ({"scheme": 2, "value": "217100767"}, "/scheme"),
        ({"scheme": "0002", "value": 217100767}, "/value"),
        ({"scheme": "0002", "value": "217 100 767"}, "/value"),
        ({"scheme": "0190", "value": ""}, "/value"),
        ({"scheme": "0190", "value": "-1"}, "/value"),
        ({"scheme": "0190", "value": "1" * 65}, "/value"),
        ({"scheme": "0190", "value": "a/b"}, "/value"),
        ({"scheme": "0002", "value": "٢١٧١٠٠٧٦٧"}, "/value"),
        ({"scheme": "0002"}, "/value"),
        ({"value": "217100767"}, "/scheme"),
    ],
)
def test_an_identifier_has_a_form(identifier: dict[str, Any], pointer: str) -> None:
    refusal = refused_draft(an_operator(identifiers=[identifier]), Operator)
    assert refusal.pointer == f"/content/identifiers/0{pointer}"


def test_every_commune_of_france_has_identifiers_that_hold() -> None:
    if not COMMUNES.exists():
        pytest.skip(f"the real communes are not there: {COMMUNES}")
    with COMMUNES.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 34_000
    refused = []
    for row in rows:
        for scheme, value in (("cog", row["cog"]), ("0002", row["siren"])):
            if value:
                try:
                    msgspec.convert({"scheme": scheme, "value": value}, Identifier)
                except msgspec.ValidationError:
                    refused.append((scheme, value))
    assert refused == []


# Dates


@pytest.mark.parametrize("text", ["1970-01-01", "2026-03-01", "2028-02-29", "2000-02-29", "2200-12-31"])
def test_a_day_of_the_calendar_is_taken(text: str) -> None:
    assert a_draft(a_deployment(since=text), Deployment).content.since == text
    assert day(text).isoformat() == text


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        ("2026-02-30", "/content/since"),
        ("2026-02-29", "/content/since"),
        ("2100-02-29", "/content/since"),
        ("2026-04-31", "/content/since"),
        ("2026-13-01", "/content/since"),
        ("2026-00-01", "/content/since"),
        ("2026-01-00", "/content/since"),
        ("2026-01-32", "/content/since"),
        ("1969-12-31", "/content/since"),
        ("2201-01-01", "/content/since"),
        ("0001-01-01", "/content/since"),
        ("12026-01-01", "/content/since"),
        ("2026-1-1", "/content/since"),
        ("01/03/2026", "/content/since"),
        ("20260301", "/content/since"),
        ("2026-W10-1", "/content/since"),
        ("2026-03", "/content/since"),
        ("2026-03-01T00:00:00Z", "/content/since"),
        (" 2026-03-01", "/content/since"),
        ("", "/content/since"),
        ("٢٠٢٦-03-01", "/content/since"),
    ],
)
def test_what_is_no_day_of_the_calendar_is_refused(text: str, pointer: str) -> None:
    assert refused_draft(a_deployment(since=text), Deployment).pointer == pointer


def test_a_date_that_ends_with_a_line_feed_is_no_date() -> None:
    assert refused_draft(a_deployment(since="2026-03-01\n"), Deployment)
    assert refused_draft(an_incident(started_at="2026-03-01T08:00:00Z\n"), Incident)


def test_a_moment_keeps_its_microseconds_on_the_way_out_and_back() -> None:
    assert instant(as_instant(NOW.replace(microsecond=1))) == NOW.replace(microsecond=1)
    assert as_instant(NOW) == "2026-03-01T08:30:00.000000Z"
    assert instant("2026-03-01T08:30:00.25Z") == NOW.replace(microsecond=250_000)
    for no_moment in ("2026-02-30T00:00:00Z", "yesterday"):
        with pytest.raises(ValueError, match="is not a moment of the calendar"):
            instant(no_moment)


# References and addresses


@pytest.mark.parametrize(
    "reference", ["arnia/glpi", "megalis.bretagne.bzh/A_b~c.d-e", "a/0", "nobody/not-there-yet"]
)
def test_a_reference_names_an_operator_and_a_key_and_may_dangle(reference: str) -> None:
    assert a_draft(a_deployment(solution=reference), Deployment).content.solution == reference


@pytest.mark.parametrize(
    "reference",
    ["glpi", "/glpi", "arnia/", "arnia/glpi/1", "Arnia/glpi", "arnia/-glpi", "arnia /glpi",
        "arnia/glpi ", "arnia/gl pi",
     "https://example.org", "../etc/passwd", "a" * 64 + "/k", "a/" + "k" * 129],
)  # fmt: skip
def test_what_is_no_reference_is_refused(reference: str) -> None:
    assert refused_draft(a_deployment(solution=reference), Deployment).pointer == "/content/solution"


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("https://glpi-project.org", True),
        ("http://example.org:8080/a?b=c#d", True),
        ("https://example.org/caf%C3%A9", True),
        ("https://[2001:db8::1]:8443/a?b=%5B1%5D", True),
        ("https://example.org/café", False),
        ("https://exämple.org/", False),
        ("https://example.org/100%", False),
        ("https://example.org/%zz", False),
        ("https://example.org/a[1]", False),
        ("https://example.org/a#b#c", False),
        ("https://[", False),
        ("https://user@example.org", False),
        ("https://example.org:port/", False),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("ftp://example.org", False),
        ("//example.org", False),
        ("https://", False),
        ("https://example.org/a b", False),
        ('https://example.org/"onload="x', False),
        ("https://example.org/<script>", False),
        ("https://example.org/\ta", False),
        ("https://example.org/" + "a" * 2_048, False),
    ],
)
def test_a_link_is_a_web_address_that_cannot_leave_its_attribute(url: str, taken: bool) -> None:
    if taken:
        assert a_draft(a_solution(homepage=url)).content.homepage == url
    else:
        assert refused_draft(a_solution(homepage=url)).pointer == "/content/homepage"


@pytest.mark.parametrize(
    ("tag", "taken"),
    [
        ("fr", True), ("fr-FR", True), ("oc-gascon", True), ("zh-Hant-TW", True), ("br", True), ("gsw", True),
        ("", False), ("f", False), ("FR", False), ("french", False), ("fr_FR", False), ("fr-", False),
            ("fr ", False),
    ],
)  # fmt: skip
def test_texts_for_people_are_named_by_language_tags(tag: str, taken: bool) -> None:
    content = a_solution(summary={tag: "x"})
    if taken:
        assert a_draft(content).content.summary == {tag: "x"}
    else:
        assert refused_draft(content)


def test_a_text_for_people_is_in_at_least_one_language_and_at_most_thirty() -> None:
    tags = [f"a{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(31)]
    assert a_draft(a_solution(summary=dict.fromkeys(tags[:30], "x")))
    for summary in ({}, dict.fromkeys(tags, "x")):
        assert refused_draft(a_solution(summary=summary)).pointer == "/content/summary"


def test_a_text_has_a_length() -> None:
    assert a_draft(a_solution(name="é" * 200, summary={"fr": "é" * 20_000}))
    for name in ("", "é" * 201):
        assert refused_draft(a_solution(name=name)).pointer == "/content/name"
    for text in ("", "é" * 20_001):
        assert refused_draft(a_solution(summary={"fr": text}))


# Projection


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (a_solution(summary={"fr": "parc", "en": "assets", "fr-CA": "inventaire"}), Solution,
            ("parc inventaire", "assets\x1fGLPI")),
        (an_incident(title={"fr": "panne"}, summary={"en": "down"}, aliases=["CVE-2024-1"]), Incident,
            ("", "down CVE 2024 1\x1fpanne")),
        (an_operator(name="L'ARNia"), Operator, ("", "\x1fL ARNia")),
        (a_deployment(hosting={"model": "operator", "provider": "OVH"}, offer={"open": True,
            "eligibility": {"fr": "EPCI"}}),
         Deployment, ("EPCI", "arnia glpi OVH\x1f")),
    ],
)  # fmt: skip
def test_what_is_searched_in_french_is_apart_from_what_is_searched_as_it_stands_too(
    content: dict[str, Any], kind: type[Content], words: tuple[str, str]
) -> None:
    projection = a_draft(content, kind).content.project()
    assert (projection.french, projection.other) == words


def test_what_is_searched_of_a_record_has_a_limit_in_bytes_and_keeps_whole_letters() -> None:
    summary = {f"fr-{a}{b}": "𠀀" * 10_000 for a in "ab" for b in "ab"} | {"en": "last"}
    projection = a_draft(a_solution(name="GLPI", summary=summary)).content.project()
    assert projection.other == "\x1fGLPI"
    whole = "𠀀" * 10_000
    rest = (MAX_SEARCHED_BYTES - len("GLPI ") - len(f"{whole} ".encode()) - 1) // 4
    assert projection.french.split() == [whole, "𠀀" * rest]


def test_the_check_digit_of_a_siren_is_what_the_library_says_it_is() -> None:
    chance = random.Random(5)
    for _ in range(2_000):
        value = f"{chance.randrange(10**9):09d}"
        assert organisation._is_valid_identifier("0002", value) == siren.is_valid(value), value
    for value in ("", "21710076", "2171007677", "21710076x", "²17100767", "٢17100767"):
        assert not organisation._is_valid_identifier("0002", value)


# Patterns


def _patterns(type_: inspect.Type, seen: set[int]) -> Iterator[str]:
    """Every pattern that a type rests on."""
    if id(type_) in seen:
        return
    seen.add(id(type_))
    if pattern := getattr(type_, "pattern", None):
        yield pattern
    inner = [getattr(type_, name, None) for name in ("type", "item_type", "key_type", "value_type")]
    inner += [*getattr(type_, "types", ()), *(f.type for f in getattr(type_, "fields", ()))]
    for one in inner:
        if isinstance(one, inspect.Type):
            yield from _patterns(one, seen)


def every_pattern() -> list[str]:
    """The patterns of everything that ``federation.domain`` decodes."""
    found: dict[str, None] = {}
    for module in pkgutil.walk_packages(domain.__path__, "federation.domain."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, type) and issubclass(value, msgspec.Struct):
                with suppress(TypeError, NameError):
                    found |= dict.fromkeys(_patterns(inspect.type_info(value), set()))
    return list(found)


def test_every_pattern_of_the_schema_is_found() -> None:
    """The control: as many as are written down, none of them twice."""
    written = sum(path.read_text().count("pattern=") for path in Path(domain.__path__[0]).rglob("*.py"))
    assert len(every_pattern()) >= written - 13 > 20, "some are shared"


@pytest.mark.parametrize("pattern", every_pattern())
def test_a_line_feed_after_the_end_matches_no_pattern(pattern: str) -> None:
    """msgspec searches, and to Python ``$`` alone matches before a last line feed."""
    assert pattern.startswith("^")
    assert pattern.endswith(END)
    assert len(re.findall(r"(?<!\\)\$", pattern)) == 1
    assert not re.search(r"\\[AZz]|\(\?[^!:=]", pattern), "ECMA-262 has it not"
    for example in ("a", "aa", "a/b", "FR", "EUR", "cog", "fr", "0" * 16, "0" * 64, "0" * 43,
                    "71", "AGPL-3.0", "0002", "48000000-8",
                    "2026-03-01", "2026-03-01T08:30:00Z", "https://a.b", "a@b", "pkg:a/b", "cpe:/a",
                    "vers:a/b", "/a", "+33 1 99 00 12 34", "CVE-1", "CVSS:3.1/AV:N/AC:L", "a:b", "217100767",
                    "00000000-0000-4000-8000-000000000000"):  # fmt: skip
        if re.search(pattern, example):
            assert not re.search(pattern, example + "\n")
            break
    else:
        pytest.fail(f"no example for {pattern}")


def test_whoever_names_moments_has_them_checked() -> None:
    """`Part` does not look at them: it would cost every group of members that has none."""

    def below(kind: type[Any]) -> Iterator[type[Any]]:
        for one in kind.__subclasses__():
            yield one
            yield from below(one)

    naming = [one for one in below(Part) if getattr(one, "moments", ()) or getattr(one, "ordered", ())]
    assert len(naming) > 5
    assert all(issubclass(one, Dated) for one in naming)
