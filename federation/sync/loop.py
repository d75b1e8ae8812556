"""Follow every peer: one task for each, so that a slow or hostile one harms nobody else (decision 0027).

1. Each process counts the processes that share the database, and follows its share of the peers. A peer is
   followed by the process that holds its advisory lock; PostgreSQL gives locks back when a process dies.
2. A process with more than its share gives back peers that it only waits at, some at each look.
3. A process with less takes peers that nobody has. It takes them beyond its share where nobody has taken them
   for ``ORPHAN_SECONDS``: the process whose share they are may be stuck.
4. Few peers at a time are opened (``openings``), and half of the database's connections are left to callers.
5. A look that fails changes nothing: the peers are followed as before, unless the locks are lost.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from federation.domain.errors import Refused
from federation.domain.peer import Peer, PeerLocks
from federation.node import copies, peer_contacts, peers, quotas
from federation.node.node import Node
from federation.sync.peer_follower import PeerFollower, Shared
from federation.telemetry import Metrics

log = logging.getLogger("federation.sync")

PEER_LIST_SECONDS = 1.0
"""Between looks at the processes and confirmed removals; a change of the peers is noticed at once."""
REREAD_SECONDS = 60.0
"""Between readings of the list of peers, in case the notice of a change was lost."""
MAX_GIVEN_BACK = 20
"""Peers that a process gives back at one look: the others open few at a time."""
ORPHAN_SECONDS = 15.0
"""After which a process takes a peer beyond its share that nobody follows."""
START_SECONDS_PER_PEER = 0.02
"""The start of the tasks is spread over so much for each peer, by chance."""

PeerName = tuple[str, str]
"""Operator and URL: a peer at another URL is followed anew."""


class Loop:
    """Follows this process's share of the peers of a node."""

    def __init__(self, node: Node, metrics: Metrics) -> None:
        self._node = node
        self._shared = Shared(node, metrics, openings=max(1, node.store.max_connections // 2))
        self._following: dict[PeerName, tuple[PeerFollower, asyncio.Task[None]]] = {}
        self._locked: set[str] = set()
        self._peers: dict[PeerName, Peer] = {}
        self._read_at = float("-inf")
        self._free_since: dict[str, float] = {}
        self._confirmed: frozenset[str] = frozenset()
        self._beyond_quota: frozenset[str] = frozenset()
        self._changed = asyncio.Event()
        node.notifier.on_trust_change(self._note_change)

    async def _note_change(self) -> None:
        self._read_at = float("-inf")
        self._changed.set()

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
        peer_contacts.give_way()
        while True:
            try:
                async with peer_contacts.task_locks(self._node) as locks:
                    self._locked.clear()
                    await self._share(locks)
            except Refused as error:
                log.warning("the peers cannot be followed now", extra={"reason": str(error)})
            except Exception:
                log.exception("following the peers failed")
            finally:
                # The locks are lost, or the process stops: another one may follow them now.
                await self._stop(list(self._following))
            await asyncio.sleep(PEER_LIST_SECONDS)

    async def _share(self, locks: PeerLocks) -> None:
        """Follow this process's share of the peers, until the locks are lost."""
        self._read_at = float("-inf")
        try:
            while locks.are_valid():
                try:
                    await self._look(locks)
                except Refused as error:
                    log.warning("the list of peers cannot be read now", extra={"reason": str(error)})
                except Exception:
                    log.exception("reading the list of peers failed")
                with suppress(TimeoutError):
                    async with asyncio.timeout(PEER_LIST_SECONDS):
                        await self._changed.wait()
                self._changed.clear()
        finally:
            with suppress(Refused):
                await self._shared.contacts.store(at_once=True)

    async def _look(self, locks: PeerLocks) -> None:
        """Begin, end and hand over what has to be."""
        await self._read_peers()
        await self._end_former(locks)
        await self._divide(locks)
        await self._shared.contacts.store()
        for name, seconds in self._shared.unsigned.late():
            await copies.mark_unsigned(self._node, name, seconds)

    async def _read_peers(self) -> None:
        current = time.monotonic()
        if current - self._read_at < REREAD_SECONDS:
            return
        self._read_at = current  # before the reading: what changes meanwhile is read the next time
        try:
            await peers.purge_left_peers(self._node)
            active = await peer_contacts.active_peers(self._node)
        except BaseException:
            self._read_at = float("-inf")
            raise
        self._peers = {(peer.operator, peer.url): peer for peer in active}
        for name, (follower, _) in self._following.items():
            if (peer := self._peers.get(name)) is not None and peer.next_try_at is None:
                follower.retry()

    async def _end_former(self, locks: PeerLocks) -> None:
        """End the tasks of peers that are no peers any more, and begin those anew that were confirmed."""
        confirmed = await copies.operators_with_confirmed_removals(self._node)
        beyond = await quotas.paused_operators(self._node)
        # Confirmed removals, and entries of a peer that is no longer beyond its quota, are stored at once: a
        # task that waits at that peer begins anew.
        anew = (confirmed - self._confirmed) | (self._beyond_quota - beyond)
        await self._stop([name for name in self._following if name[0] in anew])
        self._confirmed, self._beyond_quota = confirmed, beyond
        ended = [
            name for name, (_, task) in self._following.items() if name not in self._peers or task.done()
        ]
        await self._stop(ended)
        active = {operator for operator, _ in self._peers}
        for operator in self._locked - active:
            await self._unlock(locks, operator)
        if any(name not in self._peers for name in ended):
            await peers.purge_left_peers(self._node)

    async def _divide(self, locks: PeerLocks) -> None:
        """Give back what is beyond the share of this process, or take what is missing."""
        others = {operator for operator, _ in self._peers} - self._locked
        survey = await locks.survey([_task(operator) for operator in others])
        share = -(-len(self._peers) // max(1, survey.processes))
        await self._give_back(locks, len(self._locked) - share)
        free = {operator for operator in others if _task(operator) in survey.free}
        current = time.monotonic()
        self._free_since = {operator: self._free_since.get(operator, current) for operator in free}
        orphans = {
            operator for operator, since in self._free_since.items() if current - since > ORPHAN_SECONDS
        }
        names = list(self._peers)
        random.shuffle(names)
        for name in names:
            operator = name[0]
            if name in self._following:
                continue
            mine = operator in self._locked
            if not mine and operator in free and (len(self._locked) < share or operator in orphans):
                mine = await locks.try_lock(_task(operator))
            if mine:
                self._locked.add(operator)
                self._start(name)

    async def _give_back(self, locks: PeerLocks, surplus: int) -> None:
        waiting = [name for name, (follower, _) in self._following.items() if follower.is_waiting]
        for name in waiting[: max(0, min(surplus, MAX_GIVEN_BACK))]:
            await self._stop([name])
            await self._unlock(locks, name[0])

    async def _unlock(self, locks: PeerLocks, operator: str) -> None:
        await locks.unlock(_task(operator))
        self._locked.discard(operator)

    def _start(self, name: PeerName) -> None:
        spread = random.uniform(0, START_SECONDS_PER_PEER * len(self._peers))
        follower = PeerFollower(self._shared, self._peers[name], start_after=spread)
        task = asyncio.create_task(follower.run(), name=f"peer {name[0]}")
        self._following[name] = follower, task

    async def _stop(self, names: list[PeerName]) -> None:
        tasks = [self._following.pop(name)[1] for name in names]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for operator, _ in names:
            self._shared.unsigned.forget_origin(operator)


def _task(operator: str) -> str:
    """The name of the lock of a peer."""
    return f"peer {operator}"
