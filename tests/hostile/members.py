"""Many members of a federation in one server, each at a path of its own: they answer, and publish nothing."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import msgspec

from federation.domain.peer import Peer
from federation.node.node import Node
from tests.sync.peers import known_as

_LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)
_PATH = re.compile(rb"[A-Z]+ /(m[0-9]+)(/[^ ?]*)(\?[^ ]*)? ")
_JSON = b"content-type: application/json\r\n"


def _answer(status: int, body: bytes = b"", headers: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d Said\r\n%scontent-length: %d\r\n\r\n%b" % (status, headers, len(body), body)


def _token() -> bytes:
    # Each has one of its own, as nodes do.
    name = hashlib.sha256(str(time.perf_counter_ns()).encode()).hexdigest()
    body = {"access_token": name, "token_type": "DPoP", "expires_in": 300}
    return _answer(200, msgspec.json.encode(body), _JSON)


class Members:
    """Members ``m0``, ``m1``, … of one server, each at a path of its own."""

    def __init__(self, url: str, *, wait_seconds: float) -> None:
        self.url = url
        self.tokens: Counter[str] = Counter()
        """Token requests by member."""
        self.asked: Counter[str] = Counter()
        """Questions for heads that did not wait, by member."""
        self.waiting: Counter[str] = Counter()
        """Waiting questions of this moment, by member."""
        self.relayed: list[str] = []
        """Members that were asked for feeds of others."""
        self.opening: set[str] = set()
        """Members that have been asked for a token, and not yet answered with heads."""
        self.max_opening = 0
        self.before_heads: Callable[[str], Awaitable[None]] | None = None
        """Called before a member answers its first heads."""
        self._wait_seconds = wait_seconds

    def peers(self, number: int) -> list[Peer]:
        """So many of them, as a node knows them."""
        return [known_as(f"m{n}", f"{self.url}/m{n}") for n in range(number)]

    async def answer(self, member: str, path: str, query: str, head: bytes) -> bytes:
        if path == "/oauth2/token":
            self.tokens[member] += 1
            self.opening.add(member)
            self.max_opening = max(self.max_opening, len(self.opening))
            return _token()
        if path != "/v1/feeds":
            return _answer(404)
        if query:
            self.relayed.append(member)
        elif b"if-none-match" in head.lower():
            self.waiting[member] += 1
            try:
                await asyncio.sleep(self._wait_seconds)
            finally:
                self.waiting[member] -= 1
            return _answer(304)
        else:
            self.asked[member] += 1
            if self.before_heads is not None:
                await self.before_heads(member)
            self.opening.discard(member)
        return _answer(200, b'{"feeds":[]}', _JSON + b'etag: "1"\r\n')

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                if length := _LENGTH.search(head):
                    await reader.readexactly(int(length[1]))
                path = _PATH.match(head)
                if path is None:
                    break
                member, target, query = (part.decode() if part else "" for part in path.groups())
                writer.write(await self.answer(member, target, query, head))
                await writer.drain()
        writer.close()


@asynccontextmanager
async def members(*, wait_seconds: float = 25.0) -> AsyncIterator[Members]:
    """A server of members, on a free port of the loopback interface."""
    serving: set[asyncio.Task[None]] = set()
    crowd = Members("", wait_seconds=wait_seconds)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        serving.add(task)
        try:
            await crowd.serve(reader, writer)
        finally:
            serving.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1_024)
    crowd.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield crowd
    finally:
        server.close()
        for task in list(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def befriend(node: Node, peers: list[Peer]) -> None:
    """Make these active peers of a node, on its side."""
    async with node.store.write() as tx:
        for peer in peers:
            await tx.peers.add(peer)
