"""The times at which needs were given are those of the node, and no quantity is lost by a later one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from federation.domain.content.participation import MAX_NEEDS, Need, Participation
from federation.domain.errors import Invalid
from tests.domain.builders import a_participation, refused_draft

MARCH = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def need(quantity: int, unit: str = "portable", **members: Any) -> dict[str, Any]:
    return {"unit": unit, "quantity": quantity, **members}


def write(before: dict[str, Any] | None, now: datetime, *needs: dict[str, Any], **members: Any) -> Any:
    """The content as a node stores it."""
    sent = msgspec.convert(a_participation(needs=list(needs), **members), Participation)
    return msgspec.to_builtins(sent.completed(before, now))


def needs_of(content: dict[str, Any]) -> tuple[Need, ...]:
    return msgspec.convert(content, Participation).needs


def test_a_quantity_has_the_time_at_which_it_came_to_the_node() -> None:
    (given,) = needs_of(write(None, MARCH, need(40, given_at="2020-01-01T00:00:00Z")))
    assert given.given_at == "2026-03-01T00:00:00.000000Z"


def test_only_another_quantity_moves_the_time() -> None:
    first = write(None, MARCH, need(40))
    later = write(
        first, MARCH + DAY, need(40, estimated_cents=5, given_at="2020-01-01T00:00:00Z"), state="signed"
    )
    (given,) = needs_of(later)
    assert (given.given_at, given.estimated_cents, given.earlier) == ("2026-03-01T00:00:00.000000Z", 5, ())
    (given,) = needs_of(write(later, MARCH + DAY, need(60)))
    assert given.given_at == "2026-03-02T00:00:00.000000Z"


def test_the_quantity_at_the_deadline_still_counts_after_a_later_change() -> None:
    content = write(None, MARCH, need(40))
    content = write(content, MARCH + DAY, need(60))
    forged = [{"quantity": 1, "given_at": "2020-01-01T00:00:00Z"}]
    content = write(content, MARCH + 2 * DAY, need(5, earlier=forged, given_at="2020-01-02T00:00:00Z"))
    (given,) = needs_of(content)
    assert [quantity.quantity for quantity in given.earlier] == [40, 60]
    at = [given.quantity_at(MARCH + timedelta(hours=hours)) for hours in (-1, 0, 1, 24, 47, 48, 1_000)]
    assert at == [None, 40, 40, 60, 60, 5, 5]


def test_a_need_that_is_left_out_stays_with_quantity_zero() -> None:
    content = write(None, MARCH, need(40), need(7, "fixe"))
    content = write(content, MARCH + DAY, need(7, "fixe"))
    fixed, dropped = needs_of(content)
    assert (fixed.unit, fixed.quantity, fixed.given_at) == ("fixe", 7, "2026-03-01T00:00:00.000000Z")
    assert (dropped.unit, dropped.quantity, dropped.quantity_at(MARCH)) == ("portable", 0, 40)
    # Once more is nothing new.
    assert write(content, MARCH + 2 * DAY, need(7, "fixe")) == content


def test_a_clock_that_is_set_back_moves_no_quantity_before_an_older_one() -> None:
    content = write(None, MARCH, need(40))
    (given,) = needs_of(write(content, MARCH - DAY, need(60)))
    assert (given.given_at, given.quantity_at(MARCH)) == ("2026-03-01T00:00:00.000000Z", 60)


def test_a_need_without_a_time_was_given_at_no_moment() -> None:
    assert msgspec.convert(need(40), Need).quantity_at(MARCH) is None


def test_needs_are_bounded_with_those_that_were_left_out() -> None:
    content = write(None, MARCH, *(need(1, f"a{number}") for number in range(MAX_NEEDS)))
    assert len(needs_of(write(content, MARCH, need(1, "a0")))) == MAX_NEEDS
    with pytest.raises(Invalid, match="at most 100 needs"):
        write(content, MARCH, need(1, "another"))


def test_bodies_are_a_coverage_as_that_of_a_deployment() -> None:
    covered = a_participation(bodies={"kind": "count", "count": 12})
    assert msgspec.to_builtins(msgspec.convert(covered, Participation))["bodies"] == covered["bodies"]
    assert refused_draft(a_participation(coverage={"kind": "count", "count": 12}), Participation).pointer == (
        "/content/coverage"
    )
