"""Memberships: tell the members of the federation which operators this node exchanges records with.

1. The peers that are active or suspended are compared with the node's own membership records.
2. A peer without a record, or with a record that names another address, gets one; a record without a peer is
   retracted.
3. ``MAX_NOTICES`` records are written in one run, and the rest in the next one: a node cannot flood the
   others with notices.

It runs when the node starts and after peers have changed, so a notice that failed is written later.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec

from federation.domain.content.membership import Membership
from federation.domain.document import Document
from federation.domain.draft import Draft, check_draft
from federation.domain.errors import Invalid, Refused
from federation.domain.peer import Peer
from federation.domain.query import MAX_PAGE, MAX_TOTAL, PageKey, Query
from federation.domain.values import as_instant
from federation.domain.visibility import Caller
from federation.node import records
from federation.node.node import Node

log = logging.getLogger("federation.peers")

MAX_NOTICES = 20
"""Memberships that one run publishes or retracts, at most."""
RUN_SECONDS = 60.0
"""Seconds from one run to the next, unless peers have changed."""
SETTLE_SECONDS = 2.0
"""Seconds after a change of peers before the run: several changes make one run."""
ADMITTED = ("active", "suspended")
"""States of peers that have a membership."""


class MembershipView(msgspec.Struct, frozen=True):
    """An operator that a member of the federation has admitted."""

    operator: str
    name: str
    node: str
    admitted_by: str
    admitted_at: str
    state: str | None
    """The state of the operator as a peer of this node; null when it is none."""


async def publish_memberships(node: Node) -> int:
    """Publish and retract memberships as far as they differ from the peers; returns how many were written."""
    by = Caller(node=node.operator, operator=node.operator)
    async with node.store.read() as tx:
        admitted = {peer.operator: peer for peer in await tx.peers.all() if peer.state in ADMITTED}
    published = {
        record.key: record.content
        for record in await _memberships(node, origin=node.operator)
        if record.content is not None
    }
    written = 0
    for operator in sorted(admitted.keys() | published.keys()):
        if written >= MAX_NOTICES:
            break
        peer, content = admitted.get(operator), published.get(operator)
        if peer is None:
            await records.retract(node, Membership, node.operator, operator, by=by)
        elif content is None or _differs(content, peer):
            await _publish(node, peer, by)
        else:
            continue
        written += 1
    return written


async def publish_memberships_forever(node: Node) -> None:
    """Keep the memberships as the peers are."""
    changed = asyncio.Event()

    async def note_change() -> None:
        changed.set()

    node.notifier.on_trust_change(note_change)
    while True:
        changed.clear()
        try:
            await publish_memberships(node)
        except Refused as error:
            log.warning("memberships have to wait", extra={"reason": str(error)})
        except Exception:
            log.exception("memberships could not be published")
        try:
            async with asyncio.timeout(RUN_SECONDS):
                await changed.wait()
                await asyncio.sleep(SETTLE_SECONDS)
        except TimeoutError:
            pass


async def list_memberships(node: Node) -> tuple[MembershipView, ...]:
    """The memberships that this node knows, of its own and of others, by operator."""
    async with node.store.read() as tx:
        states = {peer.operator: peer.state for peer in await tx.peers.all()}
    views = [
        MembershipView(
            operator=record.content.operator,
            name=record.content.name,
            node=record.content.node,
            admitted_by=record.origin,
            admitted_at=record.content.admitted_at,
            state=states.get(record.content.operator),
        )
        for record in await _memberships(node)
        if record.content is not None and record.content.operator != node.operator
    ]
    return tuple(sorted(views, key=lambda view: (view.operator, view.admitted_by)))


async def count_not_understood(node: Node) -> int:
    """Memberships that this version does not understand and does not list, up to ``MAX_TOTAL``."""
    async with node.store.read() as tx:
        return await tx.not_understood.number(
            Membership.type, MAX_TOTAL, visible_to=Caller(node=node.operator, operator=node.operator)
        )


async def _memberships(node: Node, *, origin: str | None = None) -> list[Document[Membership]]:
    by = Caller(node=node.operator, operator=node.operator)
    found: list[Document[Membership]] = []
    after: PageKey | None = None
    while True:
        query = Query(
            kind=Membership,
            sort="id",
            limit=MAX_PAGE,
            after=after,
            facets=(("origin", (origin,)),) if origin else (),
        )
        documents, after, _ = await records.collect(node, query, by=by)
        found += map(_decoder.decode, documents)
        if after is None:
            return found


_decoder = msgspec.json.Decoder(Document[Membership])


def _differs(content: Membership, peer: Peer) -> bool:
    return content.node != peer.url or content.name not in _names(peer)


def _names(peer: Peer) -> tuple[str, str]:
    """The name that the peer gave, and its id in place of a name that no record can have."""
    return peer.name.strip()[:200], peer.operator


async def _publish(node: Node, peer: Peer, by: Caller) -> None:
    given, id_ = _names(peer)
    try:
        await records.publish(node, Membership, _draft(peer, given), node.operator, peer.operator, by=by)
    except Invalid:
        await records.publish(node, Membership, _draft(peer, id_), node.operator, peer.operator, by=by)


def _draft(peer: Peer, name: str) -> Draft[Any]:
    shape: Any = Draft
    content = {
        "operator": peer.operator,
        "name": name,
        "node": peer.url,
        "thumbprint": peer.thumbprint,
        "admitted_at": as_instant(peer.added_at),
    }
    return check_draft({"content": content}, shape[Membership])  # type: ignore[no-any-return]
