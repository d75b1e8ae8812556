"""What an entry is: bounded, printable, in one form, chained; and what may be noted."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any, get_args

import msgspec
import pytest

from federation.domain.audit import (
    EVENTS,
    GENESIS,
    MAX_DETAIL_LENGTH,
    MAX_DETAIL_MEMBERS,
    MAX_TEXT_LENGTH,
    AuditEntry,
    Event,
    chain_rows,
    link,
    note,
)
from federation.domain.audit_chain import FAULTS, FaultKind
from federation.domain.content.group import MEMBERS_NOTED, group_changes
from federation.domain.refusals import MAX_KINDS, NOTE_SECONDS, OTHERS, Refusals, RefusedAccess
from federation.domain.values import SAFE_INTEGER

NOW = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)


def test_every_event_and_every_fault_has_a_meaning() -> None:
    assert set(get_args(Event)) == set(EVENTS)
    assert set(get_args(FaultKind)) == set(FAULTS)


def test_an_event_that_has_no_meaning_is_not_noted() -> None:
    unknown: Any = "client.renamed"
    with pytest.raises(ValueError, match=r"client\.renamed"):
        note(unknown, "operator", "erp")


def test_an_entry_is_canonical_and_linked_to_the_one_before() -> None:
    first, second = chain_rows(
        [note("client.added", "operator", "erp", {"b": 1, "a": "x"}), note("client.revoked", "o", "erp")],
        0,
        GENESIS,
        NOW,
    )
    assert first.entry == (
        b'{"actor":"operator","at":"2026-03-01T08:30:00.000000Z","detail":{"a":"x","b":1},'
        b'"event":"client.added","n":1,"subject":"erp"}'
    )
    assert first.hash == hashlib.sha256(bytes(32) + first.entry).digest()
    assert second.hash == link(first.hash, second.entry) != link(GENESIS, second.entry)
    assert (first.n, second.n) == (1, 2)


def test_an_entry_is_bounded_whatever_is_said() -> None:
    most = "\U0001f600" * 100_000
    made = note(
        "client.added", most, most, {f"{n}{'k' * 500}": most if n % 2 else 10**30 for n in range(1_000)}
    )
    assert len(made.actor) == len(made.subject) == MAX_TEXT_LENGTH
    assert len(made.detail) == MAX_DETAIL_MEMBERS
    assert max(len(value) for value in made.detail.values() if isinstance(value, str)) == MAX_DETAIL_LENGTH
    assert max(value for value in made.detail.values() if isinstance(value, int)) == SAFE_INTEGER
    (row,) = chain_rows([made], 0, GENESIS, NOW)
    assert len(row.entry) < 200_000


@pytest.mark.parametrize("said", ["a\x00b", "a\nb", "a\x1b[2Jb", "a\u202eb", "a\ud800b", "a\u200bb"])
def test_what_cannot_be_printed_is_replaced(said: str) -> None:
    made = note("client.added", said, said, {said: said})
    (row,) = chain_rows([made], 0, GENESIS, NOW)
    entry = msgspec.json.decode(row.entry, type=AuditEntry)
    for text in (entry.actor, entry.subject, *entry.detail, *entry.detail.values()):
        assert str(text).startswith("a\ufffd")
        assert str(text).isprintable()


def test_what_looks_like_a_token_is_taken_out() -> None:
    token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJlcnAifQ.c2lnbmF0dXJl"
    made = note("token.revoked", token, f"Bearer {token}", {"why": f"lost {token} today"})
    assert made.actor == "(token)"
    assert made.subject == "Bearer (token)"
    assert made.detail == {"why": "lost (token) today"}


def test_what_does_not_look_like_one_is_left() -> None:
    said = "erp, eyJ, a.b.c, 0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
    assert note("client.added", "operator", said).subject == said


# Groups


def a_group_of(*members: str) -> bytes:
    return msgspec.json.encode({"content": {"members": members}})


def test_members_that_came_and_went_are_named() -> None:
    was, now = a_group_of("megalis", "recia"), a_group_of("recia", "maximilien")
    assert list(group_changes(was, now)) == [
        {"act": "revised", "added": "maximilien", "removed": "megalis", "members": 2}
    ]
    assert list(group_changes(None, now)) == [
        {"act": "published", "added": "maximilien recia", "removed": "", "members": 2}
    ]
    assert list(group_changes(was, None)) == [
        {"act": "retracted", "added": "", "removed": "megalis recia", "members": 0}
    ]


def test_a_group_that_keeps_its_members_is_noted_all_the_same() -> None:
    same = a_group_of("recia")
    assert list(group_changes(same, same)) == [{"act": "revised", "added": "", "removed": "", "members": 1}]


def test_no_member_of_a_large_group_is_cut_off() -> None:
    longest = [f"{n:04}-{'x' * 58}" for n in range(1_000)]
    parts = list(group_changes(None, a_group_of(*longest)))
    assert len(parts) == -(-1_000 // MEMBERS_NOTED)
    kept = [note("group.changed", "operator", "arnia/all", part).detail["added"] for part in parts]
    assert " ".join(map(str, kept)).split(" ") == longest


# Refused access


def test_refusals_of_one_sort_are_one_entry_a_minute() -> None:
    refusals = Refusals()
    for _ in range(1_000):
        refusals.count("publish", "missing-scope", "client-erp")
    sort = RefusedAccess("publish", "missing-scope", "client-erp")
    assert refusals.take(0.0) == {sort: 1_000}
    refusals.count(*sort)
    assert refusals.take(5.0) == {}
    refusals.count(*sort)
    assert refusals.take(NOTE_SECONDS) == {sort: 2}


def test_an_attacker_cannot_make_more_sorts_than_are_counted_apart() -> None:
    refusals = Refusals()
    noted = 0
    for n in range(100_000):
        refusals.count("publish", "missing-scope", f"client-{n}")
        if n % 1_000 == 0:
            noted += len(refusals.take(n / 100_000 * NOTE_SECONDS))
    assert len(refusals._counts) == MAX_KINDS + 1
    assert noted + len(refusals.take(0.0, last=True)) <= 2 * (MAX_KINDS + 1)
    all_in_all = Refusals()
    for n in range(1_000):
        all_in_all.count("publish", "missing-scope", f"client-{n}")
    taken = all_in_all.take(0.0)
    assert taken[RefusedAccess(OTHERS, OTHERS, OTHERS)] == 1_000 - MAX_KINDS
    assert sum(taken.values()) == 1_000


def test_a_sort_that_is_over_makes_room_for_another_one() -> None:
    refusals = Refusals()
    for n in range(MAX_KINDS):
        refusals.count("publish", "missing-scope", f"client-{n}")
    refusals.take(0.0)
    refusals.take(NOTE_SECONDS)
    refusals.count("list", "unauthenticated", "anonymous")
    assert refusals.take(NOTE_SECONDS) == {RefusedAccess("list", "unauthenticated", "anonymous"): 1}


def test_what_could_not_be_noted_is_noted_later_and_the_last_time_everything_is() -> None:
    refusals = Refusals()
    refusals.count("publish", "missing-scope", "client-erp")
    taken = refusals.take(0.0)
    refusals.count("publish", "missing-scope", "client-erp")
    refusals.put_back(taken)
    assert refusals.take(1.0) == {}
    assert list(refusals.take(2.0, last=True).values()) == [2]
    assert refusals.take(3.0, last=True) == {}
