"""The age and verification of each operator's copy, for the answers about exposure."""

from __future__ import annotations

from collections.abc import Sequence

from federation.domain.exposure.answers import CopyAge, CopyState
from federation.domain.peer import Peer, PeerContact
from federation.domain.visibility import Caller, may_see
from federation.node.copy_views import feed_view
from federation.node.node import Node
from federation.store.database import Reading
from federation.store.together import Together

STALE_AFTER_SECONDS = 600.0
"""Seconds without an answer of a peer after which its copy is stale."""
UNKNOWN_COPY = CopyAge("unknown", None)
_WORST_LAST: tuple[CopyState, ...] = ("verified", "unverified", "stale", "diverged")
_STATES: dict[str, CopyState] = {state: state for state in _WORST_LAST}


async def copy_ages(
    node: Node, tx: Reading, *, by: Caller, peers: Sequence[Peer | PeerContact] | None = None
) -> dict[str, CopyAge]:
    """The age and verification of the copy of each operator's records, as far as the caller may see them.

    Taken from the checkpoints of the operator's feeds, the worst of them; and from its last contact, where
    nothing is verified yet. The state of a peer (suspended, left) is for callers that see everything: others
    see a stale copy. ``peers``: where they have been read already.
    """
    now = node.clock()
    ages = {node.operator: CopyAge("own", 0)}
    async with Together(tx) as reads:
        of_feeds = reads.start(reads.tx.feeds.all())
        of_copies = reads.start(reads.tx.copies.all())
        contacts = reads.start(reads.tx.peers.contacts()) if peers is None else None
    feeds, copies = of_feeds.result(), of_copies.result()
    for peer in contacts.result() if contacts is not None else peers or ():
        views = [
            feed_view(feed, copy, now)
            for feed in feeds
            if feed.origin == peer.operator and (copy := copies.get(feed.name)) is not None
            if may_see(feed.origin, feed.audience, by)
        ]
        if not views and not by.sees_all:
            continue
        contacted = max(0, int((now - peer.contacted_at).total_seconds())) if peer.contacted_at else None
        state: CopyState = "stale" if contacted is None or contacted > STALE_AFTER_SECONDS else "unverified"
        if peer.state != "active":
            state = "stale"
        age = contacted
        if peer.state in ("suspended", "left") and by.sees_all:
            state = peer.state
        elif states := [_STATES[view.state] for view in views if view.state in _STATES]:
            state = max((state, *states) if state == "stale" else states, key=_WORST_LAST.index)
            seconds = [view.age_seconds for view in views if view.age_seconds is not None]
            age = max(0, *seconds) if seconds else contacted
        ages[peer.operator] = CopyAge(state, age)
    return ages
