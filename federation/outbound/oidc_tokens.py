"""Tokens of an identity provider: what must hold before they are believed."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any, NoReturn

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from federation.domain.errors import Unauthenticated, Unreachable
from federation.domain.feed import printable

ALGORITHMS = ["RS256", "PS256", "ES256", "ES384"]
"""Algorithms of signatures that are accepted, whatever a token says of itself."""
CLOCK_SECONDS = 30
"""Seconds that the clocks may differ."""
MAX_LOGIN_SECONDS = 600
"""Age of an ID token, at most."""
MAX_TOKEN_LENGTH = 32_768
"""Characters of a JWT, at most."""
MAX_SUBJECT_LENGTH = 255
"""Characters of a subject (OpenID Connect Core, 2)."""
MAX_KEYS = 100
"""Keys of a provider that are read, at most."""
PublicKey = RSAKey | ECKey


def check_token(claims: dict[str, Any], issuer: str, client_id: str, now: datetime) -> None:
    """Raises Unauthenticated unless a token is of this issuer, for this client and not over."""
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if claims.get("iss") != issuer:
        refuse_answer("a token is of another issuer")
    if not isinstance(audiences, list) or client_id not in audiences:
        refuse_answer("a token is for another client")
    if "exp" in claims and not now.timestamp() - CLOCK_SECONDS < _seconds(claims["exp"]):
        refuse_answer("a token is over")


def check_id_token(
    claims: dict[str, Any],
    issuer: str,
    client_id: str,
    now: datetime,
    *,
    nonce: str,
    authenticated_since: datetime | None,
) -> None:
    """OpenID Connect Core 1.0, 3.1.3.7. Raises Unauthenticated.

    ``authenticated_since``: the person was to prove again who they are, from then on.
    """
    check_token(claims, issuer, client_id, now)
    _seconds(claims.get("exp"))
    if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and "azp" not in claims:
        refuse_answer("the ID token is for several clients, and does not say for which")
    if claims.get("azp", client_id) != client_id:
        refuse_answer("the ID token is for another client")
    age = now.timestamp() - _seconds(claims.get("iat"))
    if not -CLOCK_SECONDS <= age <= MAX_LOGIN_SECONDS + CLOCK_SECONDS:
        refuse_answer("the ID token was not made now")
    if claims.get("nonce") != nonce:
        refuse_answer("the ID token is of another login")
    subject = claims.get("sub")
    if (
        not isinstance(subject, str)
        or not 1 <= len(subject) <= MAX_SUBJECT_LENGTH
        or printable(subject, MAX_SUBJECT_LENGTH) != subject
    ):
        refuse_answer("the ID token has no subject")
    if authenticated_since is not None and "auth_time" in claims:
        earliest = authenticated_since.timestamp() - CLOCK_SECONDS
        if _seconds(claims["auth_time"]) < earliest:
            refuse_answer("it did not ask the person to log in again")


def read_header(token: str) -> dict[str, Any]:
    """The header of a JWT, which proves nothing. Raises Unauthenticated."""
    if len(token) > MAX_TOKEN_LENGTH:
        refuse_answer("a token is too long")
    try:
        raw = base64.urlsafe_b64decode(token.partition(".")[0] + "==")
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (ValueError, msgspec.MsgspecError, RecursionError):
        refuse_answer("a token cannot be read")


def read_keys(body: bytes) -> dict[str | None, PublicKey]:
    """The keys for signatures by name; what cannot be read is left out. Raises Unreachable."""
    try:
        listed = msgspec.json.decode(body)["keys"]
        entries = [entry for entry in listed[:MAX_KEYS] if isinstance(entry, dict)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
        raise unusable_provider("its keys cannot be read") from None
    keys: dict[str | None, PublicKey] = {}
    for entry in entries:
        kid = entry.get("kid")
        if entry.get("use", "sig") != "sig" or not isinstance(kid, str | None):
            continue
        try:
            if entry.get("kty") == "RSA":
                keys[kid] = RSAKey.import_key(entry)
            elif entry.get("kty") == "EC":
                keys[kid] = ECKey.import_key(entry)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    return keys


def refuse_answer(reason: str) -> NoReturn:
    raise Unauthenticated(
        "the answer of the identity provider does not hold: {reason}", reason=printable(reason, 200)
    )


def unusable_provider(reason: str) -> Unreachable:
    return Unreachable(
        "the identity provider does not answer as it should: {reason}", reason=printable(reason, 300)
    )


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**40:
        refuse_answer("a time of a token cannot be read")
    return float(value)
