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


def signed(jws: str, typ: str, jwks: dict[str, Any]) -> dict[str, Any] | None:
    """The claims, if one of these keys signed them (RFC 7515; ES256 of RFC 7518, 3.4)."""
    head, claims, signature = jws.split(".")
    said, raw = json.loads(unpadded(head)), unpadded(signature)
    keys = {kid(key): key for key in jwks["keys"]}
    if (said["alg"], said["typ"]) != ("ES256", typ) or said.get("kid") not in keys or len(raw) != 64:
        return None
    key = keys[said["kid"]]
    point = ec.EllipticCurvePublicNumbers(
        int.from_bytes(unpadded(key["x"])), int.from_bytes(unpadded(key["y"])), ec.SECP256R1()
    )
    der = utils.encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    try:
        point.public_key().verify(der, f"{head}.{claims}".encode(), ec.ECDSA(SHA256()))
    except InvalidSignature:
        return None
    found: dict[str, Any] = json.loads(unpadded(claims))
    return found


def verdict(jws: str, feed: str, jwks: dict[str, Any], now: float) -> str:
    """What a reader makes of a checkpoint."""
    said = signed(jws, "federation-checkpoint+jwt", jwks)
    if (
        said is None
        or not said.keys() >= CLAIMS
        or said["feed"] != feed
        or said["iss"] != feed.partition("/")[0]
        or not said["iat"] <= said["exp"] <= said["iat"] + 3_600
        or said["iat"] > now + 300
        or len(said.get("except", ())) > MAX_EXCLUSIONS
        or not all(OPERATOR.fullmatch(operator) for operator in said.get("except", ()))
    ):
        return "refused"
    return "valid" if now < said["exp"] else "expired"
