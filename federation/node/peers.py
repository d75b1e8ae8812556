"""Trust: invitations, peers and their states, keys and their succession.

What an administrator decides, by command line or API, and what another node may ask for with an
invitation or as a peer. Every change is one transaction, is in the audit trail, and is seen by every
process within a second.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import msgspec

from federation.domain import lookalikes
from federation.domain.audit import OPERATOR, Event
from federation.domain.errors import Conflict, NotFound, Unauthenticated, Unreachable
from federation.domain.feed import printable
from federation.domain.invitation import (
    code,
)
from federation.domain.lookalikes import LookAlike, Party
from federation.domain.peer import Peer, PeerState
from federation.domain.visibility import PUBLIC
from federation.node import exclusions
from federation.node.keys import trusted_keys
from federation.node.node import Node
from federation.store.database import Writing

log = logging.getLogger("federation.peers")


# Joining


# States


async def activate(
    node: Node, operator: str, *, code: str | None = None, private: bool = False, by: str = OPERATOR
) -> Peer:
    """Exchange records with a pending peer from now on.

    ``code``: what the other administrator read out; Conflict when it is not what is shown here. ``private``:
    the peer's node may be at an address that is not public, also if the invitation did not say so. Raises
    Unreachable unless the node at the peer's URL is that operator's and has the key it registered with.
    """
    peer = await _find(node, operator)
    if peer.state == "active":
        return peer
    if peer.state != "pending":
        raise Conflict("{operator} is {state}, not pending", operator=operator, state=peer.state)
    if code is not None and code_digits(code) != code_digits(code_of(node, peer)):
        raise Conflict(
            "the codes differ: here it is {own_code}. Do not go on: somebody may be between the two nodes",
            own_code=code_of(node, peer),
        )
    private = private or peer.private
    answer = await node.others.introduce(peer.url, private=private)
    try:
        trusted_keys(peer.kids, answer.jwks, operator)
    except Unauthenticated:
        raise Unreachable(
            "the node at {url} does not have the key that {operator} joined with",
            url=peer.url,
            operator=operator,
        ) from None
    if answer.operator != operator:
        raise Unreachable(
            "the node at {url} is that of {other}, not of {operator}",
            url=peer.url,
            other=answer.operator,
            operator=operator,
        )
    return await _become(
        node,
        operator,
        "active",
        frm=("pending",),
        event="peer.activated",
        by=by,
        excluded=False,
        private=private,
    )


async def suspend(node: Node, operator: str, *, local: bool = False, by: str = OPERATOR) -> Peer:
    """Neither answer a peer nor follow it, until it is resumed. What was pulled stays.

    The exclusion is signed at once: every member withholds this node's GREEN records from it, too. With
    ``local`` it is not, and other members go on showing them. Raises Conflict beyond ``MAX_EXCLUSIONS``.
    """
    return await _become(
        node, operator, "suspended", frm=("active",), event="peer.suspended", by=by, excluded=not local
    )


async def resume(node: Node, operator: str, *, by: str = OPERATOR) -> Peer:
    """Undo a suspension, and lift the exclusion."""
    return await _become(
        node, operator, "active", frm=("suspended",), event="peer.resumed", by=by, excluded=False
    )


async def retry(node: Node, operator: str) -> Peer:
    """Let the process that follows a peer ask it at once, whenever it was to be asked again.

    Raises Conflict for a peer that is not followed.
    """
    async with node.store.write() as tx:
        peer = await _lock_peer(tx, operator)
        if peer.state != "active":
            raise Conflict(
                "{operator} is {state}, not active: it is not followed", operator=operator, state=peer.state
            )
        await tx.peers.retry(operator)
    node.notifier.notify()
    return msgspec.structs.replace(peer, next_try_at=None)


async def leave(node: Node, operator: str, *, by: str = OPERATOR) -> tuple[Peer, str | None]:
    """End it with a peer: it is told, and copies of what was not public are dropped on both sides.

    Returns the peer, and why it could not be told if that is so: it will find its tokens refused.
    """
    peer = await _find(node, operator)
    if peer.state == "left":
        return peer, None
    reason = None
    if peer.state == "active":
        try:
            await node.others.disconnect(peer)
        except Unreachable as error:
            reason = error.detail
    return await _mark_left(node, operator, by=by), reason


async def accept_disconnect(node: Node, operator: str) -> None:
    """A peer says that it leaves."""
    await _mark_left(node, operator, by=operator)


async def _mark_left(node: Node, operator: str, *, by: str) -> Peer:
    async with node.store.write() as tx:
        peer = await _lock_peer(tx, operator)
        if peer.state == "left":
            return peer
        await tx.audit.note("peer.left", actor=by, subject=operator)
        await _drop(tx, operator)
        await tx.peers.set_state(operator, "left")
        await tx.remains.drop(operator)
    node.notifier.notify()
    return msgspec.structs.replace(peer, state="left")


async def _drop(tx: Writing, *operators: str) -> int:
    """Drop copies of what these operators have not published for everybody. Returns of how many records."""
    return await tx.copies.purge(
        *(place for place in await tx.feeds.all() if place.origin in operators and place.audience != PUBLIC)
    )


async def purge_left_peers(node: Node) -> None:
    """Drop what came of peers after they had left: whoever followed them had not heard of it yet."""
    async with node.store.read() as reading:
        leaver = [peer.operator for peer in await reading.peers.all() if peer.state == "left"]
    if not leaver:
        return
    async with node.store.write() as tx:
        dropped = await _drop(tx, *leaver)
        await tx.remains.drop_empty_feeds(leaver)
    if dropped:
        log.warning("records that came of peers after they had left were dropped", extra={"records": dropped})
        node.notifier.notify()


async def forget(node: Node, operator: str, *, by: str = OPERATOR) -> None:
    """Free the id of an operator that has left from the key it is bound to. It stays excluded, if it was.

    Its public records go, too: nothing here is its any more.
    """
    async with node.store.write() as tx:
        peer = await _lock_peer(tx, operator)
        if peer.state not in ("left", "pending"):
            raise Conflict(
                "{operator} is {state}; first: federation peer leave {operator}",
                operator=operator,
                state=peer.state,
            )
        await tx.audit.note("peer.forgotten", actor=by, subject=operator, detail={"key": peer.thumbprint})
        await tx.copies.purge(*(feed for feed in await tx.feeds.all() if feed.origin == operator))
        await tx.peers.remove(operator)
        await tx.remains.drop(operator)
    node.notifier.notify()


async def _become(
    node: Node,
    operator: str,
    state: PeerState,
    *,
    frm: tuple[str, ...],
    event: Event,
    by: str,
    excluded: bool,
    private: bool = False,
) -> Peer:
    async with node.store.write() as tx:
        peer = await _lock_peer(tx, operator)
        if peer.state != state and peer.state not in frm:
            raise Conflict(
                "{operator} is {state}, not {states}",
                operator=operator,
                state=peer.state,
                states=" or ".join(frm),
            )
        change = tx.exclusions.add if excluded else tx.exclusions.remove
        changed = await change(operator)
        allowed = private and peer.state != state and not peer.private
        if changed or peer.state != state:
            detail: dict[str, str | int] = {"private": True} if allowed else {}
            if changed:
                detail["exclusion"] = "signed" if excluded else "lifted"
            await tx.audit.note(event, actor=by, subject=operator, detail=detail)
        if allowed:
            await tx.peers.allow_private(operator)
            peer = msgspec.structs.replace(peer, private=True)
        if peer.state != state:
            await tx.peers.set_state(operator, state)
    node.notifier.notify()
    if changed:
        await exclusions.sign_exclusions(node)
    return msgspec.structs.replace(peer, state=state)


async def _find(node: Node, operator: str) -> Peer:
    async with node.store.read() as tx:
        peer = await tx.peers.find(operator)
    if peer is None:
        raise NotFound("there is no peer {operator}", operator=printable(operator, 80))
    return peer


async def _lock_peer(tx: Writing, operator: str) -> Peer:
    peer = await tx.peers.lock(operator)
    if peer is None:
        raise NotFound("there is no peer {operator}", operator=printable(operator, 80))
    return peer


# Look-alikes


async def look_alikes(node: Node, operator: str) -> tuple[LookAlike, ...]:
    """Texts of a peer that look like those of this node or of another peer: look twice."""
    async with node.store.read() as tx:
        peers = await tx.peers.all()
    return (await all_look_alikes(node, peers)).get(operator, ())


async def all_look_alikes(node: Node, peers: Sequence[Peer]) -> dict[str, tuple[LookAlike, ...]]:
    """The look-alikes of each of these peers, and of this node."""
    parties = [Party(node.operator, node.name), *(Party(peer.operator, peer.name) for peer in peers)]
    return await asyncio.to_thread(lookalikes.look_alikes, parties)


# Keys


def code_of(node: Node, peer: Peer) -> str:
    """The short code that the administrators of both nodes compare before they activate.

    It is drawn from the keys with which the two joined: a key that signs later does not change it.
    """
    return code(node.keyring.kid_at(peer.added_at), peer.thumbprint)


async def code_shown(node: Node, operator: str) -> str | None:
    """The code of a pending peer; None when there is nothing to compare any more."""
    peer = await _find(node, operator)
    return code_of(node, peer) if peer.state == "pending" else None


def code_digits(code: str) -> str:
    return "".join(char for char in code if char.isdigit())


def peer_detail(peer: Peer) -> dict[str, Any]:
    return {"url": peer.url, "key": peer.thumbprint}
