"""Receipts and feedback: peers confirm removals, and report entries that they rejected."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from federation.domain.checkpoint import (
    CLOCKS_DIFFER,
    MAX_NUMBERS,
    RECEIPT,
    PendingReceipt,
    Receipt,
)
from federation.domain.entry import RejectedEntry
from federation.domain.errors import AudienceRevoked, Forbidden, Invalid, Unauthenticated
from federation.domain.feed import FeedName, printable
from federation.domain.rejection import FeedbackView
from federation.domain.values import Count
from federation.domain.visibility import Caller, may_see
from federation.domain.withdrawal import DepartureView, ReceiptView, WithdrawalView
from federation.node.keys import verify_jwt
from federation.node.node import Node

log = logging.getLogger("federation.checkpoints")

MAX_RECEIPT_BYTES = 8_192
"""Bytes of a receipt."""


async def accept_receipt(node: Node, jws: str, *, by: Caller) -> None:
    """Store a peer's signed receipt for the withdrawals of an own feed.

    The answer does not show whether the feed exists.
    """
    if by.operator is None or by.own:
        raise Forbidden("only a peer can confirm what it has dropped")
    async with node.store.read() as tx:
        peer = await tx.peers.find(by.operator)
    try:
        if peer is None or len(jws) > MAX_RECEIPT_BYTES:
            raise Unauthenticated("who signs is no peer")
        receipt = msgspec.convert(verify_jwt(jws, peer.keys, frozenset({RECEIPT})), Receipt)
    except (Unauthenticated, msgspec.ValidationError):
        raise Invalid("the receipt is not signed by you, or cannot be read", pointer="/receipt") from None
    origin, _, audience = receipt.feed.partition("/")
    if (receipt.iss, receipt.aud, origin) != (by.operator, node.operator, node.operator):
        raise Invalid("the receipt is not yours, or not for a feed of this node", pointer="/receipt")
    if abs(node.clock().timestamp() - receipt.iat) > CLOCKS_DIFFER:
        raise Invalid("the receipt is not of now: sign a new one", pointer="/receipt")
    async with node.store.write() as writing:
        await writing.receipts.store(
            origin,
            audience,
            by.operator,
            epoch=receipt.epoch,
            seq=receipt.seq,
            purged=receipt.purged,
            jws=jws,
        )


class FeedbackEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry of a feed that a peer rejected."""

    seq: Count
    type: Annotated[str, Meta(max_length=63)]
    key: Annotated[str, Meta(max_length=160)]
    revision: Count
    reason: Annotated[str, Meta(pattern=r"^[a-z][a-z-]{0,39}$(?!\n)")]
    detail: Annotated[str, Meta(max_length=500)]


class Feedback(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The entries of a feed that a peer rejected."""

    audience: Annotated[str, Meta(max_length=63)]
    entries: Annotated[tuple[FeedbackEntry, ...], Meta(min_length=1, max_length=MAX_NUMBERS)]


async def accept_feedback(node: Node, report: Feedback, *, by: Caller) -> None:
    """Store a peer's report of the entries of an own feed that it rejected."""
    if by.operator is None or by.own:
        raise Forbidden("only a peer can tell what it could not take")
    name = FeedName(node.operator, report.audience)
    refusal = AudienceRevoked("you are not in the audience of {name}; drop what you hold of it", name=name)
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
                    seq=entry.seq,
                    type=printable(entry.type, 63),
                    key=printable(entry.key, 160),
                    revision=entry.revision,
                    reason=entry.reason,
                    detail=printable(entry.detail),
                )
                for entry in report.entries
            ],
        )
    log.warning(
        "a peer could not take entries of ours",
        extra={"peer": by.operator, "feed": str(name), "entries": len(report.entries)},
    )


class WithdrawalsView(msgspec.Struct, frozen=True):
    """Withdrawals of own feeds, and the confirmations of peers."""

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


# Our receipts for the feeds of others


async def pending_reports(
    node: Node, origin: str
) -> tuple[tuple[PendingReceipt, ...], dict[tuple[int, str], list[RejectedEntry]]]:
    """The receipts an origin has not got yet, and rejected entries it does not know of, by feed and audience.

    At most ``MAX_NUMBERS`` rejected entries.
    """
    async with node.store.read() as tx:
        return (
            await tx.copies.pending_receipts(origin),
            await tx.rejected.pending_reports(origin, MAX_NUMBERS),
        )


def sign_receipt(node: Node, origin: str, pending: PendingReceipt) -> str:
    """A receipt for its origin, as a JWS."""
    receipt = Receipt(
        iss=node.operator,
        aud=origin,
        feed=f"{origin}/{pending.audience}",
        epoch=pending.epoch,
        seq=pending.seq,
        iat=int(node.clock().timestamp()),
        purged=pending.purged,
    )
    return node.keyring.sign(msgspec.structs.asdict(receipt), typ=RECEIPT)


async def mark_receipt_sent(node: Node, pending: PendingReceipt) -> None:
    """The origin has this receipt, unless there is more to confirm by now."""
    async with node.store.write() as tx:
        await tx.copies.mark_receipt_sent(pending.feed, pending.epoch, pending.seq, purged=pending.purged)


async def mark_reported(node: Node, feed: int, entries: Sequence[RejectedEntry]) -> None:
    """The origin knows of these rejected entries."""
    async with node.store.write() as tx:
        await tx.rejected.note_report(feed, entries)
