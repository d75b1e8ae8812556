"""Bulk uploads: many records in one request, with a report of the lines refused.

    plain       each batch of lines is stored as it comes (here)
    dry run     nothing is stored, the report says what would be (``api/planned_uploads.py``)
    replace     all lines are checked, then all are stored, and last the rest of the set is retracted

``api/upload_lines.py`` reads the body, ``api/upload_report.py`` makes the report.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, NamedTuple

from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.planned_uploads import PlannedUpload
from federation.api.requests import media_type_of
from federation.api.upload_lines import Line, LineReader, UploadBody, key_in
from federation.api.upload_report import Report
from federation.domain.errors import Invalid, Refused, TooLarge, TooSlow
from federation.domain.record_content import Content
from federation.domain.upload import DIGEST_PATTERN, SET_PATTERN
from federation.edge.answers import JSON, NDJSON, NO_STORE, answer
from federation.edge.query_parameters import parameters_of
from federation.edge.requests import caller_of, node_of
from federation.edge.weights import language_of
from federation.node import records
from federation.node.edits import WriteResult

BATCH_LINES = 1_000
"""Records stored in one transaction, at most."""
BATCH_BYTES = 8 * 1_048_576
"""Length of the lines stored in one transaction: a batch ends with the line that reaches it."""
LINES_PER_TURN = 50
"""Lines read before other requests have a turn."""


class Options(NamedTuple):
    """The query parameters of an upload."""

    dry_run: bool
    set_name: str | None
    replaces: bool
    digest: str | None


def options_of(request: Request[Any, Any, Any]) -> Options:
    """The query parameters. Raises Invalid."""
    given = parameters_of(request)
    options = Options(
        given.get("dry_run") == "true", given.get("set"), given.get("replace") == "true", given.get("digest")
    )
    if options.set_name is not None and not re.fullmatch(SET_PATTERN, options.set_name):
        raise Invalid(
            "set is a name of up to 64 small letters and digits, with . - or _ in between",
            pointer="?set",
            fault="pattern",
        )
    if options.replaces and options.set_name is None:
        raise Invalid("replace needs the set that is replaced: set=NAME", pointer="?set", fault="missing")
    if options.digest is not None:
        if options.dry_run or not options.replaces:
            raise Invalid("digest is for an upload with replace=true, after its dry run", pointer="?digest")
        if not re.fullmatch(DIGEST_PATTERN, options.digest):
            raise Invalid(
                "digest is what the dry run has answered, 64 hexadecimal digits",
                pointer="?digest",
                fault="pattern",
            )
    return options


async def answer_upload(kind: type[Content], request: Request[Any, Any, Any]) -> ASGIResponse:
    """Carry out an upload, and report it in the form asked for. Raises Refused."""
    options = options_of(request)
    # A caller that takes any form gets that of its body.
    of_body = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    form = media_type_of(request, *((JSON, NDJSON) if of_body == JSON else (NDJSON, JSON)))
    # The report begins when the upload has ended: a client that reads nothing before it has sent
    # everything would otherwise wait for us, and we for it.
    if options.dry_run or options.replaces:
        planned = PlannedUpload(
            kind,
            request,
            set_name=options.set_name,
            replaces=options.replaces,
            max_batch=(BATCH_LINES, BATCH_BYTES),
        )
        return await planned.answer(form, dry_run=options.dry_run, digest=options.digest)
    report = await Upload(kind, request, options.set_name).run()
    return answer(report.json() if form == JSON else report.ndjson(), media_type=form, headers=NO_STORE)


class Upload:
    """A plain upload under way: reads lines, stores them batch by batch, reports the lines it refuses.

    Each batch is a transaction of its own, so a broken connection loses nothing that was stored, and a
    repeated upload finds it unchanged. When a batch cannot be stored as a whole, each of its lines is
    reported and the upload ends there. While the database stores one batch, the next one is read.
    """

    def __init__(self, kind: type[Content], request: Request[Any, Any, Any], set_name: str | None) -> None:
        self._node = node_of(request)
        self._kind = kind
        self._request = request
        self._set = set_name
        self._reader = LineReader(kind)
        self._report = Report(language_of(request.headers.get("accept-language")))
        self._batch: dict[str, Line] = {}
        self._bytes = 0
        self._storing: tuple[asyncio.Task[dict[str, WriteResult | Refused]], list[str]] | None = None

    async def run(self) -> Report:
        """The report, when all lines have come."""
        try:
            await self._read_lines()
        finally:
            if self._storing is not None:
                # The connection broke, or the process is to end: the batch on its way is stored whole or not.
                self._storing[0].cancel()
                await asyncio.gather(self._storing[0], return_exceptions=True)
        return self._report

    async def _read_lines(self) -> None:
        report, body = self._report, UploadBody(self._request, declares=False)
        try:
            async for number, line in body.lines():
                report.summary.received = number
                self._read(number, line)
                if number % LINES_PER_TURN == 0:
                    await asyncio.sleep(0)  # answers of the database must not wait for a whole batch
                if len(self._batch) >= BATCH_LINES or self._bytes >= BATCH_BYTES:
                    if not await self._note_outcomes():
                        return
                    self._store()
        except (TooLarge, TooSlow) as error:
            if body.is_json:
                raise
            # The good lines before the one at fault are stored.
            if await self._store_rest():
                report.refuse(report.summary.received + 1, error)
                report.is_complete = not isinstance(error, TooSlow)
        else:
            await self._store_rest()

    def _read(self, number: int, line: bytes | None) -> None:
        try:
            key, read = self._reader.read(number, line)
        except Refused as error:
            self._report.refuse(number, error, key_in(line))
            return
        self._batch[key] = read
        self._bytes += len(line or b"")

    def _store(self) -> None:
        """Begin to store the lines read so far."""
        batch, self._batch, self._bytes = self._batch, {}, 0
        if batch:
            storing = records.upload(
                self._node, self._kind, batch, by=caller_of(self._request), set_name=self._set
            )
            self._storing = asyncio.create_task(storing, name="upload"), list(batch)

    async def _store_rest(self) -> bool:
        """Store all lines read so far. False where a batch could not be stored."""
        if not await self._note_outcomes():
            return False
        self._store()
        return await self._note_outcomes()

    async def _note_outcomes(self) -> bool:
        """Wait for the batch that is being stored. False where it could not be: the upload ends."""
        if self._storing is None:
            return True
        storing, keys = self._storing
        numbers = self._reader.numbers
        try:
            outcomes = await storing
        except Refused as error:
            for key in keys:
                self._report.refuse(numbers[key], error, key)
            self._report.is_complete = False
            return False
        finally:
            self._storing = None
        self._report.note(outcomes, numbers)
        return True
