"""Background tasks of a node, as long as it serves.

Refused access is noted, the audit trail gets its checkpoints, what has expired is forgotten, and the private
parts of keys that nothing rests on any more are dropped. What has arrived is brought in for exposure.
Every process does it all: each chore is one that several may do at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from federation.domain.errors import CommandFailed, Refused
from federation.domain.feed import FeedName
from federation.node import (
    alert_delivery,
    alert_scan,
    checkpoints,
    copy_views,
    exposure_index,
    key_rotation,
    memberships,
    not_understood,
    repeats,
    retention,
    search_index,
    sessions,
    source_deliveries,
    source_runs,
    uploaded_files,
)
from federation.node.audit import note_process, note_refusals, sign_audit_checkpoint
from federation.node.node import Node

log = logging.getLogger("federation.maintenance")

FLUSH_SECONDS = 5.0
"""Seconds between looks at what access was refused."""
FORGET_SECONDS = 60.0
"""Seconds between looks for assertions that have expired."""
ALERT_SECONDS = 0.25
"""Seconds between looks for alerts to be made, and to be delivered."""
FORGET_ALERTS_SECONDS = 3_600.0
"""Seconds between looks for alerts that were delivered long ago."""
CHECKPOINT_SECONDS = 600.0
"""Seconds between two checkpoints, when something was noted in between."""
SIGN_AFTER_QUIET_SECONDS = 0.02
"""Seconds without a new record after which what has changed is signed."""
LONG_SIGNATURE_SECONDS = 0.02
"""Seconds that a signature takes, from which on it is long."""
WRITERS_GONE_SECONDS = 1.0
"""Seconds without a new record after which signing costs no writer anything."""
SIGN_AT_LATEST_SECONDS = 0.25
"""Seconds after a record at which it is signed although more is coming."""
SIGN_RETRY_SECONDS = 1.0
"""Seconds after which what could not be signed is tried again."""
RENEW_CHECK_SECONDS = 60.0
"""Seconds between looks for signatures that grow old."""
ALARM_SECONDS = 60.0
"""Seconds between looks at the copies' proofs."""
EXPIRE_SECONDS = 3_600.0
"""Seconds between looks for tombstones that have been kept for long enough."""
INDEX_SECONDS = 20.0
"""Seconds between two times that what makes records findable is put in its place."""
OFFERS_SECONDS = 2.0
"""Seconds between looks whether offers have changed."""
VACUUM_SECONDS = 0.5
"""Seconds between looks whether many records have come."""
SOURCES_SECONDS = 2.0
"""Seconds between looks for sources whose next run is due."""
SILENCE_SECONDS = 20.0
"""Seconds between looks for sources of events that are silent."""
SHUTDOWN_SECONDS = 10.0
"""Seconds that the last entries of a process may take: a database that is gone must not hold it up."""


@asynccontextmanager
async def running(node: Node) -> AsyncIterator[None]:
    """Keep house while the block lasts; its beginning and its end are noted, and signed at the end."""
    await note_process(node, "node.started")
    task = asyncio.create_task(_run_tasks(node), name="housekeeping")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        try:
            async with asyncio.timeout(SHUTDOWN_SECONDS):
                await note_refusals(node, last=True)
                await note_process(node, "node.stopped")
                await sign_audit_checkpoint(node)
        except (Refused, CommandFailed, TimeoutError) as error:
            log.warning("the end could not be noted", extra={"reason": str(error)})


async def _drop_old_tokens(node: Node) -> None:
    async with node.store.write() as tx:
        await tx.tokens.expire()
    await repeats.drop_expired_answers(node)
    await sessions.drop_expired(node)
    await uploaded_files.drop_expired(node)
    await key_rotation.retire_keys(node)


async def sign_checkpoints_forever(node: Node) -> None:
    """Sign what the node's own feeds hold, soon after it has changed, and before a signature grows old.

    While one record comes after the other, several are signed together: a signature costs this node and each
    peer more than a record does, and whoever publishes meets it.

    After a signature that took long (all of a large feed has changed) the next one waits ten times as long:
    what is written meanwhile is proved a little later, and does not pay for it. (After a short one it does
    not: it would come at any time between two records, and not when they have reached the peers.) It does
    not wait when nothing is written any more: peers take a head for unsigned that stays so for five seconds.
    """
    while True:
        published, began = node.notifier.state.published, time.monotonic()
        if not await _sign_all(node):
            await asyncio.sleep(SIGN_RETRY_SECONDS)
            continue  # and not wait for the next record: the last one is not signed yet
        if (took := time.monotonic() - began) > LONG_SIGNATURE_SECONDS:
            await _rest(node, 9 * took)
        if await node.notifier.wait_for(published, RENEW_CHECK_SECONDS, of="published", patient=True):
            await _quiet(node)


async def _sign_all(node: Node) -> bool:
    """Sign everything that is due. Returns True if all of it is signed."""
    try:
        await checkpoints.sign_checkpoints(node)
    except Refused as error:
        log.warning("signing has to wait", extra={"reason": str(error)})
    except Exception:
        log.exception("signing failed")
    else:
        return True
    return False


async def _rest(node: Node, seconds: float) -> None:
    """Until the time is over, or nothing has been published for ``WRITERS_GONE_SECONDS``."""
    ends = time.monotonic() + seconds
    while (remaining := ends - time.monotonic()) > 0:
        if time.monotonic() - node.notifier.published_at > WRITERS_GONE_SECONDS:
            return
        await asyncio.sleep(min(remaining, WRITERS_GONE_SECONDS))


async def _quiet(node: Node) -> None:
    """Until nothing has been published for a moment."""
    ends = time.monotonic() + SIGN_AT_LATEST_SECONDS
    while (current := time.monotonic()) < ends:
        remaining = node.notifier.published_at + SIGN_AFTER_QUIET_SECONDS - current
        if remaining <= 0:
            return
        await asyncio.sleep(min(remaining, ends - current))


class CopyAlarms:
    """Tells the log once of each copy that an administrator should look at."""

    def __init__(self) -> None:
        self._told: dict[FeedName, str] = {}

    async def look(self, node: Node) -> None:
        """Tell what is new."""
        current: dict[FeedName, str] = {}
        for name, copy in (await copy_views.copies(node)).items():
            if copy.alarm is None:
                continue
            current[name] = copy.state
            if self._told.get(name) != copy.state:
                log.warning(
                    "a copy raises an alarm",
                    extra={"feed": str(name), "state": copy.state, "reason": copy.alarm},
                )
        self._told = current


async def log_rejection_counts(node: Node) -> None:
    """Log how many entries were rejected without a line of their own, of each hour that is over."""
    for peer, reason, number in node.rejection_lines.take_counts(node.clock()):
        log.warning("more entries rejected", extra={"peer": peer, "reason": reason, "entries": number})


async def _run_tasks(node: Node) -> None:
    await asyncio.gather(
        sign_checkpoints_forever(node),
        _repeat(ALARM_SECONDS, CopyAlarms().look, node),
        _repeat(ALARM_SECONDS, log_rejection_counts, node),
        _repeat(EXPIRE_SECONDS, retention.drop_expired_tombstones, node),
        _repeat(FLUSH_SECONDS, note_refusals, node),
        _repeat(FORGET_SECONDS, _drop_old_tokens, node),
        _repeat(VACUUM_SECONDS, vacuum, node),
        _repeat(INDEX_SECONDS, flush_pending_list, node),
        exposure_index.run(node),
        _run_once(read_offers, node),
        _repeat(OFFERS_SECONDS, read_offers, node),
        search_index.run(node),
        not_understood.run(node),
        _repeat(ALERT_SECONDS, alert_scan.AlertScan(node).run, node),
        deliver_alerts_forever(node),
        memberships.publish_memberships_forever(node),
        _repeat(FORGET_ALERTS_SECONDS, alert_scan.purge, node),
        _repeat(CHECKPOINT_SECONDS, sign_audit_checkpoint, node),
        _repeat(SOURCES_SECONDS, source_runs.run_due, node),
        _repeat(SILENCE_SECONDS, source_deliveries.check_silence, node),
    )


async def read_offers(node: Node) -> None:
    """Keep the catalogue of offers current, from the start on: no question reads all of them."""
    await node.offer_index.refresh(node.store, node.notifier.state.arrival)


async def vacuum(node: Node) -> None:
    """Tell the planner what there is, when many records have come and nobody brings more."""
    if node.store.needs_vacuum():
        await node.store.vacuum()


async def flush_pending_list(node: Node) -> None:
    """Put what makes records findable in its place, before there is much of it."""
    await node.store.flush_pending_list()


async def deliver_alerts_forever(node: Node) -> None:
    """Deliver alerts; while some receivers keep us waiting, others are told all the same."""
    running: set[asyncio.Task[None]] = set()
    async with asyncio.TaskGroup() as group:
        while True:
            await asyncio.sleep(ALERT_SECONDS)
            if len(running) < alert_delivery.MAX_DELIVERY_TASKS:
                task = group.create_task(_run_once(alert_delivery.deliver, node), name="alerts")
                running.add(task)
                task.add_done_callback(running.discard)


async def _repeat(seconds: float, chore: Callable[[Node], Awaitable[object]], node: Node) -> None:
    while True:
        await asyncio.sleep(seconds)
        await _run_once(chore, node)


async def _run_once(chore: Callable[[Node], Awaitable[object]], node: Node) -> None:
    try:
        await chore(node)
    except CommandFailed as error:
        log.error("the audit trail has been altered", extra={"reason": str(error)})
    except Refused as error:
        log.warning("housekeeping has to wait", extra={"chore": chore.__name__, "reason": str(error)})
    except Exception:
        log.exception("housekeeping failed", extra={"chore": chore.__name__})
