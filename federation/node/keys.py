"""The node's keys: what it signs with, and how others know them.

ES256 (ECDSA on P-256, RFC 7518 3.4). A key is named by its RFC 7638 thumbprint, which is also what two
administrators compare when they make their nodes peers.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet
from joserfc.jws import JWSRegistry

from federation.domain.errors import Unauthenticated
from federation.domain.peer import OwnKey

ALGORITHMS = ["ES256"]
"""Algorithms accepted, whatever a token says of itself."""


def mint_private_key() -> dict[str, Any]:
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
    """The keys of this node, newest first.

    The newest whose time has come signs. All that are not retired are published: what they signed still
    holds, or they are about to sign.
    """

    def __init__(
        self, keys: Sequence[OwnKey], clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._clock = clock
        self.reload(keys)

    @classmethod
    def of(cls, *jwks: dict[str, Any]) -> Keyring:
        """A ring of these private keys; the first signs."""
        return cls([OwnKey(jwk=jwk) for jwk in jwks])

    def reload(self, keys: Sequence[OwnKey]) -> None:
        """Hold these keys from now on, newest first."""
        self._own = list(keys)
        self._keys = {str(key.jwk["kid"]): ECKey.import_key(key.jwk) for key in keys}
        self._public: dict[str, Any] = {
            "keys": [self.public_jwk(str(key.jwk["kid"])) for key in keys if not key.retired],
            "succession": [key.endorsement for key in reversed(keys[:MAX_ENDORSEMENTS]) if key.endorsement],
        }

    @property
    def kid(self) -> str:
        """Thumbprint of the key that signs now."""
        current = self._clock()
        signing = next(
            (key for key in self._own if not key.retired and key.use_from <= current), self._own[-1]
        )
        return str(signing.jwk["kid"])

    def kid_at(self, moment: datetime) -> str:
        """Thumbprint of the key that signed at a moment; if it was replaced since, of the key that did so."""
        return next(
            str(key.jwk["kid"])
            for key in self._own
            if key.use_from <= moment or key.endorsement is None or key is self._own[-1]
        )

    def public_jwk(self, kid: str) -> dict[str, Any]:
        key = self._keys[kid]
        return {**key.as_dict(private=False), "kid": key.thumbprint(), "use": "sig", "alg": "ES256"}

    def public(self) -> dict[str, Any]:
        """The JWK set others verify with (RFC 7517), and how its keys succeeded each other.

        ``succession`` (a member that RFC 7517 lets others ignore) holds the endorsements, oldest first.
        """
        return self._public

    def history(self) -> dict[str, Any]:
        """Every key there ever was, for what was signed long ago."""
        return {"keys": [self.public_jwk(kid) for kid in self._keys]}

    def sign(self, claims: dict[str, Any], *, typ: str, header: dict[str, Any] | None = None) -> str:
        """A JWT of these claims."""
        kid = self.kid
        head = {"alg": "ES256", "typ": typ, "kid": kid, **(header or {})}
        return str(jwt.encode(head, claims, self._keys[kid]))

    def assertion(self, operator: str, issuer: str) -> str:
        """Make the assertion for a peer's token endpoint (RFC 7523; the issuer is its only audience)."""
        issued_at = int(time.time())
        return self.sign(
            {
                "iss": operator,
                "sub": operator,
                "aud": issuer,
                "iat": issued_at,
                "exp": issued_at + 60,
                "jti": secrets.token_urlsafe(24),
            },
            typ="client-authentication+jwt",
        )

    def endorse(self, jwk: dict[str, Any], operator: str) -> str:
        """Endorse a new key of this node: a signature over it by the key that signs now.

        The header holds the signing key, so that who knows it by its thumbprint only can follow.
        """
        public = {name: jwk[name] for name in _PUBLIC}
        claims = {"iss": operator, "iat": int(time.time()), "jwk": public}
        return self.sign(claims, typ=ENDORSEMENT, header={"jwk": self.public_jwk(self.kid)})


_PUBLIC = ("kty", "crv", "x", "y")
ENDORSEMENT = "federation-key+jwt"
MAX_ENDORSEMENTS = 500
"""Endorsements that are followed, at most: a key a week for nearly ten years."""


def trusted_keys(known_kids: Collection[str], jwks: dict[str, Any], operator: str) -> dict[str, Any]:
    """The keys of a JWK set that are a node's: those it was known by, and those they endorsed in turn.

    ``known``: thumbprints. Raises Unauthenticated when the set has no such key, or cannot be read.
    """
    trusted = set(known_kids)
    succession = jwks.get("succession", [])
    if not isinstance(succession, list) or len(succession) > MAX_ENDORSEMENTS:
        raise Unauthenticated("the succession of the keys cannot be read")
    for endorsement in succession:
        try:
            shown = json.loads(base64.urlsafe_b64decode(endorsement.split(".")[0] + "=="))["jwk"]
            signer = {name: shown[name] for name in _PUBLIC}  # (its thumbprint is then its name)
            if thumbprint(signer) not in trusted:
                continue  # before the key we know
            claims = verify_jwt(endorsement, {"keys": [signer]}, frozenset({ENDORSEMENT}))
            if claims.get("iss") == operator:
                trusted.add(thumbprint(claims["jwk"]))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, Unauthenticated):
            raise Unauthenticated("the succession of the keys cannot be read") from None
    keys_trusted = []
    keys = jwks.get("keys")
    for key in keys if isinstance(keys, list) else []:
        try:
            kid = thumbprint(key)
        except (ValueError, AttributeError):
            continue
        if kid in trusted:
            keys_trusted.append(
                {**{name: key[name] for name in _PUBLIC}, "kid": kid, "use": "sig", "alg": "ES256"}
            )
    if not keys_trusted:
        raise Unauthenticated("the set has no key that it is known by, nor one that such a key endorsed")
    return {"keys": keys_trusted}


# DPoP (RFC 9449): a token that only the holder of a key can use

DPOP = "dpop+jwt"


class DPoPSigner:
    """A key of this process alone, that peers bind our tokens to."""

    def __init__(self) -> None:
        self._key = ECKey.generate_key("P-256", private=True)
        self._header = {"alg": "ES256", "typ": DPOP, "jwk": self._key.as_dict(private=False)}

    def proof(self, method: str, url: str, token: str | None = None) -> str:
        """A proof for one request; ``token`` is the access token it goes with."""
        claims = {"jti": secrets.token_urlsafe(16), "htm": method, "htu": url, "iat": int(time.time())}
        if token is not None:
            claims["ath"] = token_hash(token)
        return str(jwt.encode(self._header, claims, self._key))


def kid_of(token: str) -> str | None:
    """The key a JWT says it was signed with. It proves nothing."""
    try:
        kid = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "==")).get("kid")
    except (ValueError, AttributeError, RecursionError):
        return None
    return kid if isinstance(kid, str) and len(kid) <= 64 else None


class DPoPProof(msgspec.Struct, frozen=True):
    """A verified DPoP proof: thumbprint of its key, and the claims that make it single-use."""

    jkt: str
    """Thumbprint of its key."""
    jti: str
    iat: float


def token_hash(token: str) -> str:
    """``ath`` of RFC 9449."""
    digest = hashlib.sha256(token.encode("ascii", "surrogateescape")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def verify_dpop_proof(proof: str, method: str, url: str, token: str | None = None) -> DPoPProof:
    """Check a DPoP proof (RFC 9449, 4.3) but for its being used once. Raises Unauthenticated."""
    wrong = Unauthenticated("the DPoP proof does not hold")
    try:
        header = json.loads(base64.urlsafe_b64decode(proof.split(".")[0] + "=="))
        jwk = header["jwk"]
        if "d" in jwk or "k" in jwk:
            raise wrong
        public = {name: jwk[name] for name in _PUBLIC}
        jkt = _thumbprint(json.dumps(public))
        claims = verify_jwt(proof, {"keys": [public]}, frozenset({DPOP}))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise wrong from None
    jti, iat, htu = claims.get("jti"), claims.get("iat"), claims.get("htu")
    if (
        claims.get("htm") != method
        or not isinstance(htu, str)
        or unquote(htu.split("?")[0].split("#")[0]) != url
        or not isinstance(jti, str)
        or not 8 <= len(jti) <= 255
        or isinstance(iat, bool)
        or not isinstance(iat, int | float)
        or not 0 <= iat < 2**40  # a number beyond floats cannot be subtracted from
        or not -LEEWAY <= time.time() - iat <= PROOF_SECONDS
        or (token is not None and claims.get("ath") != token_hash(token))
    ):
        raise wrong
    return DPoPProof(jkt, jti, float(iat))


MAX_KEYS = 2_048
"""Keys that are remembered, at most: of more peers that take turns than this, none would be remembered."""


@lru_cache(MAX_KEYS)
def _thumbprint(jwk: str) -> str:
    """The thumbprint of a key that comes with request after request. Raises ValueError."""
    return thumbprint(json.loads(jwk))


@lru_cache(MAX_KEYS)
def _key_set(jwks: str) -> KeySet:
    """Keys that are verified with again and again."""
    return KeySet.import_key_set(json.loads(jwks))


LEEWAY = 30
"""Seconds that clocks may differ."""
PROOF_SECONDS = 60
"""Seconds that a proof holds after it was made."""


def verify_jwt(token: str, jwks: dict[str, Any], types: frozenset[str | None]) -> dict[str, Any]:
    """The claims of a JWT whose signature and ``typ`` hold. Raises Unauthenticated.

    Times and audiences are for the caller to check: they differ between assertions and tokens.
    """
    try:
        decoded = jwt.decode(
            token,
            _key_set(json.dumps(jwks)),
            algorithms=ALGORITHMS,
            registry=JWSRegistry(algorithms=ALGORITHMS),
        )
    except (JoseError, ValueError, TypeError, KeyError, UnicodeError, RecursionError):
        raise Unauthenticated("the token does not hold") from None
    kind = decoded.header.get("typ")
    if (kind.lower() if isinstance(kind, str) else kind) not in types or not isinstance(decoded.claims, dict):
        raise Unauthenticated("the token does not hold")
    return dict(decoded.claims)
