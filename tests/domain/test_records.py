"""What a peer sends: verified, and kept to the byte."""

import hashlib
import json
from typing import Any

import pytest

from federation.domain.canonical import canonical
from federation.domain.document import MAX_DOCUMENT
from federation.domain.record_reading import UNKNOWN_TYPE
from tests.domain.builders import (
    a_deployment,
    a_document,
    a_group,
    a_solution,
    an_incident,
    an_operator,
    nested,
    not_understood,
    received,
    refused_document,
    without,
)


def test_a_document_of_a_peer_becomes_a_record_of_the_very_bytes() -> None:
    raw = canonical(a_document(revision=3, updated_at="2026-03-02T08:30:00.25Z"))
    record = received(raw, revision=3)
    assert record.document == raw
    assert record.hash == hashlib.sha256(raw).digest()
    assert (record.id, record.type, record.revision, record.op) == ("megalis/glpi", "solution", 3, "upsert")
    assert (record.tlp, record.audience) == ("CLEAR", "public")
    assert record.updated_at.isoformat() == "2026-03-02T08:30:00.250000+00:00"
    assert "solution.theme=it-asset-management" in record.projection.facets


@pytest.mark.parametrize(
    ("type_name", "content"),
    [
        ("solution", a_solution()),
        ("deployment", a_deployment()),
        ("incident", an_incident()),
        ("operator", an_operator()),
        ("recipe", {"any": ["thing"]}),
    ],
)
def test_a_record_of_a_peer_is_found_by_its_origin_and_label(type_name: str, content: dict[str, Any]) -> None:
    record = received(a_document(type=type_name, tlp="GREEN", content=content), type_name=type_name)
    assert record.projection.facets[:2] == (f"{type_name}.origin=megalis", f"{type_name}.tlp=GREEN")


# Canonical


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (b'"key":"glpi"', b'"key": "glpi"'),
        (b'"key":"glpi"', b'"key":"gl\\u0070i"'),
        (b'"key":"glpi"', b'"key":"glpi","key":"glpi"'),
        (b'"revision":1', b'"revision":-0'),
        (b'"key":"glpi","origin":"megalis"', b'"origin":"megalis","key":"glpi"'),
        (
            b'"kind":"software","licence":"GPL-3.0-or-later"',
            b'"licence":"GPL-3.0-or-later","kind":"software"',
        ),
        (b"Gestion de parc", b"Gestion\\u0020de parc"),
        (b"Gestion de parc", b"Gestion\\/parc"),
        (b"Gestion de parc", b"caf\\u00e9"),
        (b'{"content"', b' {"content"'),
        (b'{"content"', b'\n{"content"'),
    ],
)
def test_a_document_that_is_not_canonical_is_refused(was: bytes, now: bytes) -> None:
    raw = canonical(a_document())
    assert received(raw)
    assert was in raw
    assert refused_document(raw.replace(was, now, 1)).detail == "the document is not canonical JSON"


def test_a_document_that_ends_with_white_space_is_refused() -> None:
    assert "not canonical" in refused_document(canonical(a_document()) + b"\n").detail


@pytest.mark.parametrize(
    "number",
    [
        b"1.5",
        b"1.0",
        b"-0.0",
        b"1e16",
        b"1e-07",
        b"9007199254740992",
        b"-9007199254740992",
        b"18446744073709551616",
    ],
)
def test_a_number_that_not_every_implementation_writes_the_same_is_refused(number: bytes) -> None:
    # The canonical form is RFC 8785 only as long as there are no floats and no integers beyond 2^53 - 1.
    raw = canonical(a_document(newer="@"))
    assert received(raw.replace(b'"@"', b"9007199254740991"))
    assert refused_document(raw.replace(b'"@"', number))


def test_a_member_name_that_not_every_implementation_sorts_the_same_is_refused() -> None:
    # RFC 8785 sorts by UTF-16 units, which puts U+1F600 before U+FF21; the schema has ASCII names only.
    assert received(a_document(newer={"A": 1, "B": 2}))
    assert refused_document(a_document(newer={"Ａ": 1, "😀": 2}))


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"nothing", b"NaN", b"\xef\xbb\xbf{}", b"{}x", b'{"a":"\\ud800"}', b'{"a":"\x01"}',
        b'{"a":1e999}', b'{"a":1' + b"0" * 5_000 + b"}",
    ],
)  # fmt: skip
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    assert refused_document(raw)


@pytest.mark.parametrize("text", [b"\xff", b"\xed\xa0\x80", b"\xc0\x80"])
def test_what_is_no_utf_8_is_refused(text: bytes) -> None:
    raw = canonical(a_document(newer="@"))
    assert received(raw.replace(b"@", "é".encode()))
    assert "not UTF-8" in refused_document(raw.replace(b"@", text)).detail


@pytest.mark.parametrize("raw", [b"[]", b"1", b"null", b'"x"', b"{}"])
def test_what_is_no_document_is_refused(raw: bytes) -> None:
    assert refused_document(raw).pointer == ""


# Depth and length


def test_a_document_of_thirty_two_levels_is_kept_and_of_thirty_three_is_not() -> None:
    raw = canonical(a_document(newer="@"))
    assert received(raw.replace(b'"@"', nested(31)))
    for depth in (32, 100_000):
        assert "nested deeper" in refused_document(raw.replace(b'"@"', nested(depth))).detail


def test_a_document_of_one_mebibyte_is_kept_and_one_byte_more_is_not() -> None:
    rest = MAX_DOCUMENT - len(canonical(a_document(newer="")))
    assert len(received(a_document(newer="x" * rest)).document) == MAX_DOCUMENT
    assert "1048577 bytes long" in refused_document(a_document(newer="x" * (rest + 1))).detail


# The entry and the document


@pytest.mark.parametrize(
    "entry",
    [{"type_name": "recipe"}, {"origin": "arnia"}, {"key": "other"}, {"revision": 2}],
)
def test_a_document_that_is_another_than_its_entry_says_is_refused(entry: dict[str, Any]) -> None:
    refusal = refused_document(a_document(), **entry)
    assert refusal.detail.startswith("the entry is for ")


@pytest.mark.parametrize("member", ["type", "origin", "key", "revision", "created_at", "updated_at", "tlp"])
def test_an_envelope_without_one_of_its_members_is_refused(member: str) -> None:
    for document in (a_document(), a_document(type="recipe")):
        refusal = refused_document(without(document, member), type_name=document["type"])
        assert f"`{member}`" in refusal.detail


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"type": "Solution"}, "/type"),
        ({"origin": "Megalis"}, "/origin"),
        ({"key": "a/b"}, "/key"),
        ({"key": ".."}, "/key"),
        ({"revision": 0}, "/revision"),
        ({"revision": -1}, "/revision"),
        ({"revision": 2**53}, "/revision"),
        ({"revision": "1"}, "/revision"),
        ({"revision": True}, "/revision"),
        ({"tlp": "WHITE"}, "/tlp"),
        ({"created_at": "2026-03-01"}, "/created_at"),
        ({"created_at": "2026-03-01T08:30:00"}, "/created_at"),
        ({"created_at": "1969-12-31T23:59:59Z"}, "/created_at"),
        ({"created_at": "2201-01-01T00:00:00Z"}, "/created_at"),
        ({"created_at": "2026-03-01T08:30:60Z"}, "/created_at"),
        ({"created_at": "2026-03-01T24:00:00Z"}, "/created_at"),
        ({"created_at": "٢٠٢٦-03-01T08:30:00Z"}, "/created_at"),
        ({"updated_at": "2026-02-30T08:30:00Z"}, "/updated_at"),
        ({"created_at": "2027-02-29T08:30:00Z", "updated_at": "2028-02-29T08:30:00Z"}, "/created_at"),
        ({"created_at": "2026-03-01T08:30:00+0200"}, "/created_at"),
        ({"updated_at": "2026-03-01T08:30:00+02"}, "/updated_at"),
        ({"created_at": "9999-12-31T23:59:59-12:00"}, "/created_at"),
        ({"created_at": "0001-01-01T00:00:00+12:00"}, "/created_at"),
    ],
)
def test_an_envelope_that_does_not_fit_its_entry_is_refused_for_every_type(
    members: dict[str, Any], pointer: str
) -> None:
    for type_name in ("solution", "recipe"):
        document = {"type": type_name, **members}
        assert refused_document(a_document(**document), type_name=type_name).pointer == pointer


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"created_at": "2026-03-01T08:30:00+00:00"}, "/created_at"),
        ({"created_at": "2026-03-01t08:30:00z"}, "/created_at"),
        ({"created_at": "2026-03-01T08:30:00.1234567Z"}, "/created_at"),
        ({"updated_at": "2026-03-01T08:29:59Z"}, ""),
        ({"same_as": ["no uri"]}, "/same_as/0"),
    ],
)
def test_an_envelope_that_fits_its_entry_and_breaks_another_rule_is_not_understood(
    members: dict[str, Any], pointer: str
) -> None:
    reason = not_understood(a_document(**members))
    assert reason.pointer == pointer
    record = received(a_document(type="recipe", **members), type_name="recipe")
    assert record.not_understood == UNKNOWN_TYPE
    assert received(a_document(content=None, **members)).not_understood is None, "a tombstone has no content"


@pytest.mark.parametrize(
    "moment",
    [
        "2026-03-01T08:30:00Z",
        "2026-03-01T08:30:00.5Z",
        "2028-02-29T00:00:00.000001Z",
        "2200-12-31T23:59:59.999999Z",
    ],
)
def test_moments_that_exist_are_kept(moment: str) -> None:
    assert received(a_document(updated_at=moment))
    assert received(a_document(created_at="1970-01-01T00:00:00Z", updated_at=moment))


def test_a_document_is_not_updated_a_fraction_before_it_was_created() -> None:
    moments = {"created_at": "2026-03-01T08:30:00.9Z", "updated_at": "2026-03-01T08:30:00.95Z"}
    assert received(a_document(**moments))
    assert not_understood(a_document(**{**moments, "updated_at": "2026-03-01T08:30:00.1Z"}))


# Labels and audiences


@pytest.mark.parametrize(
    ("label", "audience"),
    [
        ({"tlp": "CLEAR"}, "public"),
        ({"tlp": "GREEN"}, "federation"),
        ({"tlp": "AMBER", "audience": "rssi"}, "rssi"),
        ({"tlp": "AMBER+STRICT", "audience": "rssi"}, "rssi"),
        ({"tlp": "RED"}, "private"),
    ],
)
@pytest.mark.parametrize("type_name", ["solution", "recipe"])
def test_the_label_of_a_document_says_its_audience(
    type_name: str, label: dict[str, str], audience: str
) -> None:
    record = received(a_document(type=type_name, **label), type_name=type_name)
    assert (record.tlp, record.audience) == (label["tlp"], audience)


@pytest.mark.parametrize("type_name", ["solution", "recipe"])
@pytest.mark.parametrize(
    "label",
    [
        {"tlp": "CLEAR", "audience": "rssi"},
        {"tlp": "GREEN", "audience": "rssi"},
        {"tlp": "RED", "audience": "rssi"},
        {"tlp": "AMBER"},
        {"tlp": "AMBER+STRICT"},
        {"tlp": "AMBER", "audience": "public"},
        {"tlp": "AMBER", "audience": "federation"},
        {"tlp": "AMBER+STRICT", "audience": "private"},
        {"tlp": "AMBER", "audience": "RSSI"},
        {"tlp": "AMBER", "audience": "a/b"},
    ],
)
def test_a_label_and_an_audience_that_do_not_go_together_are_refused(
    type_name: str, label: dict[str, str]
) -> None:
    assert refused_document(a_document(type=type_name, **label), type_name=type_name).pointer == "/audience"


# Known types


@pytest.mark.parametrize(
    ("type_name", "content", "pointer"),
    [
        ("solution", a_solution(kind="thing"), "/content/kind"),
        ("solution", without(a_solution(), "name"), "/content"),
        ("solution", a_solution(releases=[{"version": "1", "eol_at": "2026-02-30"}]), "/content/releases/0"),
        ("deployment", a_deployment(version_state="exact"), "/content"),
        ("incident", an_incident(status="fixed"), "/content"),
        ("incident", an_incident(resolved_at="2026-02-01T00:00:00Z"), "/content"),
        (
            "operator",
            an_operator(identifiers=[{"scheme": "0002", "value": "217100768"}]),
            "/content/identifiers/0",
        ),
        ("group", without(a_group(), "members"), "/content"),
    ],
)
def test_a_content_that_breaks_the_schema_of_its_type_is_not_understood(
    type_name: str, content: dict[str, Any], pointer: str
) -> None:
    document = a_document(type=type_name, tlp="RED" if type_name == "group" else "GREEN", content=content)
    assert (not_understood(document, type_name=type_name).pointer or "") == pointer
    record = received(document, type_name=type_name)
    assert record.document == canonical(document)
    assert (record.projection.facets, record.projection.french, record.projection.other) == ((), "", "")
    assert received({**document, "type": "recipe"}, type_name="recipe")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (a_solution(kind="CANARY"), "Invalid enum value at /content/kind"),
        (a_solution(name="x" * 201), "Expected `str` of length <= 200 at /content/name"),
        (a_solution(same_as=1, ai={"risk_class": "CANARY"}), "Invalid enum value at /content/ai/risk_class"),
        (a_solution(summary={"CANARY": "x"}), "Expected `str` matching regex at /content/summary"),
        ("CANARY", "Expected `object | null`, got `str` at /content"),
        (
            a_solution(homepage=None),
            "a member without a value is left out, and never null at /content/homepage",
        ),
        (
            a_solution(packages=[{"purl": "pkg:npm/x", "cpe": None}]),
            "a member without a value is left out, and never null at /content/packages/0/cpe",
        ),
    ],
)
def test_the_reason_is_in_words_of_the_schema(content: Any, reason: str) -> None:
    assert received(a_document(content=content)).not_understood == reason


def test_a_licence_or_a_theme_that_is_newer_than_this_node_is_kept() -> None:
    content = a_solution(licence="EUPL-2.0", themes=["quantum"])
    assert "solution.theme=quantum" in received(a_document(content=content)).projection.facets


# Unknown members and types


def test_members_of_a_newer_version_are_kept_to_the_byte() -> None:
    content = a_solution(
        ai={"risk_class": "high", "newer": {"b": [1, None, True], "a": "é"}},
        packages=[{"newer": 1, "purl": "pkg:pypi/a"}],
        zz={},
    )
    raw = canonical(a_document(content=content, aa="newer", same_as=["https://example.org"]))
    record = received(raw)
    assert record.document == raw
    assert json.loads(record.document)["content"]["ai"]["newer"] == {"a": "é", "b": [1, None, True]}


def test_what_a_newer_version_writes_out_is_kept_though_we_would_leave_it_out() -> None:
    raw = canonical(a_document(content=a_solution(homepage=None, based_on=[]), same_as=[]))
    assert b'"homepage":null' in raw
    assert received(raw).document == raw


def test_a_type_that_is_not_known_is_kept_with_whatever_content() -> None:
    raw = canonical(a_document(type="recipe", content={"steps": [{"n": 1}], "name": "x"}))
    record = received(raw, type_name="recipe")
    assert (record.document, record.type, record.retracted) == (raw, "recipe", False)
    assert record.not_understood == UNKNOWN_TYPE
    assert (record.projection.beneficiaries, record.projection.french) == ((), "")


# Tombstones


@pytest.mark.parametrize("type_name", ["solution", "recipe"])
def test_a_document_without_content_is_a_tombstone_whatever_its_type(type_name: str) -> None:
    record = received(a_document(type=type_name, content=None), type_name=type_name)
    assert (record.retracted, record.op) == (True, "delete")
    assert record.not_understood is None
    assert record.projection.facets == (f"{type_name}.origin=megalis", f"{type_name}.tlp=CLEAR")


@pytest.mark.parametrize("type_name", ["solution", "recipe"])
def test_content_that_is_null_is_refused_whether_or_not_the_type_is_known(type_name: str) -> None:
    # A tombstone has no content. Read as one by who knows the type and as a live record by who does not,
    # null would leave two nodes disagreeing on whether the record was retracted.
    document = {**a_document(type=type_name), "content": None}
    assert refused_document(document, type_name=type_name).pointer == "/content"
