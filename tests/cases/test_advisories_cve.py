"""Public cases: CVE records, read as their schema means them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from federation.domain.errors import Invalid
from federation.domain.formats.cve import read_cve
from tests.cases.frames import answers, cve, names, product_of_cve

DATA = Path(__file__).parents[3] / "shared" / "data" / "advisories" / "cve"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the shared advisories are not beside the project")
AFFECTED, NOT, UNKNOWN = "affected", "not_affected", "unknown"
CUSTOM = {"versionType": "custom"}


@pytest.mark.case("a02", "lessThan is a bound and no fix")
def test_a_bound_is_no_fix() -> None:
    finding = product_of_cve(
        {"version": "9.0", "lessThan": "10.0", **CUSTOM}, {"version": "10.0", "lessThan": "10.0.5", **CUSTOM}
    )
    assert answers(finding, "9.0", "10.0", "10.0.4") == [AFFECTED] * 3
    assert answers(finding, "8.9", "10.0.5") == [NOT, NOT]
    assert finding.products[0].fixed == ()
    assert product_of_cve({"version": ">= 9.0, < 10.0"}).products[0].fixed == ()


def test_a_change_to_unaffected_is_a_fix_where_nothing_else_has_it() -> None:
    fix = {"changes": [{"at": "10.0.5", "status": "unaffected"}]}
    finding = product_of_cve({"version": "10.0", "lessThan": "11", **CUSTOM, **fix})
    assert finding.products[0].fixed == ("10.0.5",)
    again = product_of_cve(
        {"version": "10.0.5", "lessThan": "10.0.6", **CUSTOM},
        {"version": "10.0", "lessThan": "11", **CUSTOM, **fix},
    )
    assert again.products[0].fixed == ()
    assert answers(again, "10.0.4", "10.0.5", "10.0.6") == [AFFECTED, AFFECTED, NOT]


TEXTS: list[tuple[str, dict[str, str]]] = [
    ("6.x", {"6.0": AFFECTED, "6.1.5": AFFECTED, "6.99": AFFECTED, "5.9": NOT, "7.0": NOT}),
    ("v6.X", {"6.1.5": AFFECTED, "7.0": NOT}),
    ("10.1.x", {"10.1.9": AFFECTED, "10.2.0": NOT, "10.0.9": NOT}),
    ("8.*", {"8.5": AFFECTED, "9.0": NOT, "7.9": NOT}),
    ("6.x.x", {"6.1.5": AFFECTED, "7.0": NOT}),
    ("0.x", {"0.5": AFFECTED, "1.0": NOT}),
    ("6 series", {"6.1.5": AFFECTED, "7.0": NOT}),
    ("5.x, 6.1.x", {"5.9": AFFECTED, "6.1.2": AFFECTED, "6.2": NOT}),
    ("< 6.x", {"5.9": AFFECTED, "6.1": UNKNOWN}),
    ("<= 6.x", {"6.9": AFFECTED, "7.0": NOT}),
    ("all versions prior to 6.5", {"6.4": AFFECTED, "1.0": AFFECTED, "6.5": NOT}),
    ("before 6.5", {"6.4": AFFECTED, "6.5": NOT}),
    ("earlier than 6.5", {"6.4": AFFECTED, "6.5": NOT}),
    ("6.5 and earlier", {"6.5": AFFECTED, "6.5.3": AFFECTED, "6.6": NOT}),
    ("6.5.3 and prior versions", {"6.5.3": AFFECTED, "6.5.4": NOT}),
    ("6.5 and later", {"6.4": NOT, "6.5": AFFECTED, "9.0": AFFECTED}),
    ("6.5+", {"6.4": NOT, "9.0": AFFECTED}),
    ("up to 6.5.2", {"6.5.2": AFFECTED, "6.5.3": NOT}),
    ("up to (and including) 6.5.2", {"6.5.2": AFFECTED, "6.5.3": NOT}),
    ("prior to and including 6.5.2", {"6.5.2": AFFECTED, "6.5.3": NOT}),
    ("through 6.5.2", {"6.5.2": AFFECTED, "6.5.3": NOT}),
    ("6.0 to 6.5", {"5.9": NOT, "6.0": AFFECTED, "6.3.1": AFFECTED, "6.5.3": AFFECTED, "6.6": NOT}),
    ("6.0 - 6.5", {"5.9": NOT, "6.3.1": AFFECTED, "6.6": NOT}),
    ("6.0.1 – 6.0.5", {"6.0.0": NOT, "6.0.3": AFFECTED, "6.0.6": NOT}),
    ("from 6.0 before 6.5", {"5.9": NOT, "6.0": AFFECTED, "6.5": NOT}),
    ("6.0 < 6.5", {"5.9": NOT, "6.0": AFFECTED, "6.5": NOT}),
    ("6.x before 6.3", {"5.9": NOT, "6.2.9": AFFECTED, "6.3": NOT}),
    (">= 1.0, < 1.4, >= 2.0, < 2.2", {"1.3": AFFECTED, "1.4": NOT, "2.1": AFFECTED, "2.2": NOT}),
    (">=1.0 <1.4 || >=2.0 <2.2", {"1.3": AFFECTED, "1.9": NOT, "2.1": AFFECTED}),
    ("≤ 1.4", {"1.4": AFFECTED, "1.5": NOT}),
    ("= 1.4.0", {"1.4.0": AFFECTED, "1.5": NOT}),
    ("1.2, 1.3.1", {"1.2": AFFECTED, "1.3.1": AFFECTED, "1.5": UNKNOWN}),
    ("v1.2.3", {"1.2.3": AFFECTED, "1.2.4": UNKNOWN}),
    ("*", {"1.0": AFFECTED}),
    ("All versions", {"1.0": AFFECTED}),
    *(
        (words, {"1.0": UNKNOWN, "6.3": UNKNOWN})
        for words in (
            "unspecified",
            "n/a",
            "0",
            "",
            "-",
            "6.0-6.5",
            "the version of March",
            "p 6.3",
            "< 2.0, > 1.0",
            "6.x except 6.3",
            "1.0 to latest",
            "> 6.x",
            ">= 6.5 < 6.0",
            "<",
            "1.0 / 6.3",
            "6.3 (build 7)",
            "9" * 3_000,
            "x",
            "1..x",
        )
    ),
]


@pytest.mark.case("a04", "wildcards and words in a version are a range that is right, or unknown")
@pytest.mark.parametrize(("words", "expected"), TEXTS, ids=lambda value: str(value)[:30])
def test_words_in_the_place_of_a_version(words: str, expected: dict[str, str]) -> None:
    finding = product_of_cve({"version": words})
    assert dict(zip(expected, answers(finding, *expected), strict=True)) == expected


@pytest.mark.case("a04", "what is not understood is unknown, also where the default is unaffected")
@pytest.mark.parametrize("words", ["6.0-6.5", "0", "n/a", "the version of March", "> 6.x", "6.x except 6.3"])
def test_words_that_are_not_understood_outrank_the_default(words: str) -> None:
    finding = product_of_cve({"version": words}, defaultStatus="unaffected")
    assert answers(finding, "1.0", "6.3", "7.0") == [UNKNOWN] * 3


@pytest.mark.case("a04", "a series in the place of a bound")
def test_series_as_bounds() -> None:
    def between(low: str, **end: str) -> list[str | None]:
        finding = product_of_cve({"version": low, **CUSTOM, **end})
        return list(answers(finding, "0.9", "1.5", "2.5", "3.0"))

    # "*" in an upper bound is the end of the series (versions.md).
    assert between("1.0", lessThan="2.*") == [NOT, AFFECTED, AFFECTED, NOT]
    assert between("1.0", lessThanOrEqual="2.x") == [NOT, AFFECTED, AFFECTED, NOT]
    assert between("1.0", lessThan="2.x") == [UNKNOWN, AFFECTED, UNKNOWN, UNKNOWN]
    assert between("1.x", lessThan="2.0") == [NOT, AFFECTED, NOT, NOT]
    assert between("0", lessThan="2.0") == [AFFECTED, AFFECTED, NOT, NOT]
    assert between("n/a", lessThanOrEqual="2.0") == [AFFECTED, AFFECTED, NOT, NOT]
    assert between("1.0", lessThan="*") == [NOT, AFFECTED, AFFECTED, AFFECTED]
    # An end that the record does not name, or that comes before the begin.
    assert between("2.5", lessThan="unspecified") == [UNKNOWN, UNKNOWN, AFFECTED, UNKNOWN]
    assert between("2.0", lessThan="1.0") == [UNKNOWN] * 4
    assert between("1.0", lessThan="1.0") == [UNKNOWN] * 4
    assert between("1.0", lessThan="2.0", lessThanOrEqual="3.0") == [UNKNOWN] * 4


@pytest.mark.case("a20", "a CVE record has its id, its namespace and the time of its version")
def test_the_document_and_its_time_are_read() -> None:
    finding = product_of_cve({"version": "1.0"})
    assert (finding.publisher, finding.document) == ("cve.org", "CVE-2099-10001")
    assert (finding.published, finding.modified) == (datetime(2099, 1, 1, tzinfo=UTC), None)
    newer = cve([], metadata={"dateUpdated": "2099-02-01T00:00:00Z"})
    assert newer.modified == datetime(2099, 2, 1, tzinfo=UTC)
    rejected = cve(
        [],
        metadata={"state": "REJECTED", "dateRejected": "2099-03-01T00:00:00Z"},
        descriptions=[],
        rejectedReasons=[{"lang": "en", "value": "A duplicate."}],
    )
    assert (rejected.withdrawn, rejected.summary) == (True, "A duplicate.")
    assert rejected.modified == datetime(2099, 3, 1, tzinfo=UTC)
    assert cve([], descriptions=[{"lang": "fr", "value": "Une faille."}]).language == "fr"
    with pytest.raises(Invalid, match="describes nothing yet"):
        read_cve(b'{"cveMetadata": {"cveId": "CVE-2099-10001", "state": "RESERVED"}}')


@pytest.mark.case("a24", "what is said not to be affected is no entry")
def test_the_default_holds_without_versions() -> None:
    assert product_of_cve(defaultStatus="unaffected").products == ()
    assert answers(product_of_cve(defaultStatus="affected"), "1.0") == [AFFECTED]
    assert answers(product_of_cve(defaultStatus="unknown"), "1.0") == [UNKNOWN]
    assert answers(product_of_cve(), "1.0") == [UNKNOWN]
    only = product_of_cve({"version": "1.0", "status": "unaffected"}, defaultStatus="unaffected")
    assert only.products == ()


@pytest.mark.case("a24", "the default holds for versions that no entry names")
def test_the_default_holds_beside_the_versions() -> None:
    series = {"version": "1.0", "lessThan": "2.0", **CUSTOM}

    def beside(status: str | None, *more: dict[str, str]) -> list[str | None]:
        default = {"defaultStatus": status} if status else {}
        return list(answers(product_of_cve(series, *more, **default), "0.9", "1.5", "2.0"))

    assert beside("unaffected") == [NOT, AFFECTED, NOT]
    assert beside("unknown") == [UNKNOWN, AFFECTED, UNKNOWN]
    assert beside("affected") == [AFFECTED] * 3
    # A list of ranges is taken as complete; a single version is not.
    assert beside(None) == [NOT, AFFECTED, NOT]
    assert answers(product_of_cve({"version": "1.5"}), "0.9", "1.5") == [UNKNOWN, AFFECTED]
    assert answers(product_of_cve({"version": "1.5"}, defaultStatus="unaffected"), "0.9", "1.5") == [
        NOT,
        AFFECTED,
    ]
    maybe = {"version": "3.0", "status": "unknown"}
    assert beside("unaffected", maybe) == [UNKNOWN, AFFECTED, UNKNOWN]


def test_all_but_what_is_unaffected() -> None:
    finding = product_of_cve(
        {"version": "1.7", "status": "unaffected"},
        {"version": "1.9", "status": "unaffected"},
        {"version": "2.5", "lessThan": "2.*", "status": "unaffected", **CUSTOM},
        {"version": "4.0", "lessThanOrEqual": "*", "status": "unaffected", **CUSTOM},
        defaultStatus="affected",
    )
    assert answers(finding, "1.0", "1.8", "2.4", "3.0-rc1", "3.0", "3.9") == [AFFECTED] * 6
    assert answers(finding, "1.7", "1.9", "2.5", "2.99", "4.0", "5.0") == [NOT] * 6
    unsure = product_of_cve({"version": "the fixed one", "status": "unaffected"}, defaultStatus="affected")
    assert answers(unsure, "1.0") == [UNKNOWN]


def test_the_first_entry_that_names_a_version_holds() -> None:
    finding = product_of_cve(
        {"version": "1.5", "status": "unaffected"},
        {"version": "1.0", "lessThan": "2.0", **CUSTOM},
        defaultStatus="unaffected",
    )
    assert answers(finding, "1.4", "1.5", "1.6") == [AFFECTED, NOT, AFFECTED]


@pytest.mark.case("a36", "changes turn the status several times, in order of version")
def test_changes_turn_several_times() -> None:
    turns = [
        ("2.13.0", "affected"), ("2.15.0", "unaffected"), ("2.3.1", "unaffected"), ("2.4", "affected"),
        ("2.12.2", "unaffected"),
    ]  # fmt: skip
    finding = product_of_cve(
        {
            "version": "2.0-beta9",
            "lessThan": "unspecified",
            **CUSTOM,
            "changes": [{"at": version, "status": status} for version, status in turns],
        }
    )
    assert answers(finding, "2.0-beta9", "2.3.0", "2.4", "2.14.1", "2.13.0") == [AFFECTED] * 5
    assert answers(finding, "2.3.1", "2.12.2", "2.12.3", "2.15.0", "2.17.1") == [NOT] * 5
    assert finding.products[0].fixed == ("2.15.0", "2.3.1", "2.12.2")


def test_a_change_to_unknown_answers_unknown() -> None:
    finding = product_of_cve(
        {"version": "1.0", "lessThan": "3.0", **CUSTOM, "changes": [{"at": "2.0", "status": "unknown"}]}
    )
    assert answers(finding, "1.5", "2.5") == [AFFECTED, UNKNOWN]


@pytest.mark.case("a27", "the repository of a product is one of its names")
def test_a_product_is_found_by_its_repository() -> None:
    affected = {"vendor": "Some Foundation", "product": "A long title", "versions": [{"version": "1.0"}]}
    for address in ("https://github.com/somefoundation/prod6", "https://github.com/SomeFoundation/Prod6.git"):
        assert "repository:github.com/somefoundation/prod6" in names(cve([{**affected, "repo": address}]))
    owner = cve([{**affected, "repo": "https://github.com/somefoundation"}])
    assert not {name for name in names(owner) if name.startswith("repository:")}
    github = cve(
        [{**affected, "vendor": "glpi-project", "product": "glpi"}],
        references=[{"url": "https://github.com/glpi-project/glpi/security/advisories/GHSA-aaaa-bbbb-cccc"}],
    )
    assert "repository:github.com/glpi-project/glpi" in names(github)


@pytest.mark.case("a21", "a vendor is no product")
def test_a_vendor_is_no_name_of_the_product() -> None:
    finding = cve([{"vendor": "Prod15", "product": "Talk for Android", "versions": [{"version": "1.0"}]}])
    assert names(finding) == {"cpe:prod15:talk_for_android", "name:talk for android"}
    assert names(cve([{"vendor": "n/a", "product": "n/a", "versions": [{"version": "1.0"}]}])) == set()


COLLECTIONS = [
    ("https://registry.npmjs.org", "@scope/name", "purl:npm/@scope/name"),
    ("https://pypi.org/", "Zope.Interface", "purl:pypi/zope-interface"),
    ("https://repo.maven.apache.org/maven2", "org.example:core", "purl:maven/org.example/core"),
    ("https://packagist.org", "vendor/name", "purl:composer/vendor/name"),
    ("https://rubygems.org", "rails", "purl:gem/rails"),
    ("https://www.nuget.org/packages", "Newtonsoft.Json", "purl:nuget/newtonsoft.json"),
    ("https://crates.io", "serde", "purl:cargo/serde"),
    ("https://pkg.go.dev", "github.com/o/r", "purl:golang/github.com/o/r"),
    ("https://wordpress.org/plugins", "akismet", "purl:wordpress/plugins/akismet"),
    ("https://github.com", "o/r", "repository:github.com/o/r"),
    ("https://packages.debian.org", "nginx", "purl:deb/debian/nginx"),
]


@pytest.mark.parametrize(("url", "name", "expected"), COLLECTIONS, ids=lambda value: str(value)[:40])
def test_a_package_has_its_purl_by_collection_and_name(url: str, name: str, expected: str) -> None:
    finding = cve([{"collectionURL": url, "packageName": name, "versions": [{"version": "1.0"}]}])
    assert expected in names(finding)
    assert ("name:nginx" in names(finding)) is False


def test_a_package_url_is_read() -> None:
    finding = cve([{"packageURL": "pkg:npm/%40other/thing@1.0", "versions": [{"version": "1.0"}]}])
    assert names(finding) == {"purl:npm/@other/thing"}


def test_versions_of_a_distributions_package_are_not_those_of_the_distribution() -> None:
    finding = cve(
        [
            {
                "vendor": "Red Hat",
                "product": "Red Hat Enterprise Linux 8",
                "packageName": "nginx",
                "cpes": ["cpe:/a:redhat:enterprise_linux:8::appstream"],
                "defaultStatus": "affected",
                "versions": [
                    {"version": "1:1.2-3.el8", "lessThan": "*", "versionType": "rpm", "status": "unaffected"}
                ],
            }
        ]
    )
    package, distribution = finding.products
    assert (package.names, package.ranges) == (("purl:rpm/redhat/nginx",), ("vers:rpm/<1:1.2-3.el8",))
    assert "cpe:redhat:enterprise_linux" in distribution.names
    assert (distribution.ranges, distribution.texts) == ((), ("package nginx: <1:1.2-3.el8",))


# cpeApplicability


def applicable(*matches: dict[str, Any], nodes: list[Any] | None = None, **more: Any) -> Any:
    """A CVE record whose product is n/a, with ``cpeApplicability``."""
    node = {
        "operator": "OR",
        "negate": False,
        "cpeMatch": [{"vulnerable": True, **match} for match in matches],
    }
    nothing = [{"vendor": "n/a", "product": "n/a", "versions": [{"version": "n/a"}]}]
    return cve(nothing, cpeApplicability=[{"nodes": nodes or [node], **more}])


PROD7 = "cpe:2.3:a:v:prod7:*:*:*:*:*:*:*:*"


@pytest.mark.case("a28", "a product without a name is found by cpeApplicability, with its range")
def test_products_are_read_from_cpe_applicability() -> None:
    finding = applicable({"criteria": PROD7, "versionStartIncluding": "1.0", "versionEndExcluding": "2.0"})
    product = finding.products[-1]
    assert (product.names, product.ranges) == (("cpe:v:prod7",), ("vers:generic/>=1.0|<2.0",))
    assert product.source_pointer == "/containers/cna/cpeApplicability/0/nodes/0/cpeMatch/0"


def of_match(criteria: str = PROD7, **bounds: str) -> list[str | None]:
    finding = applicable({"criteria": criteria, **bounds})
    listed = [product for product in finding.products if product.names == ("cpe:v:prod7",)]
    return list(answers(msgspec.structs.replace(finding, products=tuple(listed)), "0.9", "1.0", "1.5", "2.0"))


@pytest.mark.case("a28", "the bounds of a match")
def test_the_bounds_of_a_match() -> None:
    assert of_match() == [AFFECTED] * 4
    assert of_match(versionStartExcluding="1.0", versionEndIncluding="1.5") == [NOT, NOT, AFFECTED, NOT]
    assert of_match(versionEndExcluding="1.5") == [AFFECTED, AFFECTED, NOT, NOT]
    assert of_match(versionStartIncluding="1.5") == [NOT, NOT, AFFECTED, AFFECTED]
    assert of_match("cpe:2.3:a:v:prod7:1.5:*:*:*:*:*:*:*") == [NOT, NOT, AFFECTED, NOT]
    # An update, no version, or two bounds on one side: not sure.
    assert of_match("cpe:2.3:a:v:prod7:1.5:beta1:*:*:*:*:*:*") == [UNKNOWN] * 4
    assert of_match("cpe:2.3:a:v:prod7:-:*:*:*:*:*:*:*") == [UNKNOWN] * 4
    assert of_match(versionEndExcluding="1.5", versionEndIncluding="2.0") == [UNKNOWN] * 4
    assert of_match(versionStartIncluding="2.0", versionEndExcluding="1.0") == [UNKNOWN] * 4


@pytest.mark.case("a28", "a condition beside the product answers unknown")
def test_a_condition_answers_unknown() -> None:
    vulnerable = {"vulnerable": True, "criteria": PROD7, "versionEndExcluding": "2.0"}

    def beside(criteria: str, operator: str = "AND", **more: Any) -> list[str | None]:
        nodes = [
            {"operator": "OR", "cpeMatch": [vulnerable]},
            {"operator": "OR", "cpeMatch": [{"vulnerable": False, "criteria": criteria}], **more},
        ]
        return list(answers(applicable(nodes=nodes, operator=operator), "1.0"))

    windows = "cpe:2.3:o:microsoft:windows:-:*:*:*:*:*:*:*"
    assert beside(windows) == [UNKNOWN]
    # Of several answers the strongest holds: the record's own n/a is unknown, the match affected.
    assert beside(windows, "OR") == [AFFECTED]
    assert beside("cpe:2.3:h:v:box:-:*:*:*:*:*:*:*") == [AFFECTED]
    assert beside("cpe:2.3:h:v:box:-:*:*:*:*:*:*:*", negate=True) == [UNKNOWN]
    negated = [{"operator": "OR", "negate": True, "cpeMatch": [vulnerable]}]
    assert answers(applicable(nodes=negated), "1.0") == [UNKNOWN]
    both = [{"operator": "AND", "cpeMatch": [vulnerable, {"vulnerable": False, "criteria": windows}]}]
    assert answers(applicable(nodes=both), "1.0") == [UNKNOWN]


# Containers


def test_what_others_add_to_a_record_is_read() -> None:
    exact = {"vendor": "v", "product": "p", "versions": [{"version": "1.0", "lessThan": "2.0", **CUSTOM}]}
    added = {
        "affected": [
            {
                "cpes": [PROD7],
                "vendor": "x",
                "product": "y",
                "defaultStatus": "unknown",
                **_versions("1.0", "3.0"),
            }
        ],
        "metrics": [{"other": {"type": "ssvc", "content": {"options": [{"Exploitation": "poc"}]}}}],
    }
    finding = cve([exact], adp=[{}, added])
    assert finding.exploitation == "poc"
    assert [product.source_pointer for product in finding.products] == [
        "/containers/cna/affected/0",
        "/containers/adp/1/affected/0",
    ]
    assert "cpe:v:prod7" in names(finding)
    # The record itself describes its versions: "unknown" of those who add to it says nothing of the others.
    assert answers(finding, "0.9", "2.5", "3.0") == [NOT, AFFECTED, NOT]
    alone = cve([], adp=[added])
    assert answers(alone, "0.9", "2.5") == [UNKNOWN, AFFECTED]


def _versions(low: str, end: str) -> dict[str, Any]:
    return {"versions": [{"version": low, "lessThan": end, "status": "affected", **CUSTOM}]}


def test_commits_beside_versions_of_the_same_product_are_not_read_twice() -> None:
    commits = {"versions": [{"version": "abc", "lessThan": "def", "versionType": "git"}]}
    kernel = {"vendor": "Linux", "product": "Linux"}
    both = cve([{**kernel, **commits}, {**kernel, **_versions("4.19", "5.10.200")}])
    assert answers(both, "4.18", "4.19", "5.10.200") == [NOT, AFFECTED, NOT]
    assert answers(cve([{**kernel, **commits}]), "4.19") == [UNKNOWN]
    mixed = product_of_cve({"version": "1.0", "lessThan": "2.0", **CUSTOM}, commits["versions"][0])
    assert answers(mixed, "0.9", "1.5", "2.0") == [NOT, AFFECTED, NOT]


def test_the_type_of_versions_gives_their_order_where_numbers_do_not() -> None:
    def scheme(type_: str, low: str, end: str) -> str:
        finding = product_of_cve({"version": low, "lessThan": end, "versionType": type_})
        return finding.products[0].ranges[0].partition("/")[0]

    assert scheme("semver", "1.0.0", "2.0.0") == "vers:generic"
    assert scheme("rpm", "17", "17.3") == "vers:generic"
    assert scheme("deb", "1.0-1", "1:0.9-2~bpo1") == "vers:deb"


@needs_data
@pytest.mark.case("a02", "the five real records")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("CVE-2023-28849", {"9.5.13": NOT, "10.0.0": AFFECTED, "10.0.6": AFFECTED, "10.0.7": NOT}),
        ("CVE-2024-37313", {"26.0.12": AFFECTED, "26.0.13": NOT, "27.1.7": AFFECTED, "28.0.4": NOT}),
        ("CVE-2025-1094", {"13.18": AFFECTED, "13.19": NOT, "17.2": AFFECTED, "17.3": NOT, "12.1": AFFECTED}),
        ("CVE-2025-24799", {"10.0.17": AFFECTED, "10.0.18": NOT}),
        (
            "CVE-2025-24893",
            {"5.3-milestone-2": AFFECTED, "15.10.10": AFFECTED, "15.10.11": NOT, "16.4.1": NOT},
        ),
    ],
)
def test_the_real_records(name: str, expected: dict[str, str]) -> None:
    (finding,) = read_cve((DATA / f"{name}.json").read_bytes())
    assert dict(zip(expected, answers(finding, *expected), strict=True)) == expected
    assert json.loads((DATA / f"{name}.json").read_bytes())["cveMetadata"]["cveId"] == finding.document


def test_a_list_of_advisories_makes_a_question_about_the_products_of_its_vendor() -> None:
    """Nextcloud publishes all its CVE records so: the description alone says which program it is."""
    versions = [{"version": "< 27.1.8", "status": "affected"}]
    listed = cve([{"vendor": "Nextcloud", "product": "security-advisories", "versions": versions}])
    assert "name:nextcloud" in listed.products[0].names
    named = cve([{"vendor": "Nextcloud", "product": "Talk for Android", "versions": versions}])
    assert "name:nextcloud" not in named.products[0].names
