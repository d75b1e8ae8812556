"""Alerts: noticed from what arrives, made once, delivered with patience.

Events are found by following arrivals, as an operator's own systems do: the alerts of a window and the number
it ends at are kept in one transaction, so that a crash makes none of them twice and loses none. Several
processes take turns at it. The network is never inside a transaction: an alert to be delivered is leased,
sent, and noted. A receiver that answers when the process has died may be told again, under the same
``webhook-id``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from federation import exposure
from federation.domain.alert import (
    PATIENCE,
    Alert,
    AlertEvent,
    NewSubscription,
    a_webhook_secret,
    next_wait,
    signature,
)
from federation.domain.document import mint_key
from federation.domain.errors import Invalid, NotFound, Refused, Unreachable
from federation.domain.values import as_instant
from federation.domain.visibility import itself
from federation.node import Node
from federation.store.alerts import WINDOW, Due, Subscription
from federation.store.database import Writing

log = logging.getLogger("federation.alerts")

MOST_SUBSCRIPTIONS = 100
LOOK_SECONDS = 15.0
"""Seconds between looks at what has not been done in time, when nothing arrives."""
KEPT = timedelta(days=90)
"""Delivered alerts are forgotten after this."""
OPEN_TO_ALL = frozenset({"CLEAR", "GREEN"})
"""Labels under which an alert may tell more than ids and links."""


class Subscribed(msgspec.Struct, frozen=True):
    """A new subscription; its secret is shown this once."""

    id: str
    secret: str


async def subscribe(node: Node, wanted: NewSubscription) -> Subscribed:
    """Tell somebody of events from now on. Raises Invalid where the webhook may not be called."""
    if wanted.webhook is not None:
        try:
            node.outside.check_webhook(wanted.webhook, private=wanted.private)
        except Unreachable as error:
            raise Invalid(error.detail, pointer="/webhook") from None
    elif not node.outside.sends_mail:
        raise Invalid("this node sends no e-mail: FEDERATION_SMTP_URL is not set", pointer="/email")
    made = Subscribed(mint_key(), a_webhook_secret())
    async with node.store.write() as tx:
        if len(await tx.alerts.subscriptions()) >= MOST_SUBSCRIPTIONS:
            raise Invalid(f"there are {MOST_SUBSCRIPTIONS} subscriptions already; remove one first")
        if not await tx.alerts.subscriptions():
            # What was here before anybody wanted to be told is no news.
            await tx.alerts.lock()
            await tx.alerts.advance(await tx.alerts.last_arrival())
        await tx.alerts.subscribe(made.id, wanted, made.secret)
    return made


async def unsubscribe(node: Node, id_: str) -> None:
    async with node.store.write() as tx:
        if not await tx.alerts.unsubscribe(id_):
            raise NotFound(f"there is no subscription {id_[:80]}")


async def replay(node: Node, id_: str) -> None:
    """Deliver an alert again."""
    async with node.store.write() as tx:
        if not await tx.alerts.replay(id_):
            raise NotFound(f"there is no alert {id_[:80]}")


# Noticing


class Noticing:
    """Looks at what has arrived, and from time to time at what has not been done."""

    def __init__(self) -> None:
        self._looked = float("-inf")

    async def notice(self, node: Node) -> int:
        """Make alerts if there may be any to make. Returns how many."""
        async with node.store.read() as tx:
            behind = await tx.alerts.behind()
        now = asyncio.get_running_loop().time()
        if not behind and now - self._looked < LOOK_SECONDS:
            return 0
        self._looked = now
        return await notice(node)


async def notice(node: Node) -> int:
    """Make the alerts of what has arrived and of what has not been done in time. Returns how many."""
    async with node.store.read() as reading:
        wanted = [one for one in await reading.alerts.subscriptions() if one.active]
    if not wanted:
        return 0
    await exposure.bring_in(node)
    own = (
        await _own(node)
        if any({"incident.hits-mine", "incident.unanswered"} & {*one.events} for one in wanted)
        else ()
    )
    made = 0
    more = True
    while more:
        async with node.store.write() as tx:
            seen, last = await tx.alerts.lock(), await tx.alerts.last_arrival()
            until = min(last, seen + WINDOW)
            events = [*_arrived(node, await tx.alerts.arrived(seen, until))]
            if until == last:
                events += [*_hits(node, own), *await _silent(node, tx), *await _set_aside(node, tx)]
            several = [
                (one.id, name, alert)
                for one in wanted
                for name, alert in (*events, *_unanswered(node, own, one))
                if alert.event in one.events
            ]
            # One event is one alert for each of them: an id of its own.
            made += await tx.alerts.make([(sid, name, _again(alert)) for sid, name, alert in several])
            await tx.alerts.advance(until)
            more = until < last
    return made


def _again(alert: Alert) -> Alert:
    return msgspec.structs.replace(alert, id=mint_key())


Named = tuple[str, Alert]


def _alert(node: Node, event: AlertEvent, subject: str, **data: Any) -> Alert:
    return Alert(id="", event=event, subject=subject, at=node.clock(), data={"id": subject, **data})


def _arrived(node: Node, rows: Sequence[Any]) -> Iterator[Named]:
    for origin, key, type_name, revision, retracted, tlp, document in rows:
        if type_name != "incident":
            continue
        id_ = f"{origin}/{key}"
        event: AlertEvent = "incident.published" if revision == 1 and not retracted else "incident.changed"
        data: dict[str, Any] = {"revision": revision, "tlp": tlp, "link": f"{node.url}/v1/incidents/{id_}"}
        if tlp in OPEN_TO_ALL and not retracted:
            content = msgspec.json.decode(document)["content"]
            data |= {name: content[name] for name in ("title", "kind", "status", "severity")}
        yield f"{event} {id_} {revision}", _alert(node, event, id_, **data)


async def _own(node: Node) -> tuple[exposure.OwnLine, ...]:
    found, _ = await exposure.of_own(node, by=itself(node.operator), limit=500)
    return found.incidents


def _hits(node: Node, own: Sequence[exposure.OwnLine]) -> Iterator[Named]:
    for line in own:
        yield f"incident.hits-mine {line.incident.id}", _own_alert(node, "incident.hits-mine", line)


def _unanswered(node: Node, own: Sequence[exposure.OwnLine], one: Subscription) -> Iterator[Named]:
    before = as_instant(node.clock() - timedelta(hours=one.unanswered_hours))
    for line in own:
        if line.hit.answer is None and line.incident.published_at <= before:
            yield f"incident.unanswered {line.incident.id}", _own_alert(node, "incident.unanswered", line)


def _own_alert(node: Node, event: AlertEvent, line: exposure.OwnLine) -> Alert:
    """Numbers and links: whom it hits is the operator's own, the incident's content may not be."""
    id_ = line.incident.id
    return _alert(
        node,
        event,
        id_,
        affected=line.hit.affected.deployments,
        unknown=line.hit.unknown.deployments,
        deployments=[one.id for one in line.hit.deployments],
        link=f"{node.url}/v1/incidents/{id_}/exposure",
    )


async def _silent(node: Node, tx: Writing) -> list[Named]:
    limit = node.clock() - timedelta(seconds=exposure.STALE_AFTER)
    return [
        (
            f"peer.stale {peer.operator} {as_instant(peer.contacted_at or peer.added_at)}",
            _alert(node, "peer.stale", peer.operator, link=f"{node.url}/v1/peers"),
        )
        for peer in await tx.peers.all()
        if peer.state == "active" and (peer.contacted_at or peer.added_at) < limit
    ]


async def _set_aside(node: Node, tx: Writing) -> list[Named]:
    return [
        (
            f"record.set-aside {one.origin}/{one.audience} {one.type}/{one.key} {one.seq}",
            _alert(
                node,
                "record.set-aside",
                f"{one.origin}/{one.key}",
                type=one.type,
                reason=one.reason,
                link=f"{node.url}/v1/peers",
            ),
        )
        for one in await tx.feeds.set_aside()
    ]


# Delivering


async def deliver(node: Node) -> int:
    """Deliver the alerts that are due. Returns how many were taken."""
    async with node.store.read() as reading:
        if not await reading.alerts.any_due(node.clock()):
            return 0
    async with node.store.write() as tx:
        due = await tx.alerts.claim(node.clock())
    taken = await asyncio.gather(*(_deliver(node, one) for one in due))
    return sum(taken)


async def _deliver(node: Node, due: Due) -> bool:
    now = node.clock()
    try:
        gone = await _send(node, due, now)
    except Refused as error:
        again = now + next_wait(due.attempts)
        parked = now if again > due.alert.at + PATIENCE else None
        async with node.store.write() as tx:
            await tx.alerts.failed(due.alert.id, error.detail, again=None if parked else again, parked=parked)
        log.warning(
            "an alert was not taken",
            extra={"subscription": due.subscription.id, "reason": error.detail, "parked": parked is not None},
        )
        return False
    async with node.store.write() as tx:
        if gone:
            await tx.alerts.silence(due.subscription.id)
            await tx.alerts.failed(due.alert.id, "the receiver is gone (410)", again=None, parked=now)
        else:
            await tx.alerts.delivered(due.alert.id)
    return not gone


async def _send(node: Node, due: Due, now: datetime) -> bool:
    """Whether the receiver said that it is gone for good. Raises Unreachable when it did not take it."""
    alert, to = due.alert, due.subscription
    body = msgspec.json.encode({"type": alert.event, "timestamp": as_instant(alert.at), "data": alert.data})
    if to.webhook is None:
        await node.outside.mail(to.email or "", f"[federation] {alert.event}: {alert.subject}", _text(alert))
        return False
    timestamp = int(now.timestamp())
    headers = {
        "content-type": "application/json",
        "webhook-id": alert.id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(to.secret, alert.id, timestamp, body),
    }
    status = await node.outside.post_webhook(to.webhook, body, headers, private=to.private)
    if status == 410:
        return True
    if not 200 <= status < 300:
        raise Unreachable(f"the webhook answered {status}")
    return False


def _text(alert: Alert) -> str:
    return "\n".join(
        (f"{alert.event}: {alert.subject}", *(f"{name}: {value}" for name, value in alert.data.items()))
    )


async def forget(node: Node) -> None:
    """Drop what was delivered long ago."""
    async with node.store.write() as tx:
        await tx.alerts.forget(node.clock() - KEPT)
