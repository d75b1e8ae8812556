"""The part of the plan of a run that is about records of one type (``source_plans.py``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from federation.domain.canonical import canonical
from federation.domain.draft import Draft
from federation.domain.errors import Conflict, NotFound, Refused
from federation.domain.record_content import Content
from federation.domain.sources.reading import Item, Reading
from federation.domain.sources.report import ReportLine, Tally, rejected
from federation.domain.sources.source import ImportSource
from federation.domain.upload import FeedRemovals
from federation.domain.visibility import Caller
from federation.node.edits import Retract, WriteResult
from federation.node.node import Node
from federation.node.source_items import ItemMerger, LeftItem, MergedItem
from federation.node.upload_plans import PlannedChange, UploadPlan
from federation.store.database import Writing
from federation.store.source_items import SourceItem

BATCH_ITEMS = 200
"""Items that are merged, and records that are written, at a time."""
T = TypeVar("T")


class TypePlan:
    """The part of a plan that is about records of one type."""

    def __init__(
        self,
        node: Node,
        source: ImportSource,
        kind: type[Content],
        reading: Reading,
        known: Mapping[str, SourceItem],
        by: Caller,
    ) -> None:
        self._node = node
        self._source = source
        self._kind = kind
        self._merger = ItemMerger(node, source, kind, reading, known, by)
        self._plan = UploadPlan(node, kind, by=by, set_name=None, replaces=False)
        self._merged: dict[str, MergedItem] = {}
        self._left: list[LeftItem] = []
        self._retracted: dict[str, SourceItem] = {}
        self._marked: list[SourceItem] = []
        self.digest = b""
        self.removals: tuple[FeedRemovals, ...] = ()

    async def prepare(
        self, items: Sequence[Item], missing: Sequence[SourceItem], tally: Tally, *, retracts: bool
    ) -> None:
        for batch in batches(items):
            async with self._node.store.read() as tx:
                results = await self._merger.merge(tx, batch)
            merged = {result.key: result for _, result in results if isinstance(result, MergedItem)}
            outcomes = await self._plan.add({key: item.draft for key, item in merged.items()})
            for item, result in results:
                if isinstance(result, Refused):
                    tally.add(rejected(item.place, result, type_=self._kind.type, key=item.key))
                elif isinstance(result, LeftItem):
                    self._left.append(result)
                    tally.add(self._left_line(result))
                else:
                    self._note(result, outcomes[result.key], tally)
        if retracts:
            for rows in batches(missing):
                lines = {row.key: Retract() for row in rows}
                for key, outcome in (await self._plan.add(lines)).items():
                    row = next(row for row in rows if row.key == key)
                    self._note_retraction(row, outcome, tally)
        else:
            self._marked = [row for row in missing if row.disappeared_at is None]
            for row in self._marked:
                tally.add(ReportLine("disappeared", row.identity, self._kind.type, row.key))
        await self._plan.close()
        named = sorted([key, item.item.identity] for key, item in self._merged.items() if item.row_changes)
        marked = sorted(row.identity for row in self._marked)
        self.digest = canonical([self._kind.type, self._plan.digest, named, marked])
        self.removals = self._plan.removals

    def _note(self, merged: MergedItem, outcome: PlannedChange | Refused, tally: Tally) -> None:
        if isinstance(outcome, PlannedChange) and outcome.revision != merged.revision:
            outcome = self._conflict(merged.key)
        if isinstance(outcome, Refused):
            self._plan.changes.pop(merged.key, None)
            tally.add(rejected(merged.item.place, outcome, type_=self._kind.type, key=merged.key))
            return
        self._merged[merged.key] = merged
        tally.add(self._line(merged, outcome.action))

    def _note_retraction(self, row: SourceItem, outcome: PlannedChange | Refused, tally: Tally) -> None:
        if isinstance(outcome, NotFound):
            return  # it is gone already, with its tombstone
        if isinstance(outcome, Refused):
            tally.add(rejected(row.identity, outcome, type_=self._kind.type, key=row.key))
            return
        self._retracted[row.key] = row
        tally.add(ReportLine(outcome.action, row.identity, self._kind.type, row.key))

    def _conflict(self, key: str) -> Conflict:
        record = f"{self._kind.type} {self._node.operator}/{key}"
        return Conflict("{record} was written by somebody else in between", record=record)

    def _line(self, merged: MergedItem, action: Any) -> ReportLine:
        item = merged.item
        person = tuple(merged.row.person)
        return ReportLine(action, item.place, self._kind.type, merged.key, (), (), person, item.defaulted)

    def _left_line(self, left: LeftItem) -> ReportLine:
        reasons, french = (str(left.reason),), (left.reason.to_text("fr"),)
        return ReportLine(
            "unchanged", left.item.place, self._kind.type, left.key, reasons, french, left.person
        )

    async def write(self, tally: Tally) -> None:
        for left in self._left:
            tally.add(self._left_line(left))
        due: list[MergedItem] = []
        for key, merged in self._merged.items():
            if self._plan.changes[key].action != "unchanged" or merged.row_changes:
                due.append(merged)
            else:
                tally.add(self._line(merged, "unchanged"))
        for batch in batches(due):
            by_key = {merged.key: merged for merged in batch}
            lines: dict[str, Draft[Any] | Retract] = {key: merged.draft for key, merged in by_key.items()}
            step = _ItemsStep(self._source.name, self._kind.type, by_key)
            for key, outcome in (await self._plan.write(lines, step)).items():
                merged = by_key[key]
                if isinstance(outcome, Refused):
                    tally.add(rejected(merged.item.place, outcome, type_=self._kind.type, key=key))
                else:
                    tally.add(self._line(merged, _action(outcome)))
        await self._retract(tally)
        await self._mark(tally)

    async def _retract(self, tally: Tally) -> None:
        for rows in batches(list(self._retracted.values())):
            step = _ItemsStep(self._source.name, self._kind.type, {})
            outcomes = await self._plan.write({row.key: Retract() for row in rows}, step)
            for row in rows:
                outcome = outcomes[row.key]
                if isinstance(outcome, Refused):
                    tally.add(rejected(row.identity, outcome, type_=self._kind.type, key=row.key))
                else:
                    tally.add(ReportLine(_action(outcome), row.identity, self._kind.type, row.key))

    async def _mark(self, tally: Tally) -> None:
        now = self._node.clock()
        for rows in batches(self._marked):
            async with self._node.store.write() as tx:
                await tx.source_items.mark_disappeared(
                    self._source.name, self._kind.type, [row.identity for row in rows], now
                )
            for row in rows:
                tally.add(ReportLine("disappeared", row.identity, self._kind.type, row.key))


class _ItemsStep:
    """Stores what the source gave, in the transaction that stores the records."""

    def __init__(self, source: str, type_name: str, merged: Mapping[str, MergedItem]) -> None:
        self._source = source
        self._type = type_name
        self._merged = merged

    async def begin(self, tx: Writing) -> None:
        """Nothing comes first."""

    async def finish(self, tx: Writing, outcomes: Mapping[str, WriteResult | Refused]) -> None:
        written = [key for key, outcome in outcomes.items() if not isinstance(outcome, Refused)]
        rows = [self._merged[key].row for key in written if key in self._merged]
        if rows:
            await tx.source_items.store(self._source, self._type, rows)
        if retracted := [key for key in written if key not in self._merged]:
            await tx.source_items.remove(self._source, self._type, retracted)


def _action(result: WriteResult) -> Any:
    if not result.changed:
        return "unchanged"
    if result.retracted:
        return "retracted"
    return "created" if result.created else "revised"


def batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), BATCH_ITEMS):
        yield items[start : start + BATCH_ITEMS]
