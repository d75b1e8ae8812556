"""Shares: bounds of the requests under way, so that no caller takes the slots of the others.

    a request, until it is answered         ``requests_per_caller`` of one caller, ``requests`` in all
    a request that waits, an open stream    ``waits_per_caller`` of one caller, ``waits`` in all

A caller is a client or a peer by its token, else an address (``Limits.caller_name``). The bounds "in all"
leave connections free (``RESERVED_SOCKETS``): for ``/health/*``, which is not counted here, for
clients with the right to administer the node, metrics among it, and for credentials that were right before.

Where a caller has no slot left, the oldest of its requests whose body has not come whole gives way: nobody
can keep the others of an address out by sending half of a request. Everything else is refused at once: 429
for the caller's own share, 503 for the bound in all, both with ``Retry-After``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from litestar import Request
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from federation.domain.errors import Invalid, TooManyRequests, Unavailable
from federation.domain.messages import Message
from federation.domain.visibility import Caller
from federation.edge.limits import Limits
from federation.edge.operations import Operation
from federation.telemetry import Metrics

WAIT_RETRY_SECONDS = 15
"""``Retry-After`` of a refused wait: half as long as a wait lasts, as many may come back at once."""
AWAITED = "awaited"
"""The member of an ASGI scope for the answer that is sent after the framework has returned."""
SLOT = "slot"
"""The member of an ASGI scope that the request's slot is under."""


class Bounds(NamedTuple):
    """Slots of this process; 0 is no bound."""

    requests: int = 0
    requests_per_caller: int = 0
    waits: int = 0
    waits_per_caller: int = 0


class Slot:
    """The slot of one request under way."""

    __slots__ = ("_room", "_shares", "body", "caller", "reserved")

    def __init__(self, shares: Shares, room: Room, caller: str, *, reserved: bool) -> None:
        self._shares = shares
        self._room: Room | None = room
        self.caller = caller
        self.reserved = reserved
        """Whether the bound in all does not concern it."""
        self.body: asyncio.Timeout | None = None
        """The timer of the body while a part of it is awaited."""

    @property
    def released(self) -> bool:
        """True once the slot was given back."""
        return self._room is None

    def wait(self) -> None:
        """Become a wait: give back the request's slot, and take one for waiting. Raises as ``Room.enter``."""
        waits = self._shares.waits
        if self._room is not waits:
            self.release()
            waits.enter(self)
            self._room = waits

    def release(self) -> None:
        """Give the slot back. Repeating it changes nothing."""
        if self._room is not None:
            self._room.leave(self)
            self._room = None

    def give_way(self) -> None:
        """End a request whose body is awaited: its time is over."""
        if self.body is not None:
            with suppress(RuntimeError):  # its time is over at this very moment
                self.body.reschedule(asyncio.get_running_loop().time())
        self.release()


class Room:
    """Slots of one kind."""

    def __init__(self, kind: str, total: int, per_caller: int, metrics: Metrics | None) -> None:
        self.kind = kind
        self._total = total
        self._per_caller = per_caller
        self._metrics = metrics
        self._slots: dict[str, dict[Slot, None]] = {}
        self._ordinary = 0
        self.count = 0

    def of(self, caller: str) -> int:
        """Slots of one caller."""
        return len(self._slots.get(caller, ()))

    def enter(self, slot: Slot) -> None:
        """Take a slot. Raises TooManyRequests (the caller's share), Unavailable (the bound in all)."""
        self.check_share(slot.caller)
        if self._total and not slot.reserved and self._ordinary >= self._total and not self._end_any():
            self._count_refusal("all")
            raise Unavailable(
                "the node has all the {kind} under way that it takes; try again", kind=Message(self.kind)
            )
        self._slots.setdefault(slot.caller, {})[slot] = None
        self._ordinary += not slot.reserved
        self.count += 1

    def check_share(self, caller: str) -> None:
        """Have a slot free in a caller's share. Raises TooManyRequests."""
        own = self._slots.get(caller, {})
        if self._per_caller and len(own) >= self._per_caller and not _end_oldest_half_sent(own):
            self._count_refusal("caller")
            raise TooManyRequests(
                "more than {maximum} {kind} at once of one client, peer or address",
                retry_after=WAIT_RETRY_SECONDS if self.kind == "waits" else 1,
                maximum=self._per_caller,
                kind=Message(self.kind),
            )

    def leave(self, slot: Slot) -> None:
        own = self._slots[slot.caller]
        del own[slot]
        if not own:
            del self._slots[slot.caller]
        self._ordinary -= not slot.reserved
        self.count -= 1

    def _end_any(self) -> bool:
        """End the oldest half-sent request of the caller with most slots that has one."""
        by_size = sorted(self._slots.values(), key=len, reverse=True)
        return any(_end_oldest_half_sent(own) for own in by_size)

    def _count_refusal(self, bound: str) -> None:
        if self._metrics is not None:
            self._metrics.shares_refused.labels(self.kind, bound).inc()


def _end_oldest_half_sent(own: dict[Slot, None]) -> bool:
    """End the oldest request whose body is awaited; False where there is none."""
    oldest = next((slot for slot in own if slot.body is not None), None)
    if oldest is None:
        return False
    oldest.give_way()
    return True


class Shares:
    """The requests under way in this process; made without bounds, none is refused."""

    def __init__(self, bounds: Bounds | None = None, metrics: Metrics | None = None) -> None:
        bounds = bounds or Bounds()
        self.requests = Room("requests", bounds.requests, bounds.requests_per_caller, metrics)
        self.waits = Room("waits", bounds.waits, bounds.waits_per_caller, metrics)
        if metrics is not None:
            for room in (self.requests, self.waits):
                metrics.under_way.labels(room.kind).set_function(partial(getattr, room, "count"))

    def enter(self, caller: str, *, reserved: bool) -> Slot:
        """A slot for a request. Raises TooManyRequests, Unavailable."""
        slot = Slot(self, self.requests, caller, reserved=reserved)
        self.requests.enter(slot)
        return slot


def enter(operation: Operation, request: Request[Any, Any, Any], caller: Caller) -> Slot | None:
    """The slot of a request whose caller is known; None where requests are not counted."""
    limits: Limits = request.app.state.limits
    shares: Shares = request.app.state.shares
    scope: Any = request.scope
    match operation.right.counted:
        case "not":
            return None
        case "credentials":
            name = limits.login_name(request.headers.get("authorization"), scope)
            slot = shares.enter(name or limits.caller_name(caller, scope), reserved=name is not None)
        case "caller":
            administers = caller.own and "node.admin" in caller.scopes
            slot = shares.enter(limits.caller_name(caller, scope), reserved=administers)
    scope[SLOT] = slot
    return slot


async def while_connected(
    answering: Awaitable[ASGIResponse], request: Request[Any, Any, Any]
) -> ASGIResponse:
    """The answer to a request that waits; given up when its connection ends, for the slot to be free again.

    Raises Invalid, which nobody reads, when the connection has ended.
    """
    task: asyncio.Task[Any] = asyncio.current_task()  # type: ignore[assignment] # a coroutine runs in one
    is_answering, given_up = True, False
    awaited: asyncio.Future[Any]

    def listen() -> asyncio.Future[Any]:
        # What the server gives is as good as a future: no task is needed to wait for it.
        message = asyncio.ensure_future(request.receive())
        message.add_done_callback(take)
        return message

    def take(message: asyncio.Future[Any]) -> None:
        nonlocal awaited, given_up
        if message.cancelled():
            return
        error = message.exception()  # whatever it is: the connection is of no use
        if not is_answering:
            return
        if error is None and message.result()["type"] != "http.disconnect":
            awaited = listen()
        else:
            given_up = True
            task.cancel()

    awaited = listen()
    try:
        return await answering
    except asyncio.CancelledError:
        if given_up and not task.uncancel():
            raise Invalid("the connection ended while the request waited") from None
        raise
    finally:
        is_answering = False
        awaited.remove_done_callback(take)
        awaited.cancel()


class Unfinished(ASGIResponse):
    """An answer whose request is under way, and has its slot, until it has been sent."""


class Sending(Unfinished):
    """An answer that is sent part by part: its request is under way until it ends."""

    __slots__ = ("_inner", "_slot")

    def __init__(self, inner: ASGIResponse, slot: Slot) -> None:
        self._inner = inner
        self._slot = slot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._inner(scope, receive, send)
        finally:
            self._slot.release()


class Awaited(Unfinished):
    """An answer that is yet to come. It is awaited and sent after the framework has returned.

    Hundreds of requests wait at the same time, and are answered by the same record: of each remains what its
    answer needs, and no call of the framework has to return before it is sent. Where nobody outside the
    framework waits for it (``server/observed.py`` does), it is sent as any other.
    """

    __slots__ = ("_answering",)

    def __init__(self, answering: Awaitable[ASGIResponse]) -> None:
        self._answering = answering

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        members: Any = scope
        if AWAITED in members:
            members[AWAITED] = self
        else:
            await self.send(scope, receive, send)

    async def send(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Await the answer, and send it."""
        response = await self._answering
        await response(scope, receive, send)
