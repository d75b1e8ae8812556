"""The report of a bulk upload: NDJSON as it has always been, or one JSON object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from federation.api.problem_details import FaultDetail, fault_details, text_of
from federation.domain.errors import Refused
from federation.domain.messages import Language
from federation.domain.upload import Action, FeedRemovals
from federation.edge.statuses import CODES, STATUS
from federation.node.edits import WriteResult

MAX_NAMED = 1_000
"""Records named in a report that are to be retracted, at most; all are counted."""


class RefusedLine(msgspec.Struct, omit_defaults=True):
    """A line of the report of an upload: a record that was not stored."""

    status: int
    code: Annotated[str, Meta(description="As in a problem.", extra_json_schema={"enum": list(CODES)})]
    title: str
    detail: str
    line: int | None = None
    """Counted from 1; absent for a record that is in no line."""
    key: str | None = None
    """Absent where it cannot be read."""
    errors: tuple[FaultDetail, ...] = ()
    """The members at fault."""
    more: Annotated[int, Meta(ge=0, description="Faults beyond those listed, at least.")] = 0


class PlannedLine(msgspec.Struct, omit_defaults=True):
    """A line of the report of a dry run: what would become of a record."""

    line: int
    """Counted from 1."""
    key: str
    action: Action
    from_set: str | None = None
    """The set that the record would leave for another one."""


class UploadSummary(msgspec.Struct):
    """The numbers of an upload. Without them it was cut short, and is to be repeated."""

    received: int = 0
    """Lines: the records, and blank lines before the last of them."""
    created: int = 0
    revised: int = 0
    unchanged: int = 0
    retracted: int = 0
    refused: int = 0

    def count(self, action: Action) -> None:
        setattr(self, action, getattr(self, action) + 1)


class PlanSummary(msgspec.Struct, omit_defaults=True):
    """The end of the report of a dry run."""

    summary: UploadSummary
    removals: tuple[FeedRemovals, ...]
    """The feeds that records would be retracted from."""
    retracts: tuple[str, ...]
    """Keys of the records of the set that are not in the upload, and would be retracted: the first 1 000."""
    dry_run: bool
    digest: str | None = None
    """SHA-256 of what would be done, to be sent with the upload that does it.

    Absent where a line was refused in an upload that replaces a set: nothing would be done.
    """


class UploadEnd(msgspec.Struct, omit_defaults=True):
    """The last line of a report; in a dry run with the members of :class:`PlanSummary`."""

    summary: UploadSummary
    removals: tuple[FeedRemovals, ...] = ()
    retracts: tuple[str, ...] = ()
    dry_run: bool = False
    digest: str | None = None


class UploadReport(msgspec.Struct, omit_defaults=True):
    """The report of an upload as one JSON object."""

    refused: tuple[RefusedLine, ...]
    summary: UploadSummary | None = None
    """Absent where the upload was cut short."""
    lines: tuple[PlannedLine, ...] = ()
    """What would become of each record; in a dry run."""
    digest: str | None = None
    removals: tuple[FeedRemovals, ...] = ()
    retracts: tuple[str, ...] = ()
    dry_run: bool = False


class Report:
    """A report that is being made. Its lines are encoded one by one, so that no turn is long."""

    def __init__(self, language: Language) -> None:
        self._language: Language = language
        self.summary = UploadSummary()
        self.refused: list[bytes] = []
        self.planned: list[bytes] = []
        self.is_complete = True
        """False when the upload could not go on, for a reason that is not in its lines."""

    def refuse(self, line: int | None, error: Refused, key: str | None = None) -> None:
        """Add a record that was refused."""
        self.summary.refused += 1
        self.refused.append(
            msgspec.json.encode(
                RefusedLine(
                    line=line, key=key, status=STATUS[type(error)], code=error.code,
                    title=text_of(error.title, self._language),
                    detail=error.message.to_text(self._language),
                    errors=fault_details(error.faults, self._language), more=error.more,
                )
            )
        )  # fmt: skip

    def plan(self, line: PlannedLine) -> None:
        """Add what would become of a record."""
        self.summary.count(line.action)
        self.planned.append(msgspec.json.encode(line))

    def note(self, outcomes: Mapping[str, WriteResult | Refused], lines: Mapping[str, int]) -> None:
        """Add the outcomes of a batch; ``lines``: the line of each key that is in one."""
        for key, outcome in outcomes.items():
            if isinstance(outcome, Refused):
                self.refuse(lines.get(key), outcome, key)
            elif not outcome.changed:
                self.summary.unchanged += 1
            elif outcome.retracted:
                self.summary.retracted += 1
            elif outcome.created:
                self.summary.created += 1
            else:
                self.summary.revised += 1

    def ndjson(self, end: PlanSummary | None = None) -> bytes:
        """A line for each record, then the summary."""
        lines = [*self.refused, *self.planned]
        if self.is_complete:
            lines.append(msgspec.json.encode(end or {"summary": self.summary}))
        return b"\n".join([*lines, b""])

    def json(self, end: PlanSummary | None = None) -> bytes:
        """One object."""
        members = [b'"refused":[' + b",".join(self.refused) + b"]"]
        if end is not None:
            members.append(b'"lines":[' + b",".join(self.planned) + b"]")
        if self.is_complete:
            summary: Any = end or {"summary": self.summary}
            members.append(msgspec.json.encode(summary)[1:-1])
        return b"{" + b",".join(members) + b"}"
