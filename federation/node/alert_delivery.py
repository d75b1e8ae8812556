"""Deliver alerts by webhook and e-mail.

1. ``deliver`` claims the due alerts in one transaction: each is leased to this process.
2. Each is sent outside of any transaction, in ``ATTEMPT_TIMEOUT``, with the present content of its incident.
3. The result is stored: delivered, to be tried again, or parked. A receiver that is gone is deactivated.

A process that dies between 2 and 3 leaves its lease to expire. The alert is then sent again, under the same
``webhook-id`` or ``Message-ID``.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime

import msgspec

from federation.domain.alert import (
    ATTEMPT_TIMEOUT,
    MAX_DELIVERY_TIME,
    TEST_EVENT,
    Alert,
    compose_letter,
    next_wait,
    signature,
)
from federation.domain.document import mint_key
from federation.domain.errors import Unreachable
from federation.domain.values import as_instant
from federation.domain.visibility import Caller
from federation.node import alert_viewers
from federation.node.alerts import is_subscription_of, unknown_subscription
from federation.node.node import Node
from federation.store.alerts import DueDelivery, Subscription

log = logging.getLogger("federation.alerts")

MAX_DELIVERY_TASKS = 4
"""Deliveries of a process that run at once: a receiver that does not answer occupies one or two of them."""

RECEIVER_GONE = "the receiver is gone (410)"

INCIDENT_MEMBERS = ("title", "kind", "status", "severity")
"""Members of a CLEAR or GREEN incident that its alert has. Of other incidents it has ids and links."""


async def send_test(node: Node, id_: str, *, by: Caller) -> Subscription:
    """Send a test event to a subscription, now and once. Raises NotFound, Unreachable."""
    async with node.store.read() as tx:
        to = next((stored for stored in await tx.alerts.subscriptions() if stored.id == id_), None)
    if to is None or not is_subscription_of(to, by):
        raise unknown_subscription(id_)
    now = node.clock()
    data = {"id": to.id, "link": f"{node.url}/v1/subscriptions"}
    alert = Alert(id=mint_key(), event=TEST_EVENT, subject=to.id, at=now, data=data)
    if await _send(node, alert, to, now):
        raise Unreachable(RECEIVER_GONE, final=True)
    return to


async def deliver(node: Node) -> int:
    """Deliver the alerts that are due. Returns how many were accepted."""
    async with node.store.read() as reading:
        if not await reading.alerts.any_due(node.clock()):
            return 0
    async with node.store.write() as tx:
        claimed = await tx.alerts.claim(node.clock())
        # A person's ceiling, or the label of the incident, may have changed since.
        hidden = await alert_viewers.hidden(
            node,
            tx,
            [(due.alert.id, due.alert.event, due.alert.subject) for due in claimed],
            [due.subscription for due in claimed],
        )
        if hidden:
            await tx.alerts.drop(hidden)
            claimed = tuple(due for due in claimed if due.alert.id not in hidden)
    return sum(await asyncio.gather(*(_deliver(node, due) for due in claimed)))


async def _deliver(node: Node, due: DueDelivery) -> bool:
    """Send an alert and store the result, whatever it is. Returns whether it was accepted."""
    now = node.clock()
    gone = False
    failure: Unreachable | None = None
    try:
        async with asyncio.timeout(ATTEMPT_TIMEOUT.total_seconds()):
            gone = await _send(node, _with_content(due), due.subscription, now)
    except Unreachable as error:
        failure = error
    except TimeoutError:
        failure = Unreachable(f"it was not taken within {ATTEMPT_TIMEOUT.total_seconds():g} seconds")
    except Exception:
        log.exception("an alert could not be delivered", extra={"alert": due.alert.id})
        failure = Unreachable("it could not be delivered; the node's log says why")
    if failure is not None:
        await _store_failure(node, due, failure, now)
        return False
    async with node.store.write() as tx:
        if gone:
            await tx.alerts.deactivate(due.subscription.id, RECEIVER_GONE, now)
        else:
            await tx.alerts.mark_delivered(due.alert.id)
    return not gone


def _with_content(due: DueDelivery) -> Alert:
    """The alert with the public content of its incident.

    Content is added for each attempt and not stored: once an incident is withdrawn, or has fewer readers, no
    alert has it.
    """
    if due.incident is None:
        return due.alert
    content = msgspec.json.decode(due.incident).get("content", {})
    shown = {name: content[name] for name in INCIDENT_MEMBERS if name in content}
    return msgspec.structs.replace(due.alert, data=due.alert.data | shown)


async def _store_failure(node: Node, due: DueDelivery, failure: Unreachable, now: datetime) -> None:
    again = now + next_wait(due.attempts, retry_after=failure.retry_after)
    parked = failure.final or again > due.alert.at + MAX_DELIVERY_TIME
    async with node.store.write() as tx:
        stored = await tx.alerts.mark_failed(
            due.alert.id,
            due.attempts,
            failure.detail,
            again=None if parked else again,
            parked=now if parked else None,
        )
        if stored and not failure.final:
            # Other alerts for this receiver wait too, and delay nobody else's.
            await tx.alerts.postpone(due.subscription.id, now, again)
    log.warning(
        "an alert was not taken",
        extra={"subscription": due.subscription.id, "reason": failure.detail, "parked": parked},
    )


async def _send(node: Node, alert: Alert, to: Subscription, now: datetime) -> bool:
    """Send an alert. Returns whether the receiver is gone (410). Raises Unreachable if it is not accepted."""
    if to.webhook is None:
        mail = compose_letter(alert, to=to.email or "", subscription=to.id, node=node.operator)
        await node.others.mail(mail)
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
