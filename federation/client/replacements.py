"""Replacing a set of records by an inventory: a dry run first, then exactly what it said, or nothing.

A set has the records of one type that come from one source. Those that are in no line of the inventory are
retracted. The node does nothing at all when a line is refused, when another number of records arrives than
was declared, or when one of these records has changed since the dry run.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable

import msgspec

from federation.client.errors import Conflict, UploadIncomplete
from federation.client.record_view import C
from federation.client.sender import JSON, Sender, decode
from federation.client.uploads import (
    MAX_LINES,
    NDJSON,
    REPORT_TIMEOUT,
    Line,
    RefusedRecord,
    ReportLine,
    UploadReport,
    each_draft,
    encode_line,
    read_summary,
)


class RemovalsFromFeed(msgspec.Struct, frozen=True, kw_only=True):
    """Records that would be retracted from a feed."""

    audience: str
    removed: int
    live: int
    """Records of the feed before."""
    pauses: bool
    """True where peers would pause the feed, until their administrators confirm."""


class _PlanBody(msgspec.Struct, kw_only=True):
    refused: tuple[ReportLine, ...] = ()
    summary: dict[str, int] | None = None
    digest: str | None = None
    retracts: tuple[str, ...] = ()
    removals: tuple[RemovalsFromFeed, ...] = ()


class Replacement:
    """A replacement that was tried and not done: look at it, then carry it out."""

    def __init__(self, sender: Sender, path: str, set_name: str, body: bytes, plan: _PlanBody) -> None:
        self._sender, self._path, self._set_name, self._body = sender, path, set_name, body
        self.refusals: tuple[RefusedRecord, ...] = tuple(line.refusal(0) for line in plan.refused)
        """The refused lines. With one of them nothing can be carried out."""
        self.summary: UploadReport = read_summary(plan.summary or {}, list(self.refusals))
        """The number of records that would be created, revised, retracted, and so on."""
        self.digest = plan.digest
        """SHA-256 of all that would be done; None with a refused line."""
        self.retracts = plan.retracts
        """Keys of records that would be retracted, a thousand at most."""
        self.removals = plan.removals

    @property
    def pauses_peers(self) -> bool:
        """True where so much would be retracted that peers would ask their administrators first."""
        return any(feed.pauses for feed in self.removals)

    async def carry_out(self) -> UploadReport:
        """Do what was planned. Raises Conflict (``plan-changed``) where it would be anything else by now.

        Raises ValueError after a refused line. To repeat one that failed begin with a new plan.
        """
        if self.digest is None:
            raise ValueError("a line is refused: correct the inventory and plan again")
        try:
            body = await _ask(self._sender, self._path, self._set_name, self._body, ("digest", self.digest))
        except Conflict as error:
            if error.repeated:
                raise UploadIncomplete("an attempt before may have been carried out: plan again") from error
            raise
        if body.summary is None:
            raise UploadIncomplete("the node ended the report before its summary: plan again")
        return read_summary(body.summary, [line.refusal(0) for line in body.refused])


async def plan_replacement(
    sender: Sender,
    path: str,
    set_name: str,
    records: int,
    drafts: Iterable[Line[C]] | AsyncIterable[Line[C]],
) -> Replacement:
    """Plan to replace a set by an inventory that is complete with so many records."""
    if not 0 <= records <= MAX_LINES:
        raise ValueError(f"a set is replaced by {MAX_LINES} records at most")
    lines = [msgspec.json.encode({"records": records}) + b"\n"]
    async for draft in each_draft(drafts):
        lines.append(encode_line(draft))
    body = b"".join(lines)
    plan = await _ask(sender, path, set_name, body, ("dry_run", "true"))
    return Replacement(sender, path, set_name, body, plan)


async def _ask(sender: Sender, path: str, set_name: str, body: bytes, option: tuple[str, str]) -> _PlanBody:
    # The second attempt of one that was carried out finds another plan, and changes nothing: 409.
    answer = await sender.send(
        "POST",
        path,
        parameters=(("set", set_name), ("replace", "true"), option),
        content=body,
        headers={"content-type": NDJSON, "accept": JSON},
        idempotent=True,
        timeout=REPORT_TIMEOUT,
    )
    return decode(_PlanBody, answer)
