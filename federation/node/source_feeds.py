"""Polled sources of advisories: a run of their feed, and the report of it."""

from __future__ import annotations

from typing import NamedTuple

from federation.domain.errors import Unreachable
from federation.domain.formats.revision import Label
from federation.domain.sources.kinds import AdvisoryOptions
from federation.domain.sources.report import Tally, not_read
from federation.domain.sources.source import ImportSource
from federation.domain.visibility import Caller
from federation.node.advisory_feeds import AdvisoryFeed, follow
from federation.node.node import Node
from federation.node.source_advisories import report_line


class FollowedSource(NamedTuple):
    """The outcome of a run."""

    tally: Tally
    is_unchanged: bool
    """True where no index and no document has changed."""
    has_more: bool
    """True where the next run may come at once."""
    error: Unreachable | None
    """The reason that the run ended early."""


async def follow_source(
    node: Node, source: ImportSource, options: AdvisoryOptions, *, by: Caller, dry_run: bool
) -> FollowedSource:
    """Import what changed in the feed of a source, and note it for the next run. Raises Refused."""
    async with node.store.read() as tx:
        memory = await tx.sources.memory(source.name)
    feed = AdvisoryFeed(
        form=source.kind,
        url=source.url or "",
        private=source.private,
        label=Label(source.tlp, source.audience),
        solutions=options.solutions,
    )
    run = await follow(node, feed, memory, by=by, dry_run=dry_run)
    if not dry_run:
        async with node.store.write() as tx:
            await tx.sources.set_memory(source.name, run.memory)
    tally = Tally()
    for fault in run.faults:
        tally.add(not_read(fault.place, fault.reason, fault.member))
    for line in run.lines:
        tally.add(report_line(line))
    is_unchanged = not (run.documents or run.lines or run.faults)
    return FollowedSource(tally, is_unchanged, run.has_more, run.error)
