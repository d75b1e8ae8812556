"""Subscriptions to events, and the alerts that were sent."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from federation.client.answers import AlertStatus, SubscriptionSecret, SubscriptionStatus
from federation.client.names import query_pairs
from federation.client.sender import JSON, Sender
from federation.domain.alert import NewSubscription


class _Subscriptions(msgspec.Struct):
    subscriptions: tuple[SubscriptionStatus, ...]


class _Alerts(msgspec.Struct):
    alerts: tuple[AlertStatus, ...]


class Alerts:
    """The alerts of the operator, and their receivers."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    async def list(
        self, *, parked: bool = False, withheld: bool = False, origin: str | None = None
    ) -> tuple[AlertStatus, ...]:
        """The last alerts; only those given up, those that a digest counts, or those about one operator."""
        pairs = query_pairs({"parked": parked or None, "withheld": withheld or None, "origin": origin})
        return (await self._sender.decoded(_Alerts, "GET", "/v1/alerts", parameters=tuple(pairs))).alerts

    async def replay(self, id_: str) -> None:
        """Deliver an alert again. Raises NotFound."""
        await self._sender.send("POST", f"/v1/alerts/{quote(id_, safe='')}/replay")

    async def subscriptions(self) -> tuple[SubscriptionStatus, ...]:
        """All subscriptions, without their secrets."""
        return (await self._sender.decoded(_Subscriptions, "GET", "/v1/subscriptions")).subscriptions

    async def subscribe(self, subscription: NewSubscription) -> SubscriptionSecret:
        """Have a webhook or a mailbox receive the alerts of these events.

        The answer has the secret of the webhook, this once. Where it is lost on its way, a repeated
        request raises Conflict with the code ``answer-not-stored``: the subscription is there, and its
        secret is not known.
        """
        return await self._sender.decoded(
            SubscriptionSecret,
            "POST",
            "/v1/subscriptions",
            content=msgspec.json.encode(subscription),
            headers={"content-type": JSON},
        )

    async def unsubscribe(self, id_: str) -> None:
        """Remove a subscription and its alerts. Raises NotFound."""
        await self._sender.send("DELETE", f"/v1/subscriptions/{quote(id_, safe='')}")
