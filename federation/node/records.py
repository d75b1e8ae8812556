"""Records: publish, revise, retract, find and list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from federation.domain.audit import OPERATOR
from federation.domain.content.group import Group, group_changes, members_changed
from federation.domain.content.incident import Incident, NewUpdate, Update
from federation.domain.document import Envelope, check_id, mint_key
from federation.domain.draft import Draft, check_draft
from federation.domain.errors import (
    Conflict,
    Invalid,
    NotFound,
    NotTheWriter,
    PreconditionFailed,
    Refused,
    Retracted,
    WriteConflict,
)
from federation.domain.feed import FeedName
from federation.domain.query import PageKey, Query
from federation.domain.record import Record, draft_of, equals_stored, to_record, tombstone
from federation.domain.revision import StoredRevision
from federation.domain.values import Content, as_instant
from federation.domain.visibility import FEDERATION, PRIVATE, PUBLIC, Caller, audience_of
from federation.node import previews
from federation.node.node import Node
from federation.node.notifier import OwnWrite
from federation.node.previews import DryRun
from federation.store.database import Writing
from federation.store.records import LeavingRecord, StoredRecord, locks_of


class Retract:
    """The wish to retract a record."""


class WriteResult(msgspec.Struct, frozen=True):
    """What became of one wish: the record as it is now."""

    key: str
    revision: int
    document: bytes
    hash: bytes
    retracted: bool
    created: bool = False
    changed: bool = False


class Preconditions(msgspec.Struct, frozen=True):
    """The state of the record that the caller counts on (RFC 9110, 13.1)."""

    match: frozenset[str] | None = None
    """Hashes in hexadecimal, one of which the record must have; ``*`` for any."""
    none_match: frozenset[str] | None = None
    """Hashes the record must not have; ``*`` when there must be no record."""

    def check(self, name: str, held: StoredRevision | None) -> None:
        """Raises PreconditionFailed."""
        there = held is not None and not held.retracted
        now = held.hash.hex() if held else ""
        if self.match is not None and not (there and ("*" in self.match or now in self.match)):
            state = f"is at revision {held.revision}" if held else "does not exist"
            raise PreconditionFailed(f"{name} {state}, not at the state that If-Match names")
        if self.none_match is not None and there and ("*" in self.none_match or now in self.none_match):
            raise PreconditionFailed(f"{name} is there already, at revision {held.revision if held else 0}")


NO_PRECONDITIONS = Preconditions()


MAX_ATTEMPTS = 20
"""How often a write that another one overtook is begun again."""


Edit = Callable[[str, "StoredRevision | None"], "Draft[Any] | Retract | None"]
"""Given a key and what is held, what the writer wants; None to leave it. May raise Refused."""


async def publish(
    node: Node,
    kind: type[Content],
    draft: Draft[Any],
    origin: str,
    key: str,
    *,
    by: Caller,
    preconditions: Preconditions = NO_PRECONDITIONS,
    dry_run: bool = False,
) -> WriteResult:
    """Publish a record or revise it; the same content again changes nothing.

    With ``dry_run`` nothing is changed, and DryRun says what would become of it at other operators.
    """
    _check_writer(node, by, origin, key)

    def wish(key: str, held: StoredRevision | None) -> Draft[Any]:
        preconditions.check(f"{origin}/{key}", held)
        return draft

    return await _write_one(node, kind, key, wish, by=by, dry_run=dry_run)


async def publish_new(
    node: Node, kind: type[Content], draft: Draft[Any], *, by: Caller, dry_run: bool = False
) -> WriteResult:
    """Publish a record under a key minted for it."""
    return await publish(node, kind, draft, node.operator, mint_key(), by=by, dry_run=dry_run)


async def patch(
    node: Node,
    kind: type[Content],
    patch: dict[str, Any],
    origin: str,
    key: str,
    *,
    by: Caller,
    preconditions: Preconditions = NO_PRECONDITIONS,
    dry_run: bool = False,
) -> WriteResult:
    """Revise a record by JSON Merge Patch (RFC 7396)."""
    _check_writer(node, by, origin, key)

    def wish(key: str, held: StoredRevision | None) -> Draft[Any]:
        preconditions.check(f"{origin}/{key}", held)
        current = _live_document(f"{origin}/{key}", held)
        shape: Any = Draft
        return check_draft(merge_patch(draft_of(current), patch), shape[kind])  # type: ignore[no-any-return]

    return await _write_one(node, kind, key, wish, by=by, dry_run=dry_run)


async def retract(
    node: Node,
    kind: type[Content],
    origin: str,
    key: str,
    *,
    by: Caller,
    preconditions: Preconditions = NO_PRECONDITIONS,
    dry_run: bool = False,
) -> WriteResult:
    """Retract a record: a tombstone takes its place, at every peer. Retracting again changes nothing."""
    _check_writer(node, by, origin, key)

    def wish(key: str, held: StoredRevision | None) -> Retract:
        preconditions.check(f"{origin}/{key}", held)
        if held is None:
            raise NotFound(f"{kind.type} {origin}/{key} does not exist")
        return Retract()

    return await _write_one(node, kind, key, wish, by=by, dry_run=dry_run)


async def append_update(
    node: Node,
    update: NewUpdate,
    origin: str,
    key: str,
    *,
    by: Caller,
    preconditions: Preconditions = NO_PRECONDITIONS,
) -> WriteResult:
    """Append a line to an incident's timeline, and move its status when the line names one."""
    _check_writer(node, by, origin, key)

    def wish(key: str, held: StoredRevision | None) -> Draft[Any]:
        preconditions.check(f"{origin}/{key}", held)
        draft = draft_of(_live_document(f"{origin}/{key}", held))
        now = as_instant(node.clock())
        content = draft["content"]
        was_resolved = content["status"] == "resolved"
        content["status"] = update.status or content["status"]
        line = Update(at=update.at or now, status=content["status"], text=update.text)
        content["updates"] = [*content.get("updates", ()), msgspec.to_builtins(line)]
        if content["status"] != "resolved":
            content.pop("resolved_at", None)
        elif not was_resolved:
            content["resolved_at"] = line.at
        return check_draft(draft, Draft[Incident])  # type: ignore[no-any-return]

    return await _write_one(node, Incident, key, wish, by=by)


async def upload(
    node: Node, kind: type[Content], drafts: Mapping[str, Draft[Any]], *, by: Caller
) -> dict[str, WriteResult | Refused]:
    """Publish many records in one transaction; what is refused does not keep the rest from being kept."""
    _check_writer(node, by, node.operator, "bulk")
    return await revise_many(node, kind, sorted(drafts), lambda key, _: drafts[key], by=by)


async def _write_one(
    node: Node, kind: type[Content], key: str, wish: Edit, *, by: Caller, dry_run: bool = False
) -> WriteResult:
    outcome: WriteResult | Refused | None = None
    if not dry_run and kind is not Group:
        outcome = await _write_by_one_statement(node, kind, key, wish)
    if outcome is None:
        outcome = (await revise_many(node, kind, [key], wish, by=by, dry_run=dry_run))[key]
    if isinstance(outcome, Refused):
        raise outcome
    return outcome


async def _write_by_one_statement(
    node: Node, kind: type[Content], key: str, wish: Edit
) -> WriteResult | None:
    """Carry out the wish for one record that stays in its feed: look at it, keep it by one statement.

    None where it does not stay: who may see it changes then, and that is noted in the same transaction.
    And where another writer was faster: the longer way has writers of one key queue.
    """
    async with node.store.single(keeps=1) as tx:
        was, feeds = await tx.records.current_state(kind.type, node.operator, key)
        record = _next_record(node, kind, key, was, wish(key, was), node.clock())
        if record is None:
            return _unchanged_result(key, was)
        feed = feeds.get(record.audience)
        if record.audience not in feeds or (was is not None and (was.retracted or was.feed != feed)):
            return None
        try:
            live = (not record.retracted) - (was is not None)
            state, seq = await tx.records.upsert_one(node.operator, record, feed, live)
        except WriteConflict:
            return None
        row = (seq, record.retracted, record.type, key, record.revision, record.hash, record.document)
        name = None if feed is None else FeedName(node.operator, record.audience)
        node.notifier.observe(state, OwnWrite(name, live, row))
    await asyncio.sleep(0)  # who waits for it comes before who wrote it: that is the longer way
    return _changed_result(record, was)


def check_origin(node: Node, origin: str, key: str) -> None:
    """Raises NotTheWriter for records of another origin: known before a body is read."""
    check_id(origin, key)
    if origin != node.operator:
        raise NotTheWriter(
            f"only {origin} writes the records of {origin}, on its own node;"
            f" this is the node of {node.operator}"
        )


def _check_writer(node: Node, by: Caller, origin: str, key: str) -> None:
    check_origin(node, origin, key)
    if not by.own:
        raise NotTheWriter(f"only {origin}'s own clients write the records of {origin}")


async def revise_many(
    node: Node, kind: type[Content], keys: Sequence[str], wish: Edit, *, by: Caller, dry_run: bool = False
) -> dict[str, WriteResult | Refused]:
    """Carry out one wish per key in one transaction.

    The records are locked first and the numbers are taken last, see ``store/records.py``.
    """
    locks = locks_of(kind.type, keys)
    for _ in range(MAX_ATTEMPTS):
        try:
            async with node.store.write(keeps=len(keys), locks=locks) as tx:
                outcomes, any_change = await _apply_edits(node, tx, kind, keys, wish, by, dry_run=dry_run)
        except WriteConflict:
            continue
        if any_change:
            node.notifier.notify()
        return outcomes
    raise Conflict("other writers were always first; try again")


async def _apply_edits(
    node: Node,
    tx: Writing,
    kind: type[Content],
    keys: Sequence[str],
    wish: Edit,
    by: Caller,
    *,
    dry_run: bool,
) -> tuple[dict[str, WriteResult | Refused], bool]:
    held = await tx.records.stored_revisions(kind.type, node.operator, keys)
    now = node.clock()
    feeds: dict[str, int | None] = {PRIVATE: None}
    kept: list[tuple[Record, int | None, int]] = []
    leaving: list[LeavingRecord] = []
    outcomes: dict[str, WriteResult | Refused] = {}
    for key in keys:
        was = held.get(key)
        try:
            record = _next_record(node, kind, key, was, wish(key, was), now)
            if record is not None and record.audience not in feeds:
                feeds[record.audience] = await _open_feed(node, tx, record)
        except Refused as refused:
            outcomes[key] = refused
            continue
        if record is None:
            outcomes[key] = _unchanged_result(key, was)
            continue
        feed = feeds[record.audience]
        was_live = was is not None and not was.retracted
        stays = was is not None and was.feed == feed
        if was is not None and was.feed is not None and not stays:
            leaving.append(LeavingRecord(kind.type, key, was.feed, record.revision, was_live))
        kept.append((record, feed, (not record.retracted) - (was_live and stays)))
        await _note_visibility(node, tx, was, record, by)
        outcomes[key] = _changed_result(record, was)
    if dry_run and len(kept) == len(outcomes):
        # Raised within the transaction, which undoes all of it.
        raise DryRun(
            await previews.preview(node, tx, [(held.get(record.key), record) for record, _, _ in kept])
        )
    if kept:
        await tx.records.upsert(node.operator, kept, leaving)
    return outcomes, bool(kept)


async def _note_visibility(
    node: Node, tx: Writing, was: StoredRevision | None, record: Record, by: Caller
) -> None:
    """Note what changes who may see: a record's audience, the members of a group."""
    actor = by.client or OPERATOR
    if was is not None and was.document:
        before = msgspec.json.decode(was.document, type=Envelope)
        if (audience := audience_of(before.tlp, before.audience)) != record.audience:
            await tx.audit.note(
                "visibility.changed",
                actor=actor,
                subject=f"{record.type} {record.id}",
                detail={"from": audience, "to": record.audience, "revision": record.revision},
            )
    if record.type == Group.type:
        held = was.document if was is not None and not was.retracted else None
        came, went = members_changed(held, None if record.retracted else record.document)
        if went:
            await tx.receipts.note_departure(node.operator, record.key, sorted(went))
        if came:
            await tx.receipts.remove_departure(node.operator, record.key, sorted(came))
        for part in group_changes(held, None if record.retracted else record.document):
            await tx.audit.note(
                "group.changed",
                actor=actor,
                subject=record.id,
                detail={**part, "revision": record.revision},
            )


def _next_record(
    node: Node,
    kind: type[Content],
    key: str,
    was: StoredRevision | None,
    wanted: Draft[Any] | Retract | None,
    now: datetime,
) -> Record | None:
    """The record that a wish makes; None when it changes nothing."""
    # A clock that was set back must not make a document older than its own creation.
    if was is not None:
        now = max(now, was.created_at)
    if wanted is None:
        return None
    if isinstance(wanted, Retract):
        if was is None or was.retracted or was.document is None:
            return None
        return tombstone(was.document, updated_at=now)
    if was is not None and not was.retracted and was.document and equals_stored(wanted, was.document):
        return None
    before = draft_of(was.document)["content"] if was and not was.retracted and was.document else None
    wanted.content.check_after(before)
    if was is None:
        try:
            kind.check_key(key)
        except ValueError as error:
            raise Invalid(str(error)) from None
    return to_record(
        wanted,
        kind,
        node.operator,
        key,
        revision=was.revision + 1 if was else 1,
        created_at=was.created_at if was else now,
        updated_at=now,
    )


async def _open_feed(node: Node, tx: Writing, record: Record) -> int:
    audience = record.audience
    if (
        not record.retracted
        and audience not in (PUBLIC, FEDERATION)
        and not await tx.records.has_group(audience, node=node.operator)
    ):
        raise Invalid(
            f"there is no group {audience} here; make it first: PUT /v1/groups/{node.operator}/{audience}",
            pointer="/audience",
        )
    return (await tx.feeds.open(FeedName(node.operator, audience), node.notifier.state.epoch)).id


def _live_document(name: str, held: StoredRevision | None) -> bytes:
    if held is None or held.document is None:
        raise NotFound(f"{name} does not exist")
    if held.retracted:
        raise Retracted(f"{name} has been retracted")
    return held.document


async def find(node: Node, kind: type[Content], origin: str, key: str, *, by: Caller) -> StoredRecord:
    """The record as it is stored, or its tombstone. Hidden and absent are one answer: NotFound."""
    check_id(origin, key)
    async with node.store.look() as tx:
        stored = await tx.records.find(kind.type, origin, key, visible_to=by)
    if stored is None:
        raise NotFound(f"there is no {kind.type} {origin}/{key} that you may see")
    return stored


async def collect(node: Node, query: Query, *, by: Caller) -> tuple[list[bytes], PageKey | None, int | None]:
    """A page of documents, where the next one begins, and how many there are if that was asked."""
    async with node.store.read() as tx:
        return await tx.records.collect(query, visible_to=by)


def _unchanged_result(key: str, was: StoredRevision | None) -> WriteResult:
    if was is None:
        raise AssertionError("a wish left a record that does not exist")
    return WriteResult(key, was.revision, was.document or b"", was.hash, was.retracted)


def _changed_result(record: Record, was: StoredRevision | None) -> WriteResult:
    return WriteResult(
        record.key,
        record.revision,
        record.document,
        record.hash,
        record.retracted,
        created=was is None or was.retracted,
        changed=True,
    )


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged
