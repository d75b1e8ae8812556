"""Edits of own records: compute the next revision from the stored one, and store it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from federation.domain.content.group import Group
from federation.domain.document import Envelope
from federation.domain.draft import Draft
from federation.domain.errors import (
    Conflict,
    Forbidden,
    Invalid,
    Refused,
    WriteConflict,
)
from federation.domain.feed import FeedName
from federation.domain.record import Record, draft_of, equals_stored, to_record, tombstone
from federation.domain.record_content import Content
from federation.domain.stored import StoredRevision
from federation.domain.visibility import FEDERATION, PRIVATE, PUBLIC, Caller, audience_of, may_see
from federation.node import previews
from federation.node.contribution_labels import with_label_of_subject
from federation.node.default_labels import public_outages
from federation.node.node import Node
from federation.node.previews import DryRun
from federation.node.visibility_notes import note_visibility
from federation.store.database import Reading, Writing
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


class WriteStep(Protocol):
    """Writes that belong to an edit: they are committed with it, or not at all."""

    async def begin(self, tx: Writing) -> None:
        """First in the transaction, before stored revisions are read. May raise, which undoes all of it."""

    async def finish(self, tx: Writing, outcomes: Mapping[str, WriteResult | Refused]) -> None:
        """When the outcomes are known, before the records are numbered: nothing slow comes after that."""


MAX_ATTEMPTS = 20
"""How often a write begins that other writers overtake."""


async def edit_one(
    node: Node,
    kind: type[Content],
    key: str,
    edit: Edit,
    *,
    by: Caller,
    dry_run: bool = False,
    step: WriteStep | None = None,
) -> WriteResult:
    """Carry out the edit of one record. Raises Refused, and Conflict after ``MAX_ATTEMPTS``."""
    outcome: WriteResult | Refused | None = None
    if not dry_run and kind is not Group and not kind.has_subject and step is None:
        outcome = await _edit_in_place(node, kind, key, edit, by)
    if outcome is None:
        outcome = (await edit_many(node, kind, [key], edit, by=by, dry_run=dry_run, step=step))[key]
    if isinstance(outcome, Refused):
        raise outcome
    return outcome


async def _edit_in_place(
    node: Node, kind: type[Content], key: str, edit: Edit, by: Caller
) -> WriteResult | None:
    """Edit one record that stays in its feed: read it, and store it by one statement.

    None where it does not stay: its readers change then, and that is noted in the same transaction. None also
    where it is retracted, as it leaves its set then. None where another writer was faster: ``edit_many`` has
    the writers of one key queue.
    """
    async with node.store.autocommit(records=1) as tx:
        stored, feeds = await tx.records.current_state(kind.type, node.operator, key)
        public = await public_outages(tx, kind, [stored])
        record = edited_record(node, kind, key, stored, edit, node.clock(), by=by, public_outages=public)
        if record is None:
            return _unchanged_result(key, stored)
        feed = feeds.get(record.audience)
        if record.retracted:
            return None
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
    node: Node,
    kind: type[Content],
    keys: Sequence[str],
    edit: Edit,
    *,
    by: Caller,
    dry_run: bool = False,
    step: WriteStep | None = None,
) -> dict[str, WriteResult | Refused]:
    """Carry out one edit per key in one transaction. Raises Conflict after ``MAX_ATTEMPTS``.

    The records are locked first and the numbers are given last, see ``store/record_writes.py``.
    """
    locks = locks_of(kind.type, keys)
    for _ in range(MAX_ATTEMPTS):
        try:
            async with node.store.write(records=len(keys), locks=locks) as tx:
                outcomes, any_change = await _apply(
                    node, tx, kind, keys, edit, by, dry_run=dry_run, step=step
                )
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
    step: WriteStep | None,
) -> tuple[dict[str, WriteResult | Refused], bool]:
    if step is not None:
        await step.begin(tx)
    revisions = await tx.records.stored_revisions(kind.type, node.operator, keys)
    public = await public_outages(tx, kind, map(revisions.get, keys))
    time = node.clock()
    feeds: dict[str, int | None] = {PRIVATE: None}
    written: list[tuple[Record, int | None, int]] = []
    leaving: list[LeavingRecord] = []
    outcomes: dict[str, WriteResult | Refused] = {}
    for key in keys:
        stored = revisions.get(key)
        try:
            known = await subject_edit(node, tx, kind, key, stored, edit, by) if kind.has_subject else edit
            record = edited_record(node, kind, key, stored, known, time, by=by, public_outages=public)
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
        await note_visibility(node, tx, stored, record, by)
        outcomes[key] = _changed_result(record, stored)
    if dry_run and len(written) == len(outcomes):
        # Raised within the transaction, which undoes all of it.
        raise DryRun(
            await previews.preview(
                node, tx, [(revisions.get(record.key), record) for record, _, _ in written]
            )
        )
    if retracted := [record.key for record, _, _ in written if record.retracted]:
        await tx.record_sets.remove(kind.type, retracted)
    if step is not None:
        await step.finish(tx, outcomes)
    if written:
        await tx.records.upsert(node.operator, written, leaving)
        await tx.affecting_incidents.note_revisions((record for record, _, _ in written), time)
    return outcomes, bool(written)


async def subject_edit(
    node: Node,
    tx: Reading | Writing,
    kind: type[Content],
    key: str,
    stored: StoredRevision | None,
    edit: Edit,
    by: Caller,
) -> Edit:
    """The edit of a record that has a subject, with the label that follows from it. Raises Refused."""
    if _is_hidden(node, stored, by):
        return edit
    labelled = await with_label_of_subject(tx, kind, edit(key, stored), stored, by)
    return lambda key, stored: labelled


def _is_hidden(node: Node, stored: StoredRevision | None, by: Caller) -> bool:
    return stored is not None and not by.sees_all and not may_see(node.operator, _audience(stored), by)


def edited_record(
    node: Node,
    kind: type[Content],
    key: str,
    stored: StoredRevision | None,
    edit: Edit,
    time: datetime,
    *,
    by: Caller,
    public_outages: bool,
) -> Record | None:
    """The record that an edit makes; None when it changes nothing.

    A writer sees what there is before the edit, and what there is after it. To one that may not see the
    stored record it is as if there were none, but for its key, which stays taken. Raises Forbidden.
    """
    if _is_hidden(node, stored, by):
        edit(key, None)  # refuses by itself what needs a record that is there
        raise Forbidden(
            "the key {key} cannot be used for a {kind} by you; choose another one", key=key, kind=kind.type
        )
    record = next_record(node, kind, key, stored, edit(key, stored), time, public_outages=public_outages)
    if record is not None and not may_see(node.operator, record.audience, by):
        raise Forbidden(
            "this record would be {label}, and you would not see it; ask an administrator of this node",
            pointer="/tlp",
            fault="rule",
            label=f"TLP:{record.tlp}",
        )
    return record


def _audience(stored: StoredRevision) -> str:
    if not stored.document:
        return PRIVATE
    envelope = msgspec.json.decode(stored.document, type=Envelope)
    return audience_of(envelope.tlp, envelope.audience)


def next_record(
    node: Node,
    kind: type[Content],
    key: str,
    stored: StoredRevision | None,
    edited: Draft[Any] | Retract | None,
    time: datetime,
    *,
    public_outages: bool,
) -> Record | None:
    """The record that an edit makes; None when it changes nothing.

    ``public_outages``: the label of new outages, see ``default_labels.py``.
    """
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
    before = draft_of(document) if document else None
    edited = _completed(edited, before, time, public_outages=public_outages)
    if document and equals_stored(edited, document):
        return None
    edited.content.check_after(before["content"] if before else None)
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


def _completed(
    edited: Draft[Any], before: dict[str, Any] | None, time: datetime, *, public_outages: bool
) -> Draft[Any]:
    """The draft as it is written, with the members of the content that the node sets, and with a label.

    Where it names none: that of a new record, or the one that the record has, so that another default of a
    newer version widens nothing.
    """
    if before is None and edited.tlp is None:
        label = edited.content.label_at_creation(public_outages=public_outages)
        edited = msgspec.structs.replace(edited, tlp=label)
    elif before is not None and edited.tlp is None:
        audience = before.get("audience") if edited.audience is None else edited.audience
        audience_of(before["tlp"], audience)
        edited = msgspec.structs.replace(edited, tlp=before["tlp"], audience=audience)
    content = edited.content.completed(before["content"] if before else None, time)
    return edited if content is edited.content else msgspec.structs.replace(edited, content=content)


async def _feed_of(node: Node, tx: Writing, record: Record) -> int:
    """The feed of a record's audience, opened where there is none. Raises Invalid without such a group."""
    audience = record.audience
    if (
        not record.retracted
        and audience not in (PUBLIC, FEDERATION)
        and not await tx.groups.exists(audience, node=node.operator)
    ):
        raise no_group(node, audience)
    return (await tx.feeds.open(FeedName(node.operator, audience), node.notifier.state.epoch)).id


def no_group(node: Node, audience: str) -> Invalid:
    """The refusal of a record for a group that there is not."""
    return Invalid(
        "there is no group {audience} here; make it first: PUT /v1/groups/{own}/{audience}",
        pointer="/audience",
        fault="rule",
        rule=26,
        audience=audience,
        own=node.operator,
    )


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
