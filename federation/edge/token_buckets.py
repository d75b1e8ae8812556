"""Token buckets: how many requests a caller may still make at a rate."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from federation.domain.errors import TooManyRequests

MAX_REMEMBERED = 10_000
"""Callers of each kind that are remembered, at most; the one that asked longest ago is forgotten first."""


class Rate(NamedTuple):
    """So many at once, and so many a second from then on."""

    a_second: int
    burst: int


class TokenBucket:
    """The requests that one caller may still make at a rate."""

    __slots__ = ("_at", "_rate", "_tokens")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._tokens = float(rate.burst)
        self._at = now

    def take(self, now: float) -> float:
        """Take one and return 0.0; or take none and return the seconds until there is one."""
        rate, burst = self._rate
        tokens = min(self._tokens + (now - self._at) * rate, burst)
        self._at = now
        if tokens >= 1:
            self._tokens = tokens - 1
            return 0.0
        self._tokens = tokens
        return (1 - tokens) / rate

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The rate and what is left of it, by draft-ietf-httpapi-ratelimit-headers-10.

        ``q`` requests at once, and as many within ``w`` seconds; ``r`` are left, all in ``t`` seconds.
        """
        rate, burst = self._rate
        left = max(self._tokens, 0.0)
        return [
            _policy(self._rate),
            (b"ratelimit", b'"requests";r=%d;t=%d' % (left, math.ceil((burst - left) / rate))),
        ]

    def owe(self, now: float) -> None:
        """Take one that may not be left, and be in debt for it.

        Attempts made before the first failure was known are paid for afterwards, up to another burst.
        """
        if self.take(now):
            self._tokens = max(self._tokens - 1, -float(self._rate.burst))

    def wait(self, now: float) -> float:
        """Seconds until there is one; 0.0 when there is."""
        rate, _ = self._rate
        return max(1 - self._tokens - (now - self._at) * rate, 0.0) / rate


class TokenBuckets:
    """A bucket for each of the callers that asked last; a forgotten caller begins with a full one.

    Forgetting gives no caller more than a burst, and none less than it had. Rate 0 is no limit.
    """

    def __init__(self, rate: Rate, clock: Callable[[], float], size: int = MAX_REMEMBERED) -> None:
        self.rate = rate
        self._clock = clock
        self._size = size
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def __contains__(self, caller: str) -> bool:
        return caller in self._buckets

    def forget(self, caller: str) -> None:
        """Remember nothing of a caller."""
        self._buckets.pop(caller, None)

    def of(self, caller: str) -> TokenBucket | None:
        """The bucket of a caller; None where there is no limit."""
        return self._bucket(caller) if self.rate.a_second else None

    def take(self, caller: str) -> None:
        """Count a request. Raises TooManyRequests."""
        if self.rate.a_second and (wait := self._bucket(caller).take(self._clock())):
            raise TooManyRequests(
                "more than {maximum} requests a second; try again in {seconds} s",
                retry_after=_whole(wait),
                maximum=self.rate.a_second,
                seconds=_whole(wait),
            )

    def owe(self, caller: str, *, always: bool = False) -> None:
        """Count what is known afterwards only, such as a failure; ``always``: remember the caller anyway."""
        if self.rate.a_second:
            self._bucket(caller).owe(self._clock())
        elif always:
            self._bucket(caller)

    def check(self, caller: str) -> None:
        """Raises TooManyRequests when no further failure is allowed; counts nothing."""
        bucket = self._buckets.get(caller)
        if bucket is not None and (wait := bucket.wait(self._clock())):
            raise TooManyRequests(
                "too many attempts from this address have failed; try again in {seconds} s",
                retry_after=_whole(wait),
                seconds=_whole(wait),
            )

    def _bucket(self, caller: str) -> TokenBucket:
        bucket = self._buckets.get(caller)
        if bucket is None:
            if len(self._buckets) >= self._size:
                self._buckets.popitem(last=False)
            bucket = self._buckets[caller] = TokenBucket(self.rate, self._clock())
        else:
            self._buckets.move_to_end(caller)
        return bucket


@lru_cache(64)
def _policy(rate: Rate) -> tuple[bytes, bytes]:
    return b"ratelimit-policy", b'"requests";q=%d;w=%d' % (rate.burst, _whole(rate.burst / rate.a_second))


def _whole(seconds: float) -> int:
    return max(math.ceil(seconds), 1)
