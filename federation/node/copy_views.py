"""Copies and provenance, as an administrator or a caller sees them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Literal

import msgspec

from federation.domain.checkpoint import HALF_LIFE
from federation.domain.copy import CopyFacts, CopyState, CopyStateName, QuotaState
from federation.domain.feed import FeedName, FeedState
from federation.domain.peer import MAX_CLOCK_DIFFERENCE_SECONDS
from federation.domain.values import Instant, as_instant
from federation.domain.visibility import Caller
from federation.node.node import Node
from federation.store.database import Reading


class FeedView(msgspec.Struct, frozen=True):
    """A copy of a peer's feed: its progress and its state."""

    audience: str
    pulled: int
    """Number up to which it was pulled."""
    head: int | None
    """Number of the last entry at the peer; null before a first contact."""
    count: int
    """Stored records without tombstones."""
    state: CopyStateName
    verified_at: Instant | None
    """When the origin signed what the copy was last found equal to."""
    verified_seq: int | None
    """Number up to which it was found equal to that: what is beyond is not verified."""
    unverified: int
    """Numbers of the feed beyond it that were pulled, and are not verified yet."""
    age_seconds: int | None
    """Age of that signature; below zero where it is of the future by this node's clock."""
    alarm: str | None
    """A message for the administrator; null when all is well."""
    via: str | None
    """The peer that the last entries were relayed by; null for the origin itself."""
    paused: str | None
    """Removals that await `federation peer confirm`."""
    beyond_quota: str | None
    """How far its peer would go beyond its quota, until `federation peer confirm` or a higher quota."""
    excludes: tuple[str, ...] = ()
    """Operators that the origin withholds this feed from, at every member."""


class Provenance(msgspec.Struct, frozen=True):
    """The source of a part of an answer: one feed, and its verification."""

    operator: str
    audience: str
    epoch: str
    seq: int
    """Number up to which this node has the feed."""
    state: Literal["own", "unverified", "verified", "stale", "diverged"]
    checkpoint_at: Instant | None
    """When the origin signed what the copy was last found equal to."""
    checkpoint_seq: int | None
    """The number at which it was."""
    checkpoint: str | None
    """The origin's signature over the state that this node has; null while that has moved on."""


async def provenance(node: Node, origins: Collection[str], *, by: Caller) -> tuple[Provenance, ...]:
    """The sources of an answer with records of these origins: their feeds, as far as the caller may see them.

    Own feeds are as they are now; copies are as old as their checkpoints.
    """
    if not origins:
        return ()
    async with node.store.read() as tx:
        return await read_provenance(node, tx, origins, by=by)


async def read_provenance(
    node: Node, tx: Reading, origins: Collection[str], *, by: Caller
) -> tuple[Provenance, ...]:
    """Read it together with others of one answer."""
    time = node.clock()
    feeds = await tx.copies.sources(sorted(origins), visible_to=by)
    sources = []
    for feed, digest_seq, signed_at, facts in feeds:
        own = feed.origin == node.operator
        copy = feed_view(feed, facts, time)
        sources.append(
            Provenance(
                operator=feed.origin,
                audience=feed.audience,
                epoch=feed.epoch or "",
                seq=feed.head,
                state="own" if own else copy.state,
                checkpoint_at=as_instant(signed_at) if own and signed_at else copy.verified_at,
                checkpoint_seq=digest_seq if own else copy.verified_seq,
                checkpoint=feed.checkpoint,
            )
        )
    return tuple(sources)


async def copies(node: Node) -> dict[FeedName, FeedView]:
    """The copies of other operators' feeds, and the state of each."""
    async with node.store.read() as tx:
        feeds, copies = await tx.feeds.all(), await tx.copies.all()
    time = node.clock()
    return {
        feed.name: feed_view(feed, copies.get(feed.name, CopyFacts()), time)
        for feed in feeds
        if feed.origin != node.operator
        # (Nothing was pulled yet of some feed whose peer is beyond its quota.)
        and (feed.epoch is not None or copies.get(feed.name, CopyFacts()).is_paused)
    }


def feed_view(feed: FeedState, copy: CopyFacts, time: datetime) -> FeedView:
    """A copy as an administrator sees it."""
    state = copy.state(time)
    age = int((time - copy.verified_at).total_seconds()) if copy.verified_at else None
    unverified = max(0, feed.head - (copy.verified_seq or 0)) if copy.compared != "diverged" else feed.head
    alarm = None
    if copy.quota is QuotaState.BEYOND:
        alarm = f"its peer is beyond its quota, and paused: {copy.beyond_reason}"
    elif copy.paused_reason:
        alarm = f"removals await confirmation: {copy.paused_reason}"
    elif state is CopyState.DIVERGED:
        alarm = copy.detail
    elif age is not None and copy.is_of_the_future(time, MAX_CLOCK_DIFFERENCE_SECONDS):
        alarm = (
            f"its signature is {-age} s in the future: this node's clock or that of {feed.origin} is wrong"
        )
    elif copy.unsigned_since is not None:
        late = int((time - copy.unsigned_since).total_seconds())
        alarm = (
            f"its feed has gone on, and no signature of that has come for {late} s: {_verified(feed, copy)}"
        )
    elif age is not None and age >= HALF_LIFE:
        alarm = f"it was last verified {age // 60} minutes ago"
    return FeedView(
        audience=feed.audience,
        pulled=feed.head,
        head=feed.remote_head,
        count=feed.live,
        state=state.value,
        verified_at=as_instant(copy.verified_at) if copy.verified_at else None,
        verified_seq=copy.verified_seq,
        unverified=unverified,
        age_seconds=age,
        alarm=alarm,
        via=copy.via,
        paused=copy.paused_reason,
        beyond_quota=copy.beyond_reason,
        excludes=tuple(copy.excludes),
    )


def _verified(feed: FeedState, copy: CopyFacts) -> str:
    if copy.verified_seq is None:
        return "nothing of it is verified"
    return f"it is verified up to {copy.verified_seq} of {feed.head}"
