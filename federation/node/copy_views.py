"""Copies and provenance, as an administrator or a caller sees them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Literal

import msgspec

from federation.domain.checkpoint import HALF_LIFE
from federation.domain.copy import CopyFacts, CopyState, CopyStateName, QuotaState
from federation.domain.feed import FeedName, FeedState
from federation.domain.values import as_instant
from federation.domain.visibility import Caller
from federation.node.node import Node


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
    verified_at: str | None
    """When the origin signed what the copy was last found equal to."""
    verified_seq: int | None
    age_seconds: int | None
    """Age of that signature."""
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
    checkpoint_at: str | None
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
    time = node.clock()
    async with node.store.read() as tx:
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
    age = max(0, int((time - copy.verified_at).total_seconds())) if copy.verified_at else None
    alarm = None
    if copy.quota is QuotaState.BEYOND:
        alarm = f"its peer is beyond its quota, and paused: {copy.beyond_reason}"
    elif copy.paused_reason:
        alarm = f"removals await confirmation: {copy.paused_reason}"
    elif state is CopyState.DIVERGED:
        alarm = copy.detail
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
        age_seconds=age,
        alarm=alarm,
        via=copy.via,
        paused=copy.paused_reason,
        beyond_quota=copy.beyond_reason,
        excludes=tuple(copy.excludes),
    )
