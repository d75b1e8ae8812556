"""Prove a copy, and repair it where it is not what its origin signed.

A copy is compared by its root. Where the roots differ, the digests of the buckets say where, and the leaves
of those buckets say what: each step is held against the one before, up to the origin's signature, so that
it does not matter who tells it. Only the records that differ are fetched, each known by its hash before it
comes. That is how a copy is repaired, how a feed is taken after its cursor has expired or its epoch has
changed, and how it is taken from another member while the origin is down.

Nothing is dropped first. Each bucket is made right in transactions of its own; a crash leaves a copy that
is nearer to the origin's than before, and the next comparison goes on.
"""

from __future__ import annotations

import asyncio
import logging
from typing import NamedTuple

from federation.domain.checkpoint import (
    MAX_NUMBERS,
    Checkpoint,
    DigestState,
    Leaf,
    VerifiableSource,
    brakes,
    bucket_digest,
    bucket_of,
    read_leaf,
    root_of,
    unequal,
)
from federation.domain.errors import Forged, Invalid, Unauthenticated, Unreachable
from federation.domain.feed import FeedEntry, FeedName, RejectedEntry, VerifiedEntry, verify
from federation.domain.peer import Peer
from federation.domain.record import Record, supersedes
from federation.node import checkpoints, retention
from federation.node.node import Node
from federation.store.database import Writing
from federation.store.feeds import FeedState
from federation.store.records import StoredRevision
from federation.sync.apply import PullResult, RemovalsPaused, StaleCursor, rejected_entry

log = logging.getLogger("federation.sync")

TRIES = 4
"""How often the proof of a feed that moves meanwhile is asked for, at most."""
PAUSE = 0.25
"""Seconds before it is asked for again: its origin signs what has changed within that time."""
SLICE = 500
"""Records dropped in one transaction."""


class SignedState(NamedTuple):
    """A checkpoint, verified, and its JWS."""

    said: Checkpoint
    jws: str


class EntrySender(NamedTuple):
    """Who tells us of a feed, and whose feed it is."""

    source: VerifiableSource
    origin: Peer
    """The operator whose feed it is, with its keys."""
    via: str | None = None
    """The peer that relays it; None for the origin itself."""

    @property
    def name(self) -> str:
        return self.via or self.origin.operator


async def compare(
    node: Node, name: FeedName, proof: SignedState, *, adopting: bool = False
) -> DigestState | None:
    """Hold a copy against a checkpoint: None when it is equal, and is noted as verified; else our state.

    With ``adopting`` a copy that is equal but for its epoch is of the checkpoint's epoch from then on.
    Raises Overtaken when the copy is at another number: there is nothing to compare.
    """
    said = proof.said
    async with node.store.write() as tx:
        place = await tx.feeds.find(name)
        if place is None or place.head != said.seq or not (adopting or place.epoch == said.epoch):
            raise StaleCursor
        if said.retained_from <= place.retained_from:
            return await _compared(tx, place, proof)
        await retention.drop_tombstones(tx, place.id, said.retained_from)
    # To drop takes the lock of numbering, and to reckon may take long: not in one transaction.
    return await compare(node, name, proof, adopting=adopting)


async def _compared(tx: Writing, place: FeedState, proof: SignedState) -> DigestState | None:
    said = proof.said
    was = await tx.checkpoints.try_lock(place.id)
    if was is None:
        raise StaleCursor
    _, state = await tx.checkpoints.compute(was)
    if not said.says(state):
        await tx.checkpoints.store(was, state)
        return state
    if place.epoch != said.epoch:
        await tx.feeds.advance(place, said.cursor, delta=0)
    signed_at, expires_at = checkpoints.moment(said.iat), checkpoints.moment(said.exp)
    gaps = await tx.copies.note_verification(place.id, state, proof.jws, signed_at, expires_at)
    # Of another epoch, its origin may have lost our receipts with what it has lost. A number without a
    # record may be that of a withdrawal that was lost on its way or could not be read: no digest shows
    # one of a record that we never held, and its origin waits for our receipt.
    if gaps or place.epoch != said.epoch:
        await tx.copies.note_withdrawal(place.id, said.epoch, said.seq)
    return None


class Repair:
    """One repair of a copy of a feed.

    ``trusting``: the copy is too old, or of another epoch, so what the origin has is right even where its
    revisions are lower than ours. Else such records are set aside, as in any entry.
    """

    def __init__(
        self, node: Node, name: FeedName, sender: EntrySender, *, trusting: bool, taken: PullResult
    ) -> None:
        self._node = node
        self._name = name
        self._sender = sender
        self._trusting = trusting
        self._taken = taken
        self._gone: set[tuple[str, str]] = set()
        """What is held, and not in the feed any more."""
        self._buried: dict[int, Leaf] = {}
        """What is held, and has been retracted."""
        self._removed = 0
        """Live records among both."""
        self._disowned: set[tuple[str, str]] = set()
        """What the origin has in another form, one that cannot be taken, at a revision that ours would shut
        out: ours is of a past that the origin has lost."""

    async def run(self) -> SignedState:
        """Make the copy what the newest checkpoint says, as far as it is right. Returns that checkpoint.

        Raises Forged when what comes does not fit it, Unreachable when the feed moves too fast, Braked when
        more would be dropped than happens without being asked.
        """
        async with self._node.store.write() as tx:
            place = await tx.feeds.open(self._name, None)
            # Whatever was reckoned before: a repair begins with what is really held.
            await tx.checkpoints.reset(place.id)
        for turn in range(TRIES):
            if turn:
                await asyncio.sleep(PAUSE)
            proof, digests = await self._shown()
            place, ours = await self._ours()
            if place.epoch == proof.said.epoch and place.head > proof.said.seq:
                raise StaleCursor
            self._gone.clear()
            self._buried.clear()
            self._disowned.clear()
            self._removed = 0
            fits = True
            for bucket in unequal(ours.buckets, digests):
                fits = await self._bucket(place, bucket, digests, proof.said) and fits
            if fits and await self._remove(place):
                await self._settle(place, proof.said)
                return proof
        raise Unreachable(
            f"{self._sender.name} does not give what it lists of {self._name}, or the feed moves faster than"
            " it can be compared"
        )

    async def _shown(self) -> tuple[SignedState, bytes]:
        """What the sender shows of the feed: the checkpoint, and digests that fit it."""
        shown = await self._sender.source.proof(self._name)
        said = verify_checkpoint(self._node, self._name, shown.checkpoint, self._sender)
        if root_of(shown.joined).hex() != said.root:
            raise Forged(f"{self._sender.name} shows digests of {self._name} that do not fit the checkpoint")
        return SignedState(said, shown.checkpoint), shown.joined

    async def _ours(self) -> tuple[FeedState, DigestState]:
        async with self._node.store.write() as tx:
            place = await tx.feeds.find(self._name)
            was = await tx.checkpoints.try_lock(place.id) if place else None
            if place is None or was is None:
                raise StaleCursor
            _, state = await tx.checkpoints.compute(was)
            await tx.checkpoints.store(was, state)
        return place, state

    async def _bucket(self, place: FeedState, bucket: int, digests: bytes, said: Checkpoint) -> bool:
        """Make one bucket right, but for what is to be dropped. False when it moves meanwhile."""
        listed = await self._sender.source.leaves(self._name, bucket)
        if bucket_digest(listed.leaves) != digests[32 * bucket : 32 * bucket + 32]:
            if (listed.epoch, listed.seq, listed.retained_from) == (said.epoch, said.seq, said.retained_from):
                raise self._forged("leaves")
            return False
        try:
            told = {(leaf.type, leaf.key): leaf for leaf in map(read_leaf, listed.leaves)}
        except Invalid:
            told = {}
        if len(told) != len(listed.leaves) or any(bucket_of(*name) != bucket for name in told):
            raise Forged(f"{self._name.origin} signed what are no leaves of {self._name}")
        async with self._node.store.read() as tx:
            held = await tx.checkpoints.stored_leaves(place.id, bucket, said.retained_from)
        gone = held.keys() - told.keys()
        self._gone |= gone
        self._removed += sum(held[name].op == "upsert" for name in gone)
        seats, wanted = [], {}
        for name, leaf in told.items():
            was = held.get(name)
            if was is not None and (was.op, leaf.op) == ("upsert", "delete"):
                self._removed += 1
                self._buried[leaf.seq] = leaf
            elif was is None or was._replace(seq=leaf.seq) != leaf:
                wanted[leaf.seq] = leaf
            elif was.seq != leaf.seq:
                seats.append((leaf.type, leaf.key, leaf.seq))
        if seats:
            async with self._node.store.write() as tx:
                await tx.checkpoints.mark(place.id, [bucket])
                await tx.repairs.clear_seq(place.id, [seq for _, _, seq in seats])
                await tx.repairs.set_seq(place.id, seats)
            self._taken.repaired += len(seats)
        return await self._fetch(place, wanted)

    async def _fetch(self, place: FeedState, wanted: dict[int, Leaf]) -> bool:
        """Take the records of these leaves. False when some are not there any more."""
        left = sorted(wanted)
        while left:
            entries = await self._sender.source.numbered(self._name, left[:MAX_NUMBERS])
            came = {entry.seq: entry for entry in entries}
            if not came.keys() & set(left):
                return False
            await self._keep(place, [self._checked(entry, wanted) for entry in came.values()])
            left = [seq for seq in left if seq not in came]
        return True

    def _checked(
        self, entry: FeedEntry | RejectedEntry, wanted: dict[int, Leaf]
    ) -> VerifiedEntry | RejectedEntry:
        """The entry, known by its leaf. Raises Forged when another one was signed at its number."""
        leaf = wanted.get(entry.seq)
        if leaf is None or (entry.type, entry.key, entry.revision) != (leaf.type, leaf.key, leaf.revision):
            raise self._forged("entries")
        if isinstance(entry, FeedEntry):
            if (entry.op, entry.hash) != (leaf.op, leaf.hash):
                raise self._forged("entries")
            entry_or_reason = verify(entry, self._name)
        else:
            entry_or_reason = entry
        if (
            self._sender.via is not None
            and isinstance(entry_or_reason, RejectedEntry)
            and entry_or_reason.reason in ("bad-hash", "unreadable")
        ):
            raise self._forged("entries")  # that of the leaf has that hash, and the origin has its bytes
        return entry_or_reason

    def _forged(self, what: str) -> Forged:
        return Forged(
            f"{self._sender.name} shows {what} of {self._name} that {self._name.origin} did not sign"
        )

    async def _keep(self, place: FeedState, several: list[VerifiedEntry | RejectedEntry]) -> None:
        """Keep records, halving them where the database does not take one, as a pull does."""
        try:
            await self._store(place, several)
        except Invalid as error:
            if len(several) > 1:
                half = len(several) // 2
                await self._keep(place, several[:half])
                await self._keep(place, several[half:])
            elif isinstance(one := several[0], VerifiedEntry):
                await self._store(place, [rejected_entry(one, "not-storable", error.detail)])
            else:
                raise

    async def _store(self, place: FeedState, several: list[VerifiedEntry | RejectedEntry]) -> None:
        refused = [one for one in several if isinstance(one, RejectedEntry)]
        good = [one for one in several if isinstance(one, VerifiedEntry)]
        async with self._node.store.write() as tx:
            names = [(one.type, one.key) for one in good]
            held = await tx.pulled_records.stored_revisions(place.origin, names)
            withdrawn = await tx.feeds.withdrawn(place, [key for _, key in names])
            kept: list[tuple[Record, int]] = []
            lost: dict[int, list[StoredRevision]] = {}
            for one in good:
                was = held.get((one.type, one.key))
                decided = self._decided(place, one, was)
                if isinstance(decided, RejectedEntry):
                    refused.append(decided)
                elif decided and one.record is not None:
                    kept.append((one.record, one.seq))
                    if was and was.feed not in (None, place.id):
                        lost.setdefault(was.feed or 0, []).append(was)
            names = [(record.type, record.key) for record, _ in kept]
            if refused:
                await tx.rejected.store(place, refused)
                if self._trusting:
                    ours = await tx.pulled_records.stored_revisions(
                        place.origin, [(bad.type, bad.key) for bad in refused]
                    )
                    self._disowned |= {
                        (bad.type, bad.key)
                        for bad in refused
                        if (was := ours.get((bad.type, bad.key))) is not None
                        and was.feed == place.id
                        and was.revision >= bad.revision
                    }
            if withdrawn:
                await tx.feeds.remove_withdrawals(place, names)
            await tx.rejected.clear(place, names)
            for feed, theirs in lost.items():
                await tx.feeds.subtract_records(feed, sum(not was.retracted for was in theirs))
                await tx.checkpoints.mark(feed, [bucket_of(was.type, was.key) for was in theirs])
            await tx.checkpoints.mark(place.id, [bucket_of(type_, key) for type_, key in names])
            await tx.repairs.clear_seq(place.id, [seq for _, seq in kept])
            if kept:
                await tx.pulled_records.upsert_in_place(place.origin, place.id, kept)
        self._node.notifier.notify()
        self._taken.repaired += len(kept)
        for bad in refused:
            self._taken.set_aside[bad.reason] += 1

    def _decided(
        self, place: FeedState, one: VerifiedEntry, was: StoredRevision | None
    ) -> bool | RejectedEntry:
        """Whether a record is taken; False when it has moved on to another feed.

        What an origin signed is right in an epoch that we did not know. But a relay may be behind: what the
        record was before it moved must not come back by it, for its audience was another one then.
        """
        if was is None or supersedes(one.revision, was.revision):
            return True
        if self._trusting:
            return self._sender.via is None or was.feed == place.id
        if was.feed != place.id:
            return False
        if one.revision < was.revision:
            return rejected_entry(
                one, "regressing-revision", f"revision {was.revision} is held, {one.revision} came"
            )
        if one.record is not None and was.hash != one.record.hash:
            return rejected_entry(
                one, "changed-at-same-revision", f"revision {was.revision} is held with another hash"
            )
        return True

    async def _remove(self, place: FeedState) -> bool:
        """Drop what the origin does not have any more, last of all. Raises Braked when that is much.

        False when the tombstones that are to be taken move meanwhile.
        """
        removed = self._removed + len(self._disowned)
        if not self._taken.confirmed and brakes(removed, place.live):
            raise RemovalsPaused(f"{removed} of {place.live} records are to be removed")
        if not await self._fetch(place, self._buried):
            return False
        names = sorted(self._gone | self._disowned)
        for start in range(0, len(names), SLICE):
            some = names[start : start + SLICE]
            async with self._node.store.write() as tx:
                await tx.rejected.clear(place, [name for name in some if name in self._gone])
                await tx.checkpoints.mark(place.id, [bucket_of(type_, key) for type_, key in some])
                self._taken.repaired += await tx.repairs.drop(place.id, some)
        if names:
            self._node.notifier.notify()
        return True

    async def _settle(self, place: FeedState, said: Checkpoint) -> None:
        """The copy is at the checkpoint's place from now on."""
        async with self._node.store.write() as tx:
            if said.retained_from > place.retained_from:
                await retention.drop_tombstones(tx, place.id, said.retained_from)
            await tx.copies.clear_confirmation(place.id)
            # Whatever was withdrawn up to there is not held any more.
            await tx.copies.note_withdrawal(place.id, said.epoch, said.seq)
            await tx.repairs.finish(place.id, said.cursor, said.retained_from)


def verify_checkpoint(node: Node, name: FeedName, jws: str, sender: EntrySender) -> Checkpoint:
    """A checkpoint, held against the keys of the feed's origin. Raises Forged, which names who sent it."""
    try:
        said = checkpoints.read_signed_checkpoint(jws, sender.origin.keys, name, node.clock())
    except (Unauthenticated, Invalid) as error:
        raise Forged(
            f"{sender.name} shows a checkpoint of {name} that does not hold: {error.detail}"
        ) from None
    return said
