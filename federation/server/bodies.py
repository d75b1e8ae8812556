"""Bodies of requests that are answered before they were read.

A server that answers and closes without a word leaves a proxy with a connection that looks usable: the next
request on it, of anybody, fails. And a connection that is closed with unread bytes is reset, so the answer
may never arrive (RFC 9112, 9.3 and 9.6). Therefore:

    a refusal          → read the rest of the body first, up to ``DRAIN_BYTES`` and ``DRAIN_SECONDS``
    too much remains   → say ``Connection: close``, answer, and read on for ``LINGER_SECONDS`` before the end
    nothing was asked  → where the caller waits for ``100 Continue``, nothing is read (RFC 9110, 10.1.1)
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

DRAIN_BYTES = 262_144
"""Rest of a refused body that is read before the answer, at most."""
DRAIN_SECONDS = 1.0
"""Time for it."""
LINGER_BYTES = 4 * 1_048_576
"""Rest that is read after the answer, at most, while the caller still sends."""
LINGER_SECONDS = 2.0
"""Time that a connection lasts after such an answer, at most, for the caller to read it."""


class RequestBody:
    """The body of one request, as far as it was read."""

    def __init__(self, receive: Any, length: int | None, *, expects_continue: bool) -> None:
        self._receive = receive
        self._length = length
        """None: as many bytes as come, in chunks."""
        self._expects_continue = expects_continue
        self._size = 0
        self.complete = length == 0

    async def receive(self) -> Any:
        """The next message, for the application."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            self.complete = not message.get("more_body", False) or self._size == self._length
        else:
            self.complete = True  # nobody is there to send more
        return message

    async def drain(self) -> bool:
        """Read the rest before an answer; False when it is too much, too slow or not yet sent."""
        if self.waits_for_continue or (self._length is not None and self._length - self._size > DRAIN_BYTES):
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._read_on(DRAIN_BYTES)
        return self.complete

    async def linger(self) -> None:
        """Read on after the answer, so that the caller can take it before the connection ends."""
        if self.complete or self.waits_for_continue:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                await self._read_on(LINGER_BYTES)
                if not self.complete:
                    await asyncio.sleep(LINGER_SECONDS)  # the caller can send no further, but read

    @property
    def waits_for_continue(self) -> bool:
        """True while the caller sends nothing before it was told to."""
        return self._expects_continue and not self._size

    async def _read_on(self, size: int) -> None:
        end = self._size + size
        while not self.complete and self._size < end:
            await self.receive()


def body_of(scope: Any, receive: Any) -> RequestBody | None:
    """The body of a request, by its headers; None for a request without one."""
    length: int | None = 0
    expects_continue = False
    for name, value in scope["headers"]:
        if name == b"content-length":
            length = int(value) if value.isdigit() and len(value) < 20 else None
        elif name == b"transfer-encoding":
            length = None
            break
        elif name == b"expect":
            expects_continue = value.lower() == b"100-continue"
    if length == 0:
        return None
    return RequestBody(receive, length, expects_continue=expects_continue)
