"""Edits of own records: compute the next revision from the stored one, and store it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from federation.domain.audit import OPERATOR
from federation.domain.content.group import Group, group_changes, member_changes
from federation.domain.document import Envelope
from federation.domain.draft import Draft
from federation.domain.errors import (
    Conflict,
    Invalid,
    Refused,
    WriteConflict,
)
from federation.domain.feed import FeedName
from federation.domain.record import Record, draft_of, equals_stored, to_record, tombstone
from federation.domain.stored import StoredRevision
from federation.domain.values import Content
from federation.domain.visibility import FEDERATION, PRIVATE, PUBLIC, Caller, audience_of
from federation.node import previews
from federation.node.node import Node
from federation.node.previews import DryRun
from federation.store.database import Writing
from federation.store.record_writes import LeavingRecord, locks_of


class Retract:
    """The edit that retracts a record."""


class WriteResult(msgspec.Struct, frozen=True):
    """The record as it is after an edit."""

    key: str
    revision: int
    document: bytes
    hash: bytes
    retracted: bool
    created: bool = False
    changed: bool = False


Edit = Callable[[str, "StoredRevision | None"], "Draft[Any] | Retract | None"]
"""From a key and its stored revision, the next one; None to leave the record. May raise Refused."""

MAX_ATTEMPTS = 20
"""How often a write begins that other writers overtake."""


async def edit_one(
    node: Node, kind: type[Content], key: str, edit: Edit, *, by: Caller, dry_run: bool = False
) -> WriteResult:
    """Carry out the edit of one record. Raises Refused, and Conflict after ``MAX_ATTEMPTS``."""
    outcome: WriteResult | Refused | None = None
    if not dry_run and kind is not Group:
        outcome = await _edit_in_place(node, kind, key, edit)
    if outcome is None:
        outcome = (await edit_many(node, kind, [key], edit, by=by, dry_run=dry_run))[key]
    if isinstance(outcome, Refused):
        raise outcome
    return outcome


async def _edit_in_place(node: Node, kind: type[Content], key: str, edit: Edit) -> WriteResult | None:
    """Edit one record that stays in its feed: read it, and store it by one statement.

    None where it does not stay: its readers change then, and that is noted in the same transaction. None also
    where another writer was faster: ``edit_many`` has the writers of one key queue.
    """
    async with node.store.autocommit(records=1) as tx:
        stored, feeds = await tx.records.current_state(kind.type, node.operator, key)
        record = _next_record(node, kind, key, stored, edit(key, stored), node.clock())
        if record is None:
            return _unchanged_result(key, stored)
        feed = feeds.get(record.audience)
        if record.audience not in feeds or (stored is not None and (stored.retracted or stored.feed != feed)):
            return None
        try:
            live = (not record.retracted) - (stored is not None)
            state, _ = await tx.records.upsert_one(node.operator, record, feed, live)
        except WriteConflict:
            return None
        await tx.affecting_incidents.note_revisions([record], node.clock(), through=state.arrival)
        node.notifier.observe(state)
    await asyncio.sleep(0)  # waiting peers come before the writer: theirs is the longer way
    return _changed_result(record, stored)


async def edit_many(
    node: Node, kind: type[Content], keys: Sequence[str], edit: Edit, *, by: Caller, dry_run: bool = False
) -> dict[str, WriteResult | Refused]:
    """Carry out one edit per key in one transaction. Raises Conflict after ``MAX_ATTEMPTS``.

    The records are locked first and the numbers are given last, see ``store/record_writes.py``.
    """
    locks = locks_of(kind.type, keys)
    for _ in range(MAX_ATTEMPTS):
        try:
            async with node.store.write(records=len(keys), locks=locks) as tx:
                outcomes, any_change = await _apply(node, tx, kind, keys, edit, by, dry_run=dry_run)
        except WriteConflict:
            continue
        if any_change:
            node.notifier.notify()
        return outcomes
    raise Conflict("other writers were always first; try again")


async def _apply(
    node: Node,
    tx: Writing,
    kind: type[Content],
    keys: Sequence[str],
    edit: Edit,
    by: Caller,
    *,
    dry_run: bool,
) -> tuple[dict[str, WriteResult | Refused], bool]:
    revisions = await tx.records.stored_revisions(kind.type, node.operator, keys)
    time = node.clock()
    feeds: dict[str, int | None] = {PRIVATE: None}
    written: list[tuple[Record, int | None, int]] = []
    leaving: list[LeavingRecord] = []
    outcomes: dict[str, WriteResult | Refused] = {}
    for key in keys:
        stored = revisions.get(key)
        try:
            record = _next_record(node, kind, key, stored, edit(key, stored), time)
            if record is not None and record.audience not in feeds:
                feeds[record.audience] = await _feed_of(node, tx, record)
        except Refused as refused:
            outcomes[key] = refused
            continue
        if record is None:
            outcomes[key] = _unchanged_result(key, stored)
            continue
        feed = feeds[record.audience]
        was_live = stored is not None and not stored.retracted
        stays = stored is not None and stored.feed == feed
        if stored is not None and stored.feed is not None and not stays:
            leaving.append(LeavingRecord(kind.type, key, stored.feed, record.revision, was_live))
        written.append((record, feed, (not record.retracted) - (was_live and stays)))
        await _note_visibility(node, tx, stored, record, by)
        outcomes[key] = _changed_result(record, stored)
    if dry_run and len(written) == len(outcomes):
        # Raised within the transaction, which undoes all of it.
        raise DryRun(
            await previews.preview(
                node, tx, [(revisions.get(record.key), record) for record, _, _ in written]
            )
        )
    if written:
        await tx.records.upsert(node.operator, written, leaving)
        await tx.affecting_incidents.note_revisions((record for record, _, _ in written), time)
    return outcomes, bool(written)


async def _note_visibility(
    node: Node, tx: Writing, stored: StoredRevision | None, record: Record, by: Caller
) -> None:
    """Note changes of visibility in the audit trail: a record's audience, the members of a group."""
    actor = by.client or OPERATOR
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


def _next_record(
    node: Node,
    kind: type[Content],
    key: str,
    stored: StoredRevision | None,
    edited: Draft[Any] | Retract | None,
    time: datetime,
) -> Record | None:
    """The record that an edit makes; None when it changes nothing."""
    # A clock that was set back must not make a document older than its own creation.
    if stored is not None:
        time = max(time, stored.created_at)
    if edited is None:
        return None
    if isinstance(edited, Retract):
        if stored is None or stored.retracted or stored.document is None:
            return None
        return tombstone(stored.document, updated_at=time)
    document = stored.document if stored is not None and not stored.retracted else None
    if document and equals_stored(edited, document):
        return None
    edited.content.check_after(draft_of(document)["content"] if document else None)
    if stored is None:
        try:
            kind.check_key(key)
        except ValueError as error:
            raise Invalid(str(error)) from None
    return to_record(
        edited,
        kind,
        node.operator,
        key,
        revision=stored.revision + 1 if stored else 1,
        created_at=stored.created_at if stored else time,
        updated_at=time,
    )


async def _feed_of(node: Node, tx: Writing, record: Record) -> int:
    """The feed of a record's audience, opened where there is none. Raises Invalid without such a group."""
    audience = record.audience
    if (
        not record.retracted
        and audience not in (PUBLIC, FEDERATION)
        and not await tx.records.has_group(audience, node=node.operator)
    ):
        raise Invalid(
            "there is no group {audience} here; make it first: PUT /v1/groups/{own}/{audience}",
            pointer="/audience",
            fault="rule",
            rule=26,
            audience=audience,
            own=node.operator,
        )
    return (await tx.feeds.open(FeedName(node.operator, audience), node.notifier.state.epoch)).id


def _unchanged_result(key: str, stored: StoredRevision | None) -> WriteResult:
    if stored is None:
        raise AssertionError("an edit left a record that does not exist")
    return WriteResult(key, stored.revision, stored.document or b"", stored.hash, stored.retracted)


def _changed_result(record: Record, stored: StoredRevision | None) -> WriteResult:
    return WriteResult(
        record.key,
        record.revision,
        record.document,
        record.hash,
        record.retracted,
        created=stored is None or stored.retracted,
        changed=True,
    )
