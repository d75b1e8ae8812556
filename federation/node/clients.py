"""Clients and groups of the operator: add, change, revoke."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from federation.domain.audit import OPERATOR
from federation.domain.content.group import Group
from federation.domain.draft import Draft, check_draft
from federation.domain.errors import Conflict, Invalid, NotFound, Retracted
from federation.domain.feed import printable
from federation.domain.invitation import fingerprint, new_secret
from federation.domain.query import Query
from federation.domain.record import draft_of
from federation.domain.scopes import SCOPES
from federation.domain.visibility import itself
from federation.node import records
from federation.node.node import Node
from federation.node.records import Preconditions
from federation.store.clients import Client

NOT_BY_DEFAULT = ("feeds.read", "peers.read", "node.admin")


async def add_client(
    node: Node, name: str, scopes: tuple[str, ...] = (), *, by: str = OPERATOR
) -> tuple[str, str, tuple[str, ...]]:
    """Make an OAuth2 client of the operator's own: its id, its secret (kept nowhere) and its scopes.

    Without scopes it gets every one but those of ``NOT_BY_DEFAULT``. Raises Invalid, Conflict.
    """
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise Invalid("a client's name has 1 to 100 printable characters", pointer="/name", fault="rule")
    for scope in scopes:
        if scope not in SCOPES:
            raise Invalid(
                "{scope} is not a scope; {scopes} are",
                pointer="/scopes",
                fault="not-allowed",
                scope=printable(scope, 80),
                scopes=", ".join(SCOPES),
            )
    chosen = tuple(dict.fromkeys(scopes)) or tuple(s for s in SCOPES if s not in NOT_BY_DEFAULT)
    client_id, secret = f"client-{secrets.token_hex(8)}", new_secret()
    async with node.store.write() as tx:
        if any(item.name == name and item.revoked_at is None for item in await tx.clients.all()):
            raise Conflict(
                "there is a client {name} already; revoke it first, or choose another name", name=name
            )
        await tx.audit.note("client.added", actor=by, subject=client_id, detail={"name": name})
        await tx.clients.add(client_id, name, fingerprint(secret), chosen)
    return client_id, secret, chosen


async def all_clients(node: Node) -> tuple[Client, ...]:
    """The clients, revoked ones too."""
    async with node.store.read() as tx:
        return await tx.clients.all()


async def revoke_client(node: Node, name: str, *, by: str = OPERATOR) -> None:
    """Cut off a client by its name or id; its tokens are refused within a second. Raises NotFound."""
    async with node.store.write() as tx:
        await tx.audit.note("client.revoked", actor=by, subject=name)
        if not await tx.clients.revoke(name):
            raise NotFound("there is no active client {name}", name=printable(name, 100))


async def change_secret(node: Node, name: str, *, finish: bool = False, by: str = OPERATOR) -> str | None:
    """A new secret beside the one a client has; with ``finish`` none, and the former one is dropped.

    Raises NotFound.
    """
    secret = None if finish else new_secret()
    async with node.store.write() as tx:
        await tx.audit.note(
            "client.secret-changed",
            actor=by,
            subject=name,
            detail={"former": "dropped" if finish else "holds"},
        )
        if secret is None:
            if not await tx.clients.drop_former_secret(name):
                raise NotFound(
                    "there is no active client {name} with a former secret", name=printable(name, 100)
                )
        elif not await tx.clients.change_secret(name, fingerprint(secret)):
            raise NotFound("there is no active client {name}", name=printable(name, 100))
    return secret


async def change_group(
    node: Node, name: str, *, add: tuple[str, ...] = (), remove: tuple[str, ...] = (), new: bool = False
) -> tuple[str, ...]:
    """Make or change a group of this node's; its members after. Raises Conflict, NotFound, Invalid."""
    by = itself(node.operator)
    shape: Any = Draft
    draft: dict[str, Any] = {"content": {"name": name, "members": []}}
    stored = None
    try:
        stored = await records.find(node, Group, node.operator, name, by=by)
    except NotFound:
        if not new:
            raise NotFound(
                "there is no group {name}; make it: federation group create {name}", name=name
            ) from None
    if stored is not None and stored.retracted and not new:
        raise Retracted("the group {name} has been retracted", name=name)
    if stored is not None and not stored.retracted:
        if new:
            raise Conflict(
                "there is a group {name} already; change it: federation group add {name}", name=name
            )
        draft = draft_of(stored.document)
    members = [item for item in (*draft["content"]["members"], *add) if item not in remove]
    draft["content"]["members"] = list(dict.fromkeys(members))
    # Nobody else's change in between is lost.
    unchanged = Preconditions(match=frozenset({stored.hash.hex()})) if stored and not new else Preconditions()
    await records.publish(
        node, Group, check_draft(draft, shape[Group]), node.operator, name, by=by, preconditions=unchanged
    )
    return tuple(draft["content"]["members"])


async def groups(node: Node) -> dict[str, tuple[str, ...]]:
    """The groups of this node and their members."""
    query = Query(kind=Group, sort="id", limit=1_000)
    documents, _, _ = await records.collect(node, query, by=itself(node.operator))
    documents_read = [msgspec.json.decode(document) for document in documents]
    return {item["key"]: tuple(item["content"]["members"]) for item in documents_read}
