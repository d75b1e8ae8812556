"""The readers of a record by name, before it is published."""

from __future__ import annotations

import msgspec

from federation.domain.content.group import Group
from federation.domain.errors import Forbidden
from federation.domain.query import MAX_PAGE, Query
from federation.domain.visibility import FEDERATION, PRIVATE, PUBLIC, Caller, audience_of, may_see
from federation.node.edits import no_group
from federation.node.node import Node
from federation.store.database import Reading


class Audience(msgspec.Struct, frozen=True):
    """The readers of a record of this node under a label."""

    tlp: str
    group: str | None
    everybody: bool
    """True for a record that everybody sees, without a login."""
    readers: tuple[tuple[str, str], ...]
    """Id and name of each active peer that sees it, in the order of their names."""
    absent: tuple[str, ...]
    """Members of the group that are no active peers: they do not see it while that is so."""


async def audience(node: Node, tlp: str, group: str | None, *, by: Caller) -> Audience:
    """The readers of a record of this node under a label. Raises Invalid, Forbidden."""
    name = audience_of(tlp, group)
    if not may_see(node.operator, name, by):
        raise Forbidden(
            "this record would be {label}, and you would not see it; ask an administrator of this node",
            pointer="/tlp",
            fault="rule",
            label=f"TLP:{tlp}",
        )
    members: frozenset[str] = frozenset()
    async with node.store.read() as tx:
        peers = {peer.operator: peer.name for peer in await tx.peers.all() if peer.state == "active"}
        if name not in (PUBLIC, FEDERATION, PRIVATE):
            if not await tx.groups.exists(name, node=node.operator):
                raise no_group(node, name)
            members = await tx.groups.members_of(name, node=node.operator)
    match name:
        case "public" | "federation":
            readers = peers
        case "private":
            readers = {}
        case _:
            readers = {operator: peers[operator] for operator in members & peers.keys()}
    return Audience(
        tlp,
        group,
        name == PUBLIC,
        tuple(sorted(readers.items(), key=lambda peer: peer[1].casefold())),
        tuple(sorted(members - peers.keys() - {node.operator})),
    )


async def own_groups(node: Node, *, by: Caller) -> tuple[str, ...]:
    """The groups of this node whose records the caller may see: those that it can publish for."""
    async with node.store.read() as tx:
        return await read_own_groups(node, tx, by=by)


async def read_own_groups(node: Node, tx: Reading, *, by: Caller) -> tuple[str, ...]:
    """Read them together with others of one answer."""
    if not by.sees_all:
        named = by.ceiling.groups if by.own and by.ceiling is not None else frozenset()
        own = (group.partition("/") for group in named)
        return tuple(sorted(name for origin, _, name in own if origin == node.operator))
    query = Query(kind=Group, facets=(("origin", (node.operator,)),), sort="id", limit=MAX_PAGE)
    documents, _, _ = await tx.records.collect(query, visible_to=by)
    return tuple(_keyed.decode(document).key for document in documents)


class _Keyed(msgspec.Struct):
    key: str


_keyed = msgspec.json.Decoder(_Keyed)
