"""What the four operators of the demonstration publish."""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from license_expression import get_spdx_licensing

from federation.demo.catalogue import INCIDENTS, OPERATORS, SOLUTIONS, CatalogueEntry
from federation.domain.content.incident import Incident
from federation.domain.content.operator import Operator
from federation.domain.content.solution import THEMES, Solution
from federation.domain.record_content import Content

T = TypeVar("T", bound=Content)

EVERYTHING = (*OPERATORS, *SOLUTIONS, *INCIDENTS)
ADVISORIES = Path(__file__).parents[3] / "shared" / "data" / "advisories" / "cve"


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, member in value.items():
            yield name
            yield from strings(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from strings(member)


def by_key(entries: tuple[CatalogueEntry, ...], key: str) -> dict[str, Any]:
    return next(entry.content for entry in entries if entry.key == key)


def test_there_are_forty_solutions_and_more_and_no_id_twice() -> None:
    assert len(SOLUTIONS) >= 40
    for entries in (OPERATORS, SOLUTIONS, INCIDENTS):
        ids = [entry.id for entry in entries]
        assert ids == sorted(set(ids))
        assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}", entry.key) for entry in entries)


def test_solution_keys_and_names_are_unique_across_operators() -> None:
    assert len({entry.key for entry in SOLUTIONS}) == len(SOLUTIONS)
    assert len({entry.content["name"] for entry in SOLUTIONS}) == len(SOLUTIONS)
    repositories = [entry.content["repository"] for entry in SOLUTIONS if "repository" in entry.content]
    assert len(set(repositories)) == len(repositories), "the repository is the key that records are merged by"


def test_each_of_the_four_operators_publishes_about_as_much() -> None:
    count = Counter(entry.origin for entry in SOLUTIONS)
    assert set(count) == {entry.key for entry in OPERATORS} == {"arnia", "megalis", "recia", "maximilien"}
    assert all(entry.origin == entry.key for entry in OPERATORS)
    assert min(count.values()) >= 10


@pytest.mark.parametrize("entry", SOLUTIONS, ids=lambda entry: entry.id)
def test_a_solution_is_one_that_its_operator_may_publish(entry: CatalogueEntry) -> None:
    assert not [fault for rule in convert(entry, Solution).writer_rules("CLEAR") for fault in rule]
    assert set(entry.content["summary"]) == {"fr", "en"}
    assert all(20 <= len(text) <= 150 for text in entry.content["summary"].values())
    assert set(entry.content["themes"]) <= THEMES
    for member in ("repository", "homepage", "documentation"):
        assert re.fullmatch(r"https://[^\s]*[^/\s]", entry.content.get(member, "https://left.out"))
    assert not entry.content.get("repository", "").endswith(".git")
    assert all(uri.startswith("https://") for uri in entry.same_as)


@pytest.mark.parametrize("entry", SOLUTIONS, ids=lambda entry: entry.id)
def test_a_licence_is_on_the_spdx_list_or_said_to_be_unknown(entry: CatalogueEntry) -> None:
    licence = entry.content["licence"]
    if licence not in ("LicenseRef-unknown", "LicenseRef-proprietary"):
        spdx = get_spdx_licensing()
        # Not validate(): it raises AttributeError on what is no expression at all.
        assert spdx.unknown_license_keys(spdx.parse(licence)) == []
        # AGPL-3.0 without more is deprecated: it does not say whether later versions are allowed too.
        assert not re.search(r"GPL-[0-9.]+(?!-|[0-9.])", licence)


def test_references_between_records_resolve_within_the_catalogue() -> None:
    known = {entry.id for entry in SOLUTIONS}
    for entry in SOLUTIONS:
        for member in ("based_on", "depends_on", "alternatives"):
            named = entry.content.get(member, [])
            assert set(named) <= known - {entry.id}, entry.id
    for entry in INCIDENTS:
        assert {affected["solution"] for affected in entry.content["affects"]} <= known, entry.id


def test_alternatives_know_each_other() -> None:
    alternatives = {entry.id: set(entry.content.get("alternatives", [])) for entry in SOLUTIONS}
    for one, others in alternatives.items():
        assert all(one in alternatives[other] for other in others), one


def test_texts_are_normal_and_hold_no_control_characters() -> None:
    for entry in EVERYTHING:
        for text in strings(entry.content):
            assert unicodedata.is_normalized("NFC", text), text
            assert not [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn")], text
            assert text == text.strip() != "", entry.id


def test_the_assistant_of_arnia_states_only_what_is_public() -> None:
    cmonia = by_key(SOLUTIONS, "cmonia")
    assert cmonia["ai"] == {"base_models": ["Mistral"]}
    assert cmonia["licence"] == "LicenseRef-unknown"


def test_operators_are_valid_and_their_mailboxes_are_nobodys() -> None:
    for entry in OPERATORS:
        convert(entry, Operator)
        for mailbox in (entry.content["contact"], entry.content["security_contact"]):
            assert mailbox.endswith(f"@{entry.key}.example.org")
    territories = {entry.key: entry.content["territory"] for entry in OPERATORS}
    assert territories == {
        "arnia": ["FR-BFC"],
        "megalis": ["FR-BRE"],
        "recia": ["FR-CVL"],
        "maximilien": ["FR-IDF"],
    }


@pytest.mark.parametrize("entry", INCIDENTS, ids=lambda entry: entry.id)
def test_an_incident_is_valid_in_two_languages(entry: CatalogueEntry) -> None:
    assert not [fault for rule in convert(entry, Incident).writer_rules("GREEN") for fault in rule]
    assert set(entry.content["title"]) == set(entry.content["summary"]) == {"fr", "en"}


def test_what_is_invented_says_that_it_is_a_demonstration() -> None:
    kinds = Counter(entry.content["kind"] for entry in INCIDENTS)
    assert kinds == {"vulnerability": 2, "outage": 1, "maintenance": 1}
    for entry in INCIDENTS:
        if entry.content["kind"] in ("outage", "maintenance"):
            for texts in (
                entry.content["title"],
                entry.content["summary"],
                *(u["text"] for u in entry.content.get("updates", [])),
            ):
                assert "démonstration" in texts["fr"].lower()
                assert "demonstration" in texts["en"].lower()


@pytest.mark.parametrize("cve", ["CVE-2025-24799", "CVE-2025-24893"])
def test_a_vulnerability_is_the_one_of_the_published_record(cve: str) -> None:
    path = ADVISORIES / f"{cve}.json"
    if not path.exists():
        pytest.skip("the shared data are not beside the project: nothing to compare with")
    record = json.loads(path.read_text(encoding="utf-8"))
    cna = record["containers"]["cna"]
    incident = by_key(INCIDENTS, cve)

    assert record["cveMetadata"]["datePublished"].startswith(incident["detected_at"].removesuffix("Z"))
    metric = cna["metrics"][0]["cvssV3_1"]
    assert (incident["cvss"], incident["severity"]) == (
        metric["vectorString"],
        metric["baseSeverity"].lower(),
    )
    assert incident["aliases"][0] == cve
    assert incident["aliases"][1] in cna["references"][0]["url"]
    published = [
        version["version"].replace(", ", "|").replace(" ", "") for version in cna["affected"][0]["versions"]
    ]
    assert [affected["range"].removeprefix("vers:generic/") for affected in incident["affects"]] == published
    assert [fix for affected in incident["affects"] for fix in affected["fixed_in"]] == [
        span.split("<")[1] for span in published
    ]
    (ssvc,) = (
        metric["other"]["content"]["options"]
        for metric in record["containers"]["adp"][0]["metrics"]
        if metric["other"]["type"] == "ssvc"
    )
    assert {"Exploitation": incident["exploitation"]} in ssvc
    # In words of our own.
    assert cna["title"] not in incident["title"].values()
    assert cna["descriptions"][0]["value"] not in incident["summary"].values()


def convert(entry: CatalogueEntry, content: type[T]) -> T:
    """As a node reads what its operator sends: unknown members are refused."""
    assert set(entry.content) <= set(content.__struct_fields__), entry.id
    return msgspec.convert(entry.content, content)
