"""Subscriptions to alerts, and alerts that are sent again.

A person sees and changes the subscriptions that are theirs, an administrator and the operator's IT systems
all of them. To others a subscription is as if it were not there.

Alerts are added by ``alert_scan`` and sent by ``alert_delivery``.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from federation.domain.alert import AlertState, NewSubscription, is_mailbox, mint_webhook_secret
from federation.domain.audit import actor_of
from federation.domain.document import mint_key
from federation.domain.errors import Forbidden, Invalid, MissingScope, NotFound, Unreachable
from federation.domain.feed import printable
from federation.domain.visibility import Caller
from federation.node import alert_viewers
from federation.node.node import Node
from federation.node.repeats import KeyedRequest
from federation.store.alerts import Subscription
from federation.store.database import Reading, Writing

MAX_SUBSCRIPTIONS = 100
"""Subscriptions of a node."""
MAX_SUBSCRIPTIONS_OF_PERSON = 10
"""Of these, those of one person."""


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
    node: Node, new: NewSubscription, *, by: Caller, keyed: KeyedRequest | None = None
) -> Subscribed:
    """Add a subscription to events from now on. Raises Invalid, Forbidden."""
    check_subscription(node, new)
    _check_rights(new, by)
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
        of_person = [stored for stored in subscriptions if by.person and stored.person == by.person]
        if len(of_person) >= MAX_SUBSCRIPTIONS_OF_PERSON:
            raise Invalid(
                "you have {maximum} subscriptions already; remove one first",
                maximum=MAX_SUBSCRIPTIONS_OF_PERSON,
            )
        if not any(stored.active for stored in subscriptions):
            # Changes before the first subscription have no alerts.
            await tx.alerts.advance(await tx.alerts.last_change())
        await tx.alerts.subscribe(subscribed.id, new, subscribed.secret, by.person)
        to = urlsplit(new.webhook).hostname if new.webhook else new.email
        await tx.audit.note(
            "subscription.added",
            actor=actor_of(by),
            subject=subscribed.id,
            # Only the host of a webhook: its path may be a secret.
            detail={"to": to or "", "events": " ".join(new.events)},
        )
        if keyed is not None:
            await keyed.store(tx, subscribed)
    return subscribed


def _check_rights(new: NewSubscription, by: Caller) -> None:
    """Raises Forbidden where a person may not have such a subscription."""
    if by.person is None:
        return
    if new.private and "node.admin" not in by.scopes:
        raise MissingScope("private is for callers with the scope {scope}", scope="node.admin")
    if not by.sees_all and (events := sorted(alert_viewers.EVENTS_FOR_ALL & {*new.events})):
        raise Forbidden(
            "{events} are for people who see everything; choose other events",
            pointer="/events",
            fault="not-allowed",
            events=", ".join(events),
        )


def is_subscription_of(stored: Subscription, by: Caller) -> bool:
    """True if the caller may see and change a subscription."""
    return _only_of(by) in (None, stored.person)


def _only_of(by: Caller) -> str | None:
    """The person whose subscriptions alone the caller may see; None for all of them."""
    return None if "node.admin" in by.scopes else by.person


async def list_subscriptions(node: Node, *, by: Caller) -> tuple[Subscription, ...]:
    """The subscriptions that the caller may see and change."""
    async with node.store.read() as tx:
        return tuple(stored for stored in await tx.alerts.subscriptions() if is_subscription_of(stored, by))


async def list_alerts(
    node: Node, *, by: Caller, parked: bool, withheld: bool = False, origin: str | None = None
) -> tuple[AlertState, ...]:
    """The last alerts of these subscriptions, newest first.

    Only those that were given up or withheld, or of one origin. An alert of a record that the caller may not
    see any more is left out.
    """
    async with node.store.read() as tx:
        states = await tx.alerts.listed(parked=parked, withheld=withheld, origin=origin, person=_only_of(by))
        if by.sees_all:
            return states
        subscriptions = {stored.id: stored for stored in await tx.alerts.subscriptions()}
        known = [state for state in states if state.subscription in subscriptions]
        hidden = await alert_viewers.hidden(
            node,
            tx,
            [(state.id, state.event, state.subject) for state in known],
            [subscriptions[state.subscription] for state in known],
        )
    return tuple(state for state in known if state.id not in hidden)


async def unsubscribe(node: Node, id_: str, *, by: Caller) -> None:
    """Remove a subscription and its alerts. Raises NotFound."""
    async with node.store.write() as tx:
        await tx.alerts.lock()  # else a scan could add alerts for it
        await _check_subscription_of(tx, id_, by)
        await tx.alerts.unsubscribe(id_)
        await tx.audit.note("subscription.removed", actor=actor_of(by), subject=id_)


async def replay(node: Node, *ids: str, by: Caller) -> None:
    """Deliver alerts again: all of them or, where one does not exist, none. Raises NotFound."""
    async with node.store.write() as tx:
        for id_ in ids:
            stored = await tx.alerts.subscription_of(id_)
            if stored is None or not is_subscription_of(stored, by):
                raise NotFound("there is no alert {id}", id=printable(id_, 80))
            await tx.alerts.replay(id_)


async def replay_parked(node: Node, subscription: str | None = None, *, by: Caller) -> int:
    """Deliver parked alerts again, of one subscription or of all. Returns how many. Raises NotFound."""
    async with node.store.write() as tx:
        if subscription:
            await _check_subscription_of(tx, subscription, by)
        return await tx.alerts.replay_parked(subscription, _only_of(by))


async def _check_subscription_of(tx: Reading | Writing, id_: str, by: Caller) -> None:
    for stored in await tx.alerts.subscriptions():
        if stored.id == id_ and is_subscription_of(stored, by):
            return
    raise unknown_subscription(id_)


def unknown_subscription(id_: str) -> NotFound:
    return NotFound("there is no subscription {id}", id=printable(id_, 80))
