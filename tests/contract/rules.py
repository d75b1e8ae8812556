"""The rules of ``docs/reference/protocol.md``, told a second time: as another team would begin.

Nothing of the node is imported: JSON, SHA-256 and ECDSA of libraries alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256

CLAIMS = {"iss", "feed", "epoch", "seq", "retained_from", "count", "root", "iat", "exp"}
COUNTS = ("seq", "retained_from", "count", "iat", "exp")
OPERATOR = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")
MAX_EXCLUSIONS = 32


def written(value: Any) -> bytes:
    """RFC 8785, for names in ASCII and integers."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def bucket(type_name: str, key: str) -> str:
    return sha256(f"{type_name}/{key}".encode())[:2]


def leaf(record: Mapping[str, Any]) -> str:
    return "{type}/{key} {revision} {op} {hash} {seq}".format(**record)


def leaves(records: Iterable[Mapping[str, Any]], retained_from: int) -> dict[str, list[str]]:
    """The leaves of every bucket, in their order."""
    lines: dict[str, list[str]] = {f"{number:02x}": [] for number in range(256)}
    for record in records:
        if record["op"] == "upsert" or record["seq"] > retained_from:
            lines[bucket(record["type"], record["key"])].append(leaf(record))
    return {number: sorted(some) for number, some in lines.items()}


def digest(lines: Iterable[str]) -> str:
    return sha256(b"".join(line.encode() + b"\n" for line in lines))


def root(buckets: Iterable[str]) -> str:
    return sha256(bytes.fromhex("".join(buckets)))


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def kid(jwk: dict[str, str]) -> str:
    """RFC 7638."""
    required = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    return base64.urlsafe_b64encode(hashlib.sha256(written(required)).digest()).rstrip(b"=").decode()


def header_of(jws: str) -> dict[str, Any]:
    """The header of a JWS, which proves nothing. Raises ValueError."""
    header = json.loads(unpadded(jws.split(".")[0]))
    if not isinstance(header, dict):
        raise ValueError("the header is no object")
    return header


def signed(jws: str, typ: str | None, jwks: dict[str, Any], *, bare: bool = False) -> dict[str, Any] | None:
    """The claims, if one of these keys signed them (RFC 7515; ES256 of RFC 7518, 3.4).

    ``typ``: None for a header without one. ``bare``: where there is one key, the header need not name it.
    """
    try:
        head, claims, signature = jws.split(".")
        said, raw = header_of(jws), unpadded(signature)
        keys = {kid(key): key for key in jwks["keys"]}
        named = said.get("kid", next(iter(keys)) if bare else None)
        kind = said["typ"].lower() if "typ" in said else None
        if said["alg"] != "ES256" or kind != typ or "crit" in said:
            return None
        if named not in keys or len(raw) != 64:
            return None
        x, y = (int.from_bytes(unpadded(keys[named][name])) for name in ("x", "y"))
        der = utils.encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
        point = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        point.verify(der, f"{head}.{claims}".encode(), ec.ECDSA(SHA256()))
        found = json.loads(unpadded(claims))
    except (ValueError, KeyError, AttributeError, TypeError, InvalidSignature):
        return None
    return found if isinstance(found, dict) else None


def is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**53


def is_hex(value: Any, digits: int) -> bool:
    return isinstance(value, str) and re.fullmatch(f"[0-9a-f]{{{digits}}}", value) is not None


def verdict(jws: str, feed: str, jwks: dict[str, Any], now: float) -> str:
    """What a reader makes of a checkpoint."""
    said = signed(jws, "federation-checkpoint+jwt", jwks)
    if (
        said is None
        or not said.keys() >= CLAIMS
        or not all(map(is_count, (said[name] for name in COUNTS)))
        or not (is_hex(said["epoch"], 16) and is_hex(said["root"], 64))
        or said["feed"] != feed
        or said["iss"] != feed.partition("/")[0]
        or not said["iat"] <= said["exp"] <= said["iat"] + 3_600
        or said["iat"] > now + 300
        or len(said.get("except", ())) > MAX_EXCLUSIONS
        or not all(OPERATOR.fullmatch(operator) for operator in said.get("except", ()))
    ):
        return "refused"
    return "valid" if now < said["exp"] else "expired"


def receipt_verdict(jws: str, peer: str, origin: str, jwks: dict[str, Any], now: int) -> str:
    """The origin's verdict on a receipt."""
    said = signed(jws, "federation-receipt+jwt", jwks)
    if (
        said is None
        or (said.get("iss"), said.get("aud")) != (peer, origin)
        or str(said.get("feed")).partition("/")[0] != origin
        or not (is_count(said.get("seq")) and is_count(said.get("iat")) and is_hex(said.get("epoch"), 16))
        or abs(now - said["iat"]) > 300
        or type(said.get("purged", False)) is not bool
    ):
        return "refused"
    return "accepted"
