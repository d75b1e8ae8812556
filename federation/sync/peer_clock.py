"""The clock of a peer, as the ``Date`` header of its answers shows it (RFC 9110, 6.6.1)."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from federation.domain.peer import MAX_CLOCK_DIFFERENCE_SECONDS


class PeerClock:
    """Compares a peer's clock with ours."""

    def __init__(self) -> None:
        self.difference: int | None = None
        """Seconds that theirs is ahead of ours, below zero where it is behind; None before an answer."""
        self._theirs, self._ours = "", ""

    def observe(self, date: str | None) -> None:
        """Note the ``Date`` of an answer that has just come; what is no date is passed over."""
        ours = time.time()
        try:
            theirs = parsedate_to_datetime(date or "").replace(tzinfo=UTC)
            self.difference = round(theirs.timestamp() - ours)
        except (ValueError, TypeError, OverflowError, OSError):
            return
        self._theirs, self._ours = (f"{theirs:%FT%TZ}", f"{datetime.fromtimestamp(ours, UTC):%FT%TZ}")

    @property
    def is_off(self) -> bool:
        """True where the clocks differ by more than ``MAX_CLOCK_DIFFERENCE_SECONDS``."""
        return self.difference is not None and abs(self.difference) > MAX_CLOCK_DIFFERENCE_SECONDS

    def explain(self, refusal: str) -> str:
        """The reason of a refusal: the clocks first, where they differ."""
        if not self.is_off or self.difference is None:
            return refusal
        return (
            f"the clocks differ by {abs(self.difference)} s: ours says {self._ours}, theirs {self._theirs};"
            f" {refusal}"
        )
