"""The greedy client: thousands of waits of one peer, streams of one token, idle connections of one address.

They go on while another client reads and a probe asks for ``/health/ready``. None of these may fail, and they
may become slower by a bounded factor only. Once the greedy client has gone, the node's memory is what it was.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx2

from federation.node.node import Node
from federation.postgres import server as postgres_server
from tests.attack.forged_tokens import Party
from tests.domain.builders import a_solution
from tests.hostile.reader import Readings, read, read_in_process
from tests.nodes import NO_TLS, a_client, a_node, another_token, answers, free_port, publish
from tests.waiting import MAX_WAIT_SECONDS

MAX_RATIO = 5.0
"""The p99 of the other client's requests during the attack, as a multiple of that before, at most."""
MAX_LEFT_BYTES = 64 * 1_048_576
"""Memory of the node after the attack beyond that before, at most."""
AGAIN_SECONDS = 5.0
"""Time after which a connection that was ended is opened again."""
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Numbers(NamedTuple):
    """Sizes of an attack."""

    waits: int = 1_200
    streams: int = 1_200
    idle: int = 1_100
    requests: int = 400
    """Requests of the other client, and of the probe, before and during it."""


class Outcome(NamedTuple):
    """Effects of an attack."""

    failures: list[str]
    """Requests of the other client and the probe that failed."""
    refused: int
    """Requests of the greedy client that were refused, or whose connection was ended."""
    p99_before: float
    """Seconds."""
    p99_during: float


Head = Callable[[str], dict[str, str]]
"""The headers of a caller for a GET of a path."""


class Greedy:
    """One greedy client: opens connections, asks on each of them, and asks again when it was refused."""

    def __init__(self, url: str) -> None:
        self._url = httpx2.URL(url)
        self.refused = 0
        self.started = 0
        """Connections that were opened and have asked, if they ask, for the first time."""

    async def ask(self, path: str, headers: Head, delay: float) -> None:
        """Keep one request under way, and its connection when it is refused."""
        await asyncio.sleep(delay)
        self.started += 1
        while True:
            with suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection(self._url.host, self._url.port)
                try:
                    await self._ask_again_and_again(reader, writer, path, headers)
                finally:
                    writer.close()
            self.refused += 1
            await asyncio.sleep(AGAIN_SECONDS)

    async def _ask_again_and_again(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, headers: Head
    ) -> None:
        tag = ""
        while True:
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers(path).items())
            lines += f"if-none-match: {tag}\r\n" if tag else ""
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            tag = _value(head, "etag") or tag
            length = _value(head, "content-length")
            if head.startswith("http/1.1 200") and length is None:
                await reader.read()  # a stream, as long as it lasts
                return
            await reader.readexactly(int(length or 0))
            if not head.startswith(("http/1.1 200", "http/1.1 304")):
                self.refused += 1
                await asyncio.sleep(float(_value(head, "retry-after") or 0))

    async def idle(self, delay: float) -> None:
        """Keep a silent connection open."""
        await asyncio.sleep(delay)
        self.started += 1
        while True:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection(self._url.host, self._url.port)
                try:
                    await reader.read()
                finally:
                    writer.close()
            self.refused += 1
            await asyncio.sleep(AGAIN_SECONDS)


def _value(head: str, name: str) -> str | None:
    _, separator, rest = head.partition(f"\r\n{name}: ")
    return rest.partition("\r\n")[0] if separator else None


Read = Callable[[str, str, int], Awaitable[Readings]]
"""Reads as another client, by URL, ``Authorization`` and number."""


async def attack(
    url: str, waiting: Head, streaming: Head, other: str, numbers: Numbers, read: Read = read
) -> Outcome:
    """Attack a node, and measure another client before and meanwhile."""
    greedy = Greedy(url)
    await read(url, other, numbers.requests // 4)
    before = await read(url, other, numbers.requests)
    sources = [
        *(greedy.ask("/v1/feeds", waiting, n / 150) for n in range(numbers.waits)),
        *(greedy.ask("/v1/changes", streaming, n / 150) for n in range(numbers.streams)),
        *(greedy.idle(n / 500) for n in range(numbers.idle)),
    ]
    tasks = [asyncio.create_task(source) for source in sources]
    try:
        during = [await read(url, other, numbers.requests)]
        end = asyncio.get_running_loop().time() + MAX_WAIT_SECONDS
        while greedy.started < len(tasks) and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.1)
        during.append(await read(url, other, numbers.requests))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return Outcome(
        [failure for readings in (before, *during) for failure in readings.failures],
        greedy.refused,
        before.p99,
        max(readings.p99 for readings in during),
    )


# A node of its own, as a process


class Process(NamedTuple):
    """A node that runs as a process of its own, and the same node in this process, to add clients."""

    url: str
    pid: int
    node: Node


@asynccontextmanager
async def node_process() -> AsyncIterator[Process]:
    """``federation serve`` with its own PostgreSQL, in a directory that is removed at the end."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hostile-")), "data")
        environment = {name: value for name, value in os.environ.items() if "FEDERATION_" not in name}
        environment |= {
            "FEDERATION_OPERATOR": "arnia",
            "FEDERATION_PORT": str(port),
            "FEDERATION_DATA_DIR": str(directory),
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "federation.cli", "serve", env=environment,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await answers(f"{url}/health/ready")
            async with (
                postgres_server.running(directory, exclusive=False) as dsn,
                a_node("arnia", dsn, url=url) as node,
            ):
                yield Process(url, process.pid, node)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


def resident_bytes(pid: int) -> int:
    """Memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def peer_headers(process: Process) -> Head:
    """Megalis becomes a peer of the node, and waits with its token."""
    megalis = Party("megalis")
    async with process.node.store.write() as tx:
        await tx.peers.add(megalis.known())
    await process.node.notifier.refresh()
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION,
        "client_assertion": megalis.assertion(process.url),
    }
    async with httpx2.AsyncClient(verify=NO_TLS, trust_env=False) as client:
        proof = megalis.proof("POST", f"{process.url}/oauth2/token")
        answer = await client.post(f"{process.url}/oauth2/token", data=form, headers={"dpop": proof})
        assert answer.status_code == 200, answer.text
        token = answer.json()["access_token"]

        def headers(path: str) -> dict[str, str]:
            proof = megalis.proof("GET", f"{process.url}{path}", token)
            return {"authorization": f"DPoP {token}", "dpop": proof}

    return lambda path: {**headers(path), "prefer": "wait=30"}


async def main(numbers: Numbers = Numbers()) -> bool:  # noqa: B008 - a tuple, never changed
    """Attack a node; print the figures, and return whether every bound held."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = sum(numbers) + 512
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(needed, hard)), hard))
    async with node_process() as process:
        await publish(process.node, "solution", "one", a_solution(), tlp="CLEAR")
        clients = [await a_client(process.node, name=name) for name in ("other", "streams")]
        async with httpx2.AsyncClient(base_url=process.url, verify=NO_TLS, trust_env=False) as client:
            other, streams = [await another_token(client, credentials) for credentials in clients]
        streaming = {**streams, "accept": "text/event-stream"}
        waiting = await peer_headers(process)
        attacked = (process.url, waiting, lambda _: streaming, other["authorization"])
        await attack(*attacked, Numbers(waits=30, streams=30, idle=100, requests=40))
        memory = resident_bytes(process.pid)
        outcome = await attack(*attacked, numbers, read_in_process)
        await asyncio.sleep(35)  # as long as a wait lasts
        left = resident_bytes(process.pid) - memory
    ratio = outcome.p99_during / outcome.p99_before
    before, during = outcome.p99_before * 1_000, outcome.p99_during * 1_000
    for line in (
        f"{numbers.waits} waits of one peer, {numbers.streams} streams of one token, {numbers.idle} idle",
        f"  refused or ended: {outcome.refused}",
        f"  failed requests of another client and of the probe: {len(outcome.failures)} (none may)",
        *(f"    {failure}" for failure in outcome.failures[:5]),
        f"  p99 of another client: {before:.1f} ms before, {during:.1f} ms meanwhile,"
        f" {ratio:.1f} times as long (at most {MAX_RATIO:g})",
        f"  memory of the node: {left / 1_048_576:+.1f} MiB (at most {MAX_LEFT_BYTES // 1_048_576})",
    ):
        print(line, flush=True)
    return not outcome.failures and ratio <= MAX_RATIO and left <= MAX_LEFT_BYTES
