"""Clients, assertions, proofs and revoked tokens, as the authorisation server of a node checks them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import secrets
import time
from datetime import UTC, datetime
from typing import Any, TypeGuard

import msgspec

from federation.domain.errors import Unauthenticated
from federation.domain.peer import Peer
from federation.domain.scopes import PEER_SCOPES
from federation.node import key_rotation
from federation.node.keys import LEEWAY, PROOF_SECONDS, DPoPProof, kid_of, verify_jwt
from federation.node.node import Node

log = logging.getLogger("federation.peers")

MAX_ASSERTION_BYTES = 16_384
MAX_ASSERTION_SECONDS = 300
"""Time that a client's assertion may hold, at most."""
_NO_SECRET = secrets.token_bytes(32)
"""The digest of no secret: compared where there is no client, for the same work."""


def fingerprint_of(token: str) -> bytes:
    """The SHA-256 that a token is remembered and revoked by."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


async def authenticate_client(node: Node, client_id: str, secret: str) -> frozenset[str] | None:
    """The scopes of one of the operator's own clients; None unless it is active and the secret is its own.

    Wrong secrets and unknown clients cost the same work.
    """
    async with node.store.read_by_key() as tx:
        client = await tx.clients.find(client_id)
    digest = hashlib.sha256(secret.encode("utf-8", "replace")).digest()
    right = hmac.compare_digest(digest, client.secret_hash if client else _NO_SECRET)
    right |= hmac.compare_digest(digest, (client and client.former_secret_hash) or _NO_SECRET)
    if client is None or client.revoked_at is not None or not right:
        return None
    return frozenset(client.scopes)


def _clock_difference(now: float, issued: float, expires: float) -> str | None:
    """The reason why the times of an assertion do not hold by this clock; None where they do."""
    if issued > now + LEEWAY:
        direction, seconds = "future", issued - now
    elif expires <= now - LEEWAY:
        direction, seconds = "past", now - expires
    else:
        return None
    ours = f"{datetime.fromtimestamp(now, UTC):%FT%TZ}"
    return f"the assertion is {seconds:.0f} s in the {direction} by the clock of this node, which says {ours}"


async def authenticate_peer(node: Node, assertion: str) -> Peer | None:
    """The active peer whose key signed an assertion for this node (RFC 7523, 3); None for any other.

    Raises Unauthenticated where the peer's clock and ours differ: to nobody but the holder of its key.

    An assertion is good once. A peer whose assertion names a key that is not known is asked for its keys: its
    key set says so, endorsed by the one we know.
    """
    operator = claimed_issuer(assertion)
    async with node.store.read_by_key() as tx:
        peer = await tx.peers.find(operator) if operator else None
    if peer is not None and (kid := kid_of(assertion)) is not None and kid not in peer.kids:
        peer = await key_rotation.reread_keys(node, peer.operator, kid=kid)
    if peer is None or peer.state != "active":
        return None
    try:
        claims = verify_jwt(assertion, peer.keys, frozenset({None, "jwt", "client-authentication+jwt"}))
    except Unauthenticated:
        return None
    now = time.time()
    expires, issued, jti = claims.get("exp"), claims.get("iat", now), claims.get("jti")
    if (
        claims.get("iss") != peer.operator
        or claims.get("sub") != peer.operator
        or claims.get("aud") not in (node.url, [node.url])
        or not is_time(expires)
        or not is_time(issued)
        or not is_time(claims.get("nbf", 0))
        or not isinstance(jti, str)
        or not 8 <= len(jti) <= 255
    ):
        return None
    if expires > max(now, issued) + MAX_ASSERTION_SECONDS:
        return None
    if reason := _clock_difference(now, max(issued, claims.get("nbf", 0)), expires):
        log.warning("the clocks differ", extra={"peer": peer.operator, "reason": reason})
        raise Unauthenticated(reason)
    fingerprint = hashlib.sha256(f"{peer.operator}\n{jti}".encode("utf-8", "replace")).digest()
    async with node.store.write() as tx:
        fresh = await tx.tokens.use_assertion(fingerprint, datetime.fromtimestamp(expires + 2 * LEEWAY, UTC))
    return peer if fresh else None


def claimed_issuer(assertion: str) -> str | None:
    """The issuer that an assertion names: to find the key that must then have signed it."""
    parts = assertion.split(".")
    if len(parts) != 3 or len(assertion) > MAX_ASSERTION_BYTES:
        return None
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, msgspec.MsgspecError, RecursionError):
        return None
    issuer = claims.get("iss") if isinstance(claims, dict) else None
    return issuer if isinstance(issuer, str) and len(issuer) <= 63 and "\x00" not in issuer else None


def is_time(value: Any) -> TypeGuard[float]:
    """Whether a claim is a NumericDate (RFC 7519, 2) of a possible moment."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**40


async def use_proof(node: Node, proof: DPoPProof) -> bool:
    """Note that a DPoP proof was used; False when it was used before, in whatever process."""
    fingerprint = hashlib.sha256(f"dpop\n{proof.jkt}\n{proof.jti}".encode("utf-8", "replace")).digest()
    until = datetime.fromtimestamp(proof.iat + PROOF_SECONDS + 2 * LEEWAY, UTC)
    return await node.used_proofs.use(fingerprint, until)


async def granted_scopes(node: Node, client_id: str, operator: str, token: bytes) -> frozenset[str] | None:
    """The scopes that a client or peer may have by now; None when it, or the token, is revoked."""
    async with node.store.read_by_key() as tx:
        if operator == node.operator:
            client = await tx.clients.find(client_id)
            active = client is not None and client.revoked_at is None
            scopes = frozenset(client.scopes) if client else frozenset()
        else:
            peer = await tx.peers.find(operator)
            active = peer is not None and peer.state == "active" and client_id == operator
            scopes = PEER_SCOPES
        revoked = await tx.tokens.is_revoked(token)
    return scopes if active and not revoked else None


async def client_scopes(node: Node, client_id: str) -> frozenset[str]:
    """The scopes of one of the operator's own clients; none for any other."""
    async with node.store.read_by_key() as tx:
        client = await tx.clients.find(client_id)
    return frozenset(client.scopes) if client else frozenset()


async def revoke(node: Node, token: str, *, expires_at: float, by: str) -> None:
    """Revoke an access token, for all processes, until it would have expired."""
    async with node.store.write() as tx:
        await tx.audit.note("token.revoked", actor=by, subject=by)
        await tx.tokens.revoke(fingerprint_of(token), datetime.fromtimestamp(expires_at + 2 * LEEWAY, UTC))
    await node.notifier.refresh()
