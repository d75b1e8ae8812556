"""Public cases about the documents of advisories: identity, age, label."""

from __future__ import annotations

import json
import random
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from federation.domain.canonical import canonical
from federation.domain.content.incident import Incident
from federation.domain.draft import Draft, check_draft
from federation.domain.errors import Invalid
from federation.domain.formats.advisory import Finding, Product
from federation.domain.formats.catalogue import Catalogue, Found
from federation.domain.formats.csaf import read_csaf
from federation.domain.formats.document import (
    OwnIncident,
    age,
    describes,
    identity_of,
    key_apart,
    source_of,
    stored_keys,
)
from federation.domain.formats.incident import DraftIncident, incident_of
from federation.domain.formats.revision import Label, first_draft, label_of, revise
from tests.cases.csaf_documents import Json, document, leaf, product, vulnerability

TREE = product(leaf("product_version", "1.0", "A"))


def read(*vulnerabilities: Json, **members: Any) -> tuple[bytes, tuple[Finding, ...]]:
    raw = document(TREE, *(vulnerabilities or (vulnerability(known_affected=["A"]),)), **members)
    return raw, read_csaf(raw)


def draft(raw: bytes, finding: Finding) -> DraftIncident:
    incident = incident_of(finding, Catalogue([], always=("arnia/glpi",)).find, raw)
    assert incident is not None
    return incident


def stored(raw: bytes, finding: Finding, **content: Any) -> Json:
    """The stored draft of an incident, as the node would have it."""
    first = first_draft(draft(raw, finding), finding, Label())
    checked = check_draft(first, Draft[Incident])
    own: Json = json.loads(canonical(checked.content))
    return {"tlp": checked.tlp or "GREEN", "content": {**own, **content}}


# Age


def test_a_copy_without_a_later_change_is_older_than_one_with_such_a_change() -> None:
    first = msgspec.structs.replace(a_finding(), published=datetime(2026, 1, 1, tzinfo=UTC))
    changed = source_of(a_finding("", "2026-06-01T00:00:00Z"), "0" * 64)
    assert age(first, changed) == -1
    assert age(a_finding("", "2026-06-01T00:00:00Z"), source_of(first, "0" * 64)) is None
    late = msgspec.structs.replace(first, published=datetime(2026, 7, 1, tzinfo=UTC))
    assert age(late, changed) is None


def a_finding(version: str = "", modified: str | None = None) -> Finding:
    return Finding(
        id="t-1", title="t", summary="s", published=None, products=(), url="https://example.org/t-1",
        publisher="https://example.org", document="t-1", version=version,
        modified=datetime.fromisoformat(modified) if modified else None,
    )  # fmt: skip


AGES: list[tuple[tuple[str, str | None], tuple[str, str | None], int | None]] = [
    (("2", None), ("1", None), 1),
    (("10", None), ("9", None), 1),
    (("1", None), ("2", None), -1),
    (("1.10.0", None), ("1.9.0", None), 1),
    (("1.0.0-alpha.1", None), ("1.0.0-alpha.beta", None), -1),
    (("1.0.0-rc.11", None), ("1.0.0-rc.2", None), 1),
    (("1.0.0-rc.1", None), ("1.0.0", None), -1),
    (("1.0.0+a", None), ("1.0.0+b", None), None),
    (("1", "2026-02-01T00:00:00Z"), ("1", "2026-01-01T00:00:00Z"), 1),
    (("1", "2026-01-01T00:00:00Z"), ("2", "2026-02-01T00:00:00Z"), -1),
    (("2.0.0", "2026-01-01T00:00:00Z"), ("7", "2026-02-01T00:00:00Z"), -1),
    (("", "2026-06-01T00:00:00+02:00"), ("", "2026-05-31T22:00:00Z"), 0),
    (("", "2026-06-01T00:00:00Z"), ("", "2026-01-01T00:00:00Z"), 1),
    (("", None), ("", "2026-01-01T00:00:00Z"), None),
    (("", "2026-01-01T00:00:00Z"), ("", None), None),
    (("first", None), ("second", None), None),
]


@pytest.mark.case("a20", "an older copy of an advisory changes nothing")
@pytest.mark.parametrize(("new", "old", "order"), AGES)
def test_documents_are_ordered_by_version_and_else_by_their_last_change(
    new: tuple[str, str | None], old: tuple[str, str | None], order: int | None
) -> None:
    expected = 0 if order is None and new[0] and new[0][:5] == old[0][:5] else order
    assert age(a_finding(*new), source_of(a_finding(*old), "0" * 64)) == expected


@pytest.mark.case("a20", "an older copy of an advisory changes nothing")
def test_an_older_copy_changes_nothing_and_says_why() -> None:
    raw, (newer,) = read(version="2", date="2026-06-01T00:00:00Z")
    old_raw, (older,) = read(version="1", date="2026-01-01T00:00:00Z", title="Another title")
    here = stored(raw, newer)
    revision = revise(here, draft(old_raw, older), older, Label())
    assert revision.draft is None
    assert revision.reason == (
        "an older copy: it is version 1 of 2026-01-01T00:00:00.000000Z,"
        " and version 2 of 2026-06-01T00:00:00.000000Z is here"
    )
    # Not even where it asks for a narrower label.
    assert (
        revise(here, draft(old_raw, older), msgspec.structs.replace(older, tlp="RED"), Label()).draft is None
    )
    forward = revise(stored(old_raw, older), draft(raw, newer), newer, Label())
    assert forward.draft is not None
    assert forward.draft["content"]["source"]["version"] == "2"


@pytest.mark.case("a20", "an older copy of an advisory changes nothing")
def test_what_is_withdrawn_is_open_again_only_by_a_newer_document() -> None:
    raw, (finding,) = read(version="2")
    withdrawn = stored(raw, finding, status="withdrawn")
    other_raw, (same_age,) = read(version="2", title="In other words")
    revision = revise(withdrawn, draft(other_raw, same_age), same_age, Label())
    assert revision == (None, "it is withdrawn, and this copy of the document is not newer")
    newer_raw, (newer,) = read(version="3")
    reopened = revise(withdrawn, draft(newer_raw, newer), newer, Label())
    assert reopened.draft is not None
    assert reopened.draft["content"]["status"] == "open"


def test_the_same_version_in_other_bytes_changes_nothing_and_a_correction_of_it_does() -> None:
    raw, (finding,) = read()
    spaced = json.dumps(json.loads(raw), indent=1).encode()
    assert revise(stored(raw, finding), draft(spaced, finding), finding, Label()) == (None, None)
    corrected_raw, (corrected,) = read(vulnerability(known_affected=["A"], title="Corrected"))
    assert revise(stored(raw, finding), draft(corrected_raw, corrected), corrected, Label()).draft is not None


def test_an_incident_of_an_earlier_program_is_read_again_and_stays_withdrawn() -> None:
    raw, (finding,) = read()
    before = stored(raw, finding)
    old = {name: before["content"]["source"][name] for name in ("url", "sha256")}
    content = {
        **before["content"],
        "source": old,
        "affects": [{"solution": "arnia/glpi", "range": "vers:generic/*"}],
    }
    again = revise({**before, "content": content}, draft(raw, finding), finding, Label())
    assert again.draft == before
    content["status"] = "withdrawn"
    assert revise({**before, "content": content}, draft(raw, finding), finding, Label()).draft is None


# Identity


def own(raw: bytes, finding: Finding, key: str | None = None, **content: Any) -> OwnIncident:
    return OwnIncident(key or finding.key, {**stored(raw, finding)["content"], **content})


def test_a_document_is_identified_by_its_publisher_and_its_id() -> None:
    raw, (finding,) = read()
    _, (other,) = read(namespace="https://other.example")
    _, (slash,) = read(namespace="HTTPS://Example.org/")
    source = own(raw, finding).source
    assert (source["publisher"], source["document"], source["version"]) == ("https://example.org", "t-1", "1")
    assert describes(finding, source)
    assert describes(slash, source)
    assert not describes(other, source)
    assert len({identity_of(found) for found in (finding, other, slash)}) == 2
    assert finding.key == other.key
    assert len({key_apart(found) for found in (finding, other)}) == 2
    old = {"url": "https://example.org/advisories/t-1.json"}
    assert describes(finding, old)
    assert not describes(other, old)


FIRST, SECOND = (
    vulnerability(cve=f"CVE-2099-700{n}", known_affected=["A"], title=f"Flaw {n}") for n in (1, 2)
)


@pytest.mark.case(
    "a11", "a vulnerability has one key, however many its document has; what is no longer listed is withdrawn"
)
def test_an_incident_under_an_older_key_is_found_by_the_cve_and_keeps_its_key() -> None:
    raw, findings = read(FIRST, SECOND)
    old = own(raw, findings[0], key="t-1", source={"url": "https://example.org"})
    assert stored_keys(findings, [old]) == {findings[0].id: "t-1"}
    # The key of today comes first: the older one is not listed any more.
    assert stored_keys(findings, [old, own(raw, findings[0])]) == {findings[0].id: findings[0].key}
    assert stored_keys(findings[1:], [old]) == {}


def test_a_vulnerability_that_gets_a_cve_keeps_its_key() -> None:
    ids = [{"system_name": "Tracker", "text": "BUG-1"}]
    raw, (nameless,) = read(vulnerability(cve=None, ids=ids, known_affected=["A"]))
    assert nameless.key == "t-1~BUG-1"
    _, (named,) = read(vulnerability(ids=ids, known_affected=["A"]))
    assert stored_keys([named], [own(raw, nameless)]) == {named.id: "t-1~BUG-1"}


def test_an_id_that_two_vulnerabilities_have_leads_to_none_of_them() -> None:
    shared = [{"system_name": "T", "text": "BUG-1"}]
    both = [{**entry, "ids": shared} for entry in (FIRST, SECOND)]
    raw, findings = read(*both)
    old = own(raw, findings[0], key="t-1~BUG-1", aliases=["BUG-1"])
    assert stored_keys(findings, [old]) == {}
    twice = [own(raw, findings[0], key=key) for key in ("t-1", "t-1~1")]
    assert stored_keys(findings[:1], twice) == {}


def test_an_incident_that_an_earlier_program_named_by_its_place_is_found_by_its_title() -> None:
    raw, findings = read(
        *(vulnerability(cve=None, title=title, known_affected=["A"]) for title in ("X", "Y"))
    )
    old = own(raw, findings[0], key="t-1~2", source={"url": "https://example.org"})
    assert stored_keys(findings, [old]) == {findings[0].id: "t-1~2"}
    assert stored_keys(findings, [own(raw, findings[0], key="t-1~2")]) == {}


# Labels


@pytest.mark.case("a01", "an incident never has a wider label than its advisory")
def test_a_label_narrows_also_what_is_here_and_never_widens() -> None:
    raw, (finding,) = read(distribution={"tlp": {"label": "GREEN"}})
    here = stored(raw, finding)
    revision = revise(here, draft(raw, finding), finding, Label("RED"))
    assert revision.draft == {**here, "tlp": "RED"}
    with pytest.raises(Invalid, match="TLP:CLEAR would show it to more readers"):
        revise(here, draft(raw, finding), finding, Label("CLEAR"))
    red = {**here, "tlp": "RED"}
    assert revise(red, draft(raw, finding), finding, Label("GREEN")).draft is None


def test_an_address_with_a_secret_is_not_published() -> None:
    secret = [{"category": "self", "url": "https://user:secret@example.org/t-1.json"}]
    _, (finding,) = read(references=secret)
    assert finding.url == "https://example.org"
    with pytest.raises(Invalid, match="user name or a password"):
        read(namespace="https://user:secret@example.org")


@pytest.mark.case("a01", "an incident never has a wider label than its advisory")
def test_rules_for_sharing_that_are_in_words_ask_for_a_label() -> None:
    _, (finding,) = read(distribution={"text": "Members of the ISAC only."})
    with pytest.raises(Invalid, match=r"in words: 'Members of the ISAC only\.'; name the label"):
        label_of(finding, Label())
    assert label_of(finding, Label("RED")) == Label("RED")


# Any document


def test_any_document_of_these_shapes_gives_findings_or_a_refusal() -> None:
    """Members are replaced by others of other shapes, by chance: seed 17."""
    chance = random.Random(17)
    raw = document(
        {
            **TREE,
            "full_product_names": [{"product_id": "B", "name": "GLPI 2.0"}],
            "relationships": [
                {"product_reference": "B", "full_product_name": {"product_id": "X", "name": "x"}},
            ],
            "product_groups": [{"group_id": "G", "product_ids": ["A"]}],
        },
        vulnerability(
            first_affected=["A"], last_affected=["B"], fixed=["X"], ids=[{"system_name": "T", "text": "#1"}],
            metrics=[{"content": {"cvss_v3": {"vectorString": "x"}}},
                     {"content": {"ssvc_v2": {"selections": [{"key": "E", "values": [1, {"key": "A"}]}]}}}],
            threats=[{"category": "impact", "details": "x"}], notes=[{"category": "summary", "text": "x"}],
            remediations=[{"category": "vendor_fix", "details": "x", "group_ids": ["G"], "url": "x"}],
        ),
        lang="fr", distribution={"tlp": {"label": "GREEN"}, "text": "x"},
        references=[{"category": "self", "url": "https://[x"}],
    )  # fmt: skip
    values: list[Any] = [
        None, 0, -1.5, "", "x", "\x00\ud800"[:1], "A" * 500, [], {}, [None], ["A"], {"a": "b"}, True,
        "csaf_withdrawn", "vers:generic/", "vers:npm/>=1|<", "cpe:2.3:a:::", "pkg:", "1.0", ">", "=", "RED",
        "9" * 30, "https://x/%",
    ]  # fmt: skip
    outcomes = {"read": 0, "refused": 0}
    for _ in range(1_500):
        file = json.loads(raw)
        for _ in range(chance.randint(1, 4)):
            holder: Any = file
            while True:
                keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
                if not keys:
                    break
                key = chance.choice(keys)
                inner = holder[key]
                if isinstance(inner, dict | list) and inner and chance.random() < 0.85:
                    holder = inner
                    continue
                holder[key] = deepcopy(chance.choice(values))
                break
        changed = json.dumps(file).encode()
        try:
            for finding in read_csaf(changed):
                incident = incident_of(finding, Catalogue([], always=("arnia/glpi",)).find, changed)
                assert finding.key
                assert key_apart(finding)
                if incident is not None:
                    check_draft({"content": incident.content}, Draft[Incident])
                    assert age(finding, incident.content["source"]) in (0, None)
            outcomes["read"] += 1
        except Invalid:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 100, outcomes


def test_a_moment_is_written_as_records_have_it() -> None:
    finding = a_finding("1", "2026-06-01T02:00:00+02:00")
    assert finding.modified == datetime(2026, 6, 1, tzinfo=UTC)
    assert source_of(finding, "0" * 64)["modified_at"] == "2026-06-01T00:00:00.000000Z"


def test_the_versions_of_a_distribution_are_a_text_for_a_solution_that_has_others() -> None:
    raw, (finding,) = read(vulnerability(known_affected=["A"]))
    (listed,) = finding.products
    again = msgspec.structs.replace(listed, fixed=("2.0",), source_pointer="/again")
    finding = msgspec.structs.replace(
        finding, products=(msgspec.structs.replace(listed, fixed=("2.0",)), again)
    )

    def find(_: Product) -> list[Found]:
        return [Found("arnia/glpi", by_name_only=True, is_numbered_otherwise=True)]

    incident = incident_of(finding, find, raw)
    assert incident is not None
    assert incident.content["affects"] == [
        {
            "solution": "arnia/glpi", "by_name_only": True,
            "range_text": "the package of a distribution, by its own numbers: vers:generic/1.0",
            "source_pointer": "/vulnerabilities/0/product_status/known_affected",
        }
    ]  # fmt: skip
    assert "solution: arnia/glpi was found by its name only" in incident.defaulted


def test_more_solutions_than_an_incident_names_are_asked_for_by_name() -> None:
    raw, (finding,) = read()
    several = Catalogue([], always=tuple(f"arnia/s{number}" for number in range(101)))
    with pytest.raises(Invalid, match="101 solutions that are known here have its names"):
        incident_of(finding, several.find, raw)
