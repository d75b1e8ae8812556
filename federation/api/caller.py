"""From a token to a caller.

Access tokens are JWTs of five minutes (RFC 9068) that this node signed for itself. What a check has
found is remembered for at most a minute by the token's SHA-256, and forgotten at once when a client,
a peer or a key changes, in whatever process.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import Any, TypeGuard

import msgspec

from federation.domain.errors import Unauthenticated
from federation.domain.scopes import PEER_SCOPES
from federation.domain.visibility import Caller
from federation.keys import verified
from federation.node import Node

LIFETIME = 300
"""Seconds that an access token holds."""
REMEMBERED = 60
"""Seconds that the check of a token is remembered, at most."""
MOST_REMEMBERED = 10_000
LEEWAY = 30
"""Seconds that clocks may differ."""
MAX_TOKEN = 8_192


class Tokens:
    """Mints the node's access tokens, and knows them again."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.operator = node.operator
        self._remembered: dict[bytes, tuple[float, Caller]] = {}
        self._cleared = 0
        node.watch.on_trust_change(self._forget)

    def _forget(self) -> None:
        self._remembered.clear()
        self._cleared += 1

    def mint(self, client_id: str, operator: str, scopes: frozenset[str]) -> str:
        """An access token for one of the operator's own clients, or for a peer."""
        now = int(time.time())
        return self._node.keyring.sign(
            {
                "iss": self._node.url,
                "aud": self._node.url,
                "sub": client_id,
                "client_id": client_id,
                "operator": operator,
                "scope": " ".join(sorted(scopes)),
                "iat": now,
                "exp": now + LIFETIME,
                "jti": secrets.token_urlsafe(16),
            },
            typ="at+jwt",
        )

    async def caller(self, authorization: str) -> Caller:
        """Who presents this ``Authorization`` header. Raises Unauthenticated.

        A peer's groups are looked up for each request: they are never in a token or remembered.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN:
            raise Unauthenticated("the Authorization header is not Bearer with an access token")
        fingerprint = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        now = time.time()
        known = self._remembered.get(fingerprint)
        if known is not None and now < known[0]:
            caller = known[1]
        else:
            cleared = self._cleared
            caller, until = await self._check(token, now)
            if cleared != self._cleared:
                until = now  # something was revoked meanwhile: this answer may be the one of before
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[fingerprint] = (min(until, now + REMEMBERED), caller)
        if caller.own or caller.operator is None:
            return caller
        return msgspec.structs.replace(caller, groups=await self._node.groups_of(caller.operator))

    async def _check(self, token: str, now: float) -> tuple[Caller, float]:
        claims = verified(token, self._node.keyring.public(), frozenset({"at+jwt"}))
        expires, issued = claims.get("exp"), claims.get("iat")
        client_id, operator, scope = claims.get("client_id"), claims.get("operator"), claims.get("scope")
        if (
            claims.get("iss") != self._node.url
            or claims.get("aud") != self._node.url
            or not _is_number(expires)
            or not _is_number(issued)
            or not isinstance(client_id, str)
            or not isinstance(operator, str)
            or not isinstance(scope, str)
            or now >= expires
            or issued > now + LEEWAY
        ):
            raise Unauthenticated("the token does not hold")
        scopes = frozenset(scope.split())
        async with self._node.store.read() as tx:
            if operator == self._node.operator:
                client = await tx.clients.find(client_id)
                holds = client is not None and client.revoked_at is None
                scopes &= frozenset(client.scopes) if client else frozenset()
            else:
                peer = await tx.peers.find(operator)
                holds = peer is not None and peer.state == "active" and client_id == operator
                scopes &= PEER_SCOPES
        if not holds:
            raise Unauthenticated("the token does not hold")
        caller = Caller(node=self._node.operator, operator=operator, client=client_id, scopes=scopes)
        return caller, float(expires)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
