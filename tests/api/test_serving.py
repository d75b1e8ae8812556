"""One process of the node among hostile connections and lost signals."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from federation.edge import requests
from federation.server import serve
from federation.settings.settings import Settings
from tests.api.http_client import on_the_wire
from tests.domain.builders import a_solution
from tests.nodes import a_node, answers, free_port, publish
from tests.waiting import MAX_WAIT_SECONDS

pytestmark = pytest.mark.long

# A node in a process of its own, whose pipe for signals is full when it says "ready".
A_NODE = """
import asyncio, pathlib, signal, socket, sys
from federation.server import serve
from federation.settings.settings import Settings

async def main():
    port = int(sys.argv[2])
    settings = Settings(
        operator="arnia", url=f"http://127.0.0.1:{port}", name="arnia",
        data_dir=pathlib.Path("/nowhere"), port=port, database_url=sys.argv[1], drain_seconds=0,
    )
    node = asyncio.ensure_future(serve.serve(settings))
    while True:
        await asyncio.sleep(0.1)
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            continue
        writer.close()
        break
    full, other = socket.socketpair()
    full.setblocking(False)
    try:
        while True:
            full.send(b"x" * 4096)
    except BlockingIOError:
        pass
    if sys.argv[3] == "lost":
        signal.set_wakeup_fd(full.fileno(), warn_on_full_buffer=False)
    print("ready", flush=True)
    await node

asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("wake_up", ["lost", "kept"])
async def test_a_node_that_is_told_to_stop_stops_even_when_the_wake_up_is_lost(
    dsn: str, number: signal.Signals, wake_up: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", A_NODE, dsn, str(free_port()), wake_up,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(MAX_WAIT_SECONDS):
            assert process.stdout
            assert await process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        async with asyncio.timeout(MAX_WAIT_SECONDS):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


HALF_A_FORM = (
    b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: 1000\r\n\r\ngrant"
)


async def test_a_body_that_falls_silent_is_given_up(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with on_the_wire(dsn) as (_, client), asyncio.timeout(MAX_WAIT_SECONDS):
        monkeypatch.setattr(requests, "MAX_SILENT_SECONDS", 0.3)
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(HALF_A_FORM)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")  # and the connection ends
        writer.close()
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b'"invalid_request"' in body
    assert b"nothing more of the body came" in body


async def test_a_body_that_comes_byte_by_byte_is_given_up(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with on_the_wire(dsn) as (_, client), asyncio.timeout(MAX_WAIT_SECONDS):
        monkeypatch.setattr(requests, "MAX_SILENT_SECONDS", MAX_WAIT_SECONDS)
        monkeypatch.setattr(requests, "MAX_BODY_SECONDS", 1)
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(HALF_A_FORM)
        answered = asyncio.ensure_future(reader.read())
        while not answered.done():
            writer.write(b"x")
            await asyncio.sleep(0.1)
        writer.close()
    assert (await answered).startswith(b"HTTP/1.1 408 ")


async def test_a_body_that_comes_in_time_is_read_however_it_is_cut(dsn: str) -> None:
    async with on_the_wire(dsn) as (_, client):

        async def crumbs() -> AsyncIterator[bytes]:
            for byte in b"grant_type=client_credentials":
                yield bytes([byte])
                await asyncio.sleep(0.005)

        answer = await client.post(
            "/oauth2/token",
            content=crumbs(),
            headers={"content-type": "application/x-www-form-urlencoded"},
            auth=("client-erp", "secret-of-erp"),
        )
    assert answer.status_code == 200, answer.text


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the bound is one of Linux")
async def test_a_reader_that_does_not_read_is_cut_off(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody takes the answer: the connection ends, though it is the client's silence and not ours."""
    monkeypatch.setattr(serve, "STALL_SECONDS", 1)
    async with a_node("arnia", dsn) as node:
        for n in range(40):
            text = {language: "m" * 19_900 for language in ("fr", "en", "br", "ca", "co", "de", "es", "eu")}
            await publish(node, "solution", f"s{n}", a_solution(description=text), tlp="CLEAR")
    port = free_port()
    async with serving_itself(dsn, port):
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            deaf.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(deaf, ("127.0.0.1", port))
            await loop.sock_sendall(deaf, b"GET /v1/solutions?limit=500 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert knows(port, deaf.getsockname()[1])
            got, reset = 0, False
            async with asyncio.timeout(MAX_WAIT_SECONDS):
                while knows(port, deaf.getsockname()[1]):
                    await asyncio.sleep(0.05)
                try:
                    while piece := await loop.sock_recv(deaf, 65_536):
                        got += len(piece)
                except ConnectionError:
                    reset = True
    assert reset
    assert got < 1_000_000


def knows(port: int, other: int) -> bool:
    """Whether the kernel has a connection of this port to another port. Who reads nothing is not told."""
    connections = [line.split()[1:3] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any((int(a[-4:], 16), int(b[-4:], 16)) == (port, other) for a, b in connections)


@asynccontextmanager
async def serving_itself(dsn: str, port: int, **changes: Any) -> AsyncIterator[None]:
    """`serve`, in this process, stopped by the signal that stops it."""
    settings = Settings(
        operator="arnia", url=f"http://127.0.0.1:{port}", name="arnia", data_dir=Path("/nowhere"),
        port=port, database_url=dsn, **{"drain_seconds": 0, **changes},
    )  # fmt: skip
    node = asyncio.ensure_future(serve.serve(settings))
    await answers(f"http://127.0.0.1:{port}/health/ready")
    try:
        yield
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await node
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().remove_signal_handler(number)
