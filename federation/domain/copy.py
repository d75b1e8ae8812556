"""A copy of another operator's feed: its facts, the states derived from them, and the transitions.

A copy is in four states at a time, each answers one question:

- ``CopyState``: is the copy what its origin signed?
- ``RemovalGuard``: may records be removed from it?
- ``ReceiptState``: has the origin our receipt for what was removed?
- ``QuotaState``: may anything be added to it?

They are derived from ``CopyFacts``, the row of the table ``copies``, here and nowhere else. ``STATES``,
``GUARDS``, ``RECEIPTS`` and ``QUOTAS`` declare what an event does to each; an event that a table does not
name changes nothing there. ``node/copies``, ``node/repairs`` and ``node/quotas`` cause the events.
tests/proof/test_copy_states.py runs every event on a row in every state and compares it with these tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, NamedTuple

import msgspec

from federation.domain.checkpoint import CLOCKS_DIFFER
from federation.domain.feed import FeedState

MAX_REMOVED = 100
"""Records that a pull or a repair may remove from a feed without a confirmation, at most..."""
MAX_REMOVED_SHARE = 0.2
"""...or this share of the feed, whichever is more."""


def needs_confirmation(removed: int, live: int) -> bool:
    """True if an administrator must confirm the removal of so many of a feed's live records."""
    return removed > MAX_REMOVED and removed > MAX_REMOVED_SHARE * live


CopyStateName = Literal["unverified", "verified", "stale", "diverged"]
"""The values of ``CopyState``, as the API and the metrics show them."""


class CopyState(StrEnum):
    """The comparison of a copy with its origin's signature."""

    UNVERIFIED = "unverified"
    """Never compared with a checkpoint, or nothing is stored of the feed."""
    VERIFIED = "verified"
    """Equal to what the origin signed, less than ``checkpoint.LIFETIME`` seconds ago."""
    STALE = "stale"
    """It was equal, and no newer checkpoint has come: for an hour, or though its feed has gone on."""
    DIVERGED = "diverged"
    """Not what the origin signed, and the repair did not help."""


class RemovalGuard(StrEnum):
    """The permission to remove records from a copy."""

    OPEN = "open"
    """As many as ``needs_confirmation`` allows."""
    PAUSED = "paused"
    """Too many were to be removed: only withdrawals are carried out until an administrator confirms."""
    CONFIRMED = "confirmed"
    """All of them, in the next pull or repair that ends."""


class ReceiptState(StrEnum):
    """Our receipt to the origin for the records that were withdrawn or dropped."""

    NONE = "none"
    """Nothing was withdrawn."""
    PENDING = "pending"
    SENT = "sent"


class QuotaState(StrEnum):
    """The permission to add records to a copy: that of its peer, over all of its feeds."""

    WITHIN = "within quota"
    BEYOND = "beyond quota"
    """The peer would go beyond a bound of its quota: only withdrawals are carried out."""


class CopyEvent(StrEnum):
    """An event of a copy."""

    FOUND_EQUAL = "found equal"
    """It was compared with a checkpoint and has the same root."""
    CHECKPOINT_EXPIRED = "checkpoint expired"
    """Time has passed: the only event that nobody writes down."""
    CHECKPOINT_LATE = "checkpoint late"
    """Its feed has gone on, and no checkpoint of that has come (``sync/unsigned_heads``)."""
    FOUND_DIFFERENT = "found different"
    """It was compared, and differs after a repair; or its feed ends beyond the end of its origin's."""
    TOO_MANY_REMOVALS = "too many removals"
    REMOVALS_CONFIRMED = "removals confirmed"
    """By an administrator."""
    CAUGHT_UP = "caught up"
    """A pull or a repair has come to its end."""
    RECORDS_WITHDRAWN = "records withdrawn"
    """Withdrawals were carried out, or the whole copy was dropped."""
    RECEIPT_SENT = "receipt sent"
    TOO_MUCH = "too much"
    """The peer would go beyond a bound of its quota, in this feed or in another one."""
    QUOTA_RAISED = "quota raised"
    """By an administrator, who confirmed, or gave the peer a quota of its own."""
    DROPPED = "dropped"
    """The feed may not be read any more, or the peer has left: nothing of it is stored."""


class Transition(NamedTuple):
    """The next state, and the reason for it."""

    to: StrEnum
    reason: str


Table = Mapping[tuple[StrEnum, CopyEvent], Transition]


def _table(*rows: tuple[tuple[StrEnum, ...], CopyEvent, StrEnum, str]) -> Table:
    return {(state, event): Transition(to, reason) for states, event, to, reason in rows for state in states}


STATES = _table(
    (tuple(CopyState), CopyEvent.FOUND_EQUAL, CopyState.VERIFIED,
     "The signature covers every record and its number: whatever was wrong before is not wrong now."),
    ((CopyState.VERIFIED,), CopyEvent.CHECKPOINT_EXPIRED, CopyState.STALE,
     "What was signed an hour ago says nothing of what was withdrawn since."),
    ((CopyState.VERIFIED,), CopyEvent.CHECKPOINT_LATE, CopyState.STALE,
     "What is beyond the checkpoint is not verified: somebody may withhold the signature that would say so."),
    (tuple(CopyState), CopyEvent.FOUND_DIFFERENT, CopyState.DIVERGED,
     "An administrator has to look: entries and a repair did not make it equal."),
    (tuple(CopyState), CopyEvent.DROPPED, CopyState.UNVERIFIED,
     "Nothing is stored, so there is nothing to compare."),
)  # fmt: skip

GUARDS = _table(
    ((RemovalGuard.OPEN,), CopyEvent.TOO_MANY_REMOVALS, RemovalGuard.PAUSED,
     "An accident at the origin would empty every copy within a second (decision 0017)."),
    ((RemovalGuard.PAUSED,), CopyEvent.REMOVALS_CONFIRMED, RemovalGuard.CONFIRMED,
     "The administrator has seen how many."),
    ((RemovalGuard.PAUSED, RemovalGuard.CONFIRMED), CopyEvent.CAUGHT_UP, RemovalGuard.OPEN,
     "A confirmation is for once; and what was paused is over when the feed no longer asks for it."),
    (tuple(RemovalGuard), CopyEvent.DROPPED, RemovalGuard.OPEN,
     "No record is left to remove."),
)  # fmt: skip

RECEIPTS = _table(
    (tuple(ReceiptState), CopyEvent.RECORDS_WITHDRAWN, ReceiptState.PENDING,
     "The origin lists the peers that have not confirmed; a later receipt covers an earlier one."),
    ((ReceiptState.PENDING,), CopyEvent.RECEIPT_SENT, ReceiptState.SENT,
     "The origin has taken it. (A receipt for less than what is pending by now changes nothing.)"),
)  # fmt: skip

QUOTAS = _table(
    ((QuotaState.WITHIN,), CopyEvent.TOO_MUCH, QuotaState.BEYOND,
     "One peer must not fill the disk of another, and an honest one never comes there (decision 0029)."),
    ((QuotaState.BEYOND,), CopyEvent.QUOTA_RAISED, QuotaState.WITHIN,
     "The administrator has seen which bound, and how far."),
    (tuple(QuotaState), CopyEvent.DROPPED, QuotaState.WITHIN,
     "Nothing of it is stored. (Where the peer is beyond its quota all the same, its next batch says so.)"),
)  # fmt: skip


def next_state(table: Table, state: StrEnum, event: CopyEvent) -> StrEnum:
    """The state after an event: the same where the table does not name it."""
    transition = table.get((state, event))
    return transition.to if transition else state


class CopyFacts(msgspec.Struct, frozen=True):
    """The facts of a copy: the row of the table ``copies``, column by column.

    - ``CopyState`` by ``compared``. Verified or stale: ``verified_seq``, ``verified_at``, ``expires_at``,
      and ``unsigned_since`` where a checkpoint is late.
      Diverged: ``detail``, ``tried_roots``, ``tried_at``, and those three of the last good state.
    - ``RemovalGuard`` by ``confirmed`` and ``paused_reason``. Paused: ``paused_at``.
    - ``ReceiptState`` by ``receipt_sent`` and ``withdrawn_epoch``. Pending or sent: ``withdrawn_seq``,
      ``purged``.
    - ``QuotaState`` by ``beyond_quota``. Beyond: ``beyond_reason``, ``beyond_at``.
    - In every state: ``newest_signed_at``, ``via``, ``excludes``.
    """

    compared: str | None = None
    """The result of the last comparison: ``verified`` or ``diverged``; None before one."""
    detail: str | None = None
    """Why it has diverged."""
    verified_seq: int | None = None
    verified_at: datetime | None = None
    """Time of the signature that the copy was last equal to."""
    expires_at: datetime | None = None
    newest_signed_at: datetime | None = None
    """Time of the newest checkpoint that was seen: none older is accepted."""
    via: str | None = None
    """The peer that relayed the last entries; None for the origin itself."""
    withdrawn_epoch: str | None = None
    withdrawn_seq: int | None = None
    """Number of the last withdrawal that was carried out."""
    purged: bool = False
    """Whether the whole copy was dropped."""
    receipt_sent: bool = True
    paused_reason: str | None = None
    paused_at: datetime | None = None
    confirmed: bool = False
    tried_roots: str | None = None
    """The epoch and the roots, theirs and ours, that a repair has left unequal."""
    tried_at: datetime | None = None
    excludes: Sequence[str] = ()
    """Operators that may not see the feed, as its origin signed last; sorted."""
    unsigned_since: datetime | None = None
    """Since when entries lack a checkpoint that should have come; None where none does."""
    beyond_quota: str | None = None
    """The bound that its peer would go beyond."""
    beyond_reason: str | None = None
    beyond_at: datetime | None = None

    def state(self, now: datetime) -> CopyState:
        match self.compared:
            case "verified":
                return CopyState.VERIFIED if self._is_fresh(now) else CopyState.STALE
            case "diverged":
                return CopyState.DIVERGED
        return CopyState.UNVERIFIED

    def _is_fresh(self, now: datetime) -> bool:
        if self.expires_at is None or self.unsigned_since is not None:
            return False
        # A signature of the future, by this clock: it would be fresh for as long as the clock is wrong.
        return now < self.expires_at and not self.is_of_the_future(now, CLOCKS_DIFFER)

    def is_of_the_future(self, now: datetime, seconds: int) -> bool:
        """True where the copy was verified by a signature of more than so many seconds from now."""
        return self.verified_at is not None and self.verified_at - now > timedelta(seconds=seconds)

    @property
    def guard(self) -> RemovalGuard:
        # Confirmed first: a pull that began before the confirmation may pause the feed after it.
        if self.confirmed:
            return RemovalGuard.CONFIRMED
        return RemovalGuard.PAUSED if self.paused_reason is not None else RemovalGuard.OPEN

    @property
    def quota(self) -> QuotaState:
        return QuotaState.WITHIN if self.beyond_quota is None else QuotaState.BEYOND

    @property
    def is_paused(self) -> bool:
        """True if only withdrawals are carried out, for whatever reason."""
        return self.guard is RemovalGuard.PAUSED or self.quota is QuotaState.BEYOND

    @property
    def receipt(self) -> ReceiptState:
        if self.withdrawn_epoch is None:
            return ReceiptState.NONE
        return ReceiptState.SENT if self.receipt_sent else ReceiptState.PENDING


class FollowedFeed(NamedTuple):
    """A feed of another origin, and the facts of its copy."""

    feed: FeedState
    copy: CopyFacts
    has_unsent: bool
    """True if a receipt or a report of rejected entries is still to be sent to its origin."""


class SourceFeed(NamedTuple):
    """A feed that an answer rests on, own or copied, and the signature over it."""

    feed: FeedState
    digest_seq: int | None
    """Number of the digest that was signed last; None where nothing is signed yet."""
    signed_at: datetime | None
    copy: CopyFacts
    """Of an own feed, empty facts."""
