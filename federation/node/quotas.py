"""Quotas: what a peer may leave on this node, the pause of one that would go beyond, and how it goes on.

``domain/quota`` has the bounds, ``domain/copy`` the state of a copy whose peer is paused. ``node/copies``
compares where it stores a batch.
"""

from __future__ import annotations

import logging

import msgspec

from federation.domain.audit import OPERATOR
from federation.domain.errors import NotFound
from federation.domain.feed import printable
from federation.domain.quota import Allowance, BeyondQuota, Quota, QuotaBound, QuotaChange, QuotaUse
from federation.node.node import Node
from federation.store.database import Writing

log = logging.getLogger("federation.sync")


class PeerQuota(msgspec.Struct, frozen=True):
    """The quota of a peer, and what is stored of it."""

    operator: str
    bounds: Quota
    own: dict[str, int]
    """The bounds of its own, by name; the others are those of this node."""
    use: QuotaUse
    mebibytes: int
    """Of its documents, rounded up."""
    paused: str | None
    """The bound that it would go beyond, and how far; null within its quota."""


async def read_allowance(node: Node, origin: str) -> Allowance:
    """What an origin may still store; read again where that was some seconds ago."""
    allowance = node.allowances[origin]
    now = node.clock()
    if allowance.is_old(now):
        async with node.store.read() as tx:
            quota, use = await tx.quotas.read_use(origin, node.quota)
            paused = origin in await tx.quotas.paused()
        allowance.read(quota, use, now, paused=paused)
    return allowance


async def pause(node: Node, origin: str, error: BeyondQuota) -> None:
    """Apply nothing more of an origin but its withdrawals, until an administrator confirms."""
    async with node.store.write() as tx:
        before = await tx.quotas.paused()
        await tx.quotas.pause(origin, error.bound, str(error))
    if origin not in before:
        log.error("a peer is beyond its quota", extra={"peer": origin, "reason": str(error)})
    node.allowances[origin].expire()


async def paused_operators(node: Node) -> frozenset[str]:
    """The operators that are paused since they would go beyond their quota."""
    async with node.store.read() as tx:
        paused = await tx.quotas.paused()
    for origin, allowance in node.allowances.items():
        if allowance.paused and origin not in paused:
            allowance.expire()
    return paused


async def read_quota(node: Node, operator: str) -> PeerQuota:
    """The quota of a peer, and what is stored of it. Raises NotFound."""
    async with node.store.read() as tx:
        if await tx.peers.find(operator) is None:
            raise NotFound("there is no peer {operator}", operator=printable(operator, 80))
        bounds, use = await tx.quotas.read_use(operator, node.quota)
        own = (await tx.quotas.own_bounds()).get(operator, {})
        copies = await tx.copies.of(operator)
    paused = next((copy.beyond_reason for _, copy, _ in copies.values() if copy.beyond_quota), None)
    return PeerQuota(operator, bounds, own, use, use.mebibytes, paused)


async def change_quota(
    node: Node, operator: str, change: QuotaChange, *, reset: bool = False, by: str = OPERATOR
) -> PeerQuota:
    """Give a peer bounds of its own, and let it go on if it was paused. Raises NotFound.

    With ``reset`` its own bounds are given up first. Where it is still beyond one, its next batch pauses it
    again.
    """
    async with node.store.write() as tx:
        if await tx.peers.lock(operator) is None:
            raise NotFound("there is no peer {operator}", operator=printable(operator, 80))
        before = {} if reset else (await tx.quotas.own_bounds()).get(operator, {})
        own = before | change.named()
        await tx.quotas.set_own_bounds(operator, own)
        await tx.quotas.resume(operator)
        await tx.audit.note("quota.changed", actor=by, subject=operator, detail=own)
    node.allowances[operator].expire()
    node.notifier.notify()
    return await read_quota(node, operator)


async def confirm(node: Node, tx: Writing, operator: str, *, by: str) -> tuple[str, ...]:
    """Let a paused peer store once more what its bound allows; the audiences of its feeds that go on.

    The bound becomes one of the peer's own. That of entries stays: an hour of them begins anew.
    """
    copies = await tx.copies.of(operator)
    beyond = {name.audience: copy for name, (_, copy, _) in copies.items() if copy.beyond_quota is not None}
    if not beyond:
        return ()
    copy = next(iter(beyond.values()))
    own = dict((await tx.quotas.own_bounds()).get(operator, {}))
    bound = copy.beyond_quota or ""
    if bound != QuotaBound.ENTRIES:
        quota, use = await tx.quotas.read_use(operator, node.quota)
        own[bound] = max(getattr(quota, bound), getattr(use, bound)) + getattr(node.quota, bound)
        await tx.quotas.set_own_bounds(operator, own)
    await tx.quotas.resume(operator)
    node.allowances[operator].expire()
    await tx.audit.note(
        "quota.confirmed", actor=by, subject=operator, detail={"what": copy.beyond_reason or "", **own}
    )
    return tuple(beyond)
