"""The state of an operator's services, from the incidents that a reader may see and the age of their copy.

"No fault known" is said of a copy only that its origin has signed lately, or of the node's own records. In
all other cases the state is unknown: an outage may have been published since.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

import msgspec

from federation.domain.content.incident import Incident
from federation.domain.document import Document
from federation.domain.exposure.answers import CopyAge
from federation.domain.values import instant

ServiceKind = Literal["outage", "degradation", "maintenance"]
SERVICE_KINDS: tuple[ServiceKind, ...] = ("outage", "degradation", "maintenance")
"""Kinds of incidents that say whether a service works."""
GOING_ON = ("investigating", "identified", "monitoring", "scheduled", "in_progress", "verifying")
"""Statuses of those that are not over."""
OVER = ("resolved", "completed")
ServiceState = Literal["down", "degraded", "maintenance", "none-known", "unknown"]
_WORST_FIRST: tuple[ServiceState, ...] = ("down", "degraded", "maintenance", "unknown", "none-known")


class ServiceEvent(msgspec.Struct, frozen=True):
    """An outage, a degraded service or a maintenance."""

    id: str
    origin: str
    content: Incident
    updated_at: str
    operators: frozenset[str]
    """Its origin, and the operators of the deployments that it names."""
    created_at: str = ""

    @classmethod
    def of(cls, document: bytes) -> ServiceEvent:
        record = _decoder.decode(document)
        assert record.content is not None  # noqa: S101 - no tombstone is given
        named = {name.partition("/")[0] for entry in record.content.affects for name in entry.deployments}
        return cls(
            f"{record.origin}/{record.key}",
            record.origin,
            record.content,
            record.updated_at,
            frozenset({record.origin, *named}),
            record.created_at,
        )

    @property
    def since(self) -> str | None:
        """The instant at which it began, or is to begin."""
        content = self.content
        return content.scheduled_for if content.kind == "maintenance" else (
            content.started_at or content.detected_at
        )  # fmt: skip

    def is_to_come(self, now: datetime) -> bool:
        """True for a maintenance that has not begun."""
        content = self.content
        return (
            content.kind == "maintenance"
            and content.status == "scheduled"
            and content.scheduled_for is not None
            and instant(content.scheduled_for) > now
        )

    def state(self, now: datetime) -> ServiceState | None:
        """The state of its services by it; None while it is to come.

        A maintenance whose window is over, and whose end nobody has reported, leaves the state unknown.
        """
        content = self.content
        if self.is_to_come(now):
            return None
        if content.kind == "maintenance":
            return "unknown" if content.is_overdue(now) else "maintenance"
        return "down" if content.kind == "outage" and content.status != "monitoring" else "degraded"


_decoder = msgspec.json.Decoder(Document[Incident])


class OperatorState(msgspec.Struct, frozen=True):
    """The state of the services of one operator."""

    operator: str
    name: str
    state: ServiceState
    since: str | None
    """The earliest beginning of what makes it so."""
    events: tuple[ServiceEvent, ...]
    """Those going on, the worst first."""
    planned: tuple[ServiceEvent, ...]
    """Maintenance to come, the next one first."""
    copy: CopyAge

    @property
    def is_doubtful(self) -> bool:
        """True where an outage may have been published that has not arrived here."""
        return self.copy.state not in ("own", "verified")


def operator_state(
    operator: str, name: str, events: Iterable[ServiceEvent], copy: CopyAge, now: datetime
) -> OperatorState:
    """The state of an operator, from the events that concern it."""
    concerning = [event for event in events if operator in event.operators]
    going_on = [(state, event) for event in concerning if (state := event.state(now)) is not None]
    going_on.sort(key=lambda pair: (_WORST_FIRST.index(pair[0]), pair[1].since or ""))
    planned = sorted(
        (event for event in concerning if event.is_to_come(now)), key=lambda event: event.since or ""
    )
    none: ServiceState = "none-known" if copy.state in ("own", "verified") else "unknown"
    state = going_on[0][0] if going_on else none
    times = [event.since for part, event in going_on if part == state and event.since]
    return OperatorState(
        operator,
        name,
        state,
        min(times, key=instant) if times else None,
        tuple(event for _, event in going_on),
        tuple(planned),
        copy,
    )


def worst_first(states: Iterable[OperatorState]) -> tuple[OperatorState, ...]:
    """States in the order in which a page shows them."""
    return tuple(sorted(states, key=lambda state: (_WORST_FIRST.index(state.state), state.name.lower())))
