"""The one form in which a document is written down."""

import hashlib
import json
import time
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from federation.domain.canonical import canonical
from federation.domain.content.incident import Incident
from federation.domain.content.solution import Solution
from federation.domain.document import MAX_DOCUMENT, SERVER_OWNED, check_id, is_type, mint_key
from federation.domain.errors import Invalid
from federation.domain.record import Record, draft_of, equals_stored, supersedes, to_record, tombstone
from tests.domain.builders import (
    NOW,
    a_draft,
    a_record,
    a_solution,
    an_incident,
    received,
    refused_draft,
)

LATER = NOW + timedelta(minutes=5)


def test_the_sample_of_rfc_8785_is_written_as_the_rfc_writes_it() -> None:
    # RFC 8785, 3.2.2, without its floats: the schema has none.
    sample = json.loads(
        r'{"string": "\u20ac$\u000F\u000aA\u0027\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}'
    )
    assert canonical(sample) == (
        b'{"literals":[null,true,false],"string":"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": 1, "a": 2, "B": 3, "a-b": 4, "a.b": 5, "_": 6, "1": 7, "10": 8, "": 9},
         b'{"":9,"1":7,"10":8,"B":3,"_":6,"a":2,"a-b":4,"a.b":5,"b":1}'),
        ({"z": {"b": [], "a": {}}, "y": [{"d": 1, "c": 2}]}, b'{"y":[{"c":2,"d":1}],"z":{"a":{},"b":[]}}'),
        ([3, 1, 2], b"[3,1,2]"),
        ([0, -1, 2**53 - 1, -(2**53 - 1)], b"[0,-1,9007199254740991,-9007199254740991]"),
        ([None, True, False], b"[null,true,false]"),
        ("\b\t\n\f\r", b'"\\b\\t\\n\\f\\r"'),
        ("\x00\x0b\x1f", b'"\\u0000\\u000b\\u001f"'),
        ('"\\/', b'"\\"\\\\/"'),
        ("\x7fé€😀\u2028", '"\x7fé€😀\u2028"'.encode()),
    ],
)  # fmt: skip
def test_members_are_sorted_and_escapes_are_the_shortest(value: Any, expected: bytes) -> None:
    assert canonical(value) == expected


def test_another_implementation_writes_every_character_the_same() -> None:
    # The surrogates are no characters; planes above 1 are as plane 1.
    characters = [chr(n) for n in range(0x20000) if not 0xD800 <= n <= 0xDFFF]
    value = {"every": "".join(characters)}
    assert canonical(value) == json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def test_a_document_is_written_down_to_the_byte() -> None:
    record = a_record(a_solution(summary={"fr": 'L\'« été »\n"à"', "en": "Summer"}), tlp="GREEN")
    assert record.document.decode() == (
        '{"content":{"kind":"software","licence":"GPL-3.0-or-later","name":"GLPI","status":"stable",'
        '"summary":{"en":"Summer","fr":"L\'« été »\\n\\"à\\""},"themes":["it-asset-management"]},'
        '"created_at":"2026-03-01T08:30:00.000000Z","key":"glpi","origin":"arnia","revision":1,'
        '"tlp":"GREEN","type":"solution","updated_at":"2026-03-01T08:30:00.000000Z"}'
    )


def test_the_order_and_spacing_a_writer_used_leave_no_trace() -> None:
    content = a_solution(homepage="https://glpi.example.org", description={"fr": "b", "en": "a"})
    turned = {name: content[name] for name in reversed(content)}
    assert a_record(turned).document == a_record(content).document


def test_absent_and_default_are_written_as_one_thing() -> None:
    plain = a_record(a_solution())
    assert (
        a_record(a_solution(homepage=None, based_on=[]), audience=None, same_as=[]).document == plain.document
    )
    assert b"homepage" not in plain.document


def test_a_record_names_what_was_written() -> None:
    record = a_record(
        an_incident(kind="security"), Incident, key="2026-0042", revision=3, updated_at=LATER,
        tlp="AMBER+STRICT", audience="rssi", same_as=["https://example.org/1"],
    )  # fmt: skip
    said = json.loads(record.document)
    assert record.hash == hashlib.sha256(record.document).digest()
    assert (record.type, record.origin, record.key, record.revision) == ("incident", "arnia", "2026-0042", 3)
    assert (said["type"], said["origin"], said["key"], said["revision"]) == (
        "incident",
        "arnia",
        "2026-0042",
        3,
    )
    assert (record.tlp, record.audience, said["tlp"], said["audience"]) == (
        "AMBER+STRICT", "rssi", "AMBER+STRICT", "rssi",
    )  # fmt: skip
    assert said["same_as"] == ["https://example.org/1"]
    assert (record.created_at, record.updated_at) == (NOW, LATER)
    assert (said["created_at"], said["updated_at"]) == (
        "2026-03-01T08:30:00.000000Z", "2026-03-01T08:35:00.000000Z",
    )  # fmt: skip
    assert (record.id, record.op, record.retracted) == ("arnia/2026-0042", "upsert", False)


def test_what_is_written_down_is_read_back_as_the_same_record() -> None:
    record = a_record(a_solution(ai={"risk_class": "high"}), tlp="AMBER", audience="rssi")
    assert received(record.document, origin="arnia") == record


def test_moments_are_written_in_utc_whatever_the_clock_says() -> None:
    paris = datetime(2026, 3, 1, 9, 30, 0, 5, tzinfo=timezone(timedelta(hours=1)))
    said = json.loads(a_record(created_at=paris, updated_at=paris).document)
    assert said["created_at"] == "2026-03-01T08:30:00.000005Z"


def test_a_record_is_found_by_its_origin_label_and_filters_each_once() -> None:
    record = a_record(a_solution(themes=["ai", "crm", "ai"]))
    assert record.projection.facets == (
        "solution.origin=arnia",
        "solution.tlp=CLEAR",
        "solution.kind=software",
        "solution.status=stable",
        "solution.licence=GPL-3.0-or-later",
        "solution.theme=ai",
        "solution.theme=crm",
    )


# Bounds


def of_length(size: int) -> dict[str, Any]:
    """A solution whose document is so many bytes long."""
    long = {f"a{chr(97 + n)}": "é" * 20_000 for n in range(26)}
    rest = size - len(a_record(a_solution(description=long)).document)
    return a_solution(description=long, name="GLPI", summary={"fr": "Gestion de parc" + "x" * rest})


def test_a_document_of_one_mebibyte_is_written_down_and_one_byte_more_is_not() -> None:
    assert len(a_record(of_length(MAX_DOCUMENT)).document) == MAX_DOCUMENT == 1_048_576
    assert "1048577 bytes long; 1048576 are allowed" in refused_draft(of_length(MAX_DOCUMENT + 1)).detail


def test_a_key_that_ends_with_a_line_feed_is_not_written_down() -> None:
    # To Python's regular expressions `$` matches before a last line feed.
    draft = a_draft(a_solution())
    with pytest.raises(Invalid) as refusal:
        to_record(draft, Solution, "arnia", "glpi\n", revision=1, created_at=NOW, updated_at=NOW)
    assert refusal.value.pointer == "/key"


# The same again


def held(**members: Any) -> bytes:
    return a_record(a_solution(), **members).document


def test_the_same_content_says_the_same_at_any_revision_and_time() -> None:
    draft = a_draft(a_solution())
    assert equals_stored(draft, held(revision=7, updated_at=LATER))


def test_a_draft_that_names_the_default_label_says_the_same_as_one_that_names_none() -> None:
    assert equals_stored(a_draft(a_solution(), tlp="CLEAR"), held())
    assert equals_stored(a_draft(a_solution()), held(tlp="CLEAR"))


@pytest.mark.parametrize(
    ("draft", "stored"),
    [
        (a_draft(a_solution(name="glpi")), held()),
        (a_draft(a_solution(homepage="https://example.org")), held()),
        (a_draft(a_solution()), a_record(a_solution(homepage="https://example.org")).document),
        (a_draft(a_solution(themes=["crm", "ai"])), a_record(a_solution(themes=["ai", "crm"])).document),
        (a_draft(a_solution(), tlp="GREEN"), held()),
        (a_draft(a_solution()), held(tlp="GREEN")),
        (a_draft(a_solution(), tlp="AMBER", audience="a"), held(tlp="AMBER", audience="b")),
        (a_draft(a_solution(), tlp="AMBER", audience="a"), held(tlp="AMBER+STRICT", audience="a")),
        (a_draft(a_solution(), same_as=["https://example.org/1"]), held()),
        (a_draft(a_solution()), held(same_as=["https://example.org/1"])),
        (a_draft(a_solution()), tombstone(held(), updated_at=LATER).document),
    ],
)
def test_any_difference_a_writer_can_make_is_seen(draft: Any, stored: bytes) -> None:
    assert not equals_stored(draft, stored)


def test_what_a_writer_may_change_is_all_but_what_the_node_owns() -> None:
    stored = held(tlp="AMBER", audience="rssi", same_as=["https://example.org/1"])
    draft = draft_of(stored)
    assert draft == {
        "content": a_solution(),
        "tlp": "AMBER",
        "audience": "rssi",
        "same_as": ["https://example.org/1"],
    }
    assert set(json.loads(stored)) - set(draft) == set(SERVER_OWNED)


# Tombstones


def retracted(**members: Any) -> Record:
    return tombstone(a_record(a_solution(), **members).document, updated_at=LATER)


def test_a_tombstone_is_the_envelope_one_revision_on_and_nothing_else() -> None:
    record = retracted(revision=4, same_as=["https://example.org/1"])
    assert record.document == (
        b'{"created_at":"2026-03-01T08:30:00.000000Z","key":"glpi","origin":"arnia","revision":5,'
        b'"tlp":"CLEAR","type":"solution","updated_at":"2026-03-01T08:35:00.000000Z"}'
    )
    assert record.hash == hashlib.sha256(record.document).digest()
    assert (record.retracted, record.op, record.revision) == (True, "delete", 5)
    assert (record.created_at, record.updated_at) == (NOW, LATER)
    assert (record.projection.facets, record.projection.french, record.projection.other) == ((), "", "")


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
def test_a_tombstone_reaches_those_who_saw_the_record(label: dict[str, Any], audience: str) -> None:
    record = retracted(**label)
    assert (record.tlp, record.audience) == (label["tlp"], audience)
    assert json.loads(record.document).get("audience") == label.get("audience")


def test_a_peer_reads_a_tombstone_as_one() -> None:
    record = retracted(tlp="AMBER", audience="rssi")
    again = received(record.document, origin="arnia", revision=2)
    assert (again.retracted, again.hash, again.audience) == (True, record.hash, "rssi")


# Revisions and names


def test_only_a_higher_revision_supersedes() -> None:
    assert supersedes(2, 1)
    assert not supersedes(1, 1)
    assert not supersedes(1, 2)


@pytest.mark.parametrize(
    ("origin", "key"),
    [
        ("arnia", "cmonia"),
        ("megalis.bretagne.bzh", "A"),
        ("a", "0"),
        ("0-9", "a.b_c~d-e"),
        ("a" * 63, "k" * 128),
    ],
)
def test_ids_are_made_of_an_operator_and_its_key(origin: str, key: str) -> None:
    check_id(origin, key)
    for part in range(2):
        with pytest.raises(Invalid, match="is not"):
            check_id(*[f"{name} " if n == part else name for n, name in enumerate((origin, key))])


@pytest.mark.parametrize(
    ("origin", "key"),
    [
        ("", "k"), ("A", "k"), ("-a", "k"), ("a-", "k"), (".a", "k"), ("a.", "k"), ("a_b", "k"), ("a/b", "k"),
        ("é", "k"), ("a" * 64, "k"), ("a\n", "k"), ("a ", "k"),
        ("a", ""), ("a", "-k"), ("a", ".k"), ("a", "_k"), ("a", "~k"), ("a", "k/l"), ("a", "k l"), ("a", "é"),
        ("a", "k%2f"), ("a", "k" * 129), ("a", "k\n"), ("a", "k\x00"), ("a", ".."), ("a", "٣"),
    ],
)  # fmt: skip
def test_what_is_no_id_is_refused(origin: str, key: str) -> None:
    with pytest.raises(Invalid, match="is not"):
        check_id(origin, key)
    for part in range(2):
        with pytest.raises(Invalid, match="is not"):
            check_id(*[f"{name} " if n == part else name for n, name in enumerate((origin, key))])


@pytest.mark.parametrize("name", ["solution", "x", "joint-purchase", "a1"])
def test_types_have_lower_case_names(name: str) -> None:
    assert is_type(name)


@pytest.mark.parametrize("name", ["", "Solution", "1a", "-a", "a_b", "a.b", "a\n", "é", "a" * 64])
def test_what_cannot_name_a_type_does_not(name: str) -> None:
    assert not is_type(name)


def test_a_minted_key_is_a_uuid_of_version_7_of_this_moment() -> None:
    before = time.time_ns() // 1_000_000
    key = mint_key()
    after = time.time_ns() // 1_000_000
    number = uuid.UUID(key)
    assert str(number) == key
    assert (number.version, number.variant) == (7, uuid.RFC_4122)
    assert before <= number.int >> 80 <= after
    check_id("arnia", key)


def test_keys_minted_later_sort_later_and_none_comes_twice() -> None:
    keys = []
    for _ in range(5):
        now = time.time_ns() // 1_000_000
        while time.time_ns() // 1_000_000 == now:
            pass
        keys.append(mint_key())
    assert keys == sorted(keys)
    assert len({mint_key() for _ in range(10_000)}) == 10_000


def test_canonical_bytes_are_a_fixed_point() -> None:
    raw = a_record(a_solution(description={"fr": 'é\n\t"\\'})).document
    assert canonical(msgspec.json.decode(raw)) == raw


def test_records_of_the_same_words_at_other_times_have_other_hashes() -> None:
    assert a_record(updated_at=LATER).hash != a_record().hash
    assert a_record(created_at=datetime(2025, 1, 1, tzinfo=UTC)).hash != a_record().hash
