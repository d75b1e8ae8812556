"""Idle connections end when their address, or all together, have too many; nobody else's do."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network

import httpx2
import pytest

from federation.edge.limits import Proxies
from federation.server import connections as connections_module
from federation.server.connections import GRACE_SECONDS, HALF_SENT_SECONDS, Connections
from federation.telemetry import Metrics
from tests.api.raw import RawConnection, connected
from tests.api.test_limits import Clock
from tests.api.test_serving import serving_itself
from tests.nodes import free_port
from tests.waiting import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at open files through /proc")


class Server:
    """A listener that accepts, and connections to it from addresses of this machine."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.accepted: dict[tuple[str, int], asyncio.StreamWriter] = {}
        self.opened: list[asyncio.StreamWriter] = []

    async def connect(self, address: str, number: int = 1) -> list[tuple[str, str]]:
        """Connect so often; the addresses and ports, as the server knows them."""
        peers = []
        for _ in range(number):
            _, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(address, 0))
            name = writer.get_extra_info("sockname")
            self.opened.append(writer)

            async def is_accepted(name: tuple[str, int] = name) -> bool:
                return name in self.accepted

            await until(is_accepted)
            peers.append((name[0], str(name[1])))
        return peers

    async def ended(self, number: int) -> set[tuple[str, str]]:
        """The connections that have ended, once there are so many."""

        def find() -> set[tuple[str, str]]:
            return {
                (host, str(port))
                for (host, port), writer in self.accepted.items()
                if writer.transport.is_closing()
            }

        async def are_so_many() -> bool:
            return len(find()) >= number

        await until(are_so_many)
        await asyncio.sleep(0.02)
        return find()

    def close(self) -> None:
        for writer in [*self.accepted.values(), *self.opened]:
            writer.close()


@asynccontextmanager
async def listening() -> AsyncIterator[Server]:
    port = free_port()
    served = Server(port)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.accepted[writer.get_extra_info("peername")] = writer
        await reader.read()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", port)
    try:
        yield served
    finally:
        served.close()
        server.close()
        await server.wait_closed()


async def test_an_address_beyond_its_share_loses_idle_connections_and_no_other_does() -> None:
    clock, metrics = Clock(), Metrics()
    async with listening() as server:
        connections = Connections(server.port, total=100, per_address=3, metrics=metrics, clock=clock)
        many = await server.connect("127.0.0.1", 6)
        few = await server.connect("127.0.0.2", 3)
        end = connections.begin(many[0])
        assert not connections.look(), "a request may be on its way"
        clock.now += GRACE_SECONDS
        assert connections.look()
        ended = await server.ended(3)
        assert len(ended) == 3
        assert ended < set(many[1:])
        assert not set(few) & ended
        assert not connections.look(), "what was ended is not counted"
        end()
        page = metrics.exposition().decode()
        assert 'federation_connections_closed_total{bound="address"} 3.0' in page
        assert "federation_connections 6.0" in page


async def test_those_that_have_carried_no_request_end_first_and_then_the_oldest() -> None:
    clock = Clock()
    async with listening() as server:
        connections = Connections(server.port, total=100, per_address=2, clock=clock)
        used = await server.connect("127.0.0.1", 3)
        connections.look()
        for peer in used:
            clock.now += 1
            connections.begin(peer)()
        silent = await server.connect("127.0.0.1", 1)
        connections.look()
        clock.now += GRACE_SECONDS
        connections.look()
        assert await server.ended(2) == {*silent, used[0]}


async def test_beyond_all_the_address_with_most_gives_first_and_proxies_last() -> None:
    clock = Clock()
    async with listening() as server:
        proxies = Proxies((ip_network("127.0.0.9"),))
        connections = Connections(
            server.port, total=6, per_address=5, spare=100, proxies=proxies, clock=clock
        )
        most = await server.connect("127.0.0.1", 4)
        fewer = await server.connect("127.0.0.2", 2)
        proxy = await server.connect("127.0.0.9", 6)
        connections.look()
        busy = [connections.begin(peer) for peer in most[:1]]
        clock.now += GRACE_SECONDS
        connections.look()
        ended = await server.ended(6)
        assert ended == {*most[1:], *fewer, *(ended & set(proxy))}
        assert len(ended & set(proxy)) == 1, "only when nobody else has one to give"
        for end in busy:
            end()


async def test_when_half_of_the_spare_ones_are_used_there_is_no_grace() -> None:
    async with listening() as server:
        connections = Connections(server.port, total=4, per_address=4, spare=4, clock=Clock())
        await server.connect("127.0.0.1", 3)
        await server.connect("127.0.0.2", 2)
        assert not connections.look()
        await server.connect("127.0.0.3", 1)
        assert connections.look()
        assert len(await server.ended(2)) == 2


async def test_no_other_socket_of_the_process_is_touched() -> None:
    clock = Clock()
    async with listening() as server, listening() as other:
        ours = await other.connect("127.0.0.1", 5)
        connections = Connections(server.port, total=1, per_address=1, clock=clock)
        connections.look()
        clock.now += GRACE_SECONDS
        assert not connections.look()
        assert not await other.ended(0)
        assert len(ours) == 5


async def test_a_connection_that_has_sent_something_has_more_time() -> None:
    """Its request may be whole, and wait for its turn."""
    clock = Clock()
    async with listening() as server:
        connections = Connections(server.port, total=100, per_address=1, clock=clock)
        peers = await server.connect("127.0.0.1", 3)
        for writer in server.opened[1:]:
            writer.write(b"GET / HTTP/1.1\r\n")
            await writer.drain()
        await asyncio.sleep(0.05)
        connections.look()
        clock.now += GRACE_SECONDS
        assert connections.look()
        assert await server.ended(1) == {peers[0]}
        clock.now += HALF_SENT_SECONDS
        assert connections.look()
        assert len(await server.ended(2)) == 2


async def test_two_requests_on_one_connection_end_one_by_one() -> None:
    """The next may begin before the end of the former was noted."""
    connections = Connections(1, total=1, per_address=1)
    peer = ("127.0.0.1", "1")
    first = connections.begin(peer)
    second = connections.begin(peer)
    first()
    first()
    assert peer in connections._under_way
    second()
    assert connections._under_way == {}


# A node behind its real server


@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Half:"])
async def test_idle_connections_of_one_address_are_closed_and_others_are_answered(
    dsn: str, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for grace in ("GRACE_SECONDS", "HALF_SENT_SECONDS"):
        monkeypatch.setattr(connections_module, grace, 0.3)
    port = free_port()
    url = httpx2.URL(f"http://127.0.0.1:{port}")
    live = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    async with (
        serving_itself(dsn, port, sockets_per_address=8),
        connected(url, address="127.0.0.2") as other,
    ):
        assert (await other.ask(live)).status == 200
        idle = [await RawConnection.open(url) for _ in range(30)]
        for connection in idle:
            connection.send(data)
        ends = [asyncio.ensure_future(connection.read_end()) for connection in idle]

        async def are_ended() -> bool:
            return sum(end.done() for end in ends) >= 22

        await until(are_ended)
        assert (await other.ask(live)).status == 200, "an idle connection of another address goes on"
        for end in ends:
            end.cancel()
        for connection in idle:
            connection.close()


# The end of a process


async def test_after_sigterm_a_process_serves_on_and_says_that_it_is_not_ready(dsn: str) -> None:
    """As long as a proxy needs to notice; each answer ends its connection, and a wait ends at once."""
    port = free_port()
    url = httpx2.URL(f"http://127.0.0.1:{port}")
    ready = b"GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n"
    live = ready.replace(b"ready", b"live")
    async with serving_itself(dsn, port, drain_seconds=60), connected(url) as before:
        assert (await before.ask(ready)).headers.get("connection") is None
        os.kill(os.getpid(), signal.SIGTERM)

        async def is_not_ready() -> bool:
            async with connected(url) as probe:
                return (await probe.ask(ready)).status == 503

        await until(is_not_ready)
        for connection in (before, *[await RawConnection.open(url) for _ in range(3)]):
            answer = await connection.ask(live)
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert await connection.read_end() == b""
            connection.close()
        # A second signal, which the block sends, ends it now.


async def test_after_the_time_to_drain_a_process_ends(dsn: str) -> None:
    port = free_port()
    async with serving_itself(dsn, port, drain_seconds=1):
        os.kill(os.getpid(), signal.SIGTERM)

        async def is_closed() -> bool:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                return True
            return False

        await until(is_closed)
