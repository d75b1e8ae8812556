"""Subscriptions and alerts, stored. There is one alert for each event and subscription."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Boolean, Text, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from federation.domain.alert import (
    ATTEMPT_LEASE,
    DIGEST_EVENT,
    UNBOUNDED_EVENTS,
    Alert,
    AlertFlood,
    AlertState,
    NewSubscription,
)
from federation.store.statements import Session, Statement, param
from federation.store.tables import Moment, alert_floods, alerts, subscriptions

MAX_LISTED = 500
MAX_CHANGES_PER_SCAN = 1_000
"""Entries of the change log whose alerts are added in one transaction."""
MAX_DUE = 20
"""Alerts that are claimed at once."""
MAX_DUE_CANDIDATES = 1_000
"""Due alerts among which those are chosen, so that no backlog is sorted again and again."""
MAX_DUE_PER_SUBSCRIPTION = 4
"""Alerts of one subscription among them, so that a receiver that is down delays no other."""


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
    person: str | None = None
    """The person whose it is; None for the operator's."""


class NewAlert(msgspec.Struct, frozen=True):
    """An alert to add for a subscription."""

    subscription: str
    name: str
    """Of the event: a subscription has one alert of a name."""
    origin: str
    """The operator it is about."""
    alert: Alert
    withheld: bool = False
    shares: str | None = None
    """Name of an alert that says the same: where that is sent, this one is not added."""


class DueDelivery(msgspec.Struct, frozen=True):
    """An alert that is due, and its subscription."""

    alert: Alert
    attempts: int
    incident: bytes | None
    """Document of its incident, where all of the federation may read it."""
    subscription: Subscription


_s, _a = subscriptions.c, alerts.c
_SUBSCRIPTION = (
    _s.id, _s.events, _s.webhook, _s.email, _s.unanswered_hours, _s.private, _s.active, _s.created_at,
    _s.secret, _s.person,
)  # fmt: skip
_ALL = Statement(select(*_SUBSCRIPTION).order_by(_s.id))
_ADD = Statement(
    insert(subscriptions).values(
        id=param("id", Text), events=param("events", ARRAY(Text)), webhook=param("webhook", Text),
        email=param("email", Text), secret=param("secret", Text),
        unanswered_hours=param("unanswered_hours"), private=param("private"), person=param("person", Text),
    )
)  # fmt: skip
_REMOVE = Statement(delete(subscriptions).where(_s.id == param("id", Text)))
_DEACTIVATE = Statement(update(subscriptions).where(_s.id == param("id", Text)).values(active=False))
_STATE = (
    _a.id, _a.subscription, _a.event, _a.subject, _a.at, _a.attempts, _a.next_try_at, _a.delivered_at,
    _a.parked_at, _a.failure, _a.origin, _a.withheld,
)  # fmt: skip
_of_person = select(_s.id).where(_s.person == param("person", Text))
_LIST = Statement(
    select(*_STATE)
    .where(
        or_(param("parked", Boolean).is_(False), _a.parked_at.is_not(None)),
        or_(param("withheld", Boolean).is_(False), _a.withheld),
        or_(param("of", Text) == "", _a.subscription == param("of", Text)),
        or_(param("origin", Text) == "", _a.origin == param("origin", Text)),
        or_(param("person", Text) == "", _a.subscription.in_(_of_person)),
    )
    .order_by(_a.at.desc(), _a.id.desc())
    .limit(param("limit"))
)
_ADD_ALERTS = """
INSERT INTO alerts (id, subscription, name, event, subject, data, at, origin, withheld, next_try_at)
SELECT *, CASE WHEN NOT withheld THEN at END FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[],
    $7::timestamptz[], $8::text[], $9::bool[]
) AS new(id, subscription, name, event, subject, data, at, origin, withheld)
ON CONFLICT (subscription, name) DO NOTHING
"""
_FIND_STORED = """
SELECT subscription, name, withheld FROM alerts JOIN unnest($1::text[], $2::text[]) AS new(subscription, name)
USING (subscription, name)
"""
_COUNT_SENT = """
SELECT subscription, origin, count(*) FROM alerts
WHERE origin = ANY($1::text[]) AND at > $2 AND NOT withheld AND event <> ALL($3::text[])
GROUP BY subscription, origin
"""
_f = alert_floods.c
_LIST_FLOODS = Statement(
    select(_f.subscription, _f.origin, _f.began_at, _f.last_at, _f.withheld).order_by(_f.began_at, _f.origin)
)
_STORE_FLOOD = Statement(
    (_flood := insert(alert_floods).values(
        subscription=param("subscription", Text), origin=param("origin", Text),
        began_at=param("began_at", Moment), last_at=param("last_at", Moment), withheld=param("withheld"),
    )).on_conflict_do_update(
        index_elements=["subscription", "origin"],
        set_={"last_at": _flood.excluded.last_at, "withheld": _flood.excluded.withheld},
    )
)  # fmt: skip
_REMOVE_FLOOD = Statement(
    delete(alert_floods).where(
        _f.subscription == param("subscription", Text), _f.origin == param("origin", Text)
    )
)
_LIST_WITHHELD_SUBJECTS = """
SELECT DISTINCT subject FROM alerts WHERE origin = $1 AND subscription = $2 AND at >= $3 AND withheld
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
    -- Checked again once the row is locked: another process may have claimed it.
    WHERE w.place <= $4 AND a.next_try_at <= $1
    ORDER BY a.next_try_at, a.id LIMIT $2 FOR UPDATE OF a SKIP LOCKED
)
UPDATE alerts AS a SET attempts = a.attempts + 1, next_try_at = $1 + $3::interval
FROM subscriptions AS s, due
-- The incident as everybody may read it now, and not as it was when the alert was made.
LEFT JOIN records AS r ON due.event IN ('incident.published', 'incident.changed')
    AND r.type = 'incident' AND r.origin = split_part(due.subject, '/', 1)
    AND r.key = split_part(due.subject, '/', 2) AND NOT r.retracted AND r.tlp IN ('CLEAR', 'GREEN')
    -- What is not understood may hold texts that are not as they look.
    AND r.not_understood IS NULL
WHERE a.id = due.id AND s.id = a.subscription
RETURNING a.id, a.event, a.subject, a.at, a.data, a.attempts, r.document,
    s.id AS sid, s.events, s.webhook, s.email, s.unanswered_hours, s.private, s.active, s.created_at,
    s.secret, s.person
"""
_DELIVERED = Statement(
    update(alerts)
    .where(_a.id == param("id", Text))
    .values(delivered_at=func.now(), next_try_at=None, parked_at=None, failure=None)
)
_FAILED = Statement(
    update(alerts)
    # Of this attempt only: a later one, or a replay, may have ended otherwise.
    .where(_a.id == param("id", Text), _a.attempts == param("attempts"), _a.delivered_at.is_(None))
    .values(
        next_try_at=param("next_try_at", Moment),
        parked_at=param("parked_at", Moment),
        failure=param("failure", Text),
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
    .values(next_try_at=None, parked_at=param("now", Moment), failure=param("failure", Text))
)
_FIRST_STATE: dict[str, Any] = {
    "next_try_at": func.now(), "at": func.now(), "delivered_at": None, "parked_at": None, "attempts": 0,
    "failure": None, "withheld": False,
}  # fmt: skip
_FIND_SUBSCRIPTION_OF = Statement(
    select(*_SUBSCRIPTION).join(alerts, _a.subscription == _s.id).where(_a.id == param("id", Text))
)
_DROP = Statement(delete(alerts).where(_a.id == param("ids", ARRAY(Text)).any_()))
_REPLAY = Statement(update(alerts).where(_a.id == param("id", Text)).values(**_FIRST_STATE))
_REPLAY_PARKED = Statement(
    update(alerts)
    .where(
        _a.parked_at.is_not(None),
        or_(param("subscription", Text) == "", _a.subscription == param("subscription", Text)),
        or_(param("person", Text) == "", _a.subscription.in_(_of_person)),
    )
    .values(**_FIRST_STATE)
)
_PURGE = Statement(
    delete(alerts).where(
        _a.at < param("before", Moment),
        _a.next_try_at.is_(None),
        _a.name != param("lasting", ARRAY(Text)).all_(),
    )
)
_CHANGED_INCIDENTS = """
SELECT r.origin, r.key, r.revision, r.retracted, r.tlp, r.created_at, r.updated_at,
    r.not_understood IS NOT NULL AS not_understood
FROM records AS r WHERE r.arrived > $1 AND r.arrived <= $2 AND r.type = 'incident'
ORDER BY r.arrived
"""


class AlertsReader:
    """Subscriptions and alerts of this operator; its own callers only."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def floods(self) -> tuple[AlertFlood, ...]:
        """The alerts that are withheld and have no digest yet, by subscription and origin."""
        return tuple(AlertFlood(*row) for row in await self._session.all(_LIST_FLOODS))

    async def withheld_subjects(self, flood: AlertFlood) -> set[str]:
        """Ids that the withheld alerts of a flood are about."""
        rows = await self._session.connection.fetch(
            _LIST_WITHHELD_SUBJECTS, flood.origin, flood.subscription, flood.began_at
        )
        return {row[0] for row in rows}

    async def subscriptions(self) -> tuple[Subscription, ...]:
        return tuple(_subscription(row) for row in await self._session.all(_ALL))

    async def last_change(self) -> int:
        return int(await self._session.connection.fetchval("SELECT arrival FROM node"))

    async def has_unscanned_changes(self) -> bool:
        """True when the change log goes beyond the last scan, and a subscription is active."""
        return bool(
            await self._session.connection.fetchval(
                "SELECT node.arrival <> alerting.arrival AND EXISTS (SELECT FROM subscriptions WHERE active)"
                " FROM node, alerting"
            )
        )

    async def any_due(self, now: datetime) -> bool:
        """True when an alert is due."""
        return bool(
            await self._session.connection.fetchval(
                "SELECT EXISTS (SELECT FROM alerts WHERE next_try_at <= $1)", now
            )
        )

    async def has_finished(self, before: datetime) -> bool:
        """True when there is a delivered or parked alert of an event before this time."""
        return bool(
            await self._session.connection.fetchval(
                "SELECT EXISTS (SELECT FROM alerts WHERE at < $1 AND next_try_at IS NULL)", before
            )
        )

    async def pending(self) -> tuple[int, int]:
        """Numbers of alerts that wait for another attempt, and of parked ones."""
        row = await self._session.connection.fetchrow(
            "SELECT (SELECT count(*) FROM alerts WHERE next_try_at IS NOT NULL AND attempts > 0),"
            " (SELECT count(*) FROM alerts WHERE parked_at IS NOT NULL)"
        )
        return row[0], row[1]

    async def listed(
        self,
        *,
        parked: bool,
        withheld: bool = False,
        of: str | None = None,
        origin: str | None = None,
        person: str | None = None,
        limit: int = MAX_LISTED,
    ) -> tuple[AlertState, ...]:
        """The last alerts, newest first, or the last parked or withheld.

        Of one subscription or origin, or of the subscriptions of one person.
        """
        rows = await self._session.all(
            _LIST,
            parked=parked,
            withheld=withheld,
            of=of or "",
            origin=origin or "",
            person=person or "",
            limit=limit,
        )
        return tuple(AlertState(*row) for row in rows)


class AlertsWriter(AlertsReader):
    """Subscriptions and alerts of this operator, in a transaction that may change them."""

    async def subscribe(self, id_: str, new: NewSubscription, secret: str, person: str | None = None) -> None:
        """Store a subscription, of a person or of the operator."""
        await self._session.run(
            _ADD,
            id=id_,
            events=list(new.events),
            webhook=new.webhook,
            email=new.email,
            secret=secret,
            unanswered_hours=new.unanswered_hours,
            private=new.private,
            person=person,
        )

    async def unsubscribe(self, id_: str) -> bool:
        return await self._session.run(_REMOVE, id=id_) == 1

    async def deactivate(self, id_: str, reason: str, now: datetime) -> None:
        """Add no more alerts for a subscription whose receiver is gone, and park the pending ones."""
        await self._session.run(_DEACTIVATE, id=id_)
        await self._session.run(_PARK_ALL, subscription=id_, now=now, failure=reason)

    async def lock(self) -> int:
        """Sequence of the last change scanned. No other process scans or subscribes until the commit."""
        return int(await self._session.connection.fetchval("SELECT arrival FROM alerting FOR UPDATE"))

    async def changed_incidents(self, after: int, until: int) -> list[Any]:
        """Changed incidents: origin, key, revision, retracted, tlp, created_at, updated_at, not_understood.

        (The last one is true or false.)
        """
        rows: list[Any] = await self._session.connection.fetch(_CHANGED_INCIDENTS, after, until)
        return rows

    async def advance(self, arrival: int) -> None:
        await self._session.connection.execute("UPDATE alerting SET arrival = $1", arrival)

    async def stored_names(self, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], bool]:
        """Those of these names, (subscription, name of the event), that have an alert: True if withheld."""
        rows = await self._session.connection.fetch(
            _FIND_STORED, [subscription for subscription, _ in names], [name for _, name in names]
        )
        return {(row[0], row[1]): row[2] for row in rows}

    async def count_sent(self, origins: Sequence[str], since: datetime) -> dict[tuple[str, str], int]:
        """Alerts since a time that count towards the ceiling, by (subscription, origin)."""
        rows = await self._session.connection.fetch(
            _COUNT_SENT, list(origins), since, [*UNBOUNDED_EVENTS, DIGEST_EVENT]
        )
        return {(row[0], row[1]): row[2] for row in rows}

    async def add(self, new: Sequence[NewAlert]) -> int:
        """Add alerts. Returns how many were new."""
        if not new:
            return 0
        tag = await self._session.connection.execute(
            _ADD_ALERTS,
            [entry.alert.id for entry in new],
            [entry.subscription for entry in new],
            [entry.name for entry in new],
            [entry.alert.event for entry in new],
            [entry.alert.subject for entry in new],
            [msgspec.json.encode(entry.alert.data) for entry in new],
            [entry.alert.at for entry in new],
            [entry.origin for entry in new],
            [entry.withheld for entry in new],
        )
        return int(tag.rsplit(" ", 1)[-1])

    async def store_flood(self, flood: AlertFlood) -> None:
        """Store the number of alerts that are withheld."""
        await self._session.run(_STORE_FLOOD, **msgspec.structs.asdict(flood))

    async def remove_flood(self, flood: AlertFlood) -> None:
        await self._session.run(_REMOVE_FLOOD, subscription=flood.subscription, origin=flood.origin)

    async def claim(self, now: datetime) -> tuple[DueDelivery, ...]:
        """Alerts that are due, leased to this process for ``ATTEMPT_LEASE``."""
        rows = await self._session.connection.fetch(
            _CLAIM, now, MAX_DUE, ATTEMPT_LEASE, MAX_DUE_PER_SUBSCRIPTION, MAX_DUE_CANDIDATES
        )
        rows.sort(key=lambda row: (row["at"], row["id"]))
        return tuple(
            DueDelivery(
                Alert(id=row[0], event=row[1], subject=row[2], at=row[3], data=msgspec.json.decode(row[4])),
                row[5],
                row[6],
                _subscription(row[7:]),
            )
            for row in rows
        )

    async def subscription_of(self, id_: str) -> Subscription | None:
        """The subscription that an alert is for; None where there is no such alert."""
        row = await self._session.one(_FIND_SUBSCRIPTION_OF, id=id_)
        return _subscription(row) if row is not None else None

    async def drop(self, ids: Iterable[str]) -> None:
        """Delete alerts."""
        await self._session.run(_DROP, ids=sorted(ids))

    async def mark_delivered(self, id_: str) -> None:
        await self._session.run(_DELIVERED, id=id_)

    async def mark_failed(
        self, id_: str, attempts: int, reason: str, *, again: datetime | None, parked: datetime | None
    ) -> bool:
        """Store the failure of an attempt. False when a newer attempt has begun."""
        values = {
            "id": id_,
            "attempts": attempts,
            "failure": reason[:500],
            "next_try_at": again,
            "parked_at": parked,
        }
        return await self._session.run(_FAILED, **values) == 1

    async def postpone(self, subscription: str, now: datetime, again: datetime) -> None:
        """Try the due alerts of a subscription later."""
        await self._session.run(_POSTPONE, subscription=subscription, now=now, again=again)

    async def replay(self, id_: str) -> bool:
        """Deliver an alert again, as if it were new."""
        return await self._session.run(_REPLAY, id=id_) == 1

    async def replay_parked(self, subscription: str | None, person: str | None = None) -> int:
        """Deliver the parked alerts again, of one subscription, of one person or of all. Returns how many."""
        return await self._session.run(_REPLAY_PARKED, subscription=subscription or "", person=person or "")

    async def purge(self, before: datetime, lasting: Sequence[str]) -> None:
        """Delete delivered and parked alerts of events before this time, but for events that still last."""
        await self._session.run(_PURGE, before=before, lasting=list(lasting))


def _subscription(row: Any) -> Subscription:
    id_, events, *rest = row
    return Subscription(id_, tuple(events), *rest)
