"""Compare everything stored with what its origin signed, from the stored bytes up.

1. Every stored document is hashed again; one without its hash is reported.
2. The digest of every bucket is computed from its records, whatever is stored of digests.
3. An own feed is compared with the checkpoint that this node signed of it.
4. A copy is compared with the digests and the checkpoint that its origin shows, at the same number.
5. Where a bucket differs, its leaves say which records; the serving process repairs them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

import msgspec

from federation.domain.batch import RecordName
from federation.domain.checkpoint import Checkpoint, Leaf, read_leaf, root_of, unequal
from federation.domain.errors import Forged, Refused, Unreachable
from federation.domain.feed import FeedName, FeedState, printable
from federation.domain.peer import Peer
from federation.node import verification
from federation.node.node import Node
from federation.sync import leaves
from federation.sync.peer_client import PeerSource, peer_source
from federation.sync.repair import EntrySender, verify_checkpoint

MAX_ATTEMPTS = 20
"""Comparisons of a feed that moves, ``RETRY_SECONDS`` apart."""
RETRY_SECONDS = 0.5
MAX_NAMED_RECORDS = 1_000
"""Records that are named of one feed."""

Report = Callable[[str], None]
DifferenceKind = Literal["missing", "not theirs", "another revision", "another number", "bytes changed"]


class Difference(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record that is not what its origin signed."""

    type: str
    key: str
    what: DifferenceKind
    here: str | None = None
    """The leaf that is stored."""
    there: str | None = None
    """The leaf that was signed."""


class Comparison(msgspec.Struct, frozen=True, omit_defaults=True):
    """The result for one feed."""

    feed: str
    records: int
    result: Literal["equal", "different", "not compared"]
    detail: str = ""
    signed_at: int | None = None
    """When the origin signed what it was compared with, in seconds since 1970."""
    differences: tuple[Difference, ...] = ()


async def verify_all(
    node: Node, operator: str | None = None, *, report: Report = lambda _: None
) -> list[Comparison]:
    """Compare every feed, or those of one operator. ``report`` is called with the name of each before it."""
    feeds, peers = await verification.verifiable_feeds(node, operator)
    comparisons = []
    for feed in feeds:
        report(str(feed.name))
        comparisons.append(await _compare(node, feed, peers.get(feed.origin)))
    return comparisons


async def _compare(node: Node, feed: FeedState, peer: Peer | None) -> Comparison:
    try:
        altered = [
            Difference(type=type_, key=key, what="bytes changed")
            for type_, key in await verification.altered_records(node, feed, MAX_NAMED_RECORDS)
        ]
        if feed.origin == node.operator:
            return await _compare_own(node, feed, altered)
        if peer is None or peer.state != "active":
            raise Unreachable(f"{feed.origin} is no active peer: there is nobody to compare with")
        async with peer_source(node.operator, peer, node.keyring) as source:
            return await _compare_copy(node, feed.name, peer, source, altered)
    except Forged as error:
        return Comparison(feed=str(feed.name), records=feed.live, result="different", detail=error.detail)
    except Refused as error:
        detail = printable(error.detail)
        return Comparison(feed=str(feed.name), records=feed.live, result="not compared", detail=detail)


async def _compare_own(node: Node, feed: FeedState, altered: list[Difference]) -> Comparison:
    for _ in range(MAX_ATTEMPTS):
        current, signed = await verification.signed_digest(node, feed)
        if current is not None and signed is not None and signed.checkpoint and signed.seq == current.head:
            buckets = await verification.compute_digests(node, current)
            if await verification.read_feed(node, feed.name) == current:
                wrong = unequal(buckets, signed.buckets)
                detail = (
                    f"buckets {', '.join(f'{n:02x}' for n in wrong)} are not what was signed" if wrong else ""
                )
                return Comparison(
                    feed=str(feed.name),
                    records=current.live,
                    result="different" if wrong or altered else "equal",
                    detail=detail,
                    signed_at=int(signed.signed_at.timestamp()) if signed.signed_at else None,
                    differences=tuple(altered),
                )
        await asyncio.sleep(RETRY_SECONDS)
    raise Unreachable("it is not signed as it is current; is the node running?")


async def _compare_copy(
    node: Node, name: FeedName, peer: Peer, source: PeerSource, altered: list[Difference]
) -> Comparison:
    sender = EntrySender(source, peer)
    reason = "it moves faster than it can be compared"
    for attempt in range(MAX_ATTEMPTS):
        if attempt:
            await asyncio.sleep(RETRY_SECONDS)
        shown = await source.digests(name)
        checkpoint = verify_checkpoint(node, name, shown.checkpoint, sender)
        if root_of(shown.digest_bytes).hex() != checkpoint.root:
            raise Forged(f"{peer.operator} shows digests of {name} that do not fit its checkpoint")
        feed = await verification.read_feed(node, name)
        if feed is None or feed.cursor != checkpoint.cursor:
            at = feed.head if feed else 0
            reason = f"it is held up to {at} and signed at {checkpoint.seq}; is the node running?"
            continue
        listed = await _differences(node, feed, source, shown.digest_bytes, checkpoint)
        if listed is None or await verification.read_feed(node, name) != feed:
            continue
        differences = altered + listed
        if differences:
            await verification.request_repair(node, feed, [(x.type, x.key) for x in altered])
        wrong = bool(differences) or feed.live != checkpoint.count
        return Comparison(
            feed=str(name),
            records=feed.live,
            result="different" if wrong else "equal",
            detail=f"{len(differences)} records differ" if differences else "",
            signed_at=checkpoint.iat,
            differences=tuple(differences[:MAX_NAMED_RECORDS]),
        )
    raise Unreachable(reason)


async def _differences(
    node: Node, feed: FeedState, source: PeerSource, digests: bytes, checkpoint: Checkpoint
) -> list[Difference] | None:
    """The records that differ from what the origin lists; None when it moves meanwhile."""
    ours = await verification.compute_digests(node, feed)
    differences: list[Difference] = []
    for bucket in unequal(ours, digests):
        listed = await source.leaves(feed.name, bucket, leaves.max_leaves(checkpoint))
        if await leaves.bucket_digest(listed.leaves) != digests[32 * bucket : 32 * bucket + 32]:
            return None
        stored = await verification.stored_leaves(node, feed, bucket, checkpoint.retained_from)
        differences += _compare_leaves(stored, {(x.type, x.key): x for x in map(read_leaf, listed.leaves)})
    return differences


def _compare_leaves(stored: dict[RecordName, Leaf], signed: dict[RecordName, Leaf]) -> list[Difference]:
    differences = []
    for name in sorted(stored.keys() | signed.keys()):
        ours, theirs = stored.get(name), signed.get(name)
        if ours == theirs:
            continue
        differences.append(
            Difference(
                type=name[0],
                key=name[1],
                what=_kind(ours, theirs),
                here=str(ours) if ours else None,
                there=str(theirs) if theirs else None,
            )
        )
    return differences


def _kind(ours: Leaf | None, theirs: Leaf | None) -> DifferenceKind:
    if ours is None:
        return "missing"
    if theirs is None:
        return "not theirs"
    return "another number" if ours._replace(seq=theirs.seq) == theirs else "another revision"
