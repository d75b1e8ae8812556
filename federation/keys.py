"""The node's keys: what it signs with, and how others know them.

ES256 (ECDSA on P-256, RFC 7518 3.4). A key is named by its RFC 7638 thumbprint, which is also what two
administrators compare when they make their nodes peers.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet
from joserfc.jws import JWSRegistry

from federation.domain.errors import Unauthenticated

ALGORITHMS = ["ES256"]
"""Algorithms accepted, whatever a token says of itself."""


def mint() -> dict[str, Any]:
    """A new private key as a JWK."""
    key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, private=True)
    return {**key.as_dict(private=True), "kid": key.thumbprint()}


def thumbprint(jwk: dict[str, Any]) -> str:
    """RFC 7638. Raises ValueError for what is no P-256 public key."""
    if jwk.get("kty") != "EC" or jwk.get("crv") != "P-256":
        raise ValueError("the key is not an EC key on P-256")
    try:
        return str(ECKey.import_key(jwk).thumbprint())
    except (JoseError, ValueError, TypeError) as error:
        raise ValueError(f"the key cannot be read: {error}") from None


class Keyring:
    """The private keys of this node, newest first."""

    def __init__(self, keys: list[dict[str, Any]]) -> None:
        self._keys = [ECKey.import_key(key) for key in keys]

    @property
    def kid(self) -> str:
        """Thumbprint of the key that signs now."""
        return str(self._keys[0].thumbprint())

    def public(self) -> dict[str, Any]:
        """The JWK set others verify with (RFC 7517)."""
        return {
            "keys": [
                {**key.as_dict(private=False), "kid": key.thumbprint(), "use": "sig", "alg": "ES256"}
                for key in self._keys
            ]
        }

    def sign(self, claims: dict[str, Any], *, typ: str) -> str:
        """A JWT of these claims."""
        return str(jwt.encode({"alg": "ES256", "typ": typ, "kid": self.kid}, claims, self._keys[0]))

    def assertion(self, operator: str, issuer: str) -> str:
        """How this node authenticates at a peer's token endpoint (RFC 7523, issuer as only audience)."""
        now = int(time.time())
        return self.sign(
            {
                "iss": operator,
                "sub": operator,
                "aud": issuer,
                "iat": now,
                "exp": now + 60,
                "jti": secrets.token_urlsafe(24),
            },
            typ="client-authentication+jwt",
        )


def verified(token: str, jwks: dict[str, Any], types: frozenset[str | None]) -> dict[str, Any]:
    """The claims of a JWT whose signature and ``typ`` hold. Raises Unauthenticated.

    Times and audiences are for the caller to check: they differ between assertions and tokens.
    """
    try:
        found = jwt.decode(
            token,
            KeySet.import_key_set(jwks),  # type: ignore[arg-type]
            algorithms=ALGORITHMS,
            registry=JWSRegistry(algorithms=ALGORITHMS),
        )
    except (JoseError, ValueError, TypeError, KeyError, UnicodeError, RecursionError):
        raise Unauthenticated("the token does not hold") from None
    kind = found.header.get("typ")
    if (kind.lower() if isinstance(kind, str) else kind) not in types or not isinstance(found.claims, dict):
        raise Unauthenticated("the token does not hold")
    return dict(found.claims)
