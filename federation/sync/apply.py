"""Decide what a batch of a feed changes. Pure: ``node/copies`` stores what is decided here.

1. Entry by entry, in order, each against what is known of its record: an earlier entry of the batch, the
   stored revision, or the revision with which it left this feed.
2. A higher revision replaces a lower one. The same revision changes at most its number. A lower one is
   rejected if it is of this feed; else the record has moved on, and the entry is over.
3. A withdrawal removes its record, unless a higher revision of this feed is stored.
4. The last good entry of each record counts. Rejected entries after it are stored, to be reported.
5. Where more live records would be retracted than the removal guard allows, nothing is stored at all.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from federation.domain.batch import Batch, BatchChanges, FeedWithRecords, RecordName, growth_of
from federation.domain.copy import needs_confirmation
from federation.domain.entry import RejectedEntry, VerifiedEntry
from federation.domain.record import Record, supersedes
from federation.domain.stored import StoredRevision


class PullResult(msgspec.Struct):
    """The result of one pull or repair of a feed."""

    entries: int = 0
    """Entries that were stored or rejected."""
    rejected: Counter[str] = msgspec.field(default_factory=Counter)
    """Rejected entries by their reason."""
    purged: int = 0
    """Records dropped because the feed may not be read any more."""
    removed: int = 0
    """Live records that were retracted."""
    live_before: int = 0
    """Live records of the feed before it."""
    confirmed: bool = False
    """Whether an administrator has confirmed the removals."""
    verified: bool = False
    """Whether the copy was found equal to what its origin signed, at the head that began this."""
    repaired: int = 0
    """Records stored, moved or dropped by a repair."""
    signed: int = 0
    """Number up to which the checkpoint reaches that came with the head, in its epoch; 0 where none came."""
    paused: bool = False
    """Whether its peer would go beyond its quota: nothing more is applied."""


class RemovalsPaused(Exception):
    """More records are to be removed than the removal guard allows; the message says how many."""


def decide(
    batch: Batch, before: FeedWithRecords, withdrawn: dict[RecordName, int], result: PullResult
) -> BatchChanges:
    """The changes of a batch. Raises RemovalsPaused where all of this pull would remove too much.

    ``withdrawn``: revisions with which records of the batch left the feed.
    """
    decision = _Decision(before, withdrawn)
    for entry in batch.entries:
        decision.add(entry)
    changes = decision.changes()
    removed = result.removed + changes.removed
    if not result.confirmed and needs_confirmation(removed, result.live_before):
        raise RemovalsPaused(f"{removed} of {result.live_before} records are to be removed")
    return changes


def rejected_entry(entry: VerifiedEntry, reason: str, detail: str) -> RejectedEntry:
    """An entry, rejected for that reason."""
    return RejectedEntry(
        seq=entry.seq, type=entry.type, key=entry.key, revision=entry.revision, reason=reason, detail=detail
    )


class _Decision:
    """The last good entry of each record of a batch, and the rejected ones."""

    def __init__(self, before: FeedWithRecords, withdrawn: dict[RecordName, int]) -> None:
        self._before = before
        self._feed = before.feed.id
        self._stored = before.stored
        self._withdrawn = withdrawn
        self._last: dict[RecordName, VerifiedEntry] = {}
        self._rejected: list[RejectedEntry] = []

    def add(self, entry: VerifiedEntry | RejectedEntry) -> None:
        """Decide on the next entry of the feed."""
        if isinstance(entry, RejectedEntry):
            self._rejected.append(entry)
            return
        name = (entry.type, entry.key)
        revision, hash_, in_feed = self._known(name)
        if entry.record is None:
            if in_feed and supersedes(revision, entry.revision):
                self._reject(
                    entry,
                    "regressing-revision",
                    f"revision {revision} is held, {entry.revision} is withdrawn",
                )
            else:
                self._last[name] = entry
            return
        if supersedes(entry.revision, revision) or (hash_ is None and entry.revision == revision and in_feed):
            # (The same revision again after a withdrawal: this node was admitted to the audience again.)
            self._last[name] = entry
        elif entry.revision == revision and hash_ is not None:
            if hash_ != entry.record.hash:
                self._reject(
                    entry, "changed-at-same-revision", f"revision {revision} is held with another hash"
                )
            elif not self._has_number(name, entry.seq):
                self._last[name] = entry
        elif in_feed:
            self._reject(entry, "regressing-revision", f"revision {revision} is held, {entry.revision} came")
        # Else the record has moved to another feed since this entry was read: that feed is right.

    def changes(self) -> BatchChanges:
        last = self._last
        upserts = [(entry.record, entry.seq) for entry in last.values() if entry.record is not None]
        withdrawals = [(e.type, e.key, e.seq, e.revision) for e in last.values() if e.record is None]
        return BatchChanges(
            upserts=upserts,
            withdrawals=withdrawals,
            # Without this a peer could name records without end, and fill the table.
            purges=[gone for gone in withdrawals if gone[:2] in self._stored or gone[:2] in self._withdrawn],
            returns=[name for name, entry in last.items() if entry.record is not None]
            if self._withdrawn
            else [],
            moves=self._moves(),
            live_change=self._live_change(),
            growth=growth_of(self._feed, upserts, self._stored),
            removed=(removed := self._removed()),
            accepted=list(last),
            rejected=self._rejected,
            unresolved=[
                bad
                for bad in self._rejected
                if (good := last.get((bad.type, bad.key))) is None or good.seq < bad.seq
            ],
            independent=not removed and self._independent(),
            all_new=not self._stored,
        )

    def _known(self, name: RecordName) -> tuple[int, bytes | None, bool]:
        """Revision and hash known of a record, and whether that is of this feed."""
        if earlier := self._last.get(name):
            return earlier.revision, earlier.record.hash if earlier.record else None, True
        gone = self._withdrawn.get(name, 0)
        stored = self._stored.get(name)
        if stored is not None and stored.revision >= gone:
            return stored.revision, stored.hash, stored.feed == self._feed
        return gone, None, True

    def _has_number(self, name: RecordName, seq: int) -> bool:
        stored = self._stored.get(name)
        return (
            name not in self._last and stored is not None and stored.feed == self._feed and stored.seq == seq
        )

    def _reject(self, entry: VerifiedEntry, reason: str, detail: str) -> None:
        self._rejected.append(rejected_entry(entry, reason, detail))

    def _independent(self) -> bool:
        return (
            not self._before.has_withdrawals
            and not self._before.has_rejections
            and not self._rejected
            and all(entry.record is not None for entry in self._last.values())
            and all(stored.feed in (None, self._feed) for stored in self._stored.values())
        )

    def _live_change(self) -> int:
        return sum(_live(entry.record) - self._was_live(name) for name, entry in self._last.items())

    def _removed(self) -> int:
        # What is withdrawn must go in any case, and is not counted.
        return sum(
            entry.record is not None and entry.record.retracted and self._was_live(name)
            for name, entry in self._last.items()
        )

    def _was_live(self, name: RecordName) -> bool:
        stored = self._stored.get(name)
        return stored is not None and stored.feed == self._feed and not stored.retracted

    def _moves(self) -> dict[int, list[StoredRevision]]:
        moves: dict[int, list[StoredRevision]] = {}
        for name, entry in self._last.items():
            stored = self._stored.get(name)
            if entry.record and stored and stored.feed is not None and stored.feed != self._feed:
                moves.setdefault(stored.feed, []).append(stored)
        return moves


def _live(record: Record | None) -> bool:
    return record is not None and not record.retracted
