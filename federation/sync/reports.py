"""Send an origin what it has to know of our copies: receipts for withdrawals, and rejected entries."""

from __future__ import annotations

from typing import Protocol

from federation.domain.entry import RejectedEntry
from federation.domain.peer import Peer
from federation.node import receipts
from federation.node.node import Node


class ReportReceiver(Protocol):
    """A peer that takes receipts and reports."""

    async def receipt(self, jws: str) -> None:
        """Confirm the withdrawals that were carried out."""
        ...

    async def feedback(self, audience: str, entries: tuple[RejectedEntry, ...]) -> None:
        """Report the entries that were rejected."""
        ...


async def send_reports(node: Node, origin: Peer, receiver: ReportReceiver) -> None:
    """Send what is pending. What the origin does not take now stays pending, and is sent again later."""
    pending, rejected = await receipts.pending_reports(node, origin.operator)
    for receipt in pending:
        await receiver.receipt(receipts.sign_receipt(node, origin.operator, receipt))
        await receipts.mark_receipt_sent(node, receipt)
    for (feed, audience), entries in rejected.items():
        await receiver.feedback(audience, tuple(entries))
        await receipts.mark_reported(node, feed, entries)
