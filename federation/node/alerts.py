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
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from federation.domain.alert import (
    ATTEMPT,
    PATIENCE,
    TEST,
    Alert,
    AlertEvent,
    AlertState,
    NewSubscription,
    a_webhook_secret,
    is_mailbox,
    letter,
    next_wait,
    signature,
)
from federation.domain.document import mint_key
from federation.domain.errors import Invalid, NotFound, Unreachable
from federation.domain.exposure.answers import OwnLine
from federation.domain.feed import printable
from federation.domain.query import MAX_PAGE, PageKey
from federation.domain.values import as_instant
from federation.domain.visibility import itself
from federation.node import exposure
from federation.node.copy_ages import STALE_AFTER_SECONDS
from federation.node.node import Node
from federation.store.alerts import WINDOW, DueDelivery, Subscription
from federation.store.database import Writing

log = logging.getLogger("federation.alerts")

MAX_SUBSCRIPTIONS = 100
"""Subscriptions of a node, at most."""
LOOK_SECONDS = 15.0
"""Seconds between looks at what has not been done in time, when nothing arrives."""
NEWS = timedelta(days=30)
"""An incident that is untouched for longer is no news when it arrives: a new peer brings years of it."""
RESTS = 3
"""How much longer a process rests than its last look took."""
KEPT = timedelta(days=90)
"""Alerts that were delivered or parked are forgotten after this, longer than ``NEWS``."""
DELIVERING = 4
"""How many at a time deliver what is due: a receiver that says nothing keeps one or two of them busy."""
MAX_PAGES = 20
"""Pages of open incidents that are looked at for what hits one's own, the newest."""
OF_OWN: frozenset[AlertEvent] = frozenset({"incident.affects-mine", "incident.unanswered"})
GONE = "the receiver is gone (410)"
TOLD = ("title", "kind", "status", "severity")
"""What an alert tells of an incident that is CLEAR or GREEN; of others it has ids and links."""


class Subscribed(msgspec.Struct, frozen=True):
    """A new subscription; its secret is shown this once."""

    id: str
    secret: str


def check_subscription(node: Node, wanted: NewSubscription) -> None:
    """Raises Invalid where nobody could be told so: a webhook that is not called, no mail server."""
    if wanted.webhook is not None:
        try:
            node.others.check_webhook(wanted.webhook, private=wanted.private)
        except Unreachable as error:
            raise Invalid(error.detail, pointer="/webhook") from None
        return
    if not node.others.sends_mail:
        raise Invalid("this node sends no e-mail: FEDERATION_SMTP_URL is not set", pointer="/email")
    if not is_mailbox(wanted.email or ""):
        raise Invalid("email is an address of plain ASCII characters, without quotes", pointer="/email")


async def subscribe(node: Node, wanted: NewSubscription, *, by: str) -> Subscribed:
    """Tell somebody of events from now on. ``by`` is who wants it, for the audit trail. Raises Invalid."""
    check_subscription(node, wanted)
    made = Subscribed(mint_key(), a_webhook_secret())
    async with node.store.write() as tx:
        # Nobody makes alerts meanwhile: who subscribes is told of all that arrives after the commit.
        await tx.alerts.lock()
        there = await tx.alerts.subscriptions()
        if len(there) >= MAX_SUBSCRIPTIONS:
            raise Invalid(f"there are {MAX_SUBSCRIPTIONS} subscriptions already; remove one first")
        if not any(one.active for one in there):
            # What was here before anybody wanted to be told is no news.
            await tx.alerts.advance(await tx.alerts.last_arrival())
        await tx.alerts.subscribe(made.id, wanted, made.secret)
        to = urlsplit(wanted.webhook).hostname if wanted.webhook else wanted.email
        await tx.audit.note(
            "subscription.added",
            actor=by,
            subject=made.id,
            # No more of a webhook than its host: its path may be a secret.
            detail={"to": to or "", "events": " ".join(wanted.events)},
        )
    return made


async def list_subscriptions(node: Node) -> tuple[Subscription, ...]:
    """All subscriptions of the node."""
    async with node.store.read() as tx:
        return await tx.alerts.subscriptions()


async def list_alerts(node: Node, *, parked: bool) -> tuple[AlertState, ...]:
    """The last alerts, newest first; with ``parked`` those that were given up."""
    async with node.store.read() as tx:
        return await tx.alerts.listed(parked=parked)


async def unsubscribe(node: Node, id_: str, *, by: str) -> None:
    """Remove a subscription and its alerts. Raises NotFound."""
    async with node.store.write() as tx:
        await tx.alerts.lock()  # else alerts could be made for what is gone
        if not await tx.alerts.unsubscribe(id_):
            raise _no_subscription(id_)
        await tx.audit.note("subscription.removed", actor=by, subject=id_)


async def try_out(node: Node, id_: str) -> Subscription:
    """Tell a subscriber now, and once, that somebody tries. Raises NotFound, Unreachable."""
    async with node.store.read() as tx:
        to = next((one for one in await tx.alerts.subscriptions() if one.id == id_), None)
    if to is None:
        raise _no_subscription(id_)
    now = node.clock()
    data = {"id": to.id, "link": f"{node.url}/v1/subscriptions"}
    alert = Alert(id=mint_key(), event=TEST, subject=to.id, at=now, data=data)
    if await _sent(node, alert, to, now):
        raise Unreachable(GONE, final=True)
    return to


async def replay(node: Node, *ids: str) -> None:
    """Deliver alerts again: all of these or, where one is not here, none. Raises NotFound."""
    async with node.store.write() as tx:
        for id_ in ids:
            if not await tx.alerts.replay(id_):
                raise NotFound(f"there is no alert {printable(id_, 80)}")


async def replay_parked(node: Node, subscription: str | None = None) -> int:
    """Deliver again what was given up, of one subscription or of all. Returns how many. Raises NotFound."""
    async with node.store.write() as tx:
        if subscription and all(one.id != subscription for one in await tx.alerts.subscriptions()):
            raise _no_subscription(subscription)
        return await tx.alerts.replay_parked(subscription)


def _no_subscription(id_: str) -> NotFound:
    return NotFound(f"there is no subscription {printable(id_, 80)}")


# Noticing


class AlertScan:
    """Looks at what has arrived, and from time to time at what has not been done."""

    def __init__(self, node: Node) -> None:
        self._began = node.clock()
        self._looked = self._rested = float("-inf")

    async def notice(self, node: Node) -> int:
        """Make alerts if there may be any to make. Returns how many."""
        now = monotonic()
        if now < self._rested:
            return 0
        async with node.store.read() as tx:
            behind = await tx.alerts.behind()
        if not behind and now - self._looked < LOOK_SECONDS:
            return 0
        self._looked = now
        made = await notice(node, began=self._began)
        # While a peer is read for the first time there is always something: it is not to take all our time.
        self._rested = monotonic() + RESTS * (monotonic() - now)
        return made


async def notice(node: Node, *, began: datetime | None = None) -> int:
    """Make the alerts of what has arrived and of what has not been done in time. Returns how many.

    ``began`` is since when this process could have heard of a peer.
    """
    async with node.store.read() as reading:
        wanted = [one for one in await reading.alerts.subscriptions() if one.active]
        last = await reading.alerts.last_arrival()
    if not wanted:
        return 0
    # What arrives from here on is looked at the next time: what hits us was worked out without it.
    own = await _own(node) if any(OF_OWN & {*one.events} for one in wanted) else ()
    made = 0
    more = True
    while more:
        async with node.store.write() as tx:
            seen = await tx.alerts.lock()
            # Only now: who has subscribed meanwhile is told, and who is gone is not.
            wanted = [one for one in await tx.alerts.subscriptions() if one.active]
            until = max(seen, min(last, seen + WINDOW))
            more = until < last
            events = [*_arrived(node, await tx.alerts.arrived(seen, until))]
            if not more:
                events += [
                    *_affecting(node, own),
                    *await _silent(node, tx, began),
                    *await _rejected(node, tx),
                ]
            made += await tx.alerts.make(
                [
                    # One event is one alert for each of them: an id of its own.
                    (one.id, happened.name, msgspec.structs.replace(happened.alert, id=mint_key()))
                    for one in wanted
                    for happened in (*events, *(() if more else _unanswered(node, own, one)))
                    if happened.is_for(one)
                ]
            )
            await tx.alerts.advance(until)
    return made


class Occurrence(NamedTuple):
    """An event, under the name by which it is one."""

    name: str
    alert: Alert
    made_at: datetime | None = None
    """News only to who had subscribed before this."""

    def is_for(self, one: Subscription) -> bool:
        return self.alert.event in one.events and (self.made_at is None or one.created_at <= self.made_at)


def _alert(node: Node, event: AlertEvent, subject: str, **data: Any) -> Alert:
    return Alert(id="", event=event, subject=subject, at=node.clock(), data={"id": subject, **data})


def _arrived(node: Node, rows: Sequence[Any]) -> Iterator[Occurrence]:
    """What the incidents tell that have arrived.

    A peer's feed has the last revision of a record only, so that the first one that comes may be a later
    one: then it was published, too, for all who subscribed before that. One name sees to it that it is told
    once.
    """
    news = node.clock() - NEWS
    for origin, key, revision, retracted, tlp, created_at, updated_at in rows:
        if updated_at < news:
            continue
        id_ = f"{origin}/{key}"
        data = {"revision": revision, "tlp": tlp, "link": f"{node.url}/v1/incidents/{id_}"}
        if not retracted and created_at >= news:
            alert = _alert(node, "incident.published", id_, **data)
            yield Occurrence(f"incident.published {id_} 1", alert, None if revision == 1 else created_at)
        if revision > 1:
            yield Occurrence(
                f"incident.changed {id_} {revision}", _alert(node, "incident.changed", id_, **data)
            )


async def _own(node: Node) -> tuple[OwnLine, ...]:
    """The open incidents that hit deployments of one's own, or may."""
    found: list[OwnLine] = []
    place: PageKey | None = None
    for _ in range(MAX_PAGES):
        page, place = await exposure.of_own(node, by=itself(node.operator), limit=MAX_PAGE, after=place)
        found += page.incidents
        if place is None:
            break
    return tuple(found)


def _affecting(node: Node, own: Sequence[OwnLine]) -> Iterator[Occurrence]:
    for line in own:
        name = f"incident.affects-mine {line.incident.id}"
        yield Occurrence(name, _own_alert(node, "incident.affects-mine", line))


def _unanswered(node: Node, own: Sequence[OwnLine], one: Subscription) -> Iterator[Occurrence]:
    before = as_instant(node.clock() - timedelta(hours=one.unanswered_hours))
    for line in own:
        if line.exposure.answer is None and line.incident.published_at <= before:
            name = f"incident.unanswered {line.incident.id}"
            yield Occurrence(name, _own_alert(node, "incident.unanswered", line))


def _own_alert(node: Node, event: AlertEvent, line: OwnLine) -> Alert:
    """Numbers and links: whom it hits is the operator's own, the incident's content may not be."""
    id_ = line.incident.id
    return _alert(
        node,
        event,
        id_,
        affected=line.exposure.affected.deployments,
        unknown=line.exposure.unknown.deployments,
        deployments=[one.id for one in line.exposure.deployments],
        link=f"{node.url}/v1/incidents/{id_}/exposure",
    )


async def _silent(node: Node, tx: Writing, began: datetime | None = None) -> list[Occurrence]:
    """Peers that have not answered for long, as far as there was somebody here to hear them."""
    limit = node.clock() - timedelta(seconds=STALE_AFTER_SECONDS)
    if began is not None and began > limit:
        return []
    return [
        Occurrence(
            f"peer.stale {peer.operator} {as_instant(peer.contacted_at or peer.added_at)}",
            _alert(node, "peer.stale", peer.operator, link=f"{node.url}/v1/peers"),
        )
        for peer in await tx.peers.all()
        if peer.state == "active" and (peer.contacted_at or peer.added_at) < limit
    ]


async def _rejected(node: Node, tx: Writing) -> list[Occurrence]:
    return [
        Occurrence(
            f"record.rejected {one.origin}/{one.audience} {one.type}/{one.key} {one.seq}",
            _alert(
                node,
                "record.rejected",
                f"{one.origin}/{one.key}",
                type=one.type,
                reason=one.reason,
                link=f"{node.url}/v1/peers",
            ),
        )
        for one in await tx.rejected.all()
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


async def _deliver(node: Node, due: DueDelivery) -> bool:
    """Whether it was taken. What came of it is noted, whatever it was: an alert that is not is made again."""
    now = node.clock()
    gone = False
    failure: Unreachable | None = None
    try:
        async with asyncio.timeout(ATTEMPT.total_seconds()):
            gone = await _sent(node, _with_content(due), due.subscription, now)
    except Unreachable as error:
        failure = error
    except TimeoutError:
        failure = Unreachable(f"it was not taken within {ATTEMPT.total_seconds():g} seconds")
    except Exception:
        log.exception("an alert could not be delivered", extra={"alert": due.alert.id})
        failure = Unreachable("it could not be delivered; the node's log says why")
    if failure is not None:
        await _note_failure(node, due, failure, now)
        return False
    async with node.store.write() as tx:
        if gone:
            await tx.alerts.silence(due.subscription.id, GONE, now)
        else:
            await tx.alerts.delivered(due.alert.id)
    return not gone


def _with_content(due: DueDelivery) -> Alert:
    """The alert with what everybody may read of its incident.

    It is added for each attempt and kept nowhere: an incident that is withdrawn, or moved to fewer readers,
    is in no alert from then on.
    """
    if due.incident is None:
        return due.alert
    content = msgspec.json.decode(due.incident).get("content", {})
    told = {name: content[name] for name in TOLD if name in content}
    return msgspec.structs.replace(due.alert, data=due.alert.data | told)


async def _note_failure(node: Node, due: DueDelivery, failure: Unreachable, now: datetime) -> None:
    again = now + next_wait(due.attempts, asked=failure.retry_after)
    parked = failure.final or again > due.alert.at + PATIENCE
    async with node.store.write() as tx:
        noted = await tx.alerts.failed(
            due.alert.id,
            due.attempts,
            failure.detail,
            again=None if parked else again,
            parked=now if parked else None,
        )
        if noted and not failure.final:
            # What is waiting for the same receiver waits with it, and holds up nobody else's.
            await tx.alerts.postpone(due.subscription.id, now, again)
    log.warning(
        "an alert was not taken",
        extra={"subscription": due.subscription.id, "reason": failure.detail, "parked": parked},
    )


async def _sent(node: Node, alert: Alert, to: Subscription, now: datetime) -> bool:
    """Tell a subscriber. Whether it said that it is gone for good. Raises Unreachable if it was not taken."""
    if to.webhook is None:
        told = letter(alert, to=to.email or "", subscription=to.id, node=node.operator)
        await node.others.mail(told)
        return False
    body = msgspec.json.encode({"type": alert.event, "timestamp": as_instant(alert.at), "data": alert.data})
    timestamp = int(now.timestamp())
    headers = {
        "content-type": "application/json",
        "webhook-id": alert.id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(to.secret, alert.id, timestamp, body),
    }
    status = await node.others.post_webhook(to.webhook, body, headers, private=to.private)
    if status == 410:
        return True
    if not 200 <= status < 300:
        raise Unreachable(f"the webhook answered {status}")
    return False


async def forget(node: Node) -> None:
    """Drop what is long over. What goes on is remembered: it would be told again as if it were new."""
    before = node.clock() - KEPT
    async with node.store.read() as reading:
        if not await reading.alerts.any_over(before):
            return
    own = await _own(node)
    async with node.store.write() as tx:
        await tx.alerts.lock()
        going_on = [*_affecting(node, own), *await _silent(node, tx), *await _rejected(node, tx)]
        names = [one.name for one in going_on]
        names += [f"incident.unanswered {line.incident.id}" for line in own]
        await tx.alerts.forget(before, names)
