"""Runs of sources: fetch, read, plan, and report or write.

1. One process runs a source at a time: it holds the lock of the source until the report is stored.
2. Fetch with the validators of the last answer, unless that run had something to say of a record: a record
   may be accepted now that was not then. (Uploads begin with 3.)
3. Read in a thread; a reader has no clock and no network, and bounds of its own.
4. Plan and, unless it is a dry run, write (``source_plans.py``); advisories have a merge of their own.
5. Store the report, and when the next run is due. A failure is a report, too; from the third one in a row on
   there is an alert.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import msgspec

from federation.domain.errors import (
    Conflict,
    Invalid,
    PlanChanged,
    Refused,
    TooManyRequests,
    Unreachable,
)
from federation.domain.formats.sheets.records import Known
from federation.domain.messages import Message
from federation.domain.sources.kinds import AdvisoryOptions, Kind, kind_of, read_options
from federation.domain.sources.reading import Reading
from federation.domain.sources.report import RunReport, Tally, Trigger
from federation.domain.sources.source import MEBIBYTE, HttpState, ImportSource, next_run, next_try
from federation.domain.visibility import Caller, itself
from federation.node import source_advisories, source_feeds
from federation.node.advisories import known_solutions
from federation.node.catalogue_pages import read_following
from federation.node.node import Node
from federation.node.source_plans import SourcePlan
from federation.node.sources import unknown_source
from federation.outbound.sources import fetch_source, is_same_origin

log = logging.getLogger("federation.sources")

MAX_RUN_SECONDS = 900.0
"""Seconds of a run, at most."""
MAX_RUNS_AT_ONCE = 2
"""Polled sources that a process runs at once: each has a whole file in memory."""
HOUR = timedelta(hours=1)


async def run_due(node: Node) -> int:
    """Run the polled sources that are due, a few of them at once. Returns how many were run."""
    async with node.store.read() as tx:
        # More than are run at once: other processes may be running the first ones.
        names = await tx.sources.due(node.clock(), 4 * MAX_RUNS_AT_ONCE)
    slots = asyncio.Semaphore(MAX_RUNS_AT_ONCE)
    return sum(await asyncio.gather(*(_run_if_due(node, name, slots) for name in names)))


async def _run_if_due(node: Node, name: str, slots: asyncio.Semaphore) -> bool:
    async with slots, node.store.try_task(_task(name)) as is_locked:
        if not is_locked:
            return False
        async with node.store.read() as tx:
            source = await tx.sources.find(name)  # anew: another process may have run it a moment ago
        if (
            source is None
            or source.next_at is None
            or source.next_at > node.clock()
            or source.state != "active"
        ):
            return False
        await _poll(node, source, "poll", by=itself(node.operator), dry_run=False)
    return True


async def run_now(node: Node, name: str, *, by: Caller, dry_run: bool = False) -> RunReport:
    """Run a polled source now, whatever its state. Raises NotFound, Invalid, Conflict, TooManyRequests."""
    async with alone(node, name) as source:
        if source.url is None:
            raise Invalid("the source {name} has no address; its files are uploaded or pushed", name=name)
        return await _poll(node, source, "command", by=by, dry_run=dry_run)


@asynccontextmanager
async def alone(node: Node, name: str, absent: ImportSource | None = None) -> AsyncIterator[ImportSource]:
    """The source, which nobody else runs meanwhile; ``absent`` where there is none.

    Raises NotFound, Conflict, TooManyRequests.
    """
    async with node.store.try_task(_task(name)) as is_locked:
        if not is_locked:
            raise Conflict("the source {name} is run at this moment; try again", name=name)
        async with node.store.read() as tx:
            source = await tx.sources.find(name)
        if source is None and absent is not None:
            yield absent
            return
        if source is None:
            raise unknown_source(name)
        now = node.clock()
        async with node.store.read() as tx:
            number = await tx.sources.runs_since(name, now - HOUR)
        if number >= source.quota.runs:
            raise TooManyRequests(
                "the quota of the source is {maximum} runs within an hour",
                retry_after=600,
                maximum=source.quota.runs,
            )
        yield source


def _task(name: str) -> str:
    return f"source {name}"


async def _poll(
    node: Node, source: ImportSource, trigger: Trigger, *, by: Caller, dry_run: bool
) -> RunReport:
    """Fetch and import a source. A failure is reported, not raised."""
    run = SourceRun(node, source, trigger, by, dry_run=dry_run)
    state = HttpState()
    retry_after: float | None = None
    try:
        async with asyncio.timeout(MAX_RUN_SECONDS):
            report, state = await run.fetch()
    except Unreachable as error:
        retry_after, report = error.retry_after, run.failed(error.message)
    except Refused as error:
        report = run.failed(error.message)
    except TimeoutError:
        report = run.failed(
            Message("the run was not over within {maximum} seconds", {"maximum": f"{MAX_RUN_SECONDS:g}"})
        )
    except Exception:
        log.exception("a source could not be run", extra={"source": source.name})
        report = run.failed(Message("the run went wrong; the log of the node has the reason"))
    return await run.store(report, state, retry_after=retry_after or run.retry_after)


class SourceRun:
    """One run of a source, whose lock the caller has."""

    def __init__(
        self, node: Node, source: ImportSource, trigger: Trigger, by: Caller, *, dry_run: bool
    ) -> None:
        self._node = node
        self._source = source
        self._trigger: Trigger = trigger
        self._by = by
        self._dry_run = dry_run
        self._started_at = node.clock()
        self._has_more = False
        """True where something is left for the next run: it is due at once."""
        self.retry_after: float | None = None
        """Seconds that the source asked to be left alone, where a run that failed has a report of its own."""

    async def fetch(self) -> tuple[RunReport, HttpState]:
        source = self._source
        kind = kind_of(source.kind)
        if kind.way == "advisory":
            return await self._follow(read_options(kind, source.options)), HttpState()
        async with self._node.store.read() as tx:
            before = await tx.sources.http_state(source.name)
        if self._dry_run or kind.follows:
            before = HttpState()  # the files that it names may have changed, and it has not
        fetched = await fetch_source(
            source.url or "", before, max_bytes=source.quota.mebibytes * MEBIBYTE, private=source.private
        )
        if fetched.body is None:
            return self._report("not-modified", Tally()), before
        report = await self.read(fetched.body)
        return report, HttpState() if report.counts.rejected else fetched.state

    async def _follow(self, options: AdvisoryOptions) -> RunReport:
        """Import what changed in a feed of advisories, which reads several files."""
        followed = await source_feeds.follow_source(
            self._node, self._source, options, by=self._by, dry_run=self._dry_run
        )
        self._has_more = followed.has_more
        if followed.error is not None:
            self.retry_after = followed.error.retry_after
            return self.failed(followed.error.message, followed.tally)
        return self._report("not-modified" if followed.is_unchanged else "done", followed.tally)

    async def read(
        self, raw: bytes, *, replaces: bool = False, digest: str | None = None, partial: bool = False
    ) -> RunReport:
        kind = kind_of(self._source.kind)
        options = read_options(kind, self._source.options)
        if kind.way == "advisory":
            tally = await source_advisories.import_document(
                self._node, self._source, options, raw, by=self._by, dry_run=self._dry_run
            )
            return self._report("done", tally)
        reading = await self._read(kind, raw, options)
        if partial:
            reading = msgspec.structs.replace(reading, is_complete=False)
        plan = SourcePlan(self._node, self._source, reading, by=self._by, replaces=replaces)
        tally = await plan.prepare()
        if not self._dry_run:
            if replaces:
                self._check_replacement(plan, digest)
            tally = await plan.write()
        return msgspec.structs.replace(
            self._report("done", tally), digest=plan.digest, removals=plan.removals
        )

    async def _read(self, kind: Kind, raw: bytes, options: Any) -> Reading:
        if kind.read_with_facts is not None:
            solutions = await known_solutions(self._node, self._by)
            known = Known(self._node.operator, {id_: solution.name for id_, solution in solutions})
            return await asyncio.to_thread(kind.read_with_facts, raw, options, known)
        if kind.follows:
            return await read_following(self._source.kind, raw, self._source.url, self._fetch_file)
        if kind.read is None:
            raise Invalid("files of the kind {kind} are not read", kind=self._source.kind)
        return await asyncio.to_thread(kind.read, raw, options)

    async def _fetch_file(self, url: str, max_bytes: int) -> bytes:
        """A file that the file of the source names. Raises Unreachable.

        Addresses that are not public are called at the source's own host only: its file names any others.
        """
        source = self._source
        max_bytes = min(max_bytes, source.quota.mebibytes * MEBIBYTE)
        private = source.private and source.url is not None and is_same_origin(url, source.url)
        fetched = await fetch_source(url, HttpState(), max_bytes=max_bytes, private=private)
        return fetched.body or b""

    def _check_replacement(self, plan: SourcePlan, digest: str | None) -> None:
        if number := plan.tally.counts.rejected:
            raise Invalid("{number} records are rejected, so nothing was changed", number=number)
        if digest is None:
            raise PlanChanged(
                "a file that replaces the records of a source is imported with the digest of its dry run;"
                " nothing was changed",
                digest=plan.digest,
            )
        if digest != plan.digest:
            raise PlanChanged(
                "the file would do something else than its dry run has shown; nothing was changed",
                digest=plan.digest,
            )

    def failed(self, reason: Message, tally: Tally | None = None) -> RunReport:
        return self._report("failed", tally or Tally()).with_reason(reason)

    def _report(self, outcome: Any, tally: Tally) -> RunReport:
        return RunReport(
            source=self._source.name,
            trigger=self._trigger,
            outcome=outcome,
            dry_run=self._dry_run,
            started_at=self._started_at,
            ended_at=self._node.clock(),
            counts=tally.counts,
            lines=tally.lines,
            omitted=tally.omitted,
        )

    async def store(
        self, report: RunReport, state: HttpState | None, *, retry_after: float | None = None
    ) -> RunReport:
        """Store the report and the time of the next run; nothing after a dry run."""
        if report.dry_run:
            return report
        async with self._node.store.write() as tx:
            if report.outcome == "failed":
                number = await tx.sources.note_failure(report, self._next_try(report.ended_at, retry_after))
            else:
                if state is None:
                    state = await tx.sources.http_state(self._source.name)
                number = await tx.sources.note_success(report, self._next_run(report.ended_at), state)
        if report.outcome == "failed":
            failure = {"source": self._source.name, "reason": report.reason}
            log.warning("a source could not be read", extra=failure)
        return msgspec.structs.replace(report, number=number or 0)

    def _next_run(self, now: datetime) -> datetime | None:
        source = self._source
        if source.url is None or source.every is None:
            return None
        return now if self._has_more else next_run(now, source.every)

    def _next_try(self, now: datetime, retry_after: float | None) -> datetime | None:
        source = self._source
        if source.url is None or source.every is None:
            return None
        return next_try(now, source.every, source.failures + 1, retry_after=retry_after)
