"""Labels of new records whose writer names none: those of their types, and the one of outages.

Outages and maintenance are CLEAR at a new node, so that bodies without a token see them; a node that was
there before goes on with GREEN until an administrator says so. The choice is in the database, and is read in
the transaction that writes: it holds for all processes at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from federation.domain.audit import actor_of
from federation.domain.content.incident import Incident
from federation.domain.record_content import Content
from federation.domain.stored import StoredRevision
from federation.domain.visibility import Caller
from federation.node.node import Node
from federation.store.database import Reading, Writing

OutageLabel = Literal["CLEAR", "GREEN"]


async def label_of_outages(node: Node) -> OutageLabel:
    """The label of new outages and maintenance whose writer names none."""
    async with node.store.read() as tx:
        return "CLEAR" if await tx.default_labels.public_outages() else "GREEN"


async def set_label_of_outages(node: Node, label: OutageLabel, *, by: Caller) -> bool:
    """Choose that label, for records that are written from now on. False where it is the one already."""
    async with node.store.write() as tx:
        changed = await tx.default_labels.set_public_outages(label == "CLEAR")
        if changed:
            await tx.audit.note(
                "label.changed", actor=actor_of(by), subject="outage, maintenance", detail={"to": label}
            )
    return changed


async def public_outages(
    tx: Reading | Writing, kind: type[Content], revisions: Iterable[StoredRevision | None]
) -> bool:
    """True where a record of this type that is new is CLEAR if it is an outage or a maintenance.

    ``revisions``: those that are stored. The database is asked only if a new record may need the answer.
    """
    if kind is not Incident or all(stored is not None and not stored.retracted for stored in revisions):
        return False
    return await tx.default_labels.public_outages()
