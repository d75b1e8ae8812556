"""Bulk uploads: one draft with its key a line, stored batch by batch, with a report of the lines refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from litestar import Request

from federation.api.guard import caller_of, node_of, pieces
from federation.api.problem_details import STATUS
from federation.domain.draft import Draft, KeyedDraft, read_draft
from federation.domain.entry import Lines
from federation.domain.errors import Invalid, Refused, TooLarge, TooSlow
from federation.domain.values import Content
from federation.node import records
from federation.node.edits import WriteResult

MAX_LINES = 100_000
"""Records of one upload, at most."""
MAX_UPLOAD_BYTES = 512 * 1_048_576
"""Length of one upload, at most."""
MAX_LINE_BYTES = 1_048_576
"""Length of one line, at most."""
BATCH_LINES = 1_000
"""Records stored in one transaction, at most."""
BATCH_BYTES = 8 * 1_048_576
"""Length of the lines stored in one transaction: a batch ends with the line that reaches it."""
LINES_PER_TURN = 50
"""Lines read before other requests have a turn."""


class RefusedLine(msgspec.Struct, omit_defaults=True):
    """A line of the report of an upload: a record that was not kept."""

    line: int
    """Counted from 1."""
    status: int
    title: str
    detail: str
    key: str | None = None
    pointer: str | None = None


class CutShort(Exception):
    """An upload cannot go on, for a reason that is not in its lines: the report ends without a summary."""


class UploadSummary(msgspec.Struct):
    """The last line of the report. Without it the upload was cut short, and is to be repeated."""

    received: int = 0
    created: int = 0
    revised: int = 0
    unchanged: int = 0
    refused: int = 0


class Upload:
    """An upload under way: reads lines, stores them batch by batch, reports the lines it refuses.

    Each batch is a transaction of its own, so a broken connection loses nothing that was stored, and a
    repeated upload finds it unchanged. When a batch cannot be stored as a whole, each of its lines is
    reported and the upload ends there. While the database stores one batch, the next one is read.
    """

    def __init__(self, kind: type[Content], request: Request[Any, Any, Any]) -> None:
        self._node = node_of(request)
        self._kind = kind
        self._request = request
        shape: Any = KeyedDraft
        self._shape = shape[kind]
        self._summary = UploadSummary()
        self._batch: dict[str, tuple[int, Draft[Any]]] = {}
        self._lines: dict[str, int] = {}
        self._bytes = 0
        self._storing: tuple[asyncio.Task[dict[str, WriteResult | Refused]], dict[str, int]] | None = None

    async def lines(self) -> AsyncIterator[bytes]:
        """The report, line by line."""
        try:
            async for line in self._report():
                yield line
        except CutShort:
            return
        finally:
            if self._storing is not None:
                # The connection broke, or the process is to end: the batch on its way is stored whole or not.
                self._storing[0].cancel()
                await asyncio.gather(self._storing[0], return_exceptions=True)
        yield msgspec.json.encode({"summary": self._summary}) + b"\n"

    async def _report(self) -> AsyncIterator[bytes]:
        try:
            async for number, line in self._incoming():
                self._summary.received = number
                refusal = self._read(number, line)
                if refusal is not None:
                    yield self._refuse(refusal)
                if number % LINES_PER_TURN == 0:
                    await asyncio.sleep(0)  # answers of the database must not wait for a whole batch
                if len(self._batch) >= BATCH_LINES or self._bytes >= BATCH_BYTES:
                    async for report in self._outcomes():
                        yield report
                    self._store()
        except (TooLarge, TooSlow) as error:
            # The good lines before the one at fault are stored.
            async for report in self._store_rest():
                yield report
            yield self._refuse(_refusal(self._summary.received + 1, error))
            if isinstance(error, TooSlow):
                raise CutShort from None
        else:
            async for report in self._store_rest():
                yield report

    async def _incoming(self) -> AsyncIterator[tuple[int, bytes | None]]:
        """Number and bytes of each line that is not blank; None for one that is too long."""
        lines, number, size = Lines(), 0, 0
        async for chunk in pieces(self._request):
            size += len(chunk)
            # Lines that end before the bound are read, however the body was cut on its way.
            for line in lines.cut(chunk[: len(chunk) - max(size - MAX_UPLOAD_BYTES, 0)]):
                number += 1
                if line.strip():
                    yield self._check_number(number), line
            if size > MAX_UPLOAD_BYTES:
                raise TooLarge(
                    "the upload is longer than {maximum} bytes; send the rest in another one",
                    maximum=MAX_UPLOAD_BYTES,
                )
            if lines.rest > MAX_LINE_BYTES:
                number += 1
                yield self._check_number(number), None
                lines.skip()
        if (rest := lines.end()).strip():
            yield self._check_number(number + 1), rest

    @staticmethod
    def _check_number(number: int) -> int:
        if number > MAX_LINES:
            raise TooLarge(
                "an upload has at most {maximum} lines; send the rest in another one", maximum=MAX_LINES
            )
        return number

    def _read(self, number: int, line: bytes | None) -> RefusedLine | None:
        key = None
        try:
            if line is None or len(line) > MAX_LINE_BYTES:
                raise TooLarge("the line is longer than {maximum} bytes", maximum=MAX_LINE_BYTES)
            keyed = read_draft(line, self._shape)
            key = keyed.key
            if key in self._lines:
                raise Invalid(
                    "the key {key} is in line {first} already",
                    pointer="/key",
                    key=key,
                    first=self._lines[key],
                )
        except Refused as error:
            return _refusal(number, error, key)
        self._batch[key] = (number, keyed)
        self._lines[key] = number
        self._bytes += len(line)
        return None

    def _store(self) -> None:
        """Begin to store the lines read so far."""
        batch, self._batch, self._bytes = self._batch, {}, 0
        if batch:
            drafts = {key: draft for key, (_, draft) in batch.items()}
            storing = records.upload(self._node, self._kind, drafts, by=caller_of(self._request))
            numbers = {key: number for key, (number, _) in batch.items()}
            self._storing = asyncio.create_task(storing, name="upload"), numbers

    async def _store_rest(self) -> AsyncIterator[bytes]:
        """Store all lines read so far; the report of them."""
        async for report in self._outcomes():
            yield report
        self._store()
        async for report in self._outcomes():
            yield report

    async def _outcomes(self) -> AsyncIterator[bytes]:
        """Wait for the batch that is being stored; the report of it."""
        if self._storing is None:
            return
        storing, numbers = self._storing
        try:
            outcomes = await storing
        except Refused as error:
            for key, number in numbers.items():
                yield self._refuse(_refusal(number, error, key))
            raise CutShort from None
        finally:
            self._storing = None
        for key, outcome in outcomes.items():
            if isinstance(outcome, Refused):
                yield self._refuse(_refusal(numbers[key], outcome, key))
            elif not outcome.changed:
                self._summary.unchanged += 1
            elif outcome.created:
                self._summary.created += 1
            else:
                self._summary.revised += 1

    def _refuse(self, refusal: RefusedLine) -> bytes:
        self._summary.refused += 1
        return msgspec.json.encode(refusal) + b"\n"


def _refusal(line: int, error: Refused, key: str | None = None) -> RefusedLine:
    return RefusedLine(
        line=line, status=STATUS[type(error)], title=error.title, detail=error.detail, key=key,
        pointer=error.pointer,
    )  # fmt: skip
