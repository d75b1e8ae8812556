"""Key rotation: this node's own keys, and changes of a peer's keys."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import msgspec

from federation.domain.audit import OPERATOR
from federation.domain.errors import Conflict, Unauthenticated, Unreachable
from federation.domain.peer import OwnKey, Peer
from federation.node.keys import mint_private_key, trusted_keys
from federation.node.node import Node

MIN_KEY_READ_INTERVAL = timedelta(minutes=1)
"""A peer's key set is asked for once in so long, at most, however many unknown keys are shown to us."""

PUBLISH_BEFORE_USE = timedelta(minutes=10)
"""A key is published so long before it signs: twice as long as peers take to look."""

KEEP_AFTER_USE = timedelta(minutes=10)
"""A key is published so long after the last signature with it: tokens hold for five minutes."""


async def rotate(node: Node, *, after: timedelta = PUBLISH_BEFORE_USE, by: str = OPERATOR) -> OwnKey:
    """A new key for this node: published now, signing after a while. Returns it.

    One at a time: Conflict while the last new key does not sign yet.
    """
    async with node.store.write() as tx:
        await tx.keys.lock()
        node.keyring.reload(await tx.keys.all())
        current = node.clock()
        if any(key.use_from > current for key in await tx.keys.all()):
            raise Conflict("the last new key does not sign yet; wait until it does")
        jwk = mint_private_key()
        key = OwnKey(jwk=jwk, use_from=current + after, endorsement=node.keyring.endorse(jwk, node.operator))
        await tx.audit.note("key.rotated", actor=by, subject=jwk["kid"], detail={"from": node.keyring.kid})
        await tx.keys.add(key)
    await node.read_keys()
    return key


async def replace_key(node: Node, *, by: str = OPERATOR) -> OwnKey:
    """Another key at once, that nothing endorses: for a key that has leaked.

    All tokens of this node end with it, and no peer follows: each leaves, forgets, and joins anew.
    """
    async with node.store.write() as tx:
        await tx.keys.lock()
        jwk = mint_private_key()
        key = OwnKey(jwk=jwk, use_from=node.clock())
        await tx.audit.note(
            "key.rotated", actor=by, subject=jwk["kid"], detail={"replaces": node.keyring.kid}
        )
        for former in await tx.keys.all():
            await tx.keys.retire(former.jwk["kid"])
        await tx.keys.add(key)
    await node.read_keys()
    return key


async def retire_keys(node: Node) -> int:
    """Drop the private part of keys that nothing rests on any more. Returns of how many."""
    retired = 0
    async with node.store.write() as tx:
        keys = await tx.keys.all()
        limit = node.clock() - KEEP_AFTER_USE
        for newer, older in pairwise(keys):
            if newer.use_from <= limit and not older.retired:
                retired += await tx.keys.retire(older.jwk["kid"])
    return retired


async def reread_keys(node: Node, operator: str, *, kid: str | None = None) -> Peer | None:
    """Ask a peer for its key set again and follow its succession; at most once in ``KEYS_EVERY``.

    ``kid``: the key that was met and is not known. Returns the peer with what is known of it now.
    """
    async with node.store.write() as tx:
        peer = await tx.peers.find(operator)
        if peer is None or peer.state != "active" or (kid is not None and kid in peer.kids):
            return peer
        if not await tx.peers.may_read_keys(operator, node.clock(), MIN_KEY_READ_INTERVAL):
            return peer
    try:
        answer = await node.others.introduce(peer.url, private=peer.private)
        keys = trusted_keys(peer.kids, answer.jwks, operator)
    except (Unreachable, Unauthenticated):
        return peer
    if answer.operator != operator or keys == peer.keys:
        return peer
    async with node.store.write() as tx:
        locked = await tx.peers.lock(operator)
        if locked is None or locked.state != "active" or locked.keys != peer.keys:
            return locked
        await tx.audit.note(
            "peer.keys-changed", actor=operator, subject=operator, detail={"key": keys["keys"][0]["kid"]}
        )
        await tx.peers.store_keys(operator, keys, keys["keys"][0]["kid"])
    return msgspec.structs.replace(peer, keys=keys, thumbprint=keys["keys"][0]["kid"])
