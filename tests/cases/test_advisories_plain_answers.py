"""Advisories as real publishers write them, for which an administrator expects a plain answer."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from federation.domain.content.solution import Solution
from federation.domain.formats.catalogue import Catalogue
from federation.domain.formats.csaf import read_csaf
from tests.cases import csaf_documents
from tests.cases.frames import answers, cve, events, names, osv, package, product_of_cve
from tests.domain.builders import a_solution

AFFECTED, NOT, UNKNOWN = "affected", "not_affected", "unknown"
OPENSSL = (
    {"version": "3.2.0", "lessThan": "3.2.2", "status": "affected", "versionType": "semver"},
    {"version": "1.1.1", "lessThan": "1.1.1y", "status": "affected", "versionType": "custom"},
    {"version": "1.0.2", "lessThan": "1.0.2zk", "status": "affected", "versionType": "custom"},
)


def _openssl(product: str) -> list[Any]:
    record = cve(
        [{"vendor": "OpenSSL", "product": product, "versions": OPENSSL, "defaultStatus": "unaffected"}]
    )
    return answers(record, "3.2.1", "3.2.2", "3.0.14", "1.1.1", "1.1.1w", "1.1.1y", "1.0.2zj", "1.0.2zk")


def test_letters_of_openssl_name_patches_after_the_release() -> None:
    assert _openssl("OpenSSL") == [AFFECTED, NOT, NOT, AFFECTED, AFFECTED, NOT, AFFECTED, NOT]


def test_letters_of_another_product_may_stand_before_or_after_the_release() -> None:
    assert _openssl("Other")[3:5] == [UNKNOWN, UNKNOWN]


def test_a_package_version_of_a_distribution_is_none_of_openssl() -> None:
    record = cve([{"vendor": "OpenSSL", "product": "OpenSSL", "versions": OPENSSL}])
    assert answers(record, "1:1.1.1k-12.el8_9", "1.1.1n-0+deb11u5") == [UNKNOWN, UNKNOWN]


def test_cpes_and_csaf_documents_of_openssl_are_read_by_its_numbers() -> None:
    match = {
        "vulnerable": True,
        "criteria": "cpe:2.3:a:openssl:openssl:*:*:*:*:*:*:*:*",
        "versionStartIncluding": "1.1.1",
        "versionEndExcluding": "1.1.1y",
    }
    record = cve([], cpeApplicability=[{"nodes": [{"operator": "OR", "cpeMatch": [match]}]}])
    assert answers(record, "1.1.1", "1.1.1w", "1.1.1y") == [AFFECTED, AFFECTED, NOT]
    range_ = csaf_documents.leaf("product_version_range", ">=1.1.1|<1.1.1y", "A")
    document = csaf_documents.document(
        csaf_documents.product(range_, name="OpenSSL"), csaf_documents.vulnerability(known_affected=["A"])
    )
    (finding,) = read_csaf(document)
    assert answers(finding, "1.1.1", "1.1.1w", "1.1.1y") == [AFFECTED, AFFECTED, NOT]


@pytest.mark.parametrize("end", ["log4j-core*", "unspecified"])
def test_an_end_that_is_a_word_is_after_the_last_change(end: str) -> None:
    changes = [
        {"at": "2.3.1", "status": "unaffected"},
        {"at": "2.4", "status": "affected"},
        {"at": "2.12.2", "status": "unaffected"},
        {"at": "2.13.0", "status": "affected"},
        {"at": "2.15.0", "status": "unaffected"},
    ]
    record = product_of_cve({"version": "2.0-beta9", "lessThan": end, "changes": changes})
    versions = ("2.0-beta9", "2.3.1", "2.12.1", "2.12.2", "2.14.1", "2.15.0", "2.17.1")
    assert answers(record, *versions) == [AFFECTED, NOT, AFFECTED, NOT, AFFECTED, NOT, NOT]


def test_an_end_that_is_a_word_leaves_what_follows_unknown() -> None:
    record = product_of_cve({"version": "2.0", "lessThan": "core*"})
    assert answers(record, "2.0", "2.5") == [AFFECTED, UNKNOWN]


def test_listed_texts_that_no_version_can_be_put_no_other_version_in_doubt() -> None:
    buildbot = osv(
        {
            **package("buildbot", "PyPI"),
            **events(("introduced", "0"), ("fixed", "2.0")),
            "versions": ["0.8.6", "0.8.7p1"],
        }
    )
    assert answers(buildbot, "0.8.7", "4.0", "0.8.7p1") == [AFFECTED, NOT, UNKNOWN]
    listed = osv({**package("evil", "PyPI"), "versions": ["1.0", "1.1-"]})
    assert answers(listed, "1.0", "1.1", "1.1-") == [AFFECTED, NOT, UNKNOWN]


def test_listed_texts_alone_answer_unknown() -> None:
    assert answers(osv({**package("evil", "PyPI"), "versions": ["0.8.7p1"]}), "4.0") == [UNKNOWN]


def test_a_listed_version_that_no_range_can_express_answers_unknown() -> None:
    listed = osv({**package("evil", "PyPI"), "versions": ["1.0", "1!2.0"]})
    assert answers(listed, "1.0", "1!2.0") == [AFFECTED, UNKNOWN]


@pytest.mark.parametrize(
    ("words", "label"),
    [
        ("TLP 2.0: RED", "RED"),
        ("TLP=RED", "RED"),
        ("TLP v2 AMBER+STRICT", "AMBER+STRICT"),
        ("Traffic Light Protocol: Amber", "AMBER"),
        ("Traffic light: red", "RED"),
        ("See the traffic light protocol", "CLEAR"),
        ("Red Hat rules apply", "CLEAR"),
    ],
)
def test_a_label_in_words_narrows_a_wider_label(words: str, label: str) -> None:
    tree = csaf_documents.product(csaf_documents.leaf("product_version", "1.0", "A"))
    raw = csaf_documents.document(
        tree,
        csaf_documents.vulnerability(known_affected=["A"]),
        distribution={"text": words, "tlp": {"label": "WHITE"}},
    )
    assert read_csaf(raw)[0].tlp == label


def _found(vendor: str, assigner: str, *cpes: str) -> list[str]:
    versions = [{"version": "16", "lessThan": "16.7", "status": "affected", "versionType": "rpm"}]
    record = cve(
        [
            {
                "vendor": vendor,
                "product": "PostgreSQL",
                "versions": versions,
                "defaultStatus": "unaffected",
            }
        ],
        metadata={"assignerShortName": assigner},
    )
    members = a_solution(name="Database", packages=[{"cpe": cpe} for cpe in cpes])
    solution = msgspec.convert(members, Solution)
    found = Catalogue([("arnia/x", solution)]).find(record.products[0])
    return [entry.solution for entry in found if not entry.by_name_only]


def test_a_record_without_a_vendor_is_about_a_product_of_its_numbering_authority() -> None:
    postgresql = "cpe:2.3:a:postgresql:postgresql:*:*:*:*:*:*:*:*"
    assert _found("n/a", "PostgreSQL", postgresql) == ["arnia/x"]
    assert _found("", "PostgreSQL", postgresql) == ["arnia/x"]
    assert _found("n/a", "mitre", postgresql) == []
    assert _found("Other", "PostgreSQL", postgresql) == []
    assert _found("n/a", "PostgreSQL", "cpe:2.3:a:other:postgresql:*:*:*:*:*:*:*:*") == []


def _listed(**statuses: list[str]) -> Any:
    """A CSAF document with these versions, each of which is its own product id."""
    versions = dict.fromkeys(version for listed in statuses.values() for version in listed)
    leaves = [csaf_documents.leaf("product_version", version, version) for version in versions]
    return csaf_documents.finding(csaf_documents.product(*leaves), **statuses)


def test_a_version_between_two_affected_ones_that_a_document_does_not_list_is_asked_about() -> None:
    found = _listed(known_affected=["4.0", "4.2"], fixed=["4.3"])
    assert answers(found, "4.0", "4.1", "4.2", "4.3") == [AFFECTED, UNKNOWN, AFFECTED, NOT]


def test_a_list_without_gaps_is_answered_plainly() -> None:
    found = _listed(known_affected=["4.0", "4.1", "4.2"], fixed=["4.3"])
    assert answers(found, "3.9", "4.1", "4.2", "4.3", "4.4") == [NOT, AFFECTED, AFFECTED, NOT, NOT]
    cleared = _listed(known_affected=["4.0", "4.2"], known_not_affected=["4.1"])
    assert answers(cleared, "4.0", "4.1", "4.2", "4.3") == [AFFECTED, NOT, AFFECTED, NOT]
    trains = _listed(known_affected=["9.5", "10.0"])
    assert answers(trains, "9.5", "9.6", "10.0") == [AFFECTED, NOT, AFFECTED]


def test_many_gaps_are_one_question() -> None:
    found = _listed(known_affected=[f"1.{number}" for number in range(0, 400, 2)])
    (affected,) = found.products
    assert len(affected.texts) == 1
    assert answers(found, "1.4", "1.5") == [AFFECTED, UNKNOWN]


@pytest.mark.parametrize(
    ("collection", "package_name"),
    [
        ("https://github.com/keycloak/keycloak", "keycloak"),
        ("https://github.com/keycloak/keycloak/", "org.keycloak/keycloak-core"),
        ("https://github.com/", "keycloak/keycloak"),
    ],
)
def test_a_collection_that_is_a_repository_is_the_software(collection: str, package_name: str) -> None:
    entry = {"vendor": "n/a", "product": "n/a", "collectionURL": collection, "packageName": package_name}
    assert "repository:github.com/keycloak/keycloak" in names(cve([{**entry, "defaultStatus": "affected"}]))


def test_the_page_of_an_owner_is_no_repository() -> None:
    entry = {"collectionURL": "https://github.com/keycloak", "packageName": "x", "defaultStatus": "affected"}
    assert not any(name.startswith("repository:") for name in names(cve([entry])))
