"""Keep the index of words and filters current: make stored values anew after an upgrade, collect words.

A node answers meanwhile: what is not made anew yet is found as the earlier program found it. Several
processes share the work, and a node that stops goes on where it was.
"""

from __future__ import annotations

import asyncio
import logging
from time import monotonic

from federation.domain.errors import Refused
from federation.node.node import Node

log = logging.getLogger("federation.search")

REST_RATIO = 1
"""Time of the rest after a step, as a multiple of the step's own: who asks meanwhile has a turn."""
RETRY_SECONDS = 1.0
"""Seconds after which a step is tried again that another process or a writer has held up."""
LOG_SECONDS = 10.0
"""Seconds between two lines of the log about the progress."""
LEARN_SECONDS = 20.0
"""Seconds between looks for new words."""


async def run(node: Node) -> None:
    """Make the values anew that an earlier program has written, then collect words for ever."""
    is_current = False
    while True:
        try:
            if not is_current:
                await refresh(node)
                is_current = True
            await learn(node)
        except Refused as error:
            log.warning("the search index has to wait", extra={"reason": str(error)})
        except Exception:
            log.exception("the search index could not be kept current")
        await asyncio.sleep(LEARN_SECONDS)


async def refresh(node: Node) -> int:
    """Make the values of all records anew that an earlier program has written. Returns their number."""
    changed, logged_at = 0, monotonic()
    while True:
        began = monotonic()
        async with node.store.write() as tx:
            progress = await tx.search_index.refresh()
        changed += progress.changed
        if not progress.remaining:
            if changed:
                log.info("the search index is made anew", extra={"records": changed})
            return changed
        if monotonic() - logged_at > LOG_SECONDS:
            logged_at = monotonic()
            log.info(
                "making the search index anew", extra={"records": changed, "remaining": progress.remaining}
            )
        rest = REST_RATIO * (monotonic() - began)
        await asyncio.sleep(RETRY_SECONDS if progress.is_blocked else rest)


async def learn(node: Node) -> None:
    """Collect the words of the records that have come."""
    while True:
        began = monotonic()
        async with node.store.write() as tx:
            has_more = await tx.search_index.learn()
        if not has_more:
            return
        await asyncio.sleep(REST_RATIO * (monotonic() - began))
