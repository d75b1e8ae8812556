"""Uploads of which all lines are checked before anything is stored: dry runs, and the replacement of a set.

    read and plan every line, spooled where it is to be stored
    → refuse the replacement if a line is refused, or if there are not as many as the first line says
    → report (dry run), or refuse unless the digest is that of the plan, and no other replacement goes on
    → store the lines batch by batch
    → retract the records of the set that are in no line

Nothing is changed before the fourth step. A replacement that ends within it has retracted nothing. One that
ends within the last step has retracted only what was to be; both can be repeated.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from itertools import islice
from typing import Any

import msgspec
from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.responses import answer_refusal
from federation.api.spool import Spool
from federation.api.upload_lines import Line, LineReader, UploadBody, key_in, no_declaration
from federation.api.upload_report import MAX_NAMED, PlannedLine, PlanSummary, Report, UploadSummary
from federation.domain.errors import Conflict, Invalid, PlanChanged, Refused, TooLarge
from federation.domain.record_content import Content
from federation.edge.answers import JSON, NO_STORE, PROBLEM, answer
from federation.edge.requests import caller_of, node_of
from federation.edge.weights import language_of
from federation.node.upload_plans import UploadPlan

LINES_PER_TURN = 50
"""Lines read before other requests have a turn."""


class PlannedUpload:
    """An upload that is planned, and then carried out as planned."""

    def __init__(
        self,
        kind: type[Content],
        request: Request[Any, Any, Any],
        *,
        set_name: str | None,
        replaces: bool,
        max_batch: tuple[int, int],
    ) -> None:
        self._request = request
        self._replaces = replaces
        self._max_lines, self._max_bytes = max_batch
        self._reader = LineReader(kind, retracts=not replaces)
        self._plan = UploadPlan(
            node_of(request), kind, by=caller_of(request), set_name=set_name, replaces=replaces
        )
        self._language = language_of(request.headers.get("accept-language"))
        self._report = Report(self._language)
        self._batch: dict[str, Line] = {}
        self._bytes = 0

    async def answer(self, form: str, *, dry_run: bool, digest: str | None) -> ASGIResponse:
        """The answer in a form. Raises Refused, where nothing was changed."""
        async with AsyncExitStack() as stack:
            spool = None if dry_run else await stack.enter_async_context(Spool())
            await self._read_lines(spool)
            if spool is None:
                await self._plan.close()
                end = self._end()
                body = self._report.json(end) if form == JSON else self._report.ndjson(end)
                return answer(body, media_type=form, headers=NO_STORE)
            if self._report.refused:
                done = UploadSummary(
                    received=self._report.summary.received, refused=len(self._report.refused)
                )
                refusal = (
                    Invalid("a line is refused, so nothing was changed")
                    if done.refused == 1
                    else Invalid("{number} lines are refused, so nothing was changed", number=done.refused)
                )
                return self._problem(refusal, summary=done)
            await stack.enter_async_context(self._plan.alone())
            await self._plan.close()
            if digest != self._plan.digest:
                return self._changed_plan(digest)
            failure = await self._carry_out(spool)
            if failure is not None:
                return self._problem(failure)
        return answer(
            self._report.json() if form == JSON else self._report.ndjson(), media_type=form, headers=NO_STORE
        )

    async def _read_lines(self, spool: Spool | None) -> None:
        body, received = UploadBody(self._request, declares=self._replaces), 0
        try:
            async for number, line in body.lines():
                received += 1
                self._report.summary.received = received if self._replaces else number
                if self._read(number, line) and spool is not None:
                    await spool.add(line or b"")
                if received % LINES_PER_TURN == 0:
                    await asyncio.sleep(0)
                if len(self._batch) >= self._max_lines or self._bytes >= self._max_bytes:
                    await self._plan_batch()
        except TooLarge as error:
            if self._replaces or body.is_json:
                raise
            self._report.refuse(self._report.summary.received + 1, error)
        await self._plan_batch()
        if self._replaces and body.declared is None:
            raise no_declaration()
        if self._replaces and body.declared != received:
            raise Invalid(
                "the upload declares {declared} records, and {received} came: nothing was changed",
                declared=body.declared or 0,
                received=received,
                pointer="/records",
                fault="rule",
            )

    def _read(self, number: int, line: bytes | None) -> bool:
        try:
            key, read = self._reader.read(number, line)
        except Refused as error:
            self._report.refuse(number, error, key_in(line))
            return False
        self._batch[key] = read
        self._bytes += len(line or b"")
        return True

    async def _plan_batch(self) -> None:
        batch, self._batch, self._bytes = self._batch, {}, 0
        if not batch:
            return
        for key, outcome in (await self._plan.add(batch)).items():
            number = self._reader.numbers[key]
            if isinstance(outcome, Refused):
                self._report.refuse(number, outcome, key)
            else:
                self._report.plan(
                    PlannedLine(line=number, key=key, action=outcome.action, from_set=outcome.from_set)
                )

    def _end(self) -> PlanSummary:
        """The end of the report of a dry run."""
        plan, summary = self._plan, self._report.summary
        if self._replaces and self._report.refused:
            return PlanSummary(summary=summary, removals=(), retracts=(), dry_run=True)
        summary.retracted += len(plan.retractions)
        return PlanSummary(
            summary=summary,
            removals=plan.removals,
            retracts=tuple(islice(plan.retractions, MAX_NAMED)),
            dry_run=True,
            digest=plan.digest,
        )

    async def _carry_out(self, spool: Spool) -> Refused | None:
        """Store the lines and retract the rest; the reason where that ended before its end."""
        self._report = report = Report(self._language)
        report.summary.received = len(self._plan.changes)
        numbers = self._reader.numbers
        try:
            async for lines in spool.batches(self._max_bytes):
                for start in range(0, len(lines), self._max_lines):
                    batch: dict[str, Line] = {}
                    for n, line in enumerate(lines[start : start + self._max_lines]):
                        if n % LINES_PER_TURN == 0:
                            await asyncio.sleep(0)
                        key, read = self._reader.decode(line)
                        batch[key] = read
                    report.note(await self._plan.write(batch), numbers)
            if not report.refused:
                async for outcomes in self._plan.retract():
                    report.note(outcomes, numbers)
        except Refused as error:
            return error
        if report.refused:
            return Conflict(
                "other writers changed records in between: repeat the upload, with a new dry run. What the"
                " summary counts is done"
            )
        return None

    def _changed_plan(self, digest: str | None) -> ASGIResponse:
        plan = self._plan
        error = (
            PlanChanged(
                "the upload would do something else than its dry run has shown; nothing was changed",
                digest=plan.digest,
            )
            if digest
            else PlanChanged(
                "an upload that replaces a set is sent with the digest of its dry run; nothing was changed",
                digest=plan.digest,
            )
        )
        end = self._end()
        return self._problem(error, digest=plan.digest, summary=end.summary, retracts=end.retracts)

    def _problem(self, error: Refused, **members: Any) -> ASGIResponse:
        """A refusal (RFC 9457) with the lines that were refused, the first 1 000, and the summary."""
        refusal = answer_refusal(self._request, error)
        problem = msgspec.json.decode(refusal.content)
        problem |= {"summary": self._report.summary, **members}
        problem["refused"] = [msgspec.Raw(line) for line in self._report.refused[:MAX_NAMED]]
        headers = {name: value for name, value in refusal.headers.items() if name != "content-type"}
        return answer(
            msgspec.json.encode(problem),
            status=refusal.status_code or 400,
            media_type=PROBLEM,
            headers=headers,
        )
