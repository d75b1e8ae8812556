"""Checkpoints: sign the state of own feeds, and read the signatures of others (decision 0015).

1. A feed is due when its number, its buckets or its exclusions have changed since its last signature, when
   that is older than ``RENEWED`` seconds, or when it is of a key that is about to retire.
2. One transaction locks the digest, computes the buckets that have changed, and signs the root over all.
3. While another process does it, the feed is left to that one.
"""

from __future__ import annotations

import base64
import logging
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from federation.domain.checkpoint import (
    CHECKPOINT,
    RENEWED,
    Checkpoint,
    checkpoint_of,
    read_checkpoint,
)
from federation.domain.errors import NotFound, Refused
from federation.domain.feed import FeedName, printable
from federation.domain.visibility import FEDERATION, Caller
from federation.node.keys import kid_of, verify_jwt
from federation.node.node import Node
from federation.store.checkpoints import UnsignedFeed

log = logging.getLogger("federation.checkpoints")


async def sign_checkpoints(node: Node) -> int:
    """Sign every own feed that is due. Returns how many were signed.

    An error of one feed is raised when the others are signed.
    """
    time = node.clock()
    async with node.store.read() as tx:
        excluded = await tx.exclusions.own()
        feeds = await tx.checkpoints.due(node.operator)
    due = [feed for feed in feeds if _is_due(node, feed, time, excluded)]
    signed, errors = 0, []
    for feed in due:
        try:
            signed += await _sign_checkpoint(node, feed)
        except Refused as error:
            errors.append(error)
    if signed:
        node.notifier.notify()
    if errors:
        raise errors[0]
    return signed


async def sign_exclusions(node: Node) -> None:
    """Sign the feed for peers, if its exclusions have changed since its last signature; report it to readers.

    A signature that another process makes at this moment is waited for: it may not have these exclusions.
    """
    async with node.store.read() as tx:
        excluded = await tx.exclusions.own()
        feeds = await tx.checkpoints.due(node.operator)
    for feed in feeds:
        if feed.audience == FEDERATION and _signed_exclusions(feed) != excluded:
            await _sign_checkpoint(node, feed, wait=True)
            node.notifier.notify()


async def _sign_checkpoint(node: Node, feed: UnsignedFeed, *, wait: bool = False) -> bool:
    async with node.store.write() as tx:
        if wait:
            await tx.checkpoints.lock(feed.feed)
        before = await tx.checkpoints.try_lock(feed.feed)
        epoch, state = await tx.checkpoints.compute(before) if before is not None else (None, None)
        if epoch is None or state is None:
            return False
        name = FeedName(node.operator, feed.audience)
        excludes = await tx.exclusions.own() if feed.audience == FEDERATION else ()
        checkpoint = checkpoint_of(name, epoch, state, int(node.clock().timestamp()), excludes=excludes)
        jws = node.keyring.sign(checkpoint.claims, typ=CHECKPOINT)
        await tx.checkpoints.sign(feed.feed, state, jws, moment(checkpoint.iat), moment(checkpoint.exp))
    return True


def _is_due(node: Node, feed: UnsignedFeed, time: datetime, excluded: tuple[str, ...]) -> bool:
    digest = feed.digest
    return (
        digest is None
        or digest.checkpoint is None
        or digest.signed_at is None
        or bool(digest.marked)
        or (digest.seq, digest.retained_from) != (feed.head, feed.retained_from)
        # (Also when the clock was set back: a signature of the future is rejected.)
        or not timedelta(0) <= time - digest.signed_at < timedelta(seconds=RENEWED)
        # A key that is about to retire may not be known any more when the signature is verified.
        or kid_of(digest.checkpoint) != node.keyring.kid
        or (feed.audience == FEDERATION and _signed_exclusions(feed) != excluded)
    )


class _Exclusions(msgspec.Struct, frozen=True):
    excludes: tuple[str, ...] = msgspec.field(default=(), name="except")


def _signed_exclusions(feed: UnsignedFeed) -> tuple[str, ...] | None:
    """The exclusions of the stored checkpoint of an own feed; None where there is none to read."""
    if feed.digest is None or feed.digest.checkpoint is None:
        return None
    try:
        claims = base64.urlsafe_b64decode(feed.digest.checkpoint.split(".")[1] + "==")
        return msgspec.json.decode(claims, type=_Exclusions).excludes
    except (ValueError, IndexError):
        return None


def moment(seconds: int) -> datetime:
    """The time of a JWT claim, in seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def read_signed_checkpoint(jws: str, keys: dict[str, Any], name: FeedName, now: datetime) -> Checkpoint:
    """The checkpoint of a feed, verified with its origin's keys. Raises Unauthenticated or Invalid."""
    return read_checkpoint(
        _verify_claims(jws, msgspec.json.encode(keys, order="sorted")), name, now.timestamp()
    )


@lru_cache(256)
def _verify_claims(jws: str, keys: bytes) -> dict[str, Any]:
    """The claims of a checkpoint, when its signature is right. (The same one comes with head after head.)"""
    return verify_jwt(jws, msgspec.json.decode(keys), frozenset({CHECKPOINT}))


async def peer_viewer(node: Node, operator: str) -> Caller:
    """A peer as a caller, with its groups and exclusions of now. Raises NotFound."""
    async with node.store.read() as tx:
        peer = await tx.peers.find(operator)
        if peer is None:
            raise NotFound("there is no peer {operator}", operator=printable(operator, 80))
        groups, excluded_by = await tx.exclusions.viewer(operator, node=node.operator)
    return Caller(
        node=node.operator, operator=operator, client=operator, groups=groups, excluded_by=excluded_by
    )
