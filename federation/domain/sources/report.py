"""The report of a run: what became of each record of a source, and what was not understood.

All are counted. Records that did not change have no line, unless a person changed them; of those that changed
the first ``MAX_REPORT_LINES`` are listed, and as many of the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from federation.domain.errors import Refused
from federation.domain.feed import printable
from federation.domain.messages import LANGUAGES, Message
from federation.domain.upload import FeedRemovals

MAX_REPORT_LINES = 500
"""Lines of records that changed in a report, and as many of the others."""
MAX_REASONS = 5
"""Reasons of one line."""
MAX_REASON_LENGTH = 300
MAX_PLACE_LENGTH = 200
MAX_NAMED_MEMBERS = 20
MAX_RUNS = 50
"""Runs of a source whose reports are stored."""

Outcome = Literal["created", "revised", "unchanged", "retracted", "rejected", "disappeared"]
Trigger = Literal["poll", "command", "upload", "event"]
CHANGES: frozenset[Outcome] = frozenset({"created", "revised", "retracted"})
RunOutcome = Literal["done", "not-modified", "failed"]


class ReportLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one record of the source."""

    outcome: Outcome
    place: str
    """Place in the source: a line, an index, a URL."""
    type: str = ""
    key: str = ""
    reasons: tuple[str, ...] = ()
    reasons_fr: tuple[str, ...] = ()
    """The same in French."""
    person: tuple[str, ...] = ()
    """Members that a person changed: they stay as the person left them, whatever the source gives."""
    defaulted: tuple[str, ...] = ()
    """Members that the source lacks and that got a default, values that were interpreted."""


class RunCounts(msgspec.Struct, frozen=True):
    """Records of a run, by what became of them."""

    created: int = 0
    revised: int = 0
    unchanged: int = 0
    retracted: int = 0
    rejected: int = 0
    disappeared: int = 0
    """No longer in the source, since this run; they are marked and stay."""
    person: int = 0
    """Of all records: those with a member that a person changed."""

    @property
    def changed(self) -> int:
        return self.created + self.revised + self.retracted


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a run."""

    source: str
    trigger: Trigger
    outcome: RunOutcome
    dry_run: bool = False
    started_at: datetime
    ended_at: datetime
    number: int = 0
    """Of the run, in the order of their ends; 0 for a dry run, which is not stored."""
    counts: RunCounts = RunCounts()
    lines: tuple[ReportLine, ...] = ()
    omitted: int = 0
    """Lines beyond these bounds."""
    reason: str | None = None
    """The reason of a failure."""
    reason_fr: str | None = None
    """The same in French."""
    digest: str | None = None
    """SHA-256 of what the run would do, which a run that retracts has to name."""
    removals: tuple[FeedRemovals, ...] = ()
    """Feeds that a run with ``replace`` retracts records from."""

    def with_reason(self, reason: Message) -> RunReport:
        """The same report with the reason of a failure."""
        english, french = (reason.to_text(language)[:MAX_REASON_LENGTH] for language in LANGUAGES)
        return msgspec.structs.replace(self, reason=english, reason_fr=french)


class Tally:
    """Counts outcomes, and collects a bounded number of lines."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lines: list[ReportLine] = []
        self._listed: Counter[bool] = Counter()
        self.omitted = 0

    @property
    def counts(self) -> RunCounts:
        return RunCounts(**self._counts)

    @property
    def lines(self) -> tuple[ReportLine, ...]:
        return tuple(self._lines)

    def add(self, line: ReportLine) -> None:
        self._counts[line.outcome] += 1
        if line.person:
            self._counts["person"] += 1
        if line.outcome == "unchanged" and not (line.person or line.reasons):
            return
        is_change = line.outcome in CHANGES
        if self._listed[is_change] < MAX_REPORT_LINES:
            self._listed[is_change] += 1
            self._lines.append(_bounded(line))
        else:
            self.omitted += 1

    def count(self, outcome: Outcome, number: int = 1) -> None:
        """Count outcomes that have no line of their own."""
        self._counts[outcome] += number
        self.omitted += number


def _bounded(line: ReportLine) -> ReportLine:
    return msgspec.structs.replace(
        line,
        place=printable(line.place, MAX_PLACE_LENGTH),
        reasons=_cut(line.reasons, MAX_REASONS),
        reasons_fr=_cut(line.reasons_fr, MAX_REASONS),
        person=_cut(line.person, MAX_NAMED_MEMBERS),
        defaulted=_cut(line.defaulted, MAX_NAMED_MEMBERS),
    )


def _cut(texts: Sequence[str], number: int) -> tuple[str, ...]:
    return tuple(printable(text, MAX_REASON_LENGTH) for text in texts[:number])


def rejected(place: str, error: Refused, *, type_: str = "", key: str = "") -> ReportLine:
    """The line of a record that is refused, with all faults, each with its member."""
    texts: list[tuple[str, str]] = []
    for fault in error.faults[:MAX_REASONS]:
        at = f" ({fault.pointer})" if fault.pointer else ""
        texts.append((f"{fault.detail}{at}", f"{fault.message.to_text('fr')}{at}"))
    if not texts:
        texts.append((error.detail, error.message.to_text("fr")))
    return ReportLine("rejected", place, type_, key, *map(tuple, zip(*texts, strict=True)))


def not_read(place: str, reason: str | Message, member: str | None) -> ReportLine:
    """The line of an item that a reader left out."""
    at = f" ({member})" if member else ""
    message = reason if isinstance(reason, Message) else Message(reason)
    return ReportLine(
        "rejected", place, reasons=(f"{message}{at}",), reasons_fr=(f"{message.to_text('fr')}{at}",)
    )
