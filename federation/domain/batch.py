"""A batch: part of a feed that is stored in one transaction, and the changes it makes.

``sync/apply`` decides the changes, ``node/copies`` stores them with the cursor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from federation.domain.entry import RejectedEntry, VerifiedEntry
from federation.domain.feed import Cursor, FeedName, FeedState
from federation.domain.record import Record
from federation.domain.stored import StoredRevision

RecordName = tuple[str, str]
"""(type, key) of a record of one origin."""
Withdrawal = tuple[str, str, int, int]
"""(type, key, seq, revision) of a record that has left its feed."""


class Batch(msgspec.Struct, frozen=True):
    """Some entries of a feed in order, verified or rejected."""

    feed: FeedName
    begins: Cursor | None
    """The feed's cursor before them; None for a feed that has none yet."""
    ends: Cursor
    """The feed's cursor after them."""
    entries: tuple[VerifiedEntry | RejectedEntry, ...]

    @property
    def names(self) -> list[RecordName]:
        return [(entry.type, entry.key) for entry in self.entries]

    def all_first_revisions(self) -> bool:
        """True where probably nothing of it is stored yet."""
        return all(isinstance(entry, VerifiedEntry) and entry.revision == 1 for entry in self.entries)

    @property
    def size(self) -> int:
        """Bytes of its documents."""
        return sum(
            len(entry.record.document)
            for entry in self.entries
            if isinstance(entry, VerifiedEntry) and entry.record is not None
        )

    def only_records(self) -> list[tuple[Record, int]]:
        """Its records and their numbers; none when it has a withdrawal or a rejected entry."""
        records = [
            (entry.record, entry.seq)
            for entry in self.entries
            if isinstance(entry, VerifiedEntry) and entry.record is not None
        ]
        return records if len(records) == len(self.entries) else []


class FeedWithRecords(NamedTuple):
    """A feed before a batch of it is stored."""

    feed: FeedState
    stored: dict[RecordName, StoredRevision]
    """Those of the batch's records that are stored, in whichever feed of the origin."""
    has_withdrawals: bool
    """Whether any record has left the feed."""
    has_rejections: bool
    """Whether any of its entries is rejected."""


class Growth(NamedTuple):
    """The change of a feed's records, with tombstones, and of the bytes of their documents."""

    records: int
    size: int


def growth_of(
    feed: int, upserts: Sequence[tuple[Record, int]], stored: Mapping[RecordName, StoredRevision]
) -> Growth:
    """The change that these upserts make to a feed, by what is stored of their records."""
    records = size = 0
    for record, _ in upserts:
        ours = stored.get((record.type, record.key))
        in_feed = ours is not None and ours.feed == feed
        records += not in_feed
        size += len(record.document) - (ours.size if ours is not None and in_feed else 0)
    return Growth(records, size)


class BatchChanges(msgspec.Struct, frozen=True, kw_only=True):
    """The changes that a batch makes to what is stored."""

    upserts: list[tuple[Record, int]]
    """Records to store, and their numbers."""
    withdrawals: list[Withdrawal]
    """Every withdrawal to confirm to the origin."""
    purges: list[Withdrawal]
    """Those whose record was ever stored here: of the others no trace is stored."""
    returns: list[RecordName]
    """Records whose withdrawal is over."""
    moves: dict[int, list[StoredRevision]]
    """Records that other feeds of the origin lose to this one, by feed."""
    live_change: int
    """Change of the number of live records in this feed."""
    growth: Growth
    """Change that the upserts make; what is purged is subtracted where it is deleted."""
    removed: int
    """Live records of this feed that are retracted."""
    accepted: list[RecordName]
    """Records whose last entry is good: what was rejected of them before is over."""
    rejected: list[RejectedEntry]
    """Every rejected entry, to be counted."""
    unresolved: list[RejectedEntry]
    """Those after which no good entry of the same record comes, to be stored."""
    independent: bool
    """Whether it only stores records, and does not depend on what has left the feed or was rejected."""
    all_new: bool
    """Whether none of its records was stored."""
