"""A distribution mends a flaw in each of its releases under another number: answers by release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from federation.domain.content.incident import Affected
from federation.domain.exposure.because import because
from federation.domain.exposure.distribution_release import release_in, release_of
from federation.domain.exposure.linkage import Link, Links
from federation.domain.exposure.matching import match_version
from federation.domain.formats.advisory import Finding
from federation.domain.formats.catalogue import Catalogue
from federation.domain.formats.incident import MAX_RELEASES, incident_of
from tests.cases.frames import cve, events, osv, package

AFFECTED, NOT, UNKNOWN = "affected", "not_affected", "unknown"
SOLUTION = "arnia/x"


def _entries(finding: Finding) -> list[Affected]:
    incident = incident_of(finding, Catalogue([], always=(SOLUTION,)).find, b"")
    assert incident is not None
    return [msgspec.convert(entry, Affected) for entry in incident.content["affects"]]


def _answers(finding: Finding, *versions: str) -> list[str]:
    entries = _entries(finding)
    matches = [match_version(entries, SOLUTION, version, "exact") for version in versions]
    return [match.verdict if match else "no entry" for match in matches]


def _fixes(*fixes: tuple[str, str | None], name: str = "openssl") -> Finding:
    affected: list[dict[str, Any]] = []
    for ecosystem, fixed in fixes:
        turns = [("introduced", "0"), *([("fixed", fixed)] if fixed else [])]
        affected.append({**package(name, ecosystem), **events(*turns)})
    return osv(*affected)


DEBIAN = _fixes(
    ("Debian:11", "1.1.1w-0+deb11u3"),
    ("Debian:12", "3.0.17-1~deb12u1"),
    ("Debian:13", "3.5.1-1"),
    ("Debian:14", "3.5.1-1"),
)


def test_a_version_is_asked_of_the_release_that_it_names() -> None:
    versions = ("1.1.1w-0+deb11u2", "1.1.1w-0+deb11u3", "3.0.15-1~deb12u1", "3.0.17-1~deb12u1")
    assert _answers(DEBIAN, *versions) == [AFFECTED, NOT, AFFECTED, NOT]
    assert _answers(DEBIAN, "3.0.18-1~deb12u1", "3.5.0-1+deb13u1", "3.5.1-1+deb13u1") == [NOT, AFFECTED, NOT]


def test_a_version_that_names_no_release_is_affected_where_the_nearest_bounds_say_so() -> None:
    assert _answers(DEBIAN, "1.1.1a-1", "3.0.14-1", "3.5.0-2") == [AFFECTED, AFFECTED, AFFECTED]
    assert _answers(DEBIAN, "3.0.18-1", "3.0.17", "3.5.1-1") == [UNKNOWN, UNKNOWN, NOT]


def test_nothing_is_said_of_a_release_that_has_no_entry() -> None:
    only = _fixes(("Debian:12", "3.0.17-1~deb12u1"))
    assert _answers(only, "1.1.1w-0+deb11u3", "3.0.17-1~deb12u1", "3.0.14-1") == [UNKNOWN, NOT, AFFECTED]


def test_a_release_that_is_not_mended_says_nothing_of_the_others() -> None:
    unmended = _fixes(("Debian:11", None), ("Debian:12", "2.0-1+deb12u1"))
    versions = ("1.0-1+deb11u9", "2.0-1+deb12u1", "2.0-1", "2.1-1")
    assert _answers(unmended, *versions) == [AFFECTED, NOT, AFFECTED, UNKNOWN]


def test_releases_of_ubuntu_and_of_red_hat_like_distributions_are_told_apart() -> None:
    ubuntu = _fixes(
        ("Ubuntu:22.04:LTS", "14.12-0ubuntu0.22.04.1"), ("Ubuntu:24.04:LTS", "14.13-0ubuntu0.24.04.1")
    )
    versions = ("14.11-0ubuntu0.22.04.1", "14.12-0ubuntu0.22.04.1", "14.12-0ubuntu0.24.04.1")
    assert _answers(ubuntu, *versions) == [AFFECTED, NOT, AFFECTED]
    rocky = _fixes(("Rocky Linux:8", "1:1.1.1k-12.el8_9"), ("Rocky Linux:9", "1:3.0.7-25.el9_3"))
    packages = ("1:1.1.1k-9.el8_7", "1:1.1.1k-12.el8_9", "1:3.0.7-24.el9", "1:3.0.7-25.el9_3")
    assert _answers(rocky, *packages) == [AFFECTED, NOT, AFFECTED, NOT]


def test_entries_of_a_cve_record_for_releases_are_told_apart() -> None:
    def entry(product: str, fixed: str) -> dict[str, Any]:
        versions = [{"version": fixed, "lessThan": "*", "status": "unaffected", "versionType": "rpm"}]
        return {
            "vendor": "Red Hat",
            "product": product,
            "packageName": "openssl",
            "defaultStatus": "affected",
            "collectionURL": "https://access.redhat.com/downloads/content/package-browser/",
            "versions": versions,
        }

    record = cve(
        [
            entry("Red Hat Enterprise Linux 8", "1:1.1.1k-12.el8_9"),
            entry("Red Hat Enterprise Linux 9", "1:3.0.7-25.el9_3"),
        ]
    )
    packages = [product for product in record.products if product.ranges]
    answers = _answers(
        msgspec.structs.replace(record, products=tuple(packages)),
        "1:1.1.1k-9.el8_7",
        "1:1.1.1k-12.el8_9",
        "1:3.0.7-24.el9",
        "1:3.0.7-25.el9_3",
    )
    assert answers == [AFFECTED, NOT, AFFECTED, NOT]


def test_releases_with_one_range_are_one_entry() -> None:
    entries = _entries(DEBIAN)
    assert [entry.releases for entry in entries] == [
        ("Debian:11",),
        ("Debian:12",),
        ("Debian:13", "Debian:14"),
    ]
    many = _fixes(*((f"Alpine:v3.{number}", "1.2.3-r4") for number in range(MAX_RELEASES + 1)))
    assert [entry.releases for entry in _entries(many)] == [()]
    for_all = _fixes(("Debian:12", "1.0-1"), ("Debian", "1.0-1"))
    assert [entry.releases for entry in _entries(for_all)] == [()]


def test_an_entry_for_no_release_counts_for_every_version() -> None:
    entries = [
        Affected(solution=SOLUTION, range="vers:deb/<1.0-1+deb11u1", releases=("Debian:11",)),
        Affected(solution=SOLUTION, range="vers:deb/<3.0-1"),
    ]
    match = match_version(entries, SOLUTION, "1.0-1+deb11u1", "exact")
    assert match is not None
    assert match.reason == "in-range"


def test_an_answer_names_the_entry_of_the_release() -> None:
    entries = _entries(DEBIAN)

    def entry_of(version: str) -> tuple[str, int | None]:
        match = match_version(entries, SOLUTION, version, "exact")
        assert match is not None
        return match.reason, because(
            entries, match.reason, solution=SOLUTION, version=version, state="exact"
        ).entry

    assert entry_of("3.0.17-1~deb12u1") == ("fixed-version", 1)
    assert entry_of("3.0.18-1~deb12u1") == ("outside-range", 1)
    assert entry_of("3.0.18-1") == ("release-unsure", 2)


def test_releases_of_linked_solutions_are_told_apart() -> None:
    links = Links({SOLUTION: {"megalis/x": Link(certain=True, because=())}})
    match = match_version(_entries(DEBIAN), "megalis/x", "3.0.17-1~deb12u1", "exact", links)
    assert match is not None
    assert (match.verdict, match.named) == (NOT, SOLUTION)


@pytest.mark.parametrize(
    ("version", "release"),
    [
        ("3.0.17-1~deb12u1", ("debian", "12")),
        ("1.1.1w-0+deb11u3", ("debian", "11")),
        ("14.12-0ubuntu0.22.04.1", ("ubuntu", "22.04")),
        ("1:3.0.7-25.el9_3", ("el", "9")),
        ("1.0-1.fc39", ("fedora", "39")),
        ("2.4.52-1ubuntu4.14", None),
        ("3.0.11-1", None),
        ("1.0-1~bpo12+1", None),
        ("1.0-1.element", None),
    ],
)
def test_versions_of_packages_name_releases(version: str, release: Sequence[str] | None) -> None:
    assert release_in(version) == release


@pytest.mark.parametrize(
    ("name", "release"),
    [
        ("Debian:12", ("debian", "12")),
        ("Ubuntu:Pro:18.04:LTS", ("ubuntu", "18.04")),
        ("Red Hat:enterprise_linux:9::baseos", ("el", "9")),
        ("Red Hat:openshift:4.12::el8", ("el", "8")),
        ("Red Hat Enterprise Linux 8.6 Extended Update Support", ("el", "8")),
        ("AlmaLinux:9", ("el", "9")),
        ("Alpine:v3.19", None),
        ("Debian", None),
    ],
)
def test_names_of_releases_are_read(name: str, release: Sequence[str] | None) -> None:
    assert release_of(name) == release


def test_entries_for_one_release_are_alternatives() -> None:
    intervals = osv(
        {**package("openssl", "Debian:12"), **events(("introduced", "1.0-1"), ("fixed", "1.5-1+deb12u1"))},
        {**package("openssl", "Debian:12"), **events(("introduced", "2.0-1"), ("fixed", "2.5-1+deb12u1"))},
        {**package("openssl", "Debian:11"), **events(("introduced", "0"), ("fixed", "0.5-1+deb11u1"))},
    )
    versions = ("1.4-1+deb12u1", "1.5-1+deb12u1", "2.4-1+deb12u1", "2.5-1+deb12u1", "1.4-1", "0.5-1+deb11u1")
    assert _answers(intervals, *versions) == [AFFECTED, NOT, AFFECTED, NOT, AFFECTED, NOT]
