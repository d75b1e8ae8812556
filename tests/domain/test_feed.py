"""Entries and cursors of feeds."""

import hashlib
from typing import Any

import msgspec
import pytest

from federation.domain.document import canonical, tombstone
from federation.domain.errors import Invalid
from federation.domain.feed import Cursor, Entry, FeedName, SetAside, Verified, mint_epoch, verify
from tests.domain.builders import NOW, a_document, a_record, a_solution

PUBLIC = FeedName("megalis", "public")


def an_entry(raw: bytes | None = None, **members: Any) -> Entry:
    raw = canonical(a_document()) if raw is None else raw
    given = {"seq": 7, "op": "upsert", "type": "solution", "key": "glpi", "revision": 1, **members}
    given.setdefault("hash", hashlib.sha256(raw).hexdigest())
    return Entry(document=msgspec.Raw(raw), **given)


def why(entry: Entry, feed: FeedName = PUBLIC) -> str:
    """The reason an entry is set aside, which names the entry and not its content."""
    found = verify(entry, feed)
    assert isinstance(found, SetAside)
    assert (found.seq, found.type, found.key, found.revision) == (
        entry.seq,
        entry.type,
        entry.key,
        entry.revision,
    )
    assert found.detail
    return found.reason


def test_an_entry_that_holds_what_it_says_becomes_a_record() -> None:
    raw = canonical(a_document())
    found = verify(an_entry(raw), PUBLIC)
    assert isinstance(found, Verified)
    assert found.record is not None
    assert (found.seq, found.type, found.key, found.revision) == (7, "solution", "glpi", 1)
    assert (found.record.document, found.record.origin, found.record.op) == (raw, "megalis", "upsert")


def test_what_one_node_writes_down_another_verifies() -> None:
    for label, audience in ({"tlp": "GREEN"}, "federation"), ({"tlp": "AMBER", "audience": "rssi"}, "rssi"):
        record = a_record(a_solution(), **label)  # type: ignore[arg-type]
        gone = tombstone(record.document, updated_at=NOW)
        feed = FeedName("arnia", audience)
        for written, op in ((record, "upsert"), (gone, "delete")):
            found = verify(an_entry(written.document, op=op, revision=written.revision), feed)
            assert isinstance(found, Verified)
            assert found.record is not None
            assert (found.record.hash, found.record.retracted) == (written.hash, op == "delete")


@pytest.mark.parametrize(
    "hash", [None, "0" * 64, hashlib.sha256(canonical(a_document()) + b" ").hexdigest(),
             hashlib.sha256(canonical(a_document())).hexdigest().upper()]
)  # fmt: skip
def test_a_bad_hash_is_set_aside(hash: str | None) -> None:
    assert why(an_entry(hash=hash)) == "bad-hash"


def test_one_byte_that_changed_on_the_way_is_a_bad_hash() -> None:
    raw = canonical(a_document())
    for changed in (raw.replace(b"GLPI", b"GLPJ"), raw[:-1], raw + b" ", b""):
        assert why(an_entry(changed, hash=hashlib.sha256(raw).hexdigest())) == "bad-hash"


@pytest.mark.parametrize(
    ("label", "audience"),
    [
        ({"tlp": "CLEAR"}, "federation"),
        ({"tlp": "CLEAR"}, "rssi"),
        ({"tlp": "GREEN"}, "public"),
        ({"tlp": "AMBER", "audience": "rssi"}, "public"),
        ({"tlp": "AMBER", "audience": "rssi"}, "federation"),
        ({"tlp": "AMBER", "audience": "rssi"}, "buyers"),
        ({"tlp": "RED"}, "public"),
        ({"tlp": "RED"}, "federation"),
    ],
)
def test_a_record_in_a_feed_for_another_audience_is_set_aside(label: dict[str, str], audience: str) -> None:
    assert why(an_entry(canonical(a_document(**label))), FeedName("megalis", audience)) == "wrong-audience"


def test_a_tombstone_in_a_feed_for_another_audience_is_set_aside() -> None:
    raw = canonical(a_document(content=None, tlp="GREEN"))
    assert isinstance(verify(an_entry(raw, op="delete"), FeedName("megalis", "federation")), Verified)
    assert why(an_entry(raw, op="delete")) == "wrong-audience"


def test_a_forged_origin_is_set_aside() -> None:
    raw = canonical(a_document(origin="arnia"))
    assert isinstance(verify(an_entry(raw), FeedName("arnia", "public")), Verified)
    assert why(an_entry(raw)) == "bad-document"


@pytest.mark.parametrize("members", [{"type": "recipe"}, {"key": "other"}, {"revision": 2}])
def test_an_entry_for_another_record_than_its_document_is_set_aside(members: dict[str, Any]) -> None:
    assert why(an_entry(**members)) == "bad-document"


def test_an_entry_that_says_another_act_than_its_document_is_set_aside() -> None:
    gone = canonical(a_document(content=None))
    assert isinstance(verify(an_entry(gone, op="delete"), PUBLIC), Verified)
    assert why(an_entry(gone)) == "bad-document"
    assert why(an_entry(op="delete")) == "bad-document"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        canonical(a_document()) + b"\n",
        canonical(a_document(content=a_solution(kind="thing"))),
        canonical(a_document(content=a_solution(name="a\u200bb"))),
        canonical(a_document(updated_at="2026-02-30T00:00:00Z")),
    ],
)
def test_a_bad_document_is_set_aside_though_its_hash_is_right(raw: bytes) -> None:
    assert why(an_entry(raw)) == "bad-document"


def test_the_reason_names_the_member_and_is_short() -> None:
    found = verify(an_entry(canonical(a_document(content=a_solution(kind="thing")))), PUBLIC)
    assert isinstance(found, SetAside)
    assert found.detail.endswith(" at /content/kind")
    long = verify(an_entry(canonical(a_document(content=a_solution(kind="x" * 10_000)))), PUBLIC)
    assert isinstance(long, SetAside)
    assert len(long.detail) <= 500


def test_a_withdrawal_needs_no_document() -> None:
    entry = Entry(seq=9, op="withdraw", type="solution", key="glpi", revision=4)
    assert verify(entry, PUBLIC) == Verified(seq=9, type="solution", key="glpi", revision=4, record=None)


# Cursors


@pytest.mark.parametrize(
    "text", ["0123456789abcdef.0", "ffffffffffffffff.1", "0123456789abcdef.9999999999999999"]
)
def test_a_cursor_is_read_back_as_it_was_written(text: str) -> None:
    assert str(Cursor.parse(text)) == text


def test_a_cursor_is_an_epoch_and_a_number() -> None:
    assert Cursor.parse("0123456789abcdef.42") == Cursor("0123456789abcdef", 42)
    assert Cursor.parse(str(Cursor(mint_epoch(), 42))).seq == 42


@pytest.mark.parametrize(
    "text",
    [
        "", "0", ".", "0123456789abcdef", "0123456789abcdef.", ".1", "0123456789abcdef.-1",
        "0123456789abcdef.+1",
        "0123456789abcdef.1.0", "0123456789abcdef.1e3", "0123456789ABCDEF.1", "0123456789abcde.1",
        "0123456789abcdefa.1",
        "0123456789abcdeg.1", " 0123456789abcdef.1", "0123456789abcdef.1 ", "0123456789abcdef.1\n",
        "0123456789abcdef.٣",
        "0123456789abcdef.1\x00", "0123456789abcdef.10000000000000000", "x" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_cursor_is_refused_shortly(text: str) -> None:
    with pytest.raises(Invalid, match="is not a cursor") as refusal:
        Cursor.parse(text)
    assert len(refusal.value.detail) < 600


def test_epochs_are_never_the_same() -> None:
    assert len({mint_epoch() for _ in range(1_000)}) == 1_000


def test_a_feed_is_named_by_origin_and_audience() -> None:
    assert str(FeedName("arnia", "rssi")) == "arnia/rssi"
