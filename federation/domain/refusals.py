"""Refused access, counted in memory until it is noted in the audit trail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

MAX_KINDS = 200
"""Sorts of refused access that are counted apart; all further ones are counted together."""

NOTE_SECONDS = 60.0
"""Seconds between two entries of the same sort: an attacker makes 201 entries a minute, at most."""

OTHERS = "others"


class RefusedAccess(NamedTuple):
    """A sort of refused access: what was asked for, why it was refused, and to whom."""

    act: str
    reason: str
    who: str


class _Count:
    __slots__ = ("noted", "since")

    def __init__(self) -> None:
        self.since = 0
        self.noted = float("-inf")


class Refusals:
    """Counts refused access in memory. A process that is killed forgets the last minute, at most."""

    def __init__(self) -> None:
        self._counts: dict[RefusedAccess, _Count] = {}

    def count(self, act: str, reason: str, caller: str) -> None:
        """One more. ``who`` is what was proved, never what was only claimed: that could be anything."""
        sort = RefusedAccess(act, reason, caller)
        if sort not in self._counts and len(self._counts) >= MAX_KINDS:
            sort = RefusedAccess(OTHERS, OTHERS, OTHERS)
        self._counts.setdefault(sort, _Count()).since += 1

    def take(self, current: float, *, last: bool = False) -> dict[RefusedAccess, int]:
        """Return the counts due at this time (monotonic clock, seconds); with ``last``, all of them."""
        due = {}
        for sort, count in list(self._counts.items()):
            if not last and current - count.noted < NOTE_SECONDS:
                continue
            if count.since:
                due[sort] = count.since
                count.since, count.noted = 0, current
            else:
                del self._counts[sort]
        return due

    def put_back(self, counts: Mapping[RefusedAccess, int]) -> None:
        """Add counts that could not be noted again."""
        for sort, number in counts.items():
            self._counts.setdefault(sort, _Count()).since += number
