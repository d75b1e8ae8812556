"""From a token to a caller.

Access tokens are JWTs of five minutes (RFC 9068) that this node signed for itself. The result of a check
is remembered for at most a minute by the token's SHA-256, and forgotten at once when a client,
a peer or a key changes, in whatever process: also the result that a token of ours does not hold any more, so
that a caller who sends it again costs no query. A peer's token is bound to a key of the peer's (RFC 9449) and
comes with a proof for the one request; the operator's own clients use theirs as bearer tokens.
"""

from __future__ import annotations

import math
import secrets
import time
from typing import Any, TypeGuard

import msgspec

from federation.domain.errors import Unauthenticated
from federation.domain.visibility import Caller
from federation.node import exclusions, tokens
from federation.node.keys import LEEWAY, verify_dpop_proof, verify_jwt
from federation.node.node import Node

LIFETIME = 300
"""Seconds that an access token holds."""
REMEMBERED_SECONDS = 60
"""Time that the check of a token is remembered, at most."""
WRONG_PROOF = "invalid_dpop_proof"
"""The error of a challenge to a proof that does not hold (RFC 9449, 7.1)."""
MAX_REMEMBERED = 10_000
MAX_TOKEN = 8_192


class Holder(msgspec.Struct, frozen=True):
    """The client or peer that a token was issued to, and its times."""

    caller: Caller
    jkt: str | None
    """Thumbprint of the key the token is bound to; None for a bearer token."""
    client_id: str
    scopes: frozenset[str]
    issued_at: float
    expires_at: float


class Presented(msgspec.Struct, frozen=True):
    """The credentials of a request, and the method and path that a proof must be for."""

    authorization: str
    proofs: tuple[str, ...]
    """The ``DPoP`` headers."""
    method: str
    path: str


class Tokens:
    """Mints the node's access tokens, and verifies them."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.operator = node.operator
        self._remembered: dict[bytes, tuple[float, Holder | None]] = {}
        """Until when a check counts, and the holder; None for a token that does not hold any more."""
        self._cleared = 0
        node.notifier.on_trust_change(self._forget)

    async def _forget(self) -> None:
        self._remembered.clear()
        self._cleared += 1

    def mint(self, client_id: str, operator: str, scopes: frozenset[str], *, jkt: str | None = None) -> str:
        """An access token for one of the operator's own clients, or for a peer, bound to its key."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self._node.url,
            "aud": self._node.url,
            "sub": client_id,
            "client_id": client_id,
            "operator": operator,
            "scope": " ".join(sorted(scopes)),
            "iat": now,
            "exp": now + LIFETIME,
            "jti": secrets.token_urlsafe(16),
        }
        if jkt is not None:
            claims["cnf"] = {"jkt": jkt}
        return self._node.keyring.sign(claims, typ="at+jwt")

    async def caller(self, credentials: Presented) -> Caller:
        """The caller that presents these credentials, without its groups. Raises Unauthenticated."""
        scheme, _, token = credentials.authorization.partition(" ")
        holder = await self.holder(token)
        if holder.jkt is None:
            if scheme.lower() != "bearer":
                raise Unauthenticated("the Authorization header is not Bearer with an access token")
        else:
            if scheme.lower() != "dpop":
                raise Unauthenticated("a peer's token is bound to its key: Authorization: DPoP, with a proof")
            url = self._node.url + credentials.path
            jkt = await self.prove(credentials.proofs, credentials.method, url, token)
            if jkt != holder.jkt:
                raise Unauthenticated("the DPoP proof does not hold", error=WRONG_PROOF)
        return holder.caller

    async def caller_again(self, authorization: str) -> Caller:
        """The caller of an answer that goes on: the token is checked again, without a new proof."""
        return await self.with_groups(await self.holder_again(authorization))

    async def holder_again(self, authorization: str) -> Caller:
        """The caller without groups and exclusions: to read own feeds, with whose heads groups are read."""
        return (await self.holder(authorization.partition(" ")[2])).caller

    async def with_groups(self, caller: Caller) -> Caller:
        """The caller with groups and exclusions, looked up for each request: never in a token or stored."""
        return await exclusions.peer_caller(self._node, caller)

    async def prove(self, proofs: tuple[str, ...], method: str, url: str, token: str | None = None) -> str:
        """The thumbprint of the key that one DPoP proof shows, used this once. Raises Unauthenticated."""
        if len(proofs) != 1 or len(proofs[0]) > MAX_TOKEN:
            raise Unauthenticated("one DPoP header with a proof is needed", error=WRONG_PROOF)
        try:
            proof = verify_dpop_proof(proofs[0], method, url, token)
        except Unauthenticated as error:
            raise Unauthenticated(error.message, error=WRONG_PROOF) from None
        if not await tokens.use_proof(self._node, proof):
            raise Unauthenticated("the DPoP proof was used before", error=WRONG_PROOF)
        return proof.jkt

    async def holder(self, token: str, fingerprint: bytes | None = None) -> Holder:
        """The holder of an access token; ``fingerprint``: if it was made before. Raises Unauthenticated."""
        if not token or len(token) > MAX_TOKEN:
            raise Unauthenticated("the Authorization header does not hold an access token")
        if fingerprint is None:
            fingerprint = tokens.fingerprint_of(token)
        now = time.time()
        cached = self._remembered.get(fingerprint)
        if cached is None or now >= cached[0] or self._node.notifier.failing:
            cleared = self._cleared
            holder = await self._check(token, fingerprint, now)
            expires_at = math.inf if holder is None else holder.expires_at
            # Something was revoked meanwhile: this answer may be the one of before.
            until = now if cleared != self._cleared else min(expires_at, now + REMEMBERED_SECONDS)
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[fingerprint] = cached = (until, holder)
        if cached[1] is None:
            raise Unauthenticated("the token does not hold")
        return cached[1]

    async def _check(self, token: str, fingerprint: bytes, now: float) -> Holder | None:
        """The holder of a token; None where it is revoked, or its client or peer is.

        Raises Unauthenticated for what was never a token of this node or is one no longer: without a query.
        """
        claims = verify_jwt(token, self._node.keyring.public(), frozenset({"at+jwt"}))
        expires, issued = claims.get("exp"), claims.get("iat")
        client_id, operator, scope = claims.get("client_id"), claims.get("operator"), claims.get("scope")
        bound = claims.get("cnf", {})
        jkt = bound.get("jkt") if isinstance(bound, dict) else None
        if (
            claims.get("iss") != self._node.url
            or claims.get("aud") != self._node.url
            or not _is_number(expires)
            or not _is_number(issued)
            or not isinstance(client_id, str)
            or not isinstance(operator, str)
            or not isinstance(scope, str)
            or not isinstance(jkt, str | None)
            or now >= expires
            or issued > now + LEEWAY
            # Bearer tokens are for the operator's own clients only.
            or (jkt is None) != (operator == self._node.operator)
        ):
            raise Unauthenticated("the token does not hold")
        granted = await tokens.granted_scopes(self._node, client_id, operator, fingerprint)
        if granted is None:
            return None
        scopes = frozenset(scope.split()) & granted
        caller = Caller(node=self._node.operator, operator=operator, client=client_id, scopes=scopes)
        return Holder(caller, jkt, client_id, scopes, float(issued), float(expires))


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
