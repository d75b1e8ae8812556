"""Follow one peer: wait for a change of its heads, follow the feeds that have moved, and ask again.

From time to time it asks without waiting, in case a wake-up was lost. What goes wrong is one of three things:

1. Something is short here, or another process was faster: no failure of the peer. It is asked again soon.
2. The peer refuses us (401, 403, no token), or answers what cannot be used: asked again with a back-off.
3. The peer is down (no answer, or 5xx): the same, and other members are asked for their copies of its feeds.
   Not after a refusal, before it has answered again: an outage takes back no decision.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from contextlib import suppress
from datetime import timedelta

from federation.domain.copy import CopyFacts, FollowedFeed
from federation.domain.errors import (
    AccessRefused,
    CursorRefused,
    PeerDown,
    Refused,
    StaleCursor,
    Unavailable,
    Unreachable,
)
from federation.domain.feed import FeedName, Head, printable
from federation.domain.peer import Peer, back_off
from federation.domain.visibility import PRIVATE
from federation.node import copies, key_rotation, peer_contacts
from federation.node.node import Node
from federation.sync.apply import PullResult
from federation.sync.contact_notes import ContactNotes
from federation.sync.follow import follow, follow_relay
from federation.sync.openings import Openings
from federation.sync.peer_client import PeerSource, peer_source
from federation.sync.reports import send_reports
from federation.sync.unsigned_heads import UnsignedHeads
from federation.telemetry import Metrics

log = logging.getLogger("federation.sync")

SWEEP_SECONDS = 300.0
"""After which heads are asked for without waiting, give or take a third."""
MAX_PULL_SECONDS = 3_600.0
"""After which a pull is given up; what it has stored stays, and the next one goes on from there."""
EMPTY_ANSWER_SECONDS = 0.5
"""Before a peer that answered at once, without a change, is asked again."""
CHECKPOINTS_PER_SECOND = 50.0
"""Answers with a new head but no entry (a checkpoint of what came before) after which the peer is asked again
at once."""
RELAY_AFTER_FAILURES = 2
"""Failures in a row after which other members are asked for their copies of a peer's feeds."""
RELAY_SECONDS = 30.0
"""Between two such questions, at least."""
MAX_RELAYS = 3
"""Members that are asked each time."""
FIRST_TRY_SECONDS = 5.0
"""A process that begins to follow a peer waits at most so long for the next attempt of the one before."""
MAX_SHORTAGE_WAIT = timedelta(seconds=15)
"""Until the next attempt after something was short here."""


class RateLimit:
    """So many events a second in the long run, and a second's worth of them at once."""

    def __init__(self, per_second: float) -> None:
        self._rate = self._left = per_second
        self._at = 0.0

    def allows(self, current: float) -> bool:
        """True if one more event at this time (in seconds) is within the limit."""
        self._left = min(self._rate, self._left + (current - self._at) * self._rate)
        self._at = current
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Shared:
    """The parts that all followers of a process share."""

    def __init__(self, node: Node, metrics: Metrics, *, openings: int) -> None:
        self.node = node
        self.metrics = metrics
        self.openings = Openings(openings)
        self.contacts = ContactNotes(node)
        self.unsigned = UnsignedHeads()


class PeerFollower:
    """Follows the feeds of one peer for as long as it is one."""

    def __init__(self, shared: Shared, peer: Peer, *, start_after: float = 0.0) -> None:
        self._shared = shared
        self._node = shared.node
        self._metrics = shared.metrics
        self._peer = peer
        self._start_after = start_after
        self._failures = peer.failures
        self._shortages = 0
        """Times in a row that something was short here, or another process was faster."""
        self._refused = False
        """True from a refusal of the peer to its next answer: an outage in between takes it not back."""
        self._relayed_at = float("-inf")
        self._rest: asyncio.Event | None = None
        """While it waits for the next attempt: set to end that."""
        self.is_waiting = False
        """True while it waits for a change at the peer, or for the next attempt, and does nothing else."""

    def retry(self) -> None:
        """Make the next attempt now, where it waits for one."""
        if self._rest is not None:
            self._rest.set()

    async def run(self) -> None:
        """Follow the peer until this is cancelled."""
        await asyncio.sleep(self._start_after)
        if self._peer.next_try_at is not None:
            remaining = (self._peer.next_try_at - self._node.clock()).total_seconds()
            await self._wait(timedelta(seconds=max(0.0, min(remaining, FIRST_TRY_SECONDS))))
        while True:
            source: PeerSource | None = None
            try:
                source = PeerSource(self._node.operator, self._peer, self._node.keyring)
                try:
                    await self._listen(source, failing=self._failures > 0)
                finally:
                    if source.answered:
                        self._failures, self._shortages, self._refused = 0, 0, False
                    self._shared.unsigned.forget_origin(self._peer.operator)
                    await source.close()
            except (Unavailable, StaleCursor) as error:
                await self._wait(self._note_shortage(error))
            except Refused as error:
                await self._wait(await self._note_refusal(error, source))
            except Exception as error:
                log.exception("following a peer failed", extra={"peer": self._peer.operator})
                self._failures += 1
                wait = back_off(self._failures)
                await self._note_failure(f"internal error: {type(error).__name__}", wait, source)
                await self._wait(wait)

    def _note_shortage(self, error: Exception) -> timedelta:
        """Our own database, or another process of ours: no failure of the peer, and nobody else is asked."""
        self._shortages += 1
        log.warning(
            "a peer cannot be followed for want of something here",
            extra={"peer": self._peer.operator, "reason": str(error) or type(error).__name__},
        )
        return min(back_off(self._shortages), MAX_SHORTAGE_WAIT)

    async def _note_refusal(self, error: Refused, source: PeerSource | None) -> timedelta:
        """Note why the peer is not followed; ask others if it is down. Returns the time to wait."""
        self._failures += 1
        self._refused = self._refused or isinstance(error, AccessRefused)
        wait = back_off(self._failures, asked=error.retry_after if isinstance(error, Unreachable) else None)
        await self._note_failure(printable(str(error)) or type(error).__name__, wait, source)
        if (
            isinstance(error, PeerDown)
            and not self._refused
            and self._failures >= RELAY_AFTER_FAILURES
            and time.monotonic() - self._relayed_at > RELAY_SECONDS
        ):
            await self._follow_relays()
            self._relayed_at = time.monotonic()
        return wait

    async def _note_failure(self, reason: str, wait: timedelta, source: PeerSource | None) -> None:
        log.warning(
            "a peer did not answer as it should",
            extra={
                "peer": self._peer.operator,
                "reason": reason,
                "failures": self._failures,
                "again_in": wait.total_seconds(),
            },
        )
        self._shared.contacts.forget(self._peer.operator)
        with suppress(Refused):
            await peer_contacts.mark_failed(
                self._node,
                self._peer.operator,
                reason,
                wait,
                failures=self._failures,
                clock_difference=source.clock.difference if source else None,
            )

    async def _wait(self, wait: timedelta) -> None:
        """Wait for the next attempt; ``retry`` ends that."""
        self._rest = asyncio.Event()
        self.is_waiting = True
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait.total_seconds()):
                    await self._rest.wait()
        finally:
            self._rest = None
            self.is_waiting = False

    async def _listen(self, source: PeerSource, *, failing: bool) -> None:
        peer = self._peer
        urgent, swept = failing or peer.contacted_at is None, time.monotonic()
        sweep = SWEEP_SECONDS * random.uniform(2 / 3, 4 / 3)
        before: tuple[Head, ...] | None = None
        verified: dict[FeedName, Head] = {}
        limit = RateLimit(CHECKPOINTS_PER_SECOND)
        opening = await self._shared.openings.enter()
        try:
            # Before the wait: nobody else follows this peer, so it is still right when the heads come.
            stored = await copies.followed_feeds(self._node, peer.operator)
            while True:
                requested = time.monotonic()
                heads = await self._wait_for_heads(source)
                entries, answered_at = 0, time.monotonic()
                if heads is None:
                    self._shared.unsigned.confirm(peer.operator, answered_at)
                else:
                    entries, stored = await self.follow_feeds(source, heads, verified, stored, answered_at)
                opening.leave()
                current = time.monotonic()
                changed = heads is not None and heads != before
                before = heads or before
                self._shared.contacts.note(peer.operator, source.clock.difference, urgent=urgent)
                at_once = not entries and source.answered and current - requested < EMPTY_ANSWER_SECONDS
                source.answered, urgent = True, False
                if at_once and not (changed and limit.allows(current)):
                    # It does not wait: it may not know how, or it is about to stop and ends all waits.
                    await asyncio.sleep(EMPTY_ANSWER_SECONDS)
                if current - swept > sweep:
                    # Its next key is to be known before it signs.
                    await key_rotation.reread_keys(self._node, peer.operator)
                    swept, sweep = current, SWEEP_SECONDS * random.uniform(2 / 3, 4 / 3)
                    source.forget_heads()
                    verified.clear()
        finally:
            opening.leave()

    async def _wait_for_heads(self, source: PeerSource) -> tuple[Head, ...] | None:
        """The heads, when they have changed; None where they have not."""
        unsigned, operator = self._shared.unsigned, self._peer.operator
        self.is_waiting = source.waits
        if self.is_waiting:
            unsigned.begin_wait(operator)
        try:
            return await source.heads(wait=True)
        finally:
            self.is_waiting = False
            unsigned.end_wait(operator)

    async def follow_feeds(
        self,
        source: PeerSource,
        heads: tuple[Head, ...],
        verified: dict[FeedName, Head],
        stored: dict[FeedName, FollowedFeed],
        answered_at: float,
    ) -> tuple[int, dict[FeedName, FollowedFeed]]:
        """Follow every feed of the peer's own, also those it no longer shows us: to learn why.

        ``verified``: the heads at which a copy is verified; there is nothing to ask of those. ``stored``: its
        feeds as they are stored. ``answered_at``: when the heads came. Returns how many entries came, and its
        feeds as they are stored then.
        """
        peer, count = self._peer, 0
        own = _own_heads(peer, heads, stored)
        shown = {head.name for head in heads}
        self._shared.unsigned.forget(*(name for name in stored if name not in shown))
        for name in verified.keys() - shown:
            del verified[name]  # shown again, it is to be followed again
        first_error: Exception | None = None
        fresh = True
        for name, head in own.items():
            if verified.get(name) == head:
                continue
            try:
                copy = (stored[name][:2] if name in stored else (None, CopyFacts())) if fresh else None
                fresh = False  # what was read is old once a feed was followed
                async with asyncio.timeout(MAX_PULL_SECONDS):
                    result = await follow(self._node, peer, head, source, copy)
            except TimeoutError:
                raise Unreachable(f"taking {name} lasted longer than {MAX_PULL_SECONDS:.0f} s") from None
            except CursorRefused as error:
                log.error("a cursor was refused", extra={"feed": str(name), "reason": str(error)})
                first_error = first_error or Unreachable(f"{error.code}: {error.detail}")
                continue
            except (Refused, StaleCursor) as error:
                first_error = first_error or error  # the other feeds are not to wait for this one
                continue
            self._count(peer, name, result)
            if name in shown:
                self._shared.unsigned.observe(head, result.signed, answered_at)
            count += result.entries
            if result.verified:
                verified[name] = head
        stored = await copies.followed_feeds(self._node, peer.operator)
        if any(followed.has_unsent for followed in stored.values()):
            await self._send_reports(source)
        if first_error is not None:
            raise first_error
        return count, stored

    async def _send_reports(self, source: PeerSource) -> None:
        try:
            await send_reports(self._node, self._peer, source)
        except Refused as error:
            # Both stay pending until it takes them; it may be of a version that does not know them.
            log.warning(
                "a peer did not take our receipts",
                extra={"peer": self._peer.operator, "reason": str(error)},
            )

    async def _follow_relays(self) -> None:
        """Follow the feeds of this peer, which does not answer, in other members' copies."""
        origin = self._peer
        relays = [
            peer
            for peer in await peer_contacts.active_peers(self._node)
            # (A peer that does not answer us has nothing to relay.)
            if peer.operator != origin.operator and not peer.failures and peer.contacted_at is not None
        ]
        random.shuffle(relays)
        for relay in relays[:MAX_RELAYS]:
            try:
                async with (
                    asyncio.timeout(MAX_PULL_SECONDS),
                    peer_source(self._node.operator, relay, self._node.keyring) as source,
                ):
                    for head in await source.heads_of(origin.operator):
                        result = await follow_relay(self._node, origin, relay, head, source)
                        self._count(relay, head.name, result)
            except (Unavailable, StaleCursor) as error:
                self._note_shortage(error)
                return
            except (Refused, TimeoutError) as error:
                log.warning(
                    "a member did not relay as it should",
                    extra={"peer": relay.operator, "origin": origin.operator, "reason": str(error)},
                )

    def _count(self, peer: Peer, name: FeedName, result: PullResult) -> None:
        if result.repaired:
            self._metrics.repaired.labels(peer.operator).inc(result.repaired)
        if result.entries:
            self._metrics.pulled.labels(peer.operator).inc(result.entries)
            log.debug("feed pulled", extra={"feed": str(name), "entries": result.entries})
        for reason, number in result.rejected.items():
            self._metrics.rejected.labels(peer.operator, reason).inc(number)


def _own_heads(
    peer: Peer, heads: tuple[Head, ...], stored: dict[FeedName, FollowedFeed]
) -> dict[FeedName, Head]:
    """The heads of a peer's own feeds; of those that it no longer shows, one that is to be asked for."""
    own = {head.name: head for head in heads if head.origin == peer.operator and head.audience != PRIVATE}
    for feed, _, _ in stored.values():
        if feed.name not in own and feed.epoch is not None and feed.audience != PRIVATE:
            own[feed.name] = Head(
                origin=feed.origin,
                audience=feed.audience,
                epoch=feed.epoch,
                seq=feed.head + 1,
                retained_from=0,
                count=0,
            )
    return own
