"""The load generator: prepared requests over connections that stay open, one at a time on each.

A process of its own, without a framework or an event loop but epoll's: about 12 µs a request, so that the
servers are the bottleneck. How busy it was is part of its report.

    python -m bench.load < task.json > report.json
"""

from __future__ import annotations

import asyncio
import select
import socket
import sys
import time
from urllib.parse import urlsplit

import msgspec

from bench.measuring import percentile


class Task(msgspec.Struct, kw_only=True):
    """What to send."""

    url: str
    requests: list[bytes]
    """Whole requests, sent in turn."""
    connections: int
    seconds: float = 0.0
    """How long; 0: until each request has been sent once."""
    expected: tuple[int, ...] = (200,)
    """Statuses that are no failure."""


class Report(msgspec.Struct, kw_only=True):
    """What came of it."""

    answers: int
    seconds: float
    cpu: float
    """Seconds of processor time of the generator."""
    p50: float
    p95: float
    p99: float
    """Milliseconds from the first byte sent to the last byte received."""
    bytes: int

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


class Failed(Exception):
    """An answer that was not expected: a figure of it would mean nothing."""


def request(
    method: str, path: str, *, token: str | None = None, body: bytes = b"", media_type: str = ""
) -> bytes:
    """The bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "host: bench", "accept: */*"]
    if token is not None:
        lines.append(f"authorization: Bearer {token}")
    if body or method in ("PUT", "POST"):
        lines.append(f"content-length: {len(body)}")
    if media_type:
        lines.append(f"content-type: {media_type}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class _Connection:
    """One request at a time, and the answer to it as far as it has come."""

    __slots__ = ("began", "buffer", "length", "socket")

    def __init__(self, place: tuple[str, int]) -> None:
        self.socket = socket.create_connection(place)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.length = 0
        self.began = 0.0

    def send(self, what: bytes) -> None:
        self.buffer.clear()
        self.length = 0
        self.began = time.perf_counter()
        self.socket.sendall(what)

    def whole(self, expected: tuple[int, ...]) -> bool:
        """Read what is there; True when the answer is whole. Raises Failed for one that is not expected."""
        piece = self.socket.recv(1_048_576)
        if not piece:
            raise Failed("the server closed the connection")
        self.buffer += piece
        if not self.length:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return False
            head = bytes(self.buffer[:end]).lower()
            status = int(head[9:12])
            if status not in expected:
                raise Failed(f"status {status}: {bytes(self.buffer[:600])!r}")
            _, found, rest = head.partition(b"content-length:")
            if not found and status != 204:
                raise Failed(f"an answer without its length: {head!r}")
            self.length = end + 4 + (int(rest.split(b"\r\n", 1)[0]) if found else 0)
        return len(self.buffer) >= self.length


def run(task: Task) -> Report:
    """Send requests as fast as they are answered."""
    parts = urlsplit(task.url)
    place = (parts.hostname or "", parts.port or 80)
    connections = {}
    polling = select.epoll()
    for _ in range(min(task.connections, len(task.requests))):
        connection = _Connection(place)
        connections[connection.socket.fileno()] = connection
        polling.register(connection.socket.fileno(), select.EPOLLIN)
    took: list[float] = []
    size = 0
    sent = 0
    last = None if task.seconds else len(task.requests)
    processor, began = time.process_time(), time.perf_counter()
    deadline = began + task.seconds
    for connection in connections.values():
        connection.send(task.requests[sent % len(task.requests)])
        sent += 1
    open_ = len(connections)
    now = began
    while open_:
        for fileno, _ in polling.poll(60):
            connection = connections[fileno]
            if not connection.whole(task.expected):
                continue
            now = time.perf_counter()
            took.append(now - connection.began)
            size += connection.length
            if sent >= last if last is not None else now >= deadline:
                open_ -= 1
                continue
            connection.send(task.requests[sent % len(task.requests)])
            sent += 1
    seconds, cpu = now - began, time.process_time() - processor
    for connection in connections.values():
        connection.socket.close()
    return Report(
        answers=len(took),
        seconds=seconds,
        cpu=cpu,
        p50=percentile(took, 0.50) * 1_000,
        p95=percentile(took, 0.95) * 1_000,
        p99=percentile(took, 0.99) * 1_000,
        bytes=size,
    )


async def loaded(task: Task) -> Report:
    """Run a task in a process of its own. Raises Failed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.load",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, wrong = await process.communicate(msgspec.msgpack.encode(task))
    if process.returncode:
        raise Failed(wrong.decode(errors="replace").strip().splitlines()[-1])
    return msgspec.msgpack.decode(said, type=Report)


if __name__ == "__main__":
    sys.stdout.buffer.write(
        msgspec.msgpack.encode(run(msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Task)))
    )
