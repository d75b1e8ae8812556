"""Test keys that everybody knows, and signatures that are always the same (RFC 6979)."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256

from federation.domain.canonical import canonical
from federation.node.keys import thumbprint

WARNING = (
    "Test keys: their private parts are published (RFC 6979, A.2.5; RFC 7515, A.3; the others are drawn from"
    " their names). Never use them."
)
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class PublishedKey:
    """A key pair on P-256 whose private part is published: for tests, never for a node."""

    def __init__(self, private: int) -> None:
        self._private = ec.derive_private_key(private, ec.SECP256R1())
        numbers = self._private.public_key().public_numbers()
        self.bare = {
            "kty": "EC",
            "crv": "P-256",
            "x": b64(numbers.x.to_bytes(32)),
            "y": b64(numbers.y.to_bytes(32)),
        }
        self.kid = thumbprint(self.bare)
        self.public = {**self.bare, "kid": self.kid, "use": "sig", "alg": "ES256"}
        self.private = {**self.bare, "d": b64(private.to_bytes(32))}

    @classmethod
    def named(cls, name: str) -> PublishedKey:
        """The key of a name: SHA-256 of it, as a number below the order of the curve."""
        drawn = int.from_bytes(hashlib.sha256(f"federation test key {name}".encode()).digest())
        return cls(drawn % (_ORDER - 1) + 1)

    def jws(self, header: dict[str, Any], claims: Any) -> str:
        """A JWS in compact form, signed with ES256 whatever its header says."""
        text = f"{b64(canonical(header))}.{b64(canonical(claims))}"
        der = self._private.sign(text.encode(), ec.ECDSA(SHA256(), deterministic_signing=True))
        r, s = utils.decode_dss_signature(der)
        return f"{text}.{b64(r.to_bytes(32) + s.to_bytes(32))}"

    def sign(self, claims: Any, typ: str, **header: Any) -> str:
        """A JWS of this type that names the key; ``header`` adds members, or takes the place of some."""
        return self.jws({"alg": "ES256", "kid": self.kid, "typ": typ, **header}, claims)


def unsigned(claims: Any, typ: str, **header: Any) -> str:
    """A JWS with ``alg`` ``none``, and no signature."""
    return f"{b64(canonical({'alg': 'none', 'typ': typ, **header}))}.{b64(canonical(claims))}."


def altered(jws: str, claims: Any) -> str:
    """A JWS with other claims under its signature."""
    head, _, signature = jws.split(".")
    return f"{head}.{b64(canonical(claims))}.{signature}"


def claims_of(jws: str) -> Any:
    """The claims of a JWS, for people who read the file."""
    return json.loads(unpadded(jws.split(".")[1]))


def b64(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unpadded(text: str) -> bytes:
    """The bytes of base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def sha256(raw: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(raw).hexdigest()


def _number(text: str) -> int:
    return int.from_bytes(unpadded(text))


ORIGIN = PublishedKey(_number("ya-p2EW6dRZrXCFXZ7HWk05Qw9s26JsSe4piKxIPZyE"))
"""The key of ``arnia`` (RFC 6979, A.2.5)."""
OTHER = PublishedKey(_number("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"))
"""The key of ``megalis``, a peer of ``arnia`` (RFC 7515, A.3)."""
SECOND, THIRD, STRANGER, PROCESS = (
    PublishedKey.named(name) for name in ("second", "third", "stranger", "process")
)
"""Later keys, the key of nobody in particular, and the one that a process binds its tokens to."""
