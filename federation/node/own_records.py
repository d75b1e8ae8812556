"""The operator's own records as a whole: read them to take them elsewhere, and publish them at a node again.

1. What is here and says the same is left as it is.
2. A record that was changed or retracted here after the copy was made is left as it is: an older copy never
   replaces a newer record.
3. Everything else is published as by the operator: it gets a revision, and its own time, of this node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from federation.domain.canonical import check_depth
from federation.domain.content.membership import Membership
from federation.domain.content.operator import Operator
from federation.domain.document import SERVER_OWNED, Envelope, check_id
from federation.domain.draft import Draft, check_draft
from federation.domain.errors import Invalid, Refused
from federation.domain.query import PageKey, Query
from federation.domain.record import equals_stored
from federation.domain.record_content import Content
from federation.domain.record_files import Renaming
from federation.domain.stored import StoredRevision
from federation.domain.values import instant
from federation.domain.visibility import itself
from federation.node.default_labels import public_outages
from federation.node.edits import Retract, WriteResult, edit_many, edited_record
from federation.node.node import Node

PAGE_RECORDS = 100
"""Records that are read or written at once; each may have a megabyte."""
Outcome = Literal["published", "revised", "unchanged", "skipped", "refused"]


class Restored(NamedTuple):
    """The outcome of one record of an export."""

    outcome: Outcome
    key: str
    reason: str = ""


async def page(node: Node, kind: type[Content], after: str | None) -> tuple[list[bytes], str | None]:
    """A page of the operator's live records of a type, of every label, and the key of the next page."""
    key = PageKey.parse(after, "id") if after is not None else None
    query = Query(kind=kind, facets=(("origin", (node.operator,)),), sort="id", limit=PAGE_RECORDS, after=key)
    async with node.store.read() as tx:
        documents, following, _ = await tx.records.collect(query, visible_to=itself(node.operator))
    return documents, str(following) if following is not None else None


class Copy(NamedTuple):
    """A document of an export, read."""

    key: str
    updated_at: str
    draft: dict[str, Any]


class _Keyed(msgspec.Struct):
    key: str = ""


_keyed = msgspec.json.Decoder(_Keyed)


def key_of(raw: bytes) -> str:
    """The key of a document; empty for what is none, which is refused when it is read as a whole."""
    try:
        return _keyed.decode(raw).key
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def read_copy(raw: bytes, kind: type[Content], operator: str, renaming: Renaming | None) -> Copy:
    """The record of a line of an export. Raises Invalid for one that is not of its type and operator."""
    check_depth(raw)  # (before names are changed, member by member)
    try:
        envelope = msgspec.json.decode(raw, type=Envelope)
        members = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid("it is no document of a record: {problem}", problem=str(error)[:200]) from None
    check_id(envelope.origin, envelope.key)
    if (envelope.type, envelope.origin) != (kind.type, operator):
        raise Invalid(
            "it is a {found} of {origin}, in a file of {kind} records of {operator}",
            found=envelope.type,
            origin=envelope.origin,
            kind=kind.type,
            operator=operator,
        )
    draft = {name: value for name, value in members.items() if name not in SERVER_OWNED}
    if renaming is not None:
        draft = renaming.apply(draft)
    return Copy(envelope.key, envelope.updated_at, draft)


async def restore(
    node: Node, kind: type[Content], copies: Sequence[Copy], *, dry_run: bool
) -> list[Restored]:
    """Publish records of an export at this node, or say what would become of them."""
    if kind is Membership:
        reason = "the node writes its memberships itself, from its peers"
        return [Restored("skipped", copy.key, reason) for copy in copies]
    if kind is Operator and (others := [copy for copy in copies if copy.key != node.operator]):
        reason = "a node has one record of its operator"
        own = await restore(
            node, kind, [copy for copy in copies if copy.key == node.operator], dry_run=dry_run
        )
        return [*own, *(Restored("skipped", copy.key, reason) for copy in others)]
    by_key = {copy.key: copy for copy in copies}
    shape: Any = Draft
    drafts: dict[str, Draft[Any]] = {}
    outcomes: dict[str, Restored] = {}
    for key, copy in by_key.items():
        try:
            drafts[key] = check_draft(copy.draft, shape[kind])
        except Refused as error:
            outcomes[key] = Restored("refused", key, _reason_of(error))

    def edit(key: str, stored: StoredRevision | None) -> Draft[Any] | Retract | None:
        outcomes.pop(key, None)  # of an attempt that another writer overtook
        reason = _newer_here(drafts[key], by_key[key].updated_at, stored)
        if reason is None:
            return drafts[key]
        outcomes[key] = Restored("skipped", key, reason)
        return None

    keys = sorted(drafts)
    if dry_run:
        await _preview(node, kind, keys, edit, outcomes)
    elif keys:
        written = await edit_many(node, kind, keys, edit, by=itself(node.operator))
        for key, result in written.items():
            outcomes.setdefault(key, _outcome_of(key, result))
    return [outcomes[key] for key in by_key]


async def _preview(
    node: Node, kind: type[Content], keys: list[str], edit: Any, outcomes: dict[str, Restored]
) -> None:
    """What would become of records, without the checks that need the other records of the export."""
    by = itself(node.operator)
    async with node.store.read() as tx:
        stored: Mapping[str, StoredRevision] = await tx.records.current_revisions(
            kind.type, node.operator, keys
        )
        public = await public_outages(tx, kind, map(stored.get, keys))
    for key in keys:
        before = stored.get(key)
        try:
            made = edited_record(node, kind, key, before, edit, node.clock(), by=by, public_outages=public)
        except Refused as error:
            outcomes[key] = Restored("refused", key, _reason_of(error))
            continue
        is_new = before is None or before.retracted
        changed: Outcome = "published" if is_new else "revised"
        outcomes.setdefault(key, Restored(changed if made is not None else "unchanged", key))


def _newer_here(draft: Draft[Any], copied_at: str, stored: StoredRevision | None) -> str | None:
    """The reason that a record stays as it is here, if there is one."""
    if stored is None or stored.document is None:
        return None
    if not stored.retracted and equals_stored(draft, stored.document):
        return None
    changed_at = msgspec.json.decode(stored.document, type=Envelope).updated_at
    if instant(changed_at) <= instant(copied_at):
        return None
    return f"it was {'retracted' if stored.retracted else 'changed'} here at {changed_at}, after the export"


def _outcome_of(key: str, result: WriteResult | Refused) -> Restored:
    if isinstance(result, Refused):
        return Restored("refused", key, _reason_of(result))
    if not result.changed:
        return Restored("unchanged", key)
    return Restored("published" if result.created else "revised", key)


def _reason_of(error: Refused) -> str:
    return f"{error.detail} (at {error.pointer})" if error.pointer else error.detail
