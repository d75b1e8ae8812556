"""Quotas: the bounds of what one peer may leave on this node.

An honest operator never meets them. A peer that would go beyond one is paused: nothing more is applied but
its withdrawals, until an administrator confirms or raises the bound (decision 0029).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from federation.domain.feed import Cursor
from federation.domain.values import SAFE_INTEGER

MEBIBYTE = 1_048_576
HOUR = timedelta(hours=1)
ALLOWANCE_LIFETIME = timedelta(seconds=10)
"""After which the use of a quota is read again: an administrator may have changed the quota meanwhile."""

Bounded = Annotated[int, Meta(ge=1, le=SAFE_INTEGER)]


class QuotaBound(StrEnum):
    """The bound that a peer would go beyond: the reason of a pause."""

    RECORDS = "records"
    MEBIBYTES = "mebibytes"
    FEEDS = "feeds"
    REJECTED = "rejected"
    ENTRIES = "entries"


BOUND_MEANINGS: dict[QuotaBound, str] = {
    QuotaBound.RECORDS: "records, with tombstones",
    QuotaBound.MEBIBYTES: "mebibytes of documents",
    QuotaBound.FEEDS: "feeds",
    QuotaBound.REJECTED: "rejected entries",
    QuotaBound.ENTRIES: "entries within an hour",
}


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of one peer, over all of its feeds."""

    records: Bounded = 1_000_000
    """Stored records, with tombstones."""
    mebibytes: Bounded = 8_192
    """Of their documents."""
    feeds: Bounded = 200
    """Stored feeds: public, federation, and one for each group that this node is in."""
    rejected: Bounded = 10_000
    """Stored rejected entries."""
    entries: Bounded = 1_000_000
    """Entries within an hour. A first sync of as many records as are allowed always fits."""

    def with_own(self, own: Mapping[str, int]) -> Quota:
        """The quota of a peer with bounds of its own."""
        known = {name: value for name, value in own.items() if name in self.__struct_fields__}
        return msgspec.structs.replace(self, **known)

    @property
    def entries_an_hour(self) -> int:
        return max(self.entries, self.records)


class QuotaChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Bounds of a peer's own, in place of those of the node. What is absent stays as it is."""

    records: Bounded | None = None
    mebibytes: Bounded | None = None
    feeds: Bounded | None = None
    rejected: Bounded | None = None
    entries: Bounded | None = None

    def named(self) -> dict[str, int]:
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in values.items() if value is not None}


class QuotaUse(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of a peer."""

    records: int = 0
    bytes: int = 0
    feeds: int = 0
    rejected: int = 0

    @property
    def mebibytes(self) -> int:
        """Rounded up: a peer with a single byte uses one."""
        return -(-self.bytes // MEBIBYTE)


class BeyondQuota(Exception):
    """A peer would go beyond a bound of its quota. Nothing was stored of what would."""

    def __init__(self, bound: QuotaBound, reached: int, allowed: int) -> None:
        super().__init__(f"{reached} {BOUND_MEANINGS[bound]}; {allowed} are allowed")
        self.bound = bound


def check_growth(quota: Quota, use: QuotaUse, *, records: int, size: int) -> None:
    """Raises BeyondQuota where so many more records and bytes are too much. Less is always allowed."""
    if records > 0 and use.records + records > quota.records:
        raise BeyondQuota(QuotaBound.RECORDS, use.records + records, quota.records)
    if size > 0 and use.bytes + size > quota.mebibytes * MEBIBYTE:
        reached = msgspec.structs.replace(use, bytes=use.bytes + size).mebibytes
        raise BeyondQuota(QuotaBound.MEBIBYTES, reached, quota.mebibytes)


class HourlyCount:
    """A number within an hour, which begins with the first of them."""

    def __init__(self) -> None:
        self._began: datetime | None = None
        self._number = 0

    def add(self, number: int, now: datetime) -> int:
        """Count so many more. Returns the number within the hour."""
        if self._began is None or not timedelta() <= now - self._began < HOUR:
            self._began, self._number = now, 0
        self._number += number
        return self._number

    def begin_anew(self) -> None:
        self._began = None


class Allowance:
    """What a peer may still store, as this process knows it: never more than is right.

    Each batch is counted as if all of its records were new, so that no statement is needed while there is
    room. Where there seems to be none, the use is read in the transaction that stores the batch.
    """

    def __init__(self) -> None:
        self.quota = Quota()
        self.paused = False
        """Whether the peer is paused, since it would go beyond its quota."""
        self._records = self._bytes = 0
        self._read_at: datetime | None = None
        self._entries, self._searched = HourlyCount(), HourlyCount()
        self.withdrawals_read: dict[str, Cursor] = {}
        """Of paused feeds: by audience, the cursor up to which their withdrawals were carried out."""

    def is_old(self, now: datetime) -> bool:
        return self._read_at is None or not timedelta() <= now - self._read_at < ALLOWANCE_LIFETIME

    def expire(self) -> None:
        """Read the quota and its use before anything more is stored."""
        self._read_at = None

    def read(self, quota: Quota, use: QuotaUse, now: datetime, *, paused: bool) -> None:
        """The quota, and the use of it, as they are stored at this time."""
        self.quota, self.paused, self._read_at = quota, paused, now
        self._records, self._bytes = use.records, use.bytes

    def reserve(self, records: int, size: int) -> bool:
        """Count so many records and bytes that are to be stored. False where they may be too much."""
        self._records += records
        self._bytes += size
        return self._records <= self.quota.records and self._bytes <= self.quota.mebibytes * MEBIBYTE

    def count_entries(self, number: int, now: datetime) -> None:
        """Count entries that came. Raises BeyondQuota where there are too many within an hour."""
        reached = self._entries.add(number, now)
        if reached > self.quota.entries_an_hour:
            self._entries.begin_anew()  # once it is confirmed
            raise BeyondQuota(QuotaBound.ENTRIES, reached, self.quota.entries_an_hour)

    def may_search(self, number: int, now: datetime) -> bool:
        """Count entries of a paused peer that are searched for withdrawals. False beyond an hour's."""
        return self._searched.add(number, now) <= self.quota.entries_an_hour
