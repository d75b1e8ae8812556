"""Peers as an administrator sees them."""

from __future__ import annotations

import asyncio

import msgspec

from federation.domain.copy import CopyFacts
from federation.domain.invitation import InvitationView, code
from federation.domain.lookalikes import LookAlike
from federation.domain.not_understood import NotUnderstood
from federation.domain.rejection import RejectedEntryView
from federation.domain.values import Instant, as_instant
from federation.node.copy_views import FeedView, feed_view
from federation.node.node import Node
from federation.node.peers import all_look_alikes
from federation.store.together import Together


class PeerView(msgspec.Struct, frozen=True):
    """A peer as an administrator sees it."""

    operator: str
    name: str
    url: str
    state: str
    thumbprint: str
    code: str | None
    """While it is pending: what its administrator must see, too, before it is activated."""
    contacted_at: Instant | None
    failures: int
    failure: str | None
    next_try_at: Instant | None
    clock_difference: int | None
    """Seconds that its clock is ahead of this node's; null where they agree within 30 seconds."""
    lag: int
    """Entries told and not yet taken, over all feeds."""
    paused: str | None
    """The bound of its quota that it would go beyond, and how far; null within its quota."""
    feeds: tuple[FeedView, ...]
    not_understood: tuple[NotUnderstood, ...]
    """Records that this version of the program does not understand, by type. An upgrade may help."""
    look_alikes: tuple[LookAlike, ...] = ()
    """Its id or name, where it looks like another operator's: compare twice before you activate it."""


class PeersView(msgspec.Struct, frozen=True):
    """Peers and what they sent that could not be taken."""

    peers: tuple[PeerView, ...]
    invitations: tuple[InvitationView, ...]
    rejected: tuple[RejectedEntryView, ...]
    excluded: tuple[str, ...] = ()
    """Operators that this node withholds its GREEN records from, at every member."""


async def peers(node: Node) -> PeersView:
    """The peers of this node, how far their feeds have been taken, and the entries that were rejected."""
    async with node.store.read() as tx:
        peers = await tx.peers.all()
        async with Together(tx) as reads:
            feeds_read = reads.start(reads.tx.feeds.all())
            rejected_read = reads.start(reads.tx.rejected.all())
            invitations = reads.start(reads.tx.peers.invitations())
            copies_read = reads.start(reads.tx.copies.all())
            excluded = reads.start(reads.tx.exclusions.own())
            reasons = reads.start(reads.tx.not_understood.with_reasons())
    feeds, copies, not_understood = feeds_read.result(), copies_read.result(), reasons.result()
    current = node.clock()
    kid = node.keyring.kid
    codes = {
        # (Drawn slowly, so beside the loop.)
        peer.operator: await asyncio.to_thread(code, kid, peer.thumbprint)
        for peer in peers
        if peer.state == "pending"
    }
    alike = await all_look_alikes(node, peers)
    return PeersView(
        peers=tuple(
            PeerView(
                operator=peer.operator,
                name=peer.name,
                url=peer.url,
                state=peer.state,
                thumbprint=peer.thumbprint,
                code=codes.get(peer.operator),
                contacted_at=as_instant(peer.contacted_at) if peer.contacted_at else None,
                failures=peer.failures,
                failure=peer.failure,
                next_try_at=as_instant(peer.next_try_at) if peer.next_try_at else None,
                clock_difference=peer.clock_difference,
                lag=sum(max((f.remote_head or 0) - f.head, 0) for f in feeds if f.origin == peer.operator),
                paused=next(
                    (
                        copy.beyond_reason
                        for name, copy in copies.items()
                        if name.origin == peer.operator and copy.beyond_quota is not None
                    ),
                    None,
                ),
                feeds=tuple(
                    feed_view(f, copies.get(f.name, CopyFacts()), current)
                    for f in feeds
                    if f.origin == peer.operator
                ),
                not_understood=not_understood.get(peer.operator, ()),
                look_alikes=alike.get(peer.operator, ()),
            )
            for peer in peers
        ),
        invitations=invitations.result(),
        rejected=rejected_read.result(),
        excluded=excluded.result(),
    )
