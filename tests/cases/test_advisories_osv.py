"""Public cases: OSV advisories, read as their schema means them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from federation.domain.formats.osv import read_osv
from tests.cases.frames import answers, events, names, osv, package

DATA = Path(__file__).parents[3] / "shared" / "data" / "advisories"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the shared advisories are not beside the project")
AFFECTED, NOT, UNKNOWN = "affected", "not_affected", "unknown"
CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
LOW = "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"


@pytest.mark.case("a20", "an OSV advisory has its id, its namespace and the time of its version")
def test_the_document_and_its_time_are_read() -> None:
    finding = osv(package())
    assert (finding.publisher, finding.document) == ("osv.dev", "GHSA-aaaa-0000-0001")
    assert finding.modified == datetime(2026, 1, 2, tzinfo=UTC)
    assert not finding.withdrawn
    assert osv(package(), withdrawn="2026-01-02T00:00:00Z").withdrawn


@pytest.mark.case("a30", "OSV events are read in order of version")
@pytest.mark.parametrize("ecosystem", ["npm", "PyPI", "Maven", "Packagist", ""])
def test_events_are_read_in_order_of_version(ecosystem: str) -> None:
    shuffled = osv(
        {**package(ecosystem=ecosystem), **events(("fixed", "2.0.0"), ("introduced", "1.0.0"))},
    )
    assert answers(shuffled, "0.9.0", "1.0.0", "1.9.0", "2.0.0", "2.1.0") == [
        NOT,
        AFFECTED,
        AFFECTED,
        NOT,
        NOT,
    ]
    twice = osv(
        {
            **package(ecosystem=ecosystem),
            **events(
                ("introduced", "3.0.0"), ("fixed", "1.10.0"), ("introduced", "0"), ("last_affected", "3.2.0")
            ),
        }
    )
    versions = ("1.9.0", "1.10.0", "2.0.0", "3.0.0", "3.2.0", "3.2.1")
    assert answers(twice, *versions) == [AFFECTED, NOT, NOT, AFFECTED, AFFECTED, NOT]


@pytest.mark.case("a30", "events whose order is not sure answer unknown")
def test_events_without_a_sure_order_are_a_text() -> None:
    unsure = osv({**package(ecosystem=""), **events(("introduced", "1.0-alpha.beta"), ("fixed", "1.0-1"))})
    (product,) = unsure.products
    assert product.ranges == ()
    assert product.texts == ("introduced 1.0-alpha.beta, fixed 1.0-1",)
    assert answers(unsure, "0.5", "1.0", "2.0") == [UNKNOWN] * 3
    nothing = osv({**package(), **events(("fixed", "2.0.0"))})
    assert answers(nothing, "1.0.0", "3.0.0") == [UNKNOWN, UNKNOWN]


def test_what_is_fixed_and_introduced_again_at_once_stays_affected() -> None:
    finding = osv(
        {
            **package(),
            **events(
                ("introduced", "1.0.0"), ("introduced", "2.0.0"), ("fixed", "2.0.0"), ("fixed", "3.0.0")
            ),
        }
    )
    assert answers(finding, "1.5.0", "2.0.0", "2.5.0", "3.0.0") == [AFFECTED, AFFECTED, AFFECTED, NOT]
    # 2.0.0 is called fixed, and is affected: only the other one is a fix.
    assert finding.products[0].fixed == ("3.0.0",)


def test_a_limit_ends_a_range_and_a_star_does_not() -> None:
    def limited(limit: str) -> list[str | None]:
        finding = osv({**package(), **events(("introduced", "1.0.0"), ("limit", limit))})
        return list(answers(finding, "0.9.0", "1.5.0", "2.0.0"))

    assert limited("2.0.0") == [NOT, AFFECTED, NOT]
    assert limited("*") == [NOT, AFFECTED, AFFECTED]


def test_several_ranges_are_alternatives_and_commits_give_way_to_versions() -> None:
    ranges = [
        {"type": "GIT", "repo": "https://github.com/o/r", "events": [{"introduced": "0"}, {"fixed": "abc"}]},
        {"type": "SEMVER", "events": [{"introduced": "1.0.0"}, {"fixed": "1.5.0"}]},
        {"type": "ECOSYSTEM", "events": [{"introduced": "1.4.0"}, {"last_affected": "1.8.0"}]},
    ]
    finding = osv({**package(), "ranges": ranges})
    versions = ("0.9.0", "1.0.0", "1.5.0", "1.8.0", "1.8.1")
    assert answers(finding, *versions) == [NOT, AFFECTED, AFFECTED, AFFECTED, NOT]
    # 1.5.0 is the fix of one range, and in the other.
    assert finding.products[0].fixed == ()
    assert "repository:github.com/o/r" in names(finding)


def test_commits_alone_answer_unknown_and_an_open_range_of_them_too() -> None:
    def of(*pairs: tuple[str, str], versions: tuple[str, ...] = ()) -> list[str | None]:
        entry = {**package(), **events(*pairs, type_="GIT"), "versions": list(versions)}
        return list(answers(osv(entry), "1.0.0", "9.0.0"))

    assert of(("introduced", "0"), ("fixed", "abc")) == [UNKNOWN, UNKNOWN]
    assert of(("introduced", "0"), ("fixed", "abc"), versions=("v1.0.0",)) == [AFFECTED, NOT]
    # No commit ends it: versions that came after the list may be affected.
    assert of(("introduced", "0"), versions=("v1.0.0",)) == [AFFECTED, UNKNOWN]
    assert answers(osv(package()), "1.0.0") == [UNKNOWN]


@pytest.mark.case("a32", "a version is affected by a range or by the list of versions")
def test_a_listed_version_is_affected_beside_the_ranges() -> None:
    finding = osv(
        {
            **package(),
            **events(("introduced", "1.0.0"), ("fixed", "1.5.0")),
            "versions": ["1.0.0", "2.3.1"],
        }
    )
    assert answers(finding, "1.2.0", "2.3.1") == [AFFECTED, AFFECTED]
    assert answers(finding, "1.5.0", "2.3.0", "2.3.2") == [NOT, NOT, NOT]


@needs_data
@pytest.mark.case("a32", "the real PYSEC-2023-61 hits Django 4.2rc1 and 3.2b1")
def test_pre_releases_that_an_advisory_lists_are_affected() -> None:
    lines = (DATA / "osv-pysec-selected.jsonl").read_bytes().splitlines()
    (line,) = [line for line in lines if b'"id": "PYSEC-2023-61"' in line]
    (finding,) = read_osv(line)
    listed = json.loads(line)["affected"][0]["versions"]
    assert set(answers(finding, *listed)) == {AFFECTED}
    assert answers(finding, "4.2rc1", "3.2b1", "4.2.1", "3.2.19") == [AFFECTED, AFFECTED, NOT, NOT]


NAMES = [
    ("Maven", "org.example.prod27:prod27-core", "purl:maven/org.example.prod27/prod27-core"),
    ("npm", "@Scope/Name", "purl:npm/@scope/name"),
    ("npm", "left-pad", "purl:npm/left-pad"),
    ("PyPI", "Zope.Interface_x", "purl:pypi/zope-interface-x"),
    ("Go", "github.com/o/r/v2", "purl:golang/github.com/o/r/v2"),
    ("Packagist", "Vendor/Name", "purl:composer/vendor/name"),
    ("NuGet", "Newtonsoft.Json", "purl:nuget/newtonsoft.json"),
    ("SwiftURL", "github.com/apple/swift-nio", "purl:swift/github.com/apple/swift-nio"),
    ("Pub", "http", "purl:pub/http"),
    ("Hex", "plug", "purl:hex/plug"),
    ("crates.io", "serde", "purl:cargo/serde"),
    ("RubyGems", "rails", "purl:gem/rails"),
    ("GitHub Actions", "actions/checkout", "purl:githubactions/actions/checkout"),
    ("GitHub Actions", "actions/checkout", "repository:github.com/actions/checkout"),
    ("Go", "github.com/o/r/v2", "repository:github.com/o/r"),
    ("Debian:12", "nginx", "purl:deb/debian/nginx"),
    ("Ubuntu:22.04:LTS", "nginx", "purl:deb/ubuntu/nginx"),
    ("Alpine:v3.19", "nginx", "purl:apk/alpine/nginx"),
    ("Red Hat:enterprise_linux:9::baseos", "nginx", "purl:rpm/redhat/nginx"),
]


@pytest.mark.case("a33", "a package is found by ecosystem and name, without a purl")
@pytest.mark.parametrize(("ecosystem", "name", "expected"), NAMES, ids=lambda value: str(value)[:40])
def test_a_package_has_its_purl_by_ecosystem_and_name(ecosystem: str, name: str, expected: str) -> None:
    assert expected in names(osv(package(name, ecosystem)))


@pytest.mark.case("a33", "the package of a distribution is not the software that it packs")
def test_a_package_of_a_distribution_has_no_bare_name() -> None:
    assert names(osv(package("nginx", "Debian:12"))) == {"purl:deb/debian/nginx"}
    assert names(osv(package("nginx", "Alpine:v3.19", purl="pkg:apk/alpine/nginx?arch=source"))) == {
        "purl:apk/alpine/nginx"
    }
    assert "name:nginx" in names(osv(package("nginx", "")))


@pytest.mark.case("a35", "a bare @ in a purl is a part of the name")
def test_scoped_packages_are_told_apart() -> None:
    finding = osv(package("other", purl="pkg:npm/@other/thing"))
    assert "purl:npm/@other/thing" in names(finding)
    assert not {name for name in names(finding) if name.endswith("npm/")}


@pytest.mark.case("a38", "the severity of a package is read, and of several the worst")
def test_the_severity_of_a_package_is_read() -> None:
    def severity(score: str, type_: str = "CVSS_V3") -> dict[str, object]:
        return {"severity": [{"type": type_, "score": score}]}

    assert osv({**package(), **severity(CRITICAL)}).vector == CRITICAL
    two = osv({**package(), **severity(LOW)}, {**package("y"), **severity(CRITICAL)})
    assert two.vector == CRITICAL
    # That of the advisory comes first.
    assert osv({**package(), **severity(CRITICAL)}, **severity(LOW)).vector == LOW
    assert osv({**package(), **severity("medium", "Ubuntu")}).severity == "medium"
    assert osv({**package(), "ecosystem_specific": {"severity": "High"}}).severity == "high"
    assert osv(package(), database_specific={"severity": "MODERATE"}).severity == "medium"
    assert osv(package(), database_specific={"severity": ["x"]}).severity is None
    assert osv(package()).vector is None


@pytest.mark.case("a42", "exact versions by the hundred are ranges, and no text")
def test_hundreds_of_exact_versions_are_packed_into_ranges() -> None:
    tags = [f"v1.{number // 10}.{number % 10}" for number in range(400)]
    finding = osv(
        {
            **package(ecosystem=""),
            **events(("introduced", "0"), ("fixed", "abc"), type_="GIT"),
            "versions": tags,
        }
    )
    (product,) = finding.products
    assert product.texts == ()
    assert len(product.ranges) <= 5
    assert all(len(range_) <= 2_000 for range_ in product.ranges)
    assert answers(finding, "v1.3.4", "1.39.9", "1.40.0") == [AFFECTED, AFFECTED, NOT]


def test_a_listed_version_that_cannot_be_read_answers_unknown() -> None:
    finding = osv({**package(ecosystem=""), "versions": ["1.0", "release/nightly", "2.0"]})
    assert answers(finding, "1.0", "2.0", "3.0") == [AFFECTED, AFFECTED, UNKNOWN]


def test_each_product_names_its_entry() -> None:
    finding = osv(package(), package("y"))
    assert [product.source_pointer for product in finding.products] == ["/affected/0", "/affected/1"]


def test_members_that_are_null_are_absent() -> None:
    entry = {**package(), "ranges": None, "versions": None, "severity": None}
    assert osv(entry, aliases=None, severity=None, details=None).products[0].texts
    assert osv(affected=None).products == ()


def test_the_upstream_vulnerabilities_of_a_distribution_are_among_its_names() -> None:
    debian = osv(package(), id="DEBIAN-CVE-2099-7501", upstream=["CVE-2099-7501"], related=["CVE-2099-1"])
    assert debian.aliases == ("DEBIAN-CVE-2099-7501", "CVE-2099-7501")
    many = [f"CVE-2099-{number}" for number in range(7000, 7060)]
    kernel = osv(package(), id="USN-7000-1", aliases=["LSN-1"], upstream=many)
    assert kernel.aliases == ("USN-7000-1", "LSN-1"), "a part of them would be answered for all"
    assert osv(package(), upstream=None).aliases == ("GHSA-aaaa-0000-0001",)
