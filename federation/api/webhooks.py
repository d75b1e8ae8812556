"""The alerts that a node sends to webhooks (Standard Webhooks 1.0), as the OpenAPI document describes them.

The structs describe what ``alert_events``, ``alert_floods`` and ``alert_delivery`` of ``node/`` write.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from federation.domain.alert import (
    DIGEST_EVENT,
    DIGEST_EVENT_MEANING,
    EVENT_MEANINGS,
    TEST_EVENT,
    TEST_EVENT_MEANING,
)
from federation.domain.content.incident import IncidentKind, IncidentStatus
from federation.domain.values import Id, Instant, LanguageMap, Operator, Url
from federation.domain.visibility import Tlp

D = TypeVar("D")


class _Linked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    link: Url
    """Where to read more, with a token."""


class _OfIncident(_Linked, frozen=True, kw_only=True, omit_defaults=True):
    id: Id
    title: LanguageMap | None = None
    kind: IncidentKind | None = None
    status: IncidentStatus | None = None
    severity: str | None = None


class IncidentChange(_OfIncident, frozen=True, kw_only=True, omit_defaults=True):
    """An incident that was published or changed; its content only where it is CLEAR or GREEN."""

    revision: int
    tlp: Tlp


class IncidentEffect(_OfIncident, frozen=True, kw_only=True, omit_defaults=True):
    """An incident that affects deployments of one's own, or may affect them."""

    affected: int
    unknown: int
    deployments: tuple[Id, ...]
    same_vulnerability: tuple[Id, ...] | None = None
    reopened: bool | None = None


class PeerAlert(_Linked, frozen=True, kw_only=True, omit_defaults=True):
    """A peer that is silent, or paused."""

    id: Operator
    reason: str | None = None


class RejectedAlert(_Linked, frozen=True, kw_only=True, omit_defaults=True):
    """An entry of a peer's feed that was rejected; its key may not be one."""

    id: str
    type: str
    reason: str


class HiddenContributionAlert(_Linked, frozen=True, kw_only=True, omit_defaults=True):
    """A contribution of one's own that fewer readers see than its label says: narrow or retract it."""

    id: Id
    about: Id
    """The record that it is about."""
    about_type: str


class SourceAlert(_Linked, frozen=True, kw_only=True, omit_defaults=True):
    """A source of records that could not be read several times in a row."""

    id: str
    reason: str


class WithheldAlerts(_Linked, frozen=True, kw_only=True, omit_defaults=True):
    """Alerts of one operator that were more than a receiver gets one by one within an hour."""

    id: Operator
    message: str
    withheld: int
    affecting: int
    since: Instant
    until: Instant
    incidents: Url


class SubscriptionTest(_Linked, frozen=True, kw_only=True, omit_defaults=True):
    """A subscription that somebody tries."""

    id: str


WEBHOOKS: dict[str, Any] = {
    "incident.published": IncidentChange,
    "incident.changed": IncidentChange,
    "incident.affects-mine": IncidentEffect,
    "incident.unanswered": IncidentEffect,
    "peer.stale": PeerAlert,
    "peer.paused": PeerAlert,
    "record.rejected": RejectedAlert,
    "contribution.hidden": HiddenContributionAlert,
    "source.failing": SourceAlert,
    DIGEST_EVENT: WithheldAlerts,
    TEST_EVENT: SubscriptionTest,
}
"""The data of each alert, by its event."""
_MEANINGS: dict[str, str] = {
    **{event: meaning for event, meaning in EVENT_MEANINGS.items()},
    DIGEST_EVENT: DIGEST_EVENT_MEANING,
    TEST_EVENT: TEST_EVENT_MEANING,
}
_HEADERS = (
    "`webhook-id`: the alert, the same at each attempt. `webhook-timestamp`: seconds since 1970, when this"
    " attempt was made. `webhook-signature`: `v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64;"
    " there may be several, separated by spaces. Verify it over the bytes of the body, and answer within a"
    " minute."
)
"""Headers in words: of parameters of a webhook openapi-generator makes Python that does not parse."""


def webhooks() -> dict[str, Any]:
    """The ``webhooks`` of the OpenAPI document: one for each event."""
    return {event: {"post": _delivery(event, struct.__name__)} for event, struct in WEBHOOKS.items()}


def _delivery(event: str, data: str) -> dict[str, Any]:
    meaning = _MEANINGS[event]
    words = "".join(word.capitalize() for word in event.replace("-", ".").split("."))
    return {
        "operationId": f"on{words}",
        "summary": f"{meaning[0].upper()}{meaning[1:]}",
        "description": f"{meaning[0].upper()}{meaning[1:]}. Headers (Standard Webhooks): {_HEADERS}",
        "tags": ["webhooks"],
        "security": [],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["type", "timestamp", "data"],
                        "properties": {
                            "type": {"type": "string", "const": event},
                            "timestamp": {"$ref": "#/components/schemas/Instant"},
                            "data": {"$ref": f"#/components/schemas/{data}"},
                        },
                    }
                }
            },
        },
        "responses": {
            "204": {"description": "The alert is stored; any other 2xx says the same."},
            "410": {"description": "The receiver wants no more of them: the subscription ends."},
            "503": {"description": "Try again later; `Retry-After` is kept, as of 429."},
        },
    }
