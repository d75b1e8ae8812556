"""Public cases about CSAF documents: what they say of versions, and what identifies a vulnerability."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from federation.domain.errors import Invalid
from federation.domain.formats.advisory import Finding
from federation.domain.formats.csaf import read_csaf
from tests.cases.csaf_documents import (
    Json,
    branch,
    document,
    finding,
    leaf,
    match,
    product,
    verdicts,
    vulnerability,
)

EXAMPLES = Path(__file__).parents[3] / "shared" / "data" / "advisories" / "csaf" / "examples" / "csaf"


def version(name: str, id_: str, **helper: Any) -> Json:
    return leaf("product_version", name, id_, **helper)


TREE = product(version("4.0", "A"), version("4.2", "B"), version("4.3", "C"))

# Versions


@pytest.mark.case("a12", "first_affected to last_affected is an interval")
def test_what_lies_between_the_first_and_the_last_affected_version_is_affected() -> None:
    found = finding(TREE, first_affected=["A"], last_affected=["B"], fixed=["C"])
    assert verdicts(found, ["3.9", "4.0", "4.1", "4.1.7", "4.2", "4.3"]) == {
        "3.9": "not_affected", "4.0": "affected", "4.1": "affected", "4.1.7": "affected",
        "4.2": "affected", "4.3": "not_affected",
    }  # fmt: skip


@pytest.mark.case("a12", "first_affected to last_affected is an interval")
@pytest.mark.parametrize(
    ("statuses", "affected", "others"),
    [
        # Two trains.
        ({"first_affected": ["4.0", "5.0"], "last_affected": ["4.2", "5.3"]}, ["4.1", "5.2"], ["4.5", "5.4"]),
        # A train without an end: up to the end of the next one.
        ({"first_affected": ["4.0", "5.0"], "last_affected": ["5.3"]}, ["4.1", "4.9", "5.2"], ["3.9", "5.4"]),
        # A train without a beginning.
        ({"first_affected": ["4.0"], "last_affected": ["4.2", "5.3"]}, ["4.1", "5.2"], ["3.9", "5.4"]),
        ({"last_affected": ["4.2"]}, ["1.0", "4.2"], ["4.3"]),
        # The first one alone: all that follow, but for what is fixed.
        ({"first_affected": ["4.0"]}, ["4.0", "9.0"], ["3.9"]),
        ({"first_affected": ["4.0"], "first_fixed": ["4.3"]}, ["4.0", "4.2.9"], ["3.9", "4.3", "4.4"]),
        ({"first_affected": ["4.0"], "known_affected": ["3.1"], "last_affected": ["4.2"]}, ["3.1", "4.1"],
         ["3.2"]),
    ],
)  # fmt: skip
def test_trains_are_read_in_order_of_their_versions(
    statuses: dict[str, list[str]], affected: list[str], others: list[str]
) -> None:
    names = dict.fromkeys(name for names in statuses.values() for name in names)
    found = finding(product(*(version(name, name) for name in names)), **statuses)
    assert set(verdicts(found, affected).values()) == {"affected"}
    assert "affected" not in verdicts(found, others).values()


def test_trains_whose_versions_have_no_order_are_asked_about() -> None:
    names = ["R1a", "4.0-x", "R2b"]
    found = finding(
        product(*(version(name, name) for name in names)),
        first_affected=["4.0-x", "R1a"], last_affected=["R2b"],
    )  # fmt: skip
    assert verdicts(found, ["4.1"]) == {"4.1": "unknown"}


@pytest.mark.case("a13", "a leaf below a version has the version of the branch above it")
@pytest.mark.parametrize(
    "category",
    ["architecture", "language", "patch_level", "host_name", "legacy", "specification", "platform",
     "service_pack", "something new"],
)  # fmt: skip
def test_a_leaf_below_a_version_has_that_version(category: str) -> None:
    tree = product(
        branch("product_version", "10.0.17", leaf(category, "x86_64", "A")),
        branch("product_version", "10.0.18", leaf(category, "x86_64", "B")),
    )
    found = finding(tree, known_affected=["A"], fixed=["B"])
    assert verdicts(found, ["10.0.17", "10.0.18"]) == {"10.0.17": "affected", "10.0.18": "not_affected"}


@pytest.mark.case("a13", "a leaf below a version has the version of the branch above it")
def test_a_leaf_below_a_range_has_that_range() -> None:
    ranged = branch(
        "product_version_range", "vers:intdot/>2.1.0|<4.2.0",
        leaf("language", "de", "A"), leaf("language", "fr", "B"),
    )  # fmt: skip
    found = finding(product(ranged), known_affected=["A", "B"])
    assert verdicts(found, ["2.1.0", "3.0.0", "4.2.0"]) == {
        "2.1.0": "not_affected", "3.0.0": "affected", "4.2.0": "not_affected",
    }  # fmt: skip


def test_categories_may_come_in_any_order() -> None:
    tree = {"branches": [
        branch("vendor", "Example", branch("product_version", "91", branch("language", "fr",
            branch("product_name", "glpi", branch("architecture", "x86", leaf("service_pack", "1", "A")))))),
        branch("vendor", "Example", branch("product_name", "glpi", version("92", "B"))),
    ]}  # fmt: skip
    found = finding(tree, known_affected=["A"], fixed=["B"])
    assert verdicts(found, ["91", "92"]) == {"91": "affected", "92": "not_affected"}
    assert "cpe:example:glpi" in found.products[0].names


def test_a_version_that_is_affected_on_one_machine_and_not_on_another_is_asked_about() -> None:
    tree = product(
        branch("product_version", "1.0", leaf("architecture", "x86", "A"), leaf("architecture", "arm", "B")),
        branch("product_version", "1.1", leaf("architecture", "x86", "C")),
    )
    for other in ("fixed", "known_not_affected"):
        found = finding(tree, known_affected=["A", "C"], **{other: ["B"]})
        assert verdicts(found, ["1.0", "1.1"]) == {"1.0": "unknown", "1.1": "affected"}
        assert "1.0 (architecture x86): of this version some are affected" in found.products[0].texts[0]


def test_the_version_of_a_branch_is_not_that_of_another_product_below_it() -> None:
    tree = {"branches": [
        branch("product_name", "Suite", branch("product_version", "8",
            branch("product_name", "glpi", leaf("architecture", "x86", "A")))),
    ]}  # fmt: skip
    assert verdicts(finding(tree, known_affected=["A"]), ["10.0"]) == {"10.0": "affected"}


WORDS: list[tuple[str, str, dict[str, str]]] = [
    ("product_version_range", "<=1.14.0", {"1.14.0": "affected", "1.15.0": "not_affected"}),
    ("product_version_range", ">= 1.0, < 2.0", {"0.9": "not_affected", "1.5": "affected"}),
    ("product_version_range", ">= 1.0 < 2.0", {"0.9": "not_affected", "1.5": "affected"}),
    ("product_version_range", ">=1.0 and <2.0", {"0.9": "not_affected", "1.5": "affected"}),
    ("product_version_range", ">1.9|!=1.11|<=1.20", {"1.10": "affected", "1.11": "not_affected"}),
    ("product_version_range", "vers:all/*", {"1.0": "affected"}),
    ("product_version_range", "All versions", {"1.0": "affected"}),
    ("product_version_range", "All versions < V3.0.29", {"3.0.28": "affected", "3.0.29": "not_affected"}),
    ("product_version_range", "vers:unheard/>=1|<2", {"1.5": "unknown", "3": "unknown"}),
    ("product_version_range", "prior to 4.2", {"4.1": "unknown", "4.3": "unknown"}),
    ("product_version_range", "1.0 - 2.0", {"1.5": "unknown", "3.0": "unknown"}),
    ("product_version_range", "4.2", {"4.2": "unknown", "4.1": "unknown"}),
    ("product_version", "6.x", {"6.1.5": "unknown"}),
    ("product_version", "8.*", {"8.2": "unknown"}),
    ("product_version", "8.1.5 and later", {"8.2": "unknown"}),
    ("product_version", "<= 2", {"1.0": "affected", "3.0": "not_affected"}),
    ("product_version", "V3.0, V4.0", {"3.0": "affected", "4.0": "affected"}),
    ("product_version", "V2.0 SP1", {"2.0": "unknown"}),
]  # fmt: skip


@pytest.mark.parametrize(("category", "name", "answers"), WORDS, ids=lambda value: str(value)[:30])
def test_versions_are_read_as_they_are_written_or_asked_about(
    category: str, name: str, answers: dict[str, str]
) -> None:
    found = finding(product(leaf(category, name, "A")), known_affected=["A"])
    assert verdicts(found, list(answers)) == answers


def test_a_product_without_a_version_is_affected_but_in_the_versions_that_are_fixed() -> None:
    tree = {"branches": [
        leaf("product_name", "glpi", "A"),
        branch("product_name", "glpi", version("2.0", "B"), version("3.0", "C")),
    ]}  # fmt: skip
    found = finding(tree, known_affected=["A"], fixed=["B"], known_not_affected=["C"])
    assert verdicts(found, ["1.0", "2.0", "2.1", "3.0"]) == {
        "1.0": "affected", "2.0": "not_affected", "2.1": "affected", "3.0": "not_affected",
    }  # fmt: skip


def test_statuses_that_are_not_known_yet_are_asked_about_and_what_is_not_affected_makes_no_entry() -> None:
    tree = product(version("1.0", "A"))
    for status in ("under_investigation", "unknown"):
        assert verdicts(finding(tree, **{status: ["A"]}), ["1.0"]) == {"1.0": "unknown"}
    found = finding(tree, known_not_affected=["A"])
    assert found.products == ()
    assert [cleared.names[0] for cleared in found.cleared] == ["name:glpi"]
    assert finding(tree, recommended=["A"]).products == ()
    assert verdicts(finding(tree, known_affected=["A"], known_not_affected=["A"]), ["1.0"]) == {
        "1.0": "unknown"
    }


# Products


def component(member: str, category: str) -> Json:
    """A tree in which glpi is installed on, or a component of, a platform."""
    first = "beginning_product_reference" if member == "product_paths" else "product_reference"
    relation: Json = {first: "G", "full_product_name": {"product_id": "X", "name": "GLPI 10.0.17 on Rocky 9"}}
    if member == "product_paths":
        relation["subpaths"] = [{"category": category, "next_product_reference": "R"}]
    else:
        relation |= {"category": category, "relates_to_product_reference": "R"}
    return {
        "branches": [
            branch("product_name", "glpi", version("10.0.17", "G")),
            branch("product_name", "rocky", version("9", "R")),
        ],
        member: [relation],
    }


@pytest.mark.parametrize("member", ["relationships", "product_paths"])
@pytest.mark.parametrize("category", ["installed_on", "default_component_of", "external_component_of"])
def test_of_a_component_the_component_has_the_version_and_the_platform_is_not_affected(
    member: str, category: str
) -> None:
    found = finding(component(member, category), known_affected=["X"])
    (affected,) = found.products
    assert "name:glpi" in affected.names
    assert not any("rocky" in name for name in affected.names if name != "name:full name of g")
    assert verdicts(found, ["10.0.17", "9"]) == {"10.0.17": "affected", "9": "not_affected"}


def test_a_component_of_a_component_is_followed_and_a_circle_is_not() -> None:
    def relation(reference: str, id_: str) -> Json:
        return {
            "product_reference": reference, "relates_to_product_reference": "R", "category": "installed_on",
            "full_product_name": {"product_id": id_, "name": f"Relation {id_}"},
        }  # fmt: skip

    tree = {
        "full_product_names": [{"product_id": "G", "name": "GLPI 10.0.17"}],
        "relationships": [relation("Y", "X"), relation("G", "Y"), relation("C", "D"), relation("D", "C")],
    }
    found = finding(tree, known_affected=["X", "C"])
    assert [p.names[0] for p in found.products] == ["name:glpi", "name:relation c"]
    assert verdicts(found, ["10.0.17"]) == {"10.0.17": "affected"}


def test_a_product_that_no_branch_names_has_the_version_of_its_identifiers_or_of_its_name() -> None:
    def listed(name: str, **helper: Any) -> Finding:
        named = {"product_id": "A", "name": name, "product_identification_helper": helper}
        return finding({"full_product_names": [named]}, known_affected=["A"])

    for found in (
        listed("GLPI 10.0.17"),
        listed("Some words", cpe="cpe:2.3:a:glpi-project:glpi:10.0.17:*:*:*:*:*:*:*"),
        listed("Some words", cpe="cpe:/a:glpi-project:glpi:10.0.17"),
        listed("Some words", purl="pkg:composer/glpi-project/glpi@10.0.17?x=y"),
        listed("Some words", purls=["pkg:composer/glpi-project/glpi@10.0.17"]),
    ):
        assert verdicts(found, ["10.0.17", "10.0.18"]) == {"10.0.17": "affected", "10.0.18": "not_affected"}
    assert verdicts(listed("GLPI"), ["10.0.17"]) == {"10.0.17": "unknown"}
    scoped = listed("Some words", purl="pkg:npm/%40scope/prod@1.0.0")
    assert scoped.products[0].names[0] == "purl:npm/@scope/prod"


def test_products_of_one_branch_with_identifiers_of_their_own_are_several() -> None:
    tree = product(
        version("1.0", "A", purl="pkg:rpm/redhat/openssl@1.0"),
        version("2.0", "B", purl="pkg:rpm/redhat/telnet@2.0"),
    )
    found = finding(tree, known_affected=["A"], fixed=["B"])
    assert [p.names[0] for p in found.products] == ["purl:rpm/redhat/openssl", "purl:rpm/redhat/telnet"]
    assert [p.fixed for p in found.products] == [(), ("2.0",)]


def test_a_product_that_the_tree_lacks_is_noted_and_two_products_of_one_id_are_refused() -> None:
    found = finding(product(version("1.0", "A")), known_affected=["A", "Z"])
    assert "products: 'Z' is not in the product tree" in found.notes
    with pytest.raises(Invalid) as refusal:
        finding(product(version("1.0", "A"), version("1.1", "A")), known_affected=["A"])
    assert refusal.value.detail == "'A' is the id of two products"


def test_remedies_are_those_of_the_product_and_the_entry_of_the_source_is_named() -> None:
    tree = product(version("1.0", "A")) | {"product_groups": [{"group_id": "G", "product_ids": ["A"]}]}
    tree["branches"].append(branch("product_name", "other", version("1", "B")))
    remediations = [
        {"category": "vendor_fix", "details": "Update.", "product_ids": ["A"], "url": "https://example.org/fix"},
        {"category": "mitigation", "details": "Close the port.", "group_ids": ["G"]},
        {"category": "fix_planned", "details": "In March.", "product_ids": ["A"]},
        {"category": "workaround", "details": "For all."},
        {"category": "vendor_fix", "details": "Not for it.", "product_ids": ["B"]},
    ]  # fmt: skip
    found = finding(tree, known_affected=["A", "B"], remediations=remediations)
    remedies = [(remedy.category, remedy.text, remedy.url) for remedy in found.products[0].remedies]
    assert remedies == [
        ("vendor_fix", "Update.", "https://example.org/fix"), ("mitigation", "Close the port.", None),
        ("none_available", "In March.", None), ("workaround", "For all.", None),
    ]  # fmt: skip
    assert found.products[0].source_pointer == "/vulnerabilities/0/product_status/known_affected"


# Names of vulnerabilities


def keys(*vulnerabilities: Json) -> list[str]:
    return [found.key for found in read_csaf(document(product(version("1", "A")), *vulnerabilities))]


def nameless(**members: Any) -> Json:
    return {"product_status": {"known_affected": ["A"]}, **members}


X, Y = (
    nameless(title=f"Flaw {name}", ids=[{"system_name": "Tracker", "text": f"BUG-{number}"}])
    for name, number in (("X", 1), ("Y", 2))
)


@pytest.mark.case(
    "a08", "a vulnerability without a CVE is named by its ids, or its title, never by its place"
)
def test_a_vulnerability_without_a_cve_has_one_name_wherever_it_stands() -> None:
    assert keys(X, Y) == ["t-1~BUG-1", "t-1~BUG-2"]
    assert keys(Y, X) == ["t-1~BUG-2", "t-1~BUG-1"]
    assert keys(Y) == ["t-1~BUG-2"]
    first, second = nameless(title="Flaw X"), nameless(title="Flaw Y")
    assert keys(first, second) == keys(second, first)[::-1]
    assert len(set(keys(first, second))) == 2
    assert keys(first) == keys(first, second)[:1]


@pytest.mark.case(
    "a08", "a vulnerability without a CVE is named by its ids, or its title, never by its place"
)
def test_names_that_agree_are_told_apart_by_what_else_there_is() -> None:
    same = [nameless(title="Flaw", notes=[{"category": "description", "text": text}]) for text in "ab"]
    assert keys(*same) == keys(*same[::-1])[::-1]
    assert len(set(keys(*same))) == 2
    untitled = [nameless(notes=[{"category": "description", "text": text}]) for text in "ab"]
    assert len(set(keys(*untitled))) == 2
    trackers = [nameless(ids=[{"system_name": name, "text": "12"}]) for name in ("one", "two")]
    assert len(set(keys(*trackers))) == 2
    shared = [nameless(ids=[*entry["ids"], {"system_name": "A", "text": "Both"}]) for entry in (X, Y)]
    assert keys(*shared) == ["t-1~BUG-1", "t-1~BUG-2"]
    marks = [nameless(ids=[{"system_name": "T", "text": f"BUG{mark}1"}]) for mark in "#/"]
    assert len(set(keys(*marks))) == 2
    long = [nameless(ids=[{"system_name": "T", "text": "b" * 200 + end}]) for end in "cd"]
    assert len(set(keys(*long))) == 2
    assert all(len(key) <= 128 for key in keys(*long))


def test_two_entries_of_one_cve_are_one_vulnerability_with_the_products_of_both() -> None:
    tree = product(version("1.0", "A"), version("2.0", "B"))
    entries = [vulnerability(known_affected=[id_]) for id_ in "AB"]
    (found,) = read_csaf(document(tree, *entries))
    assert verdicts(found, ["1.0", "2.0"]) == {"1.0": "affected", "2.0": "affected"}


@pytest.mark.case(
    "a11", "a vulnerability has one key, however many its document has; what is no longer listed is withdrawn"
)
def test_a_vulnerability_has_one_key_whatever_the_number_of_others() -> None:  # fmt: skip
    assert keys(vulnerability()) == ["t-1~CVE-2099-7001"]
    assert keys(vulnerability(), vulnerability(cve="CVE-2099-7002")) == [
        "t-1~CVE-2099-7001",
        "t-1~CVE-2099-7002",
    ]


def test_an_id_that_names_a_whole_document_is_no_name_of_each_of_its_vulnerabilities() -> None:
    several = [vulnerability(cve=f"CVE-2099-700{number}") for number in (1, 2)]
    findings = read_csaf(document(product(), *several, id_="CERTFR-2026-AVI-0001"))
    assert [found.aliases for found in findings] == [("CVE-2099-7001",), ("CVE-2099-7002",)]
    (only,) = read_csaf(document(product(), several[0], id_="CERTFR-2026-AVI-0001"))
    assert only.aliases == ("CVE-2099-7001", "CERTFR-2026-AVI-0001")


# Scores


CVSS = {"vectorString": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "baseSeverity": "CRITICAL"}


@pytest.mark.case("a16", "CSAF 2.1 is read, with its metrics; an unknown version is refused by its name")
def test_the_metrics_of_csaf_2_1_are_read() -> None:
    def read(content: Json, **more: Any) -> Finding:
        metrics = [{"content": content, "products": ["A"]}]
        raw = document(product(version("1", "A")), vulnerability(metrics=metrics, **more), csaf_version="2.1")
        return read_csaf(raw)[0]

    assert (read({"cvss_v3": CVSS}).severity, read({"cvss_v3": CVSS}).vector) == (
        "critical",
        CVSS["vectorString"],
    )
    four = {"vectorString": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"}
    assert read({"cvss_v4": four, "cvss_v3": CVSS}).vector == four["vectorString"]
    assert read({"cvss_v4": four}).severity == "critical"
    assert read({"qualitative_severity_rating": "high"}).severity == "high"
    selection = {"namespace": "ssvc", "key": "E", "version": "1.1.0", "values": [{"key": "A"}]}
    assert read({"ssvc_v2": {"selections": [selection]}}).exploitation == "active"
    worded = {"namespace": "ssvc", "name": "Exploitation", "values": ["Public PoC"]}
    assert read({"ssvc_v1": {"selections": [worded]}}).exploitation == "poc"
    assert read({"epss": {"probability": "0.9"}}).severity is None
    assert (
        read({}, first_known_exploitation_dates=[{"date": "2026-01-01T00:00:00Z"}]).exploitation == "active"
    )


@pytest.mark.case("a16", "CSAF 2.1 is read, with its metrics; an unknown version is refused by its name")
def test_a_version_of_csaf_that_is_not_known_is_refused() -> None:
    with pytest.raises(Invalid) as refusal:
        read_csaf(document(product(), vulnerability(), csaf_version="3.0"))
    assert refusal.value.detail == "it is of CSAF '3.0'; 2.0 and 2.1 are read"
    assert refusal.value.pointer == "/document/csaf_version"


def test_of_several_scores_the_highest_is_the_severity() -> None:
    low = {"vectorString": "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N", "baseSeverity": "LOW"}
    scores = [{"cvss_v3": low, "products": ["A"]}, {"cvss_v3": CVSS, "products": ["B"]}]
    found = finding(product(version("1", "A")), known_affected=["A"], scores=scores)
    assert (found.severity, found.vector) == ("critical", CVSS["vectorString"])


def test_a_threat_gives_a_severity_or_an_exploitation_where_it_is_a_known_word() -> None:
    threats = [
        {"category": "impact", "details": "Important"},
        {"category": "impact", "details": "The class was removed."},
        {"category": "exploit_status", "details": "Publicly Disclosed:No;Exploited:Yes"},
    ]
    found = finding(product(version("1", "A")), known_affected=["A"], threats=threats)
    assert (found.severity, found.exploitation) == ("high", "active")
    raw = document(product(), vulnerability(threats=threats[1:2]), aggregate_severity={"text": "Low"})
    assert read_csaf(raw)[0].severity == "Low"


# The document


@pytest.mark.case("a19", "the language of a document is that of its texts")
@pytest.mark.parametrize(
    ("lang", "tag"),
    [("fr", "fr"), ("FR", "fr"), ("fr-CA", "fr-CA"), ("de-DE", "de-DE"), (None, "en"), ("i-default", "en"),
     ("x-own", "en"), ("zh-Hant-TW-x-a-b-c-d", "zh")],
)  # fmt: skip
def test_the_language_of_a_document_is_that_of_its_texts(lang: str | None, tag: str) -> None:
    members = {} if lang is None else {"lang": lang}
    (found,) = read_csaf(document(product(), vulnerability(title="Vulnérabilité"), **members))
    assert found.language == tag


@pytest.mark.case("a17", "a document that is withdrawn or superseded withdraws its incidents")
@pytest.mark.parametrize("category", ["csaf_withdrawn", "csaf_superseded"])
def test_a_withdrawn_document_stands_for_all_its_vulnerabilities(category: str) -> None:
    (found,) = read_csaf(document(category=category, csaf_version="2.1"))
    assert (found.entire, found.withdrawn, found.document) == (True, True, "t-1")
    with pytest.raises(Invalid, match="it names no vulnerability"):
        read_csaf(document(category="csaf_informational_advisory"))


LABELS: list[tuple[Json, str | None]] = [
    ({"tlp": {"label": "WHITE"}}, "CLEAR"),
    ({"tlp": {"label": "CLEAR"}}, "CLEAR"),
    ({"tlp": {"label": "AMBER+STRICT"}}, "AMBER+STRICT"),
    ({"tlp": {"label": "tlp:red"}}, "RED"),
    ({"tlp": {"label": "GREEN"}, "text": "TLP:AMBER, for operators"}, "AMBER"),
    ({"text": "This is TLP:RED."}, "RED"),
    ({"tlp": {"label": "GREEN"}, "sharing_group": {"id": "5868d6a2-e0bc-4b38-8a30-6a5b6f7e0b0c"}}, "AMBER"),
    ({"tlp": {"label": "CLEAR"}, "sharing_group": {"id": "ffffffff-ffff-ffff-ffff-ffffffffffff"}}, "CLEAR"),
    ({"tlp": {"label": "GREEN"}, "sharing_group": {"id": "00000000-0000-0000-0000-000000000000"}}, "RED"),
    ({"text": "Need to know."}, None),
]


@pytest.mark.case("a01", "an incident never has a wider label than its advisory")
@pytest.mark.parametrize(("distribution", "label"), LABELS, ids=lambda value: str(value)[:40])
def test_the_narrowest_label_of_a_document_is_its_label(distribution: Json, label: str | None) -> None:
    (found,) = read_csaf(document(product(), vulnerability(), distribution=distribution))
    assert found.tlp == label
    assert found.restriction == ("" if label else "Need to know.")


def test_a_status_that_is_unknown_may_be_a_draft() -> None:
    assert read_csaf(document(product(), vulnerability(), status="Draft"))[0].draft
    assert not read_csaf(document(product(), vulnerability(), status="interim"))[0].draft
    with pytest.raises(Invalid) as refusal:
        read_csaf(document(product(), vulnerability(), status="secret"))
    assert refusal.value.pointer == "/document/tracking/status"


def test_an_extension_without_which_a_document_is_not_understood_is_noted() -> None:
    extension = {"$schema": "https://example.org/x.json", "category": "essential", "content": {"a": 1}}
    (found,) = read_csaf(document(product(), vulnerability(x_extensions=[extension]), csaf_version="2.1"))
    assert "extension: 'https://example.org/x.json' is not read here, and called essential" in found.notes


# The documents of the standard

EXPECTED = {
    "BSI-2022-0001~CVE-2022-27193": {"1.0.0-rc1": "affected", "1.0.0-rc2": "not_affected"},
    "2022-EVD-UC-01-A-001~CVE-2021-44228": {"1.0": "affected", "1.1": "not_affected"},
    "2022-EVD-UC-01-F-001~CVE-2021-44228": {"1.0": "unknown", "1.1": "not_affected"},
    "2022-EVD-UC-01-NA-001~CVE-2021-44228": {"4.2": "no entry"},
    "2022-EVD-UC-01-UI-001~CVE-2021-44228": {"17.4": "unknown"},
    "2022-EVD-UC-03-MS-001~CVE-2020-11898": {"17.4": "affected"},
    "2022-EVD-UC-03-MS-001~CVE-2020-11901": {"17.4": "not_affected"},
    "2022-EVD-UC-04-001~CVE-2021-44228": {"2.4": "affected", "2.5": "unknown", "3.0": "affected"},
    "2022-EVD-UC-05-001~CVE-2021-44228": {"1.0": "unknown"},
    "2022-EVD-UC-09-001~CVE-2021-45105": {"1.0": "affected"},
    "RHSA-2021-5217~CVE-2021-4133": {"7.5": "unknown"},
    "cisco-sa-20180328-smi2~CVE-2018-0171": {"12.2(55)EY": "unknown"},
}


@pytest.mark.skipif(not EXAMPLES.exists(), reason="the shared advisories are not beside the project")
def test_the_examples_of_the_standard_give_their_vulnerabilities_or_the_right_refusal() -> None:
    findings: dict[str, Finding] = {}
    refusals: dict[str, str] = {}
    for file in sorted(EXAMPLES.rglob("*.json")):
        try:
            for found in read_csaf(file.read_bytes()):
                assert found.key not in findings
                findings[found.key] = found
        except Invalid as error:
            refusals[file.name] = error.detail
    assert refusals == {"rhsa-2019_1862.json": "it names no vulnerability"}
    assert len(findings) == 59
    assert sum(match(found, None) is not None for found in findings.values()) == 30
    for key, answers in EXPECTED.items():
        assert verdicts(findings[key], list(answers)) == answers, key
    severities = {key: findings[key].severity for key in ("RHSA-2021-5186~CVE-2021-4125",)}
    assert severities == {"RHSA-2021-5186~CVE-2021-4125": "critical"}
    assert json.loads((EXAMPLES / "bsi-2022-0001.json").read_bytes())["document"]["lang"] == "en-US"
    assert findings["BSI-2022-0001~CVE-2022-27193"].language == "en-US"
