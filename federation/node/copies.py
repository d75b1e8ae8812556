"""Copies of other operators' feeds: how far they have been pulled, and how far they are verified."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from federation.domain.checkpoint import HALF_LIFE, CopyState, copy_state
from federation.domain.feed import FeedName
from federation.domain.values import as_instant
from federation.domain.visibility import Caller, may_see
from federation.node.node import Node
from federation.store.copies import CopyRow
from federation.store.feeds import FeedState as FeedPlace


class FeedView(msgspec.Struct, frozen=True):
    """How far a peer's feed has been pulled, and how far the copy is verified."""

    audience: str
    pulled: int
    """Number up to which it was pulled."""
    head: int | None
    """Number the peer last told as its end; null before a first contact."""
    count: int
    """Records held, tombstones not counted."""
    state: CopyState
    verified_at: str | None
    """When the origin signed what the copy was last found equal to."""
    verified_seq: int | None
    age_seconds: int | None
    """How old that proof is now."""
    alarm: str | None
    """What an administrator should look at; null when all is well."""
    via: str | None
    """The peer that the last entries were relayed by; null for the origin itself."""
    paused: str | None
    """Removals that await `federation peer confirm`."""


class Provenance(msgspec.Struct, frozen=True):
    """What the part of an answer rests on that comes from one feed."""

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


async def provenance(node: Node, *, by: Caller) -> tuple[Provenance, ...]:
    """What an answer rests on: for each operator's feed that the caller may see, how it was verified.

    One's own feeds are as they are now; copies are as old as what was signed of them.
    """
    now = node.clock()
    async with node.store.read() as tx:
        places, copies = await tx.feeds.all(), await tx.copies.all()
        held = {place.id: await tx.checkpoints.find(place.id) for place in places}
    found = []
    for place in places:
        if place.epoch is None or not may_see(place.origin, place.audience, by):
            continue
        digest, own = held[place.id], place.origin == node.operator
        copy = feed_view(place, copies.get(place.name, CopyRow()), now)
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
    """The copies of other operators' feeds, and the state of each."""
    async with node.store.read() as tx:
        feeds, copies = await tx.feeds.all(), await tx.copies.all()
    now = node.clock()
    return {
        place.name: feed_view(place, copies.get(place.name, CopyRow()), now)
        for place in feeds
        if place.origin != node.operator and place.epoch is not None
    }


def feed_view(place: FeedPlace, copy: CopyRow, now: datetime) -> FeedView:
    """A copy as an administrator sees it."""
    state = copy_state(
        copy.compared, copy.expires_at.timestamp() if copy.expires_at else None, now.timestamp()
    )
    age = max(0, int((now - copy.verified_at).total_seconds())) if copy.verified_at else None
    alarm = None
    if copy.paused:
        alarm = f"removals await confirmation: {copy.paused}"
    elif state == "diverged":
        alarm = copy.detail
    elif age is not None and age >= HALF_LIFE:
        alarm = f"it was last verified {age // 60} minutes ago"
    return FeedView(
        audience=place.audience,
        pulled=place.head,
        head=place.remote_head,
        count=place.live,
        state=state,
        verified_at=as_instant(copy.verified_at) if copy.verified_at else None,
        verified_seq=copy.verified_seq,
        age_seconds=age,
        alarm=alarm,
        via=copy.via,
        paused=copy.paused,
    )
