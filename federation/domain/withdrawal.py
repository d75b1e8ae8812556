"""Withdrawals: records taken back from peers, and the peers that confirmed that they dropped them."""

from __future__ import annotations

import msgspec

from federation.domain.values import Instant


class WithdrawalView(msgspec.Struct, frozen=True):
    """A record that left a feed of ours, and which peers have dropped it."""

    audience: str
    type: str
    key: str
    revision: int
    seq: int
    at: Instant
    confirmed: tuple[str, ...]
    outstanding: tuple[str, ...]
    """Peers that may hold it yet: they could read the feed, and have not confirmed."""


class DepartureView(msgspec.Struct, frozen=True):
    """A peer that was taken out of an audience."""

    audience: str
    operator: str
    at: Instant
    confirmed_at: Instant | None
    """When it confirmed that it dropped all of the feed; null until then."""


class ReceiptView(msgspec.Struct, frozen=True):
    """The last receipt of a peer."""

    audience: str
    operator: str
    seq: int
    purged: bool
    receipt: str
    """The JWS, signed by the peer."""
    at: Instant
