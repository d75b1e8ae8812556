"""Subscriptions to alerts, and alerts that are sent again.

Alerts are added by ``alert_scan`` and sent by ``alert_delivery``.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from federation.domain.alert import AlertState, NewSubscription, is_mailbox, mint_webhook_secret
from federation.domain.document import mint_key
from federation.domain.errors import Invalid, NotFound, Unreachable
from federation.domain.feed import printable
from federation.node.node import Node
from federation.node.repeats import KeyedRequest
from federation.store.alerts import Subscription

MAX_SUBSCRIPTIONS = 100
"""Subscriptions of a node."""


class Subscribed(msgspec.Struct, frozen=True):
    """A new subscription; its secret is returned this once."""

    id: str
    secret: str


def check_subscription(node: Node, new: NewSubscription) -> None:
    """Raises Invalid where alerts could not be sent: a webhook that may not be called, no mail server."""
    if new.webhook is not None:
        try:
            node.others.check_webhook(new.webhook, private=new.private)
        except Unreachable as error:
            raise Invalid(error.message, pointer="/webhook", fault="address", rule=27) from None
        return
    if not node.others.sends_mail:
        raise Invalid("this node sends no e-mail: FEDERATION_SMTP_URL is not set", pointer="/email")
    if not is_mailbox(new.email or ""):
        raise Invalid("email is an address of plain ASCII characters, without quotes", pointer="/email")


async def subscribe(
    node: Node, new: NewSubscription, *, by: str, keyed: KeyedRequest | None = None
) -> Subscribed:
    """Add a subscription to events from now on, in the name of ``by`` (audit trail). Raises Invalid."""
    check_subscription(node, new)
    subscribed = Subscribed(mint_key(), mint_webhook_secret())
    async with node.store.write() as tx:
        # No scan runs meanwhile: all changes after the commit have alerts for this subscription.
        if keyed is not None:
            await keyed.begin(tx)
        await tx.alerts.lock()
        subscriptions = await tx.alerts.subscriptions()
        if len(subscriptions) >= MAX_SUBSCRIPTIONS:
            raise Invalid(
                "there are {maximum} subscriptions already; remove one first", maximum=MAX_SUBSCRIPTIONS
            )
        if not any(stored.active for stored in subscriptions):
            # Changes before the first subscription have no alerts.
            await tx.alerts.advance(await tx.alerts.last_change())
        await tx.alerts.subscribe(subscribed.id, new, subscribed.secret)
        to = urlsplit(new.webhook).hostname if new.webhook else new.email
        await tx.audit.note(
            "subscription.added",
            actor=by,
            subject=subscribed.id,
            # Only the host of a webhook: its path may be a secret.
            detail={"to": to or "", "events": " ".join(new.events)},
        )
        if keyed is not None:
            await keyed.store(tx, subscribed)
    return subscribed


async def list_subscriptions(node: Node) -> tuple[Subscription, ...]:
    """All subscriptions of the node."""
    async with node.store.read() as tx:
        return await tx.alerts.subscriptions()


async def list_alerts(
    node: Node, *, parked: bool, withheld: bool = False, origin: str | None = None
) -> tuple[AlertState, ...]:
    """The last alerts, newest first; only those that were given up or withheld, or of one origin."""
    async with node.store.read() as tx:
        return await tx.alerts.listed(parked=parked, withheld=withheld, origin=origin)


async def unsubscribe(node: Node, id_: str, *, by: str) -> None:
    """Remove a subscription and its alerts. Raises NotFound."""
    async with node.store.write() as tx:
        await tx.alerts.lock()  # else a scan could add alerts for it
        if not await tx.alerts.unsubscribe(id_):
            raise unknown_subscription(id_)
        await tx.audit.note("subscription.removed", actor=by, subject=id_)


async def replay(node: Node, *ids: str) -> None:
    """Deliver alerts again: all of them or, where one does not exist, none. Raises NotFound."""
    async with node.store.write() as tx:
        for id_ in ids:
            if not await tx.alerts.replay(id_):
                raise NotFound("there is no alert {id}", id=printable(id_, 80))


async def replay_parked(node: Node, subscription: str | None = None) -> int:
    """Deliver parked alerts again, of one subscription or of all. Returns how many. Raises NotFound."""
    async with node.store.write() as tx:
        if subscription and all(stored.id != subscription for stored in await tx.alerts.subscriptions()):
            raise unknown_subscription(subscription)
        return await tx.alerts.replay_parked(subscription)


def unknown_subscription(id_: str) -> NotFound:
    return NotFound("there is no subscription {id}", id=printable(id_, 80))
