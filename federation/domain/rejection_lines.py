"""Log lines about rejected entries: the first of each feed and reason within an hour, then their number."""

from __future__ import annotations

from datetime import datetime, timedelta

from federation.domain.feed import FeedName

MAX_LINES_AN_HOUR = 50
"""Lines about the rejected entries of one peer within an hour; of more, only the number is logged later."""
LINES_PERIOD = timedelta(hours=1)
OTHER = "other"
"""Stands for every reason of a peer that has no line left."""

Counts = dict[tuple[FeedName, str], int]


class RejectionLines:
    """The lines that were written within the hour, and the numbers that are still to be logged.

    The hour of a peer begins with its first line.
    """

    def __init__(self) -> None:
        self._hours: dict[str, tuple[datetime, Counts]] = {}

    def allows(self, feed: FeedName, reason: str, now: datetime, number: int = 1) -> bool:
        """True if a line is to be written of so many entries; else they are counted."""
        _, counts = self._hours.setdefault(feed.origin, (now, {}))
        key = (feed, reason)
        if key not in counts and len(counts) < MAX_LINES_AN_HOUR:
            counts[key] = 0
            return True
        if key not in counts:
            key = (FeedName(feed.origin, OTHER), OTHER)
        counts[key] = counts.get(key, 0) + number
        return False

    def take_counts(self, now: datetime) -> list[tuple[str, str, int]]:
        """The numbers of entries without a line, (peer, reason, number), of each hour that is over."""
        over = [
            origin
            for origin, (began, _) in self._hours.items()
            if not timedelta() <= now - began < LINES_PERIOD
        ]
        totals: dict[tuple[str, str], int] = {}
        for origin in over:
            for (_, reason), count in self._hours.pop(origin)[1].items():
                totals[origin, reason] = totals.get((origin, reason), 0) + count
        return [(origin, reason, count) for (origin, reason), count in totals.items() if count]
