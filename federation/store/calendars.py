"""Tombstones for calendars: the events that were retracted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from sqlalchemy import Text, select, true
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from federation.domain.visibility import Caller
from federation.store.statements import Session, Statement, param
from federation.store.tables import feeds, records
from federation.store.visibility import Viewer, arguments, viewer_of, visible_condition

TOMBSTONES_PER_FEED = 50
"""The newest tombstones of each feed are looked at: an upload may retract a hundred thousand records."""


@lru_cache
def _newest(viewer: Viewer) -> Statement:
    newest = (
        select(records.c.type, records.c.updated_at, records.c.document)
        .where(records.c.feed == feeds.c.id, records.c.retracted)
        .order_by(records.c.seq.desc())
        .limit(TOMBSTONES_PER_FEED)
        .lateral("newest")
    )
    return Statement(
        select(newest.c.document)
        .select_from(feeds.join(newest, true()))
        .where(
            visible_condition(feeds, viewer),
            newest.c.type == param("types", ARRAY(Text)).any_(),
            newest.c.updated_at > param("since", TIMESTAMP(timezone=True)),
        )
        .order_by(newest.c.updated_at.desc())
        .limit(param("most"))
    )


class CalendarsReader:
    """Tombstones, as far as the caller may see them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def tombstones(
        self, types: Sequence[str], since: datetime, limit: int, *, visible_to: Caller
    ) -> list[bytes]:
        """The newest tombstones of some types."""
        values = arguments(visible_to)
        rows = await self._session.all(
            _newest(viewer_of(visible_to)), types=list(types), since=since, most=limit, **values
        )
        return [row[0] for row in rows]
