"""Alerts: who can be written to, what a letter says, how long one waits."""

from __future__ import annotations

import base64
import random
from datetime import UTC, datetime
from typing import Any

import pytest

from federation.domain.alert import (
    EVENT_MEANINGS,
    EVENTS,
    MAX_LINE_LENGTH,
    MAX_WAIT_SECONDS,
    MIN_WAIT_SECONDS,
    Alert,
    Letter,
    NewSubscription,
    compose_letter,
    is_mailbox,
    mint_webhook_secret,
    next_wait,
)
from federation.domain.draft import read_draft
from federation.domain.errors import Invalid

HOST = f"{'h' * 61}.{'h' * 61}.{'h' * 60}"


@pytest.mark.parametrize(
    "text",
    [
        "soc@example.org", "o'neil+soc.1@example.org", "a@b", f"{'x' * 64}@example.org",
        f"{'x' * 64}@{HOST}.xxxx",
        "!#$%&'*+/=?^_`{|}~-@example.org",
    ],
)  # fmt: skip
def test_a_mailbox_is_one_address(text: str) -> None:
    assert len(text) <= 254
    assert is_mailbox(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "@", "soc", "soc@", "@example.org", "a@b@c", "a,b@example.org", "a b@example.org",
        '"a"@example.org',
        "a@[127.0.0.1]", "a@b_c", "a@b.", "a@.b", "a@-b", "a@b-", ".a@b", "a.@b", "a..b@c", "é@b", "a@é",
        "a@b\n", "a\r@b", "a\x00@b", f"{'x' * 65}@example.org", f"{'x' * 64}@{HOST}.xxxxx",
        f"a@{'h' * 64}.org",
    ],
)  # fmt: skip
def test_what_could_be_read_in_two_ways_is_no_mailbox(text: str) -> None:
    assert not is_mailbox(text)


def a_letter(subject: str = "arnia/1", **data: Any) -> Letter:
    alert = Alert(
        id="1", event="incident.changed", subject=subject, at=datetime(2026, 3, 1, tzinfo=UTC), data=data
    )
    return compose_letter(alert, to="soc@example.org", subscription="s-1", node="arnia")


def test_a_letter_tells_each_value_in_a_line() -> None:
    found = a_letter(
        id="arnia/1", title={"fr": "Un\ndeux", "en": "One"}, deployments=["a/1", "a/2"], none=[],
        left_out=None, affected=3,
    )  # fmt: skip
    assert found.subject == "[federation] incident.changed: arnia/1"
    assert found.text.splitlines() == [
        "An incident has been revised, withdrawn or retracted.",
        "",
        "id: arnia/1",
        "title (fr): Un deux",
        "title (en): One",
        "deployments: a/1, a/2",
        "none: none",
        "affected: 3",
        "",
        "-- ",
        "The federation node arnia tells this to soc@example.org (subscription s-1).",
        "To end it: federation subscription remove s-1",
    ]


def test_a_value_that_is_long_is_cut_where_it_shows() -> None:
    for length in (MAX_LINE_LENGTH - 1, MAX_LINE_LENGTH, MAX_LINE_LENGTH + 1, 5_000):
        line = a_letter(x="y" * length).text.splitlines()[2]
        assert (
            line == f"x: {'y' * length if length <= MAX_LINE_LENGTH else 'y' * (MAX_LINE_LENGTH - 1) + '…'}"
        )
    assert a_letter(subject="y" * 150).subject.endswith("y" * 150)
    assert a_letter(subject="y" * 151).subject.endswith(": " + "y" * 149 + "…")


def test_every_event_has_its_meaning() -> None:
    assert set(EVENT_MEANINGS) == set(EVENTS)


def test_a_subscription_has_one_way_to_be_told() -> None:
    for told in ("", ',"webhook":"https://example.org/","email":"a@example.org"'):
        with pytest.raises(Invalid, match="a webhook or an email"):
            read_draft(f'{{"events":["peer.stale"]{told}}}'.encode(), NewSubscription)
    for events in ("[]", '["x"]'):
        with pytest.raises(Invalid):
            read_draft(f'{{"events":{events},"email":"a@example.org"}}'.encode(), NewSubscription)
    found = read_draft(b'{"events":["peer.stale"],"email":"a@example.org"}', NewSubscription)
    assert (found.unanswered_hours, found.private) == (24, False)


def test_waits_double_up_to_two_hours() -> None:
    chance = random.Random(1)
    for attempt in range(1, 40):
        ceiling = min(MIN_WAIT_SECONDS * 2 ** (attempt - 1), MAX_WAIT_SECONDS)
        waits = [next_wait(attempt, chance=chance).total_seconds() for _ in range(200)]
        assert ceiling / 2 <= min(waits) < ceiling * 0.55
        assert ceiling * 0.95 < max(waits) <= ceiling
    assert next_wait(5, chance=random.Random(7)) == next_wait(5, chance=random.Random(7))


def test_a_receiver_is_left_alone_for_as_long_as_it_asks_within_bounds() -> None:
    assert next_wait(1, retry_after=600.0).total_seconds() == 600
    assert next_wait(1, retry_after=1e9).total_seconds() == MAX_WAIT_SECONDS
    assert next_wait(1, retry_after=1.0).total_seconds() >= MIN_WAIT_SECONDS / 2, "never sooner than without"


def test_a_secret_has_256_bits_and_is_nobody_elses() -> None:
    secrets = {mint_webhook_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert {len(base64.b64decode(one.removeprefix("whsec_"))) for one in secrets} == {32}
