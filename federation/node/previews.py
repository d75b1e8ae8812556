"""Previews: the effect of a change at other operators, before it is made."""

from __future__ import annotations

import msgspec

from federation.domain.content.group import Group, members_changed
from federation.domain.document import Envelope
from federation.domain.record import Record
from federation.domain.revision import StoredRevision
from federation.domain.visibility import FEDERATION, PRIVATE, PUBLIC, audience_of
from federation.node.node import Node
from federation.store.database import Writing

MAX_EFFECTS = 1_000


class Effect(msgspec.Struct, frozen=True):
    """What a change would do to a record at other operators."""

    type: str
    key: str
    appears_at: tuple[str, ...]
    """Peers that would get it; ``*`` stands for everybody, without a token."""
    disappears_from: tuple[str, ...]
    """Peers that would have to drop it."""


class Preview(msgspec.Struct, frozen=True):
    """What a change would do at other operators; nothing was changed."""

    dry_run: bool
    effects: tuple[Effect, ...]
    records: int
    """How many records appear or disappear; the first ``MOST_SHOWN`` of them are named."""

    @classmethod
    def nothing(cls) -> Preview:
        """A change that changes nothing."""
        return cls(dry_run=True, effects=(), records=0)


class DryRun(Exception):
    """Nothing was changed, as asked; holds what would have been."""

    def __init__(self, preview: Preview) -> None:
        super().__init__("a dry run")
        self.preview = preview


async def preview(node: Node, tx: Writing, changes: list[tuple[StoredRevision | None, Record]]) -> Preview:
    """What these changes do at the peers there are now."""
    peers = frozenset(peer.operator for peer in await tx.peers.all() if peer.state == "active")
    effects: list[Effect] = []
    number = 0

    async def readers(audience: str) -> frozenset[str]:
        if audience == PUBLIC:
            return peers | {"*"}
        if audience in (FEDERATION, PRIVATE):
            return peers if audience == FEDERATION else frozenset()
        return peers & await tx.records.members_of(audience, node=node.operator)

    for was, record in changes:
        before: frozenset[str] = frozenset()
        if was is not None and not was.retracted and was.document:
            told = msgspec.json.decode(was.document, type=Envelope)
            before = await readers(audience_of(told.tlp, told.audience))
        after = frozenset() if record.retracted else await readers(record.audience)
        if before != after:
            effects.append(
                Effect(record.type, record.key, tuple(sorted(after - before)), tuple(sorted(before - after)))
            )
            number += 1
        if record.type == Group.type:
            held = was.document if was is not None and not was.retracted else None
            came, went = members_changed(held, None if record.retracted else record.document)
            if (came | went) & peers:
                names, total = await tx.records.live_names(node.operator, record.key, MAX_EFFECTS)
                number += total
                effects += [
                    Effect(type_, key, tuple(sorted(came & peers)), tuple(sorted(went & peers)))
                    for type_, key in names
                ]
    return Preview(dry_run=True, effects=tuple(effects[:MAX_EFFECTS]), records=number)
