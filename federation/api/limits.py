"""How often one may ask: token buckets, in the memory of this process.

Who asks is an own client or a peer where a token says so, else the address. Several processes on one
database count each for itself, so together they allow as many times as much. A request counts once,
however long it waits for news, and an upload is one request.
"""

from __future__ import annotations

import base64
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, NamedTuple

from federation.domain.errors import TooManyRequests
from federation.domain.visibility import Caller

log = logging.getLogger("federation.api")

BURST_SECONDS = 2
"""Whoever has been silent may ask at once for what it may ask in so many seconds."""
MAX_REMEMBERED = 10_000
"""Callers of each kind that are remembered, at most; who asked longest ago is forgotten first."""
MAX_HOPS = 20
"""Proxies behind one another that ``X-Forwarded-For`` is followed through."""
_LONGEST_ADDRESS = 45


class Rate(NamedTuple):
    """So many at once, and so many a second from then on."""

    a_second: int
    burst: int


TOKENS = Rate(10, 50)
"""Token requests of one client from one address."""
TOKENS_OF_ADDRESS = Rate(50, 250)
"""Token requests of one address, whichever clients they name."""
FAILURES = Rate(1, 30)
"""Failed authentications and wrong invitations of one address."""


class TokenBucket:
    """What one caller has left of a rate."""

    __slots__ = ("_at", "_left", "_rate")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._left = float(rate.burst)
        self._at = now

    def take(self, now: float) -> float:
        """Take one: 0.0. Where none is left nothing is taken, and the answer is the seconds until one is."""
        rate, burst = self._rate
        left = self._left + (now - self._at) * rate
        self._at = now
        if left > burst:
            left = burst
        if left >= 1:
            self._left = left - 1
            return 0.0
        self._left = left
        return (1 - left) / rate

    def owe(self, now: float) -> None:
        """Take one that may not be left, and be in debt for it.

        What was tried before the first failure was known is paid for afterwards, up to another burst.
        """
        if self.take(now):
            self._left = max(self._left - 1, -float(self._rate.burst))

    def wait(self, now: float) -> float:
        """Seconds until there is one; 0.0 when there is."""
        rate, _ = self._rate
        return max(1 - self._left - (now - self._at) * rate, 0.0) / rate


class TokenBuckets:
    """A bucket for each of those who asked last; who is forgotten begins with a full one.

    Forgetting gives nobody more than a burst, and nobody less than was theirs. Rate 0 is no limit.
    """

    def __init__(self, rate: Rate, clock: Callable[[], float], most: int = MAX_REMEMBERED) -> None:
        self.rate = rate
        self._clock = clock
        self._most = most
        self._found: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._found)

    def take(self, who: str) -> None:
        """Count a request. Raises TooManyRequests."""
        if self.rate.a_second and (wait := self._bucket(who).take(self._clock())):
            raise TooManyRequests(
                f"more than {self.rate.a_second} requests a second; try again in {_whole(wait)} s",
                retry_after=_whole(wait),
            )

    def owe(self, who: str) -> None:
        """Count what has gone wrong."""
        if self.rate.a_second:
            self._bucket(who).owe(self._clock())

    def check(self, who: str) -> None:
        """Raises TooManyRequests when nothing may go wrong any more; counts nothing."""
        bucket = self._found.get(who)
        if bucket is not None and (wait := bucket.wait(self._clock())):
            raise TooManyRequests(
                f"too many attempts from this address have failed; try again in {_whole(wait)} s",
                retry_after=_whole(wait),
            )

    def _bucket(self, who: str) -> TokenBucket:
        bucket = self._found.get(who)
        if bucket is None:
            if len(self._found) >= self._most:
                self._found.popitem(last=False)
            bucket = self._found[who] = TokenBucket(self.rate, self._clock())
        else:
            self._found.move_to_end(who)
        return bucket


class Proxies:
    """The proxies whose word is taken for where a request came from."""

    def __init__(self, networks: tuple[IPv4Network | IPv6Network, ...] = ()) -> None:
        self._networks = networks
        # The same few thousand addresses come again and again, and reading one takes microseconds.
        self.place = lru_cache(MAX_REMEMBERED)(self._place)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def _place(self, text: str) -> tuple[str, bool] | None:
        """What an address counts as, and whether it is a proxy's. None for what is no address."""
        try:
            address = ip_address(text)
        except ValueError:
            return None
        if isinstance(address, IPv6Address):
            # A listener for both families shows IPv4 callers so.
            address = address.ipv4_mapped or address
        is_proxy = any(address in network for network in self._networks)
        if isinstance(address, IPv6Address):
            # Whoever has one IPv6 address has the /64 around it.
            return str(IPv6Network((int(address) >> 64 << 64, 64))), is_proxy
        return str(address), is_proxy


def address_of(scope: Any, proxies: Proxies) -> str:
    """Where a request came from, as limits count it: an IPv4 address, or the /64 of an IPv6 address.

    Only what a proxy says is believed: ``X-Forwarded-For`` is read from the right, the end that our own
    proxy wrote, up to the first address that is not a proxy's. What cannot be read there is as if it
    were not there: then it is the address of the connection.
    """
    client = scope.get("client")
    found = proxies.place(client[0]) if client else None
    if found is None:
        return ""  # not a network: all of them are one
    here, is_proxy = found
    if not is_proxy:
        return here
    there = here
    said = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
    for part in reversed(said.decode("latin-1").rsplit(",", MAX_HOPS) if said else ()):
        text = part.strip()
        found = proxies.place(text) if len(text) <= _LONGEST_ADDRESS else None
        if found is None:
            return here
        there, is_proxy = found
        if not is_proxy:
            break
    return there


def claimed_client(authorization: str | None) -> str:
    """The client id that HTTP Basic names, true or not; empty where it names none."""
    scheme, _, pair = (authorization or "").partition(" ")
    if scheme.lower() != "basic" or len(pair) > 1_024:
        return ""
    try:
        return base64.b64decode(pair).partition(b":")[0][:128].decode("latin-1")
    except ValueError:
        return ""


class Limits:
    """What this process allows. As it is made without arguments, everything.

    ``rate``: requests a second of a client or peer. ``anonymous``: of an address without a token; with
    0 nothing is limited that goes by addresses: neither token requests nor failed ones.
    """

    def __init__(
        self,
        *,
        rate: int = 0,
        anonymous: int = 0,
        proxies: tuple[IPv4Network | IPv6Network, ...] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        def by_address(limit: Rate) -> TokenBuckets:
            return TokenBuckets(limit if anonymous else Rate(0, 0), clock)

        self._proxies = Proxies(proxies)
        self._clients = TokenBuckets(Rate(rate, rate * BURST_SECONDS), clock)
        self._peers = TokenBuckets(Rate(rate, rate * BURST_SECONDS), clock)
        self._anonymous = by_address(Rate(anonymous, anonymous * BURST_SECONDS))
        self._tokens = by_address(TOKENS)
        self._tokens_of_address = by_address(TOKENS_OF_ADDRESS)
        self._failures = by_address(FAILURES)
        self._told = False

    def count(self, caller: Caller, scope: Any) -> None:
        """Count a request. Raises TooManyRequests."""
        if caller.operator is None:
            self._anonymous.take(self.address_of(scope))
        elif caller.own:
            self._clients.take(caller.client or "")
        else:
            self._peers.take(caller.operator)

    def count_credentials(self, authorization: str | None, scope: Any) -> None:
        """Count a request that brings a secret or an assertion. Raises TooManyRequests.

        By address and the client it claims to be: one client that asks too often takes nothing from the
        others behind the same address, and nobody can use up a client's share from elsewhere. An
        address has a share in all, or a new name for each request would be a way around.
        """
        address = self.address_of(scope)
        self._tokens.take(f"{address} {claimed_client(authorization)}")
        self._tokens_of_address.take(address)  # second: what the client may not have costs the others nothing

    def failed(self, address: str) -> None:
        """Note that an authentication failed, or an invitation was wrong."""
        self._failures.owe(address)

    def may_try(self, address: str) -> None:
        """Raises TooManyRequests when too many attempts of this address have failed: before any work."""
        self._failures.check(address)

    def address_of(self, scope: Any) -> str:
        """Where a request came from, as limits count it."""
        if not self._told and not self._proxies:
            self._look_for_proxy(scope)
        return address_of(scope, self._proxies)

    def _look_for_proxy(self, scope: Any) -> None:
        """Tell the administrator, once, that everybody is counted as one: it is easily overlooked."""
        if any(name == b"x-forwarded-for" for name, _ in scope["headers"]):
            self._told = True
            log.warning(
                "a request came by a proxy that FEDERATION_PROXIES does not name;"
                " whoever comes that way without a token has one limit together",
                extra={"proxy": str((scope.get("client") or ("",))[0])},
            )


def _whole(seconds: float) -> int:
    return max(math.ceil(seconds), 1)
