"""The connections of this process's listener: a share for each address, and the oldest idle ones end first.

granian accepts connections, and has one bound for all of them. Its sockets are open files of our own
process, so they can be looked at here, and ended (Linux, by ``/proc/self/fd``):

    count the open files four times a second; with few of them nothing more is done
    → find the sockets of our port, and the address and port at their other end
    → an address with more connections than its share: end idle ones until it is within its share
    → more connections than ``FEDERATION_SOCKETS``: end idle ones, of the address with most first

Idle is a connection without a request under way for ``GRACE_SECONDS``: silent, or with half a header. Those
that have carried no request so far end first, then those that are idle longest. A request under way is never
cut: ``edge/shares.py`` bounds them. Trusted proxies have no share, since everybody's connections are theirs;
they give theirs last.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import os
import socket
import stat
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from federation.edge.limits import Proxies
from federation.telemetry import Metrics

log = logging.getLogger("federation")

LOOK_SECONDS = 0.25
"""Time between two looks at the connections."""
CROWDED_LOOK_SECONDS = 0.05
"""The same while there are more of them than there should be."""
SPARE_SOCKETS = 1_024
"""Connections that are accepted beyond ``FEDERATION_SOCKETS``, until idle ones are closed; then they wait."""
GRACE_SECONDS = 2.0
"""A connection is idle after this time, since a request may have come that is not noticed yet; it does not
count once half of the spare connections are used."""
HALF_SENT_SECONDS = 5.0
"""The same for a connection that has sent something: a whole request may wait for its turn in the server."""
REPORT_SECONDS = 60.0
"""Time between two log lines about connections that were ended."""
OPEN_FILES = Path("/proc/self/fd")

Peer = tuple[str, str]
"""Address and port at the other end, as in ``scope["client"]`` of granian: both are texts."""


class Connection:
    """A connection that was accepted."""

    __slots__ = ("address", "ending", "idle_since", "inode", "is_proxy", "peer", "served")

    def __init__(self, inode: int, peer: Peer, address: str, *, is_proxy: bool, now: float) -> None:
        self.inode = inode
        """Identity of the socket: the number of an open file is used again, this one is not."""
        self.peer = peer
        self.address = address
        """As limits count it: an IPv4 address, or the /64 of an IPv6 address."""
        self.is_proxy = is_proxy
        self.idle_since = now
        self.served = False
        """Whether it has carried a request, as far as that was noticed."""
        self.ending = False
        """Whether it was ended here, and the server has not closed its file yet."""


class Connections:
    """The accepted connections, and those with a request under way."""

    def __init__(
        self,
        port: int,
        *,
        total: int,
        per_address: int,
        spare: int = 0,
        proxies: Proxies | None = None,
        metrics: Metrics | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._port = port
        self._total = total
        self._per_address = per_address
        self._urgent = total + spare // 2
        """From this number of connections on, those without a request are idle at once."""
        self._locate = (proxies or Proxies()).locate
        self._metrics = metrics
        self._clock = clock
        self._under_way: dict[Peer, int] = {}
        self._ended: dict[Peer, float] | None = None
        """When the last request of each connection ended; None while nobody looks."""
        self._sockets: dict[int, tuple[int, Connection | None]] = {}
        """By the number of the open file: its inode, and the connection if it is one of ours."""
        self._report_again = 0.0
        self._half_sent_before = 0.0
        """Connections that have sent something end if they have been idle since then."""
        if metrics is not None:
            metrics.connections.set_function(lambda: len(self.find()) if _can_look() else 0)

    def begin(self, peer: Peer) -> Callable[[], None]:
        """Note that a request has begun; returns the function that notes its end, once."""
        self._under_way[peer] = self._under_way.get(peer, 0) + 1
        under_way = True

        def end() -> None:
            nonlocal under_way
            if not under_way:
                return
            under_way = False
            # Of two requests on one connection, the later can begin before the end of the earlier is noted.
            if (number := self._under_way[peer] - 1) > 0:
                self._under_way[peer] = number
            else:
                del self._under_way[peer]
            if self._ended is not None:
                self._ended[peer] = self._clock()

        return end

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look again and again while the block lasts; do nothing on a system without ``/proc``."""
        task = asyncio.create_task(self._watch(), name="connections") if _can_look() else None
        try:
            yield
        finally:
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            crowded = False
            try:
                crowded = self.look()
            except OSError as error:
                log.warning("the connections cannot be looked at", extra={"reason": str(error)})
            await asyncio.sleep(CROWDED_LOOK_SECONDS if crowded else LOOK_SECONDS)

    def look(self) -> bool:
        """End connections beyond their share; False when none was beyond."""
        if len(os.listdir(OPEN_FILES)) <= min(self._per_address, self._total):
            self._ended = None
            return False
        connections = self.find()
        by_address: defaultdict[str, list[tuple[int, Connection]]] = defaultdict(list)
        for number, connection in connections.items():
            by_address["" if connection.is_proxy else connection.address].append((number, connection))
        urgent = len(connections) >= self._urgent
        grace = 0.0 if urgent else GRACE_SECONDS
        self._half_sent_before = self._clock() - (0.0 if urgent else HALF_SENT_SECONDS)
        idle = {address: self._idle(members, grace) for address, members in by_address.items()}
        closed = 0
        for address, members in by_address.items():
            excess = len(members) - self._per_address
            if address and excess > 0:
                closed += self._end(idle[address], excess, "address", address)
        # The address with most gives first; the proxies last. One at a time, until there are no more.
        most = [
            (not address, -len(members), address) for address, members in by_address.items() if idle[address]
        ]
        heapq.heapify(most)
        while len(connections) - closed > self._total and most:
            last, size, address = heapq.heappop(most)
            closed += self._end(idle[address], 1, "all", address)
            if idle[address]:
                heapq.heappush(most, (last, size + 1, address))
        return closed > 0

    def find(self) -> dict[int, Connection]:
        """The connections there are, by the number of their open file."""
        now = self._clock()
        ended, self._ended = self._ended or {}, {}
        before, self._sockets = self._sockets, {}
        connections: dict[int, Connection] = {}
        for name in os.listdir(OPEN_FILES):
            number = int(name)
            try:
                status = os.fstat(number)
            except OSError:
                continue  # closed meanwhile
            if not stat.S_ISSOCK(status.st_mode):
                continue
            inode, connection = before.get(number, (0, None))
            if inode != status.st_ino:
                connection = self._identify(number, status.st_ino, now)
            self._sockets[number] = status.st_ino, connection
            if connection is None or connection.ending:
                continue
            if connection.peer in self._under_way:
                connection.served, connection.idle_since = True, now
            elif connection.peer in ended:
                connection.served, connection.idle_since = True, ended[connection.peer]
            connections[number] = connection
        return connections

    def _identify(self, number: int, inode: int, now: float) -> Connection | None:
        """The connection behind an open file; None for a socket that is no connection to our port."""
        with suppress(OSError), _duplicate(number) as handle:
            if (
                handle.family not in (socket.AF_INET, socket.AF_INET6)
                or handle.getsockname()[1] != self._port
            ):
                return None
            host, port = handle.getpeername()[:2]
            address, is_proxy = self._locate(host) or (host, False)
            return Connection(inode, (host, str(port)), address, is_proxy=is_proxy, now=now)
        return None

    def _idle(self, members: list[tuple[int, Connection]], grace: float) -> list[tuple[int, Connection]]:
        """The connections that are idle for so many seconds; the next to end is the last."""
        since = self._clock() - grace
        idle = [
            member
            for member in members
            if member[1].peer not in self._under_way and member[1].idle_since <= since
        ]
        return sorted(idle, key=lambda member: (member[1].served, member[1].idle_since), reverse=True)

    def _end(self, idle: list[tuple[int, Connection]], number: int, bound: str, address: str) -> int:
        """End so many of these connections, and take them from the list; the number that were ended."""
        ended = 0
        while idle and ended < number:
            ended += _shut(*idle.pop(), half_sent_before=self._half_sent_before)
        if self._metrics is not None:
            self._metrics.connections_closed.labels(bound).inc(ended)
        now = self._clock()
        if ended and now >= self._report_again:
            self._report_again = now + REPORT_SECONDS
            log.warning("idle connections beyond their share were ended", extra={"address": address})
        return ended


def _can_look() -> bool:
    return OPEN_FILES.is_dir()


def _duplicate(number: int) -> socket.socket:
    """A handle of our own on an open file: it means the same socket, whatever becomes of the number."""
    return socket.socket(fileno=os.dup(number))


def _shut(number: int, connection: Connection, *, half_sent_before: float) -> bool:
    """End a connection; the server notices, and closes its file. False when it goes on."""
    with suppress(OSError), _duplicate(number) as handle:
        if os.fstat(handle.fileno()).st_ino != connection.inode:
            return False
        if not connection.served and connection.idle_since > half_sent_before and _bytes_received(handle):
            return False
        connection.ending = True
        handle.shutdown(socket.SHUT_RDWR)
        return True
    return False


def _bytes_received(handle: socket.socket) -> int:
    """Bytes that came over a connection (``tcpi_bytes_received``, tcp(7)); 0 where this is not known."""
    info = handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 136)
    return int.from_bytes(info[128:136], sys.byteorder)


def peer_of(scope: Any) -> Peer | None:
    """The other end of a request's connection, as ``Connections`` knows it."""
    client = scope.get("client")
    return (client[0], str(client[1])) if client else None
