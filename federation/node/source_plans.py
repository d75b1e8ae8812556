"""The plan of a run: what the records of a reading would change, and doing just that.

1. Read what the source gave last. For each type, merge its items with the records (``source_items.py``).
2. Plan the drafts as a bulk upload does (``upload_plans.py``): nothing is locked or written.
3. What the source no longer gives is marked; with ``replaces`` it is to be retracted.
4. The digest names every change with the revision that it is of.
5. Write batch by batch: the records, and in the same transaction what the source gave of them.

A record that is written by somebody else between 1 and 5 is left as it is, and the next run merges it.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Set

from federation.domain.canonical import canonical
from federation.domain.errors import Conflict, Invalid, MissingScope, Refused
from federation.domain.record_content import Content
from federation.domain.registry import TYPES
from federation.domain.sources.reading import Item, Reading
from federation.domain.sources.report import Tally, not_read, rejected
from federation.domain.sources.source import ImportSource
from federation.domain.upload import FeedRemovals
from federation.domain.visibility import Caller
from federation.node.node import Node
from federation.node.source_type_plans import TypePlan
from federation.store.source_items import SourceItem

NOT_IMPORTED = ("group", "membership", "operator")
"""Types that no source gives: they say who may see what."""
IMPORTED: dict[str, type[Content]] = {
    kind.plural: kind for kind in TYPES.values() if kind.type not in NOT_IMPORTED
}
"""The types that sources give, by their plural names."""


class SourcePlan:
    """What a reading of a source would change, and then the change."""

    def __init__(
        self, node: Node, source: ImportSource, reading: Reading, *, by: Caller, replaces: bool = False
    ) -> None:
        self._node = node
        self._source = source
        self._reading = reading
        self._by = by
        self._replaces = replaces
        self._types: list[TypePlan] = []
        self._tally = Tally()
        self.digest = ""
        self.removals: tuple[FeedRemovals, ...] = ()

    @property
    def tally(self) -> Tally:
        """What the run would do, or did."""
        return self._tally

    async def prepare(self) -> Tally:
        """Plan the run. Raises MissingScope, and Refused where the node cannot read."""
        known: dict[str, dict[str, SourceItem]] = defaultdict(dict)
        async with self._node.store.read() as tx:
            for row in await tx.source_items.all(self._source.name):
                known[row.type][row.identity] = row
        for fault in self._reading.faults:
            self._tally.add(not_read(fault.place, fault.reason, fault.member))
        items, identities = self._by_type(known)
        missing = self._missing(identities, known)
        for kind in TYPES.values():
            if items[kind.type] or missing[kind.type]:
                plan = TypePlan(self._node, self._source, kind, self._reading, known[kind.type], self._by)
                self._types.append(plan)
                await plan.prepare(items[kind.type], missing[kind.type], self._tally, retracts=self._replaces)
        digest = hashlib.sha256(canonical([self._source.name, self._replaces]))
        for plan in self._types:
            digest.update(plan.digest)
        self.digest = digest.hexdigest()
        self.removals = tuple(removal for plan in self._types for removal in plan.removals)
        return self._tally

    def _by_type(
        self, known: Mapping[str, Mapping[str, SourceItem]]
    ) -> tuple[dict[str, list[Item]], set[tuple[str, str]]]:
        """The items of each type, without those beyond the quota or there twice; and all identities."""
        items: dict[str, list[Item]] = defaultdict(list)
        identities: set[tuple[str, str]] = set()
        number = sum(map(len, known.values()))
        for item in self._reading.items:
            kind = IMPORTED.get(item.type)
            error: Refused | None = None
            if kind is None:
                error = Invalid("sources give no {type}", type=ascii(item.type)[1:41])
            elif self._by.scopes and f"{kind.plural}.write" not in self._by.scopes:
                raise MissingScope(
                    "the file has {kind}, and that takes the scope {scope}",
                    kind=kind.plural,
                    scope=f"{kind.plural}.write",
                )
            elif (kind.type, item.identity) in identities:
                error = Conflict(
                    "the source gives {identity} twice; the first one counts", identity=item.identity
                )
            elif item.identity not in known.get(kind.type, {}):
                number += 1
                if number > self._source.quota.records:
                    error = Conflict(
                        "the quota of the source is {maximum} records; this one is left out",
                        maximum=self._source.quota.records,
                    )
            if kind is not None:
                identities.add((kind.type, item.identity))
            if error is not None:
                self._tally.add(rejected(item.place, error, key=item.key))
            elif kind is not None:
                items[kind.type].append(item)
        return items, identities

    def _missing(
        self, identities: Set[tuple[str, str]], known: Mapping[str, Mapping[str, SourceItem]]
    ) -> dict[str, list[SourceItem]]:
        """What the source gave before and does not give now; nothing where that cannot be known."""
        missing: dict[str, list[SourceItem]] = defaultdict(list)
        if self._reading.is_complete and not self._reading.faults:
            for type_name, rows in known.items():
                missing[type_name] = [
                    row for identity, row in rows.items() if (type_name, identity) not in identities
                ]
        return missing

    async def write(self) -> Tally:
        """Carry out the plan. Returns what became of it."""
        self._tally, planned = Tally(), self._tally
        for line in planned.lines:
            if line.outcome == "rejected":
                self._tally.add(line)
        counted = self._tally.counts.rejected
        self._tally.count("rejected", planned.counts.rejected - counted)
        for plan in self._types:
            await plan.write(self._tally)
        return self._tally
