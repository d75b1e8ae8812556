"""Answer an incident: statements about all deployments of the operator, or about each.

The newest statement about a deployment applies (``domain/exposure/totals``). So that an answer leaves no
doubt which one that is, its statements and the removal of older ones are one transaction:

1. One status for all deployments: one statement that names none; those that name some are retracted.
2. Statuses by deployment: one statement for each status, about deployments that no other names. A statement
   about all, from before, stays behind them for deployments that are not listed.
3. A statement is written under a new key, and the old one retracted, where writing the same content again
   would change nothing and so leave it older than another one.

Statements of the operator that the writer may not see are left as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from federation.domain.content.statement import Statement
from federation.domain.document import Document, mint_key
from federation.domain.draft import Draft, check_draft
from federation.domain.errors import PreconditionFailed, Refused
from federation.domain.query import MAX_PAGE, Query
from federation.domain.record import equals_stored
from federation.domain.stored import StoredRevision
from federation.domain.visibility import Caller, Tlp
from federation.node.edits import Edit, Retract, WriteResult, edit_many
from federation.node.node import Node
from federation.store.database import Reading, Writing


class OwnStatement(msgspec.Struct, frozen=True):
    """A statement of this operator on an incident."""

    key: str
    revision: int
    tlp: Tlp
    audience: str | None
    updated_at: str
    content: Statement
    document: bytes


class OwnStatements(msgspec.Struct, frozen=True):
    """The statements of this operator on an incident, the newest first."""

    statements: tuple[OwnStatement, ...]

    @property
    def state(self) -> str:
        """A fingerprint: another one where a statement has come, changed or gone."""
        lines = sorted(f"{statement.key}/{statement.revision}" for statement in self.statements)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


class Part(msgspec.Struct, frozen=True):
    """A part of an answer."""

    content: dict[str, Any]
    """Members of a statement without ``incident``; without ``deployments`` it is about all."""


_statement = msgspec.json.Decoder(Document[Statement])


async def own_statements(node: Node, incident: str, *, by: Caller) -> OwnStatements:
    """The statements of this operator on an incident, as far as the caller may see them."""
    async with node.store.read() as tx:
        return await read_own_statements(node, tx, incident, by=by)


async def read_own_statements(node: Node, tx: Reading, incident: str, *, by: Caller) -> OwnStatements:
    """Read them together with others of one answer."""
    query = Query(
        kind=Statement,
        facets=(("incident", (incident,)), ("origin", (node.operator,))),
        limit=MAX_PAGE,
    )
    documents, _, _ = await tx.records.collect(query, visible_to=by)
    statements = []
    for document in documents:
        record = _statement.decode(document)
        assert record.content is not None  # noqa: S101 - no tombstone is listed
        statements.append(
            OwnStatement(
                record.key,
                record.revision,
                record.tlp,
                record.audience,
                record.updated_at,
                record.content,
                document,
            )
        )
    return OwnStatements(tuple(statements))


def drafts(
    incident: str, parts: Sequence[Part], tlp: str, audience: str | None
) -> tuple[Draft[Statement], ...]:
    """The statements of an answer. Raises Invalid with pointers from the first part at fault."""
    made = []
    for part in parts:
        draft: dict[str, Any] = {"content": {"incident": incident, **part.content}, "tlp": tlp}
        if audience is not None:
            draft["audience"] = audience
        shape: Any = Draft
        made.append(check_draft(draft, shape[Statement]))
    return tuple(made)


def plan(
    before: OwnStatements, answer: Sequence[Draft[Statement]], newest: str | None
) -> dict[str, Draft[Statement] | Retract]:
    """The statements to write and to retract, by key, so that the answer applies.

    ``newest``: the key of the newest statement of the operator that counts for the incident.
    """
    lines: dict[str, Draft[Statement] | Retract] = {}
    free = {statement.key: statement for statement in before.statements}
    for draft in answer:
        same = [key for key, statement in free.items() if equals_stored(draft, statement.document)]
        if same and same[0] == newest:
            del free[same[0]]  # it applies as it is
            continue
        key = next((key for key in free if key not in same and _is_about_same(draft, free[key])), mint_key())
        free.pop(key, None)
        lines[key] = draft
    is_for_all = any(not draft.content.deployments for draft in answer)
    listed = {name for draft in answer for name in draft.content.deployments}
    for key, statement in free.items():
        names = statement.content.deployments
        if is_for_all or (names and listed.issuperset(names)):
            lines[key] = Retract()
        elif not listed.isdisjoint(names):
            # Written again it is the newest: it may speak only of what it is the newest about already.
            rest = tuple(name for name in names if name not in listed and _newest_on(name, before) == key)
            content = msgspec.structs.replace(statement.content, deployments=rest)
            lines[key] = _draft(content, statement) if rest else Retract()
    return lines


def _is_about_same(draft: Draft[Statement], statement: OwnStatement) -> bool:
    """True where one statement revises the other: both about all, or both of one status about some."""
    new, old = draft.content, statement.content
    if not new.deployments or not old.deployments:
        return not new.deployments and not old.deployments
    return new.status == old.status


def _newest_on(deployment: str, before: OwnStatements) -> str:
    """The key of the newest statement about a deployment."""
    return next(
        statement.key
        for statement in before.statements
        if not statement.content.deployments or deployment in statement.content.deployments
    )


def _draft(content: Statement, statement: OwnStatement) -> Draft[Statement]:
    return Draft(content=content, tlp=statement.tlp, audience=statement.audience)


async def publish_answer(
    node: Node,
    incident: str,
    answer: Sequence[Draft[Statement]],
    *,
    state: str,
    newest: str | None,
    by: Caller,
) -> tuple[str, ...]:
    """Publish an answer in one transaction. Returns the keys that were written or retracted.

    ``state``: of the statements that the writer has seen. ``newest``: as in :func:`plan`. Raises
    PreconditionFailed where somebody else has answered meanwhile, and what refuses a statement; then nothing
    is changed.
    """
    before = await own_statements(node, incident, by=by)
    if before.state != state:
        raise PreconditionFailed("the answer of your operator was changed meanwhile")
    lines = plan(before, answer, newest)
    if not lines:
        return ()
    revisions = {statement.key: statement.revision for statement in before.statements}

    def edit(key: str, stored: StoredRevision | None) -> Draft[Any] | Retract:
        if (stored.revision if stored is not None else 0) != revisions.get(key, 0):
            raise PreconditionFailed("the answer of your operator was changed meanwhile")
        return lines[key]

    edited: Edit = edit
    await edit_many(node, Statement, sorted(lines), edited, by=by, step=_AllOrNothing())
    return tuple(sorted(lines))


class _AllOrNothing:
    """Undoes a transaction where one of its records is refused."""

    async def begin(self, tx: Writing) -> None:
        """Nothing is read before."""

    async def finish(self, tx: Writing, outcomes: Mapping[str, WriteResult | Refused]) -> None:
        """Raises the first refusal."""
        for outcome in outcomes.values():
            if isinstance(outcome, Refused):
                raise outcome
