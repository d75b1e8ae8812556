"""Previews: the effect of a change at other operators, before it is made."""

from __future__ import annotations

import msgspec

from federation.domain.content.group import Group, member_changes
from federation.domain.document import Envelope
from federation.domain.record import Record
from federation.domain.stored import StoredRevision
from federation.domain.visibility import FEDERATION, PRIVATE, PUBLIC, audience_of
from federation.node.node import Node
from federation.store.database import Writing

MAX_EFFECTS = 1_000


class Effect(msgspec.Struct, frozen=True):
    """The effect of a change on a record at other operators."""

    type: str
    key: str
    appears_at: tuple[str, ...]
    """Peers that would get it; ``*`` stands for everybody, without a token."""
    disappears_from: tuple[str, ...]
    """Peers that would have to drop it."""


class Preview(msgspec.Struct, frozen=True):
    """The effect of a change at other operators; nothing was changed."""

    dry_run: bool
    effects: tuple[Effect, ...]
    records: int
    """How many records appear or disappear; the first ``MAX_EFFECTS`` of them are named."""

    @classmethod
    def nothing(cls) -> Preview:
        """A change that changes nothing."""
        return cls(dry_run=True, effects=(), records=0)


class DryRun(Exception):
    """Nothing was changed, as the caller wanted; carries the preview."""

    def __init__(self, preview: Preview) -> None:
        super().__init__("a dry run")
        self.preview = preview


async def preview(node: Node, tx: Writing, changes: list[tuple[StoredRevision | None, Record]]) -> Preview:
    """The effect of these changes at the peers of today."""
    peers = frozenset(peer.operator for peer in await tx.peers.all() if peer.state == "active")
    effects: list[Effect] = []
    number = 0

    async def readers(audience: str) -> frozenset[str]:
        if audience == PUBLIC:
            return peers | {"*"}
        if audience in (FEDERATION, PRIVATE):
            return peers if audience == FEDERATION else frozenset()
        return peers & await tx.groups.members_of(audience, node=node.operator)

    for stored, record in changes:
        before: frozenset[str] = frozenset()
        if stored is not None and not stored.retracted and stored.document:
            envelope = msgspec.json.decode(stored.document, type=Envelope)
            before = await readers(audience_of(envelope.tlp, envelope.audience))
        after = frozenset() if record.retracted else await readers(record.audience)
        if before != after:
            effects.append(
                Effect(record.type, record.key, tuple(sorted(after - before)), tuple(sorted(before - after)))
            )
            number += 1
        if record.type == Group.type:
            members = stored.document if stored is not None and not stored.retracted else None
            joined, departed = member_changes(members, None if record.retracted else record.document)
            if (joined | departed) & peers:
                names, total = await tx.records.live_names(node.operator, record.key, MAX_EFFECTS)
                number += total
                effects += [
                    Effect(type_, key, tuple(sorted(joined & peers)), tuple(sorted(departed & peers)))
                    for type_, key in names
                ]
    return Preview(dry_run=True, effects=tuple(effects[:MAX_EFFECTS]), records=number)
