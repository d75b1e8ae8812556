"""A peer: another operator's node, and the waiting times between attempts to reach it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from federation.domain.alert import Letter
from federation.domain.feed import Head

PeerState = Literal["pending", "active", "suspended", "left"]
"""``pending``: it has registered and waits for an administrator to compare codes; ``left``: it is no peer
any more, and its id stays bound to its key. (``invited`` is an invitation nobody has used yet.)"""

FIRST_WAIT = 1.0
MAX_WAIT_SECONDS = 300.0
"""Bounds of the back-off between attempts, in seconds."""
MAX_CLOCK_DIFFERENCE_SECONDS = 30
"""Seconds that the clocks of two nodes may differ: tokens, assertions and proofs bear no more."""


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """A peer as it is stored."""

    operator: str
    url: str
    name: str
    state: PeerState
    keys: dict[str, Any]
    """Its public JWK set (RFC 7517): the key it joined with, and those that keys of its endorsed since."""
    thumbprint: str
    added_at: datetime
    contacted_at: datetime | None = None
    """When it last answered as it should."""
    failures: int = 0
    """Attempts in a row that failed."""
    failure: str | None = None
    """Why the last attempt failed."""
    next_try_at: datetime | None = None
    private: bool = False
    """Whether an administrator allowed it addresses that are not public."""
    clock_difference: int | None = None
    """Seconds that its clock was ahead of ours when it last answered; None where they agreed."""

    @property
    def kids(self) -> frozenset[str]:
        """Thumbprints of its keys."""
        return frozenset(str(key.get("kid")) for key in self.keys.get("keys", ()))


class PeerContact(msgspec.Struct, frozen=True):
    """The state of a peer, and the last contact with it."""

    operator: str
    state: PeerState
    contacted_at: datetime | None


class OwnKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key of this node, as it is stored."""

    jwk: dict[str, Any]
    """Private, or public when it is retired."""
    use_from: datetime = datetime.min.replace(tzinfo=UTC)
    """It signs from then on, until a newer one does."""
    endorsement: str | None = None
    """JWS of the key before it over this one; None for the first."""
    retired: bool = False
    """Nothing it signed holds any more."""


class OtherNodes(Protocol):
    """Requests to other nodes over the network, besides their feeds."""

    def check_url(self, url: str, *, private: bool) -> str:
        """The base URL of a node that may be called. Raises Unreachable."""
        ...

    async def introduce(self, url: str, *, private: bool) -> IntroducedPeer:
        """Read the public description of the node at a URL. Raises Unreachable."""
        ...

    async def register(self, url: str, secret: str, request: bytes, *, private: bool) -> bytes:
        """Use an invitation at its node, and return the answer. Raises Unreachable with the refusal."""
        ...

    def check_webhook(self, url: str, *, private: bool) -> None:
        """Check that a webhook may be called. Raises Unreachable."""
        ...

    async def post_webhook(self, url: str, body: bytes, headers: dict[str, str], *, private: bool) -> int:
        """Call a webhook, and return the status of its answer. Raises Unreachable."""
        ...

    @property
    def sends_mail(self) -> bool:
        """True if this node has a mail server."""
        ...

    async def mail(self, letter: Letter) -> None:
        """Hand an e-mail to the mail server. Raises Unreachable; ``final`` where it will never be taken."""
        ...

    async def disconnect(self, peer: Peer) -> None:
        """Tell a peer that we are leaving. Raises Unreachable."""
        ...

    async def heads_at(self, peer: Peer, origin: str) -> tuple[Head, ...]:
        """The heads of a peer's copies of an origin's feeds. Raises Unreachable."""
        ...


class LockSurvey(NamedTuple):
    """The processes that share tasks on a database, and the tasks that none of them has locked."""

    processes: int
    free: frozenset[str]


class PeerLocks(Protocol):
    """Locks of tasks that one process does at a time, of all processes on a database."""

    def are_valid(self) -> bool:
        """False once the connection is lost, and every lock with it."""
        ...

    async def try_lock(self, task: str) -> bool:
        """Lock a task; False if another process has it. Raises Unavailable."""
        ...

    async def unlock(self, task: str) -> None:
        """Let another process have the task. Raises Unavailable."""
        ...

    async def survey(self, tasks: Sequence[str]) -> LockSurvey:
        """The live processes, this one too, and those of these tasks that nobody has. Raises Unavailable."""
        ...


class IntroducedPeer(msgspec.Struct, frozen=True):
    """The public description of a node."""

    operator: str
    name: str
    url: str
    jwks: dict[str, Any]


def back_off(failures: int, *, asked: float | None = None, chance: random.Random | None = None) -> timedelta:
    """The waiting time after so many failures in a row.

    Doubles from one second to five minutes, with full jitter so that peers of a node that comes back do
    not all return at once; never less than the peer asked for (``Retry-After``, in seconds, capped).
    """
    ceiling = min(MAX_WAIT_SECONDS, FIRST_WAIT * 2 ** min(failures - 1, 20))
    wait = (chance or random).uniform(FIRST_WAIT / 2, ceiling)
    return timedelta(seconds=max(wait, min(asked or 0.0, MAX_WAIT_SECONDS)))
