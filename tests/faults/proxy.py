"""A proxy between nodes that spoils what goes through it: each connection in ways drawn from one seed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

FAULTS = ("delay", "cut", "truncate", "duplicate", "corrupt", "half-open", "slow")
PIECE = 4_096
LIKELY = 0.25
"""How likely a fault is for each answer, or piece of one, while there are faults."""
LATE = 0.2
"""Seconds that what is delayed comes late, and that nothing comes on what is half open."""
DRIP = 400
"""Bytes at a time on what is slow."""


class Proxy:
    """Stands before one node. Without ``spoiling`` everything goes through as it is."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._connections = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.target = ""
        """Where the node listens; nobody answers as long as there is none."""
        self.url = ""
        self.spoiling = False
        self.counts: Counter[str] = Counter()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self._connections += 1
        chance = random.Random(f"{self._seed} {self._connections}")
        behind: asyncio.StreamWriter | None = None
        try:
            port = urlsplit(self.target).port
            answers, behind = await asyncio.open_connection("127.0.0.1", port)
            there = asyncio.create_task(self._through(reader, behind, None))
            back = asyncio.create_task(self._through(answers, writer, chance))
            try:
                # Either end that is closed closes the other: nobody waits for what is not to come.
                await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in (there, back):
                    one.cancel()
                await asyncio.gather(there, back, return_exceptions=True)
        except OSError:
            pass
        finally:
            self._tasks.discard(task)
            for end in (writer, behind):
                if end is not None:
                    end.close()

    async def _through(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chance: random.Random | None
    ) -> None:
        """Hand on what comes, until one end is closed or a fault ends it."""
        with suppress(OSError):
            while piece := await reader.read(PIECE):
                if chance is not None and self.spoiling and chance.random() < LIKELY:
                    kind = chance.choice(FAULTS)
                    self.counts[kind] += 1
                    if not await self._spoiled(kind, piece, writer, chance):
                        return
                    continue
                writer.write(piece)
                await writer.drain()

    @staticmethod
    async def _spoiled(kind: str, piece: bytes, writer: asyncio.StreamWriter, chance: random.Random) -> bool:
        """Hand on a piece, spoiled. False when nothing more comes after it."""
        at = chance.randrange(len(piece))
        match kind:
            case "delay":
                await asyncio.sleep(LATE)
                writer.write(piece)
            case "cut":
                writer.write(piece[:at])
                writer.transport.abort()
                return False
            case "truncate":
                writer.write(piece[:at])
                await writer.drain()
                if writer.can_write_eof():
                    writer.write_eof()
                return False
            case "duplicate":
                writer.write(piece + piece)
            case "corrupt":
                writer.write(piece[:at] + bytes((piece[at] ^ 1 << chance.randrange(8),)) + piece[at + 1 :])
            case "half-open":
                await asyncio.sleep(LATE)
                writer.transport.abort()
                return False
            case "slow":
                for start in range(0, len(piece), DRIP):
                    writer.write(piece[start : start + DRIP])
                    await writer.drain()
                    await asyncio.sleep(0.005)
        await writer.drain()
        return True

    async def close(self) -> None:
        """End every connection."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def a_proxy(seed: int) -> AsyncIterator[Proxy]:
    """A proxy that listens; its target is to be set."""
    proxy = Proxy(seed)
    server = await asyncio.start_server(proxy._accept, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
