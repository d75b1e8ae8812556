"""Quotas of peers: what is stored of each, its own bounds, and the pause of one that would go beyond."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Text, func, select, update
from sqlalchemy.dialects.postgresql import JSONB

from federation.domain.quota import Quota, QuotaUse
from federation.store.statements import Session, Statement, param
from federation.store.tables import copies, feeds, peers, rejected_entries

_rejected_of_origin = (
    select(func.count())
    .select_from(rejected_entries)
    .join(feeds, feeds.c.id == rejected_entries.c.feed)
    .where(feeds.c.origin == param("origin", Text))
    .scalar_subquery()
)
_own_bounds = select(peers.c.quota).where(peers.c.operator == param("origin", Text)).scalar_subquery()
_READ_USE = Statement(
    select(
        func.coalesce(func.sum(feeds.c.records), 0), func.coalesce(func.sum(feeds.c.bytes), 0), func.count(),
        _rejected_of_origin, _own_bounds,
    ).where(feeds.c.origin == param("origin", Text))
)  # fmt: skip
"""Of one origin: a row for each of its feeds is read, and as many rejected entries as may be stored."""
_LIST_OWN_BOUNDS = Statement(select(peers.c.operator, peers.c.quota))
_SET_OWN_BOUNDS = Statement(
    update(peers).where(peers.c.operator == param("operator", Text)).values(quota=param("quota", JSONB))
)
_of_origin = copies.c.feed.in_(select(feeds.c.id).where(feeds.c.origin == param("origin", Text)))
_PAUSE = Statement(
    update(copies)
    .where(_of_origin)
    .values(
        beyond_quota=param("bound", Text),
        beyond_reason=param("reason", Text),
        beyond_at=func.coalesce(copies.c.beyond_at, func.now()),
    )
)
_RESUME = Statement(
    update(copies)
    .where(_of_origin, copies.c.beyond_quota.is_not(None))
    .values(beyond_quota=None, beyond_reason=None, beyond_at=None)
)
_LIST_PAUSED = Statement(
    select(feeds.c.origin)
    .join(copies, copies.c.feed == feeds.c.id)
    .where(copies.c.beyond_quota.is_not(None))
    .distinct()
)


class QuotasReader:
    """Quotas of peers, for reading."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def read_use(self, origin: str, default: Quota) -> tuple[Quota, QuotaUse]:
        """The quota of an origin, and what is stored of it."""
        row = await self._session.one(_READ_USE, origin=origin)
        assert row is not None  # noqa: S101 - an aggregate without groups has a row
        use = QuotaUse(records=int(row[0]), bytes=int(row[1]), feeds=row[2], rejected=row[3])
        return default.with_own(row[4] or {}), use

    async def own_bounds(self) -> dict[str, dict[str, Any]]:
        """The bounds of each peer that has some of its own, by name."""
        return {row[0]: row[1] for row in await self._session.all(_LIST_OWN_BOUNDS) if row[1]}

    async def paused(self) -> frozenset[str]:
        """The operators that are paused since they would go beyond their quota."""
        return frozenset(row[0] for row in await self._session.all(_LIST_PAUSED))


class QuotasWriter(QuotasReader):
    """Quotas of peers, in a transaction that may change them."""

    async def set_own_bounds(self, operator: str, bounds: dict[str, int]) -> None:
        await self._session.run(_SET_OWN_BOUNDS, operator=operator, quota=bounds)

    async def pause(self, origin: str, bound: str, reason: str) -> None:
        """Apply nothing but withdrawals of an origin's feeds."""
        await self._session.run(_PAUSE, origin=origin, bound=bound, reason=reason)

    async def resume(self, origin: str) -> bool:
        """Apply the feeds of an origin again; False where none was paused."""
        return await self._session.run(_RESUME, origin=origin) > 0
