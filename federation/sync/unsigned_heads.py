"""Heads of feeds that have gone beyond their newest checkpoint, and since when.

An origin signs within a fraction of a second of a change, and at intervals while it writes without a pause.
So a checkpoint is late in two cases, each seen in the origin's own answers: the head has not moved for
``IDLE_SECONDS`` and is still not signed, or no newer checkpoint has come for ``WRITING_SECONDS``. Somebody in
between withholds it then, or the origin cannot sign. Time that we spend with reading a feed does not count.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from federation.domain.feed import FeedName, Head

IDLE_SECONDS = 5.0
"""A head that does not move is signed by then."""
WRITING_SECONDS = 60.0
"""While a head moves, a newer checkpoint comes by then: to sign all of a large feed may take seconds."""


class _Unsigned(msgspec.Struct):
    seq: int
    signed: int
    since: float
    """When an answer first showed it beyond this checkpoint."""
    moved_at: float
    """When an answer first showed this head."""
    is_late: bool = False
    is_reported: bool = False

    def confirm(self, at: float) -> None:
        """An answer of this time shows no newer checkpoint."""
        self.is_late |= at - self.moved_at > IDLE_SECONDS or at - self.since > WRITING_SECONDS


class UnsignedHeads:
    """The feeds whose checkpoint has not come yet, in this process. Times are of the monotonic clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._feeds: dict[FeedName, _Unsigned] = {}
        self._waiting: dict[str, float] = {}

    def observe(self, head: Head, signed: int, at: float) -> None:
        """Note a head that came at this time, and the number up to which its verified checkpoint reaches."""
        if signed >= head.seq:
            self._feeds.pop(head.name, None)
            return
        before = self._feeds.get(head.name)
        if before is None or signed != before.signed:
            self._feeds[head.name] = _Unsigned(head.seq, signed, at, at)
            return
        if head.seq != before.seq:
            before.seq, before.moved_at = head.seq, at
        before.confirm(at)

    def confirm(self, operator: str, at: float) -> None:
        """The origin answered at this time that no head of its feeds has changed."""
        for name, feed in self._feeds.items():
            if name.origin == operator:
                feed.confirm(at)

    def begin_wait(self, operator: str) -> None:
        """The origin is asked for a change of what it showed last."""
        self._waiting[operator] = self._clock()

    def end_wait(self, operator: str) -> None:
        self._waiting.pop(operator, None)

    def forget(self, *names: FeedName) -> None:
        """The feeds are not shown any more."""
        for name in names:
            self._feeds.pop(name, None)

    def forget_origin(self, operator: str) -> None:
        """The origin is not reached: a checkpoint that does not come says nothing."""
        self.end_wait(operator)
        self.forget(*[name for name in self._feeds if name.origin == operator])

    def late(self) -> list[tuple[FeedName, float]]:
        """Feeds whose checkpoint is late, each once, and for how many seconds it has not come."""
        current = self._clock()
        late = []
        for name, feed in self._feeds.items():
            asked_at = self._waiting.get(name.origin)
            if asked_at is not None and current - asked_at > IDLE_SECONDS:
                feed.is_late = True  # the origin has kept us waiting, and so has nothing newer
            if feed.is_late and not feed.is_reported:
                feed.is_reported = True
                late.append((name, current - feed.since))
        return late
