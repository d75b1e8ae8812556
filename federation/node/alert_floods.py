"""Floods: more alerts of one origin than a receiver gets one by one, and the digest that stands for them.

1. Within an hour a subscription gets ``alerts_an_hour`` alerts of one origin, each by itself.
2. The next ones are withheld: stored, listed, and not sent. A flood counts them. Alerts about the operator's
   own records never are.
3. When the hour is over, or none came for ``FLOOD_QUIET``, one digest is sent: how many there were since
   when, how many of their incidents affect the operator, and where they are listed.

Of alerts about one vulnerability, which share a name, the next one is added only where the first was
withheld: a flood of one operator hides no alert of another one.

A scan calls these functions under the lock of scanning, so that each alert is counted once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from urllib.parse import urlencode

import msgspec

from federation.domain.alert import (
    DIGEST_EVENT,
    FLOOD_PERIOD,
    MAX_WITHHELD,
    UNBOUNDED_EVENTS,
    Alert,
    AlertFlood,
)
from federation.domain.document import mint_key
from federation.domain.values import as_instant
from federation.node.node import Node
from federation.store.alerts import NewAlert
from federation.store.database import Writing

COUNTED_EVENTS = frozenset({"incident.published", "incident.changed"})
"""Events that are noticed once, so that beyond ``MAX_WITHHELD`` it is enough to count them. Others are
noticed at each scan, and known by their alert."""


async def add(node: Node, tx: Writing, alerts: Sequence[NewAlert]) -> int:
    """Add alerts, and withhold those beyond the ceiling. Returns how many were new."""
    if not alerts:
        return 0
    names = {(new.subscription, name) for new in alerts for name in (new.name, new.shares) if name}
    stored = await tx.alerts.stored_names(sorted(names))
    sent_names = {name for name, withheld in stored.items() if not withheld}
    # One alert that was sent stands for all that share a name.
    sent_names |= {_shared_name(new) for new in alerts if (new.subscription, new.name) in sent_names}
    fresh = {
        (new.subscription, new.name): new for new in alerts if (new.subscription, new.name) not in stored
    }
    if not fresh:
        return 0
    # Identifiers in the order of the events: alerts that are due at one time are sent in theirs.
    ids = sorted(mint_key() for _ in fresh)
    now = node.clock()
    origins = list({new.origin for new in fresh.values()})
    sent = await tx.alerts.count_sent(origins, now - FLOOD_PERIOD)
    floods = {(flood.subscription, flood.origin): flood for flood in await tx.alerts.floods()}
    grown: set[tuple[str, str]] = set()
    added: list[NewAlert] = []
    for id_, event in zip(ids, fresh.values(), strict=True):
        new = msgspec.structs.replace(event, alert=msgspec.structs.replace(event.alert, id=id_))
        if new.shares is not None and _shared_name(new) in sent_names:
            continue
        key = (new.subscription, new.origin)
        if new.alert.event in UNBOUNDED_EVENTS or new.origin == node.operator:
            added.append(new)
            sent_names.add(_shared_name(new))
        elif key not in floods and sent.get(key, 0) < node.alerts_an_hour:
            sent[key] = sent.get(key, 0) + 1
            added.append(new)
            sent_names.add(_shared_name(new))
        else:
            flood = floods.get(key) or AlertFlood(new.subscription, new.origin, now, now, 0)
            floods[key] = msgspec.structs.replace(flood, last_at=now, withheld=flood.withheld + 1)
            grown.add(key)
            if flood.withheld < MAX_WITHHELD or new.alert.event not in COUNTED_EVENTS:
                added.append(msgspec.structs.replace(new, withheld=True))
    for key in sorted(grown):
        await tx.alerts.store_flood(floods[key])
    return await tx.alerts.add(added)


def _shared_name(new: NewAlert) -> tuple[str, str]:
    return new.subscription, new.shares or new.name


async def add_digests(node: Node, tx: Writing, own_incidents: Mapping[str, Set[str]]) -> int:
    """Add the digest of each flood that is over. Returns how many.

    ``own_incidents``: ids of open incidents that affect the operator, or may, by subscription: as its owner
    sees it.
    """
    now = node.clock()
    over = [flood for flood in await tx.alerts.floods() if flood.is_over(now)]
    for flood in over:
        affecting = len(
            await tx.alerts.withheld_subjects(flood) & own_incidents.get(flood.subscription, frozenset())
        )
        await tx.alerts.add([_digest(node, flood, affecting)])
        await tx.alerts.remove_flood(flood)
    return len(over)


def _digest(node: Node, flood: AlertFlood, affecting: int) -> NewAlert:
    since, until = as_instant(flood.began_at), as_instant(flood.last_at)
    query = urlencode({"withheld": "true", "origin": flood.origin})
    data = {
        "id": flood.origin,
        "message": (
            f"{flood.origin}: {flood.withheld} more alerts since {flood.began_at:%H:%M} UTC;"
            f" {affecting} of their incidents affect deployments of yours, or may"
        ),
        "withheld": flood.withheld,
        "affecting": affecting,
        "since": since,
        "until": until,
        "link": f"{node.url}/v1/alerts?{query}",
        "incidents": f"{node.url}/v1/incidents?{urlencode({'origin': flood.origin, 'updated_since': since})}",
    }
    alert = Alert(id=mint_key(), event=DIGEST_EVENT, subject=flood.origin, at=node.clock(), data=data)
    return NewAlert(flood.subscription, f"{DIGEST_EVENT} {flood.origin} {since}", flood.origin, alert)
