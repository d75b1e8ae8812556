"""Copies of other operators' feeds: how each compared, what was withdrawn, whether removals are paused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache

from sqlalchemy import Text, case, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from federation.domain.checkpoint import DigestState, PendingReceipt
from federation.domain.copy import CopyFacts, FollowedFeed, ReceiptState, SourceFeed
from federation.domain.feed import FeedName, FeedState
from federation.domain.visibility import Caller
from federation.store.checkpoints import CREATE_DIGEST, RESET_DIGEST, state_columns
from federation.store.feeds import FEED_COLUMNS, LOCK_FEEDS
from federation.store.statements import Session, Statement, param
from federation.store.tables import Moment, copies, digests, feeds, rejected_entries
from federation.store.visibility import Viewer, arguments, viewer_of, visible_condition

_COLUMNS = (
    copies.c.compared, copies.c.detail, copies.c.verified_seq, copies.c.verified_at, copies.c.expires_at,
    copies.c.newest, copies.c.via, copies.c.withdrawn_epoch, copies.c.withdrawn, copies.c.purged,
    copies.c.receipted, copies.c.paused, copies.c.paused_at, copies.c.confirmed, copies.c.tried,
    copies.c.tried_at, copies.c.excludes, copies.c.unsigned_since, copies.c.beyond_quota,
    copies.c.beyond_reason, copies.c.beyond_at,
)  # fmt: skip
_FIND = Statement(select(*_COLUMNS).where(copies.c.feed == param("feed")))
_LIST = Statement(
    select(feeds.c.origin, feeds.c.audience, *_COLUMNS)
    .join(feeds, feeds.c.id == copies.c.feed)
    .order_by(feeds.c.origin, feeds.c.audience)
)
_has_unreported = (
    select(rejected_entries.c.feed)
    .where(rejected_entries.c.feed == feeds.c.id, ~rejected_entries.c.reported)
    .exists()
)
_LIST_OF_ORIGIN = Statement(
    select(*FEED_COLUMNS, _has_unreported, copies.c.feed, *_COLUMNS)
    .outerjoin(copies, copies.c.feed == feeds.c.id)
    .where(feeds.c.origin == param("origin", Text))
    .order_by(feeds.c.audience)
)


@cache
def _list_sources(viewer: Viewer) -> Statement:
    """The feeds of some origins that a viewer may see, with the digest and the copy of each."""
    return Statement(
        select(*FEED_COLUMNS, digests.c.checkpoint, digests.c.seq, digests.c.signed_at, *_COLUMNS)
        .outerjoin(digests, digests.c.feed == feeds.c.id)
        .outerjoin(copies, copies.c.feed == feeds.c.id)
        .where(
            feeds.c.origin == param("origins", ARRAY(Text)).any_(),
            feeds.c.epoch.is_not(None),
            visible_condition(feeds, viewer),
        )
        .order_by(feeds.c.origin, feeds.c.audience)
    )


_LIST_PENDING_RECEIPTS = Statement(
    select(copies.c.feed, feeds.c.audience, copies.c.withdrawn_epoch, copies.c.withdrawn, copies.c.purged)
    .join(feeds, feeds.c.id == copies.c.feed)
    .where(
        feeds.c.origin == param("origin", Text), ~copies.c.receipted, copies.c.withdrawn_epoch.is_not(None)
    )
    .order_by(feeds.c.audience)
)
_LIST_CONFIRMED_ORIGINS = Statement(
    select(feeds.c.origin).join(copies, copies.c.feed == feeds.c.id).where(copies.c.confirmed).distinct()
)
_NOTE_VERIFICATION = """
WITH stored AS (
    UPDATE digests
    SET seq = $2, retained_from = $3, count = $4, buckets = $5, marked = '{}',
        checkpoint = $6, signed_at = $7, expires_at = $8
    WHERE feed = $1
),
confirmed AS (
    SELECT greatest(verified_seq, CASE WHEN withdrawn_epoch = epoch THEN withdrawn END, 0) AS seq
    FROM copies JOIN feeds ON id = feed WHERE feed = $1
),
compared AS (
    UPDATE copies
    SET compared = 'verified', detail = NULL, tried = NULL, tried_at = NULL, unsigned_since = NULL,
        verified_seq = $2, verified_at = $7, expires_at = $8, newest = greatest(newest, $7)
    WHERE feed = $1
),
cleared AS (DELETE FROM rejected_entries WHERE feed = $1)
SELECT count(*) < $2 - (SELECT seq FROM confirmed)
FROM records WHERE feed = $1 AND seq > (SELECT seq FROM confirmed) AND seq <= $2
"""
"""The digest of copy $1 with its origin's checkpoint over it; all entries are stored, so none is rejected.

The last query sees the copy as it was before. It reads numbers between two, as ``COMPUTE_CHANGED_BUCKETS``.
"""
_NOTE_DIVERGENCE = Statement(
    update(copies)
    .where(copies.c.feed == param("feed"))
    .values(
        compared="diverged",
        detail=param("detail", Text),
        tried=param("tried", Text),
        tried_at=param("tried_at", Moment),
    )
)
_MARK_SEEN = Statement(
    update(copies)
    .where(copies.c.feed == param("feed"))
    .values(newest=func.greatest(copies.c.newest, param("signed_at", Moment)))
)
_SET_EXCLUSIONS = Statement(
    update(copies)
    .where(copies.c.feed == param("feed"))
    .values(
        excludes=param("excludes", ARRAY(Text)),
        newest=func.greatest(copies.c.newest, param("signed_at", Moment)),
    )
)
_MARK_UNSIGNED = Statement(
    update(copies)
    .where(copies.c.feed == param("feed"), copies.c.unsigned_since.is_(None))
    .values(unsigned_since=param("since", Moment))
)
_SET_RELAY = Statement(
    update(copies)
    .where(copies.c.feed == param("feed"), copies.c.via.is_distinct_from(param("via", Text)))
    .values(via=param("via", Text))
)
_NOTE_WITHDRAWAL = Statement(
    update(copies)
    .where(copies.c.feed == param("feed"))
    .values(
        withdrawn=case(
            (
                copies.c.withdrawn_epoch == param("epoch", Text),
                func.greatest(copies.c.withdrawn, param("seq")),
            ),
            else_=param("seq"),
        ),
        withdrawn_epoch=param("epoch", Text),
        purged=param("purged"),
        receipted=False,
    )
)
_MARK_RECEIPT_SENT = Statement(
    update(copies)
    .where(
        copies.c.feed == param("feed"),
        copies.c.withdrawn == param("seq"),
        copies.c.withdrawn_epoch == param("epoch", Text),
        copies.c.purged == param("purged"),
    )
    .values(receipted=True)
)
_PAUSE = Statement(
    update(copies)
    .where(copies.c.feed == param("feed"))
    .values(paused=param("reason", Text), paused_at=func.coalesce(copies.c.paused_at, func.now()))
)
_CONFIRM = Statement(
    update(copies)
    .where(copies.c.feed == param("feed"), copies.c.paused.is_not(None))
    .values(paused=None, paused_at=None, confirmed=True)
)
_CLEAR_CONFIRMATION = Statement(
    update(copies)
    .where(copies.c.feed == param("feed"), copies.c.confirmed | copies.c.paused.is_not(None))
    .values(paused=None, paused_at=None, confirmed=False)
)
_RESET = Statement(
    update(copies)
    .where(copies.c.feed == param("feed"))
    .values(
        compared=None, detail=None, verified_seq=None, verified_at=None, expires_at=None, newest=None,
        via=None, paused=None, paused_at=None, confirmed=False, tried=None, tried_at=None, excludes=[],
        unsigned_since=None,
        beyond_quota=None, beyond_reason=None, beyond_at=None,
    )
)  # fmt: skip
_DROP_RECORDS = """
WITH dropped AS (
    DELETE FROM records WHERE feed = $1 RETURNING type, key, revision
),
numbered AS (
    SELECT type, key, revision, row_number() OVER (ORDER BY type, key) AS n FROM dropped
),
numbering AS (
    UPDATE node SET arrival = arrival + (SELECT count(*) FROM dropped)
    RETURNING arrival - (SELECT count(*) FROM dropped) AS base
)
INSERT INTO withdrawals (feed, type, key, seq, arrived, revision)
SELECT $1, type, key, -(numbering.base + n), numbering.base + n, revision
FROM numbered CROSS JOIN numbering
ON CONFLICT (feed, type, key) DO UPDATE
SET seq = excluded.seq, arrived = excluded.arrived, revision = excluded.revision, at = now()
"""
"""All records of feed $1; withdrawals report them to the operator's own systems, in the change log."""
_AFTER_DROP = (
    # Numbers below zero are in the way of no entry, and the change log still has the withdrawals.
    "UPDATE withdrawals SET seq = -arrived WHERE feed = $1",
    "DELETE FROM rejected_entries WHERE feed = $1",
    "UPDATE feeds SET epoch = NULL, head = 0, live = 0, records = 0, bytes = 0, remote_head = NULL,"
    " retained_from = 0 WHERE id = $1",
)


class CopiesReader:
    """Copies, for reading."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def find(self, feed: int) -> CopyFacts:
        """The state of a copy; an empty one where it was never compared."""
        row = await self._session.one(_FIND, feed=feed)
        return CopyFacts(*row) if row else CopyFacts()

    async def all(self) -> dict[FeedName, CopyFacts]:
        """The state of every copy."""
        rows = await self._session.all(_LIST)
        return {FeedName(row[0], row[1]): CopyFacts(*row[2:]) for row in rows}

    async def sources(self, origins: Sequence[str], *, visible_to: Caller) -> list[SourceFeed]:
        """The feeds of these origins that the caller may see, in one query."""
        rows = await self._session.all(
            _list_sources(viewer_of(visible_to)), origins=list(origins), **arguments(visible_to)
        )
        ends = len(FEED_COLUMNS) + 1
        return [
            # (An own feed has no copy: ``confirmed`` is null then.)
            SourceFeed(
                FeedState(*row[:ends]),
                row[ends],
                row[ends + 1],
                CopyFacts(*row[ends + 2 :]) if row["confirmed"] is not None else CopyFacts(),
            )
            for row in rows
        ]

    async def of(self, origin: str) -> dict[FeedName, FollowedFeed]:
        """The feeds of an origin that are stored here, each with the state of its copy."""
        ends, followed = len(FEED_COLUMNS), {}
        for row in await self._session.all(_LIST_OF_ORIGIN, origin=origin):
            feed, (unreported, copied) = FeedState(*row[:ends]), row[ends : ends + 2]
            copy = CopyFacts(*row[ends + 2 :]) if copied is not None else CopyFacts()
            followed[feed.name] = FollowedFeed(feed, copy, unreported or copy.receipt is ReceiptState.PENDING)
        return followed

    async def pending_receipts(self, origin: str) -> tuple[PendingReceipt, ...]:
        """The receipts that an origin has not got yet."""
        rows = await self._session.all(_LIST_PENDING_RECEIPTS, origin=origin)
        return tuple(PendingReceipt(*row) for row in rows)

    async def confirmed_removals(self) -> frozenset[str]:
        """The operators whose removals an administrator has confirmed, and which are not carried out yet."""
        return frozenset(row[0] for row in await self._session.all(_LIST_CONFIRMED_ORIGINS))


class CopiesWriter(CopiesReader):
    """Copies, in a transaction that may change them."""

    async def note_verification(
        self, feed: int, state: DigestState, checkpoint: str, signed_at: datetime, expires_at: datetime
    ) -> bool:
        """Store the computed state of a copy, which is what its origin signed.

        All entries of the feed are stored then: none is rejected any more. Returns True where the feed has
        numbers without a record, beyond the last comparison and the last withdrawal that was confirmed.
        """
        gaps: bool = await self._session.connection.fetchval(
            _NOTE_VERIFICATION, feed, *state_columns(state), checkpoint, signed_at, expires_at
        )
        return gaps

    async def note_divergence(self, feed: int, detail: str, *, tried: str, tried_at: datetime) -> None:
        """Note that the copy is not what its origin signed; ``tried``: the roots a repair left unequal."""
        await self._session.run(
            _NOTE_DIVERGENCE, feed=feed, detail=detail[:500], tried=tried, tried_at=tried_at
        )

    async def mark_seen(self, feed: int, signed_at: datetime) -> None:
        """Note the time of a checkpoint that came: an older one is refused from now on."""
        await self._session.run(_MARK_SEEN, feed=feed, signed_at=signed_at)

    async def set_exclusions(self, feed: int, excludes: Sequence[str], signed_at: datetime) -> None:
        """Note the operators that may not see the feed, by a checkpoint of that time."""
        await self._session.run(_SET_EXCLUSIONS, feed=feed, excludes=list(excludes), signed_at=signed_at)

    async def mark_unsigned(self, feed: int, since: datetime) -> None:
        """Note that the feed has gone beyond its checkpoint, until it is found equal again."""
        await self._session.run(_MARK_UNSIGNED, feed=feed, since=since)

    async def set_relay(self, feed: int, via: str | None) -> None:
        """Note the peer that relayed the last entries; None for the origin itself."""
        await self._session.run(_SET_RELAY, feed=feed, via=via)

    async def note_withdrawal(self, feed: int, epoch: str, seq: int, *, purged: bool = False) -> None:
        """Note that withdrawals up to that number have been carried out: a receipt is to be sent."""
        await self._session.run(_NOTE_WITHDRAWAL, feed=feed, epoch=epoch, seq=seq, purged=purged)

    async def mark_receipt_sent(self, feed: int, epoch: str, seq: int, *, purged: bool) -> None:
        """Note that the origin has our receipt, unless there is more to confirm by now."""
        await self._session.run(_MARK_RECEIPT_SENT, feed=feed, epoch=epoch, seq=seq, purged=purged)

    async def pause(self, feed: int, reason: str) -> None:
        """Pull nothing more of this feed until an administrator confirms."""
        await self._session.run(_PAUSE, feed=feed, reason=reason)

    async def confirm(self, feed: int) -> bool:
        """Let the removals that await confirmation happen; False when none do."""
        return await self._session.run(_CONFIRM, feed=feed) == 1

    async def clear_confirmation(self, feed: int) -> None:
        """Note that the confirmed removals have happened: the next ones are judged anew."""
        await self._session.run(_CLEAR_CONFIRMATION, feed=feed)

    async def purge(self, *purged: FeedState) -> int:
        """Drop every record of feeds that this node may no longer read, as if they had never been pulled.

        A receipt that is to be sent stays so. Returns how many records were dropped.
        """
        for feed in purged:
            # Before the lock of numbering: signing and comparing take them in that order. The digest is
            # created first, so that a transaction that creates it now is waited for, too.
            for statement in (CREATE_DIGEST, RESET_DIGEST, _RESET):
                await self._session.run(statement, feed=feed.id)
        # Entries that are being stored at this moment are waited for, and dropped with the rest.
        await self._session.connection.execute(LOCK_FEEDS, [feed.id for feed in purged])
        dropped = 0
        for feed in purged:
            tag: str = await self._session.connection.execute(_DROP_RECORDS, feed.id)
            for statement_text in _AFTER_DROP:
                await self._session.connection.execute(statement_text, feed.id)
            dropped += int(tag.rsplit(" ", 1)[-1])
        return dropped
