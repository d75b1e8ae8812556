"""By when an authority is to be told, and the calendar of it."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from federation.domain.deadline import ReportingDeadline, a_month_after, calendar_of, next_due, steps_of
from federation.domain.draft import read_draft
from federation.domain.errors import Invalid

AWARE = "2026-01-30T08:30:00Z"
NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def a_deadline(**members: object) -> ReportingDeadline:
    return msgspec.convert(
        {"title": "Fuite; données, (démo)", "regimes": ["nis2", "gdpr"], "aware_at": AWARE, **members},
        ReportingDeadline,
    )


def due(deadline: ReportingDeadline) -> dict[str, str]:
    return {one.step: one.due_at[:16] for one in steps_of(deadline, NOW)}


def test_steps_are_due_24_and_72_hours_and_a_month_later() -> None:
    assert due(a_deadline()) == {
        "nis2-early-warning": "2026-01-31T08:30",
        "nis2-notification": "2026-02-02T08:30",
        "gdpr-notification": "2026-02-02T08:30",
        "nis2-final-report": "2026-03-02T08:30",
    }
    assert set(due(a_deadline(regimes=["gdpr"]))) == {"gdpr-notification"}


def test_the_final_report_is_due_a_month_after_the_notification_was_sent() -> None:
    done = [{"step": "nis2-notification", "at": "2026-01-31T10:00:00Z"}]
    assert due(a_deadline(done=done))["nis2-final-report"] == "2026-02-28T10:00"


def test_what_is_due_next_is_what_is_not_done_and_overdue_is_told() -> None:
    first = steps_of(a_deadline(), NOW)
    upcoming = next_due(first)
    assert upcoming
    assert (upcoming.step, upcoming.overdue) == ("nis2-early-warning", True)
    done = [{"step": one.step, "at": AWARE} for one in first]
    assert next_due(steps_of(a_deadline(done=done), NOW)) is None
    assert not any(one.overdue for one in steps_of(a_deadline(done=done), NOW.replace(year=2030))), (
        "it is done"
    )
    to_the_second = steps_of(a_deadline(), NOW.replace(hour=8, minute=30))
    assert not to_the_second[0].overdue
    later = next_due(steps_of(a_deadline(done=done[:1]), NOW))
    assert later
    assert not later.overdue


@pytest.mark.parametrize(
    ("one", "other"),
    [((2026, 1, 31), (2026, 2, 28)), ((2028, 1, 31), (2028, 2, 29)), ((2026, 12, 15), (2027, 1, 15))],
)
def test_a_month_is_one_of_the_calendar(one: tuple[int, int, int], other: tuple[int, int, int]) -> None:
    assert a_month_after(datetime(*one, tzinfo=UTC)) == datetime(*other, tzinfo=UTC)


def test_the_calendar_has_what_is_still_to_be_done_in_lines_that_everybody_reads() -> None:
    done = [{"step": "nis2-early-warning", "at": AWARE}]
    text = calendar_of(
        (("k1", a_deadline(done=done, title="é" * 90)),), NOW, host="node.example.org"
    ).decode()
    assert text.startswith("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n")
    assert text.endswith("END:VCALENDAR\r\n")
    assert text.count("BEGIN:VEVENT") == 3
    assert "UID:k1-gdpr-notification@node.example.org" in text
    assert "DTSTART:20260202T083000Z" in text
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    unfolded = text.replace("\r\n ", "")
    assert f"SUMMARY:gdpr-notification: {'é' * 90}" in unfolded
    escaped = calendar_of((("k1", a_deadline()),), NOW, host="x").decode().replace("\r\n ", "")
    assert "Fuite\\; données\\, (démo)" in escaped


def test_lines_are_folded_where_they_are_full_and_no_character_is_cut() -> None:
    for length in range(60, 90):
        for letter in "aé€":
            text = calendar_of(
                (("k", a_deadline(title=letter * length, regimes=["gdpr"])),), NOW, host="x"
            ).decode()
            lines = text.split("\r\n")
            assert all(len(line.encode()) <= 75 for line in lines)
            unfolded = text.replace("\r\n ", "")
            assert f"SUMMARY:gdpr-notification: {letter * length}\r\n" in unfolded
            # Full lines: as many as it takes, and no more.
            octets = len(f"SUMMARY:gdpr-notification: {letter * length}".encode())
            folded = [line for line in lines if letter * 9 in line]
            if letter == "a":
                assert len(folded) == 1 + max(0, -(-(octets - 75) // 74))


@pytest.mark.parametrize(
    "wrong",
    [
        b'{"title":"x","regimes":[],"aware_at":"2026-01-30T08:30:00Z"}',
        b'{"title":"x","regimes":["dora"],"aware_at":"2026-01-30T08:30:00Z"}',
        b'{"title":"x","regimes":["gdpr"],"aware_at":"yesterday"}',
        b'{"title":"x","regimes":["gdpr"],"aware_at":"2026-02-30T08:30:00Z"}',
        b'{"title":"x","regimes":["gdpr"],"aware_at":"2026-01-30T08:30:00Z","done":[{"step":"gdpr-notification","at":"2026-02-30T08:30:00Z"}]}',
        b'{"title":"x","regimes":["gdpr"],"aware_at":"2026-01-30T08:30:00Z","done":[{"step":"gdpr-notification","at":"2026-01-30T08:30:00Z"},{"step":"gdpr-notification","at":"2026-01-31T08:30:00Z"}]}',
        b'{"title":"x","regimes":["gdpr"],"aware_at":"2026-01-30T08:30:00Z","done":[{"step":"nis2-notification","at":"2026-01-30T08:30:00Z"}]}',
    ],
)  # fmt: skip
def test_what_is_no_deadline_is_refused(wrong: bytes) -> None:
    with pytest.raises(Invalid):
        read_draft(wrong, ReportingDeadline)
