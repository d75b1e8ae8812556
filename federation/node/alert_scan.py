"""Scan the change log and the present state for events, and add their alerts.

1. Read the subscriptions and the last change, then the open incidents that affect the operator.
2. In one transaction for each ``MAX_CHANGES_PER_SCAN`` changes: lock the scan, add the alerts of these
   changes, and store the sequence they end at. A crash loses no alert and adds none twice.
3. In the last of them, add the alerts of the present state: affecting and unanswered incidents, silent peers,
   rejected entries, paused peers. An event has a name, and each subscription one alert of that name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, NamedTuple

from federation.domain.alert import Alert, AlertEvent
from federation.domain.exposure.answers import OwnLine
from federation.domain.query import MAX_PAGE, PageKey
from federation.domain.values import as_instant
from federation.domain.visibility import itself
from federation.node import alert_floods, exposure
from federation.node.copy_ages import STALE_AFTER_SECONDS
from federation.node.node import Node
from federation.store.alerts import MAX_CHANGES_PER_SCAN, NewAlert, Subscription
from federation.store.database import Writing

SCAN_SECONDS = 15.0
"""Seconds between scans while nothing changes: for incidents unanswered and peers silent too long."""

MAX_INCIDENT_AGE = timedelta(days=30)
"""Incidents not revised for longer have no alert when they arrive: a new peer brings years of them."""

REST_FACTOR = 3
"""A process rests this many times as long as its last scan took."""

ALERT_RETENTION = timedelta(days=90)
"""Delivered and parked alerts are deleted after this, which is longer than ``MAX_INCIDENT_AGE``."""

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
    if not active:
        return 0
    # Changes from here on are scanned the next time: these exposures do not contain them.
    needs_own = bool(floods) or any(OWN_EVENTS & {*stored.events} for stored in active)
    own = await _own_incidents(node) if needs_own else ()
    number = 0
    more = True
    while more:
        async with node.store.write() as tx:
            scanned = await tx.alerts.lock()
            # Under the lock: with the subscriptions added meanwhile, and without those removed.
            active = [stored for stored in await tx.alerts.subscriptions() if stored.active]
            until = max(scanned, min(last, scanned + MAX_CHANGES_PER_SCAN))
            more = until < last
            events = [*_incident_changes(node, await tx.alerts.changed_incidents(scanned, until))]
            if not more:
                events += [
                    *_affecting_incidents(node, own),
                    *await _stale_peers(node, tx, started_at),
                    *await _rejected_records(node, tx),
                    *await _paused_peers(node, tx),
                ]
            number += await alert_floods.add(
                node,
                tx,
                [
                    # An alert of its own for each subscription.
                    NewAlert(stored.id, event.name, event.origin, event.alert)
                    for stored in active
                    for event in (*events, *(() if more else _unanswered_incidents(node, own, stored)))
                    if event.is_for(stored)
                ],
            )
            if not more:
                number += await alert_floods.add_digests(node, tx, {line.incident.id for line in own})
            await tx.alerts.advance(until)
    return number


class Occurrence(NamedTuple):
    """An event and its alert. Alerts of one name are one alert for each subscription."""

    name: str
    alert: Alert
    origin: str
    """The operator it is about."""
    happened_at: datetime | None = None
    """Only for subscriptions added before this time; None for all."""

    def is_for(self, subscription: Subscription) -> bool:
        if self.alert.event not in subscription.events:
            return False
        return self.happened_at is None or subscription.created_at <= self.happened_at


def _alert(node: Node, event: AlertEvent, subject: str, **data: Any) -> Alert:
    return Alert(id="", event=event, subject=subject, at=node.clock(), data={"id": subject, **data})


def _incident_changes(node: Node, rows: Sequence[Any]) -> Iterator[Occurrence]:
    """Published and changed incidents.

    A peer's feed has only the last revision of a record, so the first one that arrives may be a later one.
    For subscriptions added before the publication it is published as well. The name of the event, with
    revision 1, is the same then, so that there is one alert.
    """
    oldest = node.clock() - MAX_INCIDENT_AGE
    for origin, key, revision, retracted, tlp, created_at, updated_at in rows:
        if updated_at < oldest:
            continue
        id_ = f"{origin}/{key}"
        data = {"revision": revision, "tlp": tlp, "link": f"{node.url}/v1/incidents/{id_}"}
        if not retracted and created_at >= oldest:
            alert = _alert(node, "incident.published", id_, **data)
            yield Occurrence(
                f"incident.published {id_} 1", alert, origin, None if revision == 1 else created_at
            )
        if revision > 1:
            yield Occurrence(
                f"incident.changed {id_} {revision}", _alert(node, "incident.changed", id_, **data), origin
            )


async def _own_incidents(node: Node) -> tuple[OwnLine, ...]:
    """Open incidents that affect deployments of the operator, or may."""
    own: list[OwnLine] = []
    page_key: PageKey | None = None
    for _ in range(MAX_INCIDENT_PAGES):
        page, page_key = await exposure.of_own(node, by=itself(node.operator), limit=MAX_PAGE, after=page_key)
        own += page.incidents
        if page_key is None:
            break
    return tuple(own)


def _affecting_incidents(node: Node, own: Sequence[OwnLine]) -> Iterator[Occurrence]:
    for line in own:
        name = f"incident.affects-mine {line.incident.id}"
        yield Occurrence(name, _exposure_alert(node, "incident.affects-mine", line), _origin_of(line))


def _unanswered_incidents(
    node: Node, own: Sequence[OwnLine], subscription: Subscription
) -> Iterator[Occurrence]:
    before = as_instant(node.clock() - timedelta(hours=subscription.unanswered_hours))
    for line in own:
        if line.exposure.answer is None and line.incident.published_at <= before:
            name = f"incident.unanswered {line.incident.id}"
            yield Occurrence(name, _exposure_alert(node, "incident.unanswered", line), _origin_of(line))


def _origin_of(line: OwnLine) -> str:
    return line.incident.id.partition("/")[0]


def _exposure_alert(node: Node, event: AlertEvent, line: OwnLine) -> Alert:
    """Numbers and links only: the incident may be of another operator, and not for these readers."""
    id_ = line.incident.id
    return _alert(
        node,
        event,
        id_,
        affected=line.exposure.affected.deployments,
        unknown=line.exposure.unknown.deployments,
        deployments=[deployment.id for deployment in line.exposure.deployments],
        link=f"{node.url}/v1/incidents/{id_}/exposure",
    )


async def _stale_peers(node: Node, tx: Writing, started_at: datetime | None = None) -> list[Occurrence]:
    """Peers without contact for ``STALE_AFTER_SECONDS``, if this process ran that long."""
    limit = node.clock() - timedelta(seconds=STALE_AFTER_SECONDS)
    if started_at is not None and started_at > limit:
        return []
    return [
        Occurrence(
            f"peer.stale {peer.operator} {as_instant(peer.contacted_at or peer.added_at)}",
            _alert(node, "peer.stale", peer.operator, link=f"{node.url}/v1/peers"),
            peer.operator,
        )
        for peer in await tx.peers.all()
        if peer.state == "active" and (peer.contacted_at or peer.added_at) < limit
    ]


async def _rejected_records(node: Node, tx: Writing) -> list[Occurrence]:
    return [
        Occurrence(
            f"record.rejected {entry.origin}/{entry.audience} {entry.type}/{entry.key} {entry.seq}",
            _alert(
                node,
                "record.rejected",
                f"{entry.origin}/{entry.key}",
                type=entry.type,
                reason=entry.reason,
                link=f"{node.url}/v1/peers",
            ),
            entry.origin,
        )
        for entry in await tx.rejected.all()
    ]


async def _paused_peers(node: Node, tx: Writing) -> list[Occurrence]:
    """Peers whose removals, or whose quota, await an administrator; one event for each pause."""
    paused: dict[str, Occurrence] = {}
    for name, copy in (await tx.copies.all()).items():
        since, reason = copy.beyond_at or copy.paused_at, copy.beyond_reason or copy.paused_reason
        if not copy.is_paused or since is None:
            continue
        data = {"reason": reason, "link": f"{node.url}/v1/peers"}
        feed = name.origin if copy.beyond_at else str(name)
        event = f"peer.paused {feed} {as_instant(since)}"
        alert = _alert(node, "peer.paused", name.origin, **data)
        paused[event] = Occurrence(event, alert, name.origin)
    return list(paused.values())


async def purge(node: Node) -> None:
    """Delete old alerts, except of events that still last: the next scan would add those again."""
    before = node.clock() - ALERT_RETENTION
    async with node.store.read() as reading:
        if not await reading.alerts.has_finished(before):
            return
    own = await _own_incidents(node)
    async with node.store.write() as tx:
        await tx.alerts.lock()
        lasting = [
            *_affecting_incidents(node, own),
            *await _stale_peers(node, tx),
            *await _rejected_records(node, tx),
            *await _paused_peers(node, tx),
        ]
        names = [event.name for event in lasting]
        names += [f"incident.unanswered {line.incident.id}" for line in own]
        await tx.alerts.purge(before, names)
