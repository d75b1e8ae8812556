"""The deadline of a consultation, and the quantity of a need that counts by it.

A need counts that was given by ``needs_until``, and before the procedure was launched (French public
procurement code, L2113-6 to L2113-8). A launch is known as a day only, or by the status alone. So the
deadline is a stretch of time: what was given before it counts, what was given after it is late, and of a
quantity that was given within it nobody here can say.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from federation.domain.content.consultation import AFTER_AWARD, Consultation
from federation.domain.content.participation import Need
from federation.domain.values import instant

LAUNCHED = ("launched", *AFTER_AWARD)
"""Statuses of a procedure that was launched."""
EARLIEST_ZONE, LATEST_ZONE = timedelta(hours=14), timedelta(hours=12)
"""A day begins on some island 14 hours before it does in UTC, and ends on another 12 hours after."""
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class NeedsDeadline(NamedTuple):
    """The last moment of what counts for certain, and the moment after which a need is late."""

    certain: datetime | None
    """None: no deadline is known as yet, and everything counts. A need of this very moment counts."""
    late: datetime | None

    def is_over(self, now: datetime) -> bool:
        """True once a need that is given now is late."""
        return self.late is not None and now > self.late


def deadline_of(consultation: Consultation, changed_at: datetime) -> NeedsDeadline:
    """The deadline of a consultation. ``changed_at``: when its record was last revised."""
    until = instant(consultation.needs_until) if consultation.needs_until else None
    if consultation.status not in LAUNCHED:
        return NeedsDeadline(until, until)
    certain, late = _launch(consultation.launch_on, until, changed_at)
    return NeedsDeadline(min(certain, until or certain), min(late, until or late))


def _launch(launch_on: str | None, until: datetime | None, changed_at: datetime) -> tuple[datetime, datetime]:
    """The stretch of time in which a procedure was launched, no later than its record says so."""
    if launch_on is not None:
        begins = datetime.combine(date.fromisoformat(launch_on), datetime.min.time(), UTC) - EARLIEST_ZONE
        ends = begins + EARLIEST_ZONE + timedelta(days=1) + LATEST_ZONE
        if begins <= changed_at:
            return begins, min(ends, changed_at)
    if until is not None and until <= changed_at:
        return until, until
    return BEGINNING, changed_at


class CountedQuantity(NamedTuple):
    """The quantity of one need, as the deadline makes it count."""

    counts: int | None
    """Given in time; None where none was."""
    uncertain: int | None
    """Given at a time that may be before the deadline or after it."""
    late: int | None
    """The present quantity, where it was given after the deadline. 0: what counts was withdrawn later."""


def counted(need: Need, deadline: NeedsDeadline, now: datetime) -> CountedQuantity:
    """The quantity of a need that was in force at the deadline; before it the present one."""
    if deadline.certain is None or deadline.late is None or now <= deadline.certain:
        return CountedQuantity(need.quantity, None, None)
    counts, until_late = need.quantity_at(deadline.certain), need.quantity_at(deadline.late)
    if need.given_at is None:
        # Another program's record: the present quantity has no time.
        return CountedQuantity(counts, need.quantity if need.quantity != counts else None, None)
    uncertain = until_late if until_late != counts else None
    is_late = instant(need.given_at) > deadline.late
    return CountedQuantity(counts, uncertain, need.quantity if is_late else None)
