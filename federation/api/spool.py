"""A spool: the lines of an upload in a temporary file, until all of them have been checked."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from typing import BinaryIO, ClassVar, ParamSpec, Self, TypeVar

from federation.domain.errors import Unavailable

P = ParamSpec("P")
T = TypeVar("T")

MAX_SPOOLS = 4
"""Uploads of a process that are spooled at a time: of 512 MiB each, in the directory for temporary files."""
BLOCK_BYTES = 1_048_576
"""Bytes written at a time."""


class Spool:
    """Lines on disk; nothing of them is left when the block ends, or the process."""

    _open: ClassVar[int] = 0

    async def __aenter__(self) -> Self:
        if Spool._open >= MAX_SPOOLS:
            raise Unavailable(
                "{number} uploads are being checked already; try again when one has ended", number=MAX_SPOOLS
            )
        Spool._open += 1
        self._block: list[bytes] = []
        self._size = 0
        try:
            self._file: BinaryIO = await _in_thread(lambda: tempfile.TemporaryFile())  # noqa: SIM115 # closed in __aexit__
        except BaseException:
            Spool._open -= 1
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        Spool._open -= 1
        self._file.close()

    async def add(self, line: bytes) -> None:
        """Add a line. Raises Unavailable where the disk is full."""
        self._block.append(line)
        self._size += len(line)
        if self._size >= BLOCK_BYTES:
            await self._write()

    async def batches(self, size: int) -> AsyncIterator[list[bytes]]:
        """All lines from the first one on, in batches of about so many bytes."""
        await self._write()
        await _in_thread(self._file.seek, 0)
        while lines := await _in_thread(self._file.readlines, size):
            yield lines

    async def _write(self) -> None:
        block = b"".join(line + b"\n" for line in self._block)
        self._block, self._size = [], 0
        if block:
            await _in_thread(self._file.write, block)


async def _in_thread(function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Disks may be slow; other requests go on meanwhile."""
    try:
        return await asyncio.to_thread(function, *arguments, **options)
    except OSError as error:
        raise Unavailable(
            "the upload cannot be stored for a moment: {reason}", reason=error.strerror or ""
        ) from error
