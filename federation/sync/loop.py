"""Follow every peer: one task for each, so that a slow or hostile one harms nobody else.

Several processes on one database share the peers: each peer is followed by the process that holds its
advisory lock. A task waits at its peer for a change of the heads, follows the feeds that have moved, and asks
again; from time to time it asks without waiting, in case a wake-up was lost.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from federation.domain.copy import CopyFacts, FollowedFeed
from federation.domain.errors import CursorRefused, Refused, StaleCursor, Unreachable
from federation.domain.feed import FeedName, Head, printable
from federation.domain.peer import Peer, PeerLocks, back_off
from federation.domain.visibility import PRIVATE
from federation.node import copies, key_rotation, peer_contacts, peers, quotas
from federation.node.node import Node
from federation.sync.apply import PullResult
from federation.sync.follow import follow, follow_relay
from federation.sync.peer_client import PeerSource, peer_source
from federation.sync.reports import send_reports
from federation.telemetry import Metrics

log = logging.getLogger("federation.sync")

PEER_LIST_SECONDS = 1.0
"""Between readings of the list of peers."""
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
NOTE_ANSWER_SECONDS = 30.0
"""Between notes that a peer still answers."""


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


class Loop:
    """Follows the peers of a node."""

    def __init__(self, node: Node, metrics: Metrics) -> None:
        self._node = node
        self._metrics = metrics
        self._following: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._confirmed: frozenset[str] = frozenset()
        self._beyond_quota: frozenset[str] = frozenset()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the peers while the block lasts."""
        task = asyncio.create_task(self._run(), name="sync")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while True:
            try:
                async with peer_contacts.task_locks(self._node) as locks:
                    await self._share(locks)
            except Refused as error:
                log.warning("the peers cannot be followed now", extra={"reason": str(error)})
            except Exception:
                log.exception("following the peers failed")
            finally:
                await self._stop(list(self._following))
            await asyncio.sleep(PEER_LIST_SECONDS)

    async def _share(self, locks: PeerLocks) -> None:
        """Follow every peer that no other process follows, until the locks are lost."""
        await peers.purge_left_peers(self._node)
        while locks.are_valid():
            active = {(p.operator, p.url): p for p in await peer_contacts.active_peers(self._node)}
            confirmed = await copies.operators_with_confirmed_removals(self._node)
            # Confirmed removals are carried out at once: a task that waits at that peer begins anew.
            restarted = [name for name in self._following if name[0] in confirmed - self._confirmed]
            self._confirmed = confirmed
            # So is what a peer may store again that was beyond its quota.
            beyond = await quotas.paused_operators(self._node)
            restarted += [name for name in self._following if name[0] in self._beyond_quota - beyond]
            self._beyond_quota = beyond
            await self._release(list(dict.fromkeys(restarted)), locks)
            ended = [name for name, task in self._following.items() if name not in active or task.done()]
            await self._release(ended, locks)
            if ended:
                await peers.purge_left_peers(self._node)
            for name, peer in active.items():
                if name not in self._following and await locks.try_lock(f"peer {peer.operator}"):
                    self._following[name] = asyncio.create_task(
                        self._follow(peer), name=f"peer {peer.operator}"
                    )
            await asyncio.sleep(PEER_LIST_SECONDS)

    async def _release(self, names: list[tuple[str, str]], locks: PeerLocks) -> None:
        await self._stop(names)
        for operator, _ in names:
            await locks.unlock(f"peer {operator}")

    async def _stop(self, names: list[tuple[str, str]]) -> None:
        tasks = [self._following.pop(name) for name in names]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, peer: Peer) -> None:
        """Follow a peer's feeds for as long as it is one."""
        failures, relayed = peer.failures, -RELAY_SECONDS
        if peer.next_try_at is not None:
            await asyncio.sleep(max(0.0, min((peer.next_try_at - self._node.clock()).total_seconds(), 5.0)))
        while True:
            try:
                source = PeerSource(self._node.operator, peer, self._node.keyring)
                try:
                    await self._listen(peer, source, failing=failures > 0)
                finally:
                    failures = 0 if source.answered else failures
                    await source.close()
            except (Refused, StaleCursor) as error:
                failures += 1
                retry_after = error.retry_after if isinstance(error, Unreachable) else None
                wait = back_off(failures, asked=retry_after)
                await self._note_failure(peer, printable(str(error)) or type(error).__name__, failures, wait)
                if failures >= RELAY_AFTER_FAILURES and time.monotonic() - relayed > RELAY_SECONDS:
                    await self._follow_relays(peer)
                    relayed = time.monotonic()
                await asyncio.sleep(wait.total_seconds())
            except Exception as error:
                failures += 1
                wait = back_off(failures)
                log.exception("following a peer failed", extra={"peer": peer.operator})
                await self._note_failure(peer, f"internal error: {type(error).__name__}", failures, wait)
                await asyncio.sleep(wait.total_seconds())

    async def _listen(self, peer: Peer, source: PeerSource, *, failing: bool) -> None:
        noted, swept = 0.0, time.monotonic()
        sweep = SWEEP_SECONDS * random.uniform(2 / 3, 4 / 3)
        before: tuple[Head, ...] | None = None
        verified: dict[FeedName, Head] = {}
        limit = RateLimit(CHECKPOINTS_PER_SECOND)
        # Before the wait: nobody else follows this peer, so it is still right when the heads come.
        stored = await copies.followed_feeds(self._node, peer.operator)
        while True:
            requested = time.monotonic()
            heads = await source.heads(wait=True)
            entries = 0
            if heads is not None:
                entries, stored = await self._follow_feeds(peer, source, heads, verified, stored)
            current = time.monotonic()
            changed = heads is not None and heads != before
            before = heads or before
            at_once = not entries and source.answered and current - requested < EMPTY_ANSWER_SECONDS
            if at_once and not (changed and limit.allows(current)):
                # It does not wait: it may not know how, or it is about to stop and ends all waits.
                await asyncio.sleep(EMPTY_ANSWER_SECONDS)
            if failing or current - noted > NOTE_ANSWER_SECONDS:
                await peer_contacts.mark_answered(self._node, peer.operator)
                noted, failing = current, False
            source.answered = True
            if current - swept > sweep:
                # Its next key is to be known before it signs.
                await key_rotation.reread_keys(self._node, peer.operator)
                swept, sweep = current, SWEEP_SECONDS * random.uniform(2 / 3, 4 / 3)
                source.forget_heads()
                verified.clear()

    async def _follow_feeds(
        self,
        peer: Peer,
        source: PeerSource,
        heads: tuple[Head, ...],
        verified: dict[FeedName, Head],
        stored: dict[FeedName, FollowedFeed],
    ) -> tuple[int, dict[FeedName, FollowedFeed]]:
        """Follow every feed of the peer's own, also those it no longer shows us: to learn why.

        ``verified``: the heads at which a copy is verified; there is nothing to ask of those. ``stored``: its
        feeds as they are stored. Returns how many entries came, and its feeds as they are stored then.
        """
        count = 0
        own = _own_heads(peer, heads, stored)
        for name in verified.keys() - {head.name for head in heads}:
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
            count += result.entries
            if result.verified:
                verified[name] = head
        stored = await copies.followed_feeds(self._node, peer.operator)
        if any(followed.has_unsent for followed in stored.values()):
            await self._send_reports(peer, source)
        if first_error is not None:
            raise first_error
        return count, stored

    async def _send_reports(self, peer: Peer, source: PeerSource) -> None:
        try:
            await send_reports(self._node, peer, source)
        except Refused as error:
            # Both stay pending until it takes them; it may be of a version that does not know them.
            log.warning(
                "a peer did not take our receipts", extra={"peer": peer.operator, "reason": str(error)}
            )

    async def _follow_relays(self, origin: Peer) -> None:
        """Follow the feeds of an origin that does not answer in other members' copies."""
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
            except (Refused, StaleCursor, TimeoutError) as error:
                log.warning(
                    "a member did not relay as it should",
                    extra={"peer": relay.operator, "origin": origin.operator, "reason": str(error)},
                )

    def _count(self, peer: Peer, name: FeedName, result: PullResult) -> None:
        if result.repaired:
            self._metrics.repaired.labels(peer.operator).inc(result.repaired)
        if result.entries:
            self._metrics.pulled.labels(peer.operator).inc(result.entries)
            log.info("feed pulled", extra={"feed": str(name), "entries": result.entries})
        for reason, number in result.rejected.items():
            self._metrics.rejected.labels(peer.operator, reason).inc(number)

    async def _note_failure(self, peer: Peer, reason: str, failures: int, wait: timedelta) -> None:
        log.warning(
            "a peer did not answer as it should",
            extra={
                "peer": peer.operator,
                "reason": reason,
                "failures": failures,
                "again_in": wait.total_seconds(),
            },
        )
        with suppress(Refused):
            await peer_contacts.mark_failed(self._node, peer.operator, reason, wait)


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
