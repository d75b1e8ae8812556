"""Compression of answers (RFC 9110, 12.5.3): zstd (RFC 8878) or gzip (RFC 1952), where a caller asks for one.

    an answer with an ETag        → as it is: its bytes are those whose hash the ETag names
    a short answer, an event      → as it is: nothing to gain, and an event must not wait for the next one
    any other text                → compressed whole; above ``LOOP_BYTES`` in a thread
    a stream of lines             → piece by piece, each piece complete for the reader

Nodes ask their peers for no compression, so what they pull is sent as it is stored.
"""

from __future__ import annotations

import asyncio
import sys
import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

from federation.edge.weights import weighted

if sys.version_info >= (3, 14):
    from compression import zstd as zstd
else:
    from backports import zstd as zstd

MIN_BYTES = 1_024
"""Shorter answers are sent as they are."""
LOOP_BYTES = 65_536
"""Longer pieces are compressed in a thread: a millisecond of the event loop is some hundred kilobytes."""
LEVEL = 3
"""Of both: higher ones take several times as long for a tenth less."""
CODINGS = ("zstd", "gzip")
"""In the order of preference, where a caller has none."""
MAX_CODINGS = 50
"""Codings of a header that are looked at."""
TYPES = (
    b"application/json",
    b"application/problem+json",
    b"application/x-ndjson",
    b"text/html",
    b"text/plain",
    b"text/css",
    b"text/csv",
    b"text/javascript",
)
"""Media types that are compressed."""

Send = Callable[[Any], Any]


class Compressor(Protocol):
    """A compressor of one answer."""

    def whole(self, body: bytes) -> bytes:
        """The whole answer."""
        ...

    def piece(self, body: bytes, *, last: bool) -> bytes:
        """A piece of it, which the reader can decompress without the next one."""
        ...


class _Zstd:
    def __init__(self) -> None:
        self._compressor = zstd.ZstdCompressor(level=LEVEL)

    def whole(self, body: bytes) -> bytes:
        return zstd.compress(body, level=LEVEL)

    def piece(self, body: bytes, *, last: bool) -> bytes:
        if last:
            return self._compressor.compress(body, zstd.ZstdCompressor.FLUSH_FRAME)
        return self._compressor.compress(body, zstd.ZstdCompressor.FLUSH_BLOCK)


class _Gzip:
    def __init__(self) -> None:
        self._compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)

    def whole(self, body: bytes) -> bytes:
        return self._compressor.compress(body) + self._compressor.flush()

    def piece(self, body: bytes, *, last: bool) -> bytes:
        mode = zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH
        return self._compressor.compress(body) + self._compressor.flush(mode)


_COMPRESSORS: dict[str, Callable[[], Compressor]] = {"zstd": _Zstd, "gzip": _Gzip}


def compressing(scope: Any, send: Send) -> Send:
    """The function that sends an answer to a request, compressed where its caller accepts a coding."""
    for name, value in scope["headers"]:
        if name == b"accept-encoding" and (coding := coding_of(value)) is not None:
            return CompressedAnswer(coding, send)
    return send


@lru_cache(256)
def coding_of(accepted: bytes) -> str | None:
    """The coding that ``Accept-Encoding`` prefers among ours; None for none."""
    best, chosen = 0.0, None
    weights = dict(weighted(accepted.decode("latin-1"), MAX_CODINGS))
    for coding in CODINGS:
        if (weight := weights.get(coding, 0.0)) > best:
            best, chosen = weight, coding
    return chosen


class CompressedAnswer:
    """Sends the messages of one answer, compressed if it is one that is."""

    def __init__(self, coding: str, send: Send) -> None:
        self._coding = coding
        self._send = send
        self._start: Any = None
        """The first message, until the first piece of the body says how long the answer is."""
        self._compressor: Compressor | None = None

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            if _is_compressed_type(message["headers"]):
                self._start = message
            else:
                await self._send(message)
        elif self._start is not None:
            await self._begin(message)
        elif self._compressor is not None:
            last = not message.get("more_body", False)
            piece = await self._piece(self._compressor, message.get("body", b""), last=last)
            if piece or last:
                await self._send({**message, "body": piece})
        else:
            await self._send(message)

    async def _begin(self, message: Any) -> None:
        """Send the beginning of an answer, of which this is the first piece."""
        start, self._start = self._start, None
        body, more = message.get("body", b""), message.get("more_body", False)
        headers = [(name, value) for name, value in start["headers"] if name != b"vary"]
        vary = [value for name, value in start["headers"] if name == b"vary"]
        headers.append((b"vary", b", ".join([*vary, b"accept-encoding"])))
        if not more and len(body) < MIN_BYTES:
            await self._send({**start, "headers": headers})
            await self._send(message)
            return
        compressor = _COMPRESSORS[self._coding]()
        if more:
            self._compressor = compressor
            compressed = await self._piece(compressor, body, last=False)
        else:
            compressed = await self._run(lambda: compressor.whole(body), len(body))
        headers = [header for header in headers if header[0] != b"content-length"]
        headers.append((b"content-encoding", self._coding.encode()))
        if not more:
            headers.append((b"content-length", b"%d" % len(compressed)))
        await self._send({**start, "headers": headers})
        await self._send({**message, "body": compressed})

    async def _piece(self, compressor: Compressor, body: bytes, *, last: bool) -> bytes:
        if not body and not last:
            return b""
        return await self._run(lambda: compressor.piece(body, last=last), len(body))

    @staticmethod
    async def _run(compress: Callable[[], bytes], size: int) -> bytes:
        return compress() if size <= LOOP_BYTES else await asyncio.to_thread(compress)


def _is_compressed_type(headers: list[tuple[bytes, bytes]]) -> bool:
    media_type = b""
    for name, value in headers:
        if name in (b"etag", b"content-encoding"):
            return False
        if name == b"content-type":
            media_type = value.partition(b";")[0].strip()
    return media_type in TYPES
