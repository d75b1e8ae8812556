"""What a node does from time to time of its own accord, as long as it serves.

Refused access is noted, the audit trail gets its checkpoints, what has expired is forgotten, and the private
parts of keys that nothing rests on any more are dropped. What has arrived is brought in for exposure.
Every process does it all: each chore is one that several may do at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial

import msgspec

import federation
from federation.domain.audit import (
    CHECKPOINT,
    GENESIS,
    ITSELF,
    AuditCheckpointClaims,
    ChainWalk,
    Event,
    Reader,
    SignedAuditCheckpoint,
    Verdict,
    read_claims,
)
from federation.domain.errors import CommandFailed, Refused
from federation.domain.feed import FeedName
from federation.domain.peer import OwnKey
from federation.node import alerts, checkpoints, copies, exposure, peers, retention
from federation.node.keys import Keyring, verify_jwt
from federation.node.node import Node

log = logging.getLogger("federation.maintenance")

FLUSH_SECONDS = 5.0
"""Seconds between looks at what access was refused."""
FORGET_SECONDS = 60.0
"""Seconds between looks for assertions that have expired."""
KEEP_UP_SECONDS = 2.0
"""Seconds between looks at what has arrived and is not in the groups of exposure."""
ALERT_SECONDS = 0.25
"""Seconds between looks for alerts to be made, and to be delivered."""
FORGET_ALERTS_SECONDS = 3_600.0
"""Seconds between looks for alerts that were delivered long ago."""
CHECKPOINT_SECONDS = 600.0
"""Seconds between two checkpoints, when something was noted in between."""
PROVE_QUIET = 0.02
"""Seconds without a new record after which what has changed is signed."""
PROVE_LONG = 0.02
"""Seconds that a signature takes, from which on it is long."""
PROVE_SECONDS = 0.25
"""Seconds after a record at which it is signed although more is coming."""
PROVE_AFTER_FAILURE = 1.0
"""Seconds after which what could not be signed is tried again."""
PROVE_AGAIN_SECONDS = 60.0
"""Seconds between looks for signatures that grow old."""
ALARM_SECONDS = 60.0
"""Seconds between looks at the copies' proofs."""
EXPIRE_SECONDS = 3_600.0
"""Seconds between looks for tombstones that have been kept for long enough."""
INDEX_SECONDS = 20.0
"""Seconds between two times that what makes records findable is put in its place."""
VACUUM_SECONDS = 0.5
"""Seconds between looks whether many records have come."""
LAST_SECONDS = 10.0
"""Seconds that the last entries of a process may take: a database that is gone must not hold it up."""


@asynccontextmanager
async def running(node: Node) -> AsyncIterator[None]:
    """Keep house while the block lasts; its beginning and its end are noted, and signed at the end."""
    await _note_process(node, "node.started")
    task = asyncio.create_task(_keep_house(node), name="housekeeping")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        try:
            async with asyncio.timeout(LAST_SECONDS):
                await flush(node, last=True)
                await _note_process(node, "node.stopped")
                await checkpoint(node)
        except (Refused, CommandFailed, TimeoutError) as error:
            log.warning("the end could not be noted", extra={"reason": str(error)})


async def flush(node: Node, *, last: bool = False) -> None:
    """Note the refused access that is due to be noted; with ``last``, all of it."""
    due = node.refusals.take(time.monotonic(), last=last)
    if not due:
        return
    try:
        async with node.store.write() as tx:
            for sort, count in due.items():
                await tx.audit.note(
                    "access.refused",
                    actor=sort.who,
                    subject=sort.act,
                    detail={"reason": sort.reason, "count": count},
                )
    except BaseException:  # also when we are told to stop meanwhile
        node.refusals.put_back(due)
        raise


async def checkpoint(node: Node) -> SignedAuditCheckpoint | None:
    """Sign the end of the audit trail, if something was added since; returns the last checkpoint there is.

    Only what follows from the checkpoint before is signed: otherwise a change would be made good by the
    next one. Raises Broken when it does not follow.
    """
    async with node.store.read() as tx:
        covered = await tx.audit.last_checkpoint()
        read = reader(await tx.clients.keys())
        begin = (0, GENESIS)
        if covered is not None:
            claims = read_claims(covered.jws, read)
            if claims is None or claims.n != covered.n:
                raise CommandFailed(_ALTERED)
            begin = (covered.n, bytes.fromhex(claims.hash))
            held = await tx.audit.page(covered.n - 1, 1)
            if not held or (held[0].n, held[0].hash) != begin:
                raise CommandFailed(_ALTERED)
        walk = ChainWalk(node.operator, (), read, begin=begin)
        while rows := await tx.audit.page(walk.n):
            if not all(walk.take(row) for row in rows):
                raise CommandFailed(_ALTERED)
    if (walk.n, walk.hash) == begin:
        return covered
    made = AuditCheckpointClaims(iss=node.operator, n=walk.n, hash=walk.hash.hex(), iat=int(time.time()))
    signed = SignedAuditCheckpoint(walk.n, node.keyring.sign(msgspec.structs.asdict(made), typ=CHECKPOINT))
    async with node.store.write() as writing:
        await writing.audit.keep_checkpoint(signed)
    return signed


async def verify(node: Node, *, elsewhere: Iterable[str] = ()) -> Verdict:
    """Hold the whole audit trail against its hashes, its checkpoints and those kept elsewhere."""
    async with node.store.read() as tx:
        return await tx.audit.verify(
            node.operator, reader(await tx.clients.keys()), elsewhere=tuple(elsewhere)
        )


def reader(keys: Sequence[OwnKey]) -> Reader:
    """Verifies checkpoints with every key the node ever had."""
    jwks = Keyring(keys).history()
    return partial(verify_jwt, jwks=jwks, types=frozenset({CHECKPOINT}))


_ALTERED = "the audit trail does not follow from its last checkpoint; federation audit verify says where"


async def _note_process(node: Node, event: Event) -> None:
    async with node.store.write() as tx:
        await tx.audit.note(
            event,
            actor=ITSELF,
            subject=node.operator,
            detail={"url": node.url, "version": federation.__version__, "key": node.keyring.kid},
        )


async def _forget(node: Node) -> None:
    async with node.store.write() as tx:
        await tx.clients.forget_assertions()
    await peers.retire_keys(node)


async def prove_for_ever(node: Node) -> None:
    """Sign what the node's own feeds hold, soon after it has changed, and before a signature grows old.

    While one record comes after the other, several are signed together: a signature costs this node and each
    peer more than a record does, and whoever publishes meets it.

    After a signature that took long (all of a large feed has changed) the next one waits ten times as long:
    what is written meanwhile is proved a little later, and does not pay for it. (After a short one it does
    not: it would come at any time between two records, and not when they have reached the peers.)
    """
    while True:
        published, began = node.notifier.state.published, time.monotonic()
        if not await _proved(node):
            await asyncio.sleep(PROVE_AFTER_FAILURE)
            continue  # and not wait for the next record: the last one is not signed yet
        if (took := time.monotonic() - began) > PROVE_LONG:
            await asyncio.sleep(9 * took)
        if await node.notifier.wait_for(published, PROVE_AGAIN_SECONDS, of="published", patient=True):
            await _quiet(node)


async def _proved(node: Node) -> bool:
    """Whether everything is signed now."""
    try:
        await checkpoints.sign_checkpoints(node)
    except Refused as error:
        log.warning("signing has to wait", extra={"reason": str(error)})
    except Exception:
        log.exception("signing failed")
    else:
        return True
    return False


async def _quiet(node: Node) -> None:
    """Until nothing has been published for a moment."""
    ends = time.monotonic() + PROVE_SECONDS
    while (now := time.monotonic()) < ends:
        left = node.notifier.published_at + PROVE_QUIET - now
        if left <= 0:
            return
        await asyncio.sleep(min(left, ends - now))


class Alarms:
    """Tells the log once of each copy that an administrator should look at."""

    def __init__(self) -> None:
        self._told: dict[FeedName, str] = {}

    async def look(self, node: Node) -> None:
        """Tell what is new."""
        now: dict[FeedName, str] = {}
        for name, copy in (await copies.copies(node)).items():
            if copy.alarm is None:
                continue
            now[name] = copy.state
            if self._told.get(name) != copy.state:
                log.warning(
                    "a copy raises an alarm",
                    extra={"feed": str(name), "state": copy.state, "reason": copy.alarm},
                )
        self._told = now


async def _keep_house(node: Node) -> None:
    await asyncio.gather(
        prove_for_ever(node),
        _every(ALARM_SECONDS, Alarms().look, node),
        _every(EXPIRE_SECONDS, retention.drop_expired_tombstones, node),
        _every(FLUSH_SECONDS, flush, node),
        _every(FORGET_SECONDS, _forget, node),
        _every(VACUUM_SECONDS, vacuum, node),
        _every(INDEX_SECONDS, flush_pending_list, node),
        _every(KEEP_UP_SECONDS, exposure.IndexRefresher().keep_up, node),
        _every(ALERT_SECONDS, alerts.AlertScan(node).notice, node),
        deliver_for_ever(node),
        _every(FORGET_ALERTS_SECONDS, alerts.forget, node),
        _every(CHECKPOINT_SECONDS, checkpoint, node),
    )


async def vacuum(node: Node) -> None:
    """Tell the planner what there is, when many records have come and nobody brings more."""
    if node.store.owes_vacuum():
        await node.store.vacuum()


async def flush_pending_list(node: Node) -> None:
    """Put what makes records findable in its place, before there is much of it."""
    await node.store.put_in_place()


async def deliver_for_ever(node: Node) -> None:
    """Deliver alerts; while some receivers keep us waiting, others are told all the same."""
    running: set[asyncio.Task[None]] = set()
    async with asyncio.TaskGroup() as group:
        while True:
            await asyncio.sleep(ALERT_SECONDS)
            if len(running) < alerts.DELIVERING:
                one = group.create_task(_once(alerts.deliver, node), name="alerts")
                running.add(one)
                one.add_done_callback(running.discard)


async def _every(seconds: float, chore: Callable[[Node], Awaitable[object]], node: Node) -> None:
    while True:
        await asyncio.sleep(seconds)
        await _once(chore, node)


async def _once(chore: Callable[[Node], Awaitable[object]], node: Node) -> None:
    try:
        await chore(node)
    except CommandFailed as error:
        log.error("the audit trail has been altered", extra={"reason": str(error)})
    except Refused as error:
        log.warning("housekeeping has to wait", extra={"chore": chore.__name__, "reason": str(error)})
    except Exception:
        log.exception("housekeeping failed", extra={"chore": chore.__name__})
