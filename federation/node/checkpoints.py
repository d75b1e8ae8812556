"""What this node proves of its feeds, and what its peers answer to that.

The node signs what each of its own feeds holds (a checkpoint), soon after it has changed and again before
the signature grows old. It notices that its database was restored or promoted and then mints a new epoch.
It drops tombstones that were kept for long enough. Peers confirm what they dropped (receipts) and tell what
they could not take (feedback).
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from federation.domain.audit import OPERATOR
from federation.domain.checkpoint import (
    CHECKPOINT,
    RENEWED,
    Checkpoint,
    checkpoint_of,
    read_checkpoint,
)
from federation.domain.errors import NotFound, Refused
from federation.domain.feed import FeedName, printable
from federation.domain.visibility import Caller
from federation.node.keys import kid_of, verify_jwt
from federation.node.node import Node
from federation.store.checkpoints import UnsignedFeed

log = logging.getLogger("federation.checkpoints")


# Signing


async def sign_checkpoints(node: Node) -> int:
    """Sign what the node's own feeds hold now, where it is not signed yet. Returns how many were signed.

    Each is one transaction over the buckets that have changed; while another process does it, it is left.
    Where one cannot be signed the others are all the same, and then it is told why.
    """
    now = node.clock()
    async with node.store.read() as tx:
        due = [one for one in await tx.checkpoints.due(node.operator) if _is_due(node, one, now)]
    signed, failed = 0, []
    for one in due:
        try:
            signed += await _sign_checkpoint(node, one)
        except Refused as error:
            failed.append(error)
    if signed:
        node.notifier.notify()
    if failed:
        raise failed[0]
    return signed


async def _sign_checkpoint(node: Node, one: UnsignedFeed) -> bool:
    async with node.store.write() as tx:
        was = await tx.checkpoints.try_lock(one.feed)
        epoch, state = await tx.checkpoints.compute(was) if was is not None else (None, None)
        if epoch is None or state is None:
            return False
        name = FeedName(node.operator, one.audience)
        made = checkpoint_of(name, epoch, state, int(node.clock().timestamp()))
        jws = node.keyring.sign(msgspec.structs.asdict(made), typ=CHECKPOINT)
        await tx.checkpoints.sign(one.feed, state, jws, moment(made.iat), moment(made.exp))
    return True


def _is_due(node: Node, one: UnsignedFeed, now: datetime) -> bool:
    held = one.digest
    return (
        held is None
        or held.checkpoint is None
        or held.signed_at is None
        or bool(held.marked)
        or (held.seq, held.retained_from) != (one.head, one.retained_from)
        # (Also when the clock was set back: what is signed of the future is refused.)
        or not timedelta(0) <= now - held.signed_at < timedelta(seconds=RENEWED)
        # Who verifies it may not know a key any more that is about to retire.
        or kid_of(held.checkpoint) != node.keyring.kid
    )


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def read_signed_checkpoint(jws: str, keys: dict[str, Any], name: FeedName, now: datetime) -> Checkpoint:
    """The checkpoint of a feed, verified with its origin's keys. Raises Unauthenticated or Invalid."""
    return read_checkpoint(
        _verified_claims(jws, msgspec.json.encode(keys, order="sorted")), name, now.timestamp()
    )


@lru_cache(256)
def _verified_claims(jws: str, keys: bytes) -> dict[str, Any]:
    """What a checkpoint says, when its signature holds. (The same one comes with head after head.)"""
    return verify_jwt(jws, msgspec.json.decode(keys), frozenset({CHECKPOINT}))


# Epochs


# Retention


# What peers answer


# What an administrator decides


async def confirm(node: Node, operator: str, *, by: str = OPERATOR) -> tuple[str, ...]:
    """Let the removals of a peer's records happen that wait for an administrator. Returns the audiences.

    Raises NotFound when none wait.
    """
    async with node.store.write() as tx:
        places = [place for place in await tx.feeds.all() if place.origin == operator]
        confirmed = []
        for place in places:
            copy = await tx.copies.find(place.id)
            if copy.paused is not None and await tx.copies.confirm(place.id):
                await tx.audit.note(
                    "removal.confirmed", actor=by, subject=str(place.name), detail={"what": copy.paused}
                )
                confirmed.append(place.audience)
    if not confirmed:
        raise NotFound(f"nothing of {printable(operator, 80)} waits to be confirmed")
    node.notifier.notify()
    return tuple(confirmed)


async def peer_viewer(node: Node, operator: str) -> Caller:
    """The caller that a peer is here, with the groups it is in now. Raises NotFound."""
    async with node.store.read() as tx:
        peer = await tx.peers.find(operator)
        if peer is None:
            raise NotFound(f"there is no peer {printable(operator, 80)}")
        groups = await tx.records.groups_of(operator, node=node.operator)
    return Caller(node=node.operator, operator=operator, client=operator, groups=groups)
