"""Subscriptions and alerts at rest. An alert is made once for each event and subscription."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Boolean, Text, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from federation.domain.alert import LEASE, Alert, AlertState, NewSubscription
from federation.store.statements import Session, Statement, param
from federation.store.tables import Moment, alerts, subscriptions

MOST_LISTED = 500
WINDOW = 1_000
"""Arrivals that make their alerts in one transaction."""
DUE = 20
"""Alerts that are delivered at once."""
MOST_LOOKED = 1_000
"""Alerts that are due among which those are chosen: a backlog is not sorted again and again."""
DUE_OF_ONE = 4
"""Alerts of one subscription that are among them, at most: a receiver that is down holds up nobody else's."""


class Subscription(msgspec.Struct, frozen=True):
    """A subscription as it is stored."""

    id: str
    events: tuple[str, ...]
    webhook: str | None
    email: str | None
    unanswered_hours: int
    private: bool
    active: bool
    created_at: datetime
    secret: str


class DueDelivery(msgspec.Struct, frozen=True):
    """An alert that is to be delivered now, and to whom."""

    alert: Alert
    attempts: int
    incident: bytes | None
    """The document of the incident it is about, where everybody in the federation may read it."""
    subscription: Subscription


_s, _a = subscriptions.c, alerts.c
_SUBSCRIPTION = (
    _s.id, _s.events, _s.webhook, _s.email, _s.unanswered_hours, _s.private, _s.active, _s.created_at,
    _s.secret,
)  # fmt: skip
_ALL = Statement(select(*_SUBSCRIPTION).order_by(_s.id))
_ADD = Statement(
    insert(subscriptions).values(
        id=param("id", Text), events=param("events", ARRAY(Text)), webhook=param("webhook", Text),
        email=param("email", Text), secret=param("secret", Text),
        unanswered_hours=param("unanswered_hours"), private=param("private"),
    )
)  # fmt: skip
_REMOVE = Statement(delete(subscriptions).where(_s.id == param("id", Text)))
_SILENCE = Statement(update(subscriptions).where(_s.id == param("id", Text)).values(active=False))
_LISTED = (
    _a.id, _a.subscription, _a.event, _a.subject, _a.at, _a.attempts, _a.next_try_at, _a.delivered_at,
    _a.parked_at, _a.failure,
)  # fmt: skip
_LIST = Statement(
    select(*_LISTED)
    .where(
        or_(param("parked", Boolean).is_(False), _a.parked_at.is_not(None)),
        or_(param("of", Text) == "", _a.subscription == param("of", Text)),
    )
    .order_by(_a.at.desc(), _a.id.desc())
    .limit(param("limit"))
)
_MAKE = """
INSERT INTO alerts (id, subscription, name, event, subject, data, at, next_try_at)
SELECT * FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[],
    $7::timestamptz[], $7::timestamptz[]
)
ON CONFLICT (subscription, name) DO NOTHING
"""
_CLAIM = """
WITH waiting AS (
    SELECT id, row_number() OVER (PARTITION BY subscription ORDER BY next_try_at, id) AS place
    FROM (
        SELECT id, subscription, next_try_at FROM alerts WHERE next_try_at <= $1
        ORDER BY next_try_at LIMIT $5
    ) AS first
),
due AS (
    SELECT a.id, a.event, a.subject FROM alerts AS a JOIN waiting AS w ON w.id = a.id
    -- Asked again, of the row as it is once it is locked: another process may have taken it.
    WHERE w.place <= $4 AND a.next_try_at <= $1
    ORDER BY a.next_try_at, a.id LIMIT $2 FOR UPDATE OF a SKIP LOCKED
)
UPDATE alerts AS a SET attempts = a.attempts + 1, next_try_at = $1 + $3::interval
FROM subscriptions AS s, due
-- The incident as everybody may read it now, and not as it was when the alert was made.
LEFT JOIN records AS r ON due.event IN ('incident.published', 'incident.changed')
    AND r.type = 'incident' AND r.origin = split_part(due.subject, '/', 1)
    AND r.key = split_part(due.subject, '/', 2) AND NOT r.retracted AND r.tlp IN ('CLEAR', 'GREEN')
WHERE a.id = due.id AND s.id = a.subscription
RETURNING a.id, a.event, a.subject, a.at, a.data, a.attempts, r.document,
    s.id AS sid, s.events, s.webhook, s.email, s.unanswered_hours, s.private, s.active, s.created_at, s.secret
"""
_DELIVERED = Statement(
    update(alerts)
    .where(_a.id == param("id", Text))
    .values(delivered_at=func.now(), next_try_at=None, parked_at=None, failure=None)
)
_FAILED = Statement(
    update(alerts)
    # Only of the attempt that it was: a later one, or a replay, may have come to another end.
    .where(_a.id == param("id", Text), _a.attempts == param("attempts"), _a.delivered_at.is_(None))
    .values(
        next_try_at=param("next_try_at", Moment),
        parked_at=param("parked_at", Moment),
        failure=param("why", Text),
    )
)
_POSTPONE = Statement(
    update(alerts)
    .where(_a.subscription == param("subscription", Text), _a.next_try_at <= param("now", Moment))
    .values(next_try_at=param("again", Moment))
)
_PARK_ALL = Statement(
    update(alerts)
    .where(_a.subscription == param("subscription", Text), _a.next_try_at.is_not(None))
    .values(next_try_at=None, parked_at=param("now", Moment), failure=param("why", Text))
)
_AS_NEW: dict[str, Any] = {
    "next_try_at": func.now(), "at": func.now(), "delivered_at": None, "parked_at": None, "attempts": 0,
    "failure": None,
}  # fmt: skip
_REPLAY = Statement(update(alerts).where(_a.id == param("id", Text)).values(**_AS_NEW))
_REPLAY_PARKED = Statement(
    update(alerts)
    .where(
        _a.parked_at.is_not(None),
        or_(param("subscription", Text) == "", _a.subscription == param("subscription", Text)),
    )
    .values(**_AS_NEW)
)
_FORGET = Statement(
    delete(alerts).where(
        _a.at < param("before", Moment),
        _a.next_try_at.is_(None),
        _a.name != param("going_on", ARRAY(Text)).all_(),
    )
)
_ARRIVED = """
SELECT r.origin, r.key, r.revision, r.retracted, r.tlp, r.created_at, r.updated_at
FROM records AS r WHERE r.arrived > $1 AND r.arrived <= $2 AND r.type = 'incident'
ORDER BY r.arrived
"""


class AlertsReader:
    """Subscriptions and alerts of this operator; who asks has been found to be its own."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def subscriptions(self) -> tuple[Subscription, ...]:
        return tuple(_subscription(row) for row in await self._session.all(_ALL))

    async def last_arrival(self) -> int:
        return int(await self._session.connection.fetchval("SELECT arrival FROM node"))

    async def behind(self) -> bool:
        """Whether something has arrived that made no alerts yet, and somebody wants to be told."""
        return bool(
            await self._session.connection.fetchval(
                "SELECT node.arrival <> alerting.arrival AND EXISTS (SELECT FROM subscriptions WHERE active)"
                " FROM node, alerting"
            )
        )

    async def any_due(self, now: datetime) -> bool:
        """Whether there is an alert to be delivered now."""
        return bool(
            await self._session.connection.fetchval(
                "SELECT EXISTS (SELECT FROM alerts WHERE next_try_at <= $1)", now
            )
        )

    async def any_over(self, before: datetime) -> bool:
        """Whether there is an alert that was delivered or parked, and was noticed before this."""
        return bool(
            await self._session.connection.fetchval(
                "SELECT EXISTS (SELECT FROM alerts WHERE at < $1 AND next_try_at IS NULL)", before
            )
        )

    async def pending(self) -> tuple[int, int]:
        """How many alerts were tried and wait to be tried again, and how many are parked."""
        row = await self._session.connection.fetchrow(
            "SELECT (SELECT count(*) FROM alerts WHERE next_try_at IS NOT NULL AND attempts > 0),"
            " (SELECT count(*) FROM alerts WHERE parked_at IS NOT NULL)"
        )
        return row[0], row[1]

    async def listed(
        self, *, parked: bool, of: str | None = None, limit: int = MOST_LISTED
    ) -> tuple[AlertState, ...]:
        """The last alerts, newest first, or those that were given up; of one subscription or of all."""
        rows = await self._session.all(_LIST, parked=parked, of=of or "", limit=limit)
        return tuple(AlertState(*row) for row in rows)


class AlertsWriter(AlertsReader):
    """Subscriptions and alerts of this operator, in a transaction that may change them."""

    async def subscribe(self, id_: str, wanted: NewSubscription, secret: str) -> None:
        await self._session.run(
            _ADD,
            id=id_,
            events=list(wanted.events),
            webhook=wanted.webhook,
            email=wanted.email,
            secret=secret,
            unanswered_hours=wanted.unanswered_hours,
            private=wanted.private,
        )

    async def unsubscribe(self, id_: str) -> bool:
        return await self._session.run(_REMOVE, id=id_) == 1

    async def silence(self, id_: str, why: str, now: datetime) -> None:
        """Make no more alerts for a subscription, and park those there are: its receiver said it is gone."""
        await self._session.run(_SILENCE, id=id_)
        await self._session.run(_PARK_ALL, subscription=id_, now=now, why=why)

    async def lock(self) -> int:
        """The number of the last arrival that has made its alerts; nobody else makes any until the commit."""
        return int(await self._session.connection.fetchval("SELECT arrival FROM alerting FOR UPDATE"))

    async def arrived(self, after: int, until: int) -> list[Any]:
        """Incidents that arrived: origin, key, revision, retracted, tlp, created_at, updated_at."""
        rows: list[Any] = await self._session.connection.fetch(_ARRIVED, after, until)
        return rows

    async def advance(self, arrival: int) -> None:
        await self._session.connection.execute("UPDATE alerting SET arrival = $1", arrival)

    async def make(self, several: Sequence[tuple[str, str, Alert]]) -> int:
        """Make alerts: (subscription, name of the event, alert). Those that were made before are left."""
        if not several:
            return 0
        tag = await self._session.connection.execute(
            _MAKE,
            [one.id for _, _, one in several],
            [subscription for subscription, _, _ in several],
            [name for _, name, _ in several],
            [one.event for _, _, one in several],
            [one.subject for _, _, one in several],
            [msgspec.json.encode(one.data) for _, _, one in several],
            [one.at for _, _, one in several],
        )
        return int(tag.rsplit(" ", 1)[-1])

    async def claim(self, now: datetime) -> tuple[DueDelivery, ...]:
        """Alerts to be delivered now; for a while nobody else takes them."""
        rows = await self._session.connection.fetch(_CLAIM, now, DUE, LEASE, DUE_OF_ONE, MOST_LOOKED)
        return tuple(
            DueDelivery(
                Alert(id=row[0], event=row[1], subject=row[2], at=row[3], data=msgspec.json.decode(row[4])),
                row[5],
                row[6],
                _subscription(row[7:]),
            )
            for row in rows
        )

    async def delivered(self, id_: str) -> None:
        await self._session.run(_DELIVERED, id=id_)

    async def failed(
        self, id_: str, attempts: int, why: str, *, again: datetime | None, parked: datetime | None
    ) -> bool:
        """Note that this attempt has failed. False when it is not the last one any more."""
        wanted = {
            "id": id_,
            "attempts": attempts,
            "why": why[:500],
            "next_try_at": again,
            "parked_at": parked,
        }
        return await self._session.run(_FAILED, **wanted) == 1

    async def postpone(self, subscription: str, now: datetime, again: datetime) -> None:
        """Try what is due for a subscription later."""
        await self._session.run(_POSTPONE, subscription=subscription, now=now, again=again)

    async def replay(self, id_: str) -> bool:
        """Deliver an alert again, from now on as if it were new."""
        return await self._session.run(_REPLAY, id=id_) == 1

    async def replay_parked(self, subscription: str | None) -> int:
        """Deliver again all that were given up, of one subscription or of all. Returns how many."""
        return await self._session.run(_REPLAY_PARKED, subscription=subscription or "")

    async def forget(self, before: datetime, going_on: Sequence[str]) -> None:
        """Drop what was delivered or parked so long ago that nobody asks, but for events that go on."""
        await self._session.run(_FORGET, before=before, going_on=list(going_on))


def _subscription(row: Any) -> Subscription:
    id_, events, *rest = row
    return Subscription(id_, tuple(events), *rest)
