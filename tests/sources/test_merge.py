"""The three-way merge: what a source gives now, what it gave last time, and what a person wrote since."""

from __future__ import annotations

from typing import Any

import pytest

from federation.domain.sources.labels import given_label, next_label
from federation.domain.sources.merge import merge, values_at
from federation.domain.sources.report import MAX_REPORT_LINES, ReportLine, Tally
from federation.domain.sources.source import MAX_BACKOFF_SECONDS, next_run, next_try
from tests.domain.builders import NOW

CASES: list[tuple[str, Any, Any, Any, Any, tuple[str, ...]]] = [
    ("a new record has what the source gives", {}, {}, {"a": 1}, {"a": 1}, ()),
    ("a member moves with the source", {"a": 1}, {"a": 1}, {"a": 2}, {"a": 2}, ()),
    ("a member that the source drops goes", {"a": 1}, {"a": 1, "b": 2}, {}, {"b": 2}, ()),
    ("a person's value stays", {"a": 1}, {"a": 9}, {"a": 1}, {"a": 9}, ("/a",)),
    ("also when the source moves", {"a": 1}, {"a": 9}, {"a": 2}, {"a": 9}, ("/a",)),
    ("and when the source drops it", {"a": 1}, {"a": 9}, {}, {"a": 9}, ("/a",)),
    ("a member that a person removed stays away", {"a": 1}, {}, {"a": 1}, {}, ("/a",)),
    ("a person and the source agree", {"a": 1}, {"a": 2}, {"a": 2}, {"a": 2}, ()),
    ("a record of a person is completed", {}, {"a": 9}, {"a": 1, "b": 2}, {"a": 9, "b": 2}, ("/a",)),
    ("true is not 1", {"a": 1}, {"a": True}, {"a": 2}, {"a": True}, ("/a",)),
    ("lists are whole", {"a": [1]}, {"a": [1, 2]}, {"a": [3]}, {"a": [1, 2]}, ("/a",)),
    (
        "objects are merged by member",
        {"t": {"fr": "x", "en": "y"}},
        {"t": {"fr": "x", "en": "mine"}},
        {"t": {"fr": "z", "en": "y"}},
        {"t": {"fr": "z", "en": "mine"}},
        ("/t/en",),
    ),
    ("a path is a pointer", {"a/b": 1}, {"a/b": 9}, {"a/b": 2}, {"a/b": 9}, ("/a~1b",)),
    ("same_as has what both wrote", {"same_as": ["s"]}, {"same_as": ["s", "p"]}, {"same_as": ["s", "t"]},
     {"same_as": ["s", "p", "t"]}, ()),
    ("and loses what the source takes back", {"same_as": ["s", "t"]}, {"same_as": ["s", "t", "p"]},
     {"same_as": ["s"]}, {"same_as": ["s", "p"]}, ()),
    ("what a person took out stays out", {"same_as": ["s"]}, {}, {"same_as": ["s"]}, {}, ()),
]  # fmt: skip


@pytest.mark.parametrize(("before", "stored", "given", "members", "person"), [case[1:] for case in CASES],
                         ids=[case[0] for case in CASES])  # fmt: skip
def test_a_member_belongs_to_the_last_who_changed_it(
    before: Any, stored: Any, given: Any, members: Any, person: tuple[str, ...]
) -> None:
    assert merge(before, stored, given) == (members, person)


def test_merging_again_changes_nothing() -> None:
    for _, before, stored, given, _, _ in CASES:
        first = merge(before, stored, given)
        base = values_at(first.members, given, frozenset(first.person))
        again = merge(base, first.members, given)
        assert again.members == first.members
        assert values_at(again.members, given, frozenset(again.person)) == base


def test_objects_deeper_than_the_bound_are_compared_whole() -> None:
    def deep(value: int) -> dict[str, Any]:
        nested: Any = {"x": value, "y": 0}
        for _ in range(200):
            nested = {"a": nested}
        return dict(nested)

    merged = merge(deep(1), deep(2), deep(3))
    assert merged.members == deep(2)
    assert merged.person == ("/a" * 13,)


@pytest.mark.parametrize(
    ("item", "source", "reading", "before", "stored", "label"),
    [
        (None, None, None, {}, {}, {}),
        ("CLEAR", None, None, {}, {}, {"tlp": "CLEAR"}),
        ("CLEAR", "GREEN", None, {}, {}, {"tlp": "GREEN"}),
        ("GREEN", "CLEAR", "RED", {}, {}, {"tlp": "RED"}),
        (None, "GREEN", None, {"tlp": "GREEN"}, {"tlp": "GREEN"}, {"tlp": "GREEN"}),
        (None, "RED", None, {"tlp": "GREEN"}, {"tlp": "GREEN"}, {"tlp": "RED"}),
        (None, "CLEAR", None, {"tlp": "GREEN"}, {"tlp": "GREEN"}, {"tlp": "CLEAR"}),
        (None, "CLEAR", None, {"tlp": "CLEAR"}, {"tlp": "RED"}, {"tlp": "RED"}),
        (None, "GREEN", None, {"tlp": "GREEN"}, {"tlp": "CLEAR"}, {"tlp": "GREEN"}),
        (None, None, "GREEN", {}, {"tlp": "CLEAR"}, {"tlp": "GREEN"}),
        (None, "AMBER", None, {}, {}, {"tlp": "AMBER", "audience": "security"}),
        (None, "GREEN", None, {"tlp": "GREEN"}, {"tlp": "AMBER", "audience": "mine"},
         {"tlp": "AMBER", "audience": "mine"}),
    ],
)  # fmt: skip
def test_a_label_is_never_wider_than_the_source_and_a_narrower_one_stays(
    item: Any, source: Any, reading: Any, before: Any, stored: Any, label: Any
) -> None:
    members = {} if item is None else {"tlp": item}
    assert next_label(given_label(members, source, reading, "security"), before, stored) == label


def test_a_failing_source_is_asked_less_and_less_often() -> None:
    waits = [(next_try(NOW, 600, failures) - NOW).total_seconds() for failures in range(1, 12)]
    assert 150 <= waits[0] <= 300
    assert all(wait <= MAX_BACKOFF_SECONDS for wait in waits)
    assert waits[-1] >= MAX_BACKOFF_SECONDS / 2
    assert (next_try(NOW, 600, 1, retry_after=5_000) - NOW).total_seconds() == 5_000
    assert 540 <= (next_run(NOW, 600) - NOW).total_seconds() <= 660


def test_a_report_counts_everything_and_lists_a_bounded_part() -> None:
    tally = Tally()
    for number in range(MAX_REPORT_LINES + 5):
        tally.add(ReportLine("created", f"line {number}"))
        tally.add(ReportLine("unchanged", "x"))
    tally.add(ReportLine("rejected", "last", reasons=("r" * 1_000,)))
    assert (tally.counts.created, tally.counts.unchanged, tally.counts.rejected) == (505, 505, 1)
    assert (len(tally.lines), tally.omitted) == (MAX_REPORT_LINES + 1, 5)
    assert len(tally.lines[-1].reasons[0]) <= 301
