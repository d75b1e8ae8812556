"""Remains of a peer: what is stored about it beside its records, dropped when it goes."""

from __future__ import annotations

from collections.abc import Collection

from federation.store.statements import Session

_FIND_EMPTY_FEEDS = """
SELECT id FROM feeds WHERE origin = ANY($1::text[]) AND live = 0 AND records = 0
  AND (
      -- (The two others of a peer are shown again, and its exclusions stand in one of them.)
      (epoch IS NULL AND audience NOT IN ('public', 'federation'))
      OR NOT EXISTS (SELECT FROM peers WHERE operator = feeds.origin AND state <> 'left')
  )
  AND EXISTS (SELECT FROM copies WHERE feed = feeds.id AND (
      receipted OR withdrawn_epoch IS NULL
      -- Nobody is there to send the receipt to.
      OR NOT EXISTS (SELECT FROM peers WHERE operator = feeds.origin AND state <> 'left')
  ))
  AND NOT EXISTS (SELECT FROM records WHERE feed = feeds.id)
  AND NOT EXISTS (SELECT FROM withdrawals WHERE feed = feeds.id)
  AND NOT EXISTS (SELECT FROM rejected_entries WHERE feed = feeds.id)
ORDER BY id FOR UPDATE
"""
"""Copies that were dropped, or whose peer has gone, and of which nothing is left, nor anything to report.

The withdrawals of a dropped copy stay for as long as the change log has to report them.
"""
_DROP_FEEDS = (
    "DELETE FROM digests WHERE feed = ANY($1::int[])",
    "DELETE FROM copies WHERE feed = ANY($1::int[])",
    "DELETE FROM feeds WHERE id = ANY($1::int[])",
)
_DROP_REMAINS = (
    "DELETE FROM rejected_entries USING feeds WHERE feeds.id = rejected_entries.feed AND feeds.origin = $1",
    "DELETE FROM receipts WHERE operator = $1",
    "DELETE FROM departures WHERE operator = $1",
    "DELETE FROM feedback WHERE operator = $1",
    # Nobody has to confirm anything of a peer that has gone.
    "UPDATE copies SET paused = NULL, paused_at = NULL, confirmed = false,"
    " beyond_quota = NULL, beyond_reason = NULL, beyond_at = NULL"
    " FROM feeds WHERE feeds.id = copies.feed AND feeds.origin = $1",
    # Alerts about the peer itself that nobody has got yet. Those about incidents are about incidents.
    "DELETE FROM alerts WHERE origin = $1 AND delivered_at IS NULL"
    " AND event IN ('record.rejected', 'peer.stale', 'peer.paused')",
)


class RemainsWriter:
    """The remains of a peer, in a transaction that drops them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def drop(self, operator: str) -> None:
        """Drop what is stored about a peer that goes, beside its records and its row."""
        for statement in _DROP_REMAINS:
            await self._session.connection.execute(statement, operator)
        await self.drop_empty_feeds([operator])

    async def drop_empty_feeds(self, origins: Collection[str]) -> int:
        """Drop the copies of these origins of which nothing is left. Returns how many."""
        rows = await self._session.connection.fetch(_FIND_EMPTY_FEEDS, list(origins))
        if rows:
            for statement in _DROP_FEEDS:
                await self._session.connection.execute(statement, [row[0] for row in rows])
        return len(rows)
