"""Copies and provenance, as an administrator or a caller sees them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from federation.domain.checkpoint import HALF_LIFE
from federation.domain.copy import CopyFacts, CopyState, CopyStateName
from federation.domain.feed import FeedName, FeedState
from federation.domain.values import as_instant
from federation.domain.visibility import Caller, may_see
from federation.node.node import Node


class FeedView(msgspec.Struct, frozen=True):
    """How far a peer's feed has been taken, and what is proved of the copy."""

    audience: str
    taken: int
    """Number up to which it was taken."""
    head: int | None
    """Number the peer last told as its end; null before a first contact."""
    count: int
    """Records held, tombstones not counted."""
    state: CopyStateName
    verified_at: str | None
    """When the origin signed what the copy was last found equal to."""
    verified_seq: int | None
    age_seconds: int | None
    """How old that proof is now."""
    alarm: str | None
    """What an administrator should look at; null when all is well."""
    via: str | None
    """The peer that the last entries were relayed by; null for the origin itself."""
    waits: str | None
    """Removals that wait for `federation peer confirm`."""


class Provenance(msgspec.Struct, frozen=True):
    """What the part of an answer rests on that comes from one feed."""

    operator: str
    audience: str
    epoch: str
    seq: int
    """Number up to which this node has the feed."""
    state: Literal["own", "unproved", "verified", "stale", "diverged"]
    checkpoint_at: str | None
    """When the origin signed what the copy was last found equal to."""
    checkpoint_seq: int | None
    """The number at which it was."""
    checkpoint: str | None
    """The origin's signature over the state that this node has; null while that has moved on."""


async def provenance(node: Node, *, by: Caller) -> tuple[Provenance, ...]:
    """What an answer rests on: for each operator's feed that the caller may see, how it is proved.

    One's own feeds are as they are now; copies are as old as what was signed of them.
    """
    now = node.clock()
    async with node.store.read() as tx:
        places, copies = await tx.feeds.all(), await tx.checkpoints.copies()
        held = {place.id: await tx.checkpoints.find(place.id) for place in places}
    found = []
    for place in places:
        if place.epoch is None or not may_see(place.origin, place.audience, by):
            continue
        digest, own = held[place.id], place.origin == node.operator
        copy = feed_view(place, copies.get(place.name, CopyFacts()), now)
        signed = digest.signed_at if digest else None
        found.append(
            Provenance(
                operator=place.origin,
                audience=place.audience,
                epoch=place.epoch,
                seq=place.head,
                state="own" if own else copy.state,
                checkpoint_at=as_instant(signed) if own and signed else copy.verified_at,
                checkpoint_seq=(digest.seq if digest else None) if own else copy.verified_seq,
                checkpoint=digest.checkpoint if digest else None,
            )
        )
    return tuple(found)


async def copies(node: Node) -> dict[FeedName, FeedView]:
    """The copies of other operators' feeds, and what is proved of each."""
    async with node.store.read() as tx:
        feeds, copies = await tx.feeds.all(), await tx.checkpoints.copies()
    now = node.clock()
    return {
        place.name: feed_view(place, copies.get(place.name, CopyFacts()), now)
        for place in feeds
        if place.origin != node.operator and place.epoch is not None
    }


def feed_view(place: FeedState, copy: CopyFacts, now: datetime) -> FeedView:
    """A copy as an administrator sees it."""
    state = copy.state(now)
    age = max(0, int((now - copy.verified_at).total_seconds())) if copy.verified_at else None
    alarm = None
    if copy.paused_reason:
        alarm = f"waits to be confirmed: {copy.paused_reason}"
    elif state is CopyState.DIVERGED:
        alarm = copy.detail
    elif age is not None and age >= HALF_LIFE:
        alarm = f"the newest proof is {age // 60} minutes old"
    return FeedView(
        audience=place.audience,
        taken=place.head,
        head=place.remote_head,
        count=place.live,
        state=state.value,
        verified_at=as_instant(copy.verified_at) if copy.verified_at else None,
        verified_seq=copy.verified_seq,
        age_seconds=age,
        alarm=alarm,
        via=copy.via,
        waits=copy.paused_reason,
    )
