"""Connections of which a test sends and reads every byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx2

from tests.waiting import MAX_WAIT_SECONDS


class RawAnswer(NamedTuple):
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes


class RawConnection:
    """One connection to a node."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, url: httpx2.URL, *, address: str = "127.0.0.1") -> RawConnection:
        """A connection from an address of this machine."""
        return cls(*await asyncio.open_connection(url.host, url.port, local_addr=(address, 0)))

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def drain(self) -> None:
        await self._writer.drain()

    async def ask(self, request: bytes) -> RawAnswer:
        """Send a request; the answer, without the body of a stream."""
        self.send(request)
        return await self.read_answer()

    async def read_answer(self) -> RawAnswer:
        """The next answer. Raises IncompleteReadError when the connection ends before."""
        async with asyncio.timeout(MAX_WAIT_SECONDS):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.split("\r\n")
            headers: dict[str, Any] = {}
            for line in filter(None, lines):
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return RawAnswer(int(first.split(" ")[1]), headers, body)

    async def read_end(self) -> bytes:
        """Everything until the connection ends; a reset is an end, too."""
        async with asyncio.timeout(MAX_WAIT_SECONDS):
            try:
                return await self._reader.read()
            except ConnectionError:
                return b""

    def close(self) -> None:
        self._writer.close()


@asynccontextmanager
async def connected(url: httpx2.URL, *, address: str = "127.0.0.1") -> AsyncIterator[RawConnection]:
    """A connection, closed at the end of the block."""
    connection = await RawConnection.open(url, address=address)
    try:
        yield connection
    finally:
        connection.close()
