"""Records: publish, revise, retract, find and list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from federation.domain.content.incident import Incident, NewUpdate, Update, check_statuses
from federation.domain.document import check_id, mint_key
from federation.domain.draft import Draft, check_draft
from federation.domain.errors import (
    Conflict,
    NotFound,
    NotTheWriter,
    PreconditionFailed,
    Refused,
    Retracted,
)
from federation.domain.query import PageKey, Query
from federation.domain.record import draft_of
from federation.domain.record_content import Content
from federation.domain.stored import StoredRecord, StoredRevision
from federation.domain.values import as_instant
from federation.domain.visibility import Caller
from federation.node.edits import Retract, WriteResult, WriteStep, edit_many, edit_one
from federation.node.node import Node
from federation.node.record_sets import SetStep
from federation.store.database import Reading
from federation.store.together import Together


class Preconditions(msgspec.Struct, frozen=True):
    """The state of the record that the caller counts on (RFC 9110, 13.1)."""

    match: frozenset[str] | None = None
    """Hashes in hexadecimal, one of which the record must have; ``*`` for any."""
    none_match: frozenset[str] | None = None
    """Hashes the record must not have; ``*`` when there must be no record."""

    def check(self, name: str, stored: StoredRevision | None) -> None:
        """Raises PreconditionFailed."""
        exists = stored is not None and not stored.retracted
        tag = stored.hash.hex() if stored else ""
        if self.match is not None and not (exists and ("*" in self.match or tag in self.match)):
            if stored is None:
                raise PreconditionFailed("{name} does not exist, and If-Match names a state of it", name=name)
            raise PreconditionFailed(
                "{name} is at revision {revision}, not at the state that If-Match names",
                name=name,
                revision=stored.revision,
            )
        if self.none_match is not None and exists and ("*" in self.none_match or tag in self.none_match):
            revision = stored.revision if stored else 0
            raise PreconditionFailed(
                "{name} is there already, at revision {revision}", name=name, revision=revision
            )


NO_PRECONDITIONS = Preconditions()


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
    step: WriteStep | None = None,
) -> WriteResult:
    """Publish a record or revise it; the same content again changes nothing.

    With ``dry_run`` nothing is changed, and DryRun reports what would change at other operators.
    """
    _check_writer(node, by, origin, key)

    def edit(key: str, stored: StoredRevision | None) -> Draft[Any]:
        preconditions.check(f"{origin}/{key}", stored)
        return draft

    return await edit_one(node, kind, key, edit, by=by, dry_run=dry_run, step=step)


async def publish_new(
    node: Node,
    kind: type[Content],
    draft: Draft[Any],
    *,
    by: Caller,
    dry_run: bool = False,
    step: WriteStep | None = None,
) -> WriteResult:
    """Publish a record under a key minted for it."""
    return await publish(node, kind, draft, node.operator, mint_key(), by=by, dry_run=dry_run, step=step)


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
    step: WriteStep | None = None,
) -> WriteResult:
    """Revise a record by JSON Merge Patch (RFC 7396)."""
    _check_writer(node, by, origin, key)

    def edit(key: str, stored: StoredRevision | None) -> Draft[Any]:
        preconditions.check(f"{origin}/{key}", stored)
        current = _live_document(f"{origin}/{key}", stored)
        shape: Any = Draft
        return check_draft(merge_patch(draft_of(current), patch), shape[kind])  # type: ignore[no-any-return]

    return await edit_one(node, kind, key, edit, by=by, dry_run=dry_run, step=step)


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

    def edit(key: str, stored: StoredRevision | None) -> Retract:
        preconditions.check(f"{origin}/{key}", stored)
        if stored is None:
            raise NotFound("{kind} {origin}/{key} does not exist", kind=kind.type, origin=origin, key=key)
        return Retract()

    return await edit_one(node, kind, key, edit, by=by, dry_run=dry_run)


async def append_update(
    node: Node,
    update: NewUpdate,
    origin: str,
    key: str,
    *,
    by: Caller,
    preconditions: Preconditions = NO_PRECONDITIONS,
    dry_run: bool = False,
    step: WriteStep | None = None,
) -> WriteResult:
    """Append a line to an incident's timeline, and move its status when the line names one.

    A line that is there already (its time, status and text) is not appended again, whatever state
    ``preconditions`` name: it was sent again by somebody who has not had the answer (RFC 9110, 13.1.1).
    """
    _check_writer(node, by, origin, key)

    def edit(key: str, stored: StoredRevision | None) -> Draft[Any] | None:
        draft = draft_of(_live_document(f"{origin}/{key}", stored))
        content = draft["content"]
        if _has_line(content, update):
            return None
        preconditions.check(f"{origin}/{key}", stored)
        if update.status is not None:
            check_statuses(content["kind"], {"/status": update.status})
        time = as_instant(node.clock())
        was_resolved = content["status"] == "resolved"
        content["status"] = update.status or content["status"]
        line = Update(at=update.at or time, status=content["status"], text=update.text)
        content["updates"] = [*content.get("updates", ()), msgspec.to_builtins(line)]
        if content["status"] != "resolved":
            content.pop("resolved_at", None)
        elif not was_resolved:
            content["resolved_at"] = line.at
        return check_draft(draft, Draft[Incident])  # type: ignore[no-any-return]

    return await edit_one(node, Incident, key, edit, by=by, dry_run=dry_run, step=step)


def _has_line(content: dict[str, Any], update: NewUpdate) -> bool:
    """True if a timeline has a line of that time with the same text and, where one is named, status."""
    return update.at is not None and any(
        line["at"] == update.at and line["text"] == update.text and update.status in (None, line["status"])
        for line in content.get("updates", ())
    )


async def upload(
    node: Node,
    kind: type[Content],
    lines: Mapping[str, Draft[Any] | Retract],
    *,
    by: Caller,
    set_name: str | None = None,
    revisions: Mapping[str, int] | None = None,
    step: WriteStep | None = None,
) -> dict[str, WriteResult | Refused]:
    """Publish or retract many records in one transaction; the rest is stored where one of them is refused.

    ``set_name``: the set that they are in from now on. ``revisions``: those that they must be at, 0 for no
    record. ``step``: what else is written in that transaction, where no set is named.
    """
    _check_writer(node, by, node.operator, "bulk")

    def edit(key: str, stored: StoredRevision | None) -> Draft[Any] | Retract:
        if revisions is not None and (stored.revision if stored else 0) != revisions[key]:
            raise Conflict(
                "{record} was written by somebody else in between",
                record=f"{kind.type} {node.operator}/{key}",
            )
        return bulk_edit(node, kind, key, lines[key], stored)

    if set_name is not None:
        step = SetStep(kind.type, set_name)
    return await edit_many(node, kind, sorted(lines), edit, by=by, step=step)


def bulk_edit(
    node: Node, kind: type[Content], key: str, line: Draft[Any] | Retract, stored: StoredRevision | None
) -> Draft[Any] | Retract:
    """The edit that a line of an upload makes. Raises NotFound."""
    if isinstance(line, Retract) and stored is None:
        raise NotFound("{record} does not exist", record=f"{kind.type} {node.operator}/{key}")
    return line


def check_origin(node: Node, origin: str, key: str) -> None:
    """Raises NotTheWriter for records of another origin: known before a body is read."""
    check_id(origin, key)
    if origin != node.operator:
        raise NotTheWriter(
            "only {origin} writes the records of {origin}, on its own node; this is the node of {own}",
            origin=origin,
            own=node.operator,
        )


def _check_writer(node: Node, by: Caller, origin: str, key: str) -> None:
    check_origin(node, origin, key)
    if not by.own:
        raise NotTheWriter("only {origin}'s own clients write the records of {origin}", origin=origin)


def _live_document(name: str, stored: StoredRevision | None) -> bytes:
    if stored is None or stored.document is None:
        raise NotFound("{name} does not exist", name=name)
    if stored.retracted:
        raise Retracted("{name} has been retracted", name=name)
    return stored.document


async def find(node: Node, kind: type[Content], origin: str, key: str, *, by: Caller) -> StoredRecord:
    """The record as it is stored, or its tombstone. Hidden and absent are one answer: NotFound."""
    async with node.store.read_by_key() as tx:
        return await read(tx, kind, origin, key, by=by)


async def read(tx: Reading, kind: type[Content], origin: str, key: str, *, by: Caller) -> StoredRecord:
    """Read it together with others of one answer."""
    check_id(origin, key)
    stored = await tx.records.find(kind.type, origin, key, visible_to=by)
    if stored is None:
        raise NotFound(
            "there is no {kind} {origin}/{key} that you may see", kind=kind.type, origin=origin, key=key
        )
    return stored


async def collect(node: Node, query: Query, *, by: Caller) -> tuple[list[bytes], PageKey | None, int | None]:
    """A page of documents, where the next one begins, and the total if the query asks for it."""
    async with node.store.read() as tx:
        return await tx.records.collect(query, visible_to=by)


async def collect_each(node: Node, queries: Sequence[Query], *, by: Caller) -> list[list[bytes]]:
    """The first page of each of several lists, read together."""
    async with node.store.read() as tx, Together(tx) as reads:
        pages = [reads.start(reads.tx.records.collect(query, visible_to=by)) for query in queries]
    return [page.result()[0] for page in pages]


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
