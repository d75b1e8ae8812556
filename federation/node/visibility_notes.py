"""Notes in the audit trail about changes of the readers of records."""

from __future__ import annotations

import msgspec

from federation.domain.audit import actor_of
from federation.domain.content.group import Group, group_changes, member_changes
from federation.domain.document import Envelope
from federation.domain.record import Record
from federation.domain.stored import StoredRevision
from federation.domain.visibility import Caller, audience_of
from federation.node.node import Node
from federation.store.database import Writing


async def note_visibility(
    node: Node, tx: Writing, stored: StoredRevision | None, record: Record, by: Caller
) -> None:
    """Note changes of visibility in the audit trail: a record's audience, the members of a group."""
    actor = actor_of(by)
    if stored is not None and stored.document:
        envelope = msgspec.json.decode(stored.document, type=Envelope)
        if (audience := audience_of(envelope.tlp, envelope.audience)) != record.audience:
            await tx.audit.note(
                "visibility.changed",
                actor=actor,
                subject=f"{record.type} {record.id}",
                detail={"from": audience, "to": record.audience, "revision": record.revision},
            )
    if record.type == Group.type:
        before = stored.document if stored is not None and not stored.retracted else None
        after = None if record.retracted else record.document
        joined, departed = member_changes(before, after)
        if departed:
            await tx.receipts.note_departure(node.operator, record.key, sorted(departed))
        if joined:
            await tx.receipts.remove_departure(node.operator, record.key, sorted(joined))
        for change in group_changes(before, after):
            await tx.audit.note(
                "group.changed",
                actor=actor,
                subject=record.id,
                detail={**change, "revision": record.revision},
            )
