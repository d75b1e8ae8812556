"""Alerts of people: a subscription of a person has alerts of what the person may see, and of nothing else.

1. Events of incidents that change: of incidents that the person may see.
2. Events of incidents that affect the operator: as an answer about exposure shows it to the person.
3. Events of peers, rejected entries, hidden contributions and sources: for those who see everything.

The rights are those of the scan, and are looked up again before an alert is sent or listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from federation.domain.alert import DIGEST_EVENT, TEST_EVENT, AlertEvent
from federation.domain.content.incident import Incident
from federation.domain.visibility import Caller, Ceiling
from federation.node.alert_events import Occurrence
from federation.node.node import Node
from federation.store.alerts import Subscription
from federation.store.database import Reading, Writing

EVENTS_FOR_ALL: frozenset[AlertEvent] = frozenset(
    {"peer.stale", "record.rejected", "peer.paused", "contribution.hidden", "source.failing"}
)
"""Events that name what a ceiling may hide: for those who see everything."""
_NOT_ABOUT_A_RECORD = frozenset({DIGEST_EVENT, TEST_EVENT})


async def viewers_of(
    node: Node, tx: Reading | Writing, subscriptions: Iterable[Subscription]
) -> dict[str, Caller]:
    """The person of each subscription, by its id, where that is somebody who does not see everything."""
    owners = {stored.id: stored.person for stored in subscriptions if stored.person is not None}
    if not owners:
        return {}
    callers = {person.id: person.caller(node.operator) for person in await tx.people.all()}
    # A person who is gone sees nothing; their subscription goes with them.
    return {
        id_: caller
        for id_, person in owners.items()
        if not (caller := callers.get(person) or Caller(node=node.operator)).sees_all
    }


def by_ceiling(viewers: Iterable[Caller]) -> dict[Ceiling | None, Caller]:
    """One of the viewers for each ceiling: the others see the same."""
    return {viewer.ceiling: viewer for viewer in viewers}


async def visible_incidents(
    tx: Reading | Writing, ids: Iterable[str], viewers: Iterable[Caller]
) -> dict[Ceiling | None, frozenset[str]]:
    """For each ceiling, those of some incidents that may be seen below it."""
    asked = frozenset(ids)
    return {
        ceiling: await tx.records.visible_ids(Incident.type, asked, visible_to=viewer)
        for ceiling, viewer in by_ceiling(viewers).items()
    }


def only_visible(events: Sequence[Occurrence], visible: frozenset[str]) -> list[Occurrence]:
    """The events that somebody may know of who sees these incidents and no others.

    Other incidents of the same vulnerability are named where they may be seen, too.
    """
    return [
        _without_hidden(event, visible)
        for event in events
        if event.alert.event not in EVENTS_FOR_ALL and event.alert.subject in visible
    ]


def _without_hidden(event: Occurrence, visible: frozenset[str]) -> Occurrence:
    data = event.alert.data
    others = data.get("same_vulnerability")
    if not others:
        return event
    named = [id_ for id_ in others if id_ in visible]
    kept = {name: value for name, value in data.items() if name != "same_vulnerability"}
    shown = kept | ({"same_vulnerability": named} if named else {})
    return event._replace(alert=msgspec.structs.replace(event.alert, data=shown))


def subjects(events: Iterable[Occurrence]) -> frozenset[str]:
    """Ids of the incidents that events are about or name."""
    return frozenset(
        id_
        for event in events
        if event.alert.event not in EVENTS_FOR_ALL
        for id_ in (event.alert.subject, *event.alert.data.get("same_vulnerability", ()))
    )


async def hidden(
    node: Node,
    tx: Reading | Writing,
    alerts: Sequence[tuple[str, str, str]],
    subscriptions: Iterable[Subscription],
) -> frozenset[str]:
    """Ids of the alerts that their person may not see any more, of (id, event, subject) and subscriptions.

    The n-th subscription is that of the n-th alert.
    """
    of_alert = list(subscriptions)
    viewers = await viewers_of(node, tx, of_alert)
    if not viewers:
        return frozenset()
    named = [subject for _, event, subject in alerts if event not in _NOT_ABOUT_A_RECORD]
    visible = await visible_incidents(tx, named, viewers.values())
    return frozenset(
        id_
        for (id_, event, subject), stored in zip(alerts, of_alert, strict=True)
        if (viewer := viewers.get(stored.id)) is not None and event not in _NOT_ABOUT_A_RECORD
        if event in EVENTS_FOR_ALL or subject not in visible[viewer.ceiling]
    )
