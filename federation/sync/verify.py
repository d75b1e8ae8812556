"""Compare everything held with what its origin signed, from the stored bytes up, and name what differs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

import msgspec

from federation.domain.checkpoint import BUCKETS, Leaf, bucket_digest, read_leaf, root_of, unequal
from federation.domain.errors import Forged, Refused, Unreachable
from federation.domain.feed import FeedName, printable
from federation.domain.peer import Peer
from federation.domain.visibility import PRIVATE
from federation.node.node import Node
from federation.store.feeds import FeedState
from federation.sync.peer_client import PeerSource, peer_source
from federation.sync.repair import EntrySender, verify_checkpoint

PATIENCE = 20
"""How often a feed that moves is looked at again, half a second apart."""
MOST_NAMED = 1_000
"""Records that are named of one feed, at most."""

Report = Callable[[str], None]


class Difference(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record that is not what its origin signed."""

    type: str
    key: str
    what: Literal["missing", "not theirs", "another revision", "another number", "bytes changed"]
    here: str | None = None
    """The leaf that is held."""
    there: str | None = None
    """The leaf that was signed."""


class Comparison(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the comparison of one feed found."""

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
    """Compare every feed held, or those of one operator, with its origin. Own feeds with their signatures.

    Every stored document is hashed again, every digest made from the beginning.
    """
    async with node.store.read() as tx:
        places = [
            place
            for place in await tx.feeds.all()
            if place.epoch is not None
            and place.audience != PRIVATE
            and (operator is None or place.origin == operator)
        ]
        peers = {peer.operator: peer for peer in await tx.peers.all()}
    found = []
    for place in places:
        report(str(place.name))
        try:
            found.append(await _verified(node, place, peers.get(place.origin)))
        except Forged as error:
            found.append(
                Comparison(feed=str(place.name), records=place.live, result="different", detail=error.detail)
            )
        except Refused as error:
            found.append(
                Comparison(
                    feed=str(place.name),
                    records=place.live,
                    result="not compared",
                    detail=printable(error.detail),
                )
            )
    return found


async def _verified(node: Node, place: FeedState, peer: Peer | None) -> Comparison:
    changed = await _changed_bytes(node, place)
    if place.origin == node.operator:
        return await _own(node, place, changed)
    if peer is None or peer.state != "active":
        raise Unreachable(f"{place.origin} is no active peer: there is nobody to compare with")
    async with peer_source(node.operator, peer, node.keyring) as source:
        return await _copy(node, place.name, peer, source, changed)


async def _own(node: Node, place: FeedState, changed: list[Difference]) -> Comparison:
    """A feed of our own against what we signed of it."""
    for _ in range(PATIENCE):
        async with node.store.read() as tx:
            now = await tx.feeds.find(place.name)
            signed = await tx.checkpoints.find(place.id)
        if now is not None and signed is not None and signed.checkpoint and signed.seq == now.head:
            buckets = await _digests(node, now)
            async with node.store.read() as tx:
                still = await tx.feeds.find(place.name)
            if still == now:
                wrong = unequal(buckets, signed.buckets)
                detail = (
                    f"buckets {', '.join(f'{n:02x}' for n in wrong)} are not what was signed" if wrong else ""
                )
                return Comparison(
                    feed=str(place.name),
                    records=now.live,
                    result="different" if wrong or changed else "equal",
                    detail=detail,
                    signed_at=int(signed.signed_at.timestamp()) if signed.signed_at else None,
                    differences=tuple(changed),
                )
        await asyncio.sleep(0.5)
    raise Unreachable("it is not signed as it is now; is the node running?")


async def _copy(
    node: Node, name: FeedName, peer: Peer, source: PeerSource, changed: list[Difference]
) -> Comparison:
    """A copy against what its origin shows and signs."""
    sender = EntrySender(source, peer)
    why = "it moves faster than it can be compared"
    for _ in range(PATIENCE):
        shown = await source.proof(name)
        said = verify_checkpoint(node, name, shown.checkpoint, sender)
        if root_of(shown.joined).hex() != said.root:
            raise Forged(f"{peer.operator} shows digests of {name} that do not fit its checkpoint")
        async with node.store.read() as tx:
            place = await tx.feeds.find(name)
        if place is None or place.cursor != said.cursor:
            at = place.head if place else 0
            why = f"it is held up to {at} and signed at {said.seq}; is the node running?"
            await asyncio.sleep(0.5)
            continue
        ours = await _digests(node, place)
        differences = list(changed)
        settled = True
        for bucket in unequal(ours, shown.joined):
            listed = await source.leaves(name, bucket)
            if bucket_digest(listed.leaves) != shown.joined[32 * bucket : 32 * bucket + 32]:
                settled = False
                break
            async with node.store.read() as tx:
                held = await tx.checkpoints.stored_leaves(place.id, bucket, said.retained_from)
            differences += _named(held, {(x.type, x.key): x for x in map(read_leaf, listed.leaves)})
        async with node.store.read() as tx:
            still = await tx.feeds.find(name)
        if settled and still == place:
            if differences:
                await _to_be_repaired(node, place, [(x.type, x.key) for x in changed])
            wrong = bool(differences) or place.live != said.count
            return Comparison(
                feed=str(name),
                records=place.live,
                result="different" if wrong else "equal",
                detail=f"{len(differences)} records differ" if differences else "",
                signed_at=said.iat,
                differences=tuple(differences[:MOST_NAMED]),
            )
        await asyncio.sleep(0.5)
    raise Unreachable(why)


async def _to_be_repaired(node: Node, place: FeedState, changed: list[tuple[str, str]]) -> None:
    """Have the process that serves look at all of a copy when it next meets its origin's signature.

    Records whose bytes were altered here are nobody's: they are dropped, and fetched again as missing.
    """
    async with node.store.write() as tx:
        await tx.checkpoints.mark(place.id, range(BUCKETS))
        if changed:
            await tx.feeds.subtract_records(place.id, await tx.repairs.drop(place.id, changed))


async def _digests(node: Node, place: FeedState) -> bytes:
    """The digests of a feed, made from its records one by one."""
    parts = []
    for bucket in range(BUCKETS):
        async with node.store.read() as tx:
            _, _, lines = await tx.checkpoints.leaves(place.id, bucket)
        parts.append(bucket_digest(lines))
    return b"".join(parts)


async def _changed_bytes(node: Node, place: FeedState) -> list[Difference]:
    """Records whose stored bytes do not have their hash."""
    async with node.store.read() as tx:
        return [
            Difference(type=type_, key=key, what="bytes changed")
            for type_, key in await tx.checkpoints.changed_bytes(place.id, MOST_NAMED)
        ]


def _named(held: dict[tuple[str, str], Leaf], told: dict[tuple[str, str], Leaf]) -> list[Difference]:
    found = []
    for name in sorted(held.keys() | told.keys()):
        here, there = held.get(name), told.get(name)
        if here == there:
            continue
        if here is None:
            what: Literal["missing", "not theirs", "another number", "another revision"] = "missing"
        elif there is None:
            what = "not theirs"
        else:
            what = "another number" if here._replace(seq=there.seq) == there else "another revision"
        found.append(
            Difference(
                type=name[0],
                key=name[1],
                what=what,
                here=str(here) if here else None,
                there=str(there) if there else None,
            )
        )
    return found
