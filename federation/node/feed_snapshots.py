"""Snapshots of the node's own feeds, read once for all callers that wait for a change.

1. The first caller that needs a state newer than the last snapshot starts to read; the others wait for it.
2. A snapshot has the heads of all own feeds, the entries since the snapshot before it, and the members of
   the node's groups. The entries are read before the members: an operator that has lost a group sees no
   entry that came after that.
3. Each caller gets the part that ``may_see`` allows it. Callers in the same groups share one ``FeedView``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from federation.domain.feed import Cursor, FeedName, FeedState, Head
from federation.domain.node_state import NodeState
from federation.domain.visibility import Caller, may_see
from federation.store.database import Store

MAX_INLINE_ENTRIES = 100
"""Entries of a feed that are sent with the heads, at most."""
MAX_INLINE_BYTES = 262_144
"""Length of all such entries, at most."""

Groups = frozenset[str] | None
"""The groups of a peer; None for the operator's own clients, who see everything."""


class FeedDelta(msgspec.Struct, frozen=True):
    """All rows of a feed after a cursor."""

    feed: FeedName
    after: Cursor
    rows: list[Any]


class FeedView(msgspec.Struct, frozen=True):
    """The part of a snapshot that callers in the same groups may see."""

    heads: tuple[Head, ...]
    before: tuple[Head, ...]
    """The heads of the snapshot before, seen with the groups of now."""
    deltas: tuple[FeedDelta, ...]
    """The entries after ``before``; none of a feed with more than the bounds allow."""


class FeedSnapshot:
    """The own feeds at one state of the node, and their entries since the snapshot before."""

    def __init__(
        self,
        state: NodeState,
        feeds: tuple[FeedState, ...],
        before: tuple[Head, ...],
        rows: dict[int, list[Any]],
        groups: dict[str, frozenset[str]],
    ) -> None:
        self.state = state
        """A state of the node that these feeds are not older than."""
        self.feeds = feeds
        self._before = before
        self._rows = rows
        self._groups = groups
        self._views: dict[Groups, FeedView] = {}

    def is_older_than(self, state: NodeState) -> bool:
        """True if a change that this state counts may be missing here."""
        own = self.state
        return (
            (own.epoch, own.trust) != (state.epoch, state.trust)
            or own.published < state.published
            or own.signed < state.signed
        )

    def view(self, caller: Caller) -> FeedView:
        """The caller's part. Its groups are those of this snapshot, whatever ``caller`` says."""
        if caller.own and not caller.sees_all:
            return self._make_view(caller)  # a person's ceiling: no other caller has this view
        groups = None if caller.own else self._groups.get(caller.operator or "", frozenset())
        if (view := self._views.get(groups)) is None:
            view = self._views[groups] = self._make_view(
                caller if groups is None else msgspec.structs.replace(caller, groups=groups)
            )
        return view

    def _make_view(self, caller: Caller) -> FeedView:
        feeds = [feed for feed in self.feeds if may_see(feed.origin, feed.audience, caller)]
        before = tuple(head for head in self._before if may_see(head.origin, head.audience, caller))
        cursors = {head.name: Cursor(head.epoch, head.seq) for head in before}
        return FeedView(
            heads=tuple(feed.as_head for feed in feeds),
            before=before,
            deltas=tuple(
                FeedDelta(feed.name, cursors[feed.name], self._rows[feed.id])
                for feed in feeds
                if feed.id in self._rows
            ),
        )


class FeedSnapshots:
    """The last snapshot of the node's own feeds, and the next one while it is read."""

    def __init__(self, operator: str, store: Store, state: Callable[[], NodeState]) -> None:
        """``state``: the state of the node that this process knows now."""
        self._operator = operator
        self._store = store
        self._state = state
        self._last: FeedSnapshot | None = None
        self._reading: asyncio.Task[FeedSnapshot] | None = None

    async def since(self, state: NodeState) -> FeedSnapshot:
        """A snapshot that has everything that this state counts. Raises Unavailable."""
        if self._last is not None and not self._last.is_older_than(state):
            return self._last
        while True:
            is_new = self._reading is None
            if self._reading is None:
                self._reading = asyncio.create_task(self._read(), name="feed snapshot")
                self._reading.add_done_callback(_retrieve_error)
            # Shielded: a caller that hangs up must not end the reading of the others.
            snapshot = await asyncio.shield(self._reading)
            if is_new or not snapshot.is_older_than(state):
                return snapshot  # (A reading that began after the call is new enough, whatever it found.)

    async def after(self, before: tuple[Head, ...]) -> FeedSnapshot:
        """A snapshot with the entries after these heads, for one caller that has missed a snapshot."""
        state = self._state()  # before the database is asked, which may know more by then
        async with self._store.read_by_key() as tx:
            feeds, rows = await tx.entries.own_deltas(
                self._operator, before, MAX_INLINE_ENTRIES, MAX_INLINE_BYTES
            )
            groups = await tx.records.groups_by_member(node=self._operator)
        return FeedSnapshot(state, feeds, before, rows, groups)

    async def _read(self) -> FeedSnapshot:
        before = self._last.feeds if self._last else ()
        try:
            self._last = await self.after(tuple(feed.as_head for feed in before))
            return self._last
        finally:
            # Here, and not when the task is done: a caller that comes in between must not find it.
            self._reading = None


def _retrieve_error(reading: asyncio.Task[FeedSnapshot]) -> None:
    """Keep asyncio from reporting an error that nobody waits for any more."""
    if not reading.cancelled():
        reading.exception()
