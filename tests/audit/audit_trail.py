"""Trails to test with: entries noted in a database, read back, and verified as the command does."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from federation.domain.audit import AuditEntry, AuditRow, Reader, SignedAuditCheckpoint
from federation.domain.audit_chain import Verdict, verify
from federation.node import audit
from federation.node.audit import checkpoint_reader
from federation.node.node import Node


class Trail(NamedTuple):
    """Everything that is verified, in memory."""

    rows: list[AuditRow]
    checkpoints: list[SignedAuditCheckpoint]
    read: Reader

    def verify(self, *, elsewhere: tuple[str, ...] = ()) -> Verdict:
        return verify(self.rows, self.checkpoints, self.read, operator="arnia", elsewhere=elsewhere)


async def noted(node: Node, times: int = 1, subject: str = "erp", **detail: Any) -> None:
    """Note so much, each in a transaction of its own."""
    for n in range(times):
        async with node.store.write() as tx:
            await tx.audit.note("client.added", actor="operator", subject=subject, detail={"i": n, **detail})


async def trail(node: Node) -> Trail:
    """The trail as the database has it."""
    async with node.store.read() as tx:
        return Trail(
            await tx.audit.page(0, 100_000),
            await tx.audit.checkpoints(),
            checkpoint_reader(await tx.keys.all()),
        )


async def entries(node: Node, event: str | None = None) -> list[AuditEntry]:
    """The entries of an event, in order."""
    found = [msgspec.json.decode(row.entry, type=AuditEntry) for row in (await trail(node)).rows]
    return [entry for entry in found if event in (None, entry.event)]


async def holds(node: Node, entries: int) -> Verdict:
    """The trail is whole and has so many entries."""
    found = await audit.verify_audit_trail(node)
    assert found.fault is None, found
    assert found.entries == entries
    return found
