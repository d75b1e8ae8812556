"""Feeds: heads, entries, digests and the change log, for a caller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from federation.domain.checkpoint import MAX_NUMBERS, Leaves, SignedDigests
from federation.domain.errors import (
    AudienceRevoked,
    CursorExpired,
    CursorInFuture,
    EpochChanged,
    Invalid,
    NotFound,
    Unavailable,
)
from federation.domain.feed import PAGE_ENTRIES, Cursor, FeedName, Head
from federation.domain.feed import FeedState as FeedPlace
from federation.domain.node_state import NodeState
from federation.domain.visibility import FEDERATION, PRIVATE, PUBLIC, Caller, may_see
from federation.node.node import Node
from federation.store.database import Reading


class FeedPage(msgspec.Struct, frozen=True):
    """Rows of a feed (see ``store.entries``) and where they end."""

    rows: list[Any]
    epoch: str
    head: int
    cursor: Cursor
    more: bool


async def heads(node: Node, *, by: Caller, origin: str | None = None) -> tuple[Head, ...]:
    """The heads of this node's feeds that the caller may read, or of another origin's that it holds."""
    async with node.store.read_by_key() as tx:
        return tuple(place.as_head for place in await tx.feeds.of(origin or node.operator, visible_to=by))


async def changes(
    node: Node, feed: FeedName, after: Cursor | None, *, by: Caller, limit: int = PAGE_ENTRIES
) -> FeedPage:
    """A page of a feed, by whom may read it: one of this node, or another origin's as it is held here."""
    async with node.store.read() as tx:
        place = await _readable(node, tx, feed, by)
        rows, more = await tx.entries.page(place, after, limit)
    seq = rows[-1][0] if rows else after.seq if after else 0
    epoch = place.epoch or ""
    return FeedPage(rows, epoch, place.head, Cursor(epoch, seq), more)


async def entries_at(node: Node, feed: FeedName, numbers: Sequence[int], *, by: Caller) -> FeedPage:
    """The entries of a feed at these numbers, those that are still there, as many as a page holds."""
    if len(numbers) > MAX_NUMBERS:
        raise Invalid(
            "at most {maximum} entries are asked for at once", pointer="?numbers", maximum=MAX_NUMBERS
        )
    async with node.store.read() as tx:
        place = await _readable(node, tx, feed, by)
        rows = await tx.entries.at(place, numbers)
    epoch = place.epoch or ""
    return FeedPage(rows, epoch, place.head, Cursor(epoch, rows[-1][0] if rows else 0), False)


async def digests(node: Node, feed: FeedName, *, by: Caller) -> SignedDigests:
    """The digests of a feed, with its origin's checkpoint over them. Unavailable while there is none."""
    async with node.store.read() as tx:
        place = await _readable(node, tx, feed, by)
        digest = await tx.checkpoints.find(place.id)
    if digest is None or digest.checkpoint is None:
        raise Unavailable("there is no checkpoint of {feed} here at this moment; try again", feed=feed)
    return SignedDigests(
        epoch=place.epoch or "",
        seq=digest.seq,
        retained_from=digest.retained_from,
        count=digest.count,
        root=digest.state.root,
        checkpoint=digest.checkpoint,
        buckets=tuple(digest.buckets[at : at + 32].hex() for at in range(0, len(digest.buckets), 32)),
    )


async def leaves(node: Node, feed: FeedName, bucket: int, *, by: Caller) -> Leaves:
    """The leaves of one bucket of a feed, as they are now."""
    async with node.store.read() as tx:
        place = await _readable(node, tx, feed, by)
        seq, since, lines = await tx.checkpoints.leaves(place.id, bucket)
    return Leaves(
        epoch=place.epoch or "",
        seq=seq,
        retained_from=since,
        bucket=f"{bucket:02x}",
        leaves=tuple(lines),
    )


async def _readable(node: Node, tx: Reading, feed: FeedName, by: Caller) -> FeedPlace:
    """The feed, if the caller may read it here. Raises AudienceRevoked; for what is not there, too.

    Feeds of other origins are relayed to whom may see their records here: those for everybody and for
    the federation. Groups are their origin's own. A peer that an origin excludes is refused as at the origin.
    """
    place = None
    if may_see(feed.origin, feed.audience, by) and feed.audience != PRIVATE:
        place = await tx.feeds.find(feed)
    if place is None or place.epoch is None:
        excluded = feed.audience == FEDERATION and feed.origin in by.excluded_by
        if not excluded and feed.origin != node.operator and feed.audience in (PUBLIC, FEDERATION):
            raise NotFound("this node holds nothing of {feed} that you may see", feed=feed)
        raise AudienceRevoked("you are not in the audience of {feed}; drop what you hold of it", feed=feed)
    return place


async def change_log(
    node: Node, after: Cursor | None, *, by: Caller, limit: int = PAGE_ENTRIES
) -> tuple[list[Any], Cursor, bool]:
    """Records stored here, in the order they arrived: rows, where they end, whether there are more."""
    epoch = node.notifier.state.epoch
    async with node.store.read() as tx:
        state = await tx.feeds.state()
        if after is not None:
            # The same answers as a feed gives, so that a client has one way to go on.
            check_change_cursor(after, epoch, state)
        seq = after.seq if after else 0
        rows, more = await tx.records.change_log(seq, state.arrival, limit, visible_to=by)
    return rows, Cursor(epoch, rows[-1][0] if more else max(seq, state.arrival)), more


def check_change_cursor(after: Cursor, epoch: str, state: NodeState) -> None:
    """Raises EpochChanged, CursorInFuture or CursorExpired."""
    if after.epoch != epoch:
        raise EpochChanged("this node is now of epoch {epoch}: begin without a cursor", epoch=epoch)
    if after.seq > state.arrival:
        raise CursorInFuture(
            "the last change has number {last}, the cursor is at {cursor}",
            last=state.arrival,
            cursor=after.seq,
        )
    if 0 < after.seq < state.arrivals_from:
        raise CursorExpired(
            "tombstones are kept from {first} on: begin without a cursor, and drop what does not come again",
            first=state.arrivals_from,
        )
