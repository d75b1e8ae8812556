"""Assertions, proofs, tokens and registrations as an attacker makes them: anything may be wrong with them.

Made by hand and not by ``federation.node.keys``, so that a fault there cannot agree with itself here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from federation.domain.peer import Peer, PeerState

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CLIENT_JWT = "client-authentication+jwt"
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the group of P-256."""


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "==")


def part(value: Any) -> str:
    """Bytes as they are, all else as JSON."""
    return b64(value if isinstance(value, bytes) else json.dumps(value).encode())


def changed(good: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """With changes; ``...`` leaves a member out."""
    return {name: value for name, value in {**good, **changes}.items() if value is not ...}


class Key:
    """A key pair on P-256; the same one for the same seed."""

    def __init__(self, seed: str | None = None) -> None:
        drawn = hashlib.sha256((seed or secrets.token_hex()).encode()).digest()
        self._key = ec.derive_private_key(int.from_bytes(drawn) % (ORDER - 1) + 1, ec.SECP256R1())
        at = self._key.public_key().public_numbers()
        self.d = b64(self._key.private_numbers().private_value.to_bytes(32))
        self.bare = {"crv": "P-256", "kty": "EC", "x": b64(at.x.to_bytes(32)), "y": b64(at.y.to_bytes(32))}
        packed = json.dumps(self.bare, separators=(",", ":"), sort_keys=True).encode()
        self.kid = b64(hashlib.sha256(packed).digest())
        self.public = {**self.bare, "kid": self.kid, "use": "sig", "alg": "ES256"}
        self.private = {**self.public, "d": self.d}

    def signature(self, text: str) -> bytes:
        r, s = decode_dss_signature(self._key.sign(text.encode(), ec.ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)

    def jws(self, header: Any, claims: Any) -> str:
        """Signed with ES256, whatever the header says."""
        text = f"{part(header)}.{part(claims)}"
        return f"{text}.{b64(self.signature(text))}"


def unsigned(header: Any, claims: Any) -> str:
    return f"{part(header)}.{part(claims)}."


def maced(header: Any, claims: Any, secret: bytes) -> str:
    """Signed with HMAC-SHA256."""
    text = f"{part(header)}.{part(claims)}"
    return f"{text}.{b64(hmac.digest(secret, text.encode(), hashlib.sha256))}"


def token_hash(token: str) -> str:
    return b64(hashlib.sha256(token.encode()).digest())


class Party:
    """Somebody with a key: a peer, or who would be one."""

    def __init__(self, operator: str, *, url: str | None = None, key: Key | None = None) -> None:
        self.operator = operator
        self.url = url or f"https://{operator}.example"
        self.key = key or Key()
        self.prover = Key()
        """What its tokens are bound to."""

    @property
    def jwks(self) -> dict[str, Any]:
        return {"keys": [self.key.public]}

    def known(self, state: PeerState = "active", *, private: bool = True) -> Peer:
        """What a node stores of it."""
        from datetime import UTC, datetime

        return Peer(
            operator=self.operator,
            url=self.url,
            name=self.operator.title(),
            state=state,
            keys=self.jwks,
            thumbprint=self.key.kid,
            added_at=datetime.now(UTC),
            private=private,
        )

    def claims(self, audience: str, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        good = {
            "iss": self.operator, "sub": self.operator, "aud": audience, "iat": now, "exp": now + 60,
            "jti": secrets.token_urlsafe(16),
        }  # fmt: skip
        return changed(good, changes)

    def assertion(
        self, audience: str, *, by: Key | None = None, header: dict[str, Any] | None = None, **changes: Any
    ) -> str:
        """How it authenticates at a node; ``by``: another key signs, and the header does not tell."""
        head = changed({"alg": "ES256", "typ": CLIENT_JWT, "kid": self.key.kid}, header or {})
        return (by or self.key).jws(head, self.claims(audience, **changes))

    def proof(
        self,
        method: str,
        url: str,
        token: str | None = None,
        *,
        by: Key | None = None,
        header: dict[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """A DPoP proof; ``by``: another key signs than the one that is shown."""
        head = changed({"alg": "ES256", "typ": "dpop+jwt", "jwk": self.prover.bare}, header or {})
        return (by or self.prover).jws(head, proof_claims(method, url, token, **changes))

    def statement(self, inviter: str, secret: str, *, by: Key | None = None, **changes: Any) -> str:
        """That it holds its key, for this inviter and this invitation."""
        now = int(time.time())
        good = {
            "iss": self.operator, "aud": inviter, "iat": now, "exp": now + 300, "url": self.url,
            "invitation": hashlib.sha256(secret.encode()).hexdigest(),
        }  # fmt: skip
        header = {"alg": "ES256", "typ": "federation-registration+jwt", "kid": self.key.kid}
        return (by or self.key).jws(header, changed(good, changes))

    def registration(self, inviter: str, secret: str, **changes: Any) -> dict[str, Any]:
        """What it posts to join."""
        good = {
            "operator": self.operator, "client_name": self.operator.title(), "client_uri": self.url,
            "jwks": self.jwks, "token_endpoint_auth_method": "private_key_jwt",
            "grant_types": ["client_credentials"], "software_statement": ...,
        }  # fmt: skip
        body = changed(good, changes)
        if "software_statement" not in changes:
            body["software_statement"] = self.statement(inviter, secret, url=body["client_uri"])
        return body

    def endorsement(self, by: Key, new: Key, **changes: Any) -> str:
        """That one key is followed by another."""
        header = {"alg": "ES256", "typ": "federation-key+jwt", "kid": by.kid, "jwk": by.public}
        claims = changed({"iss": self.operator, "iat": int(time.time()), "jwk": new.bare}, changes)
        return by.jws(header, claims)


def proof_claims(method: str, url: str, token: str | None = None, **changes: Any) -> dict[str, Any]:
    good: dict[str, Any] = {
        "jti": secrets.token_urlsafe(16), "htm": method, "htu": url, "iat": int(time.time()),
    }  # fmt: skip
    if token is not None:
        good["ath"] = token_hash(token)
    return changed(good, changes)
