"""Uploads of many records: cut into parts, each sent whole and repeated if it breaks, reported as one.

A part is stored batch by batch at the node, and records that are there already are unchanged. So a part
whose report did not arrive is sent again as it was, and nothing is doubled or lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any, NamedTuple

import httpx2
import msgspec

from federation.client.errors import ProblemFault, UnexpectedAnswer, UploadIncomplete, read_faults
from federation.client.record_view import C
from federation.client.sender import NodeAnswer, Sender, backoff
from federation.domain.draft import KeyedDraft

NDJSON = "application/x-ndjson"
MAX_LINES = 100_000
"""Lines of one upload that a node reads, at most."""
LINES_PER_UPLOAD = 10_000
"""Lines of a part, unless the caller chooses another number."""
UPLOAD_BYTES = 32 * 1_048_576
"""Bytes at which a part ends: it is in memory until its report has arrived. A node reads 512 MiB."""
LINES_PER_TURN = 500
"""Lines encoded before other tasks have a turn."""
REPORT_SECONDS = 600.0
"""Time to wait for the report: it begins when a node has stored all of the part."""
REPORT_TIMEOUT = httpx2.Timeout(REPORT_SECONDS, connect=10.0)
MAX_UPLOAD_ATTEMPTS = 3
"""Attempts for a part whose report has no summary."""
MAX_REFUSALS = 10_000
"""Refused records that a report names; ``refused`` counts all."""

Line = KeyedDraft[C] | tuple[str, C] | Mapping[str, Any]
"""A draft with its key: a struct, a pair of key and content, or plain values with a member ``key``."""


class RefusedRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record that was not stored."""

    number: int | None = None
    """Its place among all drafts of the upload, counted from 1; None for a record that is in no line."""
    status: int
    title: str
    detail: str
    key: str | None = None
    code: str | None = None
    errors: tuple[ProblemFault, ...] = ()
    """The members at fault."""


class UploadReport(msgspec.Struct, kw_only=True):
    """The outcome of an upload so far."""

    received: int = 0
    created: int = 0
    revised: int = 0
    unchanged: int = 0
    """After a part was repeated, also those that its first attempt has stored."""
    retracted: int = 0
    refused: int = 0
    refusals: list[RefusedRecord] = []
    """The refused records, ``MAX_REFUSALS`` of them at most."""

    def add(self, part: UploadReport) -> None:
        """Count another part."""
        self.received += part.received
        self.created += part.created
        self.revised += part.revised
        self.unchanged += part.unchanged
        self.retracted += part.retracted
        self.refused += part.refused
        self.refusals += part.refusals[: max(MAX_REFUSALS - len(self.refusals), 0)]


Progress = Callable[[UploadReport], None]
"""Called with the report so far after each part."""


async def send_parts(
    sender: Sender,
    path: str,
    drafts: Iterable[Line[C]] | AsyncIterable[Line[C]],
    *,
    lines_per_upload: int | None = None,
    set_name: str | None = None,
) -> AsyncGenerator[UploadReport, None]:
    """Send all drafts, part by part; the report of each. Raises UploadIncomplete and ClientError."""
    limit = LINES_PER_UPLOAD if lines_per_upload is None else lines_per_upload
    if not 1 <= limit <= MAX_LINES:
        raise ValueError(f"lines_per_upload is 1 to {MAX_LINES}")
    before = 0
    async with aclosing(_parts(drafts, limit)) as parts:
        async for part in parts:
            yield await _send(sender, path, part, before, set_name)
            before += len(part)


async def _parts(
    drafts: Iterable[Line[C]] | AsyncIterable[Line[C]], limit: int
) -> AsyncGenerator[list[bytes], None]:
    part: list[bytes] = []
    size = 0
    async for draft in each_draft(drafts):
        line = encode_line(draft)
        part.append(line)
        size += len(line)
        if len(part) >= limit or size >= UPLOAD_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


async def each_draft(drafts: Iterable[Line[C]] | AsyncIterable[Line[C]]) -> AsyncIterator[Line[C]]:
    """Each draft of either kind of iterable."""
    if isinstance(drafts, AsyncIterable):
        async for draft in drafts:
            yield draft
        return
    for number, draft in enumerate(drafts, 1):
        yield draft
        if number % LINES_PER_TURN == 0:
            await asyncio.sleep(0)


def encode_line(draft: Line[Any]) -> bytes:
    """A line of an upload."""
    if isinstance(draft, tuple):
        key, content = draft
        draft = {"key": key, "content": content}
    return msgspec.json.encode(draft) + b"\n"


async def _send(
    sender: Sender, path: str, part: list[bytes], before: int, set_name: str | None
) -> UploadReport:
    body = b"".join(part)
    for attempt in range(1, MAX_UPLOAD_ATTEMPTS + 1):
        answer = await sender.send(
            "POST",
            path,
            parameters=(("set", set_name),) if set_name else (),
            content=body,
            headers={"content-type": NDJSON, "accept": NDJSON},
            idempotent=True,
            timeout=REPORT_TIMEOUT,
        )
        report = _read_report(answer, part, before)
        if report.summary is not None:
            return report.summary
        if attempt < MAX_UPLOAD_ATTEMPTS:
            await asyncio.sleep(backoff(attempt))
    why = f"; the last line: {report.refusals[-1].detail}" if report.refusals else ""
    raise UploadIncomplete(f"the node ended the report before its summary, {MAX_UPLOAD_ATTEMPTS} times{why}")


class _Report(NamedTuple):
    summary: UploadReport | None
    refusals: list[RefusedRecord]


class ReportLine(msgspec.Struct, kw_only=True):
    """A line of a report: a refused record, or the summary."""

    line: int | None = None
    status: int = 0
    title: str = ""
    detail: str = ""
    key: str | None = None
    code: str | None = None
    errors: object = None
    pointer: str | None = None
    """Of nodes that name one member at fault."""
    summary: dict[str, int] | None = None

    def refusal(self, before: int) -> RefusedRecord:
        """The refused record, in an upload where so many drafts came before this part."""
        faults = read_faults(self.errors)
        if not faults and self.pointer is not None:
            faults = (ProblemFault(pointer=self.pointer, detail=self.detail),)
        return RefusedRecord(
            number=None if self.line is None else before + self.line,
            status=self.status,
            title=self.title,
            detail=self.detail,
            key=self.key,
            code=self.code,
            errors=faults,
        )


def read_summary(summary: dict[str, int], refusals: list[RefusedRecord]) -> UploadReport:
    """The report that a summary stands for; counts that are not known here are left out."""
    return msgspec.structs.replace(msgspec.convert(summary, UploadReport), refusals=refusals[:MAX_REFUSALS])


class _Keyed(msgspec.Struct):
    key: object = None


_line = msgspec.json.Decoder(ReportLine)
_key_of = msgspec.json.Decoder(_Keyed)


def _read_report(answer: NodeAnswer, part: list[bytes], before: int) -> _Report:
    """The report of a part that begins after so many drafts. Raises UnexpectedAnswer."""
    refusals: list[RefusedRecord] = []
    try:
        for line in answer.body.splitlines():
            entry = _line.decode(line)
            if entry.summary is not None:
                return _Report(read_summary(entry.summary, refusals), refusals)
            if entry.key is None and entry.line is not None and 0 < entry.line <= len(part):
                key = _key_of.decode(part[entry.line - 1]).key
                entry.key = key if isinstance(key, str) else None
            refusals.append(entry.refusal(before))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UnexpectedAnswer(f"a line of the report cannot be read: {error}") from error
    return _Report(None, refusals)
