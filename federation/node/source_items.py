"""The items of a source, compared with the records: the draft that each one makes.

an item whose record belongs to another source, or twice in the file   → rejected
an older copy than the last one                                        → unchanged
a record that a person retracted                                       → unchanged, it stays retracted
any other                                                              → three-way merge, then the schema
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from federation.domain.canonical import canonical
from federation.domain.document import Envelope
from federation.domain.draft import Draft, check_draft
from federation.domain.errors import Conflict, Invalid, Refused
from federation.domain.messages import Message
from federation.domain.record import draft_of
from federation.domain.record_content import Content
from federation.domain.sources.labels import LABEL_MEMBERS, WITH_AUDIENCE, given_label, narrowest, next_label
from federation.domain.sources.merge import Merge, merge, values_at
from federation.domain.sources.reading import Item, Reading
from federation.domain.sources.source import ImportSource
from federation.domain.stored import StoredRevision
from federation.domain.values import KEY_PATTERN, as_instant
from federation.domain.visibility import Caller, audience_of, may_see
from federation.node.node import Node
from federation.store.database import Reading as StoreReading
from federation.store.source_items import SourceItem

ITEMS_PER_TURN = 10
"""Items merged before other requests have a turn."""


class MergedItem(NamedTuple):
    """The draft that an item makes of its record."""

    item: Item
    key: str
    draft: Draft[Any]
    row: SourceItem
    """What is stored of it afterwards."""
    row_changes: bool
    revision: int
    """The stored revision that was merged; 0 where there is none."""


class LeftItem(NamedTuple):
    """An item that leaves its record as it is, and the reason."""

    item: Item
    key: str
    reason: Message
    person: tuple[str, ...] = ()


class ItemMerger:
    """Merges the items of one type of a reading, batch by batch."""

    def __init__(
        self,
        node: Node,
        source: ImportSource,
        kind: type[Content],
        reading: Reading,
        known: Mapping[str, SourceItem],
        by: Caller,
    ) -> None:
        self._node = node
        self._source = source
        self._kind = kind
        self._reading = reading
        self._known = known
        """What the source gave last, by its own identifiers."""
        self._by = by
        self._used_keys: set[str] = set()

    async def merge(
        self, tx: StoreReading, items: Sequence[Item]
    ) -> list[tuple[Item, MergedItem | LeftItem | Refused]]:
        """The draft, or the reason, of each item of a batch."""
        keys = [self._key_of(item) for item in items]
        stored = await tx.records.current_revisions(self._kind.type, self._node.operator, keys)
        owners = await tx.source_items.of_others(self._source.name, self._kind.type, keys)
        results: list[tuple[Item, MergedItem | LeftItem | Refused]] = []
        for number, (item, key) in enumerate(zip(items, keys, strict=True)):
            if number % ITEMS_PER_TURN == 0:
                await asyncio.sleep(0)
            try:
                self._check(item, key, owners)
                results.append((item, self._merge_item(item, key, stored.get(key))))
            except Refused as error:
                results.append((item, error))
        return results

    def _key_of(self, item: Item) -> str:
        row = self._known.get(item.identity)
        return item.key if row is None else row.key

    def _check(self, item: Item, key: str, owners: Mapping[str, str]) -> None:
        if not _is_key(key):
            raise Invalid("{key} cannot be the key of a record", key=ascii(key)[1:81])
        if key in owners:
            raise Conflict("the record {key} belongs to the source {source}", key=key, source=owners[key])
        if key in self._used_keys:
            raise Conflict("the record {key} is in the file twice; the first one counts", key=key)
        self._used_keys.add(key)

    def _merge_item(self, item: Item, key: str, revision: StoredRevision | None) -> MergedItem | LeftItem:
        row = self._known.get(item.identity)
        if row is not None and item.changed_at and row.changed_at and item.changed_at < row.changed_at:
            values = {"given": as_instant(item.changed_at), "here": as_instant(row.changed_at)}
            return LeftItem(item, key, Message("an older copy: it is of {given}, and {here} is here", values))
        if revision is not None and revision.retracted and row is not None and row.disappeared_at is None:
            reason = Message("a person has retracted the record; it stays retracted")
            return LeftItem(item, key, reason, ("",))
        stored = self._stored_draft(revision)
        before = msgspec.json.decode(row.given) if row is not None and stored else {}
        label = given_label(item.members, self._source.tlp, self._reading.label, self._source.audience)
        given = {name: value for name, value in item.members.items() if name not in LABEL_MEMBERS}
        merged, given = self._merged(before, stored, given)
        members = {name: value for name, value in merged.members.items() if name not in LABEL_MEMBERS}
        draft = self._checked({**members, **next_label(label, before, stored)})
        if draft.tlp is None and label.bound not in (None, "CLEAR"):
            bounded = narrowest(draft.content.default_tlp(), label.bound)
            audience = label.audience if bounded in WITH_AUDIENCE else None
            draft = self._checked({**members, "tlp": bounded, "audience": audience})
        written = msgspec.json.decode(canonical(draft))
        base = values_at(written, given, frozenset(merged.person))
        if label.is_named:
            base["tlp"] = label.bound
        new = SourceItem(
            self._kind.type, item.identity, key, canonical(base), merged.person, item.changed_at or
            (row.changed_at if row is not None else None),
        )  # fmt: skip
        changes = row is None or (*row[:4], tuple(row.person), *row[5:]) != tuple(new)
        return MergedItem(item, key, draft, new, changes, revision.revision if revision else 0)

    def _stored_draft(self, revision: StoredRevision | None) -> dict[str, Any]:
        """The draft of a stored record; empty where there is none, or none that the caller may see."""
        if revision is None or revision.retracted or not revision.document:
            return {}
        if not self._by.sees_all:
            envelope = msgspec.json.decode(revision.document, type=Envelope)
            if not may_see(self._node.operator, audience_of(envelope.tlp, envelope.audience), self._by):
                return {}
        return draft_of(revision.document)

    def _merged(
        self, before: dict[str, Any], stored: dict[str, Any], given: dict[str, Any]
    ) -> tuple[Merge, dict[str, Any]]:
        """The merge, and what is given in the form in which a record has it, where that can be known."""
        merged = merge(before, stored, given)
        if not merged.person or not stored:
            return merged, given
        try:
            draft = self._checked(merge(values_at(stored, given, frozenset()), stored, given).members)
        except Invalid:
            return merged, given  # together with the members of the person it is not valid
        normal = values_at(msgspec.json.decode(canonical(draft)), given, frozenset())
        return merge(before, stored, normal), normal

    def _checked(self, members: dict[str, Any]) -> Draft[Any]:
        shape: Any = Draft
        named = {name: value for name, value in members.items() if value is not None}
        draft: Draft[Any] = check_draft(named, shape[self._kind])
        return draft


def _is_key(key: str) -> bool:
    return re.search(KEY_PATTERN, key) is not None
