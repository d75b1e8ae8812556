"""What goes out and what may come back: the transport under every call to another node.

No redirects, no proxies of the environment, nothing compressed, and as many bytes as were agreed. The
bounds lie under the HTTP client, so that whatever uses it, Authlib too, is held by them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2

CONNECT = 10.0
"""Seconds to connect."""
SILENCE = 30.0
"""Seconds without a byte after which an answer is given up."""
SMALL_BYTES = 1_048_576
"""Bytes of an answer that is not a stream of entries, at most."""
STREAM = {"federation.stream": True}
"""Extension of a request whose answer is a stream: its reader bounds each line and the time."""
PIECES = 256
"""Pieces of an answer that are read before others have their turn."""


class Broke(httpx2.TransportError):
    """The answer is not read any further; the message says why."""


def settings() -> dict[str, Any]:
    """How every HTTP client of this node is made."""
    return {
        "transport": Outbound(),
        "follow_redirects": False,
        "trust_env": False,
        "timeout": httpx2.Timeout(SILENCE, connect=CONNECT),
        "headers": {"accept-encoding": "identity"},
    }


class Outbound(httpx2.AsyncHTTPTransport):
    """Sends requests and bounds their answers."""

    def __init__(self) -> None:
        super().__init__(trust_env=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        streams = response.status_code == 200 and request.extensions.get("federation.stream")
        limit = None if streams else SMALL_BYTES
        try:
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise Broke("the answer is compressed, which was not asked for")
            length = response.headers.get("content-length", "0")
            if limit is not None and length.isdigit() and int(length) > limit:
                raise Broke(f"the answer is longer than {limit} bytes")
        except Broke:
            await response.aclose()
            raise
        # The client reads the body from this stream, whole or in pieces.
        response.stream = _Bounded(response.stream, limit)
        return response


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: Any, limit: int | None) -> None:
        self._stream = stream
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        pieces = 0
        async for piece in self._stream:
            size += len(piece)
            if self._limit is not None and size > self._limit:
                raise Broke(f"the answer is longer than {self._limit} bytes")
            pieces += 1
            if pieces % PIECES == 0:
                # A buffer full of the smallest pieces is read without one wait: let others have a turn.
                await asyncio.sleep(0)
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
