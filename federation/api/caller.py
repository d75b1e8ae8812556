"""From a token to a caller.

Access tokens are JWTs of five minutes (RFC 9068) that this node signed for itself. What a check has
found is remembered for at most a minute by the token's SHA-256, and forgotten at once when a client,
a peer or a key changes, in whatever process. A peer's token is bound to a key of the peer's (RFC 9449)
and comes with a proof for the one request; the operator's own clients use theirs as bearer tokens.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from datetime import UTC, datetime
from typing import Any, TypeGuard

import msgspec

from federation.domain.errors import Unauthenticated
from federation.domain.scopes import PEER_SCOPES
from federation.domain.visibility import Caller
from federation.node import feeds
from federation.node.keys import LEEWAY, PROOF_SECONDS, verify_dpop_proof, verify_jwt
from federation.node.node import Node

LIFETIME = 300
"""Seconds that an access token holds."""
REMEMBERED = 60
"""Seconds that the check of a token is remembered, at most."""
MAX_REMEMBERED = 10_000
MAX_TOKEN = 8_192


class Holder(msgspec.Struct, frozen=True):
    """Whose a token is, and until when."""

    caller: Caller
    jkt: str | None
    """Thumbprint of the key the token is bound to; None for a bearer token."""
    client_id: str
    scopes: frozenset[str]
    issued_at: float
    expires_at: float


class Presented(msgspec.Struct, frozen=True):
    """What a request shows of its caller, and what a proof must be for."""

    authorization: str
    proofs: tuple[str, ...]
    """The ``DPoP`` headers."""
    method: str
    path: str


class Tokens:
    """Mints the node's access tokens, and knows them again."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.operator = node.operator
        self._remembered: dict[bytes, tuple[float, Holder]] = {}
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

    async def caller(self, shown: Presented) -> Caller:
        """Who presents this. Raises Unauthenticated."""
        scheme, _, token = shown.authorization.partition(" ")
        holder = await self.holder(token)
        if holder.jkt is None:
            if scheme.lower() != "bearer":
                raise Unauthenticated("the Authorization header is not Bearer with an access token")
        else:
            if scheme.lower() != "dpop":
                raise Unauthenticated("a peer's token is bound to its key: Authorization: DPoP, with a proof")
            jkt = await self.prove(shown.proofs, shown.method, self._node.url + shown.path, token)
            if jkt != holder.jkt:
                raise Unauthenticated("the DPoP proof does not hold")
        return await self._now(holder)

    async def still(self, authorization: str) -> Caller:
        """Who presented this, while an answer goes on: whether the token holds yet, without a new proof."""
        return await self._now(await self.holder(authorization.partition(" ")[2]))

    async def whose(self, authorization: str) -> Caller:
        """As ``still``, for what looks up itself which groups the caller is in."""
        return (await self.holder(authorization.partition(" ")[2])).caller

    async def _now(self, holder: Holder) -> Caller:
        """A peer's groups are looked up for each request: they are never in a token or remembered."""
        caller = holder.caller
        if caller.own or caller.operator is None:
            return caller
        return msgspec.structs.replace(caller, groups=await feeds.groups_of(self._node, caller.operator))

    async def prove(self, proofs: tuple[str, ...], method: str, url: str, token: str | None = None) -> str:
        """The thumbprint of the key that one DPoP proof shows, used this once. Raises Unauthenticated."""
        if len(proofs) != 1 or len(proofs[0]) > MAX_TOKEN:
            raise Unauthenticated("one DPoP header with a proof is needed")
        proof = verify_dpop_proof(proofs[0], method, url, token)
        single = hashlib.sha256(f"dpop\n{proof.jkt}\n{proof.jti}".encode("utf-8", "replace")).digest()
        until = datetime.fromtimestamp(proof.iat + PROOF_SECONDS + 2 * LEEWAY, UTC)
        async with self._node.store.autocommit() as tx:
            fresh = await tx.tokens.use_dpop_proof(single, until)
        if not fresh:
            raise Unauthenticated("the DPoP proof was used before")
        return proof.jkt

    async def holder(self, token: str) -> Holder:
        """Whose an access token is. Raises Unauthenticated."""
        if not token or len(token) > MAX_TOKEN:
            raise Unauthenticated("the Authorization header does not hold an access token")
        fingerprint = fingerprint_of(token)
        now = time.time()
        known = self._remembered.get(fingerprint)
        if known is not None and now < known[0] and not self._node.notifier.failing:
            return known[1]
        cleared = self._cleared
        found = await self._check(token, fingerprint, now)
        # Something was revoked meanwhile: this answer may be the one of before.
        until = now if cleared != self._cleared else min(found.expires_at, now + REMEMBERED)
        if len(self._remembered) >= MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[fingerprint] = (until, found)
        return found

    async def _check(self, token: str, fingerprint: bytes, now: float) -> Holder:
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
            holds = holds and not await tx.tokens.is_revoked(fingerprint)
        if not holds:
            raise Unauthenticated("the token does not hold")
        caller = Caller(node=self._node.operator, operator=operator, client=client_id, scopes=scopes)
        return Holder(caller, jkt, client_id, scopes, float(issued), float(expires))


def fingerprint_of(token: str) -> bytes:
    """What a token is remembered and revoked by."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
