"""Scan the change log and the present state for events, and add their alerts.

1. Read the subscriptions and the last change, then the open incidents that affect the operator.
2. In one transaction for each ``MAX_CHANGES_PER_SCAN`` changes: lock the scan, add the alerts of these
   changes, and store the sequence they end at. A crash loses no alert and adds none twice.
3. In the last of them, begin and end the episodes of incidents that affect the operator, and add the alerts
   of the present state: affecting and unanswered incidents, silent peers, rejected entries, paused peers,
   hidden contributions, failing sources.
   (``node/alert_events`` names them; each subscription has one alert of a name.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import NamedTuple

from federation.domain.alert import AlertEvent
from federation.domain.exposure.affecting import Episodes
from federation.domain.exposure.answers import OwnLine
from federation.domain.query import MAX_PAGE, PageKey
from federation.domain.visibility import Caller, Ceiling, itself
from federation.node import alert_events, alert_floods, alert_viewers, exposure
from federation.node.alert_events import Occurrence, unanswered_incidents
from federation.node.node import Node
from federation.store.alerts import MAX_CHANGES_PER_SCAN, NewAlert, Subscription
from federation.store.database import Writing

SCAN_SECONDS = 15.0
"""Seconds between scans while nothing changes: for incidents unanswered and peers silent too long."""

REST_FACTOR = 3
"""A process rests this many times as long as its last scan took."""

ALERT_RETENTION = timedelta(days=90)
"""Delivered and parked alerts are deleted after this: longer than ``alert_events.MAX_INCIDENT_AGE``."""

MAX_INCIDENT_PAGES = 20
"""Pages of open incidents that are compared with the operator's deployments, newest first."""

OWN_EVENTS: frozenset[AlertEvent] = frozenset({"incident.affects-mine", "incident.unanswered"})
"""Events of incidents that affect the operator, or may."""


class AlertScan:
    """Runs scans in a process: after a change, and every ``SCAN_SECONDS``."""

    def __init__(self, node: Node) -> None:
        self._started_at = node.clock()
        self._last_scan = self._next_scan = float("-inf")

    async def run(self, node: Node) -> int:
        """Scan if it is due. Returns the number of new alerts."""
        now = monotonic()
        if now < self._next_scan:
            return 0
        async with node.store.read() as tx:
            changed = await tx.alerts.has_unscanned_changes()
        if not changed and now - self._last_scan < SCAN_SECONDS:
            return 0
        self._last_scan = now
        number = await add_alerts(node, started_at=self._started_at)
        # During the first sync of a peer there are always changes: scans must not take all of the time.
        self._next_scan = monotonic() + REST_FACTOR * (monotonic() - now)
        return number


async def add_alerts(node: Node, *, started_at: datetime | None = None) -> int:
    """Scan once. Returns the number of new alerts.

    ``started_at`` is the start of this process: before, it could not have been in contact with a peer.
    """
    async with node.store.read() as reading:
        active = [stored for stored in await reading.alerts.subscriptions() if stored.active]
        last = await reading.alerts.last_change()
        floods = await reading.alerts.floods()
        viewers = await alert_viewers.viewers_of(node, reading, active)
    if not active:
        return 0
    # Changes from here on are scanned the next time: these exposures do not contain them.
    needs_own = bool(floods) or any(OWN_EVENTS & {*stored.events} for stored in active)
    own = OwnIncidents((), last, last, complete=False)
    own_lines: dict[Ceiling | None, tuple[OwnLine, ...]] = {}
    if needs_own:
        own = await _own_incidents(node, itself(node.operator))
        for ceiling, viewer in alert_viewers.by_ceiling(viewers.values()).items():
            own_lines[ceiling] = (await _own_incidents(node, viewer)).lines if own.lines else ()
    number = 0
    more = True
    while more:
        async with node.store.write() as tx:
            scanned = await tx.alerts.lock()
            # Under the lock: with the subscriptions added meanwhile, and without those removed.
            active = [stored for stored in await tx.alerts.subscriptions() if stored.active]
            viewers = await alert_viewers.viewers_of(node, tx, active)
            until = max(scanned, min(last, scanned + MAX_CHANGES_PER_SCAN))
            more = until < last
            changes = [
                *alert_events.incident_changes(node, await tx.alerts.changed_incidents(scanned, until))
            ]
            events = list(changes)
            episodes = None if more else await _advance_episodes(node, tx, own)
            if episodes is not None:
                events += [
                    *alert_events.affecting_incidents(node, own.lines, episodes),
                    *await alert_events.stale_peers(node, tx, started_at),
                    *await alert_events.rejected_records(node, tx),
                    *await alert_events.paused_peers(node, tx),
                    *await alert_events.hidden_contributions(node, tx),
                    *await alert_events.failing_sources(node, tx),
                ]
            # An alert of its own for each subscription.
            found = [
                (stored, event)
                for stored in active
                if stored.id not in viewers
                for event in (*events, *unanswered_incidents(node, own.lines, episodes, stored))
            ]
            found += await _events_of_people(node, tx, active, viewers, changes, own_lines, episodes)
            number += await alert_floods.add(
                node,
                tx,
                [
                    NewAlert(stored.id, event.name, event.origin, event.alert, shares=event.shares)
                    for stored, event in found
                    if event.is_for(stored)
                ],
            )
            if not more:
                number += await alert_floods.add_digests(
                    node,
                    tx,
                    {stored.id: _lines_of(stored, viewers, own_lines, own.lines) for stored in active},
                )
            await tx.alerts.advance(until)
    return number


async def _events_of_people(
    node: Node,
    tx: Writing,
    active: Sequence[Subscription],
    viewers: Mapping[str, Caller],
    changes: Sequence[Occurrence],
    own_lines: Mapping[Ceiling | None, tuple[OwnLine, ...]],
    episodes: Episodes | None,
) -> list[tuple[Subscription, Occurrence]]:
    """The events of the subscriptions of people who do not see everything."""
    found: list[tuple[Subscription, Occurrence]] = []
    for stored in active:
        viewer = viewers.get(stored.id)
        if viewer is None:
            continue
        lines = own_lines.get(viewer.ceiling, ())  # none yet for a ceiling that is of this moment
        found += [(stored, event) for event in changes]
        if episodes is not None:
            found += [(stored, event) for event in alert_events.affecting_incidents(node, lines, episodes)]
        found += [(stored, event) for event in unanswered_incidents(node, lines, episodes, stored)]
    named = alert_viewers.subjects(event for _, event in found)
    visible = await alert_viewers.visible_incidents(tx, named, viewers.values())
    return [
        (stored, event)
        for stored, candidate in found
        for event in alert_viewers.only_visible([candidate], visible[viewers[stored.id].ceiling])
    ]


def _lines_of(
    stored: Subscription,
    viewers: Mapping[str, Caller],
    own_lines: Mapping[Ceiling | None, tuple[OwnLine, ...]],
    all_: tuple[OwnLine, ...],
) -> frozenset[str]:
    """Ids of the incidents that affect the operator, as the owner of a subscription sees it."""
    viewer = viewers.get(stored.id)
    lines = all_ if viewer is None else own_lines.get(viewer.ceiling, ())
    return frozenset(line.incident.id for line in lines)


class OwnIncidents(NamedTuple):
    """Open incidents that affect deployments of the operator, or may."""

    lines: tuple[OwnLine, ...]
    since: int
    """Local sequence of the last change before they were read."""
    through: int
    """The same after it."""
    complete: bool
    """False where there are more open incidents than are read."""
    all_understood: bool = True
    """False where there are more that are not understood than are read."""


async def _own_incidents(node: Node, by: Caller) -> OwnIncidents:
    """Read them as one caller sees them."""
    own: list[OwnLine] = []
    page_key: PageKey | None = None
    more_not_understood = False
    async with node.store.read() as tx:
        since = await tx.alerts.last_change()
    for _ in range(MAX_INCIDENT_PAGES):
        page, page_key = await exposure.of_own(node, by=by, limit=MAX_PAGE, after=page_key)
        own += page.incidents
        more_not_understood |= page.more_not_understood
        if page_key is None:
            break
    async with node.store.read() as tx:
        through = await tx.alerts.last_change()
    return OwnIncidents(tuple(own), since, through, page_key is None, not more_not_understood)


async def _advance_episodes(node: Node, tx: Writing, own: OwnIncidents) -> Episodes:
    """Begin and end episodes as of a reading, under the lock of scanning."""
    incidents = [line.incident.id for line in own.lines]
    episodes = Episodes(
        await tx.affecting_incidents.lasting(incidents),
        own.lines,
        now=node.clock(),
        since=own.since,
        through=own.through,
    )
    await tx.affecting_incidents.store(episodes.changed)
    if own.complete:
        await tx.affecting_incidents.end_others(
            incidents,
            node.clock(),
            since=own.since,
            through=own.through,
            all_understood=own.all_understood,
        )
    return episodes


async def purge(node: Node) -> None:
    """Delete old alerts, except of events that still last: the next scan would add those again."""
    before = node.clock() - ALERT_RETENTION
    async with node.store.read() as reading:
        if not await reading.alerts.has_finished(before):
            return
    async with node.store.write() as tx:
        await tx.alerts.lock()
        await tx.affecting_incidents.purge(before)
        names = [
            event.name
            for event in (
                *await alert_events.stale_peers(node, tx),
                *await alert_events.rejected_records(node, tx),
                *await alert_events.paused_peers(node, tx),
                *await alert_events.hidden_contributions(node, tx),
            )
        ]
        for row in (await tx.affecting_incidents.lasting()).values():
            names += [
                *(f"incident.affects-mine {name}" for name in (row.alert_name, row.own_alert_name)),
                *(f"incident.unanswered {name}" for name in (row.matter, row.own_matter)),
            ]
        await tx.alerts.purge(before, names)
