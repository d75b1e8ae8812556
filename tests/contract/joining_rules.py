"""The rules of joining, keys, tokens and proofs, written a second time (``rules.py``)."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.contract.rules import OPERATOR, header_of, kid, sha256, signed, unpadded

MARK = "federation-invitation-1."
SPKI = ("kty", "crv", "x", "y")


def public(key: Any) -> dict[str, str]:
    """The members of a key on P-256. Raises KeyError, TypeError or ValueError."""
    bare = {name: key[name] for name in SPKI}
    if (bare["kty"], bare["crv"]) != ("EC", "P-256") or not all(len(unpadded(bare[n])) == 32 for n in "xy"):
        raise ValueError("no key on P-256")
    return bare


def trusted(jwks: Any, known: Sequence[str], operator: str) -> list[str] | None:
    """The thumbprints that a reader trusts afterwards; None where it refuses the set."""
    trust = set(known)
    succession = jwks.get("succession", [])
    if not isinstance(succession, list) or len(succession) > 500:
        return None
    for endorsement in succession:
        try:
            signer = public(header_of(endorsement)["jwk"])
            if kid(signer) not in trust:
                continue
            claims = signed(endorsement, "federation-key+jwt", {"keys": [signer]}, bare=True)
            if claims is None:
                return None
            if claims.get("iss") == operator:
                trust.add(kid(public(claims["jwk"])))
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
    found = []
    for key in jwks["keys"] if isinstance(jwks.get("keys"), list) else []:
        try:
            found.append(kid(public(key)))
        except (ValueError, KeyError, TypeError):
            continue
    return [name for name in found if name in trust] or None


def invitation(text: str) -> list[str] | None:
    """URL, thumbprint and secret; None for what is no invitation."""
    packed = "".join(text.split())
    if not packed.startswith(MARK) or len(packed) > 4_096:
        return None
    body = packed.removeprefix(MARK)
    try:
        parts = json.loads(unpadded(body)) if re.fullmatch("[A-Za-z0-9_-]+", body) else None
    except ValueError:
        return None
    if not isinstance(parts, list) or len(parts) != 3 or not all(isinstance(part, str) for part in parts):
        return None
    sound = re.fullmatch("[A-Za-z0-9_-]{43}", parts[1]) and re.fullmatch(
        "[A-Za-z0-9._~+/-]{22,256}", parts[2]
    )
    return parts if sound else None


def code(thumbprints: Sequence[str]) -> str:
    both = "\n".join(sorted(thumbprints)).encode()
    drawn = hashlib.scrypt(both, salt=b"federation joining code 1", n=16_384, r=8, p=1, dklen=16)
    digits = str(int.from_bytes(drawn) % 10**16).zfill(16)
    return " ".join(re.findall("....", digits))


def ends_now(expires: Any, now: int) -> bool:
    return type(expires) is int and now - 30 < expires <= now + 330


BODY = {"operator", "client_name", "client_uri", "jwks", "software_statement"}
OPTIONAL = {"token_endpoint_auth_method": "private_key_jwt", "grant_types": ["client_credentials"]}


def registration(body: Mapping[str, Any], inviter: Mapping[str, str], secret: str, now: int) -> int:
    """The status of the answer to a registration with an unused invitation."""
    name = body.get("client_name", "")
    if (
        not BODY <= body.keys() <= BODY | OPTIONAL.keys()
        or any(body.get(member, value) != value for member, value in OPTIONAL.items())
        or not OPERATOR.fullmatch(body["operator"])
        or not 1 <= len(name) <= 200
        or not name.isprintable()
    ):
        return 400
    proof = body["software_statement"]
    claims = signed(proof, "federation-registration+jwt", body["jwks"])
    right = {
        "iss": body["operator"],
        "aud": inviter["url"],
        "url": body["client_uri"],
        "invitation": sha256(secret.encode()),
    }
    if claims is None or not right.items() <= claims.items() or not ends_now(claims.get("exp"), now):
        return 401
    parts = urlsplit(body["client_uri"])
    return 400 if parts.scheme != "https" or parts.query or parts.fragment else 201


def welcome(proof: str, part: Mapping[str, Any]) -> str:
    """The newcomer's verdict on a welcome."""
    claims = signed(proof, "federation-welcome+jwt", part["inviter"]["jwks"])
    right = {
        "iss": part["inviter"]["operator"],
        "aud": part["newcomer"]["url"],
        "newcomer": part["newcomer"]["thumbprint"],
        "invitation": sha256(part["secret"].encode()),
    }
    if claims is None or not right.items() <= claims.items():
        return "refused"
    return "accepted" if ends_now(claims.get("exp"), part["now"]) else "refused"


def is_time(value: Any) -> bool:
    return type(value) in (int, float) and value >= 0


def assertion(jws: str, issuer: str, peer: Mapping[str, Any], now: int, used: set[str]) -> str:
    """The verdict of a token endpoint; ``used``: what this operator has used before."""
    kinds = ("client-authentication+jwt", "jwt", None)
    found = (signed(jws, kind, peer["jwks"]) for kind in kinds)
    claims = next((claims for claims in found if claims is not None), None)
    if claims is None or (claims.get("iss"), claims.get("sub")) != (peer["operator"],) * 2:
        return "refused"
    expires, issued, start = claims.get("exp"), claims.get("iat", now), claims.get("nbf", 0)
    jti = claims.get("jti")
    if (
        claims.get("aud") not in (issuer, [issuer])
        or not all(map(is_time, (expires, issued, start)))
        or not (isinstance(jti, str) and 8 <= len(jti) <= 255)
        or expires is None
        or not now - 30 < expires <= max(now, issued) + 300
        or max(issued, start) > now + 30
        or jti in used
    ):
        return "refused"
    used.add(jti)
    return "accepted"


def proof(
    headers: Sequence[str],
    method: str,
    url: str,
    token: str | None,
    jkt: str,
    now: int,
    used: set[str],
) -> str:
    """The verdict on the ``DPoP`` headers of a request; ``used``: what this key has used before."""
    if len(headers) != 1 or len(headers[0]) > 8_192:
        return "refused"
    try:
        shown = header_of(headers[0])["jwk"]
        key = public(shown)
    except (ValueError, KeyError, TypeError):
        return "refused"
    claims = signed(headers[0], "dpop+jwt", {"keys": [key]}, bare=True)
    if claims is None or {"d", "k"} & shown.keys():
        return "refused"
    htu, jti, issued = claims.get("htu"), claims.get("jti"), claims.get("iat")
    if (
        claims.get("htm") != method
        or not isinstance(htu, str)
        or unquote(re.split("[?#]", htu)[0]) != url
        or not (isinstance(jti, str) and 8 <= len(jti) <= 255)
        or issued is None
        or not is_time(issued)
        or not -30 <= now - issued <= 60
        or jti in used
    ):
        return "refused"
    if token is not None:
        digest = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
        if claims.get("ath") != digest or kid(key) != jkt:
            return "refused"
    used.add(jti)
    return "accepted"
