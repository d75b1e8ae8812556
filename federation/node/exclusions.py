"""Exclusions: operators that an origin withholds its records for the federation from, at every member.

1. An administrator suspends a peer, or excludes an operator that is no active peer: a row of ``exclusions``.
2. The checkpoint of the origin's feed ``federation`` names them (``except``), and is signed at once.
3. A member stores them with its copy of the feed, before anything else of that checkpoint
   (``store_exclusions``).
4. The origins that exclude a peer are looked up for each of its requests (``peer_caller``): ``may_see`` hides
   those copies from it, in feeds, lists, search, exposure and provenance.
"""

from __future__ import annotations

import logging

import msgspec

from federation.domain.audit import OPERATOR
from federation.domain.checkpoint import Checkpoint
from federation.domain.copy import CopyFacts
from federation.domain.errors import Conflict, NotFound, Refused
from federation.domain.feed import FeedName, printable
from federation.domain.visibility import FEDERATION, Caller
from federation.node import checkpoints
from federation.node.node import Node

log = logging.getLogger("federation.exclusions")


async def peer_caller(node: Node, caller: Caller) -> Caller:
    """A peer with the groups that it is in now, and the origins that exclude it now."""
    if caller.own or caller.operator is None:
        return caller
    async with node.store.read_by_key() as tx:
        groups, excluded_by = await tx.exclusions.viewer(caller.operator, node=node.operator)
    return msgspec.structs.replace(caller, groups=groups, excluded_by=excluded_by)


async def store_exclusions(
    node: Node, name: FeedName, checkpoint: Checkpoint, copy: CopyFacts | None = None, *, relayed: bool
) -> None:
    """Store the exclusions of a verified checkpoint; call it before storing anything that it covers.

    The origin itself is right, also where its clock was set back. What a relay shows is ignored where a newer
    checkpoint was seen, and only adds to one of the same second. ``copy``: its facts, if they were just read.
    """
    if name.audience != FEDERATION:
        return
    signed_at, excludes = checkpoints.moment(checkpoint.iat), set(checkpoint.excludes)
    if copy is not None and excludes == set(copy.excludes):
        return
    async with node.store.write() as tx:
        feed = await tx.feeds.open(name, None)
        stored = await tx.copies.find(feed.id)
        if relayed and stored.newest_signed_at is not None:
            if signed_at < stored.newest_signed_at:
                return
            if signed_at == stored.newest_signed_at:
                excludes |= set(stored.excludes)
        if excludes == set(stored.excludes):
            return
        await tx.copies.set_exclusions(feed.id, sorted(excludes), signed_at)
    log.info(
        "the exclusions of an origin have changed",
        extra={"feed": str(name), "excludes": " ".join(sorted(excludes))},
    )


async def exclude(node: Node, operator: str, *, by: str = OPERATOR) -> None:
    """Withhold this node's records for the federation from an operator that is no active peer.

    Raises NotFound for an operator that was never a peer here, Conflict for an active peer.
    """
    async with node.store.write() as tx:
        peer = await tx.peers.lock(operator)
        if peer is None and operator not in await tx.exclusions.own():
            raise NotFound("there is no peer {operator}", operator=printable(operator, 80))
        if peer is not None and peer.state == "active":
            raise Conflict(
                "{operator} is active; first: federation peer suspend {operator}", operator=operator
            )
        if await tx.exclusions.add(operator):
            await tx.audit.note("peer.excluded", actor=by, subject=operator)
    await sign_exclusions(node)


async def lift(node: Node, operator: str, *, by: str = OPERATOR) -> None:
    """Lift the exclusion of an operator; a suspended peer stays suspended here. Raises NotFound."""
    async with node.store.write() as tx:
        if not await tx.exclusions.remove(operator):
            raise NotFound("{operator} is not excluded", operator=printable(operator, 80))
        await tx.audit.note("peer.exclusion-lifted", actor=by, subject=operator)
    await sign_exclusions(node)


async def sign_exclusions(node: Node) -> None:
    """Sign changed exclusions now, and wake waiting peers. Where it fails, a serving process tries again."""
    node.notifier.notify()
    try:
        await checkpoints.sign_exclusions(node)
    except Refused as error:
        log.warning("the exclusions are signed later", extra={"reason": str(error)})


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """The peers that a signed exclusion goes to."""

    members: int
    """Active peers: each withholds the records from then on, once its node has read the signature."""
    silent: int
    """Those among them that do not answer now."""

    def message(self, operator: str) -> str:
        """The reach of the exclusion of an operator, for the administrator."""
        members = "1 member" if self.members == 1 else f"{self.members} members"
        silent = f" ({self.silent} did not answer when last asked)" if self.silent else ""
        return (
            f"The exclusion is signed, for {members}{silent}: each withholds your GREEN records from"
            f" {operator}, too, as soon as its node has read it; until then it shows what it stored before."
            f" A node of a version without exclusions goes on showing all. {operator} may show what it has."
        )


async def own(node: Node) -> tuple[str, ...]:
    """The operators that this node excludes."""
    async with node.store.read() as tx:
        return await tx.exclusions.own()


async def reach(node: Node) -> Reach:
    """The members that read the signed exclusions of this node."""
    async with node.store.read() as tx:
        active = [peer for peer in await tx.peers.all() if peer.state == "active"]
    silent = sum(peer.failures > 0 or peer.contacted_at is None for peer in active)
    return Reach(members=len(active), silent=silent)


async def green_origins(node: Node) -> tuple[str, ...]:
    """The operators whose GREEN records a peer of this node may read here: its own and those of copies."""
    async with node.store.read() as tx:
        feeds = await tx.feeds.all()
    copied = {feed.origin for feed in feeds if feed.audience == FEDERATION and feed.epoch is not None}
    return tuple(sorted({node.operator, *copied}))
