"""Receipts and feedback: peers confirm removals, and report entries that they rejected."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from federation.domain.checkpoint import (
    CLOCKS_DIFFER,
    MAX_NUMBERS,
    RECEIPT,
    Receipt,
)
from federation.domain.errors import AudienceRevoked, Forbidden, Invalid, Unauthenticated
from federation.domain.feed import FeedName, RejectedEntry, printable
from federation.domain.rejection import FeedbackView
from federation.domain.values import Count
from federation.domain.visibility import Caller, may_see
from federation.domain.withdrawal import DepartureView, ReceiptView, WithdrawalView
from federation.node.checkpoints import log
from federation.node.keys import verify_jwt
from federation.node.node import Node

MAX_RECEIPT_BYTES = 8_192
"""Bytes of a receipt, at most."""


async def accept_receipt(node: Node, jws: str, *, by: Caller) -> None:
    """A peer has dropped what was withdrawn from a feed of ours, and signs it.

    For a feed that there is not, the answer is the same.
    """
    if by.operator is None or by.own:
        raise Forbidden("only a peer can confirm what it has dropped")
    async with node.store.read() as tx:
        peer = await tx.peers.find(by.operator)
    try:
        if peer is None or len(jws) > MAX_RECEIPT_BYTES:
            raise Unauthenticated("who signs is no peer")
        said = msgspec.convert(verify_jwt(jws, peer.keys, frozenset({RECEIPT})), Receipt)
    except (Unauthenticated, msgspec.ValidationError):
        raise Invalid("the receipt is not signed by you, or cannot be read", pointer="/receipt") from None
    origin, _, audience = said.feed.partition("/")
    if (said.iss, said.aud, origin) != (by.operator, node.operator, node.operator):
        raise Invalid("the receipt is not yours, or not for a feed of this node", pointer="/receipt")
    if abs(node.clock().timestamp() - said.iat) > CLOCKS_DIFFER:
        raise Invalid("the receipt is not of now: sign a new one", pointer="/receipt")
    async with node.store.write() as writing:
        await writing.receipts.store(
            origin, audience, by.operator, epoch=said.epoch, seq=said.seq, purged=said.purged, jws=jws
        )


class FeedbackEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry of a feed that a peer could not take."""

    seq: Count
    type: Annotated[str, Meta(max_length=63)]
    key: Annotated[str, Meta(max_length=160)]
    revision: Count
    reason: Annotated[str, Meta(pattern=r"^[a-z][a-z-]{0,39}$(?!\n)")]
    detail: Annotated[str, Meta(max_length=500)]


class Feedback(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a peer could not take of a feed."""

    audience: Annotated[str, Meta(max_length=63)]
    entries: Annotated[tuple[FeedbackEntry, ...], Meta(min_length=1, max_length=MAX_NUMBERS)]


async def accept_feedback(node: Node, said: Feedback, *, by: Caller) -> None:
    """A peer says which entries of a feed of ours it set aside, and why."""
    if by.operator is None or by.own:
        raise Forbidden("only a peer can tell what it could not take")
    name = FeedName(node.operator, said.audience)
    refusal = AudienceRevoked(f"you are not in the audience of {name}; drop what you hold of it")
    if not may_see(name.origin, name.audience, by):
        raise refusal
    async with node.store.write() as tx:
        place = await tx.feeds.find(name)
        if place is None:
            raise refusal
        await tx.receipts.store_feedback(
            by.operator,
            place.id,
            [
                RejectedEntry(
                    seq=one.seq,
                    type=printable(one.type, 63),
                    key=printable(one.key, 160),
                    revision=one.revision,
                    reason=one.reason,
                    detail=printable(one.detail),
                )
                for one in said.entries
            ],
        )
    log.warning(
        "a peer could not take entries of ours",
        extra={"peer": by.operator, "feed": str(name), "entries": len(said.entries)},
    )


class WithdrawalsView(msgspec.Struct, frozen=True):
    """What was taken back, and who has confirmed that it dropped it."""

    withdrawals: tuple[WithdrawalView, ...]
    departures: tuple[DepartureView, ...]
    receipts: tuple[ReceiptView, ...]


async def withdrawals(node: Node) -> WithdrawalsView:
    """Records taken back from peers, newest first, and the peers that confirmed that they dropped them."""
    async with node.store.read() as tx:
        return WithdrawalsView(
            withdrawals=await tx.receipts.withdrawals(node.operator),
            departures=await tx.receipts.departures(),
            receipts=await tx.receipts.all(),
        )


async def feedback(node: Node) -> tuple[FeedbackView, ...]:
    """Entries of our feeds that peers rejected, newest first; without those that were revised since."""
    async with node.store.read() as tx:
        return await tx.receipts.feedback()
