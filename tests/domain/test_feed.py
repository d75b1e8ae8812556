"""Entries and cursors of feeds."""

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from federation.domain.canonical import canonical
from federation.domain.entry import FeedEntry, RejectedEntry, VerifiedEntry, read_entry, unreadable, verify
from federation.domain.errors import Invalid
from federation.domain.feed import Cursor, FeedName, Head, mint_epoch
from federation.domain.record import tombstone
from tests.domain.builders import (
    NOW,
    a_deployment,
    a_document,
    a_group,
    a_record,
    a_solution,
    an_incident,
    an_operator,
)

PUBLIC = FeedName("megalis", "public")


def an_entry(raw: bytes | None = None, **members: Any) -> FeedEntry:
    raw = canonical(a_document()) if raw is None else raw
    given = {"seq": 7, "op": "upsert", "type": "solution", "key": "glpi", "revision": 1, **members}
    given.setdefault("hash", hashlib.sha256(raw).hexdigest())
    return FeedEntry(document=msgspec.Raw(raw), **given)


def why(entry: FeedEntry, feed: FeedName = PUBLIC) -> str:
    """The reason an entry is set aside, which names the entry and not its content."""
    found = verify(entry, feed)
    assert isinstance(found, RejectedEntry)
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
    assert isinstance(found, VerifiedEntry)
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
            assert isinstance(found, VerifiedEntry)
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
    assert isinstance(verify(an_entry(raw, op="delete"), FeedName("megalis", "federation")), VerifiedEntry)
    assert why(an_entry(raw, op="delete")) == "wrong-audience"


def test_a_forged_origin_is_set_aside() -> None:
    raw = canonical(a_document(origin="arnia"))
    assert isinstance(verify(an_entry(raw), FeedName("arnia", "public")), VerifiedEntry)
    assert why(an_entry(raw)) == "bad-document"


@pytest.mark.parametrize("members", [{"type": "recipe"}, {"key": "other"}, {"revision": 2}])
def test_an_entry_for_another_record_than_its_document_is_set_aside(members: dict[str, Any]) -> None:
    assert why(an_entry(**members)) == "bad-document"


def test_an_entry_that_says_another_act_than_its_document_is_set_aside() -> None:
    gone = canonical(a_document(content=None))
    assert isinstance(verify(an_entry(gone, op="delete"), PUBLIC), VerifiedEntry)
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
        canonical(a_document(tlp="PINK")),
        canonical(a_document(later=1.5)),
        canonical(a_document(updated_at="2026-02-30T00:00:00Z")),
    ],
)
def test_a_bad_document_is_set_aside_though_its_hash_is_right(raw: bytes) -> None:
    assert why(an_entry(raw)) == "bad-document"


def test_the_reason_names_the_member_and_is_short() -> None:
    found = verify(an_entry(canonical(a_document(tlp="PINK"))), PUBLIC)
    assert isinstance(found, RejectedEntry)
    assert found.detail.endswith(" at /tlp")
    long = verify(an_entry(canonical(a_document(tlp="x" * 10_000))), PUBLIC)
    assert isinstance(long, RejectedEntry)
    assert len(long.detail) <= 500


@pytest.mark.parametrize(
    "content",
    [a_solution(kind="thing"), a_solution(name="a\u200bb"), a_solution(name="e\u0301"), "no object", []],
)
def test_a_document_whose_content_is_not_understood_is_verified_like_any(content: Any) -> None:
    raw = canonical(a_document(content=content))
    found = verify(an_entry(raw), PUBLIC)
    assert isinstance(found, VerifiedEntry)
    assert found.record is not None
    assert found.record.not_understood
    assert found.record.document == raw
    assert why(an_entry(raw, hash="0" * 64)) == "bad-hash"
    assert why(an_entry(raw), FeedName("megalis", "federation")) == "wrong-audience"


def test_a_withdrawal_needs_no_document() -> None:
    entry = FeedEntry(seq=9, op="withdraw", type="solution", key="glpi", revision=4)
    assert verify(entry, PUBLIC) == VerifiedEntry(seq=9, type="solution", key="glpi", revision=4, record=None)


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


# What a peer's entry may be called


@pytest.mark.parametrize("member", ["type", "key", "hash"])
def test_an_entry_whose_names_end_in_a_line_feed_is_none(member: str) -> None:
    """Between quotes, as they are sent on, they would not be JSON."""
    entry = {"seq": 1, "op": "withdraw", "type": "solution", "key": "glpi", "revision": 1, "hash": "0" * 64}
    assert read_entry(canonical(entry)).key == "glpi"
    line = canonical({**entry, member: f"{entry[member]}\n"})
    with pytest.raises(Invalid) as refusal:
        read_entry(line)
    aside = unreadable(line, refusal.value)
    assert (aside.seq, aside.reason) == (1, "unreadable")
    assert "\n" not in aside.type + aside.key + aside.detail


@pytest.mark.parametrize("member", ["origin", "audience", "epoch"])
def test_a_head_whose_names_end_in_a_line_feed_is_none(member: str) -> None:
    head = {
        "origin": "megalis", "audience": "public", "epoch": "0" * 16,
        "seq": 1, "retained_from": 0, "count": 1,
    }  # fmt: skip
    assert msgspec.convert(head, Head).name == PUBLIC
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**head, member: f"{head[member]}\n"}, Head)


# What cannot be read


def an_aside(**members: Any) -> RejectedEntry:
    """What becomes of an entry that cannot be read."""
    entry = {"seq": 7, "op": "withdraw", "type": "solution", "key": "glpi", "revision": 4, **members}
    line = canonical({name: value for name, value in entry.items() if value is not None})
    with pytest.raises(Invalid) as refusal:
        read_entry(line)
    return unreadable(line, refusal.value)


@pytest.mark.parametrize(
    ("members", "named", "detail"),
    [
        ({"op": "archive"}, ("solution", "glpi", 4), "Invalid enum value at /op"),
        ({"revision": 0}, ("solution", "glpi", 0), "Expected `int` >= 1 at /revision"),
        ({"revision": 10**30}, ("solution", "glpi", 0), "at /revision"),
        ({"revision": "CANARY"}, ("solution", "glpi", 0), "Expected `int`, got `str` at /revision"),
        ({"hash": "CANARY"}, ("solution", "glpi", 4), "Expected `str` matching regex at /hash"),
        ({"key": "k" * 129}, ("solution", "?7", 4), "Expected `str` matching regex at /key"),
        ({"key": "CANARY\n\u202e"}, ("solution", "?7", 4), "at /key"),
        ({"key": {"CANARY": 1}}, ("solution", "?7", 4), "at /key"),
        ({"key": None}, ("solution", "?7", 4), "Object missing required field `key`"),
        ({"type": "CANARY"}, ("?", "glpi?7", 4), "at /type"),
        ({"type": 1, "key": 2, "revision": []}, ("?", "?7", 0), "at /key"),
    ],
)
def test_an_entry_that_cannot_be_read_is_set_aside_as_far_as_it_can_be_named(
    members: dict[str, Any], named: tuple[str, str, int], detail: str
) -> None:
    aside = an_aside(**members)
    assert (aside.seq, aside.reason) == (7, "unreadable")
    assert (aside.type, aside.key, aside.revision) == named
    assert aside.detail.endswith(detail)
    assert "CANARY" not in repr(aside)


def test_two_entries_that_cannot_be_named_do_not_hide_each_other() -> None:
    asides = [an_aside(seq=n, **bad) for n in (7, 8) for bad in ({"key": ""}, {"type": ""}, {"type": "?"})]
    assert len({(one.type, one.key) for one in asides}) == 4, "one for each number and what could be read"


@pytest.mark.parametrize(
    "line",
    [b'{"seq":7,"document":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b'{"seq":7,"key":"\xff"}'],
    ids=["too deep", "no UTF-8"],
)
def test_what_cannot_be_decoded_is_passed_over_by_its_number(line: bytes) -> None:
    with pytest.raises(Invalid) as refusal:
        read_entry(line)
    assert unreadable(line, refusal.value).seq == 7


@pytest.mark.parametrize(
    "line",
    [
        b"", b"hello", b"[]", b"7", b"{}", b'{"seq":0}', b'{"seq":-7}', b'{"seq":"7"}', b'{"seq":7.5}',
        b'{"seq":null}', b'{"seq":' + b"9" * 30 + b"}", b'{"seq":' + b"9" * 9_000 + b"}",
        b'{"seq":7,"key":"a"', b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b',"seq":7}',
    ],
)  # fmt: skip
def test_a_line_without_a_number_that_can_be_read_ends_it(line: bytes) -> None:
    with pytest.raises(Invalid) as refusal:
        read_entry(line)
    with pytest.raises(Invalid):
        unreadable(line, refusal.value)


# What is noted of it

CANARIES = (
    "CANARY123", "canary-123", "CANARY'1\"23", "CANARY123\n", "CANARY\u200b123", "CANARY - at `$.CANARY`",
    "2199-02-30", "2199-02-30T21:09:21Z", "2199-02-28T21:09:21Z", 21990230.5, 21990230, {"CANARY": "CANARY"},
    ["CANARY"],
)  # fmt: skip


def changed_everywhere(value: Any, to: Any) -> Iterator[Any]:
    """The value with one text, number or name of a member at a time changed to something else."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from ({**value, name: other} for other in changed_everywhere(inner, to))
            if isinstance(to, str):
                yield {**{n: v for n, v in value.items() if n != name}, to: inner}
    elif isinstance(value, list):
        for index, inner in enumerate(value[:2]):
            for other in changed_everywhere(inner, to):
                yield [*value[:index], other, *value[index + 1 :]]
    yield to


BODY = {"identifiers": [{"scheme": "0002", "value": "217100767"}], "name": "Chalon", "type": "commune"}
ASSURED = [{"scheme": "hds", "certificate_url": "https://a.example/c", "valid_until": "2027-01-01"}]
FULL = {
    "solution": a_solution(
        description={"fr": "a"}, repository="https://a.example", homepage="https://a.example", steward=BODY,
        maintenance="community", based_on=["a/b"], depends_on=["a/b"], alternatives=["a/b"],
        packages=[{"purl": "pkg:pypi/a"}, {"cpe": "cpe:/a"}], version_scheme="pypi",
        releases=[{"version": "1", "released_at": "2026-01-01", "support": "lts", "eol_at": "2027-01-01"}],
        ai={"risk_class": "high", "base_models": ["a"], "inference_country": "FR", "personal_data": False},
        assurances=ASSURED,
        accessibility={"standard": "RGAA 4.1", "level": "full", "audited_at": "2026-01-01"},
    ),
    "deployment": a_deployment(
        hosting={"model": "operator", "provider": "OVH", "country": "FR", "assurances": ASSURED},
        coverage={"kind": "list", "beneficiaries": [BODY]}, version="1", version_state="exact",
        version_as_of="2026-01-01T00:00:00Z", since="2026-01-01", until="2027-01-01", environment="test",
        url="https://a.example", support="a", attestation="declared",
        offer={"open": True, "eligibility": {"fr": "a"}, "join_url": "https://a.example", "price_bands": [
            {"amount_cents": 1, "currency": "EUR", "per": "year", "unit": "body", "max_population": 1}]},
    ),
    "incident": an_incident(
        affects=[{"solution": "a/b", "range": "vers:generic/>=1", "fixed_in": ["2"], "deployments": ["a/b"]}],
        detected_at="2026-03-01T08:00:00Z", resolved_at="2026-03-01T09:00:00Z", aliases=["CVE-2026-1"],
        scheduled_for="2026-03-01T08:00:00Z", scheduled_until="2026-03-01T09:00:00Z", exploitation="poc",
        cvss="CVSS:3.1/AV:N/AC:L", duplicate_of="a/b", related_to=["a/b", "urn:a"],
        remediations=[{"category": "vendor_fix", "text": {"fr": "a"}, "url": "https://a.example"}],
        updates=[{"at": "2026-03-01T08:00:00Z", "status": "resolved", "text": {"fr": "a"}}],
        source={"url": "https://a.example", "sha256": "0" * 64},
    ),
    "operator": an_operator(
        identifiers=BODY["identifiers"], homepage="https://a.example", node="https://a.example"
    ),
}  # fmt: skip


@pytest.mark.parametrize("canary", CANARIES, ids=repr)
@pytest.mark.parametrize("type_name", FULL)
def test_the_reason_noted_of_a_document_holds_nothing_of_it(type_name: str, canary: Any) -> None:
    document = a_document(
        type=type_name, content=FULL[type_name], tlp="AMBER", audience="rssi", same_as=["urn:a"]
    )
    feed = FeedName("megalis", "rssi")
    assert isinstance(verify(an_entry(canonical(document), type=type_name), feed), VerifiedEntry)
    asides = 0
    for changed in changed_everywhere(document, canary):
        found = verify(an_entry(canonical(changed), type=type_name), feed)
        reason = found.detail if isinstance(found, RejectedEntry) else None
        if isinstance(found, VerifiedEntry) and found.record is not None:
            reason = found.record.not_understood
        if reason is not None:
            asides += 1
            for part in ("canary", "2199", "0230", "T21"):
                assert part.lower() not in reason.lower(), reason
    assert asides > 10


@pytest.mark.parametrize("tlp", ["CLEAR", "GREEN", "AMBER"])
def test_a_group_of_another_operator_is_set_aside_whatever_its_label(tlp: str) -> None:
    audience = {"CLEAR": "public", "GREEN": "federation", "AMBER": "rssi"}[tlp]
    meant = {"audience": "rssi"} if tlp == "AMBER" else {}
    for type_name, content in (("group", a_group()), ("solution", a_solution())):
        document = a_document(type=type_name, content=content, tlp=tlp, **meant)
        found = verify(an_entry(canonical(document), type=type_name), FeedName("megalis", audience))
        assert isinstance(found, RejectedEntry) == (type_name == "group")


def test_an_identifier_that_is_none_is_not_noted() -> None:
    content = a_deployment(
        coverage={
            "kind": "list",
            "beneficiaries": [{"identifiers": [{"scheme": "0002", "value": "CANARY123"}]}],
        }
    )
    raw = canonical(a_document(type="deployment", tlp="AMBER", audience="rssi", content=content))
    found = verify(an_entry(raw, type="deployment"), FeedName("megalis", "rssi"))
    assert isinstance(found, VerifiedEntry)
    assert found.record is not None
    assert found.record.not_understood == (
        "… is not a valid identifier of scheme … at /content/coverage/beneficiaries/0/identifiers/0"
    )


def test_the_group_a_document_is_for_is_not_noted() -> None:
    found = verify(an_entry(canonical(a_document(tlp="AMBER", audience="canary"))), PUBLIC)
    assert isinstance(found, RejectedEntry)
    assert found.detail == "a document for another group in the feed megalis/public"
