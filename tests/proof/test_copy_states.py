"""The states of a copy are what ``domain.copy`` declares, whatever event happens to its row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import get_args

import pytest

from federation.domain.checkpoint import BUCKETS, EMPTY, DigestState
from federation.domain.copy import (
    GUARDS,
    QUOTAS,
    RECEIPTS,
    STATES,
    CopyEvent,
    CopyFacts,
    CopyState,
    CopyStateName,
    QuotaState,
    ReceiptState,
    RemovalGuard,
    next_state,
)
from federation.domain.feed import FeedName
from federation.node.node import Node
from federation.store.database import Writing

NAME = FeedName("megalis", "public")
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
EMPTY_FEED = DigestState(seq=0, retained_from=0, count=0, buckets=EMPTY * BUCKETS)


def test_a_state_is_derived_from_the_comparison_and_the_time() -> None:
    verified = CopyFacts(compared="verified", expires_at=NOW)
    assert CopyFacts().state(NOW) is CopyState.UNVERIFIED
    assert verified.state(NOW - timedelta(seconds=1)) is CopyState.VERIFIED
    assert verified.state(NOW) is CopyState.STALE
    assert CopyFacts(compared="verified").state(NOW) is CopyState.STALE
    assert CopyFacts(compared="diverged", expires_at=NOW).state(NOW - HOUR) is CopyState.DIVERGED


def test_a_confirmation_outlasts_a_pause_that_comes_late() -> None:
    assert CopyFacts().guard is RemovalGuard.OPEN
    assert CopyFacts(paused_reason="101 of 300").guard is RemovalGuard.PAUSED
    assert CopyFacts(paused_reason="101 of 300", confirmed=True).guard is RemovalGuard.CONFIRMED


def test_a_copy_is_paused_for_its_removals_or_for_the_quota_of_its_peer() -> None:
    assert not CopyFacts().is_paused
    assert not CopyFacts(paused_reason="101 of 300", confirmed=True).is_paused
    assert CopyFacts(paused_reason="101 of 300").is_paused
    assert CopyFacts(beyond_quota="records").is_paused
    assert CopyFacts(beyond_quota="records", confirmed=True).is_paused, "removals are another question"


def test_a_receipt_is_pending_only_for_what_was_withdrawn() -> None:
    assert CopyFacts(receipt_sent=False).receipt is ReceiptState.NONE
    assert CopyFacts(withdrawn_epoch="a", receipt_sent=False).receipt is ReceiptState.PENDING
    assert CopyFacts(withdrawn_epoch="a").receipt is ReceiptState.SENT


def test_the_names_of_the_states_are_the_published_ones() -> None:
    assert {state.value for state in CopyState} == set(get_args(CopyStateName))


# On a row of the database


Happen = Callable[[Writing, int], Awaitable[object]]


async def found_equal(tx: Writing, feed: int) -> None:
    await tx.copies.note_verification(feed, EMPTY_FEED, "a.b.c", NOW - HOUR, NOW + HOUR)


async def expire(tx: Writing, feed: int) -> None:
    await tx.feeds._session.connection.execute(
        "UPDATE copies SET expires_at = $2 WHERE feed = $1", feed, NOW - HOUR
    )


async def drop(tx: Writing, feed: int) -> None:
    (place,) = [place for place in await tx.feeds.all() if place.id == feed]
    await tx.copies.purge(place)


async def confirm(tx: Writing, feed: int) -> None:
    await tx.copies.confirm(feed)


EVENTS: dict[CopyEvent, Happen] = {
    CopyEvent.FOUND_EQUAL: found_equal,
    CopyEvent.CHECKPOINT_EXPIRED: expire,
    CopyEvent.CHECKPOINT_LATE: lambda tx, feed: tx.copies.mark_unsigned(feed, NOW),
    CopyEvent.FOUND_DIFFERENT: lambda tx, feed: tx.copies.note_divergence(
        feed, "it differs", tried="a b", tried_at=NOW
    ),
    CopyEvent.TOO_MANY_REMOVALS: lambda tx, feed: tx.copies.pause(feed, "101 of 300 records"),
    CopyEvent.REMOVALS_CONFIRMED: confirm,
    CopyEvent.CAUGHT_UP: lambda tx, feed: tx.copies.clear_confirmation(feed),
    CopyEvent.RECORDS_WITHDRAWN: lambda tx, feed: tx.copies.note_withdrawal(feed, "e", 7),
    CopyEvent.RECEIPT_SENT: lambda tx, feed: tx.copies.mark_receipt_sent(feed, "e", 7, purged=False),
    CopyEvent.TOO_MUCH: lambda tx, feed: tx.quotas.pause(
        NAME.origin, "records", "11 records; 10 are allowed"
    ),
    CopyEvent.QUOTA_RAISED: lambda tx, feed: tx.quotas.resume(NAME.origin),
    CopyEvent.DROPPED: drop,
}

WAYS: dict[StrEnum, tuple[CopyEvent, ...]] = {
    CopyState.UNVERIFIED: (),
    CopyState.VERIFIED: (CopyEvent.FOUND_EQUAL,),
    CopyState.STALE: (CopyEvent.FOUND_EQUAL, CopyEvent.CHECKPOINT_EXPIRED),
    CopyState.DIVERGED: (CopyEvent.FOUND_DIFFERENT,),
    RemovalGuard.OPEN: (),
    RemovalGuard.PAUSED: (CopyEvent.TOO_MANY_REMOVALS,),
    RemovalGuard.CONFIRMED: (CopyEvent.TOO_MANY_REMOVALS, CopyEvent.REMOVALS_CONFIRMED),
    ReceiptState.NONE: (),
    ReceiptState.PENDING: (CopyEvent.RECORDS_WITHDRAWN,),
    ReceiptState.SENT: (CopyEvent.RECORDS_WITHDRAWN, CopyEvent.RECEIPT_SENT),
    QuotaState.WITHIN: (),
    QuotaState.BEYOND: (CopyEvent.TOO_MUCH,),
}
"""How a new copy comes into each state."""


def test_every_event_and_every_state_is_tried() -> None:
    assert EVENTS.keys() == set(CopyEvent)
    assert WAYS.keys() == {*CopyState, *RemovalGuard, *ReceiptState, *QuotaState}


def states_of(facts: CopyFacts) -> tuple[CopyState, RemovalGuard, ReceiptState, QuotaState]:
    return facts.state(NOW), facts.guard, facts.receipt, facts.quota


@pytest.mark.parametrize("before", WAYS, ids=lambda state: f"{type(state).__name__} {state}")
async def test_each_event_does_to_a_row_what_the_tables_declare(arnia: Node, before: StrEnum) -> None:
    for event in CopyEvent:
        async with arnia.store.write() as tx:
            feed = (await tx.feeds.open(NAME, None)).id
            await tx.feeds._session.connection.execute("DELETE FROM copies")
            await tx.feeds._session.connection.execute("INSERT INTO copies (feed) VALUES ($1)", feed)
            await tx.checkpoints.lock(feed)
            for earlier in WAYS[before]:
                await EVENTS[earlier](tx, feed)
            was = states_of(await tx.copies.find(feed))
            assert before in was
            await EVENTS[event](tx, feed)
            now = states_of(await tx.copies.find(feed))
        expected = tuple(
            next_state(table, state, event)
            for table, state in zip((STATES, GUARDS, RECEIPTS, QUOTAS), was, strict=True)
        )
        assert now == expected, f"{event} of {was}"
