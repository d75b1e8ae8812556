"""Plans of uploads: what an upload would do, and doing just that.

1. Each line is compared with the stored revision; nothing is locked or written.
2. For a set that is replaced, its live records that are in no line are to be retracted. One upload at a time
   does so, from here on to the end: of two that found each other's records unchanged, each would retract what
   the other one has.
3. The digest names every change with the revision that it is of: it is another one as soon as anything is.
4. Lines are stored batch by batch, each record only at the revision that was planned.
5. Records are retracted last, each only at the revision that was planned and while it is in the set.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from federation.domain.canonical import canonical
from federation.domain.document import Envelope
from federation.domain.draft import Draft
from federation.domain.errors import Conflict, Invalid, Refused
from federation.domain.record import Record
from federation.domain.record_content import Content
from federation.domain.stored import StoredRevision
from federation.domain.upload import Action, FeedRemovals
from federation.domain.visibility import FEDERATION, PRIVATE, PUBLIC, Caller, audience_of, may_see
from federation.node import records
from federation.node.default_labels import public_outages
from federation.node.edits import (
    Edit,
    Retract,
    WriteResult,
    WriteStep,
    edit_many,
    edited_record,
    no_group,
    subject_edit,
)
from federation.node.node import Node
from federation.node.record_sets import MAX_MEMBERS, MembershipStep
from federation.store.database import Reading

MAX_RETRACTED = 100_000
"""Records that the replacement of a set retracts, at most."""
LINES_PER_TURN = 50
"""Lines compared before other requests have a turn."""
CHANGES_PER_TURN = 1_000
"""Changes that are summed up before other requests have a turn."""


class PlannedChange(NamedTuple):
    """What would become of a record."""

    action: Action
    revision: int
    """The stored revision; 0 where there is none."""
    audience: str | None
    """Of the stored record, where it is live."""
    content_hash: bytes
    """Of the draft; empty where nothing is written."""
    from_set: str | None
    """The other set that the record would leave."""
    enters_set: bool


class UploadPlan:
    """The changes of one upload, for the node's own client ``by``."""

    def __init__(
        self, node: Node, kind: type[Content], *, by: Caller, set_name: str | None, replaces: bool
    ) -> None:
        self._node = node
        self._kind = kind
        self._by = by
        self._set = set_name
        self._replaces = replaces
        self.changes: dict[str, PlannedChange] = {}
        self.retractions: dict[str, PlannedChange] = {}
        """Records of the set that are in no line."""
        self.digest = ""
        """SHA-256 of what the upload would do, in hexadecimal; from ``close`` on."""
        self.removals: tuple[FeedRemovals, ...] = ()
        """The feeds that records would be retracted from, and whether peers would pause; from ``close`` on.

        As if a peer pulled before the upload and after it: one that pulls in between counts fewer at a time.
        """
        self._live: dict[str, int] = {}

    async def add(self, lines: Mapping[str, Draft[Any] | Retract]) -> dict[str, PlannedChange | Refused]:
        """Plan a batch of lines. Raises Refused where the node cannot read."""
        keys = sorted(lines)
        outcomes: dict[str, PlannedChange | Refused] = {}
        async with self._node.store.read() as tx:
            stored = await tx.records.current_revisions(self._kind.type, self._node.operator, keys)
            sets = await tx.record_sets.sets_of(self._kind.type, keys)
            groups: dict[str, bool] = {}
            public = await public_outages(tx, self._kind, map(stored.get, keys))
            for number, key in enumerate(keys):
                if number % LINES_PER_TURN == 0:
                    await asyncio.sleep(0)
                try:
                    record = await self._next(tx, key, lines[key], stored.get(key), public)
                    if record is not None:
                        await self._check_group(tx, record, groups)
                except Refused as error:
                    outcomes[key] = error
                    continue
                outcomes[key] = self.changes[key] = self._planned(
                    lines[key], stored.get(key), record, sets.get(key)
                )
        return outcomes

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """No other upload replaces the set until the block ends. Raises Conflict where one does."""
        async with self._node.store.try_task(f"replace {self._kind.type} {self._set}") as is_locked:
            if not is_locked:
                raise Conflict(
                    "another upload replaces the set {set} at this moment; nothing was changed", set=self._set
                )
            yield

    async def close(self) -> None:
        """All lines are there: plan the retractions. Raises Invalid where they are too many."""
        async with self._node.store.read() as tx:
            self._live = {
                feed.audience: feed.live
                for feed in await tx.feeds.all()
                if feed.origin == self._node.operator
            }
            if self._replaces and self._set is not None:
                await self._plan_retractions(tx, self._set)
        await self._sum_up()

    async def _plan_retractions(self, tx: Reading, set_name: str) -> None:
        after = ""
        while members := await tx.record_sets.members(
            self._kind.type, set_name, origin=self._node.operator, after=after, limit=MAX_MEMBERS
        ):
            for key, revision, audience in members:
                # (What a person may not see stays in the set: to them it is not there.)
                if key not in self.changes and may_see(self._node.operator, audience, self._by):
                    self.retractions[key] = PlannedChange("retracted", revision, audience, b"", None, False)
            if len(self.retractions) > MAX_RETRACTED:
                raise Invalid(
                    "more than {number} records of the set {set} are not in this upload; retract some of them"
                    " first, by lines with retract",
                    number=MAX_RETRACTED,
                    set=set_name,
                    pointer="?set",
                    fault="rule",
                )
            after = members[-1].key

    async def _sum_up(self) -> None:
        """Compute the digest and the removals, in turns: there may be 200 000 changes."""
        buckets: list[list[bytes]] = [[] for _ in range(256)]
        removed: Counter[str] = Counter()
        changes = chain(self.changes.items(), self.retractions.items())
        for number, (key, change) in enumerate(changes):
            if number % CHANGES_PER_TURN == 0:
                await asyncio.sleep(0)
            if change.action == "retracted" and change.audience not in (None, PRIVATE):
                removed[change.audience or ""] += 1
            if change.action != "unchanged" or change.enters_set:
                action, revision, _, content_hash, from_set, enters = change
                line = canonical([key, action, revision, content_hash.hex(), from_set, enters])
                buckets[hashlib.sha256(line).digest()[0]].append(line)
        digest = hashlib.sha256(canonical([self._kind.type, self._set, self._replaces]))
        for bucket in buckets:
            await asyncio.sleep(0)
            for line in sorted(bucket):
                digest.update(line + b"\n")
        self.digest = digest.hexdigest()
        self.removals = tuple(
            FeedRemovals.of(audience, removed[audience], self._live.get(audience, 0))
            for audience in sorted(removed)
        )

    async def write(
        self, lines: Mapping[str, Draft[Any] | Retract], step: WriteStep | None = None
    ) -> dict[str, WriteResult | Refused]:
        """Store a batch of the planned lines, in one transaction; ``step`` belongs to it, without a set."""
        revisions = {key: self.changes[key].revision for key in lines}
        return await records.upload(
            self._node, self._kind, lines, by=self._by, set_name=self._set, revisions=revisions, step=step
        )

    async def retract(self) -> AsyncIterator[dict[str, WriteResult | Refused]]:
        """Retract what is planned, batch by batch."""
        keys = list(self.retractions)
        for start in range(0, len(keys), MAX_MEMBERS):
            batch = keys[start : start + MAX_MEMBERS]
            step = MembershipStep(self._kind.type, batch)

            def edit(key: str, stored: StoredRevision | None, step: MembershipStep = step) -> Retract:
                planned = self.retractions[key]
                if stored is None or stored.revision != planned.revision or step.sets.get(key) != self._set:
                    name = f"{self._kind.type} {self._node.operator}/{key}"
                    raise Conflict("{record} was written by somebody else in between", record=name)
                return Retract()

            yield await edit_many(self._node, self._kind, batch, edit, by=self._by, step=step)

    async def _next(
        self,
        tx: Reading,
        key: str,
        line: Draft[Any] | Retract,
        stored: StoredRevision | None,
        public: bool,
    ) -> Record | None:
        def edit(key: str, stored: StoredRevision | None) -> Draft[Any] | Retract | None:
            return records.bulk_edit(self._node, self._kind, key, line, stored)

        chosen: Edit = edit
        if self._kind.has_subject:
            chosen = await subject_edit(self._node, tx, self._kind, key, stored, edit, self._by)
        time = self._node.clock()
        return edited_record(
            self._node, self._kind, key, stored, chosen, time, by=self._by, public_outages=public
        )

    async def _check_group(self, tx: Reading, record: Record, known: dict[str, bool]) -> None:
        audience = record.audience
        if record.retracted or audience in (PUBLIC, FEDERATION, PRIVATE):
            return
        if audience not in known:
            known[audience] = await tx.groups.exists(audience, node=self._node.operator)
        if not known[audience]:
            raise no_group(self._node, audience)

    def _planned(
        self,
        line: Draft[Any] | Retract,
        stored: StoredRevision | None,
        record: Record | None,
        in_set: str | None,
    ) -> PlannedChange:
        audience = None
        if stored is not None and not stored.retracted and stored.document:
            envelope = msgspec.json.decode(stored.document, type=Envelope)
            audience = audience_of(envelope.tlp, envelope.audience)
        retracts = isinstance(line, Retract)
        enters = self._set is not None and not retracts and in_set != self._set
        action: Action
        if record is None:
            action = "unchanged"
        elif record.retracted:
            action = "retracted"
        else:
            action = "created" if stored is None or stored.retracted else "revised"
        written = record is not None and not record.retracted
        return PlannedChange(
            action,
            stored.revision if stored else 0,
            audience,
            hashlib.sha256(canonical(line)).digest() if written else b"",
            in_set if enters else None,
            enters,
        )
