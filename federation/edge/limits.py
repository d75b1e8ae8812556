"""Limits of requests: token buckets, in the memory of this process.

A request counts as of the own client or peer that its token names, else as of its address. Several processes
on one database count each for itself, so together they allow as many times as much. A request counts once,
however long it waits, and an upload is one request. How many may be under way at once: ``edge/shares.py``.

Requests that bring a secret count by address and the client they claim to be. Credentials that were right
before count by themselves alone, and failed ones are counted after they were checked: whatever others behind
the same address try, a client with the right secret gets its token.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import secrets
import time
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

from federation.domain.visibility import Caller
from federation.edge.standing_headers import RATE
from federation.edge.token_buckets import MAX_REMEMBERED, Rate, TokenBuckets

log = logging.getLogger("federation.api")

BURST_SECONDS = 2
"""Burst of a caller that has been silent, in seconds of its rate."""
MAX_HOPS = 20
"""Proxies behind one another that ``X-Forwarded-For`` is followed through."""
_MAX_ADDRESS_LENGTH = 45


TOKENS = Rate(10, 50)
"""Token requests of one client from one address."""
TOKENS_OF_ADDRESS = Rate(50, 250)
"""Token requests of one address, whichever clients they name."""
FAILURES = Rate(1, 30)
"""Failed authentications of one client from one address; wrong invitations of one address."""
FAILURES_OF_ADDRESS = Rate(10, 300)
"""Failed authentications of one address, whichever clients they name."""


class Proxies:
    """The proxies that are believed about the address a request came from."""

    def __init__(self, networks: tuple[IPv4Network | IPv6Network, ...] = ()) -> None:
        self._networks = networks
        # The same few thousand addresses come again and again, and reading one takes microseconds.
        self.locate = lru_cache(MAX_REMEMBERED)(self._locate)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def _locate(self, text: str) -> tuple[str, bool] | None:
        """The address as it counts, and whether it is a proxy's; None for a text that is no address."""
        try:
            address = ip_address(text)
        except ValueError:
            return None
        if isinstance(address, IPv6Address):
            # A listener for both families shows IPv4 callers so.
            address = address.ipv4_mapped or address
        is_proxy = any(address in network for network in self._networks)
        if isinstance(address, IPv6Address):
            # A host with one IPv6 address has the /64 around it.
            return str(IPv6Network((int(address) >> 64 << 64, 64))), is_proxy
        return str(address), is_proxy


def address_of(scope: Any, proxies: Proxies) -> str:
    """The address a request came from, as limits count it: an IPv4 address, or the /64 of an IPv6 address.

    Only a proxy is believed: ``X-Forwarded-For`` is read from the right, the end that our own proxy wrote, up
    to the first address that is not a proxy's. A header that cannot be read is ignored: the address is then
    that of the connection.
    """
    client = scope.get("client")
    located = proxies.locate(client[0]) if client else None
    if located is None:
        return ""  # not a network: all of them are one
    connected, is_proxy = located
    if not is_proxy:
        return connected
    origin = connected
    header = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
    for part in reversed(header.decode("latin-1").rsplit(",", MAX_HOPS) if header else ()):
        text = part.strip()
        located = proxies.locate(text) if len(text) <= _MAX_ADDRESS_LENGTH else None
        if located is None:
            return connected
        origin, is_proxy = located
        if not is_proxy:
            break
    return origin


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
    """The limits of this process; made without arguments, none.

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
        self._invitations = by_address(FAILURES)
        self._failures = by_address(FAILURES)
        self._failures_of_address = by_address(FAILURES_OF_ADDRESS)
        self._logins = by_address(TOKENS)
        """Of credentials that were right, by a digest of them and their address."""
        self._digest_key = secrets.token_bytes(32)
        self._warned = False

    def count(self, caller: Caller, scope: Any) -> None:
        """Count a request; its answer tells what is left. Raises TooManyRequests."""
        if caller.operator is None:
            buckets, name = self._anonymous, self.address_of(scope)
        elif caller.own:
            buckets, name = self._clients, caller.person or caller.client or ""
        else:
            buckets, name = self._peers, caller.operator
        scope[RATE] = buckets.of(name)
        buckets.take(name)

    def caller_name(self, caller: Caller, scope: Any) -> str:
        """The caller that a request counts as: a person, a client, a peer, or an address."""
        if caller.operator is None:
            return f"address {self.address_of(scope)}"
        if caller.person is not None:
            return f"person {caller.person}"
        return f"client {caller.client}" if caller.own else f"peer {caller.operator}"

    def count_credentials(self, authorization: str | None, scope: Any) -> None:
        """Count a request that brings a secret or an assertion. Raises TooManyRequests.

        By address and the client it claims to be: one client that asks too often takes nothing from the
        others behind the same address, and nobody can use up a client's share from elsewhere. An
        address has a share in all, or a new name for each request would be a way around. Credentials that
        were right before take nothing of it, and nothing can be taken from them without the secret.
        """
        login = self.login_name(authorization, scope)
        if login is not None:
            self._logins.take(login)
            return
        address = self.address_of(scope)
        self._tokens.take(f"{address} {claimed_client(authorization)}")
        self._tokens_of_address.take(address)  # second: what the client may not have costs the others nothing

    def login_name(self, authorization: str | None, scope: Any) -> str | None:
        """The name that credentials count by when they were right before at this process; else None."""
        if authorization is None:
            return None
        name = self._login_digest(authorization, scope)
        return name if name in self._logins else None

    def remember_login(self, authorization: str, scope: Any) -> None:
        """Note that credentials were right."""
        name = self._login_digest(authorization, scope)
        if name not in self._logins:
            self._logins.owe(name, always=True)

    def _login_digest(self, authorization: str, scope: Any) -> str:
        # Keyed, so that what is remembered is of no use elsewhere; with the address, so that a stolen secret
        # is counted apart.
        text = f"{self.address_of(scope)} {authorization}".encode("utf-8", "replace")
        return "login " + hashlib.blake2b(text, key=self._digest_key, digest_size=16).hexdigest()

    def count_failure(self, authorization: str | None, client: str, scope: Any) -> None:
        """Note that an authentication failed. Raises TooManyRequests for the next after too many.

        By address and claimed client first, then by the address in a much wider bound. The credentials
        were checked before, so no failure of others keeps a client out; and the answer depends on the
        claimed name and not on its being one of ours.
        """
        address = self.address_of(scope)
        if authorization is not None:
            self._logins.forget(self._login_digest(authorization, scope))
        pair = f"{address} {client[:128]}"
        try:
            self._failures.check(pair)
            self._failures_of_address.check(address)
        finally:
            self._failures.owe(pair)
            self._failures_of_address.owe(address)

    def failed(self, address: str) -> None:
        """Note that an invitation was wrong."""
        self._invitations.owe(address)

    def may_try(self, address: str) -> None:
        """Raises TooManyRequests when too many invitations of this address were wrong: before any work."""
        self._invitations.check(address)

    def address_of(self, scope: Any) -> str:
        """The address a request came from, as limits count it."""
        if not self._warned and not self._proxies:
            self._warn_of_proxy(scope)
        return address_of(scope, self._proxies)

    def _warn_of_proxy(self, scope: Any) -> None:
        """Warn the administrator, once, that all callers are counted as one: it is easily overlooked."""
        if any(name == b"x-forwarded-for" for name, _ in scope["headers"]):
            self._warned = True
            log.warning(
                "a request came by a proxy that FEDERATION_PROXIES does not name;"
                " whoever comes that way without a token has one limit together",
                extra={"proxy": str((scope.get("client") or ("",))[0])},
            )
