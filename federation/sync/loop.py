"""Who is due: one task for each peer, so that a slow or hostile one harms nobody else.

Several processes on one database share the peers: each peer is followed by whichever process holds its
advisory lock. A task waits at its peer for news, pulls the feeds that have moved, and asks again; from
time to time it asks without waiting, in case a wake-up was lost.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from federation.domain.errors import CursorRefused, Refused, Unreachable
from federation.domain.feed import FeedName, Head, printable
from federation.domain.peer import Peer, back_off
from federation.domain.visibility import PRIVATE
from federation.node import key_rotation, peers
from federation.node.node import Node
from federation.store.copies import CopyRow, FollowedFeed
from federation.store.task_locks import TaskLocks
from federation.sync.apply import PullResult, StaleCursor
from federation.sync.follow import answer, follow, follow_relayed
from federation.sync.peer_client import PeerSource, peer_source
from federation.telemetry import Metrics

log = logging.getLogger("federation.sync")

LOOK = 1.0
"""Seconds between looks at who our peers are."""
SWEEP = 300.0
"""Seconds after which heads are asked for without waiting, give or take a third."""
LONGEST_PULL = 3_600.0
"""Seconds after which a pull is given up; what it has stored is kept, and the next one goes on from there."""
PAUSE = 0.5
"""Seconds before a peer that answered at once, without news, is asked again."""
PROOFS_EACH_SECOND = 50.0
"""Answers that brought a new head but no entry (a signature of what came before), and after which the peer
is asked again at once."""
RELAYED_AFTER = 2
"""Failures in a row after which other members are asked for what they hold of a peer's feeds."""
RELAYED_EVERY = 30.0
"""Seconds between two such questions, at least."""
MAX_RELAYS = 3
"""Members that are asked each time, at most."""
NOTED = 30.0
"""Seconds between notes that a peer still answers."""


class Backoff:
    """Bears so many events each second in the long run, and a second's worth of them at once."""

    def __init__(self, each_second: float) -> None:
        self._rate = self._left = each_second
        self._at = 0.0

    def bears(self, now: float) -> bool:
        """Whether one more at this time (in seconds) is borne."""
        self._left = min(self._rate, self._left + (now - self._at) * self._rate)
        self._at = now
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
        self._urged: frozenset[str] = frozenset()

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
                async with self._node.store.task_locks() as locks:
                    await self._share(locks)
            except Refused as error:
                log.warning("the peers cannot be followed now", extra={"reason": str(error)})
            except Exception:
                log.exception("following the peers failed")
            finally:
                await self._stop(list(self._following))
            await asyncio.sleep(LOOK)

    async def _share(self, locks: TaskLocks) -> None:
        """Follow every peer that no other process follows, until the locks are lost."""
        await peers.purge_left_peers(self._node)
        while locks.are_valid():
            async with self._node.store.read() as tx:
                active = {(p.operator, p.url): p for p in await tx.peers.all() if p.state == "active"}
                confirmed = await tx.copies.confirmed_removals()
            # What an administrator has confirmed is taken now: whoever waits at that peer begins anew.
            urged = [name for name in self._following if name[0] in confirmed - self._urged]
            self._urged = confirmed
            await self._stop(urged)
            for operator, _ in urged:
                await locks.unlock(f"peer {operator}")
            ended = [name for name, task in self._following.items() if name not in active or task.done()]
            await self._stop(ended)
            for operator, _ in ended:
                await locks.unlock(f"peer {operator}")
            if ended:
                await peers.purge_left_peers(self._node)
            for name, peer in active.items():
                if name not in self._following and await locks.try_lock(f"peer {peer.operator}"):
                    self._following[name] = asyncio.create_task(
                        self._follow(peer), name=f"peer {peer.operator}"
                    )
            await asyncio.sleep(LOOK)

    async def _stop(self, names: list[tuple[str, str]]) -> None:
        tasks = [self._following.pop(name) for name in names]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, peer: Peer) -> None:
        """Take a peer's feeds for as long as it is one."""
        failures, relayed = peer.failures, -RELAYED_EVERY
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
                asked = error.retry_after if isinstance(error, Unreachable) else None
                wait = back_off(failures, asked=asked)
                await self._failed(peer, printable(str(error)) or type(error).__name__, failures, wait)
                if failures >= RELAYED_AFTER and time.monotonic() - relayed > RELAYED_EVERY:
                    await self._take_relayed(peer)
                    relayed = time.monotonic()
                await asyncio.sleep(wait.total_seconds())
            except Exception as error:
                failures += 1
                wait = back_off(failures)
                log.exception("following a peer failed", extra={"peer": peer.operator})
                await self._failed(peer, f"internal error: {type(error).__name__}", failures, wait)
                await asyncio.sleep(wait.total_seconds())

    async def _listen(self, peer: Peer, source: PeerSource, *, failing: bool) -> None:
        noted, swept = 0.0, time.monotonic()
        sweep = SWEEP * random.uniform(2 / 3, 4 / 3)
        before: tuple[Head, ...] | None = None
        settled: dict[FeedName, Head] = {}
        patience = Backoff(PROOFS_EACH_SECOND)
        # Before news are waited for: nobody else follows this peer, so it is still like this when they come.
        held = await self._held(peer)
        while True:
            asked = time.monotonic()
            heads = await source.heads(wait=True)
            brought = 0
            if heads is not None:
                brought, held = await self._take(peer, source, heads, settled, held)
            now = time.monotonic()
            news = heads is not None and heads != before
            before = heads or before
            if not brought and source.answered and now - asked < PAUSE and not (news and patience.bears(now)):
                # It does not wait: it may not know how, or it is about to stop and ends all waits.
                await asyncio.sleep(PAUSE)
            if failing or now - noted > NOTED:
                async with self._node.store.write() as tx:
                    await tx.peers.note_answer(peer.operator)
                noted, failing = now, False
            source.answered = True
            if now - swept > sweep:
                # Its next key is to be known before it signs.
                await key_rotation.reread_keys(self._node, peer.operator)
                swept, sweep = now, SWEEP * random.uniform(2 / 3, 4 / 3)
                source.forget_heads()
                settled.clear()

    async def _held(self, peer: Peer) -> dict[FeedName, FollowedFeed]:
        """The peer's feeds that are held here, and what is known of each copy."""
        async with self._node.store.read_by_key() as tx:
            return await tx.copies.of(peer.operator)

    async def _take(
        self,
        peer: Peer,
        source: PeerSource,
        heads: tuple[Head, ...],
        settled: dict[FeedName, Head],
        held: dict[FeedName, FollowedFeed],
    ) -> tuple[int, dict[FeedName, FollowedFeed]]:
        """Pull every feed of the peer's own, also those that it no longer shows us: to learn why.

        ``settled``: the heads that we have proved to be at already; there is nothing to ask of those.
        ``held``: what is held of them. Returns how many entries came, and what is held then.
        """
        brought = 0
        own = {head.name: head for head in heads if head.origin == peer.operator and head.audience != PRIVATE}
        for name in settled.keys() - own.keys():
            del settled[name]  # shown again, it is to be taken again
        for place, _, _ in held.values():
            if place.name not in own and place.epoch is not None and place.audience != PRIVATE:
                own[place.name] = Head(
                    origin=place.origin,
                    audience=place.audience,
                    epoch=place.epoch,
                    seq=place.head + 1,
                    retained_from=0,
                    count=0,
                )
        refused: Exception | None = None
        fresh = True
        for name, head in own.items():
            if settled.get(name) == head:
                continue
            try:
                known = (held[name][:2] if name in held else (None, CopyRow())) if fresh else None
                fresh = False  # what was read is old once a feed was followed
                async with asyncio.timeout(LONGEST_PULL):
                    taken = await follow(self._node, peer, head, source, known)
            except TimeoutError:
                raise Unreachable(f"taking {name} lasted longer than {LONGEST_PULL:.0f} s") from None
            except CursorRefused as error:
                log.error("a cursor was refused", extra={"feed": str(name), "reason": str(error)})
                refused = refused or Unreachable(f"{error.code}: {error.detail}")
                continue
            except (Refused, StaleCursor) as error:
                refused = refused or error  # the other feeds are not to wait for this one
                continue
            self._count(peer, name, taken)
            brought += taken.entries
            if taken.verified:
                settled[name] = head
        held = await self._held(peer)
        if any(followed.pending for followed in held.values()):
            await self._answer(peer, source)
        if refused is not None:
            raise refused
        return brought, held

    async def _answer(self, peer: Peer, source: PeerSource) -> None:
        try:
            await answer(self._node, peer, source)
        except Refused as error:
            # Both are owed until it takes them; it may be of a version that does not know them.
            log.warning(
                "a peer did not take our receipts", extra={"peer": peer.operator, "reason": str(error)}
            )

    async def _take_relayed(self, origin: Peer) -> None:
        """Take what other members hold of an origin that does not answer, as far as it has signed it."""
        async with self._node.store.read() as tx:
            others = [
                one
                for one in await tx.peers.all()
                # (Who does not answer us has nothing to relay.)
                if one.state == "active"
                and one.operator != origin.operator
                and not one.failures
                and one.contacted_at is not None
            ]
        random.shuffle(others)
        for relay in others[:MAX_RELAYS]:
            try:
                async with (
                    asyncio.timeout(LONGEST_PULL),
                    peer_source(self._node.operator, relay, self._node.keyring) as source,
                ):
                    for head in await source.relayed(origin.operator):
                        taken = await follow_relayed(self._node, origin, relay, head, source)
                        self._count(relay, head.name, taken)
            except (Refused, StaleCursor, TimeoutError) as error:
                log.warning(
                    "a member did not relay as it should",
                    extra={"peer": relay.operator, "origin": origin.operator, "reason": str(error)},
                )

    def _count(self, peer: Peer, name: FeedName, taken: PullResult) -> None:
        if taken.repaired:
            self._metrics.repaired.labels(peer.operator).inc(taken.repaired)
        if taken.entries:
            self._metrics.pulled.labels(peer.operator).inc(taken.entries)
            log.info("feed pulled", extra={"feed": str(name), "entries": taken.entries})
        for reason, number in taken.set_aside.items():
            self._metrics.rejected.labels(peer.operator, reason).inc(number)

    async def _failed(self, peer: Peer, why: str, failures: int, wait: timedelta) -> None:
        log.warning(
            "a peer did not answer as it should",
            extra={
                "peer": peer.operator,
                "reason": why,
                "failures": failures,
                "again_in": wait.total_seconds(),
            },
        )
        with suppress(Refused):
            async with self._node.store.write() as tx:
                await tx.peers.note_failure(peer.operator, why, self._node.clock() + wait)
