"""Snapshots of the node's own feeds, read once for all callers that wait for a change.

1. The first caller that needs a state newer than the last snapshot starts to read; the others wait for it.
2. While callers wait for the next snapshot, one task waits for a change for all of them, reads the snapshot,
   and hands it to them. Only then do they run.
3. A snapshot has the heads of all own feeds, the entries since the snapshot before it, and the members of
   the node's groups. The entries are read before the members: an operator that has lost a group sees no
   entry that came after that.
4. Each caller gets the part that ``may_see`` allows it. Callers in the same groups share one ``FeedView``.
5. Callers that have missed a snapshot share a reading, too, where they name the same heads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from federation.domain.feed import Cursor, FeedName, FeedState, Head
from federation.domain.node_state import NodeState
from federation.domain.visibility import Caller, may_see
from federation.node.notifier import ChangeNotifier
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
        self.heads = tuple(feed.as_head for feed in feeds)
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
        before = _visible(self._before, caller)
        cursors = {head.name: Cursor(head.epoch, head.seq) for head in before}
        return FeedView(
            heads=_visible(self.heads, caller),
            before=before,
            deltas=tuple(
                FeedDelta(feed.name, cursors[feed.name], self._rows[feed.id])
                for feed in feeds
                if feed.id in self._rows
            ),
        )


def _visible(heads: tuple[Head, ...], caller: Caller) -> tuple[Head, ...]:
    # The heads themselves, and no copies: each caller that is woken compares those that it knows with these.
    return tuple(head for head in heads if may_see(head.origin, head.audience, caller))


class SharedReading:
    """The last snapshot of one kind, and the next one while it is read."""

    def __init__(self, read: Callable[[], Awaitable[FeedSnapshot]]) -> None:
        self._read = read
        self.last: FeedSnapshot | None = None
        self._reading: asyncio.Task[FeedSnapshot] | None = None

    async def since(self, state: NodeState) -> FeedSnapshot:
        """A snapshot that has everything that this state counts. Raises Unavailable."""
        if self.last is not None and not self.last.is_older_than(state):
            return self.last
        while True:
            is_new = self._reading is None
            if self._reading is None:
                self._reading = asyncio.create_task(self._read_next(), name="feed snapshot")
                self._reading.add_done_callback(_retrieve_error)
            # Shielded: a caller that hangs up must not end the reading of the others.
            snapshot = await asyncio.shield(self._reading)
            if is_new or not snapshot.is_older_than(state):
                return snapshot  # (A reading that began after the call is new enough, whatever it found.)

    async def _read_next(self) -> FeedSnapshot:
        try:
            self.last = await self._read()
            return self.last
        finally:
            # Here, and not when the task is done: a caller that comes in between must not find it.
            self._reading = None


class FeedSnapshots:
    """The last snapshot of the node's own feeds, and the callers that wait for the next one."""

    HANDED_PER_TURN = 50
    """Callers that get a snapshot before other tasks have a turn: each answers, and all of them take some two
    milliseconds. (A turn of the event loop costs as much as several answers where the machine is busy.)"""
    LINGER_SECONDS = 5.0
    """Time after the last caller has gone in which nobody looks whether one waits."""
    MAX_MISSED = 8
    """Different heads that callers name after having missed a snapshot, with readings that are remembered."""

    def __init__(self, operator: str, store: Store, notifier: ChangeNotifier) -> None:
        self._operator = operator
        self._store = store
        self._notifier = notifier
        self._shared = SharedReading(self._read)
        self._missed: dict[tuple[Head, ...], SharedReading] = {}
        self._waiting: dict[asyncio.Future[FeedSnapshot | None], None] = {}
        self._following: asyncio.Task[None] | None = None

    async def since(self, state: NodeState) -> FeedSnapshot:
        """A snapshot that has everything that this state counts. Raises Unavailable."""
        return await self._shared.since(state)

    async def later_than(self, snapshot: FeedSnapshot, deadline: float) -> FeedSnapshot | None:
        """The snapshot after one, once there is one; None when the time is over or the process is to stop.

        ``deadline``: on the clock of the event loop. None also where the next one cannot be read.
        """
        if self._shared.last is not snapshot:
            return self._shared.last
        loop = asyncio.get_running_loop()
        handed: asyncio.Future[FeedSnapshot | None] = loop.create_future()
        timer = loop.call_at(deadline, _hand, handed, None)
        self._waiting[handed] = None
        if self._following is None:
            self._following = asyncio.create_task(self._follow(snapshot), name="feed snapshots")
        try:
            return await handed
        finally:
            timer.cancel()
            self._waiting.pop(handed, None)

    def wake(self) -> None:
        """Let every caller that waits look again."""
        self._hand_to_all(None)

    async def missed(self, before: tuple[Head, ...], state: NodeState) -> FeedSnapshot:
        """A snapshot with the entries after these heads that has everything that a state counts.

        For a caller that has missed a snapshot; it is read once for all that name the same heads.
        """
        if (shared := self._missed.pop(before, None)) is None:
            shared = SharedReading(lambda: self.after(before))
        self._missed[before] = shared
        while len(self._missed) > self.MAX_MISSED:
            self._missed.pop(next(iter(self._missed)))
        return await shared.since(state)

    async def after(self, before: tuple[Head, ...]) -> FeedSnapshot:
        """A snapshot with the entries after these heads, for one caller."""
        state = self._notifier.state  # before the database is asked, which may know more by then
        async with self._store.read_by_key() as tx:
            feeds, rows = await tx.entries.own_deltas(
                self._operator, before, MAX_INLINE_ENTRIES, MAX_INLINE_BYTES
            )
            groups = await tx.groups.by_member(node=self._operator)
        return FeedSnapshot(state, feeds, before, rows, groups)

    async def _read(self) -> FeedSnapshot:
        snapshot = await self.after(self._shared.last.heads if self._shared.last else ())
        self._missed.clear()  # what is remembered of an older state is not asked for again
        return snapshot

    async def _follow(self, last: FeedSnapshot) -> None:
        """Hand each next snapshot to those that wait for it, while there are any."""
        try:
            while self._waiting:
                await self._notifier.wait_for(last.state.heads, self.LINGER_SECONDS, of="heads")
                # (It also returns when clients or peers have changed, which is news for each that waits.)
                snapshot = await self.since(self._notifier.state)
                if snapshot is not last:
                    last = snapshot
                    self._hand_to_all(snapshot)
        except Exception:
            self.wake()  # whatever it was: each looks itself, and gets the error
        finally:
            self._following = None

    def _hand_to_all(self, snapshot: FeedSnapshot | None) -> None:
        waiting, self._waiting = list(self._waiting), {}
        self._hand_in_turns(waiting, snapshot)

    def _hand_in_turns(
        self, waiting: list[asyncio.Future[FeedSnapshot | None]], snapshot: FeedSnapshot | None
    ) -> None:
        """Hand a snapshot over in the order in which callers began to wait, to some at a time."""
        for handed in waiting[: self.HANDED_PER_TURN]:
            _hand(handed, snapshot)
        if rest := waiting[self.HANDED_PER_TURN :]:
            asyncio.get_running_loop().call_soon(self._hand_in_turns, rest, snapshot)


def _hand(handed: asyncio.Future[FeedSnapshot | None], snapshot: FeedSnapshot | None) -> None:
    if not handed.done():
        handed.set_result(snapshot)


def _retrieve_error(reading: asyncio.Task[FeedSnapshot]) -> None:
    """Keep asyncio from reporting an error that nobody waits for any more."""
    if not reading.cancelled():
        reading.exception()
