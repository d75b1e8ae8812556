"""Events that have alerts: incidents that change, that affect the operator or are unanswered, peers, and own
contributions that are hidden.

An event has a name, and each subscription one alert of that name, however often the event is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from federation.domain.alert import Alert, AlertEvent
from federation.domain.exposure.affecting import Episodes
from federation.domain.exposure.answers import OwnLine
from federation.domain.sources.source import ALERT_AFTER_FAILURES
from federation.domain.values import as_instant, instant
from federation.node.copy_ages import STALE_AFTER_SECONDS
from federation.node.node import Node
from federation.store.alerts import Subscription
from federation.store.database import Writing

MAX_INCIDENT_AGE = timedelta(days=30)
"""Incidents not revised for longer have no alert when they arrive: a new peer brings years of them."""
MAX_NAMED_INCIDENTS = 20
"""Other incidents of the same vulnerability that an alert names, at most."""


class Occurrence(NamedTuple):
    """An event and its alert. Alerts of one name are one alert for each subscription."""

    name: str
    alert: Alert
    origin: str
    """The operator it is about."""
    happened_at: datetime | None = None
    """Only for subscriptions added before this time; None for all."""
    shares: str | None = None
    """Name of another event whose alert says the same: where that is sent, this one has none."""

    def is_for(self, subscription: Subscription) -> bool:
        if self.alert.event not in subscription.events:
            return False
        return self.happened_at is None or subscription.created_at <= self.happened_at


def _alert(node: Node, event: AlertEvent, subject: str, **data: Any) -> Alert:
    return Alert(id="", event=event, subject=subject, at=node.clock(), data={"id": subject, **data})


def incident_changes(node: Node, rows: Sequence[Any]) -> Iterator[Occurrence]:
    """Published and changed incidents.

    A peer's feed has only the last revision of a record, so the first one that arrives may be a later one.
    For subscriptions added before the publication it is published as well. The name of the event, with
    revision 1, is the same then, so that there is one alert.
    """
    oldest = node.clock() - MAX_INCIDENT_AGE
    for origin, key, revision, retracted, tlp, created_at, updated_at, not_understood in rows:
        if updated_at < oldest:
            continue
        id_ = f"{origin}/{key}"
        data = {"revision": revision, "tlp": tlp, "link": f"{node.url}/v1/incidents/{id_}"}
        data |= {"not_understood": True} if not_understood else {}
        if not retracted and created_at >= oldest:
            alert = _alert(node, "incident.published", id_, **data)
            yield Occurrence(
                f"incident.published {id_} 1", alert, origin, None if revision == 1 else created_at
            )
        if revision > 1:
            yield Occurrence(
                f"incident.changed {id_} {revision}", _alert(node, "incident.changed", id_, **data), origin
            )


def affecting_incidents(node: Node, own: Sequence[OwnLine], episodes: Episodes) -> Iterator[Occurrence]:
    """Open incidents that affect the operator: one event for each episode, and for each vulnerability."""
    for line in _leading_first(own, episodes):
        row = episodes.current[line.incident.id]
        alert = _exposure_alert(node, "incident.affects-mine", line, episodes)
        yield _sharing("incident.affects-mine", row.own_alert_name, row.alert_name, alert, line)


def unanswered_incidents(
    node: Node, own: Sequence[OwnLine], episodes: Episodes | None, subscription: Subscription
) -> Iterator[Occurrence]:
    """Those without a statement of the operator, so many hours after they were published or opened again.

    None while changes are left to be scanned.
    """
    if episodes is None:
        return
    before = node.clock() - timedelta(hours=subscription.unanswered_hours)
    for line in _leading_first(own, episodes):
        row = episodes.current[line.incident.id]
        began_at = instant(line.incident.published_at) if row.episode == 1 else row.began_at
        if line.exposure.answer is None and began_at <= before:
            alert = _exposure_alert(node, "incident.unanswered", line, episodes)
            yield _sharing("incident.unanswered", row.own_matter, row.matter, alert, line)


def _sharing(event: str, own_name: str, shared_name: str, alert: Alert, line: OwnLine) -> Occurrence:
    shares = None if own_name == shared_name else f"{event} {shared_name}"
    return Occurrence(f"{event} {own_name}", alert, _origin_of(line), shares=shares)


def _leading_first(own: Sequence[OwnLine], episodes: Episodes) -> list[OwnLine]:
    """The incidents of this reading; of those that share an alert, first the one that it is named after."""
    current = [line for line in own if line.incident.id in episodes.current]
    return sorted(current, key=lambda line: episodes.current[line.incident.id].leader != line.incident.id)


def _origin_of(line: OwnLine) -> str:
    return line.incident.id.partition("/")[0]


def _exposure_alert(node: Node, event: AlertEvent, line: OwnLine, episodes: Episodes) -> Alert:
    """Numbers and links only: the incident may be of another operator, and not for these readers."""
    id_ = line.incident.id
    row = episodes.current[id_]
    others = episodes.others(id_)
    return _alert(
        node,
        event,
        id_,
        affected=line.exposure.affected.deployments,
        unknown=line.exposure.unknown.deployments,
        deployments=[deployment.id for deployment in line.exposure.deployments],
        **({"same_vulnerability": list(others[:MAX_NAMED_INCIDENTS])} if others else {}),
        **({"reopened": True} if row.episode > 1 else {}),
        **({"not_understood": True} if line.incident.not_understood else {}),
        link=f"{node.url}/v1/incidents/{id_}/exposure",
    )


async def stale_peers(node: Node, tx: Writing, started_at: datetime | None = None) -> list[Occurrence]:
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


async def rejected_records(node: Node, tx: Writing) -> list[Occurrence]:
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


async def hidden_contributions(node: Node, tx: Writing) -> list[Occurrence]:
    """Own contributions whose subject has become narrower; one event for each revision of the subject."""
    return [
        Occurrence(
            f"contribution.hidden {node.operator}/{hidden.key} {hidden.revision}",
            _alert(
                node,
                "contribution.hidden",
                f"{node.operator}/{hidden.key}",
                about=hidden.subject,
                about_type=hidden.subject_type,
                link=f"{node.url}/v1/contributions/{node.operator}/{hidden.key}",
            ),
            node.operator,
        )
        for hidden in await tx.contributions.hidden(node.operator)
    ]


async def paused_peers(node: Node, tx: Writing) -> list[Occurrence]:
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


async def failing_sources(node: Node, tx: Writing) -> list[Occurrence]:
    """Sources that failed ``ALERT_AFTER_FAILURES`` times in a row; one event until one succeeds."""
    return [
        Occurrence(
            f"source.failing {source.name} {as_instant(source.failing_since or source.created_at)}",
            _alert(
                node,
                "source.failing",
                source.name,
                reason=source.reason or "",
                link=f"{node.url}/v1/sources/{source.name}",
            ),
            node.operator,
        )
        for source in await tx.sources.failing(ALERT_AFTER_FAILURES)
    ]
