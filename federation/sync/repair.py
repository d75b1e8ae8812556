"""Repair a copy from the signature down, where it is not what its origin signed (decision 0016).

1. The sender shows the digests of the feed and the origin's checkpoint over them; their root must be signed.
2. Where a bucket's digest differs from ours, its leaves are read. They must have the digest of the bucket.
3. Records at other numbers are renumbered. Records that differ are fetched by number, each known by its leaf.
4. Last of all, what the origin does not list any more is dropped, unless the removal guard pauses it.
5. The copy is then at the checkpoint's cursor. ``node/repairs.compare`` says whether it is equal.

Each step is verified by the one before, so it does not matter who sends it. The same procedure brings a copy
past an expired cursor or into a new epoch, and reads it from a relay while the origin is down. Each bucket
is stored in transactions of its own; after a crash the next repair goes on.
"""

from __future__ import annotations

import asyncio
import logging
from typing import NamedTuple

from federation.domain.batch import RecordName
from federation.domain.checkpoint import (
    MAX_NUMBERS,
    Checkpoint,
    Leaf,
    SignedCheckpoint,
    VerifiableSource,
    root_of,
    unequal,
)
from federation.domain.copy import needs_confirmation
from federation.domain.entry import FeedEntry, RejectedEntry, VerifiedEntry
from federation.domain.errors import (
    AudienceRevoked,
    Forged,
    Invalid,
    StaleCursor,
    Unauthenticated,
    Unreachable,
)
from federation.domain.feed import FeedName, FeedState
from federation.domain.peer import Peer
from federation.domain.record import Record, supersedes
from federation.domain.stored import StoredRevision
from federation.node import checkpoints, exclusions, quotas, repairs
from federation.node.node import Node
from federation.node.repairs import RepairedRecords
from federation.sync import leaves
from federation.sync.apply import PullResult, RemovalsPaused, rejected_entry
from federation.sync.pull import verify_entry

log = logging.getLogger("federation.sync")

MAX_ATTEMPTS = 4
"""Comparisons with a feed that moves meanwhile."""
RETRY_SECONDS = 0.25
"""Before the next one: the origin signs what has changed within that time."""
RECORDS_PER_DROP = 500
"""Records dropped in one transaction."""


class EntrySender(NamedTuple):
    """The sender of entries, and the origin of the feed."""

    source: VerifiableSource
    origin: Peer
    """The operator of the feed, with its keys."""
    via: str | None = None
    """The peer that relays it; None for the origin itself."""

    @property
    def name(self) -> str:
        return self.via or self.origin.operator


class Repair:
    """One repair of a copy of a feed.

    ``trusting``: the copy is too old, or of another epoch. What the origin signed is right then, also where
    its revisions are lower than ours. Else such entries are rejected, as in any pull.
    """

    def __init__(
        self, node: Node, name: FeedName, sender: EntrySender, *, trusting: bool, result: PullResult
    ) -> None:
        self._node = node
        self._name = name
        self._sender = sender
        self._trusting = trusting
        self._result = result
        self._reset()

    def _reset(self) -> None:
        self._unlisted: set[RecordName] = set()
        """Stored records that the feed does not list any more."""
        self._tombstones: dict[int, Leaf] = {}
        """Stored live records that the feed lists as tombstones, by number."""
        self._removed = 0
        """Live records among both."""
        self._overruled: set[RecordName] = set()
        """Stored records that block a rejected entry of the origin, at the same or a lower revision: ours is
        of a past that the origin has lost."""

    async def run(self) -> SignedCheckpoint:
        """Make the copy what the newest checkpoint says, as far as possible. Returns that checkpoint.

        Raises Forged when an answer does not fit the checkpoint, Unreachable when the feed moves too fast,
        RemovalsPaused when more would be dropped than the removal guard allows, BeyondQuota, and StaleCursor.
        """
        await repairs.begin_repair(self._node, self._name)
        for attempt in range(MAX_ATTEMPTS):
            if attempt:
                await asyncio.sleep(RETRY_SECONDS)
            signed, digests = await self._read_digests()
            feed, ours = await repairs.compute_digest(self._node, self._name)
            if feed.epoch == signed.checkpoint.epoch and feed.head > signed.checkpoint.seq:
                raise StaleCursor
            self._reset()
            complete = True
            for bucket in unequal(ours.buckets, digests):
                complete = await self._repair_bucket(feed, bucket, digests, signed.checkpoint) and complete
            if complete and await self._remove(feed):
                await repairs.finish_repair(self._node, feed, signed.checkpoint)
                return signed
        raise Unreachable(
            f"{self._sender.name} does not give what it lists of {self._name}, or the feed moves faster than"
            " it can be compared"
        )

    async def _read_digests(self) -> tuple[SignedCheckpoint, bytes]:
        """The sender's checkpoint of the feed, and the digests that it covers."""
        shown = await self._sender.source.digests(self._name)
        checkpoint = verify_checkpoint(self._node, self._name, shown.checkpoint, self._sender)
        if root_of(shown.digest_bytes).hex() != checkpoint.root:
            raise Forged(f"{self._sender.name} shows digests of {self._name} that do not fit the checkpoint")
        relayed = self._sender.via is not None
        if relayed and self._node.operator in checkpoint.excludes:
            raise AudienceRevoked(f"{self._name.origin} excludes this node from {self._name}")
        await exclusions.store_exclusions(self._node, self._name, checkpoint, relayed=relayed)
        return SignedCheckpoint(checkpoint, shown.checkpoint), shown.digest_bytes

    async def _repair_bucket(
        self, feed: FeedState, bucket: int, digests: bytes, checkpoint: Checkpoint
    ) -> bool:
        """Make one bucket right, but for what is to be dropped. False when it moves meanwhile."""
        listed = await self._read_leaves(bucket, digests, checkpoint)
        if listed is None:
            return False
        stored = await repairs.stored_leaves(self._node, feed.id, bucket, checkpoint.retained_from)
        unlisted = stored.keys() - listed.keys()
        self._unlisted |= unlisted
        self._removed += sum(stored[name].op == "upsert" for name in unlisted)
        renumbered, missing = [], {}
        async for run in leaves.in_turns(listed.items()):
            for name, leaf in run:
                ours = stored.get(name)
                if ours is not None and (ours.op, leaf.op) == ("upsert", "delete"):
                    self._removed += 1
                    self._tombstones[leaf.seq] = leaf
                elif ours is None or ours._replace(seq=leaf.seq) != leaf:
                    missing[leaf.seq] = leaf
                elif ours.seq != leaf.seq:
                    renumbered.append((leaf.type, leaf.key, leaf.seq))
        if renumbered:
            await repairs.set_numbers(self._node, feed.id, bucket, renumbered)
            self._result.repaired += len(renumbered)
        return await self._fetch(feed, missing)

    async def _read_leaves(
        self, bucket: int, digests: bytes, checkpoint: Checkpoint
    ) -> dict[RecordName, Leaf] | None:
        """The leaves of a bucket, which have its digest. None when the feed has moved."""
        answer = await self._sender.source.leaves(self._name, bucket, leaves.max_leaves(checkpoint))
        if await leaves.bucket_digest(answer.leaves) != digests[32 * bucket : 32 * bucket + 32]:
            signed = (checkpoint.epoch, checkpoint.seq, checkpoint.retained_from)
            if (answer.epoch, answer.seq, answer.retained_from) == signed:
                raise self._forgery("leaves")
            return None
        try:
            return await leaves.leaves_by_name(answer.leaves, bucket)
        except Invalid:
            raise Forged(f"{self._name.origin} signed what are no leaves of {self._name}") from None

    async def _fetch(self, feed: FeedState, wanted: dict[int, Leaf]) -> bool:
        """Fetch and store the records of these leaves. False when some are not there any more."""
        remaining = sorted(wanted)
        while remaining:
            entries = await self._sender.source.entries_at(self._name, remaining[:MAX_NUMBERS])
            fetched = {entry.seq: entry for entry in entries}
            if not fetched.keys() & set(remaining):
                return False
            allowance = await quotas.read_allowance(self._node, feed.origin)
            allowance.count_entries(len(entries), self._node.clock())
            verified = []
            for entry in fetched.values():
                verified.append(await self._verify(entry, wanted))
                await asyncio.sleep(0)
            await self._store(feed, verified)
            remaining = [seq for seq in remaining if seq not in fetched]
        return True

    async def _verify(
        self, entry: FeedEntry | RejectedEntry, wanted: dict[int, Leaf]
    ) -> VerifiedEntry | RejectedEntry:
        """The entry, known by its leaf. Raises Forged when another one was signed at its number."""
        leaf = wanted.get(entry.seq)
        if leaf is None or (entry.type, entry.key, entry.revision) != (leaf.type, leaf.key, leaf.revision):
            raise self._forgery("entries")
        if isinstance(entry, FeedEntry) and (entry.op, entry.hash) != (leaf.op, leaf.hash):
            raise self._forgery("entries")
        verified = await verify_entry(entry, self._name)
        if (
            self._sender.via is not None
            and isinstance(verified, RejectedEntry)
            and verified.reason in ("bad-hash", "unreadable")
        ):
            raise self._forgery("entries")  # the leaf has that hash, and the origin has its bytes
        return verified

    def _forgery(self, part: str) -> Forged:
        return Forged(
            f"{self._sender.name} shows {part} of {self._name} that {self._name.origin} did not sign"
        )

    async def _store(self, feed: FeedState, entries: list[VerifiedEntry | RejectedEntry]) -> None:
        """Store entries. They are halved where the database rejects one, as in a pull."""

        def decide(stored: dict[RecordName, StoredRevision]) -> RepairedRecords:
            return self._decide(feed, entries, stored)

        allowance = await quotas.read_allowance(self._node, feed.origin)
        records = [e.record for e in entries if isinstance(e, VerifiedEntry) and e.record is not None]
        is_within = allowance.reserve(len(records), sum(len(record.document) for record in records))
        try:
            repaired = await repairs.store_records(
                self._node,
                feed,
                [(entry.type, entry.key) for entry in entries],
                decide,
                may_exceed=not is_within,
            )
        except Invalid as error:
            if len(entries) > 1:
                half = len(entries) // 2
                await self._store(feed, entries[:half])
                await self._store(feed, entries[half:])
            elif isinstance(entry := entries[0], VerifiedEntry):
                await self._store(feed, [rejected_entry(entry, "not-storable", error.detail)])
            else:
                raise
            return
        self._result.repaired += len(repaired.upserts)
        for bad in repaired.rejected:
            self._result.rejected[bad.reason] += 1

    def _decide(
        self,
        feed: FeedState,
        entries: list[VerifiedEntry | RejectedEntry],
        stored: dict[RecordName, StoredRevision],
    ) -> RepairedRecords:
        rejected = [entry for entry in entries if isinstance(entry, RejectedEntry)]
        upserts: list[tuple[Record, int]] = []
        moves: dict[int, list[StoredRevision]] = {}
        for entry in entries:
            if isinstance(entry, RejectedEntry):
                continue
            ours = stored.get((entry.type, entry.key))
            decision = self._decide_entry(feed, entry, ours)
            if isinstance(decision, RejectedEntry):
                rejected.append(decision)
            elif decision and entry.record is not None:
                upserts.append((entry.record, entry.seq))
                if ours and ours.feed is not None and ours.feed != feed.id:
                    moves.setdefault(ours.feed, []).append(ours)
        if self._trusting:
            self._overruled |= {
                (bad.type, bad.key)
                for bad in rejected
                if (ours := stored.get((bad.type, bad.key))) is not None
                and ours.feed == feed.id
                and ours.revision >= bad.revision
            }
        return RepairedRecords(upserts=upserts, moves=moves, rejected=rejected)

    def _decide_entry(
        self, feed: FeedState, entry: VerifiedEntry, ours: StoredRevision | None
    ) -> bool | RejectedEntry:
        """True to store the record, False when it has moved to another feed; else it is rejected.

        What an origin signed is right in a new epoch. But a relay may be behind: a record must not come back
        as it was before it moved, for its audience was another one then.
        """
        if ours is None or supersedes(entry.revision, ours.revision):
            return True
        if self._trusting:
            return self._sender.via is None or ours.feed == feed.id
        if ours.feed != feed.id:
            return False
        if entry.revision < ours.revision:
            return rejected_entry(
                entry, "regressing-revision", f"revision {ours.revision} is held, {entry.revision} came"
            )
        if entry.record is not None and ours.hash != entry.record.hash:
            return rejected_entry(
                entry, "changed-at-same-revision", f"revision {ours.revision} is held with another hash"
            )
        return True

    async def _remove(self, feed: FeedState) -> bool:
        """Drop what the origin does not list any more. Raises RemovalsPaused when that is too much.

        False when the tombstones that are to be fetched move meanwhile.
        """
        removed = self._removed + len(self._overruled)
        if not self._result.confirmed and needs_confirmation(removed, feed.live):
            raise RemovalsPaused(f"{removed} of {feed.live} records are to be removed")
        if not await self._fetch(feed, self._tombstones):
            return False
        names = sorted(self._unlisted | self._overruled)
        for start in range(0, len(names), RECORDS_PER_DROP):
            some = names[start : start + RECORDS_PER_DROP]
            resolved = [name for name in some if name in self._unlisted]
            self._result.repaired += await repairs.drop_records(self._node, feed, some, resolved=resolved)
        if names:
            self._node.notifier.notify()
        return True


def verify_checkpoint(node: Node, name: FeedName, jws: str, sender: EntrySender) -> Checkpoint:
    """A checkpoint, verified with the keys of the feed's origin. Raises Forged, which names the sender."""
    try:
        return checkpoints.read_signed_checkpoint(jws, sender.origin.keys, name, node.clock())
    except (Unauthenticated, Invalid) as error:
        raise Forged(
            f"{sender.name} shows a checkpoint of {name} that does not hold: {error.detail}"
        ) from None
